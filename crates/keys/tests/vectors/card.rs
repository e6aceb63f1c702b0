//! spec/vectors/card.json

use serde_json::Value;
use tortalk_keys::card::{Card, CardError, CardKind};
use tortalk_model::UnixMillis;
use tortalk_model::envelope::key_id;
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};

use crate::edge;
use crate::raw_card::{NEW_YEAR, RawCard, RawMailbox, key, public, relay, sealing_key};

const ABOUT: &str = "input.card is a card's bytes. output.newest_key_id names the sealing key \
    that is used one hour after 2026-01-01T00:00:00Z; empty when there is none.";
/// What no name may contain (IDN-36): the first and the last of each range.
const FORBIDDEN: [(u32, u32); 19] = [
    (0x0000, 0x001f),
    (0x007f, 0x009f),
    (0x00ad, 0x00ad),
    (0x034f, 0x034f),
    (0x061c, 0x061c),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0e),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];
const DAY: u64 = 24 * 3_600_000;
const HOUR: u64 = 3_600_000;

#[test]
fn card_vectors() {
    check("card.json", ABOUT, vectors(), run);
}

fn run(vector: &Vector) -> Outcome {
    match Card::parse(&vector.bytes("card")) {
        Ok(card) => describe(&card),
        Err(CardError::Ownership(_) | CardError::Signature(_)) => Verdict::Signature.into(),
        Err(
            CardError::Layout(_)
            | CardError::TooLong(_)
            | CardError::UnknownLayout(_)
            | CardError::UnknownKind(_)
            | CardError::NoSealingKey
            | CardError::NoMailbox
            | CardError::UnknownMailboxKind(_)
            | CardError::UnknownOnionFlag(_),
        ) => Verdict::Decode.into(),
        Err(_) => Verdict::Rule.into(),
    }
}

fn describe(card: &Card) -> Outcome {
    let newest = card.newest_sealing_key(UnixMillis(NEW_YEAR + HOUR));
    let newest = newest.map(|key| key_id(&key.public[..]).to_string()).unwrap_or_default();
    let contact_mailbox = card.contact_mailbox().map(|mailbox| mailbox.to_string());
    let contact = match card.contact() {
        None => Value::Null,
        Some(part) => serde_json::json!({
            "deposit_key": tortalk_testkit::hex::encode(part.deposit_key),
            "read_key": tortalk_testkit::hex::encode(part.read_key),
            "relays": part.relays.len(),
            "onion_port": part.onion.as_ref().map(|onion| onion.port),
        }),
    };
    Outcome::ok()
        .value("kind", if card.kind() == CardKind::Intro { "intro" } else { "contact" })
        .hex("identity", card.identity().as_bytes())
        .hex("seq", card.seq().to_be_bytes())
        .value("name", card.name())
        .value("newest_key_id", newest)
        .hex("intro_mailbox", card.intro_mailbox().as_bytes())
        .value("contact_mailbox", contact_mailbox.map_or(Value::Null, Value::from))
        .value("contact", contact)
        .hex("features", card.features())
        .hex("ext", card.ext())
}

fn vectors() -> Vec<Vector> {
    let mut vectors = positive();
    vectors.extend(not_the_layout());
    vectors.extend(broken_rules());
    vectors.extend(forbidden_characters());
    vectors.extend(wrong_signatures());
    vectors
}

fn positive() -> Vec<Vector> {
    let ok = |id, req: &[&str], comment, card: RawCard| {
        let mut vector = Vector::ok(id, req, comment).hex("card", card.bytes());
        let outcome = run(&vector);
        assert_eq!(outcome.verdict, Verdict::Ok, "{id}");
        vector.output = outcome.output;
        vector
    };
    let intro = RawCard::intro;
    let contact = RawCard::contact;
    let around: Vec<char> =
        FORBIDDEN.iter().flat_map(|&(first, last)| around(first, last)).collect();
    let named = |name: &[char]| {
        let name: String = name.iter().collect();
        intro().change(|c| c.name = name.into_bytes())
    };
    vec![
        ok("card-intro", &["IDN-42", "CNV-03"], "the smallest sensible card", intro()),
        ok("card-contact", &["IDN-42", "IDN-40"], "with relay and onion", contact()),
        ok(
            "card-contact-bare",
            &["IDN-40"],
            "a contact card without relay and onion",
            contact().change_contact(|part| {
                (part.relay_count, part.onion_flag) = (0, 0);
                part.relays.clear();
                part.onion.clear();
            }),
        ),
        ok(
            "card-no-name",
            &["IDN-34"],
            "the name may be empty",
            intro().change(|c| c.name.clear()),
        ),
        ok(
            "card-name-64",
            &["IDN-34", "IDN-36"],
            "64 bytes of name that are 32 characters",
            intro().change(|c| c.name = "ß".repeat(32).into_bytes()),
        ),
        ok(
            "card-name-around-1",
            &["IDN-36"],
            "the characters right before and behind those that are not allowed, first part",
            named(&around[..18]),
        ),
        ok("card-name-around-2", &["IDN-36"], "the same, second part", named(&around[18..])),
        ok(
            "card-unknown-extensions",
            &["IDN-43", "CNV-01"],
            "features and ext mean nothing to version 1 and are kept",
            intro().change(|c| (c.features, c.ext) = (vec![0xff; 3], vec![0xee; 5])),
        ),
        ok(
            "card-four-keys",
            &["IDN-48"],
            "of the keys whose window holds, the one that begins last is used",
            intro().change(|card| {
                card.sealing_count = 4;
                card.sealing_keys = vec![
                    (NEW_YEAR - 7 * DAY, NEW_YEAR + 21 * DAY, sealing_key(1)),
                    (NEW_YEAR, NEW_YEAR + 28 * DAY, sealing_key(2)),
                    (NEW_YEAR + 7 * DAY, NEW_YEAR + 35 * DAY, sealing_key(3)),
                    (NEW_YEAR - 35 * DAY, NEW_YEAR - 7 * DAY, sealing_key(4)),
                ];
            }),
        ),
        ok(
            "card-key-at-its-end",
            &["IDN-48"],
            "not_after is the first moment at which the key is not used",
            intro()
                .change(|c| c.sealing_keys[0].0 = NEW_YEAR - HOUR)
                .change(|c| c.sealing_keys[0].1 = NEW_YEAR + HOUR),
        ),
    ]
}

/// The characters right before and behind a range; there is none before U+0000.
fn around(first: u32, last: u32) -> impl Iterator<Item = char> {
    let before = first.checked_sub(1);
    before.into_iter().chain([last + 1]).filter_map(char::from_u32)
}

/// Cards with a name that has the first or the last character of a range.
fn forbidden_characters() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (first, last) in FORBIDDEN {
        for code in if first == last { vec![first] } else { vec![first, last] } {
            // These have vectors among the broken rules.
            if [0x0000, 0x200b, 0x202e].contains(&code) {
                continue;
            }
            let name = format!("A{}b", char::from_u32(code).expect("a character"));
            let (id, comment) = (format!("card-name-{code:04x}"), format!("U+{code:04X}"));
            let card = RawCard::intro().change(|c| c.name = name.into_bytes());
            let vector = Vector::refused(&id, &["IDN-36"], &comment, Verdict::Rule);
            vectors.push(vector.hex("card", card.bytes()));
        }
    }
    vectors
}

fn not_the_layout() -> Vec<Vector> {
    let refused = |id, req: &[&str], comment, bytes: Vec<u8>| {
        Vector::refused(id, req, comment, Verdict::Decode).hex("card", bytes)
    };
    let card = |id, req: &[&str], comment, card: RawCard| refused(id, req, comment, card.bytes());
    let intro = RawCard::intro;
    let contact = RawCard::contact;
    let whole = intro().bytes();
    let cut = |len: usize| whole[..len].to_vec();
    let five_keys = |c: &mut RawCard| {
        c.sealing_count = 5;
        c.sealing_keys = vec![c.sealing_keys[0].clone(); 5];
    };
    let five_mailboxes = |c: &mut RawCard| {
        c.mailbox_count = 5;
        c.mailboxes = (2..7).map(|seed| RawMailbox::new(0, seed, &public(1))).collect();
    };
    vec![
        refused("card-empty", &["CNV-04"], "no bytes", vec![]),
        refused("card-cut-identity", &["CNV-04"], "ends inside the identity", cut(33)),
        refused("card-cut-name", &["CNV-04"], "ends inside the name", cut(53)),
        refused("card-cut-key", &["CNV-04"], "ends inside a sealing key", cut(1000)),
        refused("card-cut-signature", &["CNV-04"], "a byte short", cut(whole.len() - 1)),
        refused("card-trailing", &["CNV-05"], "a byte more", [&whole[..], &[0]].concat()),
        refused("card-8129-bytes", &["IDN-27"], "over the largest size", {
            let mut bytes = whole.clone();
            bytes.resize(8129, 0);
            bytes
        }),
        card("card-layout-0", &["IDN-28"], "layout 0", intro().change(|c| c.layout = 0)),
        card("card-layout-2", &["IDN-28", "CNV-06"], "layout 2", intro().change(|c| c.layout = 2)),
        card("card-kind-2", &["IDN-29"], "kind 2", intro().change(|c| c.kind = 2)),
        card("card-kind-intro-with-contact", &["CNV-05"], "kind 0 with a contact part", {
            contact().change(|c| {
                c.kind = 0;
                c.mailbox_count = 1;
                c.mailboxes.truncate(1);
            })
        }),
        card(
            "card-no-key",
            &["IDN-30"],
            "no sealing key",
            intro().change(|c| {
                c.sealing_count = 0;
                c.sealing_keys.clear();
            }),
        ),
        card("card-five-keys", &["CNV-05"], "five sealing keys", intro().change(five_keys)),
        card("card-count-high", &["CNV-04"], "a key less", intro().change(|c| c.sealing_count = 2)),
        card(
            "card-short-key",
            &["CNV-04"],
            "a sealing key of 1,215 bytes",
            intro().change(|c| {
                c.sealing_keys[0].2.pop();
            }),
        ),
        card(
            "card-no-mailbox",
            &["IDN-31"],
            "no mailbox",
            intro().change(|c| {
                c.mailbox_count = 0;
                c.mailboxes.clear();
            }),
        ),
        card("card-five-mailboxes", &["CNV-05"], "five", intro().change(five_mailboxes)),
        card(
            "card-mailbox-kind-2",
            &["IDN-32"],
            "mailbox kind 2",
            intro().change(|c| {
                c.mailboxes = vec![RawMailbox::new(2, 2, &public(1))];
            }),
        ),
        card(
            "card-name-65",
            &["CNV-05"],
            "a name of 65 bytes",
            intro().change(|c| {
                c.name = vec![b'x'; 65];
            }),
        ),
        card(
            "card-five-relays",
            &["CNV-05"],
            "five relays",
            contact().change_contact(|part| {
                part.relay_count = 5;
                part.relays = vec![relay(1, b"a", 1); 5];
            }),
        ),
        card(
            "card-onion-flag-2",
            &["IDN-33"],
            "onion flag 2",
            contact().change_contact(|part| {
                part.onion_flag = 2;
                part.onion.clear();
            }),
        ),
        card(
            "card-onion-flag-2-whole",
            &["IDN-33"],
            "onion flag 2, and a whole onion service behind it",
            contact().change_contact(|part| part.onion_flag = 2),
        ),
        card(
            "card-features-257",
            &["CNV-05"],
            "257 feature bytes",
            intro().change(|c| {
                c.features = vec![0; 257];
            }),
        ),
        card(
            "card-ext-1025",
            &["CNV-05"],
            "1,025 extension bytes",
            intro().change(|c| {
                c.ext = vec![0; 1025];
            }),
        ),
    ]
}

fn broken_rules() -> Vec<Vector> {
    let refused = |id, req: &[&str], comment, card: RawCard| {
        Vector::refused(id, req, comment, Verdict::Rule).hex("card", card.bytes())
    };
    let intro = RawCard::intro;
    let contact = RawCard::contact;
    let named = |name: &[u8]| intro().change(|c| c.name = name.to_vec());
    let window =
        |from, to| intro().change(|c| (c.sealing_keys[0].0, c.sealing_keys[0].1) = (from, to));
    let mailboxes = |card: RawCard, entries: Vec<RawMailbox>| {
        card.change(|c| {
            c.mailbox_count = entries.len() as u8;
            c.mailboxes = entries;
        })
    };
    let mailbox = |kind, seed| RawMailbox::new(kind, seed, &public(1));
    let small = intro().change(|c| c.mailboxes[0].mailbox = [0; 32]);
    let encoding = edge::non_canonical_large_order()[0];
    let with_relay = |relay: Vec<u8>| contact().change_contact(|part| part.relays = vec![relay]);
    vec![
        refused("card-identity-small", &["IDN-01"], "identity of small order", {
            intro().change(|c| c.identity = [0; 32])
        }),
        refused("card-identity-encoding", &["IDN-01", "CNV-10"], "identity y = p + 3", {
            intro().change(|c| c.identity = encoding)
        }),
        refused("card-mailbox-small", &["IDN-01"], "mailbox of small order", small),
        refused("card-name-not-utf8", &["IDN-35"], "0xff", named(b"A\xff")),
        refused("card-name-overlong", &["IDN-35"], "overlong encoding of /", named(b"\xc0\xaf")),
        refused("card-name-surrogate", &["IDN-35"], "a surrogate", named(b"\xed\xa0\x80")),
        refused("card-name-nul", &["IDN-36"], "U+0000", named(b"A\0")),
        refused("card-name-newline", &["IDN-36"], "U+000A", named(b"A\nb")),
        refused("card-name-c1", &["IDN-36"], "U+0085", named("A\u{85}".as_bytes())),
        refused("card-name-override", &["IDN-36"], "U+202E", named("A\u{202e}b".as_bytes())),
        refused("card-name-isolate", &["IDN-36"], "U+2066", named("\u{2066}A".as_bytes())),
        refused("card-name-zero-width", &["IDN-36"], "U+200B", named("A\u{200b}".as_bytes())),
        refused("card-name-tag", &["IDN-36"], "U+E0041", named("A\u{e0041}".as_bytes())),
        refused("card-window-empty", &["IDN-37"], "begins as it ends", window(NEW_YEAR, NEW_YEAR)),
        refused("card-window-back", &["IDN-37"], "ends first", window(NEW_YEAR, NEW_YEAR - 1)),
        refused("card-window-long", &["IDN-38"], "28 days and a millisecond", {
            window(NEW_YEAR, NEW_YEAR + 28 * DAY + 1)
        }),
        refused("card-window-for-ever", &["IDN-38"], "to the end of time", window(0, u64::MAX)),
        refused("card-intro-shows-contact", &["IDN-39"], "a contact mailbox for strangers", {
            mailboxes(intro(), vec![mailbox(0, 2), mailbox(1, 3)])
        }),
        refused("card-contact-lacks-contact", &["IDN-40"], "no contact mailbox", {
            mailboxes(contact(), vec![mailbox(0, 2)])
        }),
        refused("card-contact-lacks-intro", &["IDN-40"], "no intro mailbox", {
            mailboxes(contact(), vec![mailbox(1, 3)])
        }),
        refused("card-mailbox-twice", &["IDN-41"], "one mailbox as two", {
            mailboxes(intro(), vec![mailbox(0, 2), mailbox(0, 2)])
        }),
        refused("card-mailbox-both-kinds", &["IDN-41"], "one mailbox of both kinds", {
            mailboxes(contact(), vec![mailbox(0, 2), mailbox(1, 2)])
        }),
        refused("card-relay-kind-3", &["IDN-21"], "relay kind 3", with_relay(relay(3, b"a", 1))),
        refused("card-relay-host", &["IDN-22"], "a space", with_relay(relay(1, b"a b", 1))),
        refused("card-relay-onion-name", &["IDN-23"], "", with_relay(relay(1, b"a.onion", 1))),
        refused("card-relay-onion-33", &["IDN-24"], "33", with_relay(relay(2, &[6; 33], 1))),
        refused("card-relay-port-0", &["IDN-25"], "relay port 0", with_relay(relay(1, b"a", 0))),
        refused("card-onion-port-0", &["IDN-25"], "onion port 0", {
            contact().change_contact(|part| part.onion[32..34].fill(0))
        }),
    ]
}

fn wrong_signatures() -> Vec<Vector> {
    let refused = |id, req: &[&str], comment, bytes: Vec<u8>| {
        Vector::refused(id, req, comment, Verdict::Signature).hex("card", bytes)
    };
    let intro = RawCard::intro;
    let mut flipped = intro().bytes();
    flipped[51] ^= 0x20;
    let mut last = intro().bytes();
    *last.last_mut().expect("not empty") ^= 1;
    let stolen = intro().change(|c| c.mailboxes[0] = RawMailbox::new(0, 2, &public(7)));
    let other_kind = intro().change(|c| {
        c.mailboxes[0] = RawMailbox { kind: 0, ..RawMailbox::new(1, 2, &public(1)) };
    });
    let by_identity = intro().change(|c| {
        let ownership = RawMailbox::new(0, 1, &public(1)).ownership;
        c.mailboxes[0].ownership = ownership;
    });
    vec![
        refused("card-changed", &["IDN-42"], "a letter of the name changed", flipped),
        refused("card-signature-bit", &["IDN-42"], "the signature's last bit", last),
        refused("card-other-signer", &["IDN-42"], "signed by another identity", {
            intro().change(|c| c.signer = key(7)).bytes()
        }),
        refused("card-other-label", &["IDN-02", "IDN-42"], "signed as a message", {
            intro().change(|c| c.label = b"tortalk/v1/sign/message\0").bytes()
        }),
        refused("card-no-label", &["IDN-02", "CNV-07"], "signed without a label", {
            intro().change(|c| c.label = b"").bytes()
        }),
        refused("card-mailbox-stolen", &["IDN-06"], "a mailbox that another owns", stolen.bytes()),
        refused("card-mailbox-other-kind", &["IDN-06"], "signed as contact", other_kind.bytes()),
        refused("card-mailbox-by-identity", &["IDN-06"], "identity signed", by_identity.bytes()),
        refused("card-mailbox-unsigned", &["IDN-06"], "a signature of zeros", {
            intro().change(|c| c.mailboxes[0].ownership = [0; 64]).bytes()
        }),
    ]
}
