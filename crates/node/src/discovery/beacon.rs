//! Hello beacons over UDP multicast (spec/discovery.md).
//!
//! One socket per IPv4 address and one per interface with IPv6, so that each
//! packet is known to come from the network of that socket. Sending is a plain
//! system call that does not wait and can be made from any thread.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tortalk_model::InstanceId;
use tortalk_model::limits::BEACON_BYTES_MAX;
use tortalk_wire::{BEACON_VERSION, Beacon};

use super::DiscoveryEvent;
use super::interfaces::{Interface, InterfaceKind, is_link_local_v6};
use budget::SourceBudget;
pub use counts::BeaconCount;
use counts::Counts;

mod budget;
mod counts;
pub mod probe;

/// A socket that could not be opened, or that failed, is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Where beacons are sent and heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    /// The IPv4 group.
    pub v4: Ipv4Addr,
    /// The IPv6 group; of link-local scope.
    pub v6: Ipv6Addr,
    /// The UDP port of both.
    pub port: u16,
}

impl Groups {
    /// The groups and the port of the protocol.
    // req: DSC-09, DSC-10
    pub const PROTOCOL: Self = Self {
        v4: Ipv4Addr::new(239, 1, 2, 3),
        v6: Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x7474, 0x5441),
        port: 54_545,
    };
}

impl Default for Groups {
    fn default() -> Self {
        Self::PROTOCOL
    }
}

/// Sends beacons on every interface that is in use at the moment.
#[derive(Debug, Clone)]
pub struct BeaconSender(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    datagram: Vec<u8>,
    instance_id: InstanceId,
    groups: Groups,
    sockets: Mutex<BTreeMap<SocketKey, UdpSocket>>,
    counts: Counts,
}

impl BeaconSender {
    /// A sender without sockets; [`Beacons`] brings them.
    pub fn new(tcp_port: u16, instance_id: InstanceId, groups: Groups) -> Self {
        // req: DSC-01
        let beacon = Beacon { version: BEACON_VERSION, port: tcp_port, instance: instance_id };
        Self(Arc::new(Shared {
            datagram: beacon.encode(),
            instance_id,
            groups,
            sockets: Mutex::default(),
            counts: Counts::default(),
        }))
    }

    /// Sends one beacon on every socket and says on how many it went out.
    ///
    /// It never waits. An interface that cannot send at this moment is left out:
    /// the next beacon comes soon.
    pub fn send(&self) -> usize {
        let shared = &self.0;
        let mut sent = 0;
        for (key, socket) in shared.sockets().iter() {
            match socket.send_to(&shared.datagram, key.group(&shared.groups)) {
                Ok(_) => {
                    sent += 1;
                    shared.counts.sent(key);
                }
                Err(error) => {
                    shared.counts.failed(key);
                    tracing::debug!(?key, %error, "no beacon on this interface");
                }
            }
        }
        sent
    }

    /// What went out and came in on each socket, gone ones left out.
    pub fn counts(&self) -> Vec<BeaconCount> {
        let keys: Vec<SocketKey> = self.0.sockets().keys().cloned().collect();
        keys.iter().map(|key| self.0.counts.of(key)).collect()
    }
}

impl Shared {
    fn sockets(&self) -> MutexGuard<'_, BTreeMap<SocketKey, UdpSocket>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network that one socket belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum SocketKey {
    /// One IPv4 address with its on-link prefix.
    V4 { own: Ipv4Addr, interface: Interface },
    /// One interface with a link-local IPv6 address.
    V6 { index: u32, name: String },
}

impl SocketKey {
    // req: DSC-15
    fn of(interface: &Interface) -> Option<Self> {
        match interface.ip {
            IpAddr::V4(own) => Some(Self::V4 { own, interface: interface.clone() }),
            // req: DSC-14
            IpAddr::V6(_) if interface.kind == InterfaceKind::Loopback => None,
            ip => is_link_local_v6(ip)
                .map(|_| Self::V6 { index: interface.index, name: interface.name.clone() }),
        }
    }

    const fn group(&self, groups: &Groups) -> SocketAddr {
        match self {
            Self::V4 { .. } => SocketAddr::V4(SocketAddrV4::new(groups.v4, groups.port)),
            Self::V6 { index, .. } => {
                SocketAddr::V6(SocketAddrV6::new(groups.v6, groups.port, 0, *index))
            }
        }
    }

    /// Whether a packet from `source` can come from this network.
    fn is_on_link(&self, source: &SocketAddr) -> bool {
        match (self, source) {
            (Self::V4 { interface, .. }, SocketAddr::V4(v4)) => {
                interface.contains((*v4.ip()).into())
            }
            (Self::V6 { index, .. }, SocketAddr::V6(v6)) => {
                v6.ip().is_unicast_link_local() && v6.scope_id() == *index
            }
            _ => false,
        }
    }

    fn open(&self, groups: &Groups) -> io::Result<UdpSocket> {
        let socket = match self {
            Self::V4 { own, .. } => {
                let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
                share_port(&socket)?;
                // Bound to the group, the socket hears nothing else on this port.
                let bound = if cfg!(unix) { groups.v4 } else { Ipv4Addr::UNSPECIFIED };
                socket.bind(&SocketAddrV4::new(bound, groups.port).into())?;
                #[cfg(any(target_os = "linux", target_os = "android"))]
                socket.set_multicast_all_v4(false)?;
                socket.join_multicast_v4(&groups.v4, own)?;
                socket.set_multicast_if_v4(own)?;
                socket.set_multicast_loop_v4(true)?;
                // req: DSC-11
                socket.set_multicast_ttl_v4(1)?;
                socket
            }
            Self::V6 { index, .. } => {
                let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
                share_port(&socket)?;
                socket.set_only_v6(true)?;
                // The scope id ties the socket to its interface.
                let bound = if cfg!(unix) { groups.v6 } else { Ipv6Addr::UNSPECIFIED };
                socket.bind(&SocketAddrV6::new(bound, groups.port, 0, *index).into())?;
                #[cfg(any(target_os = "linux", target_os = "android"))]
                socket.set_multicast_all_v6(false)?;
                socket.join_multicast_v6(&groups.v6, *index)?;
                socket.set_multicast_if_v6(*index)?;
                socket.set_multicast_loop_v6(true)?;
                // req: DSC-11
                socket.set_multicast_hops_v6(1)?;
                socket
            }
        };
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    }
}

impl SocketKey {
    fn interface(&self) -> &str {
        match self {
            Self::V4 { interface, .. } => &interface.name,
            Self::V6 { name, .. } => name,
        }
    }
}

impl fmt::Debug for SocketKey {
    /// For logs, in which no address belongs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4 { interface, .. } => write!(f, "IPv4 on {}", interface.name),
            Self::V6 { index, .. } => write!(f, "IPv6 on interface {index}"),
        }
    }
}

/// Several nodes on one machine hear the same beacons.
// req: DSC-15
fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    Ok(())
}

/// Keeps a [`BeaconSender`]'s sockets in step with the interfaces and reports
/// what they hear. Dropping it closes them all.
#[derive(Debug)]
pub struct Beacons {
    sender: BeaconSender,
    task: JoinHandle<()>,
}

impl Beacons {
    /// Opens sockets on `interfaces` and follows them.
    ///
    /// # Panics
    /// Outside a tokio runtime with timers and sockets.
    pub fn start(
        sender: BeaconSender,
        interfaces: watch::Receiver<Vec<Interface>>,
        events: mpsc::Sender<DiscoveryEvent>,
    ) -> Self {
        let follower = Follower {
            shared: Arc::clone(&sender.0),
            budget: Arc::default(),
            events,
            listeners: BTreeMap::new(),
        };
        Self { sender, task: tokio::spawn(follower.run(interfaces)) }
    }
}

impl Drop for Beacons {
    fn drop(&mut self) {
        self.task.abort();
        self.sender.0.sockets().clear();
    }
}

/// The task that opens and closes sockets.
struct Follower {
    shared: Arc<Shared>,
    budget: Arc<Mutex<SourceBudget>>,
    events: mpsc::Sender<DiscoveryEvent>,
    listeners: BTreeMap<SocketKey, Listener>,
}

/// A task that ends with its handle.
struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Follower {
    async fn run(mut self, mut interfaces: watch::Receiver<Vec<Interface>>) {
        loop {
            let wanted: Vec<SocketKey> =
                interfaces.borrow_and_update().iter().filter_map(SocketKey::of).collect();
            let complete = self.follow(&wanted);
            tokio::select! {
                changed = interfaces.changed() => {
                    // The watch is gone: these interfaces are the last ones.
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                () = tokio::time::sleep(RETRY_AFTER), if !complete => {}
            }
        }
    }

    /// Closes what is not wanted, opens what is missing; whether all are open.
    // req: DSC-13
    fn follow(&mut self, wanted: &[SocketKey]) -> bool {
        self.listeners.retain(|key, _| wanted.contains(key));
        self.shared.sockets().retain(|key, _| self.listeners.contains_key(key));
        let (mut complete, mut gained) = (true, false);
        for key in wanted {
            if self.listeners.contains_key(key) {
                continue;
            }
            match self.open(key) {
                Ok(()) => gained = true,
                Err(error) => {
                    tracing::debug!(?key, %error, "no beacons on this interface for now");
                    complete = false;
                }
            }
        }
        if gained {
            tell(&self.events, DiscoveryEvent::AddressUp);
        }
        complete
    }

    fn open(&mut self, key: &SocketKey) -> io::Result<()> {
        let sending = key.open(&self.shared.groups)?;
        let hearing = tokio::net::UdpSocket::from_std(sending.try_clone()?)?;
        let listener = tokio::spawn(listen(
            hearing,
            key.clone(),
            Arc::clone(&self.shared),
            Arc::clone(&self.budget),
            self.events.clone(),
        ));
        self.listeners.insert(key.clone(), Listener(listener.abort_handle()));
        self.shared.sockets().insert(key.clone(), sending);
        Ok(())
    }
}

/// Reports the beacons of one socket until it is aborted.
async fn listen(
    socket: tokio::net::UdpSocket,
    key: SocketKey,
    shared: Arc<Shared>,
    budget: Arc<Mutex<SourceBudget>>,
    events: mpsc::Sender<DiscoveryEvent>,
) {
    // One byte more than a beacon may have: what fills it is too long.
    let mut buffer = [0; BEACON_BYTES_MAX + 1];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((len, source)) => {
                let admit = |ip| {
                    let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
                    budget.admit(ip, Instant::now())
                };
                let own = shared.instance_id;
                if let Some(event) = heard(&buffer[..len], source, &key, own, admit) {
                    shared.counts.heard(&key);
                    tell(&events, event);
                }
            }
            Err(error) => {
                tracing::debug!(?key, %error, "a beacon socket failed");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Checks one datagram, the cheap checks first.
fn heard(
    datagram: &[u8],
    source: SocketAddr,
    key: &SocketKey,
    own: InstanceId,
    admit: impl FnOnce(IpAddr) -> bool,
) -> Option<DiscoveryEvent> {
    // req: DSC-18
    if !key.is_on_link(&source) {
        return None;
    }
    // req: DSC-21
    if !admit(source.ip()) {
        return None;
    }
    let beacon = Beacon::decode(datagram).ok()?;
    // req: DSC-17
    if beacon.instance == own {
        return None;
    }
    // req: DSC-16
    let mut address = source;
    address.set_port(beacon.port);
    Some(DiscoveryEvent::Heard { address, instance_id: beacon.instance })
}

/// Reports a hint; a full channel loses it, and it will come again.
pub(super) fn tell(events: &mpsc::Sender<DiscoveryEvent>, event: DiscoveryEvent) {
    if let Err(error) = events.try_send(event) {
        tracing::debug!(%error, "a hint was dropped");
    }
}

#[cfg(test)]
mod tests;
