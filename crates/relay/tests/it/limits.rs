//! What strangers may use up.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tonic::Code;
use tortalk_relay::rules::config::Rate;
use tortalk_rpc::{PullStep, v1};

use crate::support::client::{PullStream, Said, SyncStream, deposit, proof, register};
use crate::support::{Client, Maker, Options, Owner, PATIENCE, TestRelay};

/// What a client of HTTP/2 sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a relay that listens")
}

/// Whether the relay speaks on a connection, or closes it.
async fn is_served(stream: &mut TcpStream) -> bool {
    // A connection that is closed already may refuse this too.
    let _closed = stream.write_all(PREFACE).await;
    let mut byte = [0];
    let read = timeout(PATIENCE, stream.read(&mut byte)).await.expect("an answer in time");
    matches!(read, Ok(1))
}

// req: RLY-58
#[tokio::test]
async fn connections_beyond_the_limits_are_closed_and_an_end_makes_room() {
    let options = Options {
        edit: Some(|config| {
            config.bounds.connections = 3;
            config.bounds.connections_per_source = 2;
        }),
        ..Options::default()
    };
    let test = TestRelay::with(options).await;
    let mut first = connect(test.address).await;
    let mut second = connect(test.address).await;
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    assert!(!is_served(&mut connect(test.address).await).await, "the third of one address");
    drop(first);
    let started = Instant::now();
    while !is_served(&mut connect(test.address).await).await {
        assert!(started.elapsed() < PATIENCE, "the end of the first made no room");
    }
    drop(second);
    test.stop().await;
}

// req: RLY-70
#[tokio::test]
async fn an_address_that_uses_up_its_connections_leaves_others_served() {
    let options = Options {
        edit: Some(|config| config.bounds.connections_per_source = 2),
        ..Options::default()
    };
    let test = TestRelay::with(options).await;
    let mut greedy = Vec::new();
    for place in 0..4 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 2], 0).into()).expect("all of 127/8 is loopback");
        let mut stream = socket.connect(test.address).await.expect("it listens");
        assert_eq!(is_served(&mut stream).await, place < 2, "its limit is two");
        greedy.push(stream);
    }
    // No HTTP/2 at all.
    greedy[0].write_all(&[0xff; 64]).await.expect("it is open");
    assert!(is_served(&mut connect(test.address).await).await);
    drop(greedy);
    test.stop().await;
}

// req: RLY-58
#[tokio::test]
async fn an_address_of_many_people_has_the_limit_for_all_alone() {
    let options = Options {
        edit: Some(|config| {
            config.bounds.connections = 3;
            config.bounds.connections_per_source = 1;
            config.bounds.shared_sources = vec!["127.0.0.1".parse().expect("an address")];
        }),
        ..Options::default()
    };
    let test = TestRelay::with(options).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(test.address).await;
        assert!(is_served(&mut stream).await);
        open.push(stream);
    }
    assert!(!is_served(&mut connect(test.address).await).await);
    drop(open);
    test.stop().await;
}

// req: RLY-59
#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let test = TestRelay::start().await;
    for said in [&b""[..], &PREFACE[..23]] {
        let mut stream = connect(test.address).await;
        stream.write_all(said).await.expect("it is open");
        let started = Instant::now();
        let mut left = Vec::new();
        let read = stream.read_to_end(&mut left).await;
        let waited = started.elapsed();
        assert!(read.is_err() || left.len() < 64, "{left:?}");
        assert!(waited >= Duration::from_secs(9) && waited < Duration::from_secs(15), "{waited:?}");
    }
    test.stop().await;
}

// req: RLY-59
#[tokio::test(start_paused = true)]
async fn a_connection_without_a_call_is_closed_after_five_minutes() {
    let test = TestRelay::start().await;
    let mut stream = connect(test.address).await;
    stream.write_all(PREFACE).await.expect("it is open");
    let started = Instant::now();
    // It answers what the relay asks to see that it lives, so only idleness
    // ends it.
    let mut bytes = Vec::new();
    loop {
        let mut some = [0; 256];
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes.extend_from_slice(&some[..count]),
        }
        assert!(started.elapsed() < Duration::from_secs(600), "it is never closed");
        while let Some(frame) = take_frame(&mut bytes) {
            if frame[3] == 0x06 && frame[4] == 0 {
                let mut pong = frame;
                pong[4] = 1;
                stream.write_all(&pong).await.expect("it is open");
            }
        }
    }
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(299), "{waited:?}");
    assert!(waited < Duration::from_secs(330), "{waited:?}");
    test.stop().await;
}

/// The first whole HTTP/2 frame of some bytes.
fn take_frame(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = match bytes[..] {
        [a, b, c, ..] => usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
        _ => return None,
    };
    (bytes.len() >= 9 + length).then(|| bytes.drain(..9 + length).collect())
}

// req: RLY-60
#[tokio::test]
async fn a_seventeenth_call_on_a_connection_waits() {
    let test = TestRelay::start().await;
    let mut client = test.client().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(PullStream::challenge(&mut client).await.expect("a call is taken"));
    }
    let mut more = client.clone();
    let more = PullStream::challenge(&mut more);
    tokio::pin!(more);
    let early = timeout(Duration::from_millis(300), &mut more).await;
    assert!(early.is_err(), "the seventeenth was taken");
    open.pop();
    timeout(PATIENCE, more).await.expect("an end makes room").expect("a call is taken");
    drop(open);
    test.stop().await;
}

const NEVER: Rate = Rate { burst: 5, refill: 1, per: Duration::from_secs(3600) };

async fn calls_until_refused(client: &mut Client) -> usize {
    for i in 0..100 {
        let request = v1::GetCardRequest { mailbox: vec![1; 32] };
        let status = client.get_card(request).await.expect_err("there is no card");
        match status.code() {
            Code::NotFound => {}
            Code::ResourceExhausted => return i,
            other => panic!("{other:?}"),
        }
    }
    panic!("a hundred calls were taken")
}

// req: RLY-61
#[tokio::test]
async fn calls_of_one_address_have_a_rate() {
    let options = Options {
        edit: Some(|config| config.bounds.calls_per_source = NEVER),
        ..Options::default()
    };
    let test = TestRelay::with(options).await;
    let owner = Owner::new(1);
    register(&test, &owner).await;
    let mut client = test.client().await;
    assert_eq!(calls_until_refused(&mut client).await, 4, "one was used up by the pull");
    let refused = client.purge(v1::PurgeRequest::default()).await.expect_err("the rate");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let refused = PullStream::challenge(&mut client).await.map(|_| ()).expect_err("the rate");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    // Leaving envelopes is bounded otherwise.
    let envelope = Maker::new(1).envelope(owner.mailbox());
    let said = deposit(&test, &[(envelope.clone(), owner.stamp(&envelope))]).await;
    assert_eq!(said, [(envelope.id(), Said::Stored)]);
    drop(client);
    test.stop().await;
}

// req: RLY-61
#[tokio::test]
async fn calls_of_all_have_a_rate_and_a_purge_counts_as_four() {
    let options =
        Options { edit: Some(|config| config.bounds.calls = NEVER), ..Options::default() };
    let test = TestRelay::with(options).await;
    let mut client = test.client().await;
    client.purge(v1::PurgeRequest::default()).await.expect("four of five");
    let refused = client.purge(v1::PurgeRequest::default()).await.expect_err("one is left");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(calls_until_refused(&mut client).await, 1);
    drop(client);
    test.stop().await;
}

// req: RLY-62
#[tokio::test]
async fn new_mailboxes_of_one_address_have_a_rate_and_known_ones_do_not() {
    let options = Options {
        edit: Some(|config| {
            config.bounds.mailboxes_per_source = Rate { burst: 2, ..NEVER };
        }),
        ..Options::default()
    };
    let test = TestRelay::with(options).await;
    for _ in 0..3 {
        register(&test, &Owner::new(1)).await;
    }
    register(&test, &Owner::new(2)).await;
    let mut client = test.client().await;
    let mut stream = PullStream::challenge(&mut client).await.expect("a stream is taken");
    let third = proof(&Owner::new(3), test.key, &test.authority, stream.challenge);
    stream.send(PullStep::Proof(third)).await;
    let status = stream.next().await.expect_err("one too many");
    assert_eq!(status.code(), Code::ResourceExhausted);
    register(&test, &Owner::new(1)).await;
    drop((client, stream));
    test.stop().await;
}

// req: RLY-64
#[tokio::test]
async fn streams_have_limits() {
    let options = Options {
        edit: Some(|config| {
            config.bounds.sync_streams = 1;
            config.bounds.pull_streams = 1;
        }),
        ..Options::default()
    };
    let test = TestRelay::with(options).await;
    let mut client = test.client().await;
    let sync = SyncStream::open(&mut client, test.key).await;
    let refused = SyncStream::try_open(&mut client, test.key).await.map(|_| ());
    assert_eq!(refused.expect_err("one too many").code(), Code::ResourceExhausted);
    let pull = PullStream::challenge(&mut client).await.expect("the first");
    let refused = PullStream::challenge(&mut client).await.map(|_| ());
    assert_eq!(refused.expect_err("one too many").code(), Code::ResourceExhausted);
    drop((sync, pull));
    let started = Instant::now();
    while SyncStream::try_open(&mut client, test.key).await.is_err() {
        assert!(started.elapsed() < PATIENCE, "an end made no room");
    }
    drop(client);
    test.stop().await;
}
