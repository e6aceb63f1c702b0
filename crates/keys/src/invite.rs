//! The invite: what one person passes to another so that they can meet.
//!
//! ```text
//! full: layout u8 = 1 ‖ identity 32 ‖ intro_mailbox 32 ‖ read_key 32
//!         ‖ relay_count u8 (0..=2) ‖ relays ‖ checksum 4
//! bare: layout u8 = 0 ‖ identity 32 ‖ checksum 4
//! ```
//!
//! As text it is `mesh:` and the bytes in base32. The checksum finds typing
//! errors; it proves nothing.

use core::fmt;

use data_encoding::BASE32_NOPAD;
use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::hash::{self, label};
use tortalk_model::limits::{INVITE_BYTES_MAX, INVITE_RELAYS_MAX};
use tortalk_model::{IdentityKey, MailboxKey};

use crate::relay::{RelayAddress, RelayError};
use crate::{KeyError, identity_from_bytes, mailbox_from_bytes};

mod text;

const LAYOUT_BARE: u8 = 0;
const LAYOUT_FULL: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// What is wrong with an invite, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Text that does not begin with `mesh:` (IDN-16).
    #[error("this is no torTalk address: an address begins with `mesh:`; copy it again whole")]
    NotAnAddress,
    /// Text of more than 4,096 bytes (IDN-15).
    #[error("this is far too long for a torTalk address; copy the address alone")]
    TextTooLong,
    /// A character that no address has (IDN-17).
    #[error("the address has a typing error: no address contains `{0}`; copy it again whole")]
    Character(char),
    /// The text is not whole: its end is missing.
    #[error("the end of the address is missing; copy it again whole")]
    Truncated,
    /// The checksum does not match (IDN-18).
    #[error("the address has a typing error: its checksum does not match; copy it again whole")]
    Checksum,
    /// A whole address with something behind it.
    #[error("there is something behind the end of the address; copy the address alone")]
    Trailing,
    /// A layout that this version does not know, with a checksum that matches
    /// (IDN-19).
    #[error("the address was made by a newer torTalk (layout {0}); update this one to use it")]
    NewerLayout(u8),
    /// More than 250 bytes, with a checksum that matches (IDN-20).
    #[error("the address is {0} bytes long, at most 250: it was made wrongly; ask for a new one")]
    TooLong(usize),
    /// The checksum matches but the bytes are not the layout.
    #[error("the address was made wrongly ({0}); ask for a new one")]
    Layout(#[from] LayoutError),
    /// One of its keys is no key (IDN-01).
    #[error("the address was made wrongly ({0}); ask for a new one")]
    Key(#[from] KeyError),
    /// One of its relays is not well-formed.
    #[error("the address was made wrongly ({0}); ask for a new one")]
    Relay(RelayError),
}

/// An invite whose keys and relays were checked.
#[derive(Clone, PartialEq, Eq)]
pub enum Invite {
    /// Enough to reach someone who is far away.
    Full {
        /// The person.
        identity: IdentityKey,
        /// Where strangers' requests go.
        intro_mailbox: MailboxKey,
        /// Opens the intro card that lies at the relays.
        read_key: [u8; 32],
        /// Where the intro card lies; at most two, the first is tried first.
        relays: Vec<RelayAddress>,
    },
    /// Enough for someone to whom there is a link already.
    Bare {
        /// The person.
        identity: IdentityKey,
    },
}

impl Invite {
    /// Whose invite it is.
    pub const fn identity(&self) -> IdentityKey {
        match self {
            Self::Full { identity, .. } | Self::Bare { identity } => *identity,
        }
    }

    /// Reads text as people paste it: upper or lower case, white space anywhere.
    ///
    /// # Errors
    /// [`InviteError`], which tells a typing error from a text cut short, from a
    /// text that is something else and from an invite of a newer kind. Each is
    /// one line that says what to do.
    pub fn parse_text(text: &str) -> Result<Self, InviteError> {
        text::parse(text)
    }

    /// The invite as text, for copying and as a link.
    pub fn to_text(&self) -> String {
        // req: IDN-11
        format!("{}{}", text::SCHEME, BASE32_NOPAD.encode(&self.to_bytes()).to_ascii_lowercase())
    }

    /// The invite as text for a QR code: upper case, so that the code stays in
    /// its alphanumeric mode and small.
    pub fn to_qr_text(&self) -> String {
        // req: IDN-12
        self.to_text().to_ascii_uppercase()
    }

    /// Reads an invite's bytes.
    ///
    /// # Errors
    /// [`InviteError`], in the checking order of spec/identity.md.
    pub fn parse(bytes: &[u8]) -> Result<Self, InviteError> {
        let (body, checksum) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(InviteError::Truncated)?;
        // req: IDN-18
        if checksum_of(body) != *checksum {
            return Err(diagnose(bytes));
        }
        // req: IDN-20
        if bytes.len() > INVITE_BYTES_MAX {
            return Err(InviteError::TooLong(bytes.len()));
        }
        let mut reader = Reader::new(body);
        let invite = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(invite)
    }

    /// The invite's bytes.
    ///
    /// At most two relays are written, and none that would make the invite longer
    /// than 250 bytes: a second one with a long host name is left out.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = match self {
            Self::Full { identity, intro_mailbox, read_key, relays } => {
                let relays = fitting(relays);
                let head = Writer::with_capacity(INVITE_BYTES_MAX)
                    .u8(LAYOUT_FULL)
                    .raw(identity.as_bytes())
                    .raw(intro_mailbox.as_bytes())
                    .raw(read_key)
                    .u8(relays.len() as u8);
                relays.iter().fold(head, |writer, relay| relay.write(writer))
            }
            Self::Bare { identity } => {
                Writer::with_capacity(64).u8(LAYOUT_BARE).raw(identity.as_bytes())
            }
        };
        let checksum = checksum_of(body.as_slice());
        body.raw(&checksum).into_vec()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, InviteError> {
        let layout = reader.u8("layout")?;
        // req: IDN-19
        if layout != LAYOUT_FULL && layout != LAYOUT_BARE {
            return Err(InviteError::NewerLayout(layout));
        }
        let identity = identity_from_bytes(reader.array("identity")?)?;
        if layout == LAYOUT_BARE {
            return Ok(Self::Bare { identity });
        }
        let intro_mailbox = mailbox_from_bytes(reader.array("intro_mailbox")?)?;
        let read_key = reader.array("read_key")?;
        let count = reader.count8("relay_count", INVITE_RELAYS_MAX)?;
        let relays = (0..count).map(|_| RelayAddress::read(reader)).collect::<Result<_, _>>();
        let relays = relays.map_err(|error| match error {
            RelayError::Layout(error) => InviteError::Layout(error),
            error => InviteError::Relay(error),
        })?;
        Ok(Self::Full { identity, intro_mailbox, read_key, relays })
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Full { .. } => "Invite::Full",
            Self::Bare { .. } => "Invite::Bare",
        };
        write!(f, "{name}({:?})", self.identity())
    }
}

fn checksum_of(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = hash::labelled(label::INVITE_SUM, &[body]);
    *hash.first_chunk().expect("4 bytes of 32")
}

/// The relays from the front that fit into an invite.
fn fitting(relays: &[RelayAddress]) -> &[RelayAddress] {
    let mut left = INVITE_BYTES_MAX - (1 + 3 * 32 + 1 + CHECKSUM_BYTES);
    let count = relays
        .iter()
        .take(INVITE_RELAYS_MAX)
        .take_while(|relay| {
            let len = relay.write(Writer::new()).as_slice().len();
            let fits = len <= left;
            left = left.saturating_sub(len);
            fits
        })
        .count();
    &relays[..count]
}

/// Why the last four bytes are not the checksum of those before.
fn diagnose(bytes: &[u8]) -> InviteError {
    let mut reader = Reader::new(bytes);
    match Invite::read(&mut reader) {
        Err(InviteError::Layout(LayoutError::Truncated(_))) => return InviteError::Truncated,
        Err(_) => return InviteError::Checksum,
        Ok(_) => {}
    }
    let body = reader.consumed();
    match reader.array("checksum") {
        Err(_) => InviteError::Truncated,
        Ok(checksum) if checksum == checksum_of(body) => InviteError::Trailing,
        Ok(_) => InviteError::Checksum,
    }
}

#[cfg(test)]
mod tests;
