//! The suite as a neighbour of the target: beacons sent and heard, and dials of the
//! target taken (`spec/discovery.md`).
//!
//! Other nodes may be on the same machine, and suites that test them: what the
//! target did not send or dial is passed over, so that several can run at once.

mod ear;
mod host;
mod whose;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

pub use ear::{Ear, Heard};
pub use host::{Host, Mouth};

/// The IPv4 group.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// The IPv6 group.
pub const GROUP_V6: std::net::Ipv6Addr =
    std::net::Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x7474, 0x5441);
/// The UDP port of both.
pub const PORT: u16 = 54_545;

/// Where beacons go.
#[must_use]
pub fn group() -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(GROUP, PORT))
}

/// The suite's address on the target's network.
///
/// # Errors
/// When there is no way there in IPv4.
pub fn own_address(target: SocketAddr) -> std::io::Result<Ipv4Addr> {
    if target.ip().is_loopback() {
        return Ok(Ipv4Addr::LOCALHOST);
    }
    // Nothing is sent: the system only chooses the way.
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    probe.connect(target)?;
    match probe.local_addr()?.ip() {
        IpAddr::V4(own) => Ok(own),
        IpAddr::V6(_) => Err(std::io::ErrorKind::Unsupported.into()),
    }
}

/// The process that listens on a port of this machine; `None` where the system does not tell.
#[must_use]
pub fn listener(port: u16) -> Option<u32> {
    whose::listener(port)
}

/// The time to live of the next beacon with this port.
///
/// # Errors
/// Where the suite may not open raw sockets.
pub async fn next_ttl(
    own: Ipv4Addr,
    port: u16,
    patience: std::time::Duration,
) -> std::io::Result<Option<u8>> {
    ear::next_ttl(own.into(), port, patience).await
}
