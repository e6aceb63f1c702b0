//! Connections of a served relay, counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::{Stream, StreamExt, wrappers::TcpListenerStream};
use tonic::transport::server::Connected;

/// An end that is on its way may come after the beginning of what follows it: a connection
/// counts beside another when both are there for so long.
const CLOSING: Duration = Duration::from_millis(400);

/// How many there are, and were at most at a time.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Connections {
    /// At this moment.
    #[must_use]
    pub fn now(&self) -> usize {
        self.0.now.load(Ordering::SeqCst)
    }

    /// At most at a time, so far; told when the last beginning has been counted.
    pub async fn most(&self) -> usize {
        tokio::time::sleep(2 * CLOSING).await;
        self.0.most.load(Ordering::SeqCst)
    }

    pub(super) fn accept(
        self,
        listener: TcpListener,
    ) -> impl Stream<Item = io::Result<Connection>> {
        TcpListenerStream::new(listener).map(move |stream| {
            let stream = stream?;
            stream.set_nodelay(true)?;
            self.0.now.fetch_add(1, Ordering::SeqCst);
            let counts = Arc::clone(&self.0);
            tokio::spawn(async move {
                tokio::time::sleep(CLOSING).await;
                let now = counts.now.load(Ordering::SeqCst);
                counts.most.fetch_max(now, Ordering::SeqCst);
            });
            Ok(Connection { stream, counts: Arc::clone(&self.0) })
        })
    }
}

/// One of them.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    counts: Arc<Counts>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counts.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
