//! Who is connected: policy, duplicates, hello, mailbox proofs.

use core::net::SocketAddr;
use core::num::NonZeroU16;
use core::time::Duration;
use std::collections::BTreeMap;

use tortalk_keys::card::Card;
use tortalk_keys::link_auth::Role;
use tortalk_keys::mailbox_proof;
use tortalk_model::limits::{
    LINK_YOUNG, MAILBOX_PROOFS_MAX, STRANGER_LINKS_MAX, STRANGER_OPENS_PER_S, UNACKED_BYTES_MAX,
    UNACKED_ENVELOPES_MAX,
};
use tortalk_model::{EnvelopeId, IdentityKey, InstanceId, MailboxKey, MonoMillis, Now, StoreId};
use tortalk_wire::{ByeReason, FeatureBytes, Frame, Hello, MailboxProof, Mailboxes};

use crate::budget::Budget;
use crate::input::{LinkId, PeerAuth, Visibility};
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::{Event, LinkAction};
use crate::write::{Purpose, Write};

/// Envelopes that we let a peer hand over before we acknowledge any.
const WINDOW: NonZeroU16 = NonZeroU16::new(UNACKED_ENVELOPES_MAX as u16).expect("256 is not zero");
/// A duplicate finishes what is unacknowledged within this time.
const RETIRE_MAX: Duration = Duration::from_secs(5);
/// A clock that differs by more than this is shown to the user.
const CLOCK_DIFFERENCE_SHOWN_MS: i64 = 3_600_000;

/// What a link is still for.
#[derive(Clone, Copy)]
enum Duty {
    /// Everything.
    Full,
    /// A duplicate of another link: only what is unacknowledged.
    Retiring { since: MonoMillis },
    /// Nothing: `Bye` is said, the end will be told.
    Closing,
}

/// One link that is up.
pub(crate) struct Link {
    pub(crate) id: LinkId,
    role: Role,
    pub(crate) peer: PeerAuth,
    handshake_hash: [u8; 64],
    address: SocketAddr,
    up_at: MonoMillis,
    /// Mailboxes whose keys the peer has proved to hold.
    pub(crate) proved: Vec<MailboxKey>,
    /// The peer's clock minus ours, in milliseconds, by its hello.
    pub(crate) clock_offset_ms: Option<i64>,
    /// The peer's newest card seen on this link, whatever its kind.
    pub(crate) card: Option<Card>,
    /// Cards of strangers cost signatures to check.
    pub(crate) cards: Budget,
    pub(crate) opens: Budget,
    /// The peer is ready to take envelopes.
    pub(crate) pulled: bool,
    /// The peer's `Pull` is not answered yet.
    pub(crate) pull_unanswered: bool,
    /// The store may hold envelopes for this peer that were not handed over.
    pub(crate) backlog: bool,
    /// The last envelope handed over from the backlog.
    pub(crate) cursor: Option<EnvelopeId>,
    /// Handed over and not acknowledged: purpose and size.
    pub(crate) unacked: BTreeMap<EnvelopeId, (Purpose, usize)>,
    pub(crate) unacked_bytes: usize,
    pub(crate) unacked_max: usize,
    /// The peer asked to be left alone until then.
    pub(crate) retry_at: Option<MonoMillis>,
    /// Envelopes that the peer announced and did not send yet.
    pub(crate) push_open: Option<u32>,
    /// Envelopes of this peer that were no envelopes.
    pub(crate) malformed: u32,
    duty: Duty,
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
            clock_offset_ms: None,
            card: None,
            cards: Budget::per_second(2),
            opens: Budget::per_second(STRANGER_OPENS_PER_S),
            pulled: false,
            pull_unanswered: false,
            backlog: false,
            cursor: None,
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

    /// Whether one more envelope of `len` bytes fits in the window.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.unacked.len() < self.unacked_max && self.unacked_bytes + len <= UNACKED_BYTES_MAX
    }

    pub(crate) const fn is_retired(&self) -> bool {
        !matches!(self.duty, Duty::Full)
    }

    pub(crate) fn deadline(&self) -> Option<MonoMillis> {
        let retire = match self.duty {
            Duty::Retiring { since } => Some(since + RETIRE_MAX),
            Duty::Full | Duty::Closing => None,
        };
        [retire, self.retry_at].into_iter().flatten().min()
    }

    /// The instance id of whoever dialled.
    fn initiator(&self, own: InstanceId) -> InstanceId {
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

    /// Why a link is not wanted, as the action that ends it.
    fn refuses(&self, link: &Link) -> Option<LinkAction> {
        let identity = link.peer.identity;
        let contact = self.is_accepted(&identity);
        let by_policy = match link.role {
            // Whoever is turned away here learns nothing, not even who we are.
            Role::Responder => LinkAction::Drop(link.id),
            Role::Initiator => LinkAction::Close(link.id, ByeReason::Policy),
        };
        // req: GSP-03
        if identity == self.me() {
            return Some(by_policy);
        }
        // req: GSP-04
        if self.is_blocked(&identity) {
            return Some(by_policy);
        }
        let answers = match self.config.visibility {
            Visibility::Everyone => true,
            Visibility::Contacts => contact || link.role == Role::Initiator,
            Visibility::Nobody => link.role == Role::Initiator,
        };
        // req: DSC-23
        if !answers {
            return Some(by_policy);
        }
        let strangers =
            self.links.values().filter(|link| !self.is_accepted(&link.peer.identity)).count();
        // req: LIM-05
        if !contact && strangers >= STRANGER_LINKS_MAX {
            return Some(by_policy);
        }
        None
    }

    /// Keeps one of two links with the same device of the same person (GSP-05, GSP-34).
    fn retire_duplicate(&mut self, now: MonoMillis, new: LinkId) {
        let own = self.config.instance_id;
        let Some(newest) = self.links.get(&new) else { return };
        let other = self.links.values().find(|link| {
            link.id != new
                && !link.is_retired()
                && link.peer.identity == newest.peer.identity
                && link.peer.device_id == newest.peer.device_id
        });
        let Some(other) = other else { return };
        let both_young = now.since(other.up_at) < LINK_YOUNG;
        // req: GSP-05
        let keep_other = both_young && other.initiator(own) < newest.initiator(own);
        let loser = if keep_other { new } else { other.id };
        if let Some(link) = self.links.get_mut(&loser) {
            link.duty = Duty::Retiring { since: now };
        }
    }

    pub(crate) fn close_retired_links<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let now = step.now.mono;
        for link in self.links.values_mut() {
            let Duty::Retiring { since } = link.duty else { continue };
            if link.unacked.is_empty() || now >= since + RETIRE_MAX {
                step.ready.links.push(LinkAction::Close(link.id, ByeReason::Duplicate));
                link.duty = Duty::Closing;
            }
        }
    }

    pub(crate) fn link_down<R: Read>(&mut self, step: &mut Step<'_, R>, id: LinkId) {
        let Some(gone) = self.links.remove(&id) else { return };
        let identity = gone.peer.identity;
        let mut linked_still = false;
        for link in self.links.values_mut().filter(|link| link.peer.identity == identity) {
            // What was on its way on the lost link goes over this one.
            link.backlog = true;
            link.cursor = None;
            linked_still = true;
        }
        if !linked_still {
            step.ready.events.push(Event::PeerDown { identity });
            self.beacons.neighbourhood_changed(step.now.mono);
        }
    }

    pub(crate) fn wake_links(&mut self, now: MonoMillis) {
        for link in self.links.values_mut() {
            if link.retry_at.is_some_and(|at| now >= at) {
                link.retry_at = None;
                link.backlog = true;
                link.cursor = None;
            }
        }
    }

    /// Proves our mailboxes: the intro one to anybody, the other to contacts.
    pub(crate) fn prove_mailboxes<R: Read>(&self, step: &mut Step<'_, R>, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let prove = |secret: &tortalk_keys::MailboxSecret| MailboxProof {
            mailbox: secret.public(),
            signature: *mailbox_proof::sign(secret, link.role, &link.handshake_hash).as_bytes(),
        };
        let mut proofs = vec![prove(&self.keyring.intro_mailbox)];
        // req: GSP-07
        if self.is_accepted(&link.peer.identity) {
            proofs.push(prove(&self.keyring.contact_mailbox));
        }
        let proofs = Mailboxes::new(proofs).expect("one or two are within the limit");
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
            let signature = tortalk_keys::Signature::from_bytes(proof.signature);
            let holds =
                mailbox_proof::verify(&proof.mailbox, role, &link.handshake_hash, &signature);
            // req: GSP-06
            if holds.is_err() {
                step.ready.links.push(LinkAction::Close(id, ByeReason::Protocol));
                return;
            }
            // req: LIM-06
            if link.proved.len() >= MAILBOX_PROOFS_MAX {
                step.ready.links.push(LinkAction::Close(id, ByeReason::Protocol));
                return;
            }
            link.proved.push(proof.mailbox);
            link.backlog = true;
            link.cursor = None;
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
        let offset_ms = clock_offset(hello, step.now);
        link.clock_offset_ms = Some(offset_ms);
        self.send_own_card(step, id, hello.your_card_seq);
        let Some(known) = self.contacts.get_mut(&identity) else { return Ok(()) };
        if known.contact.standing != crate::write::Standing::Accepted {
            return Ok(());
        }
        known.clock_offset_ms = Some(offset_ms);
        if offset_ms.abs() > CLOCK_DIFFERENCE_SHOWN_MS {
            step.ready.events.push(Event::ClockDiffers { contact: identity, offset_ms });
        }
        let before: Option<StoreId> = known.contact.store_id;
        if before != Some(hello.store_id) {
            known.contact.store_id = Some(hello.store_id);
            step.ready.writes.push(Write::PutContact(Box::new(known.contact.clone())));
            // req: GSP-10
            if before.is_some() {
                step.ready.writes.push(Write::ForgetHandedOver { peer: identity });
            }
        }
        // The contact's clock may have made a key usable that seemed not to be.
        self.seal_waiting(step, &identity)
    }

    /// Ends a link because of what its peer did.
    pub(crate) fn protocol_fault<R: Read>(&self, step: &mut Step<'_, R>, id: LinkId) {
        step.ready.links.push(LinkAction::Close(id, ByeReason::Protocol));
    }

    pub(crate) fn heard<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        address: SocketAddr,
        instance_id: InstanceId,
    ) {
        // req: DSC-22
        if self.config.visibility == Visibility::Nobody {
            return;
        }
        let linked = self.links.values().any(|link| link.peer.instance_id == instance_id);
        if instance_id == self.config.instance_id || linked {
            return;
        }
        step.ready.dials.extend(self.dials.request(address, step.now.mono));
    }

    pub(crate) fn neighbour<R: Read>(&mut self, step: &mut Step<'_, R>, address: SocketAddr) {
        if self.config.visibility == Visibility::Nobody {
            return;
        }
        // Who answered at this address last time may be linked still, perhaps
        // over a link that they dialled.
        let linked = self
            .dials
            .who_answered(&address)
            .is_some_and(|who| self.links.values().any(|link| link.peer.instance_id == who));
        if !linked {
            step.ready.dials.extend(self.dials.request(address, step.now.mono));
        }
    }

    pub(crate) fn dialled<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        address: SocketAddr,
        reached: bool,
    ) {
        self.dials.ended(address);
        if !reached {
            // They may reach us where we cannot reach them: let them hear us.
            self.beacons.extra(step.now.mono);
        }
    }

    pub(crate) fn address_up<R: Read>(&mut self, step: &Step<'_, R>) {
        self.beacons.address_up(step.now.mono);
    }

    pub(crate) fn set_visibility<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        visibility: Visibility,
    ) {
        self.config.visibility = visibility;
        for link in self.links.values() {
            let stays = match visibility {
                Visibility::Everyone => true,
                Visibility::Contacts | Visibility::Nobody => self.is_accepted(&link.peer.identity),
            };
            if !stays {
                step.ready.links.push(LinkAction::Close(link.id, ByeReason::Policy));
            }
        }
        if visibility != Visibility::Nobody {
            self.beacons.address_up(step.now.mono);
        }
    }
}

/// The peer's clock minus ours, in milliseconds.
fn clock_offset(hello: &Hello, now: Now) -> i64 {
    let difference = i128::from(hello.now.0) - i128::from(now.wall.0);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN + 1 } else { i64::MAX })
}
