//! spec/vectors/invite.json

use serde_json::{Value, json};
use tortalk_keys::invite::{Invite, InviteError};
use tortalk_keys::relay::{RelayAddress, RelayHost};
use tortalk_model::hash::{self, label};
use tortalk_testkit::hex;
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};

use crate::edge;
use crate::raw_card::{public, relay};

/// The characters with the Unicode property White_Space.
const WHITE_SPACE: [char; 25] = [
    '\t', '\n', '\u{b}', '\u{c}', '\r', ' ', '\u{85}', '\u{a0}', '\u{1680}', '\u{2000}',
    '\u{2001}', '\u{2002}', '\u{2003}', '\u{2004}', '\u{2005}', '\u{2006}', '\u{2007}', '\u{2008}',
    '\u{2009}', '\u{200a}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{205f}', '\u{3000}',
];

const ABOUT: &str = "input.text is what a person pasted; input.bytes is the same after base32. \
    output.text and output.qr are what an encoder writes.";

#[test]
fn invite_vectors() {
    check("invite.json", ABOUT, vectors(), run);
}

fn run(vector: &Vector) -> Outcome {
    let parsed = if vector.input.contains_key("text") {
        Invite::parse_text(vector.str("text"))
    } else {
        Invite::parse(&vector.bytes("bytes"))
    };
    match parsed {
        Ok(invite) => describe(&invite),
        Err(InviteError::Key(_) | InviteError::Relay(_)) => Verdict::Rule.into(),
        Err(_) => Verdict::Decode.into(),
    }
}

fn describe(invite: &Invite) -> Outcome {
    let outcome = Outcome::ok()
        .hex("identity", invite.identity().as_bytes())
        .value("text", invite.to_text())
        .value("qr", invite.to_qr_text());
    match invite {
        Invite::Bare { .. } => outcome,
        Invite::Full { intro_mailbox, read_key, relays, .. } => outcome
            .hex("intro_mailbox", intro_mailbox.as_bytes())
            .hex("read_key", read_key)
            .value("relays", relays.iter().map(describe_relay).collect::<Value>()),
    }
}

fn describe_relay(relay: &RelayAddress) -> Value {
    let (kind, host) = match relay.host() {
        RelayHost::Name(name) => ("host", name.clone()),
        RelayHost::Onion(public) => ("onion", hex::encode(public)),
    };
    json!({ kind: host, "port": relay.port(), "key": hex::encode(relay.key().as_bytes()) })
}

fn summed(body: &[u8]) -> Vec<u8> {
    let sum = hash::labelled(label::INVITE_SUM, &[body]);
    [body, &sum[..4]].concat()
}

fn bare_body() -> Vec<u8> {
    [&[0][..], &public(1)].concat()
}

fn full_body(relays: &[Vec<u8>]) -> Vec<u8> {
    let head = [&[1][..], &public(1), &public(2), &[0xad; 32], &[relays.len() as u8]].concat();
    [head, relays.concat()].concat()
}

fn good_relay() -> Vec<u8> {
    relay(1, b"relay.example", 443)
}

fn sample() -> Vec<u8> {
    full_body(&[good_relay()])
}

fn text_of(body: &[u8]) -> String {
    Invite::parse(&summed(body)).expect("a good invite").to_text()
}

fn vectors() -> Vec<Vector> {
    let mut vectors = positive();
    vectors.extend(damaged_texts());
    vectors.extend(damaged_bytes());
    vectors.extend(broken_rules());
    vectors
}

fn positive() -> Vec<Vector> {
    let of_bytes = |id, req: &[&str], comment, body: &[u8]| {
        with_output(Vector::ok(id, req, comment).hex("bytes", summed(body)))
    };
    let of_text = |id, req: &[&str], comment, text: &str| {
        with_output(Vector::ok(id, req, comment).text("text", text))
    };
    let text = text_of(&sample());
    let wrapped: String = text
        .char_indices()
        .map(|(i, c)| if i % 24 == 7 { format!("{c}\r\n ") } else { c.to_string() })
        .collect();
    let mixed: String = text
        .char_indices()
        .map(|(i, c)| if i % 2 == 0 { c.to_ascii_uppercase() } else { c })
        .collect();
    let two = full_body(&[relay(2, &[0x06; 32], 80), relay(1, b"2001:db8::1", 8443)]);
    vec![
        of_bytes("invite-bare", &["IDN-11", "IDN-12"], "an identity alone", &bare_body()),
        of_bytes("invite-no-relay", &["IDN-11"], "full, without a relay", &full_body(&[])),
        of_bytes("invite-relay", &["IDN-11", "IDN-12"], "full, one relay", &sample()),
        of_bytes("invite-two-relays", &["IDN-11"], "an onion and an IPv6 address", &two),
        of_bytes(
            "invite-250-bytes",
            &["IDN-20"],
            "exactly the largest size",
            &full_body(&[relay(1, &[b'h'; 38], 443), relay(1, &[b'i'; 38], 443)]),
        ),
        of_bytes(
            "invite-host-hyphen",
            &["IDN-22"],
            "a host with a hyphen",
            &full_body(&[relay(1, b"xn--nxasmq6b.relay-2.example", 443)]),
        ),
        of_bytes(
            "invite-host-64",
            &["IDN-22"],
            "the longest host name",
            &full_body(&[relay(1, &[b'h'; 64], 443)]),
        ),
        of_text("invite-text", &["IDN-11"], "as copied", &text),
        of_text("invite-text-qr", &["IDN-13"], "as scanned", &text.to_ascii_uppercase()),
        of_text("invite-text-mixed", &["IDN-13"], "upper and lower case mixed", &mixed),
        of_text("invite-text-wrapped", &["IDN-14"], "broken into lines by a mailer", &wrapped),
        of_text(
            "invite-text-spaces",
            &["IDN-14"],
            "white space around it, some of it not ASCII",
            &format!("\u{a0}\t {text}\u{2003}\n"),
        ),
        of_text(
            "invite-text-white-space",
            &["IDN-14"],
            "each of the 25 characters of white space, the first inside of the scheme",
            &between(&text, &WHITE_SPACE),
        ),
        of_text(
            "invite-text-4096",
            &["IDN-15"],
            "exactly as long as a text may be",
            &format!("{text}{}", " ".repeat(4096 - text.len())),
        ),
    ]
}

/// The letters of `text` with one of `characters` behind each from the second on.
fn between(text: &str, characters: &[char]) -> String {
    let mut made = String::new();
    for (i, letter) in text.chars().enumerate() {
        made.push(letter);
        made.extend(i.checked_sub(1).and_then(|i| characters.get(i)));
    }
    made
}

fn with_output(mut vector: Vector) -> Vector {
    let outcome = run(&vector);
    assert_eq!(outcome.verdict, Verdict::Ok, "{}", vector.id);
    vector.output = outcome.output;
    vector
}

fn damaged_texts() -> Vec<Vector> {
    let text = text_of(&sample());
    let bare = text_of(&bare_body());
    let refused = |id, req: &[&str], comment, text: &str| {
        Vector::refused(id, req, comment, Verdict::Decode).text("text", text)
    };
    let replaced = |at: usize, with: &str| {
        let mut text = text.clone();
        text.replace_range(at..=at, with);
        text
    };
    let other = if text.as_bytes()[40] == b'c' { "d" } else { "c" };
    let unused_bits = if bare.ends_with('a') { "b" } else { "r" };
    let unused_bits = format!("{}{unused_bits}", &bare[..bare.len() - 1]);
    let behind_40 = |character: char| {
        let mut text = text.clone();
        text.insert(40, character);
        text
    };
    let kelvin = text.replacen('k', "\u{212a}", 1);
    assert_ne!(kelvin, text, "there is a k to be replaced");
    vec![
        refused("invite-text-empty", &["IDN-16"], "nothing", ""),
        refused("invite-text-foreign", &["IDN-16"], "a web address", "https://example.org/a"),
        refused("invite-text-no-scheme", &["IDN-16"], "the scheme is missing", &text[5..]),
        refused("invite-text-scheme-only", &["CNV-04"], "nothing behind the scheme", "mesh:"),
        refused("invite-text-slashes", &["IDN-17"], "two slashes", &text.replace(':', "://")),
        refused("invite-text-typo", &["IDN-18"], "one letter is wrong", &replaced(40, other)),
        refused("invite-text-lost-letter", &["IDN-18"], "one letter lost", &replaced(40, "")),
        refused("invite-text-digit", &["IDN-17"], "a 1, not in the alphabet", &replaced(40, "1")),
        refused(
            "invite-text-kelvin",
            &["IDN-13", "IDN-17"],
            "U+212A, whose lower case is k in Unicode, in place of a k",
            &kelvin,
        ),
        refused(
            "invite-text-long-s",
            &["IDN-13", "IDN-16"],
            "U+017F, whose upper case is S in Unicode, in the scheme",
            &text.replacen('s', "\u{17f}", 1),
        ),
        refused(
            "invite-text-unit-separator",
            &["IDN-14", "IDN-17"],
            "U+001F is no white space",
            &behind_40('\u{1f}'),
        ),
        refused(
            "invite-text-zero-width-space",
            &["IDN-14", "IDN-17"],
            "U+200B is no white space",
            &behind_40('\u{200b}'),
        ),
        refused(
            "invite-text-byte-order-mark",
            &["IDN-14", "IDN-16"],
            "U+FEFF is no white space",
            &format!("\u{feff}{text}"),
        ),
        refused("invite-text-padded", &["IDN-17"], "padding", &format!("{bare}====")),
        refused("invite-text-cut", &["CNV-04"], "the second half is missing", &text[..120]),
        refused("invite-text-cut-last", &["CNV-04"], "cut by one", &text[..text.len() - 1]),
        refused("invite-text-unused-bits", &["IDN-17"], "unused bits are set", &unused_bits),
        refused("invite-text-extra", &["CNV-05"], "a letter more", &format!("{text}a")),
        refused("invite-text-twice", &["CNV-05"], "pasted twice", &format!("{text}{text}")),
        refused("invite-text-sentence", &["IDN-17"], "in a sentence", &format!("{text}, bye")),
        refused(
            "invite-text-4097",
            &["IDN-15"],
            "longer than any paste needs to be",
            &format!("{text}{}", " ".repeat(4097 - text.len())),
        ),
    ]
}

fn damaged_bytes() -> Vec<Vector> {
    let refused = |id, req: &[&str], comment, bytes: Vec<u8>| {
        Vector::refused(id, req, comment, Verdict::Decode).hex("bytes", bytes)
    };
    let layout_2 = [&[2], &sample()[1..]].concat();
    let mut wrong_sum = summed(&sample());
    *wrong_sum.last_mut().expect("not empty") ^= 1;
    let unlabelled = hash::unlabelled(&[&sample()]);
    let with_count = |count: u8| {
        let mut body = sample();
        body[97] = count;
        body
    };
    let three = full_body(&[relay(1, b"a", 1), relay(1, b"b", 1), relay(1, b"c", 1)]);
    let long_host = full_body(&[relay(1, &[b'h'; 65], 443)]);
    let over = full_body(&[relay(1, &[b'h'; 38], 443), relay(1, &[b'i'; 39], 443)]);
    vec![
        refused("invite-empty", &["CNV-04"], "no bytes", vec![]),
        refused("invite-sum-only", &["CNV-04"], "a checksum over nothing", summed(&[])),
        refused("invite-sum", &["IDN-18"], "the checksum's last bit", wrong_sum),
        refused(
            "invite-sum-unlabelled",
            &["IDN-18", "CNV-07"],
            "the checksum is made without its label",
            [&sample()[..], &unlabelled[..4]].concat(),
        ),
        refused("invite-layout-2", &["IDN-19"], "a newer layout", summed(&layout_2)),
        refused(
            "invite-bare-layout-2",
            &["IDN-19"],
            "a bare identity whose layout is newer",
            summed(&[&[2], &bare_body()[1..]].concat()),
        ),
        refused("invite-251-bytes", &["IDN-20"], "one byte over the largest size", summed(&over)),
        refused("invite-three-relays", &["CNV-05"], "three relays", summed(&three)),
        refused("invite-count-high", &["CNV-04"], "a relay less", summed(&with_count(2))),
        refused("invite-count-low", &["CNV-05"], "a relay more", summed(&with_count(0))),
        refused(
            "invite-trailing",
            &["CNV-05"],
            "a byte more",
            summed(&[sample(), vec![0]].concat()),
        ),
        refused("invite-host-65", &["CNV-05"], "a host of 65 bytes", summed(&long_host)),
        refused(
            "invite-bare-trailing",
            &["CNV-05"],
            "a bare invite with a byte more",
            summed(&[bare_body(), vec![0]].concat()),
        ),
    ]
}

fn broken_rules() -> Vec<Vector> {
    let refused = |id, req: &[&str], comment, body: Vec<u8>| {
        Vector::refused(id, req, comment, Verdict::Rule).hex("bytes", summed(&body))
    };
    let with_relay = |relay: Vec<u8>| full_body(&[relay]);
    let with_key = |at: usize, key: [u8; 32]| {
        let mut body = sample();
        body[at..at + 32].copy_from_slice(&key);
        body
    };
    let relay_key = sample().len() - 32;
    let large = edge::non_canonical_large_order()[0];
    vec![
        refused("invite-identity-small", &["IDN-01", "CNV-11"], "identity 0", with_key(1, [0; 32])),
        refused("invite-identity-no-point", &["IDN-01"], "no point", with_key(1, edge::no_point())),
        refused("invite-identity-encoding", &["IDN-01", "CNV-10"], "y = p + 3", with_key(1, large)),
        refused("invite-mailbox-small", &["IDN-01"], "mailbox 0", with_key(33, [0; 32])),
        refused("invite-relay-key-small", &["IDN-01"], "key 0", with_key(relay_key, [0; 32])),
        refused(
            "invite-bare-small",
            &["IDN-01"],
            "a bare identity of small order",
            [&[0][..], &[0; 32]].concat(),
        ),
        refused("invite-relay-kind-0", &["IDN-21"], "kind 0", with_relay(relay(0, b"a", 1))),
        refused("invite-relay-kind-3", &["IDN-21"], "kind 3", with_relay(relay(3, &[6; 32], 1))),
        refused("invite-host-empty", &["IDN-22"], "no host", with_relay(relay(1, b"", 1))),
        refused("invite-host-upper", &["IDN-22"], "upper case", with_relay(relay(1, b"A.b", 1))),
        refused("invite-host-line", &["IDN-22"], "an underscore", with_relay(relay(1, b"a_b", 1))),
        refused("invite-host-space", &["IDN-22"], "a space", with_relay(relay(1, b"a b", 1))),
        refused(
            "invite-host-utf8",
            &["IDN-22"],
            "not ASCII",
            with_relay(relay(1, "é".as_bytes(), 1)),
        ),
        refused("invite-host-slash", &["IDN-22"], "a path", with_relay(relay(1, b"a/b", 1))),
        refused("invite-host-onion", &["IDN-23"], "a name", with_relay(relay(1, b"a.onion", 1))),
        refused("invite-host-onion-dot", &["IDN-23"], "dot", with_relay(relay(1, b"a.onion.", 1))),
        refused(
            "invite-host-onion-dots",
            &["IDN-23"],
            "several dots behind it",
            with_relay(relay(1, b"a.onion...", 1)),
        ),
        refused("invite-onion-31", &["IDN-24"], "31 bytes", with_relay(relay(2, &[6; 31], 1))),
        refused("invite-onion-text", &["IDN-24"], "text", with_relay(relay(2, &[b'a'; 56], 1))),
        refused("invite-port-0", &["IDN-25"], "port 0", with_relay(relay(1, b"a.b", 0))),
    ]
}
