//! Between every write and every promise a completed sync, seen from outside.
//!
//! Both nodes run under strace. Whatever a node sends to its peer (`Ack`,
//! receipts, messages) or prints (answers, events) is a promise about its
//! store. So none may leave while the write-ahead log holds bytes that were not
//! synced, and whatever led to a write has to be followed by a sync before
//! anything leaves at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::child::{LOOPBACK, befriend, wait_delivered};
use super::{Build, Problem, scratch};

#[derive(Args)]
pub(crate) struct Options {
    /// Messages, one after the other
    #[arg(long, default_value_t = 50)]
    messages: usize,
    #[command(flatten)]
    build: Build,
}

pub(crate) fn run(options: &Options) -> Result<bool, Problem> {
    let program = options.build.program()?;
    let folder = scratch("syncs")?;
    let traces = [folder.path().join("alice.strace"), folder.path().join("bob.strace")];
    let alice = program.init(&folder.path().join("alice"), "alice", LOOPBACK)?;
    let bob = program.init(&folder.path().join("bob"), "bob", LOOPBACK)?;
    let mut a = program.run_under(&alice, &strace(&traces[0].display().to_string()))?;
    let mut b = program.run_under(&bob, &strace(&traces[1].display().to_string()))?;
    befriend((&mut a, &alice), (&mut b, &bob))?;
    for number in 0..options.messages {
        let text = format!("message {number}");
        let queued = a.request(json!({"do": "send", "to": "other", "text": text}))?;
        wait_delivered(&mut a, &queued["message_id"])?;
        // One message at a time: when it is delivered, both nodes are at rest.
        b.wait_for("the message", |line| line["message"]["text"] == *text)?;
    }
    a.stop()?;
    b.stop()?;
    let mut holds = true;
    for (who, path) in ["sender", "recipient"].into_iter().zip(&traces) {
        let seen = judge(path)?;
        println!(
            "{who:<10} {:>5} log writes, {:>5} syncs, {:>5} promises, {} before a sync",
            seen.writes,
            seen.syncs,
            seen.promises,
            seen.early.len()
        );
        for line in seen.early.iter().take(3) {
            println!("  early: {line}");
        }
        // Fewer would mean that the trace did not show what it is read for.
        let enough = seen.syncs >= options.messages && seen.promises >= options.messages;
        if !enough {
            println!("  the trace shows too little to judge");
        }
        holds &= seen.early.is_empty() && enough;
    }
    Ok(holds)
}

fn strace(output: &str) -> Vec<&str> {
    let calls = "trace=pwrite64,pwritev,fdatasync,fsync,write,writev,sendto,sendmsg";
    vec!["strace", "-f", "-y", "-qq", "-s", "48", "-e", calls, "-o", output]
}

#[derive(Default)]
struct Seen {
    writes: usize,
    syncs: usize,
    promises: usize,
    early: Vec<String>,
}

fn judge(path: &Path) -> Result<Seen, Problem> {
    let trace = fs::read_to_string(path)
        .map_err(|error| format!("{}: {error} (is strace installed?)", path.display()))?;
    let mut seen = Seen::default();
    let mut unsynced = false;
    let mut unfinished: BTreeMap<&str, &str> = BTreeMap::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap_or(("", line));
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, start);
            // What leaves has left when the call begins; a sync counts at its end.
            if !is_sync(start) {
                note(start, &mut unsynced, &mut seen);
            }
        } else if call.starts_with("<... ") {
            let start = unfinished.remove(thread).unwrap_or_default();
            if is_sync(start) && call.ends_with("= 0") {
                note(start, &mut unsynced, &mut seen);
            }
        } else if !is_sync(call) || call.ends_with("= 0") {
            note(call, &mut unsynced, &mut seen);
        }
    }
    Ok(seen)
}

fn is_sync(call: &str) -> bool {
    call.starts_with("fdatasync(") || call.starts_with("fsync(")
}

fn note(call: &str, unsynced: &mut bool, seen: &mut Seen) {
    let log = call.contains("store.sqlite-wal>");
    let promise = call.contains("TCP:[") || call.contains("socket:[") || call.contains("<pipe:[");
    if is_sync(call) {
        if log {
            seen.syncs += 1;
            *unsynced = false;
        }
    } else if call.starts_with("pwrite") || log {
        if log {
            seen.writes += 1;
            *unsynced = true;
        }
    } else if promise && !call.contains("pipe:[") || is_line(call) {
        seen.promises += 1;
        if *unsynced {
            seen.early.push(call.chars().take(120).collect());
        }
    }
}

/// A line of JSON on standard output.
fn is_line(call: &str) -> bool {
    call.starts_with("write(1<pipe:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(trace: &str) -> Seen {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("trace");
        fs::write(&path, trace).expect("written");
        judge(&path).expect("readable")
    }

    const WRITE: &str = "7 pwrite64(9</p/store.sqlite-wal>, \"\"..., 4096, 0) = 4096\n";
    const SYNC: &str = "7 fdatasync(9</p/store.sqlite-wal>) = 0\n";
    const SEND: &str = "8 sendto(12<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"\", 90, 0, NULL, 0) = 90\n";

    #[test]
    fn a_promise_after_the_sync_holds_and_one_before_does_not() {
        let good = judged(&[WRITE, SYNC, SEND].concat());
        assert_eq!((good.writes, good.syncs, good.promises, good.early.len()), (1, 1, 1, 0));
        let bad = judged(&[WRITE, SEND, SYNC].concat());
        assert_eq!(bad.early.len(), 1);
        let failed =
            judged(&[WRITE, "7 fdatasync(9</p/store.sqlite-wal>) = -1 EIO\n", SEND].concat());
        assert_eq!(failed.early.len(), 1);
    }

    #[test]
    fn a_sync_that_is_under_way_is_no_sync_yet() {
        let begun = "7 fdatasync(9</p/store.sqlite-wal> <unfinished ...>\n";
        let ended = "7 <... fdatasync resumed>) = 0\n";
        assert_eq!(judged(&[WRITE, begun, SEND, ended].concat()).early.len(), 1);
        assert_eq!(judged(&[WRITE, begun, ended, SEND].concat()).early.len(), 0);
    }
}
