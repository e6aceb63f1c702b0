use proptest::prelude::*;
use tortalk_model::bytes::LayoutError;
use tortalk_model::limits::SEALING_KEY_LIFE;

use super::*;
use crate::name::NameError;
use crate::relay::{RelayError, RelayHost};
use crate::{KeyError, relay_from_bytes};

const DEVICE: DeviceId = DeviceId::from_bytes([0xd1; 8]);
const DAY: u64 = 24 * 3_600_000;
/// Where fields stand in the intro card that [`intro`] makes.
const NAME_LEN: usize = 50;
const SEALING_COUNT: usize = 54;
const MAILBOX_COUNT: usize = SEALING_COUNT + 1 + 1240;

fn identity() -> IdentitySecret {
    IdentitySecret::from_seed([1; 32])
}

fn mailbox(seed: u8) -> MailboxSecret {
    MailboxSecret::from_seed([seed; 32])
}

fn sealing_key(not_before: u64, not_after: u64) -> SealingKeyEntry {
    SealingKeyEntry {
        device_id: DEVICE,
        not_before: UnixMillis(not_before),
        not_after: UnixMillis(not_after),
        public: Box::new([5; SUITE_1_PUBLIC_BYTES]),
    }
}

fn draft() -> CardDraft {
    CardDraft {
        device_id: DEVICE,
        seq: 1_000,
        name: "Ada".to_owned(),
        sealing_keys: vec![sealing_key(0, 28 * DAY)],
        contact: None,
        features: vec![],
        ext: vec![],
    }
}

fn contact_part() -> ContactPart {
    let key = *IdentitySecret::from_seed([8; 32]).public().as_bytes();
    let key = relay_from_bytes(key).expect("a public key");
    let relay = RelayAddress::new(RelayHost::Name("relay.example".to_owned()), 443, key);
    ContactPart {
        deposit_key: [0xde; 32],
        read_key: [0xad; 32],
        relays: vec![relay.expect("a good host")],
        onion: Some(OnionAddress { public: [6; 32], port: 80, client_auth: [0xca; 32] }),
    }
}

fn signer(kind: MailboxKind, secret: &MailboxSecret) -> MailboxSigner<'_> {
    MailboxSigner { kind, device_id: DEVICE, secret }
}

fn intro_of(draft: CardDraft) -> Result<Card, CardError> {
    Card::sign(draft, &identity(), &[signer(MailboxKind::Intro, &mailbox(2))])
}

fn contact_of(draft: CardDraft) -> Result<Card, CardError> {
    let (intro, contact) = (mailbox(2), mailbox(3));
    let signers = [signer(MailboxKind::Intro, &intro), signer(MailboxKind::Contact, &contact)];
    Card::sign(CardDraft { contact: Some(contact_part()), ..draft }, &identity(), &signers)
}

fn intro() -> Card {
    intro_of(draft()).expect("a good card")
}

fn contact() -> Card {
    contact_of(draft()).expect("a good card")
}

/// A card's bytes, changed and signed again.
fn resigned(card: &Card, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut signed = card.as_bytes()[..card.as_bytes().len() - Signature::LEN].to_vec();
    change(&mut signed);
    let signature = check::sign(&identity(), &signed);
    [&signed[..], signature.as_bytes()].concat()
}

fn error_of(bytes: &[u8]) -> CardError {
    Card::parse(bytes).expect_err("no card")
}

// req: CNV-01, CNV-02, CNV-03
#[test]
fn every_field_stands_where_it_is_drawn() {
    let card = intro_of(CardDraft {
        seq: 0x0102_0304_0506_0708,
        features: vec![7, 7],
        ext: vec![9],
        ..draft()
    })
    .expect("a good card");
    let mut reader = tortalk_model::bytes::Reader::new(card.as_bytes());
    let mut next = |len: usize| reader.take("field", len).expect("a whole card").to_vec();
    assert_eq!(next(2), [1, 0]);
    assert_eq!(next(32), identity().public().as_bytes());
    assert_eq!(next(8), [0xd1; 8]);
    assert_eq!(next(8), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(next(4), *b"\x03Ada");
    assert_eq!(next(1), [1]);
    assert_eq!(next(8), [0xd1; 8]);
    assert_eq!(next(8), [0; 8]);
    assert_eq!(next(8), (28 * DAY).to_be_bytes());
    assert_eq!(next(1216), [5; 1216]);
    assert_eq!(next(2), [1, 0]);
    assert_eq!(next(8), [0xd1; 8]);
    assert_eq!(next(32), mailbox(2).public().as_bytes());
    assert_eq!(next(64), card.mailboxes()[0].ownership.as_bytes());
    assert_eq!(next(4), [0, 2, 7, 7]);
    assert_eq!(next(3), [0, 1, 9]);
    assert_eq!(next(64).len(), 64);
    assert_eq!(reader.rest(), b"");
}

#[test]
fn a_card_gives_back_what_it_says() {
    let card = contact();
    assert_eq!(card.kind(), CardKind::Contact);
    assert_eq!(card.contact(), Some(&contact_part()));
    assert_eq!(card.intro_mailbox(), mailbox(2).public());
    assert_eq!(card.contact_mailbox(), Some(mailbox(3).public()));
    assert_eq!((card.name(), card.seq(), card.device_id()), ("Ada", 1_000, DEVICE));
    assert_eq!(intro().contact_mailbox(), None);
    assert_eq!(intro().kind(), CardKind::Intro);
}

#[test]
fn secrets_of_a_contact_card_are_not_shown() {
    let shown = format!("{:?} {:?}", contact(), contact().contact());
    for secret in ["222", "173", "202", "dede", "adad", "caca"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

// req: CNV-04
#[test]
fn a_card_cut_short_anywhere_is_refused() {
    let card = contact();
    for len in 0..card.as_bytes().len() {
        let error = error_of(&card.as_bytes()[..len]);
        assert!(matches!(error, CardError::Layout(LayoutError::Truncated(_))), "{len}: {error}");
    }
}

// req: CNV-05, IDN-27
#[test]
fn a_card_with_more_behind_it_is_refused_and_a_long_one_unread() {
    let mut bytes = intro().into_bytes();
    bytes.push(0);
    assert_eq!(error_of(&bytes), LayoutError::Trailing(1).into());
    assert_eq!(error_of(&[0; 8129]), CardError::TooLong(8129));
    assert_eq!(error_of(&[0; 8128]), CardError::UnknownLayout(0));
}

// req: CNV-06, IDN-28, IDN-29, IDN-30, IDN-31, IDN-32, IDN-33, IDN-35
#[test]
fn numbers_that_are_not_known_are_refused() {
    let onion_flag = contact().as_bytes().len() - Signature::LEN - 4 - 66 - 1;
    let intro_cases: [(usize, u8, CardError); 7] = [
        (0, 2, CardError::UnknownLayout(2)),
        (0, 0, CardError::UnknownLayout(0)),
        (1, 2, CardError::UnknownKind(2)),
        (NAME_LEN + 1, 0xff, NameError::NotUtf8.into()),
        (SEALING_COUNT, 0, CardError::NoSealingKey),
        (MAILBOX_COUNT, 0, CardError::NoMailbox),
        (MAILBOX_COUNT + 1, 2, CardError::UnknownMailboxKind(2)),
    ];
    for (at, byte, error) in intro_cases {
        assert_eq!(error_of(&resigned(&intro(), |bytes| bytes[at] = byte)), error, "{error}");
    }
    let bytes = resigned(&contact(), |bytes| bytes[onion_flag] = 2);
    assert_eq!(error_of(&bytes), CardError::UnknownOnionFlag(2));
}

// req: CNV-05
#[test]
fn counts_and_lengths_over_their_limits_are_refused_when_read_and_when_made() {
    let too_long = |field, found, limit| LayoutError::TooLong { field, found, limit }.into();
    for (at, field, found, limit) in [
        (NAME_LEN, "name", 65, 64),
        (SEALING_COUNT, "sealing_count", 5, 4),
        (MAILBOX_COUNT, "mailbox_count", 5, 4),
    ] {
        let bytes = resigned(&intro(), |bytes| bytes[at] = found as u8);
        assert_eq!(error_of(&bytes), too_long(field, found, limit));
    }
    let relays = vec![contact_part().relays[0].clone(); 5];
    let drafts: [(CardDraft, CardError); 4] = [
        (
            CardDraft { sealing_keys: vec![sealing_key(0, 1); 5], ..draft() },
            too_long("sealing_count", 5, 4),
        ),
        (CardDraft { features: vec![0; 257], ..draft() }, too_long("features", 257, 256)),
        (CardDraft { ext: vec![0; 1025], ..draft() }, too_long("ext", 1025, 1024)),
        (
            CardDraft { contact: Some(ContactPart { relays, ..contact_part() }), ..draft() },
            too_long("relay_count", 5, 4),
        ),
    ];
    for (draft, error) in drafts {
        assert_eq!(intro_of(draft).expect_err("over a limit"), error);
    }
    let name = "x".repeat(300);
    assert_eq!(intro_of(CardDraft { name, ..draft() }), Err(NameError::TooLong(300).into()));
}

// req: IDN-01
#[test]
fn keys_that_are_none_are_refused() {
    let identity = resigned(&intro(), |bytes| bytes[2..34].fill(0));
    let fault = KeyError::SmallOrder;
    assert_eq!(error_of(&identity), CardError::Key { field: "identity", fault });
    let at = MAILBOX_COUNT + 2 + 8;
    let mailbox = resigned(&intro(), |bytes| bytes[at..at + 32].fill(0));
    assert_eq!(error_of(&mailbox), CardError::Key { field: "mailbox", fault });
}

// req: IDN-25
#[test]
fn an_onion_has_a_port() {
    let onion = Some(OnionAddress { public: [6; 32], port: 0, client_auth: [7; 32] });
    let part = ContactPart { onion, ..contact_part() };
    let signers = [mailbox(2), mailbox(3)];
    let signers =
        [signer(MailboxKind::Intro, &signers[0]), signer(MailboxKind::Contact, &signers[1])];
    let draft = CardDraft { contact: Some(part), ..draft() };
    let error = Card::sign(draft, &identity(), &signers).expect_err("no port");
    assert_eq!(error, CardError::Relay(RelayError::Port));
}

// req: IDN-36
#[test]
fn a_name_that_is_not_shown_as_it_is_refuses_the_card() {
    let error = intro_of(CardDraft { name: "A\u{202e}da".to_owned(), ..draft() });
    assert_eq!(error, Err(NameError::Forbidden('\u{202e}').into()));
    assert!(intro_of(CardDraft { name: String::new(), ..draft() }).is_ok());
}

// req: IDN-37, IDN-38
#[test]
fn a_window_is_not_empty_and_at_most_28_days() {
    let with = |from, to| {
        intro_of(CardDraft {
            sealing_keys: vec![sealing_key(0, 1), sealing_key(from, to)],
            ..draft()
        })
        .map(|_| ())
    };
    let life = SEALING_KEY_LIFE.as_millis() as u64;
    assert_eq!(with(5, 5 + life), Ok(()));
    assert_eq!(with(5, 6 + life), Err(CardError::LongWindow));
    assert_eq!(with(5, 6), Ok(()));
    assert_eq!(with(5, 5), Err(CardError::EmptyWindow));
    assert_eq!(with(6, 5), Err(CardError::EmptyWindow));
    assert_eq!(with(u64::MAX - 1, u64::MAX), Ok(()));
}

// req: IDN-39, IDN-40, IDN-41
#[test]
fn a_card_has_the_mailboxes_of_its_kind() {
    let (a, b) = (mailbox(2), mailbox(3));
    let with = |contact, kinds: &[(MailboxKind, &MailboxSecret)]| {
        let signers: Vec<_> = kinds.iter().map(|&(kind, secret)| signer(kind, secret)).collect();
        Card::sign(CardDraft { contact, ..draft() }, &identity(), &signers).map(|_| ())
    };
    let (intro, contact) = (MailboxKind::Intro, MailboxKind::Contact);
    let part = || Some(contact_part());
    assert_eq!(with(None, &[(intro, &a), (intro, &b)]), Ok(()));
    assert_eq!(with(None, &[(intro, &a), (contact, &b)]), Err(CardError::ContactMailboxShown));
    assert_eq!(with(part(), &[(contact, &a), (intro, &b)]), Ok(()));
    assert_eq!(with(part(), &[(intro, &a)]), Err(CardError::MailboxMissing));
    assert_eq!(with(part(), &[(contact, &a)]), Err(CardError::MailboxMissing));
    assert_eq!(with(part(), &[(intro, &a), (contact, &a)]), Err(CardError::MailboxTwice));
    assert_eq!(with(None, &[]), Err(CardError::NoMailbox));
}

// req: IDN-02, IDN-06
#[test]
fn nobody_names_a_mailbox_as_theirs_that_is_not() {
    let theirs = Card::sign(
        draft(),
        &IdentitySecret::from_seed([77; 32]),
        &[signer(MailboxKind::Intro, &mailbox(2))],
    );
    let statement = theirs.expect("a good card").mailboxes()[0].ownership;
    let at = MAILBOX_COUNT + 2 + 8 + 32;
    let bytes = resigned(&intro(), |bytes| {
        bytes[at..at + 64].copy_from_slice(statement.as_bytes());
    });
    assert!(matches!(error_of(&bytes), CardError::Ownership(_)));
    // The statement names the kind too.
    let as_contact = mailbox_owner_sign(MailboxKind::Contact);
    let bytes = resigned(&intro(), |bytes| {
        bytes[at..at + 64].copy_from_slice(as_contact.as_bytes());
    });
    assert!(matches!(error_of(&bytes), CardError::Ownership(_)));
}

fn mailbox_owner_sign(kind: MailboxKind) -> Signature {
    crate::mailbox_owner::sign(&mailbox(2), &identity().public(), kind)
}

// req: IDN-42
#[test]
fn every_byte_is_signed() {
    let card = intro_of(CardDraft { features: vec![1], ext: vec![2], ..draft() });
    let card = card.expect("a good card");
    for at in (0..card.as_bytes().len()).filter(|at| !(70..1280).contains(at)) {
        let mut bytes = card.as_bytes().to_vec();
        bytes[at] ^= 1;
        assert!(Card::parse(&bytes).is_err(), "byte {at} is not protected");
    }
    let mut bytes = card.as_bytes().to_vec();
    bytes[NAME_LEN + 1] = b'E';
    assert!(matches!(error_of(&bytes), CardError::Signature(_)));
}

// req: CNV-01, IDN-43, VER-01
#[test]
fn features_and_extensions_that_mean_nothing_are_kept() {
    let card = intro_of(CardDraft { features: vec![0xff; 256], ext: vec![0xee; 1024], ..draft() });
    let card = card.expect("a good card");
    let parsed = Card::parse(card.as_bytes()).expect("its own bytes");
    assert_eq!(parsed.as_bytes(), card.as_bytes());
    assert_eq!((parsed.features(), parsed.ext()), (&[0xff; 256][..], &[0xee; 1024][..]));
}

// req: IDN-44
#[test]
fn a_sequence_is_the_time_and_always_grows() {
    assert_eq!(next_seq(None, UnixMillis(50)), 50);
    assert_eq!(next_seq(Some(49), UnixMillis(50)), 50);
    assert_eq!(next_seq(Some(50), UnixMillis(50)), 51);
    assert_eq!(next_seq(Some(90), UnixMillis(50)), 91);
    assert_eq!(next_seq(Some(u64::MAX), UnixMillis(50)), u64::MAX);
}

// req: IDN-45, IDN-47
#[test]
fn a_newer_card_replaces_an_older_one_of_its_kind() {
    let at = |seq| intro_of(CardDraft { seq, ..draft() }).expect("a good card");
    let contact_at = |seq| contact_of(CardDraft { seq, ..draft() }).expect("a good card");
    assert!(at(2).supersedes(&at(1)));
    assert!(!at(1).supersedes(&at(2)) && !at(1).supersedes(&at(1)));
    assert!(contact_at(2).supersedes(&contact_at(1)));
    assert!(contact_at(1).supersedes(&at(2)));
    assert!(!at(2).supersedes(&contact_at(1)));
    let other = IdentitySecret::from_seed([77; 32]);
    let other = Card::sign(
        CardDraft { seq: 9, ..draft() },
        &other,
        &[signer(MailboxKind::Intro, &mailbox(4))],
    );
    assert!(!other.expect("a good card").supersedes(&at(1)));
}

// req: IDN-46
#[test]
fn a_card_from_the_future_is_known_as_one() {
    let card = intro_of(CardDraft { seq: 3 * DAY, ..draft() }).expect("a good card");
    assert!(card.is_ahead_of(UnixMillis(DAY - 1)));
    assert!(!card.is_ahead_of(UnixMillis(DAY)));
}

// req: IDN-48
#[test]
fn the_newest_key_whose_window_holds_is_used() {
    let sealing_keys =
        vec![sealing_key(10, 40), sealing_key(20, 30), sealing_key(20, 35), sealing_key(38, 50)];
    let card = intro_of(CardDraft { sealing_keys: sealing_keys.clone(), ..draft() });
    let card = card.expect("a good card");
    let at = |at| {
        let key = card.newest_sealing_key(UnixMillis(at))?;
        sealing_keys.iter().position(|entry| entry == key)
    };
    assert_eq!(at(9), None);
    assert_eq!(at(10), Some(0));
    assert_eq!(at(20), Some(1));
    assert_eq!(at(29), Some(1));
    assert_eq!(at(30), Some(2));
    assert_eq!(at(35), Some(0));
    assert_eq!(at(40), Some(3));
    assert_eq!(at(50), None);
}

fn any_sealing_key() -> impl Strategy<Value = SealingKeyEntry> {
    (any::<[u8; 8]>(), any::<u64>(), 1..=28 * DAY, any::<u8>()).prop_map(
        |(device, not_before, life, fill)| SealingKeyEntry {
            device_id: DeviceId::from_bytes(device),
            not_before: UnixMillis(not_before.min(u64::MAX - life)),
            not_after: UnixMillis(not_before.min(u64::MAX - life) + life),
            public: Box::new([fill; SUITE_1_PUBLIC_BYTES]),
        },
    )
}

fn any_contact_part() -> impl Strategy<Value = ContactPart> {
    let relay = ("[a-z0-9-]{1,64}", 1..=u16::MAX).prop_map(|(host, port)| {
        RelayAddress::new(RelayHost::Name(host), port, contact_part().relays[0].key())
            .expect("letters, digits and dashes")
    });
    let onion = (any::<[u8; 32]>(), 1..=u16::MAX, any::<[u8; 32]>())
        .prop_map(|(public, port, client_auth)| OnionAddress { public, port, client_auth });
    let relays = proptest::collection::vec(relay, 0..=4);
    (any::<[u8; 32]>(), any::<[u8; 32]>(), relays, proptest::option::of(onion)).prop_map(
        |(deposit_key, read_key, relays, onion)| ContactPart {
            deposit_key,
            read_key,
            relays,
            onion,
        },
    )
}

fn any_draft() -> impl Strategy<Value = CardDraft> {
    use proptest::collection::vec;
    let bytes = |max: usize| vec(any::<u8>(), 0..=max);
    let contact = proptest::option::of(any_contact_part());
    let fixed = (any::<[u8; 8]>(), any::<u64>(), "[a-zà-ü名 ]{0,20}");
    (fixed, vec(any_sealing_key(), 1..=4), contact, bytes(256), bytes(1024)).prop_map(
        |((device, seq, name), sealing_keys, contact, features, ext)| CardDraft {
            device_id: DeviceId::from_bytes(device),
            seq,
            name,
            sealing_keys,
            contact,
            features,
            ext,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_card_survives_its_bytes(draft in any_draft(), seeds in any::<(u8, u8)>()) {
        let (intro, contact) = (mailbox(seeds.0), mailbox(!seeds.0));
        let identity = IdentitySecret::from_seed([seeds.1; 32]);
        let mut signers = vec![signer(MailboxKind::Intro, &intro)];
        if draft.contact.is_some() {
            signers.push(signer(MailboxKind::Contact, &contact));
        }
        let made = Card::sign(draft.clone(), &identity, &signers).expect("a good draft");
        let read = Card::parse(made.as_bytes()).expect("its own bytes");
        prop_assert_eq!(&read, &made);
        let again = CardDraft {
            device_id: read.device_id(),
            seq: read.seq(),
            name: read.name().to_owned(),
            sealing_keys: read.sealing_keys().to_vec(),
            contact: read.contact().cloned(),
            features: read.features().to_vec(),
            ext: read.ext().to_vec(),
        };
        prop_assert_eq!(&again, &draft);
        let again = Card::sign(again, &identity, &signers).expect("a good draft");
        prop_assert_eq!(again.as_bytes(), made.as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(at in 0usize..1500, byte: u8, cut in 0usize..1500) {
        let mut bytes = contact().into_bytes();
        let at = at % bytes.len();
        let same = bytes[at] == byte;
        bytes[at] = byte;
        prop_assert_eq!(Card::parse(&bytes).is_ok(), same);
        bytes.truncate(cut);
        prop_assert!(Card::parse(&bytes).is_err());
    }
}
