//! Plans without faults of their own kind, for figures: how many messages
//! arrive, how soon, and at what price.

use crate::dice::Dice;
use crate::plan::{Cards, Friends, Incident, Person, Plan, Then, WireKind};
use crate::sabotage::Sabotage;
use crate::time::{DAY, HOUR, MINUTE, Moment};

/// Places of a village that are not somebody's own: a market, a school, two wells.
const MARKETS: (usize, usize) = (1, 1);
const SCHOOLS: (usize, usize) = (2, 2);
const WELLS: (usize, usize) = (3, 4);

/// The name of each figure's scenario, and its plan.
pub fn scenarios(seed: u64) -> Vec<(&'static str, Plan)> {
    vec![
        ("LAN of 10, 1 h", lan(seed, 10)),
        ("LAN of 50, 1 h", lan(seed, 50)),
        ("village of 200, 7 days", village(seed)),
        ("relay, 3 days", apart(seed, &[])),
        ("relay down for a day", apart(seed, &[(DAY, false), (2 * DAY, true)])),
    ]
}

/// People in one network for an hour, each with up to ten contacts there.
pub fn lan(seed: u64, count: usize) -> Plan {
    let mut dice = Dice::branch(seed, 3);
    let people = vec![Person { place: Some(0), ..Person::default() }; count];
    let friends = circle(&mut dice, count, 10.min(count - 1));
    let mut plan = Plan { people, ..quiet(seed, friends, HOUR + 10 * MINUTE) };
    texts(&mut plan, &mut dice, count * 20, (5 * MINUTE, HOUR));
    plan
}

/// People who meet by chance: each day everybody goes to a well in the morning,
/// a third to school and most of the others to the market. Nobody has a relay, and at
/// home nobody has a network.
pub fn village(seed: u64) -> Plan {
    const COUNT: usize = 200;
    const DAYS: u64 = 7;
    let mut dice = Dice::branch(seed, 4);
    let friends = circle(&mut dice, COUNT, 12);
    let people = vec![Person::default(); COUNT];
    let mut plan = Plan { people, ..quiet(seed, friends, DAYS * DAY) };
    for day in 0..DAYS {
        for device in 0..COUNT {
            let mut go = |(first, last): (usize, usize), between: (u64, u64), stay: (u64, u64)| {
                let place = dice.between(first as u64..=last as u64);
                let at = day * DAY + dice.between(between.0..=between.1);
                let back = at + dice.between(stay.0..=stay.1);
                let place = Some(usize::try_from(place).unwrap_or(0));
                plan.incidents.push((Moment(at), Incident::Move { device, place }));
                plan.incidents.push((Moment(back), Incident::Move { device, place: None }));
            };
            go(WELLS, (6 * HOUR, 8 * HOUR), (5 * MINUTE, 30 * MINUTE));
            // The young go to school, the others to the market on most days.
            if device % 3 == 0 {
                go(SCHOOLS, (8 * HOUR + 40 * MINUTE, 9 * HOUR), (3 * HOUR, 4 * HOUR));
            } else if !(device as u64 + day).is_multiple_of(3) {
                go(MARKETS, (9 * HOUR, 11 * HOUR), (20 * MINUTE, 90 * MINUTE));
            }
        }
    }
    // Those of the last day have little time to arrive.
    texts(&mut plan, &mut dice, COUNT * 12, (0, (DAYS - 1) * DAY));
    plan
}

/// People who are never in one network, with one relay; and when that goes and
/// comes.
pub fn apart(seed: u64, relay: &[(u64, bool)]) -> Plan {
    const COUNT: usize = 10;
    let mut dice = Dice::branch(seed, 5);
    let friends = circle(&mut dice, COUNT, 6);
    let person = |place| Person { place: Some(place), relays: vec![0], ..Person::default() };
    let people = (0..COUNT).map(person).collect();
    let mut plan = Plan { people, relays: 1, ..quiet(seed, friends, 3 * DAY) };
    for &(at, is_up) in relay {
        plan.incidents.push((Moment(at), Incident::Relay { relay: 0, is_up }));
    }
    texts(&mut plan, &mut dice, 600, (HOUR, 3 * DAY - HOUR));
    plan
}

/// A plan in which nothing happens yet, and that ends as it is.
fn quiet(seed: u64, friends: Vec<Friends>, end: u64) -> Plan {
    Plan {
        seed,
        people: Vec::new(),
        relays: 0,
        friends,
        wire: WireKind::Frames,
        latency_ms: (1, 5),
        commit_ms: (1, 10),
        beacons_lost: 20,
        incidents: Vec::new(),
        heal_at: Moment(end),
        converged_by: Moment(end),
        then: Then::Measure,
        sabotage: Sabotage::None,
    }
}

/// Everybody knows their neighbours on a circle and some who are chosen at random,
/// `each` or a few more in all.
fn circle(dice: &mut Dice, count: usize, each: usize) -> Vec<Friends> {
    let mut pairs = std::collections::BTreeSet::new();
    let near = each.div_ceil(4);
    for a in 0..count {
        for step in 1..=near {
            let b = (a + step) % count;
            pairs.insert((a.min(b), a.max(b)));
        }
        for _ in 0..each.saturating_sub(2 * near) / 2 {
            let b = dice.index(count);
            pairs.insert((a.min(b), a.max(b)));
        }
    }
    let friends = pairs.into_iter().filter(|(a, b)| a != b);
    friends.map(|(a, b)| Friends { a, b, cards: Cards::Exchanged }).collect()
}

fn texts(plan: &mut Plan, dice: &mut Dice, count: usize, between: (u64, u64)) {
    for _ in 0..count {
        let pair = *dice.pick(&plan.friends);
        let (from, to) = if dice.chance(500) { (pair.a, pair.b) } else { (pair.b, pair.a) };
        let at = Moment(dice.between(between.0..=between.1));
        let len = usize::try_from(dice.between(40..=200)).unwrap_or(100);
        plan.incidents.push((at, Incident::Write { from, to, len }));
    }
    plan.incidents.sort_by_key(|(at, _)| *at);
}
