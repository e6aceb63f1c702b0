//! Machines that are broken on purpose are found within fifty seeds.

use tortalk_sim::{Invariant, Keep, Sabotage, swarm};

/// What is found first.
fn found(sabotage: Sabotage) -> Option<Invariant> {
    (1..=50).find_map(|seed| {
        let outcome = tortalk_sim::run(&swarm::plan(seed, sabotage), Keep::Last);
        outcome.violation.map(|violation| violation.invariant)
    })
}

// req: GSP-01
#[test]
fn a_word_before_the_disk_is_found() {
    assert!(found(Sabotage::EarlyAck).is_some());
}

// req: GSP-27
#[test]
fn what_is_shown_twice_is_found() {
    assert_eq!(found(Sabotage::Double), Some(Invariant::OnceOnly));
}

// req: GSP-01
#[test]
fn what_is_not_written_is_found() {
    let word = [Some(Invariant::DiskBeforeWord), Some(Invariant::Evidence)];
    assert!(word.contains(&found(Sabotage::NoStore)));
}

// req: CAR-24
#[test]
fn a_carrier_that_keeps_nothing_is_found() {
    assert_eq!(found(Sabotage::NoCarry), Some(Invariant::DiskBeforeWord));
}

// req: CAR-03, CAR-04
#[test]
fn a_carrier_that_spreads_too_far_is_found() {
    assert_eq!(found(Sabotage::RaisesTtl), Some(Invariant::NoSpreadAtZero));
}

// req: DLV-01
#[test]
fn a_relay_that_forgets_is_found() {
    assert_eq!(found(Sabotage::RelayForgets), Some(Invariant::Evidence));
}
