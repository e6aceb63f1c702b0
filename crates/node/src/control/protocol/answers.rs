//! What requests are answered with.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Diagnosis, Request, Unreached, Visible};

/// The answer to a [`Request`] that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Response {
    /// It is done; an empty object.
    Done {},
    /// To `status`.
    Status(Box<Status>),
    /// To `diagnose`.
    Diagnosis(Box<Diagnosis>),
    /// To `address`.
    Address(Address),
    /// To `own_card`.
    OwnCard(OwnCard),
    /// To `contacts`.
    Contacts {
        /// In the order in which they were added.
        contacts: Vec<ContactLine>,
    },
    /// To `contact` and whatever changes one.
    Contact {
        /// As they stand now.
        contact: ContactLine,
    },
    /// To `requests`.
    Requests {
        /// In the order of their identities.
        requests: Vec<RequestedLine>,
    },
    /// To `safety_number`.
    SafetyNumber(SafetyNumber),
    /// To `nearby`.
    Nearby {
        /// Everybody who is linked.
        people: Vec<NearbyLine>,
    },
    /// To `send`.
    Queued(Queued),
    /// To `history`.
    History {
        /// Newest first.
        messages: Vec<MessageLine>,
    },
    /// To `message`.
    Message {
        /// The message.
        message: Box<MessageLine>,
    },
    /// To `dial`.
    Dialled(Dialled),
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// The own name.
    pub name: String,
    /// The own identity.
    pub identity: String,
    /// This start of the node.
    pub instance: String,
    /// The TCP port of links; 0 when the node listens nowhere.
    pub port: u16,
    /// Who may see this node.
    pub visibility: Visible,
    /// The profile's folder.
    pub profile: String,
    /// When the node started.
    pub started_at: u64,
    /// The node's clock.
    pub now: u64,
    /// Accepted contacts.
    pub contacts: usize,
    /// Contacts who are linked now.
    pub contacts_linked: usize,
    /// Others who are linked now.
    pub strangers_linked: usize,
    /// Messages that the user has not seen.
    pub unread: u64,
    /// What this node holds for others.
    #[serde(default)]
    pub carried: CarriedLine,
    /// Envelopes of ours, messages and receipts, that are nowhere but here yet: no
    /// peer and no relay has stored them.
    #[serde(default)]
    pub waiting: u64,
    /// What is wrong with the store, and what to do; absent while all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_failed: Option<String>,
    /// The relays of the settings, in their order, then those taken from invites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<RelayLine>,
}

/// A relay of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayLine {
    /// As it stands in the settings.
    pub url: String,
    /// How it stands with it.
    pub state: RelayState,
    /// With `unreachable`: why, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Unreached>,
    /// It was taken from an invite, because the settings had none.
    #[serde(default)]
    pub adopted: bool,
}

/// How it stands with a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RelayState {
    /// The first connection is on its way.
    Connecting,
    /// Connected, and it has proved its key.
    Up,
    /// Nobody answers there.
    Unreachable,
    /// Whoever answers does not have its key.
    OtherKey,
    /// Whoever answers speaks something else.
    NotARelay,
    /// There is no TLS, or no certificate that is good for its name.
    NotPrivate,
    /// Something that this version has no word for.
    #[serde(other)]
    Other,
}

/// Envelopes that a node holds for others and cannot open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedLine {
    /// How many.
    pub envelopes: u64,
    /// Their bytes together.
    pub bytes: u64,
}

/// The own address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// `mesh:…`, what others add.
    pub address: String,
    /// The shorter `mesh:…` for people on the same network.
    pub bare: String,
    /// The own identity.
    pub identity: String,
}

/// The own contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnCard {
    /// Its bytes in base64.
    pub card: String,
}

/// The number that two people compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SafetyNumber {
    /// Groups of digits; the same on both sides.
    pub number: String,
    /// Whose.
    pub identity: String,
    /// Whether the user has compared it.
    pub verified: bool,
}

/// A message that is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// Its id.
    pub message_id: String,
    /// Its first state.
    pub state: String,
}

/// What came of a dial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialled {
    /// Where.
    pub address: String,
    /// Who answered there.
    pub identity: String,
}

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactLine {
    /// Who.
    pub identity: String,
    /// What the user calls them.
    pub name: String,
    /// `accepted` or `blocked`.
    pub standing: String,
    /// Whether the safety number was compared.
    pub verified: bool,
    /// Whether their contact card is here: they have accepted us too.
    pub has_card: bool,
    /// Relays that their card names.
    #[serde(default)]
    pub relays: usize,
    /// Whether they are linked now.
    pub linked: bool,
    /// Messages of theirs that the user has not seen.
    pub unread: u64,
    /// Messages of theirs that have not come, though later ones have.
    #[serde(default)]
    pub missing: u64,
    /// When they were added.
    pub added_at: u64,
}

/// Somebody who asks to be a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedLine {
    /// Who, proved.
    pub identity: String,
    /// What they call themselves: anybody's name, or none.
    pub own_name: String,
    /// What they say; may be empty.
    pub text: String,
    /// When it was written, by their clock.
    pub sent_at: u64,
    /// When it was stored here.
    pub stored_at: u64,
    /// The address that it came from, or `relay`.
    pub from: String,
}

/// Somebody who is linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearbyLine {
    /// Who, proved.
    pub identity: String,
    /// What they call themselves; absent until their card came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_name: Option<String>,
    /// What the user calls them; absent for a stranger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Whether they have accepted us as a contact and we not them.
    pub wants_contact: bool,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageLine {
    /// Its place in the history; later messages have higher ones. 0 in events.
    pub row: u64,
    /// Its id.
    pub message_id: String,
    /// `in` or `out`.
    pub direction: String,
    /// With whom.
    pub identity: String,
    /// What the user calls them.
    pub name: String,
    /// Whether it asks to be a contact.
    #[serde(default, skip_serializing_if = "is_false")]
    pub request: bool,
    /// The text; absent when it needs a newer version of this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When it was written, by the writer's clock.
    pub sent_at: u64,
    /// When it was stored here.
    pub stored_at: u64,
    /// The state of an outgoing message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// With state `handed`: how many peers have stored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<u32>,
    /// Whether the user has seen an incoming message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<bool>,
    /// What the state rests on, oldest first; only in the answer to `message`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceLine>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// One piece of evidence about an outgoing message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLine {
    /// `handed`, `at_relay`, `delivered`, `read`, `cancelled` or `gave_up`.
    pub kind: String,
    /// When.
    pub at: u64,
    /// Who said so: an identity, with `at_relay` the relay's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

impl Response {
    /// Reads the `ok` part of the answer to `request`.
    ///
    /// # Errors
    /// When it is not what that request is answered with.
    pub fn from_value(request: &Request, ok: Value) -> Result<Self, serde_json::Error> {
        use serde_json::from_value;
        #[derive(Deserialize)]
        struct Contacts {
            contacts: Vec<ContactLine>,
        }
        #[derive(Deserialize)]
        struct Contact {
            contact: ContactLine,
        }
        #[derive(Deserialize)]
        struct Requests {
            requests: Vec<RequestedLine>,
        }
        #[derive(Deserialize)]
        struct Nearby {
            people: Vec<NearbyLine>,
        }
        #[derive(Deserialize)]
        struct History {
            messages: Vec<MessageLine>,
        }
        #[derive(Deserialize)]
        struct Message {
            message: Box<MessageLine>,
        }
        Ok(match request {
            Request::Status => Self::Status(from_value(ok)?),
            Request::Diagnose => Self::Diagnosis(from_value(ok)?),
            Request::Address => Self::Address(from_value(ok)?),
            Request::OwnCard => Self::OwnCard(from_value(ok)?),
            Request::Contacts => Self::Contacts { contacts: from_value::<Contacts>(ok)?.contacts },
            Request::Contact { .. }
            | Request::Add { .. }
            | Request::Import { .. }
            | Request::Rename { .. }
            | Request::Accept { .. }
            | Request::Block { .. }
            | Request::Verify { .. } => {
                Self::Contact { contact: from_value::<Contact>(ok)?.contact }
            }
            // An empty object for somebody who was no contact.
            Request::Unblock { .. } => match from_value::<Contact>(ok) {
                Ok(Contact { contact }) => Self::Contact { contact },
                Err(_) => Self::Done {},
            },
            Request::Requests => Self::Requests { requests: from_value::<Requests>(ok)?.requests },
            Request::SafetyNumber { .. } => Self::SafetyNumber(from_value(ok)?),
            Request::Nearby => Self::Nearby { people: from_value::<Nearby>(ok)?.people },
            Request::Send { .. } => Self::Queued(from_value(ok)?),
            Request::History { .. } => {
                Self::History { messages: from_value::<History>(ok)?.messages }
            }
            Request::Message { .. } => {
                Self::Message { message: from_value::<Message>(ok)?.message }
            }
            Request::Dial { .. } => Self::Dialled(from_value(ok)?),
            Request::Cancel { .. }
            | Request::Decline { .. }
            | Request::Remove { .. }
            | Request::MarkRead { .. }
            | Request::SetName { .. }
            | Request::Visibility { .. }
            | Request::Events
            | Request::Stop => Self::Done {},
        })
    }
}
