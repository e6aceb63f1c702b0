//! What the store has to answer, written down as plainly as it can be.

use std::collections::{BTreeMap, BTreeSet};

use tortalk_keys::relay::RelayAddress;
use tortalk_mesh::{
    Carried, Contact, ContactRequest, DeliveryState, Evidence, HeldEnvelope, IncomingMessage,
    OutgoingMessage, Purpose, Read as _, RegisteredMailbox, Write,
};
use tortalk_model::envelope::purge_hash;
use tortalk_model::{Envelope, EnvelopeId, IdentityKey, MessageId, PurgeKey, UnixMillis};
use tortalk_seal::{Body, BodyType};
use tortalk_store::{Direction, HistoryEntry, Store};

use crate::random::{ENVELOPES, HOURS, MESSAGES, PEOPLE, WORDS};
use crate::world::{HOUR, envelope, message_id, person, purge_key};

#[derive(Debug, Clone, Default)]
pub(crate) struct Oracle {
    contacts: Vec<Contact>,
    requests: Vec<ContactRequest>,
    declined: BTreeMap<MessageId, UnixMillis>,
    own_cards: Option<(Vec<u8>, Vec<u8>)>,
    messages: Vec<Message>,
    envelopes: Vec<HeldEnvelope>,
    handed: BTreeSet<(IdentityKey, EnvelopeId)>,
    left: BTreeSet<EnvelopeId>,
    seen: BTreeMap<EnvelopeId, (UnixMillis, Option<PurgeKey>)>,
    own_relays: Vec<RegisteredMailbox>,
    adopted_relays: Vec<RelayAddress>,
    unopened: Vec<(Envelope, UnixMillis)>,
    owed: BTreeSet<(IdentityKey, EnvelopeId)>,
}

#[derive(Debug, Clone)]
enum Message {
    To(OutgoingMessage),
    From(IncomingMessage),
}

impl Oracle {
    pub(crate) fn apply(&mut self, write: &Write) {
        match write {
            Write::PutContact(contact) => {
                match self.contacts.iter_mut().find(|c| c.identity == contact.identity) {
                    Some(known) => *known = (**contact).clone(),
                    None => self.contacts.push((**contact).clone()),
                }
            }
            Write::DropContact(identity) => self.contacts.retain(|c| c.identity != *identity),
            Write::PutRequest(request) => {
                match self.requests.iter_mut().find(|r| r.identity == request.identity) {
                    Some(known) => *known = (**request).clone(),
                    None => self.requests.push((**request).clone()),
                }
            }
            Write::DropRequest(identity) => self.requests.retain(|r| r.identity != *identity),
            Write::Declined { message_id, until } => {
                let known = self.declined.entry(*message_id).or_insert(*until);
                *known = (*known).max(*until);
            }
            Write::PutOwnCards(cards) => {
                self.own_cards = Some((cards.intro.clone(), cards.contact.clone()));
            }
            Write::PutOutgoing(message) => {
                if self.outgoing(&message.message_id).is_none() {
                    let evidence = Vec::new();
                    let new = OutgoingMessage { evidence, ..(**message).clone() };
                    self.messages.push(Message::To(new));
                    for evidence in &message.evidence {
                        self.add_evidence(&message.message_id, evidence);
                    }
                }
            }
            Write::PutEnvelope(held) => {
                let id = held.envelope.id();
                match self.envelopes.iter_mut().find(|h| h.envelope.id() == id) {
                    Some(known) => *known = (**held).clone(),
                    None => self.envelopes.push((**held).clone()),
                }
            }
            Write::SealedIn { message_id, envelope_id } => {
                if let Some(message) = self.outgoing(message_id) {
                    message.envelope_id = Some(*envelope_id);
                }
            }
            Write::DropEnvelope(id) => self.drop_envelopes(|held| held.envelope.id() == *id),
            Write::HandedOver { peer, envelope_id } => {
                if self.envelopes.iter().any(|held| held.envelope.id() == *envelope_id) {
                    self.handed.insert((*peer, *envelope_id));
                }
            }
            Write::LeftAtRelay(id) => {
                if self.envelopes.iter().any(|held| held.envelope.id() == *id) {
                    self.left.insert(*id);
                }
            }
            Write::ForgetHandedOver { peer } => self.handed.retain(|(who, _)| who != peer),
            Write::HandOverAgain { peer, envelope_id } => {
                self.handed.remove(&(*peer, *envelope_id));
            }
            Write::AddEvidence { message_id, evidence } => self.add_evidence(message_id, evidence),
            Write::NextTry { message_id, attempts, at } => {
                if let Some(message) = self.outgoing(message_id) {
                    (message.attempts, message.next_try) = (*attempts, *at);
                }
            }
            Write::PutIncoming(message) => {
                if self.incoming(&message.message_id).is_none() {
                    self.messages.push(Message::From((**message).clone()));
                }
            }
            Write::ReceiptMade { message_id, kind: _, at } => {
                if let Some(message) = self.incoming(message_id) {
                    message.receipt_at = Some(*at);
                }
            }
            Write::MarkRead(message_id) => {
                if let Some(message) = self.incoming(message_id) {
                    message.read = true;
                }
            }
            Write::Seen { envelope_id, until, purge_key } => {
                let known = self.seen.entry(*envelope_id).or_insert((*until, None));
                known.0 = known.0.max(*until);
                if purge_key.is_some() {
                    known.1.clone_from(purge_key);
                }
            }
            Write::OwePurge { peer, envelope_id } => {
                if self.seen.contains_key(envelope_id) {
                    self.owed.insert((*peer, *envelope_id));
                }
            }
            Write::PurgeTold { peer, envelope_id } => {
                self.owed.remove(&(*peer, *envelope_id));
            }
            Write::SetTtl { envelope_id, ttl } => {
                let held = self.envelopes.iter_mut().find(|h| h.envelope.id() == *envelope_id);
                if let Some(held) = held {
                    held.ttl = *ttl;
                }
            }
            Write::Expire { before } => {
                self.seen.retain(|_, (until, _)| *until >= *before);
                self.unopened.retain(|(_, until)| *until >= *before);
                self.declined.retain(|_, until| *until >= *before);
                self.owed.retain(|(_, id)| self.seen.contains_key(id));
                self.drop_envelopes(|held| {
                    let ours = matches!(held.purpose, Purpose::Message(_));
                    !ours && held.envelope.header().expires_at < *before
                });
            }
            Write::PutOwnRelays(relays) => self.own_relays.clone_from(relays),
            Write::PutAdoptedRelays(relays) => self.adopted_relays.clone_from(relays),
            Write::PutUnopened { envelope, until } => {
                if self.unopened.iter().all(|(known, _)| known.id() != envelope.id()) {
                    self.unopened.push(((**envelope).clone(), *until));
                }
            }
            Write::DropUnopened(id) => self.unopened.retain(|(known, _)| known.id() != *id),
        }
    }

    fn outgoing(&mut self, id: &MessageId) -> Option<&mut OutgoingMessage> {
        self.messages.iter_mut().find_map(|message| match message {
            Message::To(message) if message.message_id == *id => Some(message),
            _ => None,
        })
    }

    fn incoming(&mut self, id: &MessageId) -> Option<&mut IncomingMessage> {
        self.messages.iter_mut().find_map(|message| match message {
            Message::From(message) if message.message_id == *id => Some(message),
            _ => None,
        })
    }

    fn all_outgoing(&self) -> impl Iterator<Item = &OutgoingMessage> {
        self.messages.iter().filter_map(|message| match message {
            Message::To(message) => Some(message),
            Message::From(_) => None,
        })
    }

    fn add_evidence(&mut self, id: &MessageId, new: &Evidence) {
        let Some(message) = self.outgoing(id) else { return };
        let same = |known: &Evidence| match (known, new) {
            (Evidence::Handed { peer: a, .. }, Evidence::Handed { peer: b, .. }) => a == b,
            (Evidence::Receipt { kind: a, .. }, Evidence::Receipt { kind: b, .. }) => a == b,
            (Evidence::AtRelay { relay: a, .. }, Evidence::AtRelay { relay: b, .. }) => a == b,
            (Evidence::Cancelled { .. }, Evidence::Cancelled { .. })
            | (Evidence::GaveUp { .. }, Evidence::GaveUp { .. }) => true,
            _ => false,
        };
        if !message.evidence.iter().any(same) {
            message.evidence.push(new.clone());
        }
    }

    fn waiting(&self) -> u64 {
        let somewhere = |id: &EnvelopeId| {
            self.left.contains(id) || self.handed.iter().any(|(_, handed)| handed == id)
        };
        let ours = self.envelopes.iter().filter(|held| held.purpose != Purpose::Carried);
        ours.filter(|held| !somewhere(&held.envelope.id())).count() as u64
    }

    fn drop_envelopes(&mut self, gone: impl Fn(&HeldEnvelope) -> bool) {
        self.envelopes.retain(|held| !gone(held));
        let held: Vec<_> = self.envelopes.iter().map(|held| held.envelope.id()).collect();
        self.handed.retain(|(_, id)| held.contains(id));
        self.left.retain(|id| held.contains(id));
    }

    fn due(&self, now: UnixMillis, limit: usize) -> Vec<MessageId> {
        let mut due: Vec<_> = self
            .all_outgoing()
            .filter(|m| !m.evidence.iter().any(|e| matches!(e, Evidence::Receipt { .. })))
            .filter_map(|m| Some((m.next_try.filter(|at| *at <= now)?, m.message_id)))
            .collect();
        due.sort_by_key(|(at, _)| *at);
        due.into_iter().map(|(_, id)| id).take(limit).collect()
    }

    fn pending(
        &self,
        contact: &IdentityKey,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Vec<EnvelopeId> {
        let ours =
            |held: &HeldEnvelope| held.purpose != Purpose::Carried && held.contact == *contact;
        self.not_handed_to(contact, after, limit, ours)
    }

    /// Held envelopes after one of them that a peer has not, as far as they are
    /// wanted.
    fn not_handed_to(
        &self,
        peer: &IdentityKey,
        after: Option<EnvelopeId>,
        limit: usize,
        wanted: impl Fn(&HeldEnvelope) -> bool,
    ) -> Vec<EnvelopeId> {
        let ids = self.envelopes.iter().map(|held| held.envelope.id());
        let start = after.and_then(|after| ids.clone().position(|id| id == after));
        let rest = self.envelopes.iter().skip(start.map_or(0, |at| at + 1));
        rest.filter(|held| wanted(held))
            .map(|held| held.envelope.id())
            .filter(|id| !self.handed.contains(&(*peer, *id)))
            .take(limit)
            .collect()
    }

    fn carried(&self, giver: &IdentityKey) -> Option<Carried> {
        let of_giver =
            |held: &&HeldEnvelope| held.purpose == Purpose::Carried && held.contact == *giver;
        let held = self.envelopes.iter().filter(of_giver);
        let bytes = held.clone().map(|held| held.envelope.as_bytes().len() as u64).sum();
        let envelopes = held.count() as u64;
        (envelopes > 0).then_some(Carried { giver: *giver, envelopes, bytes })
    }

    /// What a person sees, newest first.
    fn history(&self) -> Vec<HistoryEntry> {
        let rows = (1..).zip(&self.messages);
        let mut entries: Vec<_> = rows.filter_map(|(row, message)| entry(row, message)).collect();
        entries.reverse();
        entries
    }

    /// Compares every answer of the store with what is known here.
    pub(crate) fn check(&self, store: &Store) {
        self.check_machine_side(store);
        self.check_person_side(store);
    }

    fn check_machine_side(&self, store: &Store) {
        assert_eq!(store.contacts().expect("contacts"), self.contacts);
        assert_eq!(store.requests().expect("requests"), self.requests);
        assert_eq!(store.own_cards().expect("cards"), self.own_cards);
        assert_eq!(store.own_relays().expect("relays"), self.own_relays);
        assert_eq!(store.waiting().expect("a count"), self.waiting());
        assert_eq!(store.adopted_relays().expect("relays"), self.adopted_relays);
        let unopened: Vec<_> = self.unopened.iter().map(|(envelope, _)| envelope.id()).collect();
        assert_eq!(store.unopened().expect("unopened"), unopened);
        let mut known = self.clone();
        for id in (0..MESSAGES).map(message_id) {
            assert_eq!(store.outgoing(&id).expect("outgoing"), known.outgoing(&id).cloned());
            assert_eq!(store.incoming(&id).expect("incoming"), known.incoming(&id).cloned());
            assert_eq!(store.declined(&id).expect("declined"), self.declined.contains_key(&id));
            let shown = known.outgoing(&id).is_some_and(|message| is_seen(message.body_type));
            assert_eq!(store.is_shown(&id).expect("shown"), shown);
        }
        for id in (0..ENVELOPES).map(|n| envelope(n).id()) {
            let held = self.envelopes.iter().find(|held| held.envelope.id() == id);
            assert_eq!(store.envelope(&id).expect("envelope"), held.cloned());
            assert_eq!(store.holds(&id).expect("holds"), held.is_some());
            let kept = self.unopened.iter().find(|(envelope, _)| envelope.id() == id);
            let kept = kept.map(|(envelope, _)| envelope.clone());
            assert_eq!(store.unopened_envelope(&id).expect("unopened"), kept);
            assert_eq!(store.seen(&id).expect("seen"), self.seen.contains_key(&id));
            let key = self.seen.get(&id).and_then(|(_, key)| key.clone());
            assert_eq!(store.purge_key(&id).expect("purge key"), key);
            let mut peers = store.handed_to(&id).expect("handed to");
            peers.sort_unstable();
            let handed = self.handed.iter().filter(|(_, of)| *of == id).map(|(who, _)| *who);
            assert_eq!(peers, handed.collect::<Vec<_>>());
        }
        for n in 0..ENVELOPES {
            let (id, key) = (envelope(n).id(), purge_key(n));
            let held = self.envelopes.iter().any(|held| held.envelope.id() == id);
            let found = store.purged_by(&purge_hash(&key)).expect("purged by");
            assert_eq!(found, if held { vec![id] } else { vec![] });
        }
        let mut carried = store.carried().expect("carried");
        carried.sort_unstable_by_key(|carried| carried.giver);
        let mut known_carried: Vec<_> =
            (0..PEOPLE).filter_map(|n| self.carried(&person(n))).collect();
        known_carried.sort_unstable_by_key(|carried| carried.giver);
        assert_eq!(carried, known_carried);
        for identity in (0..PEOPLE).map(person) {
            let waiting: Vec<_> = self
                .all_outgoing()
                .filter(|m| m.contact == identity && m.envelope_id.is_none())
                .map(|m| m.message_id)
                .collect();
            let owed = self.owed.iter().filter(|(who, _)| *who == identity);
            let key = |id: &EnvelopeId| self.seen.get(id).and_then(|(_, key)| key.clone());
            let owed = owed.filter_map(|(_, id)| Some((*id, key(id)?)));
            for limit in [1, 100] {
                let expected: Vec<_> = owed.clone().take(limit).collect();
                assert_eq!(store.owed_purges(&identity, limit).expect("owed"), expected);
            }
            assert_eq!(store.waiting_for_key(&identity).expect("waiting"), waiting);
            let mut unfinished = store.unfinished(&identity).expect("unfinished");
            unfinished.sort_by_key(|id| *id.as_bytes());
            let ever = self.due(UnixMillis(u64::MAX), usize::MAX);
            let mut expected: Vec<_> = ever
                .into_iter()
                .filter(|id| known.outgoing(id).is_some_and(|m| m.contact == identity))
                .collect();
            expected.sort_by_key(|id| *id.as_bytes());
            assert_eq!(unfinished, expected);
            let mut written: Vec<_> = self
                .all_outgoing()
                .filter(|m| m.contact == identity && (2..=3).contains(&m.counter))
                .map(|m| (m.counter, m.message_id))
                .collect();
            written.sort_by_key(|(counter, _)| *counter);
            let written: Vec<_> = written.into_iter().map(|(_, id)| id).collect();
            assert_eq!(store.written(&identity, 2, 3).expect("written"), written);
            let cursors = (0..ENVELOPES).map(|n| Some(envelope(n).id())).chain([None]);
            for (after, limit) in cursors.zip([1, 2, 3].into_iter().cycle()) {
                assert_eq!(
                    store.pending_for(&identity, after, limit).expect("pending"),
                    self.pending(&identity, after, limit),
                );
                let spreads = |held: &HeldEnvelope| held.ttl > 0 && held.contact != identity;
                assert_eq!(
                    store.to_spread(&identity, after, limit).expect("to spread"),
                    self.not_handed_to(&identity, after, limit, spreads),
                );
                let mailbox = envelope(u8::try_from(limit).expect("small")).header().mailbox;
                let carried = |held: &HeldEnvelope| {
                    held.purpose == Purpose::Carried && held.envelope.header().mailbox == mailbox
                };
                assert_eq!(
                    store.carried_for(&mailbox, &identity, after, limit).expect("carried for"),
                    self.not_handed_to(&identity, after, limit, carried),
                );
            }
        }
        for hour in (0..HOURS).chain([u64::MAX / HOUR]) {
            let now = UnixMillis(hour * HOUR);
            for limit in [1, 100] {
                assert_eq!(store.due(now, limit).expect("due"), self.due(now, limit));
            }
        }
        let ever = self.due(UnixMillis(u64::MAX), usize::MAX);
        let earliest = ever.first().and_then(|id| known.outgoing(id)?.next_try);
        assert_eq!(store.next_due().expect("next due"), earliest);
    }

    fn check_person_side(&self, store: &Store) {
        let history = self.history();
        assert_eq!(store.history(None, None, 100).expect("history"), history);
        for n in 0..PEOPLE {
            let with = person(n);
            let page: Vec<_> = history
                .iter()
                .filter(|entry| entry.contact == with && entry.row < 9)
                .take(3)
                .cloned()
                .collect();
            assert_eq!(store.history(Some(&with), Some(9), 3).expect("history"), page);
            let unread = history.iter().filter(|e| e.contact == with && !e.read).count();
            let counts: BTreeMap<_, _> = store.unread().expect("unread").into_iter().collect();
            assert_eq!(counts.get(&with).copied().unwrap_or(0), unread as u64);
        }
        for word in WORDS {
            let start = word.split_at(3).0;
            let found: Vec<_> = history.iter().filter(|e| says(&e.body, start)).cloned().collect();
            assert_eq!(store.search(start, None, None, 100).expect("search"), found);
        }
        for id in (0..MESSAGES).map(message_id) {
            let of = |wanted| {
                (1..).zip(&self.messages).find_map(|(row, message)| match message {
                    Message::To(m) if wanted == Direction::Outgoing && m.message_id == id => {
                        Some(entry_to(row, m))
                    }
                    Message::From(m) if wanted == Direction::Incoming && m.message_id == id => {
                        let shown = entry(row, message);
                        Some(shown.unwrap_or_else(|| entry_from(row, m)))
                    }
                    _ => None,
                })
            };
            let expected = of(Direction::Outgoing).or_else(|| of(Direction::Incoming));
            assert_eq!(store.message(&id).expect("message"), expected);
        }
    }
}

fn entry(row: u64, message: &Message) -> Option<HistoryEntry> {
    match message {
        Message::To(message) => is_seen(message.body_type).then(|| entry_to(row, message)),
        Message::From(message) => match message.body {
            Body::Text(_) | Body::ContactRequest { .. } | Body::Unknown { .. } => {
                Some(entry_from(row, message))
            }
            _ => None,
        },
    }
}

fn entry_to(row: u64, message: &OutgoingMessage) -> HistoryEntry {
    let text = message.text.clone();
    HistoryEntry {
        row,
        direction: Direction::Outgoing,
        contact: message.contact,
        message_id: message.message_id,
        body: match message.body_type {
            BodyType::CONTACT_REQUEST => Body::ContactRequest { card: Vec::new(), text },
            _ => Body::Text(text),
        },
        sent_at: message.written_at,
        at: message.written_at,
        state: Some(DeliveryState::of(message)),
        evidence: message.evidence.clone(),
        read: true,
    }
}

fn is_seen(body_type: BodyType) -> bool {
    ![BodyType::RECEIPT, BodyType::CONTACT_ACCEPT, BodyType::CARD, BodyType::RESEND_REQUEST]
        .contains(&body_type)
}

fn entry_from(row: u64, message: &IncomingMessage) -> HistoryEntry {
    HistoryEntry {
        row,
        direction: Direction::Incoming,
        contact: message.contact,
        message_id: message.message_id,
        body: message.body.clone(),
        sent_at: message.sent_at,
        at: message.received_at,
        state: None,
        evidence: Vec::new(),
        read: message.read,
    }
}

fn says(body: &Body, start: &str) -> bool {
    let (Body::Text(text) | Body::ContactRequest { text, .. }) = body else { return false };
    text.split(|c: char| !c.is_alphanumeric()).any(|word| word.to_lowercase().starts_with(start))
}
