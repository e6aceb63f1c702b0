//! Hears the beacons of the target.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::{GROUP, GROUP_V6, PORT};
use crate::stack::beacon;
use crate::stack::v1::Beacon;

/// A datagram that names the target's port, or comes from its address.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When.
    pub at: Instant,
    /// From where.
    pub source: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

impl Heard {
    /// The beacon in it.
    #[must_use]
    pub fn beacon(&self) -> Option<Beacon> {
        beacon::read(&self.bytes).ok()
    }
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Vec<Heard>>,
    more: Notify,
}

/// Collects what comes in on the beacons' groups until it is dropped.
#[derive(Debug)]
pub struct Ear {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ear {
    /// Joins the IPv4 group on the interface with this address.
    ///
    /// # Errors
    /// Of the system.
    pub fn open(own: Ipv4Addr) -> io::Result<Self> {
        let socket = shared(Domain::IPV4)?;
        let bound = if cfg!(unix) { GROUP } else { Ipv4Addr::UNSPECIFIED };
        socket.bind(&SocketAddrV4::new(bound, PORT).into())?;
        socket.join_multicast_v4(&GROUP, &own)?;
        Self::of(socket)
    }

    /// Joins the IPv6 group on the interface with this number.
    ///
    /// # Errors
    /// Of the system.
    pub fn open_v6(interface: u32) -> io::Result<Self> {
        let socket = shared(Domain::IPV6)?;
        socket.set_only_v6(true)?;
        let bound = if cfg!(unix) { GROUP_V6 } else { Ipv6Addr::UNSPECIFIED };
        socket.bind(&SocketAddrV6::new(bound, PORT, 0, interface).into())?;
        socket.join_multicast_v6(&GROUP_V6, interface)?;
        Self::of(socket)
    }

    fn of(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket.into())?;
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(listen(socket, Arc::clone(&shared)));
        Ok(Self { shared, task: task.abort_handle() })
    }

    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `pick` takes of all that was heard so far.
    pub fn all(&self, pick: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        self.heard().iter().filter(|heard| pick(heard)).cloned().collect()
    }

    /// The beacons of the node that listens for links at `port`, so far.
    pub fn of_port(&self, port: u16) -> Vec<Heard> {
        self.all(|heard| names(heard, port))
    }

    /// Waits until so many beacons with this port were heard; gives those there are at the end.
    pub async fn wait(&self, port: u16, count: usize, patience: Duration) -> Vec<Heard> {
        let until = Instant::now() + patience;
        loop {
            let more = self.shared.more.notified();
            let found = self.of_port(port);
            if found.len() >= count || timeout_at(until, more).await.is_err() {
                return found;
            }
        }
    }

    /// The next beacon with this port after a moment.
    pub async fn after(&self, port: u16, moment: Instant, patience: Duration) -> Option<Heard> {
        let until = moment + patience;
        loop {
            let more = self.shared.more.notified();
            let found = self.all(|heard| heard.at > moment && names(heard, port));
            if let Some(first) = found.into_iter().next() {
                return Some(first);
            }
            if timeout_at(until, more).await.is_err() {
                return None;
            }
        }
    }
}

fn names(heard: &Heard, port: u16) -> bool {
    use prost::Message;
    // A beacon that is not as it should be counts too, if its port can be read.
    Beacon::decode(heard.bytes.as_slice()).is_ok_and(|beacon| beacon.port == u32::from(port))
}

async fn listen(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = [0; 2048];
    while let Ok((length, source)) = socket.recv_from(&mut buffer).await {
        let heard = Heard { at: Instant::now(), source, bytes: buffer[..length].to_vec() };
        shared.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
        shared.more.notify_waiters();
    }
}

/// A datagram socket on a port that others have too.
fn shared(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    Ok(socket)
}

/// The time to live of the next datagram with the target's port: the system shows the IP
/// header only to those who may open raw sockets.
///
/// # Errors
/// When the system does not let us.
pub(super) async fn next_ttl(own: IpAddr, port: u16, patience: Duration) -> io::Result<Option<u8>> {
    let IpAddr::V4(own) = own else { return Err(io::ErrorKind::Unsupported.into()) };
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP))?;
    socket.join_multicast_v4(&GROUP, &own)?;
    socket.set_nonblocking(true)?;
    // Bytes are all that is read of it, so it serves as any datagram socket.
    let socket = UdpSocket::from_std(socket.into())?;
    let until = Instant::now() + patience;
    let mut buffer = [0; 2048];
    while let Ok(read) = timeout_at(until, socket.recv(&mut buffer)).await {
        let packet = &buffer[..read?];
        let header = usize::from(packet.first().map_or(0, |first| first & 15)) * 4;
        let (Some(ttl), Some(to), Some(datagram)) =
            (packet.get(8), packet.get(16..20), packet.get(header + 8..))
        else {
            continue;
        };
        use prost::Message;
        let is_ours = Beacon::decode(datagram).is_ok_and(|beacon| beacon.port == u32::from(port));
        if to == GROUP.octets() && is_ours {
            return Ok(Some(*ttl));
        }
    }
    Ok(None)
}
