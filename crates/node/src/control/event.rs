//! What a node tells whoever listens.

use serde::{Deserialize, Serialize};

use super::protocol::{ContactLine, MessageLine, RelayState, RequestedLine, to_line};

/// Something that happened, with the time at this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// When, by this node's clock.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub event: NodeEvent,
}

impl EventLine {
    /// The line, with its newline.
    pub fn to_line(&self) -> Vec<u8> {
        to_line(self)
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeEvent {
    /// The node runs. Sent first to everybody who listens.
    Ready {
        /// The TCP port of links; 0 without a network.
        port: u16,
        /// The own identity.
        identity: String,
        /// This start of the node.
        instance: String,
    },
    /// A message came and is durable here.
    Received {
        /// The message.
        message: Box<MessageLine>,
    },
    /// The state of an outgoing message has changed.
    State {
        /// The message.
        message_id: String,
        /// Its recipient.
        identity: String,
        /// What the user calls them.
        name: String,
        /// The state.
        state: String,
        /// With state `handed`: how many peers have stored it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peers: Option<u32>,
    },
    /// Somebody is linked.
    PeerUp {
        /// Who, proved.
        identity: String,
        /// What the user calls them; absent for a stranger.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<String>,
    },
    /// Nobody of this identity is linked any more.
    PeerDown {
        /// Who.
        identity: String,
        /// What the user calls them; absent for a stranger.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<String>,
    },
    /// A linked person's card was read.
    PeerNamed {
        /// Who.
        identity: String,
        /// What they call themselves.
        own_name: String,
    },
    /// A linked stranger has accepted us as a contact.
    WantsContact {
        /// Who.
        identity: String,
        /// What they call themselves.
        own_name: String,
    },
    /// Somebody asks to be a contact, or asks anew.
    ContactRequest {
        /// What they ask with.
        request: RequestedLine,
    },
    /// A contact was added or changed.
    Contact {
        /// As they stand now.
        contact: ContactLine,
    },
    /// Messages of a contact have not come; 0 when all are here.
    Gap {
        /// Who wrote them.
        identity: String,
        /// What the user calls them.
        name: String,
        /// How many.
        missing: u64,
    },
    /// Somebody is no contact any more, and not blocked.
    ContactRemoved {
        /// Who.
        identity: String,
    },
    /// A contact's clock and ours are apart.
    ClockDiffers {
        /// Who.
        identity: String,
        /// What the user calls them.
        name: String,
        /// Their clock minus ours, in milliseconds.
        offset_ms: i64,
    },
    /// The settings name no relay; answers come to this one, of the invite by which
    /// somebody was added.
    RelayAdopted {
        /// Where it is.
        relay: String,
    },
    /// A relay of the settings is connected and has proved its key.
    RelayUp {
        /// As it stands in the settings.
        url: String,
    },
    /// A relay of the settings is not to be had any more, or not yet; it is tried
    /// again and again. Comes anew when the reason is another one.
    RelayDown {
        /// As it stands in the settings.
        url: String,
        /// Why: any state but `up`.
        state: RelayState,
    },
    /// A relay refused a message because its clock and ours are apart.
    RelayClockDiffers {
        /// As it stands in the settings; absent for a relay of somebody else's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Its clock minus ours, in milliseconds.
        offset_ms: i64,
    },
    /// The store cannot take anything at the moment.
    StoreFailed {
        /// One line: what is wrong and what to do.
        message: String,
    },
    /// The store takes everything again.
    StoreWorks,
    /// The listener was too slow and has missed events.
    Missed {
        /// How many.
        count: u64,
    },
    /// The node ends; the last event.
    Stopped,
    /// Something that this version has no word for.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object() {
        let event = NodeEvent::PeerUp { identity: "ab".into(), contact: None };
        let line = EventLine { at: 5, event };
        assert_eq!(line.to_line(), b"{\"at\":5,\"event\":\"peer_up\",\"identity\":\"ab\"}\n");
        assert_eq!(serde_json::from_slice::<EventLine>(&line.to_line()).ok(), Some(line));
    }

    #[test]
    fn an_event_of_a_newer_node_is_other() {
        let line = br#"{"at":5,"event":"from_the_future","x":[1]}"#;
        let event = serde_json::from_slice::<EventLine>(line).map(|line| line.event);
        assert_eq!(event.ok(), Some(NodeEvent::Other));
    }
}
