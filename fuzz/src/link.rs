//! Links: the handshake and what comes after it.

use std::sync::Arc;

use tortalk_keys::IdentitySecret;
use tortalk_keys::fuzzing::with_any_signature;
use tortalk_link::{Link, LinkEvent, LinkSelf};
use tortalk_model::entropy::Entropy;
use tortalk_model::limits::{UNAUTHENTICATED_BYTES_MAX, VERSIONS_MAX};
use tortalk_model::{DeviceId, InstanceId, MonoMillis};
use tortalk_wire::Frame;

use crate::wire;

/// An accepted list is written as it came; what stands behind it is ignored.
pub fn versions(bytes: &[u8]) {
    let Some((versions, again)) = tortalk_link::fuzzing::versions(bytes) else { return };
    assert!((1..=VERSIONS_MAX).contains(&versions.len()));
    assert!(bytes.starts_with(&again));
}

/// Role and pieces come from the first byte. Nobody is let in who did not prove a
/// key, nothing is heard before, and what an unauthenticated peer makes us keep
/// and say is bounded.
pub fn link(bytes: &[u8]) {
    with_any_signature(|| hostile(bytes));
}

fn hostile(bytes: &[u8]) {
    let Some((&choice, stream)) = bytes.split_first() else { return };
    let mut link = end(1, choice & 1 == 0);
    let mut said = link.take_output().len();
    let mut now = MonoMillis(0);
    let (mut heard, mut admitted) = (0, false);
    for piece in stream.chunks(usize::from(choice >> 1) * 4 + 1) {
        now = MonoMillis(now.0 + 1);
        let result = link.receive(piece, now);
        while let Some(event) = link.next_event() {
            match event {
                LinkEvent::Authenticated(peer) => {
                    assert_eq!(link.peer(), Some(&peer));
                    assert!(!core::mem::replace(&mut admitted, true), "authenticated twice");
                    link.admit();
                }
                LinkEvent::Frame(_) => assert!(admitted, "a stranger was heard"),
            }
        }
        heard += piece.len();
        said += settle(&mut link);
        if !admitted {
            assert!(said <= UNAUTHENTICATED_BYTES_MAX, "a stranger is told too much");
            let ended = result.is_err();
            assert!(ended || heard <= UNAUTHENTICATED_BYTES_MAX, "a stranger may say too much");
        }
        if result.is_err() {
            assert!(link.receive(&[0], now).is_err(), "a link goes on after its end");
            return assert!(link.next_deadline().is_none());
        }
    }
}

/// What an authenticated peer says: frames come out as the plain decoder has
/// them, up to the first that ends the link.
pub fn records(bytes: &[u8]) {
    let Some((&cut, plain)) = bytes.split_first() else { return };
    let (mut us, mut they) = pair();
    let now = MonoMillis(0);
    let mut heard = Vec::new();
    let mut ended = false;
    for piece in plain.chunks(usize::from(cut) * 64 + 1) {
        // A record is a length, the plaintext and a tag that nobody looks at.
        let length = u16::try_from(piece.len() + 16).expect("a short piece").to_be_bytes();
        ended = us.receive(&[&length, piece, &[0; 16]].concat(), now).is_err();
        while let Some(event) = us.next_event() {
            match event {
                LinkEvent::Frame(frame) => heard.push(frame),
                LinkEvent::Authenticated(_) => panic!("authenticated twice"),
            }
        }
        if ended {
            break;
        }
    }
    let said = us.take_output();
    they.receive(&said, now).expect("what we say is always right");
    let (frames, error) = wire::decode(&[plain]);
    let own = |frame: &Frame| matches!(frame, Frame::Ping(_) | Frame::Pong(_));
    let ends = |frame: &Frame| matches!(frame, Frame::Bye(_) | Frame::Auth(_));
    let until = frames.iter().position(ends).map_or(frames.len(), |at| at + 1);
    let mut expected: Vec<Frame> = frames[..until].to_vec();
    let second_auth = matches!(expected.last(), Some(Frame::Auth(_)));
    expected.retain(|frame| !own(frame) && !matches!(frame, Frame::Auth(_)));
    assert_eq!(heard, expected);
    let bye = matches!(expected.last(), Some(Frame::Bye(_)));
    assert!(ended || bye || (error.is_none() && !second_auth), "a fault was passed over");
}

/// Two ends that are through.
fn pair() -> (Link, Link) {
    let (mut us, mut they) = (end(1, true), end(2, false));
    let now = MonoMillis(0);
    for _ in 0..3 {
        they.receive(&us.take_output(), now).expect("an honest peer");
        they.admit();
        us.receive(&they.take_output(), now).expect("an honest peer");
    }
    assert!(us.next_event().is_some() && they.next_event().is_some(), "both are through");
    (us, they)
}

/// The smaller end of what a link would say; it is asked as its owner asks.
fn settle(link: &mut Link) -> usize {
    let announced = link.output_len();
    let output = link.take_output();
    assert_eq!(output.len(), announced, "the length of the output was announced wrongly");
    output.len()
}

fn end(seed: u8, dials: bool) -> Link {
    thread_local! {
        static SECRETS: [Arc<IdentitySecret>; 3] =
            [0, 1, 2].map(|seed| Arc::new(IdentitySecret::from_seed([seed; 32])));
    }
    let me = LinkSelf {
        identity: SECRETS.with(|secrets| Arc::clone(&secrets[usize::from(seed)])),
        device_id: DeviceId::from_bytes([seed; 8]),
        instance_id: InstanceId::from_bytes([seed; 16]),
    };
    let (now, entropy) = (MonoMillis(0), &mut Same(seed));
    if dials { Link::initiator(me, now, entropy) } else { Link::responder(me, now, entropy) }
}

struct Same(u8);

impl Entropy for Same {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(self.0);
    }
}

/// What honest ends say to each other, from which the fuzzer starts.
pub fn conversations() -> Vec<Vec<u8>> {
    let now = MonoMillis(0);
    let (mut us, mut they) = (end(1, true), end(2, false));
    let mut said = [vec![0xfe], vec![0xff]];
    for round in 0..4 {
        let ours = us.take_output();
        they.receive(&ours, now).expect("an honest peer");
        they.admit();
        said[1].extend(ours);
        let theirs = they.take_output();
        us.receive(&theirs, now).expect("an honest peer");
        said[0].extend(theirs);
        if round == 2 {
            us.send(&Frame::Pull);
            they.send(&Frame::End);
        }
    }
    said.into()
}
