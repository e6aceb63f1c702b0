//! Frames of the torTalk protocol: protobuf, framing, conversions.
//!
//! This crate turns bytes into [`Frame`]s and [`Beacon`]s and back. What comes
//! out has fields of the right length and within their limits; whether a
//! signature holds, a card is genuine or a frame may come at this moment is
//! decided elsewhere. It never verifies, encrypts, waits or keeps anything but
//! the one frame that is arriving.
//!
//! The protobuf types are private: nothing outside this crate depends on how
//! the bytes of a frame's body are made.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod beacon;
mod bounded;
mod convert;
mod decoder;
pub mod frame;
mod frames;

pub use beacon::{BEACON_VERSION, Beacon, BeaconError};
pub use bounded::{BoundedBytes, LengthError};
pub use convert::{BodyError, FieldFault};
pub use decoder::{FrameDecoder, FrameError};
pub use frame::{Frame, FrameType};
pub use frames::{
    Ack, AckResult, Auth, Bye, ByeReason, Card, CardBytes, Entries, EnvelopeBytes, EnvelopeIds,
    FeatureBytes, Hello, MailboxProof, Mailboxes, Msg, Ping, Pong, PurgeKeys, Push, RefusalReason,
    StampBytes,
};

/// The messages of `proto/tortalk/v1`, made by the build script.
mod proto {
    #![allow(unreachable_pub, clippy::all, clippy::use_self, clippy::or_fun_call)]
    include!(concat!(env!("OUT_DIR"), "/tortalk.v1.rs"));
}
