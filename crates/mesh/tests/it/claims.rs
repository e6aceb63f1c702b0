//! What a `Ready` says outside has to stand in the store once its writes are
//! applied (GSP-01). Every step of every person in these tests is held to it.

use tortalk_mesh::{DeliveryState, Event, LinkAction, Outcome, Read, Ready};
use tortalk_model::envelope::Envelope;
use tortalk_store::Store;
use tortalk_wire::{AckResult, Frame};

/// Panics when something is to be sent, answered or shown that `store` does not
/// bear out. The writes of `ready` are applied, later ones are not.
pub(crate) fn hold(ready: &Ready, store: &Store) {
    for action in &ready.links {
        if let LinkAction::Send(_, frame) = action {
            frame_holds(frame, store);
        }
    }
    for answer in &ready.answers {
        match &answer.outcome {
            Ok(Outcome::Queued { message_id, state }) => {
                let message = store.outgoing(message_id).expect("readable").expect("it is durable");
                assert_eq!(DeliveryState::of(&message), *state);
            }
            Ok(Outcome::Contact(identity)) => {
                let contacts = store.contacts().expect("readable");
                assert!(contacts.iter().any(|contact| contact.identity == *identity));
            }
            Ok(Outcome::Done) | Err(_) => {}
        }
    }
    for event in &ready.events {
        event_holds(event, ready, store);
    }
}

fn frame_holds(frame: &Frame, store: &Store) {
    match frame {
        Frame::Ack(ack) if matches!(ack.result, AckResult::Stored) => {
            assert!(store.seen(&ack.id).expect("readable"), "acknowledged and not stored");
        }
        Frame::Msg(msg) => {
            let id = Envelope::id_of(msg.envelope.as_slice());
            let held = store.envelope(&id).expect("readable");
            assert!(held.is_some(), "handed over and not held");
        }
        Frame::Card(card) => {
            let (intro, contact) = store.own_cards().expect("readable").expect("cards are durable");
            assert!([intro, contact].contains(&card.card.to_vec()), "shown and not stored");
        }
        _ => {}
    }
}

fn event_holds(event: &Event, ready: &Ready, store: &Store) {
    match event {
        Event::Received(message) => {
            let stored = store.incoming(&message.message_id).expect("readable");
            assert_eq!(stored.as_ref(), Some(&**message), "shown and not stored");
        }
        Event::StateChanged { message_id, state, .. } => {
            let message = store.outgoing(message_id).expect("readable").expect("it is durable");
            // Of several changes in one step the last is what stands.
            let later = ready.events.iter().rev().find_map(|event| match event {
                Event::StateChanged { message_id: id, state, .. } if id == message_id => {
                    Some(*state)
                }
                _ => None,
            });
            assert_eq!(
                later,
                Some(DeliveryState::of(&message)),
                "ahead of its evidence: {state:?}"
            );
        }
        Event::ContactChanged(contact) => {
            let contacts = store.contacts().expect("readable");
            let stored = contacts.iter().find(|known| known.identity == contact.identity);
            let last = ready.events.iter().rev().find_map(|event| match event {
                Event::ContactChanged(known) if known.identity == contact.identity => Some(known),
                _ => None,
            });
            assert_eq!(stored, last.map(|contact| &**contact), "shown and not stored");
        }
        _ => {}
    }
}
