//! Reading contacts' cards from the drops at their relays.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use tortalk_keys::card::{Card, CardKind};
use tortalk_keys::invite::Invite;
use tortalk_keys::relay::RelayAddress;
use tortalk_keys::{Signature, relay_proof};
use tortalk_model::limits::relay::CARD_READ_BEFORE;
use tortalk_model::{IdentityKey, MailboxKey, MonoMillis, Now, RelayKey, entropy};
use tortalk_seal::card_drop;

use super::Relay;
use crate::contacts::CardSource;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::relay::{CardDrop, RelayAction};

/// Drops are read again after an hour, a quarter more or less.
const AGAIN_AFTER_MIN: Duration = Duration::from_secs(45 * 60);
const AGAIN_SPREAD_S: u64 = 30 * 60;
/// When no relay could be asked at all.
const UNANSWERED_AGAIN_AFTER: Duration = Duration::from_secs(300);
/// A relay that is not up by then, or says nothing, is passed over.
const RELAY_PATIENCE: Duration = Duration::from_secs(30);
/// Drops that are read at a time.
const AT_A_TIME: usize = 16;

/// Reading one contact's drop.
#[derive(Default)]
pub(super) struct Reading {
    /// Not before this moment.
    next: MonoMillis,
    /// Somebody has a reason to look, whatever the card at hand says.
    soon: bool,
    /// Rounds so far: each begins with another relay.
    rounds: usize,
    /// A relay has said something in this round.
    heard: bool,
    /// Relays that have not been asked in this round; the first has its turn.
    queue: VecDeque<RelayAddress>,
    since: MonoMillis,
    /// The first was asked.
    asked: bool,
}

impl Reading {
    fn pass_over(&mut self, now: MonoMillis) {
        self.queue.pop_front();
        (self.since, self.asked) = (now, false);
        if self.queue.is_empty() && !self.heard {
            self.next = self.next.min(now + UNANSWERED_AGAIN_AFTER);
        }
    }

    fn stop(&mut self) {
        self.queue.clear();
        self.asked = false;
    }
}

/// Where somebody's card lies.
struct Source {
    mailbox: MailboxKey,
    read_key: [u8; 32],
    kind: CardKind,
    relays: Vec<RelayAddress>,
}

impl Mesh {
    /// The next look at this contact's drop does not wait for its hour.
    pub(super) fn read_drop_soon(&mut self, contact: IdentityKey) {
        let reading = self.relays.reading.entry(contact).or_default();
        if !reading.soon && reading.queue.is_empty() {
            reading.soon = true;
            self.relays.changed = true;
        }
    }

    /// Where a contact's card lies: the contact card where we have one, otherwise
    /// the card for strangers, as the invite says.
    fn card_source(&self, contact: &IdentityKey) -> Option<Source> {
        let known = self.contacts.get(contact)?;
        if let Some(card) = &known.card {
            let part = card.contact()?;
            let (read_key, relays) = (part.read_key, part.relays.clone());
            return Some(Source {
                mailbox: card.contact_mailbox()?,
                read_key,
                kind: CardKind::Contact,
                relays,
            });
        }
        match Invite::parse(known.contact.invite.as_deref()?).ok()? {
            Invite::Full { intro_mailbox, read_key, relays, .. } => {
                Some(Source { mailbox: intro_mailbox, read_key, kind: CardKind::Intro, relays })
            }
            Invite::Bare { .. } => None,
        }
    }

    /// Whether the card at hand is none, or names no key for the next week.
    fn needs_newer_card(&self, contact: &IdentityKey, now: Now) -> bool {
        let Some(known) = self.contacts.get(contact) else { return false };
        let Some(card) = known.any_card() else { return true };
        let ends = card.sealing_keys().iter().map(|key| key.not_after).max();
        let their_now = self.their_now(contact, now);
        ends.is_none_or(|ends| ends <= their_now.saturating_add(CARD_READ_BEFORE))
    }

    /// Reads the drops that are to be read now; their relays are wanted.
    // req: RLC-18
    pub(super) fn read_drops<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        wanted: &mut BTreeSet<RelayKey>,
    ) -> Result<(), R::Error> {
        let now = step.now.mono;
        let contacts: Vec<IdentityKey> = self.contacts.keys().copied().collect();
        self.relays.reading.retain(|identity, _| self.contacts.contains_key(identity));
        let mut active =
            self.relays.reading.values().filter(|reading| !reading.queue.is_empty()).count();
        for contact in contacts {
            if !self.is_accepted(&contact) {
                self.relays.reading.remove(&contact);
                continue;
            }
            let idle = self.relays.reading.get(&contact).is_none_or(|r| r.queue.is_empty());
            if idle && active < AT_A_TIME && self.begin_reading(&contact, step.now) {
                active += 1;
            }
            self.go_on_reading(step, &contact, now, wanted);
        }
        Ok(())
    }

    /// Begins a round with a contact's relays, if it is time for one.
    fn begin_reading(&mut self, contact: &IdentityKey, now: Now) -> bool {
        let (next, soon) = match self.relays.reading.get(contact) {
            Some(reading) => (reading.next, reading.soon),
            None => (MonoMillis(0), false),
        };
        if !soon && !self.needs_newer_card(contact, now) {
            // Keys end by their owner's clock; looking now and then needs no timer
            // that would have to follow it.
            self.relays.wake(now.mono + AGAIN_AFTER_MIN);
            return false;
        }
        if !soon && now.mono < next {
            self.relays.wake(next);
            return false;
        }
        let relays = self.card_source(contact).map_or_else(Vec::new, |source| source.relays);
        if relays.is_empty() {
            self.relays.reading.remove(contact);
            return false;
        }
        for address in &relays {
            self.learn_relay(address);
        }
        let [a, b] = entropy::array::<2>(&mut *self.entropy);
        let random = u64::from(u16::from_be_bytes([a, b]));
        let spread = Duration::from_secs(AGAIN_SPREAD_S * random / u64::from(u16::MAX));
        let reading = self.relays.reading.entry(*contact).or_default();
        reading.queue = relays.into();
        let first = reading.rounds % reading.queue.len();
        reading.queue.rotate_left(first);
        reading.rounds += 1;
        reading.next = now.mono + AGAIN_AFTER_MIN + spread;
        (reading.soon, reading.heard, reading.asked) = (false, false, false);
        reading.since = now.mono;
        true
    }

    fn go_on_reading<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        contact: &IdentityKey,
        now: MonoMillis,
        wanted: &mut BTreeSet<RelayKey>,
    ) {
        let Some(mailbox) = self.card_source(contact).map(|source| source.mailbox) else { return };
        let relays = &mut self.relays;
        let Some(reading) = relays.reading.get_mut(contact) else { return };
        while let Some(address) = reading.queue.front() {
            let relay = address.key();
            // It is forgotten while nothing is wanted there.
            let known = relays.known.entry(relay);
            let up = known.or_insert_with(|| Relay::new(address.clone(), false)).up.is_some();
            let patience_ends = reading.since + RELAY_PATIENCE;
            if now >= patience_ends || (reading.asked && !up) {
                reading.pass_over(now);
                continue;
            }
            wanted.insert(relay);
            if up && !reading.asked {
                reading.asked = true;
                reading.since = now;
                step.ready.relays.push(RelayAction::GetCard { relay, mailbox });
            }
            relays.next = relays.next.min(reading.since + RELAY_PATIENCE);
            return;
        }
        // An hour that is over counts only when there is a reason to look.
        if reading.next > now {
            relays.next = relays.next.min(reading.next);
        }
    }

    /// A relay said what lies in a drop.
    pub(super) fn card_found<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        mailbox: MailboxKey,
        drop: Option<CardDrop>,
    ) -> Result<(), R::Error> {
        let asked = self.relays.reading.iter().filter(|(_, reading)| {
            reading.asked && reading.queue.front().is_some_and(|first| first.key() == relay)
        });
        let whose = asked.map(|(contact, _)| *contact).find(|contact| {
            self.card_source(contact).is_some_and(|source| source.mailbox == mailbox)
        });
        let Some(contact) = whose else { return Ok(()) };
        let Some(source) = self.card_source(&contact) else { return Ok(()) };
        let card = drop.and_then(|drop| card_in(&drop, &source, &contact));
        let Some(reading) = self.relays.reading.get_mut(&contact) else { return Ok(()) };
        reading.heard = true;
        match card {
            Some(card) => {
                reading.stop();
                match source.kind {
                    CardKind::Contact => {
                        self.take_contact_card(step, &contact, card, CardSource::Passed)
                    }
                    CardKind::Intro => {
                        self.take_intro_card(step, &contact, card, CardSource::Passed)
                    }
                }
            }
            None => {
                reading.pass_over(step.now.mono);
                Ok(())
            }
        }
    }
}

/// The card in a drop, if it is one of this contact's and says what it lies under.
fn card_in(drop: &CardDrop, source: &Source, contact: &IdentityKey) -> Option<Card> {
    let signature = Signature::from_bytes(drop.signature);
    let signed = relay_proof::card_drop::verify(&source.mailbox, drop.seq, &drop.blob, &signature);
    // req: RLY-52
    if signed.is_err() {
        return None;
    }
    let expected = card_drop::Expected {
        identity: *contact,
        kind: source.kind,
        mailbox: source.mailbox,
        seq: drop.seq,
        read_key: &source.read_key,
    };
    // req: RLC-19
    card_drop::open(&drop.blob, &expected).ok()
}
