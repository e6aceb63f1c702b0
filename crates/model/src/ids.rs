//! The fixed-length names of things.
//!
//! Each is its own type, so that a mailbox can never be passed where an
//! identity is meant. None of them proves anything: a key's bytes become a key
//! that was checked only in `tortalk-keys`.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Defines a public byte-array newtype with hexadecimal `Debug` and `Display`.
macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps the bytes; any bytes are an id.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = core::array::TryFromSliceError;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                Ok(Self(bytes.try_into()?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            /// The first four bytes: enough to tell two apart in a log.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(", stringify!($name))?;
                self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("…)")
            }
        }
    };
}

byte_id!(
    /// An Ed25519 public key that *is* a person (spec/identity.md).
    IdentityKey, 32
);
byte_id!(
    /// An Ed25519 public key that names a mailbox: the only name that envelopes
    /// and relays show (spec/identity.md).
    MailboxKey, 32
);
byte_id!(
    /// An Ed25519 public key that names a relay (spec/identity.md).
    RelayKey, 32
);
byte_id!(
    /// One of a person's devices; random, made with the profile.
    DeviceId, 8
);
byte_id!(
    /// One start of one node; random, never stored.
    InstanceId, 16
);
byte_id!(
    /// One life of a node's database; a new one means that what it held is gone.
    StoreId, 16
);
byte_id!(
    /// One life of a relay's database: sequences are numbered within one.
    Epoch, 16
);
byte_id!(
    /// The first eight bytes of the hash of a sealing key (ENV-05).
    KeyId, 8
);
byte_id!(
    /// The hash of an envelope's bytes, recomputed at every hop (ENV-07).
    EnvelopeId, 32
);
byte_id!(
    /// The stable name of a message, the same however often it is sealed (SEA-11).
    MessageId, 32
);
byte_id!(
    /// The hash of a message's signed bytes, as receipts carry it (DLV-06).
    SignedHash, 32
);
byte_id!(
    /// The commitment to a [`PurgeKey`] in an envelope's header (ENV-06).
    PurgeHash, 32
);
byte_id!(
    /// What makes two messages of the same text different messages.
    Nonce, 16
);
byte_id!(
    /// One numbered sequence of messages from one device to one contact.
    ChainId, 8
);

/// The key whose publication lets holders forget an envelope (ENV-06).
///
/// Secret until it is published: no `Display`, and `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PurgeKey([u8; 32]);

impl PurgeKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Wraps the bytes; any bytes are a purge key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for PurgeKey {
    type Error = core::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self(bytes.try_into()?))
    }
}

impl fmt::Debug for PurgeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PurgeKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_id_shows_nothing_and_a_public_one_its_start() {
        assert_eq!(format!("{:?}", PurgeKey::from_bytes([7; 32])), "PurgeKey(…)");
        assert_eq!(format!("{:?}", KeyId::from_bytes([0xab; 8])), "KeyId(abababab…)");
        assert_eq!(KeyId::from_bytes([1; 8]).to_string(), "0101010101010101");
    }

    #[test]
    fn a_wrong_length_is_not_an_id() {
        assert!(StoreId::try_from(&[0u8; 15][..]).is_err());
        assert!(StoreId::try_from(&[0u8; 16][..]).is_ok());
    }
}
