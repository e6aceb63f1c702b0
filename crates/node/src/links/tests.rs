use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tortalk_keys::IdentitySecret;
use tortalk_keys::link_auth::Role;
use tortalk_link::Link;
use tortalk_model::{DeviceId, InstanceId, MonoMillis};
use tortalk_wire::{Bye, Card, CardBytes, Ping};

use super::*;
use crate::entropy::OsEntropy;

/// Nothing here takes longer, also on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(30);

/// One side: its links, and what its engine would be told.
struct Side {
    links: Arc<Links>,
    inputs: mpsc::Receiver<EngineInput>,
    gone: mpsc::Receiver<()>,
    phase: watch::Sender<Phase>,
}

impl Side {
    fn new(number: u8) -> Self {
        let me = LinkSelf {
            identity: IdentitySecret::from_seed([number; 32]).into(),
            device_id: DeviceId::from_bytes([number; 8]),
            instance_id: InstanceId::from_bytes([number; 16]),
        };
        // Small, so that an engine that does nothing is felt at once.
        let (to_engine, inputs) = mpsc::channel(1);
        let (sender, phase) = watch::channel(Phase::Running);
        let (links, gone) = Links::new(me, Clock::system(), to_engine, phase);
        Self { links, inputs, gone, phase: sender }
    }

    async fn next(&mut self) -> EngineInput {
        let next = tokio::time::timeout(DEADLINE, self.inputs.recv()).await;
        next.expect("an input in time").expect("the links are there")
    }

    async fn up(&mut self) -> Orders {
        match self.next().await {
            EngineInput::LinkUp { orders, .. } => orders,
            _ => panic!("not LinkUp"),
        }
    }

    async fn is_down(&mut self) {
        assert!(matches!(self.next().await, EngineInput::LinkDown { .. }));
        assert!(self.inputs.try_recv().is_err(), "nothing after LinkDown");
    }

    async fn frame(&mut self) -> Frame {
        match self.next().await {
            EngineInput::Frames { mut frames, .. } => {
                assert_eq!(frames.len(), 1);
                frames.remove(0)
            }
            EngineInput::LinkDown { .. } => panic!("LinkDown"),
            _ => panic!("no frame"),
        }
    }
}

/// Listens for `side` as the node does, without a limit on interfaces.
async fn listen(side: &Side) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let links = Arc::clone(&side.links);
    tokio::spawn(async move {
        let guard = guard::Guard::default();
        while let Ok((stream, from)) = listener.accept().await {
            connection::accept(&links, stream, from, guard.admit(from.ip()));
        }
    });
    address
}

/// Dials `b` from `a`; `b` lets `a` in.
async fn linked(a: &mut Side, b: &mut Side) -> (Orders, Orders) {
    let address = listen(b).await;
    let links = Arc::clone(&a.links);
    let dialling = tokio::spawn(async move { links.dial(address).await });
    let b_orders = b.up().await;
    b_orders.send(LinkOrder::Admit).unwrap();
    let a_orders = a.up().await;
    let peer = dialling.await.unwrap().unwrap();
    assert_eq!(peer.identity, IdentitySecret::from_seed([2; 32]).public());
    (a_orders, b_orders)
}

/// A person who speaks to the socket directly.
struct Puppet {
    stream: TcpStream,
    link: Link,
}

impl Puppet {
    /// Dials, and has sent its `Auth`.
    async fn dial(address: SocketAddr) -> Self {
        let me = LinkSelf {
            identity: IdentitySecret::from_seed([1; 32]).into(),
            device_id: DeviceId::from_bytes([1; 8]),
            instance_id: InstanceId::from_bytes([1; 16]),
        };
        let link = Link::initiator(me, MonoMillis(0), &mut OsEntropy);
        let mut puppet = Self { stream: TcpStream::connect(address).await.unwrap(), link };
        // Otherwise a byte may wait at this end.
        puppet.stream.set_nodelay(true).unwrap();
        puppet.write().await;
        let mut second = [0; 53];
        puppet.stream.read_exact(&mut second).await.unwrap();
        puppet.link.receive(&second, MonoMillis(0)).unwrap();
        puppet.write().await;
        puppet
    }

    async fn write(&mut self) {
        self.stream.write_all(&self.link.take_output()).await.unwrap();
    }

    /// How many bytes come until the other side closes.
    async fn read_to_end(&mut self) -> usize {
        let mut all = Vec::new();
        let reading = self.stream.read_to_end(&mut all);
        tokio::time::timeout(DEADLINE, reading).await.unwrap().unwrap()
    }
}

async fn is_told_of_a_fault(side: &mut Side) {
    let next = side.next().await;
    assert!(matches!(next, EngineInput::Mesh(tortalk_mesh::Input::PeerFault { .. })));
    side.is_down().await;
}

// req: DSC-37
#[tokio::test]
async fn the_engine_is_told_when_a_peer_broke_the_protocol() {
    let mut side = Side::new(2);
    let mut puppet = Puppet::dial(listen(&side).await).await;
    let orders = side.up().await;
    orders.send(LinkOrder::Admit).unwrap();
    puppet.stream.peek(&mut [0]).await.unwrap();
    // It was let in. Now a record without a byte.
    puppet.stream.write_all(&[0, 0]).await.unwrap();
    is_told_of_a_fault(&mut side).await;
    assert!(puppet.read_to_end().await > 0, "an Auth at least");

    // Whoever just goes away has broken nothing.
    let puppet = Puppet::dial(listen(&side).await).await;
    let orders = side.up().await;
    orders.send(LinkOrder::Admit).unwrap();
    drop(puppet);
    side.is_down().await;
}

// req: LNK-32
#[tokio::test]
async fn a_byte_that_waits_when_somebody_is_let_in_came_too_early() {
    let mut side = Side::new(2);
    let mut puppet = Puppet::dial(listen(&side).await).await;
    let orders = side.up().await;
    // No await between the two: the connection sees both at once.
    puppet.stream.try_write(&[0]).unwrap();
    orders.send(LinkOrder::Admit).unwrap();
    is_told_of_a_fault(&mut side).await;
    assert_eq!(puppet.read_to_end().await, 0, "no Auth was sent");
}

fn numbered(number: u32) -> LinkOrder {
    let mut bytes = vec![7; 8_000];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    let card = CardBytes::try_from(&bytes[..]).unwrap();
    LinkOrder::Send(Box::new(Frame::Card(Card { card })))
}

#[tokio::test]
async fn a_link_is_up_once_and_down_once_on_both_sides() {
    let (mut a, mut b) = (Side::new(1), Side::new(2));
    let (a_orders, _b_orders) = linked(&mut a, &mut b).await;
    a_orders.send(numbered(1)).unwrap();
    assert!(matches!(b.frame().await, Frame::Card(_)));
    a_orders.send(LinkOrder::Close(ByeReason::Duplicate)).unwrap();
    let bye = Frame::Bye(Bye { reason: ByeReason::Duplicate });
    assert_eq!(b.frame().await, bye);
    a.is_down().await;
    b.is_down().await;
    for side in [&mut a, &mut b] {
        side.links.close();
        let gone = tokio::time::timeout(DEADLINE, side.gone.recv()).await;
        assert_eq!(gone, Ok(None), "no connection is left");
    }
}

#[tokio::test]
async fn whoever_is_dropped_learns_nothing() {
    let (a, mut b) = (Side::new(1), Side::new(2));
    let address = listen(&b).await;
    let links = Arc::clone(&a.links);
    let dialling = tokio::spawn(async move { links.dial(address).await });
    b.up().await.send(LinkOrder::Drop).unwrap();
    assert_eq!(dialling.await.unwrap(), Err(DialError::TurnedAway));
    b.is_down().await;
    let mut a = a;
    assert!(a.inputs.try_recv().is_err(), "no link, no word of one");
}

#[tokio::test]
async fn dials_that_come_to_nothing_say_why() {
    let a = Side::new(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = io::ErrorKind::ConnectionRefused;
    assert_eq!(a.links.dial(address).await, Err(DialError::NotReached(refused)));
    let own = listen(&a).await;
    let to_itself = a.links.dial(own).await;
    assert!(matches!(to_itself, Err(DialError::Yourself | DialError::TurnedAway)));
    a.phase.send_replace(Phase::Stopping);
    assert_eq!(a.links.dial(own).await, Err(DialError::Stopping));
}

#[tokio::test]
async fn a_slow_engine_holds_its_peer_back_and_loses_nothing() {
    const FRAMES: u32 = 1_000;
    let (mut a, mut b) = (Side::new(1), Side::new(2));
    let (a_orders, _b_orders) = linked(&mut a, &mut b).await;
    for number in 0..FRAMES {
        a_orders.send(numbered(number)).unwrap();
    }
    let mut next = 0;
    while next < FRAMES {
        let EngineInput::Frames { frames, .. } = b.next().await else { panic!("no frames") };
        for frame in frames {
            let Frame::Card(card) = frame else { panic!("not what was sent") };
            assert_eq!(card.card.as_slice()[..4], next.to_be_bytes());
            next += 1;
        }
        // What is not taken stays with the peer: one input is all that waits here.
        assert!(b.inputs.len() <= 1);
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed() {
    let (mut a, mut b) = (Side::new(1), Side::new(2));
    let (_a_orders, b_orders) = linked(&mut a, &mut b).await;
    // The engine of `a` takes nothing, so `a` stops reading.
    for number in 0..1_500 {
        b_orders.send(numbered(number)).unwrap();
    }
    b.is_down().await;
}

#[tokio::test]
async fn too_much_for_a_peer_is_not_kept() {
    let (mut a, mut b) = (Side::new(1), Side::new(2));
    let (_a_orders, b_orders) = linked(&mut a, &mut b).await;
    for number in 0..4_000 {
        b_orders.send(numbered(number)).unwrap();
    }
    let started = std::time::Instant::now();
    b.is_down().await;
    assert!(started.elapsed() < Duration::from_millis(2_500), "before it counts as stalled");
}

#[tokio::test]
async fn a_link_that_the_engine_forgets_is_closed() {
    let (mut a, mut b) = (Side::new(1), Side::new(2));
    let (a_orders, b_orders) = linked(&mut a, &mut b).await;
    a_orders.send(LinkOrder::Send(Box::new(Frame::Ping(Ping { nonce: 1 })))).unwrap();
    drop(b_orders);
    b.is_down().await;
    a.is_down().await;
}

#[tokio::test]
async fn a_role_is_told_with_the_link() {
    let (mut a, mut b) = (Side::new(1), Side::new(2));
    let address = listen(&b).await;
    let links = Arc::clone(&a.links);
    tokio::spawn(async move { links.dial(address).await });
    let EngineInput::LinkUp { role, orders, handshake_hash, .. } = b.next().await else {
        panic!("not LinkUp")
    };
    assert_eq!(role, Role::Responder);
    orders.send(LinkOrder::Admit).unwrap();
    let EngineInput::LinkUp { role, handshake_hash: same, address: dialled, .. } = a.next().await
    else {
        panic!("not LinkUp")
    };
    assert_eq!((role, same, dialled), (Role::Initiator, handshake_hash, address));
}
