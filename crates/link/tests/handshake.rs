//! The handshake: both machines against each other, against a peer written by
//! hand, and against everything that is not an honest peer.

mod common;

use common::raw::{Raw, messages, prefixed};
use common::{
    LOW_ORDER, OneKey, START, events, initiator, is_authenticated, pair, pass, person, responder,
};
use proptest::prelude::*;
use tortalk_keys::{MailboxSecret, mailbox_proof};
use tortalk_link::{Link, LinkError, PeerFault, Role};
use tortalk_wire::{Frame, FrameDecoder};

const V1: &[u8] = &[1, 0, 1];

fn raw_initiator() -> Raw {
    Raw::new(Role::Initiator, [0x11; 32])
}

fn raw_responder() -> Raw {
    Raw::new(Role::Responder, [0x22; 32])
}

/// A machine that answered `raw`'s first message, which offered `payload`.
fn answered(raw: &mut Raw, payload: &[u8]) -> Link {
    let mut link = responder(2);
    link.receive(&raw.message_1(payload), START).expect("an honest first message");
    let answer = messages(&link.take_output());
    raw.read_2(&answer[0]);
    link
}

/// A machine that dialled `raw`, which answers with `payload`; its `Auth` frame.
fn dialled(raw: &mut Raw, payload: &[u8]) -> (Link, Frame) {
    let mut link = initiator(1);
    raw.read_1(&messages(&link.take_output())[0]);
    link.receive(&raw.message_2(payload), START).expect("an honest second message");
    let records = raw.read_records(&link.take_output());
    assert_eq!(records.len(), 1);
    let mut rest = &records[0][..];
    let auth = FrameDecoder::new().next(&mut rest).expect("a frame").expect("a whole frame");
    assert!(rest.is_empty(), "Auth is alone in its record");
    (link, auth)
}

// req: LNK-01, LNK-02, LNK-06, LNK-08
#[test]
fn the_machine_dials_a_peer_written_by_hand() {
    let mut raw = raw_responder();
    let (mut link, auth) = dialled(&mut raw, V1);
    let Frame::Auth(auth) = auth else { panic!("{auth:?}") };
    assert!(raw.accepts(&auth));
    assert_eq!(auth.identity, person(1).identity.public());
    assert_eq!(raw.initiator_payload, V1);
    assert_eq!(link.handshake_hash(), Some(&raw.hash));
    assert_eq!(link.peer(), None);
    let record = raw.auth_record(&person(2));
    link.receive(&record, START).expect("an honest Auth");
    let peer = is_authenticated(&mut link).expect("authenticated");
    assert_eq!(peer.identity, person(2).identity.public());
    assert_eq!((peer.device_id, peer.version), (person(2).device_id, 1));
    assert_eq!(link.peer(), Some(&peer));
}

// req: LNK-01, LNK-02, LNK-08, LNK-09
#[test]
fn the_machine_answers_a_peer_written_by_hand() {
    let mut raw = raw_initiator();
    let mut link = answered(&mut raw, V1);
    assert_eq!(link.handshake_hash(), Some(&raw.hash));
    let record = raw.auth_record(&person(1));
    link.receive(&record, START).expect("an honest Auth");
    let peer = is_authenticated(&mut link).expect("authenticated");
    assert_eq!(peer.instance_id, person(1).instance_id);
    link.send(&Frame::Pull);
    assert!(!link.has_output(), "nothing leaves before the policy has spoken");
    assert!(link.take_output().is_empty());
    link.admit();
    let records = raw.read_records(&link.take_output());
    assert_eq!(records.len(), 2);
    let auth = FrameDecoder::new().next(&mut &records[0][..]).expect("a frame");
    let Some(Frame::Auth(auth)) = auth else { panic!("{auth:?}") };
    assert!(raw.accepts(&auth));
    assert_eq!(records[1], Frame::Pull.encode());
}

// req: LNK-01
#[test]
fn another_prologue_or_protocol_name_gets_nowhere() {
    let noise = "Noise_NN_25519_ChaChaPoly_BLAKE2b";
    let others =
        [(noise, &b"tortalk/v2/link\0"[..]), (noise, &[]), ("Noise_XX", b"tortalk/v1/link\0")];
    for (name, prologue) in others {
        let mut raw = Raw::with_name(Role::Responder, [0x22; 32], name, prologue);
        let mut link = initiator(1);
        raw.read_1(&messages(&link.take_output())[0]);
        assert_eq!(link.receive(&raw.message_2(V1), START), Err(LinkError::Handshake));
        assert!(!link.has_output());
    }
}

// req: LNK-05
#[test]
fn every_link_has_its_own_ephemeral_key() {
    let share = |link: &mut Link| messages(&link.take_output())[0][..32].to_vec();
    assert_ne!(share(&mut initiator(1)), share(&mut initiator(2)));
    let fixed = Link::initiator(person(1), START, &mut OneKey([9; 32])).take_output();
    assert_eq!(messages(&fixed)[0][..32], Raw::new(Role::Initiator, [9; 32]).share());
}

// req: LNK-07, LNK-09, LIM-03
#[test]
fn a_responder_says_nothing_before_it_must() {
    let mut link = responder(2);
    assert!(!link.has_output());
    link.admit();
    let mut dialler = initiator(1);
    let first = dialler.take_output();
    link.receive(&first[..first.len() - 1], START).expect("a part");
    assert!(!link.has_output());
    link.receive(&first[first.len() - 1..], START).expect("the rest");
    assert_eq!(messages(&link.take_output()).len(), 1);
    link.admit();
    assert!(!link.has_output(), "nobody is authenticated yet");
}

proptest! {
    #[test]
    fn the_stream_may_be_cut_anywhere(pieces in prop::collection::vec(1usize..80, 1..40)) {
        let (mut a, mut b) = (initiator(1), responder(2));
        a.send(&Frame::Pull);
        b.send(&Frame::End);
        for piece in pieces.iter().cycle().take(60) {
            prop_assert!(pass(&mut a, &mut b, *piece).is_ok());
            b.admit();
            prop_assert!(pass(&mut b, &mut a, *piece).is_ok());
        }
        prop_assert_eq!(events(&mut a).len(), 2);
        prop_assert_eq!(events(&mut b).len(), 2);
    }

    // req: LNK-20
    #[test]
    fn rubbish_is_refused_without_an_answer_and_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..700),
        piece in 1usize..100,
        short in any::<bool>(),
    ) {
        let mut bytes = bytes;
        if short && bytes.len() > 2 {
            (bytes[0], bytes[1]) = (0, bytes[1] % 80);
        }
        let mut dialler = initiator(1);
        let _first = dialler.take_output();
        for bytes in bytes.chunks(piece) {
            if dialler.receive(bytes, START).is_err() {
                break;
            }
        }
        prop_assert!(dialler.take_output().is_empty());
        let mut link = responder(2);
        for bytes in bytes.chunks(piece) {
            if link.receive(bytes, START).is_err() {
                break;
            }
        }
        // A first message can be well formed by chance; then there is an answer.
        prop_assert!(messages(&link.take_output()).len() <= 1);
        prop_assert!(events(&mut link).is_empty() && events(&mut dialler).is_empty());
    }
}

// req: LNK-19, LNK-20, LNK-26, LNK-29
#[test]
fn no_bit_of_the_handshake_can_be_flipped() {
    // The three flights that lead to authentication, by direction.
    let honest = |flip: Option<(usize, usize)>| {
        let (mut a, mut b) = (initiator(1), responder(2));
        let mut length = [0; 4];
        let mut failed = false;
        for (flight, length) in length.iter_mut().enumerate() {
            let (from, to) = if flight % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
            let mut bytes = from.take_output();
            *length = bytes.len();
            if let Some((_, bit)) = flip.filter(|&(in_flight, _)| in_flight == flight) {
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            failed |= to.receive(&bytes, START).is_err();
            b.admit();
        }
        (length, failed, is_authenticated(&mut a).is_some(), is_authenticated(&mut b).is_some())
    };
    let (length, failed, a_up, b_up) = honest(None);
    assert!(!failed && a_up && b_up);
    assert_eq!(length[..2], [37, 53]);
    for (flight, length) in length.into_iter().enumerate() {
        for bit in 0..length * 8 {
            let (_, failed, a_up, b_up) = honest(Some((flight, bit)));
            let up = if flight == 3 { a_up } else { a_up || b_up };
            assert!(!up, "bit {bit} of flight {flight}");
            // A longer announced length makes the receiver wait, until its time is up.
            assert!(failed || bit < 16, "bit {bit} of flight {flight} went unnoticed");
        }
    }
}

// req: LNK-17, LNK-18, LNK-20
#[test]
fn low_order_shares_are_refused_by_both_ends() {
    for (i, share) in LOW_ORDER.iter().enumerate() {
        let share = tortalk_testkit::hex::array(share);
        let mut link = responder(2);
        let first = raw_initiator().message_1_with(share, V1);
        assert_eq!(link.receive(&first, START), Err(LinkError::Handshake), "{i}");
        assert!(!link.has_output());

        let mut link = initiator(1);
        let mut raw = raw_responder();
        // The result of any exchange with such a point is known: all zeros.
        raw.read_1(&messages(&link.take_output())[0]);
        let second = raw.message_2_with_zero_secret(share, V1);
        assert_eq!(link.receive(&second, START), Err(LinkError::Handshake), "{i}");
        assert!(!link.has_output());
    }
}

// req: LNK-17
#[test]
fn a_share_with_the_ignored_bit_set_is_refused() {
    let mut link = responder(2);
    let mut raw = raw_initiator();
    let mut share = raw.share();
    share[31] |= 0x80;
    let first = raw.message_1_with(share, V1);
    assert_eq!(link.receive(&first, START), Err(LinkError::Handshake));
    assert!(!link.has_output());
}

#[test]
fn a_reflected_link_is_refused() {
    let mut link = initiator(1);
    let first = link.take_output();
    assert_eq!(link.receive(&first, START), Err(LinkError::Handshake));
    let (mut a, mut b) = (initiator(1), responder(2));
    pass(&mut a, &mut b, 99).expect("the first message");
    let second = b.take_output();
    assert!(b.receive(&second, START).is_err());
    a.receive(&second, START).expect("the second message");
    let auth = a.take_output();
    assert_eq!(a.receive(&auth, START), Err(PeerFault::Record.into()));
    assert!(events(&mut a).is_empty() && events(&mut b).is_empty());
}

// req: LNK-15
#[test]
fn a_handshake_message_is_refused_by_its_length() {
    for length in [0u16, 513, 0x4745, u16::MAX] {
        let mut link = responder(2);
        let result = link.receive(&length.to_be_bytes(), START);
        assert_eq!(result, Err(LinkError::Handshake), "{length}");
        let mut link = initiator(1);
        assert_eq!(link.receive(&length.to_be_bytes(), START), Err(LinkError::Handshake));
    }
    let mut link = responder(2);
    let mut payload = V1.to_vec();
    payload.resize(480, 0);
    link.receive(&raw_initiator().message_1(&payload), START).expect("512 bytes are allowed");
    assert!(link.has_output());
}

#[test]
fn a_short_first_message_is_refused() {
    for length in [1, 31, 32, 33, 34] {
        let mut link = responder(2);
        let mut message = raw_initiator().message_1(V1)[2..].to_vec();
        message.truncate(length);
        assert_eq!(link.receive(&prefixed(&message), START), Err(LinkError::Handshake));
        assert!(!link.has_output());
    }
}

// req: LNK-21, LNK-20
#[test]
fn a_broken_version_list_is_refused_by_both_ends() {
    for payload in [&[][..], &[0], &[0, 0, 1], &[1, 0], &[2, 0, 1, 0], &[17; 40]] {
        let mut link = responder(2);
        let first = raw_initiator().message_1(payload);
        assert_eq!(link.receive(&first, START), Err(LinkError::Handshake), "{payload:?}");
        assert!(!link.has_output());
        let mut link = initiator(1);
        let mut raw = raw_responder();
        raw.read_1(&messages(&link.take_output())[0]);
        let second = raw.message_2(payload);
        assert_eq!(link.receive(&second, START), Err(LinkError::Handshake), "{payload:?}");
        assert!(!link.has_output());
    }
}

// req: LNK-04, LNK-22
#[test]
fn later_versions_and_later_bytes_do_no_harm() {
    let payload = [&[3, 0, 9, 0, 1, 0, 7][..], b"what comes later"].concat();
    let mut raw = raw_initiator();
    let mut link = answered(&mut raw, &payload);
    let record = raw.auth_record(&person(1));
    link.receive(&record, START).expect("version 1 is in the list");
    assert_eq!(is_authenticated(&mut link).map(|peer| peer.version), Some(1));
    let mut raw = raw_responder();
    let (mut link, _) = dialled(&mut raw, &payload);
    let record = raw.auth_record(&person(2));
    link.receive(&record, START).expect("version 1 is in the list");
    assert_eq!(link.peer().map(|peer| peer.version), Some(1));
}

// req: LNK-23, LNK-24
#[test]
fn without_a_common_version_the_link_ends_and_the_initiator_learns_why() {
    let mut raw = raw_initiator();
    let mut link = responder(2);
    let result = link.receive(&raw.message_1(&[2, 0, 7, 0, 9]), START);
    assert_eq!(result, Err(LinkError::NoCommonVersion { highest: 9 }));
    let answer = messages(&link.take_output());
    assert_eq!(raw.read_2(&answer[0]), V1);
    let record = raw.auth_record(&person(1));
    assert_eq!(link.receive(&record, START), Err(LinkError::Closed));

    let mut raw = raw_responder();
    let mut link = initiator(1);
    raw.read_1(&messages(&link.take_output())[0]);
    let result = link.receive(&raw.message_2(&[1, 0, 2]), START);
    assert_eq!(result, Err(LinkError::NoCommonVersion { highest: 2 }));
    assert!(!link.has_output());
}

#[test]
fn an_altered_version_list_is_noticed() {
    // In the first message it changes the hash under which the second opens.
    let mut raw = raw_responder();
    let mut link = initiator(1);
    let mut first = messages(&link.take_output())[0].clone();
    first.extend_from_slice(&[0]);
    raw.read_1(&first);
    assert_eq!(link.receive(&raw.message_2(V1), START), Err(LinkError::Handshake));
    // Whoever signed other lists did not sign this link.
    let mut raw = raw_initiator();
    let mut link = answered(&mut raw, V1);
    raw.initiator_payload = vec![2, 0, 1, 0, 2];
    let record = raw.auth_record(&person(1));
    assert_eq!(link.receive(&record, START), Err(PeerFault::Signature.into()));
}

// req: LNK-03
#[test]
fn a_mailbox_proof_holds_for_its_link_and_end_only() {
    let (a, b) = pair();
    let mailbox = MailboxSecret::from_seed([5; 32]);
    let hash = |link: &Link| *link.handshake_hash().expect("the handshake is through");
    let proof = mailbox_proof::sign(&mailbox, a.role(), &hash(&a));
    let check =
        |role, hash: [u8; 64]| mailbox_proof::verify(&mailbox.public(), role, &hash, &proof);
    assert_eq!(check(b.role().other(), hash(&b)), Ok(()));
    assert!(check(b.role(), hash(&b)).is_err());
    let mut other = raw_initiator();
    answered(&mut other, V1);
    assert!(check(Role::Initiator, other.hash).is_err());
}

#[test]
fn a_pair_of_machines_is_up_after_four_flights() {
    let (a, b) = pair();
    assert_eq!(a.role(), Role::Initiator);
    assert_eq!(b.role(), Role::Responder);
    assert_eq!(a.handshake_hash(), b.handshake_hash());
    assert_eq!(a.peer().map(|p| p.identity), Some(person(2).identity.public()));
    assert_eq!(b.peer().map(|p| p.identity), Some(person(1).identity.public()));
}
