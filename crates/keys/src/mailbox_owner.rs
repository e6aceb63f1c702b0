//! A mailbox key's statement of whose it is.
//!
//! `Sign(mailbox, SIGN_MAILBOX_OWNER ‖ identity 32 ‖ kind u8)`. A card carries
//! one for each mailbox, so that nobody can name somebody else's mailbox as
//! theirs and draw mail away from it.

use tortalk_model::hash::label::SIGN_MAILBOX_OWNER;
use tortalk_model::{IdentityKey, MailboxKey};

use crate::card::MailboxKind;
use crate::{MailboxSecret, Signature, SignatureError, public};

/// States that `mailbox` belongs to `owner` and is of this kind.
pub fn sign(mailbox: &MailboxSecret, owner: &IdentityKey, kind: MailboxKind) -> Signature {
    mailbox.sign(SIGN_MAILBOX_OWNER, &signed(owner, kind))
}

/// Checks a mailbox key's statement.
///
/// # Errors
/// [`SignatureError`] when the mailbox key did not make it, or is no valid key.
pub fn verify(
    mailbox: &MailboxKey,
    owner: &IdentityKey,
    kind: MailboxKind,
    signature: &Signature,
) -> Result<(), SignatureError> {
    public::verify(mailbox.as_bytes(), SIGN_MAILBOX_OWNER, &signed(owner, kind), signature)
}

fn signed(owner: &IdentityKey, kind: MailboxKind) -> [u8; 33] {
    // req: IDN-06
    let mut signed = [kind.to_byte(); 33];
    signed[..32].copy_from_slice(owner.as_bytes());
    signed
}
