//! What a device says has to stand in its own store (GSP-01). Held after every
//! input, with its writes applied and no later ones.

use std::collections::BTreeMap;

use tortalk_mesh::read::Carried;
use tortalk_mesh::{DeliveryState, Event, LinkAction, LinkId, Outcome, Read as _, Ready};
use tortalk_model::MailboxKey;
use tortalk_model::envelope::Envelope;
use tortalk_model::limits::{CARRY_BYTES_MAX, CARRY_ENVELOPES_MAX, CARRY_GIVERS};
use tortalk_store::Store;
use tortalk_wire::{AckResult, Frame};

use crate::device::{Owners, works};
use crate::violation::{Broken, Holds, Invariant};

/// Holds one step of a machine to its store, whoever drives it: what is said is
/// borne out, what is spread may be, and what is carried is within its quotas.
/// `owners` says whose each mailbox is, `peers` who is at the end of each link.
///
/// # Errors
/// What did not hold, and how it showed.
pub fn step_holds(
    ready: &Ready,
    store: &Store,
    owners: &BTreeMap<MailboxKey, usize>,
    peers: &BTreeMap<LinkId, usize>,
) -> Result<(), (Invariant, String)> {
    borne_out(ready, store)
        .and_then(|()| spread_holds(ready, store, owners, peers))
        .and_then(|()| carried_is_bounded(store))
        .map_err(|broken| (broken.invariant, broken.seen))
}

/// Whether everything that is to be sent, answered and shown is borne out.
pub(crate) fn borne_out(ready: &Ready, store: &Store) -> Holds {
    for action in &ready.links {
        if let LinkAction::Send(_, frame) = action {
            frame_holds(frame, store)?;
        }
    }
    for answer in &ready.answers {
        if let Ok(outcome) = &answer.outcome {
            outcome_holds(outcome, store)?;
        }
    }
    ready.events.iter().try_for_each(|event| event_holds(event, ready, store))
}

/// Whether what goes to somebody who is not its recipient is spread as it has to
/// be: never at ttl 0, and with one less than what is kept.
// req: CAR-03, CAR-04
pub(crate) fn spread_holds(
    ready: &Ready,
    store: &Store,
    owners: &Owners,
    peers: &BTreeMap<LinkId, usize>,
) -> Holds {
    for action in &ready.links {
        let LinkAction::Send(link, Frame::Msg(msg)) = action else { continue };
        let Ok(envelope) = Envelope::parse(msg.envelope.as_slice().to_vec()) else { continue };
        // On a link whose end the machine has not heard of yet it reaches nobody.
        let Some(peer) = peers.get(link) else { continue };
        if owners.get(&envelope.header().mailbox) == Some(peer) {
            continue;
        }
        let held = store.envelope(&envelope.id()).map_err(|e| works(&e))?;
        let ttl = held.map_or(0, |held| held.ttl);
        if ttl == 0 || msg.ttl != ttl - 1 {
            let seen = format!("spread with ttl {}, and kept with {ttl}", msg.ttl);
            return Err(Broken::new(Invariant::NoSpreadAtZero, seen));
        }
    }
    Ok(())
}

/// Whether what is carried stays within its quotas.
// req: CAR-22
pub(crate) fn carried_is_bounded(store: &Store) -> Holds {
    let carried = store.carried().map_err(|e| works(&e))?;
    let envelopes: u64 = carried.iter().map(|one| one.envelopes).sum();
    let bytes: u64 = carried.iter().map(|one| one.bytes).sum();
    let over = |one: &Carried| {
        one.envelopes > CARRY_ENVELOPES_MAX / CARRY_GIVERS
            || one.bytes > CARRY_BYTES_MAX / CARRY_GIVERS
    };
    if envelopes > CARRY_ENVELOPES_MAX || bytes > CARRY_BYTES_MAX || carried.iter().any(over) {
        let seen = format!("{envelopes} envelopes with {bytes} bytes are carried");
        return Err(Broken::new(Invariant::Bounded, seen));
    }
    Ok(())
}

fn frame_holds(frame: &Frame, store: &Store) -> Holds {
    match frame {
        Frame::Ack(ack) if ack.result == AckResult::Stored => {
            let seen = store.seen(&ack.id).map_err(|e| works(&e))?;
            let held = store.envelope(&ack.id).map_err(|e| works(&e))?.is_some();
            that(seen || held, "acknowledged and not stored")
        }
        Frame::Msg(msg) => {
            let id = Envelope::id_of(msg.envelope.as_slice());
            let held = store.envelope(&id).map_err(|e| works(&e))?.is_some();
            that(held, "handed over and not held")
        }
        Frame::Card(card) => {
            let cards = store.own_cards().map_err(|e| works(&e))?;
            let shown = card.card.as_slice();
            let known = cards.is_some_and(|(intro, contact)| intro == shown || contact == shown);
            that(known, "a card was shown that is not stored")
        }
        _ => Ok(()),
    }
}

fn outcome_holds(outcome: &Outcome, store: &Store) -> Holds {
    match outcome {
        Outcome::Queued { message_id, state } => {
            let message = store.outgoing(message_id).map_err(|e| works(&e))?;
            let stored = message.as_ref().map(DeliveryState::of);
            that(stored == Some(*state), "a text was accepted and not stored")
        }
        Outcome::Contact(identity) => {
            let contacts = store.contacts().map_err(|e| works(&e))?;
            let known = contacts.iter().any(|contact| contact.identity == *identity);
            that(known, "a contact was added and not stored")
        }
        _ => Ok(()),
    }
}

fn event_holds(event: &Event, ready: &Ready, store: &Store) -> Holds {
    match event {
        Event::Received(message) => {
            let stored = store.incoming(&message.message_id).map_err(|e| works(&e))?;
            that(stored.as_ref() == Some(&**message), "a message was shown and not stored")
        }
        Event::StateChanged { message_id, .. } => {
            // Of several changes in one step the last is what stands.
            let last = ready.events.iter().rev().find_map(|event| match event {
                Event::StateChanged { message_id: id, state, .. } if id == message_id => {
                    Some(*state)
                }
                _ => None,
            });
            let message = store.outgoing(message_id).map_err(|e| works(&e))?;
            let stored = message.as_ref().map(DeliveryState::of);
            if stored == last {
                return Ok(());
            }
            let seen = format!("shown as {last:?}, and the evidence says {stored:?}");
            Err(Broken::new(Invariant::Evidence, seen))
        }
        _ => Ok(()),
    }
}

fn that(holds: bool, otherwise: &str) -> Holds {
    if holds { Ok(()) } else { Err(Broken::new(Invariant::DiskBeforeWord, otherwise)) }
}
