//! Why a link ends.

use tortalk_wire::FrameError;

/// Why a link ended, split by whose doing it was.
///
/// After any of these but [`LinkError::Aged`] the machine is closed: write what
/// [`crate::Link::take_output`] still gives (it is empty unless the peer may
/// know), then close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The handshake failed. There is no detail, on purpose: whoever is there
    /// is not known yet.
    #[error("the handshake failed")]
    Handshake,
    /// The peer speaks no version that this node speaks.
    #[error("no common version; the peer's highest is {highest}")]
    NoCommonVersion {
        /// The peer's highest version.
        highest: u16,
    },
    /// The other end is this very node.
    #[error("the other end is this node")]
    SelfDial,
    /// The peer broke a rule of the link.
    #[error("the peer broke the protocol: {0}")]
    Peer(#[from] PeerFault),
    /// The peer broke the framing.
    #[error("the peer broke the framing: {0}")]
    Frame(#[from] FrameError),
    /// The two sides were not both authenticated in time.
    #[error("not authenticated in time")]
    Timeout,
    /// Nothing was received for too long.
    #[error("the peer is silent")]
    Dead,
    /// The link is as old as it may be. It still works: send a `Bye`, write the
    /// output, then close. Reported once.
    #[error("the link is old")]
    Aged,
    /// The link had ended before this call.
    #[error("the link has ended")]
    Closed,
}

/// How a peer broke a rule of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerFault {
    /// More bytes than an unauthenticated peer may send (LNK-16).
    #[error("too many bytes before authentication")]
    Budget,
    /// A record that is empty or shorter than its tag (LNK-25).
    #[error("a record of {0} bytes")]
    RecordLength(usize),
    /// A record that was not encrypted by the peer, in this order (LNK-26).
    #[error("a record does not decrypt")]
    Record,
    /// A first record that is not exactly one `Auth` frame (LNK-27).
    #[error("the first record is not one Auth frame")]
    NotAuth,
    /// An identity that is no valid key (LNK-28).
    #[error("the identity is no valid key")]
    Identity,
    /// A signature that does not prove the identity for this link (LNK-29).
    #[error("the signature does not prove the identity")]
    Signature,
    /// A version that is not the chosen one (LNK-30).
    #[error("version {0} was not agreed on")]
    Version(u16),
    /// Bytes before both sides were through (LNK-32).
    #[error("bytes before authentication was through")]
    Early,
    /// A second `Auth` (LNK-33).
    #[error("a second Auth")]
    SecondAuth,
}
