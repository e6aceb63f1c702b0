//! The listening sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::guard::Guard;
use super::{Links, connection};
use crate::discovery::interfaces::Interface;

/// The port that is tried first when the user chose none.
pub const DEFAULT_PORT: u16 = 45_454;
/// Connections that the kernel keeps for us.
const BACKLOG: i32 = 128;
/// How often a port that is free in IPv4 may turn out to be taken in IPv6.
const TRIES: usize = 16;

/// Which TCP port links come in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Port {
    /// 45454 where it is free, any other where not.
    #[default]
    Usual,
    /// This one or none; 0 takes any that is free.
    Exactly(u16),
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The chosen port is somebody else's.
    #[error("port {port} is in use: choose another in settings.toml, or none for any free one")]
    InUse {
        /// The port.
        port: u16,
    },
    /// The chosen port is for the system.
    #[error("port {port} needs more rights: choose one from 1024 up in settings.toml")]
    Denied {
        /// The port.
        port: u16,
    },
    /// The system does not let us listen.
    #[error("cannot listen for links ({0}): see whether the network is allowed for this program")]
    Io(io::Error),
}

/// The sockets of one port, in IPv4 and where there is IPv6 also in that.
#[derive(Debug)]
pub(crate) struct Listeners {
    sockets: Vec<StdListener>,
    port: u16,
}

impl Listeners {
    pub(crate) fn bind(port: Port) -> Result<Self, ListenError> {
        match port {
            Port::Exactly(0) => Self::bind_any(),
            Port::Exactly(port) => Self::bind_both(port).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => ListenError::InUse { port },
                io::ErrorKind::PermissionDenied => ListenError::Denied { port },
                _ => ListenError::Io(error),
            }),
            Port::Usual => Self::bind_both(DEFAULT_PORT).or_else(|_| Self::bind_any()),
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    fn bind_any() -> Result<Self, ListenError> {
        let mut tries = (0..TRIES).map(|_| Self::bind_both(0));
        let last = loop {
            match tries.next() {
                Some(Ok(listeners)) => return Ok(listeners),
                Some(Err(error)) if error.kind() == io::ErrorKind::AddrInUse => {}
                Some(Err(error)) => break error,
                None => break io::ErrorKind::AddrInUse.into(),
            }
        };
        Err(ListenError::Io(last))
    }

    fn bind_both(port: u16) -> io::Result<Self> {
        let (mut sockets, mut port) = (Vec::new(), port);
        for ip in [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()] {
            match bind_one(SocketAddr::new(ip, port)) {
                Ok(socket) => {
                    port = socket.local_addr()?.port();
                    sockets.push(socket);
                }
                Err(error) if is_without(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if sockets.is_empty() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self { sockets, port })
    }

    /// Accepts until the node ends. Whoever comes in over an interface that was
    /// not chosen is sent away without a byte.
    pub(crate) fn start(
        self,
        links: &Arc<Links>,
        interfaces: &watch::Receiver<Vec<Interface>>,
    ) -> io::Result<()> {
        let guard = Guard::default();
        for socket in self.sockets {
            let listener = TcpListener::from_std(socket)?;
            let (links, guard) = (Arc::clone(links), guard.clone());
            tokio::spawn(accept(listener, links, guard, interfaces.clone()));
        }
        Ok(())
    }
}

fn bind_one(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // After a crash the port would otherwise be taken by its own old links.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Whether an error says that this family of addresses does not exist here.
fn is_without(error: &io::Error) -> bool {
    let family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.raw_os_error() == Some(family) || error.kind() == io::ErrorKind::AddrNotAvailable
}

async fn accept(
    listener: TcpListener,
    links: Arc<Links>,
    guard: Guard,
    interfaces: watch::Receiver<Vec<Interface>>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = links.stopping() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                if is_chosen(&stream, &interfaces.borrow()) {
                    if !is_own(from.ip().to_canonical(), &interfaces.borrow()) {
                        links.observed().accepted();
                    }
                    let ticket = guard.admit(from.ip());
                    connection::accept(&links, stream, from, ticket);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the listener does not accept");
                // Too many open files end by themselves; a loop would not help.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Whether a connection came in at an address of a chosen interface.
fn is_chosen(stream: &TcpStream, interfaces: &[Interface]) -> bool {
    let Ok(local) = stream.local_addr() else { return false };
    let ip = local.ip().to_canonical();
    interfaces.iter().any(|interface| {
        // All of 127.0.0.0/8 is on the loopback interface, which names one.
        interface.ip == ip || ip.is_loopback() && interface.contains(ip)
    })
}

/// Whether an address is one of this machine's.
fn is_own(ip: IpAddr, interfaces: &[Interface]) -> bool {
    ip.is_loopback() || interfaces.iter().any(|interface| interface.ip == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_an_error_when_it_was_chosen_and_passed_over_when_not() {
        let first = Listeners::bind(Port::Exactly(0)).unwrap();
        let taken = first.port();
        assert!(matches!(
            Listeners::bind(Port::Exactly(taken)),
            Err(ListenError::InUse { port }) if port == taken
        ));
        let usual = Listeners::bind(Port::Usual).unwrap();
        let other = Listeners::bind(Port::Usual).unwrap();
        assert_ne!(usual.port(), other.port());
    }

    #[test]
    fn one_port_serves_both_families() {
        let listeners = Listeners::bind(Port::Exactly(0)).unwrap();
        for socket in &listeners.sockets {
            assert_eq!(socket.local_addr().unwrap().port(), listeners.port());
        }
    }
}
