//! A clock that is a year off, either way.
//!
//! The program reads the clock through the C library, and `common::liar` stands
//! in front of that.

use crate::common::Home;
use crate::common::liar::{liar, run, start};

const YEAR_S: i64 = 365 * 24 * 3600;

/// Alice's clock is wrong from some time on; messages go both ways once, and
/// both are told.
fn both_ways(offset_s: i64, wrong_from_the_beginning: bool) {
    let home = Home::new();
    let Some(liar) = liar(home.path()) else { return };
    let (alice, bob) = (home.folder("alice"), home.profile("bob"));
    let first = if wrong_from_the_beginning { offset_s } else { 0 };
    run(&alice, &liar, first, &["init", "--name", "alice"]).ok();
    run(&alice, &liar, first, &["contacts", "add", &bob.address(), "--name", "Bob"]).ok();
    let address = run(&alice, &liar, first, &["address"]).ok().stdout;
    bob.run(&["contacts", "add", address.trim(), "--name", "Alice"]).ok();

    let mut of_bob = bob.start();
    alice.settings(&format!("peers = [\"127.0.0.1:{}\"]\n", of_bob.port));
    let mut of_alice = start(&alice, &liar, offset_s);
    let differs = of_alice.event("clock_differs");
    assert_eq!(differs["name"], "Bob");
    assert!((differs["offset_ms"].as_i64().unwrap() / 1000 + offset_s).abs() < 60, "{differs}");
    of_bob.event("clock_differs");
    assert_eq!(run(&alice, &liar, offset_s, &["send", "Bob", "hi"]).ok().stdout, "delivered\n");
    assert_eq!(bob.run(&["send", "Alice", "ho"]).ok().stdout, "delivered\n");
    assert_eq!(of_bob.event("received")["message"]["text"], "hi");
    assert_eq!(of_alice.event("received")["message"]["text"], "ho");
    assert_eq!((of_alice.stop(), of_bob.stop()), (Some(0), Some(0)));
    // Right again, and everything is as it was.
    assert_eq!(alice.json(&["history"]).len(), 2);
    assert_eq!(bob.json(&["history"]).len(), 2);
}

#[test]
fn a_year_ahead() {
    both_ways(YEAR_S, false);
}

#[test]
fn a_year_ahead_from_the_beginning() {
    both_ways(YEAR_S, true);
}

#[test]
fn a_year_behind() {
    both_ways(-YEAR_S, false);
}

#[test]
fn a_year_behind_from_the_beginning() {
    both_ways(-YEAR_S, true);
}

#[test]
fn doctor_finds_a_clock_that_is_behind() {
    let home = Home::new();
    let Some(liar) = liar(home.path()) else { return };
    let profile = home.profile("p");
    let looks = run(&profile, &liar, -YEAR_S, &["doctor"]);
    let first = "the clock is 365 days behind what was stored here: see whether it is right";
    // A clock before this program's first day is wrong beyond doubt.
    let doubtless = looks.stdout.contains("which is long ago: set it right");
    assert_eq!(looks.code, Some(1));
    assert!(doubtless || looks.stdout.lines().next() == Some(first), "{}", looks.stdout);
}
