//! A library in front of the C library that lies about the time: the program is
//! tested as it is, without a hook in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::skip::skipped;
use super::{Outcome, Profile, Running};

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
pub(crate) fn liar(dir: &Path) -> Option<PathBuf> {
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

pub(crate) fn lied_to(mut command: Command, liar: &Path, offset_s: i64) -> Command {
    command.env("LD_PRELOAD", liar).env("TEST_CLOCK_OFFSET_S", offset_s.to_string());
    command
}

pub(crate) fn run(
    profile: &Profile<'_>,
    liar: &Path,
    offset_s: i64,
    arguments: &[&str],
) -> Outcome {
    Outcome::of(lied_to(profile.command(arguments), liar, offset_s))
}

pub(crate) fn start(profile: &Profile<'_>, liar: &Path, offset_s: i64) -> Running {
    Running::start(lied_to(profile.command(&["run", "--json"]), liar, offset_s))
}
