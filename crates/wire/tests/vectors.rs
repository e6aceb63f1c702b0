//! `spec/vectors/frame.json` and `spec/vectors/beacon.json`.

use core::num::NonZeroU16;

use serde_json::{Value, json};
use tortalk_model::{
    DeviceId, EnvelopeId, IdentityKey, InstanceId, MailboxKey, PurgeKey, StoreId, UnixMillis,
};
use tortalk_testkit::hex;
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};
use tortalk_wire::{
    Ack, AckResult, Auth, Beacon, BeaconError, Bye, ByeReason, Card, EnvelopeIds, FieldFault,
    Frame, FrameDecoder, FrameError, Hello, MailboxProof, Mailboxes, Msg, Ping, Pong, PurgeKeys,
    Push, RefusalReason,
};

#[test]
fn frames() {
    check(
        "frame.json",
        "`stream` is the byte stream of an authenticated link, from its first byte. `ok`: every \
         frame in it is accepted; `output.frames` lists those that are not skipped, with 64-bit \
         numbers as decimal text. `decode`: no framing or no protobuf. `rule`: a type, length or \
         value that is not allowed. A stream may end inside a frame. Where `times` is given, the \
         stream is `stream` so many times, one behind the other.",
        frame_vectors(),
        |vector| run_frames(&stream_of(vector)),
    );
}

#[test]
fn beacons() {
    check(
        "beacon.json",
        "`datagram` is what a UDP packet holds. `ok`: it is a beacon and says what `output` says. \
         `decode`: too long or no protobuf. `rule`: a value that is not allowed.",
        beacon_vectors(),
        run_beacon,
    );
}

fn stream_of(vector: &Vector) -> Vec<u8> {
    let times = if vector.input.contains_key("times") { vector.u64("times") } else { 1 };
    vector.bytes("stream").repeat(times as usize)
}

fn run_frames(stream: &[u8]) -> Outcome {
    // Byte by byte: how the stream is cut must not matter.
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    for byte in stream {
        match decoder.next(&mut core::slice::from_ref(byte)) {
            Ok(frame) => frames.extend(frame.as_ref().map(describe)),
            Err(FrameError::TooShort(_) | FrameError::TooLong { .. }) => {
                return Verdict::Decode.into();
            }
            Err(FrameError::Body(body)) if body.fault == FieldFault::NotProtobuf => {
                return Verdict::Decode.into();
            }
            Err(_) => return Verdict::Rule.into(),
        }
    }
    Outcome::ok().value("frames", frames)
}

fn run_beacon(vector: &Vector) -> Outcome {
    match Beacon::decode(&vector.bytes("datagram")) {
        Ok(beacon) => Outcome::ok()
            .value("version", beacon.version)
            .value("port", beacon.port)
            .hex("instance_id", beacon.instance.as_bytes()),
        Err(BeaconError::TooLong(_) | BeaconError::NotProtobuf) => Verdict::Decode.into(),
        Err(_) => Verdict::Rule.into(),
    }
}

/// A frame as JSON, with the field names of `proto/`.
fn describe(frame: &Frame) -> Value {
    let mut fields = match frame {
        Frame::Auth(auth) => json!({
            "identity": hex::encode(auth.identity.as_bytes()),
            "device_id": hex::encode(auth.device_id.as_bytes()),
            "instance_id": hex::encode(auth.instance_id.as_bytes()),
            "version": auth.version,
            "signature": hex::encode(auth.signature),
        }),
        Frame::Mailboxes(mailboxes) => {
            let proof = |proof: &MailboxProof| {
                json!({
                    "mailbox": hex::encode(proof.mailbox.as_bytes()),
                    "signature": hex::encode(proof.signature),
                })
            };
            json!({ "proofs": mailboxes.proofs().iter().map(proof).collect::<Vec<_>>() })
        }
        Frame::Hello(hello) => json!({
            "features": hex::encode(&hello.features[..]),
            "store_id": hex::encode(hello.store_id.as_bytes()),
            "now": hello.now.0.to_string(),
            "your_card_seq": hello.your_card_seq.to_string(),
            "my_card_seq": hello.my_card_seq.to_string(),
            "unacked_max": hello.unacked_max.get(),
        }),
        Frame::Bye(bye) => json!({ "reason": format!("{:?}", bye.reason).to_uppercase() }),
        Frame::Ping(Ping { nonce }) | Frame::Pong(Pong { nonce }) => {
            json!({ "nonce": nonce.to_string() })
        }
        Frame::Card(card) => json!({ "card": hex::encode(&card.card[..]) }),
        Frame::Push(push) => json!({ "count": push.count }),
        Frame::Msg(msg) => json!({
            "ttl": msg.ttl,
            "stamp": hex::encode(&msg.stamp[..]),
            "envelope": hex::encode(&msg.envelope[..]),
        }),
        Frame::Ack(ack) => {
            let (result, reason) = match ack.result {
                AckResult::Stored => ("STORED", "UNSPECIFIED"),
                AckResult::Duplicate => ("DUPLICATE", "UNSPECIFIED"),
                AckResult::Refused(RefusalReason::Unspecified) => ("REFUSED", "UNSPECIFIED"),
                AckResult::Refused(RefusalReason::Expired) => ("REFUSED", "EXPIRED"),
                AckResult::Refused(RefusalReason::NotForMe) => ("REFUSED", "NOT_FOR_ME"),
                AckResult::Refused(RefusalReason::Quota) => ("REFUSED", "QUOTA"),
                AckResult::Refused(RefusalReason::Malformed) => ("REFUSED", "MALFORMED"),
                AckResult::Refused(RefusalReason::Busy) => ("REFUSED", "BUSY"),
                AckResult::Refused(RefusalReason::UnknownKey) => ("REFUSED", "UNKNOWN_KEY"),
            };
            json!({
                "id": hex::encode(ack.id.as_bytes()),
                "result": result,
                "reason": reason,
                "retry_after_s": ack.retry_after_s,
                "now": ack.now.0.to_string(),
            })
        }
        Frame::Have(ids) | Frame::Want(ids) => {
            let ids = ids.as_slice().iter().map(|id| hex::encode(id.as_bytes()));
            json!({ "ids": ids.collect::<Vec<_>>() })
        }
        Frame::Purge(keys) => {
            let keys = keys.as_slice().iter().map(|key| hex::encode(key.as_bytes()));
            json!({ "keys": keys.collect::<Vec<_>>() })
        }
        Frame::Pull | Frame::End => json!({}),
    };
    fields["frame"] = frame.frame_type().name().into();
    fields
}

fn frame_vectors() -> Vec<Vector> {
    let mut vectors = positive_frames();
    vectors.extend(tolerated_frames());
    vectors.extend(broken_framing());
    vectors.extend(broken_bodies());
    vectors
}

fn ok(id: &str, req: &[&str], comment: &str, stream: &[u8]) -> Vector {
    let outcome = run_frames(stream);
    assert_eq!(outcome.verdict, Verdict::Ok, "{id}");
    Vector::ok(id, req, comment)
        .hex("stream", stream)
        .gives("frames", outcome.output["frames"].clone())
}

fn positive_frames() -> Vec<Vector> {
    let ack = |result| {
        Frame::Ack(Ack {
            id: EnvelopeId::from_bytes([0xe1; 32]),
            result,
            retry_after_s: 90,
            now: UnixMillis(1_900_000_000_000),
        })
    };
    let bytes = |len, byte| vec![byte; len];
    let frames = [
        Frame::Auth(Auth {
            identity: IdentityKey::from_bytes([0xa1; 32]),
            device_id: DeviceId::from_bytes([0xa2; 8]),
            instance_id: InstanceId::from_bytes([0xa3; 16]),
            version: 1,
            signature: [0xa4; 64],
        }),
        Frame::Mailboxes(
            Mailboxes::new(vec![
                MailboxProof {
                    mailbox: MailboxKey::from_bytes([0xb1; 32]),
                    signature: [0xb2; 64],
                };
                2
            ])
            .expect("two proofs"),
        ),
        Frame::Hello(Hello {
            features: bytes(2, 0x80).try_into().expect("in range"),
            store_id: StoreId::from_bytes([0xc1; 16]),
            now: UnixMillis(u64::MAX),
            your_card_seq: 0,
            my_card_seq: 1_800_000_000_000,
            unacked_max: NonZeroU16::new(256).expect("not zero"),
        }),
        Frame::Bye(Bye { reason: ByeReason::Duplicate }),
        Frame::Ping(Ping { nonce: u64::MAX }),
        Frame::Pong(Pong { nonce: 0 }),
        Frame::Card(Card { card: bytes(40, 0xd1).try_into().expect("in range") }),
        Frame::Pull,
        Frame::Push(Push { count: 2 }),
        Frame::Msg(Msg {
            ttl: 3,
            stamp: [0xe2; 16].into(),
            envelope: bytes(60, 0xe3).try_into().expect("in range"),
        }),
        Frame::End,
        ack(AckResult::Stored),
        Frame::Have(EnvelopeIds::new(envelope_ids(2)).expect("two ids")),
        Frame::Want(EnvelopeIds::new(envelope_ids(1)).expect("one id")),
        Frame::Purge(PurgeKeys::new(vec![PurgeKey::from_bytes([0xe5; 32])]).expect("one key")),
    ];
    let mut vectors: Vec<_> = frames
        .iter()
        .map(|frame| {
            let name = frame.frame_type().name().expect("a known type");
            let id = format!("frame-{}", name.to_lowercase());
            ok(&id, &["LNK-13"], &format!("a {name} frame"), &frame.encode())
        })
        .collect();
    let refused = ack(AckResult::Refused(RefusalReason::Busy));
    vectors.push(ok("frame-ack-refused", &["LNK-42"], "an envelope refused", &refused.encode()));
    let several = frames[7..11].iter().flat_map(Frame::encode).collect::<Vec<_>>();
    let most = Frame::Have(EnvelopeIds::new(envelope_ids(256)).expect("256 ids"));
    vectors.push(ok("frame-have-256", &["LNK-39"], "as many ids as fit", &most.encode()));
    vectors.push(ok("frame-several", &["LNK-13"], "four frames in a row", &several));
    vectors
}

fn envelope_ids(count: usize) -> Vec<EnvelopeId> {
    (0..count).map(|n| EnvelopeId::from_bytes([n as u8; 32])).collect()
}

fn tolerated_frames() -> Vec<Vector> {
    let unknown = framed(0x0077, &[0xff; 20]);
    vec![
        ok(
            "frame-unknown-skipped",
            &["LNK-36"],
            "an unknown type below 0x8000, then End",
            &[&unknown[..], &Frame::End.encode()].concat(),
        ),
        ok(
            "frame-unknown-empty",
            &["LNK-36"],
            "type 0 without a body, then End",
            &[&framed(0, &[])[..], &Frame::End.encode()].concat(),
        ),
        ok(
            "frame-unknown-field",
            &["LNK-40"],
            "a Ping with a field 15 of two bytes",
            &framed(0x0005, &[&number(1, 7)[..], &bytes(15, &[1, 2])].concat()),
        ),
        ok(
            "frame-bye-later-reason",
            &["LNK-41"],
            "a Bye whose reason a later version defined",
            &framed(0x0004, &number(1, 77)),
        ),
        ok(
            "frame-ack-later-reason",
            &["LNK-41"],
            "a refusal whose reason a later version defined",
            &framed(0x8024, &[bytes(1, &[0xe1; 32]), number(2, 3), number(3, 77)].concat()),
        ),
        ok(
            "frame-long-varint",
            &["LNK-38"],
            "a Ping whose nonce 5 takes two bytes: protobuf allows it",
            &framed(0x0005, &[0x08, 0x85, 0x00]),
        ),
        ok(
            "frame-fields-in-any-order",
            &["LNK-38"],
            "an Ack with its fields backwards and one of them twice; the last one counts",
            &framed(
                0x8024,
                &[number(5, 9), number(2, 1), number(2, 2), bytes(1, &[0xe1; 32])].concat(),
            ),
        ),
        ok(
            "frame-length-most",
            &["LNK-34"],
            "a Pull of 131,072 bytes announced; the stream ends behind its type",
            &[0, 2, 0, 0, 0x80, 0x20],
        ),
        ok(
            "frame-auth-version-0",
            &["LNK-39"],
            "an Auth of version 0 parses; that it is not the link's is another check (LNK-30)",
            &framed(0x8001, &auth([32, 8, 16, 64], 0)),
        ),
        ok(
            "frame-ttl-over-32-bits",
            &["CNV-19"],
            "a ttl of 2^32 + 3: its low 32 bits count",
            &framed(0x8022, &msg((1 << 32) + 3, 16, 1)),
        ),
        ok(
            "frame-unacked-over-32-bits",
            &["CNV-19"],
            "an unacked_max of 2^63 + 2^32 + 5: its low 32 bits count",
            &framed(0x8003, &hello(0, 16, (1 << 63) + (1 << 32) + 5)),
        ),
        ok(
            "frame-count-over-32-bits",
            &["CNV-19"],
            "a count of 2^64 - 1: its low 32 bits count",
            &framed(0x8021, &number(1, u64::MAX)),
        ),
        ok(
            "frame-result-over-32-bits",
            &["CNV-19"],
            "an Ack whose result is 2^32 + 1, which is STORED",
            &framed(0x8024, &[bytes(1, &[0xe1; 32]), number(2, (1 << 32) + 1)].concat()),
        ),
        ok(
            "frame-unknown-budget",
            &["LNK-37"],
            "frames of a type below 0x8000 that is not known, \
            1,024 bytes each with their lengths",
            &framed(0x0077, &[0xff; 1018]),
        )
        .number("times", 1024),
        ok(
            "frame-cut-off",
            &["LNK-34"],
            "End and the start of another frame: one frame, and more may come",
            &[&Frame::End.encode()[..], &[0, 0, 0]].concat(),
        ),
    ]
}

fn broken_framing() -> Vec<Vector> {
    let refused = |id, req, comment, stream: &[u8], verdict| {
        Vector::refused(id, &[req], comment, verdict).hex("stream", stream)
    };
    use Verdict::{Decode, Rule};
    vec![
        refused("frame-length-0", "LNK-34", "no room for the type", &[0; 4], Decode),
        refused("frame-length-1", "LNK-34", "no room for the type", &[0, 0, 0, 1], Decode),
        refused(
            "frame-length-over",
            "LNK-34",
            "131,073 bytes announced; refused before any of them",
            &[0, 2, 0, 1],
            Decode,
        ),
        refused("frame-length-max", "LNK-34", "4 GiB announced", &[0xff; 4], Decode),
        refused(
            "frame-unknown-critical",
            "LNK-35",
            "a reserved type, refused before its body",
            &[0, 0, 4, 0, 0x80, 0x3f],
            Rule,
        ),
        refused(
            "frame-unknown-critical-last",
            "LNK-35",
            "type 0xffff after a good frame",
            &[&Frame::End.encode()[..], &framed(0xffff, &[])].concat(),
            Rule,
        ),
        refused(
            "frame-unknown-budget-over",
            "LNK-37",
            "the same, once more: more than 1,048,576 bytes",
            &framed(0x0077, &[0xff; 1018]),
            Rule,
        )
        .number("times", 1025),
    ]
}

/// Id, requirement, comment, frame type, body, what must be said.
type Case = (&'static str, &'static str, &'static str, u16, Vec<u8>, Verdict);

fn broken_bodies() -> Vec<Vector> {
    use Verdict::{Decode, Rule};
    let id = bytes(1, &[0xe1; 32]);
    let proof = |mailbox: usize, signature: usize| {
        let proof = [bytes(1, &vec![0; mailbox]), bytes(2, &vec![0; signature])].concat();
        bytes(1, &proof)
    };
    let cases: Vec<Case> = vec![
        ("frame-not-protobuf", "LNK-38", "a Ping of 0xff bytes", 0x0005, vec![0xff; 11], Decode),
        ("frame-wrong-wire-type", "CNV-18", "a nonce as bytes", 0x0005, bytes(1, &[0]), Decode),
        (
            "frame-body-truncated",
            "LNK-38",
            "bytes that end early",
            0x8010,
            vec![0x0a, 5, 1],
            Decode,
        ),
        (
            "frame-varint-too-long",
            "LNK-38",
            "a number of 11 bytes",
            0x0005,
            {
                let mut body = vec![0x08];
                body.extend([0x80; 10]);
                body.push(1);
                body
            },
            Decode,
        ),
        ("frame-auth-empty", "LNK-39", "no field at all", 0x8001, vec![], Rule),
        ("frame-auth-identity", "LNK-39", "31 bytes", 0x8001, auth([31, 8, 16, 64], 1), Rule),
        ("frame-auth-device", "LNK-39", "9 bytes", 0x8001, auth([32, 9, 16, 64], 1), Rule),
        ("frame-auth-instance", "LNK-39", "15 bytes", 0x8001, auth([32, 8, 15, 64], 1), Rule),
        ("frame-auth-signature", "LNK-39", "63 bytes", 0x8001, auth([32, 8, 16, 63], 1), Rule),
        ("frame-auth-version", "LNK-39", "65,536", 0x8001, auth([32, 8, 16, 64], 65_536), Rule),
        ("frame-mailboxes-none", "LNK-39", "no proof", 0x8002, vec![], Rule),
        ("frame-mailboxes-17", "LNK-39", "17 proofs", 0x8002, proof(32, 64).repeat(17), Rule),
        ("frame-mailboxes-key", "LNK-39", "a key of 33 bytes", 0x8002, proof(33, 64), Rule),
        ("frame-mailboxes-sig", "LNK-39", "a signature of 0 bytes", 0x8002, proof(32, 0), Rule),
        ("frame-hello-features", "LNK-39", "257 bytes", 0x8003, hello(257, 16, 1), Rule),
        ("frame-hello-store", "LNK-39", "a store id of 17 bytes", 0x8003, hello(0, 17, 1), Rule),
        ("frame-hello-unacked-0", "LNK-39", "no envelope allowed", 0x8003, hello(0, 16, 0), Rule),
        ("frame-hello-unacked", "LNK-39", "65,536", 0x8003, hello(0, 16, 65_536), Rule),
        ("frame-card-empty", "LNK-39", "no bytes", 0x8010, vec![], Rule),
        ("frame-card-long", "LNK-39", "8,129 bytes", 0x8010, bytes(1, &[0; 8129]), Rule),
        ("frame-msg-ttl", "LNK-39", "a ttl of 256", 0x8022, msg(256, 16, 1), Rule),
        ("frame-msg-stamp", "LNK-39", "a stamp of 65 bytes", 0x8022, msg(1, 65, 1), Rule),
        ("frame-msg-empty", "LNK-39", "no envelope", 0x8022, msg(1, 16, 0), Rule),
        (
            "frame-ack-id",
            "LNK-39",
            "31 bytes",
            0x8024,
            [bytes(1, &[0; 31]), number(2, 1)].concat(),
            Rule,
        ),
        ("frame-ack-no-result", "LNK-42", "no outcome", 0x8024, id.clone(), Rule),
        (
            "frame-ack-later-result",
            "LNK-42",
            "an outcome that is not known",
            0x8024,
            [id.clone(), number(2, 4)].concat(),
            Rule,
        ),
        (
            "frame-ack-stored-reason",
            "LNK-42",
            "stored and a reason why not",
            0x8024,
            [id.clone(), number(2, 1), number(3, 3)].concat(),
            Rule,
        ),
        ("frame-have-none", "LNK-39", "no id", 0x8025, vec![], Rule),
        ("frame-have-257", "LNK-39", "257 ids", 0x8025, id.repeat(257), Rule),
        ("frame-have-id", "LNK-39", "an id of 31 bytes", 0x8025, bytes(1, &[0; 31]), Rule),
        ("frame-want-none", "LNK-39", "no id", 0x8026, vec![], Rule),
        ("frame-want-257", "LNK-39", "257 ids", 0x8026, id.repeat(257), Rule),
        (
            "frame-want-id",
            "LNK-39",
            "a good id and one of 33 bytes",
            0x8026,
            [id.clone(), bytes(1, &[0; 33])].concat(),
            Rule,
        ),
        ("frame-purge-none", "LNK-39", "no key", 0x8027, vec![], Rule),
        ("frame-purge-257", "LNK-39", "257 keys", 0x8027, id.repeat(257), Rule),
        ("frame-purge-key", "LNK-39", "an empty key", 0x8027, bytes(1, &[]), Rule),
        ("frame-purge-wire-type", "CNV-18", "a key as a number", 0x8027, number(1, 7), Decode),
        (
            "frame-wire-type-beside",
            "CNV-18",
            "a nonce as a number and once more as 8 bytes of wire type 1",
            0x0005,
            [&number(1, 7)[..], &[0x09, 7, 0, 0, 0, 0, 0, 0, 0]].concat(),
            Decode,
        ),
        (
            "frame-wire-type-inside",
            "CNV-18",
            "a good mailbox proof, and its mailbox once more as a number",
            0x8002,
            {
                let good = [bytes(1, &[0; 32]), bytes(2, &[0; 64])].concat();
                bytes(1, &[good, number(1, 7)].concat())
            },
            Decode,
        ),
        (
            "frame-ttl-over-32-bits-high",
            "CNV-19",
            "a ttl of 2^32 + 256: the low 32 bits are too large",
            0x8022,
            msg((1 << 32) + 256, 16, 1),
            Rule,
        ),
    ];
    cases
        .into_iter()
        .map(|(id, req, comment, kind, body, verdict)| {
            Vector::refused(id, &[req], comment, verdict).hex("stream", framed(kind, &body))
        })
        .collect()
}

fn beacon_vectors() -> Vec<Vector> {
    let fields = |version, port, instance: usize| {
        [number(1, version), number(2, port), bytes(3, &vec![0x5a; instance])].concat()
    };
    let good = |id, req, comment, datagram: Vec<u8>, version: u64, port: u64| {
        Vector::ok(id, &[req], comment)
            .hex("datagram", datagram)
            .gives("version", version)
            .gives("port", port)
            .gives_hex("instance_id", [0x5a; 16])
    };
    let refused = |id, req, comment, verdict, datagram: Vec<u8>| {
        Vector::refused(id, &[req], comment, verdict).hex("datagram", datagram)
    };
    let later = [fields(2, 40_000, 16), bytes(9, &[1, 2, 3])].concat();
    let full = [fields(1, 1024, 16), bytes(9, &[0; 39])].concat();
    let over = [fields(1, 1024, 16), bytes(9, &[0; 40])].concat();
    assert_eq!((full.len(), over.len()), (64, 65));
    let no_port = [number(1, 1), bytes(3, &[0x5a; 16])].concat();
    use Verdict::{Decode, Rule};
    vec![
        good("beacon", "DSC-01", "as a node sends it", fields(1, 54_321, 16), 1, 54_321),
        good("beacon-lowest-port", "DSC-03", "port 1024", fields(1, 1024, 16), 1, 1024),
        good("beacon-highest-port", "DSC-03", "port 65535", fields(1, 65_535, 16), 1, 65_535),
        good("beacon-later", "DSC-04", "a later version with one more field", later, 2, 40_000),
        good(
            "beacon-over-32-bits",
            "CNV-19",
            "version 2^32 + 1 and port 2^32 + 1024: the low 32 bits count",
            fields((1 << 32) + 1, (1 << 32) + 1024, 16),
            1,
            1024,
        ),
        good("beacon-64", "DSC-02", "64 bytes, the most that is allowed", full, 1, 1024),
        refused("beacon-65", "DSC-02", "65 bytes", Decode, over),
        refused("beacon-1500", "DSC-02", "a full packet", Decode, vec![0x0a; 1500]),
        refused("beacon-empty", "DSC-03", "an empty datagram", Rule, vec![]),
        refused("beacon-rubbish", "DSC-02", "no protobuf", Decode, vec![0xff; 20]),
        refused("beacon-text", "DSC-02", "text", Decode, b"GET / HTTP/1.1".to_vec()),
        refused("beacon-cut-off", "DSC-02", "the last byte is missing", Decode, {
            let mut bytes = fields(1, 54_321, 16);
            bytes.pop();
            bytes
        }),
        refused("beacon-wire-type", "CNV-18", "a port as bytes", Decode, {
            [number(1, 1), bytes(2, &[4, 0]), bytes(3, &[0x5a; 16])].concat()
        }),
        refused("beacon-version-0", "DSC-03", "version 0", Rule, fields(0, 54_321, 16)),
        refused("beacon-no-port", "DSC-03", "no port", Rule, no_port),
        refused("beacon-port-1023", "DSC-03", "port 1023", Rule, fields(1, 1023, 16)),
        refused("beacon-port-65536", "DSC-03", "port 65536", Rule, fields(1, 65_536, 16)),
        refused("beacon-no-instance", "DSC-03", "no instance id", Rule, fields(1, 54_321, 0)),
        refused("beacon-instance-15", "DSC-03", "15 bytes", Rule, fields(1, 54_321, 15)),
        refused("beacon-instance-17", "DSC-03", "17 bytes", Rule, fields(1, 54_321, 17)),
    ]
}

/// An `Auth` with fields of these lengths.
fn auth(lengths: [usize; 4], version: u64) -> Vec<u8> {
    let [identity, device, instance, signature] = lengths;
    [
        bytes(1, &vec![0xa1; identity]),
        bytes(2, &vec![0xa2; device]),
        bytes(3, &vec![0xa3; instance]),
        number(4, version),
        bytes(5, &vec![0xa4; signature]),
    ]
    .concat()
}

fn hello(features: usize, store: usize, unacked: u64) -> Vec<u8> {
    [bytes(1, &vec![0; features]), bytes(2, &vec![0; store]), number(6, unacked)].concat()
}

fn msg(ttl: u64, stamp: usize, envelope: usize) -> Vec<u8> {
    [number(1, ttl), bytes(2, &vec![0; stamp]), bytes(3, &vec![0; envelope])].concat()
}

/// `length ‖ type ‖ body`.
fn framed(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 2).expect("small");
    [&length.to_be_bytes()[..], &kind.to_be_bytes(), body].concat()
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
