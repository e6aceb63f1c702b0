use orion::KP;
use tortalk_testkit::hex;

use super::*;

/// X25519 points of small order, in their canonical encodings and the two
/// smallest that are not reduced (RFC 7748 accepts those).
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn eseed() -> Zeroizing<[u8; ESEED_BYTES]> {
    Zeroizing::new([9; ESEED_BYTES])
}

fn key() -> SealingSecret {
    SealingSecret::from_seed([7; 32])
}

// req: SEA-01
#[test]
fn what_was_sealed_opens_with_the_same_info_only() {
    let sealed = seal(key().public(), b"info", b"plaintext", &eseed()).expect("a good key");
    assert_eq!(sealed.len(), 1120 + 9 + 16);
    assert_eq!(open(&key(), b"info", &sealed).as_deref(), Ok(&b"plaintext".to_vec()));
    assert_eq!(open(&key(), b"inf0", &sealed), Err(HpkeError));
    assert_eq!(open(&key(), b"", &sealed), Err(HpkeError));
    assert_eq!(open(&SealingSecret::from_seed([8; 32]), b"info", &sealed), Err(HpkeError));
}

#[test]
fn every_part_of_the_sealed_bytes_matters() {
    let sealed = seal(key().public(), b"info", b"plaintext", &eseed()).expect("a good key");
    // ML-KEM ciphertext (u, v), X25519 share, ciphertext, tag.
    for at in [0, 959, 960, 1087, 1088, 1119, 1120, 1128, 1129, 1144] {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        assert_eq!(open(&key(), b"info", &bad), Err(HpkeError), "{at}");
    }
    for len in [0, 1119, 1120, 1135, 1144] {
        assert_eq!(open(&key(), b"info", &sealed[..len]), Err(HpkeError), "{len}");
    }
    assert_eq!(open(&key(), b"info", &[0xff; 1120 + 16 + 256]), Err(HpkeError));
}

// req: SEA-05
#[test]
fn a_low_order_share_is_refused_in_both_directions() {
    let sealed = seal(key().public(), b"", b"plaintext", &eseed()).expect("a good key");
    for point in LOW_ORDER {
        let point = hex::array::<32>(point);
        let mut public = key().public().as_bytes().to_vec();
        public[1184..].copy_from_slice(&point);
        let public = SealingPublic::from_bytes(&public).expect("its ML-KEM part is good");
        assert_eq!(seal(&public, b"", b"plaintext", &eseed()), Err(HpkeError));

        // Not only because the ciphertext no longer fits: decapsulation itself
        // must fail, or a sender could choose half of the shared secret.
        let mut enc = sealed[..1120].to_vec();
        enc[1088..].copy_from_slice(&point);
        let enc = xwing::Ciphertext::try_from(&enc[..]).expect("1,120 bytes");
        let pair = xwing::KeyPair::try_from(&key().decapsulation_key()).expect("a seed");
        assert!(pair.decap(&enc).is_err() && key().decapsulation_key().decap(&enc).is_err());
        assert!(Hpke::new_recipient(&enc, &key().decapsulation_key(), b"").is_err());
    }
}

// The first vector of draft-connolly-cfrg-xwing-kem, appendix C.
#[test]
fn the_kem_gives_the_published_shared_secret() {
    let seed = hex::array("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26");
    let eseed = hex::array::<64>(
        "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2\
         35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2",
    );
    let expected = hex::decode("d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384");
    let pair = xwing::KeyPair::try_from(&xwing::DecapsulationKey::from(seed)).expect("a seed");
    let (secret, enc) =
        pair.public().encap_deterministic(&xwing::Eseed::from(eseed)).expect("a good key");
    assert_eq!(secret.unprotected_as_ref(), &expected[..]);
    assert_eq!(pair.decap(&enc).expect("its own").unprotected_as_ref(), &expected[..]);
}
