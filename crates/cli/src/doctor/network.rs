//! Interfaces, port, this machine's firewall and whether beacons come back.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};

use tortalk_node::control::protocol::{Status, Visible};
use tortalk_node::discovery::beacon::Groups;
use tortalk_node::discovery::beacon::probe::{Outcome, Probed, probe};
use tortalk_node::discovery::interfaces::{self, Interface, InterfaceChoice, InterfaceKind};
use tortalk_node::{DEFAULT_PORT, Settings, Visibility};

use super::node::Running;
use super::reach::connect;
use super::{Check, Findings, holder};

/// Returns the interfaces that a node with these settings uses.
pub(super) async fn look(
    settings: &Settings,
    node: Option<&Running>,
    found: &mut Findings,
) -> Vec<Interface> {
    let choice = match &settings.network.interfaces {
        Some(names) => InterfaceChoice::Named(names.iter().cloned().collect()),
        None => InterfaceChoice::Usual,
    };
    let chosen = look_at_interfaces(&choice, found);
    let status = node.map(|node| &node.status);
    match status {
        Some(status) => {
            found.good(Check::Port, format!("the node listens on {}", status.port));
            look_at_firewall(status.port, &chosen, found).await;
        }
        None => {
            if let Some((listeners, port)) = look_at_port(settings, found) {
                // Somebody has to listen while it is tried.
                look_at_firewall(port, &chosen, found).await;
                drop(listeners);
            }
        }
    }
    look_at_visibility(settings, status, found);
    if settings.network.beacons && !chosen.is_empty() {
        look_at_multicast(&chosen, found).await;
    }
    chosen
}

/// Listens as a node would; the listeners and their port, if it can.
fn look_at_port(settings: &Settings, found: &mut Findings) -> Option<(Vec<TcpListener>, u16)> {
    let set = settings.network.tcp_port;
    let port = set.unwrap_or(DEFAULT_PORT);
    match (listen(port), set) {
        (Ok((listeners, port)), _) => {
            found.good(Check::Port, format!("{port} is free"));
            return Some((listeners, port));
        }
        (Err(error), None) if error.kind() == ErrorKind::AddrInUse => {
            found.good(Check::Port, format!("{port} is in use: a node here takes any other"));
        }
        (Err(error), _) if error.kind() == ErrorKind::AddrInUse => {
            let by = holder::listener(port);
            let by = by.map_or_else(|| "another program".to_owned(), holder::process);
            let line = format!(
                "port {port} is taken by {by}: end that program, or choose another `tcp_port` in \
                 settings.toml"
            );
            found.wrong(Check::Port, line);
        }
        (Err(error), _) => {
            let line = format!("port {port} cannot be listened on ({error})");
            found.wrong(Check::Port, format!("{line}: choose another `tcp_port` in settings.toml"));
        }
    }
    None
}

fn listen(port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let v4 = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    let port = v4.local_addr()?.port();
    // On Linux this one would take IPv4 as well, so it is tried alone.
    drop(v4);
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Ok(both) => Ok((vec![both], port)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error),
        // There is no IPv6.
        Err(_) => Ok((vec![TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?], port)),
    }
}

fn look_at_interfaces(choice: &InterfaceChoice, found: &mut Findings) -> Vec<Interface> {
    let all = match interfaces::all() {
        Ok(all) => all,
        Err(error) => {
            let line = format!("the network interfaces cannot be listed ({error}): try as root");
            found.wrong(Check::Interfaces, line);
            return Vec::new();
        }
    };
    let (chosen, others): (Vec<Interface>, Vec<Interface>) =
        all.into_iter().partition(|interface| choice.includes(interface));
    let names = |interfaces: &[Interface]| -> BTreeSet<String> {
        interfaces.iter().map(|interface| interface.name.clone()).collect()
    };
    let named = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    let here = names(&chosen);
    match choice {
        InterfaceChoice::Named(wanted) => {
            match wanted.iter().find(|name| !here.contains(name.as_str())) {
                Some(name) => {
                    let line =
                        format!("`{name}` of settings.toml is not up: connect it or leave it out");
                    found.wrong(Check::Interfaces, line);
                }
                None => found.good(Check::Interfaces, named(&here)),
            }
        }
        InterfaceChoice::Usual => {
            let others = names(&others);
            if chosen.iter().any(|interface| interface.kind != InterfaceKind::Loopback) {
                found.good(Check::Interfaces, named(&here));
            } else if others.is_empty() {
                let line = "this machine is on no network: connect it to one";
                found.wrong(Check::Interfaces, line);
            } else {
                let line = format!(
                    "this machine is on no network but {}, which are left out as tunnels, bridges \
                     or virtual ones: connect it to one, or name them as `interfaces` in \
                     settings.toml",
                    named(&others)
                );
                found.wrong(Check::Interfaces, line);
            }
        }
    }
    chosen
}

/// Connects with the port at each own address. The connection never leaves the
/// machine, so what drops it is here. A filter that lets everything of this
/// machine pass is not seen by this.
async fn look_at_firewall(port: u16, chosen: &[Interface], found: &mut Findings) {
    let trying: Vec<_> = chosen
        .iter()
        .map(|interface| {
            let address = address_of(interface, port);
            (interface.clone(), tokio::spawn(connect(address)))
        })
        .collect();
    let mut failed: Option<(Interface, ErrorKind)> = None;
    for (interface, trying) in trying {
        let outcome = trying.await.unwrap_or(Ok(()));
        let Err(kind) = outcome else { continue };
        // An IPv6 address that is not yet known to be nobody else's.
        if kind == ErrorKind::AddrNotAvailable {
            continue;
        }
        // The one that others connect with says more than loopback.
        if failed.as_ref().is_none_or(|(known, _)| known.kind == InterfaceKind::Loopback) {
            failed = Some((interface, kind));
        }
    }
    match failed {
        None => found.good(Check::Firewall, "connections of this machine with itself come through"),
        Some((interface, kind)) => {
            let what = if kind == ErrorKind::TimedOut { "dropped" } else { "refused" };
            let line = format!(
                "connections to {} on TCP port {port} are {what} by this machine's own firewall: \
                 let that port in",
                interface.ip
            );
            found.wrong(Check::Firewall, line);
        }
    }
}

fn address_of(interface: &Interface, port: u16) -> SocketAddr {
    match interface.ip {
        IpAddr::V4(ip) => SocketAddr::from((ip, port)),
        IpAddr::V6(ip) => {
            let scope = if ip.is_unicast_link_local() { interface.index } else { 0 };
            SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope))
        }
    }
}

fn look_at_visibility(settings: &Settings, status: Option<&Status>, found: &mut Findings) {
    let network = &settings.network;
    let nobody = match status {
        Some(status) => status.visibility == Visible::Nobody,
        None => network.visibility == Visibility::Nobody,
    };
    if nobody {
        let line = "nobody can see this node, and it looks for nobody";
        found.note(Check::Visibility, line);
    }
    if !network.beacons && !network.mdns {
        let line = "beacons and mDNS are off: only known addresses are dialled";
        found.note(Check::Discovery, line);
    }
}

async fn look_at_multicast(chosen: &[Interface], found: &mut Findings) {
    let probed = probe(chosen.to_vec(), Groups::PROTOCOL).await;
    let names: BTreeSet<&str> = probed.iter().map(|probed| &*probed.interface).collect();
    let mut back = true;
    for name in names {
        let here: Vec<&Probed> = probed.iter().filter(|probed| probed.interface == name).collect();
        let is_back = here.iter().any(|probed| probed.outcome == Outcome::Back);
        let Some(failed) = here.iter().find(|probed| probed.outcome != Outcome::Back) else {
            continue;
        };
        if is_back {
            // By the other protocol people are found.
            let line = format!("of {} {}", failed.ip, what_came(failed));
            found.note(Check::Multicast, line);
        } else {
            back = false;
            found.wrong(Check::Multicast, format!("on {name} {}", what_came(failed)));
        }
    }
    if back {
        found.good(Check::Multicast, "beacons of this machine come back");
    }
}

fn what_came(probed: &Probed) -> String {
    let port = Groups::PROTOCOL.port;
    match probed.outcome {
        Outcome::Back => "beacons come back".to_owned(),
        Outcome::Lost => format!(
            "multicast does not come back: this machine's own firewall drops it; let UDP port \
             {port} in and out"
        ),
        Outcome::Refused(ErrorKind::PermissionDenied) => format!(
            "multicast cannot be sent: this machine's own firewall forbids it; let UDP port {port} \
             in and out"
        ),
        Outcome::Refused(kind) => {
            format!("multicast cannot be sent ({kind}): see whether this network has multicast")
        }
        Outcome::NoSocket(kind) => {
            format!("multicast cannot be heard ({kind}): see who else uses UDP port {port}")
        }
    }
}
