//! What a relay says of itself.

use tortalk_keys::RelaySecret;
use tortalk_keys::relay::Authority;
use tortalk_keys::relay_proof::info::{self, InfoClaim};
use tortalk_model::limits::relay::{
    EXPIRY_AHEAD_MAX, NONCE_BYTES, REGISTRATION_LIFE, STRANGER_ENVELOPES_MAX,
};
use tortalk_model::{Epoch, UnixMillis};
use tortalk_rpc::{AuthorityBytes, Info, InfoQuestion, RelayLimits};

use super::config::Config;

/// Versions of the protocol that this relay speaks.
pub const VERSIONS: &[u16] = &[1];

/// Why a relay does not say who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InfoError {
    /// The authority is not the layout (RLY-05).
    #[error("the authority is not well-formed")]
    MalformedAuthority,
    /// Another relay's address (RLY-06).
    #[error("the authority is not this relay's")]
    OtherAuthority,
}

/// Answers a question.
///
/// # Errors
/// [`InfoError`] when the client has dialled another relay's address.
pub fn answer(
    question: &InfoQuestion,
    config: &Config,
    secret: &RelaySecret,
    epoch: Epoch,
    now: UnixMillis,
) -> Result<Info, InfoError> {
    let authority =
        Authority::parse(&question.authority).map_err(|_| InfoError::MalformedAuthority)?;
    // req: RLY-06
    if !config.authorities.contains(&authority) && !tortalk_model::deviate!(skip_rly_06) {
        return Err(InfoError::OtherAuthority);
    }
    // req: RLY-07
    let signature = sign(&question.nonce, &authority, config, secret, epoch, now);
    Ok(Info {
        relay_key: secret.public(),
        now,
        epoch,
        versions: VERSIONS.to_vec(),
        onion: config.onion,
        signature,
        authorities: config.authorities.iter().take(16).map(bytes_of).collect(),
        limits: RelayLimits {
            mailbox_bytes: config.quotas.mailbox_bytes,
            stranger_bytes: config.quotas.stranger_bytes(),
            stranger_envelopes: STRANGER_ENVELOPES_MAX,
            expiry_ahead_s: EXPIRY_AHEAD_MAX.as_secs(),
            registration_s: REGISTRATION_LIFE.as_secs(),
        },
    })
}

fn sign(
    nonce: &[u8; NONCE_BYTES],
    authority: &Authority,
    config: &Config,
    secret: &RelaySecret,
    epoch: Epoch,
    now: UnixMillis,
) -> [u8; 64] {
    let claim = InfoClaim { nonce, authority, now, epoch, versions: VERSIONS, onion: config.onion };
    *info::sign(secret, &claim).as_bytes()
}

fn bytes_of(authority: &Authority) -> AuthorityBytes {
    AuthorityBytes::try_from(authority.to_bytes()).expect("an authority keeps its own limit")
}
