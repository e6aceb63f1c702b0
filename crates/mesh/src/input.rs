//! What the machine is told.

use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;

use tortalk_keys::link_auth::Role;
use tortalk_model::{DeviceId, IdentityKey, InstanceId, MessageId};
use tortalk_wire::Frame;

use crate::keyring::Keyring;
use crate::relay::RelayInput;

/// The driver's name for one link; never used twice in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// The driver's name for one request of the user; it comes back in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Who is at the other end of a link, as the link's handshake proved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAuth {
    /// Proved by a signature over the handshake.
    pub identity: IdentityKey,
    /// Claimed in the signed part.
    pub device_id: DeviceId,
    /// Claimed in the signed part.
    pub instance_id: InstanceId,
}

/// Who may see that this node is there (spec/discovery.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// Beacon, dial what is heard, answer everyone.
    #[default]
    Everyone,
    /// Beacon and dial, answer contacts only.
    Contacts,
    /// No beacon, no dialling of what is heard, no answer.
    Nobody,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// The driver is ready; comes once, before all else.
    Started,
    /// Time has passed; due whenever [`crate::Mesh::next_deadline`] says so.
    Tick,
    /// A link's peer has proved its identity.
    ///
    /// As responder the link waits for [`crate::LinkAction::Admit`] or
    /// [`crate::LinkAction::Close`]; as initiator it is open already.
    LinkUp {
        /// The link.
        link: LinkId,
        /// Our role in it.
        role: Role,
        /// Who is there.
        peer: PeerAuth,
        /// What mailbox proofs sign.
        handshake_hash: [u8; 64],
        /// The other end's address; what we dialled if we are the initiator.
        address: SocketAddr,
    },
    /// A frame came in on a link that is up.
    Frame {
        /// The link.
        link: LinkId,
        /// The frame.
        frame: Frame,
    },
    /// A link has ended, whoever ended it.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// The peer of a link sent what is no frame; the link is about to end.
    PeerFault {
        /// The link.
        link: LinkId,
    },
    /// A beacon was heard.
    Heard {
        /// The packet's source address with the beacon's TCP port.
        address: SocketAddr,
        /// Which start of which node sent it.
        instance_id: InstanceId,
    },
    /// Somebody is at this address, says mDNS or the user's settings.
    Neighbour {
        /// Where.
        address: SocketAddr,
    },
    /// A dial has ended, in a link or in nothing.
    Dialled {
        /// The address of the [`crate::Dial`].
        address: SocketAddr,
        /// Whether a TCP connection came about and was authenticated.
        reached: bool,
    },
    /// An address of ours has become usable.
    AddressUp,
    /// A relay said something, or the connection with it changed.
    Relay(RelayInput),
    /// There are other secrets from now on: a new sealing key, erased ones, other
    /// secrets for contacts. Identity, device and store are the same as before.
    ///
    /// Links stay. New cards are signed where something in them has changed, and
    /// mailboxes that are new are proved on every link.
    KeyringChanged(Arc<Keyring>),
    /// The user wants something; the answer carries the same id.
    Command(RequestId, Command),
}

/// What a user can ask the machine to do.
#[derive(Clone)]
pub enum Command {
    /// Write a text to a contact.
    SendText {
        /// The contact.
        to: IdentityKey,
        /// The text.
        text: String,
    },
    /// Accept somebody as a contact.
    AddContact {
        /// Who.
        identity: IdentityKey,
        /// What the user calls them; empty takes the name of their card.
        name: String,
        /// The full invite by which the user knows them, in bytes.
        invite: Option<Vec<u8>>,
        /// What the user says with it, at most 1,024 bytes; may be empty. It goes
        /// with the contact request, or as a text where none is needed.
        text: String,
    },
    /// Accept somebody who asks to be a contact.
    AcceptRequest {
        /// Who.
        identity: IdentityKey,
        /// What the user calls them; empty takes the name of their card.
        name: String,
    },
    /// Forget somebody's request; they are not told.
    DeclineRequest {
        /// Who.
        identity: IdentityKey,
    },
    /// Take in a contact card that came as a file; adds the contact too.
    ImportCard {
        /// The card's bytes.
        card: Vec<u8>,
        /// What the user calls them; empty takes the card's name.
        name: String,
    },
    /// Call a contact something else.
    Rename {
        /// The contact.
        identity: IdentityKey,
        /// The new name; not empty.
        name: String,
    },
    /// Let nothing of theirs in, or let it in again.
    SetBlocked {
        /// Who; need not be a contact.
        identity: IdentityKey,
        /// Whether they are blocked from now on.
        blocked: bool,
    },
    /// Make a contact a stranger again.
    ///
    /// They know the secrets for contacts. So the driver makes other ones and
    /// makes them durable first, and hands in [`Input::KeyringChanged`] with them
    /// directly after this command, in the same transaction.
    RemoveContact {
        /// Who.
        identity: IdentityKey,
    },
    /// Note that the safety number was compared (or no longer holds).
    SetVerified {
        /// The contact.
        identity: IdentityKey,
        /// Whether it was compared and is the same.
        verified: bool,
    },
    /// Change the own name in cards.
    SetOwnName {
        /// The new name; may be empty.
        name: String,
    },
    /// Change who may see this node.
    SetVisibility(Visibility),
    /// The user has seen this message; sends a read receipt where that is on.
    MarkRead {
        /// The incoming message.
        message_id: MessageId,
    },
    /// Stop trying to deliver a message.
    Cancel {
        /// The outgoing message.
        message_id: MessageId,
    },
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What people write, and cards and invites with their keys, is nobody's else.
        f.write_str(match self {
            Self::SendText { .. } => "SendText",
            Self::AddContact { .. } => "AddContact",
            Self::AcceptRequest { .. } => "AcceptRequest",
            Self::DeclineRequest { .. } => "DeclineRequest",
            Self::ImportCard { .. } => "ImportCard",
            Self::Rename { .. } => "Rename",
            Self::SetBlocked { .. } => "SetBlocked",
            Self::RemoveContact { .. } => "RemoveContact",
            Self::SetVerified { .. } => "SetVerified",
            Self::SetOwnName { .. } => "SetOwnName",
            Self::SetVisibility(_) => "SetVisibility",
            Self::MarkRead { .. } => "MarkRead",
            Self::Cancel { .. } => "Cancel",
        })
    }
}
