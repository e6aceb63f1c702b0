//! The program itself, against targets that are known to be right, wrong or nothing at all.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread;

use conformance::stack::link::{End, Who};
use conformance::stack::noise::Role;

/// Serves each connection in a thread of its own until the test's process ends.
fn serve(each: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || each(stream));
        }
    });
    address
}

fn conformance(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_conformance")).args(arguments).output().expect("it was built")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("nobody killed it")
}

fn against(target: SocketAddr, run: &str) -> Output {
    conformance(&["--target", &target.to_string(), "--run", run])
}

/// What a node does with bytes that its end of the link refuses.
#[derive(Clone, Copy, PartialEq)]
enum Refusal {
    /// What the documents say.
    Close,
    /// Says something first.
    Tell,
    /// Waits for ever.
    Wait,
}

/// A node that speaks links and nothing else, out of the suite's own stack.
fn node(mut stream: TcpStream, refusal: Refusal) -> std::io::Result<()> {
    let who = Who { identity_seed: [5; 32], device_id: [5; 8], instance_id: [5; 16] };
    // One secret for all links, which `link.share-fresh` finds.
    let mut end = End::new(Role::Responder, who, [9; 32]);
    let mut buffer = [0; 65_536];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        match end.flight(&buffer[..length]) {
            Ok(answer) => stream.write_all(&answer)?,
            Err(_) if refusal == Refusal::Close => return Ok(()),
            Err(_) if refusal == Refusal::Tell => return stream.write_all(b"no"),
            Err(_) => {
                while stream.read(&mut buffer)? > 0 {}
                return Ok(());
            }
        }
    }
}

fn closing(stream: TcpStream) {
    // Whoever was refused may have gone before.
    let _gone = node(stream, Refusal::Close);
}

fn telling(stream: TcpStream) {
    let _gone = node(stream, Refusal::Tell);
}

fn waiting(stream: TcpStream) {
    let _gone = node(stream, Refusal::Wait);
}

#[test]
fn a_node_that_speaks_links_passes_what_is_about_links() {
    let target = serve(closing);
    for run in ["link.*auth*", "link.share-*order*", "record.*", "frame.unknown-*"] {
        let output = against(target, run);
        assert_eq!(code(&output), 0, "{run}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_node_that_repeats_its_share_fails() {
    assert_eq!(code(&against(serve(closing), "link.share-fresh")), 1);
}

#[test]
fn a_node_that_answers_what_it_refuses_fails() {
    assert_eq!(code(&against(serve(telling), "link.share-zero")), 1);
}

#[test]
fn a_node_that_neither_refuses_nor_answers_has_not_passed() {
    assert_eq!(code(&against(serve(waiting), "link.share-zero")), 3);
}

#[test]
fn null_targets_pass_nothing() {
    let closes: fn(TcpStream) = drop;
    let echoes: fn(TcpStream) = |mut stream| {
        let mut copy = stream.try_clone().expect("a socket can be shared");
        let _gone = std::io::copy(&mut stream, &mut copy);
    };
    let is_silent: fn(TcpStream) = |mut stream| {
        let _gone = std::io::copy(&mut stream, &mut std::io::sink());
    };
    for (name, null) in [("closes", closes), ("echoes", echoes), ("is silent", is_silent)] {
        for role in ["node", "relay"] {
            let target = serve(null).to_string();
            let output = conformance(&["--target", &target, "--role", role]);
            let text = String::from_utf8_lossy(&output.stdout);
            assert_eq!(code(&output), 4, "{name} as {role}: {text}");
            assert!(!text.lines().any(|line| line.starts_with("pass ")), "{name}: {text}");
        }
    }
}

#[test]
fn wrong_command_lines_are_told_apart_from_empty_runs() {
    let target = serve(closing).to_string();
    assert_eq!(code(&conformance(&["--no-such-thing"])), 64);
    assert_eq!(code(&conformance(&[])), 64);
    assert_eq!(code(&conformance(&["--explain", "no.such-case"])), 64);
    assert_eq!(code(&conformance(&["--target", &target, "--run", "no.such-case"])), 6);
    // It needs to kill the target, which it may not.
    assert_eq!(code(&conformance(&["--target", &target, "--run", "gossip.kill-*"])), 6);
    assert_eq!(code(&conformance(&["--list"])), 0);
    assert_eq!(code(&conformance(&["--explain", "LNK-15"])), 0);
    assert_eq!(code(&conformance(&["vectors", "--self"])), 0);
}

#[test]
fn known_failures_are_still_run_and_reports_are_written() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let known = folder.path().join("known");
    let write = |text: &str| std::fs::write(&known, text).expect("the folder is there");
    let target = serve(closing).to_string();
    let json = folder.path().join("report.json");
    let run = |case: &str| {
        let report = format!("json={}", json.display());
        let known = known.to_string_lossy().into_owned();
        let list = ["--target", &target, "--run", case, "--known-failing", &known];
        code(&conformance(&[list.as_slice(), &["--report", &report]].concat()))
    };
    write("link.share-fresh # the target has one secret\n");
    assert_eq!(run("link.share-fresh"), 0);
    let text = std::fs::read_to_string(&json).expect("it was written");
    assert!(text.contains("\"verdict\": \"xfail\""), "{text}");
    write("link.share-zero\n");
    assert_eq!(run("link.share-zero"), 1);
    write("no.such-case\n");
    assert_eq!(run("link.share-zero"), 64);
}
