//! Invites, cards and addresses.

use orion::hazardous::aead::xchacha20poly1305::{Nonce, SecretKey, XChaCha20Poly1305};
use tortalk_keys::card::{Card, CardKind};
use tortalk_keys::fuzzing::with_any_signature;
use tortalk_keys::invite::Invite;
use tortalk_keys::relay::{Authority, RelayAddress, RelayHost};
use tortalk_model::hash::label::CARD_DROP;
use tortalk_model::limits::relay::CARD_BLOB_SIZES;
use tortalk_model::limits::{
    CARD_BYTES_MAX, CARD_EXT_BYTES_MAX, CARD_MAILBOXES_MAX, CARD_RELAYS_MAX, CARD_SEALING_KEYS_MAX,
    FEATURES_BYTES_MAX, INVITE_BYTES_MAX, INVITE_RELAYS_MAX, INVITE_TEXT_BYTES_MAX, NAME_BYTES_MAX,
    RELAY_HOST_BYTES_MAX,
};
use tortalk_model::{IdentityKey, MailboxKey, UnixMillis};
use tortalk_relay::authority_text::parse_authority;
use tortalk_seal::SealingPublic;
use tortalk_seal::card_drop::{self, Expected};

/// An accepted card keeps every limit, has what its kind promises, and replaces
/// nothing that is the same.
pub fn card(bytes: &[u8]) {
    let Ok(card) = with_any_signature(|| Card::parse(bytes)) else { return };
    judge_card(&card, bytes);
}

fn judge_card(card: &Card, bytes: &[u8]) {
    assert_eq!(card.as_bytes(), bytes);
    assert!(bytes.len() <= CARD_BYTES_MAX && card.name().len() <= NAME_BYTES_MAX);
    assert!((1..=CARD_SEALING_KEYS_MAX).contains(&card.sealing_keys().len()));
    assert!((1..=CARD_MAILBOXES_MAX).contains(&card.mailboxes().len()));
    assert!(card.features().len() <= FEATURES_BYTES_MAX && card.ext().len() <= CARD_EXT_BYTES_MAX);
    assert_ne!(card.contact().is_some(), card.contact_mailbox().is_none());
    let intro = card.intro_mailbox();
    assert!(card.mailboxes().iter().any(|entry| entry.mailbox == intro));
    let relays = card.contact().map_or(&[][..], |contact| &contact.relays[..]);
    assert!(relays.len() <= CARD_RELAYS_MAX);
    relays.iter().for_each(survives);
    for key in card.sealing_keys() {
        let newest = card.newest_sealing_key(key.not_before);
        let begins = newest.is_some_and(|newest| newest.not_before >= key.not_before);
        assert!(begins || !key.is_valid_at(key.not_before));
        // Whether it is a key shows here and nowhere before.
        let _other_length_is_refused = SealingPublic::from_bytes(&key.public[..]);
    }
    assert!(!card.supersedes(card));
    assert!(!card.is_ahead_of(UnixMillis(u64::MAX)));
}

fn survives(relay: &RelayAddress) {
    assert_eq!(RelayAddress::parse(&relay.to_bytes()).as_ref(), Ok(relay));
    let authority = relay.authority();
    assert_eq!(Authority::parse(&authority.to_bytes()), Ok(authority));
}

/// A drop whose maker has the read key. The first two bytes choose length and
/// layout, the rest is what is sealed.
pub fn card_drop(bytes: &[u8]) {
    let Some(([size, layout], plain)) = bytes.split_first_chunk() else { return };
    let (mailbox, read_key, nonce) = (MailboxKey::from_bytes([1; 32]), [2; 32], [3; 24]);
    // A card's seq stands behind its identity and device.
    let seq = plain.get(44..52).and_then(|seq| seq.try_into().ok()).map_or(0, u64::from_be_bytes);
    let size = CARD_BLOB_SIZES[usize::from(*size) % CARD_BLOB_SIZES.len()];
    let mut plain = plain.to_vec();
    plain.resize(size - 41, 0);
    let mut blob = [&[1 ^ (layout & 1)], &nonce[..], &vec![0; plain.len() + 16]].concat();
    let aad = [CARD_DROP, mailbox.as_bytes(), &seq.to_be_bytes()].concat();
    let (key, nonce) = (SecretKey::from(read_key), Nonce::from(nonce));
    XChaCha20Poly1305::seal(&key, &nonce, &plain, Some(&aad), &mut blob[25..]).expect("short");
    // Identity and kind are the card's own: what is looked for here is the rest.
    let (kind, identity) = match plain.get(3..36) {
        Some([kind, identity @ ..]) => (*kind, identity.try_into().expect("32 bytes")),
        _ => (0, [0; 32]),
    };
    let expected = Expected {
        identity: IdentityKey::from_bytes(identity),
        kind: if kind == 0 { CardKind::Intro } else { CardKind::Contact },
        mailbox,
        seq,
        read_key: &read_key,
    };
    let open = || card_drop::open(&blob, &expected);
    let Ok(card) = with_any_signature(open) else { return };
    let written = card.as_bytes();
    assert_eq!(card.seq(), seq);
    assert_eq!(&plain[2..2 + written.len()], written);
    assert!(plain[2 + written.len()..].iter().all(|&byte| byte == 0));
    judge_card(&card, &plain[2..2 + written.len()]);
}

/// An accepted invite is written as it came, as bytes, text and QR text.
pub fn invite(bytes: &[u8]) {
    // The checksum is put right, for the fuzzer cannot find it.
    let summed = with_checksum(bytes);
    for bytes in [bytes, &summed] {
        let Ok(invite) = Invite::parse(bytes) else { continue };
        assert!(bytes.len() <= INVITE_BYTES_MAX);
        assert_eq!(invite.to_bytes(), bytes);
        judge_invite(&invite);
    }
}

fn judge_invite(invite: &Invite) {
    if let Invite::Full { relays, .. } = invite {
        assert!(relays.len() <= INVITE_RELAYS_MAX);
        relays.iter().for_each(survives);
    }
    assert_eq!(Invite::parse_text(&invite.to_text()).as_ref(), Ok(invite));
    assert_eq!(Invite::parse_text(&invite.to_qr_text()).as_ref(), Ok(invite));
}

fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    use tortalk_model::hash;
    let sum = hash::labelled(hash::label::INVITE_SUM, &[bytes]);
    [bytes, &sum[..4]].concat()
}

/// Text as people paste it. An accepted one is the invite's own text but for case
/// and white space; a refusal is one line.
pub fn invite_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Invite::parse_text(&text) {
        Ok(invite) => {
            assert!(text.len() <= INVITE_TEXT_BYTES_MAX);
            let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            assert_eq!(plain.to_ascii_lowercase(), invite.to_text());
            judge_invite(&invite);
        }
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && line.len() < 200, "{line}");
        }
    }
}

/// Addresses as bytes and as an operator types them.
pub fn authority(bytes: &[u8]) {
    if let Ok(authority) = Authority::parse(bytes) {
        assert_eq!(authority.to_bytes(), bytes);
        judge_authority(&authority);
    }
    if let Ok(relay) = RelayAddress::parse(bytes) {
        assert_eq!(relay.to_bytes(), bytes);
        survives(&relay);
    }
    if let Ok(authority) = parse_authority(&String::from_utf8_lossy(bytes)) {
        judge_authority(&authority);
        assert_eq!(Authority::parse(&authority.to_bytes()), Ok(authority));
    }
}

fn judge_authority(authority: &Authority) {
    assert!(authority.port() != 0 && authority.to_bytes().len() <= Authority::BYTES_MAX);
    if let RelayHost::Name(name) = authority.host() {
        assert!((1..=RELAY_HOST_BYTES_MAX).contains(&name.len()));
        assert!(!name.trim_end_matches('.').ends_with(".onion"), "an onion name as a host");
        assert_eq!(*name, name.to_ascii_lowercase());
    }
}
