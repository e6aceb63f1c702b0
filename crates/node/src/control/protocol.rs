//! Requests, answers and errors of the control socket.

mod answers;
mod diagnosis;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use answers::{
    Address, CarriedLine, ContactLine, Dialled, EvidenceLine, MessageLine, NearbyLine, OwnCard,
    Queued, RelayLine, RelayState, RequestedLine, Response, SafetyNumber, Status,
};
pub use diagnosis::{
    BeaconLine, ClockLine, Diagnosis, DialLine, DialOutcome, LinkLine, NeighbourLine, Unreached,
};

/// Something that a user or a program asks of a node.
///
/// `who` and `to` are a contact's name (any case; it must be the only one), a
/// `mesh:` address, or at least eight hexadecimal digits of the identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Request {
    /// How the node is: [`Status`].
    Status,
    /// What it has noticed of its surroundings: [`Diagnosis`].
    Diagnose,
    /// The own address, to be given to others: [`Address`].
    Address,
    /// The own contact card: [`OwnCard`].
    OwnCard,
    /// Everybody who is or was a contact: [`Response::Contacts`].
    Contacts,
    /// One contact: [`Response::Contact`].
    Contact {
        /// Whom.
        who: String,
    },
    /// Accept somebody as a contact: [`Response::Contact`].
    Add {
        /// A `mesh:` address, or hexadecimal digits of somebody who is nearby.
        address: String,
        /// What to call them; without it the name of their card.
        #[serde(default)]
        name: String,
        /// What to say to them with it, at most 1,024 bytes.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// Who asks to be a contact: [`Response::Requests`].
    Requests,
    /// Accept somebody who asks: [`Response::Contact`].
    Accept {
        /// Whom: at least eight digits of the identity.
        who: String,
        /// What to call them; without it the name of their card.
        #[serde(default)]
        name: String,
    },
    /// Forget somebody's request; they are not told: [`Response::Done`].
    Decline {
        /// Whose: at least eight digits of the identity.
        who: String,
    },
    /// Take in a contact card from a file: [`Response::Contact`].
    Import {
        /// The card's bytes in base64.
        card: String,
        /// What to call them; without it the name of the card.
        #[serde(default)]
        name: String,
    },
    /// Call a contact something else: [`Response::Contact`].
    Rename {
        /// Whom.
        who: String,
        /// The new name.
        name: String,
    },
    /// Let nothing of theirs in: [`Response::Contact`].
    Block {
        /// Whom; need not be a contact.
        who: String,
    },
    /// Let their messages in again: [`Response::Contact`], or [`Response::Done`] for
    /// somebody who was no contact.
    Unblock {
        /// Whom.
        who: String,
    },
    /// Make a contact a stranger again: [`Response::Done`].
    Remove {
        /// Whom.
        who: String,
    },
    /// Note whether the safety number was compared: [`Response::Contact`].
    Verify {
        /// Whom.
        who: String,
        /// Whether it is the same on both sides.
        yes: bool,
    },
    /// The number to compare with somebody: [`SafetyNumber`].
    SafetyNumber {
        /// With whom.
        who: String,
    },
    /// Who is linked right now: [`Response::Nearby`].
    Nearby,
    /// Write a text to a contact: [`Queued`].
    Send {
        /// To whom.
        to: String,
        /// The text.
        text: String,
    },
    /// Messages, newest first: [`Response::History`].
    History {
        /// With whom; without it, with everybody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with: Option<String>,
        /// Only rows below this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        /// How many; 50 without it, at most 500.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<usize>,
        /// Only messages with all of these words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        search: Option<String>,
    },
    /// One message with its evidence: [`Response::Message`].
    Message {
        /// Its id. On the line `message_id`: `id` is the line's own number.
        #[serde(rename = "message_id")]
        id: String,
    },
    /// Stop trying to deliver a message: [`Response::Done`].
    Cancel {
        /// Its id. On the line `message_id`: `id` is the line's own number.
        #[serde(rename = "message_id")]
        id: String,
    },
    /// The user has seen a message: [`Response::Done`].
    MarkRead {
        /// Its id. On the line `message_id`: `id` is the line's own number.
        #[serde(rename = "message_id")]
        id: String,
    },
    /// Change the own name in cards: [`Response::Done`].
    SetName {
        /// The new name; may be empty.
        name: String,
    },
    /// Change who may see this node: [`Response::Done`].
    Visibility {
        /// Who.
        value: Visible,
    },
    /// Connect to an address now: [`Dialled`].
    Dial {
        /// An IP address and a port, `192.0.2.7:45454` or `[2001:db8::7]:45454`.
        address: String,
    },
    /// Send events on this connection from now on: [`Response::Done`].
    Events,
    /// End the node: [`Response::Done`], then the connection closes.
    Stop,
}

/// Who may see that a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visible {
    /// Everyone on the network.
    Everyone,
    /// Contacts, and whoever this node finds first.
    Contacts,
    /// Nobody.
    Nobody,
}

/// Why a request was not carried out. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What a program can decide by.
    pub kind: ErrorKind,
    /// One line for a person: what is wrong and what to do.
    pub message: String,
}

impl RequestError {
    /// An error with its line.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// The kinds of [`RequestError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The line is not a request.
    BadRequest,
    /// The line is longer than [`super::LINE_BYTES_MAX`].
    TooLong,
    /// Nobody is meant by this `who`.
    UnknownWho,
    /// More than one is meant by this `who`.
    AmbiguousWho,
    /// The address has a typing error or is of another kind.
    BadAddress,
    /// Not a contact.
    NotAContact,
    /// The own identity.
    Yourself,
    /// The contact is blocked.
    Blocked,
    /// The text is over the limit.
    TextTooLong,
    /// The text is empty.
    TextEmpty,
    /// Not a name.
    BadName,
    /// Not a contact card, or one whose signature does not hold.
    BadCard,
    /// An older card than the one at hand.
    CardOutdated,
    /// No such message.
    NoSuchMessage,
    /// Nobody of this identity asks to be a contact.
    NoSuchRequest,
    /// Nobody answered at the address.
    NotReached,
    /// The node works without a network.
    Offline,
    /// The store cannot take it; nothing was promised.
    StoreFailed,
    /// New secrets for contacts could not be written.
    KeysFailed,
    /// The settings could not be written.
    SettingsFailed,
    /// The node is ending.
    Stopping,
    /// Something that this version has no word for.
    #[serde(other)]
    Other,
}

/// A request with the number that its answer bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLine {
    /// Chosen by the client.
    pub id: u64,
    /// What is asked.
    pub request: Request,
}

impl RequestLine {
    /// Reads one line.
    ///
    /// # Errors
    /// What is wrong with it, and its id where one could be read.
    pub fn parse(line: &[u8]) -> Result<Self, (Option<u64>, RequestError)> {
        let bad = |id, why: String| {
            let why = one_line(&why);
            let message = format!("{why}: write a line like {{\"id\":1,\"do\":\"status\"}}");
            (id, RequestError::new(ErrorKind::BadRequest, message))
        };
        let mut fields: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| bad(None, format!("not a JSON object ({error})")))?;
        let id = fields.remove("id").and_then(|id| id.as_u64());
        let Some(id) = id else {
            return Err(bad(None, "`id` is missing or not a whole number".to_owned()));
        };
        if !fields.contains_key("do") {
            return Err(bad(Some(id), "`do` is missing".to_owned()));
        }
        serde_json::from_value(Value::Object(fields))
            .map(|request| Self { id, request })
            .map_err(|error| bad(Some(id), error.to_string()))
    }

    /// The line, with its newline.
    pub fn to_line(&self) -> Vec<u8> {
        let mut value = to_value(&self.request);
        if let Value::Object(fields) = &mut value {
            fields.insert("id".to_owned(), json!(self.id));
        }
        to_line(&value)
    }
}

/// What is wrong with a line may quote it: that neither breaks a line nor moves a
/// terminal's cursor, and has an end.
fn one_line(why: &str) -> String {
    const CHARS_MAX: usize = 1_000;
    let shown = why.chars().take(CHARS_MAX);
    shown.map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// An answer with the number of its request; without one where the line that is
/// answered had none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerLine<T> {
    /// Of the request.
    pub id: Option<u64>,
    /// What came of it.
    pub outcome: Result<T, RequestError>,
}

impl AnswerLine<Response> {
    /// The line, with its newline.
    pub fn to_line(&self) -> Vec<u8> {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), self.id.map_or(Value::Null, Value::from));
        match &self.outcome {
            Ok(response) => fields.insert("ok".to_owned(), to_value(response)),
            Err(error) => fields.insert("error".to_owned(), to_value(error)),
        };
        to_line(&Value::Object(fields))
    }
}

/// Every type here is a plain object with string keys.
fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("the protocol's types are plain objects")
}

pub(super) fn to_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("the protocol's types are plain objects");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;
