//! Connections that are not what they should be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tortalk_keys::RelaySecret;
use tortalk_keys::relay::{Authority, RelayAddress};
use tortalk_mesh::RelayAction;
use tortalk_mesh::relay::{RelayDown, RelayInput};
use tortalk_model::RelayKey;
use tortalk_relay::authority_text::authority_of;
use tortalk_settings::Scheme;

use super::support::{Always, Bench, Owner, QUICK, SECRET, TestRelay, address, common, named};
use crate::relays::{Common, Times, Tls, Told, Ways};

fn key() -> RelayKey {
    RelaySecret::from_seed(SECRET).public()
}

/// Who answers each connection with `bytes`, after something came, and listens on.
async fn answers(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4_096];
                let _came = stream.read(&mut buffer).await;
                let _sent = stream.write_all(bytes).await;
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    socket
}

fn at(socket: SocketAddr) -> RelayAddress {
    address(&authority_of(socket).unwrap(), key())
}

async fn down(common: Common, address: RelayAddress) -> RelayDown {
    let mut bench = Bench::new(common);
    bench.relays.apply(RelayAction::Connect(address));
    bench.down().await
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(down(common(QUICK), at(socket)).await, RelayDown::Unreachable);
}

#[tokio::test]
async fn who_answers_rubbish_is_no_relay() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.9\r\n",
        &[0; 4_096],
        &[0xff; 4_096],
    ] {
        let socket = answers(bytes).await;
        let why = down(common(QUICK), at(socket)).await;
        assert_eq!(why, RelayDown::Protocol, "{}", String::from_utf8_lossy(&bytes[..20]));
    }
}

#[tokio::test]
async fn who_hangs_up_or_says_nothing_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    assert_eq!(down(common(QUICK), at(socket)).await, RelayDown::Unreachable);
    let times = Times { proof: Duration::from_millis(300), ..QUICK };
    let socket = answers(b"").await;
    assert_eq!(down(common(times), at(socket)).await, RelayDown::Unreachable);
}

#[tokio::test]
async fn who_takes_long_to_fail_is_tried_more_and_more_slowly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let times = Times {
        proof: Duration::from_millis(100),
        steady: Duration::from_millis(50),
        wait_min: Duration::from_millis(100),
        ..Times::USUAL
    };
    let mut bench = Bench::new(common(times));
    bench.relays.apply(RelayAction::Connect(at(listener.local_addr().unwrap())));
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(listener.accept().await.unwrap());
    }
    // Four times the proof's time, and at least half of 100 + 200 + 400 + 800 ms.
    assert!(began.elapsed() >= Duration::from_millis(1_150), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_is_needed_again_after_being_let_go_is_connected_with_at_once() {
    let relay = TestRelay::start().await;
    // A wait would outlast the test.
    let times = Times { wait_min: Duration::from_secs(300), ..Times::USUAL };
    let mut bench = Bench::up(common(times), &relay.address).await;
    for _ in 0..3 {
        bench.relays.apply(RelayAction::Disconnect(relay.address.key()));
        bench.connect(&relay.address).await;
    }
}

// req: TOR-06
#[tokio::test]
async fn an_onion_service_waits_for_tor() {
    let onion = RelayAddress::new(tortalk_keys::relay::RelayHost::Onion([1; 32]), 80, key());
    assert_eq!(down(common(QUICK), onion.unwrap()).await, RelayDown::Unreachable);
}

/// A wire to a relay that can be cut without either side being told.
async fn wire(to: SocketAddr) -> (SocketAddr, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = listener.local_addr().unwrap();
    let cut = Arc::new(Notify::new());
    let cutting = Arc::clone(&cut);
    tokio::spawn(async move {
        let (mut from, _) = listener.accept().await.unwrap();
        let mut to = TcpStream::connect(to).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut from, &mut to) => {}
            () = cutting.notified() => {}
        }
        // Both stay open, and nothing passes.
        std::future::pending::<()>().await;
    });
    (socket, cut)
}

#[tokio::test]
async fn a_dead_connection_is_noticed_whether_something_is_open_on_it_or_not() {
    let times =
        Times { ping_every: Duration::from_millis(200), ping: Duration::from_millis(300), ..QUICK };
    let relay = TestRelay::start().await;
    for with_stream in [false, true] {
        let (socket, cut) = wire(relay.socket).await;
        let dialler = Always::new(socket);
        let common = Common { dialler: Box::new(dialler), ..common(times) };
        let mut bench = Bench::up(common, &relay.address).await;
        if with_stream {
            bench.pull(&relay.address, &Owner::new(1)).await;
        }
        // Alive, it is left alone.
        assert!(bench.is_quiet(Duration::from_secs(1)).await);
        let began = Instant::now();
        cut.notify_one();
        assert_eq!(bench.down().await, RelayDown::Unreachable);
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

/// A relay with TLS by the name that its certificate is for.
fn by_name(relay: &TestRelay, told: Vec<(Scheme, bool)>, roots: RootCertStore) -> (Common, Always) {
    let dialler = Always::new(relay.socket);
    let authority = Authority::new(named("relay.test"), relay.socket.port()).unwrap();
    let told = told.into_iter().map(|(scheme, insecure)| Told {
        authority: authority.clone(),
        scheme,
        insecure,
    });
    let common = Common {
        unreached: crate::relays::Reasons::default(),
        dialler: Box::new(dialler.clone()),
        ways: Ways::new(told.collect()),
        tls: Tls::trusting(roots),
        times: QUICK,
    };
    (common, dialler)
}

fn test_roots() -> RootCertStore {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../relay/tests/it/tls/ca.pem");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(path).unwrap()).unwrap();
    roots
}

fn called(name: &str, relay: &TestRelay) -> RelayAddress {
    RelayAddress::new(named(name), relay.socket.port(), relay.address.key()).unwrap()
}

// req: RLY-68
#[tokio::test]
async fn tls_needs_a_certificate_that_is_good_for_the_name() {
    let relay = TestRelay::start_with_tls().await;
    // As a card names it: nothing is told.
    let (common, _) = by_name(&relay, Vec::new(), test_roots());
    let mut bench = Bench::up(common, &called("relay.test", &relay)).await;
    let (envelope, _) = Owner::new(1).envelope();
    bench.deposit(relay.address.key(), &envelope, &[]);
    assert!(matches!(bench.next().await, RelayInput::Refused { .. }));
    // Nobody stands for it, and for another name.
    let (nobody, _) = by_name(&relay, Vec::new(), RootCertStore::empty());
    assert_eq!(down(nobody, called("relay.test", &relay)).await, RelayDown::NotPrivate);
    let (other, _) = by_name(&relay, Vec::new(), test_roots());
    assert_eq!(down(other, called("other.test", &relay)).await, RelayDown::NotPrivate);
    // The user takes any certificate.
    let told = vec![(Scheme::Https, true)];
    let (insecure, _) = by_name(&relay, told, RootCertStore::empty());
    Bench::up(insecure, &called("relay.test", &relay)).await;
}

// req: RLY-09
#[tokio::test]
async fn a_relay_without_tls_is_not_spoken_to_where_tls_is_wanted() {
    let relay = TestRelay::start().await;
    let (common, _) = by_name(&relay, Vec::new(), test_roots());
    assert_eq!(down(common, called("relay.test", &relay)).await, RelayDown::NotPrivate);
}

// req: RLY-09
#[tokio::test]
async fn plain_http_beyond_this_machine_is_not_even_dialled() {
    let relay = TestRelay::start().await;
    let (common, dialler) = by_name(&relay, vec![(Scheme::Http, false)], test_roots());
    assert_eq!(down(common, called("relay.test", &relay)).await, RelayDown::NotPrivate);
    assert_eq!(dialler.dials(), 0);
    let (common, dialler) = by_name(&relay, vec![(Scheme::Http, true)], test_roots());
    Bench::up(common, &called("relay.test", &relay)).await;
    assert_eq!(dialler.dials(), 1);
}
