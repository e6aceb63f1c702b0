use proptest::prelude::*;
use tortalk_keys::{IdentitySecret, message};
use tortalk_model::bytes::Writer;
use tortalk_model::entropy::Entropy as _;
use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::{BUCKETS, SIGNED_HEADER_BYTES};
use tortalk_model::{EnvelopeHeader, KeyId, MailboxKey, Nonce, PurgeHash};
use tortalk_testkit::Seeded;
use zeroize::Zeroizing;

use super::*;
use crate::signed::Draft;
use crate::{BodyType, ReceiptEntry, ReceiptKind, Recipient, seal};

const DAY: UnixMillis = UnixMillis(86_400_000);

fn alice() -> IdentitySecret {
    IdentitySecret::from_seed([1; 32])
}

fn bob() -> IdentityKey {
    IdentitySecret::from_seed([2; 32]).public()
}

fn carol() -> IdentityKey {
    IdentitySecret::from_seed([3; 32]).public()
}

fn bobs_key() -> SealingSecret {
    SealingSecret::from_seed([4; 32])
}

fn carols_key() -> SealingSecret {
    SealingSecret::from_seed([5; 32])
}

fn to_bob(key: &SealingSecret) -> Recipient<'_> {
    Recipient { mailbox: MailboxKey::from_bytes([6; 32]), key: key.public() }
}

fn written(body: Body) -> SignedMessage {
    let visible = body.is_user_visible();
    let draft = Draft {
        audience: bob(),
        device_id: DeviceId::from_bytes([7; 8]),
        nonce: Nonce::from_bytes([8; 16]),
        sent_at: UnixMillis(9),
        chain_id: ChainId::from_bytes(if visible { [10; 8] } else { [0; 8] }),
        counter: if visible { 11 } else { 0 },
        body,
    };
    SignedMessage::sign(&alice(), draft).expect("a good draft")
}

fn text(len: usize) -> SignedMessage {
    written(Body::Text("x".repeat(len)))
}

/// Everything that a dishonest sender can choose. It seals correctly whatever it
/// is told to, so that only the check in question can refuse it.
struct Forge {
    header: EnvelopeHeader,
    purge_key: [u8; 32],
    length: Option<u32>,
    signed: Vec<u8>,
    signature: [u8; 64],
    bucket: usize,
    last_byte: u8,
    key: SealingSecret,
}

impl Forge {
    fn of(message: &SignedMessage) -> Self {
        let key = bobs_key();
        Self {
            header: EnvelopeHeader {
                suite: SUITE_1,
                mailbox: MailboxKey::from_bytes([6; 32]),
                key_id: key.key_id(),
                expires_at: DAY,
                purge_hash: purge_hash(&PurgeKey::from_bytes([12; 32])),
                ext: Vec::new(),
            },
            purge_key: [12; 32],
            length: None,
            signed: message.bytes().to_vec(),
            signature: *message.signature().as_bytes(),
            bucket: 256,
            last_byte: 0,
            key,
        }
    }

    /// Other signed bytes, signed by Alice as they are.
    fn signing(signed: Vec<u8>) -> Self {
        let signature = *message::sign(&alice(), &signed).as_bytes();
        Self { signed, signature, ..Self::of(&text(5)) }
    }

    fn envelope(&self) -> Envelope {
        let length = self.length.unwrap_or(self.signed.len() as u32);
        let mut plaintext = Writer::new()
            .raw(&self.purge_key)
            .u32(length)
            .raw(&self.signed)
            .raw(&self.signature)
            .into_vec();
        plaintext.resize(self.bucket, 0);
        *plaintext.last_mut().expect("a bucket") |= self.last_byte;
        let info = info(&self.header.to_bytes());
        let eseed = Zeroizing::new([13; 64]);
        let sealed = hpke::seal(self.key.public(), &info, &plaintext, &eseed).expect("a good key");
        Envelope::build(&self.header, &sealed).expect("a well-formed envelope")
    }

    fn opened(&self) -> Result<OpenedMessage, OpenError> {
        open(&self.envelope(), &bobs_key(), &bob())
    }
}

/// Alice's five letters with one field of the signed bytes overwritten.
fn with_field(at: usize, value: &[u8]) -> Vec<u8> {
    let mut signed = text(5).bytes().to_vec();
    signed[at..at + value.len()].copy_from_slice(value);
    signed
}

// req: SEA-01, SEA-02, SEA-06
#[test]
fn a_message_survives_at_both_sides_of_every_bucket_boundary() {
    let key = bobs_key();
    let overhead = SEALED_OVERHEAD_BYTES + SIGNED_HEADER_BYTES;
    for (i, bucket) in BUCKETS.into_iter().enumerate() {
        for (len, expected) in [
            (bucket - overhead, Some(bucket)),
            (bucket - overhead + 1, BUCKETS.get(i + 1).copied()),
        ] {
            let Some(expected) = expected else { continue };
            let message = text(len);
            let sealed = seal(&message, &to_bob(&key), DAY, &mut Seeded::new(1)).expect("good");
            assert_eq!(sealed.envelope.sealed().len(), 1120 + expected + 16);
            let opened = open(&sealed.envelope, &key, &bob()).expect("sealed to Bob");
            assert_eq!(opened.message(), &message);
            assert_eq!(opened.purge_key(), &sealed.purge_key);
            assert!(sealed.envelope.is_purged_by(&sealed.purge_key));
        }
    }
}

#[test]
fn an_opened_message_says_what_was_written() {
    let message = text(5);
    let opened = Forge::of(&message).opened().expect("nothing forged");
    assert_eq!(opened.message_id(), message.message_id());
    assert_eq!(opened.signed_hash(), message.signed_hash());
    assert_eq!(opened.sender(), alice().public());
    assert_eq!(opened.device_id(), DeviceId::from_bytes([7; 8]));
    assert_eq!(opened.sent_at(), UnixMillis(9));
    assert_eq!((opened.chain_id(), opened.counter()), (ChainId::from_bytes([10; 8]), 11));
    assert_eq!(opened.body(), &Body::Text("xxxxx".to_owned()));
    assert_eq!((opened.bytes(), opened.signature()), (message.bytes(), message.signature()));
    let stored = SignedMessage::from_stored(opened.bytes().to_vec(), *opened.signature());
    assert_eq!(stored.as_ref(), Ok(opened.message()));
}

// req: ENV-04, ENV-05, ENV-06, ENV-10
#[test]
fn the_envelope_names_what_it_should() {
    let key = bobs_key();
    let expires_at = UnixMillis(DAY.0 - 1);
    let sealed = seal(&text(5), &to_bob(&key), expires_at, &mut Seeded::new(1)).expect("good");
    let header = sealed.envelope.header();
    assert_eq!(header.suite, SUITE_1);
    assert_eq!(header.mailbox, MailboxKey::from_bytes([6; 32]));
    assert_eq!(header.key_id, key.key_id());
    assert_eq!(header.expires_at, DAY);
    assert_eq!(header.purge_hash, purge_hash(&sealed.purge_key));
    assert_eq!(header.ext, Vec::<u8>::new());
}

// req: SEA-03, SEA-13
#[test]
fn sealing_again_keeps_the_message_and_changes_all_that_is_seen() {
    let key = bobs_key();
    let message = text(5);
    let mut entropy = Seeded::new(1);
    let first = seal(&message, &to_bob(&key), DAY, &mut entropy).expect("good");
    let second = seal(&message, &to_bob(&key), DAY, &mut entropy).expect("good");
    let (a, b) = (&first.envelope, &second.envelope);
    assert_ne!(a.id(), b.id());
    assert_ne!(first.purge_key, second.purge_key);
    assert_ne!(a.header().purge_hash, b.header().purge_hash);
    // Both halves of the encapsulation and the ciphertext.
    assert_ne!(a.sealed()[..1088], b.sealed()[..1088]);
    assert_ne!(a.sealed()[1088..1120], b.sealed()[1088..1120]);
    assert_ne!(a.sealed()[1120..], b.sealed()[1120..]);
    let [a, b] = [a, b].map(|envelope| open(envelope, &key, &bob()).expect("sealed to Bob"));
    assert_eq!(a.message_id(), b.message_id());
    assert_eq!(a.message(), b.message());

    // And to another of Bob's keys.
    let newer = carols_key();
    let third = seal(&message, &to_bob(&newer), DAY, &mut entropy).expect("good");
    let third = open(&third.envelope, &newer, &bob()).expect("sealed to Bob");
    assert_eq!(third.message_id(), message.message_id());
}

// req: SEA-03
#[test]
fn randomness_comes_from_the_caller_and_nowhere_else() {
    let key = bobs_key();
    let sealed = |seed| {
        seal(&text(5), &to_bob(&key), DAY, &mut Seeded::new(seed)).expect("good").envelope.id()
    };
    assert_eq!(sealed(1), sealed(1));
    assert_ne!(sealed(1), sealed(2));
    let mut used = Seeded::new(1);
    seal(&text(5), &to_bob(&key), DAY, &mut used).expect("good");
    let mut skipped = Seeded::new(1);
    skipped.fill(&mut [0; 32 + 64]);
    assert_eq!(used.bytes::<16>(), skipped.bytes::<16>());
}

// req: SEA-05
#[test]
fn a_low_order_key_is_not_sealed_to() {
    let mut bytes = bobs_key().public().as_bytes().to_vec();
    bytes[1184..].fill(0);
    let key = crate::SealingPublic::from_bytes(&bytes).expect("its ML-KEM part is good");
    let to = Recipient { mailbox: MailboxKey::from_bytes([6; 32]), key: &key };
    let result = seal(&text(5), &to, DAY, &mut Seeded::new(1));
    assert_eq!(result.map(|_| ()), Err(crate::SealError::LowOrderKey));
}

// req: SEA-15
#[test]
fn another_suite_is_not_opened_even_if_it_could_be() {
    let mut forge = Forge::of(&text(5));
    forge.header.suite = 2;
    assert_eq!(forge.opened(), Err(OpenError::UnknownSuite(2)));
}

// req: SEA-16
#[test]
fn a_key_that_is_not_named_is_not_tried() {
    let mut forge = Forge::of(&text(5));
    forge.header.key_id = KeyId::from_bytes([0; 8]);
    assert_eq!(forge.opened(), Err(OpenError::OtherKey));
    let envelope = Forge::of(&text(5)).envelope();
    assert_eq!(open(&envelope, &carols_key(), &bob()), Err(OpenError::OtherKey));
}

// req: SEA-17
#[test]
fn time_plays_no_part() {
    for expires_at in [0, 3_600_000, u64::MAX - u64::MAX % 3_600_000] {
        let mut forge = Forge::of(&text(5));
        forge.header.expires_at = UnixMillis(expires_at);
        assert!(forge.opened().is_ok());
    }
}

// req: SEA-02, SEA-18
#[test]
fn every_field_of_the_header_is_bound() {
    let good = Forge::of(&text(5)).envelope();
    let mut headers = vec![good.header().clone(); 4];
    headers[0].mailbox = MailboxKey::from_bytes([0; 32]);
    headers[1].expires_at = UnixMillis(0);
    headers[2].purge_hash = PurgeHash::from_bytes([0; 32]);
    headers[3].ext = vec![0];
    for header in headers {
        let moved = Envelope::build(&header, good.sealed()).expect("a well-formed envelope");
        assert_eq!(open(&moved, &bobs_key(), &bob()), Err(OpenError::Sealed), "{header:?}");
    }
    // The two fields that an honest opener looks at before, bound all the same.
    let mut suite = good.header().clone();
    suite.suite = 2;
    let mut key_id = good.header().clone();
    key_id.key_id = KeyId::from_bytes([0; 8]);
    for header in [suite, key_id] {
        assert!(hpke::open(&bobs_key(), &info(&header.to_bytes()), good.sealed()).is_err());
    }
    // An extension of a later version is bound and does no harm.
    let mut forge = Forge::of(&text(5));
    forge.header.ext = vec![1; 256];
    assert!(forge.opened().is_ok());
}

// req: SEA-18
#[test]
fn a_swapped_or_changed_sealed_part_does_not_open() {
    let good = Forge::of(&text(5)).envelope();
    let key = bobs_key();
    let other = seal(&text(6), &to_bob(&key), DAY, &mut Seeded::new(1)).expect("good").envelope;
    let swapped = Envelope::build(good.header(), other.sealed()).expect("a well-formed envelope");
    assert_eq!(open(&swapped, &key, &bob()), Err(OpenError::Sealed));
    for at in [0, 1087, 1088, 1119, 1120, 1375, 1376, 1391] {
        let mut sealed = good.sealed().to_vec();
        sealed[at] ^= 0x80;
        let changed = Envelope::build(good.header(), &sealed).expect("a well-formed envelope");
        if at == 1119 {
            // X25519 ignores this bit, the key derivation does not.
            assert_ne!(changed.id(), good.id());
        }
        assert_eq!(open(&changed, &key, &bob()), Err(OpenError::Sealed), "{at}");
    }
    let garbage = Envelope::build(good.header(), &[0xff; 1392]).expect("a well-formed envelope");
    assert_eq!(open(&garbage, &key, &bob()), Err(OpenError::Sealed));
}

// req: SEA-05, SEA-18
#[test]
fn a_low_order_share_in_the_encapsulation_does_not_open() {
    let good = Forge::of(&text(5)).envelope();
    let mut sealed = good.sealed().to_vec();
    sealed[1088..1120].fill(0);
    let changed = Envelope::build(good.header(), &sealed).expect("a well-formed envelope");
    assert_eq!(open(&changed, &bobs_key(), &bob()), Err(OpenError::Sealed));
}

// req: SEA-19
#[test]
fn a_purge_key_that_was_not_committed_is_refused() {
    let mut forge = Forge::of(&text(5));
    forge.purge_key = [0; 32];
    assert_eq!(forge.opened(), Err(OpenError::PurgeHash));
}

// req: SEA-20
#[test]
fn a_length_beyond_the_plaintext_is_refused() {
    for length in [157, 256, u32::MAX] {
        let mut forge = Forge::of(&text(5));
        forge.length = Some(length);
        assert_eq!(forge.opened(), Err(OpenError::Length), "{length}");
    }
}

// req: SEA-21
#[test]
fn padding_that_is_not_zero_is_refused() {
    let mut forge = Forge::of(&text(5));
    forge.last_byte = 1;
    assert_eq!(forge.opened(), Err(OpenError::Padding));
}

// req: SEA-22
#[test]
fn a_bucket_larger_than_needed_is_refused() {
    for bucket in [512, 65_536] {
        let mut forge = Forge::of(&text(5));
        forge.bucket = bucket;
        assert_eq!(forge.opened(), Err(OpenError::Bucket));
    }
}

// req: SEA-23
#[test]
fn signed_bytes_of_another_layout_are_refused() {
    assert_eq!(Forge::signing(with_field(0, &[2])).opened(), Err(OpenError::UnknownLayout(2)));
    assert_eq!(Forge::signing(vec![2]).opened(), Err(OpenError::UnknownLayout(2)));
    let layout = |field| Err(OpenError::Layout(LayoutError::Truncated(field)));
    assert_eq!(Forge::signing(Vec::new()).opened(), layout("layout"));
    assert_eq!(Forge::signing(text(5).bytes()[..115].to_vec()).opened(), layout("body_type"));
}

// req: SEA-24
#[test]
fn an_audience_that_is_no_person_is_refused() {
    assert_eq!(Forge::signing(with_field(1, &[1])).opened(), Err(OpenError::AudienceKind(1)));
}

// req: SEA-25
#[test]
fn words_for_bob_sealed_again_to_carol_are_refused() {
    let key = carols_key();
    let to = Recipient { mailbox: MailboxKey::from_bytes([6; 32]), key: key.public() };
    let sealed = seal(&text(5), &to, DAY, &mut Seeded::new(1)).expect("good");
    assert_eq!(open(&sealed.envelope, &key, &carol()), Err(OpenError::Audience));
    assert!(open(&sealed.envelope, &key, &bob()).is_ok());
}

// req: SEA-26
#[test]
fn a_sender_that_is_no_key_is_refused() {
    // Not on the curve, and the two smallest points of small order.
    let mut one = [0; 32];
    one[0] = 1;
    let mut two = [0; 32];
    two[0] = 2;
    for sender in [two, [0; 32], one] {
        let forge = Forge::signing(with_field(34, &sender));
        assert_eq!(forge.opened(), Err(OpenError::Sender), "{sender:?}");
    }
}

// req: SEA-27
#[test]
fn nobody_speaks_in_another_name() {
    // Alice signs, Carol's name stands there.
    let forged = Forge::signing(with_field(34, carol().as_bytes()));
    assert_eq!(forged.opened(), Err(OpenError::Signature));
    // Alice's name stands there, Carol signs.
    let mut forged = Forge::of(&text(5));
    forged.signature =
        *message::sign(&IdentitySecret::from_seed([3; 32]), text(5).bytes()).as_bytes();
    assert_eq!(forged.opened(), Err(OpenError::Signature));
    // Alice's signature of other words, and none at all.
    let mut forged = Forge::of(&text(5));
    forged.signature = *text(6).signature().as_bytes();
    assert_eq!(forged.opened(), Err(OpenError::Signature));
    forged.signature = [0; 64];
    assert_eq!(forged.opened(), Err(OpenError::Signature));
    // Every byte of what Alice signed.
    let signed = text(5).bytes().to_vec();
    for at in (66..signed.len()).chain(2..34) {
        let mut forged = Forge::of(&text(5));
        forged.signed[at] ^= 1;
        let expected = if at < 34 { OpenError::Audience } else { OpenError::Signature };
        assert_eq!(forged.opened(), Err(expected), "{at}");
    }
}

// req: SEA-28
#[test]
fn a_signed_body_that_breaks_its_layout_is_refused() {
    let signed = with_field(116, &[0xff]);
    assert_eq!(Forge::signing(signed).opened(), Err(OpenError::Body(BodyError::NotUtf8)));
    let receipt = written(Body::Receipt(vec![ReceiptEntry {
        message_id: MessageId::from_bytes([1; 32]),
        signed_hash: SignedHash::from_bytes([2; 32]),
        kind: ReceiptKind::Delivered,
    }]));
    let mut forge = Forge::signing([receipt.bytes(), &[0]].concat());
    forge.bucket = 512;
    let trailing = LayoutError::Trailing(1);
    assert_eq!(forge.opened(), Err(OpenError::Body(BodyError::Layout(trailing))));
}

// req: SEA-29
#[test]
fn an_unseen_body_with_a_place_in_a_chain_is_refused() {
    let card = written(Body::Card { card: vec![1] });
    assert!(Forge::of(&card).opened().is_ok());
    for at in [98, 113] {
        let mut signed = card.bytes().to_vec();
        signed[at] = 1;
        assert_eq!(Forge::signing(signed).opened(), Err(OpenError::Chained), "{at}");
    }
}

// req: SEA-36
#[test]
fn a_body_of_a_later_version_arrives() {
    let signed = with_field(114, &[0x80, 0x10]);
    let opened = Forge::signing(signed).opened().expect("only the body is unknown");
    let expected = Body::Unknown { body_type: BodyType(0x8010), bytes: b"xxxxx".to_vec() };
    assert_eq!(opened.body(), &expected);
}

#[test]
fn neither_a_message_nor_an_error_shows_content() {
    let opened = Forge::of(&text(5)).opened().expect("nothing forged");
    assert!(!format!("{opened:?}").contains("xxxxx"));
    let error = Forge::signing(with_field(116, &[0xff])).opened().expect_err("not UTF-8");
    assert!(!format!("{error} {error:?}").contains("xxxx"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_plaintext_makes_it_panic(
        length in prop_oneof![0_u32..256, any::<u32>()],
        signed in prop::collection::vec(any::<u8>(), 156),
    ) {
        let mut forge = Forge::of(&text(5));
        forge.length = Some(length);
        forge.signed = signed;
        prop_assert!(forge.opened().is_err());
    }

    #[test]
    fn no_signed_bytes_make_it_panic(
        body_type in 0_u16..9,
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let head = with_field(114, &body_type.to_be_bytes());
        let result = Forge::signing([&head[..116], &body].concat()).opened();
        let parsed = Body::parse(BodyType(body_type), &body);
        match (result, parsed) {
            (Ok(opened), Ok(body)) => prop_assert_eq!(opened.body(), &body),
            (Err(OpenError::Chained), Ok(body)) => prop_assert!(!body.is_user_visible()),
            (Err(OpenError::Body(a)), Err(b)) => prop_assert_eq!(a, b),
            (result, parsed) => prop_assert!(false, "{result:?} and {parsed:?}"),
        }
    }
}
