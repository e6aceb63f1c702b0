//! `spec/vectors/link.json`: whole links, both sides' bytes.

mod common;

use std::sync::Arc;

use common::raw::{Raw, messages, prefixed};
use common::{OneKey, START};
use serde_json::Value;
use tortalk_keys::IdentitySecret;
use tortalk_link::{Link, LinkError, LinkEvent, LinkSelf, PeerFault, Role};
use tortalk_model::{DeviceId, IdentityKey, InstanceId};
use tortalk_testkit::hex;
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};
use tortalk_wire::{Auth, Frame, Ping, Push};

const V1: &[u8] = &[1, 0, 1];
const OUR_EPHEMERAL: [u8; 32] = [0x0e; 32];
const THEIR_EPHEMERAL: [u8; 32] = [0x7e; 32];

#[test]
fn links() {
    check(
        "link.json",
        "One end of a link is tested. It has the `role`, the identity of `identity_seed`, \
         `device_id`, `instance_id`, and `ephemeral` as the 32 random bytes of its X25519 key. It \
         speaks version 1 only and writes its list as 010001. `receives` is what the other end \
         sends, one flight after the other; the tested end writes what it has to before each and \
         after the last; as responder it admits whoever is authenticated when the flight has been \
         read to its end. `output.writes` is what it writes before each flight and after the \
         last, with each frame's record made as soon as the frame is due; `output.frames` the \
         frames that it hands on, encoded again; `output.peer` the other end's identity. \
         `decode`: a frame that breaks LNK-34 to LNK-39 or LNK-42, once the first record is known \
         to be an Auth. `rule`: a handshake that fails for any reason, a first record that is not \
         exactly one Auth, or another rule of the link. `signature`: the peer does not prove who \
         it is. `seal`: a record that does not decrypt. `policy`: no common version, or the node \
         itself. Where `peer_identity_seed` and `peer_ephemeral` are given, the other end is made \
         of them. What is refused is refused at the last flight. An end that refuses writes \
         nothing from then on but a Bye{PROTOCOL} once both are through.",
        vectors(),
        run,
    );
}

fn us() -> LinkSelf {
    someone(0x01)
}

fn them() -> LinkSelf {
    someone(0x71)
}

fn someone(n: u8) -> LinkSelf {
    LinkSelf {
        identity: Arc::new(IdentitySecret::from_seed([n; 32])),
        device_id: DeviceId::from_bytes([n + 1; 8]),
        instance_id: InstanceId::from_bytes([n + 2; 16]),
    }
}

fn run(vector: &Vector) -> Outcome {
    let me = LinkSelf {
        identity: Arc::new(IdentitySecret::from_seed(vector.array("identity_seed"))),
        device_id: DeviceId::from_bytes(vector.array("device_id")),
        instance_id: InstanceId::from_bytes(vector.array("instance_id")),
    };
    let mut entropy = OneKey(vector.array("ephemeral"));
    let mut link = match vector.str("role") {
        "initiator" => Link::initiator(me, START, &mut entropy),
        "responder" => Link::responder(me, START, &mut entropy),
        role => panic!("{role} is no role"),
    };
    let mut writes = vec![hex::encode(link.take_output())];
    let mut frames = Vec::new();
    let flights = vector.input["receives"].as_array().expect("a list of flights");
    for (i, flight) in flights.iter().enumerate() {
        let flight = hex::decode(flight.as_str().expect("hexadecimal text"));
        if let Err(error) = link.receive(&flight, START) {
            assert_eq!(i + 1, flights.len(), "{}: only the last flight is wrong", vector.id);
            return verdict(error).into();
        }
        while let Some(event) = link.next_event() {
            match event {
                LinkEvent::Authenticated(_) => link.admit(),
                LinkEvent::Frame(frame) => frames.push(hex::encode(frame.encode())),
            }
        }
        writes.push(hex::encode(link.take_output()));
    }
    let outcome = Outcome::ok().value("writes", writes).value("frames", frames);
    match (link.peer(), link.handshake_hash()) {
        (Some(peer), Some(hash)) => {
            outcome.hex("peer", peer.identity.as_bytes()).hex("handshake_hash", hash)
        }
        _ => outcome,
    }
}

fn verdict(error: LinkError) -> Verdict {
    match error {
        LinkError::Frame(_) => Verdict::Decode,
        LinkError::Peer(PeerFault::Signature) => Verdict::Signature,
        LinkError::Peer(PeerFault::Record) => Verdict::Seal,
        LinkError::NoCommonVersion { .. } | LinkError::SelfDial => Verdict::Policy,
        _ => Verdict::Rule,
    }
}

/// A vector for the tested end of `role`, without what it receives.
fn case(id: &str, req: &[&str], comment: &str, expect: Verdict, role: Role) -> Vector {
    let me = us();
    let (name, prefix) = match role {
        Role::Initiator => ("initiator", "link-i-"),
        Role::Responder => ("responder", "link-r-"),
    };
    Vector::refused(&format!("{prefix}{id}"), req, comment, expect)
        .text("role", name)
        .hex("identity_seed", me.identity.seed())
        .hex("device_id", me.device_id.as_bytes())
        .hex("instance_id", me.instance_id.as_bytes())
        .hex("ephemeral", OUR_EPHEMERAL)
}

fn receives(vector: Vector, flights: &[Vec<u8>]) -> Vector {
    vector
        .value("receives", flights.iter().map(|f| Value::from(hex::encode(f))).collect::<Vec<_>>())
}

/// With the output that running it gives, and the other end's secrets.
fn accepted(vector: Vector, flights: &[Vec<u8>]) -> Vector {
    let mut vector = receives(vector, flights)
        .hex("peer_identity_seed", them().identity.seed())
        .hex("peer_ephemeral", THEIR_EPHEMERAL);
    let outcome = run(&vector);
    assert_eq!(outcome.verdict, Verdict::Ok, "{}", vector.id);
    vector.output = outcome.output;
    vector
}

/// A peer whose handshake with the tested end is through, and its first flight.
fn through(role: Role, payload: &[u8]) -> (Raw, Vec<u8>) {
    let mut raw = Raw::new(role.other(), THEIR_EPHEMERAL);
    let mut entropy = OneKey(OUR_EPHEMERAL);
    match role {
        Role::Initiator => {
            let first = Link::initiator(us(), START, &mut entropy).take_output();
            raw.read_1(&messages(&first)[0]);
            let second = raw.message_2(payload);
            (raw, second)
        }
        Role::Responder => {
            let first = raw.message_1(payload);
            let mut link = Link::responder(us(), START, &mut entropy);
            link.receive(&first, START).expect("an honest first message");
            raw.read_2(&messages(&link.take_output())[0]);
            (raw, first)
        }
    }
}

fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for role in [Role::Initiator, Role::Responder] {
        vectors.extend(honest(role));
        vectors.extend(broken_handshakes(role));
        vectors.extend(low_order(role));
        vectors.extend(broken_auth(role));
        vectors.extend(broken_records(role));
    }
    vectors
}

fn honest(role: Role) -> Vec<Vector> {
    let ok = |id, req: &[&str], comment| case(id, req, comment, Verdict::Ok, role);
    let (mut raw, first) = through(role, V1);
    let auth = raw.auth_record(&them());
    let frames = [Frame::Push(Push { count: 0 }), Frame::End];
    let both: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
    let ping = raw.record(&Frame::Ping(Ping { nonce: 7 }).encode());
    let (head, tail) = both.split_at(5);
    let cut = [raw.record(head), raw.record(tail)].concat();
    let unknown = raw.record(&[0, 0, 0, 3, 0x00, 0x77, 0xff]);
    let flights = [first, auth, ping, cut, unknown];
    let req = ["LNK-01", "LNK-02", "LNK-08", "LNK-36", "LNK-47"];
    let whole = accepted(
        ok("whole", &req, "a ping, two frames cut over two records, an unknown frame"),
        &flights,
    );

    let later = [&[3, 0, 9, 0, 1, 0, 7][..], b"later"].concat();
    let (mut raw, first) = through(role, &later);
    let auth = raw.auth_record(&them());
    let versions = accepted(
        ok("later-versions", &["LNK-04", "LNK-22"], "versions 9, 1, 7 and bytes after the list"),
        &[first, auth],
    );
    vec![whole, versions]
}

fn broken_handshakes(role: Role) -> Vec<Vector> {
    let refused = |id, req, comment, flight: Vec<u8>| {
        receives(case(id, &[req], comment, Verdict::Rule, role), &[flight])
    };
    let (_, honest) = through(role, V1);
    let mut share = honest.clone();
    share[2 + 31] |= 0x80;
    let mut vectors = vec![
        refused("length-0", "LNK-15", "a message of no bytes", vec![0, 0]),
        refused("length-513", "LNK-15", "513 bytes announced", vec![2, 1]),
        refused("http", "LNK-15", "the start of a request for a web page", b"GET / HTTP".to_vec()),
        refused("share-31", "LNK-19", "too short for a share", prefixed(&[9; 31])),
        refused("share-high-bit", "LNK-17", "the bit that X25519 ignores is set", share),
    ];
    for (id, payload) in [
        ("versions-absent", &[][..]),
        ("versions-none", &[0]),
        ("versions-cut-off", &[2, 0, 1, 0]),
        (
            "versions-17",
            &[
                17, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,
                0, 1, 0, 1, 0, 1, 0, 1,
            ],
        ),
    ] {
        let flight = broken_payload(role, payload);
        vectors.push(refused(id, "LNK-21", "a broken version list", flight));
    }
    let flight = broken_payload(role, &[2, 0, 2, 0, 0]);
    let none = case("versions-not-common", &["LNK-23"], "versions 2 and 0", Verdict::Policy, role);
    vectors.push(receives(none, &[flight]));
    if role == Role::Initiator {
        for (id, comment, at) in [
            ("share-changed", "a bit of the share", 2),
            ("payload-changed", "a bit of the encrypted payload", 2 + 32),
            ("tag-changed", "a bit of the tag", 2 + 32 + 3 + 15),
        ] {
            let mut flight = honest.clone();
            flight[at] ^= 1;
            vectors.push(refused(id, "LNK-19", comment, flight));
        }
        let first = Link::initiator(us(), START, &mut OneKey(OUR_EPHEMERAL)).take_output();
        vectors.push(refused("reflected", "LNK-19", "its own first message", first.clone()));
        let noise = "Noise_NN_25519_ChaChaPoly_BLAKE2b";
        let mut raw = Raw::with_name(Role::Responder, THEIR_EPHEMERAL, noise, b"tortalk/v2/link\0");
        raw.read_1(&messages(&first)[0]);
        vectors.push(refused("prologue", "LNK-01", "another prologue", raw.message_2(V1)));
    }
    vectors
}

/// The peer's handshake message with a payload that no honest peer sends.
fn broken_payload(role: Role, payload: &[u8]) -> Vec<u8> {
    let mut raw = Raw::new(role.other(), THEIR_EPHEMERAL);
    if role == Role::Responder {
        return raw.message_1(payload);
    }
    let first = Link::initiator(us(), START, &mut OneKey(OUR_EPHEMERAL)).take_output();
    raw.read_1(&messages(&first)[0]);
    raw.message_2(payload)
}

fn low_order(role: Role) -> Vec<Vector> {
    let make = |(i, share): (usize, &&str)| {
        let share: [u8; 32] = hex::array(share);
        let mut raw = Raw::new(role.other(), THEIR_EPHEMERAL);
        let flight = match role {
            Role::Responder => raw.message_1_with(share, V1),
            Role::Initiator => {
                let first = Link::initiator(us(), START, &mut OneKey(OUR_EPHEMERAL)).take_output();
                raw.read_1(&messages(&first)[0]);
                raw.message_2_with_zero_secret(share, V1)
            }
        };
        let comment = "a share of low order or not canonical; the payload is sealed as if the \
                       exchange gave zeros";
        let id = format!("low-order-{}", i + 1);
        receives(case(&id, &["LNK-17", "LNK-18"], comment, Verdict::Rule, role), &[flight])
    };
    common::LOW_ORDER.iter().enumerate().map(make).collect()
}

fn broken_auth(role: Role) -> Vec<Vector> {
    use Verdict::{Decode, Policy, Rule, Signature};
    let plain = |id, req, comment, expect, make: &dyn Fn(&Raw) -> Vec<u8>| {
        let (mut raw, first) = through(role, V1);
        let plain = make(&raw);
        let record = raw.record(&plain);
        receives(case(id, &[req], comment, expect, role), &[first, record])
    };
    let auth = |id, req, comment, expect, make: &dyn Fn(&Raw) -> Auth| {
        plain(id, req, comment, expect, &|raw| Frame::Auth(make(raw)).encode())
    };
    let small_order = |raw: &Raw| {
        let mut auth = raw.auth(&them());
        let mut identity = [0; 32];
        identity[0] = 1;
        auth.identity = IdentityKey::from_bytes(identity);
        auth.signature = [0; 64];
        auth.signature[0] = 1;
        auth
    };
    let changed = |change: fn(&mut Auth)| {
        move |raw: &Raw| {
            let mut auth = raw.auth(&them());
            change(&mut auth);
            auth
        }
    };
    let altered_list = |raw: &Raw| {
        let mut other = twin(raw);
        other.initiator_payload = vec![2, 0, 1, 0, 2];
        other.auth(&them())
    };
    vec![
        auth("auth-signer", "LNK-29", "signed by another key", Signature, &|raw| {
            raw.auth_as(raw.role, &them(), &someone(0x55).identity)
        }),
        auth("auth-role", "LNK-29", "signed for the tested end's role", Signature, &|raw| {
            raw.auth_as(raw.role.other(), &them(), &them().identity)
        }),
        auth("auth-other-link", "LNK-29", "signed for another handshake", Signature, &|raw| {
            let mut other = twin(raw);
            other.hash = [0; 64];
            other.auth(&them())
        }),
        auth("auth-list", "LNK-29", "signed over another version list", Signature, &altered_list),
        auth(
            "auth-device",
            "LNK-29",
            "a device that was not signed",
            Signature,
            &changed(|auth| auth.device_id = DeviceId::from_bytes([9; 8])),
        ),
        auth(
            "auth-instance",
            "LNK-29",
            "an instance that was not signed",
            Signature,
            &changed(|auth| auth.instance_id = InstanceId::from_bytes([9; 16])),
        ),
        auth("auth-zero", "LNK-29", "zeros", Signature, &changed(|a| a.signature = [0; 64])),
        auth("auth-small-order", "LNK-28", "an identity of order 1", Rule, &small_order),
        auth("auth-version", "LNK-30", "version 2", Rule, &changed(|auth| auth.version = 2)),
        auth("auth-version-0", "LNK-30", "version 0", Rule, &changed(|auth| auth.version = 0)),
        auth("auth-self", "LNK-31", "the node itself", Policy, &|raw| raw.auth(&us())),
        plain("auth-and-more", "LNK-27", "Auth and Pull in one record", Rule, &|raw| {
            [Frame::Auth(raw.auth(&them())).encode(), Frame::Pull.encode()].concat()
        }),
        plain("auth-half", "LNK-27", "half an Auth", Rule, &|raw| {
            Frame::Auth(raw.auth(&them())).encode()[..60].to_vec()
        }),
        plain("no-auth", "LNK-27", "a Pull first", Rule, &|_| Frame::Pull.encode()),
        plain("no-auth-unknown", "LNK-27", "a frame to skip first", Rule, &|raw| {
            [&[0, 0, 0, 2, 0, 0x77][..], &Frame::Auth(raw.auth(&them())).encode()].concat()
        }),
        plain("no-auth-critical", "LNK-27", "an unknown critical frame first", Rule, &|_| {
            vec![0, 0, 0, 2, 0x80, 0x99]
        }),
        plain("auth-length-short", "LNK-27", "Auth with a length of 1", Rule, &|raw| {
            let auth = Frame::Auth(raw.auth(&them())).encode();
            [&[0, 0, 0, 1], &auth[4..]].concat()
        }),
        plain("auth-length-long", "LNK-27", "Auth with a length of 131,073", Rule, &|raw| {
            let auth = Frame::Auth(raw.auth(&them())).encode();
            [&[0, 2, 0, 1], &auth[4..]].concat()
        }),
        plain("auth-wire-type", "CNV-18", "a version as bytes", Decode, &|raw| {
            let auth = Frame::Auth(raw.auth(&them())).encode();
            let length = (auth.len() as u32 - 4 + 3).to_be_bytes();
            [&length[..], &auth[4..], &[0x22, 1, 1]].concat()
        }),
        plain("auth-length", "LNK-39", "an identity of 31 bytes", Decode, &|_| {
            [&[0, 0, 0, 35, 0x80, 0x01, 0x0a, 31][..], &[7; 31]].concat()
        }),
    ]
}

/// A peer that knows what `raw` knows of the handshake.
fn twin(raw: &Raw) -> Raw {
    let mut twin = Raw::new(raw.role, THEIR_EPHEMERAL);
    twin.hash = raw.hash;
    twin.initiator_payload.clone_from(&raw.initiator_payload);
    twin.responder_payload.clone_from(&raw.responder_payload);
    twin
}

fn broken_records(role: Role) -> Vec<Vector> {
    use Verdict::{Decode, Rule, Seal};
    let after_auth = |id, req, comment, expect, make: &dyn Fn(&mut Raw) -> Vec<u8>| {
        let (mut raw, first) = through(role, V1);
        let auth = raw.auth_record(&them());
        let flight = make(&mut raw);
        receives(case(id, &[req], comment, expect, role), &[first, auth, flight])
    };
    let (mut raw, first) = through(role, V1);
    let honest_auth = raw.auth_record(&them());
    let budget = receives(
        case("budget", &["LNK-16"], "a first record of 2,100 bytes announced", Rule, role),
        &[first.clone(), vec![0x08, 0x34]],
    );
    let mut changed = honest_auth.clone();
    changed[40] ^= 1;
    let changed = receives(
        case("auth-changed", &["LNK-26"], "a bit of the first record", Seal, role),
        &[first.clone(), changed],
    );
    let mut vectors = vec![
        budget,
        changed,
        after_auth("record-replayed", "LNK-26", "one record twice", Seal, &|raw| {
            raw.record(&Frame::Pull.encode()).repeat(2)
        }),
        after_auth("record-reordered", "LNK-26", "the second record first", Seal, &|raw| {
            let first = raw.record(&Frame::Pull.encode());
            [raw.record(&Frame::End.encode()), first].concat()
        }),
        after_auth("record-empty", "LNK-25", "a record without a byte", Rule, &|raw| {
            raw.record(&[])
        }),
        after_auth("record-short", "LNK-25", "shorter than a tag", Rule, &|_| vec![0, 15]),
        after_auth("frame-critical", "LNK-35", "an unknown critical type", Decode, &|raw| {
            raw.record(&[0, 0, 0, 2, 0x80, 0x99])
        }),
        after_auth("frame-long", "LNK-34", "131,073 bytes announced", Decode, &|raw| {
            raw.record(&[0, 2, 0, 1])
        }),
        after_auth("second-auth", "LNK-33", "Auth again", Rule, &|raw| raw.auth_record(&them())),
    ];
    if role == Role::Responder {
        let early = [honest_auth, raw.record(&Frame::Pull.encode())].concat();
        let vector = case("early", &["LNK-32"], "a Pull right behind Auth", Rule, role);
        vectors.push(receives(vector, &[first, early]));
    }
    vectors
}
