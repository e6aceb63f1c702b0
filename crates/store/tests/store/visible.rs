//! What somebody sees who has the files and not the key.

use std::path::Path;

use rusqlite::Connection;
use tortalk_mesh::{
    Contact, Evidence, OutgoingMessage, OwnCardBytes, Purpose, RegisteredMailbox, Write,
};
use tortalk_model::{MailboxKey, RelayKey, UnixMillis};
use tortalk_seal::{Body, ReceiptKind};

use crate::world::{
    KEY, World, address, bytes32, contact, envelope, held, incoming, outgoing, person, purge_key,
};

const NAME: &str = "Bartholomew Quillfeather";
const SAID: &str = "the lighthouse keeper sleeps at noon";
const HEARD: &str = "seventeen boxes of oranges arrived";
const ASKED: &str = "we met beside the carousel";
const MEANT: &str = "shall we talk about the ferry";

/// The forms in which bytes are looked for.
const FORMS: [&str; 6] = ["raw", "hex", "HEX", "base64/0", "base64/1", "base64/2"];

/// The needle as it would stand in a file. For base64 that is what is the same
/// whatever stands before and behind: the needle begins at one of three places in
/// a group of three bytes.
fn in_form(needle: &[u8], form: &str) -> Vec<u8> {
    let hex = |byte: &u8| format!("{byte:02x}");
    match form {
        "raw" => needle.to_vec(),
        "hex" => needle.iter().map(hex).collect::<String>().into_bytes(),
        "HEX" => needle.iter().map(hex).collect::<String>().to_uppercase().into_bytes(),
        "base64/0" => base64(needle, 0),
        "base64/1" => base64(needle, 2),
        "base64/2" => base64(needle, 1),
        _ => unreachable!("no such form"),
    }
}

/// Standard base64 of the whole groups that are left after `skip` bytes.
fn base64(needle: &[u8], skip: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    needle[skip..]
        .chunks_exact(3)
        .flat_map(|group| {
            let word = u32::from_be_bytes([0, group[0], group[1], group[2]]);
            [18, 12, 6, 0].map(|shift| ALPHABET[(word >> shift) as usize & 63])
        })
        .collect()
}

/// Which of the needle's forms are in the database's files.
fn found(dir: &Path, needle: &[u8]) -> Vec<&'static str> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        files.push(std::fs::read(entry.expect("a file").path()).expect("its bytes"));
    }
    FORMS
        .into_iter()
        .filter(|form| {
            let sought = in_form(needle, form);
            files.iter().any(|file| file.windows(sought.len()).any(|window| window == sought))
        })
        .collect()
}

fn secrets() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("the contact's name", NAME.into()),
        ("a message's text", SAID.into()),
        ("a received text", HEARD.into()),
        ("a request's text", ASKED.into()),
        ("a waiting request's text", MEANT.into()),
        ("a contact's identity", person(1).as_bytes().to_vec()),
        ("a stranger's identity", person(2).as_bytes().to_vec()),
        ("a carrier's identity", person(3).as_bytes().to_vec()),
        ("a card", bytes32("card", 1).to_vec()),
        ("our card", bytes32("card", 2).to_vec()),
        ("a receipt's proof", bytes32("proof", 1).to_vec()),
        ("a purge key", purge_key(1).as_bytes().to_vec()),
        ("a mailbox", bytes32("mailbox", 1).to_vec()),
        ("a relay's word", bytes32("proof", 2).to_vec()),
        ("a relay", bytes32("relay", 1).to_vec()),
        ("an adopted relay", b"relay-of-an-invite".to_vec()),
        ("our mailbox", bytes32("mailbox", 3).to_vec()),
        ("an unopened envelope's mailbox", bytes32("mailbox", 2).to_vec()),
        ("the key", KEY.to_vec()),
    ]
}

fn filled() -> World {
    let mut world = World::new();
    let card = Some(bytes32("card", 1).to_vec());
    let message = OutgoingMessage { next_try: Some(UnixMillis(9)), ..outgoing(1, 1, SAID) };
    let message_id = message.message_id;
    let proof = bytes32("proof", 1).to_vec();
    let request = Body::ContactRequest { card: vec![1], text: ASKED.into() };
    world.write(&[
        Write::PutContact(Box::new(Contact {
            card,
            asking: Some(MEANT.into()),
            ..contact(1, NAME)
        })),
        Write::PutOwnCards(OwnCardBytes { intro: vec![0], contact: bytes32("card", 2).to_vec() }),
        Write::PutOutgoing(Box::new(message)),
        Write::PutEnvelope(Box::new(held(1, 1, Purpose::Message(message_id)))),
        Write::PutIncoming(Box::new(incoming(2, 1, Body::Text(HEARD.into())))),
        Write::PutIncoming(Box::new(incoming(3, 2, request))),
    ]);
    let peer = person(3);
    world.write(&[
        Write::HandedOver { peer, envelope_id: held(1, 1, Purpose::Receipt).envelope.id() },
        Write::AddEvidence { message_id, evidence: Evidence::Handed { peer, at: UnixMillis(1) } },
        Write::AddEvidence {
            message_id,
            evidence: Evidence::Receipt { kind: ReceiptKind::Read, at: UnixMillis(2), proof },
        },
    ]);
    let relay = RelayKey::from_bytes(bytes32("relay", 1));
    let mailbox = MailboxKey::from_bytes(bytes32("mailbox", 3));
    let (at, proof) = (UnixMillis(3), bytes32("proof", 2).to_vec());
    world.write(&[
        Write::PutOwnRelays(vec![RegisteredMailbox { relay, mailbox }]),
        Write::PutAdoptedRelays(vec![address(1)]),
        Write::PutUnopened { envelope: Box::new(envelope(2)), until: at },
        Write::AddEvidence {
            message_id,
            evidence: Evidence::AtRelay { relay, at, store_until: at, proof },
        },
    ]);
    world
}

#[test]
fn the_files_show_no_name_no_identity_and_no_text() {
    let world = filled();
    let hidden = |dir: &Path| {
        for (what, secret) in secrets() {
            assert_eq!(found(dir, &secret), [""; 0], "{what}");
        }
    };
    let dir = world.path().parent().expect("its folder").to_owned();
    assert!(dir.join("store.sqlite-wal").exists(), "an open database has a log");
    hidden(&dir);
    world.store.search("lighthouse", None, None, 1).expect("the text can be found");
    let closed = world.dir;
    drop(world.store);
    hidden(closed.path());
}

/// The search itself can find: what lies in clear is found in every form.
#[test]
fn a_canary_in_clear_is_found_in_every_form() {
    for (what, secret) in secrets() {
        for form in FORMS {
            let world = filled();
            let dir = world.dir;
            drop(world.store);
            let connection = Connection::open(dir.path().join("store.sqlite")).expect("the file");
            // For base64 with as many bytes in front as the form says.
            let planted = match form.strip_prefix("base64/") {
                Some(before) => {
                    let before: usize = before.parse().expect("a digit");
                    let mut bytes = vec![0xff; before];
                    bytes.extend_from_slice(&secret);
                    bytes.resize(bytes.len().next_multiple_of(3), 0xff);
                    base64(&bytes, 0)
                }
                None => in_form(&secret, form),
            };
            connection
                .execute("INSERT INTO seen (envelope_id, until) VALUES (?1, 1)", [planted])
                .expect("a row in clear");
            drop(connection);
            assert!(found(dir.path(), &secret).contains(&form), "{what} as {form}");
        }
    }
}
