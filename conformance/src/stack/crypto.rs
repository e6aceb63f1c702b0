//! Hashes, signatures and ciphers as `spec/README.md` names them.

use blake2::digest::{Digest, KeyInit, Mac, consts::U32};
use blake2::{Blake2b256, Blake2b512, Blake2bMac};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use orion::hazardous::aead::{chacha20poly1305, xchacha20poly1305};
use orion::hazardous::stream::chacha20::{Nonce, SecretKey};
use orion::hazardous::stream::xchacha20::Nonce as XNonce;

use super::{Taken, rule, sealed, unsigned};

/// `"tortalk/v1/<use>"` and a zero byte (CNV-07).
#[must_use]
pub fn label(purpose: &str) -> Vec<u8> {
    let mut label = b"tortalk/v1/".to_vec();
    label.extend_from_slice(purpose.as_bytes());
    label.push(0);
    label
}

/// BLAKE2b-256 without a key and without a label.
#[must_use]
pub fn blake2b_256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2b256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// BLAKE2b with 64 bytes, which Noise uses.
#[must_use]
pub fn blake2b_512(parts: &[&[u8]]) -> [u8; 64] {
    let mut hash = Blake2b512::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// `H(LABEL, …)`.
#[must_use]
pub fn hash(purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    let label = label(purpose);
    blake2b_256(&[&[label.as_slice()], parts].concat())
}

/// BLAKE2b-256 with a key of 32 bytes.
#[must_use]
pub fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Blake2bMac::<U32>::new_from_slice(key).expect("32 bytes are a key");
    for part in parts {
        Mac::update(&mut mac, part);
    }
    mac.finalize().into_bytes().into()
}

/// The public key of an Ed25519 seed.
#[must_use]
pub fn public(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// `Sign(key, LABEL, …)`.
#[must_use]
pub fn sign(seed: &[u8; 32], purpose: &str, parts: &[&[u8]]) -> [u8; 64] {
    let mut message = label(purpose);
    parts.iter().for_each(|part| message.extend_from_slice(part));
    SigningKey::from_bytes(seed).sign(&message).to_bytes()
}

/// `2^255 − 19`, big-endian.
const P: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0x7f;
    p[31] = 0xed;
    p
};

/// Whether 32 little-endian bytes, the highest bit left out, are below `2^255 − 19`.
#[must_use]
pub fn below_p(bytes: &[u8; 32]) -> bool {
    let mut big = *bytes;
    big.reverse();
    big[0] &= 0x7f;
    big < P
}

/// A public key that CNV-10 and CNV-11 allow.
///
/// # Errors
/// `rule` for every other.
pub fn valid_key(bytes: &[u8; 32]) -> Taken<VerifyingKey> {
    if !below_p(bytes) {
        return Err(rule("CNV-10: the key is not canonical"));
    }
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| rule("CNV-10: no point"))?;
    // Where x is 0 the point has small order, so the sign bit needs no look of its own.
    if key.is_weak() {
        return Err(rule("CNV-11: the key has small order"));
    }
    Ok(key)
}

/// Verifies by CNV-10 to CNV-16.
///
/// # Errors
/// `signature` when the signature, or the key in this place, does not hold.
pub fn verify(key: &[u8; 32], purpose: &str, parts: &[&[u8]], signature: &[u8; 64]) -> Taken<()> {
    let fault = unsigned("CNV-10 to CNV-15: the signature does not hold");
    let key = valid_key(key).map_err(|_| fault)?;
    let mut message = label(purpose);
    parts.iter().for_each(|part| message.extend_from_slice(part));
    let r: [u8; 32] = signature[..32].try_into().expect("half of 64");
    if !below_p(&r) {
        return Err(fault);
    }
    key.verify_strict(&message, &Signature::from_bytes(signature)).map_err(|_| fault)
}

/// X25519, also where the result is zeros.
#[must_use]
pub fn x25519(secret: &[u8; 32], share: &[u8; 32]) -> [u8; 32] {
    x25519_dalek::x25519(*secret, *share)
}

/// The share of a secret.
#[must_use]
pub fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    x25519_dalek::x25519(*secret, x25519_dalek::X25519_BASEPOINT_BYTES)
}

/// ChaCha20-Poly1305: ciphertext and tag.
#[must_use]
pub fn aead_seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plain.len() + 16];
    let key = SecretKey::from(*key);
    chacha20poly1305::ChaCha20Poly1305::seal(
        &key,
        &Nonce::from(*nonce),
        plain,
        Some(aad),
        &mut out,
    )
    .expect("the lengths are far below the cipher's limits");
    out
}

/// Opens what [`aead_seal`] made.
///
/// # Errors
/// `seal` when it does not open.
pub fn aead_open(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], sealed_: &[u8]) -> Taken<Vec<u8>> {
    let fault = sealed("the tag does not match");
    let mut out = vec![0; sealed_.len().checked_sub(16).ok_or(fault)?];
    let key = SecretKey::from(*key);
    let nonce = Nonce::from(*nonce);
    chacha20poly1305::ChaCha20Poly1305::open(&key, &nonce, sealed_, Some(aad), &mut out)
        .map_err(|_| fault)?;
    Ok(out)
}

/// XChaCha20-Poly1305: ciphertext and tag.
#[must_use]
pub fn xaead_seal(key: &[u8; 32], nonce: &[u8; 24], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plain.len() + 16];
    let key = SecretKey::from(*key);
    let nonce = XNonce::from(*nonce);
    xchacha20poly1305::XChaCha20Poly1305::seal(&key, &nonce, plain, Some(aad), &mut out)
        .expect("the lengths are far below the cipher's limits");
    out
}

/// Opens what [`xaead_seal`] made.
///
/// # Errors
/// `seal` when it does not open.
pub fn xaead_open(key: &[u8; 32], nonce: &[u8; 24], aad: &[u8], sealed_: &[u8]) -> Taken<Vec<u8>> {
    let fault = sealed("the tag does not match");
    let mut out = vec![0; sealed_.len().checked_sub(16).ok_or(fault)?];
    let key = SecretKey::from(*key);
    let nonce = XNonce::from(*nonce);
    xchacha20poly1305::XChaCha20Poly1305::open(&key, &nonce, sealed_, Some(aad), &mut out)
        .map_err(|_| fault)?;
    Ok(out)
}

/// A source of bytes that is as random as its seed.
#[derive(Debug, Clone)]
pub struct Rng {
    seed: [u8; 32],
    count: u64,
}

impl Rng {
    /// Begins anew for every name, so that one case does not move another's numbers.
    #[must_use]
    pub fn new(seed: &[u8], name: &str) -> Self {
        let length = (seed.len() as u64).to_be_bytes();
        let parts: [&[u8]; 4] = [b"tortalk/conformance/rng\0", &length, seed, name.as_bytes()];
        Self { seed: blake2b_256(&parts), count: 0 }
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for chunk in out.chunks_mut(32) {
            self.count += 1;
            let block = blake2b_256(&[&self.seed, &self.count.to_be_bytes()]);
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        out
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::from_be_bytes(self.array()) % bound
    }
}
