//! Trying to reach an address, and what can be learnt when a connection does not
//! come about.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, ipproto};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection on one network comes about within this time. The system sends
/// its question again after one second, and gives an address that nobody answers
/// for up after three.
const CONNECT_MAX: Duration = Duration::from_millis(3_500);
/// So long an answer is waited for, each time.
const ANSWER_MAX: Duration = Duration::from_millis(400);
/// How often it is asked: a system answers only some questions of a second.
const TRIES: usize = 3;

/// How far one gets with an address. What comes later says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Nothing of it comes.
    Silent,
    /// This machine does not let it out.
    Forbidden,
    /// The machine answers, but not on this TCP port.
    Elsewhere,
    /// Nothing listens on this TCP port.
    Refused,
    /// A connection.
    Connected,
}

/// How far one gets with `address`. Takes a few seconds for one that is silent.
pub(super) async fn reach(address: SocketAddr) -> Reach {
    match connect(address).await {
        Ok(()) => Reach::Connected,
        Err(ErrorKind::ConnectionRefused) => Reach::Refused,
        Err(ErrorKind::PermissionDenied) => Reach::Forbidden,
        Err(_) => {
            let asking = tokio::task::spawn_blocking(move || answers(address));
            asking.await.unwrap_or(Reach::Silent)
        }
    }
}

/// Whether a TCP connection with `address` comes about.
pub(super) async fn connect(address: SocketAddr) -> Result<(), ErrorKind> {
    match timeout(CONNECT_MAX, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.kind()),
        Err(_) => Err(ErrorKind::TimedOut),
    }
}

/// Whether the machine answers anything at all: a datagram to a port without a
/// listener is answered with "nothing listens", and a ping with a pong.
fn answers(address: SocketAddr) -> Reach {
    let outcomes = [datagram(address), ping(address.ip(), address)];
    let heard = |outcome: &io::Result<()>| {
        outcome
            .as_ref()
            .map_or_else(|error| error.kind() == ErrorKind::ConnectionRefused, |()| true)
    };
    let forbidden = |outcome: &io::Result<()>| {
        outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    if outcomes.iter().any(heard) {
        Reach::Elsewhere
    } else if forbidden(&outcomes[0]) {
        // Of pings it would only mean that this user may send none.
        Reach::Forbidden
    } else {
        Reach::Silent
    }
}

/// Sends datagrams to a UDP port on which hardly anybody listens.
fn datagram(address: SocketAddr) -> io::Result<()> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    ask(&socket, &[0])
}

/// Sends pings, where the system lets users do that.
fn ping(ip: IpAddr, address: SocketAddr) -> io::Result<()> {
    let (family, protocol, echo) = match ip {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP, 8),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6, 128),
    };
    let socket = rustix::net::socket(family, SocketType::DGRAM, Some(protocol))?;
    let socket = UdpSocket::from(socket);
    let mut address = address;
    address.set_port(0);
    socket.connect(address)?;
    // The system writes checksum and identifier.
    ask(&socket, &[echo, 0, 0, 0, 0, 0, 0, 1])
}

fn ask(socket: &UdpSocket, question: &[u8]) -> io::Result<()> {
    socket.set_read_timeout(Some(ANSWER_MAX))?;
    let mut last = io::Error::from(ErrorKind::TimedOut);
    for _ in 0..TRIES {
        socket.send(question)?;
        match socket.recv(&mut [0; 64]) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn this_machine_is_reached_or_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        assert_eq!(reach(address).await, Reach::Connected);
        drop(listener);
        assert_eq!(reach(address).await, Reach::Refused);
        // Without a listener its UDP port answers so.
        assert_eq!(answers(address), Reach::Elsewhere);
    }
}
