//! Signatures and keys at the edges of Ed25519 that only some verifiers take (CNV-13 to CNV-16).

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha512};

use crate::stack::crypto::label;

/// The neutral point as everybody writes it.
pub(crate) const NEUTRAL: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// The neutral point with `y = p + 1`, which is not canonical.
pub(crate) const NEUTRAL_OVER_P: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xee;
    bytes[31] = 0x7f;
    bytes
};

/// The point with `y = 3`, of large order, whose `y` is written as `p + 3`.
pub(crate) const LARGE_OVER_P: [u8; 32] = {
    let mut bytes = NEUTRAL_OVER_P;
    bytes[0] = 0xf0;
    bytes
};

/// A signature whose `R` is the neutral point, written like this: `S = k·a`, so `S·B = R + k·A`.
pub(crate) fn sign_neutral_r(
    seed: &[u8; 32],
    purpose: &str,
    parts: &[&[u8]],
    r: [u8; 32],
) -> [u8; 64] {
    let key = SigningKey::from_bytes(seed);
    let k = challenge(&r, key.verifying_key().as_bytes(), purpose, parts);
    joined(r, k * key.to_scalar())
}

/// A signature that holds only with the cofactor: a point of order 8 is added to its `R`.
pub(crate) fn sign_cofactored(seed: &[u8; 32], purpose: &str, parts: &[&[u8]]) -> [u8; 64] {
    let key = SigningKey::from_bytes(seed);
    let secret = nonce(seed, 0);
    let r = (ED25519_BASEPOINT_POINT * secret + EIGHT_TORSION[1]).compress().to_bytes();
    let k = challenge(&r, key.verifying_key().as_bytes(), purpose, parts);
    joined(r, secret + k * key.to_scalar())
}

/// A key that is the sum of the seed's point and one of order 8.
pub(crate) fn mixed_key(seed: &[u8; 32]) -> [u8; 32] {
    mixed(&SigningKey::from_bytes(seed)).compress().to_bytes()
}

/// A signature by [`mixed_key`] for which `S·B = R + k·A` holds without the cofactor: the small
/// part of `R` takes away that of `k·A`.
pub(crate) fn sign_mixed(seed: &[u8; 32], purpose: &str, parts: &[&[u8]]) -> [u8; 64] {
    let key = SigningKey::from_bytes(seed);
    let public = mixed_key(seed);
    // One try in eight fits; the limit is never reached.
    for count in 0..=u16::MAX {
        let secret = nonce(seed, count);
        // R has −1 times the small part, so k has to be 1 modulo 8.
        let r = (ED25519_BASEPOINT_POINT * secret - EIGHT_TORSION[1]).compress().to_bytes();
        let k = challenge(&r, &public, purpose, parts);
        if k.as_bytes()[0] & 7 == 1 {
            return joined(r, secret + k * key.to_scalar());
        }
    }
    unreachable!("one challenge in eight is 1 modulo 8")
}

fn mixed(key: &SigningKey) -> EdwardsPoint {
    ED25519_BASEPOINT_POINT * key.to_scalar() + EIGHT_TORSION[1]
}

fn nonce(seed: &[u8; 32], count: u16) -> Scalar {
    let hash = Sha512::new().chain_update(seed).chain_update(count.to_be_bytes()).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

fn challenge(r: &[u8; 32], public: &[u8; 32], purpose: &str, parts: &[&[u8]]) -> Scalar {
    let mut hash = Sha512::new().chain_update(r).chain_update(public).chain_update(label(purpose));
    parts.iter().for_each(|part| hash.update(part));
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

fn joined(r: [u8; 32], s: Scalar) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(s.as_bytes());
    signature
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::crypto::{public, verify};
    use ed25519_dalek::{Signature, Verifier, VerifyingKey};

    #[test]
    fn the_point_over_p_is_one_of_large_order() {
        let point = VerifyingKey::from_bytes(&LARGE_OVER_P).expect("lenient readers take it");
        assert!(!point.is_weak());
        assert_eq!(
            crate::stack::crypto::valid_key(&LARGE_OVER_P)
                .err()
                .map(|r| r.to_string().contains("CNV-10")),
            Some(true)
        );
    }

    #[test]
    fn each_is_what_it_says() {
        let seed = [7; 32];
        let parts: [&[u8]; 1] = [b"words"];
        let message = [label("sign/message").as_slice(), parts[0]].concat();
        let lenient = |key: &[u8; 32], signature: &[u8; 64]| {
            let key = VerifyingKey::from_bytes(key).expect("a point");
            key.verify(&message, &Signature::from_bytes(signature)).is_ok()
        };
        let small = sign_neutral_r(&seed, "sign/message", &parts, NEUTRAL);
        assert!(lenient(&public(&seed), &small), "the equation holds");
        assert!(verify(&public(&seed), "sign/message", &parts, &small).is_err());
        let cofactored = sign_cofactored(&seed, "sign/message", &parts);
        assert!(!lenient(&public(&seed), &cofactored), "it holds only with the cofactor");
        let mixed = sign_mixed(&seed, "sign/message", &parts);
        assert!(verify(&mixed_key(&seed), "sign/message", &parts, &mixed).is_ok());
    }
}
