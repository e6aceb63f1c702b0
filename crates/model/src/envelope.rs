//! The envelope: what is routed, carried and stored (spec/envelope.md).
//!
//! ```text
//! layout u8 · suite u16 · mailbox 32 · key_id 8 · expires_at u64 · purge_hash 32
//!   · ext_len u16 · ext · sealed_len u32 · sealed
//! ```
//!
//! An envelope is immutable bytes. [`Envelope::parse`] is the only way to have
//! one, and it computes the id from those bytes, so an id that a peer claims is
//! never used for anything.

use crate::bytes::{LayoutError, Reader, Writer};
use crate::hash::{self, label};
use crate::ids::{EnvelopeId, KeyId, MailboxKey, PurgeHash, PurgeKey};
use crate::limits::{
    BUCKETS, ENVELOPE_BYTES_MAX, ENVELOPE_EXT_BYTES_MAX, ENVELOPE_LAYOUT, SEALED_BYTES_MAX,
    SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES,
};
use crate::time::UnixMillis;

/// Why bytes are not an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The bytes are not the layout (ENV-01).
    #[error("not an envelope: {0}")]
    Layout(#[from] LayoutError),
    /// A layout number that this version does not know (ENV-02).
    #[error("envelope layout {0} is not known")]
    UnknownLayout(u8),
    /// `expires_at` is not a whole hour (ENV-04).
    #[error("the expiry is not a whole hour")]
    ExpiryNotWholeHour,
    /// Suite 1 with a sealed part that is no bucket (ENV-08).
    #[error("a sealed part of {0} bytes is no bucket of suite 1")]
    NoBucket(usize),
    /// An empty sealed part (ENV-09).
    #[error("the sealed part is empty")]
    Empty,
}

/// The fields in front of an envelope's sealed part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeHeader {
    /// Cryptographic suite of the sealed part.
    pub suite: u16,
    /// Whom it is for, under the only name that envelopes show.
    pub mailbox: MailboxKey,
    /// Which sealing key opens it.
    pub key_id: KeyId,
    /// When carriers and relays may forget it; a whole hour.
    pub expires_at: UnixMillis,
    /// What a purge key must hash to.
    pub purge_hash: PurgeHash,
    /// Extension bytes, empty in version 1, carried intact; at most 256.
    pub ext: Vec<u8>,
}

impl EnvelopeHeader {
    /// The header's bytes, from `layout` up to the end of `ext`.
    ///
    /// # Panics
    /// When `ext` is longer than 65,535 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        Writer::with_capacity(crate::limits::ENVELOPE_HEADER_BYTES + self.ext.len())
            .u8(ENVELOPE_LAYOUT)
            .u16(self.suite)
            .raw(self.mailbox.as_bytes())
            .raw(self.key_id.as_bytes())
            .u64(self.expires_at.0)
            .raw(self.purge_hash.as_bytes())
            .bytes16(&self.ext)
            .into_vec()
    }
}

/// An envelope whose bytes are the layout and whose id was computed from them.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    bytes: Vec<u8>,
    header: EnvelopeHeader,
    header_len: usize,
    id: EnvelopeId,
}

impl Envelope {
    /// Puts a header and a sealed part together.
    ///
    /// # Errors
    /// As [`Envelope::parse`], which checks the result.
    pub fn build(header: &EnvelopeHeader, sealed: &[u8]) -> Result<Self, EnvelopeError> {
        let bytes = Writer::with_capacity(ENVELOPE_BYTES_MAX.min(2048 + sealed.len()))
            .raw(&header.to_bytes())
            .bytes32(sealed)
            .into_vec();
        Self::parse(bytes)
    }

    /// Checks bytes from outside and computes the id.
    ///
    /// # Errors
    /// In checking order: an unknown layout, bytes that are not the layout, an
    /// expiry that is not a whole hour, and for suite 1 a sealed part that is no
    /// bucket. A suite that is not known is no error: it is carried unopened
    /// (ENV-03).
    pub fn parse(bytes: Vec<u8>) -> Result<Self, EnvelopeError> {
        let mut reader = Reader::new(&bytes);
        let layout = reader.u8("layout")?;
        // req: ENV-02
        if layout != ENVELOPE_LAYOUT {
            return Err(EnvelopeError::UnknownLayout(layout));
        }
        let mut header = EnvelopeHeader {
            suite: reader.u16("suite")?,
            mailbox: MailboxKey::from_bytes(reader.array("mailbox")?),
            key_id: KeyId::from_bytes(reader.array("key_id")?),
            expires_at: UnixMillis(reader.u64("expires_at")?),
            purge_hash: PurgeHash::from_bytes(reader.array("purge_hash")?),
            ext: Vec::new(),
        };
        header.ext = reader.bytes16("ext", ENVELOPE_EXT_BYTES_MAX)?.to_vec();
        let header_len = reader.consumed().len();
        let sealed_len = reader.bytes32("sealed", SEALED_BYTES_MAX)?.len();
        // req: ENV-01
        reader.finish()?;
        // req: ENV-04
        if header.expires_at.ceil_to_hour() != header.expires_at && !crate::deviate!(skip_env_04) {
            return Err(EnvelopeError::ExpiryNotWholeHour);
        }
        // req: ENV-09
        if sealed_len == 0 {
            return Err(EnvelopeError::Empty);
        }
        // req: ENV-08
        if header.suite == SUITE_1 && !is_suite_1_size(sealed_len) {
            return Err(EnvelopeError::NoBucket(sealed_len));
        }
        // req: ENV-07
        let id = Self::id_of(&bytes);
        Ok(Self { bytes, header, header_len, id })
    }

    /// The id that these bytes have, or would have if they were an envelope
    /// (ENV-07); a refusal names what it refuses by it.
    pub fn id_of(bytes: &[u8]) -> EnvelopeId {
        EnvelopeId::from_bytes(hash::labelled(label::ENVELOPE_ID, &[bytes]))
    }

    /// The id: the hash of exactly [`Envelope::as_bytes`] (ENV-07).
    pub const fn id(&self) -> EnvelopeId {
        self.id
    }

    /// The fields in front of the sealed part.
    pub const fn header(&self) -> &EnvelopeHeader {
        &self.header
    }

    /// The header's bytes as they stand in the envelope.
    pub fn header_bytes(&self) -> &[u8] {
        &self.bytes[..self.header_len]
    }

    /// The sealed part.
    pub fn sealed(&self) -> &[u8] {
        &self.bytes[self.header_len + 4..]
    }

    /// The whole envelope.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole envelope.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether `key` is the key that lets holders forget this envelope (ENV-06).
    pub fn is_purged_by(&self, key: &PurgeKey) -> bool {
        purge_hash(key) == self.header.purge_hash
    }
}

impl core::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Envelope({:?}, {} bytes)", self.id, self.bytes.len())
    }
}

/// The commitment that an envelope's header makes to its purge key (ENV-06).
pub fn purge_hash(key: &PurgeKey) -> PurgeHash {
    PurgeHash::from_bytes(hash::labelled(label::PURGE_HASH, &[key.as_bytes()]))
}

/// The name of a sealing key in an envelope's header (ENV-05).
pub fn key_id(sealing_public: &[u8]) -> KeyId {
    let hash = hash::labelled(label::SEALING_KEY_ID, &[sealing_public]);
    KeyId::try_from(&hash[..8]).expect("eight bytes of thirty-two")
}

/// Whether suite 1 can have produced a sealed part of `len` bytes.
fn is_suite_1_size(len: usize) -> bool {
    BUCKETS.into_iter().any(|bucket| SUITE_1_ENC_BYTES + bucket + SUITE_1_TAG_BYTES == len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> EnvelopeHeader {
        EnvelopeHeader {
            suite: SUITE_1,
            mailbox: MailboxKey::from_bytes([1; 32]),
            key_id: KeyId::from_bytes([2; 8]),
            expires_at: UnixMillis(3_600_000),
            purge_hash: purge_hash(&PurgeKey::from_bytes([3; 32])),
            ext: Vec::new(),
        }
    }

    fn smallest() -> Vec<u8> {
        vec![9; SUITE_1_ENC_BYTES + 256 + SUITE_1_TAG_BYTES]
    }

    #[test]
    fn an_envelope_survives_its_own_bytes() {
        let built = Envelope::build(&header(), &smallest()).expect("a well-formed envelope");
        let parsed = Envelope::parse(built.as_bytes().to_vec()).expect("its own bytes");
        assert_eq!(parsed, built);
        assert_eq!(parsed.sealed(), smallest());
        assert_eq!(parsed.header_bytes(), header().to_bytes());
        assert_eq!(built.as_bytes().len(), 1481);
    }

    // req: ENV-07
    #[test]
    fn every_byte_is_in_the_id() {
        let built = Envelope::build(&header(), &smallest()).expect("a well-formed envelope");
        let mut other = built.as_bytes().to_vec();
        *other.last_mut().expect("not empty") ^= 1;
        assert_ne!(Envelope::parse(other).expect("still an envelope").id(), built.id());
    }

    // req: ENV-06
    #[test]
    fn only_the_committed_purge_key_purges() {
        let envelope = Envelope::build(&header(), &smallest()).expect("a well-formed envelope");
        assert!(envelope.is_purged_by(&PurgeKey::from_bytes([3; 32])));
        assert!(!envelope.is_purged_by(&PurgeKey::from_bytes([4; 32])));
    }

    // req: ENV-03
    #[test]
    fn an_unknown_suite_and_extension_are_carried_intact() {
        let header = EnvelopeHeader { suite: 0x7777, ext: vec![5; 256], ..header() };
        let envelope = Envelope::build(&header, b"any length").expect("opaque to carriers");
        assert_eq!(envelope.header(), &header);
    }

    // req: ENV-01, ENV-02, ENV-04, ENV-08, ENV-09
    #[test]
    fn each_fault_has_its_error() {
        let good = Envelope::build(&header(), &smallest()).expect("a well-formed envelope");
        let mut bytes = good.as_bytes().to_vec();
        bytes[0] = 2;
        assert_eq!(Envelope::parse(bytes), Err(EnvelopeError::UnknownLayout(2)));
        assert_eq!(
            Envelope::parse(good.as_bytes()[..1480].to_vec()),
            Err(EnvelopeError::Layout(LayoutError::Truncated("sealed")))
        );
        let mut bytes = good.as_bytes().to_vec();
        bytes.push(0);
        assert_eq!(Envelope::parse(bytes), Err(EnvelopeError::Layout(LayoutError::Trailing(1))));
        let header = EnvelopeHeader { expires_at: UnixMillis(3_600_001), ..header() };
        assert_eq!(Envelope::build(&header, &smallest()), Err(EnvelopeError::ExpiryNotWholeHour));
        assert_eq!(
            Envelope::build(&self::header(), &[0; 1137]),
            Err(EnvelopeError::NoBucket(1137))
        );
        assert_eq!(Envelope::build(&self::header(), &[]), Err(EnvelopeError::Empty));
    }
}
