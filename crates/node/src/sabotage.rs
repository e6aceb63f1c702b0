//! Deliberately broken behaviour, so that checks can be shown to find it.
//!
//! Without the feature `sabotage` there is nothing to choose and every question
//! here is answered with a constant `false`.

#[cfg(feature = "sabotage")]
use tortalk_model::{Envelope, EnvelopeHeader};

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Sabotage {
    /// Nothing.
    #[default]
    None,
    /// Promises are made before the disk has anything.
    #[cfg(feature = "sabotage")]
    EarlyAck,
    /// One message is shown twice.
    #[cfg(feature = "sabotage")]
    Double,
    /// Messages are never written.
    #[cfg(feature = "sabotage")]
    NoStore,
    /// What is to be carried is acknowledged and not written.
    #[cfg(feature = "sabotage")]
    NoCarry,
    /// What is left at relays has the last text in clear beside it.
    #[cfg(feature = "sabotage")]
    PlaintextAtRelay,
}

#[cfg(feature = "sabotage")]
impl Sabotage {
    /// How long a promise is ahead of the disk.
    pub(crate) const EARLY_BY: std::time::Duration = std::time::Duration::from_millis(50);

    pub(crate) fn acks_early(self) -> bool {
        self == Self::EarlyAck
    }

    pub(crate) fn doubles(self) -> bool {
        self == Self::Double
    }

    pub(crate) fn drops(self, write: &tortalk_mesh::Write) -> bool {
        use tortalk_mesh::Write;
        match write {
            Write::PutIncoming(_) | Write::PutOutgoing(_) => self == Self::NoStore,
            Write::PutEnvelope(held) => {
                self == Self::NoCarry && held.purpose == tortalk_mesh::Purpose::Carried
            }
            _ => false,
        }
    }

    /// What is left at a relay beside an envelope: the text in clear, in something
    /// that looks like an envelope of a later version.
    pub(crate) fn beside(self, envelope: &Envelope, text: &str) -> Option<Envelope> {
        if self != Self::PlaintextAtRelay || text.is_empty() {
            return None;
        }
        let header = EnvelopeHeader { suite: u16::MAX, ..envelope.header().clone() };
        Envelope::build(&header, text.as_bytes()).ok()
    }
}

#[cfg(not(feature = "sabotage"))]
impl Sabotage {
    /// Long enough for a kill that follows on a promise.
    pub(crate) const EARLY_BY: std::time::Duration =
        std::time::Duration::from_millis(if cfg!(feature = "deviations") { 200 } else { 0 });

    pub(crate) const fn acks_early(self) -> bool {
        false
    }

    pub(crate) const fn doubles(self) -> bool {
        false
    }

    pub(crate) const fn drops(self, _: &tortalk_mesh::Write) -> bool {
        false
    }
}
