//! The signature of a message: an identity over the message's signed bytes.
//!
//! `Sign(identity, SIGN_MESSAGE ‖ signed)`. What `signed` is made of is drawn in
//! spec/seal.md.

use tortalk_model::IdentityKey;
use tortalk_model::hash::label::SIGN_MESSAGE;

use crate::{IdentitySecret, Signature, SignatureError, public};

/// Signs a message's signed bytes as their sender.
pub fn sign(sender: &IdentitySecret, signed: &[u8]) -> Signature {
    sender.sign(SIGN_MESSAGE, signed)
}

/// Checks that `sender` signed `signed`.
///
/// # Errors
/// [`SignatureError`] when it did not, or when `sender` is no valid key.
pub fn verify(
    sender: &IdentityKey,
    signed: &[u8],
    signature: &Signature,
) -> Result<(), SignatureError> {
    public::verify(sender.as_bytes(), SIGN_MESSAGE, signed, signature)
}
