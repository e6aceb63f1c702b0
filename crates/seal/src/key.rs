//! Sealing keys: MLKEM768-X25519 (X-Wing) key pairs from a 32-byte seed.

use core::fmt;

use orion::KP;
use orion::hazardous::kem::xwing;
use tortalk_model::KeyId;
use tortalk_model::envelope::key_id;
use tortalk_model::limits::SUITE_1_PUBLIC_BYTES;
use zeroize::Zeroizing;

/// Why bytes are not a sealing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealingKeyError {
    /// Not 1,216 bytes (SEA-04).
    #[error("a sealing key of {0} bytes")]
    Length(usize),
    /// The ML-KEM part fails the input check of FIPS 203, section 7.2 (SEA-04).
    #[error("the sealing key is no valid ML-KEM key")]
    Encoding,
}

/// The secret half of a sealing key: a 32-byte seed and what it expands to.
///
/// Its memory is overwritten on drop. `Debug` shows the key id only.
pub struct SealingSecret {
    seed: Zeroizing<[u8; 32]>,
    public: SealingPublic,
}

impl SealingSecret {
    /// Expands a seed; any 32 bytes are one. Costs a key generation, about
    /// 100 µs.
    ///
    /// # Panics
    /// Never: every seed expands to a key pair.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        let pair = xwing::KeyPair::try_from(&xwing::DecapsulationKey::from(*seed))
            .expect("every seed expands to a key pair");
        let public = SealingPublic::from_key(pair.public().clone());
        Self { seed, public }
    }

    /// The seed, for storage.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The public half.
    pub const fn public(&self) -> &SealingPublic {
        &self.public
    }

    /// The name of this key in envelopes (ENV-05).
    pub const fn key_id(&self) -> KeyId {
        self.public.key_id
    }

    pub(crate) fn decapsulation_key(&self) -> xwing::DecapsulationKey {
        xwing::DecapsulationKey::from(*self.seed)
    }
}

impl fmt::Debug for SealingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingSecret({})", self.key_id())
    }
}

/// The public half of a sealing key: 1,184 bytes of ML-KEM-768 and 32 of X25519.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingPublic {
    key: Box<xwing::EncapsulationKey>,
    key_id: KeyId,
}

impl SealingPublic {
    /// Checks bytes from outside.
    ///
    /// A low-order X25519 part cannot be seen here; [`crate::seal`] refuses it.
    ///
    /// # Errors
    /// Bytes of another length, or whose ML-KEM part encodes numbers that are
    /// not reduced.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealingKeyError> {
        // req: SEA-04
        if bytes.len() != SUITE_1_PUBLIC_BYTES {
            return Err(SealingKeyError::Length(bytes.len()));
        }
        // req: SEA-04
        xwing::EncapsulationKey::try_from(bytes)
            .map(Self::from_key)
            .map_err(|_| SealingKeyError::Encoding)
    }

    /// The 1,216 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.key.as_ref().as_ref()
    }

    /// The name of this key in envelopes (ENV-05).
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    pub(crate) fn encapsulation_key(&self) -> &xwing::EncapsulationKey {
        &self.key
    }

    fn from_key(key: xwing::EncapsulationKey) -> Self {
        // req: ENV-05
        let key_id = key_id(key.as_ref());
        Self { key: Box::new(key), key_id }
    }
}

impl fmt::Debug for SealingPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublic({})", self.key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: ENV-05
    #[test]
    fn a_seed_makes_one_key_and_the_id_is_that_of_its_bytes() {
        let secret = SealingSecret::from_seed([7; 32]);
        assert_eq!(secret.seed(), &[7; 32]);
        assert_eq!(secret.public(), SealingSecret::from_seed([7; 32]).public());
        assert_ne!(secret.public(), SealingSecret::from_seed([8; 32]).public());
        let public = SealingPublic::from_bytes(secret.public().as_bytes()).expect("its own bytes");
        assert_eq!(&public, secret.public());
        assert_eq!(public.key_id(), key_id(secret.public().as_bytes()));
        assert_eq!(secret.key_id(), public.key_id());
    }

    // req: SEA-04
    #[test]
    fn bytes_that_are_no_key_are_refused() {
        let good = SealingSecret::from_seed([7; 32]).public().as_bytes().to_vec();
        assert_eq!(SealingPublic::from_bytes(&good[1..]), Err(SealingKeyError::Length(1215)));
        let long = [&good[..], &[0]].concat();
        assert_eq!(SealingPublic::from_bytes(&long), Err(SealingKeyError::Length(1217)));
        // Twelve bits of ones are 4,095, more than the modulus 3,329.
        for at in [0, 384, 768, 1149] {
            let mut bad = good.clone();
            bad[at..at + 3].fill(0xff);
            assert_eq!(SealingPublic::from_bytes(&bad), Err(SealingKeyError::Encoding), "{at}");
        }
    }

    #[test]
    fn a_secret_shows_its_id_only() {
        let secret = SealingSecret::from_seed([7; 32]);
        assert_eq!(format!("{secret:?}"), format!("SealingSecret({})", secret.key_id()));
    }
}
