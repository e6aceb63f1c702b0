//! The people of conformance suites (spec/targets.json, spec/annex-targets.md).
#![allow(clippy::disallowed_methods)] // A test compares a file; the crate touches none.

use std::fmt::Write as _;
use std::path::Path;

use tortalk_keys::card::{
    Card, CardDraft, ContactPart, MailboxKind, MailboxSigner, SealingKeyEntry,
};
use tortalk_keys::{IdentitySecret, MailboxSecret, RelaySecret};
use tortalk_model::{DeviceId, UnixMillis, hash};
use tortalk_seal::SealingSecret;
use tortalk_testkit::hex;

const PEOPLE: [&str; 6] = ["ada", "ben", "cyr", "dan", "eve", "fay"];
const RELAYS: [&str; 2] = ["relay-1", "relay-2"];
const NEW_YEAR: UnixMillis = UnixMillis(1_767_225_600_000);
const DAYS_28: u64 = 28 * 24 * 3_600_000;

// req: IDN-06, IDN-42
#[test]
fn the_people_of_suites_are_those_that_are_published() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/targets.json");
    let made = file();
    if std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &made).expect("spec/ can be written");
    }
    let stands = std::fs::read_to_string(&path).expect("spec/targets.json is there");
    assert!(stands == made, "spec/targets.json is another; UPDATE_VECTORS=1 writes it");
}

fn seed(who: &str, what: &str) -> [u8; 32] {
    hash::unlabelled(&[format!("tortalk target {who} {what}").as_bytes()])
}

/// The whole file; names and hexadecimal digits need no escapes.
fn file() -> String {
    let people: Vec<String> = PEOPLE.iter().map(|who| object(&person(who))).collect();
    let relays: Vec<String> = RELAYS
        .iter()
        .map(|who| {
            let secret = RelaySecret::from_seed(seed(who, "relay"));
            let fields = [
                ("who", (*who).to_owned()),
                ("seed_relay", hex::encode(secret.seed())),
                ("relay_key", hex::encode(secret.public().as_bytes())),
            ];
            object(&fields)
        })
        .collect();
    format!(
        "{{\n  \"about\": \"The people and relays of conformance suites: spec/annex-targets.md, \
         section 1. All secrets here are public.\",\n  \"people\": [\n{}\n  ],\n  \
         \"relays\": [\n{}\n  ]\n}}\n",
        people.join(",\n"),
        relays.join(",\n")
    )
}

fn object(fields: &[(&str, String)]) -> String {
    let mut text = "    {".to_owned();
    for (index, (name, value)) in fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(text, "{comma}\n      \"{name}\": \"{value}\"").expect("a String takes it");
    }
    text + "\n    }"
}

/// Seeds, public keys and both cards of one person.
fn person(who: &str) -> Vec<(&'static str, String)> {
    let identity = IdentitySecret::from_seed(seed(who, "identity"));
    let intro = MailboxSecret::from_seed(seed(who, "intro"));
    let contact = MailboxSecret::from_seed(seed(who, "contact"));
    let sealing = SealingSecret::from_seed(seed(who, "sealing"));
    let device_id = DeviceId::from_bytes(*seed(who, "device").first_chunk().expect("32 bytes"));
    let draft = |contact| CardDraft {
        device_id,
        seq: NEW_YEAR.0,
        name: who.to_owned(),
        sealing_keys: vec![SealingKeyEntry {
            device_id,
            not_before: NEW_YEAR,
            not_after: UnixMillis(NEW_YEAR.0 + DAYS_28),
            public: Box::new(sealing.public().as_bytes().try_into().expect("1,216 bytes")),
        }],
        contact,
        features: Vec::new(),
        ext: Vec::new(),
    };
    let part = ContactPart {
        deposit_key: seed(who, "deposit"),
        read_key: seed(who, "read"),
        relays: Vec::new(),
        onion: None,
    };
    let signer = |kind, secret| MailboxSigner { kind, device_id, secret };
    let mailboxes = [signer(MailboxKind::Intro, &intro), signer(MailboxKind::Contact, &contact)];
    let intro_card = Card::sign(draft(None), &identity, &mailboxes[..1]).expect("a card");
    let contact_card = Card::sign(draft(Some(part)), &identity, &mailboxes).expect("a card");
    vec![
        ("who", who.to_owned()),
        ("seed_identity", hex::encode(identity.seed())),
        ("seed_intro", hex::encode(intro.seed())),
        ("seed_contact", hex::encode(contact.seed())),
        ("seed_sealing", hex::encode(sealing.seed())),
        ("deposit_key", hex::encode(seed(who, "deposit"))),
        ("read_key", hex::encode(seed(who, "read"))),
        ("intro_read_key", hex::encode(seed(who, "intro-read"))),
        ("device_id", hex::encode(device_id.as_bytes())),
        ("identity", hex::encode(identity.public().as_bytes())),
        ("intro_mailbox", hex::encode(intro.public().as_bytes())),
        ("contact_mailbox", hex::encode(contact.public().as_bytes())),
        ("key_id", hex::encode(sealing.key_id().as_bytes())),
        ("intro_card", hex::encode(intro_card.as_bytes())),
        ("contact_card", hex::encode(contact_card.as_bytes())),
    ]
}
