//! `Noise_NN_25519_ChaChaPoly_BLAKE2b`, written out as `spec/link.md` section 2 does.

use super::crypto::{aead_open, aead_seal, blake2b_512, label, x25519, x25519_public};
use super::{Taken, rule, sealed};

/// Which end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Dialled.
    Initiator,
    /// Was dialled.
    Responder,
}

impl Role {
    /// The byte in signatures (`spec/identity.md` section 2).
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Initiator => 0,
            Self::Responder => 1,
        }
    }

    /// The end across.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

/// The nonce of message or record number `n`.
fn nonce(n: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&n.to_le_bytes());
    nonce
}

fn hmac(key: &[u8; 64], parts: &[&[u8]]) -> [u8; 64] {
    let mut inner = [0x36; 128];
    let mut outer = [0x5c; 128];
    for (at, byte) in key.iter().enumerate() {
        inner[at] ^= byte;
        outer[at] ^= byte;
    }
    let digest = blake2b_512(&[&[inner.as_slice()], parts].concat());
    blake2b_512(&[&outer, &digest])
}

fn hkdf(ck: &[u8; 64], input: &[u8]) -> ([u8; 64], [u8; 64]) {
    let t = hmac(ck, &[input]);
    let a = hmac(&t, &[&[1]]);
    let b = hmac(&t, &[&a, &[2]]);
    (a, b)
}

fn first_half(key: &[u8; 64]) -> [u8; 32] {
    key[..32].try_into().expect("half of 64")
}

/// One direction of records.
#[derive(Debug, Clone)]
pub struct Direction {
    key: [u8; 32],
    /// The number of the next record. A deviating peer sets it.
    pub number: u64,
}

impl Direction {
    /// The next record: its length in front.
    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let body = aead_seal(&self.key, &nonce(self.number), &[], plain);
        self.number += 1;
        [&(body.len() as u16).to_be_bytes(), body.as_slice()].concat()
    }

    /// Opens the next record, without its length.
    ///
    /// # Errors
    /// `seal` when it is not the next one.
    pub fn open(&mut self, body: &[u8]) -> Taken<Vec<u8>> {
        let plain = aead_open(&self.key, &nonce(self.number), &[], body)?;
        self.number += 1;
        Ok(plain)
    }
}

/// What a handshake leaves.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Noise's `h` after message 2.
    pub handshake_hash: [u8; 64],
    /// Initiator to responder.
    pub forth: Direction,
    /// Responder to initiator.
    pub back: Direction,
}

/// A handshake under way.
#[derive(Debug, Clone)]
pub struct Handshake {
    h: [u8; 64],
    ck: [u8; 64],
    secret: [u8; 32],
    first_share: [u8; 32],
}

impl Handshake {
    /// Begins with 32 random bytes as X25519 secret.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self::with_prologue(secret, &label("link"))
    }

    /// The same with another prologue, which no other end agrees to.
    #[must_use]
    pub fn with_prologue(secret: [u8; 32], prologue: &[u8]) -> Self {
        let mut name = [0; 64];
        let text = b"Noise_NN_25519_ChaChaPoly_BLAKE2b";
        name[..text.len()].copy_from_slice(text);
        let h = blake2b_512(&[&name, prologue]);
        Self { h, ck: name, secret, first_share: [0; 32] }
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.h = blake2b_512(&[&self.h, bytes]);
    }

    /// Message 1 as initiator, without its length.
    pub fn write_first(&mut self, payload: &[u8]) -> Vec<u8> {
        let share = x25519_public(&self.secret);
        self.write_first_as(&share, payload)
    }

    /// Message 1 with any share.
    pub fn write_first_as(&mut self, share: &[u8; 32], payload: &[u8]) -> Vec<u8> {
        self.mix(share);
        self.mix(payload);
        [share.as_slice(), payload].concat()
    }

    /// Message 1 as responder; gives the payload.
    ///
    /// # Errors
    /// `rule` by LNK-17 to LNK-19.
    pub fn read_first(&mut self, message: &[u8]) -> Taken<Vec<u8>> {
        let (share, payload) = split_share(message)?;
        if x25519(&self.secret, &share) == [0; 32] {
            return Err(rule("LNK-18: a share of low order"));
        }
        self.first_share = share;
        self.mix(&share);
        self.mix(payload);
        Ok(payload.to_vec())
    }

    /// Message 2 as responder, without its length.
    #[must_use]
    pub fn write_second(self, payload: &[u8]) -> (Vec<u8>, Keys) {
        let share = x25519_public(&self.secret);
        self.write_second_as(&share, payload)
    }

    /// Message 2 with any share.
    #[must_use]
    pub fn write_second_as(mut self, share: &[u8; 32], payload: &[u8]) -> (Vec<u8>, Keys) {
        self.mix(share);
        let (ck, k) = hkdf(&self.ck, &x25519(&self.secret, &self.first_share));
        self.ck = ck;
        let body = aead_seal(&first_half(&k), &nonce(0), &self.h, payload);
        self.mix(&body);
        ([share.as_slice(), &body].concat(), self.split())
    }

    /// Message 2 as initiator; gives the payload.
    ///
    /// # Errors
    /// `rule` by LNK-17 to LNK-19.
    pub fn read_second(mut self, message: &[u8]) -> Taken<(Vec<u8>, Keys)> {
        let (share, body) = split_share(message)?;
        let shared = x25519(&self.secret, &share);
        if shared == [0; 32] {
            return Err(rule("LNK-18: a share of low order"));
        }
        self.mix(&share);
        let (ck, k) = hkdf(&self.ck, &shared);
        self.ck = ck;
        let payload = aead_open(&first_half(&k), &nonce(0), &self.h, body)
            .map_err(|_| rule("LNK-19: the payload does not decrypt"))?;
        self.mix(body);
        Ok((payload, self.split()))
    }

    fn split(&self) -> Keys {
        let (k1, k2) = hkdf(&self.ck, &[]);
        Keys {
            handshake_hash: self.h,
            forth: Direction { key: first_half(&k1), number: 0 },
            back: Direction { key: first_half(&k2), number: 0 },
        }
    }
}

fn split_share(message: &[u8]) -> Taken<([u8; 32], &[u8])> {
    let (share, rest) =
        message.split_first_chunk::<32>().ok_or_else(|| rule("LNK-19: no room for a share"))?;
    if share[31] & 0x80 != 0 || !super::crypto::below_p(share) {
        return Err(rule("LNK-17: the share is not canonical"));
    }
    Ok((*share, rest))
}

/// A handshake payload with these versions.
#[must_use]
pub fn version_list(versions: &[u16]) -> Vec<u8> {
    let mut list = vec![versions.len() as u8];
    versions.iter().for_each(|version| list.extend_from_slice(&version.to_be_bytes()));
    list
}

/// The versions in a payload; what follows them is ignored (LNK-22).
///
/// # Errors
/// `rule` by LNK-21.
pub fn versions_in(payload: &[u8]) -> Taken<Vec<u16>> {
    let fault = rule("LNK-21: the version list");
    let (&count, rest) = payload.split_first().ok_or(fault)?;
    if count == 0 || count > 16 {
        return Err(fault);
    }
    let list = rest.get(..2 * usize::from(count)).ok_or(fault)?;
    Ok(list.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
}

/// The version of a link (LNK-04): the highest but 0 in both lists.
///
/// # Errors
/// `policy` when there is none (LNK-23).
pub fn common_version(ours: &[u16], theirs: &[u16]) -> Taken<u16> {
    let both = ours.iter().filter(|version| **version != 0 && theirs.contains(version));
    both.max()
        .copied()
        .ok_or(super::Refused { class: super::Class::Policy, why: "LNK-23: no version in common" })
}

/// A record's body from a stream: its length in front is judged first.
///
/// # Errors
/// `rule` for a length below 17 (LNK-25).
pub fn next_record(stream: &[u8]) -> Taken<Option<(&[u8], &[u8])>> {
    let Some((length, rest)) = stream.split_first_chunk::<2>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    if length < 17 {
        return Err(rule("LNK-25: a record without plaintext"));
    }
    Ok(rest.split_at_checked(length))
}

/// A refusal of a record that does not decrypt (LNK-26).
#[must_use]
pub fn not_the_next() -> super::Refused {
    sealed("LNK-26: not the peer's next record")
}
