//! Two people talk, each with processes of their own.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use common::{Home, PATIENCE, Profile, Running};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Two who have accepted each other; Bob's node runs and Alice's settings name
/// its port.
fn two(home: &Home) -> (Profile<'_>, Profile<'_>, Running) {
    let (alice, bob) = (home.profile("alice"), home.profile("bob"));
    alice.add(&bob, "Bob");
    bob.add(&alice, "Alice");
    let node = bob.start();
    alice.settings(&format!("peers = [\"127.0.0.1:{}\"]\n", node.port));
    (alice, bob, node)
}

#[test]
fn a_command_alone_delivers_and_says_so() {
    let home = Home::new();
    let (alice, bob, mut node) = two(&home);
    assert_eq!(alice.run(&["send", "Bob", "hello"]).ok().stdout, "delivered\n");
    let received = node.event("received");
    assert_eq!(received["message"]["text"], "hello");
    assert_eq!(received["message"]["name"], "Alice");
    let sent = &alice.json(&["send", "Bob", "again"])[0];
    assert_eq!(sent["state"], "delivered");
    assert_eq!(node.stop(), Some(0));
    // Once each, on both sides.
    for side in [&alice, &bob] {
        let texts: Vec<Value> =
            side.json(&["history"]).iter().map(|message| message["text"].clone()).collect();
        assert_eq!(texts, ["hello", "again"]);
    }
    assert!(alice.run(&["history"]).ok().stdout.contains("you → Bob: hello  [delivered]\n"));
    assert!(bob.run(&["history"]).ok().stdout.contains("Alice: hello\n"));
}

#[test]
fn what_was_queued_is_delivered_by_a_node_that_runs_later() {
    let home = Home::new();
    let (alice, _bob, node) = two(&home);
    alice.run(&["send", "Bob", "later", "--wait", "0"]).ok();
    let mut of_alice = alice.start();
    assert_eq!(node.event("received")["message"]["text"], "later");
    of_alice.line("delivery", |line| line["event"] == "state" && line["state"] == "delivered");
    assert_eq!(of_alice.stop(), Some(0));
}

#[test]
fn commands_beside_a_running_node_use_it() {
    let home = Home::new();
    let (alice, bob, mut node) = two(&home);
    let mut of_alice = alice.start();
    of_alice.event("peer_up");
    assert_eq!(alice.run(&["send", "bob", "one"]).ok().stdout, "delivered\n");
    assert_eq!(bob.run(&["send", "alice", "two"]).ok().stdout, "delivered\n");
    assert_eq!(of_alice.event("received")["message"]["text"], "two");
    let person = &alice.json(&["nearby"])[0];
    assert_eq!((&person["contact"], &person["identity"]), (&json!("Bob"), &json!(bob.identity())));
    let contact = &alice.json(&["contacts"])[0];
    assert_eq!((&contact["linked"], &contact["unread"]), (&json!(true), &json!(1)));
    assert_eq!(alice.json(&["status"])[0]["contacts_linked"], 1);
    // Both are still the nodes that they were.
    assert!(!of_alice.has_ended() && !node.has_ended());
    assert_eq!((of_alice.stop(), node.stop()), (Some(0), Some(0)));
    let ends = of_alice.rest();
    assert_eq!(ends.last().unwrap()["event"], "stopped");
}

#[test]
fn who_does_not_know_us_is_asked_and_decides() {
    let home = Home::new();
    let (alice, bob) = (home.profile("alice"), home.profile("bob"));
    let mut of_bob = bob.start();
    alice.settings(&format!("peers = [\"127.0.0.1:{}\"]\n", of_bob.port));
    let mut of_alice = alice.start();
    of_alice.event("peer_up");
    alice.run(&["add", &bob.address(), "--name", "Bob", "--text", "we met"]).ok();
    let asked = of_bob.event("contact_request");
    assert_eq!(asked["request"]["identity"], alice.identity());
    assert_eq!(asked["request"]["from"], "127.0.0.1");
    let shown = bob.run(&["requests"]).ok().stdout;
    let digits = alice.identity()[..16].to_owned();
    assert!(shown.starts_with(&format!("{digits}  stranger  ")), "{shown}");
    assert!(shown.ends_with("\n    we met\n"), "{shown}");
    assert_eq!(bob.json(&["requests", "list"])[0]["text"], "we met");
    assert_eq!(bob.json(&["contacts"]), [] as [Value; 0]);
    let accepted = bob.run(&["requests", "accept", &digits, "--name", "Alice"]).ok().stdout;
    assert_eq!(accepted, "Alice is a contact; they are told as soon as they can be reached\n");
    of_alice.line("delivery", |line| line["event"] == "state" && line["state"] == "delivered");
    assert_eq!(bob.run(&["requests"]).ok().stdout, "Nobody asks to be a contact\n");
    assert_eq!(bob.run(&["send", "Alice", "hello"]).ok().stdout, "delivered\n");
    let history = alice.run(&["history"]).ok().stdout;
    assert!(history.contains("you → Bob: (asked them to accept you) we met  [delivered]"));
    assert!(bob.run(&["history"]).ok().stdout.contains("Alice: (asked to be a contact) we met\n"));
    // Somebody else is turned down, and does not learn it.
    let carol = home.profile("carol");
    carol.settings(&format!("peers = [\"127.0.0.1:{}\"]\n", of_bob.port));
    let mut of_carol = carol.start();
    of_carol.event("peer_up");
    carol.run(&["add", &bob.address(), "--name", "Bob"]).ok();
    of_bob.event("contact_request");
    bob.run(&["requests", "decline", &carol.identity()]).ok();
    assert_eq!(bob.json(&["requests"]), [] as [Value; 0]);
    bob.run(&["contacts", "block", &carol.identity()]).ok();
    assert_eq!(bob.json(&["contacts"])[1]["standing"], "blocked");
    let unblocked = bob.run(&["contacts", "unblock", &carol.identity()]).ok().stdout;
    assert_eq!(unblocked, "They are not blocked any more\n");
    assert_eq!(bob.json(&["contacts"]).len(), 1);
    // Who is removed is a stranger, and what they know is of no use any more.
    let card = bob.run(&["contacts", "export-card"]).ok().stdout;
    assert_eq!(
        bob.run(&["contacts", "remove", "Alice"]).ok().stdout,
        "They are no contact any more; the others get your new card\n"
    );
    let gone = alice.identity();
    of_bob.line("removal", |line| line["event"] == "contact_removed" && line["identity"] == gone);
    assert_ne!(bob.run(&["contacts", "export-card"]).ok().stdout, card);
    assert_eq!(bob.json(&["contacts"]), [] as [Value; 0]);
    assert!(bob.run(&["history", &alice.identity()]).ok().stdout.contains("we met"));
    assert_eq!((of_alice.stop(), of_bob.stop(), of_carol.stop()), (Some(0), Some(0), Some(0)));
}

#[test]
fn a_program_drives_a_node_through_its_lines() {
    let home = Home::new();
    let (alice, bob, mut of_bob) = two(&home);
    alice.settings("");
    let mut of_alice = alice.start();
    let dialled = of_alice.ask(json!({"do":"dial","address":format!("127.0.0.1:{}", of_bob.port)}));
    assert_eq!(dialled["ok"]["identity"], bob.identity());
    let sent = of_alice.ask(json!({"do":"send","to":"bob","text":"hi"}));
    let id = sent["ok"]["message_id"].as_str().unwrap().to_owned();
    of_alice.line("delivery", |line| line["message_id"] == *id && line["state"] == "delivered");
    let message = of_alice.ask(json!({"do":"message","message_id":id}));
    let kinds: Vec<&Value> = message["ok"]["message"]["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|evidence| &evidence["kind"])
        .collect();
    assert_eq!(kinds, ["handed", "delivered"]);
    of_bob.event("received");
    assert_eq!(of_bob.ask(json!({"do":"status"}))["ok"]["unread"], 1);
    assert_eq!(of_bob.ask(json!({"do":"mark_read","message_id":id}))["ok"], json!({}));
    assert_eq!(of_bob.ask(json!({"do":"status"}))["ok"]["unread"], 0);
    assert_eq!(of_bob.ask(json!({"do":"fly"}))["error"]["kind"], "bad_request");
    of_bob.ask(json!({"do":"stop"}));
    assert_eq!(of_bob.wait(), Some(0));
    // The end of its input ends the node only where that was asked for.
    drop(of_alice.stdin.take());
    alice.run(&["status"]).ok();
    assert!(!of_alice.has_ended());
    of_alice.signal(Signal::INT);
    assert_eq!(of_alice.wait(), Some(0));
    let input = b"{\"id\":1,\"do\":\"address\"}\n";
    let answers = alice.run_with_input(&["run", "--json", "--until-eof"], input).ok().stdout;
    assert!(answers.lines().any(|line| line.contains("\"id\":1") && line.contains("mesh:")));
}

#[test]
fn a_node_ends_with_the_program_that_reads_its_events() {
    let home = Home::new();
    let bob = home.profile("bob");
    let mut command = bob.command(&["run", "--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut ready = String::new();
    stdout.read_line(&mut ready).unwrap();
    assert!(ready.contains("\"ready\""), "{ready}");
    // Nothing more is written that could fail: both ends just go away.
    drop((child.stdin.take(), stdout));
    common::Outcome::at_end_of(child).ok();
}

#[test]
fn a_log_of_a_headless_node_has_no_text_in_it() {
    let home = Home::new();
    let (alice, bob, mut node) = two(&home);
    assert_eq!(node.stop(), Some(0));
    let mut command = bob.command(&["run"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // Each look takes the profile for a moment, which the node waits for.
    let mut looks = std::iter::repeat_with(|| bob.json(&["status"]).remove(0)).take(1000);
    let status = looks.find(|status| status["running"] == true).expect("it runs some time");
    let port = &status["port"];
    alice.settings(&format!("peers = [\"127.0.0.1:{port}\"]\n"));
    alice.run(&["send", "Bob", "very", "secret"]).ok();
    bob.run(&["send", "Alice", "secret", "too", "--wait", "0"]).ok();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    let log = common::Outcome::at_end_of(child).ok().stdout;
    assert!(log.contains("message from Alice") && log.contains("ready on port"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn texts_of_others_do_nothing_to_a_terminal() {
    let home = Home::new();
    let (alice, bob, mut node) = two(&home);
    let text = "a\x1b[2J\u{9b}1m\u{202e}b\nc\r\x07d";
    alice.run(&["send", "Bob", text]).ok();
    assert_eq!(node.event("received")["message"]["text"], text);
    assert_eq!(node.stop(), Some(0));
    for arguments in [&["history"][..], &["history", "--json"]] {
        let shown = bob.run(arguments).ok().stdout;
        let harmless = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
        assert!(shown.chars().all(harmless), "{shown:?}");
        assert!(shown.contains('a') && shown.contains('d'));
    }
    assert_eq!(bob.json(&["history"])[0]["text"], text);
}

#[test]
fn chat_by_lines_delivers_before_it_ends() {
    let home = Home::new();
    let (alice, bob, mut node) = two(&home);
    bob.run(&["send", "Alice", "before", "--wait", "0"]).ok();
    let said = alice.run_with_input(&["chat", "Bob"], b"one\n\n//two\n/help\n").ok().stdout;
    for part in ["you → Bob: one  [", "you → Bob: /two  [", "[delivered] one\n", "Enter sends."]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(node.event("received")["message"]["text"], "one");
    assert_eq!(node.event("received")["message"]["text"], "/two");
    // What was shown is read.
    alice.run(&["chat", "Bob"]).ok();
    assert_eq!(alice.json(&["status"])[0]["unread"], 0);
    assert_eq!(node.stop(), Some(0));
    assert_eq!(alice.run(&["chat", "nobody"]).code, Some(5));
}

#[test]
fn chat_on_a_terminal_draws_states_in_their_place() {
    use rustix::pty::{OpenptFlags, grantpt, ptsname, unlockpt};
    let home = Home::new();
    let (alice, _bob, mut node) = two(&home);
    let mut of_alice = alice.start();
    of_alice.event("peer_up");

    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs =
        || std::fs::OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let size = rustix::termios::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&ours, size).unwrap();
    let before = rustix::termios::tcgetattr(&ours).unwrap();
    let mut command = alice.command(&["chat", "Bob", "--color", "never"]);
    command.env("TERM", "xterm").stdin(theirs()).stdout(theirs()).stderr(theirs());
    let mut child = command.spawn().unwrap();
    drop(command);

    let mut terminal = Terminal::new(ours);
    terminal.shows("> ");
    terminal.types("hellp\x7fo wörld\r".as_bytes());
    terminal.shows("hello wörld  [delivered]");
    // What is written in another window stands here too.
    alice.run(&["send", "Bob", "from elsewhere"]).ok();
    terminal.shows("from elsewhere  [");
    terminal.types(b"/quit\r");
    assert_eq!(common::ends(&mut child), Some(0));
    // The state was drawn over the one before: the row was gone back to.
    assert!(terminal.seen.contains("\x1b[1A\x1b[J"), "{:?}", terminal.seen);
    assert_eq!(node.event("received")["message"]["text"], "hello wörld");
    let after = rustix::termios::tcgetattr(&terminal.ours).unwrap();
    assert_eq!(before.local_modes, after.local_modes);
    assert_eq!((of_alice.stop(), node.stop()), (Some(0), Some(0)));
}

/// The other end of a pseudo-terminal.
struct Terminal {
    ours: std::fs::File,
    seen: String,
}

impl Terminal {
    fn new(ours: std::os::fd::OwnedFd) -> Self {
        Self { ours: ours.into(), seen: String::new() }
    }

    fn types(&mut self, keys: &[u8]) {
        self.ours.write_all(keys).unwrap();
    }

    fn shows(&mut self, text: &str) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let until = std::time::Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            assert!(std::time::Instant::now() < until, "no {text:?} in {:?}", self.seen);
            let second = Timespec::try_from(Duration::from_secs(1)).unwrap();
            let mut fds = [PollFd::new(&self.ours, PollFlags::IN)];
            if poll(&mut fds, Some(&second)).unwrap() == 0 {
                continue;
            }
            let mut bytes = [0; 4096];
            let read = self.ours.read(&mut bytes).unwrap();
            // A character that is cut in two is not looked for.
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }
}
