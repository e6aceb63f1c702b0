//! TCP towards relays, and whatever will be dialled in its place.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::{oneshot, watch};
use tortalk_keys::relay::{Authority, RelayHost};

use super::way::LOCALHOST;
use crate::discovery::interfaces::{Interface, is_on_link};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(crate) type Stream = Box<dyn Duplex>;

pub(crate) type Dialling<'a> = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + 'a>>;

/// Connects with a relay. What is dialled is exactly what the relay has to prove
/// its key for.
pub(crate) trait Dialler: Send + Sync {
    fn dial<'a>(&'a self, authority: &'a Authority) -> Dialling<'a>;
}

/// Dials over TCP.
pub(crate) struct TcpDialler {
    /// Set while nothing may be dialled beyond the networks of these interfaces.
    pub(crate) lan_only: Option<watch::Receiver<Vec<Interface>>>,
}

impl Dialler for TcpDialler {
    fn dial<'a>(&'a self, authority: &'a Authority) -> Dialling<'a> {
        Box::pin(self.connect(authority))
    }
}

impl TcpDialler {
    async fn connect(&self, authority: &Authority) -> io::Result<Stream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in self.resolve(authority).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // An answer is one small write; waiting for more helps nobody.
                    stream.set_nodelay(true)?;
                    return Ok(Box::new(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn resolve(&self, authority: &Authority) -> io::Result<Vec<SocketAddr>> {
        let port = authority.port();
        let name = match authority.host() {
            RelayHost::Name(name) => name.as_str(),
            // req: TOR-06
            RelayHost::Onion(_) => {
                tracing::info!("a relay is an onion service: it is reached through Tor only");
                return Err(io::ErrorKind::Unsupported.into());
            }
        };
        if let Ok(ip) = name.parse::<IpAddr>() {
            let address = SocketAddr::new(ip, port);
            return if self.allows(&address) { Ok(vec![address]) } else { Err(leaves_lan()) };
        }
        if name == LOCALHOST {
            let ips: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Ok(ips.map(|ip| SocketAddr::new(ip, port)).to_vec());
        }
        if self.lan_only.is_some() {
            // To look a name up tells others of it.
            return Err(leaves_lan());
        }
        // What the resolver's errors mean differs from system to system.
        let found = lookup_host((name, port)).await.map_err(|_| io::ErrorKind::NotFound)?;
        Ok(found.take(ADDRESSES_MAX).collect())
    }

    fn allows(&self, address: &SocketAddr) -> bool {
        self.lan_only.as_ref().is_none_or(|lan| is_on_link(address, &lan.borrow()))
    }
}

fn leaves_lan() -> io::Error {
    tracing::info!("Safety is on and a relay is not on this network: it is not dialled");
    io::ErrorKind::Unsupported.into()
}

/// A stream whose end is noticed: when whoever holds it lets go of it.
pub(super) struct Watched {
    stream: Stream,
    _gone: oneshot::Sender<()>,
}

impl Watched {
    /// The stream, and what ends with an error when it is gone.
    pub(super) fn new(stream: Stream) -> (Self, oneshot::Receiver<()>) {
        let (sender, gone) = oneshot::channel();
        (Self { stream, _gone: sender }, gone)
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
