//! The vectors of seal (spec/vectors/sealed.json).

use orion::KP;
use orion::hazardous::kem::xwing;
use tortalk_keys::{IdentitySecret, message};
use tortalk_model::entropy::Entropy;
use tortalk_model::envelope::key_id;
use tortalk_model::{
    ChainId, DeviceId, Envelope, EnvelopeHeader, IdentityKey, KeyId, MailboxKey, Nonce, PurgeHash,
    UnixMillis,
};
use tortalk_seal::{
    Body, BodyType, Draft, OpenError, Recipient, SealingKeyError, SealingPublic, SealingSecret,
    SignedMessage, open, seal,
};
use tortalk_testkit::hex;
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};

use crate::body_verdict;
use crate::draft::{
    DRAFT_AAD, DRAFT_CIPHERTEXT, DRAFT_ENC, DRAFT_INFO, DRAFT_PLAINTEXT, DRAFT_SEED,
};
use crate::forge::{
    ALICE, BOB, BOBS_KEY, CAROL, CAROLS_KEY, ESEED, Forge, Hpke, Signed, WEEK_1, hpke_seal,
    identity, info, pair,
};

const ABOUT: &str = "op `hpke-seal`: encapsulate to the key of `recipient_seed` with the \
    randomness `eseed` and seal `plaintext` at sequence 0 with empty aad. op `hpke-open`: open \
    `enc` and `ciphertext` with `recipient_seed`, `info` and `aad`. op `seal`: sign the draft and \
    seal it with the given purge key and randomness. op `seal-long`: the same with `zeros` zero \
    bytes behind `body`; what comes out opens again. op `open`: the owner of `recipient_seed`, \
    whose identity is `me`, opens `envelope`. op `key`: bytes become a sealing key. Seeds of \
    identities are Ed25519 secret keys of RFC 8032.";

/// From 1,024; the two smaller ones have vectors of their own.
const BUCKETS: [u64; 7] = [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
/// What op `seal-long` gives; the rest would be long too.
const LONG_OUTPUT: [&str; 4] = ["enc", "message_id", "signed_hash", "envelope_id"];

#[test]
fn sealed() {
    let mut vectors = hpke_vectors();
    vectors.extend(key_vectors());
    vectors.extend(seal_vectors());
    vectors.extend(long_vectors());
    vectors.extend(opened_vectors());
    vectors.extend(unopened_vectors());
    vectors.extend(plaintext_vectors());
    vectors.extend(signed_vectors());
    check("sealed.json", ABOUT, vectors, run_sealed);
}

fn run_sealed(vector: &Vector) -> Outcome {
    match vector.str("op") {
        "hpke-seal" => run_hpke_seal(vector),
        "hpke-open" => run_hpke_open(vector),
        "seal" => run_seal(vector),
        "seal-long" => {
            let mut outcome = run_seal(vector);
            outcome.output.retain(|name, _| LONG_OUTPUT.contains(&name.as_str()));
            outcome
        }
        "open" => run_open(vector),
        "key" => match SealingPublic::from_bytes(&vector.bytes("public")) {
            Ok(key) => Outcome::ok().hex("key_id", key.key_id().as_bytes()),
            Err(SealingKeyError::Length(_)) => Verdict::Decode.into(),
            Err(_) => Verdict::Rule.into(),
        },
        other => panic!("{}: op `{other}`", vector.id),
    }
}

fn run_hpke_seal(vector: &Vector) -> Outcome {
    let pair = pair(vector.array("recipient_seed"));
    let (enc, ciphertext) = hpke_seal(
        pair.public(),
        &vector.bytes("info"),
        &vector.bytes("plaintext"),
        vector.array("eseed"),
    );
    Outcome::ok().hex("public", pair.public()).hex("enc", enc).hex("ciphertext", ciphertext)
}

fn run_hpke_open(vector: &Vector) -> Outcome {
    let seed = xwing::DecapsulationKey::from(vector.array("recipient_seed"));
    let enc = xwing::Ciphertext::try_from(&vector.bytes("enc")).expect("1,120 bytes");
    let ciphertext = vector.bytes("ciphertext");
    let mut plaintext = vec![0; ciphertext.len() - 16];
    let opened = Hpke::new_recipient(&enc, &seed, &vector.bytes("info"))
        .and_then(|mut hpke| hpke.open(&ciphertext, &vector.bytes("aad"), &mut plaintext));
    match opened {
        Ok(()) => Outcome::ok().hex("plaintext", plaintext),
        Err(_) => Verdict::Seal.into(),
    }
}

/// Hands out given bytes as if they were random.
struct Given(Vec<u8>);

impl Entropy for Given {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0[..out.len()]);
        self.0.drain(..out.len());
    }
}

fn run_seal(vector: &Vector) -> Outcome {
    let body_type = BodyType(vector.u64("body_type") as u16);
    let zeros = if vector.input.contains_key("zeros") { vector.u64("zeros") } else { 0 };
    let body = [vector.bytes("body"), vec![0; zeros as usize]].concat();
    let draft = Draft {
        audience: IdentityKey::from_bytes(vector.array("audience")),
        device_id: DeviceId::from_bytes(vector.array("device_id")),
        nonce: Nonce::from_bytes(vector.array("nonce")),
        sent_at: UnixMillis(vector.u64("sent_at")),
        chain_id: ChainId::from_bytes(vector.array("chain_id")),
        counter: vector.u64("counter"),
        body: Body::parse(body_type, &body).expect("a good body"),
    };
    let sender = IdentitySecret::from_seed(vector.array("sender_seed"));
    let message = SignedMessage::sign(&sender, draft).expect("a good draft");
    let key = SealingSecret::from_seed(vector.array("recipient_seed"));
    let mailbox = MailboxKey::from_bytes(vector.array("mailbox"));
    let sealed = seal(
        &message,
        &Recipient { mailbox, key: key.public() },
        UnixMillis(vector.u64("expires_at")),
        &mut Given([vector.bytes("purge_key"), vector.bytes("eseed")].concat()),
    )
    .expect("a good key");
    let me = IdentityKey::from_bytes(vector.array("audience"));
    let opened = open(&sealed.envelope, &key, &me).expect("what was sealed opens");
    assert_eq!(opened.signed_hash(), message.signed_hash(), "{}", vector.id);
    let (enc, ciphertext) = sealed.envelope.sealed().split_at(1120);
    Outcome::ok()
        .hex("signed", message.bytes())
        .hex("signature", message.signature().as_bytes())
        .hex("message_id", message.message_id().as_bytes())
        .hex("signed_hash", message.signed_hash().as_bytes())
        .hex("key_id", key.key_id().as_bytes())
        .hex("info", info(sealed.envelope.header_bytes()))
        .hex("enc", enc)
        .hex("ciphertext", ciphertext)
        .hex("envelope_id", sealed.envelope.id().as_bytes())
}

fn run_open(vector: &Vector) -> Outcome {
    let envelope = Envelope::parse(vector.bytes("envelope")).expect("an envelope");
    let key = SealingSecret::from_seed(vector.array("recipient_seed"));
    let me = IdentityKey::from_bytes(vector.array("me"));
    match open(&envelope, &key, &me) {
        Ok(opened) => Outcome::ok()
            .hex("purge_key", opened.purge_key().as_bytes())
            .hex("message_id", opened.message_id().as_bytes())
            .hex("signed_hash", opened.signed_hash().as_bytes())
            .hex("sender", opened.sender().as_bytes())
            .hex("device_id", opened.device_id().as_bytes())
            .value("sent_at", opened.sent_at().0)
            .hex("chain_id", opened.chain_id().as_bytes())
            .value("counter", opened.counter())
            .value("body_type", opened.body().body_type().0)
            .hex("body", opened.body().to_bytes().expect("it was parsed")),
        Err(error) => open_verdict(error).into(),
    }
}

fn open_verdict(error: OpenError) -> Verdict {
    match error {
        OpenError::UnknownSuite(_) | OpenError::OtherKey | OpenError::Sealed => Verdict::Seal,
        OpenError::PurgeHash | OpenError::Padding | OpenError::Bucket | OpenError::Chained => {
            Verdict::Rule
        }
        OpenError::Length | OpenError::UnknownLayout(_) | OpenError::Layout(_) => Verdict::Decode,
        OpenError::AudienceKind(_) | OpenError::Audience => Verdict::Audience,
        OpenError::Sender | OpenError::Signature => Verdict::Signature,
        OpenError::Body(error) => body_verdict(error),
        other => panic!("no layer for {other:?}"),
    }
}

impl Forge {
    fn opens(&self, id: &str, req: &[&str], comment: &str) -> Vector {
        let vector = open_vector(id, req, comment, Verdict::Ok, &self.envelope());
        let outcome = run_open(&vector);
        assert_eq!(outcome.verdict, Verdict::Ok, "{id}");
        outcome.output.into_iter().fold(vector, |vector, (name, value)| vector.gives(&name, value))
    }

    fn refused(&self, id: &str, req: &[&str], comment: &str, expect: Verdict) -> Vector {
        open_vector(id, req, comment, expect, &self.envelope())
    }
}

fn open_vector(
    id: &str,
    req: &[&str],
    comment: &str,
    expect: Verdict,
    envelope: &Envelope,
) -> Vector {
    Vector::refused(id, req, comment, expect)
        .text("op", "open")
        .hex("envelope", envelope.as_bytes())
        .hex("recipient_seed", BOBS_KEY)
        .hex("me", identity(BOB).as_bytes())
}

/// Sets what the runner computes as what every other implementation must.
fn with_output(vector: Vector, outcome: Outcome) -> Vector {
    assert_eq!(outcome.verdict, Verdict::Ok, "{}", vector.id);
    outcome.output.into_iter().fold(vector, |vector, (name, value)| vector.gives(&name, value))
}

fn hpke_vectors() -> Vec<Vector> {
    let draft = |id, comment, info: &str, aad: &str, expect| {
        Vector::refused(id, &["SEA-01"], comment, expect)
            .text("op", "hpke-open")
            .text("recipient_seed", DRAFT_SEED)
            .text("enc", DRAFT_ENC)
            .text("info", info)
            .text("aad", aad)
            .text("ciphertext", DRAFT_CIPHERTEXT)
    };
    let ours = Vector::ok(
        "hpke-seal",
        &["SEA-01", "SEA-02"],
        "One bucket of zeros to a known key with known randomness.",
    )
    .text("op", "hpke-seal")
    .hex("recipient_seed", BOBS_KEY)
    .hex("eseed", core::array::from_fn::<u8, 64, _>(|i| i as u8))
    .hex("info", info(&Signed::text().sealed().header.to_bytes()))
    .hex("plaintext", [0; 256]);
    let outcome = run_hpke_seal(&ours);
    vec![
        draft(
            "hpke-draft-vector",
            "KEM 0x647a, KDF 0x0001, AEAD 0x0003: draft-ietf-hpke-pq, appendix A.5, encryption 0.",
            DRAFT_INFO,
            DRAFT_AAD,
            Verdict::Ok,
        )
        .gives("plaintext", DRAFT_PLAINTEXT),
        draft(
            "hpke-draft-vector-other-info",
            "The same with one more byte in `info`.",
            &format!("{DRAFT_INFO}00"),
            DRAFT_AAD,
            Verdict::Seal,
        ),
        draft(
            "hpke-draft-vector-no-aad",
            "The same without its aad.",
            DRAFT_INFO,
            "",
            Verdict::Seal,
        ),
        with_output(ours, outcome),
    ]
}

fn key_vectors() -> Vec<Vector> {
    let public = pair(BOBS_KEY).public().as_ref().to_vec();
    let key = |id, req: &[&str], comment, bytes: &[u8], expect| {
        Vector::refused(id, req, comment, expect).text("op", "key").hex("public", bytes)
    };
    let mut unreduced = public.clone();
    unreduced[..3].fill(0xff);
    let mut last_unreduced = public.clone();
    last_unreduced[1149..1152].fill(0xff);
    vec![
        key("key-good", &["SEA-04", "ENV-05"], "The key of a seed.", &public, Verdict::Ok)
            .gives_hex("key_id", key_id(&public).as_bytes()),
        key("key-short", &["SEA-04"], "A byte is missing.", &public[..1215], Verdict::Decode),
        key(
            "key-long",
            &["SEA-04"],
            "A byte too many.",
            &[&public[..], &[0]].concat(),
            Verdict::Decode,
        ),
        key(
            "key-not-reduced-first",
            &["SEA-04"],
            "The first two numbers are 4,095, more than the modulus 3,329.",
            &unreduced,
            Verdict::Rule,
        ),
        key(
            "key-not-reduced-last",
            &["SEA-04"],
            "The last two numbers are 4,095.",
            &last_unreduced,
            Verdict::Rule,
        ),
    ]
}

fn draft_input(vector: Vector, signed: &Signed) -> Vector {
    vector
        .hex("sender_seed", ALICE)
        .hex("audience", signed.audience)
        .hex("device_id", [7; 8])
        .hex("nonce", [8; 16])
        .number("sent_at", 1_700_000_000_000)
        .hex("chain_id", signed.chain_id)
        .number("counter", signed.counter)
        .number("body_type", signed.body_type.into())
        .hex("body", &signed.body)
        .hex("mailbox", [6; 32])
        .hex("recipient_seed", BOBS_KEY)
        .number("expires_at", WEEK_1 - 1)
        .hex("purge_key", [12; 32])
        .hex("eseed", ESEED)
}

/// A text that fills each of the larger buckets.
fn long_vectors() -> Vec<Vector> {
    let long = |bucket: u64| {
        let id = format!("seal-bucket-{bucket}");
        let vector =
            Vector::ok(&id, &["SEA-06", "SEA-22", "ENV-08"], "A text that fills a bucket.");
        let vector = draft_input(vector, &Signed::text())
            .text("op", "seal-long")
            .number("zeros", bucket - 100 - 116 - 5);
        let outcome = run_sealed(&vector);
        with_output(vector, outcome)
    };
    BUCKETS.into_iter().map(long).collect()
}

fn seal_vectors() -> Vec<Vector> {
    let vector = |id: &str, req: &[&str], comment: &str, signed: &Signed| {
        let vector = draft_input(Vector::ok(id, req, comment), signed).text("op", "seal");
        let outcome = run_seal(&vector);
        with_output(vector, outcome)
    };
    let full = Signed { body: vec![b'x'; 256 - 100 - 116], ..Signed::text() };
    let over = Signed { body: vec![b'x'; 256 - 100 - 116 + 1], ..Signed::text() };
    vec![
        vector(
            "seal-text",
            &["SEA-02", "SEA-06", "SEA-07", "SEA-08", "SEA-10", "SEA-11", "SEA-12", "ENV-04"],
            "Five letters. The expiry is rounded up to the hour.",
            &Signed::text(),
        ),
        vector(
            "seal-bucket-full",
            &["SEA-06"],
            "40 bytes of text fill the smallest bucket: no padding at all.",
            &full,
        ),
        vector("seal-next-bucket", &["SEA-06"], "41 bytes need the next bucket.", &over),
        vector(
            "seal-not-visible",
            &["SEA-14"],
            "A card has no place in a chain.",
            &Signed::hidden(5, b"card".to_vec()),
        ),
    ]
}

fn opened_vectors() -> Vec<Vector> {
    let mut old = Signed::text().sealed();
    old.header.expires_at = UnixMillis(0);
    let mut extended = Signed::text().sealed();
    extended.header.ext = vec![5; 256];
    let later = |body_type| Signed { body_type, ..Signed::text() }.sealed();
    let of_bucket = |bucket: u64| {
        let body = vec![b'x'; bucket as usize / 2 - 100 - 116 + 1];
        Signed { body, ..Signed::text() }.sealed().opens(
            &format!("open-bucket-{bucket}"),
            &["SEA-22", "ENV-08"],
            "The shortest text that needs this bucket.",
        )
    };
    // The larger ones are among the vectors of `seal-long`: these would be too long.
    let mut vectors: Vec<Vector> = BUCKETS.into_iter().take(3).map(of_bucket).collect();
    vectors.extend([
        Signed::text().sealed().opens("open-text", &["SEA-18"], "Five letters from Alice to Bob."),
        old.opens("open-expired", &["SEA-17"], "The recipient opens it however late it is."),
        extended.opens("open-ext", &["ENV-03", "SEA-02"], "A later version's extension is bound."),
        Signed::hidden(2, [&[0, 1][..], &[1; 64], &[1]].concat()).sealed().opens(
            "open-receipt",
            &["SEA-18", "DLV-06"],
            "A receipt for one message.",
        ),
        later(0x0010).opens("open-unknown-body", &["SEA-36"], "A later version's body."),
        later(0x8010).opens(
            "open-unknown-critical-body",
            &["SEA-36", "SEA-37"],
            "A later version's body that must not be confirmed.",
        ),
    ]);
    vectors
}

fn unopened_vectors() -> Vec<Vector> {
    let good = Signed::text().sealed();
    let sealed = good.envelope().sealed().to_vec();
    let refused = |id: &str, req: &[&str], comment: &str, header: &EnvelopeHeader, bytes: &[u8]| {
        let envelope = Envelope::build(header, bytes).expect("well-formed");
        open_vector(id, req, comment, Verdict::Seal, &envelope)
    };
    let header = || good.header.clone();
    let mut vectors = Vec::new();

    let mut suite = Signed::text().sealed();
    suite.header.suite = 2;
    vectors.push(suite.refused(
        "open-suite-2",
        &["SEA-15"],
        "Another suite is not opened, although suite 1's recipe would open this one.",
        Verdict::Seal,
    ));
    let mut unnamed = Signed::text().sealed();
    unnamed.header.key_id = KeyId::from_bytes([0; 8]);
    vectors.push(unnamed.refused(
        "open-key-id-of-no-key",
        &["SEA-16"],
        "A key that is not named is not tried, although it would open this one.",
        Verdict::Seal,
    ));
    let mut other = Signed::text().sealed();
    other.to = CAROLS_KEY;
    vectors.push(other.refused(
        "open-key-id-lies",
        &["SEA-18"],
        "Sealed to Carol's key under the name of Bob's.",
        Verdict::Seal,
    ));

    for (field, header) in [
        ("mailbox", EnvelopeHeader { mailbox: MailboxKey::from_bytes([0; 32]), ..header() }),
        ("expires-at", EnvelopeHeader { expires_at: UnixMillis(0), ..header() }),
        ("purge-hash", EnvelopeHeader { purge_hash: PurgeHash::from_bytes([0; 32]), ..header() }),
        ("ext", EnvelopeHeader { ext: vec![0], ..header() }),
    ] {
        vectors.push(refused(
            &format!("open-header-{field}"),
            &["SEA-02", "SEA-18"],
            "This field of the header was changed on the way.",
            &header,
            &sealed,
        ));
    }
    for (name, at, bit) in [
        ("ml-kem-first", 0, 1),
        ("ml-kem-last", 1087, 0x80),
        ("x25519-first", 1088, 1),
        ("x25519-ignored-bit", 1119, 0x80),
        ("ciphertext", 1120, 1),
        ("padding", 1375, 1),
        ("tag", 1391, 0x80),
    ] {
        let mut bytes = sealed.clone();
        bytes[at] ^= bit;
        vectors.push(refused(
            &format!("open-changed-{name}"),
            &["SEA-18"],
            "One bit of this part was changed on the way.",
            &good.header,
            &bytes,
        ));
    }
    for (name, point) in [
        ("zero", "0000000000000000000000000000000000000000000000000000000000000000"),
        ("one", "0100000000000000000000000000000000000000000000000000000000000000"),
        ("order-8", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    ] {
        let mut bytes = sealed.clone();
        bytes[1088..1120].copy_from_slice(&hex::decode(point));
        vectors.push(refused(
            &format!("open-low-order-{name}"),
            &["SEA-05", "SEA-18"],
            "The X25519 share is a point of small order.",
            &good.header,
            &bytes,
        ));
    }
    let swapped = Forge { purge_key: [14; 32], ..Signed::text().sealed() }.envelope();
    vectors.push(refused(
        "open-swapped",
        &["SEA-02", "SEA-18"],
        "Another message's sealed part under this header.",
        &EnvelopeHeader { expires_at: UnixMillis(2 * WEEK_1), ..header() },
        swapped.sealed(),
    ));
    vectors.push(refused(
        "open-garbage",
        &["SEA-18"],
        "1,392 bytes of 0xff.",
        &good.header,
        &[0xff; 1392],
    ));
    vectors
}

fn plaintext_vectors() -> Vec<Vector> {
    let of = || Signed::text().sealed();
    let padding = of().padding.len();
    let mut first = vec![0; padding];
    first[0] = 1;
    let mut last = vec![0; padding];
    last[padding - 1] = 1;
    let refused =
        |id, req, comment, expect, forge: Forge| forge.refused(id, &[req], comment, expect);
    vec![
        refused(
            "open-other-purge-key",
            "SEA-19",
            "The purge key inside is not the one that the header commits to.",
            Verdict::Rule,
            Forge { purge_key: [0; 32], ..of() },
        ),
        refused(
            "open-length-one-over",
            "SEA-20",
            "The signature would end one byte after the plaintext.",
            Verdict::Decode,
            Forge { length: Some(157), ..of() },
        ),
        refused(
            "open-length-huge",
            "SEA-20",
            "A length of 4,294,967,295.",
            Verdict::Decode,
            Forge { length: Some(u32::MAX), ..of() },
        ),
        refused(
            "open-padding-first",
            "SEA-21",
            "The first byte of the padding is 1.",
            Verdict::Rule,
            Forge { padding: first, ..of() },
        ),
        refused(
            "open-padding-last",
            "SEA-21",
            "The last byte of the padding is 1.",
            Verdict::Rule,
            Forge { padding: last, ..of() },
        ),
        refused(
            "open-bucket-too-large",
            "SEA-22",
            "A bucket of 512 where 256 would do.",
            Verdict::Rule,
            Forge { padding: vec![0; padding + 256], ..of() },
        ),
    ]
}

fn signed_vectors() -> Vec<Vector> {
    let mut carols = Signed::text().sealed();
    carols.signature =
        *message::sign(&IdentitySecret::from_seed(CAROL), &Signed::text().bytes()).as_bytes();
    let mut other_words = Signed::text().sealed();
    other_words.signature = Signed { body: b"hallo".to_vec(), ..Signed::text() }.sealed().signature;
    let mut malleable = Signed::text().sealed();
    malleable.signature = with_order_added(malleable.signature);
    let mut short = Forge::of(Signed::text().bytes()[..115].to_vec());
    short.padding = vec![0; 256 - 100 - 115];
    let with = |change: fn(&mut Signed)| {
        let mut signed = Signed::text();
        change(&mut signed);
        signed.sealed()
    };
    let receipt = |kind| [&[0, 1][..], &[1; 64], &[kind]].concat();
    let cases: [(&str, &str, &str, Verdict, Forge); 16] = [
        ("open-layout-0", "SEA-23", "Signed layout 0.", Verdict::Decode, with(|s| s.layout = 0)),
        ("open-layout-2", "SEA-23", "Signed layout 2.", Verdict::Decode, with(|s| s.layout = 2)),
        (
            "open-signed-short",
            "SEA-23",
            "The signed bytes end inside `body_type`.",
            Verdict::Decode,
            short,
        ),
        (
            "open-audience-group",
            "SEA-24",
            "Audience kind 1 is reserved.",
            Verdict::Audience,
            with(|s| s.audience_kind = 1),
        ),
        (
            "open-audience-other",
            "SEA-25",
            "Alice's words to Carol, sealed again to Bob by Carol.",
            Verdict::Audience,
            with(|s| s.audience = *identity(CAROL).as_bytes()),
        ),
        (
            "open-sender-zero",
            "SEA-26",
            "The sender is the point of order 4 whose encoding is zero.",
            Verdict::Signature,
            with(|s| s.sender = [0; 32]),
        ),
        (
            "open-sender-no-point",
            "SEA-26",
            "The sender is no point of the curve.",
            Verdict::Signature,
            with(|s| {
                s.sender = [0; 32];
                s.sender[0] = 2;
            }),
        ),
        (
            "open-sender-swapped",
            "SEA-27",
            "Carol's name over Alice's signature.",
            Verdict::Signature,
            with(|s| s.sender = *identity(CAROL).as_bytes()),
        ),
        (
            "open-signer-swapped",
            "SEA-27",
            "Alice's name over Carol's signature.",
            Verdict::Signature,
            carols,
        ),
        (
            "open-signature-of-other-words",
            "SEA-27",
            "Alice's signature of another message.",
            Verdict::Signature,
            other_words,
        ),
        (
            "open-signature-zero",
            "SEA-27",
            "64 zeros for a signature.",
            Verdict::Signature,
            Forge { signature: [0; 64], ..Signed::text().sealed() },
        ),
        (
            "open-signature-s-too-large",
            "SEA-27",
            "Alice's signature with the order of the group added to S.",
            Verdict::Signature,
            malleable,
        ),
        (
            "open-body-not-utf8",
            "SEA-28",
            "A signed text that is not UTF-8.",
            Verdict::Decode,
            with(|s| s.body = b"\xff".to_vec()),
        ),
        (
            "open-receipt-kind-3",
            "SEA-28",
            "A signed receipt of an unknown kind.",
            Verdict::Rule,
            Signed::hidden(2, receipt(3)).sealed(),
        ),
        (
            "open-receipt-with-counter",
            "SEA-29",
            "A receipt with a place in a chain.",
            Verdict::Rule,
            Signed { counter: 1, ..Signed::hidden(2, receipt(1)) }.sealed(),
        ),
        (
            "open-receipt-with-chain",
            "SEA-29",
            "A receipt with a chain.",
            Verdict::Rule,
            Signed { chain_id: [1; 8], ..Signed::hidden(2, receipt(1)) }.sealed(),
        ),
    ];
    cases
        .into_iter()
        .map(|(id, req, comment, expect, forge)| forge.refused(id, &[req], comment, expect))
        .collect()
}

/// The same signature with the group's order added to `S`: valid by the
/// equation, refused by the strict rules.
fn with_order_added(mut signature: [u8; 64]) -> [u8; 64] {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "S is below the order, and twice the order fits");
    signature
}
