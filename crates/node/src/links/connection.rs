//! One connection: a socket, a link machine and the way to the engine.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tortalk_link::{Link, LinkError, LinkEvent, PeerAuth};
use tortalk_mesh::LinkId;
use tortalk_wire::frame::Frame;
use tortalk_wire::{Bye, ByeReason};

use super::guard::Ticket;
use super::{DialError, LinkOrder, Links, Orders, WAITING_BYTES_MAX};
use crate::engine::EngineInput;
use crate::entropy::OsEntropy;

/// Read at once from somebody who is not known yet.
const FIRST_READ_BYTES: usize = 2 * 1024;
/// Read at once from a peer.
const READ_BYTES: usize = 64 * 1024;
/// Waiting for a peer that does not read: more is not kept.
const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A peer that takes nothing for so long is gone.
const STALL_MAX: Duration =
    if cfg!(test) { Duration::from_secs(3) } else { Duration::from_secs(30) };
/// What is queued when a link is closed gets this long to leave.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// Starts a connection that came in.
pub(super) fn accept(links: &Arc<Links>, stream: TcpStream, from: SocketAddr, ticket: Ticket) {
    let link = Link::responder(links.me.clone(), links.clock.mono(), &mut OsEntropy);
    start(links, stream, from, link, Some(ticket), None);
}

/// Starts a connection that was dialled; `up` learns what becomes of it.
pub(super) fn initiate(
    links: &Arc<Links>,
    stream: TcpStream,
    address: SocketAddr,
    up: oneshot::Sender<Result<PeerAuth, DialError>>,
) {
    let link = Link::initiator(links.me.clone(), links.clock.mono(), &mut OsEntropy);
    start(links, stream, address, link, None, Some(up));
}

fn start(
    links: &Arc<Links>,
    stream: TcpStream,
    address: SocketAddr,
    link: Link,
    ticket: Option<Ticket>,
    up: Option<oneshot::Sender<Result<PeerAuth, DialError>>>,
) {
    let Some(token) = links.token() else { return };
    let connection = Connection {
        links: Arc::clone(links),
        id: links.next_id(),
        stream,
        link,
        address,
        out: Vec::new(),
        written: 0,
        progress: Instant::now(),
        unclaimed: 0,
        handing: None,
        faulty: false,
    };
    tokio::spawn(async move {
        connection.run(ticket, up).await;
        drop(token);
    });
}

type Handing = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Connection {
    links: Arc<Links>,
    id: LinkId,
    stream: TcpStream,
    link: Link,
    address: SocketAddr,
    /// Bytes for the socket, and how many of them it has taken.
    out: Vec<u8>,
    written: usize,
    progress: Instant,
    /// Bytes read since the last that the engine was given.
    unclaimed: usize,
    /// What is on its way to the engine; nothing is read meanwhile.
    handing: Option<Handing>,
    /// The peer sent what is no frame.
    faulty: bool,
}

/// How a connection ends.
enum End {
    /// What is in the output may still leave.
    Flush,
    /// At once.
    Now,
}

impl Connection {
    async fn run(
        mut self,
        mut ticket: Option<Ticket>,
        up: Option<oneshot::Sender<Result<PeerAuth, DialError>>>,
    ) {
        // A message is one small write; waiting for more helps nobody.
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(link = self.id.0, %error, "the socket cannot be set up");
        }
        let authenticated = tokio::select! {
            authenticated = self.authenticate() => authenticated,
            () = evicted(&mut ticket) => Err(DialError::TurnedAway),
        };
        let peer = match authenticated {
            Ok(peer) => peer,
            Err(error) => {
                tracing::debug!(link = self.id.0, %error, "no link came about");
                up.map(|up| up.send(Err(error)));
                return;
            }
        };
        drop(ticket);
        let (orders, mut from_engine) = mpsc::unbounded_channel();
        self.hand_over_up(peer, orders).await;
        up.map(|up| up.send(Ok(peer)));
        let end = self.converse(&mut from_engine).await;
        // Frames that came before the end count, and the end comes after them.
        if let Some(handing) = self.handing.take() {
            handing.await;
        }
        // An engine that is gone needs no word of it.
        if self.faulty {
            let fault = tortalk_mesh::Input::PeerFault { link: self.id };
            let _ended = self.links.to_engine.send(EngineInput::Mesh(fault)).await;
        }
        let _ended = self.links.to_engine.send(EngineInput::LinkDown { link: self.id }).await;
        if let End::Flush = end {
            let _slow = tokio::time::timeout(FLUSH_MAX, self.flush()).await;
        }
    }

    /// Runs the handshake. Ends within the time that the link machine allows.
    async fn authenticate(&mut self) -> Result<PeerAuth, DialError> {
        let mut buffer = vec![0; FIRST_READ_BYTES];
        let mut moves = self.links.clock.moves();
        loop {
            self.refill();
            let deadline = self.links.clock.instant(self.link.next_deadline().unwrap_or_default());
            let writing = !self.out.is_empty();
            tokio::select! {
                ready = self.stream.writable(), if writing => {
                    ready.map_err(|error| DialError::NotReached(error.kind()))?;
                    self.write().map_err(|error| DialError::NotReached(error.kind()))?;
                }
                ready = self.stream.readable() => {
                    ready.map_err(|error| DialError::NotReached(error.kind()))?;
                    let read = match self.stream.try_read(&mut buffer) {
                        Ok(read) => read,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                        Err(_) => 0,
                    };
                    if read == 0 {
                        return Err(DialError::TurnedAway);
                    }
                    let now = self.links.clock.mono();
                    if let Err(error) = self.link.receive(&buffer[..read], now) {
                        // A version list is all that may be waiting for a stranger.
                        let _slow = tokio::time::timeout(FLUSH_MAX, self.flush()).await;
                        return Err(dial_error(error));
                    }
                    self.unclaimed = read;
                }
                () = sleep_until(deadline.into()) => {
                    self.link.tick(self.links.clock.mono()).map_err(dial_error)?;
                }
                Ok(()) = moves.changed() => {}
                () = self.links.stopping() => return Err(DialError::Stopping),
            }
            match self.link.next_event() {
                Some(LinkEvent::Authenticated(peer)) => return Ok(peer),
                Some(LinkEvent::Frame(_)) | None => {}
            }
        }
    }

    async fn hand_over_up(&mut self, peer: PeerAuth, orders: Orders) {
        let handshake_hash = *self.link.handshake_hash().expect("it is through");
        let up = EngineInput::LinkUp {
            link: self.id,
            orders,
            role: self.link.role(),
            peer: tortalk_mesh::PeerAuth {
                identity: peer.identity,
                device_id: peer.device_id,
                instance_id: peer.instance_id,
            },
            handshake_hash,
            address: self.address,
        };
        // A closed channel shows again as orders that never come.
        let _stopped = self.links.to_engine.send(up).await;
    }

    /// Everything between a link's beginning and its end.
    async fn converse(&mut self, orders: &mut mpsc::UnboundedReceiver<LinkOrder>) -> End {
        let mut buffer = vec![0; READ_BYTES];
        let mut moves = self.links.clock.moves();
        self.hand_over_frames();
        self.progress = Instant::now();
        loop {
            let waiting = self.out.len() - self.written + self.link.output_len();
            self.refill();
            if waiting > OUTPUT_BYTES_MAX {
                tracing::info!(link = self.id.0, "the peer does not read");
                return End::Now;
            }
            // A link that has ended by itself has no deadline.
            let Some(deadline) = self.link.next_deadline() else { return End::Flush };
            let mut deadline = self.links.clock.instant(deadline);
            let writing = !self.out.is_empty();
            if writing {
                deadline = deadline.min(self.progress + STALL_MAX);
            }
            let reading = self.handing.is_none();
            tokio::select! {
                biased;
                order = orders.recv() => {
                    if let Some(end) = self.obey(order, orders) {
                        return end;
                    }
                }
                ready = self.stream.writable(), if writing => {
                    if ready.and_then(|()| self.write()).is_err() {
                        return End::Now;
                    }
                }
                () = handed(&mut self.handing) => {
                    self.handing = None;
                }
                Ok(()) = moves.changed() => {}
                ready = self.stream.readable(), if reading => {
                    match ready.and_then(|()| self.stream.try_read(&mut buffer)) {
                        Ok(0) => return End::Flush,
                        Ok(read) => {
                            if let Some(end) = self.received(&buffer[..read]) {
                                return end;
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(_) => return End::Now,
                    }
                }
                () = sleep_until(deadline.into()) => {
                    if writing && self.progress.elapsed() >= STALL_MAX {
                        tracing::info!(link = self.id.0, "the peer does not read");
                        return End::Now;
                    }
                    match self.link.tick(self.links.clock.mono()) {
                        Ok(()) => {}
                        Err(LinkError::Aged) => {
                            self.link.send(&Frame::Bye(Bye { reason: ByeReason::Age }));
                            return End::Flush;
                        }
                        Err(error) => {
                            tracing::info!(link = self.id.0, %error, "the link ends");
                            return End::Now;
                        }
                    }
                }
            }
        }
    }

    /// Does what the engine says, all of it that is there.
    fn obey(
        &mut self,
        first: Option<LinkOrder>,
        orders: &mut mpsc::UnboundedReceiver<LinkOrder>,
    ) -> Option<End> {
        let mut order = first;
        loop {
            match order {
                Some(LinkOrder::Admit) => {
                    if let Some(end) = self.judge_early_bytes() {
                        return Some(end);
                    }
                    self.link.admit();
                }
                Some(LinkOrder::Send(frame)) => self.link.send(&frame),
                Some(LinkOrder::Drop) => return Some(End::Now),
                Some(LinkOrder::Close(reason)) => {
                    self.link.send(&Frame::Bye(Bye { reason }));
                    return Some(End::Flush);
                }
                // The engine has forgotten this link.
                None => return Some(End::Flush),
            }
            match orders.try_recv() {
                Ok(next) => order = Some(next),
                Err(mpsc::error::TryRecvError::Empty) => return None,
                Err(mpsc::error::TryRecvError::Disconnected) => order = None,
            }
        }
    }

    /// What waits in the socket when our `Auth` is due has come too early.
    fn judge_early_bytes(&mut self) -> Option<End> {
        // Asked of the socket itself: the runtime may not know yet that something is there.
        let mut first = [MaybeUninit::uninit()];
        let waiting = SockRef::from(&self.stream).peek(&mut first).is_ok_and(|len| len > 0);
        // req: LNK-32
        if waiting {
            return self.received(&[0]);
        }
        None
    }

    fn received(&mut self, bytes: &[u8]) -> Option<End> {
        self.unclaimed = self.unclaimed.saturating_add(bytes.len());
        let result = self.link.receive(bytes, self.links.clock.mono());
        self.hand_over_frames();
        let error = result.err()?;
        tracing::info!(link = self.id.0, %error, "the link ends");
        self.faulty = matches!(error, LinkError::Frame(_) | LinkError::Peer(_));
        Some(End::Flush)
    }

    /// Puts the frames that are there on their way to the engine.
    fn hand_over_frames(&mut self) {
        let mut frames = Vec::new();
        while let Some(event) = self.link.next_event() {
            match event {
                LinkEvent::Frame(frame) => frames.push(frame),
                LinkEvent::Authenticated(_) => {}
            }
        }
        if frames.is_empty() {
            return;
        }
        let weight = core::mem::take(&mut self.unclaimed).clamp(1, WAITING_BYTES_MAX);
        let (links, link) = (Arc::clone(&self.links), self.id);
        self.handing = Some(Box::pin(async move {
            let permits = u32::try_from(weight).expect("less than the room there is");
            let room = Arc::clone(&links.room).acquire_many_owned(permits).await;
            let room = room.expect("the semaphore is never closed");
            // A closed channel shows again as orders that never come.
            let _stopped = links
                .to_engine
                .send(EngineInput::Frames { link, frames, weight, _room: room })
                .await;
        }));
    }

    fn refill(&mut self) {
        if self.out.is_empty() && self.link.has_output() {
            self.out = self.link.take_output();
            self.written = 0;
            self.progress = Instant::now();
        }
    }

    /// Writes what the socket takes now.
    fn write(&mut self) -> io::Result<()> {
        match self.stream.try_write(&self.out[self.written..]) {
            Ok(written) => {
                self.progress = Instant::now();
                self.written += written;
                if self.written == self.out.len() {
                    (self.out, self.written) = (Vec::new(), 0);
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes everything that is left, says that no more comes, and reads until
    /// the peer has closed too: an unread byte would make the kernel take back
    /// what was written.
    async fn flush(&mut self) {
        let mut left = core::mem::take(&mut self.out).split_off(self.written);
        self.written = 0;
        left.extend(self.link.take_output());
        if self.stream.write_all(&left).await.is_err() || self.stream.shutdown().await.is_err() {
            return;
        }
        let mut unread = vec![0; FIRST_READ_BYTES];
        while self.stream.readable().await.is_ok() {
            match self.stream.try_read(&mut unread) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => {}
            }
        }
    }
}

/// Never returns for a connection that holds no place.
async fn evicted(ticket: &mut Option<Ticket>) {
    match ticket {
        Some(ticket) => ticket.evicted().await,
        None => core::future::pending().await,
    }
}

/// Never returns while nothing is on its way.
async fn handed(handing: &mut Option<Handing>) {
    match handing {
        Some(handing) => handing.await,
        None => core::future::pending().await,
    }
}

const fn dial_error(error: LinkError) -> DialError {
    match error {
        LinkError::NoCommonVersion { .. } => DialError::Version,
        LinkError::SelfDial => DialError::Yourself,
        LinkError::Timeout => DialError::TurnedAway,
        _ => DialError::NotANode,
    }
}
