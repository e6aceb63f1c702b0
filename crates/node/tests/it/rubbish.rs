//! Strangers who send rubbish, or nothing, at every stage.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tortalk_keys::IdentitySecret;
use tortalk_link::{Link, LinkEvent, LinkSelf};
use tortalk_model::entropy::{self, Entropy as _};
use tortalk_model::limits::{AUTH_TIMEOUT, HANDSHAKES_PER_ADDRESS_MAX, STRANGER_LINKS_MAX};
use tortalk_model::{DeviceId, InstanceId, MonoMillis};
use tortalk_node::entropy::OsEntropy;

use crate::support::{Person, Running};

/// A stranger's end of a connection, as far as they wish to go.
struct Stranger {
    stream: TcpStream,
    link: Link,
    start: Instant,
}

impl Stranger {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let me = LinkSelf {
            identity: IdentitySecret::from_seed(OsEntropy.bytes()).into(),
            device_id: DeviceId::from_bytes(OsEntropy.bytes()),
            instance_id: InstanceId::from_bytes(OsEntropy.bytes()),
        };
        let link = Link::initiator(me, MonoMillis(0), &mut OsEntropy);
        Self { stream, link, start: Instant::now() }
    }

    fn send_output(&mut self) {
        let output = self.link.take_output();
        // Being cut off is what some of this is about.
        let _cut_off = self.stream.write_all(&output);
    }

    /// Reads until an event comes; `None` when the node has closed.
    fn event(&mut self) -> Option<LinkEvent> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(event) = self.link.next_event() {
                return Some(event);
            }
            let read = self.stream.read(&mut buffer).unwrap_or(0);
            if read == 0 {
                return None;
            }
            let now = u64::try_from(self.start.elapsed().as_millis()).unwrap();
            self.link.receive(&buffer[..read], MonoMillis(now)).unwrap();
            self.send_output();
        }
    }

    fn authenticate(port: u16) -> Self {
        let mut stranger = Self::connect(port);
        stranger.send_output();
        let event = stranger.event();
        assert!(matches!(event, Some(LinkEvent::Authenticated(_))), "{event:?}");
        stranger
    }

    fn is_closed_by_the_node(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn serves_an_honest_peer(node: &Running) {
    let bob = Person::new("bob");
    let b = bob.start_quiet().await;
    b.dial(node).await;
    b.stop().await;
}

// req: LIM-01, LIM-03, LIM-04
#[tokio::test(flavor = "multi_thread")]
async fn rubbish_at_every_stage_leaves_the_node_serving() {
    let alice = Person::new("alice");
    let a = alice.start_quiet().await;
    let port = a.node.port();

    // Random bytes, a length that is too long, and an HTTP request.
    for first in [entropy::array::<600>(&mut OsEntropy).to_vec(), vec![0xff; 2], b"GET /".to_vec()]
    {
        let answer = blocking(move || {
            let mut stranger = Stranger::connect(port);
            let _cut_off = stranger.stream.write_all(&first);
            let _closing = stranger.stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let read = stranger.stream.read_to_end(&mut answer);
            (read.is_ok_and(|read| read > 0), answer)
        });
        assert_eq!(answer.await, (false, Vec::new()), "not a byte for rubbish");
    }
    // Half a handshake, and then nothing.
    let half = blocking(move || {
        let mut stranger = Stranger::connect(port);
        let output = stranger.link.take_output();
        stranger.stream.write_all(&output[..output.len() / 2]).unwrap();
        let started = Instant::now();
        (stranger.is_closed_by_the_node(), started.elapsed())
    });
    // A whole handshake and then rubbish in place of the proof.
    let no_proof = blocking(move || {
        let mut stranger = Stranger::connect(port);
        stranger.send_output();
        let mut answer = [0; 4];
        stranger.stream.read_exact(&mut answer).unwrap();
        let _cut_off = stranger.stream.write_all(&[0, 200]);
        let _cut_off = stranger.stream.write_all(&entropy::array::<200>(&mut OsEntropy));
        stranger.is_closed_by_the_node()
    });
    // Authenticated, and then bytes that are no record.
    let no_record = blocking(move || {
        let mut stranger = Stranger::authenticate(port);
        let _cut_off = stranger.stream.write_all(&[1, 0]);
        let _cut_off = stranger.stream.write_all(&[7; 256]);
        stranger.is_closed_by_the_node()
    });
    assert!(no_proof.await);
    assert!(no_record.await);
    let (closed, after) = half.await;
    assert!(closed && after < Duration::from_secs(10), "{after:?}");
    serves_an_honest_peer(&a).await;
    assert_eq!(a.status().await.store_failed, None);
    a.stop().await;
}

// req: LIM-02, LIM-04
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_open_sockets_keep_nobody_out() {
    let alice = Person::new("alice");
    let a = alice.start_quiet().await;
    let port = a.node.port();
    let sockets = blocking(move || {
        let connect = |_| TcpStream::connect(("127.0.0.1", port)).ok();
        (0..1_000).filter_map(connect).collect::<Vec<_>>()
    })
    .await;
    assert!(sockets.len() > 500, "only {} sockets", sockets.len());
    serves_an_honest_peer(&a).await;
    // Sooner than their time is over, all but the newest of this address are closed.
    let started = Instant::now();
    let is_open = |mut socket: &TcpStream| {
        socket.set_nonblocking(true).unwrap();
        let read = socket.read(&mut [0]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    while sockets.iter().filter(|socket| is_open(socket)).count() > HANDSHAKES_PER_ADDRESS_MAX {
        assert!(started.elapsed() < AUTH_TIMEOUT / 2, "the first are not closed");
        tokio::task::yield_now().await;
    }
    a.stop().await;
}

// req: LIM-05
#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_prove_themselves_are_bounded_too() {
    let alice = Person::new("alice");
    let a = alice.start_quiet().await;
    let port = a.node.port();
    let crowd = blocking(move || {
        (0..STRANGER_LINKS_MAX).map(|_| Stranger::authenticate(port)).collect::<Vec<_>>()
    })
    .await;
    assert_eq!(a.nearby().await.len(), STRANGER_LINKS_MAX);
    let one_more = blocking(move || {
        let mut stranger = Stranger::connect(port);
        stranger.send_output();
        stranger.event()
    });
    assert_eq!(one_more.await, None, "there is no room for another stranger");
    // A contact is let in all the same.
    let bob = Person::new("bob");
    let b = bob.start_quiet().await;
    a.add(&b).await;
    b.dial(&a).await;
    drop(crowd);
    b.stop().await;
    a.stop().await;
}
