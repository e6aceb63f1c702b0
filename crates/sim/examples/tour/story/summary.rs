//! What the tour comes to: states, sizes, and who saw what.

use crate::cast::{Journey, SENT_AT, TAKEN_AT, TEXT};
use crate::dump::grouped;

pub(super) fn states(journey: &Journey) -> String {
    let [queued, handed, delivered] = journey.states.map(tortalk_mesh::DeliveryState::word);
    let rows = [
        ("step 2: it is on Alice's disk, with an envelope", SENT_AT.0, queued),
        ("step 9: one peer has acknowledged it", TAKEN_AT.0, handed),
        ("step 10: Bob's signed receipt is on Alice's disk", TAKEN_AT.0, delivered),
    ]
    .map(|(evidence, at, word)| format!("| {evidence} | {at} | {word} |\n"))
    .concat();
    format!(
        "## 11. What Alice was shown

| evidence | time in ms | state |
|---|---|---|
{rows}
A state is computed from stored evidence and from nothing else, so it is never ahead of what is
known ([delivery.md, section 1](../spec/delivery.md#1-states), DLV-01, DLV-02).
"
    )
}

pub(super) fn sizes(journey: &Journey) -> String {
    let signed = journey.message.bytes().len();
    let envelope = journey.sealed.envelope.as_bytes().len();
    let plain = journey.sealed.envelope.sealed().len() - 1_120 - 16;
    let frame = journey.msg.encode().len();
    let rows = [
        ("text", TEXT.len(), ""),
        ("signed bytes", signed, "who, to whom, when, which"),
        ("plaintext of the seal", plain, "signature, purge key, padding"),
        ("sealed", plain + 1_120 + 16, "post-quantum encapsulation 1,120, tag 16"),
        ("envelope", envelope, "header"),
        ("frame", frame, "length, type, protobuf"),
        ("record", journey.msg_record.len(), "length, tag"),
        ("acknowledgement, as a record", journey.ack_record.len(), ""),
        ("receipt, as a record", journey.receipt_record.len(), "the same layers once more"),
    ];
    let rows = rows
        .map(|(layer, bytes, adds)| format!("| {layer} | {} | {adds} |\n", grouped(bytes)))
        .concat();
    format!(
        "## 12. How large it is at each layer

| layer | bytes | what was added |
|---|---|---|
{rows}"
    )
}

/// Who, what they see, and what they do not see.
const OBSERVERS: [[&str; 3]; 5] = [
    [
        "somebody on the network",
        "two addresses, when, and record sizes: a handshake, an envelope of the smallest size \
         class, something small, and an envelope of the next class back",
        "who the two are, the mailbox, the text",
    ],
    [
        "a carrier (a contact of both)",
        "the envelope, from whom it came, and to whom it hands it: that Alice and Bob talk",
        "the text, whether it is a message or a receipt",
    ],
    [
        "a relay",
        "the mailbox key, the size class, the hour of expiry, and addresses where Tor does not \
         hide them",
        "who Bob is, who Alice is, the text",
    ],
    ["Bob", "everything; and he can prove to others that Alice wrote it", ""],
    [
        "a thief of Bob's device",
        "what is stored there, and what is in recorded envelopes of the last 44 days",
        "what is in older envelopes: their keys are erased",
    ],
];

pub(super) fn observers() -> String {
    let rows = OBSERVERS.map(|[who, sees, not]| format!("| {who} | {sees} | {not} |\n")).concat();
    format!(
        "## 13. Who sees what

| who | sees | does not see |
|---|---|---|
{rows}
The whole list, with what is not promised, is in [SECURITY.md](../SECURITY.md).
"
    )
}
