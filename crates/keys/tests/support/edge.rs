//! Ed25519 signatures and keys at the edges, built from the group itself.
//!
//! Every signature here is accepted by some verifier in common use; the strict
//! rules of spec/README.md say which are accepted by all of ours.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity, IsIdentity};
use sha2::{Digest, Sha512};
use tortalk_model::hash::label::SIGN_MESSAGE;

/// What an edge case is made of.
pub(crate) struct Edge {
    pub(crate) id: String,
    pub(crate) req: &'static [&'static str],
    pub(crate) comment: String,
    pub(crate) key: [u8; 32],
    pub(crate) signature: [u8; 64],
}

/// The message that all of them are about.
pub(crate) const SIGNED: &[u8] = b"edge";

/// Signatures that satisfy the strict rules although a part of them has small
/// order.
pub(crate) fn accepted() -> Vec<Edge> {
    let torsion = EIGHT_TORSION[1];
    let a = secret(1);
    let key = (EdwardsPoint::mul_base(&a) + torsion).compress().0;
    let mixed_key = search(|r| {
        let point = EdwardsPoint::mul_base(&r).compress().0;
        let k = challenge(&point, &key);
        (torsion * k).is_identity().then(|| join(point, r + k * a))
    });
    let mixed_both = search(|r| {
        let point = EdwardsPoint::mul_base(&r) + EIGHT_TORSION[3];
        let k = challenge(&point.compress().0, &key);
        let cancels = (torsion * k + EIGHT_TORSION[3]).is_identity();
        cancels.then(|| join(point.compress().0, r + k * a))
    });
    let edge = |id: &str, comment: &str, signature| Edge {
        id: id.to_owned(),
        req: &["CNV-15", "CNV-16"],
        comment: comment.to_owned(),
        key,
        signature,
    };
    vec![
        edge("mixed-order-key", "A has a part of order 8 that k cancels: accepted", mixed_key),
        edge(
            "mixed-order-key-and-r",
            "A and R have parts of order 8 that cancel each other: accepted",
            mixed_both,
        ),
    ]
}

/// Signatures that some verifiers accept and the strict rules refuse.
pub(crate) fn refused() -> Vec<Edge> {
    let mut edges = small_order_keys();
    edges.extend(non_canonical_keys());
    edges.extend(small_order_rs());
    edges.extend(non_canonical_rs());
    edges.extend(cofactored_only());
    edges.extend(large_scalars());
    edges
}

/// Whether 8·S·B = 8·R + 8·k·A, with everything decoded as loosely as any
/// verifier does: then nothing but a strict rule refuses the signature.
pub(crate) fn holds_loosely(edge: &Edge) -> bool {
    let (r, scalar) = edge.signature.split_at(32);
    let r: [u8; 32] = r.try_into().expect("32 bytes");
    let scalar = Scalar::from_bytes_mod_order(scalar.try_into().expect("32 bytes"));
    let point = |bytes| CompressedEdwardsY(bytes).decompress().expect("a point");
    let (key, k) = (point(edge.key), challenge(&r, &edge.key));
    (EdwardsPoint::mul_base(&scalar) - point(r) - key * k).mul_by_cofactor().is_identity()
}

/// The eight points of small order.
pub(crate) fn small_order_encodings() -> Vec<[u8; 32]> {
    EIGHT_TORSION.iter().map(|point| point.compress().0).collect()
}

/// Encodings of points of small order that are not canonical: the coordinate is
/// 2^255 − 19 or more, or the sign of a zero is set.
pub(crate) fn non_canonical_small_order() -> Vec<(&'static str, [u8; 32])> {
    let signed = |mut bytes: [u8; 32]| {
        bytes[31] |= 0x80;
        bytes
    };
    let one = small(1);
    let minus_one = prime_plus_minus(-1);
    vec![
        ("y = p", prime_plus_minus(0)),
        ("y = p, sign set", signed(prime_plus_minus(0))),
        ("y = p + 1", prime_plus_minus(1)),
        ("y = p + 1, sign set", signed(prime_plus_minus(1))),
        ("y = 1, sign of zero set", signed(one)),
        ("y = p - 1, sign of zero set", signed(minus_one)),
    ]
}

/// Encodings of points of large order with a coordinate of 2^255 − 19 or more.
pub(crate) fn non_canonical_large_order() -> Vec<[u8; 32]> {
    let encodings = (2..=18).map(prime_plus_minus);
    encodings.filter(|bytes| CompressedEdwardsY(*bytes).decompress().is_some()).collect()
}

/// An encoding of no point.
pub(crate) fn no_point() -> [u8; 32] {
    let encodings = (2..).map(small);
    encodings
        .into_iter()
        .find(|bytes| CompressedEdwardsY(*bytes).decompress().is_none())
        .expect("half of all coordinates belong to no point")
}

/// A key with a part of small order, which is a key like any other.
pub(crate) fn mixed_order_key() -> [u8; 32] {
    (EdwardsPoint::mul_base(&secret(1)) + EIGHT_TORSION[1]).compress().0
}

fn small_order_keys() -> Vec<Edge> {
    let keys = EIGHT_TORSION.iter().enumerate().map(|(i, point)| {
        (format!("small-order-key-{i}"), "A has small order".to_owned(), point.compress().0)
    });
    keys.map(|(id, comment, key)| forged_for(id, &["CNV-11"], comment, key)).collect()
}

fn non_canonical_keys() -> Vec<Edge> {
    let keys = non_canonical_small_order().into_iter().enumerate();
    keys.map(|(i, (what, key))| {
        let comment = format!("A is not canonical: {what}");
        forged_for(format!("non-canonical-key-{i}"), &["CNV-10"], comment, key)
    })
    .collect()
}

/// A signature for a key of small order: anybody can make it.
fn forged_for(id: String, req: &'static [&'static str], comment: String, key: [u8; 32]) -> Edge {
    let point = CompressedEdwardsY(key).decompress().expect("a point");
    let signature = search(|r| {
        let bytes = EdwardsPoint::mul_base(&r).compress().0;
        (point * challenge(&bytes, &key)).is_identity().then(|| join(bytes, r))
    });
    Edge { id, req, comment, key, signature }
}

fn small_order_rs() -> Vec<Edge> {
    let a = secret(2);
    let key = EdwardsPoint::mul_base(&a).compress().0;
    let identity = EdwardsPoint::identity().compress().0;
    let mut edges = vec![Edge {
        id: "identity-r".to_owned(),
        req: &["CNV-14"],
        comment: "R is the identity and the equation holds".to_owned(),
        key,
        signature: join(identity, challenge(&identity, &key) * a),
    }];
    for (i, point) in EIGHT_TORSION.iter().enumerate().skip(1) {
        // A key whose own part of small order cancels R.
        let bytes = point.compress().0;
        let (key, signature) = search(|a| {
            let key = (EdwardsPoint::mul_base(&a) - point).compress().0;
            let k = challenge(&bytes, &key);
            (*point - *point * k).is_identity().then(|| (key, join(bytes, k * a)))
        });
        edges.push(Edge {
            id: format!("small-order-r-{i}"),
            req: &["CNV-14"],
            comment: "R has small order, A a part that cancels it, the equation holds".to_owned(),
            key,
            signature,
        });
    }
    edges
}

fn non_canonical_rs() -> Vec<Edge> {
    let a = secret(3);
    let key = EdwardsPoint::mul_base(&a).compress().0;
    let identities = [
        ("y = p + 1", prime_plus_minus(1)),
        ("y = 1, sign of zero set", {
            let mut bytes = small(1);
            bytes[31] |= 0x80;
            bytes
        }),
    ];
    let identities = identities.into_iter().enumerate();
    identities
        .map(|(i, (what, bytes))| Edge {
            id: format!("non-canonical-r-{i}"),
            req: &["CNV-13"],
            comment: format!("R is the identity in another encoding: {what}"),
            key,
            signature: join(bytes, challenge(&bytes, &key) * a),
        })
        .collect()
}

fn cofactored_only() -> Vec<Edge> {
    let torsion = EIGHT_TORSION[1];
    let a = secret(4);
    let plain = EdwardsPoint::mul_base(&a).compress().0;
    let mixed = (EdwardsPoint::mul_base(&a) + torsion).compress().0;
    let with_mixed_key = search(|r| {
        let bytes = EdwardsPoint::mul_base(&r).compress().0;
        let k = challenge(&bytes, &mixed);
        (!(torsion * k).is_identity()).then(|| join(bytes, r + k * a))
    });
    let r = secret(5);
    let mixed_r = (EdwardsPoint::mul_base(&r) + torsion).compress().0;
    let edge = |id: &str, comment: &str, key, signature| Edge {
        id: id.to_owned(),
        req: &["CNV-15"],
        comment: comment.to_owned(),
        key,
        signature,
    };
    vec![
        edge(
            "cofactored-key",
            "A has a part of order 8; only 8·S·B = 8·R + 8·k·A holds",
            mixed,
            with_mixed_key,
        ),
        edge(
            "cofactored-r",
            "R has a part of order 8; only 8·S·B = 8·R + 8·k·A holds",
            plain,
            join(mixed_r, r + challenge(&mixed_r, &plain) * a),
        ),
    ]
}

/// S with multiples of the group's order added: the same signature by another
/// name.
fn large_scalars() -> Vec<Edge> {
    let (a, r) = (secret(6), secret(7));
    let key = EdwardsPoint::mul_base(&a).compress().0;
    let bytes = EdwardsPoint::mul_base(&r).compress().0;
    let scalar = (r + challenge(&bytes, &key) * a).to_bytes();
    let edge = |times: u32| {
        let scalar = (0..times).fold(scalar, |scalar, _| add_order(scalar));
        Edge {
            id: format!("s-plus-{times}-l"),
            req: &["CNV-12"],
            comment: format!("S + {times}·L: the equation holds, S is not below L"),
            key,
            signature: [bytes, scalar].concat().try_into().expect("64 bytes"),
        }
    };
    vec![edge(1), edge(2), edge(7), edge(14)]
}

/// The group's order L, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn add_order(mut scalar: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    for (byte, order) in scalar.iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0, "15·L fits into 32 bytes");
    scalar
}

fn secret(seed: u64) -> Scalar {
    let hash = Sha512::new().chain_update(b"tortalk edge").chain_update(seed.to_be_bytes());
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// The first number, taken as a secret, for which `attempt` finds something.
fn search<T>(attempt: impl Fn(Scalar) -> Option<T>) -> T {
    (1_000..).map(secret).find_map(attempt).expect("one attempt in eight succeeds")
}

/// `k` of RFC 8032 for a message of ours.
fn challenge(r: &[u8; 32], key: &[u8; 32]) -> Scalar {
    let hash = Sha512::new()
        .chain_update(r)
        .chain_update(key)
        .chain_update(SIGN_MESSAGE)
        .chain_update(SIGNED);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

fn join(r: [u8; 32], scalar: Scalar) -> [u8; 64] {
    [r, scalar.to_bytes()].concat().try_into().expect("64 bytes")
}

/// A small number as a coordinate.
fn small(number: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = number;
    bytes
}

/// p = 2^255 − 19 plus a small number, as a coordinate that was not reduced.
fn prime_plus_minus(offset: i8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed_u8.checked_add_signed(offset).expect("-1..=18");
    bytes[31] = 0x7f;
    bytes
}
