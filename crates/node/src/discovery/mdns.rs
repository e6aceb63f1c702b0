//! mDNS through `libp2p-mdns`, and nothing else of libp2p (spec/discovery.md).
//!
//! The behaviour is driven by hand: no swarm, no transport, no dial. Its tasks
//! outlive it, and its tables grow with what neighbours announce; therefore it
//! runs on a runtime of its own, in a thread of its own, and dropping that
//! runtime ends everything at once.
//!
//! The library opens every interface by itself and cannot be told otherwise.

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libp2p_core::multiaddr::{Multiaddr, Protocol};
use libp2p_core::transport::ListenerId;
use libp2p_identity::PeerId;
use libp2p_mdns::tokio::Behaviour;
use libp2p_mdns::{Config, Event};
use libp2p_swarm::behaviour::{ExpiredListenAddr, NewListenAddr};
use libp2p_swarm::{FromSwarm, NetworkBehaviour, ToSwarm};
use tokio::sync::{mpsc, oneshot, watch};
use tortalk_model::limits::BEACON_PORT_MIN;

use super::DiscoveryEvent;
use super::beacon::tell;
use super::interfaces::{Interface, InterfaceKind, is_link_local_v6, is_on_link};

/// How long an announcement holds.
const RECORD_TTL: Duration = Duration::from_secs(120);
/// How often neighbours are asked once somebody has answered.
const QUERY_EVERY: Duration = Duration::from_secs(60);
/// Announcements that are kept; with more, everything is forgotten.
const RECORDS_MAX: usize = 4096;
/// How long mDNS rests after it was flooded.
const REST_AFTER_FLOOD: Duration = Duration::from_secs(60);
/// Neighbours are reported again after this: whoever could not be dialled, or
/// whose link has ended, is tried anew.
const REPORT_AGAIN: Duration = Duration::from_secs(30);
/// Addresses that are reported in [`REPORT_SPAN`].
const REPORTS_MAX: usize = 64;
/// The span that [`REPORTS_MAX`] is counted over.
const REPORT_SPAN: Duration = Duration::from_secs(10);

/// A running mDNS. Dropping it ends it at once, sockets and all.
#[derive(Debug)]
pub struct Mdns {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Mdns {
    /// Announces `tcp_port` on the addresses of `interfaces`, asks for
    /// neighbours, and reports each as [`DiscoveryEvent::Neighbour`].
    ///
    /// # Errors
    /// When the system gives no thread or no runtime. That there is no network,
    /// or that port 5353 is not free, is no error: it is logged.
    pub fn start(
        tcp_port: u16,
        interfaces: watch::Receiver<Vec<Interface>>,
        events: mpsc::Sender<DiscoveryEvent>,
    ) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = new_runtime()?;
        let thread = std::thread::Builder::new()
            .name("tortalk-mdns".to_owned())
            .spawn(move || run(runtime, tcp_port, interfaces, &events, stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Mdns {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the mDNS thread had ended with a panic");
        }
    }
}

fn new_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// The thread: one life of the library after another, until it is stopped.
fn run(
    mut runtime: tokio::runtime::Runtime,
    tcp_port: u16,
    interfaces: watch::Receiver<Vec<Interface>>,
    events: &mpsc::Sender<DiscoveryEvent>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let flooded = runtime.block_on(async {
            tokio::select! {
                _ = &mut stopped => false,
                () = one_life(tcp_port, interfaces.clone(), events) => true,
            }
        });
        if !flooded {
            return;
        }
        tracing::warn!("too many mDNS announcements; mDNS rests for a minute");
        // The old runtime goes first: its tasks hold sockets and tables.
        drop(runtime);
        runtime = match new_runtime() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::warn!(%error, "mDNS has ended"),
        };
        let rested = runtime.block_on(async {
            tokio::select! {
                _ = &mut stopped => false,
                () = tokio::time::sleep(REST_AFTER_FLOOD) => true,
            }
        });
        if !rested {
            return;
        }
    }
}

/// Runs until there are more announcements than are kept.
async fn one_life(
    tcp_port: u16,
    mut interfaces: watch::Receiver<Vec<Interface>>,
    events: &mpsc::Sender<DiscoveryEvent>,
) {
    let mut families = Families::new(tcp_port);
    let mut neighbours = BTreeSet::new();
    let mut reports = Reports::default();
    let mut report = |multiaddr: &Multiaddr, interfaces: &[Interface]| {
        for address in addresses(multiaddr, interfaces) {
            if reports.admit(Instant::now()) {
                tell(events, DiscoveryEvent::Neighbour { address });
            }
        }
    };
    let mut again = tokio::time::interval(REPORT_AGAIN);
    loop {
        let now = interfaces.borrow_and_update().clone();
        families.announce(&now);
        tokio::select! {
            changed = interfaces.changed() => {
                if changed.is_err() {
                    // The node is going away; the thread is about to be stopped.
                    std::future::pending::<()>().await;
                }
            }
            _ = again.tick() => neighbours.iter().for_each(|known| report(known, &now)),
            event = families.next() => match event {
                Event::Discovered(found) => {
                    for (_, multiaddr) in found {
                        report(&multiaddr, &now);
                        neighbours.insert(multiaddr);
                    }
                }
                Event::Expired(gone) => {
                    gone.iter().for_each(|(_, multiaddr)| {
                        neighbours.remove(multiaddr);
                    });
                }
            },
        }
        // req: DSC-35
        if families.records() > RECORDS_MAX {
            return;
        }
    }
}

/// The library runs for IPv4 or for IPv6; here are both.
struct Families {
    behaviours: Vec<Behaviour>,
    listener: ListenerId,
    tcp_port: u16,
    announced: BTreeSet<IpAddr>,
}

impl Families {
    fn new(tcp_port: u16) -> Self {
        // req: DSC-33
        let peer_id = PeerId::random();
        let behaviours = [false, true]
            .into_iter()
            .filter_map(|enable_ipv6| {
                let config = Config { ttl: RECORD_TTL, query_interval: QUERY_EVERY, enable_ipv6 };
                Behaviour::new(config, peer_id)
                    .inspect_err(|error| tracing::warn!(%error, enable_ipv6, "no mDNS"))
                    .ok()
            })
            .collect();
        Self { behaviours, listener: ListenerId::next(), tcp_port, announced: BTreeSet::new() }
    }

    /// Brings what is announced in step with the interfaces.
    fn announce(&mut self, interfaces: &[Interface]) {
        let wanted: BTreeSet<IpAddr> = interfaces
            .iter()
            .filter(|interface| interface.kind != InterfaceKind::Loopback)
            .map(|interface| interface.ip)
            .collect();
        let (listener_id, port) = (self.listener, Protocol::Tcp(self.tcp_port));
        for &ip in wanted.difference(&self.announced) {
            let addr = &Multiaddr::from(ip).with(port.clone());
            for behaviour in &mut self.behaviours {
                let new = NewListenAddr { listener_id, addr };
                behaviour.on_swarm_event(FromSwarm::NewListenAddr(new));
            }
        }
        for &ip in self.announced.difference(&wanted) {
            let addr = &Multiaddr::from(ip).with(port.clone());
            for behaviour in &mut self.behaviours {
                let expired = ExpiredListenAddr { listener_id, addr };
                behaviour.on_swarm_event(FromSwarm::ExpiredListenAddr(expired));
            }
        }
        self.announced = wanted;
    }

    /// The next announcements of others that came or ran out.
    async fn next(&mut self) -> Event {
        poll_fn(|context| {
            for behaviour in &mut self.behaviours {
                while let Poll::Ready(event) = behaviour.poll(context) {
                    if let ToSwarm::GenerateEvent(event) = event {
                        return Poll::Ready(event);
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    fn records(&self) -> usize {
        self.behaviours.iter().map(|behaviour| behaviour.discovered_nodes().len()).sum()
    }
}

/// The addresses that an announcement can be dialled at: TCP, on-link, of an
/// allowed port. A link-local IPv6 address is one on each network that has such
/// addresses, because an announcement does not say on which it came.
fn addresses(multiaddr: &Multiaddr, interfaces: &[Interface]) -> Vec<SocketAddr> {
    let mut parts = multiaddr.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(v4)) => IpAddr::V4(v4),
        Some(Protocol::Ip6(v6)) => IpAddr::V6(v6),
        _ => return Vec::new(),
    };
    let Some(Protocol::Tcp(port)) = parts.next() else { return Vec::new() };
    if !matches!((parts.next(), parts.next()), (Some(Protocol::P2p(_)) | None, None)) {
        return Vec::new();
    }
    let candidates = match is_link_local_v6(ip) {
        None => vec![SocketAddr::new(ip, port)],
        Some(v6) => {
            let scopes: BTreeSet<u32> = interfaces
                .iter()
                .filter(|interface| interface.kind == InterfaceKind::Network)
                .filter(|interface| is_link_local_v6(interface.ip).is_some())
                .map(|interface| interface.index)
                .collect();
            scopes.into_iter().map(|scope| SocketAddrV6::new(v6, port, 0, scope).into()).collect()
        }
    };
    // req: DSC-34
    candidates
        .into_iter()
        .filter(|address| address.port() >= BEACON_PORT_MIN && is_on_link(address, interfaces))
        .collect()
}

/// When addresses were reported, as far as the budget looks back.
#[derive(Debug, Default)]
struct Reports(VecDeque<Instant>);

impl Reports {
    fn admit(&mut self, now: Instant) -> bool {
        while self.0.front().is_some_and(|&at| now.saturating_duration_since(at) >= REPORT_SPAN) {
            self.0.pop_front();
        }
        // req: DSC-35
        if self.0.len() >= REPORTS_MAX {
            return false;
        }
        self.0.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests;
