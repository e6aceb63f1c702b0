//! People who ask to be a contact and are none yet (spec/contacts.md).

use core::fmt;
use core::net::IpAddr;
use std::collections::BTreeMap;

use tortalk_keys::card::Card;
use tortalk_keys::name;
use tortalk_model::envelope::Envelope;
use tortalk_model::limits::{
    REQUEST_AGAIN_AFTER, REQUEST_KEPT, REQUEST_RECEIPTS_MAX, REQUEST_RETRY_AFTER_S, REQUESTS_MAX,
    REQUESTS_PER_ADDRESS_MAX, REQUESTS_PER_RELAY_MAX,
};
use tortalk_model::{ChainId, IdentityKey, MessageId, RelayKey, SignedHash, UnixMillis};
use tortalk_seal::{Body, OpenedMessage, ReceiptEntry, ReceiptKind};
use tortalk_wire::RefusalReason;

use crate::chains::has_passed;
use crate::mesh::{CommandResult, Mesh, Step};
use crate::read::Read;
use crate::ready::{CommandError, Event, Outcome};
use crate::receiving::Verdict;
use crate::sending::remember_until;
use crate::write::{IncomingMessage, Write};

/// Somebody who asks to be a contact; waits for the user.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactRequest {
    /// Who, proved by the message's signature.
    pub identity: IdentityKey,
    /// What they call themselves; may be empty, and may be anybody's name.
    pub name: String,
    /// Their contact card, checked.
    pub card: Vec<u8>,
    /// What they say; at most 1,024 bytes, may be empty.
    pub text: String,
    /// The message's id.
    pub message_id: MessageId,
    /// The hash of the message's signed bytes.
    pub signed_hash: SignedHash,
    /// When it was written, by the sender's clock.
    pub sent_at: UnixMillis,
    /// When it was stored here, by our clock.
    pub received_at: UnixMillis,
    /// How it came.
    pub source: RequestSource,
}

impl fmt::Debug for ContactRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The card holds keys that only contacts have; the text is private.
        f.debug_struct("ContactRequest")
            .field("identity", &self.identity)
            .field("message_id", &self.message_id)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// How a request came; how many may come so is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestSource {
    /// On a link with somebody at this address.
    Address(IpAddr),
    /// From a relay.
    Relay(RelayKey),
}

impl RequestSource {
    /// How many open requests may have come so.
    const fn limit(self) -> usize {
        match self {
            Self::Address(_) => REQUESTS_PER_ADDRESS_MAX,
            Self::Relay(_) => REQUESTS_PER_RELAY_MAX,
        }
    }
}

/// Who brought an envelope.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bringer {
    /// The peer of a link.
    Peer { identity: IdentityKey, address: IpAddr },
    /// A relay, from its queue.
    Relay(RelayKey),
}

/// The requests that wait for the user, as the store has them.
#[derive(Default)]
pub(crate) struct Requests {
    open: BTreeMap<IdentityKey, ContactRequest>,
}

impl Requests {
    pub(crate) fn load(stored: Vec<ContactRequest>) -> Self {
        Self { open: stored.into_iter().map(|request| (request.identity, request)).collect() }
    }

    pub(crate) fn of(&self, identity: &IdentityKey) -> Option<&ContactRequest> {
        self.open.get(identity)
    }

    fn from(&self, source: RequestSource) -> usize {
        self.open.values().filter(|request| request.source == source).count()
    }
}

impl Mesh {
    /// Everybody who asks to be a contact.
    pub fn requests(&self) -> impl Iterator<Item = &ContactRequest> {
        self.requests.open.values()
    }

    /// Takes in what somebody wrote who is no accepted contact: a contact request
    /// or nothing.
    pub(crate) fn take_request<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        bringer: Bringer,
        envelope: &Envelope,
        opened: &OpenedMessage,
    ) -> Result<Verdict, R::Error> {
        let sender = opened.sender();
        // req: REQ-09
        if self.is_blocked(&sender) {
            return Ok(Verdict::refused(RefusalReason::NotForMe));
        }
        // req: REQ-10
        if envelope.header().mailbox != self.keyring.intro_mailbox.public() {
            return Ok(Verdict::refused(RefusalReason::NotForMe));
        }
        let Body::ContactRequest { card, text } = opened.body() else {
            // req: REQ-11
            return Ok(Verdict::refused(RefusalReason::NotForMe));
        };
        let source = match bringer {
            Bringer::Peer { identity, address } => {
                // req: REQ-12
                if identity != sender && !tortalk_model::deviate!(skip_req_12) {
                    return Ok(Verdict::refused(RefusalReason::NotForMe));
                }
                RequestSource::Address(address.to_canonical())
            }
            Bringer::Relay(relay) => RequestSource::Relay(relay),
        };
        let card = Card::parse(card).ok().filter(|card| card.identity() == sender);
        // req: REQ-13
        let Some(card) = card.filter(|card| card.contact().is_some()) else {
            return Ok(Verdict::refused(RefusalReason::Malformed));
        };
        let message_id = opened.message_id();
        let known = step.store.incoming(&message_id)?.is_some();
        // req: REQ-14
        if (known || step.store.declined(&message_id)?) && !tortalk_model::deviate!(skip_req_14) {
            return Ok(Verdict::DUPLICATE);
        }
        let before = self.requests.of(&sender);
        // req: REQ-15
        if before.is_some_and(|before| opened.sent_at() <= before.sent_at)
            && !tortalk_model::deviate!(skip_req_15)
        {
            return Ok(Verdict::DUPLICATE);
        }
        let lately = before.is_some_and(|before| {
            !has_passed(before.received_at, REQUEST_AGAIN_AFTER, step.now.wall)
        });
        // Each leaves an id that is remembered for two weeks.
        // req: REQ-32
        if lately && !tortalk_model::deviate!(skip_req_32) {
            let seconds = u32::try_from(REQUEST_AGAIN_AFTER.as_secs()).unwrap_or(u32::MAX);
            return Ok(Verdict::refused_for(RefusalReason::Quota, seconds));
        }
        let full = self.requests.open.len() >= REQUESTS_MAX
            || self.requests.from(source) >= source.limit();
        // req: REQ-16, REQ-17, REQ-18
        if full && before.is_none() && !tortalk_model::deviate!(skip_req_17) {
            return Ok(Verdict::refused_for(RefusalReason::Quota, REQUEST_RETRY_AFTER_S));
        }
        let request = ContactRequest {
            identity: sender,
            name: card.name().to_owned(),
            card: card.as_bytes().to_vec(),
            text: text.clone(),
            message_id,
            signed_hash: opened.signed_hash(),
            sent_at: opened.sent_at(),
            received_at: step.now.wall,
            // A newer one must not free a place of the source of the first.
            source: before.map_or(source, |before| before.source),
        };
        step.ready.writes.push(Write::PutRequest(Box::new(request.clone())));
        let until = remember_until(envelope.header().expires_at, step.now.wall);
        // Nobody is told to forget it before the user has decided.
        let envelope_id = envelope.id();
        step.ready.writes.push(Write::Seen { envelope_id, until, purge_key: None });
        step.ready.events.push(Event::ContactRequest(Box::new(request.clone())));
        // Who does not take their receipts has no more made.
        let receipts = step.store.pending_for(&sender, None, REQUEST_RECEIPTS_MAX)?.len();
        // req: REQ-19
        if (self.config.request_receipts || tortalk_model::deviate!(skip_req_19))
            && receipts < REQUEST_RECEIPTS_MAX
        {
            let kind = ReceiptKind::Delivered;
            let signed_hash = opened.signed_hash();
            self.confirm_request(step, &card, ReceiptEntry { message_id, signed_hash, kind });
        }
        self.requests.open.insert(sender, request);
        Ok(Verdict::STORED)
    }

    /// Adds somebody: who asks is accepted, who does not is asked.
    pub(crate) fn add_or_accept<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: IdentityKey,
        name: String,
        invite: Option<Vec<u8>>,
        text: String,
    ) -> Result<CommandResult, R::Error> {
        if let Err(error) = Self::check_request_text(&text) {
            return Ok(Err(error));
        }
        let added = match self.requests.of(&identity).cloned() {
            Some(request) => self.accept(step, request, name, invite)?,
            None => self.add_contact(step, identity, name, invite, None)?,
        };
        if added.is_ok() {
            self.ask(step, &identity, text)?;
        }
        Ok(added)
    }

    pub(crate) fn accept_request<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: IdentityKey,
        name: String,
    ) -> Result<CommandResult, R::Error> {
        match self.requests.of(&identity).cloned() {
            Some(request) => self.accept(step, request, name, None),
            None => Ok(Err(CommandError::NoSuchRequest)),
        }
    }

    /// Makes somebody who asks a contact, and tells them.
    fn accept<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        request: ContactRequest,
        name: String,
        invite: Option<Vec<u8>>,
    ) -> Result<CommandResult, R::Error> {
        let identity = request.identity;
        if let Err(error) = name::check(&name) {
            return Ok(Err(error.into()));
        }
        // On a link they may have shown a newer one since.
        let shown = self.contact_card_from_links(&identity);
        let asked = Card::parse(&request.card).ok();
        let card = match (shown, asked) {
            (Some(shown), Some(asked)) if asked.supersedes(&shown) => Some(asked),
            (shown, asked) => shown.or(asked),
        };
        let added = self.add_contact(step, identity, name, invite, card)?;
        if added.is_err() {
            return Ok(added);
        }
        self.answer_request(step, &identity);
        Ok(added)
    }

    /// Tells somebody who is a contact now that what they asked for, if they did, is
    /// granted.
    pub(crate) fn answer_request<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
    ) {
        let Some(request) = self.requests.open.remove(identity) else { return };
        self.place_was_freed();
        step.ready.writes.push(Write::DropRequest(*identity));
        let message_id = request.message_id;
        step.ready.writes.push(Write::PutIncoming(Box::new(as_message(request))));
        // req: REQ-20
        if !tortalk_model::deviate!(accept_in_silence) {
            self.send_accept(step, identity, message_id);
        }
    }

    pub(crate) fn decline_request<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: IdentityKey,
    ) -> CommandResult {
        if self.forget_request(step, &identity) {
            Ok(Outcome::Done)
        } else {
            Err(CommandError::NoSuchRequest)
        }
    }

    /// Nothing is kept of a request but that it was here. Whether there was one.
    pub(crate) fn forget_request<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
    ) -> bool {
        let Some(request) = self.requests.open.remove(identity) else { return false };
        self.place_was_freed();
        let until = step.now.wall.saturating_add(REQUEST_KEPT);
        // req: REQ-22
        step.ready.writes.push(Write::Declined { message_id: request.message_id, until });
        step.ready.writes.push(Write::DropRequest(*identity));
        true
    }

    /// Forgets requests that nobody has decided on for as long as their senders
    /// would have gone on asking.
    pub(crate) fn drop_old_requests<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let now = step.now.wall;
        if !self.clock.is_steady(step.now) {
            return;
        }
        let open = self.requests.open.values();
        let old = open.filter(|request| request.received_at.saturating_add(REQUEST_KEPT) < now);
        // req: REQ-23
        for identity in old.map(|request| request.identity).collect::<Vec<_>>() {
            self.forget_request(step, &identity);
        }
    }
}

/// A request becomes the first message of the conversation.
fn as_message(request: ContactRequest) -> IncomingMessage {
    IncomingMessage {
        message_id: request.message_id,
        contact: request.identity,
        signed_hash: request.signed_hash,
        sent_at: request.sent_at,
        received_at: request.received_at,
        chain_id: ChainId::from_bytes([0; 8]),
        counter: 0,
        body: Body::ContactRequest { card: request.card, text: request.text },
        receipt_at: None,
        read: true,
    }
}
