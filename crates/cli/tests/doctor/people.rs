//! Alice, whose doctor is asked, and Bob, on one network.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use super::lan::{Host, Lan};
use crate::common::{Home, Outcome, PATIENCE, Profile, Running};

/// Failed dials, silent neighbours and their retries come together within this.
const CONVINCED: Duration = Duration::from_secs(90);

pub(crate) const HEALTHY: &str = "everything looks right";

/// Somebody at a machine.
pub(crate) struct Person<'h> {
    pub(crate) host: Host,
    pub(crate) profile: Profile<'h>,
}

impl<'h> Person<'h> {
    /// With the settings that a new profile has.
    pub(crate) fn new(home: &'h Home, lan: &Lan, name: &str, number: u8) -> Self {
        let profile = home.profile(name);
        let person = Self { host: lan.host(number), profile };
        person.settings("");
        person
    }

    pub(crate) fn settings(&self, text: &str) {
        fs::write(self.profile.dir.join("settings.toml"), text).unwrap();
    }

    pub(crate) fn start(&self) -> Running {
        self.host.start(&self.profile)
    }

    #[track_caller]
    pub(crate) fn doctor(&self) -> Outcome {
        self.host.run(&self.profile, &["doctor"])
    }

    #[track_caller]
    pub(crate) fn is_healthy(&self) {
        says(&self.doctor(), HEALTHY);
    }

    /// The doctor comes to say this, and ends with the code for it.
    #[track_caller]
    pub(crate) fn comes_to_say(&self, line: &str) {
        self.comes_to_say_one_of(&[line.to_owned()]);
    }

    /// What was wrong is over, and the doctor comes to see that, in the same set-up.
    #[track_caller]
    pub(crate) fn recovers(&self) {
        self.comes_to_say(HEALTHY);
    }

    /// The doctor comes to say one of these.
    #[track_caller]
    pub(crate) fn comes_to_say_one_of(&self, lines: &[String]) {
        let until = Instant::now() + CONVINCED;
        loop {
            let looks = self.doctor();
            let first = looks.stdout.lines().next();
            if let Some(line) = lines.iter().find(|line| first == Some(line)) {
                return says(&looks, line);
            }
            assert!(Instant::now() < until, "{lines:?} is not said: {}", looks.stdout);
        }
    }
}

/// This is the first line, and the exit code and everything else fit.
#[track_caller]
pub(crate) fn says(looks: &Outcome, line: &str) {
    assert_eq!(looks.stdout.lines().next(), Some(line), "{}", looks.stdout);
    let code = if line == HEALTHY { 0 } else { 1 };
    assert_eq!((looks.code, &*looks.stderr), (Some(code), ""), "{}", looks.stdout);
    assert_eq!(looks.stdout.contains("  WRONG "), line != HEALTHY, "{}", looks.stdout);
}

/// Alice and Bob are contacts on one network.
pub(crate) fn alice_and_bob<'h>(home: &'h Home, lan: &Lan) -> (Person<'h>, Person<'h>) {
    let alice = Person::new(home, lan, "alice", 1);
    let bob = Person::new(home, lan, "bob", 2);
    alice.profile.add(&bob.profile, "Bob");
    bob.profile.add(&alice.profile, "Alice");
    (alice, bob)
}

/// Starts both and waits until they are linked.
#[track_caller]
pub(crate) fn meet(alice: &Person<'_>, bob: &Person<'_>) -> (Running, Running) {
    let (mut of_alice, mut of_bob) = (alice.start(), bob.start());
    has_clocks(&mut of_alice, 1);
    has_clocks(&mut of_bob, 1);
    (of_alice, of_bob)
}

/// Waits until so many contacts are linked and have said their time. What is asked
/// for is known also when it came before anybody listened for events.
#[track_caller]
pub(crate) fn has_clocks(node: &mut Running, count: usize) {
    let until = Instant::now() + PATIENCE;
    loop {
        let seen = node.ask(json!({"do": "diagnose"}));
        if seen["ok"]["clocks"].as_array().unwrap().len() == count {
            return;
        }
        assert!(Instant::now() < until, "{seen}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// They meet and all is well; then both have ended.
#[track_caller]
pub(crate) fn met_in_health(alice: &Person<'_>, bob: &Person<'_>) {
    let (mut of_alice, mut of_bob) = meet(alice, bob);
    alice.is_healthy();
    assert_eq!((of_alice.stop(), of_bob.stop()), (Some(0), Some(0)));
}
