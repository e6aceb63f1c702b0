//! The invite (`spec/identity.md` section 5).

use data_encoding::BASE32_NOPAD;

use super::bytes::{Reader, join};
use super::crypto::{hash, valid_key};
use super::relay::RelayEntry;
use super::{Taken, decode};

/// What an invite says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invite {
    /// Layout 0.
    Bare {
        /// Who.
        identity: [u8; 32],
    },
    /// Layout 1.
    Full {
        /// Who.
        identity: [u8; 32],
        /// The mailbox for strangers.
        intro_mailbox: [u8; 32],
        /// Opens the intro card at the relays.
        read_key: [u8; 32],
        /// Where the intro card lies.
        relays: Vec<RelayEntry>,
    },
}

impl Invite {
    /// The bytes, with the checksum.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let bytes = match self {
            Self::Bare { identity } => join(&[&[0], identity]),
            Self::Full { identity, intro_mailbox, read_key, relays } => {
                let count = [relays.len() as u8];
                let mut bytes = join(&[&[1], identity, intro_mailbox, read_key, &count]);
                relays.iter().for_each(|relay| bytes.extend_from_slice(&relay.bytes()));
                bytes
            }
        };
        let sum = &hash("invite-sum", &[&bytes])[..4];
        join(&[&bytes, sum])
    }

    /// The text, in lower case (IDN-11).
    #[must_use]
    pub fn text(&self) -> String {
        format!("mesh:{}", BASE32_NOPAD.encode(&self.bytes()).to_lowercase())
    }

    /// Reads a text by section 5.3.
    ///
    /// # Errors
    /// `decode` or `rule`.
    pub fn read_text(text: &str) -> Taken<Self> {
        if text.len() > 4096 {
            return Err(decode("IDN-15: the length of the text"));
        }
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let scheme = text.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("mesh:"));
        if scheme.is_none() {
            return Err(decode("IDN-16: no mesh: in front"));
        }
        let letters = text[5..].to_ascii_uppercase();
        let bytes =
            BASE32_NOPAD.decode(letters.as_bytes()).map_err(|_| decode("IDN-17: not base32"))?;
        Self::read(&bytes)
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// `decode` or `rule`.
    pub fn read(bytes: &[u8]) -> Taken<Self> {
        let (content, sum) =
            bytes.split_last_chunk::<4>().ok_or_else(|| decode("IDN-18: no checksum"))?;
        if hash("invite-sum", &[content])[..4] != *sum {
            return Err(decode("IDN-18: the checksum"));
        }
        let mut reader = Reader::new(content);
        let layout = reader.u8()?;
        if layout > 1 {
            return Err(decode("IDN-19: the layout"));
        }
        if bytes.len() > 250 {
            return Err(decode("IDN-20: the length"));
        }
        let identity = reader.array()?;
        valid_key(&identity)?;
        if layout == 0 {
            reader.end()?;
            return Ok(Self::Bare { identity });
        }
        let intro_mailbox = reader.array()?;
        valid_key(&intro_mailbox)?;
        let read_key = reader.array()?;
        let count = Reader::bounded(usize::from(reader.u8()?), 2)?;
        let mut relays = Vec::new();
        for _ in 0..count {
            let relay = RelayEntry::read_from(&mut reader)?;
            relay.check_key()?;
            relays.push(relay);
        }
        reader.end()?;
        Ok(Self::Full { identity, intro_mailbox, read_key, relays })
    }
}
