//! The proof that the other end of a link is a person.
//!
//! ```text
//! Sign(identity, SIGN_LINK_AUTH ‖ role u8 ‖ identity 32 ‖ device_id 8 ‖ instance_id 16
//!   ‖ bytes16(initiator payload) ‖ bytes16(responder payload) ‖ handshake_hash 64)
//! ```
//!
//! The payloads are those of the two handshake messages as they were sent, so
//! that neither list of versions can be changed under way.

use tortalk_model::bytes::Writer;
use tortalk_model::hash::label::SIGN_LINK_AUTH;
use tortalk_model::{DeviceId, IdentityKey, InstanceId};

use crate::{IdentitySecret, Signature, SignatureError, public};

/// Which end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Dialled.
    Initiator,
    /// Was dialled.
    Responder,
}

impl Role {
    /// The byte that stands for it in what is signed.
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Initiator => 0,
            Self::Responder => 1,
        }
    }

    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

/// What both ends of a link saw of its handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkTranscript<'a> {
    /// The payload of the first handshake message, at most 65,535 bytes.
    pub initiator_payload: &'a [u8],
    /// The payload of the second handshake message, at most 65,535 bytes.
    pub responder_payload: &'a [u8],
    /// The handshake hash of Noise.
    pub handshake_hash: &'a [u8; 64],
}

/// Who an end of a link says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthClaim {
    /// The person.
    pub identity: IdentityKey,
    /// Which of the person's devices.
    pub device_id: DeviceId,
    /// Which start of the node.
    pub instance_id: InstanceId,
}

/// Signs a claim as the end of a link that has `role`.
///
/// `claim.identity` is to be the public half of `secret`; otherwise nobody
/// accepts the signature.
///
/// # Panics
/// When a payload is longer than 65,535 bytes, which no handshake message holds.
pub fn sign(
    secret: &IdentitySecret,
    role: Role,
    claim: &AuthClaim,
    transcript: &LinkTranscript<'_>,
) -> Signature {
    secret.sign(SIGN_LINK_AUTH, &signed(role, claim, transcript))
}

/// Checks the claim of the end that has `role`.
///
/// # Errors
/// [`SignatureError`] when `claim.identity` did not sign it for this handshake
/// and role, or is no valid key.
///
/// # Panics
/// As [`sign`].
pub fn verify(
    role: Role,
    claim: &AuthClaim,
    transcript: &LinkTranscript<'_>,
    signature: &Signature,
) -> Result<(), SignatureError> {
    let signed = signed(role, claim, transcript);
    public::verify(claim.identity.as_bytes(), SIGN_LINK_AUTH, &signed, signature)
}

fn signed(role: Role, claim: &AuthClaim, transcript: &LinkTranscript<'_>) -> Vec<u8> {
    // req: IDN-03, IDN-05
    Writer::new()
        .u8(role.to_byte())
        .raw(claim.identity.as_bytes())
        .raw(claim.device_id.as_bytes())
        .raw(claim.instance_id.as_bytes())
        .bytes16(transcript.initiator_payload)
        .bytes16(transcript.responder_payload)
        .raw(transcript.handshake_hash)
        .into_vec()
}
