//! With which relays the driver is to be connected.

use core::time::Duration;
use std::collections::BTreeSet;

use tortalk_model::limits::relay::{OTHER_RELAYS_MAX, RELAY_IDLE_AFTER};
use tortalk_model::{MonoMillis, RelayKey};

use super::Relay;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::relay::RelayAction;

/// An address that nobody answers at is tried for so long before another is.
const ELSEWHERE_AFTER: Duration = Duration::from_secs(10);

impl Mesh {
    /// Connects with own relays, and with as many of others as may be at a time
    /// of those that are wanted; lets go of what was not wanted for a while.
    pub(super) fn connect_relays<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        wanted: &BTreeSet<RelayKey>,
    ) {
        let now = step.now.mono;
        let mut waiting = Vec::new();
        let mut places =
            OTHER_RELAYS_MAX * (1 + usize::from(tortalk_model::deviate!(relays_without_end)));
        let mut wake = MonoMillis(u64::MAX);
        for (key, relay) in &mut self.relays.known {
            if relay.own {
                if relay.asked.is_none() {
                    relay.connect(step);
                }
                continue;
            }
            if wanted.contains(key) || !relay.unanswered.is_empty() {
                relay.needed_at = now;
                if relay.asked.is_none() {
                    waiting.push(*key);
                }
            }
            if relay.asked.is_none() {
                continue;
            }
            let until = relay.needed_at + RELAY_IDLE_AFTER;
            if now >= until {
                relay.disconnect(step, *key);
            } else {
                wake = wake.min(until);
                places = places.saturating_sub(1);
            }
        }
        // req: RLC-21
        if waiting.len() > places {
            let missing = waiting.len() - places;
            places += self.make_room(step, missing, &mut wake);
        }
        // Who waited longest has its turn first.
        waiting.sort_by_key(|key| self.relays.known.get(key).map(|relay| relay.had_place_at));
        for key in waiting.iter().take(places) {
            if let Some(relay) = self.relays.known.get_mut(key) {
                relay.connect(step);
                wake = wake.min(now + RELAY_IDLE_AFTER);
            }
        }
        let leaving = &self.relays.leaving;
        self.relays.known.retain(|key, relay| {
            relay.own || relay.asked.is_some() || wanted.contains(key) || leaving.names(key)
        });
        self.relays.wake(wake);
    }

    /// Takes places from relays that do nothing with them: nothing is wanted there
    /// now, or they have not been up for a while. How many places that gave.
    fn make_room<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        missing: usize,
        wake: &mut MonoMillis,
    ) -> usize {
        let now = step.now.mono;
        let mut room = 0;
        for (key, relay) in &mut self.relays.known {
            let Some(asked) = relay.asked.filter(|_| !relay.own && room < missing) else {
                continue;
            };
            let idle = relay.up.is_some() && relay.needed_at < now;
            let late = asked + RELAY_IDLE_AFTER;
            if idle || (relay.up.is_none() && now >= late) {
                relay.disconnect(step, *key);
                room += 1;
            } else if relay.up.is_none() {
                *wake = (*wake).min(late);
            }
        }
        room
    }
}

impl Relay {
    fn connect<R: Read>(&mut self, step: &mut Step<'_, R>) {
        self.asked = Some(step.now.mono);
        self.had_place_at = step.now.mono;
        step.ready.relays.push(RelayAction::Connect(self.address.clone()));
    }

    /// Goes to the next address that contacts name, now and then: one of them may
    /// name a wrong one, to keep us from a relay of another's.
    pub(super) fn try_elsewhere<R: Read>(&mut self, step: &mut Step<'_, R>, key: RelayKey) {
        let tried_for_long =
            self.asked.is_some_and(|asked| step.now.mono >= asked + ELSEWHERE_AFTER);
        let Some(next) = self.elsewhere.pop_front_if(|_| tried_for_long) else { return };
        self.elsewhere.push_back(core::mem::replace(&mut self.address, next));
        self.disconnect(step, key);
    }

    pub(super) fn disconnect<R: Read>(&mut self, step: &mut Step<'_, R>, key: RelayKey) {
        self.asked = None;
        self.lose();
        step.ready.relays.push(RelayAction::Disconnect(key));
    }
}
