//! Dials the target and goes as far as a deviation lets it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::deviation::Deviation;
use super::link::{Ended, Link};
use super::transcript::Log;
use crate::people::Person;
use crate::stack::crypto::{Rng, sign};
use crate::stack::frame::{Frame, parse, raw};
use crate::stack::link::{UNAUTHENTICATED_MAX, with_length};
use crate::stack::noise::{Handshake, Role, common_version, version_list, versions_in};
use crate::stack::proofs::LinkAuth;
use crate::stack::v1::{self, FrameType};
use crate::stack::{decode, rule};

/// Bytes of a tag of ChaCha20-Poly1305.
const TAG: usize = 16;

/// Who dials or is dialled, and what they do wrong.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// Who.
    pub person: &'a Person,
    /// Which of their devices.
    pub device_id: [u8; 8],
    /// This start.
    pub instance_id: [u8; 16],
    /// What is wrong.
    pub deviation: Option<Deviation>,
}

/// How far a link came.
#[derive(Debug)]
pub enum Reached {
    /// Up: both ends have proved who they are.
    Up(Box<Link>),
    /// It ended before the target's message 2; so many bytes came.
    First(Ended, usize),
    /// It ended after message 2 and before the target's `Auth`; so many bytes came after it.
    Second(Ended, usize),
}

/// Dials.
///
/// # Errors
/// When no connection can be made.
pub async fn dial(
    target: SocketAddr,
    plan: &Plan<'_>,
    rng: &mut Rng,
    deadline: Duration,
    log: &Log,
) -> std::io::Result<Reached> {
    let connecting = tokio::time::timeout(deadline, TcpStream::connect(target));
    let stream = connecting.await.map_err(|_| std::io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    Ok(dial_over(stream, plan, rng, deadline, log).await)
}

/// The same over a connection that was made already.
pub async fn dial_over(
    stream: TcpStream,
    plan: &Plan<'_>,
    rng: &mut Rng,
    deadline: Duration,
    log: &Log,
) -> Reached {
    let mut link = Link::new(stream, Role::Initiator, deadline, log.clone());
    let secret = rng.array();
    let mut handshake = match plan.deviation {
        Some(Deviation::OtherPrologue) => Handshake::with_prologue(secret, b"tortalk/v2/link\0"),
        _ => Handshake::new(secret),
    };
    let payload = plan.deviation.map_or_else(|| version_list(&[1]), |d| d.payload(32));
    let message = match plan.deviation.and_then(Deviation::share) {
        Some(share) => handshake.write_first_as(&share, &payload),
        None => handshake.write_first(&payload),
    };
    let bytes = first_bytes(plan.deviation, &message);
    let before = link.received;
    if plan.deviation == Some(Deviation::FirstLate) {
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        link.write(head, "the first half of message 1").await;
        if let Err(ended) = link.stays_silent(rule("LNK-07: a byte before message 1")).await {
            return Reached::First(ended, link.received - before);
        }
        link.write(tail, "the second half of message 1").await;
    } else {
        link.each_byte = plan.deviation == Some(Deviation::ByteByByte);
        link.write(&bytes, "message 1").await;
    }

    let second = match link.read_message().await {
        Ok(second) => second,
        Err(ended) => return Reached::First(ended, link.received - before),
    };
    let after = link.received;
    match after_second(&mut link, plan, handshake, &payload, &second).await {
        Ok(()) => Reached::Up(Box::new(link)),
        Err(ended) => Reached::Second(ended, link.received - after),
    }
}

/// Message 1 as it is written.
fn first_bytes(deviation: Option<Deviation>, message: &[u8]) -> Vec<u8> {
    match deviation {
        Some(Deviation::LengthZero) => vec![0, 0],
        Some(Deviation::LengthTooLong) => 513_u16.to_be_bytes().to_vec(),
        Some(Deviation::Http) => b"GET / HTTP/1.1\r\nHost: relay.example\r\n\r\n".to_vec(),
        Some(Deviation::ShareShort) => with_length(&message[..31]),
        Some(Deviation::ShareHighBit) => {
            let mut message = message.to_vec();
            message[31] |= 0x80;
            with_length(&message)
        }
        _ => with_length(message),
    }
}

async fn after_second(
    link: &mut Link,
    plan: &Plan<'_>,
    handshake: Handshake,
    own_list: &[u8],
    second: &[u8],
) -> Result<(), Ended> {
    let (peer_list, keys) = handshake.read_second(second).map_err(Ended::Broken)?;
    link.keys = Some(keys);
    link.peer_list.clone_from(&peer_list);
    let theirs = versions_in(&peer_list).map_err(Ended::Broken)?;
    if plan.deviation != Some(Deviation::VersionsNotCommon) {
        common_version(&[1], &theirs).map_err(Ended::Broken)?;
        if plan.deviation == Some(Deviation::AuthLate) {
            link.stays_silent(rule("LNK-09: a byte before the initiator's Auth")).await?;
        }
        send_auth(link, plan, Lists { own: own_list, peer: &peer_list }).await;
    }
    let plain = link.read_record().await?;
    let auth = read_auth(&plain).map_err(Ended::Broken)?;
    let lists = Lists { own: own_list, peer: &peer_list };
    verify_auth(link, &auth, lists).map_err(Ended::Broken)?;
    link.auth = Some(auth);
    link.each_byte = false;
    link.note("the link is up");
    Ok(())
}

/// The two payloads of a handshake, as they were sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lists<'a> {
    pub(super) own: &'a [u8],
    pub(super) peer: &'a [u8],
}

impl<'a> Lists<'a> {
    /// The initiator's and the responder's.
    fn in_order(self, own: Role) -> (&'a [u8], &'a [u8]) {
        match own {
            Role::Initiator => (self.own, self.peer),
            Role::Responder => (self.peer, self.own),
        }
    }
}

/// Sends an end's first record, or what it sends instead.
pub(super) async fn send_auth(link: &mut Link, plan: &Plan<'_>, lists: Lists<'_>) {
    use Deviation as D;
    let is = |deviation| plan.deviation == Some(deviation);
    let ping = Frame::Ping(v1::Ping { nonce: 1 }).bytes();
    // Bytes of the handshake message that went before.
    let handshake = match link.role {
        Role::Initiator => 2 + 32 + lists.own.len(),
        Role::Responder => 2 + 32 + lists.own.len() + TAG,
    };
    if is(D::AuthMissing) {
        return link.send_plain(&ping, "Ping instead of Auth").await;
    }
    if is(D::AuthAfterUnknown) {
        return link.send_plain(&raw(0x7fff, b"later"), "an unknown frame").await;
    }
    if is(D::Budget) {
        let length = (UNAUTHENTICATED_MAX + 1 - handshake - 2) as u16;
        return link.write(&length.to_be_bytes(), "a record's length: 2,049 in all").await;
    }
    if is(D::RecordEmpty) {
        let record = link.record(&[]);
        return link.write(&record, "a record without plaintext").await;
    }
    let mut auth = Frame::Auth(deviating_auth(link, plan, lists)).bytes();
    match plan.deviation {
        Some(D::AuthAndMore) => {
            link.send_plain(&[auth, ping].concat(), "Auth and Ping in one record").await;
        }
        Some(D::AuthSplit) => {
            link.send_plain(&auth[..40], "the first half of Auth").await;
            link.send_plain(&auth[40..], "the second half of Auth").await;
        }
        Some(D::AuthPadded) => {
            // A field 15 that nobody knows; its head has three bytes.
            let room = UNAUTHENTICATED_MAX - handshake - 2 - TAG - auth.len() - 3;
            let head = [0x7a, room as u8 | 0x80, (room >> 7) as u8];
            let body = [&auth[6..], &head, &vec![0; room]].concat();
            auth = raw(FrameType::Auth as u16, &body);
            link.send_plain(&auth, "Auth with a field that fills 2,048 bytes").await;
        }
        Some(D::RecordFlipped) => {
            let mut record = link.record(&auth);
            let last = record.len() - 1;
            record[last] ^= 1;
            link.write(&record, "Auth's record with one bit flipped").await;
        }
        Some(D::RecordOtherKey) => {
            let keys = link.keys.as_mut().expect("after the handshake");
            let record = match link.role {
                Role::Initiator => keys.back.clone().seal(&auth),
                Role::Responder => keys.forth.clone().seal(&auth),
            };
            link.write(&record, "Auth's record under the other direction's key").await;
        }
        Some(D::Early) => {
            // One write, so that the second record is there when the first is read.
            let both = [link.record(&auth), link.record(&ping)].concat();
            link.write(&both, "Auth's record and another").await;
        }
        _ => link.send_plain(&auth, "Auth").await,
    }
}

fn deviating_auth(link: &Link, plan: &Plan<'_>, lists: Lists<'_>) -> v1::Auth {
    use Deviation as D;
    let is = |deviation| plan.deviation == Some(deviation);
    let seed = plan.person.identity_seed;
    let hash = if is(D::AuthOtherHash) { [7; 64] } else { link.handshake_hash() };
    let other_list = [1, 0, 2];
    let mut identity = plan.person.identity();
    if is(D::AuthIdentitySmallOrder) {
        identity = [0; 32];
        identity[0] = 1;
    } else if is(D::AuthIdentityNotCanonical) {
        identity = [0xff; 32];
        identity[0] = 0xee;
        identity[31] = 0x7f;
    }
    let signed_lists = Lists {
        own: if is(D::AuthOtherOwnList) { &other_list } else { lists.own },
        peer: if is(D::AuthOtherPeerList) { &other_list } else { lists.peer },
    };
    let (initiator_payload, responder_payload) = signed_lists.in_order(link.role);
    let mut signed = LinkAuth {
        role: if is(D::AuthOtherRole) { link.role.other() } else { link.role },
        identity,
        device_id: plan.device_id,
        instance_id: plan.instance_id,
        initiator_payload,
        responder_payload,
        handshake_hash: &hash,
    };
    signed.device_id[0] ^= u8::from(is(D::AuthOtherDevice));
    signed.instance_id[0] ^= u8::from(is(D::AuthOtherInstance));
    let mut signature = match plan.deviation {
        Some(D::AuthOtherSigner) => signed.sign(&plan.person.intro_seed),
        Some(D::AuthOtherLabel) => sign(&seed, "sign/mailbox-proof", &[&signed.bytes()]),
        _ => signed.sign(&seed),
    };
    if is(D::AuthIdentitySmallOrder) || is(D::AuthIdentityNotCanonical) {
        // Holds for whoever lets the key pass: k·A is the identity whatever was signed.
        signature = any_signature_of_neutral(&seed);
    } else if is(D::AuthSignatureFlipped) {
        signature[17] ^= 1;
    } else if is(D::AuthSignatureMalleable) {
        add_order(&mut signature);
    }
    let mut auth = v1::Auth {
        identity: identity.to_vec(),
        device_id: plan.device_id.to_vec(),
        instance_id: plan.instance_id.to_vec(),
        version: if is(D::AuthVersion) { 2 } else { 1 },
        signature: signature.to_vec(),
    };
    match plan.deviation {
        Some(D::AuthIdentityShort) => auth.identity.truncate(31),
        Some(D::AuthDeviceLong) => auth.device_id.push(0),
        Some(D::AuthSignatureShort) => auth.signature.truncate(63),
        _ => {}
    }
    auth
}

/// `R = S·B`: a signature by the neutral point over anything.
pub(crate) fn any_signature_of_neutral(seed: &[u8; 32]) -> [u8; 64] {
    let key = ed25519_dalek::SigningKey::from_bytes(seed);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(key.verifying_key().as_bytes());
    signature[32..].copy_from_slice(&key.to_scalar().to_bytes());
    signature
}

/// Adds L to the second half of a signature.
pub(crate) fn add_order(signature: &mut [u8; 64]) {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, added) in signature[32..].iter_mut().zip(L) {
        carry += u16::from(*byte) + u16::from(added);
        *byte = carry as u8;
        carry >>= 8;
    }
}

pub(super) fn read_auth(plain: &[u8]) -> crate::stack::Taken<v1::Auth> {
    let fault = rule("LNK-08: the first record is not exactly one Auth");
    let (head, body) = plain.split_first_chunk::<6>().ok_or(fault)?;
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if u16::from_be_bytes([head[4], head[5]]) != FrameType::Auth as u16 || length != body.len() + 2
    {
        return Err(fault);
    }
    match parse(FrameType::Auth, body)? {
        Frame::Auth(auth) => Ok(auth),
        _ => Err(decode("no Auth")),
    }
}

/// Verifies the target's `Auth`.
pub(super) fn verify_auth(
    link: &Link,
    auth: &v1::Auth,
    lists: Lists<'_>,
) -> crate::stack::Taken<()> {
    let fault = || rule("the length of a field of Auth");
    let signature = auth.signature.as_slice().try_into().map_err(|_| fault())?;
    let (initiator_payload, responder_payload) = lists.in_order(link.role);
    LinkAuth {
        role: link.role.other(),
        identity: auth.identity.as_slice().try_into().map_err(|_| fault())?,
        device_id: auth.device_id.as_slice().try_into().map_err(|_| fault())?,
        instance_id: auth.instance_id.as_slice().try_into().map_err(|_| fault())?,
        initiator_payload,
        responder_payload,
        handshake_hash: &link.handshake_hash(),
    }
    .verify(&signature)?;
    if auth.version != 1 {
        return Err(rule("LNK-04: the version in Auth"));
    }
    Ok(())
}
