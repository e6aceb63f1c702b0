//! Peers that send rubbish: whatever they send and wherever they stop, the node
//! goes on serving others. What comes after a proved identity is the business of
//! the tests of `link` and `mesh`.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::common::{Home, PATIENCE};

/// Bytes without a pattern, the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn sized(message: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(message);
    bytes
}

/// The first message of a handshake: any 32 bytes are a share, and what the
/// payload says is in clear.
fn first(share: &[u8], payload: &[u8]) -> Vec<u8> {
    sized(&[share, payload].concat())
}

#[test]
fn at_every_stage_a_node_goes_on() {
    let home = Home::new();
    let (alice, bob) = (home.profile("alice"), home.profile("bob"));
    alice.add(&bob, "Bob");
    bob.add(&alice, "Alice");
    let mut node = bob.start();
    alice.settings(&format!("peers = [\"127.0.0.1:{}\"]\n", node.port));
    let before = bob.files();

    let (share, versions) = (noise(32), [1, 0, 1]);
    let hello = first(&share, &versions);
    let stages: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("nothing", vec![]),
        ("rubbish", vec![noise(10_000)]),
        ("HTTP", vec![b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()]),
        ("half a length", vec![vec![0]]),
        ("no message", vec![sized(&[])]),
        ("the longest message", vec![vec![0xff; 65_537]]),
        ("half a message", vec![hello[..20].to_vec()]),
        ("a share of low order", vec![first(&[0; 32], &versions)]),
        ("no versions", vec![first(&share, &[0])]),
        ("unknown versions", vec![first(&share, &[1, 0xff, 0xff])]),
        ("versions cut off", vec![first(&share, &[16, 0])]),
        ("a handshake, then nothing", vec![hello.clone()]),
        ("a handshake, then rubbish", vec![hello.clone(), noise(5_000)]),
        ("a handshake, then a forged record", vec![hello.clone(), sized(&noise(200))]),
        ("a handshake, then an empty record", vec![hello.clone(), sized(&[])]),
        ("a handshake, then the longest record", vec![hello, vec![0xff; 65_537]]),
    ];
    for (what, parts) in &stages {
        for _ in 0..3 {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, node.port)).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            for part in parts {
                // The node may have hung up already, and may have.
                let _hung_up = stream.write_all(part);
                let _answer = stream.read(&mut [0; 1024]);
            }
        }
        assert!(!node.has_ended(), "{what}");
        bob.run(&["status"]).ok();
    }
    // They got nothing into the profile, and keep nobody out.
    for (path, bytes) in &before {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_log = name.ends_with("-wal");
        assert!(is_log || std::fs::read(path).unwrap() == *bytes, "{name} has changed");
    }
    assert_eq!(bob.json(&["nearby"]).len(), 0);
    assert_eq!(alice.run(&["send", "Bob", "hello", "--wait", "30"]).ok().stdout, "delivered\n");
    assert_eq!(node.event("received")["message"]["text"], "hello");
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn who_says_nothing_is_sent_away() {
    let home = Home::new();
    let bob = home.profile("bob");
    let mut node = bob.start();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, node.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let began = std::time::Instant::now();
    let ended = stream.read(&mut [0; 16]);
    assert!(
        matches!(ended, Ok(0))
            || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
    );
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn lines_of_rubbish_on_standard_input_are_answered_and_passed_over() {
    let home = Home::new();
    let bob = home.profile("bob");
    let mut input = b"\n{}\nnot json\n{\"id\":7,\"do\":\"fly\"}\n\xff\xfe\n[]\n".to_vec();
    input.extend(vec![b'x'; 3_000_000]);
    input.extend(b"\n{\"id\":8,\"do\":\"status\"}\n");
    let said = bob.run_with_input(&["run", "--json", "--until-eof"], &input).ok().stdout;
    let errors = said.lines().filter(|line| line.contains("\"error\"")).count();
    assert_eq!(errors, 6, "{said}");
    assert!(
        said.lines().any(|line| line.contains("\"id\":8") && line.contains("\"ok\"")),
        "{said}"
    );
}
