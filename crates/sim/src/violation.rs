//! What must always hold, and how it is said that something did not.

use core::fmt;

use crate::time::Moment;

/// A promise that a simulation holds the machines to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Invariant {
    /// What is said to a peer or shown to a person stands in the store (GSP-01).
    DiskBeforeWord,
    /// A shown state is borne out: `delivered` means that the recipient's store
    /// has the message, `handed` that the peer committed the envelope, `at relay`
    /// that the relay has it (DLV-01, DLV-02, DLV-05).
    Evidence,
    /// A message is shown to its recipient once (GSP-27).
    OnceOnly,
    /// What is shown was written, by that person, to this one, in these words
    /// (SEA, DLV-06).
    Authentic,
    /// What was accepted from the user is delivered once all is well, or the user
    /// was told otherwise (GSP-02, GSP-19, GSP-21).
    NothingLost,
    /// An envelope with ttl 0 goes to its recipient or a relay only (CAR-03), and
    /// one that is spread goes out with less than what is kept (CAR-04).
    NoSpreadAtZero,
    /// Every table has a bound (LIM, CAR-16, REQ).
    Bounded,
    /// Nobody holds an envelope of a message that is done with once it has
    /// expired (CAR-18, RLY-55, GSP-20).
    PurgedInTheEnd,
    /// The store and the machine do what they are there for: no fault of theirs,
    /// no end without rest.
    Works,
}

impl Invariant {
    /// One word for it, for reports and for choosing.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DiskBeforeWord => "disk-before-word",
            Self::Evidence => "evidence",
            Self::OnceOnly => "once-only",
            Self::Authentic => "authentic",
            Self::NothingLost => "nothing-lost",
            Self::NoSpreadAtZero => "no-spread-at-zero",
            Self::Bounded => "bounded",
            Self::PurgedInTheEnd => "purged-in-the-end",
            Self::Works => "works",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Something that must hold did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When, in virtual time.
    pub at: Moment,
    /// At which device, where it is one's.
    pub device: Option<usize>,
    /// What did not hold.
    pub invariant: Invariant,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.invariant, self.at)?;
        if let Some(device) = self.device {
            write!(f, " on n{device}")?;
        }
        write!(f, ": {}", self.seen)
    }
}

/// A [`Violation`] without its moment and place, which whoever drives knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) invariant: Invariant,
    pub(crate) seen: String,
}

impl Broken {
    pub(crate) fn new(invariant: Invariant, seen: impl Into<String>) -> Self {
        Self { invariant, seen: seen.into() }
    }

    pub(crate) fn by(self, at: Moment, device: Option<usize>) -> Violation {
        Violation { at, device, invariant: self.invariant, seen: self.seen }
    }
}

/// What checks return.
pub(crate) type Holds = Result<(), Broken>;
