//! What happens to people and their devices, and how it ends.

use tortalk_mesh::{Command, Input, Read as _, Standing};
use tortalk_model::{IdentityKey, MessageId};

use super::{Loss, World};
use crate::device::{Asked, Device, Disk};
use crate::plan::{CrashPoint, Incident, RelayLoss};
use crate::time::Moment;
use crate::violation::Violation;

/// Where everybody is in the end.
const MEETING_PLACE: usize = 0;

impl World {
    pub(super) fn incident(&mut self, incident: Incident) -> Result<(), Violation> {
        match incident {
            Incident::Write { from, to, len } => self.write(from, to, len),
            Incident::Move { device, place } => self.go(device, place),
            Incident::Crash { device, point, gone_ms } => {
                if !self.devices[device].is_on() {
                    return Ok(());
                }
                match point {
                    CrashPoint::Idle => self.crash(device, gone_ms),
                    _ => self.devices[device].crash = Some((point, gone_ms)),
                }
            }
            Incident::Disk { device, full } => {
                self.devices[device].disk = if full { Disk::Full } else { Disk::Works };
            }
            Incident::Clock { device, offset_ms } => {
                let now = self.now;
                self.devices[device].clock.set(now, offset_ms);
                self.wake_soon(device);
            }
            Incident::Drift { device, drift } => {
                let now = self.now;
                self.devices[device].clock.drift(now, drift);
            }
            Incident::Wall { from, to, stands } => {
                if stands {
                    self.walls.insert((from, to));
                } else {
                    self.walls.remove(&(from, to));
                }
                self.ways_changed();
            }
            Incident::Relay { relay, is_up } => self.switch_relay(relay, is_up),
            Incident::RelayLoses { relay, what } => self.relay_loses(relay, what)?,
            Incident::RelayLies { relay, lies } => {
                self.relays[relay].lies = lies;
                self.relays[relay].has_lied |= lies;
            }
            Incident::Cut { nth, after } => self.cut(nth, after),
            Incident::Block { who, whom, blocked } => self.block(who, whom, blocked),
            Incident::Cancel { device } => self.cancel(device),
            Incident::Read { device } => self.read(device),
        }
        Ok(())
    }

    fn write(&mut self, from: usize, to: usize, len: usize) {
        if !self.devices[from].is_on() {
            return;
        }
        let number = self.net.next();
        let mut text = format!("{number:016x} from n{from} to n{to}: ");
        text.extend(core::iter::repeat_n('.', len.saturating_sub(text.len())));
        let command = Command::SendText { to: self.devices[to].identity(), text: text.clone() };
        self.ask(from, command, Asked::Text { to, text });
    }

    fn ask(&mut self, device: usize, command: Command, asked: Asked) {
        if self.devices[device].is_on() && !self.devices[device].is_in_trouble(self.now) {
            self.devices[device].ask(command, asked);
            self.wake_soon(device);
        }
    }

    fn go(&mut self, device: usize, place: Option<usize>) {
        if self.devices[device].place == place {
            return;
        }
        self.devices[device].place = place;
        // Some networks go with a word, others without.
        if self.net.chance(500) {
            self.lose_links(device, Loss::Silent);
        }
        self.ways_changed();
        self.lose_calls(device);
        if place.is_some() {
            self.tell(device, Input::AddressUp);
        }
    }

    fn switch_relay(&mut self, relay: usize, is_up: bool) {
        if is_up {
            self.relays[relay].is_up = true;
        } else {
            self.relays[relay].stop();
            self.lose_callers(relay);
        }
    }

    fn relay_loses(&mut self, relay: usize, what: RelayLoss) -> Result<(), Violation> {
        let now = self.now;
        match what {
            RelayLoss::All => self.relays[relay].lose_all(),
            RelayLoss::Last(count) => {
                self.relays[relay].lose_last(count).map_err(|broken| broken.by(now, None))?;
            }
        }
        self.lose_callers(relay);
        Ok(())
    }

    fn block(&mut self, who: usize, whom: usize, blocked: bool) {
        let identity = self.devices[whom].identity();
        self.ask(who, Command::SetBlocked { identity, blocked }, Asked::Other);
    }

    fn cancel(&mut self, device: usize) {
        let newest = self.ledger.order.iter().rev().find(|id| {
            self.ledger
                .messages
                .get(id)
                .is_some_and(|fate| fate.from == device && fate.accepted && !fate.state.is_final())
        });
        if let Some(&message_id) = newest {
            self.ask(device, Command::Cancel { message_id }, Asked::Other);
        }
    }

    fn read(&mut self, device: usize) {
        let newest: Option<MessageId> = self.ledger.order.iter().rev().copied().find(|id| {
            let fate = self.ledger.messages.get(id);
            fate.is_some_and(|fate| fate.to == device && fate.shown > 0)
        });
        if let Some(message_id) = newest {
            self.ask(device, Command::MarkRead { message_id }, Asked::Other);
        }
    }

    /// All faults end, and everybody meets.
    pub(super) fn heal(&mut self) -> Result<(), Violation> {
        self.note(format_args!("healed"));
        self.walls.clear();
        for relay in &mut self.relays {
            relay.is_up = true;
            relay.lies = false;
        }
        let now: Moment = self.now;
        for device in 0..self.devices.len() {
            let one = &mut self.devices[device];
            one.mend_disk();
            one.crash = None;
            one.liar = None;
            one.clock.drift(now, 0);
            one.clock.set(now, 0);
            if !self.devices[device].is_on() {
                self.start(device)?;
            }
            self.go(device, Some(MEETING_PLACE));
        }
        self.ways_changed();
        for (who, identity) in self.blocked() {
            let command = Command::SetBlocked { identity, blocked: false };
            self.ask(who, command, Asked::Other);
        }
        Ok(())
    }

    /// Who blocks whom, by what their stores say: an order to let somebody in
    /// again may have been lost with a commit.
    fn blocked(&self) -> Vec<(usize, IdentityKey)> {
        let blocked = |device: &Device| {
            let running = device.running.as_ref()?;
            let contacts = running.store.contacts().ok()?;
            let blocked = contacts.into_iter().filter(|c| c.standing == Standing::Blocked);
            Some(blocked.map(|c| (device.index, c.identity)).collect::<Vec<_>>())
        };
        self.devices.iter().filter_map(blocked).flatten().collect()
    }
}
