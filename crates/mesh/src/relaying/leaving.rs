//! Leaving envelopes at the relays of those whom they are for.

use std::collections::{BTreeMap, BTreeSet};

use tortalk_keys::invite::Invite;
use tortalk_keys::relay::RelayAddress;
use tortalk_model::limits::relay::{
    CARRIED_TO_RELAY_AFTER, LEAVING_MAX, LEAVING_PER_CONTACT_MAX, NEXT_RELAY_AFTER,
    WINDOW_BYTES_MAX, WINDOW_MAX,
};
use tortalk_model::{EnvelopeId, IdentityKey, MonoMillis, RelayKey};

use super::{Left, Relay};
use crate::contacts::Known;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::relay::RelayAction;
use crate::write::{HeldEnvelope, Purpose, Write};

/// Ids of held envelopes that are read at once.
const PAGE: usize = 128;
/// Further addresses of one relay that are remembered.
const ADDRESSES_MAX: usize = 3;

/// Envelopes that are to be left, in the order in which they came.
#[derive(Default)]
pub(super) struct Leaving {
    entries: BTreeMap<u64, Entry>,
    numbers: BTreeMap<EnvelopeId, u64>,
    /// How many are for each contact.
    by_contact: BTreeMap<IdentityKey, usize>,
    next: u64,
}

/// One of them.
pub(super) struct Entry {
    id: EnvelopeId,
    /// For whom.
    contact: IdentityKey,
    purpose: Purpose,
    len: usize,
    /// At every relay; otherwise one that stored it is enough.
    everywhere: bool,
    places: Vec<Place>,
}

/// A relay at which it may be left.
struct Place {
    relay: RelayKey,
    /// Not before.
    from: MonoMillis,
    state: PlaceState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PlaceState {
    /// Its turn comes at its time, or when another place gives up its own.
    Waiting,
    /// It has no room; its turn comes at its time only.
    PutOff,
    Asked,
    Done,
}

/// How an envelope is left at several relays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turns {
    /// One after the other, until one has stored it.
    InOrder,
    /// At all of them.
    Everywhere,
}

impl Leaving {
    fn insert(&mut self, entry: Entry) {
        self.forget(&entry.id);
        self.numbers.insert(entry.id, self.next);
        *self.by_contact.entry(entry.contact).or_default() += 1;
        self.entries.insert(self.next, entry);
        self.next += 1;
    }

    pub(super) fn forget(&mut self, id: &EnvelopeId) {
        let Some(number) = self.numbers.remove(id) else { return };
        let Some(entry) = self.entries.remove(&number) else { return };
        if let Some(count) = self.by_contact.get_mut(&entry.contact) {
            *count -= 1;
            if *count == 0 {
                self.by_contact.remove(&entry.contact);
            }
        }
    }

    fn contains(&self, id: &EnvelopeId) -> bool {
        self.numbers.contains_key(id)
    }

    fn get_mut(&mut self, id: &EnvelopeId) -> Option<&mut Entry> {
        self.entries.get_mut(self.numbers.get(id)?)
    }

    /// Whether something may be left at this relay.
    pub(super) fn names(&self, relay: &RelayKey) -> bool {
        self.entries.values().any(|entry| entry.places.iter().any(|p| p.relay == *relay))
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= LEAVING_MAX
    }

    fn has_place_for(&self, contact: &IdentityKey) -> bool {
        let theirs = self.by_contact.get(contact).copied().unwrap_or(0);
        !self.is_full() && theirs < LEAVING_PER_CONTACT_MAX
    }

    /// What a relay was asked and did not answer is asked again.
    pub(super) fn lost(&mut self, relay: &RelayKey) {
        let places = self.entries.values_mut().flat_map(|entry| &mut entry.places);
        let asked = places.filter(|p| p.relay == *relay && p.state == PlaceState::Asked);
        asked.for_each(|place| place.state = PlaceState::Waiting);
    }

    /// A relay has stored it.
    pub(super) fn stored(&mut self, id: &EnvelopeId, relay: &RelayKey) {
        let Some(entry) = self.get_mut(id) else { return };
        entry.end(relay);
        if !entry.everywhere || entry.is_done() {
            self.forget(id);
        }
    }

    /// A relay will not have it.
    pub(super) fn given_up(&mut self, id: &EnvelopeId, relay: &RelayKey, now: MonoMillis) {
        let Some(entry) = self.get_mut(id) else { return };
        entry.end(relay);
        entry.next_turn(now);
        if entry.is_done() {
            self.forget(id);
        }
    }

    /// A relay does not take it before `from`; the next one has its turn.
    pub(super) fn put_off(
        &mut self,
        id: &EnvelopeId,
        relay: &RelayKey,
        from: MonoMillis,
        now: MonoMillis,
    ) {
        let Some(entry) = self.get_mut(id) else { return };
        entry.next_turn(now);
        if let Some(place) = entry.places.iter_mut().find(|place| place.relay == *relay) {
            (place.state, place.from) = (PlaceState::PutOff, from);
        }
    }
}

impl Entry {
    fn end(&mut self, relay: &RelayKey) {
        if let Some(place) = self.places.iter_mut().find(|place| place.relay == *relay) {
            place.state = PlaceState::Done;
        }
    }

    fn next_turn(&mut self, now: MonoMillis) {
        let waiting = |place: &&mut Place| place.state == PlaceState::Waiting;
        if let Some(place) = self.places.iter_mut().find(waiting) {
            place.from = place.from.min(now);
        }
    }

    fn is_done(&self) -> bool {
        self.places.iter().all(|place| place.state == PlaceState::Done)
    }
}

impl Relay {
    fn has_room(&self, len: usize) -> bool {
        self.unanswered.len() < WINDOW_MAX && self.unanswered_bytes + len <= WINDOW_BYTES_MAX
    }

    pub(super) fn note_left(&mut self, id: EnvelopeId, left: Left) {
        self.unanswered_bytes += left.len;
        self.left += 1;
        let left = Left { number: self.left, ..left };
        if let Some(before) = self.unanswered.insert(id, left) {
            self.unanswered_bytes -= before.len;
        }
    }

    /// Takes off what is answered. A slow line is not a silent relay: what was sent
    /// later waits from now.
    pub(super) fn answered(&mut self, id: &EnvelopeId, now: MonoMillis) -> Option<Left> {
        let left = self.unanswered.remove(id)?;
        self.unanswered_bytes -= left.len;
        let later = self.unanswered.values_mut().filter(|other| other.number > left.number);
        later.for_each(|other| other.since = now);
        Some(left)
    }
}

impl Mesh {
    /// Where envelopes for this contact are left: at the relays of their card, or
    /// of their invite while there is no card.
    // req: RLC-13
    fn relays_of(&self, contact: &IdentityKey) -> Vec<RelayAddress> {
        let Some(known) = self.contacts.get(contact) else { return Vec::new() };
        if let Some(card) = &known.card {
            return card.contact().map_or_else(Vec::new, |part| part.relays.clone());
        }
        match known.contact.invite.as_deref().map(Invite::parse) {
            Some(Ok(Invite::Full { relays, .. })) => relays,
            _ => Vec::new(),
        }
    }

    /// For whom a held envelope is; of what is carried only contacts' mailboxes are
    /// known.
    fn recipient_of(&self, held: &HeldEnvelope) -> Option<IdentityKey> {
        if held.purpose != Purpose::Carried {
            return Some(held.contact);
        }
        let mailbox = Some(held.envelope.header().mailbox);
        let theirs = |known: &&Known| {
            known.card.as_ref().is_some_and(|card| card.contact_mailbox() == mailbox)
        };
        self.contacts.values().find(theirs).map(|known| known.contact.identity)
    }

    /// Notes a relay that is used from now on; an own one stays as it is.
    pub(super) fn learn_relay(&mut self, address: &RelayAddress) {
        let new = || Relay::new(address.clone(), false);
        let relay = self.relays.known.entry(address.key()).or_insert_with(new);
        let known = relay.own || relay.address == *address || relay.elsewhere.contains(address);
        if !known && relay.elsewhere.len() < ADDRESSES_MAX {
            relay.elsewhere.push_back(address.clone());
        }
    }

    /// Notes an envelope that may be left at relays.
    pub(super) fn leave<R: Read>(&mut self, step: &Step<'_, R>, held: &HeldEnvelope, turns: Turns) {
        let id = held.envelope.id();
        let Some(contact) = self.recipient_of(held).filter(|who| self.is_accepted(who)) else {
            return;
        };
        let relays = self.relays_of(&contact);
        if relays.is_empty() {
            return;
        }
        if !self.relays.leaving.has_place_for(&contact) && !self.relays.leaving.contains(&id) {
            if held.purpose != Purpose::Carried {
                self.look_for_envelopes_for(contact);
            }
            return;
        }
        let now = step.now.mono;
        let everywhere = turns == Turns::Everywhere;
        let mut places = Vec::with_capacity(relays.len());
        let mut from = now;
        // Its origin has its turn first, and whoever carries it may meet them.
        // req: RLC-23
        if held.purpose == Purpose::Carried {
            from = from + CARRIED_TO_RELAY_AFTER;
        }
        for address in &relays {
            self.learn_relay(address);
            places.push(Place { relay: address.key(), from, state: PlaceState::Waiting });
            // req: RLC-15
            if !everywhere {
                from = from + NEXT_RELAY_AFTER;
            }
        }
        let (purpose, len) = (held.purpose, held.envelope.as_bytes().len());
        let entry = Entry { id, contact, purpose, len, everywhere, places };
        self.relays.leaving.insert(entry);
        self.relays.changed = true;
    }

    /// A contact's relays may be others now: what waits for earlier ones is noted
    /// anew.
    // req: RLC-13
    pub(super) fn leave_elsewhere<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        contact: &IdentityKey,
    ) -> Result<(), R::Error> {
        let relays: Vec<RelayKey> = self.relays_of(contact).iter().map(RelayAddress::key).collect();
        let entries = self.relays.leaving.entries.values();
        let moved = entries.filter(|entry| {
            entry.contact == *contact && !entry.places.iter().map(|p| &p.relay).eq(&relays)
        });
        let moved: Vec<(EnvelopeId, bool)> = moved.map(|e| (e.id, e.everywhere)).collect();
        for (id, everywhere) in moved {
            self.relays.leaving.forget(&id);
            let turns = if everywhere { Turns::Everywhere } else { Turns::InOrder };
            if let Some(held) = step.store.envelope(&id)? {
                self.leave(step, &held, turns);
            }
        }
        Ok(())
    }

    /// The store may hold envelopes for this contact that are to be left.
    pub(super) fn look_for_envelopes_for(&mut self, contact: IdentityKey) {
        match self.relays.unread.iter_mut().find(|(who, _)| *who == contact) {
            Some((_, after)) => *after = None,
            None => self.relays.unread.push_back((contact, None)),
        }
    }

    /// Reads on in the store, as far as there is room.
    pub(super) fn find_what_to_leave<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        for _ in 0..self.relays.unread.len() {
            if self.relays.leaving.is_full() {
                return Ok(());
            }
            let Some((contact, after)) = self.relays.unread.pop_front() else { return Ok(()) };
            if !self.is_accepted(&contact) || self.relays_of(&contact).is_empty() {
                continue;
            }
            if !self.relays.leaving.has_place_for(&contact) {
                self.relays.unread.push_back((contact, after));
                continue;
            }
            let page = step.store.pending_for(&contact, after, PAGE)?;
            if page.len() == PAGE {
                self.relays.unread.push_front((contact, page.last().copied()));
            }
            for id in &page {
                if self.relays.leaving.contains(id) {
                    continue;
                }
                let Some(held) = step.store.envelope(id)? else { continue };
                // A relay has stored it: it waits there for its next try.
                if !step.store.is_left_at_relay(id)? {
                    self.leave(step, &held, Turns::InOrder);
                }
            }
            if !page.is_empty() {
                // The rest comes at once, after what else there is to do.
                self.relays.changed = true;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Leaves what is due at relays that are up; the others are wanted.
    pub(super) fn leave_what_is_due<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        wanted: &mut BTreeSet<RelayKey>,
    ) -> Result<(), R::Error> {
        let now = step.now.mono;
        let numbers: Vec<u64> = self.relays.leaving.entries.keys().copied().collect();
        for number in numbers {
            let Some(entry) = self.relays.leaving.entries.get(&number) else { continue };
            let (id, contact, purpose) = (entry.id, entry.contact, entry.purpose);
            if !self.is_accepted(&contact) {
                self.relays.leaving.forget(&id);
                continue;
            }
            // req: RLC-14
            if purpose != Purpose::Carried
                && !tortalk_model::deviate!(leave_while_linked)
                && let Some(until) = self.goes_direct_until(&id, &contact, now)
            {
                self.relays.wake(until);
                continue;
            }
            for index in 0.. {
                if !self.leave_at_place(step, number, index, wanted)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Leaves an envelope at one of its places, if that is due; whether there may
    /// be another place.
    fn leave_at_place<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        number: u64,
        index: usize,
        wanted: &mut BTreeSet<RelayKey>,
    ) -> Result<bool, R::Error> {
        let Some(entry) = self.relays.leaving.entries.get_mut(&number) else { return Ok(false) };
        let Some(place) = entry.places.get_mut(index) else { return Ok(false) };
        if place.state == PlaceState::Done {
            return Ok(true);
        }
        if step.now.mono < place.from {
            let from = place.from;
            self.relays.wake(from);
            return Ok(true);
        }
        wanted.insert(place.relay);
        let relay = self.relays.known.get_mut(&place.relay).filter(|relay| relay.up.is_some());
        let Some(relay) = relay.filter(|relay| relay.has_room(entry.len)) else { return Ok(true) };
        if place.state == PlaceState::Asked {
            return Ok(true);
        }
        let Some(held) = find_held(step, &entry.id)? else {
            let id = entry.id;
            self.relays.leaving.forget(&id);
            return Ok(false);
        };
        place.state = PlaceState::Asked;
        let (of, contact, purpose, len) = (entry.id, entry.contact, entry.purpose, entry.len);
        let (number, since) = (0, step.now.mono);
        let left = Left { of, contact, purpose, len, number, since, resealed: false };
        relay.note_left(of, left);
        let relay = place.relay;
        let HeldEnvelope { envelope, stamp, .. } = held;
        step.ready.relays.push(RelayAction::Deposit { relay, envelope, stamp });
        Ok(true)
    }
}

/// A held envelope; one that was made in this step is not in the store yet.
fn find_held<R: Read>(
    step: &Step<'_, R>,
    id: &EnvelopeId,
) -> Result<Option<HeldEnvelope>, R::Error> {
    if let Some(held) = step.store.envelope(id)? {
        return Ok(Some(held));
    }
    let made = step.ready.writes.iter().find_map(|write| match write {
        Write::PutEnvelope(held) if held.envelope.id() == *id => Some((**held).clone()),
        _ => None,
    });
    Ok(made)
}
