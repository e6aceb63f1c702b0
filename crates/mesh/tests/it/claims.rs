//! What a `Ready` says outside has to stand in the store once its writes are
//! applied (GSP-01), and what goes to others keeps the rules of carrying. Every step
//! of every person in these tests is held to it.

use std::collections::{BTreeMap, BTreeSet};

use tortalk_mesh::{
    DeliveryState, Event, Input, LinkAction, LinkId, Outcome, Read, Ready, RelayAction, Standing,
};
use tortalk_model::envelope::Envelope;
use tortalk_model::limits::{CARRY_BYTES_MAX, CARRY_ENVELOPES_MAX, CARRY_GIVERS, WANT_LIFE};
use tortalk_model::{EnvelopeId, IdentityKey, MailboxKey, MonoMillis};
use tortalk_store::Store;
use tortalk_wire::{AckResult, Frame, Msg};

/// What one process has said and heard about carrying.
#[derive(Default)]
pub(crate) struct Ledger {
    links: BTreeMap<LinkId, Talk>,
    /// Spreads that are not answered, and where.
    unanswered: BTreeMap<EnvelopeId, LinkId>,
    /// What was wanted and did not come, of whom and when.
    wanted: BTreeMap<EnvelopeId, (LinkId, MonoMillis)>,
}

struct Talk {
    peer: IdentityKey,
    proved: BTreeSet<MailboxKey>,
    offered: BTreeSet<EnvelopeId>,
    wanted_by_peer: BTreeSet<EnvelopeId>,
    offered_by_peer: BTreeSet<EnvelopeId>,
}

impl Ledger {
    /// Notes what the machine is told.
    pub(crate) fn told(&mut self, input: &Input) {
        match input {
            Input::LinkUp { link, peer, .. } => {
                let talk = Talk {
                    peer: peer.identity,
                    proved: BTreeSet::new(),
                    offered: BTreeSet::new(),
                    wanted_by_peer: BTreeSet::new(),
                    offered_by_peer: BTreeSet::new(),
                };
                self.links.insert(*link, talk);
            }
            Input::LinkDown { link } => {
                self.links.remove(link);
                self.unanswered.retain(|_, on| on != link);
                self.wanted.retain(|_, (on, _)| on != link);
            }
            Input::Frame { link, frame } => self.heard(*link, frame),
            _ => {}
        }
    }

    fn heard(&mut self, link: LinkId, frame: &Frame) {
        let Some(talk) = self.links.get_mut(&link) else { return };
        match frame {
            Frame::Mailboxes(mailboxes) => {
                talk.proved.extend(mailboxes.proofs().iter().map(|proof| proof.mailbox));
            }
            Frame::Want(ids) => talk.wanted_by_peer.extend(ids.as_slice()),
            Frame::Have(ids) => talk.offered_by_peer.extend(ids.as_slice()),
            Frame::Msg(msg) => {
                self.wanted.remove(&Envelope::id_of(msg.envelope.as_slice()));
            }
            Frame::Ack(ack) if self.unanswered.get(&ack.id) == Some(&link) => {
                self.unanswered.remove(&ack.id);
            }
            _ => {}
        }
    }

    /// Panics when the machine breaks a rule of carrying.
    pub(crate) fn hold(&mut self, ready: &Ready, store: &Store, now: MonoMillis) {
        for action in &ready.links {
            let LinkAction::Send(link, frame) = action else { continue };
            let Some(talk) = self.links.get_mut(link) else { continue };
            match frame {
                Frame::Have(ids) => {
                    for id in ids.as_slice() {
                        assert!(talk.offered.insert(*id), "offered twice on one link");
                        let held = store.envelope(id).expect("readable").expect("it is held");
                        assert!(held.ttl > 0, "offered at ttl 0");
                    }
                }
                Frame::Want(ids) => {
                    for id in ids.as_slice() {
                        assert!(talk.offered_by_peer.contains(id), "wanted and not offered");
                        let before = self.wanted.insert(*id, (*link, now));
                        let open = before.filter(|(_, since)| now < *since + WANT_LIFE);
                        assert_eq!(open, None, "wanted twice at a time");
                    }
                }
                Frame::Msg(msg) => self.spread_holds(*link, msg, store),
                _ => {}
            }
        }
        let carried = store.carried().expect("readable");
        let sum = |of: fn(&tortalk_mesh::Carried) -> u64| carried.iter().map(of).sum::<u64>();
        assert!(sum(|c| c.envelopes) <= CARRY_ENVELOPES_MAX && sum(|c| c.bytes) <= CARRY_BYTES_MAX);
        let within = |c: &tortalk_mesh::Carried| {
            c.envelopes <= CARRY_ENVELOPES_MAX / CARRY_GIVERS
                && c.bytes <= CARRY_BYTES_MAX / CARRY_GIVERS
        };
        assert!(carried.iter().all(within), "one giver has more than a share");
    }

    fn spread_holds(&mut self, link: LinkId, msg: &Msg, store: &Store) {
        let Some(talk) = self.links.get(&link) else { return };
        let id = Envelope::id_of(msg.envelope.as_slice());
        let held = store.envelope(&id).expect("readable").expect("it is held");
        if talk.proved.contains(&held.envelope.header().mailbox) {
            assert!(msg.ttl == 0 && msg.stamp.is_empty(), "the recipient needs neither");
            return;
        }
        let contacts = store.contacts().expect("readable");
        let contact = contacts.iter().find(|contact| contact.identity == talk.peer);
        let accepted = contact.is_some_and(|contact| contact.standing == Standing::Accepted);
        assert!(accepted, "spread to somebody who is no contact");
        assert!(talk.offered.contains(&id) && talk.wanted_by_peer.contains(&id), "not wanted");
        assert_eq!(Some(msg.ttl), held.ttl.checked_sub(1), "the ttl goes down");
        assert_eq!(msg.stamp.as_slice(), held.stamp, "the stamp goes with it");
        assert_ne!(held.contact, talk.peer, "back to whoever gave it");
        assert!(!store.handed_to(&id).expect("readable").contains(&talk.peer), "they have it");
        assert_eq!(self.unanswered.insert(id, link), None, "two spreads are unanswered");
    }
}

/// Panics when something is to be sent, answered or shown that `store` does not
/// bear out. The writes of `ready` are applied, later ones are not.
pub(crate) fn hold(ready: &Ready, store: &Store) {
    for action in &ready.relays {
        relay_action_holds(action, ready, store);
    }
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

fn relay_action_holds(action: &RelayAction, ready: &Ready, store: &Store) {
    match action {
        RelayAction::Deposit { envelope, .. } => {
            let held = store.envelope(&envelope.id()).expect("readable").is_some();
            // But for what is sealed for one relay's clock and left there alone.
            let other_clock = |event: &Event| matches!(event, Event::RelayClockDiffers { .. });
            assert!(held || ready.events.iter().any(other_clock), "left and not held");
        }
        RelayAction::PutCard { drop, .. } => {
            let (_, card) = store.own_cards().expect("readable").expect("cards are durable");
            let card = tortalk_keys::card::Card::parse(&card).expect("a card");
            assert_eq!(card.seq(), drop.seq, "put and not stored");
        }
        _ => {}
    }
}

fn frame_holds(frame: &Frame, store: &Store) {
    match frame {
        Frame::Ack(ack) if matches!(ack.result, AckResult::Stored) => {
            let (seen, held) = (store.seen(&ack.id), store.holds(&ack.id));
            assert!(seen.expect("readable") || held.expect("readable"), "not stored");
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
        Event::ContactRequest(request) => {
            let stored = store.requests().expect("readable");
            assert!(stored.contains(request), "shown and not stored");
        }
        Event::ContactRemoved { identity } => {
            let contacts = store.contacts().expect("readable");
            assert!(!contacts.iter().any(|contact| contact.identity == *identity));
        }
        _ => {}
    }
}
