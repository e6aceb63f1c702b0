//! Faults in cards that a stranger shows on a link (`spec/identity.md` 6.2, in its order;
//! `spec/README.md` for what all layouts have in common). Whoever reads one ends the link
//! with `Bye{PROTOCOL}` (GSP-11); the twin is the same card without the fault.

pub mod cards;

use crate::cases::link_frames::{Desk, End, FrameFault, Make, Wrong};
use crate::peer::odd_signatures::{LARGE_OVER_P, NEUTRAL, NEUTRAL_OVER_P, mixed_key, sign_mixed};
use crate::peer::signature_of_neutral;
use crate::people::Person;
use crate::stack::card::{Card, MailboxEntry, OnionEntry};
use crate::stack::crypto::{public, sign};
use crate::stack::frame::Frame;
use crate::stack::proofs::sign_owner;
use crate::stack::relay::{Authority, RelayEntry};
use crate::stack::v1;

/// The card of a kind as its owner signs it, after a change of its fields.
fn drawn(desk: &Desk<'_>, kind: u8, change: fn(&mut Card, &Person)) -> Vec<u8> {
    let mut card = desk.person.card(kind, desk.now);
    if desk.make == Make::Bad {
        change(&mut card, desk.person);
    }
    shown(card.signed(&desk.person.identity_seed))
}

/// The same, after a change of the bytes that are signed.
fn written(desk: &Desk<'_>, change: fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = desk.person.card(0, desk.now).unsigned();
    if desk.make == Make::Bad {
        change(&mut bytes);
    }
    let signature = sign(&desk.person.identity_seed, "sign/card", &[&bytes]);
    shown([bytes.as_slice(), &signature].concat())
}

/// A card whose contact part names one relay; the twin's is a good one.
fn with_relay(desk: &Desk<'_>, change: fn(&mut RelayEntry)) -> Vec<u8> {
    let mut card = desk.person.card(1, desk.now);
    let mut relay = RelayEntry {
        authority: Authority::host("relay.example", 443),
        key: public(&desk.person.deposit_key),
    };
    if desk.make == Make::Bad {
        change(&mut relay);
    }
    if let Some(part) = &mut card.contact {
        part.relays.push(relay);
    }
    shown(card.signed(&desk.person.identity_seed))
}

fn shown(card: Vec<u8>) -> Vec<u8> {
    Frame::Card(v1::Card { card }).bytes()
}

fn mailbox(person: &Person, kind: u8, seed: &[u8; 32]) -> MailboxEntry {
    MailboxEntry {
        kind,
        device_id: person.device_id,
        mailbox: public(seed),
        ownership_signature: sign_owner(seed, &person.identity(), kind),
    }
}

/// The intro mailbox is this key, for which no secret is known and any signature holds.
fn neutral_mailbox(card: &mut Card, person: &Person, key: [u8; 32]) {
    card.mailboxes[0].mailbox = key;
    card.mailboxes[0].ownership_signature = signature_of_neutral(&person.intro_seed);
}

fn mixed_mailbox(card: &mut Card, person: &Person) {
    let seed = &person.intro_seed;
    card.mailboxes[0].mailbox = mixed_key(seed);
    card.mailboxes[0].ownership_signature =
        sign_mixed(seed, "sign/mailbox-owner", &[&person.identity(), &[0]]);
}

const fn fault(
    id: &'static str,
    req: &'static str,
    about: &'static str,
    make: fn(&Desk<'_>) -> Vec<u8>,
) -> FrameFault {
    FrameFault { id, req, about, wrong: Wrong::Plain(make), end: End::ByeMust }
}

const fn fine(
    id: &'static str,
    req: &'static str,
    about: &'static str,
    make: fn(&Desk<'_>) -> Vec<u8>,
) -> FrameFault {
    FrameFault { end: End::Goes, ..fault(id, req, about, make) }
}

/// All of them. "Refused" is `Bye{PROTOCOL}`.
#[rustfmt::skip] // a table
pub const FAULTS: &[FrameFault] = &[
    fault("card.short", "CNV-04", "A card that ends inside its name. Refused.",
        |d| written(d, |b| b.truncate(52))),
    fault("card.trailing", "CNV-05", "A signed byte behind the last field. Refused.",
        |d| written(d, |b| b.push(0))),
    fault("card.name-65", "CNV-05", "A name of 65 bytes. Refused.",
        |d| drawn(d, 0, |c, _| c.name = vec![b'a'; 65])),
    fault("card.features-257", "CNV-05", "Features of 257 bytes. Refused.",
        |d| drawn(d, 0, |c, _| c.features = vec![0; 257])),
    fault("card.ext-1025", "CNV-05", "An extension of 1,025 bytes. Refused.",
        |d| drawn(d, 0, |c, _| c.ext = vec![0; 1025])),
    fault("card.five-keys", "CNV-05", "Five sealing keys. Refused.",
        |d| drawn(d, 0, |c, _| c.sealing = vec![c.sealing[0].clone(); 5])),
    fault("card.length-narrow", "CNV-02",
        "The length of the extension in one byte instead of two. Refused.",
        |d| written(d, |b| b.truncate(b.len() - 1))),
    fault("card.length-swapped", "CNV-03",
        "A feature byte whose length is little-endian. Refused.",
        |d| written(d, |b| { let at = b.len() - 4; b.splice(at.., [1, 0, 7, 0, 0]); })),
    fault("card.layout-255", "CNV-06", "Layout 255. Refused.",
        |d| drawn(d, 0, |c, _| c.layout = 255)),
    fault("card.layout-2", "IDN-28", "Layout 2. Refused.", |d| drawn(d, 0, |c, _| c.layout = 2)),
    fault("card.kind-2", "IDN-29", "Kind 2. Refused.", |d| drawn(d, 0, |c, _| c.kind = 2)),
    fault("card.no-key", "IDN-30", "No sealing key. Refused.",
        |d| drawn(d, 0, |c, _| c.sealing.clear())),
    fault("card.no-mailbox", "IDN-31", "No mailbox. Refused.",
        |d| drawn(d, 0, |c, _| c.mailboxes.clear())),
    fault("card.mailbox-kind-2", "IDN-32", "A second mailbox, of kind 2. Refused.",
        |d| drawn(d, 0, |c, p| c.mailboxes.push(mailbox(p, 2, &p.contact_seed)))),
    fault("card.onion-flag-2", "IDN-33", "The onion flag is 2. Refused.",
        |d| {
            let mut bytes = d.person.card(1, d.now).unsigned();
            // The flag, and two empty fields of two bytes each.
            let flag = bytes.len() - 5;
            if d.make == Make::Bad { bytes[flag] = 2; }
            let signature = sign(&d.person.identity_seed, "sign/card", &[&bytes]);
            shown([bytes.as_slice(), &signature].concat())
        }),
    fault("card.relay-kind-3", "IDN-21", "A relay of kind 3. Refused.",
        |d| with_relay(d, |r| { r.authority.kind = 3; r.authority.address = vec![7; 32]; })),
    fault("card.relay-upper", "IDN-22", "A relay's name with an upper-case letter. Refused.",
        |d| with_relay(d, |r| r.authority.address[0] = b'R')),
    fault("card.relay-empty", "IDN-22", "A relay without a name. Refused.",
        |d| with_relay(d, |r| r.authority.address.clear())),
    fault("card.relay-onion-name", "IDN-23",
        "A relay's host name that ends in .onion and a dot. Refused.",
        |d| with_relay(d, |r| r.authority.address = b"relay.onion.".to_vec())),
    fault("card.relay-onion-31", "IDN-24", "An onion service's key of 31 bytes. Refused.",
        |d| with_relay(d, |r| { r.authority.kind = 2; r.authority.address = vec![7; 31]; })),
    fault("card.relay-port-0", "IDN-25", "A relay's port 0. Refused.",
        |d| with_relay(d, |r| r.authority.port = 0)),
    fault("card.onion-port-0", "IDN-25", "An onion service's port 0. Refused.",
        |d| drawn(d, 1, |c, p| if let Some(part) = &mut c.contact {
            part.onion = Some(OnionEntry { onion: public(&p.read_key), port: 0,
                                           client_auth: p.read_key });
        })),
    fault("card.name-not-utf8", "IDN-35", "A name that is not UTF-8. Refused.",
        |d| drawn(d, 0, |c, _| c.name = vec![b'Z', 0xfc])),
    fault("card.relay-key-small", "IDN-01", "A relay key of small order. Refused.",
        |d| with_relay(d, |r| r.key = NEUTRAL)),
    fault("card.relay-key-over-p", "CNV-10",
        "A relay key whose y is written as p + 3, a point of large order. Refused.",
        |d| with_relay(d, |r| r.key = LARGE_OVER_P)),
    fault("card.mailbox-over-p", "CNV-10",
        "A mailbox that is the neutral point with y = p + 1; its signature holds. Refused.",
        |d| drawn(d, 0, |c, p| neutral_mailbox(c, p, NEUTRAL_OVER_P))),
    fault("card.mailbox-neutral", "CNV-11",
        "A mailbox that is the neutral point; its signature holds. Refused.",
        |d| drawn(d, 0, |c, p| neutral_mailbox(c, p, NEUTRAL))),
    fine("card.mailbox-mixed", "CNV-16",
        "A mailbox and an R that are sums with a point of order 8. Nothing is wrong with them.",
        |d| drawn(d, 0, mixed_mailbox)),
    fault("card.name-turned", "IDN-36", "U+202E in the name, which turns the line. Refused.",
        |d| drawn(d, 0, |c, _| c.name = "Zed\u{202e}deZ".into())),
    fault("card.name-tag", "IDN-36", "U+E0041, an invisible tag, in the name. Refused.",
        |d| drawn(d, 0, |c, _| c.name = "Zed\u{e0041}".into())),
    fault("card.name-two-lines", "IDN-36", "A line feed in the name. Refused.",
        |d| drawn(d, 0, |c, _| c.name = b"Zed\nAda".to_vec())),
    fault("card.window-empty", "IDN-37", "A sealing key that ends when it begins. Refused.",
        |d| drawn(d, 0, |c, _| c.sealing[0].not_after = c.sealing[0].not_before)),
    fault("card.window-long", "IDN-38", "A sealing key for 28 days and 1 ms. Refused.",
        |d| drawn(d, 0, |c, _| {
            c.sealing[0].not_after = c.sealing[0].not_before + 28 * 86_400_000 + 1;
        })),
    fine("card.window-ended", "IDN-38",
        "A sealing key for 28 days, which ended in 1970. Nothing is wrong with it.",
        |d| drawn(d, 0, |c, _| {
            c.sealing[0].not_before = 1;
            c.sealing[0].not_after = 28 * 86_400_000 + 1;
        })),
    fault("card.intro-contact-mailbox", "IDN-39", "An intro card with a contact mailbox. Refused.",
        |d| drawn(d, 0, |c, p| c.mailboxes.push(mailbox(p, 1, &p.contact_seed)))),
    fault("card.no-intro-mailbox", "IDN-40", "A contact card without an intro mailbox. Refused.",
        |d| drawn(d, 1, |c, _| { c.mailboxes.swap_remove(0); })),
    fault("card.no-contact-mailbox", "IDN-40",
        "A contact card without a contact mailbox. Refused.",
        |d| drawn(d, 1, |c, _| c.mailboxes.truncate(1))),
    fault("card.mailbox-twice", "IDN-41", "One mailbox key for both kinds. Refused.",
        |d| drawn(d, 1, |c, p| c.mailboxes[1] = mailbox(p, 1, &p.intro_seed))),
    fault("card.owner-other-kind", "IDN-06",
        "A mailbox key that signed for the other kind. Refused.",
        |d| drawn(d, 0, |c, p| {
            c.mailboxes[0].ownership_signature = sign_owner(&p.intro_seed, &p.identity(), 1);
        })),
    fault("card.owner-other-identity", "IDN-06",
        "A mailbox key that signed for somebody else. Refused.",
        |d| drawn(d, 0, |c, p| {
            c.mailboxes[0].ownership_signature = sign_owner(&p.intro_seed, &[7; 32], 0);
        })),
    fault("card.signed-by-another", "IDN-42", "Signed by the mailbox key. Refused.",
        |d| {
            let seed = if d.make == Make::Bad { d.person.intro_seed } else {
                d.person.identity_seed };
            shown(d.person.card(0, d.now).signed(&seed))
        }),
    fault("card.no-label", "CNV-07", "Signed under another label. Refused.",
        |d| {
            let bytes = d.person.card(0, d.now).unsigned();
            let purpose = if d.make == Make::Bad { "sign/message" } else { "sign/card" };
            let signature = sign(&d.person.identity_seed, purpose, &[&bytes]);
            shown([bytes.as_slice(), &signature].concat())
        }),
    fine("card.features-unknown", "VER-01",
        "Feature bits that nobody knows. Nothing is wrong with them.",
        |d| drawn(d, 0, |c, _| c.features = vec![0xff; 256])),
    fine("card.ext-unknown", "IDN-43", "An extension of 1,024 bytes. Nothing is wrong with it.",
        |d| drawn(d, 0, |c, _| c.ext = vec![7; 1024])),
];
