//! The proof that the other end of a link holds a mailbox key.
//!
//! `Sign(mailbox, SIGN_MAILBOX_PROOF ‖ role u8 ‖ handshake_hash 64)`. The hash
//! binds the proof to one handshake and the role to one of its ends: it cannot be
//! shown on another link, nor back to who made it.

use tortalk_model::MailboxKey;
use tortalk_model::hash::label::SIGN_MAILBOX_PROOF;

use crate::link_auth::Role;
use crate::{MailboxSecret, Signature, SignatureError, public};

/// Proves the mailbox key as the end of a link that has `role`.
pub fn sign(mailbox: &MailboxSecret, role: Role, handshake_hash: &[u8; 64]) -> Signature {
    mailbox.sign(SIGN_MAILBOX_PROOF, &signed(role, handshake_hash))
}

/// Checks a proof that the end with `role` showed.
///
/// # Errors
/// [`SignatureError`] when the mailbox key did not make it for this handshake
/// and role, or is no valid key.
pub fn verify(
    mailbox: &MailboxKey,
    role: Role,
    handshake_hash: &[u8; 64],
    signature: &Signature,
) -> Result<(), SignatureError> {
    let signed = signed(role, handshake_hash);
    public::verify(mailbox.as_bytes(), SIGN_MAILBOX_PROOF, &signed, signature)
}

fn signed(role: Role, handshake_hash: &[u8; 64]) -> [u8; 65] {
    // req: IDN-04, IDN-05
    let mut signed = [role.to_byte(); 65];
    signed[1..].copy_from_slice(handshake_hash);
    signed
}
