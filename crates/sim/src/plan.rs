//! What a simulation consists of: people, places, and everything that happens to
//! them, each at its moment. A plan is a value: the same plan leads to the same
//! trace.

use crate::sabotage::Sabotage;
use crate::time::Moment;

/// Everything that a simulation needs to know.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What everything random in it depends on.
    pub seed: u64,
    /// A device each.
    pub people: Vec<Person>,
    /// How many relays there are.
    pub relays: usize,
    /// Who has added whom, both ways, when it begins, and how.
    pub friends: Vec<Friends>,
    /// How connections work.
    pub wire: WireKind,
    /// Milliseconds that a packet takes.
    pub latency_ms: (u64, u64),
    /// Milliseconds that a device takes to commit what came.
    pub commit_ms: (u64, u64),
    /// Of a thousand beacons so many are not heard by somebody.
    pub beacons_lost: u64,
    /// What happens, in order of time.
    pub incidents: Vec<(Moment, Incident)>,
    /// When all faults end and everybody meets.
    pub heal_at: Moment,
    /// By then everything has to be delivered; the simulation ends at the first
    /// look at which it is.
    pub converged_by: Moment,
    /// What comes when faults are over.
    pub then: Then,
    /// What is broken on purpose.
    pub sabotage: Sabotage,
}

/// What follows when the faults are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it ends when its faults would, as it is, for figures.
    Measure,
    /// Everything has to be delivered. Then everybody is away until all envelopes
    /// have expired, and nothing may be left.
    Expire,
}

/// One person with one device.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// Where they are when it begins; none is nowhere.
    pub place: Option<usize>,
    /// How far their clock is off when it begins, in milliseconds.
    pub clock_offset_ms: i64,
    /// How many milliseconds their clock gains in a million.
    pub drift: i64,
    /// How their device lies about what it carries.
    pub lie: Option<Lie>,
    /// Whether reading is told.
    pub read_receipts: bool,
    /// The relays of their settings, by number.
    pub relays: Vec<usize>,
}

/// How a carrier breaks its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Says `STORED` and forgets.
    Forgets,
    /// Keeps what it carries to itself.
    Keeps,
    /// Changes a byte of what it hands over.
    Corrupts,
    /// Hands everything over again and again.
    Replays,
    /// Hands over envelopes of its own making.
    Junk,
}

/// Two people who have added each other.
#[derive(Debug, Clone, Copy)]
pub struct Friends {
    /// One of them.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// Whether each has the other's card from the beginning.
    pub cards: Cards,
}

/// Whether two people have each other's cards from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cards {
    /// As files.
    Exchanged,
    /// When they meet.
    Later,
}

/// How connections are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireKind {
    /// Frames pass whole; who is at the other end is simply known.
    Frames,
    /// The real link machines, byte by byte.
    Bytes,
}

/// Something that happens at a moment.
#[derive(Debug, Clone)]
pub enum Incident {
    /// Somebody writes a text to a contact.
    Write {
        /// Who.
        from: usize,
        /// To whom.
        to: usize,
        /// Bytes of the text, about.
        len: usize,
    },
    /// Somebody goes to a place, or away from all.
    Move {
        /// Whose device.
        device: usize,
        /// Where to.
        place: Option<usize>,
    },
    /// A process ends at a bad moment, and starts again after so many
    /// milliseconds.
    Crash {
        /// Whose.
        device: usize,
        /// Which moment.
        point: CrashPoint,
        /// How long it is gone.
        gone_ms: u64,
    },
    /// Commits fail from now on, or work again.
    Disk {
        /// Whose.
        device: usize,
        /// Whether they fail.
        full: bool,
    },
    /// A clock is set.
    Clock {
        /// Whose.
        device: usize,
        /// How far from the true time it is then, in milliseconds.
        offset_ms: i64,
    },
    /// A clock goes faster or slower from now on.
    Drift {
        /// Whose.
        device: usize,
        /// Milliseconds gained in a million.
        drift: i64,
    },
    /// Packets from one device to another stop, or go again.
    Wall {
        /// From here.
        from: usize,
        /// To there; the other way is not touched.
        to: usize,
        /// Whether they stop.
        stands: bool,
    },
    /// A connection breaks after so many more packets; one of those that are.
    Cut {
        /// Which, counted round.
        nth: u64,
        /// So many more come through.
        after: u32,
    },
    /// Somebody blocks a contact, or lets them in again.
    Block {
        /// Who.
        who: usize,
        /// Whom.
        whom: usize,
        /// Whether from now on.
        blocked: bool,
    },
    /// Somebody gives up on a message; one of theirs that are not delivered.
    Cancel {
        /// Who.
        device: usize,
    },
    /// A relay stops, or starts again with what it has on disk.
    Relay {
        /// Which.
        relay: usize,
        /// Whether it is on from now on.
        is_up: bool,
    },
    /// A relay loses something and goes on.
    RelayLoses {
        /// Which.
        relay: usize,
        /// What.
        what: RelayLoss,
    },
    /// A relay signs for what it does not keep, or stops lying.
    RelayLies {
        /// Which.
        relay: usize,
        /// Whether it lies from now on.
        lies: bool,
    },
    /// Somebody reads the newest message.
    Read {
        /// Who.
        device: usize,
    },
}

/// What a relay loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayLoss {
    /// Everything: it begins anew, and says so.
    All,
    /// So many of its last changes, which were never synced; it says nothing.
    Last(usize),
}

/// Where a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// Before its next commit that somebody would miss: that is lost.
    BeforeCommit,
    /// After such a commit, before anything of it is said.
    BeforeWord,
    /// When half of such a commit is said.
    HalfSaid,
    /// At once, with nothing on its way.
    Idle,
}
