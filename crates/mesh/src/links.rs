//! Who is connected: links that come and go, hello, mailbox proofs.

use core::net::SocketAddr;
use core::num::NonZeroU16;
use std::collections::{BTreeMap, BTreeSet};

use tortalk_keys::card::Card;
use tortalk_keys::link_auth::Role;
use tortalk_keys::mailbox_proof;
use tortalk_model::limits::{
    MAILBOX_PROOFS_MAX, RETIRED_MAILBOXES_PROVED_MAX, STRANGER_OPENS_PER_S, UNACKED_ENVELOPES_MAX,
};
use tortalk_model::{EnvelopeId, IdentityKey, InstanceId, MailboxKey, MonoMillis, Now, StoreId};
use tortalk_wire::{FeatureBytes, Frame, Hello, MailboxProof, Mailboxes};

use crate::admission::RETIRE_MAX;
use crate::budget::Budget;
use crate::carrying::Spread;
use crate::clocks::{PeerClock, offset_ms};
use crate::handover::Unacked;
use crate::input::{LinkId, PeerAuth};
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::{Event, LinkAction};
use crate::write::Write;

/// Envelopes that we let a peer hand over before we acknowledge any.
const WINDOW: NonZeroU16 = NonZeroU16::new(UNACKED_ENVELOPES_MAX as u16).expect("256 is not zero");
/// A clock that differs by more than this is shown to the user.
const CLOCK_DIFFERENCE_SHOWN_MS: u64 = 3_600_000;

/// What a link is still for.
#[derive(Clone, Copy)]
pub(crate) enum Duty {
    /// Everything.
    Full,
    /// A duplicate of another link: only what is unacknowledged.
    Retiring { since: MonoMillis },
    /// Nothing: `Bye` is said, the end will be told. What still comes is ignored.
    Closing,
}

/// One link that is up.
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) role: Role,
    pub(crate) peer: PeerAuth,
    pub(crate) handshake_hash: [u8; 64],
    pub(crate) address: SocketAddr,
    pub(crate) up_at: MonoMillis,
    /// Mailboxes whose keys the peer has proved to hold.
    pub(crate) proved: Vec<MailboxKey>,
    /// The peer's clock, by its last hello.
    pub(crate) clock: Option<PeerClock>,
    /// The peer's store, by its last hello.
    store_id: Option<StoreId>,
    /// The peer's card that says most, of those seen on this link.
    pub(crate) card: Option<Card>,
    /// The sequences of our card for strangers and of that for contacts that the
    /// peer was last shown.
    pub(crate) shown: [Option<u64>; 2],
    /// Cards of strangers cost signatures to check.
    pub(crate) cards: Budget,
    pub(crate) opens: Budget,
    /// The peer is ready to take envelopes.
    pub(crate) pulled: bool,
    /// Since when.
    pub(crate) ready_at: Option<MonoMillis>,
    /// The peer was ready long enough for what is its own to have gone to it alone.
    pub(crate) direct_over: bool,
    /// What is offered to and by the peer.
    pub(crate) spread: Spread,
    /// The peer's `Pull` is not answered yet.
    pub(crate) pull_unanswered: bool,
    /// The store may hold envelopes for this peer that were not handed over.
    pub(crate) backlog: bool,
    /// Held for this peer and not to be handed over as things stand: refused on
    /// this link, or for a mailbox that is not proved.
    pub(crate) aside: BTreeSet<EnvelopeId>,
    /// Handed over and not acknowledged.
    pub(crate) unacked: BTreeMap<EnvelopeId, Unacked>,
    pub(crate) unacked_bytes: usize,
    pub(crate) unacked_max: usize,
    /// The peer asked to be left alone until then.
    pub(crate) retry_at: Option<MonoMillis>,
    /// Envelopes that the peer announced and did not send yet.
    pub(crate) push_open: Option<u32>,
    /// Envelopes of this peer that were no envelopes.
    pub(crate) malformed: u32,
    pub(crate) duty: Duty,
}

impl Link {
    pub(crate) fn new(
        id: LinkId,
        role: Role,
        peer: PeerAuth,
        handshake_hash: [u8; 64],
        address: SocketAddr,
        now: Now,
    ) -> Self {
        Self {
            id,
            role,
            peer,
            handshake_hash,
            address,
            up_at: now.mono,
            proved: Vec::new(),
            clock: None,
            store_id: None,
            card: None,
            shown: [None; 2],
            cards: Budget::per_second(2),
            opens: Budget::per_second(STRANGER_OPENS_PER_S),
            pulled: false,
            ready_at: None,
            direct_over: false,
            spread: Spread::new(),
            pull_unanswered: false,
            backlog: false,
            aside: BTreeSet::new(),
            unacked: BTreeMap::new(),
            unacked_bytes: 0,
            unacked_max: UNACKED_ENVELOPES_MAX,
            retry_at: None,
            push_open: None,
            malformed: 0,
            duty: Duty::Full,
        }
    }

    /// Whether envelopes may be handed over on this link at all.
    pub(crate) const fn takes_envelopes(&self) -> bool {
        self.pulled && matches!(self.duty, Duty::Full)
    }

    pub(crate) const fn is_retired(&self) -> bool {
        !matches!(self.duty, Duty::Full)
    }

    pub(crate) const fn is_closing(&self) -> bool {
        matches!(self.duty, Duty::Closing)
    }

    /// Whatever there is for the peer may be handed over (again) from now on.
    pub(crate) fn look_again(&mut self) {
        self.backlog = true;
        self.aside.clear();
    }

    pub(crate) fn deadline(&self) -> Option<MonoMillis> {
        let retire = match self.duty {
            Duty::Retiring { since } => Some(since + RETIRE_MAX),
            Duty::Full | Duty::Closing => None,
        };
        [retire, self.retry_at].into_iter().flatten().min()
    }

    /// The instance id of whoever dialled.
    pub(crate) fn initiator(&self, own: InstanceId) -> InstanceId {
        match self.role {
            Role::Initiator => own,
            Role::Responder => self.peer.instance_id,
        }
    }
}

/// Somebody who is linked, for the list of people nearby.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearby {
    /// Who.
    pub identity: IdentityKey,
    /// The contact's name, or what a stranger's card says; empty until it came.
    pub name: String,
    /// Whether they are an accepted contact.
    pub contact: bool,
    /// Whether they have accepted us.
    pub accepted_us: bool,
}

impl Mesh {
    /// Everybody who is linked, each identity once.
    pub fn nearby(&self) -> Vec<Nearby> {
        let mut people = BTreeMap::new();
        for link in self.links.values() {
            let identity = link.peer.identity;
            let contact = self.is_accepted(&identity);
            let card = link.card.as_ref();
            let name = match self.contacts.get(&identity) {
                Some(known) if contact => known.contact.name.clone(),
                _ => card.map_or_else(String::new, |card| card.name().to_owned()),
            };
            let accepted_us = card.is_some_and(|card| card.contact().is_some())
                || self.contacts.get(&identity).is_some_and(|known| known.card.is_some());
            people.insert(identity, Nearby { identity, name, contact, accepted_us });
        }
        people.into_values().collect()
    }

    pub(crate) fn link_up<R: Read>(&mut self, step: &mut Step<'_, R>, link: Link) {
        let id = link.id;
        if let Some(refusal) = self.refuses(&link) {
            step.ready.links.push(refusal);
            return;
        }
        match link.role {
            Role::Responder => step.ready.links.push(LinkAction::Admit(id)),
            Role::Initiator => self.dials.answered(link.address, link.peer.instance_id),
        }
        let identity = link.peer.identity;
        let first = !self.links.values().any(|other| other.peer.identity == identity);
        self.links.insert(id, link);
        self.retire_duplicate(step.now.mono, id);
        if first {
            let contact = self.is_accepted(&identity);
            step.ready.events.push(Event::PeerUp { identity, contact });
            self.beacons.neighbourhood_changed(step.now.mono);
        }
        self.prove_mailboxes(step, id);
        let card_seq =
            self.contacts.get(&identity).and_then(|known| known.card.as_ref()).map_or(0, Card::seq);
        let hello = Hello {
            features: FeatureBytes::default(),
            store_id: self.keyring.store_id,
            now: step.now.wall,
            your_card_seq: card_seq,
            my_card_seq: self.own_cards.seq(),
            unacked_max: WINDOW,
        };
        step.ready.links.push(LinkAction::Send(id, Frame::Hello(hello)));
        step.ready.links.push(LinkAction::Send(id, Frame::Pull));
    }

    pub(crate) fn link_down<R: Read>(&mut self, step: &mut Step<'_, R>, id: LinkId) {
        let Some(gone) = self.links.remove(&id) else { return };
        let identity = gone.peer.identity;
        self.end_carrying_on(step, id);
        let mut linked_still = false;
        for link in self.links.values_mut().filter(|link| link.peer.identity == identity) {
            // What was on its way on the lost link goes over this one.
            link.backlog = true;
            linked_still = true;
        }
        // What was for this peer alone may go round now.
        self.look_for_offers_again();
        if !linked_still {
            step.ready.events.push(Event::PeerDown { identity });
            // req: DSC-36
            self.beacons.peer_gone(step.now.mono);
        }
    }

    pub(crate) fn wake_links(&mut self, now: MonoMillis) {
        for link in self.links.values_mut() {
            if link.retry_at.is_some_and(|at| now >= at) {
                link.retry_at = None;
                link.backlog = true;
            }
        }
    }

    /// Our mailboxes for contacts: today's, then earlier ones, the newest first. What
    /// was sealed for those is still carried.
    pub(crate) fn contact_mailboxes(
        &self,
        now: Now,
    ) -> impl Iterator<Item = &tortalk_keys::MailboxSecret> {
        let retired = self.keyring.retired_mailboxes.iter().rev();
        let retired = retired
            .filter(move |mailbox| now.wall < mailbox.until)
            .take(RETIRED_MAILBOXES_PROVED_MAX);
        core::iter::once(&self.keyring.contact_mailbox).chain(retired.map(|m| &m.secret))
    }

    /// Proves our mailboxes: the intro one to anybody, the other to contacts.
    pub(crate) fn prove_mailboxes<R: Read>(&self, step: &mut Step<'_, R>, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        if link.is_closing() {
            return;
        }
        let prove = |secret: &tortalk_keys::MailboxSecret| MailboxProof {
            mailbox: secret.public(),
            signature: *mailbox_proof::sign(secret, link.role, &link.handshake_hash).as_bytes(),
        };
        let mut proofs = vec![prove(&self.keyring.intro_mailbox)];
        // req: GSP-07
        if self.is_accepted(&link.peer.identity) {
            // req: REQ-28
            proofs.extend(self.contact_mailboxes(step.now).map(prove));
        }
        let proofs = Mailboxes::new(proofs).expect("from one to the limit");
        step.ready.links.push(LinkAction::Send(id, Frame::Mailboxes(proofs)));
    }

    pub(crate) fn mailboxes<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        frame: &Mailboxes,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let role = match link.role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        for proof in frame.proofs() {
            if link.proved.contains(&proof.mailbox) {
                continue;
            }
            // req: LIM-06
            if link.proved.len() >= MAILBOX_PROOFS_MAX && !tortalk_model::deviate!(skip_lim_06) {
                self.protocol_fault(step, id);
                return;
            }
            let signature = tortalk_keys::Signature::from_bytes(proof.signature);
            let holds =
                mailbox_proof::verify(&proof.mailbox, role, &link.handshake_hash, &signature);
            // req: GSP-06
            if holds.is_err() && !tortalk_model::deviate!(skip_gsp_06) {
                self.protocol_fault(step, id);
                return;
            }
            link.proved.push(proof.mailbox);
            link.look_again();
        }
    }

    pub(crate) fn hello<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        hello: &Hello,
    ) -> Result<(), R::Error> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let identity = link.peer.identity;
        link.unacked_max = UNACKED_ENVELOPES_MAX.min(usize::from(hello.unacked_max.get()));
        if tortalk_model::deviate!(window_of_256) {
            link.unacked_max = UNACKED_ENVELOPES_MAX;
        }
        if link.clock.is_none() {
            // By the peer's clock more may be possible than it seemed.
            link.look_again();
        }
        link.clock = Some(PeerClock { said: hello.now, at: step.now.mono });
        link.store_id = Some(hello.store_id);
        let offset_ms = offset_ms(hello.now, step.now.wall);
        self.send_own_card(step, id, hello.your_card_seq);
        if !self.is_accepted(&identity) {
            return Ok(());
        }
        self.note_peer_clock(&identity, step.now);
        if offset_ms.unsigned_abs() > CLOCK_DIFFERENCE_SHOWN_MS {
            step.ready.events.push(Event::ClockDiffers { contact: identity, offset_ms });
        }
        self.note_store(step, &identity, hello.store_id);
        // The contact's clock may have made a key usable that seemed not to be.
        self.seal_waiting(step, &identity)
    }

    /// A contact works with this store now.
    fn note_store<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
        store_id: StoreId,
    ) {
        let Some(known) = self.contacts.get_mut(identity) else { return };
        let before = known.contact.store_id.replace(store_id);
        if before == Some(store_id) {
            return;
        }
        known.store_is_new = before.is_some();
        step.ready.writes.push(Write::PutContact(Box::new(known.contact.clone())));
        // req: GSP-10
        if before.is_some() {
            step.ready.writes.push(Write::ForgetHandedOver { peer: *identity });
            self.look_again_for(identity);
        }
    }

    /// The store that somebody who is linked has shown.
    pub(crate) fn store_shown_by(&self, identity: &IdentityKey) -> Option<StoreId> {
        let mut links = self.links.values().filter(|link| link.peer.identity == *identity);
        links.find_map(|link| link.store_id)
    }
}
