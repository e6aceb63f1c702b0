//! What can be wrong with a card.

use tortalk_model::bytes::LayoutError;

use crate::name::NameError;
use crate::relay::RelayError;
use crate::{KeyError, SignatureError};

/// Why bytes are not a valid card, or a draft makes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// More than 8,128 bytes (IDN-27).
    #[error("a card of {0} bytes is too long")]
    TooLong(usize),
    /// The bytes are not the layout.
    #[error("not a card: {0}")]
    Layout(#[from] LayoutError),
    /// A layout number that this version does not know (IDN-28).
    #[error("card layout {0} is not known")]
    UnknownLayout(u8),
    /// A kind of card that this version does not know (IDN-29).
    #[error("card kind {0} is not known")]
    UnknownKind(u8),
    /// No sealing key (IDN-30).
    #[error("the card has no sealing key")]
    NoSealingKey,
    /// No mailbox (IDN-31).
    #[error("the card has no mailbox")]
    NoMailbox,
    /// A kind of mailbox that this version does not know (IDN-32).
    #[error("mailbox kind {0} is not known")]
    UnknownMailboxKind(u8),
    /// An onion flag other than 0 and 1 (IDN-33).
    #[error("onion flag {0} is neither 0 nor 1")]
    UnknownOnionFlag(u8),
    /// A relay's or the onion's address is not well-formed.
    #[error("the card's addresses: {0}")]
    Relay(RelayError),
    /// One of its keys is no key (IDN-01).
    #[error("the card's `{field}`: {fault}")]
    Key {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        fault: KeyError,
    },
    /// The name is none.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A sealing key's window is empty (IDN-37).
    #[error("a sealing key ends before it begins")]
    EmptyWindow,
    /// A sealing key's window is longer than 28 days (IDN-38).
    #[error("a sealing key is valid for more than 28 days")]
    LongWindow,
    /// A contact mailbox in an intro card (IDN-39).
    #[error("an intro card names a contact mailbox")]
    ContactMailboxShown,
    /// No mailbox of a kind that the card must have (IDN-40).
    #[error("the card lacks a mailbox that its kind has")]
    MailboxMissing,
    /// One mailbox stands twice (IDN-41).
    #[error("the card names a mailbox twice")]
    MailboxTwice,
    /// A mailbox key did not sign for this identity (IDN-06).
    #[error("a mailbox is not its owner's: {0}")]
    Ownership(SignatureError),
    /// The identity did not sign the card (IDN-42).
    #[error("the card's signature: {0}")]
    Signature(SignatureError),
}

impl From<RelayError> for CardError {
    /// A relay that is cut short is a card that is cut short.
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Layout(error) => Self::Layout(error),
            RelayError::Key(fault) => Self::Key { field: "relay key", fault },
            error => Self::Relay(error),
        }
    }
}
