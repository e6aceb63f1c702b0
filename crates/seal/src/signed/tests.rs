use proptest::prelude::*;
use tortalk_model::limits::BUCKETS;

use super::*;

fn secret() -> IdentitySecret {
    IdentitySecret::from_seed([1; 32])
}

fn draft(body: Body) -> Draft {
    Draft {
        audience: IdentitySecret::from_seed([2; 32]).public(),
        device_id: DeviceId::from_bytes([3; 8]),
        nonce: Nonce::from_bytes([4; 16]),
        sent_at: UnixMillis(5),
        chain_id: ChainId::from_bytes([6; 8]),
        counter: 7,
        body,
    }
}

fn text(text: &str) -> Body {
    Body::Text(text.to_owned())
}

// req: SEA-07, SEA-08
#[test]
fn the_signed_bytes_are_as_drawn() {
    let message = SignedMessage::sign(&secret(), draft(text("hi"))).expect("a good draft");
    let audience = IdentitySecret::from_seed([2; 32]).public();
    let drawn = [
        &[1, 0][..],
        audience.as_bytes(),
        secret().public().as_bytes(),
        &[3; 8],
        &[4; 16],
        &5_u64.to_be_bytes(),
        &[6; 8],
        &7_u64.to_be_bytes(),
        &[0, 1],
        b"hi",
    ]
    .concat();
    assert_eq!(message.bytes(), drawn);
    assert_eq!(message.bytes().len(), SIGNED_HEADER_BYTES + 2);
    assert_eq!(message.fields().sender, secret().public());
}

// req: SEA-10
#[test]
fn the_signature_is_over_the_label_and_the_signed_bytes() {
    let message = SignedMessage::sign(&secret(), draft(text("hi"))).expect("a good draft");
    let sender = secret().public();
    assert!(message::verify(&sender, message.bytes(), message.signature()).is_ok());
    assert!(message::verify(&sender, &message.bytes()[1..], message.signature()).is_err());
    let other = IdentitySecret::from_seed([9; 32]).public();
    assert!(message::verify(&other, message.bytes(), message.signature()).is_err());
}

// req: SEA-11, SEA-12
#[test]
fn the_names_are_those_of_the_formulas() {
    let message = SignedMessage::sign(&secret(), draft(text("hi"))).expect("a good draft");
    let fields = message.fields();
    let id = message_id(&fields.sender, &fields.audience, &fields.nonce);
    assert_eq!(message.message_id(), id);
    let hash = hash::unlabelled(&[b"tortalk/v1/signed-hash\0", message.bytes()]);
    assert_eq!(message.signed_hash(), SignedHash::from_bytes(hash));
    assert!(message.is_named(&id, &message.signed_hash()));
    assert!(!message.is_named(&id, &SignedHash::from_bytes([0; 32])));

    // The same nonce under other words: the id stays, the hash does not.
    let other = SignedMessage::sign(&secret(), draft(text("ho"))).expect("a good draft");
    assert_eq!(other.message_id(), id);
    assert_ne!(other.signed_hash(), message.signed_hash());
}

// req: SEA-14
#[test]
fn only_what_is_seen_has_a_place_in_a_chain() {
    let card = || Body::Card { card: vec![1] };
    let sign = |draft| SignedMessage::sign(&secret(), draft);
    assert_eq!(sign(draft(card())), Err(DraftError::Chained));
    let none = ChainId::from_bytes([0; 8]);
    assert_eq!(sign(Draft { chain_id: none, ..draft(card()) }), Err(DraftError::Chained));
    assert_eq!(sign(Draft { counter: 0, ..draft(card()) }), Err(DraftError::Chained));
    assert!(sign(Draft { chain_id: none, counter: 0, ..draft(card()) }).is_ok());
    assert!(sign(draft(text("hi"))).is_ok());
}

#[test]
fn the_longest_body_fits_the_largest_bucket_and_no_longer_one() {
    let longest = "x".repeat(65_320);
    let message = SignedMessage::sign(&secret(), draft(text(&longest))).expect("just fits");
    assert_eq!(message.bytes().len() + 100, BUCKETS[8]);
    assert_eq!(
        SignedMessage::sign(&secret(), draft(text(&(longest + "x")))),
        Err(DraftError::TooLarge { len: 65_321, limit: 65_320 })
    );
    let bad = Body::Receipt(Vec::new());
    assert_eq!(
        SignedMessage::sign(&secret(), draft(bad)),
        Err(DraftError::Body(BodyError::EmptyReceipt))
    );
}

#[test]
fn a_stored_message_comes_back_and_a_damaged_one_does_not() {
    let message = SignedMessage::sign(&secret(), draft(text("hi"))).expect("a good draft");
    let (bytes, signature) = (message.bytes().to_vec(), *message.signature());
    assert_eq!(SignedMessage::from_stored(bytes.clone(), signature), Ok(message));
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        let expected = if at < 2 { StoredError::Form } else { StoredError::Signature };
        assert_eq!(SignedMessage::from_stored(bad, signature), Err(expected), "{at}");
    }
    assert_eq!(
        SignedMessage::from_stored(bytes[..115].to_vec(), signature),
        Err(StoredError::Layout(LayoutError::Truncated("body_type")))
    );
    assert_eq!(
        SignedMessage::from_stored(bytes, Signature::from_bytes([0; 64])),
        Err(StoredError::Signature)
    );
}

#[test]
fn a_message_shows_no_content() {
    let message = SignedMessage::sign(&secret(), draft(text("secret"))).expect("a good draft");
    assert!(!format!("{message:?}").contains("secret"));
}

proptest! {
    #[test]
    fn any_draft_comes_back_from_its_bytes(
        audience: [u8; 32], device: [u8; 8], nonce: [u8; 16], sent_at: u64, chain: [u8; 8],
        counter: u64, words: String,
    ) {
        let draft = Draft {
            audience: IdentityKey::from_bytes(audience),
            device_id: DeviceId::from_bytes(device),
            nonce: Nonce::from_bytes(nonce),
            sent_at: UnixMillis(sent_at),
            chain_id: ChainId::from_bytes(chain),
            counter,
            body: Body::Text(words),
        };
        let message = SignedMessage::sign(&secret(), draft.clone()).expect("a good draft");
        let fields = message.fields().clone();
        prop_assert_eq!(fields.audience, draft.audience);
        prop_assert_eq!(fields.device_id, draft.device_id);
        prop_assert_eq!(fields.nonce, draft.nonce);
        prop_assert_eq!(fields.sent_at, draft.sent_at);
        prop_assert_eq!((fields.chain_id, fields.counter), (draft.chain_id, draft.counter));
        prop_assert_eq!(fields.body, draft.body);
        let stored = SignedMessage::from_stored(message.bytes().to_vec(), *message.signature());
        prop_assert_eq!(stored, Ok(message));
    }

    #[test]
    fn bytes_from_outside_are_cut_exactly_or_refused(bytes: Vec<u8>) {
        match SignedParts::parse(&bytes) {
            Ok(parts) => prop_assert_eq!(parts.body.len() + SIGNED_HEADER_BYTES, bytes.len()),
            Err(error) => {
                prop_assert!(matches!(error, LayoutError::Truncated(_)));
                prop_assert!(bytes.len() < SIGNED_HEADER_BYTES);
            }
        }
    }
}
