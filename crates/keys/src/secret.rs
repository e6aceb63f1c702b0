//! The secret half of keys, and signatures.

use core::fmt;

use ed25519_dalek::{Signer, SigningKey};
use tortalk_model::{IdentityKey, MailboxKey, RelayKey};

/// An Ed25519 signature: `R` and `S` of RFC 8032, 64 bytes. Any bytes are one;
/// whether it is valid is asked where it is verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;

    /// Wraps the bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Signature {
    type Error = core::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self(bytes.try_into()?))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Signature({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// Defines a secret key whose public half is `$public`.
macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident, $public:ident) => {
        $(#[$doc])*
        ///
        /// Erased from memory when dropped. `Debug` shows the public half only.
        #[derive(Clone)]
        pub struct $name(SigningKey);

        impl $name {
            /// The key of a seed: 32 bytes of randomness, the secret key of RFC
            /// 8032 section 5.1.5.
            pub fn from_seed(seed: [u8; 32]) -> Self {
                Self(SigningKey::from_bytes(&seed))
            }

            /// The seed, for storing it.
            pub fn seed(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }

            /// The public half.
            pub fn public(&self) -> $public {
                $public::from_bytes(self.0.verifying_key().to_bytes())
            }

            /// Signs a label and what follows it.
            pub(crate) fn sign(&self, label: &[u8], bytes: &[u8]) -> Signature {
                #[cfg(fuzzing)]
                if crate::fuzzing::IS_ON {
                    return crate::fuzzing::sign(self.public().as_bytes(), label, bytes);
                }
                // req: IDN-02, CNV-07
                Signature(self.0.sign(&[label, bytes].concat()).to_bytes())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.public())
            }
        }
    };
}

secret_key!(
    /// The secret half of an identity: whoever has it is the person.
    IdentitySecret, IdentityKey
);
secret_key!(
    /// The secret half of a mailbox.
    MailboxSecret, MailboxKey
);
secret_key!(
    /// The secret half of a relay's key.
    RelaySecret, RelayKey
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_its_public_half_and_keeps_its_seed() {
        let secret = IdentitySecret::from_seed([7; 32]);
        assert_eq!(secret.seed(), &[7; 32]);
        assert_eq!(format!("{secret:?}"), format!("IdentitySecret({:?})", secret.public()));
        assert!(!format!("{secret:?}").contains("0707"));
    }
}
