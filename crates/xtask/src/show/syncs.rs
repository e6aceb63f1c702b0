//! Between every write and every promise a completed sync, seen from outside.
//!
//! Both nodes run under strace. Whatever a node sends to its peer (`Ack`,
//! receipts, messages) or prints (answers, events) is a promise about its
//! store. So none may leave while the write-ahead log holds bytes that were not
//! synced, and between what came in (a request to send, an envelope) and what
//! leaves next there has to be a sync. One message is under way at a time, so
//! what leaves is about what came in.

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
    let (mut a, mut b) = (program.run(&alice)?, program.run(&bob)?);
    befriend((&mut a, &alice), (&mut b, &bob))?;
    a.stop()?;
    b.stop()?;
    let mut a = program.run_under(&alice, &strace(&traces[0].display().to_string()))?;
    let mut b = program.run_under(&bob, &strace(&traces[1].display().to_string()))?;
    a.wait_for("the link", |line| line["event"] == "peer_up")?;
    b.wait_for("the link", |line| line["event"] == "peer_up")?;
    // What a new link says first follows from nothing that is stored. It is over
    // when a message is through; then the judging begins.
    let queued = a.request(json!({"do": "send", "to": "other", "text": "before"}))?;
    wait_delivered(&mut a, &queued["message_id"])?;
    for node in [&mut a, &mut b] {
        node.request(json!({"do": MARK}))?;
    }
    for number in 0..options.messages {
        let text = format!("message {number}");
        let queued = a.request(json!({"do": "send", "to": "other", "text": text}))?;
        wait_delivered(&mut a, &queued["message_id"])?;
        b.wait_for("the message", |line| line["message"]["text"] == *text)?;
        // Answered between two commits: then both nodes are at rest.
        a.request(json!({"do": "status"}))?;
        b.request(json!({"do": "status"}))?;
    }
    a.stop()?;
    b.stop()?;
    let mut holds = true;
    for (who, path) in ["sender", "recipient"].into_iter().zip(&traces) {
        let seen = judge(path)?;
        println!(
            "{who:<10} {:>5} inputs, {:>5} log writes, {:>5} syncs, {:>5} promises, {} too early",
            seen.inputs,
            seen.writes,
            seen.syncs,
            seen.promises,
            seen.early.len()
        );
        for line in seen.early.iter().take(3) {
            println!("  early: {line}");
        }
        // Fewer would mean that the trace did not show what it is read for.
        let seen_enough = |count: usize| count >= options.messages;
        let enough = [seen.inputs, seen.syncs, seen.promises].into_iter().all(seen_enough);
        if !enough {
            println!("  the trace shows too little to judge");
        }
        holds &= seen.early.is_empty() && enough;
    }
    Ok(holds)
}

fn strace(output: &str) -> Vec<&str> {
    let calls = "trace=pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg,read,recvfrom";
    vec!["strace", "-f", "-yy", "-qq", "-s", "48", "-e", calls, "-o", output]
}

#[derive(Default)]
struct Seen {
    inputs: usize,
    writes: usize,
    syncs: usize,
    promises: usize,
    early: Vec<String>,
}

/// A request that changes nothing; the trace is judged from it on.
const MARK: &str = "nearby";
/// Less than the smallest envelope, more than anything else that is sent here.
const ENVELOPE_MIN: i64 = 1000;

/// What one node's trace says.
fn judge(path: &Path) -> Result<Seen, Problem> {
    let trace = fs::read_to_string(path)
        .map_err(|error| format!("{}: {error} (is strace installed?)", path.display()))?;
    let mut judge = Judge::default();
    let mut unfinished: BTreeMap<&str, &str> = BTreeMap::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap_or(("", line));
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, start);
            // What leaves has left when the call begins; all else counts at its end.
            if leaves(start) {
                judge.note(start, "");
            }
        } else if call.starts_with("<... ") {
            let start = unfinished.remove(thread).unwrap_or_default();
            if !leaves(start) {
                judge.note(start, call);
            }
        } else {
            judge.note(call, call);
        }
    }
    Ok(judge.seen)
}

/// Whether a call takes something out of the process: to the peer or to whoever
/// reads its output.
fn leaves(call: &str) -> bool {
    let writes = ["write(", "writev(", "sendto(", "sendmsg("];
    let to_peer = call.contains("<TCP") || call.contains("<socket:");
    writes.iter().any(|name| call.starts_with(name))
        && (to_peer || call.starts_with("write(1<pipe:"))
}

#[derive(Default)]
struct Judge {
    /// The mark was seen.
    begun: bool,
    /// The log holds bytes that were not synced.
    unsynced: bool,
    /// Something came in that has to be stored before anything leaves.
    owed: bool,
    seen: Seen,
}

impl Judge {
    /// A call and the end of it, with its result.
    fn note(&mut self, call: &str, end: &str) {
        let result = end.rsplit("= ").next().and_then(|text| text.split(' ').next());
        let result: i64 = result.and_then(|text| text.parse().ok()).unwrap_or(-1);
        let log = call.contains("store.sqlite-wal>");
        if !self.begun {
            self.begun = call.starts_with("read(0<pipe:") && end.contains(MARK);
        } else if call.starts_with("pwrite64(") && log {
            self.seen.writes += 1;
            self.unsynced = true;
        } else if (call.starts_with("fdatasync(") || call.starts_with("fsync(")) && log {
            if result == 0 {
                self.seen.syncs += 1;
                (self.unsynced, self.owed) = (false, false);
            }
        } else if leaves(call) {
            self.seen.promises += 1;
            if self.unsynced || self.owed {
                self.seen.early.push(call.chars().take(120).collect());
            }
        } else if comes_in(call, end, result) {
            self.seen.inputs += 1;
            self.owed = true;
        }
    }
}

/// Whether a call brought a request to send, or bytes enough for an envelope.
fn comes_in(call: &str, end: &str, result: i64) -> bool {
    // What was read stands at the end of a call that had to wait.
    let request = call.starts_with("read(0<pipe:") && end.contains("send");
    let envelope = call.starts_with("recvfrom(") && call.contains("<TCP") && result > ENVELOPE_MIN;
    request || envelope
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(trace: &str) -> Seen {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("trace");
        fs::write(&path, [BEGIN, trace].concat()).expect("written");
        judge(&path).expect("readable")
    }

    const BEGIN: &str = "6 read(0<pipe:[1]>, \"{\\\"do\\\":\\\"nearby\\\"\", 8192) = 25\n";
    const WRITE: &str = "7 pwrite64(9</p/store.sqlite-wal>, \"\"..., 4096, 0) = 4096\n";
    const SYNC: &str = "7 fdatasync(9</p/store.sqlite-wal>) = 0\n";
    const COMES: &str =
        "8 recvfrom(12<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"\", 65536, 0, NULL, NULL) = 1530\n";
    const SEND: &str = "8 sendto(12<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"\", 90, 0, NULL, 0) = 90\n";

    #[test]
    fn a_promise_after_the_sync_holds_and_one_before_does_not() {
        let good = judged(&[WRITE, SYNC, SEND].concat());
        assert_eq!((good.writes, good.syncs, good.promises, good.early.len()), (1, 1, 1, 0));
        let bad = judged(&[WRITE, SEND, SYNC].concat());
        assert_eq!(bad.early.len(), 1);
        let too_soon = judged(&[COMES, SEND, WRITE, SYNC].concat());
        assert_eq!(too_soon.early.len(), 1, "nothing was stored in between");
        let in_order = judged(&[COMES, WRITE, SYNC, SEND].concat());
        assert_eq!(in_order.early.len(), 0);
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
