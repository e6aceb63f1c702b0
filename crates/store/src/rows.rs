//! What sealed columns contain, byte for byte.
//!
//! Each layout begins with its number, `ROW_LAYOUT`. Integers are big-endian;
//! `bytes` have a 32-bit length in front; what may be missing has a byte 0 or 1
//! in front. A schema with other layouts has a migration number of its own, so
//! an unknown number is damage.

use core::net::IpAddr;

use tortalk_keys::relay::RelayAddress;
use tortalk_mesh::{
    Contact, ContactRequest, Evidence, HeldEnvelope, IncomingMessage, MissingRange,
    OutgoingMessage, PeerChain, Purpose, RegisteredMailbox, RequestSource, Standing,
};
use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::{
    ChainId, Envelope, EnvelopeId, IdentityKey, MailboxKey, MessageId, PurgeKey, RelayKey,
    SignedHash, StoreId, UnixMillis,
};
use tortalk_seal::{Body, BodyType, ReceiptKind};
use zeroize::Zeroizing;

use crate::error::StoreError;

/// The number of every layout in this file.
const ROW_LAYOUT: u8 = 1;
/// Row contents are our own and authenticated; their length needs no limit.
const ANY: usize = u32::MAX as usize;

/// Bytes that opened but are not what their table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotARow;

impl From<LayoutError> for NotARow {
    fn from(_: LayoutError) -> Self {
        Self
    }
}

/// The plaintext of a row: wiped when dropped.
type Plaintext = Zeroizing<Vec<u8>>;

/// `store_id 16`.
pub(crate) fn store_id(id: &StoreId) -> Plaintext {
    finish(begin(0).raw(id.as_bytes()))
}

pub(crate) fn read_store_id(bytes: &[u8]) -> Result<StoreId, NotARow> {
    read(bytes, |reader| Ok(StoreId::from_bytes(reader.array("store_id")?)))
}

/// `intro bytes ‖ contact bytes`.
pub(crate) fn cards(intro: &[u8], contact: &[u8]) -> Plaintext {
    finish(begin(intro.len() + contact.len()).bytes32(intro).bytes32(contact))
}

pub(crate) fn read_cards(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>), NotARow> {
    read(bytes, |reader| Ok((vec(reader, "intro")?, vec(reader, "contact")?)))
}

/// `identity 32`.
pub(crate) fn person(identity: &IdentityKey) -> Plaintext {
    finish(begin(0).raw(identity.as_bytes()))
}

pub(crate) fn read_person(bytes: &[u8]) -> Result<IdentityKey, NotARow> {
    read(bytes, |reader| Ok(IdentityKey::from_bytes(reader.array("identity")?)))
}

/// `name bytes ‖ standing u8 (1 accepted, 2 blocked, 3 unwanted) ‖ verified u8 ‖
/// card maybe bytes ‖ invite maybe bytes ‖ store_id maybe 16 ‖ chain_id 8 ‖
/// next_counter u64 ‖ requested maybe 32 ‖ chain maybe (chain_id 8 ‖ next u64 ‖
/// asked maybe 32 ‖ asked_at maybe u64 ‖ count u16 ‖ (from u64 ‖ to u64 ‖ since u64)*)
/// ‖ added_at u64`.
pub(crate) fn contact(contact: &Contact) -> Plaintext {
    let long = contact.name.len() + contact.card.as_ref().map_or(0, Vec::len) + 256;
    let writer = begin(long).bytes32(contact.name.as_bytes());
    let writer = writer.u8(match contact.standing {
        Standing::Accepted => 1,
        Standing::Blocked => 2,
        Standing::Unwanted => 3,
    });
    let writer = writer.u8(contact.verified.into());
    let writer = maybe(writer, contact.card.as_ref(), |writer, card| writer.bytes32(card));
    let writer = maybe(writer, contact.invite.as_ref(), |writer, invite| writer.bytes32(invite));
    let writer = maybe(writer, contact.store_id, |writer, id| writer.raw(id.as_bytes()));
    let writer = writer.raw(contact.chain_id.as_bytes()).u64(contact.next_counter);
    let writer = maybe(writer, contact.requested, |writer, id| writer.raw(id.as_bytes()));
    let writer = maybe(writer, contact.their_chain.as_ref(), chain);
    let writer =
        maybe(writer, contact.asking.as_ref(), |writer, text| writer.bytes32(text.as_bytes()));
    finish(writer.u64(contact.added_at.0))
}

pub(crate) fn read_contact(identity: IdentityKey, bytes: &[u8]) -> Result<Contact, NotARow> {
    read(bytes, |reader| {
        Ok(Contact {
            identity,
            name: text(reader, "name")?,
            standing: match reader.u8("standing")? {
                1 => Standing::Accepted,
                2 => Standing::Blocked,
                3 => Standing::Unwanted,
                _ => return Err(NotARow),
            },
            verified: flag(reader, "verified")?,
            card: read_maybe(reader, |reader| vec(reader, "card"))?,
            invite: read_maybe(reader, |reader| vec(reader, "invite"))?,
            store_id: read_maybe(reader, |reader| {
                Ok(StoreId::from_bytes(reader.array("store_id")?))
            })?,
            chain_id: ChainId::from_bytes(reader.array("chain_id")?),
            next_counter: reader.u64("next_counter")?,
            requested: read_maybe(reader, |reader| {
                Ok(MessageId::from_bytes(reader.array("requested")?))
            })?,
            their_chain: read_maybe(reader, read_chain)?,
            asking: read_maybe(reader, |reader| text(reader, "asking"))?,
            added_at: UnixMillis(reader.u64("added_at")?),
        })
    })
}

fn chain(writer: Writer, chain: &PeerChain) -> Writer {
    let writer = writer.raw(chain.chain_id.as_bytes()).u64(chain.next);
    let writer = maybe(writer, chain.asked, |writer, id| writer.raw(id.as_bytes()));
    let writer = maybe(writer, chain.asked_at, |writer, at| writer.u64(at.0));
    let count = u16::try_from(chain.missing.len()).unwrap_or(u16::MAX);
    let ranges = chain.missing.iter().take(usize::from(count));
    let writer = ranges.fold(writer.u16(count), |writer, range| {
        writer.u64(range.from).u64(range.to).u64(range.since.0)
    });
    let count = u16::try_from(chain.earlier.len()).unwrap_or(u16::MAX);
    let earlier = chain.earlier.iter().take(usize::from(count));
    earlier.fold(writer.u16(count), |writer, id| writer.raw(id.as_bytes()))
}

fn read_chain(reader: &mut Reader<'_>) -> Result<PeerChain, NotARow> {
    let chain_id = ChainId::from_bytes(reader.array("chain_id")?);
    let next = reader.u64("next")?;
    let asked = read_maybe(reader, |reader| Ok(MessageId::from_bytes(reader.array("asked")?)))?;
    let asked_at = read_maybe(reader, |reader| Ok(UnixMillis(reader.u64("asked_at")?)))?;
    let count = reader.u16("count")?;
    let mut missing = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (from, to) = (reader.u64("from")?, reader.u64("to")?);
        let since = UnixMillis(reader.u64("since")?);
        missing.push(MissingRange { from, to, since });
    }
    let count = reader.u16("earlier")?;
    let mut earlier = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        earlier.push(ChainId::from_bytes(reader.array("earlier")?));
    }
    Ok(PeerChain { chain_id, next, missing, asked, asked_at, earlier })
}

/// `name bytes ‖ card bytes ‖ text bytes ‖ message_id 32 ‖ signed_hash 32 ‖
/// sent_at u64 ‖ received_at u64 ‖ source u8 (4 address 4, 6 address 16, 8 relay 32)`.
pub(crate) fn request(request: &ContactRequest) -> Plaintext {
    let long = request.name.len() + request.card.len() + request.text.len();
    let writer = begin(long)
        .bytes32(request.name.as_bytes())
        .bytes32(&request.card)
        .bytes32(request.text.as_bytes())
        .raw(request.message_id.as_bytes())
        .raw(request.signed_hash.as_bytes())
        .u64(request.sent_at.0)
        .u64(request.received_at.0);
    finish(match &request.source {
        RequestSource::Address(IpAddr::V4(address)) => writer.u8(4).raw(&address.octets()),
        RequestSource::Address(IpAddr::V6(address)) => writer.u8(6).raw(&address.octets()),
        RequestSource::Relay(relay) => writer.u8(8).raw(relay.as_bytes()),
    })
}

pub(crate) fn read_request(identity: IdentityKey, bytes: &[u8]) -> Result<ContactRequest, NotARow> {
    read(bytes, |reader| {
        Ok(ContactRequest {
            identity,
            name: text(reader, "name")?,
            card: vec(reader, "card")?,
            text: text(reader, "text")?,
            message_id: MessageId::from_bytes(reader.array("message_id")?),
            signed_hash: SignedHash::from_bytes(reader.array("signed_hash")?),
            sent_at: UnixMillis(reader.u64("sent_at")?),
            received_at: UnixMillis(reader.u64("received_at")?),
            source: match reader.u8("source")? {
                4 => RequestSource::Address(reader.array::<4>("address")?.into()),
                6 => RequestSource::Address(reader.array::<16>("address")?.into()),
                8 => RequestSource::Relay(RelayKey::from_bytes(reader.array("relay")?)),
                _ => return Err(NotARow),
            },
        })
    })
}

/// What of a message from us never changes:
/// `written_at u64 ‖ body_type u16 ‖ counter u64 ‖ text bytes ‖ signed bytes ‖ signature 64`.
pub(crate) fn outgoing(message: &OutgoingMessage) -> Plaintext {
    finish(
        begin(message.text.len() + message.signed.len())
            .u64(message.written_at.0)
            .u16(message.body_type.0)
            .u64(message.counter)
            .bytes32(message.text.as_bytes())
            .bytes32(&message.signed)
            .raw(&message.signature),
    )
}

/// What [`outgoing`] wrote.
pub(crate) struct OutgoingFixed {
    pub(crate) written_at: UnixMillis,
    pub(crate) body_type: BodyType,
    pub(crate) counter: u64,
    pub(crate) text: String,
    pub(crate) signed: Vec<u8>,
    pub(crate) signature: [u8; 64],
}

pub(crate) fn read_outgoing(bytes: &[u8]) -> Result<OutgoingFixed, NotARow> {
    read(bytes, |reader| {
        Ok(OutgoingFixed {
            written_at: UnixMillis(reader.u64("written_at")?),
            body_type: BodyType(reader.u16("body_type")?),
            counter: reader.u64("counter")?,
            text: text(reader, "text")?,
            signed: vec(reader, "signed")?,
            signature: reader.array("signature")?,
        })
    })
}

/// What changes about a message from us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutgoingState {
    pub(crate) envelope_id: Option<EnvelopeId>,
    pub(crate) attempts: u32,
    pub(crate) next_try: Option<UnixMillis>,
    /// Whether there is a receipt, so that it is never due again.
    pub(crate) receipted: bool,
}

/// `envelope_id maybe 32 ‖ attempts u32 ‖ next_try maybe u64 ‖ receipted u8`.
pub(crate) fn outgoing_state(state: &OutgoingState) -> Plaintext {
    let writer = maybe(begin(0), state.envelope_id, |writer, id| writer.raw(id.as_bytes()));
    let writer = writer.u32(state.attempts);
    let writer = maybe(writer, state.next_try, |writer, at| writer.u64(at.0));
    finish(writer.u8(state.receipted.into()))
}

pub(crate) fn read_outgoing_state(bytes: &[u8]) -> Result<OutgoingState, NotARow> {
    read(bytes, |reader| {
        Ok(OutgoingState {
            envelope_id: read_maybe(reader, |reader| {
                Ok(EnvelopeId::from_bytes(reader.array("envelope_id")?))
            })?,
            attempts: reader.u32("attempts")?,
            next_try: read_maybe(reader, |reader| Ok(UnixMillis(reader.u64("next_try")?)))?,
            receipted: flag(reader, "receipted")?,
        })
    })
}

/// What of a message to us never changes: `signed_hash 32 ‖ sent_at u64 ‖
/// received_at u64 ‖ chain_id 8 ‖ counter u64 ‖ body_type u16 ‖ body bytes`.
///
/// # Errors
/// [`StoreError::Unstorable`] for a body that is beyond the limits of its type.
pub(crate) fn incoming(message: &IncomingMessage) -> Result<Plaintext, StoreError> {
    let body = message.body.to_bytes().map(Zeroizing::new);
    let body = body.map_err(|_| StoreError::Unstorable(body_len(&message.body)))?;
    Ok(finish(
        begin(body.len())
            .raw(message.signed_hash.as_bytes())
            .u64(message.sent_at.0)
            .u64(message.received_at.0)
            .raw(message.chain_id.as_bytes())
            .u64(message.counter)
            .u16(message.body.body_type().0)
            .bytes32(&body),
    ))
}

/// What [`incoming`] wrote.
pub(crate) struct IncomingFixed {
    pub(crate) signed_hash: SignedHash,
    pub(crate) sent_at: UnixMillis,
    pub(crate) received_at: UnixMillis,
    pub(crate) chain_id: ChainId,
    pub(crate) counter: u64,
    pub(crate) body: Body,
}

pub(crate) fn read_incoming(bytes: &[u8]) -> Result<IncomingFixed, NotARow> {
    read(bytes, |reader| {
        Ok(IncomingFixed {
            signed_hash: SignedHash::from_bytes(reader.array("signed_hash")?),
            sent_at: UnixMillis(reader.u64("sent_at")?),
            received_at: UnixMillis(reader.u64("received_at")?),
            chain_id: ChainId::from_bytes(reader.array("chain_id")?),
            counter: reader.u64("counter")?,
            body: {
                let body_type = BodyType(reader.u16("body_type")?);
                Body::parse(body_type, reader.bytes32("body", ANY)?).map_err(|_| NotARow)?
            },
        })
    })
}

/// What changes about a message to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IncomingState {
    pub(crate) receipt_at: Option<UnixMillis>,
    pub(crate) read: bool,
}

/// `receipt_at maybe u64 ‖ read u8`.
pub(crate) fn incoming_state(state: &IncomingState) -> Plaintext {
    let writer = maybe(begin(0), state.receipt_at, |writer, at| writer.u64(at.0));
    finish(writer.u8(state.read.into()))
}

pub(crate) fn read_incoming_state(bytes: &[u8]) -> Result<IncomingState, NotARow> {
    read(bytes, |reader| {
        Ok(IncomingState {
            receipt_at: read_maybe(reader, |reader| Ok(UnixMillis(reader.u64("receipt_at")?)))?,
            read: flag(reader, "read")?,
        })
    })
}

/// `kind u8 ‖ at u64`, and for kind 1 (handed) `peer 32`, for 2 (delivered) and 3
/// (read) `proof bytes`, for 4 (cancelled) and 5 (gave up) nothing more, for 6 (at
/// relay) `relay 32 ‖ store_until u64 ‖ proof bytes`.
pub(crate) fn evidence(evidence: &Evidence) -> Plaintext {
    let head = |kind: u8, at: &UnixMillis, long| begin(long).u8(kind).u64(at.0);
    finish(match evidence {
        Evidence::Handed { peer, at } => head(1, at, 0).raw(peer.as_bytes()),
        Evidence::Receipt { kind: ReceiptKind::Delivered, at, proof } => {
            head(2, at, proof.len()).bytes32(proof)
        }
        Evidence::Receipt { kind: ReceiptKind::Read, at, proof } => {
            head(3, at, proof.len()).bytes32(proof)
        }
        Evidence::Cancelled { at } => head(4, at, 0),
        Evidence::GaveUp { at } => head(5, at, 0),
        Evidence::AtRelay { relay, at, store_until, proof } => {
            head(6, at, proof.len()).raw(relay.as_bytes()).u64(store_until.0).bytes32(proof)
        }
    })
}

pub(crate) fn read_evidence(bytes: &[u8]) -> Result<Evidence, NotARow> {
    read(bytes, |reader| {
        let kind = reader.u8("kind")?;
        let at = UnixMillis(reader.u64("at")?);
        Ok(match kind {
            1 => Evidence::Handed { peer: IdentityKey::from_bytes(reader.array("peer")?), at },
            2 | 3 => Evidence::Receipt {
                kind: if kind == 2 { ReceiptKind::Delivered } else { ReceiptKind::Read },
                at,
                proof: vec(reader, "proof")?,
            },
            4 => Evidence::Cancelled { at },
            5 => Evidence::GaveUp { at },
            6 => Evidence::AtRelay {
                relay: RelayKey::from_bytes(reader.array("relay")?),
                at,
                store_until: UnixMillis(reader.u64("store_until")?),
                proof: vec(reader, "proof")?,
            },
            _ => return Err(NotARow),
        })
    })
}

/// What makes two pieces of evidence for one message the same: a peer or a relay
/// has it once, a receipt of a kind, a cancellation and a giving up count once.
pub(crate) fn evidence_sameness(message_id: &MessageId, evidence: &Evidence) -> Vec<u8> {
    let (kind, peer): (u8, &[u8]) = match evidence {
        Evidence::Handed { peer, .. } => (1, peer.as_bytes()),
        Evidence::Receipt { kind: ReceiptKind::Delivered, .. } => (2, &[]),
        Evidence::Receipt { kind: ReceiptKind::Read, .. } => (3, &[]),
        Evidence::Cancelled { .. } => (4, &[]),
        Evidence::GaveUp { .. } => (5, &[]),
        Evidence::AtRelay { relay, .. } => (6, relay.as_bytes()),
    };
    Writer::new().raw(message_id.as_bytes()).u8(kind).raw(peer).into_vec()
}

/// `purpose u8 (1 message ‖ message_id 32, 2 receipt, 3 carried) ‖ ttl u8 ‖ stamp
/// bytes ‖ purge_key maybe 32 ‖ envelope bytes`.
pub(crate) fn envelope(held: &HeldEnvelope) -> Plaintext {
    let begin = begin(held.stamp.len() + held.envelope.as_bytes().len());
    let writer = match &held.purpose {
        Purpose::Message(message_id) => begin.u8(1).raw(message_id.as_bytes()),
        Purpose::Receipt => begin.u8(2),
        Purpose::Carried => begin.u8(3),
    };
    let writer = writer.u8(held.ttl).bytes32(&held.stamp);
    let writer = maybe(writer, held.purge_key.as_ref(), |writer, key| writer.raw(key.as_bytes()));
    finish(writer.bytes32(held.envelope.as_bytes()))
}

pub(crate) fn read_envelope(
    contact: IdentityKey,
    id: &EnvelopeId,
    bytes: &[u8],
) -> Result<HeldEnvelope, NotARow> {
    read(bytes, |reader| {
        let purpose = match reader.u8("purpose")? {
            1 => Purpose::Message(MessageId::from_bytes(reader.array("message_id")?)),
            2 => Purpose::Receipt,
            3 => Purpose::Carried,
            _ => return Err(NotARow),
        };
        let ttl = reader.u8("ttl")?;
        let stamp = vec(reader, "stamp")?;
        let purge_key =
            read_maybe(reader, |reader| Ok(PurgeKey::from_bytes(reader.array("purge_key")?)))?;
        let envelope = Envelope::parse(vec(reader, "envelope")?).map_err(|_| NotARow)?;
        if envelope.id() != *id {
            return Err(NotARow);
        }
        Ok(HeldEnvelope { envelope, contact, purpose, ttl, stamp, purge_key })
    })
}

/// `purge_key 32`.
pub(crate) fn seen(purge_key: &PurgeKey) -> Plaintext {
    finish(begin(0).raw(purge_key.as_bytes()))
}

pub(crate) fn read_seen(bytes: &[u8]) -> Result<PurgeKey, NotARow> {
    read(bytes, |reader| Ok(PurgeKey::from_bytes(reader.array("purge_key")?)))
}

/// `count u16 ‖ [relay 32 ‖ mailbox 32]*`.
///
/// # Errors
/// [`StoreError::Unstorable`] for more than 65,535.
pub(crate) fn own_relays(relays: &[RegisteredMailbox]) -> Result<Plaintext, StoreError> {
    let count = u16::try_from(relays.len()).map_err(|_| StoreError::Unstorable(relays.len()))?;
    let writer = begin(64 * relays.len()).u16(count);
    Ok(finish(relays.iter().fold(writer, |writer, registered| {
        writer.raw(registered.relay.as_bytes()).raw(registered.mailbox.as_bytes())
    })))
}

pub(crate) fn read_own_relays(bytes: &[u8]) -> Result<Vec<RegisteredMailbox>, NotARow> {
    read(bytes, |reader| {
        let count = reader.u16("count")?;
        (0..count)
            .map(|_| {
                Ok(RegisteredMailbox {
                    relay: RelayKey::from_bytes(reader.array("relay")?),
                    mailbox: MailboxKey::from_bytes(reader.array("mailbox")?),
                })
            })
            .collect()
    })
}

/// `count u16 ‖ [relay bytes]*`, each as an invite has it.
///
/// # Errors
/// [`StoreError::Unstorable`] for more than 65,535.
pub(crate) fn adopted_relays(relays: &[RelayAddress]) -> Result<Plaintext, StoreError> {
    let count = u16::try_from(relays.len()).map_err(|_| StoreError::Unstorable(relays.len()))?;
    let writer = begin(256 * relays.len()).u16(count);
    Ok(finish(relays.iter().fold(writer, |writer, relay| writer.bytes32(&relay.to_bytes()))))
}

pub(crate) fn read_adopted_relays(bytes: &[u8]) -> Result<Vec<RelayAddress>, NotARow> {
    read(bytes, |reader| {
        let count = reader.u16("count")?;
        let address = |_| RelayAddress::parse(&vec(reader, "relay")?).map_err(|_| NotARow);
        (0..count).map(address).collect()
    })
}

/// `envelope bytes`.
pub(crate) fn unopened(envelope: &Envelope) -> Plaintext {
    finish(begin(envelope.as_bytes().len()).bytes32(envelope.as_bytes()))
}

pub(crate) fn read_unopened(id: &EnvelopeId, bytes: &[u8]) -> Result<Envelope, NotARow> {
    read(bytes, |reader| {
        let envelope = Envelope::parse(vec(reader, "envelope")?).map_err(|_| NotARow)?;
        if envelope.id() != *id {
            return Err(NotARow);
        }
        Ok(envelope)
    })
}

/// Starts a row. `long` is the length of its fields of variable length: with room
/// for all of it the buffer never moves and leaves no copies behind.
fn begin(long: usize) -> Writer {
    Writer::with_capacity(256 + long).u8(ROW_LAYOUT)
}

fn finish(writer: Writer) -> Plaintext {
    Zeroizing::new(writer.into_vec())
}

fn read<'a, T>(
    bytes: &'a [u8],
    fields: impl FnOnce(&mut Reader<'a>) -> Result<T, NotARow>,
) -> Result<T, NotARow> {
    let mut reader = Reader::new(bytes);
    if reader.u8("layout")? != ROW_LAYOUT {
        return Err(NotARow);
    }
    let value = fields(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

fn maybe<T>(writer: Writer, value: Option<T>, write: impl FnOnce(Writer, T) -> Writer) -> Writer {
    match value {
        None => writer.u8(0),
        Some(value) => write(writer.u8(1), value),
    }
}

fn read_maybe<'a, T>(
    reader: &mut Reader<'a>,
    field: impl FnOnce(&mut Reader<'a>) -> Result<T, NotARow>,
) -> Result<Option<T>, NotARow> {
    if flag(reader, "present")? { field(reader).map(Some) } else { Ok(None) }
}

fn flag(reader: &mut Reader<'_>, field: &'static str) -> Result<bool, NotARow> {
    match reader.u8(field)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(NotARow),
    }
}

fn vec(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<u8>, NotARow> {
    Ok(reader.bytes32(field, ANY)?.to_vec())
}

fn text(reader: &mut Reader<'_>, field: &'static str) -> Result<String, NotARow> {
    String::from_utf8(vec(reader, field)?).map_err(|_| NotARow)
}

/// The bytes that are in a body, for a message about it.
fn body_len(body: &Body) -> usize {
    match body {
        Body::Text(text) => text.len(),
        Body::Receipt(entries) => entries.len(),
        Body::ContactRequest { card, text } => card.len() + text.len(),
        Body::ContactAccept { card, .. } | Body::Card { card } => card.len(),
        Body::ResendRequest(_) => 0,
        Body::Unknown { bytes, .. } => bytes.len(),
    }
}
