//! The program itself, against targets that are known to be right, wrong or nothing at all.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use conformance::nulls::{self, Kind};
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
fn node(stream: TcpStream, refusal: Refusal) -> std::io::Result<()> {
    // One secret for all links, which `link.share-fresh` finds.
    node_with(stream, refusal, [9; 32])
}

fn node_with(mut stream: TcpStream, refusal: Refusal, secret: [u8; 32]) -> std::io::Result<()> {
    let who = Who { identity_seed: [5; 32], device_id: [5; 8], instance_id: [5; 16] };
    let mut end = End::new(Role::Responder, who, secret);
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

fn null(kind: Kind) -> String {
    nulls::start(kind).expect("loopback has free ports").to_string()
}

#[test]
fn nobody_is_claimed_anything_of_who_serves_no_honest_peer() {
    for kind in [Kind::Closes, Kind::Echoes, Kind::Silent] {
        for role in ["node", "relay"] {
            let output = conformance(&["--target", &null(kind), "--role", role]);
            let text = String::from_utf8_lossy(&output.stdout);
            assert_eq!(code(&output), 4, "{kind:?} as {role}: {text}");
            assert!(!text.lines().any(|line| line.starts_with("pass ")), "{kind:?}: {text}");
        }
    }
    assert_eq!(code(&conformance(&["--spawn", "false", "--role", "node"])), 4);
}

#[test]
fn a_null_target_that_passes_what_it_may_not_is_noticed() {
    let output = conformance(&["null-targets", "--only", "node-closes"]);
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(code(&conformance(&["null-targets", "--only", "no-such"])), 6);
}

#[test]
fn the_role_is_found_out() {
    let said = |target: &str| {
        let output = conformance(&["--target", target, "--run", "no.such-case"]);
        (code(&output), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (exit, text) = said(&serve(closing).to_string());
    assert!(exit == 6 && text.contains("is a node"), "{exit}: {text}");
    let (exit, text) = said(&null(Kind::RelayYes));
    assert!(exit == 6 && text.contains("is a relay"), "{exit}: {text}");
    assert_eq!(said(&null(Kind::Http1)).0, 4);
    assert_eq!(said(&null(Kind::Closes)).0, 4);
}

#[test]
fn a_suite_that_differs_from_the_vectors_says_nothing_about_targets() {
    let target = serve(closing).to_string();
    let output = conformance(&["--target", &target, "--role", "node", "--wrong-vector"]);
    assert_eq!(code(&output), 5);
}

#[test]
fn what_is_absent_is_believed_of_those_who_claim_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let features = folder.path().join("features.toml");
    std::fs::write(&features, "role = \"node\"\nabsent = [\"gossip\"]\n").expect("it is there");
    let features = features.to_string_lossy().into_owned();
    let run = |target: &str| {
        let list = ["--target", target, "--features", &features, "--run", "gossip.duplicate"];
        let output = conformance(&list);
        (code(&output), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (exit, text) = run(&serve(closing).to_string());
    assert!(exit == 6 && text.starts_with("unsupported "), "{exit}: {text}");
    let (exit, text) = run(&null(Kind::NodeYes));
    assert!(exit == 1 && text.starts_with("fail ") && text.contains("0x7f00"), "{exit}: {text}");
    std::fs::write(folder.path().join("wrong"), "absent = [\"no-such-5f0c\"]")
        .expect("it is there");
    let wrong = folder.path().join("wrong").to_string_lossy().into_owned();
    assert_eq!(code(&conformance(&["--target", "127.0.0.1:9", "--features", &wrong])), 64);
}

#[test]
fn a_page_has_the_sentence_the_fields_and_the_line_that_repeats_it() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let page = folder.path().join("page.html");
    let target = serve(closing).to_string();
    let report = format!("html={}", page.display());
    let list = ["--target", &target, "--run", "link.share-fresh", "--run", "link.auth-missing"];
    assert_eq!(code(&conformance(&[list.as_slice(), &["--report", &report]].concat())), 1);
    let text = std::fs::read_to_string(&page).expect("it was written");
    for part in
        ["LNK-05", "share (X25519)", "<b>nonce</b>", "0x8001 Auth", "details class=\"case fail"]
    {
        assert!(text.contains(part), "{part} is missing");
    }
    let again =
        format!("conformance --target {target} --role node --run link.share-fresh --seed 1");
    assert!(text.contains(&again), "{again}");
    for foreign in ["<script", "http://", "https://", "url("] {
        assert!(!text.contains(foreign), "{foreign} is not self-contained");
    }
}

#[test]
fn a_program_that_lies_on_one_vector_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let own = env!("CARGO_BIN_EXE_conformance");
    let run = |name: &str, change: &str| {
        let path = folder.path().join(name);
        let text = format!("exec '{own}' vectors --answer | sed -u '{change}'\n");
        std::fs::write(&path, text).expect("the folder is there");
        let output = conformance(&["vectors", "--impl", &format!("sh {}", path.display())]);
        (code(&output), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (exit, text) = run("honest", "");
    assert!(exit == 0 && text.contains(" 0 differ, 0 not supported"), "{exit}: {text}");
    let (exit, text) = run("liar", "40s/\"verdict\":\"[a-z]*\"/\"verdict\":\"seal\"/");
    assert!(exit == 1 && text.contains(" 1 differ"), "{exit}: {text}");
    let (exit, text) = run("small", "40s/\"verdict\":\"[a-z]*\"/\"verdict\":\"unsupported\"/");
    assert!(exit == 0 && text.contains(" 1 not supported"), "{exit}: {text}");
    // It knows an object that does not exist, so it is not believed where it says unsupported.
    let all = "1s/unsupported/ok/;40s/\"verdict\":\"[a-z]*\"/\"verdict\":\"unsupported\"/";
    assert_eq!(run("boaster", all).0, 1);
    assert_eq!(code(&conformance(&["vectors", "--impl", "false"])), 4);
}

#[test]
fn runs_that_differ_are_told_from_runs_that_do_not() {
    let steady = |target: &str, case: &str| {
        let output = conformance(&[
            "steady", "--runs", "2", "--busy", "1", "--", "--target", target, "--run", case,
        ]);
        (code(&output), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (exit, text) = steady(&serve(closing).to_string(), "link.auth-missing");
    assert!(exit == 0 && text.contains("1 cases, 0 differ"), "{exit}: {text}");
    let (exit, text) = steady(&serve(forgetful).to_string(), "link.share-fresh");
    assert!(exit == 1 && text.contains("1 cases, 1 differ"), "{exit}: {text}");
}

/// One secret for all links of its first seconds, and a new one for each afterwards.
fn forgetful(stream: TcpStream) {
    static LINKS: AtomicU8 = AtomicU8::new(0);
    // A run has seven connections: two for its role, three for sanity and the probe, two for the
    // case.
    let count = LINKS.fetch_add(1, Ordering::Relaxed);
    let secret = if count < 8 { 9 } else { count };
    let _gone = node_with(stream, Refusal::Close, [secret; 32]);
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
