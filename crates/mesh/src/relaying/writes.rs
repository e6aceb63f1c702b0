//! What the machine's own writes mean for relays.

use super::leaving::Turns;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::Event;
use crate::write::{Evidence, Write};

impl Mesh {
    /// Notes what the writes of this step make to be left at relays, read there or
    /// purged there.
    pub(crate) fn follow_writes<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        let writes = core::mem::take(&mut step.ready.writes);
        for write in &writes {
            match write {
                Write::PutEnvelope(held) => self.leave(step, held, Turns::InOrder),
                Write::DropEnvelope(id) => self.relays.leaving.forget(id),
                // A timed try: whatever did not work has another chance.
                Write::HandOverAgain { peer, envelope_id } => {
                    if let Some(held) = step.store.envelope(envelope_id)? {
                        self.leave(step, &held, Turns::Everywhere);
                    }
                    self.read_drop_soon(*peer);
                }
                Write::PutOutgoing(message) if message.envelope_id.is_none() => {
                    self.read_drop_soon(message.contact);
                }
                Write::AddEvidence { message_id, evidence: Evidence::Receipt { .. } } => {
                    self.note_purges(step, message_id)?;
                }
                _ => {}
            }
        }
        let since = core::mem::replace(&mut step.ready.writes, writes);
        step.ready.writes.extend(since);
        let changed = step.ready.events.iter().filter_map(|event| match event {
            Event::ContactChanged(contact) => Some(contact.identity),
            _ => None,
        });
        for contact in changed.collect::<Vec<_>>() {
            self.leave_elsewhere(step, &contact)?;
            self.look_for_envelopes_for(contact);
            self.relays.changed = true;
        }
        Ok(())
    }
}
