//! Checking public keys and signatures: one strict rule for everything.

use ed25519_dalek::VerifyingKey;
use tortalk_model::{IdentityKey, MailboxKey, RelayKey};

use crate::Signature;

/// Why 32 bytes are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No point of the curve has this encoding.
    #[error("the key is no point of the curve")]
    NoPoint,
    /// A point of the curve, in an encoding that is not its canonical one.
    #[error("the key's encoding is not canonical")]
    NotCanonical,
    /// One of the eight points of small order, for which signatures prove
    /// nothing.
    #[error("the key has small order")]
    SmallOrder,
}

/// Why a signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The key that it is checked against is none.
    #[error("the signer's key is not valid: {0}")]
    Key(#[from] KeyError),
    /// It was not made by this key over these bytes.
    #[error("the signature is not valid")]
    Invalid,
}

/// Checks an identity key from outside (IDN-01).
///
/// # Errors
/// The first of [`KeyError`]'s variants that applies.
pub fn identity_from_bytes(bytes: [u8; 32]) -> Result<IdentityKey, KeyError> {
    // req: IDN-01
    check_key(&bytes)?;
    Ok(IdentityKey::from_bytes(bytes))
}

/// Checks a mailbox key from outside (IDN-01).
///
/// # Errors
/// As [`identity_from_bytes`].
pub fn mailbox_from_bytes(bytes: [u8; 32]) -> Result<MailboxKey, KeyError> {
    // req: IDN-01
    check_key(&bytes)?;
    Ok(MailboxKey::from_bytes(bytes))
}

/// Checks a relay key from outside (IDN-01).
///
/// # Errors
/// As [`identity_from_bytes`].
pub fn relay_from_bytes(bytes: [u8; 32]) -> Result<RelayKey, KeyError> {
    // req: IDN-01
    check_key(&bytes)?;
    Ok(RelayKey::from_bytes(bytes))
}

/// Decodes a key by the rules of CNV-10 and CNV-11.
pub(crate) fn check_key(bytes: &[u8; 32]) -> Result<VerifyingKey, KeyError> {
    #[cfg(fuzzing)]
    if let Some(known) = crate::fuzzing::known_key(bytes) {
        return known;
    }
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NoPoint)?;
    // The library reduces a coordinate of 2^255 − 19 or more, and ignores the
    // sign of zero; encoding the point again shows both.
    // req: CNV-10
    if VerifyingKey::from(key.to_edwards()).as_bytes() != bytes
        && !tortalk_model::deviate!(skip_cnv_10)
    {
        return Err(KeyError::NotCanonical);
    }
    // req: CNV-11
    if key.is_weak() && !tortalk_model::deviate!(skip_cnv_11) {
        return Err(KeyError::SmallOrder);
    }
    Ok(key)
}

/// Verifies a signature over a label and what follows it (CNV-10 to CNV-16).
pub(crate) fn verify(
    key: &[u8; 32],
    label: &[u8],
    bytes: &[u8],
    signature: &Signature,
) -> Result<(), SignatureError> {
    #[cfg(fuzzing)]
    if crate::fuzzing::IS_ON {
        return crate::fuzzing::verify(key, label, bytes, signature);
    }
    let key = check_key(key)?;
    let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
    // req: CNV-12, CNV-13, CNV-14, CNV-15, CNV-16
    if key.verify_strict(&[label, bytes].concat(), &signature).is_err()
        && !tortalk_model::deviate!(skip_cnv_12)
    {
        return Err(SignatureError::Invalid);
    }
    Ok(())
}
