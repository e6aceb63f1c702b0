//! Faults of the machine itself: port, clock, disk, process.

use std::fs;

use rustix::process::Signal;

use super::lan::Lan;
use super::people::{HEALTHY, Person, alice_and_bob, has_clocks, says};
use super::table::first_line;
use crate::common::disk::Disk;
use crate::common::liar::{liar, lied_to};
use crate::common::{Home, Outcome, Running};

const YEAR_S: i64 = 365 * 24 * 3600;

#[test]
fn port_taken() {
    let Some(lan) = Lan::new("port taken") else { return };
    let home = Home::new();
    let alice = Person::new(&home, &lan, "alice", 1);
    alice.settings("[network]\ntcp_port = 47777\n");
    alice.is_healthy();
    let other = home.profile("other");
    fs::write(other.dir.join("settings.toml"), "[network]\ntcp_port = 47777\n").unwrap();
    let mut node = alice.host.start(&other);
    let by = format!("process {} (tortalk)", node.pid());
    alice.comes_to_say(&first_line("port taken", &[("port", "47777"), ("process", &by)]));
    assert_eq!(node.stop(), Some(0));
    alice.is_healthy();
}

#[test]
fn a_year_off() {
    let Some(lan) = Lan::new("clock a year off") else { return };
    let home = Home::new();
    let Some(liar) = liar(home.path()) else { return };
    let (alice, bob) = alice_and_bob(&home, &lan);
    let carol = Person::new(&home, &lan, "carol", 3);
    alice.profile.add(&carol.profile, "Carol");
    carol.profile.add(&alice.profile, "Alice");
    let command = |arguments: &[&str], offset_s| {
        let command = alice.host.command(&alice.profile.command(arguments));
        lied_to(command, &liar, offset_s)
    };
    let _of_bob = bob.start();
    let mut of_carol = None;
    for (offset_s, others, line) in [
        (0, "", HEALTHY.to_owned()),
        (YEAR_S, "one", one_year("ahead of")),
        (-YEAR_S, "one", one_year("behind")),
        (0, "two", HEALTHY.to_owned()),
        (YEAR_S, "two", two_years("ahead of")),
        (-YEAR_S, "two", two_years("behind")),
    ] {
        if others == "two" && of_carol.is_none() {
            of_carol = Some(carol.start());
        }
        let mut node = Running::start(command(&["run", "--json"], offset_s));
        has_clocks(&mut node, if of_carol.is_some() { 2 } else { 1 });
        says(&Outcome::of(command(&["doctor"], offset_s)), &line);
        assert_eq!(node.stop(), Some(0));
    }
}

fn one_year(way: &str) -> String {
    let values = [("span", "365 days"), ("way", way), ("whose", "Bob")];
    first_line("clock a year off, with one witness", &values)
}

fn two_years(way: &str) -> String {
    let values = [("span", "365 days"), ("way", way), ("count", "2")];
    first_line("clock a year off", &values)
}

#[test]
fn full_disk() {
    let Some(lan) = Lan::new("full disk") else { return };
    let Some(disk) = Disk::new("full disk", "size=80m") else { return };
    let home = Home::new();
    let host = lan.host(1);
    let profile = disk.profile(&home);
    fs::remove_file(profile.dir.join("settings.toml")).unwrap();
    host.run(&profile, &["init"]).ok();
    let alice = Person { host, profile };
    alice.is_healthy();
    let ballast = disk.fill();
    let line = first_line("full disk", &[("free", "0")]);
    alice.comes_to_say(&line);
    fs::remove_file(&ballast).unwrap();
    let _node = alice.start();
    alice.is_healthy();
    let ballast = disk.fill();
    alice.comes_to_say(&line);
    fs::remove_file(&ballast).unwrap();
    alice.recovers();
}

#[test]
fn second_process() {
    let Some(lan) = Lan::new("second process") else { return };
    let home = Home::new();
    let alice = Person::new(&home, &lan, "alice", 1);
    let mut node = alice.start();
    alice.is_healthy();
    let who = format!("process {} (tortalk)", node.pid());
    let line = first_line("second process", &[("process", &who)]);
    node.signal(Signal::STOP);
    alice.comes_to_say(&line);
    node.signal(Signal::CONT);
    alice.is_healthy();
    // Nor does one that cannot be found.
    fs::remove_file(alice.profile.dir.join("control.sock")).unwrap();
    alice.comes_to_say(&line);
    assert_eq!(node.stop(), Some(0));
    alice.is_healthy();
}
