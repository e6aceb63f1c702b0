//! What a node has noticed of its surroundings, in numbers and without a
//! conclusion: that is drawn by whoever asks.

use serde::{Deserialize, Serialize};

/// The answer to `diagnose`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The beacons of each socket.
    #[serde(default)]
    pub beacons: Vec<BeaconLine>,
    /// Whose beacons were heard.
    #[serde(default)]
    pub neighbours: Vec<NeighbourLine>,
    /// Somebody who was heard of late is not among them, for want of room.
    #[serde(default)]
    pub crowded: bool,
    /// The links that are up.
    #[serde(default)]
    pub links: Vec<LinkLine>,
    /// The last dial to each address that was dialled of late.
    #[serde(default)]
    pub dials: Vec<DialLine>,
    /// How often somebody on another machine has connected with this node.
    #[serde(default)]
    pub accepted: u64,
    /// The clocks of linked contacts and of relays that are up.
    #[serde(default)]
    pub clocks: Vec<ClockLine>,
}

/// The beacons of one socket since the node was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeaconLine {
    /// The interface.
    pub interface: String,
    /// 4 or 6.
    pub ip_version: u8,
    /// Sent.
    pub sent: u64,
    /// Not taken by the system.
    pub failed: u64,
    /// Heard, of others.
    pub heard: u64,
    /// How long ago the last of these came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_ms_ago: Option<u64>,
}

/// Somebody whose beacons were heard. Who it is is not known by that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourLine {
    /// This start of their node.
    pub instance: String,
    /// Where they say to be reached, the latest last.
    pub addresses: Vec<String>,
    /// How long ago the last beacon came.
    pub heard_ms_ago: u64,
    /// Whether they are linked now.
    pub linked: bool,
}

/// A link that is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkLine {
    /// The peer's address.
    pub address: String,
    /// This start of their node.
    pub instance: String,
    /// Whether this node has dialled; otherwise the peer has.
    pub dialled: bool,
    /// How long it has been up.
    pub up_ms: u64,
}

/// The last dial to an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialLine {
    /// Where.
    pub address: String,
    /// What came of it.
    pub outcome: DialOutcome,
    /// How long ago it ended.
    pub ms_ago: u64,
    /// Dials without a link in a row.
    pub failed: u32,
}

/// What came of a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DialOutcome {
    /// A link.
    Linked,
    /// A connection, but no link.
    Answered,
    /// Nothing listens there.
    Refused,
    /// No answer.
    TimedOut,
    /// The network or the system knows no way there.
    NoRoute,
    /// The system forbids it.
    Forbidden,
    /// Something else, or something that this version has no word for.
    #[serde(other)]
    Other,
}

/// Somebody's clock beside this node's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockLine {
    /// A contact's name, or a relay's address.
    pub whose: String,
    /// Whether it is a relay's.
    pub relay: bool,
    /// Theirs minus ours, in milliseconds.
    pub offset_ms: i64,
}

/// Why a relay is not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unreached {
    /// Its machine answers, but nothing listens on the port.
    Refused,
    /// No answer.
    TimedOut,
    /// The network or the system knows no way there.
    NoRoute,
    /// Its name cannot be looked up.
    NoAddress,
    /// Safety is on and it is not on this network, or it is an onion service.
    NotDialled,
    /// Something else, or something that this version has no word for.
    #[serde(other)]
    Other,
}
