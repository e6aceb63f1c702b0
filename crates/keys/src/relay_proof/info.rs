//! A relay's proof of its key, which comes before anything else.
//!
//! ```text
//! Sign(relay, SIGN_RELAY_INFO ‖ nonce 32 ‖ authority ‖ now u64 ‖ epoch 16
//!   ‖ version_count u8 ‖ [version u16]* ‖ onion_flag u8 ‖ [onion 32 ‖ port u16])
//! ```

use tortalk_model::bytes::Writer;
use tortalk_model::hash::label::SIGN_RELAY_INFO;
use tortalk_model::limits::relay::{NONCE_BYTES, VERSIONS_MAX};
use tortalk_model::{Epoch, RelayKey, UnixMillis};

use crate::relay::Authority;
use crate::{RelaySecret, Signature, SignatureError, public};

/// What a relay says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfoClaim<'a> {
    /// The client's random bytes.
    pub nonce: &'a [u8; NONCE_BYTES],
    /// The address that the client dialled.
    pub authority: &'a Authority,
    /// The relay's clock.
    pub now: UnixMillis,
    /// This life of the relay's database.
    pub epoch: Epoch,
    /// Versions of the protocol that it speaks: 1 to 16.
    pub versions: &'a [u16],
    /// The public key and port of its onion service.
    pub onion: Option<([u8; 32], u16)>,
}

/// Signs a claim as the relay.
///
/// # Panics
/// When there are more than 16 versions.
pub fn sign(secret: &RelaySecret, claim: &InfoClaim<'_>) -> Signature {
    assert!(claim.versions.len() <= VERSIONS_MAX, "the caller names at most 16 versions");
    secret.sign(SIGN_RELAY_INFO, &signed(claim))
}

/// Checks a claim against the relay key that is pinned (RLY-01).
///
/// The caller puts in the nonce that it sent and the authority that it dialled,
/// not what the answer says.
///
/// # Errors
/// [`SignatureError`] when the relay did not sign it.
pub fn verify(
    relay: &RelayKey,
    claim: &InfoClaim<'_>,
    signature: &Signature,
) -> Result<(), SignatureError> {
    if claim.versions.is_empty() || claim.versions.len() > VERSIONS_MAX {
        return Err(SignatureError::Invalid);
    }
    public::verify(relay.as_bytes(), SIGN_RELAY_INFO, &signed(claim), signature)
}

fn signed(claim: &InfoClaim<'_>) -> Vec<u8> {
    // req: RLY-01
    let count = u8::try_from(claim.versions.len()).expect("at most 16 versions");
    let mut writer = claim
        .authority
        .write(Writer::new().raw(claim.nonce))
        .u64(claim.now.0)
        .raw(claim.epoch.as_bytes())
        .u8(count);
    for &version in claim.versions {
        writer = writer.u16(version);
    }
    match claim.onion {
        None => writer.u8(0),
        Some((public, port)) => writer.u8(1).raw(&public).u16(port),
    }
    .into_vec()
}
