//! One machine under arbitrary events: what its user, its clock, its disk and its
//! peers do, who keep to no rule but that they cannot forge each other's keys.

mod puppet;
mod saying;
mod stage;

use arbitrary::{Arbitrary, Unstructured};

use stage::Stage;

/// Events of one run. More would take longer than they tell.
const EVENTS_MAX: usize = 96;

/// Something that happens to the machine.
#[derive(Debug, Arbitrary)]
pub(crate) enum Happening {
    /// Somebody is linked, and says who they are, as far as they like.
    Link {
        who: u8,
        dialled: bool,
        introduced: bool,
    },
    /// A link ends; from 128 on for a fault of the peer's.
    Unlink {
        link: u8,
    },
    Say {
        link: u8,
        what: Saying,
    },
    Wish {
        who: u8,
        what: Wish,
    },
    Wait {
        ms: Time,
    },
    /// The wall clock jumps by so many half hours.
    Clock {
        half_hours: i16,
    },
    Heard {
        who: u8,
    },
    Dialled {
        who: u8,
        reached: bool,
    },
    AddressUp,
    /// The process ends and starts again.
    Restart,
    /// The next commit fails.
    DiskFull,
    Relay {
        what: RelaySaying,
    },
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Time {
    Now,
    Milliseconds(u8),
    Seconds(u8),
    Minutes(u8),
    Hours(u8),
}

/// A frame of a peer.
#[derive(Debug, Arbitrary)]
pub(crate) enum Saying {
    Proofs {
        own: bool,
    },
    Hello {
        half_hours: i16,
        unacked: u16,
        seen_seq: u8,
        own_seq: u8,
        store: u8,
    },
    Card {
        seq: u8,
        contact: bool,
        of: u8,
        relays: bool,
    },
    Pull,
    Push {
        count: u32,
    },
    End,
    Bye {
        reason: u8,
    },
    /// An envelope for us with a message in it.
    Message {
        body: Telling,
        from: u8,
        intro: bool,
        ttl: u8,
        days: u8,
        spoilt: bool,
    },
    /// Something that was said before, by whomever.
    Again {
        nth: u8,
        ttl: u8,
    },
    /// An envelope for somebody else, or nobody.
    Carried {
        to: u8,
        ttl: u8,
        days: u8,
        salt: u8,
    },
    Ack {
        nth: u8,
        result: u8,
        retry_s: u16,
        half_hours: i16,
    },
    Have {
        nths: [u8; 3],
    },
    Want {
        nths: [u8; 3],
    },
    Purge {
        nths: [u8; 3],
    },
    /// Any body for any type.
    Raw {
        kind: u8,
        body: Vec<u8>,
    },
}

/// What a message of a peer says.
#[derive(Debug, Arbitrary)]
pub(crate) enum Telling {
    Text { counter: u8, chain: u8, salt: u8 },
    Receipt { nth: u8, read: bool, right: bool },
    Request { len: u16, seq: u8 },
    Accept { seq: u8, of: u8 },
    Card { seq: u8, of: u8 },
    Resend { from: u64, to: u64, own: bool },
    Unknown { kind: u16, bytes: Vec<u8> },
}

/// What the user wants.
#[derive(Debug, Arbitrary)]
pub(crate) enum Wish {
    Write { len: u16 },
    Add { invite: bool, len: u8 },
    Accept,
    Decline,
    Import { seq: u8 },
    Rename { name: String },
    Block { blocked: bool },
    Verify { verified: bool },
    Remove,
    OwnName { name: String },
    Visibility { nth: u8 },
    Read { nth: u8 },
    Cancel { nth: u8 },
}

/// What a relay says, or what becomes of the connection with it.
#[derive(Debug, Arbitrary)]
pub(crate) enum RelaySaying {
    Up { half_hours: i16, epoch: u8 },
    Down { why: u8 },
    Challenged { own: bool },
    Opened { own: bool, days: u8 },
    Pulled { seq: u8, nth: u8 },
    Ended { why: u8 },
    Stored { nth: u8, genuine: bool, days: u8 },
    Refused { nth: u8, reason: u8, retry_s: u32, half_hours: i16 },
    CardPut { result: u8, seq: u64 },
    CardFound { of: u8, seq: u8, genuine: bool },
}

/// Nothing that was accepted is lost, each message is shown once, no state is
/// ahead of its evidence, nothing is spread at ttl 0, tables are bounded, and what
/// is said stands in the store.
pub fn events(bytes: &[u8]) {
    let mut unstructured = Unstructured::new(bytes);
    let mut stage = Stage::new();
    for _ in 0..EVENTS_MAX {
        if unstructured.is_empty() {
            break;
        }
        let Ok(happening) = Happening::arbitrary(&mut unstructured) else { break };
        stage.happen(happening);
    }
    stage.end();
}
