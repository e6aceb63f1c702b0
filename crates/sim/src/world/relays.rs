//! Between devices and relays: connections that come and go, and what is on its
//! way on them, in order.

use std::collections::BTreeMap;

use tortalk_mesh::relay::RelayDown;
use tortalk_mesh::{Input, RelayAction, RelayInput};
use tortalk_model::{Envelope, RelayKey};

use super::{Happening, World};
use crate::relay::{Answers, CallId};
use crate::time::{MINUTE, Moment, SECOND};
use crate::violation::Violation;

/// A relay that cannot be reached is tried again after so long, and after twice
/// that and so on.
const AGAIN_FIRST_MS: u64 = 5 * SECOND;
const AGAIN_LAST_MS: u64 = 10 * MINUTE;
/// A call that came to nothing takes so long.
const DIAL_MS: u64 = 2 * SECOND;

/// What devices have with relays.
#[derive(Default)]
pub(super) struct Calls {
    /// What each device wants, by relay.
    wanted: BTreeMap<(usize, RelayKey), Wanted>,
    /// Each call that is up.
    up: BTreeMap<CallId, Call>,
    next: u64,
}

struct Wanted {
    relay: usize,
    call: Option<CallId>,
    wait: u64,
    /// Earlier tries of the same wish count for nothing.
    tries: u64,
}

struct Call {
    device: usize,
    relay: usize,
    /// When the last thing arrives there, and here.
    last: [Moment; 2],
}

impl World {
    /// What a machine wants of relays, in order.
    pub(super) fn act_on_relays(&mut self, device: usize, actions: Vec<RelayAction>) {
        for action in actions {
            let key = key_of(&action);
            match action {
                RelayAction::Connect(_) => self.want(device, key),
                RelayAction::Disconnect(_) => {
                    if let Some(wanted) = self.calls.wanted.remove(&(device, key)) {
                        self.forget_call(wanted.call);
                    }
                }
                other => {
                    let wanted = self.calls.wanted.get(&(device, key));
                    let Some(id) = wanted.and_then(|wanted| wanted.call) else { continue };
                    let delay = self.latency() + self.latency();
                    let Some(call) = self.calls.up.get_mut(&id) else { continue };
                    call.last[0] = (self.now + delay).max(call.last[0]);
                    self.queue.add(call.last[0], Happening::AskRelay(id, Box::new(other)));
                }
            }
        }
    }

    fn want(&mut self, device: usize, key: RelayKey) {
        let Some(relay) = self.relays.iter().position(|relay| relay.key() == key) else { return };
        let tries = self.calls.next;
        self.calls.next += 1;
        let wanted = Wanted { relay, call: None, wait: AGAIN_FIRST_MS, tries };
        if let Some(before) = self.calls.wanted.insert((device, key), wanted) {
            self.forget_call(before.call);
        }
        let at = self.now + self.latency();
        self.queue.add(at, Happening::CallRelay { device, key, tries });
    }

    /// A device tries to reach a relay.
    pub(super) fn call_relay(&mut self, device: usize, key: RelayKey, tries: u64) {
        let reachable = self.devices[device].place.is_some();
        let Some(wanted) = self.calls.wanted.get_mut(&(device, key)) else { return };
        if wanted.tries != tries || wanted.call.is_some() {
            return;
        }
        let number = wanted.relay;
        if !reachable || !self.relays[number].is_up {
            let again = self.now + wanted.wait;
            wanted.wait = (wanted.wait * 2).min(AGAIN_LAST_MS);
            self.queue.add(again, Happening::CallRelay { device, key, tries });
            let why = RelayDown::Unreachable;
            let down = Input::Relay(RelayInput::Down { relay: key, why });
            self.queue.add(self.now + DIAL_MS, Happening::Tell(device, Box::new(down)));
            return;
        }
        let id = CallId(self.calls.next);
        self.calls.next += 1;
        wanted.call = Some(id);
        wanted.wait = AGAIN_FIRST_MS;
        let last = [self.now; 2];
        self.calls.up.insert(id, Call { device, relay: number, last });
        self.note(format_args!("n{device} r{number} up"));
        let wall = self.now.wall();
        let up = self.relays[number].connect(id, wall);
        self.tell_callers(vec![(id, up)]);
    }

    /// Something of a device has come to its relay.
    pub(super) fn ask_relay(&mut self, id: CallId, action: RelayAction) -> Result<(), Violation> {
        let Some(call) = self.calls.up.get(&id) else { return Ok(()) };
        let (device, number) = (call.device, call.relay);
        if let RelayAction::Deposit { envelope, .. } = &action {
            let name = self.ledger.envelope_name(&envelope.id());
            self.note(format_args!("n{device} r{number} deposit {name}"));
            self.ledger.sent(&envelope.id(), envelope.as_bytes().len());
            self.bytes += envelope.as_bytes().len() as u64;
        }
        let now = self.now;
        let answers = self.relays[number].asked(id, action, now.wall());
        let answers = answers.map_err(|broken| broken.by(now, Some(device)))?;
        self.tell_callers(answers);
        Ok(())
    }

    fn tell_callers(&mut self, answers: Answers) {
        for (id, input) in answers {
            let delay = self.latency();
            let Some(call) = self.calls.up.get_mut(&id) else { continue };
            call.last[1] = (self.now + delay).max(call.last[1]);
            self.queue.add(call.last[1], Happening::RelaySays(id, Box::new(input)));
        }
    }

    /// Something of a relay has come to a device.
    pub(super) fn relay_says(&mut self, id: CallId, input: RelayInput) {
        let Some(call) = self.calls.up.get(&id) else { return };
        let device = call.device;
        match &input {
            RelayInput::Pulled { envelope, seq, .. } => {
                self.bytes += envelope.len() as u64;
                let name = self.ledger.envelope_name(&Envelope::id_of(envelope));
                self.note(format_args!("n{device} pulls {name}, sequence {seq}"));
            }
            RelayInput::Stored { receipt, .. } => {
                let names = receipt.ids.iter().map(|id| self.ledger.envelope_name(id));
                let names = names.collect::<Vec<_>>().join(" ");
                self.note(format_args!("n{device} has the receipt for {names}"));
            }
            RelayInput::Refused { envelope_id, reason, .. } => {
                let name = self.ledger.envelope_name(envelope_id);
                self.note(format_args!("n{device} may not leave {name}: {reason:?}"));
            }
            _ => {}
        }
        self.tell(device, Input::Relay(input));
    }

    /// A device has lost its network: its calls end, and it tries again.
    pub(super) fn lose_calls(&mut self, device: usize) {
        let lost: Vec<CallId> = self
            .calls
            .up
            .iter()
            .filter(|(_, call)| call.device == device)
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            self.drop_call(id);
        }
    }

    /// A device's process has ended: nobody wants anything any more.
    pub(super) fn end_calls(&mut self, device: usize) {
        let keys: Vec<(usize, RelayKey)> =
            self.calls.wanted.keys().copied().filter(|(of, _)| *of == device).collect();
        for key in keys {
            if let Some(wanted) = self.calls.wanted.remove(&key) {
                self.forget_call(wanted.call);
            }
        }
    }

    /// Everybody's calls with a relay end.
    pub(super) fn lose_callers(&mut self, relay: usize) {
        let lost: Vec<CallId> = self
            .calls
            .up
            .iter()
            .filter(|(_, call)| call.relay == relay)
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            self.drop_call(id);
        }
    }

    /// A call breaks: both ends lose it, and the device tries again.
    fn drop_call(&mut self, id: CallId) {
        let Some(call) = self.calls.up.remove(&id) else { return };
        self.relays[call.relay].hang_up(id);
        let (device, key) = (call.device, self.relays[call.relay].key());
        if let Some(wanted) = self.calls.wanted.get_mut(&(device, key)) {
            wanted.call = None;
            let (wait, tries) = (wanted.wait, wanted.tries);
            let at = self.now + wait;
            self.queue.add(at, Happening::CallRelay { device, key, tries });
        }
        self.note(format_args!("n{device} r{} down", call.relay));
        let why = RelayDown::Unreachable;
        self.tell(device, Input::Relay(RelayInput::Down { relay: key, why }));
    }

    fn forget_call(&mut self, id: Option<CallId>) {
        if let Some(call) = id.and_then(|id| self.calls.up.remove(&id))
            && let Some(id) = id
        {
            self.relays[call.relay].hang_up(id);
        }
    }
}

fn key_of(action: &RelayAction) -> RelayKey {
    match action {
        RelayAction::Connect(address) => address.key(),
        RelayAction::Disconnect(relay)
        | RelayAction::Deposit { relay, .. }
        | RelayAction::Pull { relay, .. }
        | RelayAction::Prove { relay, .. }
        | RelayAction::Ack { relay, .. }
        | RelayAction::StopPull { relay, .. }
        | RelayAction::PutCard { relay, .. }
        | RelayAction::GetCard { relay, .. }
        | RelayAction::Purge { relay, .. } => *relay,
    }
}
