//! HPKE (RFC 9180) in base mode with the one suite of the protocol: KEM 0x647a
//! MLKEM768-X25519, KDF 0x0001 HKDF-SHA256, AEAD 0x0003 ChaCha20Poly1305.
//!
//! Single shot: one context seals one plaintext at sequence 0. The `aad` is
//! always empty, because not every HPKE library has one; what must be bound is
//! in `info` (SEA-02).

use orion::hazardous::hpke::{MLKEM768_X25519_SHA256_CHACHA20, ModeBase};
use orion::hazardous::kem::xwing;
use tortalk_model::limits::{SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use zeroize::Zeroizing;

use crate::key::{SealingPublic, SealingSecret};

// req: SEA-01
type Hpke = ModeBase<MLKEM768_X25519_SHA256_CHACHA20>;

/// Length of the randomness of one encapsulation: 32 bytes for ML-KEM, then 32
/// for X25519.
pub(crate) const ESEED_BYTES: usize = 64;

/// Something in HPKE failed. What, is not told: neither a peer nor a log may
/// learn how far an opening came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HpkeError;

/// Seals `plaintext`: 1,120 bytes of encapsulation, the ciphertext, a 16-byte
/// tag.
///
/// # Errors
/// When the X25519 part of `to` is of low order (SEA-05).
pub(crate) fn seal(
    to: &SealingPublic,
    info: &[u8],
    plaintext: &[u8],
    eseed: &Zeroizing<[u8; ESEED_BYTES]>,
) -> Result<Vec<u8>, HpkeError> {
    #[cfg(fuzzing)]
    if crate::fuzzing::IS_ON {
        return Ok(crate::fuzzing::seal(to.as_bytes(), info, plaintext, eseed));
    }
    // req: SEA-05
    let (mut sender, enc) =
        Hpke::new_sender_deterministic(to.encapsulation_key(), info, xwing::Eseed::from(**eseed))
            .map_err(|_| HpkeError)?;
    let mut sealed = vec![0; SUITE_1_ENC_BYTES + plaintext.len() + SUITE_1_TAG_BYTES];
    let (head, ciphertext) = sealed.split_at_mut(SUITE_1_ENC_BYTES);
    head.copy_from_slice(enc.as_ref());
    sender.seal(plaintext, &[], ciphertext).map_err(|_| HpkeError)?;
    Ok(sealed)
}

/// Opens what [`seal`] made.
///
/// # Errors
/// When the encapsulation has a low-order X25519 share (SEA-05), when anything
/// in `info` or in `sealed` differs, or when it was sealed to another key.
pub(crate) fn open(
    key: &SealingSecret,
    info: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    #[cfg(fuzzing)]
    if crate::fuzzing::IS_ON {
        return crate::fuzzing::open(key.public().as_bytes(), info, sealed).ok_or(HpkeError);
    }
    let (enc, ciphertext) = sealed.split_at_checked(SUITE_1_ENC_BYTES).ok_or(HpkeError)?;
    let len = ciphertext.len().checked_sub(SUITE_1_TAG_BYTES).ok_or(HpkeError)?;
    let enc = xwing::Ciphertext::try_from(enc).map_err(|_| HpkeError)?;
    // req: SEA-05
    let mut recipient =
        Hpke::new_recipient(&enc, &key.decapsulation_key(), info).map_err(|_| HpkeError)?;
    let mut plaintext = Zeroizing::new(vec![0; len]);
    recipient.open(ciphertext, &[], &mut plaintext).map_err(|_| HpkeError)?;
    Ok(plaintext)
}

#[cfg(test)]
mod tests;
