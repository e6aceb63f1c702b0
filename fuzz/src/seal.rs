//! Envelopes and what is in them.

use tortalk_keys::fuzzing::with_any_signature;
use tortalk_keys::{IdentitySecret, Signature};
use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::{BUCKETS, ENVELOPE_BYTES_MAX, SUITE_1};
use tortalk_model::message_id::message_id;
use tortalk_model::{Envelope, EnvelopeHeader, IdentityKey, MailboxKey, PurgeKey, UnixMillis};
use tortalk_seal::fuzzing::{plaintext_of, seal_plaintext};
use tortalk_seal::{Body, BodyType, OpenedMessage, SealingSecret, SignedMessage, open};

/// An accepted envelope is exactly its fields, within its limit, and its id is
/// that of its bytes.
pub fn envelope(bytes: &[u8]) {
    let Ok(envelope) = Envelope::parse(bytes.to_vec()) else { return };
    assert!(bytes.len() <= ENVELOPE_BYTES_MAX);
    assert_eq!(envelope.as_bytes(), bytes);
    assert_eq!(envelope.id(), Envelope::id_of(bytes));
    assert_eq!(envelope.header_bytes(), envelope.header().to_bytes());
    let again = Envelope::build(envelope.header(), envelope.sealed());
    assert_eq!(again.as_ref(), Ok(&envelope));
    assert_eq!(envelope.into_bytes(), bytes);
}

/// Whatever an envelope contains, opening it gives a message for us or an error.
/// The key's name in the header is put right first.
pub fn sealed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if let Some(place) = bytes.get_mut(35..43) {
        place.copy_from_slice(with_key(SealingSecret::key_id).as_bytes());
    }
    let Ok(envelope) = Envelope::parse(bytes) else { return };
    with_any_signature(|| judge(&envelope));
}

/// Any plaintext inside a seal that opens. Its first 32 bytes are the purge key,
/// to which the header is made to commit.
pub fn opened(bytes: &[u8]) {
    let Some(purge_key) = bytes.first_chunk() else { return };
    let fits = BUCKETS.into_iter().find(|&bucket| bucket >= bytes.len());
    let Some(bucket) = fits else { return };
    let mut plaintext = bytes.to_vec();
    plaintext.resize(bucket, 0);
    let header = EnvelopeHeader {
        suite: SUITE_1,
        mailbox: MailboxKey::from_bytes([1; 32]),
        key_id: with_key(SealingSecret::key_id),
        expires_at: UnixMillis(3_600_000),
        purge_hash: purge_hash(&PurgeKey::from_bytes(*purge_key)),
        ext: Vec::new(),
    };
    let sealed = with_key(|key| seal_plaintext(key, &header, &plaintext));
    let envelope = Envelope::build(&header, &sealed).expect("a bucket");
    with_any_signature(|| judge(&envelope));
}

fn judge(envelope: &Envelope) {
    let Ok(message) = with_key(|key| open(envelope, key, &me())) else { return };
    let fields = message.message().fields();
    assert_eq!(fields.audience, me(), "somebody else's message was opened");
    let id = message_id(&fields.sender, &me(), &fields.nonce);
    assert_eq!(message.message_id(), id);
    assert!(envelope.is_purged_by(message.purge_key()));
    assert_eq!(plaintext(&message), plaintext_of(envelope), "it was sealed otherwise");
    assert_eq!(signed_bytes(&message), message.bytes());
    assert!(!message.body().wants_receipt() || !matches!(message.body(), Body::Receipt(_)));
    let again = SignedMessage::from_stored(message.bytes().to_vec(), *message.signature());
    assert_eq!(again.as_ref(), Ok(message.message()), "what was opened cannot be stored");
}

/// The plaintext that an honest sender would have sealed.
fn plaintext(message: &OpenedMessage) -> Vec<u8> {
    let signed = message.bytes();
    let length = u32::try_from(signed.len()).expect("a short message").to_be_bytes();
    let purge_key = message.purge_key().as_bytes();
    let mut plain = [purge_key, &length[..], signed, message.signature().as_bytes()].concat();
    let bucket = BUCKETS.into_iter().find(|&bucket| bucket >= plain.len());
    plain.resize(bucket.expect("within the largest bucket"), 0);
    plain
}

/// The signed bytes, written anew from the fields.
fn signed_bytes(message: &OpenedMessage) -> Vec<u8> {
    let fields = message.message().fields();
    let body = fields.body.to_bytes().expect("a body that was read");
    [
        &[1, 0][..],
        fields.audience.as_bytes(),
        fields.sender.as_bytes(),
        fields.device_id.as_bytes(),
        fields.nonce.as_bytes(),
        &fields.sent_at.0.to_be_bytes(),
        fields.chain_id.as_bytes(),
        &fields.counter.to_be_bytes(),
        &fields.body.body_type().0.to_be_bytes(),
        &body,
    ]
    .concat()
}

/// Type and body. An accepted one is written as it came.
pub fn body(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first_chunk() else { return };
    let kind = BodyType(u16::from_be_bytes(*kind));
    let Ok(body) = Body::parse(kind, bytes) else { return };
    assert_eq!(body.body_type(), kind);
    assert_eq!(body.to_bytes().as_deref(), Ok(bytes));
    if let Body::Unknown { .. } = body {
        assert!(!kind.is_known());
        assert_eq!(body.wants_receipt(), !kind.is_critical());
    }
}

/// Signed bytes and signature of a message from the disk.
pub fn stored_message(bytes: &[u8]) {
    let Some((bytes, signature)) = bytes.split_last_chunk() else { return };
    let stored = || SignedMessage::from_stored(bytes.to_vec(), Signature::from_bytes(*signature));
    let Ok(message) = with_any_signature(stored) else { return };
    assert_eq!(message.bytes(), bytes);
    assert_eq!(message.signature().as_bytes(), signature);
    let fields = message.fields();
    let id = message_id(&fields.sender, &fields.audience, &fields.nonce);
    assert!(message.is_named(&id, &message.signed_hash()));
}

pub(crate) fn me() -> IdentityKey {
    thread_local! {
        static ME: IdentityKey = IdentitySecret::from_seed([1; 32]).public();
    }
    ME.with(|me| *me)
}

pub(crate) fn with_key<T>(work: impl FnOnce(&SealingSecret) -> T) -> T {
    thread_local! {
        static KEY: SealingSecret = SealingSecret::from_seed([2; 32]);
    }
    KEY.with(work)
}
