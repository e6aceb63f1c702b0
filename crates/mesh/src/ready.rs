//! What the machine answers.

use core::net::SocketAddr;

use tortalk_keys::name::NameError;
use tortalk_keys::relay::RelayAddress;
use tortalk_model::{IdentityKey, MessageId, RelayKey, UnixMillis};
use tortalk_wire::{ByeReason, Frame};

use crate::delivery::DeliveryState;
use crate::input::{LinkId, RequestId};
use crate::relay::{RelayAction, RelayDown};
use crate::requests::ContactRequest;
use crate::write::{Contact, IncomingMessage, Write};

/// Everything that one input leads to.
///
/// `writes` are committed first; nothing of the rest leaves the driver before
/// that (GSP-01).
#[derive(Debug, Default)]
pub struct Ready {
    /// To be applied in this order, in the transaction that is open.
    pub writes: Vec<Write>,
    /// To be done to links after the commit, in this order.
    pub links: Vec<LinkAction>,
    /// To be done with relays after the commit, in this order.
    pub relays: Vec<RelayAction>,
    /// To be told to whoever asked, after the commit.
    pub answers: Vec<Answer>,
    /// To be shown to the user, after the commit.
    pub events: Vec<Event>,
    /// Addresses to connect to, after the commit.
    pub dials: Vec<Dial>,
    /// Whether a beacon is due on every interface.
    pub beacon: bool,
}

impl Ready {
    /// Appends what another input led to; order is kept.
    pub fn merge(&mut self, other: Self) {
        self.writes.extend(other.writes);
        self.links.extend(other.links);
        self.relays.extend(other.relays);
        self.answers.extend(other.answers);
        self.events.extend(other.events);
        self.dials.extend(other.dials);
        self.beacon |= other.beacon;
    }
}

/// Something to be done to a link.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkAction {
    /// Let the peer of an accepted connection in: answer its authentication.
    Admit(LinkId),
    /// Send a frame.
    Send(LinkId, Frame),
    /// Send what is queued and then `Bye` with this reason, and close.
    Close(LinkId, ByeReason),
    /// Close without another byte (a peer that is not to learn who is here).
    Drop(LinkId),
}

/// An address to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dial {
    /// Where.
    pub address: SocketAddr,
}

/// The answer to a [`crate::Command`].
#[derive(Debug)]
pub struct Answer {
    /// Which request it answers.
    pub request: RequestId,
    /// What came of it.
    pub outcome: Result<Outcome, CommandError>,
}

/// What came of a command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// The text is durable under this id; its state follows in events.
    Queued {
        /// The new message.
        message_id: MessageId,
        /// Its first state.
        state: DeliveryState,
    },
    /// The contact as it stands now.
    Contact(IdentityKey),
}

/// Why a command was not carried out; nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Nobody of this identity is among the contacts.
    #[error("this is not a contact yet: add them first")]
    NotAContact,
    /// The identity is our own.
    #[error("this is your own address")]
    Yourself,
    /// The contact is blocked.
    #[error("this contact is blocked: unblock them first")]
    Blocked,
    /// Text over the limit.
    #[error("the text has {len} bytes; at most {limit} fit in a message: send it in parts")]
    TextTooLong {
        /// Bytes of the text.
        len: usize,
        /// Bytes that fit.
        limit: usize,
    },
    /// Text without a character.
    #[error("the text is empty")]
    TextEmpty,
    /// A name that is no name.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A contact's name may not be empty.
    #[error("a contact needs a name: give one")]
    NameEmpty,
    /// The bytes are no card, or its signature does not hold.
    #[error("the file is not a valid contact card: {0}")]
    Card(String),
    /// The card is older than the one at hand.
    #[error("a newer card of this contact is already here")]
    CardOutdated,
    /// The card is dated further ahead than our clock lets it be.
    #[error("this card is dated more than two days ahead of this computer's clock")]
    CardAhead,
    /// Nobody of this identity asks to be a contact.
    #[error("nobody of this identity asks to be your contact")]
    NoSuchRequest,
    /// What is said with a request is over its limit.
    #[error("the text has {len} bytes; at most {limit} fit in a contact request: write less")]
    RequestTooLong {
        /// Bytes of the text.
        len: usize,
        /// Bytes that fit.
        limit: usize,
    },
    /// No such message.
    #[error("there is no such message")]
    NoSuchMessage,
}

/// Something that happened and that a user interface shows.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A message came and is durable here.
    Received(Box<IncomingMessage>),
    /// A message's state has changed, and the evidence for it is durable.
    StateChanged {
        /// The outgoing message.
        message_id: MessageId,
        /// Its recipient.
        contact: IdentityKey,
        /// The state.
        state: DeliveryState,
        /// When, by our clock.
        at: UnixMillis,
    },
    /// Somebody who proved this identity is linked.
    PeerUp {
        /// Who.
        identity: IdentityKey,
        /// Whether they are an accepted contact.
        contact: bool,
    },
    /// Nobody of this identity is linked any more.
    PeerDown {
        /// Who.
        identity: IdentityKey,
    },
    /// A linked person's card was read: their name for the list of people nearby.
    PeerNamed {
        /// Who.
        identity: IdentityKey,
        /// The name that they give themselves.
        name: String,
    },
    /// A stranger who is linked has accepted us as a contact.
    WantsContact {
        /// Who.
        identity: IdentityKey,
        /// The name that they give themselves.
        name: String,
    },
    /// Somebody asks to be a contact, or asks anew.
    ContactRequest(Box<ContactRequest>),
    /// A contact was added or changed.
    ContactChanged(Box<Contact>),
    /// So many messages of a contact have not come; 0 when all are here.
    Gap {
        /// Who wrote them.
        contact: IdentityKey,
        /// How many.
        missing: u64,
    },
    /// Somebody is no contact any more, and not blocked.
    ContactRemoved {
        /// Who.
        identity: IdentityKey,
    },
    /// A peer refused something of ours in a way that the user can mend.
    ClockDiffers {
        /// Who said so.
        contact: IdentityKey,
        /// Their clock minus ours, in milliseconds.
        offset_ms: i64,
    },
    /// A relay is connected and has proved its key.
    RelayUp {
        /// Which.
        relay: RelayKey,
    },
    /// A relay is not to be had; the driver goes on trying.
    RelayDown {
        /// Which.
        relay: RelayKey,
        /// Why.
        why: RelayDown,
    },
    /// The user has set no relay of their own; answers come to this one, of the
    /// invite by which they have added somebody.
    RelayAdopted {
        /// Where it is.
        relay: RelayAddress,
    },
    /// A relay refused an envelope of ours because its clock and ours differ.
    RelayClockDiffers {
        /// Which.
        relay: RelayKey,
        /// Its clock minus ours, in milliseconds.
        offset_ms: i64,
    },
}
