//! A clock that is a year off, either way.
//!
//! The program reads the clock through the C library, and a small library in
//! front of that lies to it. So what is tested is the program as it is, without
//! a hook in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::disk::skipped;
use crate::common::{Home, Outcome, Profile, Running};

const YEAR_S: i64 = 365 * 24 * 3600;

const LIAR: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long long offset(void) {
    const char *text = getenv("TEST_CLOCK_OFFSET_S");
    return text ? atoll(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += offset();
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(now, zone);
    if (result == 0)
        now->tv_sec += offset();
    return result;
}

time_t time(time_t *now) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (now)
        *now = at.tv_sec;
    return at.tv_sec;
}
"#;

/// The library, or `None` where the C library cannot be stood in front of.
fn liar(dir: &Path) -> Option<PathBuf> {
    let (source, library) = (dir.join("liar.c"), dir.join("liar.so"));
    fs::write(&source, LIAR).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output();
    let works = compiled.is_ok_and(|output| output.status.success()) && {
        let mut date = Command::new("date");
        date.arg("+%Y").env("LD_PRELOAD", &library).env("TEST_CLOCK_OFFSET_S", "-1000000000");
        let year =
            date.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        year.and_then(|year| year.trim().parse::<u32>().ok()).is_some_and(|year| year < 2020)
    };
    if !works {
        skipped("clock a year off", "no library can be put in front of the C library here");
    }
    works.then_some(library)
}

fn lied_to(mut command: Command, liar: &Path, offset_s: i64) -> Command {
    command.env("LD_PRELOAD", liar).env("TEST_CLOCK_OFFSET_S", offset_s.to_string());
    command
}

fn run(profile: &Profile<'_>, liar: &Path, offset_s: i64, arguments: &[&str]) -> Outcome {
    Outcome::of(lied_to(profile.command(arguments), liar, offset_s))
}

fn start(profile: &Profile<'_>, liar: &Path, offset_s: i64) -> Running {
    Running::start(lied_to(profile.command(&["run", "--json"]), liar, offset_s))
}

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
    let first = "it is 365 days behind what was stored here: see whether it is right";
    // A clock before this program's first day is wrong beyond doubt.
    let doubtless = looks.stdout.contains("which is long ago: set the clock right");
    assert_eq!(looks.code, Some(1));
    assert!(doubtless || looks.stdout.lines().next() == Some(first), "{}", looks.stdout);
}
