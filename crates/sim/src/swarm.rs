//! Plans with a mix of faults drawn from a seed.
//!
//! Each kind of fault is in about half of the plans, so that there are plans
//! with one kind alone and plans with nearly all.

use crate::dice::Dice;
use crate::plan::{
    Cards, CrashPoint, Friends, Incident, Lie, Person, Plan, RelayLoss, Then, WireKind,
};
use crate::sabotage::Sabotage;
use crate::time::{DAY, HOUR, MINUTE, Moment, SECOND};

/// The plan of a seed.
pub fn plan(seed: u64, sabotage: Sabotage) -> Plan {
    let mut dice = Dice::branch(seed, 2);
    let count = usize::try_from(dice.between(2..=9)).unwrap_or(2);
    let places = dice.between(1..=3);
    let most = *dice.pick(&[6 * HOUR, 2 * DAY, 2 * DAY, 5 * DAY]);
    let heal_at = dice.between(HOUR..=most);
    let relays = if dice.chance(500) { dice.index(2) + 1 } else { 0 };
    let mut drawn = Drawn { dice, count, places, relays, heal_at, incidents: Vec::new() };
    let people = drawn.people();
    let friends = drawn.friends();
    drawn.texts(&friends);
    drawn.faults(&friends);
    let Drawn { mut dice, mut incidents, .. } = drawn;
    incidents.sort_by_key(|(at, _)| *at);
    let wire = if dice.chance(150) { WireKind::Bytes } else { WireKind::Frames };
    let slow = *dice.pick(&[5, 50, 800]);
    Plan {
        seed,
        relays,
        people,
        friends,
        wire,
        latency_ms: (1, slow),
        commit_ms: (0, *dice.pick(&[2, 20, 200])),
        beacons_lost: if dice.chance(500) { dice.below(700) } else { 0 },
        incidents,
        heal_at: Moment(heal_at),
        converged_by: Moment(heal_at + 4 * DAY),
        then: Then::Expire,
        sabotage,
    }
}

struct Drawn {
    dice: Dice,
    count: usize,
    places: u64,
    relays: usize,
    heal_at: u64,
    incidents: Vec<(Moment, Incident)>,
}

impl Drawn {
    fn people(&mut self) -> Vec<Person> {
        let wrong = self.dice.chance(300);
        let liars = self.dice.chance(400);
        let people = (0..self.count).map(|_| Person {
            place: self.place(),
            clock_offset_ms: if wrong { self.offset_ms() } else { 0 },
            drift: 0,
            lie: if liars { self.lie() } else { None },
            read_receipts: self.dice.chance(500),
            relays: self.own_relays(),
        });
        people.collect()
    }

    /// Somebody among others who lie.
    fn lie(&mut self) -> Option<Lie> {
        let lies = [Lie::Forgets, Lie::Keeps, Lie::Corrupts, Lie::Replays, Lie::Junk];
        let lie = *self.dice.pick(&lies);
        self.dice.chance(400).then_some(lie)
    }

    fn own_relays(&mut self) -> Vec<usize> {
        (0..self.relays).filter(|_| self.dice.chance(700)).collect()
    }

    /// Everybody knows somebody; more pairs are drawn.
    fn friends(&mut self) -> Vec<Friends> {
        let mut friends = Vec::new();
        for b in 1..self.count {
            for a in 0..b {
                let must = a + 1 == b;
                if must || self.dice.chance(600) {
                    let later = self.dice.chance(300);
                    let cards = if later { Cards::Later } else { Cards::Exchanged };
                    friends.push(Friends { a, b, cards });
                }
            }
        }
        friends
    }

    fn texts(&mut self, friends: &[Friends]) {
        let count = self.dice.between(5..=60);
        for _ in 0..count {
            let pair = *self.dice.pick(friends);
            let (from, to) =
                if self.dice.chance(500) { (pair.a, pair.b) } else { (pair.b, pair.a) };
            let at = self.moment();
            let burst = if self.dice.chance(60) { self.dice.between(2..=40) } else { 1 };
            for _ in 0..burst {
                let len = match self.dice.below(20) {
                    0 => self.dice.between(1_000..=60_000),
                    _ => self.dice.between(40..=300),
                };
                let len = usize::try_from(len).unwrap_or(100);
                self.incidents.push((at, Incident::Write { from, to, len }));
            }
        }
    }

    fn faults(&mut self, friends: &[Friends]) {
        let kinds: [fn(&mut Self, &[Friends]); 13] = [
            Self::moves,
            Self::crashes,
            Self::full_disks,
            Self::clocks,
            Self::walls,
            Self::cuts,
            Self::blocks,
            Self::cancels,
            Self::reads,
            Self::away,
            Self::relays_down,
            Self::relays_lose,
            Self::relays_lie,
        ];
        for kind in kinds {
            if self.dice.chance(500) {
                kind(self, friends);
            }
        }
    }

    fn moves(&mut self, _: &[Friends]) {
        for _ in 0..self.many(30) {
            let (device, place) = (self.device(), self.place());
            let at = self.moment();
            self.incidents.push((at, Incident::Move { device, place }));
        }
    }

    fn crashes(&mut self, _: &[Friends]) {
        use CrashPoint::{BeforeCommit, BeforeWord, HalfSaid, Idle};
        for _ in 0..self.many(25) {
            let (device, at) = (self.device(), self.moment());
            let point = *self.dice.pick(&[BeforeCommit, BeforeWord, HalfSaid, Idle]);
            let gone_ms = self.short();
            self.incidents.push((at, Incident::Crash { device, point, gone_ms }));
        }
    }

    /// Devices that are off for long.
    fn away(&mut self, _: &[Friends]) {
        for _ in 0..self.many(4) {
            let (device, at) = (self.device(), self.moment());
            let gone_ms = self.dice.between(HOUR..=2 * DAY);
            let point = CrashPoint::Idle;
            self.incidents.push((at, Incident::Crash { device, point, gone_ms }));
        }
    }

    fn full_disks(&mut self, _: &[Friends]) {
        for _ in 0..self.many(8) {
            let (device, at) = (self.device(), self.moment());
            self.incidents.push((at, Incident::Disk { device, full: true }));
            let back = at + self.short();
            self.incidents.push((back, Incident::Disk { device, full: false }));
        }
    }

    fn clocks(&mut self, _: &[Friends]) {
        for _ in 0..self.many(6) {
            let (device, at) = (self.device(), self.moment());
            if self.dice.chance(300) {
                let drift = i64::try_from(self.dice.below(400)).unwrap_or(0) - 200;
                self.incidents.push((at, Incident::Drift { device, drift }));
                continue;
            }
            let offset_ms = self.offset_ms();
            self.incidents.push((at, Incident::Clock { device, offset_ms }));
            if self.dice.chance(500) {
                let back = at + self.short();
                self.incidents.push((back, Incident::Clock { device, offset_ms: 0 }));
            }
        }
    }

    fn walls(&mut self, _: &[Friends]) {
        for _ in 0..self.many(12) {
            let (from, to, at) = (self.device(), self.device(), self.moment());
            let long = self.dice.chance(300);
            let back = at + if long { self.dice.between(HOUR..=DAY) } else { self.short() };
            let one_way = self.dice.chance(500);
            for (from, to) in [(from, to), (to, from)].into_iter().take(if one_way { 1 } else { 2 })
            {
                self.incidents.push((at, Incident::Wall { from, to, stands: true }));
                self.incidents.push((back, Incident::Wall { from, to, stands: false }));
            }
        }
    }

    fn cuts(&mut self, _: &[Friends]) {
        for _ in 0..self.many(60) {
            let (nth, at) = (self.dice.next(), self.moment());
            let after = u32::try_from(self.dice.below(12)).unwrap_or(0);
            self.incidents.push((at, Incident::Cut { nth, after }));
        }
    }

    fn blocks(&mut self, friends: &[Friends]) {
        for _ in 0..self.many(5) {
            let pair = *self.dice.pick(friends);
            let (who, whom) =
                if self.dice.chance(500) { (pair.a, pair.b) } else { (pair.b, pair.a) };
            let at = self.moment();
            self.incidents.push((at, Incident::Block { who, whom, blocked: true }));
            let back = at + self.short();
            self.incidents.push((back, Incident::Block { who, whom, blocked: false }));
        }
    }

    fn cancels(&mut self, _: &[Friends]) {
        for _ in 0..self.many(4) {
            let (device, at) = (self.device(), self.moment());
            self.incidents.push((at, Incident::Cancel { device }));
        }
    }

    fn reads(&mut self, _: &[Friends]) {
        for _ in 0..self.many(20) {
            let (device, at) = (self.device(), self.moment());
            self.incidents.push((at, Incident::Read { device }));
        }
    }

    fn relays_down(&mut self, _: &[Friends]) {
        for _ in 0..self.many(4) {
            let Some(relay) = self.relay() else { return };
            let at = self.moment();
            self.incidents.push((at, Incident::Relay { relay, is_up: false }));
            let long = self.dice.chance(300);
            let back = at + if long { DAY } else { self.short() };
            self.incidents.push((back, Incident::Relay { relay, is_up: true }));
        }
    }

    fn relays_lose(&mut self, _: &[Friends]) {
        for _ in 0..self.many(3) {
            let Some(relay) = self.relay() else { return };
            let at = self.moment();
            let last = self.dice.index(30) + 1;
            let all = self.dice.chance(300);
            let what = if all { RelayLoss::All } else { RelayLoss::Last(last) };
            self.incidents.push((at, Incident::RelayLoses { relay, what }));
        }
    }

    fn relays_lie(&mut self, _: &[Friends]) {
        let Some(relay) = self.relay() else { return };
        let at = self.moment();
        self.incidents.push((at, Incident::RelayLies { relay, lies: true }));
        let back = at + self.short();
        self.incidents.push((back, Incident::RelayLies { relay, lies: false }));
    }

    fn relay(&mut self) -> Option<usize> {
        (self.relays > 0).then(|| self.dice.index(self.relays))
    }

    fn many(&mut self, most: u64) -> u64 {
        self.dice.between(1..=most)
    }

    fn device(&mut self) -> usize {
        self.dice.index(self.count)
    }

    fn place(&mut self) -> Option<usize> {
        // One more than there are is nowhere.
        let place = self.dice.below(self.places + 1);
        (place < self.places).then(|| usize::try_from(place).unwrap_or(0))
    }

    fn moment(&mut self) -> Moment {
        Moment(self.dice.below(self.heal_at))
    }

    fn short(&mut self) -> u64 {
        match self.dice.below(3) {
            0 => self.dice.between(1..=2 * SECOND),
            1 => self.dice.between(SECOND..=2 * MINUTE),
            _ => self.dice.between(MINUTE..=3 * HOUR),
        }
    }

    /// From minutes to years, both ways.
    fn offset_ms(&mut self) -> i64 {
        let most = *self.dice.pick(&[10 * MINUTE, 5 * HOUR, 3 * DAY, 40 * DAY, 800 * DAY]);
        let offset = i64::try_from(self.dice.below(most)).unwrap_or(0);
        if self.dice.chance(500) { offset } else { -offset }
    }
}
