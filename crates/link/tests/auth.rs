//! Authentication: who is at the other end, and what comes before that is known.

mod common;

use common::raw::{Raw, messages};
use common::{START, events, initiator, is_authenticated, pass, person, responder};
use tortalk_keys::link_auth::Role;
use tortalk_link::{Link, LinkError, LinkSelf, PeerFault};
use tortalk_model::limits::UNAUTHENTICATED_BYTES_MAX;
use tortalk_model::{DeviceId, IdentityKey, InstanceId};
use tortalk_testkit::Seeded;
use tortalk_wire::{Auth, Frame, Ping};

const V1: &[u8] = &[1, 0, 1];

/// A machine of the given role, person 2, whose handshake with the raw peer of
/// the other role is through and whose own output was taken.
fn through(role: Role) -> (Link, Raw) {
    let mut raw = Raw::new(role.other(), [0x33; 32]);
    let link = match role {
        Role::Responder => {
            let mut link = responder(2);
            link.receive(&raw.message_1(V1), START).expect("an honest first message");
            raw.read_2(&messages(&link.take_output())[0]);
            link
        }
        Role::Initiator => {
            let mut link = initiator(2);
            raw.read_1(&messages(&link.take_output())[0]);
            link.receive(&raw.message_2(V1), START).expect("an honest second message");
            raw.read_records(&link.take_output());
            link
        }
    };
    (link, raw)
}

/// What both roles say about an `Auth` made by `make`; they must agree.
fn verdict(make: impl Fn(&Raw) -> Auth) -> Result<(), LinkError> {
    first_record(|raw| Frame::Auth(make(raw)).encode())
}

fn first_record(make: impl Fn(&Raw) -> Vec<u8>) -> Result<(), LinkError> {
    let results = [Role::Initiator, Role::Responder].map(|role| {
        let (mut link, mut raw) = through(role);
        let plain = make(&raw);
        let record = raw.record(&plain);
        let result = link.receive(&record, START);
        assert_eq!(result.is_ok(), is_authenticated(&mut link).is_some());
        if result.is_err() {
            assert!(!link.has_output() && link.peer().is_none());
            assert_eq!(link.receive(&[0], START), Err(LinkError::Closed));
            link.admit();
            link.send(&Frame::Pull);
            assert!(link.take_output().is_empty());
        }
        result
    });
    assert_eq!(results[0], results[1]);
    results[0]
}

#[test]
fn an_honest_auth_is_accepted_by_both_roles() {
    assert_eq!(verdict(|raw| raw.auth(&person(1))), Ok(()));
}

// req: LNK-29
#[test]
fn a_signature_holds_for_its_signer_role_and_link_only() {
    let invalid = Err(PeerFault::Signature.into());
    let signed_by = |n: u8| move |raw: &Raw| raw.auth_as(raw.role, &person(1), &person(n).identity);
    assert_eq!(verdict(signed_by(1)), Ok(()));
    assert_eq!(verdict(signed_by(3)), invalid);
    // The other role: what a reflected Auth would be.
    assert_eq!(
        verdict(|raw| raw.auth_as(raw.role.other(), &person(1), &person(1).identity)),
        invalid
    );
    // Another link with the same persons.
    assert_eq!(
        verdict(|raw| {
            let mut other = Raw::new(raw.role, [0x44; 32]);
            other.initiator_payload.clone_from(&raw.initiator_payload);
            other.responder_payload.clone_from(&raw.responder_payload);
            other.auth(&person(1))
        }),
        invalid
    );
    for change in [
        (|auth: &mut Auth| auth.device_id = DeviceId::from_bytes([9; 8])) as fn(&mut Auth),
        |auth| auth.instance_id = InstanceId::from_bytes([9; 16]),
        |auth| auth.identity = person(3).identity.public(),
        |auth| auth.signature[0] ^= 1,
        |auth| auth.signature[63] ^= 0x80,
        |auth| auth.signature = [0; 64],
    ] {
        let changed = verdict(|raw| {
            let mut auth = raw.auth(&person(1));
            change(&mut auth);
            auth
        });
        assert_eq!(changed, invalid);
    }
}

// req: LNK-28
#[test]
fn an_identity_that_is_no_key_is_refused() {
    let mut order_1 = [0; 32];
    order_1[0] = 1;
    let mut not_canonical = [0xff; 32];
    (not_canonical[0], not_canonical[31]) = (0xee, 0x7f);
    // A key of small order under which the all-zero scalar would verify.
    for identity in [order_1, [0; 32], not_canonical] {
        let result = verdict(|raw| {
            let mut auth = raw.auth(&person(1));
            auth.identity = IdentityKey::from_bytes(identity);
            auth.signature = [0; 64];
            auth.signature[..32].copy_from_slice(&order_1);
            auth
        });
        assert_eq!(result, Err(PeerFault::Identity.into()), "{identity:?}");
    }
}

// req: LNK-30
#[test]
fn another_version_than_the_chosen_one_is_refused() {
    for version in [0, 2, u16::MAX] {
        let result = verdict(|raw| Auth { version, ..raw.auth(&person(1)) });
        assert_eq!(result, Err(PeerFault::Version(version).into()));
    }
}

// req: LNK-27
#[test]
fn the_first_record_is_one_auth_and_nothing_else() {
    let not_auth = Err(PeerFault::NotAuth.into());
    let auth = |raw: &Raw| Frame::Auth(raw.auth(&person(1))).encode();
    assert_eq!(first_record(|raw| [auth(raw), Frame::Pull.encode()].concat()), not_auth);
    assert_eq!(first_record(|raw| [auth(raw), vec![0]].concat()), not_auth);
    assert_eq!(first_record(|raw| [auth(raw), auth(raw)].concat()), not_auth);
    assert_eq!(first_record(|_| Frame::Pull.encode()), not_auth);
    assert_eq!(first_record(|_| Frame::Ping(Ping { nonce: 1 }).encode()), not_auth);
    assert_eq!(first_record(|raw| auth(raw)[..50].to_vec()), not_auth);
    assert_eq!(first_record(|_| vec![0]), not_auth);
    // Frames that are skipped later are not skipped here, and none is looked into.
    let unknown = [0, 0, 0, 2, 0, 0x77];
    assert_eq!(first_record(|raw| [&unknown[..], &auth(raw)].concat()), not_auth);
    assert_eq!(first_record(|_| vec![0, 0, 0, 2, 0x80, 0x99]), not_auth);
    assert_eq!(first_record(|_| vec![0, 0, 0, 3, 0x80, 0x10, 0xff]), not_auth);
    assert_eq!(first_record(|_| vec![0; 4]), not_auth);
    for length in [[0; 4], [0, 0, 0, 1], [0, 2, 0, 1], [0xff; 4]] {
        assert_eq!(first_record(|raw| [&length, &auth(raw)[4..]].concat()), not_auth);
    }
}

// req: LNK-16
#[test]
fn an_unauthenticated_peer_has_a_budget_that_is_checked_before_bytes_are_kept() {
    for role in [Role::Initiator, Role::Responder] {
        let (mut link, raw) = through(role);
        let handshake = match role {
            Role::Initiator => 2 + 32 + raw.responder_payload.len() + 16,
            Role::Responder => 2 + 32 + raw.initiator_payload.len(),
        };
        let left = u16::try_from(UNAUTHENTICATED_BYTES_MAX - handshake - 2).expect("small");
        let (mut other, _) = through(role);
        assert_eq!(link.receive(&(left + 1).to_be_bytes(), START), Err(PeerFault::Budget.into()));
        assert_eq!(other.receive(&left.to_be_bytes(), START), Ok(()));
        assert_eq!(other.receive(&vec![0; left.into()], START), Err(PeerFault::Record.into()));
    }
}

// req: LNK-32
#[test]
fn frames_before_both_are_through_end_the_link() {
    let early = |extra: &[u8]| {
        let (mut link, mut raw) = through(Role::Responder);
        let auth = raw.auth_record(&person(1));
        let stream = [&auth, extra].concat();
        let result = link.receive(&stream, START);
        // The person is known, and may not come in.
        assert!(is_authenticated(&mut link).is_some());
        link.admit();
        (result, link.take_output())
    };
    let (result, output) = early(&[]);
    assert_eq!(result, Ok(()));
    assert!(!output.is_empty());
    let (mut link, mut raw) = through(Role::Responder);
    let auth = raw.auth_record(&person(1));
    let frame = raw.record(&Frame::Pull.encode());
    for extra in [&frame[..], &[0], &frame[..5]] {
        let (result, output) = early(extra);
        assert_eq!(result, Err(PeerFault::Early.into()));
        assert!(output.is_empty());
    }
    link.receive(&auth, START).expect("an honest Auth");
    assert_eq!(link.receive(&frame, START), Err(PeerFault::Early.into()));
    assert!(is_authenticated(&mut link).is_some() && events(&mut link).is_empty());
}

// req: LNK-10
#[test]
fn what_is_sent_early_waits_behind_auth() {
    let (mut a, mut b) = (initiator(1), responder(2));
    a.send(&Frame::Pull);
    b.send(&Frame::End);
    pass(&mut a, &mut b, 99).expect("the first message alone");
    pass(&mut b, &mut a, 99).expect("the second message alone");
    pass(&mut a, &mut b, 999).expect("Auth alone, or this would be early");
    assert!(!a.has_output() && !b.has_output());
    b.admit();
    pass(&mut b, &mut a, 999).expect("Auth and the frame behind it");
    assert_eq!(events(&mut a).len(), 2);
    pass(&mut a, &mut b, 999).expect("the frame");
    assert_eq!(events(&mut b).len(), 2);
}

// req: LNK-31
#[test]
fn a_node_that_dials_itself_finds_out() {
    let mut a = initiator(1);
    let mut b = Link::responder(person(1), START, &mut Seeded::new(99));
    pass(&mut a, &mut b, 99).expect("the first message");
    pass(&mut b, &mut a, 99).expect("the second message");
    assert_eq!(pass(&mut a, &mut b, 999), Err(LinkError::SelfDial));
    assert!(events(&mut b).is_empty() && !b.has_output());
    assert_eq!(verdict(|raw| raw.auth(&person(2))), Err(LinkError::SelfDial));
}

#[test]
fn another_device_of_the_same_person_is_welcome() {
    let other_device = LinkSelf {
        device_id: DeviceId::from_bytes([8; 8]),
        instance_id: InstanceId::from_bytes([8; 16]),
        ..person(2)
    };
    assert_eq!(verdict(|raw| raw.auth(&other_device)), Ok(()));
}
