use proptest::prelude::*;
use tortalk_model::RelayKey;

use super::*;
use crate::relay::RelayHost;
use crate::{IdentitySecret, MailboxSecret, relay_from_bytes};

fn relay_key(seed: u8) -> RelayKey {
    let public = IdentitySecret::from_seed([seed; 32]).public();
    relay_from_bytes(*public.as_bytes()).expect("a public key")
}

fn relay(host: &str) -> RelayAddress {
    RelayAddress::new(RelayHost::Name(host.to_owned()), 443, relay_key(9)).expect("a good host")
}

fn full(relays: Vec<RelayAddress>) -> Invite {
    Invite::Full {
        identity: IdentitySecret::from_seed([1; 32]).public(),
        intro_mailbox: MailboxSecret::from_seed([2; 32]).public(),
        read_key: [3; 32],
        relays,
    }
}

fn sample() -> Invite {
    full(vec![relay("relay.example")])
}

/// Bytes with the checksum that fits them.
fn summed(body: &[u8]) -> Vec<u8> {
    [body, &checksum_of(body)].concat()
}

/// The sample's bytes without checksum, changed.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = sample().to_bytes();
    body.truncate(body.len() - CHECKSUM_BYTES);
    change(&mut body);
    summed(&body)
}

fn error_of(text: &str) -> InviteError {
    Invite::parse_text(text).expect_err("no invite")
}

// req: IDN-11, IDN-12, IDN-13
#[test]
fn text_is_lower_case_a_qr_code_upper_case_and_either_is_read() {
    let (text, qr) = (sample().to_text(), sample().to_qr_text());
    assert!(
        text.starts_with("mesh:")
            && text[5..].bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    );
    assert!(qr.starts_with("MESH:") && !qr.bytes().any(|b| b.is_ascii_lowercase()));
    assert!(!text.contains('='));
    for text in [&text, &qr, &format!("Mesh:{}", &text[5..])] {
        assert_eq!(Invite::parse_text(text), Ok(sample()));
    }
}

// req: IDN-14
#[test]
fn white_space_around_and_inside_is_no_matter() {
    let text = sample().to_text();
    let wrapped: String = text
        .char_indices()
        .map(|(i, c)| if i % 20 == 3 { format!("{c}\r\n\t\u{a0}") } else { c.to_string() })
        .collect();
    assert_eq!(Invite::parse_text(&format!("  {wrapped}\n")), Ok(sample()));
}

// req: IDN-16
#[test]
fn other_text_is_told_from_a_damaged_address() {
    for text in ["", "hello", "https://example.org/", "mesh", "meshed", "mes:aaaa", "mail:mesh:"] {
        let error = error_of(text);
        if "mesh:".starts_with(text) && !text.is_empty() {
            assert_eq!(error, InviteError::Truncated, "{text}");
        } else {
            assert_eq!(error, InviteError::NotAnAddress, "{text}");
        }
    }
}

// req: IDN-15
#[test]
fn a_long_text_is_refused_before_it_is_read() {
    let padded = |len: usize| format!("{}{}", sample().to_text(), " ".repeat(len));
    let room = 4096 - sample().to_text().len();
    assert_eq!(Invite::parse_text(&padded(room)), Ok(sample()));
    assert_eq!(error_of(&padded(room + 1)), InviteError::TextTooLong);
}

// req: IDN-17, CNV-04
#[test]
fn a_text_cut_short_anywhere_says_that_its_end_is_missing() {
    for invite in [sample(), full(vec![]), Invite::Bare { identity: sample().identity() }] {
        let text = invite.to_text();
        for len in 1..text.len() {
            assert_eq!(error_of(&text[..len]), InviteError::Truncated, "{len} of {}", text.len());
        }
    }
}

// req: IDN-17, IDN-18
#[test]
fn every_single_wrong_character_is_a_typing_error_or_a_missing_end() {
    let text = sample().to_text();
    for at in 5..text.len() {
        for wrong in ['a', 'q', '7'] {
            let mut wrong_text = text.clone();
            wrong_text.replace_range(at..=at, &wrong.to_string());
            if wrong_text == text {
                continue;
            }
            let error = error_of(&wrong_text);
            // A wrong length or count inside can look like a missing end.
            assert!(
                matches!(error, InviteError::Checksum | InviteError::Truncated),
                "{at} {wrong}: {error:?}"
            );
        }
        for foreign in ['1', '8', '=', 'é', '!'] {
            let mut wrong_text = text.clone();
            wrong_text.replace_range(at..=at, &foreign.to_string());
            assert_eq!(error_of(&wrong_text), InviteError::Character(foreign), "{at}");
        }
    }
    assert_eq!(
        InviteError::Checksum.to_string(),
        "the address has a typing error: its checksum does not match; copy it again whole"
    );
}

// req: IDN-17
#[test]
fn bits_behind_the_last_byte_are_zero() {
    // 37 bytes are 59.2 characters: four bits of the last one are unused.
    let text = Invite::Bare { identity: sample().identity() }.to_text();
    let last = text.chars().last().expect("not empty");
    assert!("aq".contains(last), "{last} uses bits that a bare invite does not have");
    let wrong = format!("{}{}", &text[..text.len() - 1], if last == 'a' { 'b' } else { 'r' });
    assert_eq!(error_of(&wrong), InviteError::Checksum);
}

// req: CNV-05
#[test]
fn text_behind_a_whole_address_is_named_as_that() {
    let text = sample().to_text();
    for behind in [".", ", see you", "aaaaaaaa", "a", "mesh:", &text] {
        assert_eq!(error_of(&format!("{text}{behind}")), InviteError::Trailing, "{behind}");
    }
}

// req: IDN-19
#[test]
fn a_newer_layout_is_told_from_a_typing_error() {
    let newer = changed(|body| body[0] = 2);
    assert_eq!(Invite::parse(&newer), Err(InviteError::NewerLayout(2)));
    let mut damaged = newer;
    damaged[9] ^= 1;
    assert_eq!(Invite::parse(&damaged), Err(InviteError::Checksum));
}

// req: IDN-20
#[test]
fn at_most_250_bytes() {
    let relays = vec![relay(&"h".repeat(37)), relay(&"i".repeat(37))];
    let invite = full(relays);
    assert_eq!(invite.to_bytes().len(), 248);
    assert_eq!(Invite::parse(&invite.to_bytes()), Ok(invite));
    let address = |host: usize| {
        let head = [&[1, host as u8][..], &vec![b'h'; host], &443u16.to_be_bytes()].concat();
        [&head[..], relay_key(9).as_bytes()].concat()
    };
    let with_hosts = |a: usize, b: usize| {
        let mut body = full(vec![]).to_bytes();
        body.truncate(body.len() - CHECKSUM_BYTES - 1);
        summed(&[&body[..], &[2], &address(a), &address(b)].concat())
    };
    assert!(Invite::parse(&with_hosts(38, 38)).is_ok());
    assert_eq!(Invite::parse(&with_hosts(38, 39)), Err(InviteError::TooLong(251)));
}

// req: IDN-26
#[test]
fn relays_that_do_not_fit_are_left_out_from_the_end() {
    let long = relay(&"h".repeat(64));
    let short = relay("relay.example");
    let written = |relays: Vec<RelayAddress>| match Invite::parse(&full(relays).to_bytes()) {
        Ok(Invite::Full { relays, .. }) => relays,
        other => panic!("{other:?}"),
    };
    assert_eq!(written(vec![long.clone(), long.clone()]), vec![long.clone()]);
    assert_eq!(written(vec![short.clone(), long.clone()]), vec![short.clone()]);
    assert_eq!(written(vec![short.clone(); 3]), vec![short; 2]);
}

// req: IDN-01, IDN-21, IDN-22, IDN-23, IDN-24, IDN-25, CNV-05
#[test]
fn what_a_broken_program_made_is_told_from_typing_errors() {
    let kind = 1 + 3 * 32 + 1;
    let host = kind + 2;
    let port = host + "relay.example".len();
    let cases: [(Vec<u8>, InviteError); 9] = [
        (changed(|body| body[1..33].fill(0)), KeyError::SmallOrder.into()),
        (changed(|body| body[33..65].fill(0)), KeyError::SmallOrder.into()),
        (changed(|body| body[port + 2..].fill(0)), InviteError::Relay(KeyError::SmallOrder.into())),
        (changed(|body| body[kind] = 3), InviteError::Relay(RelayError::UnknownKind(3))),
        (changed(|body| body[kind] = 2), InviteError::Relay(RelayError::OnionLength(13))),
        (changed(|body| body[host] = b'R'), InviteError::Relay(RelayError::Host)),
        (
            changed(|body| body[host..port].copy_from_slice(b"relayy7.onion")),
            InviteError::Relay(RelayError::OnionAsName),
        ),
        (changed(|body| body[port..port + 2].fill(0)), InviteError::Relay(RelayError::Port)),
        (
            changed(|body| body[kind - 1] = 3),
            LayoutError::TooLong { field: "relay_count", found: 3, limit: 2 }.into(),
        ),
    ];
    for (bytes, error) in cases {
        assert_eq!(Invite::parse(&bytes), Err(error), "{error}");
    }
    let trailing = changed(|body| body.push(0));
    assert_eq!(Invite::parse(&trailing), Err(LayoutError::Trailing(1).into()));
}

#[test]
fn an_invite_shows_no_read_key() {
    assert!(!format!("{:?}", sample()).contains("030303"));
}

fn any_relay() -> impl Strategy<Value = RelayAddress> {
    let host = prop_oneof![
        "[a-z0-9.:-]{1,24}".prop_map(RelayHost::Name),
        any::<[u8; 32]>().prop_map(RelayHost::Onion),
    ];
    (host, 1..=u16::MAX, any::<u8>())
        .prop_map(|(host, port, key)| RelayAddress::new(host, port, relay_key(key)))
        .prop_filter_map("a host name that is none", Result::ok)
}

fn any_invite() -> impl Strategy<Value = Invite> {
    let relays = proptest::collection::vec(any_relay(), 0..=2);
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 32]>(), relays, any::<bool>()).prop_map(
        |(identity, mailbox, read_key, relays, bare)| {
            let identity = IdentitySecret::from_seed(identity).public();
            if bare {
                return Invite::Bare { identity };
            }
            let intro_mailbox = MailboxSecret::from_seed(mailbox).public();
            Invite::Full { identity, intro_mailbox, read_key, relays }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_invite_survives_bytes_and_text(invite in any_invite()) {
        let bytes = invite.to_bytes();
        prop_assert!(bytes.len() <= INVITE_BYTES_MAX);
        let parsed = Invite::parse(&bytes);
        prop_assert_eq!(parsed.as_ref(), Ok(&invite));
        prop_assert_eq!(parsed.map(|parsed| parsed.to_bytes()), Ok(bytes));
        prop_assert_eq!(Invite::parse_text(&invite.to_text()), Ok(invite.clone()));
        prop_assert_eq!(Invite::parse_text(&invite.to_qr_text()), Ok(invite));
    }

    #[test]
    fn whatever_parses_writes_the_same_bytes(
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = summed(&body);
        if let Ok(invite) = Invite::parse(&bytes) {
            prop_assert_eq!(invite.to_bytes(), bytes);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(mesh:)?[a-z2-7:.é ]{0,120}") {
        prop_assert!(Invite::parse_text(&text).is_err());
    }
}
