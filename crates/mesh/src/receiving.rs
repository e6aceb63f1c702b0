//! Taking an envelope in: every check of spec/gossip.md section 6, in its order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tortalk_keys::card::Card;
use tortalk_model::envelope::Envelope;
use tortalk_model::hash::{self, label};
use tortalk_model::limits::RECEIPT_AGAIN_AFTER;
use tortalk_model::{EnvelopeId, IdentityKey, MessageId};
use tortalk_seal::{Body, OpenError, OpenedMessage, ReceiptEntry, ReceiptKind, open};
use tortalk_wire::{Ack, AckResult, Frame, Msg, RefusalReason};

use crate::carrying::Beside;
use crate::contacts::CardSource;
use crate::delivery::DeliveryState;
use crate::input::LinkId;
use crate::links::Link;
use crate::mesh::{CommandResult, Mesh, Step};
use crate::read::Read;
use crate::ready::{CommandError, Event, LinkAction, Outcome};
use crate::requests::Bringer;
use crate::sending::remember_until;
use crate::write::{Evidence, IncomingMessage, Write};

/// Malformed envelopes that a link may bring before it is closed.
const MALFORMED_MAX: u32 = 8;
/// What a peer whose budget of openings is used up is told to wait.
const BUSY_RETRY_AFTER_S: u32 = 1;

/// What was decided about an envelope, before anything is said.
pub(crate) struct Verdict {
    pub(crate) result: AckResult,
    retry_after_s: u32,
}

impl Verdict {
    pub(crate) const STORED: Self = Self { result: AckResult::Stored, retry_after_s: 0 };
    pub(crate) const DUPLICATE: Self = Self { result: AckResult::Duplicate, retry_after_s: 0 };

    pub(crate) const fn refused(reason: RefusalReason) -> Self {
        Self::refused_for(reason, 0)
    }

    pub(crate) const fn refused_for(reason: RefusalReason, retry_after_s: u32) -> Self {
        Self { result: AckResult::Refused(reason), retry_after_s }
    }
}

impl Mesh {
    /// An envelope came in on a link. Its acknowledgement is made ready together
    /// with the writes that it speaks of.
    pub(crate) fn receive<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        msg: Msg,
    ) -> Result<(), R::Error> {
        let beside = Beside::of(&msg);
        let bytes = msg.envelope.into_vec();
        let envelope_id = Envelope::id_of(&bytes);
        self.has_come(&envelope_id);
        let verdict = match Envelope::parse(bytes) {
            Ok(envelope) => self.take_in(step, id, &envelope, &beside)?,
            // req: GSP-23
            Err(_) => self.malformed(step, id),
        };
        if self.links.get(&id).is_none_or(Link::is_closing) {
            return Ok(()); // Nothing is answered after a Bye.
        }
        let ack = Ack {
            id: envelope_id,
            result: verdict.result,
            retry_after_s: verdict.retry_after_s,
            now: step.now.wall,
        };
        step.ready.links.push(LinkAction::Send(id, Frame::Ack(ack)));
        Ok(())
    }

    fn malformed<R: Read>(&mut self, step: &mut Step<'_, R>, id: LinkId) -> Verdict {
        if let Some(link) = self.links.get_mut(&id) {
            link.malformed += 1;
            // req: LIM-08
            if link.malformed > MALFORMED_MAX && !tortalk_model::deviate!(skip_lim_08) {
                self.protocol_fault(step, id);
            }
        }
        Verdict::refused(RefusalReason::Malformed)
    }

    fn take_in<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        envelope: &Envelope,
        beside: &Beside,
    ) -> Result<Verdict, R::Error> {
        let Some((peer, address)) =
            self.links.get(&id).map(|link| (link.peer.identity, link.address.ip()))
        else {
            return Ok(Verdict::refused(RefusalReason::Busy));
        };
        let accepted = self.is_accepted(&peer);
        let mailbox = envelope.header().mailbox;
        let proved = mailbox == self.keyring.intro_mailbox.public()
            || (accepted && self.contact_mailboxes(step.now).any(|ours| ours.public() == mailbox));
        // A mailbox that we have not proved to a stranger is like any other that is
        // not ours: otherwise they could find out whose it is.
        // req: GSP-24, CAR-01
        if !proved && !accepted && !tortalk_model::deviate!(skip_gsp_24) {
            return Ok(Verdict::refused(RefusalReason::NotForMe));
        }
        if !proved {
            return self.carry(step, id, peer, envelope, beside);
        }
        let seen = step.store.seen(&envelope.id())?;
        // req: GSP-36
        if seen && !accepted {
            return Ok(Verdict::DUPLICATE);
        }
        // req: GSP-25
        if seen {
            // Whoever sends it again may lack its receipt.
            if let Ok(opened) = self.open(envelope)
                && self.is_accepted(&opened.sender())
            {
                self.deliver(step, &opened)?;
                self.purge_backwards(id, envelope.id(), &opened);
            }
            return Ok(Verdict::DUPLICATE);
        }
        // req: LIM-09
        if !accepted && !self.may_open_for(id, step) && !tortalk_model::deviate!(skip_lim_09) {
            return Ok(Verdict::refused_for(RefusalReason::Busy, BUSY_RETRY_AFTER_S));
        }
        let opened = match self.open(envelope) {
            Ok(opened) => opened,
            // req: GSP-29
            Err(OpenError::UnknownSuite(_) | OpenError::OtherKey) => {
                return Ok(Verdict::refused(RefusalReason::UnknownKey));
            }
            // A contact may be carrying it and cannot know; a link with an honest one
            // is worth more than what a liar gave it.
            // req: LIM-08
            Err(_) if accepted => return Ok(Verdict::refused(RefusalReason::Malformed)),
            Err(_) => return Ok(self.malformed(step, id)),
        };
        // The sender of the words, not the one who brought them, has to be a
        // contact; who is none, or is blocked, sees no difference to a mailbox
        // that does not exist. Others may ask to be one.
        // req: GSP-26
        if !self.is_accepted(&opened.sender()) && !tortalk_model::deviate!(skip_gsp_26) {
            let bringer = Bringer::Peer { identity: peer, address };
            return self.take_request(step, bringer, envelope, &opened);
        }
        let verdict = self.deliver(step, &opened)?;
        let (envelope_id, purge_key) = (envelope.id(), Some(opened.purge_key().clone()));
        let until = remember_until(envelope.header().expires_at, step.now.wall);
        step.ready.writes.push(Write::Seen { envelope_id, until, purge_key });
        self.purge_backwards(id, envelope_id, &opened);
        Ok(verdict)
    }

    /// Whoever carried an envelope here may forget it; its sender gets a receipt.
    // req: CAR-25, CAR-26
    fn purge_backwards(&mut self, id: LinkId, envelope_id: EnvelopeId, opened: &OpenedMessage) {
        let peer = self.links.get(&id).map(|link| link.peer.identity);
        if peer.is_some_and(|peer| peer != opened.sender()) {
            self.tell_purge(id, envelope_id, opened.purge_key().clone());
        }
    }

    pub(crate) fn open(&self, envelope: &Envelope) -> Result<OpenedMessage, OpenError> {
        let secret = self.keyring.sealing_secret(envelope.header().key_id);
        open(envelope, secret.ok_or(OpenError::OtherKey)?, &self.me())
    }

    fn may_open_for<R: Read>(&mut self, id: LinkId, step: &Step<'_, R>) -> bool {
        let now = step.now.mono;
        let link_allows = self.links.get_mut(&id).is_some_and(|link| link.opens.take(now));
        link_allows && self.strangers_opens.take(now)
    }

    pub(crate) fn deliver<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        opened: &OpenedMessage,
    ) -> Result<Verdict, R::Error> {
        if let Body::Receipt(entries) = opened.body() {
            self.take_receipts(step, opened, entries)?;
            let kind = ReceiptKind::Delivered;
            let entry = ReceiptEntry {
                message_id: opened.message_id(),
                signed_hash: opened.signed_hash(),
                kind,
            };
            if tortalk_model::deviate!(receipt_of_receipt) {
                self.receipts.add(opened.sender(), entry);
            }
            return Ok(Verdict::STORED);
        }
        // req: GSP-27
        if let Some(known) = step.store.incoming(&opened.message_id())?
            && !tortalk_model::deviate!(skip_gsp_27)
        {
            let waited = known.receipt_at.is_none_or(|at| {
                step.now.wall >= at.saturating_add(RECEIPT_AGAIN_AFTER) || step.now.wall < at
            });
            let same = known.signed_hash == opened.signed_hash();
            self.note_chain(step, opened);
            // req: DLV-09
            if (waited || tortalk_model::deviate!(receipt_each_time)) && same {
                self.confirm(opened);
            }
            return Ok(Verdict::DUPLICATE);
        }
        if let Body::ContactAccept { request, .. } = opened.body() {
            self.take_accept(step, opened, request)?;
        }
        if let Body::Card { card }
        | Body::ContactAccept { card, .. }
        | Body::ContactRequest { card, .. } = opened.body()
        {
            self.take_sealed_card(step, &opened.sender(), card)?;
        }
        self.store_message(step, opened);
        self.note_chain(step, opened);
        self.confirm(opened);
        // Whoever asks lacks our card, whatever they had before.
        // req: REQ-24
        if matches!(opened.body(), Body::ContactRequest { .. }) {
            self.send_accept(step, &opened.sender(), opened.message_id());
        }
        if let Body::ResendRequest(request) = opened.body() {
            self.resend(step, &opened.sender(), *request)?;
        }
        Ok(Verdict::STORED)
    }

    fn store_message<R: Read>(&mut self, step: &mut Step<'_, R>, opened: &OpenedMessage) {
        let message = IncomingMessage {
            message_id: opened.message_id(),
            contact: opened.sender(),
            signed_hash: opened.signed_hash(),
            sent_at: opened.sent_at(),
            received_at: step.now.wall,
            chain_id: opened.chain_id(),
            counter: opened.counter(),
            body: opened.body().clone(),
            receipt_at: None,
            read: false,
        };
        step.ready.writes.push(Write::PutIncoming(Box::new(message.clone())));
        if is_shown(opened.body()) {
            step.ready.events.push(Event::Received(Box::new(message)));
        }
    }

    /// Notes that the sender is to have a receipt, if its body is one to confirm;
    /// made at the end of the batch.
    fn confirm(&mut self, opened: &OpenedMessage) {
        // req: DLV-11, SEA-37
        if !is_confirmed(opened.body()) && !tortalk_model::deviate!(skip_dlv_11) {
            return;
        }
        let entry = ReceiptEntry {
            message_id: opened.message_id(),
            signed_hash: opened.signed_hash(),
            kind: if tortalk_model::deviate!(read_at_once) {
                ReceiptKind::Read
            } else {
                ReceiptKind::Delivered
            },
        };
        self.receipts.add(opened.sender(), entry);
    }

    fn take_sealed_card<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        sender: &IdentityKey,
        card: &[u8],
    ) -> Result<(), R::Error> {
        let card = Card::parse(card).ok().filter(|card| card.identity() == *sender);
        match card.filter(|card| card.contact().is_some()) {
            Some(card) => self.take_contact_card(step, sender, card, CardSource::Passed),
            None => Ok(()),
        }
    }

    fn take_receipts<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        opened: &OpenedMessage,
        entries: &[ReceiptEntry],
    ) -> Result<(), R::Error> {
        // What an entry adds has to be known to those after it.
        let mut messages = BTreeMap::new();
        for entry in entries {
            if let Entry::Vacant(place) = messages.entry(entry.message_id)
                && let Some(message) = step.store.outgoing(&entry.message_id)?
            {
                place.insert((DeliveryState::of(&message), message));
            }
            let Some((_, message)) = messages.get_mut(&entry.message_id) else { continue };
            let hash = hash::labelled(label::SIGNED_HASH, &[&message.signed]);
            // A receipt of anybody but the recipient, or for other words, is no
            // evidence.
            // req: DLV-05
            if message.contact != opened.sender() {
                continue;
            }
            // req: DLV-06
            if hash != *entry.signed_hash.as_bytes() && !tortalk_model::deviate!(skip_dlv_06) {
                continue;
            }
            let said = |evidence: &Evidence| match evidence {
                Evidence::Receipt { kind, .. } => *kind == entry.kind,
                _ => false,
            };
            if message.evidence.iter().any(said) {
                continue;
            }
            // req: DLV-13
            let proof = proof_of(opened);
            let evidence = Evidence::Receipt { kind: entry.kind, at: step.now.wall, proof };
            message.evidence.push(evidence.clone());
            let message_id = entry.message_id;
            step.ready.writes.push(Write::AddEvidence { message_id, evidence });
        }
        for (message_id, (before, message)) in messages {
            let state = DeliveryState::of(&message);
            if state != before {
                self.stop_trying(step, &message)?;
                self.state_changed(step, message_id, message.contact, state);
            }
        }
        Ok(())
    }

    /// The peer opens the answer to our pull; `count` is a bound, `End` decides.
    pub(crate) fn push<R: Read>(&mut self, step: &mut Step<'_, R>, id: LinkId, count: u32) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let already_open = link.push_open.replace(count).is_some();
        // req: GSP-13
        if already_open && !tortalk_model::deviate!(skip_gsp_13) {
            self.protocol_fault(step, id);
        }
    }

    /// The peer has answered our pull.
    pub(crate) fn end<R: Read>(&mut self, step: &mut Step<'_, R>, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let was_open = link.push_open.take().is_some();
        // req: GSP-14
        if !was_open && !tortalk_model::deviate!(skip_gsp_14) {
            self.protocol_fault(step, id);
        }
    }

    pub(crate) fn mark_read<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        message_id: MessageId,
    ) -> Result<CommandResult, R::Error> {
        let Some(message) = step.store.incoming(&message_id)? else {
            return Ok(Err(CommandError::NoSuchMessage));
        };
        if message.read {
            return Ok(Ok(Outcome::Done));
        }
        step.ready.writes.push(Write::MarkRead(message_id));
        // req: DLV-10
        if self.config.read_receipts && is_confirmed(&message.body) {
            let kind = ReceiptKind::Read;
            let signed_hash = message.signed_hash;
            self.receipts.add(message.contact, ReceiptEntry { message_id, signed_hash, kind });
        }
        Ok(Ok(Outcome::Done))
    }
}

/// What a message of somebody else's proves later: its signed bytes and signature.
pub(crate) fn proof_of(opened: &OpenedMessage) -> Vec<u8> {
    let mut proof = opened.bytes().to_vec();
    proof.extend_from_slice(opened.signature().as_bytes());
    proof
}

/// Whether people see it: what is part of a conversation, and what somebody says
/// who asks to be a contact.
fn is_shown(body: &Body) -> bool {
    body.is_user_visible() || matches!(body, Body::ContactRequest { .. })
}

/// Whether a contact gets a receipt for it. A request of somebody who is a contact
/// already gets no acceptance that would be one.
fn is_confirmed(body: &Body) -> bool {
    body.wants_receipt() || matches!(body, Body::ContactRequest { .. })
}
