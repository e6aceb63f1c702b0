//! Takes dials of the target.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use prost::Message;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout_at};

use super::{group, own_address, whose};
use crate::peer::{Direction, Log};
use crate::stack::crypto::Rng;
use crate::stack::v1::Beacon;

/// How long after a beacon it is sent again: one may get lost.
const AGAIN: Duration = Duration::from_millis(900);

/// Sends beacons from one address.
#[derive(Debug)]
pub struct Mouth(UdpSocket);

impl Mouth {
    /// From this address, on its interface.
    ///
    /// # Errors
    /// Of the system.
    pub fn open(from: Ipv4Addr) -> io::Result<Self> {
        let socket = UdpSocket::bind((from, 0))?;
        let options = SockRef::from(&socket);
        options.set_multicast_if_v4(&from)?;
        options.set_multicast_loop_v4(true)?;
        options.set_multicast_ttl_v4(1)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// From one address, on the interface of another.
    ///
    /// # Errors
    /// Of the system.
    pub fn open_on(from: Ipv4Addr, interface: Ipv4Addr) -> io::Result<Self> {
        let mouth = Self::open(from)?;
        SockRef::from(&mouth.0).set_multicast_if_v4(&interface)?;
        Ok(mouth)
    }

    /// Sends a datagram to the group.
    ///
    /// # Errors
    /// Of the system.
    pub fn say(&self, datagram: &[u8]) -> io::Result<()> {
        self.0.send_to(datagram, group()).map(|_| ())
    }

    /// Whether anything was sent to the socket that says the beacons.
    #[must_use]
    pub fn was_answered(&self) -> bool {
        self.0.recv_from(&mut [0; 16]).is_ok()
    }
}

/// A place where the suite listens as a node does.
#[derive(Debug)]
pub struct Host {
    /// Says where it is.
    pub mouth: Mouth,
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddrV4,
    /// Of the node that it plays.
    pub instance_id: [u8; 16],
    target: SocketAddr,
    log: Log,
}

impl Host {
    /// Listens on a free port; on loopback at an address that nobody else has, so that
    /// what other suites send does not count against it.
    ///
    /// # Errors
    /// Of the system.
    pub async fn open(target: SocketAddr, rng: &mut Rng, log: &Log) -> io::Result<Self> {
        let mut own = own_address(target)?;
        if own.is_loopback() {
            let [a, b] = rng.array();
            let other = Ipv4Addr::new(127, 64 | (a & 63), b, 2);
            // Elsewhere than on Linux loopback has one address.
            own = if UdpSocket::bind((other, 0)).is_ok() { other } else { own };
        }
        Self::open_at(SocketAddrV4::new(own, 0), target, rng, log).await
    }

    /// Listens at this address.
    ///
    /// # Errors
    /// Of the system.
    pub async fn open_at(
        own: SocketAddrV4,
        target: SocketAddr,
        rng: &mut Rng,
        log: &Log,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(own).await?;
        let address = SocketAddrV4::new(*own.ip(), listener.local_addr()?.port());
        let (mouth, instance_id, log) = (Mouth::open(*own.ip())?, rng.array(), log.clone());
        Ok(Self { mouth, listener, address, instance_id, target, log })
    }

    /// The beacon that leads here.
    #[must_use]
    pub fn beacon(&self) -> Beacon {
        let port = u32::from(self.address.port());
        Beacon { version: 1, port, instance_id: self.instance_id.to_vec() }
    }

    /// Sends a datagram.
    pub fn say(&self, datagram: &[u8], what: &str) {
        self.log.add(Direction::Sent, format!("datagram: {what}"), datagram);
        if let Err(error) = self.mouth.say(datagram) {
            self.log.add(Direction::Note, format!("sending failed: {error}"), &[]);
        }
    }

    /// Sends the beacon and waits for the target's dial. It is sent again now and then.
    pub async fn invite(&self, patience: Duration) -> Option<TcpStream> {
        let datagram = self.beacon().encode_to_vec();
        let until = Instant::now() + patience;
        loop {
            self.say(&datagram, "a beacon");
            let next = (Instant::now() + AGAIN).min(until);
            if let Some(stream) = self.dialled(next).await {
                return Some(stream);
            }
            if Instant::now() >= until {
                return None;
            }
        }
    }

    /// The target's next dial until a moment; dials of others are sent away.
    pub async fn dialled(&self, until: Instant) -> Option<TcpStream> {
        loop {
            let (stream, from) = timeout_at(until, self.listener.accept()).await.ok()?.ok()?;
            if self.is_target(from) {
                self.log.add(Direction::Note, "the target dials", &[]);
                return Some(stream);
            }
        }
    }

    fn is_target(&self, from: SocketAddr) -> bool {
        if !self.target.ip().is_loopback() {
            return canonical(from.ip()) == canonical(self.target.ip());
        }
        // Where the system does not tell, nobody else is expected.
        whose::has(self.target.port(), from).unwrap_or(true)
    }
}

fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
