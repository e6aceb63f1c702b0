//! The envelope (`spec/envelope.md`).

use super::bytes::{Reader, bytes16, join};
use super::crypto::hash;
use super::{Taken, decode, rule};

/// An hour in ms.
pub const HOUR_MS: u64 = 3_600_000;

/// The sizes that a sealed plaintext may have.
pub const BUCKETS: [usize; 9] = [256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];

/// Encapsulation and tag: what `sealed` has beyond its bucket.
pub const SEAL_OVERHEAD: usize = 1120 + 16;

/// An envelope's fields, right or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// 1.
    pub layout: u8,
    /// How `sealed` is made.
    pub suite: u16,
    /// Whose it is.
    pub mailbox: [u8; 32],
    /// Which sealing key.
    pub key_id: [u8; 8],
    /// Ms since 1970, a whole hour.
    pub expires_at: u64,
    /// Commitment to the purge key.
    pub purge_hash: [u8; 32],
    /// Empty in version 1.
    pub ext: Vec<u8>,
    /// The sealed part.
    pub sealed: Vec<u8>,
}

impl Envelope {
    /// The bytes before `sealed_len`.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        join(&[
            &[self.layout],
            &self.suite.to_be_bytes(),
            &self.mailbox,
            &self.key_id,
            &self.expires_at.to_be_bytes(),
            &self.purge_hash,
            &bytes16(&self.ext),
        ])
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let length = (self.sealed.len() as u32).to_be_bytes();
        join(&[&self.header(), &length, &self.sealed])
    }

    /// Reads by section 4, in its order.
    ///
    /// # Errors
    /// `decode` or `rule`.
    pub fn read(bytes: &[u8]) -> Taken<Self> {
        let mut reader = Reader::new(bytes);
        let layout = reader.u8()?;
        if layout != 1 {
            return Err(decode("ENV-02: the layout is not known"));
        }
        let suite = reader.u16()?;
        let mailbox = reader.array()?;
        let key_id = reader.array()?;
        let expires_at = reader.u64()?;
        let purge_hash = reader.array()?;
        let ext = Reader::bounded(usize::from(reader.u16()?), 256)?;
        let ext = reader.take(ext)?.to_vec();
        let length = Reader::bounded(reader.u32()? as usize, 66_672)?;
        let sealed = reader.take(length)?.to_vec();
        reader.end()?;
        if !expires_at.is_multiple_of(HOUR_MS) {
            return Err(rule("ENV-04: no whole hour"));
        }
        if sealed.is_empty() {
            return Err(rule("ENV-09: nothing sealed"));
        }
        if suite == 1 && !BUCKETS.contains(&sealed.len().wrapping_sub(SEAL_OVERHEAD)) {
            return Err(rule("ENV-08: no bucket of suite 1"));
        }
        Ok(Self { layout, suite, mailbox, key_id, expires_at, purge_hash, ext, sealed })
    }
}

/// The id of an envelope's bytes (ENV-07).
#[must_use]
pub fn envelope_id(bytes: &[u8]) -> [u8; 32] {
    hash("envelope-id", &[bytes])
}

/// The commitment to a purge key.
#[must_use]
pub fn purge_hash(key: &[u8; 32]) -> [u8; 32] {
    hash("purge-hash", &[key])
}

/// The name of a sealing key.
#[must_use]
pub fn key_id(public: &[u8]) -> [u8; 8] {
    hash("sealing-key-id", &[public])[..8].try_into().expect("8 of 32")
}
