//! What holds of relays' addresses, and of whatever is signed for links and relays.

use proptest::prelude::*;
use tortalk_keys::link_auth::{self, AuthClaim, LinkTranscript, Role};
use tortalk_keys::relay::{RelayAddress, RelayHost};
use tortalk_keys::relay_proof::receipt::ReceiptClaim;
use tortalk_keys::relay_proof::{card_drop, receipt};
use tortalk_keys::{IdentitySecret, MailboxSecret, RelaySecret, mailbox_proof};
use tortalk_model::{DeviceId, EnvelopeId, InstanceId, UnixMillis};

fn address() -> impl Strategy<Value = RelayAddress> {
    let host = prop_oneof![
        "[a-zA-Z0-9.:-]{1,64}".prop_map(RelayHost::Name),
        any::<[u8; 32]>().prop_map(RelayHost::Onion),
    ];
    (host, 1..=u16::MAX, any::<[u8; 32]>())
        .prop_map(|(host, port, seed)| {
            RelayAddress::new(host, port, RelaySecret::from_seed(seed).public())
        })
        .prop_filter_map("no name of a host", Result::ok)
}

/// One place of `bytes`, changed.
fn changed(bytes: &[u8], at: prop::sample::Index, by: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at.index(bytes.len());
    bytes[at] ^= by;
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_address_says_what_it_was_made_of(address in address()) {
        prop_assert_eq!(RelayAddress::parse(&address.to_bytes()), Ok(address));
    }

    #[test]
    fn an_address_has_one_form(
        address in address(),
        at in any::<prop::sample::Index>(),
        by: u8,
        tail in prop::collection::vec(any::<u8>(), 0..2),
    ) {
        let bytes = [changed(&address.to_bytes(), at, by), tail].concat();
        if let Ok(read) = RelayAddress::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    /// Whatever is said, the signature is good for that and for nothing else.
    #[test]
    fn a_link_is_proved_for_itself_alone(
        seed: [u8; 32],
        payloads in any::<(Vec<u8>, Vec<u8>)>(),
        hash: [u8; 32],
        at in any::<prop::sample::Index>(),
        by in 1..=u8::MAX,
    ) {
        let secret = IdentitySecret::from_seed(seed);
        let claim = AuthClaim {
            identity: secret.public(),
            device_id: DeviceId::from_bytes([by; 8]),
            instance_id: InstanceId::from_bytes([by; 16]),
        };
        let hash: [u8; 64] = [hash, hash].concat().try_into().expect("64 bytes");
        let (initiator_payload, responder_payload) = (&payloads.0[..], &payloads.1[..]);
        let of = |handshake_hash| LinkTranscript {
            initiator_payload,
            responder_payload,
            handshake_hash,
        };
        let signature = link_auth::sign(&secret, Role::Initiator, &claim, &of(&hash));
        let verify = |role, hash| link_auth::verify(role, &claim, &of(hash), &signature).is_ok();
        prop_assert!(verify(Role::Initiator, &hash));
        prop_assert!(!verify(Role::Responder, &hash));
        let other: [u8; 64] = changed(&hash, at, by).try_into().expect("64 bytes");
        prop_assert!(!verify(Role::Initiator, &other));
        // What ends one payload cannot begin the next.
        let joined = [initiator_payload, responder_payload].concat();
        let shifted = LinkTranscript {
            initiator_payload: &joined,
            responder_payload: &[],
            handshake_hash: &hash,
        };
        let verified = link_auth::verify(Role::Initiator, &claim, &shifted, &signature).is_ok();
        prop_assert_eq!(verified, responder_payload.is_empty());

        let mailbox = MailboxSecret::from_seed(seed);
        let proof = mailbox_proof::sign(&mailbox, Role::Responder, &hash);
        let verify =
            |role, hash| mailbox_proof::verify(&mailbox.public(), role, hash, &proof).is_ok();
        prop_assert!(verify(Role::Responder, &hash) && !verify(Role::Initiator, &hash));
        prop_assert!(!verify(Role::Responder, &other));
    }

    #[test]
    fn a_receipt_is_for_its_ids_in_their_order(
        seed: [u8; 32],
        times: [u64; 2],
        ids in prop::collection::vec(any::<[u8; 32]>(), 1..20),
        at in any::<prop::sample::Index>(),
    ) {
        let secret = RelaySecret::from_seed(seed);
        let ids: Vec<EnvelopeId> = ids.into_iter().map(EnvelopeId::from_bytes).collect();
        let [time, store_until] = times.map(UnixMillis);
        let signature = receipt::sign(&secret, &ReceiptClaim { time, store_until, ids: &ids });
        let verify = |time, ids: &[EnvelopeId]| {
            let claim = ReceiptClaim { time, store_until, ids };
            receipt::verify(&secret.public(), &claim, &signature).is_ok()
        };
        prop_assert!(verify(time, &ids));
        prop_assert!(!verify(UnixMillis(time.0 ^ 1), &ids));
        let mut fewer = ids.clone();
        fewer.remove(at.index(ids.len()));
        prop_assert!(!verify(time, &fewer));
        let mut turned = ids.clone();
        turned.rotate_left(at.index(ids.len()));
        prop_assert_eq!(verify(time, &turned), turned == ids);
    }

    #[test]
    fn a_drop_is_for_its_card_and_sequence(
        seed: [u8; 32],
        seq: u64,
        blob in prop::collection::vec(any::<u8>(), 1..200),
        at in any::<prop::sample::Index>(),
        by in 1..=u8::MAX,
    ) {
        let secret = MailboxSecret::from_seed(seed);
        let signature = card_drop::sign(&secret, seq, &blob);
        let verify =
            |seq, blob: &[u8]| card_drop::verify(&secret.public(), seq, blob, &signature).is_ok();
        prop_assert!(verify(seq, &blob));
        prop_assert!(!verify(seq ^ u64::from(by), &blob));
        prop_assert!(!verify(seq, &changed(&blob, at, by)));
    }
}
