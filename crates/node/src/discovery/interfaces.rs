//! Which interfaces discovery uses, and what is on-link.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How often the system is asked for its interfaces.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// Starts of the names of interfaces that lead elsewhere than to the LAN:
/// tunnels, virtual machines' and containers' ends, bridges.
const LEFT_OUT: &[&str] = &[
    "tun",
    "tap",
    "utun",
    "wg",
    "ppp",
    "ipsec",
    "gif",
    "stf",
    "sit",
    "gre",
    "ip6tnl",
    "ip6gre",
    "tailscale",
    "zt",
    "nordlynx",
    "docker",
    "podman",
    "veth",
    "virbr",
    "vmnet",
    "vboxnet",
    "vnet",
    "vif",
    "lxc",
    "lxd",
    "cni",
    "flannel",
    "cali",
    "kube",
    "bridge",
    "br-",
    "awdl",
    "llw",
];

/// One address of one interface that is up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface {
    /// The system's name for the interface.
    pub name: String,
    /// The system's number for it: the scope id of link-local IPv6 addresses.
    pub index: u32,
    /// The address.
    pub ip: IpAddr,
    /// How many leading bits of the address are the on-link prefix.
    pub prefix_len: u8,
    /// What the interface leads to.
    pub kind: InterfaceKind,
}

/// What an interface leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InterfaceKind {
    /// This machine only.
    Loopback,
    /// A network with many machines.
    Network,
    /// One machine: tunnels and serial lines.
    PointToPoint,
}

/// Which interfaces the user wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum InterfaceChoice {
    /// Loopback and every network but tunnels, containers and bridges.
    #[default]
    Usual,
    /// Exactly these, whatever they are.
    Named(BTreeSet<String>),
}

impl InterfaceChoice {
    /// Whether the user wants this interface.
    // req: DSC-12
    pub fn includes(&self, interface: &Interface) -> bool {
        match self {
            Self::Named(names) => names.contains(&interface.name),
            Self::Usual => {
                interface.kind == InterfaceKind::Loopback
                    || interface.kind == InterfaceKind::Network && !is_left_out(&interface.name)
            }
        }
    }
}

/// Tunnels, containers and bridges, by what systems call them.
fn is_left_out(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `br0` is a bridge, `bridge0` too; `brcm0` could be a card.
    let numbered_bridge =
        name.strip_prefix("br").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    numbered_bridge || LEFT_OUT.iter().any(|start| name.starts_with(start))
}

impl Interface {
    /// Whether `ip` is a host inside this address's on-link prefix.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let (own, ip_bits) = (u32::from(own), u32::from(ip));
                let host = u32::MAX.checked_shr(self.prefix_len.into()).unwrap_or(0);
                // The first and the last address of a network are no hosts.
                let is_host = self.prefix_len >= 31
                    || ip_bits & host != 0 && ip_bits & host != host
                    || ip.is_loopback();
                // A prefix of no bits would make the whole internet on-link.
                self.prefix_len > 0 && (own ^ ip_bits) & !host == 0 && is_host && is_unicast_v4(ip)
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let host = u128::MAX.checked_shr(self.prefix_len.into()).unwrap_or(0);
                self.prefix_len > 0
                    && (u128::from(own) ^ u128::from(ip)) & !host == 0
                    && !ip.is_multicast()
                    && !ip.is_unspecified()
            }
            _ => false,
        }
    }
}

const fn is_unicast_v4(ip: Ipv4Addr) -> bool {
    !ip.is_multicast() && !ip.is_broadcast() && !ip.is_unspecified()
}

/// Whether `address` is on the LAN: in an on-link prefix of one of
/// `interfaces`, link-local, or loopback (DSC-18).
///
/// A link-local IPv6 address counts with the scope id of one of `interfaces`
/// only: without it nobody can be reached there.
pub fn is_on_link(address: &SocketAddr, interfaces: &[Interface]) -> bool {
    match address {
        SocketAddr::V4(v4) => {
            let ip = *v4.ip();
            is_unicast_v4(ip) && (ip.is_loopback() || ip.is_link_local())
                || interfaces.iter().any(|interface| interface.contains(ip.into()))
        }
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
            interfaces.iter().any(|interface| interface.index == v6.scope_id())
        }
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => is_on_link(&SocketAddr::from((v4, v6.port())), interfaces),
            None => {
                v6.ip().is_loopback()
                    || interfaces.iter().any(|interface| interface.contains((*v6.ip()).into()))
            }
        },
    }
}

/// All addresses of the system's interfaces that are up, in a stable order.
///
/// # Errors
/// When the system does not tell.
pub fn all() -> io::Result<Vec<Interface>> {
    let mut all: Vec<Interface> = if_addrs::get_if_addrs()?
        .into_iter()
        .filter(|found| found.is_oper_up())
        .filter_map(|found| {
            let kind = match &found {
                found if found.is_loopback() => InterfaceKind::Loopback,
                found if found.is_p2p() => InterfaceKind::PointToPoint,
                _ => InterfaceKind::Network,
            };
            let prefix_len = match &found.addr {
                if_addrs::IfAddr::V4(v4) => v4.prefixlen,
                if_addrs::IfAddr::V6(v6) => v6.prefixlen,
            };
            // An interface without an index went away while we asked.
            let index = found.index?;
            Some(Interface { ip: found.ip(), name: found.name, index, prefix_len, kind })
        })
        .collect();
    all.sort();
    all.dedup();
    Ok(all)
}

/// Follows the chosen interfaces as they come and go, by asking every two
/// seconds: no system needs another way, and an answer takes microseconds.
#[derive(Debug)]
pub struct InterfaceWatch {
    interfaces: watch::Receiver<Vec<Interface>>,
    task: AbortHandle,
}

impl InterfaceWatch {
    /// Asks once now and then goes on.
    ///
    /// # Panics
    /// Outside a tokio runtime with timers.
    pub fn start(choice: InterfaceChoice) -> Self {
        let now = chosen(&choice).unwrap_or_default();
        if let InterfaceChoice::Named(names) = &choice {
            for name in names.iter().filter(|name| !now.iter().any(|i| i.name == **name)) {
                tracing::warn!(interface = %name, "the chosen interface is not up");
            }
        }
        let (sender, interfaces) = watch::channel(now);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(POLL_EVERY).await;
                match chosen(&choice) {
                    Ok(new) => {
                        sender.send_if_modified(|old| {
                            let changed = *old != new;
                            *old = new;
                            changed
                        });
                    }
                    // What was known stays: sockets are not closed for a hiccup.
                    Err(error) => tracing::debug!(%error, "the interfaces cannot be listed"),
                }
            }
        });
        Self { interfaces, task: task.abort_handle() }
    }

    /// The chosen interfaces, now and after each change.
    pub fn subscribe(&self) -> watch::Receiver<Vec<Interface>> {
        self.interfaces.clone()
    }
}

impl Drop for InterfaceWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn chosen(choice: &InterfaceChoice) -> io::Result<Vec<Interface>> {
    Ok(all()?.into_iter().filter(|interface| choice.includes(interface)).collect())
}

/// An IPv6 address that is worth nothing without its interface.
pub(super) const fn is_link_local_v6(ip: IpAddr) -> Option<Ipv6Addr> {
    match ip {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(v6),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
