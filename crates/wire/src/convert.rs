//! From protobuf messages to checked frames and back.

use core::num::NonZeroU16;

use prost::Message as _;
use tortalk_model::UnixMillis;

use crate::frame::{Frame, FrameType};
use crate::frames::{
    Ack, AckResult, Auth, Bye, ByeReason, Card, EnvelopeIds, Hello, MailboxProof, Mailboxes, Msg,
    Ping, Pong, PurgeKeys, Push, RefusalReason,
};
use crate::proto;

/// Why a frame's body is not what its type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{message}.{field}: {fault}")]
pub struct BodyError {
    /// The message, as `proto/` names it.
    pub message: &'static str,
    /// The field, as `proto/` names it; `*` when the whole message is meant.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: FieldFault,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldFault {
    /// The bytes are not protobuf, or a known field has another wire type.
    #[error("not protobuf")]
    NotProtobuf,
    /// A length or count that is not allowed; in bytes or elements.
    #[error("a length of {0} is not allowed")]
    Length(usize),
    /// A number outside its range.
    #[error("{0} is out of range")]
    Range(u64),
    /// An enum value that is unspecified, unknown, or does not fit the others.
    #[error("the value {0} is not allowed")]
    Value(i32),
}

/// Appends a frame's body to `out`.
pub(crate) fn encode_body(frame: &Frame, out: &mut Vec<u8>) {
    let done = match frame {
        Frame::Auth(auth) => proto::Auth {
            identity: auth.identity.as_bytes().to_vec(),
            device_id: auth.device_id.as_bytes().to_vec(),
            instance_id: auth.instance_id.as_bytes().to_vec(),
            version: auth.version.into(),
            signature: auth.signature.to_vec(),
        }
        .encode(out),
        Frame::Mailboxes(mailboxes) => proto::Mailboxes {
            proofs: mailboxes
                .proofs()
                .iter()
                .map(|proof| proto::MailboxProof {
                    mailbox: proof.mailbox.as_bytes().to_vec(),
                    signature: proof.signature.to_vec(),
                })
                .collect(),
        }
        .encode(out),
        Frame::Hello(hello) => proto::Hello {
            features: hello.features.to_vec(),
            store_id: hello.store_id.as_bytes().to_vec(),
            now: hello.now.0,
            your_card_seq: hello.your_card_seq,
            my_card_seq: hello.my_card_seq,
            unacked_max: u32::from(hello.unacked_max.get()),
        }
        .encode(out),
        Frame::Bye(bye) => proto::Bye { reason: bye_reason(bye.reason).into() }.encode(out),
        Frame::Ping(ping) => proto::Ping { nonce: ping.nonce }.encode(out),
        Frame::Pong(pong) => proto::Pong { nonce: pong.nonce }.encode(out),
        Frame::Card(card) => proto::Card { card: card.card.to_vec() }.encode(out),
        Frame::Pull => proto::Pull {}.encode(out),
        Frame::Push(push) => proto::Push { count: push.count }.encode(out),
        Frame::Msg(msg) => proto::Msg {
            ttl: msg.ttl.into(),
            stamp: msg.stamp.to_vec(),
            envelope: msg.envelope.to_vec(),
        }
        .encode(out),
        Frame::End => proto::End {}.encode(out),
        Frame::Ack(ack) => {
            let (result, reason) = ack_result(ack.result);
            proto::Ack {
                id: ack.id.as_bytes().to_vec(),
                result: result.into(),
                reason: reason.into(),
                retry_after_s: ack.retry_after_s,
                now: ack.now.0,
            }
            .encode(out)
        }
        Frame::Have(ids) => proto::Have { ids: id_vecs(ids) }.encode(out),
        Frame::Want(ids) => proto::Want { ids: id_vecs(ids) }.encode(out),
        Frame::Purge(keys) => proto::Purge {
            keys: keys.as_slice().iter().map(|key| key.as_bytes().to_vec()).collect(),
        }
        .encode(out),
    };
    done.expect("a vector grows as far as it must");
}

/// Reads the body of a frame; `None` when the type is not known.
pub(crate) fn decode_body(kind: FrameType, body: &[u8]) -> Option<Result<Frame, BodyError>> {
    let frame = match kind {
        FrameType::AUTH => read("Auth", body, auth).map(Frame::Auth),
        FrameType::MAILBOXES => read("Mailboxes", body, mailboxes).map(Frame::Mailboxes),
        FrameType::HELLO => read("Hello", body, hello).map(Frame::Hello),
        FrameType::BYE => read("Bye", body, bye).map(Frame::Bye),
        FrameType::PING => {
            read("Ping", body, |p: proto::Ping| Ok(Ping { nonce: p.nonce })).map(Frame::Ping)
        }
        FrameType::PONG => {
            read("Pong", body, |p: proto::Pong| Ok(Pong { nonce: p.nonce })).map(Frame::Pong)
        }
        FrameType::CARD => read("Card", body, card).map(Frame::Card),
        FrameType::PULL => read("Pull", body, |_: proto::Pull| Ok(Frame::Pull)),
        FrameType::PUSH => {
            read("Push", body, |p: proto::Push| Ok(Push { count: p.count })).map(Frame::Push)
        }
        FrameType::MSG => read("Msg", body, msg).map(Frame::Msg),
        FrameType::END => read("End", body, |_: proto::End| Ok(Frame::End)),
        FrameType::ACK => read("Ack", body, ack).map(Frame::Ack),
        FrameType::HAVE => {
            read("Have", body, |p: proto::Have| envelope_ids("Have", &p.ids)).map(Frame::Have)
        }
        FrameType::WANT => {
            read("Want", body, |p: proto::Want| envelope_ids("Want", &p.ids)).map(Frame::Want)
        }
        FrameType::PURGE => read("Purge", body, purge).map(Frame::Purge),
        _ => return None,
    };
    Some(frame)
}

fn read<P: prost::Message + Default, T>(
    message: &'static str,
    body: &[u8],
    check: impl FnOnce(P) -> Result<T, BodyError>,
) -> Result<T, BodyError> {
    // req: LNK-38, LNK-40
    let parsed = P::decode(body).map_err(|_| fault(message, "*", FieldFault::NotProtobuf))?;
    check(parsed)
}

fn auth(auth: proto::Auth) -> Result<Auth, BodyError> {
    const M: &str = "Auth";
    Ok(Auth {
        identity: fixed(M, "identity", &auth.identity)?,
        device_id: fixed(M, "device_id", &auth.device_id)?,
        instance_id: fixed(M, "instance_id", &auth.instance_id)?,
        version: u16::try_from(auth.version)
            .map_err(|_| fault(M, "version", FieldFault::Range(auth.version.into())))?,
        signature: fixed(M, "signature", &auth.signature)?,
    })
}

fn mailboxes(mailboxes: proto::Mailboxes) -> Result<Mailboxes, BodyError> {
    const M: &str = "MailboxProof";
    let proofs = mailboxes
        .proofs
        .iter()
        .map(|proof| {
            Ok(MailboxProof {
                mailbox: fixed(M, "mailbox", &proof.mailbox)?,
                signature: fixed(M, "signature", &proof.signature)?,
            })
        })
        .collect::<Result<_, _>>()?;
    Mailboxes::new(proofs).map_err(|e| fault("Mailboxes", "proofs", FieldFault::Length(e.found)))
}

fn hello(hello: proto::Hello) -> Result<Hello, BodyError> {
    const M: &str = "Hello";
    let unacked_max = u16::try_from(hello.unacked_max).ok().and_then(NonZeroU16::new);
    Ok(Hello {
        features: bounded(M, "features", hello.features)?,
        store_id: fixed(M, "store_id", &hello.store_id)?,
        now: UnixMillis(hello.now),
        your_card_seq: hello.your_card_seq,
        my_card_seq: hello.my_card_seq,
        unacked_max: unacked_max
            .ok_or_else(|| fault(M, "unacked_max", FieldFault::Range(hello.unacked_max.into())))?,
    })
}

// req: LNK-41
fn bye(bye: proto::Bye) -> Result<Bye, BodyError> {
    use proto::ByeReason as P;
    let reason = match bye.reason() {
        P::Unspecified => ByeReason::Unspecified,
        P::Shutdown => ByeReason::Shutdown,
        P::Duplicate => ByeReason::Duplicate,
        P::Policy => ByeReason::Policy,
        P::Age => ByeReason::Age,
        P::Protocol => ByeReason::Protocol,
    };
    Ok(Bye { reason })
}

const fn bye_reason(reason: ByeReason) -> proto::ByeReason {
    use proto::ByeReason as P;
    match reason {
        ByeReason::Unspecified => P::Unspecified,
        ByeReason::Shutdown => P::Shutdown,
        ByeReason::Duplicate => P::Duplicate,
        ByeReason::Policy => P::Policy,
        ByeReason::Age => P::Age,
        ByeReason::Protocol => P::Protocol,
    }
}

fn card(card: proto::Card) -> Result<Card, BodyError> {
    Ok(Card { card: bounded("Card", "card", card.card)? })
}

fn msg(msg: proto::Msg) -> Result<Msg, BodyError> {
    const M: &str = "Msg";
    Ok(Msg {
        ttl: u8::try_from(msg.ttl)
            .map_err(|_| fault(M, "ttl", FieldFault::Range(msg.ttl.into())))?,
        stamp: bounded(M, "stamp", msg.stamp)?,
        envelope: bounded(M, "envelope", msg.envelope)?,
    })
}

fn ack(ack: proto::Ack) -> Result<Ack, BodyError> {
    const M: &str = "Ack";
    let reason = ack.reason;
    let result = match ack.result() {
        proto::AckResult::Stored => AckResult::Stored,
        proto::AckResult::Duplicate => AckResult::Duplicate,
        proto::AckResult::Refused => AckResult::Refused(refusal_reason(ack.reason())),
        proto::AckResult::Unspecified => {
            return Err(fault(M, "result", FieldFault::Value(ack.result)));
        }
    };
    let refused = matches!(result, AckResult::Refused(_));
    // req: LNK-42
    if !refused && reason != 0 && !tortalk_model::deviate!(skip_lnk_42) {
        return Err(fault(M, "reason", FieldFault::Value(reason)));
    }
    Ok(Ack {
        id: fixed(M, "id", &ack.id)?,
        result,
        retry_after_s: ack.retry_after_s,
        now: UnixMillis(ack.now),
    })
}

fn envelope_ids(message: &'static str, ids: &[Vec<u8>]) -> Result<EnvelopeIds, BodyError> {
    let ids = ids.iter().map(|id| fixed(message, "ids", id)).collect::<Result<_, _>>()?;
    EnvelopeIds::new(ids).map_err(|e| fault(message, "ids", FieldFault::Length(e.found)))
}

fn purge(purge: proto::Purge) -> Result<PurgeKeys, BodyError> {
    const M: &str = "Purge";
    let keys = purge.keys.iter().map(|key| fixed(M, "keys", key)).collect::<Result<_, _>>()?;
    PurgeKeys::new(keys).map_err(|e| fault(M, "keys", FieldFault::Length(e.found)))
}

fn id_vecs(ids: &EnvelopeIds) -> Vec<Vec<u8>> {
    ids.as_slice().iter().map(|id| id.as_bytes().to_vec()).collect()
}

// req: LNK-41
const fn refusal_reason(reason: proto::RefusalReason) -> RefusalReason {
    use proto::RefusalReason as P;
    match reason {
        P::Unspecified => RefusalReason::Unspecified,
        P::Expired => RefusalReason::Expired,
        P::NotForMe => RefusalReason::NotForMe,
        P::Quota => RefusalReason::Quota,
        P::Malformed => RefusalReason::Malformed,
        P::Busy => RefusalReason::Busy,
        P::UnknownKey => RefusalReason::UnknownKey,
    }
}

const fn ack_result(result: AckResult) -> (proto::AckResult, proto::RefusalReason) {
    use proto::RefusalReason as P;
    let reason = match result {
        AckResult::Stored => return (proto::AckResult::Stored, P::Unspecified),
        AckResult::Duplicate => return (proto::AckResult::Duplicate, P::Unspecified),
        AckResult::Refused(RefusalReason::Unspecified) => P::Unspecified,
        AckResult::Refused(RefusalReason::Expired) => P::Expired,
        AckResult::Refused(RefusalReason::NotForMe) => P::NotForMe,
        AckResult::Refused(RefusalReason::Quota) => P::Quota,
        AckResult::Refused(RefusalReason::Malformed) => P::Malformed,
        AckResult::Refused(RefusalReason::Busy) => P::Busy,
        AckResult::Refused(RefusalReason::UnknownKey) => P::UnknownKey,
    };
    (proto::AckResult::Refused, reason)
}

/// A field of exactly the length that its type has.
// req: LNK-39
fn fixed<'a, T: TryFrom<&'a [u8]>>(
    message: &'static str,
    field: &'static str,
    bytes: &'a [u8],
) -> Result<T, BodyError> {
    T::try_from(bytes).map_err(|_| fault(message, field, FieldFault::Length(bytes.len())))
}

/// A field of a length within the limits of its type.
fn bounded<T: TryFrom<Vec<u8>>>(
    message: &'static str,
    field: &'static str,
    bytes: Vec<u8>,
) -> Result<T, BodyError> {
    let found = bytes.len();
    T::try_from(bytes).map_err(|_| fault(message, field, FieldFault::Length(found)))
}

const fn fault(message: &'static str, field: &'static str, fault: FieldFault) -> BodyError {
    BodyError { message, field, fault }
}

#[cfg(test)]
pub(crate) mod tests;
