//! The vectors of the body types (spec/vectors/body.json).

use tortalk_model::bytes::Writer;
use tortalk_seal::{Body, BodyType, ResendRequest};
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};

use crate::body_verdict;

const ABOUT: &str = "`bytes` are the body of a message of type `body_type`. `receipt` says \
    whether the recipient confirms it, `visible` whether it has a place in a chain. Of a receipt \
    `count` is the number of its entries and `last_*` are the fields of the last one; `unknown` \
    is the whole body of a type that version 1 does not know, reserved numbers included. A card \
    is not read here.";

#[test]
fn body() {
    let mut vectors = good_bodies();
    vectors.extend(bad_bodies());
    check("body.json", ABOUT, vectors, run_body);
}

fn run_body(vector: &Vector) -> Outcome {
    let body_type = BodyType(vector.u64("body_type") as u16);
    match Body::parse(body_type, &vector.bytes("bytes")) {
        Ok(body) => body_outcome(&body),
        Err(error) => body_verdict(error).into(),
    }
}

fn body_outcome(body: &Body) -> Outcome {
    let outcome = Outcome::ok()
        .value("receipt", body.wants_receipt())
        .value("visible", body.is_user_visible());
    match body {
        Body::Text(text) => outcome.value("text", text.as_str()),
        Body::Receipt(entries) => {
            let last = entries.last().expect("at least one");
            outcome
                .value("count", entries.len())
                .hex("last_message_id", last.message_id.as_bytes())
                .hex("last_signed_hash", last.signed_hash.as_bytes())
                .value("last_kind", last.kind as u8)
        }
        Body::ContactRequest { card, text } => {
            outcome.hex("card", card).value("text", text.as_str())
        }
        Body::ContactAccept { request, card } => {
            outcome.hex("request", request.as_bytes()).hex("card", card)
        }
        Body::Card { card } => outcome.hex("card", card),
        Body::ResendRequest(ResendRequest { chain_id, from, to }) => {
            outcome.hex("chain_id", chain_id.as_bytes()).value("from", *from).value("to", *to)
        }
        Body::Unknown { bytes, .. } => outcome.hex("unknown", bytes),
    }
}

fn vector(id: &str, req: &[&str], comment: &str, body_type: u16, bytes: &[u8]) -> Vector {
    Vector::ok(id, req, comment).number("body_type", body_type.into()).hex("bytes", bytes)
}

fn good(id: &str, req: &[&str], comment: &str, body_type: u16, bytes: &[u8]) -> Vector {
    let vector = vector(id, req, comment, body_type, bytes);
    let outcome = run_body(&vector);
    outcome.output.into_iter().fold(vector, |vector, (name, value)| vector.gives(&name, value))
}

/// `count` entries that differ, of alternating kinds.
fn receipt(count: u16) -> Vec<u8> {
    (0..count)
        .fold(Writer::new().u16(count), |writer, i| {
            let byte = i as u8;
            writer.raw(&[byte; 32]).raw(&[!byte; 32]).u8(1 + byte % 2)
        })
        .into_vec()
}

fn request(text: &[u8], card: &[u8]) -> Vec<u8> {
    Writer::new().bytes16(text).raw(card).into_vec()
}

fn accept(card: &[u8]) -> Vec<u8> {
    Writer::new().raw(&[7; 32]).raw(card).into_vec()
}

fn resend(from: u64, to: u64) -> Vec<u8> {
    Writer::new().raw(&[3; 8]).u64(from).u64(to).into_vec()
}

fn good_bodies() -> Vec<Vector> {
    vec![
        good("text", &["SEA-30"], "Text in several scripts.", 1, "héllo мир 你好".as_bytes()),
        good("text-empty", &["SEA-30"], "Text may be empty.", 1, b""),
        good("receipt-one", &["SEA-31", "DLV-06"], "One message.", 2, &receipt(1)),
        good("receipt-256", &["SEA-31", "DLV-06"], "The longest receipt.", 2, &receipt(256)),
        good("request", &["SEA-33"], "A few words and a card.", 3, &request(b"hi", b"card")),
        good(
            "request-longest-text",
            &["SEA-33"],
            "1,024 bytes of text.",
            3,
            &request(&[b'x'; 1024], b"card"),
        ),
        good(
            "accept",
            &["SEA-34"],
            "The id of the request, and the accepter's card.",
            4,
            &accept(b"card"),
        ),
        good("card", &["SEA-34"], "A newer card.", 5, b"card"),
        good("card-8128", &["SEA-34"], "The largest card.", 5, &[1; 8128]),
        good("resend-one", &["SEA-35"], "One missing message.", 6, &resend(9, 9)),
        good("resend-range", &["SEA-35"], "Six missing messages.", 6, &resend(4, 9)),
        good("unknown", &["SEA-36"], "A later version's body is kept.", 16, b"\xff"),
        good("unknown-critical", &["SEA-37"], "This one is not confirmed.", 0x8010, b"\xff"),
        good(
            "critical-text",
            &["SEA-37"],
            "The critical bit makes another number: this is not text.",
            0x8001,
            b"\xff",
        ),
    ]
}

fn bad_bodies() -> Vec<Vector> {
    let decode = |id, req: &[&str], comment, body_type, bytes: &[u8]| Vector {
        expect: Verdict::Decode,
        ..vector(id, req, comment, body_type, bytes)
    };
    let rule = |id, req: &[&str], comment, body_type, bytes: &[u8]| Vector {
        expect: Verdict::Rule,
        ..vector(id, req, comment, body_type, bytes)
    };
    let of_kind = |kind: u8| [&receipt(1)[..66], &[kind]].concat();
    let trailing = |bytes: Vec<u8>| [&bytes[..], &[0]].concat();
    vec![
        decode("text-latin-1", &["SEA-30"], "An umlaut in another encoding.", 1, b"f\xfcr"),
        decode("text-cut", &["SEA-30"], "The last character is cut.", 1, b"ab\xc3"),
        decode("text-surrogate", &["SEA-30"], "Half a surrogate pair.", 1, b"\xed\xa0\x80"),
        decode("text-overlong", &["SEA-30"], "A zero in two bytes.", 1, b"\xc0\x80"),
        decode("receipt-empty", &["SEA-28"], "No count.", 2, b""),
        rule("receipt-of-nothing", &["SEA-31"], "A count of 0.", 2, &[0, 0]),
        decode("receipt-257", &["SEA-31"], "A count of 257.", 2, &receipt(257)),
        decode(
            "receipt-65535",
            &["SEA-31"],
            "The largest count and one entry.",
            2,
            &[&[0xff, 0xff], &receipt(1)[2..]].concat(),
        ),
        decode("receipt-cut", &["SEA-28"], "The kind is missing.", 2, &receipt(1)[..66]),
        decode("receipt-trailing", &["SEA-28"], "A byte too many.", 2, &trailing(receipt(1))),
        rule("receipt-kind-0", &["SEA-32"], "There is no kind 0.", 2, &of_kind(0)),
        rule("receipt-kind-3", &["SEA-32"], "There is no kind 3.", 2, &of_kind(3)),
        decode(
            "request-text-too-long",
            &["SEA-33"],
            "1,025 bytes of text.",
            3,
            &request(&[b'x'; 1025], b"card"),
        ),
        decode("request-text-cut", &["SEA-33"], "The text is cut.", 3, b"\x00\x09hi"),
        decode("request-not-utf8", &["SEA-33"], "No text.", 3, &request(b"\xff", b"card")),
        decode("request-no-card", &["SEA-34"], "No card follows.", 3, &request(b"hi", b"")),
        decode(
            "request-card-too-long",
            &["SEA-34"],
            "A card of 8,129 bytes.",
            3,
            &request(b"", &[1; 8129]),
        ),
        decode("accept-id-cut", &["SEA-28"], "A byte of the id is missing.", 4, &[7; 31]),
        decode("accept-no-card", &["SEA-34"], "An id and no card.", 4, &accept(b"")),
        decode(
            "accept-card-too-long",
            &["SEA-34"],
            "A card of 8,129 bytes.",
            4,
            &accept(&[1; 8129]),
        ),
        decode("card-empty", &["SEA-34"], "No card.", 5, b""),
        decode("card-too-long", &["SEA-34"], "A card of 8,129 bytes.", 5, &[1; 8129]),
        rule("resend-backwards", &["SEA-35"], "It ends before it starts.", 6, &resend(9, 8)),
        decode("resend-cut", &["SEA-28"], "A byte is missing.", 6, &resend(4, 9)[..23]),
        decode("resend-trailing", &["SEA-28"], "A byte too many.", 6, &trailing(resend(4, 9))),
    ]
}
