//! What the tests of this crate share: a peer written by hand and a pair of
//! machines back to back.
#![allow(dead_code, unreachable_pub)] // Each test file uses its part.

pub mod raw;

use std::sync::Arc;

use tortalk_keys::IdentitySecret;
use tortalk_link::{Link, LinkError, LinkEvent, LinkSelf, PeerAuth};
use tortalk_model::entropy::Entropy;
use tortalk_model::{DeviceId, InstanceId, MonoMillis};
use tortalk_testkit::Seeded;
use tortalk_wire::Frame;

pub const START: MonoMillis = MonoMillis(1_000_000);

/// The twelve well-known encodings of points of low order: canonical or not,
/// with and without the bit that X25519 ignores.
pub const LOW_ORDER: [&str; 12] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
    "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// A person on a device in a start, all from one small number.
pub fn person(n: u8) -> LinkSelf {
    LinkSelf {
        identity: Arc::new(IdentitySecret::from_seed([n; 32])),
        device_id: DeviceId::from_bytes([n; 8]),
        instance_id: InstanceId::from_bytes([n; 16]),
    }
}

/// Randomness that is exactly one ephemeral key.
pub struct OneKey(pub [u8; 32]);

impl Entropy for OneKey {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0);
    }
}

pub fn initiator(n: u8) -> Link {
    Link::initiator(person(n), START, &mut Seeded::new(u64::from(n)))
}

pub fn responder(n: u8) -> Link {
    Link::responder(person(n), START, &mut Seeded::new(u64::from(n)))
}

/// Everything that happened.
pub fn events(link: &mut Link) -> Vec<LinkEvent> {
    std::iter::from_fn(|| link.next_event()).collect()
}

/// Only the frames; panics on anything else.
pub fn frames(link: &mut Link) -> Vec<Frame> {
    let frame = |event| match event {
        LinkEvent::Frame(frame) => frame,
        other @ LinkEvent::Authenticated(_) => panic!("{other:?} is no frame"),
    };
    events(link).into_iter().map(frame).collect()
}

pub fn is_authenticated(link: &mut Link) -> Option<PeerAuth> {
    match link.next_event() {
        Some(LinkEvent::Authenticated(peer)) => Some(peer),
        Some(other) => panic!("{other:?} before authentication"),
        None => None,
    }
}

/// Moves everything from one end to the other, `piece` bytes at a time.
pub fn pass(from: &mut Link, to: &mut Link, piece: usize) -> Result<usize, LinkError> {
    let bytes = from.take_output();
    for piece in bytes.chunks(piece.max(1)) {
        to.receive(piece, START)?;
    }
    Ok(bytes.len())
}

/// Two ends that are up, without events left.
pub fn pair() -> (Link, Link) {
    let (mut a, mut b) = (initiator(1), responder(2));
    for _ in 0..4 {
        pass(&mut a, &mut b, usize::MAX).expect("an honest initiator");
        b.admit();
        pass(&mut b, &mut a, usize::MAX).expect("an honest responder");
    }
    assert!(is_authenticated(&mut a).is_some() && is_authenticated(&mut b).is_some());
    assert!(!a.has_output() && !b.has_output());
    (a, b)
}
