//! TCP connections and the link machines on them.
//!
//! Each connection is one task that owns one [`tortalk_link::Link`]. Towards the
//! engine it is bounded in entries and in bytes: when the engine is slow the
//! task stops reading, and the peer's TCP waits. From the engine it takes orders
//! at any time, so the engine never waits for a peer.
//!
//! Whatever is said here about a peer in a log is the number of its link.

mod connection;
mod guard;
pub(crate) mod listener;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tortalk_link::{LinkSelf, PeerAuth};
use tortalk_mesh::LinkId;
use tortalk_wire::{ByeReason, Frame};

use crate::clock::Clock;
use crate::discovery::interfaces::{Interface, is_on_link};
use crate::engine::EngineInput;
use crate::handle::Phase;
use crate::observed::Observed;

/// A connection comes about within this time, or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes from all links together that the engine has not dealt with.
pub(crate) const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What all connections of one node share.
pub(crate) struct Links {
    me: LinkSelf,
    clock: Clock,
    to_engine: mpsc::Sender<EngineInput>,
    /// Room for bytes that wait for the engine.
    room: Arc<Semaphore>,
    next: AtomicU64,
    phase: watch::Receiver<Phase>,
    /// Set when nothing may be dialled beyond the networks of these interfaces.
    lan_only: OnceLock<watch::Receiver<Vec<Interface>>>,
    observed: Observed,
    /// Held by every connection; all are gone when the last clone is.
    alive: Mutex<Option<mpsc::Sender<()>>>,
}

/// What the engine tells a connection.
#[derive(Debug)]
pub(crate) enum LinkOrder {
    Admit,
    Send(Box<Frame>),
    Close(ByeReason),
    Drop,
}

/// The engine's end of a connection. Dropping it closes the link.
pub(crate) type Orders = mpsc::UnboundedSender<LinkOrder>;

/// Why a dial did not end in a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DialError {
    #[error("nobody answers ({0}): see whether the other node runs, and its address and port")]
    NotReached(io::ErrorKind),
    #[error("who is there does not answer this node: ask them to add you or to be visible")]
    TurnedAway,
    #[error("who is there speaks another version: update the older of the two programs")]
    Version,
    #[error("this is your own node: give the address of another one")]
    Yourself,
    #[error("what is there is no torTalk node: check the port")]
    NotANode,
    #[error("Safety is on and this address is not on your network: it is not dialled in the clear")]
    LeavesLan,
    #[error("this node is ending: start it again")]
    Stopping,
}

impl Links {
    /// Returns the links and what says that the last of them is gone.
    pub(crate) fn new(
        me: LinkSelf,
        clock: Clock,
        to_engine: mpsc::Sender<EngineInput>,
        phase: watch::Receiver<Phase>,
    ) -> (Arc<Self>, mpsc::Receiver<()>) {
        let (alive, gone) = mpsc::channel(1);
        let links = Self {
            me,
            clock,
            to_engine,
            room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
            next: AtomicU64::new(0),
            phase,
            lan_only: OnceLock::new(),
            observed: Observed::default(),
            alive: Mutex::new(Some(alive)),
        };
        (Arc::new(links), gone)
    }

    /// Connects to an address and authenticates.
    ///
    /// Returns when the link is up or will never be. Dropping the future does
    /// not end the attempt.
    pub(crate) async fn dial(self: &Arc<Self>, address: SocketAddr) -> Result<PeerAuth, DialError> {
        let dialled = self.try_to_dial(address).await;
        self.observed.dialled(address, &dialled);
        dialled
    }

    async fn try_to_dial(self: &Arc<Self>, address: SocketAddr) -> Result<PeerAuth, DialError> {
        let leaves = self.lan_only.get().is_some_and(|lan| !is_on_link(&address, &lan.borrow()));
        if leaves {
            return Err(DialError::LeavesLan);
        }
        let (up, answered) = oneshot::channel();
        let links = Arc::clone(self);
        tokio::spawn(async move {
            let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address));
            let connected = tokio::select! {
                connected = connecting => connected,
                () = links.stopping() => return,
            };
            let not_reached = match connected {
                Ok(Ok(stream)) => return connection::initiate(&links, stream, address, up),
                Ok(Err(error)) => error.kind(),
                Err(_) => io::ErrorKind::TimedOut,
            };
            let _gave_up = up.send(Err(DialError::NotReached(not_reached)));
        });
        answered.await.unwrap_or(Err(DialError::Stopping))
    }

    /// What was noticed of the network.
    pub(crate) const fn observed(&self) -> &Observed {
        &self.observed
    }

    /// From now on nothing is dialled but what is on-link at these interfaces.
    pub(crate) fn stay_on_lan(&self, interfaces: watch::Receiver<Vec<Interface>>) {
        self.lan_only.get_or_init(|| interfaces);
    }

    /// Waits until the node begins to end.
    pub(crate) async fn stopping(&self) {
        let mut phase = self.phase.clone();
        // The sender is gone only when the node is.
        let _over = phase.wait_for(|&phase| phase >= Phase::Stopping).await;
    }

    /// No connection begins from here on.
    pub(crate) fn close(&self) {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn token(&self) -> Option<mpsc::Sender<()>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next_id(&self) -> LinkId {
        LinkId(self.next.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

#[cfg(test)]
mod tests;
