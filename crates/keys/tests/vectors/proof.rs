//! spec/vectors/proof.json

use tortalk_keys::card::MailboxKind;
use tortalk_keys::link_auth::{self, AuthClaim, LinkTranscript, Role};
use tortalk_keys::{
    IdentitySecret, MailboxSecret, Signature, identity_from_bytes, mailbox_owner, mailbox_proof,
    message, safety_number, stamp, stamp_matches,
};
use tortalk_model::hash;
use tortalk_model::{DeviceId, EnvelopeId, IdentityKey, InstanceId, MailboxKey};
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};

use crate::edge::{self, Edge};

const ABOUT: &str = "input.proof says what is checked: key (32 bytes are a public key), hash \
    (BLAKE2b-256 of label and data, keyed when there is a key), message, link-auth, mailbox-proof \
    and mailbox-owner (a signature is valid for the other inputs), stamp, safety-number.";

#[test]
fn proof_vectors() {
    check("proof.json", ABOUT, vectors(), run);
}

#[test]
fn only_the_strict_rules_refuse_the_edges() {
    for edge in edge::accepted().iter().chain(&edge::refused()) {
        assert!(edge::holds_loosely(edge), "{}", edge.id);
    }
}

fn run(vector: &Vector) -> Outcome {
    let signature = || Signature::from_bytes(vector.array("signature"));
    let verified = match vector.str("proof") {
        "key" => {
            let key = identity_from_bytes(vector.array("key"));
            return if key.is_ok() { Outcome::ok() } else { Verdict::Rule.into() };
        }
        "hash" => return run_hash(vector),
        "safety-number" => {
            let key = |name| IdentityKey::from_bytes(vector.array(name));
            return Outcome::ok().value("number", safety_number(&key("a"), &key("b")));
        }
        "stamp" => {
            let (key, id) = (vector.array("deposit_key"), vector.array("envelope_id"));
            stamp_matches(&key, &EnvelopeId::from_bytes(id), &vector.bytes("stamp"))
        }
        "message" => {
            let key = IdentityKey::from_bytes(vector.array("key"));
            message::verify(&key, &vector.bytes("signed"), &signature()).is_ok()
        }
        "link-auth" => run_link_auth(vector, &signature()),
        "mailbox-proof" => {
            let mailbox = MailboxKey::from_bytes(vector.array("key"));
            let hash = vector.array("handshake_hash");
            mailbox_proof::verify(&mailbox, role(vector), &hash, &signature()).is_ok()
        }
        "mailbox-owner" => {
            let mailbox = MailboxKey::from_bytes(vector.array("key"));
            let owner = IdentityKey::from_bytes(vector.array("identity"));
            let kind = match vector.str("kind") {
                "intro" => MailboxKind::Intro,
                _ => MailboxKind::Contact,
            };
            mailbox_owner::verify(&mailbox, &owner, kind, &signature()).is_ok()
        }
        other => panic!("{}: no proof is called {other}", vector.id),
    };
    if verified { Outcome::ok() } else { Verdict::Signature.into() }
}

fn run_hash(vector: &Vector) -> Outcome {
    let (label, data) = (vector.bytes("label"), vector.bytes("data"));
    let hash = if vector.input.contains_key("key") {
        hash::keyed(&vector.array("key"), &label, &[&data])
    } else {
        hash::labelled(&label, &[&data])
    };
    Outcome::ok().hex("hash", hash)
}

fn run_link_auth(vector: &Vector, signature: &Signature) -> bool {
    let claim = AuthClaim {
        identity: IdentityKey::from_bytes(vector.array("key")),
        device_id: DeviceId::from_bytes(vector.array("device_id")),
        instance_id: InstanceId::from_bytes(vector.array("instance_id")),
    };
    let transcript = LinkTranscript {
        initiator_payload: &vector.bytes("initiator_payload"),
        responder_payload: &vector.bytes("responder_payload"),
        handshake_hash: &vector.array("handshake_hash"),
    };
    link_auth::verify(role(vector), &claim, &transcript, signature).is_ok()
}

fn role(vector: &Vector) -> Role {
    match vector.str("role") {
        "initiator" => Role::Initiator,
        "responder" => Role::Responder,
        other => panic!("{}: no role is called {other}", vector.id),
    }
}

fn vectors() -> Vec<Vector> {
    let mut vectors = hashes();
    vectors.extend(keys());
    vectors.extend(messages());
    vectors.extend(link_auths());
    vectors.extend(mailbox_proofs());
    vectors.extend(mailbox_owners());
    vectors.extend(stamps());
    vectors.extend(safety_numbers());
    vectors
}

/// Known answers, computed with another implementation of RFC 7693.
fn hashes() -> Vec<Vector> {
    let hash = |id, req: &[&str], comment, label: &[u8], answer: &str| {
        Vector::ok(id, req, comment)
            .text("proof", "hash")
            .hex("label", label)
            .hex("data", b"abc")
            .gives("hash", answer)
    };
    vec![
        hash(
            "hash-plain",
            &["CNV-08"],
            "no label: BLAKE2b-256 itself",
            b"",
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319",
        ),
        hash(
            "hash-labelled",
            &["CNV-07", "CNV-08"],
            "the label stands in front of the data",
            b"tortalk/v1/signed-hash\0",
            "7739af101eab502822adc0d79c18461791da4f12a4808bc730b7cf04f85464d3",
        ),
        hash(
            "hash-keyed",
            &["CNV-09"],
            "the key is BLAKE2b's own key, not part of the data",
            b"tortalk/v1/stamp\0",
            "26ce0a25226246054cac7dd1be6c1d6a9f388cdbdc2008d57635903ba6c515a3",
        )
        .hex("key", core::array::from_fn::<u8, 32, _>(|i| i as u8)),
    ]
}

fn keys() -> Vec<Vector> {
    let refused = |id: String, req: &[&str], comment: &str, key: [u8; 32]| {
        Vector::refused(&id, req, comment, Verdict::Rule).text("proof", "key").hex("key", key)
    };
    let ok = |id, comment, key: &[u8; 32]| {
        Vector::ok(id, &["IDN-01"], comment).text("proof", "key").hex("key", key)
    };
    let mut vectors = vec![
        ok("key", "a key", identity().public().as_bytes()),
        ok("key-mixed-order", "a part of small order is no fault", &edge::mixed_order_key()),
        refused("key-no-point".to_owned(), &["IDN-01"], "no point", edge::no_point()),
    ];
    for (i, key) in edge::small_order_encodings().into_iter().enumerate() {
        let id = format!("key-small-order-{i}");
        vectors.push(refused(id, &["CNV-11", "IDN-01"], "a point of small order", key));
    }
    for (i, (what, key)) in edge::non_canonical_small_order().into_iter().enumerate() {
        vectors.push(refused(format!("key-non-canonical-{i}"), &["CNV-10"], what, key));
    }
    for (i, key) in edge::non_canonical_large_order().into_iter().enumerate() {
        let id = format!("key-non-canonical-large-{i}");
        vectors.push(refused(id, &["CNV-10"], "large order, y is not below p", key));
    }
    vectors
}

fn messages() -> Vec<Vector> {
    let base = |vector: Vector, signed: &[u8]| {
        let signature = message::sign(&identity(), signed);
        vector
            .text("proof", "message")
            .hex("key", identity().public().as_bytes())
            .hex("signed", signed)
            .hex("signature", signature.as_bytes())
    };
    let ok = |id, comment, signed| base(Vector::ok(id, &["IDN-02", "CNV-15"], comment), signed);
    let refused = |id, req: &[&str], comment| {
        base(Vector::refused(id, req, comment, Verdict::Signature), b"hello")
    };
    let signature = *message::sign(&identity(), b"hello").as_bytes();
    let other = IdentitySecret::from_seed([7; 32]).public();
    let without_label = ed25519_sign(b"hello");
    let with_label = ed25519_sign(b"tortalk/v1/sign/card\0hello");
    let mut vectors = vec![
        ok("message", "a signature", b"hello"),
        ok("message-empty", "over no bytes but the label", b""),
        refused("message-changed", &["CNV-15"], "other bytes").hex("signed", b"hellp"),
        refused("message-longer", &["CNV-15"], "a byte more").hex("signed", b"hello\0"),
        refused("message-other-key", &["CNV-15"], "another key").hex("key", other.as_bytes()),
        refused("message-r-bit", &["CNV-15"], "a bit of R").hex("signature", flip(signature, 0)),
        refused("message-s-bit", &["CNV-15"], "a bit of S").hex("signature", flip(signature, 32)),
        refused("message-s-high", &["CNV-12"], "S with its highest bit set").hex("signature", {
            let mut signature = signature;
            signature[63] |= 0x80;
            signature
        }),
        refused("message-r-no-point", &["CNV-13"], "R is no point").hex("signature", {
            let mut signature = signature;
            signature[..32].copy_from_slice(&edge::no_point());
            signature
        }),
        refused("message-zeros", &["CNV-14"], "a signature of zeros").hex("signature", [0; 64]),
        refused("message-no-label", &["IDN-02", "CNV-07"], "signed without its label")
            .hex("signature", without_label),
        refused("message-other-label", &["IDN-02"], "signed as a card")
            .hex("signature", with_label),
    ];
    let of_edge = |edge: Edge, verdict| {
        let id = format!("message-{}", edge.id);
        Vector::refused(&id, edge.req, &edge.comment, verdict)
            .text("proof", "message")
            .hex("key", edge.key)
            .hex("signed", edge::SIGNED)
            .hex("signature", edge.signature)
    };
    vectors.extend(edge::accepted().into_iter().map(|edge| of_edge(edge, Verdict::Ok)));
    vectors.extend(edge::refused().into_iter().map(|edge| of_edge(edge, Verdict::Signature)));
    vectors
}

fn link_auths() -> Vec<Vector> {
    let claim = AuthClaim {
        identity: identity().public(),
        device_id: DeviceId::from_bytes([0xd1; 8]),
        instance_id: InstanceId::from_bytes([0x1d; 16]),
    };
    let transcript = LinkTranscript {
        initiator_payload: &[1, 0, 1],
        responder_payload: &[2, 0, 1, 0, 2],
        handshake_hash: &[0x44; 64],
    };
    let base = |vector: Vector, role: Role, name: &str| {
        let signature = link_auth::sign(&identity(), role, &claim, &transcript);
        vector
            .text("proof", "link-auth")
            .text("role", name)
            .hex("key", claim.identity.as_bytes())
            .hex("device_id", claim.device_id.as_bytes())
            .hex("instance_id", claim.instance_id.as_bytes())
            .hex("initiator_payload", transcript.initiator_payload)
            .hex("responder_payload", transcript.responder_payload)
            .hex("handshake_hash", transcript.handshake_hash)
            .hex("signature", signature.as_bytes())
    };
    let ok = |id, role, name| base(Vector::ok(id, &["IDN-03"], "a proof"), role, name);
    let refused = |id, req: &[&str], comment| {
        let vector = Vector::refused(id, req, comment, Verdict::Signature);
        base(vector, Role::Initiator, "initiator")
    };
    let other = IdentitySecret::from_seed([7; 32]).public();
    let as_message = {
        let signed = [&[0], &claim.identity.as_bytes()[..]].concat();
        *message::sign(&identity(), &signed).as_bytes()
    };
    vec![
        ok("auth-initiator", Role::Initiator, "initiator"),
        ok("auth-responder", Role::Responder, "responder"),
        refused("auth-reflected", &["IDN-05"], "shown by the other end").text("role", "responder"),
        refused("auth-identity", &["IDN-03"], "another person").hex("key", other.as_bytes()),
        refused("auth-device", &["IDN-03"], "another device").hex("device_id", [0xd2; 8]),
        refused("auth-instance", &["IDN-03"], "another start").hex("instance_id", [0x1e; 16]),
        refused("auth-hash", &["IDN-03"], "another handshake").hex("handshake_hash", [0x45; 64]),
        refused("auth-versions", &["IDN-03"], "the initiator's versions changed under way")
            .hex("initiator_payload", [1, 0, 2]),
        refused("auth-versions-back", &["IDN-03"], "the responder's versions cut under way")
            .hex("responder_payload", [1, 0, 1]),
        refused("auth-boundary", &["IDN-03", "CNV-02"], "a byte moved between the payloads")
            .hex("initiator_payload", [1, 0, 1, 2])
            .hex("responder_payload", [0, 1, 0, 2]),
        refused("auth-label", &["IDN-02", "IDN-03"], "signed as a message")
            .hex("signature", as_message),
    ]
}

fn mailbox_proofs() -> Vec<Vector> {
    let hash = [0x44; 64];
    let base = |vector: Vector, role: Role, name: &str| {
        let signature = mailbox_proof::sign(&mailbox(), role, &hash);
        vector
            .text("proof", "mailbox-proof")
            .text("role", name)
            .hex("key", mailbox().public().as_bytes())
            .hex("handshake_hash", hash)
            .hex("signature", signature.as_bytes())
    };
    let ok = |id, role, name| base(Vector::ok(id, &["IDN-04"], "a proof"), role, name);
    let refused = |id, req: &[&str], comment| {
        let vector = Vector::refused(id, req, comment, Verdict::Signature);
        base(vector, Role::Responder, "responder")
    };
    let other = MailboxSecret::from_seed([7; 32]).public();
    let as_owner = mailbox_owner::sign(&mailbox(), &identity().public(), MailboxKind::Intro);
    vec![
        ok("mailbox-proof-initiator", Role::Initiator, "initiator"),
        ok("mailbox-proof-responder", Role::Responder, "responder"),
        refused("mailbox-proof-reflected", &["IDN-05"], "from the other end")
            .text("role", "initiator"),
        refused("mailbox-proof-hash", &["IDN-04"], "another link")
            .hex("handshake_hash", [0x45; 64]),
        refused("mailbox-proof-key", &["IDN-04"], "another mailbox").hex("key", other.as_bytes()),
        refused("mailbox-proof-label", &["IDN-02"], "an ownership statement")
            .hex("signature", as_owner.as_bytes()),
    ]
}

fn mailbox_owners() -> Vec<Vector> {
    let base = |vector: Vector, kind: MailboxKind, name: &str| {
        let signature = mailbox_owner::sign(&mailbox(), &identity().public(), kind);
        vector
            .text("proof", "mailbox-owner")
            .text("kind", name)
            .hex("key", mailbox().public().as_bytes())
            .hex("identity", identity().public().as_bytes())
            .hex("signature", signature.as_bytes())
    };
    let ok = |id, kind, name| base(Vector::ok(id, &["IDN-06"], "a statement"), kind, name);
    let refused = |id, comment| {
        let vector = Vector::refused(id, &["IDN-06"], comment, Verdict::Signature);
        base(vector, MailboxKind::Intro, "intro")
    };
    let other = IdentitySecret::from_seed([7; 32]).public();
    let proof = mailbox_proof::sign(&mailbox(), Role::Initiator, &[0x44; 64]);
    vec![
        ok("owner-intro", MailboxKind::Intro, "intro"),
        ok("owner-contact", MailboxKind::Contact, "contact"),
        refused("owner-kind", "the other kind").text("kind", "contact"),
        refused("owner-identity", "another owner").hex("identity", other.as_bytes()),
        refused("owner-key", "another mailbox").hex("key", other.as_bytes()),
        refused("owner-label", "a proof of a link").hex("signature", proof.as_bytes()),
    ]
}

fn stamps() -> Vec<Vector> {
    let (key, id) = ([0xde; 32], EnvelopeId::from_bytes([0xe1; 32]));
    let good = stamp(&key, &id);
    let base = |vector: Vector, stamp: &[u8]| {
        vector
            .text("proof", "stamp")
            .hex("deposit_key", key)
            .hex("envelope_id", id.as_bytes())
            .hex("stamp", stamp)
    };
    let refused = |id, comment, stamp: &[u8]| {
        base(Vector::refused(id, &["IDN-07", "IDN-08"], comment, Verdict::Signature), stamp)
    };
    let whole = hash::keyed(&key, hash::label::STAMP, &[id.as_bytes()]);
    let key_as_data = hash::labelled(hash::label::STAMP, &[&key, id.as_bytes()]);
    let flipped = |at: usize| {
        let mut stamp = good;
        stamp[at] ^= 1;
        stamp
    };
    vec![
        base(Vector::ok("stamp", &["IDN-07"], "a contact's stamp"), &good),
        refused("stamp-first-bit", "its first byte differs", &flipped(0)),
        refused("stamp-last-bit", "its last byte differs", &flipped(15)),
        refused("stamp-empty", "none at all", &[]),
        refused("stamp-15", "a byte short", &good[..15]),
        refused("stamp-17", "a byte more of the same hash", &whole[..17]),
        refused("stamp-32", "the whole hash", &whole),
        refused("stamp-key-as-data", "the key hashed as data", &key_as_data[..16]),
        refused("stamp-other-key", "another contact's key", &good).hex("deposit_key", [0xdd; 32]),
        refused("stamp-other-envelope", "used again", &good).hex("envelope_id", [0xe2; 32]),
    ]
}

fn safety_numbers() -> Vec<Vector> {
    let (a, b) = (identity().public(), IdentitySecret::from_seed([7; 32]).public());
    let number = |id, comment, a: IdentityKey, b: IdentityKey| {
        Vector::ok(id, &["IDN-10"], comment)
            .text("proof", "safety-number")
            .hex("a", a.as_bytes())
            .hex("b", b.as_bytes())
            .gives("number", safety_number(&a, &b))
    };
    vec![
        number("safety-number", "twelve groups of five digits", a, b),
        number("safety-number-swapped", "the same on the other side", b, a),
    ]
}

fn identity() -> IdentitySecret {
    IdentitySecret::from_seed([1; 32])
}

fn mailbox() -> MailboxSecret {
    MailboxSecret::from_seed([2; 32])
}

/// The identity's signature over bytes as they are.
fn ed25519_sign(bytes: &[u8]) -> [u8; 64] {
    use ed25519_dalek::{Signer, SigningKey};
    SigningKey::from_bytes(identity().seed()).sign(bytes).to_bytes()
}

fn flip(mut signature: [u8; 64], at: usize) -> [u8; 64] {
    signature[at] ^= 1;
    signature
}
