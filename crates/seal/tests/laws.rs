//! Opening undoes sealing, whatever is said.

use proptest::prelude::*;
use tortalk_keys::{IdentitySecret, MailboxSecret};
use tortalk_model::limits::BUCKETS;
use tortalk_model::{ChainId, DeviceId, Envelope, Nonce, UnixMillis};
use tortalk_seal::{Body, Draft, Recipient, SealingSecret, SignedMessage, open, seal};
use tortalk_testkit::Seeded;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_opened_message_is_the_sealed_one(
        text in prop_oneof![4 => ".{0,300}", 1 => "[a-z]{3000,6000}"],
        seeds: [[u8; 32]; 3],
        nonce: [u8; 16],
        sent_at in 0..1_u64 << 50,
        random: u64,
        at in any::<prop::sample::Index>(),
        by in 1..=u8::MAX,
    ) {
        let [alice, bob, key] = seeds;
        let alice = IdentitySecret::from_seed(alice);
        let me = IdentitySecret::from_seed(bob).public();
        let key = SealingSecret::from_seed(key);
        let draft = Draft {
            audience: me,
            device_id: DeviceId::from_bytes([by; 8]),
            nonce: Nonce::from_bytes(nonce),
            sent_at: UnixMillis(sent_at),
            chain_id: ChainId::from_bytes([by; 8]),
            counter: random,
            body: Body::Text(text),
        };
        let message = SignedMessage::sign(&alice, draft).expect("a message that fits");
        let mailbox = MailboxSecret::from_seed(bob).public();
        let to = Recipient { mailbox, key: key.public() };
        let sealed = seal(&message, &to, UnixMillis(sent_at), &mut Seeded::new(random))
            .expect("a good key");
        let bytes = sealed.envelope.as_bytes().to_vec();
        let envelope = Envelope::parse(bytes.clone()).expect("an envelope");
        let opened = open(&envelope, &key, &me).expect("sealed to this key and person");
        prop_assert_eq!(opened.sender(), alice.public());
        prop_assert_eq!(opened.message_id(), message.message_id());
        prop_assert_eq!(opened.signed_hash(), message.signed_hash());
        prop_assert_eq!(opened.body(), &message.fields().body);
        prop_assert!(envelope.is_purged_by(&sealed.purge_key));
        // The size says which bucket, and no more than that.
        let bucket = envelope.sealed().len() - 1_120 - 16;
        let fits = |bucket: &usize| *bucket >= 100 + message.bytes().len();
        prop_assert_eq!(Some(bucket), BUCKETS.into_iter().find(fits));

        // Every bit is under the seal: header and sealed part alike.
        let mut bytes = bytes;
        let header = envelope.header_bytes().len();
        let at = at.index(if by % 2 == 0 { bytes.len() } else { header });
        bytes[at] ^= by;
        if let Ok(other) = Envelope::parse(bytes) {
            prop_assert!(open(&other, &key, &me).is_err());
        }
    }
}
