//! Frames as the vectors write them.

use serde_json::{Value, json};

use super::hex;
use crate::stack::Taken;
use crate::stack::frame::{Frame, Frames};
use crate::stack::v1::{AckResult, ByeReason, Mailboxes, RefusalReason};

/// Reads a whole stream; what it ends inside of is left out.
pub(super) fn answer(stream: &[u8]) -> Taken<Value> {
    let mut frames = Frames::default();
    frames.put(stream);
    let mut list = Vec::new();
    while let Some(frame) = frames.next()? {
        list.push(written(&frame));
    }
    Ok(json!({"frames": list}))
}

fn ids(list: &[Vec<u8>]) -> Value {
    list.iter().map(|id| hex(id)).collect()
}

fn proofs(frame: &Mailboxes) -> Value {
    let mut list = Vec::new();
    for proof in &frame.proofs {
        let (mailbox, signature) = (hex(&proof.mailbox), hex(&proof.signature));
        list.push(json!({"mailbox": mailbox, "signature": signature}));
    }
    list.into()
}

/// A name of `proto/` without the enum's name in front.
fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

fn written(frame: &Frame) -> Value {
    let mut value = match frame {
        Frame::Auth(m) => json!({
            "identity": hex(&m.identity),
            "device_id": hex(&m.device_id),
            "instance_id": hex(&m.instance_id),
            "version": m.version,
            "signature": hex(&m.signature),
        }),
        Frame::Bye(m) => {
            let reason = ByeReason::try_from(m.reason).unwrap_or(ByeReason::Unspecified);
            json!({"reason": short(reason.as_str_name(), "BYE_REASON_")})
        }
        Frame::Ping(m) => json!({"nonce": m.nonce.to_string()}),
        Frame::Pong(m) => json!({"nonce": m.nonce.to_string()}),
        Frame::Mailboxes(m) => json!({"proofs": proofs(m)}),
        Frame::Hello(m) => json!({
            "features": hex(&m.features),
            "store_id": hex(&m.store_id),
            "now": m.now.to_string(),
            "your_card_seq": m.your_card_seq.to_string(),
            "my_card_seq": m.my_card_seq.to_string(),
            "unacked_max": m.unacked_max,
        }),
        Frame::Card(m) => json!({"card": hex(&m.card)}),
        Frame::Pull(_) | Frame::End(_) => json!({}),
        Frame::Push(m) => json!({"count": m.count}),
        Frame::Msg(m) => json!({
            "ttl": m.ttl,
            "stamp": hex(&m.stamp),
            "envelope": hex(&m.envelope),
        }),
        Frame::Ack(m) => {
            let result = AckResult::try_from(m.result).unwrap_or(AckResult::Unspecified);
            let reason = RefusalReason::try_from(m.reason).unwrap_or(RefusalReason::Unspecified);
            json!({
                "id": hex(&m.id),
                "result": short(result.as_str_name(), "ACK_RESULT_"),
                "reason": short(reason.as_str_name(), "REFUSAL_REASON_"),
                "retry_after_s": m.retry_after_s,
                "now": m.now.to_string(),
            })
        }
        Frame::Have(m) => json!({"ids": ids(&m.ids)}),
        Frame::Want(m) => json!({"ids": ids(&m.ids)}),
        Frame::Purge(m) => json!({"keys": ids(&m.keys)}),
    };
    value["frame"] = frame.name().into();
    value
}
