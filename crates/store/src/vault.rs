//! The one key of a profile, and what is done with it.
//!
//! Everything secret that a profile keeps on disk is sealed here:
//! XChaCha20Poly1305 under a key of its own for each purpose. What a place on
//! disk is found by without being shown is a keyed hash of the thing.
//!
//! ```text
//! sealing key = keyed BLAKE2b-256(profile key, SEALING_KEY ‖ purpose)
//! sealed      = nonce 24 ‖ ciphertext ‖ tag 16        associated data: purpose ‖ context
//! tag         = first 16 bytes of
//!               keyed BLAKE2b-256(profile key, TAG ‖ len(purpose) u8 ‖ purpose ‖ bytes)
//! ```
//!
//! `context` says where the sealed bytes belong. Bytes that were moved to
//! another place do not open there.

use orion::hazardous::aead::xchacha20poly1305::{Nonce, SecretKey, XChaCha20Poly1305};
use tortalk_model::hash;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes that sealing adds: the nonce in front and the tag behind.
pub const SEALED_OVERHEAD: usize = NONCE_BYTES + TAG_BYTES;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

// These labels never meet another program, so they are not in the protocol's
// table. They differ from all of its labels in their eleventh byte.
const SEALING_KEY: &[u8] = b"tortalk/profile/sealing-key\0";
const TAG: &[u8] = b"tortalk/profile/tag\0";

/// Why sealed bytes did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Fewer bytes than sealing adds.
    #[error("too short to be sealed bytes")]
    Truncated,
    /// Another key, another purpose or place, or changed bytes: they look alike.
    #[error("does not open: changed, moved, or sealed with another key")]
    NotAuthentic,
}

/// The secret under which a profile's identity, keys and history are sealed.
///
/// It is wiped when dropped and has neither `Debug` nor comparison.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ProfileKey([u8; 32]);

impl ProfileKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Wraps the bytes, which come from the system's randomness.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for sealing them under a passphrase.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `plaintext`; the result is [`SEALED_OVERHEAD`] bytes longer.
    ///
    /// `nonce` is drawn at random for each call: 24 bytes never repeat by chance.
    /// The nonce is part of the result.
    pub fn seal(
        &self,
        purpose: &'static str,
        context: &[u8],
        plaintext: &[u8],
        nonce: [u8; 24],
    ) -> Vec<u8> {
        let mut sealed = vec![0; plaintext.len() + SEALED_OVERHEAD];
        let (head, body) = sealed.split_at_mut(NONCE_BYTES);
        head.copy_from_slice(&nonce);
        XChaCha20Poly1305::seal(
            &self.sealing_key(purpose),
            &Nonce::from(nonce),
            plaintext,
            Some(&associated_data(purpose, context)),
            body,
        )
        .expect("memory holds less than the 256 GiB that one nonce can seal");
        sealed
    }

    /// Opens what [`ProfileKey::seal`] made for the same purpose and context.
    ///
    /// Secrets go into a `Zeroizing` at once: the result is not wiped by itself.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub fn open(
        &self,
        purpose: &'static str,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let (nonce, body) =
            sealed.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Truncated)?;
        let len = body.len().checked_sub(TAG_BYTES).ok_or(VaultError::Truncated)?;
        let mut plaintext = vec![0; len];
        XChaCha20Poly1305::open(
            &self.sealing_key(purpose),
            &Nonce::from(*nonce),
            body,
            Some(&associated_data(purpose, context)),
            &mut plaintext,
        )
        .map_err(|_| VaultError::NotAuthentic)?;
        Ok(plaintext)
    }

    /// A blind name for `bytes`: equal for equal bytes, and without the key
    /// nobody can tell what it is of.
    ///
    /// # Panics
    /// When `purpose` is longer than 255 bytes.
    pub fn tag(&self, purpose: &'static str, bytes: &[u8]) -> [u8; 16] {
        let len = u8::try_from(purpose.len()).expect("purposes are a few words in the source");
        let hash = hash::keyed(&self.0, TAG, &[&[len], purpose.as_bytes(), bytes]);
        *hash.first_chunk().expect("sixteen bytes of thirty-two")
    }

    fn sealing_key(&self, purpose: &'static str) -> SecretKey {
        let key = Zeroizing::new(hash::keyed(&self.0, SEALING_KEY, &[purpose.as_bytes()]));
        SecretKey::from(*key)
    }
}

fn associated_data(purpose: &'static str, context: &[u8]) -> Vec<u8> {
    [purpose.as_bytes(), context].concat()
}

#[cfg(test)]
mod tests;
