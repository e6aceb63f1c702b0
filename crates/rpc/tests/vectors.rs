//! The vectors of the relay's messages (spec/vectors/rpc.json): `UPDATE_VECTORS=1` writes them.

use prost::Message;
use tortalk_rpc::v1;
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};

const ABOUT: &str = "`bytes` are a message of proto/tortalk/v1/relay.proto, `type` is its name. \
    `ok`: it parses, and `output.again` is the same written anew: fields in the order of their \
    numbers, each as often and as short as it has to be, without fields that are empty or not \
    known. `decode`: it does not parse. What a relay or client makes of its fields is not judged.";

#[test]
fn rpc() {
    let mut vectors = parsed();
    vectors.extend(over_32_bits());
    vectors.extend(other_wire_types());
    vectors.extend(no_protobuf());
    check("rpc.json", ABOUT, vectors, run);
}

fn run(vector: &Vector) -> Outcome {
    let bytes = &vector.bytes("bytes")[..];
    let again = match vector.str("type") {
        "GetInfoRequest" => again::<v1::GetInfoRequest>(bytes),
        "GetInfoResponse" => again::<v1::GetInfoResponse>(bytes),
        "SyncRequest" => again::<v1::SyncRequest>(bytes),
        "SyncResponse" => again::<v1::SyncResponse>(bytes),
        "PullRequest" => again::<v1::PullRequest>(bytes),
        "PullResponse" => again::<v1::PullResponse>(bytes),
        "PurgeRequest" => again::<v1::PurgeRequest>(bytes),
        "PutCardRequest" => again::<v1::PutCardRequest>(bytes),
        "PutCardResponse" => again::<v1::PutCardResponse>(bytes),
        "GetCardRequest" => again::<v1::GetCardRequest>(bytes),
        "GetCardResponse" => again::<v1::GetCardResponse>(bytes),
        other => panic!("{}: type `{other}`", vector.id),
    };
    again.map_or_else(|| Verdict::Decode.into(), |again| Outcome::ok().hex("again", again))
}

fn again<M: Message + Default>(bytes: &[u8]) -> Option<Vec<u8>> {
    M::decode(bytes).ok().map(|message| message.encode_to_vec())
}

fn ok(id: &str, req: &[&str], comment: &str, message: &str, bytes: Vec<u8>) -> Vector {
    let mut vector = Vector::ok(id, req, comment).text("type", message).hex("bytes", bytes);
    let outcome = run(&vector);
    assert_eq!(outcome.verdict, Verdict::Ok, "{id}");
    vector.output = outcome.output;
    vector
}

fn refused(id: &str, comment: &str, message: &str, bytes: Vec<u8>) -> Vector {
    Vector::refused(id, &["CNV-18"], comment, Verdict::Decode)
        .text("type", message)
        .hex("bytes", bytes)
}

fn parsed() -> Vec<Vector> {
    let proof = bytes(1, &[bytes(1, &[1; 32]), bytes(6, &[2; 64])].concat());
    let ack = bytes(2, &[bytes(1, &[3; 16]), number(2, 7)].concat());
    let put = [bytes(4, &[2; 64]), bytes(3, &[5; 9]), number(2, 9), bytes(1, &[1; 32])].concat();
    let ok = |id, comment, message, bytes| ok(id, &["CNV-18"], comment, message, bytes);
    vec![
        ok("rpc-backwards", "a drop with its fields backwards", "PutCardRequest", put),
        ok("rpc-unknown-field", "a field 15 beside the mailbox", "GetCardRequest", {
            [bytes(1, &[1; 32]), bytes(15, &[1, 2])].concat()
        }),
        ok("rpc-last-counts", "a stamp twice: the last one counts", "SyncRequest", {
            [bytes(1, &[1; 16]), bytes(2, &[4]), bytes(1, &[2; 16])].concat()
        }),
        ok("rpc-last-step", "a proof and an ack: the last one counts", "PullRequest", {
            [proof, ack].concat()
        }),
        ok("rpc-long-varint", "a sequence 5 in two bytes", "GetCardResponse", vec![8, 0x85, 0]),
        ok(
            "rpc-packed-or-not",
            "versions 1 and 2 in one field, 3 in another",
            "GetInfoResponse",
            [bytes(4, &[1, 2]), number(4, 3)].concat(),
        ),
        ok("rpc-empty", "no field at all", "PutCardResponse", Vec::new()),
    ]
}

fn over_32_bits() -> Vec<Vector> {
    let ok = |id, comment, message, bytes| ok(id, &["CNV-19"], comment, message, bytes);
    vec![
        ok("rpc-port-over", "an onion port of 2^32 + 80 is 80", "GetInfoResponse", {
            number(6, (1 << 32) + 80)
        }),
        ok("rpc-versions-over", "versions 2^32 + 1 and 2^63 + 2", "GetInfoResponse", {
            bytes(4, &[varint((1 << 32) + 1), varint((1 << 63) + 2)].concat())
        }),
        ok("rpc-result-over", "a result of 2^32 + 1 is STORED", "PutCardResponse", {
            number(1, (1 << 32) + 1)
        }),
        ok("rpc-reason-over", "a refusal with 2^32 + 3, which is BUSY", "SyncResponse", {
            bytes(3, &[bytes(1, &[1; 32]), number(2, (1 << 32) + 3)].concat())
        }),
    ]
}

fn other_wire_types() -> Vec<Vector> {
    let mailbox = || bytes(1, &[1; 32]);
    vec![
        refused("rpc-number-for-bytes", "an envelope as a number", "SyncRequest", number(2, 7)),
        refused("rpc-bytes-for-number", "a sequence as bytes", "PutCardRequest", bytes(2, &[9])),
        refused("rpc-number-for-key", "a purge key as a number", "PurgeRequest", number(1, 7)),
        refused("rpc-number-for-message", "a proof as a number", "PullRequest", number(1, 7)),
        refused("rpc-fixed64", "a sequence of wire type 1", "PutCardRequest", {
            [mailbox(), vec![0x11, 9, 0, 0, 0, 0, 0, 0, 0]].concat()
        }),
        refused("rpc-fixed32", "versions of wire type 5", "GetInfoResponse", {
            vec![0x25, 1, 0, 0, 0]
        }),
        refused("rpc-group", "a mailbox as a group", "GetCardRequest", vec![0x0b, 0x0c]),
        refused("rpc-beside", "a good mailbox, and a number in its place", "GetCardRequest", {
            [mailbox(), number(1, 7)].concat()
        }),
        refused("rpc-inside", "an acknowledged sequence as bytes", "PullRequest", {
            bytes(2, &[bytes(1, &[3; 16]), bytes(2, &[7])].concat())
        }),
        refused("rpc-inside-repeated", "the second refusal's time as bytes", "SyncResponse", {
            let good = bytes(1, &[1; 32]);
            let bad = [&good[..], &bytes(3, &[60])].concat();
            [bytes(3, &good), bytes(3, &bad)].concat()
        }),
        refused(
            "rpc-inside-two",
            "a receipt's time as bytes, two messages down",
            "SyncResponse",
            bytes(2, &bytes(1, &bytes(1, &[9]))),
        ),
    ]
}

fn no_protobuf() -> Vec<Vector> {
    vec![
        refused("rpc-rubbish", "0xff bytes", "GetInfoRequest", vec![0xff; 11]),
        refused("rpc-cut", "a nonce that ends early", "GetInfoRequest", vec![0x0a, 32, 1, 2]),
        refused(
            "rpc-cut-inside",
            "an ack that ends early",
            "PullRequest",
            vec![0x12, 2, 0x10, 0x80],
        ),
        refused("rpc-varint-too-long", "a number of 11 bytes", "GetCardResponse", {
            [&[0x08][..], &[0x80; 10], &[1]].concat()
        }),
        refused("rpc-field-0", "a field 0", "GetCardRequest", vec![0x00, 1]),
        refused(
            "rpc-wire-type-7",
            "a wire type that there is not",
            "GetCardRequest",
            vec![0x7f, 1],
        ),
    ]
}

/// A protobuf field of wire type 0.
fn number(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3], varint(value)].concat()
}

/// A protobuf field of wire type 2.
fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    [vec![field << 3 | 2], varint(value.len() as u64), value.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}
