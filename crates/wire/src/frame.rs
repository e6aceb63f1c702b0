//! The frames of a link and the registry of their types (spec/link.md).

use core::fmt;

use crate::convert;
use crate::frames::{
    Ack, Auth, Bye, Card, EnvelopeIds, Hello, Mailboxes, Msg, Ping, Pong, PurgeKeys, Push,
};

/// The number that says what a frame's body is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameType(pub u16);

impl FrameType {
    /// The last frame of its sender.
    pub const BYE: Self = Self(0x0004);
    /// Asks for a sign of life.
    pub const PING: Self = Self(0x0005);
    /// Answers a ping.
    pub const PONG: Self = Self(0x0006);
    /// The first frame of each side.
    pub const AUTH: Self = Self(0x8001);
    /// Proofs of mailbox keys.
    pub const MAILBOXES: Self = Self(0x8002);
    /// Features, clock and what is held.
    pub const HELLO: Self = Self(0x8003);
    /// An intro or contact card.
    pub const CARD: Self = Self(0x8010);
    /// Asks for what the receiver would hand over.
    pub const PULL: Self = Self(0x8020);
    /// Opens the answer to a pull.
    pub const PUSH: Self = Self(0x8021);
    /// One envelope.
    pub const MSG: Self = Self(0x8022);
    /// Closes the answer to a pull.
    pub const END: Self = Self(0x8023);
    /// What became of one envelope.
    pub const ACK: Self = Self(0x8024);
    /// Offers envelopes to somebody who may carry them.
    pub const HAVE: Self = Self(0x8025);
    /// Asks for offered envelopes.
    pub const WANT: Self = Self(0x8026);
    /// Keys that let holders forget envelopes.
    pub const PURGE: Self = Self(0x8027);

    /// Every type of this version with its name.
    pub const ALL: [(Self, &'static str); 15] = [
        (Self::BYE, "Bye"),
        (Self::PING, "Ping"),
        (Self::PONG, "Pong"),
        (Self::AUTH, "Auth"),
        (Self::MAILBOXES, "Mailboxes"),
        (Self::HELLO, "Hello"),
        (Self::CARD, "Card"),
        (Self::PULL, "Pull"),
        (Self::PUSH, "Push"),
        (Self::MSG, "Msg"),
        (Self::END, "End"),
        (Self::ACK, "Ack"),
        (Self::HAVE, "Have"),
        (Self::WANT, "Want"),
        (Self::PURGE, "Purge"),
    ];

    /// Whether a receiver that does not know this type has to end the link.
    pub const fn is_critical(self) -> bool {
        self.0 >= 0x8000
    }

    /// The type's name, or `None` for one that this version does not know.
    pub fn name(self) -> Option<&'static str> {
        Self::ALL.into_iter().find(|&(kind, _)| kind == self).map(|(_, name)| name)
    }
}

impl fmt::Display for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Debug for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One frame of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Proves who is at one end.
    Auth(Auth),
    /// Proves who owns which mailbox.
    Mailboxes(Mailboxes),
    /// What the sender can do and holds.
    Hello(Hello),
    /// The end of the link.
    Bye(Bye),
    /// Asks for a sign of life.
    Ping(Ping),
    /// A sign of life.
    Pong(Pong),
    /// A card of the sender.
    Card(Card),
    /// Asks for what the receiver would hand over.
    Pull,
    /// Opens the answer to a pull.
    Push(Push),
    /// One envelope.
    Msg(Msg),
    /// Closes the answer to a pull.
    End,
    /// What became of one envelope.
    Ack(Ack),
    /// Offers envelopes to somebody who may carry them.
    Have(EnvelopeIds),
    /// Asks for offered envelopes.
    Want(EnvelopeIds),
    /// Lets the receiver forget envelopes.
    Purge(PurgeKeys),
}

impl Frame {
    /// The number under which this frame travels.
    pub const fn frame_type(&self) -> FrameType {
        match self {
            Self::Auth(_) => FrameType::AUTH,
            Self::Mailboxes(_) => FrameType::MAILBOXES,
            Self::Hello(_) => FrameType::HELLO,
            Self::Bye(_) => FrameType::BYE,
            Self::Ping(_) => FrameType::PING,
            Self::Pong(_) => FrameType::PONG,
            Self::Card(_) => FrameType::CARD,
            Self::Pull => FrameType::PULL,
            Self::Push(_) => FrameType::PUSH,
            Self::Msg(_) => FrameType::MSG,
            Self::End => FrameType::END,
            Self::Ack(_) => FrameType::ACK,
            Self::Have(_) => FrameType::HAVE,
            Self::Want(_) => FrameType::WANT,
            Self::Purge(_) => FrameType::PURGE,
        }
    }

    /// `length u32 ‖ type u16 ‖ body`, ready for the byte stream of a link.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }

    /// Appends what [`Frame::encode`] returns.
    // req: LNK-13
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.frame_type().0.to_be_bytes());
        convert::encode_body(self, out);
        let length = u32::try_from(out.len() - start - 4).expect("every field has a limit");
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}
