//! `Auth`: the first record of each end, and the proof of who is there.

use std::sync::Arc;

use tortalk_keys::link_auth::{self, AuthClaim, Role};
use tortalk_keys::{IdentitySecret, Signature, identity_from_bytes};
use tortalk_model::limits::UNAUTHENTICATED_BYTES_MAX;
use tortalk_model::{DeviceId, IdentityKey, InstanceId};
use tortalk_wire::{Auth, Frame, FrameDecoder, FrameType};

use crate::error::{LinkError, PeerFault};
use crate::session::Session;

/// Who this node is on its links.
#[derive(Debug, Clone)]
pub struct LinkSelf {
    /// The person.
    pub identity: Arc<IdentitySecret>,
    /// Which of the person's devices.
    pub device_id: DeviceId,
    /// Which start of this node.
    pub instance_id: InstanceId,
}

/// Who the other end proved to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAuth {
    /// The person; a checked key whose signature was verified.
    pub identity: IdentityKey,
    /// Which of the person's devices.
    pub device_id: DeviceId,
    /// Which start of that node.
    pub instance_id: InstanceId,
    /// The protocol version of this link.
    pub version: u16,
}

/// Our `Auth`, alone in its record.
// req: LNK-02, LNK-08
pub(crate) fn write(me: &LinkSelf, role: Role, session: &mut Session, out: &mut Vec<u8>) {
    let claim = AuthClaim {
        identity: me.identity.public(),
        device_id: me.device_id,
        instance_id: me.instance_id,
    };
    let transcript = session.transcript();
    let signature = link_auth::sign(&me.identity, role, &claim, &transcript);
    let auth = Frame::Auth(Auth {
        identity: claim.identity,
        device_id: claim.device_id,
        instance_id: claim.instance_id,
        version: session.version,
        signature: *signature.as_bytes(),
    });
    session.cipher.write(&auth.encode(), out);
}

/// What the first record of the peer proves.
///
/// # Errors
/// In checking order: not exactly one `Auth` frame, an identity that is no key,
/// a signature that does not hold, another version, this very node.
pub(crate) fn verify(
    me: &LinkSelf,
    role: Role,
    session: &Session,
    plain: &[u8],
) -> Result<PeerAuth, LinkError> {
    // req: LNK-27
    if !is_one_auth(plain) && !tortalk_model::deviate!(skip_lnk_27) {
        return Err(PeerFault::NotAuth.into());
    }
    let mut decoder = FrameDecoder::with_limits(UNAUTHENTICATED_BYTES_MAX, 0);
    let Some(Frame::Auth(auth)) = decoder.next(&mut &plain[..])? else {
        return Err(PeerFault::NotAuth.into());
    };
    // req: LNK-28
    if identity_from_bytes(*auth.identity.as_bytes()).is_err() {
        return Err(PeerFault::Identity.into());
    }
    let claim = AuthClaim {
        identity: auth.identity,
        device_id: auth.device_id,
        instance_id: auth.instance_id,
    };
    let (role, transcript) = (role.other(), session.transcript());
    let signature = Signature::from_bytes(auth.signature);
    // req: LNK-29
    if link_auth::verify(role, &claim, &transcript, &signature).is_err()
        && !tortalk_model::deviate!(skip_lnk_29)
    {
        return Err(PeerFault::Signature.into());
    }
    // req: LNK-30
    if auth.version != session.version && !tortalk_model::deviate!(skip_lnk_30) {
        return Err(PeerFault::Version(auth.version).into());
    }
    let this_person = claim.identity == me.identity.public();
    // req: LNK-31
    if this_person && claim.instance_id == me.instance_id {
        return Err(LinkError::SelfDial);
    }
    Ok(PeerAuth {
        identity: claim.identity,
        device_id: claim.device_id,
        instance_id: claim.instance_id,
        version: session.version,
    })
}

/// Whether type and length say that these bytes are one `Auth` and nothing else.
fn is_one_auth(plain: &[u8]) -> bool {
    let Some(([a, b, c, d, e, f], body)) = plain.split_first_chunk() else { return false };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    length == 2 + body.len() && FrameType(u16::from_be_bytes([*e, *f])) == FrameType::AUTH
}
