//! What a person types or pastes, and ports that are somebody else's.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use super::Row;
use crate::common::{Home, Profile};

fn check_all(profile: &Profile<'_>, rows: &[(&str, &[&str], i32, &str)]) {
    for (what, arguments, code, line) in rows {
        Row { what, arguments, code: *code, line }.check(profile);
    }
}

/// A profile that has been opened before, with one contact.
fn settled(home: &Home) -> Profile<'_> {
    let (profile, bob) = (home.profile("p"), home.profile("bob"));
    profile.add(&bob, "Bob");
    profile
}

#[test]
fn addresses_with_typing_errors() {
    let home = Home::new();
    let profile = settled(&home);
    let address = home.profile("carol").address();
    // Another letter in the middle, and the same two exchanged.
    let middle = address.len() / 2;
    let other = if &address[middle..=middle] == "a" { "b" } else { "a" };
    let mistyped = format!("{}{other}{}", &address[..middle], &address[middle + 1..]);
    let foreign_letter = format!("{}0{}", &address[..middle], &address[middle + 1..]);
    let cut = &address[..address.len() - 20];
    let doubled = format!("{address}{}", &address[5..]);
    let newer = newer_address();
    let endless = format!("mesh:{}", "a".repeat(5000));
    let sum = "the address has a typing error: its checksum does not match; copy it again whole";
    let rows: &[(&str, &[&str], i32, &str)] = &[
        ("checksum", &["contacts", "add", &mistyped], 65, sum),
        ("checksum, in send", &["send", &mistyped, "x"], 65, sum),
        (
            "a letter that none has",
            &["contacts", "add", &foreign_letter],
            65,
            "the address has a typing error: no address contains `0`; copy it again whole",
        ),
        (
            "cut off",
            &["contacts", "add", cut],
            65,
            "the end of the address is missing; copy it again whole",
        ),
        (
            "more behind it",
            &["contacts", "add", &doubled],
            65,
            "there is something behind the end of the address; copy the address alone",
        ),
        (
            "newer",
            &["contacts", "add", &newer],
            65,
            "the address was made by a newer torTalk (layout 2); update this one to use it",
        ),
        (
            "far too long",
            &["contacts", "add", &endless],
            65,
            "this is far too long for a torTalk address; copy the address alone",
        ),
        (
            "nothing in it",
            &["contacts", "add", "mesh:"],
            65,
            "the end of the address is missing; copy it again whole",
        ),
        (
            "foreign",
            &["contacts", "add", "https://example.org/bob"],
            5,
            "nobody is called `https://example.org/bob`: `tortalk contacts list` shows the names, \
             `tortalk nearby` who is here",
        ),
    ];
    check_all(&profile, rows);
}

/// An address of layout 2 that is otherwise right, from the test vectors.
fn newer_address() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/invite.json");
    let vectors: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    let vector = vectors.iter().find(|vector| vector["id"] == "invite-layout-2").unwrap();
    let hex = vector["input"]["bytes"].as_str().unwrap();
    let bits: String =
        hex.chars().map(|digit| format!("{:04b}", digit.to_digit(16).unwrap())).collect();
    let digits = bits.as_bytes().chunks(5).map(|five| {
        let five = format!("{:0<5}", std::str::from_utf8(five).unwrap());
        let value = u8::from_str_radix(&five, 2).unwrap();
        char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(value)])
    });
    format!("mesh:{}", digits.collect::<String>())
}

#[test]
fn people_texts_and_files_that_are_not_usable() {
    let home = Home::new();
    let profile = settled(&home);
    let own = profile.address();
    let twin = home.profile("twin").address();
    profile.run(&["contacts", "add", &twin, "--name", "bob"]).ok();
    let bobs: Vec<String> = profile
        .json(&["contacts"])
        .iter()
        .map(|contact| contact["identity"].as_str().unwrap()[..16].to_owned())
        .collect();
    let mut sorted = bobs.clone();
    sorted.sort();
    let ambiguous = format!("`Bob` can be {} or {}: write one of these", sorted[0], sorted[1]);
    let stranger = home.profile("stranger").address();
    profile.run(&["contacts", "block", &bobs[1]]).ok();
    let large = "x".repeat(70_000);
    let long = "x".repeat(1025);
    fs::write(home.path().join("picture"), b"\x89PNG\xff").unwrap();
    fs::write(home.path().join("text"), b"hello").unwrap();
    let rows: &[(&str, &[&str], i32, &str)] = &[
        (
            "nobody",
            &["send", "Carol", "x"],
            5,
            "nobody is called `Carol`: `tortalk contacts list` shows the names, `tortalk nearby` \
             who is here",
        ),
        ("two of one name", &["send", "Bob", "x"], 5, &ambiguous),
        ("no contact", &["send", &stranger, "x"], 5, "this is not a contact yet: add them first"),
        ("blocked", &["send", &bobs[1], "x"], 65, "this contact is blocked: unblock them first"),
        (
            "oneself",
            &["contacts", "add", &own],
            65,
            "this is your own address: give the address of somebody else",
        ),
        ("no text", &["send", &bobs[0], ""], 65, "the text is empty: write something"),
        (
            "a text that is too large",
            &["send", &bobs[0], &large],
            65,
            "the text has 70000 bytes; at most 65320 fit in a message: send it in parts",
        ),
        (
            "too much for a request",
            &["add", &stranger, "--text", &long],
            65,
            "the text has 1025 bytes; at most 1024 fit in a contact request: write less",
        ),
        (
            "nobody who asks",
            &["requests", "accept", &stranger],
            5,
            "nobody of this identity asks to be your contact: `tortalk requests list` shows who \
             does",
        ),
        (
            "nobody who asks, to be declined",
            &["requests", "decline", &bobs[0]],
            5,
            "nobody of this identity asks to be your contact: `tortalk requests list` shows who \
             does",
        ),
        (
            "a stranger's own name",
            &["requests", "accept", "Carol"],
            5,
            "nobody is called `Carol`: `tortalk contacts list` shows the names, `tortalk nearby` \
             who is here",
        ),
        (
            "nobody to be removed",
            &["contacts", "remove", &stranger],
            5,
            "this is not a contact yet: add them first",
        ),
        (
            "not blocked",
            &["contacts", "unblock", &stranger],
            5,
            "this is not a contact yet: add them first",
        ),
        (
            "a name that moves the cursor",
            &["contacts", "rename", &bobs[0], "x\x1b[2J"],
            65,
            "the name contains U+001B, which is not shown or moves what is: choose another name",
        ),
        ("no name", &["contacts", "rename", &bobs[0], ""], 65, "a contact needs a name: give one"),
        (
            "no card, and no text",
            &["contacts", "import", "picture"],
            65,
            "picture: this is not UTF-8 text: give a text file",
        ),
        (
            "no card",
            &["contacts", "import", "text"],
            65,
            "the card is not whole: ask for the file again and import it as it is",
        ),
        (
            "no file",
            &["contacts", "import", "nothing"],
            65,
            "nothing: cannot be read (No such file or directory (os error 2)): give another file",
        ),
    ];
    check_all(&profile, rows);
}

#[test]
fn a_port_of_somebody_else() {
    let home = Home::new();
    let profile = settled(&home);
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    profile.settings(&format!("tcp_port = {port}\n"));
    let line =
        format!("port {port} is in use: choose another in settings.toml, or none for any free one");
    for arguments in [&["run"][..], &["send", "Bob", "x"], &["chat", "Bob"]] {
        Row { what: "a set port", arguments, code: 1, line: &line }.check(&profile);
    }
    // Without a set one, whoever has the usual port does not matter.
    let _usual = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 45_454));
    profile.settings("");
    let mut node = profile.start();
    assert_ne!(node.port, 45_454);
    assert_eq!(node.stop(), Some(0));
}
