//! From the request to the recipient's receipt: sealed, signed, durable at both
//! ends, and back.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::child::{LOOPBACK, befriend, wait_delivered};
use super::disk::Disk;
use super::table::{against, ms, percentile};
use super::{Build, Problem, scratch};

#[derive(Args)]
pub(crate) struct Options {
    /// Messages, one after the other
    #[arg(long, default_value_t = 200)]
    messages: usize,
    #[command(flatten)]
    build: Build,
}

pub(crate) fn run(options: &Options) -> Result<bool, Problem> {
    let program = options.build.program()?;
    let folder = scratch("latency")?;
    let alice = program.init(&folder.path().join("alice"), "alice", LOOPBACK)?;
    let bob = program.init(&folder.path().join("bob"), "bob", LOOPBACK)?;
    let mut a = program.run(&alice)?;
    let mut b = program.run(&bob)?;
    befriend((&mut a, &alice), (&mut b, &bob))?;
    let mut disk = Disk::new(folder.path())?;
    let mut samples = Vec::new();
    for number in 0..options.messages {
        // The disk's mood is measured between the messages, in the same run.
        disk.sample()?;
        let text = format!("message {number}: two lines at most, as people write them");
        let started = Instant::now();
        let queued = a.request(json!({"do": "send", "to": "other", "text": text}))?;
        wait_delivered(&mut a, &queued["message_id"])?;
        samples.push(started.elapsed());
        b.drain();
    }
    a.stop()?;
    b.stop()?;
    let sync = percentile(&disk.samples, 50);
    println!("{} messages; fdatasync of 4 KiB: p50 {}", samples.len(), ms(sync));
    let limit = Duration::from_millis(2) + 6 * sync;
    let holds = against("enter to delivered, p50", percentile(&samples, 50), limit);
    println!("{:<28} {:>12}", "enter to delivered, p99", ms(percentile(&samples, 99)));
    Ok(holds)
}
