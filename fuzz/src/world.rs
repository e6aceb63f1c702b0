//! Some nodes and relays in the simulator, with incidents of the fuzzer's choice.

use arbitrary::{Arbitrary, Unstructured};
use tortalk_sim::plan::{
    Cards, CrashPoint, Friends, Incident, Lie, Person, Plan, RelayLoss, Then, WireKind,
};
use tortalk_sim::time::{DAY, HOUR, Moment};
use tortalk_sim::{Keep, Sabotage, run};

/// Incidents of one world. More would take longer than they tell.
const INCIDENTS_MAX: usize = 24;

#[derive(Debug, Arbitrary)]
struct World {
    seed: u8,
    people: [Whoever; 4],
    count: u8,
    relays: u8,
    knows: [bool; 6],
    bytes: bool,
    latency: u8,
    incidents: Vec<(Pause, What)>,
}

#[derive(Debug, Arbitrary)]
struct Whoever {
    place: Place,
    offset_hours: i8,
    lie: Option<Lying>,
    read_receipts: bool,
    relays: [bool; 2],
    later: bool,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Place {
    Nowhere,
    Here,
    There,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Lying {
    Forgets,
    Keeps,
    Corrupts,
    Replays,
    Junk,
}

/// How long after the last incident the next one comes.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Pause {
    None,
    Milliseconds(u8),
    Seconds(u8),
    Minutes(u8),
}

#[derive(Debug, Arbitrary)]
enum What {
    Write { from: u8, to: u8, len: u16 },
    Move { device: u8, place: Place },
    Crash { device: u8, point: u8, gone_s: u16 },
    Disk { device: u8, full: bool },
    Clock { device: u8, offset_hours: i16 },
    Drift { device: u8, drift: i8 },
    Wall { from: u8, to: u8, stands: bool },
    Cut { nth: u8, after: u8 },
    Block { who: u8, whom: u8, blocked: bool },
    Cancel { device: u8 },
    Relay { relay: u8, is_up: bool },
    RelayLoses { relay: u8, last: Option<u8> },
    RelayLies { relay: u8, lies: bool },
    Read { device: u8 },
}

/// Every invariant of the simulator holds to the end: nothing accepted is lost,
/// nothing is shown twice or ahead of its evidence, nothing spreads at ttl 0,
/// every table is bounded.
pub fn world(bytes: &[u8]) {
    let Ok(world) = World::arbitrary(&mut Unstructured::new(bytes)) else { return };
    let outcome = run(&world.plan(), Keep::Last);
    if let Some(violation) = outcome.violation {
        panic!("{violation}\n{}", outcome.last.join("\n"));
    }
}

impl World {
    fn plan(&self) -> Plan {
        let count = 2 + usize::from(self.count) % 3;
        let relays = usize::from(self.relays) % 3;
        let mut at = 30_000;
        let mut incidents = Vec::new();
        for (pause, what) in self.incidents.iter().take(INCIDENTS_MAX) {
            at += pause.ms();
            incidents.extend(what.incident(count, relays).map(|what| (Moment(at), what)));
        }
        let heal_at = at + HOUR;
        Plan {
            seed: self.seed.into(),
            people: self.people[..count].iter().map(|one| one.person(relays)).collect(),
            relays,
            friends: self.friends(count),
            wire: if self.bytes { WireKind::Bytes } else { WireKind::Frames },
            latency_ms: (1, 1 + u64::from(self.latency) * 4),
            commit_ms: (0, 5),
            beacons_lost: 0,
            incidents,
            heal_at: Moment(heal_at),
            converged_by: Moment(heal_at + 4 * DAY),
            then: Then::Expire,
            sabotage: Sabotage::None,
        }
    }

    fn friends(&self, count: usize) -> Vec<Friends> {
        let pairs = [(0, 1), (1, 2), (2, 3), (0, 2), (1, 3), (0, 3)];
        let known = pairs.into_iter().zip(self.knows).enumerate();
        let there = known.filter(|(at, ((_, b), knows))| *b < count && (*at < 3 || *knows));
        there.map(|(_, ((a, b), _))| Friends { a, b, cards: self.cards(b) }).collect()
    }

    const fn cards(&self, b: usize) -> Cards {
        if self.people[b].later { Cards::Later } else { Cards::Exchanged }
    }
}

impl Whoever {
    fn person(&self, relays: usize) -> Person {
        Person {
            place: self.place.number(),
            clock_offset_ms: i64::from(self.offset_hours) * 3_600_000,
            drift: 0,
            lie: self.lie.map(|lie| match lie {
                Lying::Forgets => Lie::Forgets,
                Lying::Keeps => Lie::Keeps,
                Lying::Corrupts => Lie::Corrupts,
                Lying::Replays => Lie::Replays,
                Lying::Junk => Lie::Junk,
            }),
            read_receipts: self.read_receipts,
            relays: (0..relays).filter(|relay| self.relays[*relay]).collect(),
        }
    }
}

impl Place {
    const fn number(self) -> Option<usize> {
        match self {
            Self::Nowhere => None,
            Self::Here => Some(0),
            Self::There => Some(1),
        }
    }
}

impl Pause {
    fn ms(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Milliseconds(count) => count.into(),
            Self::Seconds(count) => u64::from(count) * 1_000,
            Self::Minutes(count) => u64::from(count) * 60_000,
        }
    }
}

impl What {
    fn incident(&self, people: usize, relays: usize) -> Option<Incident> {
        let device = |number: u8| usize::from(number) % people;
        let relay = |number: u8| (relays > 0).then(|| usize::from(number) % relays.max(1));
        let of_others = |from: u8, to: u8| {
            (device(from), (device(from) + 1 + usize::from(to) % (people - 1)) % people)
        };
        Some(match *self {
            Self::Write { from, to, len } => {
                let (from, to) = of_others(from, to);
                Incident::Write { from, to, len: usize::from(len) }
            }
            Self::Move { device: one, place } => {
                Incident::Move { device: device(one), place: place.number() }
            }
            Self::Crash { device: one, point, gone_s } => {
                use CrashPoint::{BeforeCommit, BeforeWord, HalfSaid, Idle};
                let point = [BeforeCommit, BeforeWord, HalfSaid, Idle][usize::from(point) % 4];
                let gone_ms = u64::from(gone_s) * 1_000;
                Incident::Crash { device: device(one), point, gone_ms }
            }
            Self::Disk { device: one, full } => Incident::Disk { device: device(one), full },
            Self::Clock { device: one, offset_hours } => {
                let offset_ms = i64::from(offset_hours) * 3_600_000 / 2;
                Incident::Clock { device: device(one), offset_ms }
            }
            Self::Drift { device: one, drift } => {
                Incident::Drift { device: device(one), drift: drift.into() }
            }
            Self::Wall { from, to, stands } => {
                let (from, to) = of_others(from, to);
                Incident::Wall { from, to, stands }
            }
            Self::Cut { nth, after } => Incident::Cut { nth: nth.into(), after: after.into() },
            Self::Block { who, whom, blocked } => {
                let (who, whom) = of_others(who, whom);
                Incident::Block { who, whom, blocked }
            }
            Self::Cancel { device: one } => Incident::Cancel { device: device(one) },
            Self::Read { device: one } => Incident::Read { device: device(one) },
            Self::Relay { relay: one, is_up } => Incident::Relay { relay: relay(one)?, is_up },
            Self::RelayLoses { relay: one, last } => {
                let what = last.map_or(RelayLoss::All, |last| RelayLoss::Last(last.into()));
                Incident::RelayLoses { relay: relay(one)?, what }
            }
            Self::RelayLies { relay: one, lies } => {
                Incident::RelayLies { relay: relay(one)?, lies }
            }
        })
    }
}
