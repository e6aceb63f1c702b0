//! The state of an outgoing message, as far as its evidence goes (spec/delivery.md).

use tortalk_seal::ReceiptKind;

use crate::write::{Evidence, OutgoingMessage};

/// What may be said about an outgoing message.
///
/// It is computed from the stored evidence and stored nowhere itself, so it
/// cannot be ahead of it (DLV-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// On our disk.
    Queued,
    /// On our disk; the recipient's key is not known yet.
    WaitingForKey,
    /// This many peers have acknowledged that they stored it.
    Handed {
        /// How many.
        peers: u32,
    },
    /// A relay of the recipient's has signed that it stored it.
    AtRelay,
    /// The recipient's signed receipt is here.
    Delivered,
    /// The recipient says that it was read.
    Read,
    /// Everything was tried and no receipt came.
    NotConfirmed,
    /// The user gave up on it.
    Cancelled,
}

impl DeliveryState {
    /// The strongest state that a message's evidence allows (DLV-02).
    pub fn of(message: &OutgoingMessage) -> Self {
        let has = |wanted: ReceiptKind| {
            message.evidence.iter().any(
                |evidence| matches!(evidence, Evidence::Receipt { kind, .. } if *kind == wanted),
            )
        };
        let peers =
            message.evidence.iter().filter(|e| matches!(e, Evidence::Handed { .. })).count();
        if has(ReceiptKind::Read) {
            Self::Read
        } else if has(ReceiptKind::Delivered) {
            Self::Delivered
        } else if message.evidence.iter().any(|e| matches!(e, Evidence::Cancelled { .. })) {
            Self::Cancelled
        } else if message.evidence.iter().any(|e| matches!(e, Evidence::GaveUp { .. })) {
            Self::NotConfirmed
        } else if message.envelope_id.is_none() {
            Self::WaitingForKey
        } else if message.evidence.iter().any(|e| matches!(e, Evidence::AtRelay { .. })) {
            // req: DLV-15
            Self::AtRelay
        } else if peers > 0 {
            Self::Handed { peers: u32::try_from(peers).unwrap_or(u32::MAX) }
        } else {
            Self::Queued
        }
    }

    /// Whether nothing more is going to be done for the message.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Read | Self::NotConfirmed | Self::Cancelled)
    }

    /// The word for it in spec, control protocol and user interface.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::WaitingForKey => "waiting for key",
            Self::Handed { .. } => "handed",
            Self::AtRelay => "at relay",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::NotConfirmed => "not confirmed",
            Self::Cancelled => "cancelled",
        }
    }
}
