//! Connections as they come, counted and watched.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tortalk_model::limits::relay::{FIRST_BYTES, FIRST_BYTES_TIMEOUT, IDLE_TIMEOUT};

use crate::env::Clock;
use crate::metrics::{Metrics, add};
use crate::rules::connections::Connections;
use crate::rules::rate::Source;
use crate::service::Relay;
use crate::service::peer::{Calls, Peer};

/// Wait before the next try when the system has no more file descriptors.
const RETRY: Duration = Duration::from_millis(100);

/// Accepts connections for as long as somebody takes them.
pub(super) fn listen(
    listener: TcpListener,
    relay: &Relay,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let (sender, receiver) = mpsc::channel(16);
    let bounds = relay.bounds();
    let counted = Connections::new(bounds.connections, bounds.connections_per_source);
    let gate = Gate {
        counted: Arc::new(Mutex::new(counted)),
        shared_sources: bounds.shared_sources.clone().into(),
        clock: relay.clock().clone(),
        metrics: relay.metrics(),
    };
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = sender.closed() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, address)) = accepted else {
                tokio::time::sleep(RETRY).await;
                continue;
            };
            let Some(connection) = gate.admit(stream, address.ip()) else { continue };
            if sender.send(Ok(connection)).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}

/// Who may come in.
struct Gate {
    counted: Arc<Mutex<Connections>>,
    shared_sources: Arc<[std::net::IpAddr]>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// A connection that was let in; the others are closed.
    fn admit(&self, stream: TcpStream, address: std::net::IpAddr) -> Option<Connection> {
        let peer = Peer::new(address, &self.shared_sources, &self.clock);
        // req: RLY-58
        if !lock(&self.counted).open(peer.source())
            && !tortalk_model::deviate!(skip_rly_58_in_incoming)
        {
            add(&self.metrics.connections_refused, 1);
            return None;
        }
        add(&self.metrics.connections, 1);
        // Without it small answers wait for the other side's delayed ones. A
        // socket that refuses is about to fail anyway.
        drop(stream.set_nodelay(true));
        let place = Place {
            counted: Arc::clone(&self.counted),
            source: peer.source(),
            metrics: Arc::clone(&self.metrics),
        };
        Some(Connection {
            stream,
            watch: Box::pin(sleep(FIRST_BYTES_TIMEOUT)),
            calls: peer.calls(),
            clock: self.clock.clone(),
            received: 0,
            peer,
            _place: place,
        })
    }
}

/// A place among the connections, until it is dropped.
struct Place {
    counted: Arc<Mutex<Connections>>,
    source: Option<Source>,
    metrics: Arc<Metrics>,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.counted).close(self.source);
        self.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A TCP connection that ends when its peer is silent at the beginning, or has
/// no call open for long.
pub(super) struct Connection {
    stream: TcpStream,
    watch: Pin<Box<Sleep>>,
    calls: Arc<Calls>,
    clock: Clock,
    received: u64,
    peer: Peer,
    _place: Place,
}

impl Connection {
    /// Whether the peer has had its time.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.watch.as_mut().poll(context).is_ready() {
            let silent = self.received < FIRST_BYTES;
            // req: RLY-59
            if silent {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let idle = self
                .calls
                .idle_since()
                .map_or(Duration::ZERO, |since| self.clock.now().mono.since(since));
            // req: RLY-59
            if idle >= IDLE_TIMEOUT {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let left = IDLE_TIMEOUT.saturating_sub(idle).max(Duration::from_secs(1));
            self.watch.as_mut().reset(Instant::now() + left);
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let received = buffer.filled().len() - before;
        self.received = self.received.saturating_add(received as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

fn lock(counted: &Mutex<Connections>) -> MutexGuard<'_, Connections> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}
