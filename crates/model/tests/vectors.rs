//! The vectors of the envelope (spec/vectors/envelope.json).

use tortalk_model::bytes::Writer;
use tortalk_model::envelope::{key_id, purge_hash};
use tortalk_model::{
    Envelope, EnvelopeError, EnvelopeHeader, KeyId, MailboxKey, PurgeKey, UnixMillis,
};
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};

const ABOUT: &str = "op `parse`: `bytes` from outside become an envelope, whose fields and \
    `envelope_id` are the output; where `zeros` is given, so many zero bytes follow `bytes`. op \
    `purge`: ok when `purge_key` lets a holder forget the envelope `bytes`. op `key-id`: the name \
    of the sealing key `public`; op `purge-hash`: the commitment to `purge_key`.";

const HOUR: u64 = 3_600_000;
/// From 1,024; the two smaller ones have vectors of their own.
const BUCKETS: [u32; 7] = [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
/// A suite that no version knows.
const OTHER_SUITE: u16 = 0xfffe;

#[test]
fn envelope() {
    let mut vectors = accepted();
    vectors.extend(buckets());
    vectors.extend(truncated());
    vectors.extend(refused_layouts());
    vectors.extend(refused_rules());
    check("envelope.json", ABOUT, vectors, run);
}

fn run(vector: &Vector) -> Outcome {
    match vector.str("op") {
        "parse" => match Envelope::parse(whole(vector)) {
            Ok(envelope) => fields(&envelope),
            Err(error) => verdict(error).into(),
        },
        "purge" => {
            let envelope = Envelope::parse(vector.bytes("bytes")).expect("an envelope");
            let key = PurgeKey::from_bytes(vector.array("purge_key"));
            if envelope.is_purged_by(&key) { Outcome::ok() } else { Verdict::Rule.into() }
        }
        "key-id" => Outcome::ok().hex("key_id", key_id(&vector.bytes("public")).as_bytes()),
        "purge-hash" => {
            let key = PurgeKey::from_bytes(vector.array("purge_key"));
            Outcome::ok().hex("purge_hash", purge_hash(&key).as_bytes())
        }
        other => panic!("{}: op `{other}`", vector.id),
    }
}

/// `bytes` and the zeros behind them.
fn whole(vector: &Vector) -> Vec<u8> {
    let zeros = if vector.input.contains_key("zeros") { vector.u64("zeros") } else { 0 };
    [vector.bytes("bytes"), vec![0; zeros as usize]].concat()
}

fn verdict(error: EnvelopeError) -> Verdict {
    match error {
        EnvelopeError::Layout(_) | EnvelopeError::UnknownLayout(_) => Verdict::Decode,
        _ => Verdict::Rule,
    }
}

fn fields(envelope: &Envelope) -> Outcome {
    let header = envelope.header();
    Outcome::ok()
        .hex("envelope_id", envelope.id().as_bytes())
        .value("suite", header.suite)
        .hex("mailbox", header.mailbox.as_bytes())
        .hex("key_id", header.key_id.as_bytes())
        .value("expires_at", header.expires_at.0)
        .hex("purge_hash", header.purge_hash.as_bytes())
        .hex("ext", &header.ext)
        .value("sealed_len", envelope.sealed().len())
}

fn header() -> EnvelopeHeader {
    EnvelopeHeader {
        suite: OTHER_SUITE,
        mailbox: MailboxKey::from_bytes([1; 32]),
        key_id: KeyId::from_bytes([2; 8]),
        expires_at: UnixMillis(500_000 * HOUR),
        purge_hash: purge_hash(&PurgeKey::from_bytes([3; 32])),
        ext: Vec::new(),
    }
}

fn suite_1() -> EnvelopeHeader {
    EnvelopeHeader { suite: 1, ..header() }
}

fn bytes(header: &EnvelopeHeader, sealed: &[u8]) -> Vec<u8> {
    Writer::new().raw(&header.to_bytes()).bytes32(sealed).into_vec()
}

fn short() -> Vec<u8> {
    bytes(&header(), b"sealed")
}

fn parses(id: &str, req: &[&str], comment: &str, bytes: &[u8]) -> Vector {
    let envelope = Envelope::parse(bytes.to_vec()).expect("a well-formed envelope");
    let vector = Vector::ok(id, req, comment).text("op", "parse").hex("bytes", bytes);
    fields(&envelope)
        .output
        .into_iter()
        .fold(vector, |vector, (name, value)| vector.gives(&name, value))
}

fn refused(id: &str, req: &[&str], comment: &str, expect: Verdict, bytes: &[u8]) -> Vector {
    Vector::refused(id, req, comment, expect).text("op", "parse").hex("bytes", bytes)
}

fn accepted() -> Vec<Vector> {
    let of = |header: EnvelopeHeader, sealed: &[u8]| bytes(&header, sealed);
    let public: Vec<u8> = (0..1216_u16).map(|i| i as u8).collect();
    let purge_key = PurgeKey::from_bytes([3; 32]);
    vec![
        parses(
            "env-smallest-of-suite-1",
            &["ENV-01", "ENV-07", "ENV-08"],
            "The smallest bucket: 1,120 + 256 + 16 sealed bytes, 1,481 in all.",
            &of(suite_1(), &[9; 1392]),
        ),
        parses(
            "env-unknown-suite",
            &["ENV-03", "ENV-07"],
            "A suite of a later version is carried unopened, whatever its length.",
            &short(),
        ),
        parses(
            "env-one-sealed-byte",
            &["ENV-03", "ENV-09"],
            "An unknown suite may seal into a single byte.",
            &of(header(), &[0]),
        ),
        parses(
            "env-ext-largest",
            &["ENV-03", "ENV-07"],
            "An extension of 256 bytes is carried and hashed.",
            &of(EnvelopeHeader { ext: vec![5; 256], ..header() }, b"sealed"),
        ),
        parses(
            "env-expired-long-ago",
            &["ENV-04"],
            "The epoch is a whole hour; whether it has gone by is no matter of the layout.",
            &of(EnvelopeHeader { expires_at: UnixMillis(0), ..header() }, b"sealed"),
        ),
        Vector::ok("env-purge", &["ENV-06"], "The committed key lets holders forget.")
            .text("op", "purge")
            .hex("bytes", short())
            .hex("purge_key", purge_key.as_bytes()),
        Vector::ok("env-purge-hash", &["ENV-06"], "The commitment to a purge key.")
            .text("op", "purge-hash")
            .hex("purge_key", purge_key.as_bytes())
            .gives_hex("purge_hash", purge_hash(&purge_key).as_bytes()),
        Vector::ok("env-key-id", &["ENV-05"], "Eight bytes of the hash of 1,216 bytes.")
            .text("op", "key-id")
            .hex("public", &public)
            .gives_hex("key_id", key_id(&public).as_bytes()),
    ]
}

/// An envelope whose `sealed` is so many zeros.
fn of_zeros(vector: Vector, header: &EnvelopeHeader, sealed: u32) -> Vector {
    let head = Writer::new().raw(&header.to_bytes()).u32(sealed).into_vec();
    vector.text("op", "parse").hex("bytes", head).number("zeros", sealed.into())
}

/// Every bucket of suite 1, and what is right beside it.
fn buckets() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for bucket in BUCKETS {
        let sealed = 1120 + bucket + 16;
        let of = |id: String, comment: &str, expect, sealed| {
            let vector = Vector::refused(&id, &["ENV-08"], comment, expect);
            of_zeros(vector, &suite_1(), sealed)
        };
        let mut fits = of(format!("env-bucket-{bucket}"), "A bucket.", Verdict::Ok, sealed);
        fits.output = run(&fits).output;
        vectors.push(fits);
        for (word, sealed) in [("below", sealed - 1), ("above", sealed + 1)] {
            let id = format!("env-bucket-{bucket}-{word}");
            // Above the largest bucket there is no room in any suite.
            let (comment, expect) = match sealed {
                66_673 => ("A byte more than the largest `sealed`.", Verdict::Decode),
                _ => ("A byte beside it.", Verdict::Rule),
            };
            vectors.push(of(id, comment, expect, sealed));
        }
    }
    let mut largest = of_zeros(
        Vector::ok("env-sealed-largest", &["ENV-01"], "66,672 bytes in an unknown suite."),
        &header(),
        66_672,
    );
    largest.output = run(&largest).output;
    let over = Vector::refused(
        "env-sealed-over-limit-whole",
        &["CNV-05", "ENV-01"],
        "66,673 bytes in an unknown suite, all of them there.",
        Verdict::Decode,
    );
    vectors.extend([largest, of_zeros(over, &header(), 66_673)]);
    vectors
}

fn truncated() -> Vec<Vector> {
    [
        (0, "there are no bytes at all"),
        (2, "the bytes end inside `suite`"),
        (34, "the bytes end inside `mailbox`"),
        (42, "the bytes end inside `key_id`"),
        (50, "the bytes end inside `expires_at`"),
        (82, "the bytes end inside `purge_hash`"),
        (84, "the bytes end inside `ext_len`"),
        (88, "the bytes end inside `sealed_len`"),
        (94, "the bytes end inside `sealed`"),
    ]
    .into_iter()
    .map(|(len, comment)| {
        let id = format!("env-truncated-{len}");
        refused(&id, &["CNV-04", "ENV-01"], comment, Verdict::Decode, &short()[..len])
    })
    .collect()
}

fn refused_layouts() -> Vec<Vector> {
    let with_layout = |layout: u8| [&[layout][..], &short()[1..]].concat();
    let with_ext = |len: u16, ext: &[u8]| {
        let fixed = &header().to_bytes()[..83];
        Writer::new().raw(fixed).u16(len).raw(ext).bytes32(b"sealed").into_vec()
    };
    let with_sealed = |len: u32, sealed: &[u8]| {
        Writer::new().raw(&header().to_bytes()).u32(len).raw(sealed).into_vec()
    };
    let decode =
        |id, req: &[&str], comment, bytes: &[u8]| refused(id, req, comment, Verdict::Decode, bytes);
    vec![
        decode("env-layout-0", &["ENV-02"], "There is no layout 0.", &with_layout(0)),
        decode("env-layout-2", &["ENV-02"], "A later layout is refused.", &with_layout(2)),
        decode(
            "env-layout-2-short",
            &["ENV-02"],
            "A later layout is refused whatever follows.",
            &[2],
        ),
        decode(
            "env-trailing-byte",
            &["CNV-05", "ENV-01"],
            "One byte after `sealed`.",
            &[&short()[..], &[0]].concat(),
        ),
        decode(
            "env-ext-over-limit",
            &["CNV-05", "ENV-01"],
            "An extension of 257 bytes.",
            &with_ext(257, &[5; 257]),
        ),
        decode(
            "env-ext-beyond-end",
            &["CNV-04", "ENV-01"],
            "`ext_len` is 255, and the bytes end before.",
            &with_ext(255, b""),
        ),
        decode(
            "env-sealed-len-huge",
            &["CNV-05", "ENV-01"],
            "`sealed_len` is 4,294,967,295: refused before anything is reserved.",
            &with_sealed(u32::MAX, b"sealed"),
        ),
        decode(
            "env-sealed-over-limit",
            &["CNV-05", "ENV-01"],
            "`sealed_len` is 66,673, one over the largest of any suite.",
            &with_sealed(66_673, b"sealed"),
        ),
        decode(
            "env-sealed-len-short",
            &["CNV-05", "ENV-01"],
            "`sealed_len` names one byte less than there is.",
            &with_sealed(5, b"sealed"),
        ),
        decode(
            "env-sealed-len-long",
            &["CNV-04", "ENV-01"],
            "`sealed_len` names one byte more than there is.",
            &with_sealed(7, b"sealed"),
        ),
        decode(
            "env-little-endian-length",
            &["CNV-03", "ENV-01"],
            "`sealed_len` in little-endian order.",
            &with_sealed(6_u32.swap_bytes(), b"sealed"),
        ),
    ]
}

fn refused_rules() -> Vec<Vector> {
    let rule = |id: &str, req: &[&str], comment: &str, header: &EnvelopeHeader, sealed: &[u8]| {
        refused(id, req, comment, Verdict::Rule, &bytes(header, sealed))
    };
    let expires = |at| EnvelopeHeader { expires_at: UnixMillis(at), ..header() };
    let mut vectors = vec![
        rule("env-nothing-sealed", &["ENV-09"], "An empty `sealed`.", &header(), b""),
        rule(
            "env-expiry-a-millisecond-late",
            &["ENV-04"],
            "A millisecond after a whole hour.",
            &expires(500_000 * HOUR + 1),
            b"sealed",
        ),
        rule(
            "env-expiry-in-seconds",
            &["ENV-04"],
            "A whole hour in seconds is none in milliseconds.",
            &expires(500_001 * HOUR / 1000),
            b"sealed",
        ),
        rule(
            "env-expiry-at-the-end-of-time",
            &["ENV-04"],
            "The largest number is no whole hour.",
            &expires(u64::MAX),
            b"sealed",
        ),
    ];
    for (len, comment) in [
        (6, "Far too short for suite 1."),
        (1120 + 16, "An encapsulation and a tag, and nothing between."),
        (1391, "One byte less than the smallest bucket."),
        (1393, "One byte more than the smallest bucket."),
        (1120 + 768 + 16, "A multiple of 256 that is no bucket."),
    ] {
        let id = format!("env-no-bucket-{len}");
        vectors.push(rule(&id, &["ENV-08"], comment, &suite_1(), &vec![9; len]));
    }
    let hash = *header().purge_hash.as_bytes();
    for (id, comment, key) in [
        ("env-purge-other-key", "Another key.", [4; 32]),
        ("env-purge-hash-as-key", "The commitment is not the key.", hash),
    ] {
        vectors.push(
            Vector::refused(id, &["ENV-06"], comment, Verdict::Rule)
                .text("op", "purge")
                .hex("bytes", short())
                .hex("purge_key", key),
        );
    }
    vectors
}
