//! Whether a datagram to the beacons' groups comes back to the machine that
//! sent it.
//!
//! The sockets are those of a node, and so are groups and port: whatever filters
//! beacons on this machine filters these. With a TTL of 0 nothing leaves it.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tortalk_model::entropy::Entropy as _;

use super::{Groups, SocketKey};
use crate::discovery::interfaces::Interface;
use crate::entropy::OsEntropy;

/// A datagram on its own machine takes microseconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// It is sent again, since the system may drop one.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// No protobuf message begins with this byte, so this is nobody's beacon.
const NO_BEACON: u8 = 0;

/// One socket's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The interface.
    pub interface: String,
    /// The own address there.
    pub ip: IpAddr,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a datagram to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It came back.
    Back,
    /// It was sent and did not come back.
    Lost,
    /// The system did not take it.
    Refused(io::ErrorKind),
    /// The group cannot be joined.
    NoSocket(io::ErrorKind),
}

/// Sends to the groups on each of `interfaces` and hears what comes back. Takes
/// a second where something is lost.
pub async fn probe(interfaces: Vec<Interface>, groups: Groups) -> Vec<Probed> {
    let mut probing = Vec::new();
    for interface in interfaces {
        if let Some(key) = SocketKey::of(&interface) {
            probing.push(tokio::task::spawn_blocking(move || {
                let outcome = one(&key, &groups);
                Probed { interface: interface.name, ip: interface.ip, outcome }
            }));
        }
    }
    let mut probed = Vec::new();
    for probing in probing {
        probed.extend(probing.await);
    }
    probed
}

fn one(key: &SocketKey, groups: &Groups) -> Outcome {
    let socket = match open(key, groups) {
        Ok(socket) => socket,
        Err(error) => return Outcome::NoSocket(error.kind()),
    };
    let mut datagram = [NO_BEACON; 33];
    datagram[1..].copy_from_slice(&OsEntropy.bytes::<32>());
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Err(error) = socket.send_to(&datagram, key.group(groups)) {
            return Outcome::Refused(error.kind());
        }
        let next = Instant::now() + AGAIN_AFTER;
        while Instant::now() < next {
            let mut buffer = [0; 64];
            let received: io::Result<(usize, SocketAddr)> = socket.recv_from(&mut buffer);
            if received.is_ok_and(|(len, _)| buffer[..len] == datagram) {
                return Outcome::Back;
            }
        }
    }
    Outcome::Lost
}

fn open(key: &SocketKey, groups: &Groups) -> io::Result<UdpSocket> {
    let socket = key.open(groups)?;
    let options = SockRef::from(&socket);
    match key {
        SocketKey::V4 { .. } => options.set_multicast_ttl_v4(0)?,
        SocketKey::V6 { .. } => options.set_multicast_hops_v6(0)?,
    }
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(AGAIN_AFTER))?;
    Ok(socket)
}
