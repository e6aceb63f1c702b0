//! What leaves the engine, once it is durable.

use std::collections::BTreeMap;

use tortalk_mesh::{Answer, Dial, Event, Input, Ready, RequestId};
use tortalk_store::StoreError;
use tortalk_wire::ByeReason;

use super::queries::QueryError;
use super::requests::Then;
use super::{Answering, Batch, Engine, EngineInput, Machine};
use crate::control::event::{EventLine, NodeEvent};

impl Engine {
    /// Lets out everything that is durable now.
    pub(super) fn dispatch(&mut self, mut batch: Batch) -> Result<(), StoreError> {
        if self.machine == Machine::Fresh && batch.awake {
            self.machine = Machine::Running;
        }
        if batch.open && self.trouble.take().is_some() {
            tracing::info!("the store works again");
            self.tell(NodeEvent::StoreWorks);
        }
        for (error, answering) in batch.refused {
            let _gave_up = answering.send(Err(error));
        }
        self.dispatch_ready(batch.ready, &mut batch.commands)?;
        for (request, answering) in batch.queries {
            let answered = self.query(&request);
            let fatal = answered.as_ref().err().and_then(QueryError::fatal);
            let _gave_up = answering.send(answered.map_err(Into::into));
            if let Some(error) = fatal {
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn dispatch_ready(
        &mut self,
        ready: Ready,
        commands: &mut BTreeMap<RequestId, (Then, Answering)>,
    ) -> Result<(), StoreError> {
        for action in ready.links {
            self.table.apply(action);
        }
        self.apply_relays(ready.relays);
        for Answer { request, outcome } in ready.answers {
            if let Some((then, answering)) = commands.remove(&request) {
                let answer = self.conclude(then, outcome)?;
                let _gave_up = answering.send(answer);
            }
        }
        for event in ready.events {
            let twice = self.around.sabotage.doubles() && matches!(event, Event::Received(_));
            if let Some(event) = self.render_event(event)? {
                if twice {
                    self.tell(event.clone());
                }
                self.tell(event);
            }
        }
        for dial in ready.dials {
            self.dial(dial);
        }
        if ready.beacon {
            self.around.beacon.notify_one();
        }
        Ok(())
    }

    fn dial(&self, Dial { address }: Dial) {
        let Some(links) = self.around.links.clone() else { return };
        let to_self = self.around.to_self.clone();
        self.around.runtime.spawn(async move {
            let reached = links.dial(address).await.is_ok();
            let dialled = EngineInput::Mesh(Input::Dialled { address, reached });
            // A node that has ended need not know.
            let _ended = to_self.send(dialled).await;
        });
    }

    /// Closes every link and lets go of every relay, for a machine that will know
    /// of none.
    pub(super) fn lose_links(&mut self, reason: ByeReason) {
        for person in self.nearby() {
            let contact = person.contact.then_some(person.name);
            self.tell(NodeEvent::PeerDown { identity: person.identity.to_string(), contact });
        }
        self.table.close_all(reason);
        self.lose_relays();
        self.machine = Machine::Stale;
    }

    pub(super) fn tell(&self, event: NodeEvent) {
        // Nobody listening is no fault.
        let _heard_by =
            self.around.events.send(EventLine { at: self.around.clock.wall().0, event });
    }
}
