//! An owner's proof of a mailbox to one relay, for one stream.
//!
//! ```text
//! Sign(mailbox, SIGN_RELAY_PULL ‖ relay_key 32 ‖ authority ‖ challenge 32 ‖ client_nonce 32
//!   ‖ mailbox 32 ‖ consumer 8 ‖ deposit_flag u8 ‖ [deposit_key 32])
//! ```

use core::fmt;

use tortalk_model::bytes::Writer;
use tortalk_model::hash::label::SIGN_RELAY_PULL;
use tortalk_model::limits::relay::NONCE_BYTES;
use tortalk_model::{MailboxKey, RelayKey};

use crate::relay::Authority;
use crate::{MailboxSecret, Signature, SignatureError, public};

/// What an owner proves and registers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PullClaim<'a> {
    /// The relay that is asked.
    pub relay: RelayKey,
    /// The address that the owner dialled.
    pub authority: &'a Authority,
    /// The relay's random bytes for this stream.
    pub challenge: &'a [u8; NONCE_BYTES],
    /// The owner's own random bytes.
    pub client_nonce: &'a [u8; NONCE_BYTES],
    /// Whose queue.
    pub mailbox: MailboxKey,
    /// Zero in version 1; for several devices on one mailbox.
    pub consumer: [u8; 8],
    /// The key of stamps that the relay is to register; secret to the contacts.
    pub deposit_key: Option<&'a [u8; 32]>,
}

impl fmt::Debug for PullClaim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullClaim").field("mailbox", &self.mailbox).finish_non_exhaustive()
    }
}

/// Signs a claim as the owner. `claim.mailbox` is to be the public half of
/// `secret`; otherwise nobody accepts the signature.
pub fn sign(secret: &MailboxSecret, claim: &PullClaim<'_>) -> Signature {
    secret.sign(SIGN_RELAY_PULL, &signed(claim))
}

/// Checks a claim (RLY-03). The relay puts in its own key and the challenge of
/// this stream.
///
/// # Errors
/// [`SignatureError`] when the mailbox key did not sign it, or is no valid key.
pub fn verify(claim: &PullClaim<'_>, signature: &Signature) -> Result<(), SignatureError> {
    public::verify(claim.mailbox.as_bytes(), SIGN_RELAY_PULL, &signed(claim), signature)
}

fn signed(claim: &PullClaim<'_>) -> Vec<u8> {
    // req: RLY-03
    let writer = claim
        .authority
        .write(Writer::new().raw(claim.relay.as_bytes()))
        .raw(claim.challenge)
        .raw(claim.client_nonce)
        .raw(claim.mailbox.as_bytes())
        .raw(&claim.consumer);
    match claim.deposit_key {
        None => writer.u8(0),
        Some(key) => writer.u8(1).raw(key),
    }
    .into_vec()
}
