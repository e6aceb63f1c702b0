//! Records, frames and timers of a link that is up.

mod common;

use std::time::Duration;

use common::raw::{Raw, messages, prefixed};
use common::{START, events, frames, initiator, is_authenticated, pair, pass, person, responder};
use proptest::prelude::*;
use tortalk_keys::link_auth::Role;
use tortalk_link::{Link, LinkError, LinkEvent, PeerFault};
use tortalk_model::MonoMillis;
use tortalk_model::limits::{
    AUTH_TIMEOUT, LINK_DEAD_AFTER, LINK_LIFE_MAX, PING_AFTER, RECORD_PLAINTEXT_BYTES_MAX,
};
use tortalk_wire::{Bye, ByeReason, Card, Frame, FrameError, FrameType, Msg, Ping, Pong, Push};

const V1: &[u8] = &[1, 0, 1];

/// A machine (person 2, responder) that is up with a raw peer.
fn up() -> (Link, Raw) {
    let mut raw = Raw::new(Role::Initiator, [0x55; 32]);
    let mut link = responder(2);
    link.receive(&raw.message_1(V1), START).expect("an honest first message");
    raw.read_2(&messages(&link.take_output())[0]);
    let record = raw.auth_record(&person(1));
    link.receive(&record, START).expect("an honest Auth");
    link.admit();
    raw.read_records(&link.take_output());
    assert!(is_authenticated(&mut link).is_some());
    (link, raw)
}

/// What a machine that is up says to one record with this plaintext.
fn says(plain: &[u8]) -> (Result<(), LinkError>, Vec<Frame>, Vec<Vec<u8>>) {
    let (mut link, mut raw) = up();
    let record = raw.record(plain);
    let result = link.receive(&record, START);
    (result, frames(&mut link), raw.read_records(&link.take_output()))
}

fn card(len: usize) -> Frame {
    Frame::Card(Card { card: vec![7; len].try_into().expect("in range") })
}

fn bye(reason: ByeReason) -> Frame {
    Frame::Bye(Bye { reason })
}

fn after(duration: Duration) -> MonoMillis {
    START + duration
}

proptest! {
    #[test]
    fn frames_arrive_whole_under_every_cut(
        cards in prop::collection::vec(1usize..8000, 1..12),
        pieces in prop::collection::vec(1usize..9000, 1..20),
    ) {
        let (mut a, mut b) = pair();
        let sent: Vec<Frame> = cards.into_iter().map(card).collect();
        sent.iter().for_each(|frame| a.send(frame));
        let announced = a.output_len();
        let bytes = a.take_output();
        prop_assert_eq!(announced, bytes.len());
        prop_assert!(!a.has_output());
        let mut rest = &bytes[..];
        for piece in pieces.iter().cycle() {
            let (head, tail) = rest.split_at((*piece).min(rest.len()));
            b.receive(head, START).expect("an honest peer");
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(frames(&mut b), sent);
    }

    #[test]
    fn no_plaintext_makes_a_link_panic_or_answer_much(
        plain in prop::collection::vec(any::<u8>(), 1..200),
        kind in 0usize..12,
    ) {
        let mut plain = plain;
        if let Some(start) = plain.first_chunk_mut::<6>() {
            *start = [0, 0, 0, start[3] % 64, 0, 0];
            start[4..].copy_from_slice(&FrameType::ALL[kind].0.0.to_be_bytes());
        }
        let (result, _, answer) = says(&plain);
        prop_assert!(answer.len() <= 1);
        prop_assert!(result.is_ok() || result == Err(PeerFault::SecondAuth.into())
            || matches!(result, Err(LinkError::Frame(_))));
    }
}

/// Three records, cut once at every place, and a byte at a time. Keys and nonces
/// of a pair are used up by reading, so each cut has a pair of its own.
#[test]
fn frames_arrive_whole_under_every_single_cut() {
    let sent = [card(1), Frame::Ping(Ping { nonce: 7 }), card(9)];
    let stream = || {
        let (mut a, b) = pair();
        let records = sent.iter().flat_map(|frame| {
            a.send(frame);
            a.take_output()
        });
        (records.collect::<Vec<u8>>(), b)
    };
    let (bytes, mut whole) = stream();
    for byte in bytes.chunks(1) {
        whole.receive(byte, START).expect("an honest peer");
    }
    assert_eq!(frames(&mut whole), [card(1), card(9)], "the link answers pings itself");
    for at in 0..=bytes.len() {
        let (bytes, mut b) = stream();
        let (head, tail) = bytes.split_at(at);
        b.receive(head, START).expect("an honest peer");
        b.receive(tail, START).expect("an honest peer");
        assert_eq!(frames(&mut b), [card(1), card(9)], "cut at {at}");
        assert!(b.has_output(), "a pong");
    }
}

// req: LNK-11, LNK-12
#[test]
fn small_frames_share_a_record_and_large_ones_are_cut() {
    let (mut link, mut raw) = up();
    link.send(&Frame::Push(Push { count: 0 }));
    link.send(&Frame::End);
    let records = raw.read_records(&link.take_output());
    assert_eq!(records, [[Frame::Push(Push { count: 0 }).encode(), Frame::End.encode()].concat()]);
    assert!(link.take_output().is_empty(), "no empty record is ever made");
    let envelope = vec![1; 50_000].try_into().expect("in range");
    let msg = Frame::Msg(Msg { ttl: 0, stamp: [2; 16].into(), envelope });
    link.send(&msg);
    let records = raw.read_records(&link.take_output());
    assert_eq!(records.iter().map(Vec::len).max(), Some(16_384));
    assert_eq!(records.len(), 4);
    assert_eq!(records.concat(), msg.encode());
}

// req: LNK-25
#[test]
fn records_of_every_allowed_length_are_read_and_empty_ones_refused() {
    let unknown = |len: usize| {
        let body = vec![0; len - 6];
        [&u32::try_from(len - 4).expect("small").to_be_bytes()[..], &[0, 0x70], &body].concat()
    };
    let (result, _, _) = says(&unknown(RECORD_PLAINTEXT_BYTES_MAX));
    assert_eq!(result, Ok(()));
    assert_eq!(says(&[]).0, Err(PeerFault::RecordLength(16).into()));
    for length in [0u16, 1, 15, 16] {
        let (mut link, _) = up();
        assert_eq!(
            link.receive(&length.to_be_bytes(), START),
            Err(PeerFault::RecordLength(length.into()).into())
        );
    }
}

// req: LNK-26
#[test]
fn replayed_reordered_and_changed_records_end_the_link() {
    let fault = Err(PeerFault::Record.into());
    let (mut link, mut raw) = up();
    let first = raw.record(&Frame::Pull.encode());
    assert_eq!(link.receive(&[&first[..], &first].concat(), START), fault);
    assert_eq!(frames(&mut link), [Frame::Pull]);
    assert!(link.take_output().is_empty());

    let (mut link, mut raw) = up();
    let (first, second) = (raw.record(&Frame::Pull.encode()), raw.record(&Frame::End.encode()));
    assert_eq!(link.receive(&[second, first].concat(), START), fault);
    assert!(events(&mut link).is_empty());

    let record_len = 2 + Frame::Pull.encode().len() + 16;
    for bit in 16..record_len * 8 {
        let (mut link, mut raw) = up();
        let mut record = raw.record(&Frame::Pull.encode());
        record[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(link.receive(&record, START), fault, "{bit}");
        assert!(events(&mut link).is_empty());
    }
    let (mut link, mut raw) = up();
    let _lost = raw.record(&Frame::Pull.encode());
    let next = raw.record(&Frame::End.encode());
    assert_eq!(link.receive(&next, START), fault, "a record is missing");
    let (mut link, _) = up();
    assert_eq!(link.receive(&prefixed(&[0; 40]), START), fault);
}

// req: LNK-34, LNK-35, LNK-37, LNK-38, LNK-43
#[test]
fn broken_frames_end_the_link_with_a_word_and_spare_what_came_before() {
    let good = Frame::Pull.encode();
    let too_long = FrameError::TooLong { found: 131_073, limit: 131_072 };
    let not_known = FrameError::UnknownCritical(FrameType(0x803f));
    // One MiB is the budget: eight frames of the largest size are over it.
    let unknown = [&[0, 2, 0, 0, 0, 0x25][..], &[0; 131_070]].concat().repeat(8);
    for (bytes, error) in [
        (vec![0, 0, 0, 1], FrameError::TooShort(1)),
        (vec![0, 2, 0, 1], too_long),
        (vec![0, 0, 0, 2, 0x80, 0x3f], not_known),
        (unknown, FrameError::UnknownBudget),
    ] {
        let (mut link, mut raw) = up();
        let stream = [&good[..], &bytes].concat();
        let mut result = Ok(());
        for plain in stream.chunks(RECORD_PLAINTEXT_BYTES_MAX) {
            let record = raw.record(plain);
            result = link.receive(&record, START);
            if result.is_err() {
                break;
            }
        }
        assert_eq!(result, Err(error.into()));
        assert_eq!(frames(&mut link), [Frame::Pull]);
        let last = raw.read_records(&link.take_output());
        assert_eq!(last, [bye(ByeReason::Protocol).encode()]);
        assert_eq!(link.receive(&[0], START), Err(LinkError::Closed));
        assert_eq!(link.next_deadline(), None);
    }
    let (result, before, last) = says(&[0, 0, 0, 4, 0x80, 0x24, 0x0a, 0]);
    let error = result.expect_err("an Ack without an id").to_string();
    assert_eq!(error, "the peer broke the framing: Ack.result: the value 0 is not allowed");
    assert!(before.is_empty() && last == [bye(ByeReason::Protocol).encode()]);
}

// req: LNK-33
#[test]
fn a_second_auth_ends_the_link() {
    let (mut link, mut raw) = up();
    let again = raw.auth_record(&person(1));
    assert_eq!(link.receive(&again, START), Err(PeerFault::SecondAuth.into()));
    assert!(events(&mut link).is_empty());
    assert_eq!(raw.read_records(&link.take_output()), [bye(ByeReason::Protocol).encode()]);
}

// req: LNK-36
#[test]
fn unknown_frames_that_are_not_critical_are_skipped() {
    let unknown = [0, 0, 0, 5, 0x7f, 0xff, 1, 2, 3];
    let (result, seen, _) = says(&[&unknown[..], &Frame::End.encode()].concat());
    assert_eq!((result, seen), (Ok(()), vec![Frame::End]));
}

// req: LNK-14, LNK-44
#[test]
fn a_bye_is_the_last_word() {
    let (mut a, mut b) = pair();
    a.send(&Frame::Pull);
    a.send(&bye(ByeReason::Duplicate));
    a.send(&Frame::End);
    b.send(&Frame::Ping(Ping { nonce: 5 }));
    pass(&mut b, &mut a, 99).expect("a ping crosses the bye");
    pass(&mut a, &mut b, 9).expect("two frames");
    assert_eq!(frames(&mut b), [Frame::Pull, bye(ByeReason::Duplicate)]);
    assert_eq!(b.receive(&[0], START), Err(LinkError::Closed));
    b.send(&Frame::Pull);
    assert!(!b.has_output() && b.next_deadline().is_none() && b.tick(START).is_ok());
    a.tick(after(PING_AFTER)).expect("not silent yet");
    assert!(!a.has_output());

    let (result, seen, _) = says(&[bye(ByeReason::Age).encode(), Frame::End.encode()].concat());
    assert_eq!((result, seen), (Ok(()), vec![bye(ByeReason::Age)]));
}

// req: LNK-45, LIM-01
#[test]
fn authentication_has_five_seconds() {
    let late = after(AUTH_TIMEOUT);
    let just = MonoMillis(late.0 - 1);
    for mut link in [initiator(1), responder(2)] {
        assert_eq!(link.next_deadline(), Some(late));
        assert_eq!(link.tick(just), Ok(()));
        assert_eq!(link.tick(late), Err(LinkError::Timeout));
        assert!(!link.has_output() && link.next_deadline().is_none());
        assert_eq!(link.receive(&[0], late), Err(LinkError::Closed));
    }
    // The policy's time counts too, and a late byte needs no tick to be late.
    let (mut a, mut b) = (initiator(1), responder(2));
    pass(&mut a, &mut b, 99).expect("the first message");
    pass(&mut b, &mut a, 99).expect("the second message");
    let auth = a.take_output();
    assert_eq!(responder(3).receive(&auth, late), Err(LinkError::Timeout));
    b.receive(&auth, just).expect("in time");
    assert_eq!(b.next_deadline(), Some(late));
    assert_eq!(b.tick(late), Err(LinkError::Timeout));
    b.admit();
    assert!(!b.has_output());
    // Once up, the five seconds are over for good.
    let (mut a, _) = pair();
    assert_eq!(a.tick(late), Ok(()));
}

// req: LNK-46, LNK-47, LNK-49
#[test]
fn a_silent_link_is_pinged_and_then_dead() {
    let (mut a, _) = pair();
    let first = after(PING_AFTER);
    assert_eq!(a.next_deadline(), Some(first));
    a.tick(MonoMillis(first.0 - 1)).expect("alive");
    assert!(!a.has_output());
    a.tick(first).expect("alive");
    let ping = a.take_output();
    assert!(!ping.is_empty());
    a.tick(first).expect("alive");
    assert!(!a.has_output(), "one ping in fifteen seconds");
    let second = after(2 * PING_AFTER);
    assert_eq!(a.next_deadline(), Some(second));
    a.tick(second).expect("alive");
    assert!(!a.take_output().is_empty());
    let dead = after(LINK_DEAD_AFTER);
    assert_eq!(a.next_deadline(), Some(dead));
    a.tick(MonoMillis(dead.0 - 1)).expect("alive");
    assert_eq!(a.tick(dead), Err(LinkError::Dead));
    assert!(!a.has_output());
    assert_eq!(a.tick(dead), Ok(()), "an ended link has no more to say");
    assert_eq!(a.receive(&[0], dead), Err(LinkError::Closed));

    // With an answer it lives on.
    let (mut c, mut d) = pair();
    c.tick(first).expect("alive");
    pass(&mut c, &mut d, 99).expect("a ping");
    let pong = d.take_output();
    assert!(events(&mut d).is_empty(), "pings are the link's own");
    c.receive(&pong, after(Duration::from_secs(44))).expect("a pong");
    assert!(events(&mut c).is_empty());
    c.tick(after(LINK_DEAD_AFTER)).expect("heard a second ago");
}

#[test]
fn half_a_record_is_no_sign_of_life() {
    let (mut link, mut raw) = up();
    let record = raw.record(&Frame::Pull.encode());
    let late = after(Duration::from_secs(44));
    link.receive(&record[..record.len() - 1], late).expect("a part");
    assert_eq!(link.tick(after(LINK_DEAD_AFTER)), Err(LinkError::Dead));
}

// req: LNK-47, LNK-48
#[test]
fn a_pong_carries_the_nonce_of_the_newest_ping() {
    let (mut link, mut raw) = up();
    let pings: Vec<u8> =
        (0..10_000).flat_map(|nonce| Frame::Ping(Ping { nonce }).encode()).collect();
    for plain in pings.chunks(RECORD_PLAINTEXT_BYTES_MAX) {
        let record = raw.record(plain);
        link.receive(&record, START).expect("pings");
    }
    let announced = link.output_len();
    let output = link.take_output();
    assert_eq!(announced, output.len());
    let pong = Frame::Pong(Pong { nonce: 9999 }).encode();
    assert_eq!(raw.read_records(&output), [pong]);
    assert!(!link.has_output());
}

// req: LNK-50
#[test]
fn a_link_of_a_day_says_so_once_and_still_works() {
    let (mut a, mut b) = pair();
    let day = after(LINK_LIFE_MAX);
    b.send(&Frame::End);
    a.receive(&b.take_output(), MonoMillis(day.0 - 1)).expect("an honest peer");
    assert_eq!(events(&mut a), [LinkEvent::Frame(Frame::End)]);
    assert_eq!(a.next_deadline(), Some(day));
    assert_eq!(a.tick(MonoMillis(day.0 - 1)), Ok(()));
    assert_eq!(a.tick(day), Err(LinkError::Aged));
    assert_eq!(a.tick(day), Ok(()));
    a.send(&bye(ByeReason::Age));
    pass(&mut a, &mut b, 99).expect("a bye");
    assert_eq!(frames(&mut b), [bye(ByeReason::Age)]);
}
