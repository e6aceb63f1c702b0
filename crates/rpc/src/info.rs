//! GetInfo.

use tortalk_model::limits::relay::{NONCE_BYTES, VERSIONS_MAX};
use tortalk_model::{Epoch, RelayKey, UnixMillis};
use tortalk_wire::{BodyError, FieldFault};

use crate::field::{AuthorityBytes, bounded, fault, fixed, optional, present, u16_of};
use crate::v1;

/// Authorities that an answer may list.
const AUTHORITIES_MAX: usize = 16;

/// A client asks a relay to prove its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfoQuestion {
    /// The client's random bytes.
    pub nonce: [u8; NONCE_BYTES],
    /// The authority that it dialled.
    pub authority: AuthorityBytes,
}

impl TryFrom<v1::GetInfoRequest> for InfoQuestion {
    type Error = BodyError;

    fn try_from(request: v1::GetInfoRequest) -> Result<Self, BodyError> {
        const M: &str = "GetInfoRequest";
        Ok(Self {
            nonce: fixed(M, "nonce", &request.nonce)?,
            authority: bounded(M, "authority", request.authority)?,
        })
    }
}

impl From<InfoQuestion> for v1::GetInfoRequest {
    fn from(question: InfoQuestion) -> Self {
        Self { nonce: question.nonce.to_vec(), authority: question.authority.into_vec() }
    }
}

/// What a relay says of itself. Nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The relay's key.
    pub relay_key: RelayKey,
    /// Its clock.
    pub now: UnixMillis,
    /// This life of its database.
    pub epoch: Epoch,
    /// Versions of the protocol that it speaks, 1 to 16.
    pub versions: Vec<u16>,
    /// The public key and port of its onion service.
    pub onion: Option<([u8; 32], u16)>,
    /// Signature over the drawn info.
    pub signature: [u8; 64],
    /// Where it may be dialled, at most 16; not signed.
    pub authorities: Vec<AuthorityBytes>,
    /// What it takes; not signed.
    pub limits: RelayLimits,
}

/// What a relay takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelayLimits {
    /// Quota of a mailbox, in bytes.
    pub mailbox_bytes: u64,
    /// Part of the quota for unstamped envelopes, in bytes.
    pub stranger_bytes: u64,
    /// Unstamped envelopes of a mailbox.
    pub stranger_envelopes: u64,
    /// Longest time to an accepted expiry, in seconds.
    pub expiry_ahead_s: u64,
    /// Time for which a proof registers, in seconds.
    pub registration_s: u64,
}

impl TryFrom<v1::GetInfoResponse> for Info {
    type Error = BodyError;

    fn try_from(response: v1::GetInfoResponse) -> Result<Self, BodyError> {
        const M: &str = "GetInfoResponse";
        let versions = response.versions.len();
        if versions == 0 || versions > VERSIONS_MAX {
            return Err(fault(M, "versions", FieldFault::Length(versions)));
        }
        let authorities = response.authorities.len();
        if authorities > AUTHORITIES_MAX {
            return Err(fault(M, "authorities", FieldFault::Length(authorities)));
        }
        let port = u16_of(M, "onion_port", response.onion_port)?;
        let onion = optional(M, "onion", &response.onion)?.map(|public| (public, port));
        let limits = present(M, "limits", response.limits)?;
        Ok(Self {
            relay_key: fixed(M, "relay_key", &response.relay_key)?,
            now: UnixMillis(response.now),
            epoch: fixed(M, "epoch", &response.epoch)?,
            versions: response
                .versions
                .into_iter()
                .map(|version| u16_of(M, "versions", version))
                .collect::<Result<_, _>>()?,
            onion,
            signature: fixed(M, "signature", &response.signature)?,
            authorities: response
                .authorities
                .into_iter()
                .map(|authority| bounded(M, "authorities", authority))
                .collect::<Result<_, _>>()?,
            limits: RelayLimits {
                mailbox_bytes: limits.mailbox_bytes,
                stranger_bytes: limits.stranger_bytes,
                stranger_envelopes: limits.stranger_envelopes,
                expiry_ahead_s: limits.expiry_ahead_s,
                registration_s: limits.registration_s,
            },
        })
    }
}

impl From<Info> for v1::GetInfoResponse {
    fn from(info: Info) -> Self {
        let (onion, port) = info.onion.unzip();
        Self {
            relay_key: info.relay_key.as_bytes().to_vec(),
            now: info.now.0,
            epoch: info.epoch.as_bytes().to_vec(),
            versions: info.versions.into_iter().map(u32::from).collect(),
            onion: onion.map_or_else(Vec::new, Vec::from),
            onion_port: port.unwrap_or(0).into(),
            signature: info.signature.to_vec(),
            authorities: info.authorities.into_iter().map(AuthorityBytes::into_vec).collect(),
            limits: Some(v1::RelayLimits {
                mailbox_bytes: info.limits.mailbox_bytes,
                stranger_bytes: info.limits.stranger_bytes,
                stranger_envelopes: info.limits.stranger_envelopes,
                expiry_ahead_s: info.limits.expiry_ahead_s,
                registration_s: info.limits.registration_s,
            }),
        }
    }
}
