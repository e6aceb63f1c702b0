//! Having relays forget what was delivered.

use core::time::Duration;

use tortalk_model::limits::relay::PURGE_KEYS_MAX;
use tortalk_model::{MessageId, MonoMillis};

use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::relay::RelayAction;
use crate::write::Evidence;

/// Purges are gathered for so long: each costs a relay a search, and it takes few
/// from one address, which others and our own streams need as well.
const PURGE_EVERY: Duration = Duration::from_secs(2);

impl Mesh {
    /// A receipt came: relays that hold the message's envelope may forget it, as
    /// far as they are up. Losing this costs them space until it expires.
    pub(super) fn note_purges<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        message_id: &MessageId,
    ) -> Result<(), R::Error> {
        if self.relays.known.values().all(|relay| relay.up.is_none()) {
            return Ok(());
        }
        let Some(message) = step.store.outgoing(message_id)? else { return Ok(()) };
        let Some(envelope_id) = message.envelope_id else { return Ok(()) };
        let held = step.store.envelope(&envelope_id)?;
        let Some(purge_key) = held.and_then(|held| held.purge_key) else { return Ok(()) };
        for evidence in &message.evidence {
            let Evidence::AtRelay { relay, .. } = evidence else { continue };
            let Some(relay) = self.relays.up(relay) else { continue };
            relay.purges.push(purge_key.clone());
            self.relays.changed = true;
        }
        Ok(())
    }

    // req: RLC-20
    pub(super) fn purge_at_relays<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let now = step.now.mono;
        let mut wake = MonoMillis(u64::MAX);
        for (key, relay) in &mut self.relays.known {
            if relay.up.is_none() {
                relay.purges.clear();
            }
            if relay.purges.is_empty() {
                continue;
            }
            // req: RLC-26
            if now < relay.purge_from {
                wake = wake.min(relay.purge_from);
                continue;
            }
            relay.purge_from = now + PURGE_EVERY;
            let purges = core::mem::take(&mut relay.purges);
            for keys in purges.chunks(PURGE_KEYS_MAX) {
                let (relay, keys) = (*key, keys.to_vec());
                step.ready.relays.push(RelayAction::Purge { relay, keys });
            }
        }
        self.relays.wake(wake);
    }
}
