//! Port, interfaces and whether beacons come through.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tortalk_node::control::protocol::{RelayLine, RelayState, Status};
use tortalk_node::discovery::beacon::Groups;
use tortalk_node::discovery::interfaces::{self, Interface, InterfaceChoice, InterfaceKind};
use tortalk_node::discovery::{BeaconUse, Discovery, DiscoveryEvent, DiscoveryOptions, MdnsUse};
use tortalk_node::entropy::OsEntropy;
use tortalk_node::{DEFAULT_PORT, Entropy as _, InstanceId, Settings, Visibility};

use super::{Findings, Verdict};
use crate::commands::relay_words;

/// A beacon on its own machine takes microseconds.
const BEACON_MAX: Duration = Duration::from_secs(1);
/// Beacons are repeated, since the first may be sent before the other side listens.
const BEACON_EVERY: Duration = Duration::from_millis(50);
const CONNECT_MAX: Duration = Duration::from_secs(2);

pub(super) async fn look(settings: &Settings, node: Option<&Status>, found: &mut Findings) {
    look_at_port(settings, node, found);
    let choice = match &settings.network.interfaces {
        Some(names) => InterfaceChoice::Named(names.iter().cloned().collect()),
        None => InterfaceChoice::Usual,
    };
    let chosen = look_at_interfaces(&choice, found);
    look_at_visibility(settings, found);
    look_at_relays(settings, node, found);
    if settings.network.beacons && !chosen.is_empty() {
        look_at_multicast(choice, &chosen, found).await;
    }
}

fn look_at_port(settings: &Settings, node: Option<&Status>, found: &mut Findings) {
    if let Some(status) = node {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, status.port));
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(_) => found.good("port", format!("the node listens on {}", status.port)),
            Err(error) => {
                let line = format!("the node's port {} does not answer ({error})", status.port);
                found.wrong("port", format!("{line}: see what filters connections here"));
            }
        }
        return;
    }
    let set = settings.network.tcp_port;
    let port = set.unwrap_or(DEFAULT_PORT);
    match (TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)), set) {
        (Ok(_), _) => found.good("port", format!("{port} is free")),
        (Err(error), None) if error.kind() == io::ErrorKind::AddrInUse => {
            found.good("port", format!("{port} is in use: a node here takes any other"));
        }
        (Err(error), _) => {
            let line = format!("{port} cannot be listened on ({error}): choose another tcp_port");
            found.wrong("port", line);
        }
    }
}

fn look_at_interfaces(choice: &InterfaceChoice, found: &mut Findings) -> Vec<Interface> {
    let all = match interfaces::all() {
        Ok(all) => all,
        Err(error) => {
            found.wrong("interfaces", format!("they cannot be listed ({error})"));
            return Vec::new();
        }
    };
    let chosen: Vec<Interface> =
        all.into_iter().filter(|interface| choice.includes(interface)).collect();
    let names: BTreeSet<&str> = chosen.iter().map(|interface| &*interface.name).collect();
    let named = names.iter().copied().collect::<Vec<_>>().join(", ");
    match choice {
        InterfaceChoice::Named(wanted) => {
            let missing = wanted.iter().find(|name| !names.contains(name.as_str()));
            match missing {
                Some(name) => found.wrong(
                    "interfaces",
                    format!("`{name}` of settings.toml is not up: connect it or leave it out"),
                ),
                None => found.good("interfaces", named),
            }
        }
        InterfaceChoice::Usual => {
            if chosen.iter().any(|interface| interface.kind != InterfaceKind::Loopback) {
                found.good("interfaces", named);
            } else {
                found.wrong("interfaces", "this machine is on no network: connect it to one");
            }
        }
    }
    chosen
}

fn look_at_visibility(settings: &Settings, found: &mut Findings) {
    let network = &settings.network;
    if network.visibility == Visibility::Nobody {
        found.note("visibility", "nobody can see this node, and it looks for nobody");
    }
    if !network.beacons && !network.mdns {
        found.note("discovery", "beacons and mDNS are off: only known addresses are dialled");
    }
}

/// What the running node says of its relays.
fn look_at_relays(settings: &Settings, node: Option<&Status>, found: &mut Findings) {
    let Some(status) = node else {
        if !settings.all_relays().is_empty() {
            found
                .note("relays", "a node that runs can tell how it stands with them: `tortalk run`");
        }
        return;
    };
    for RelayLine { url, state, adopted } in &status.relays {
        let url = if *adopted { &format!("{url}, of an invite,") } else { url };
        let verdict = match state {
            RelayState::Up => Verdict::Good,
            RelayState::Unreachable
            | RelayState::OtherKey
            | RelayState::NotARelay
            | RelayState::NotPrivate => Verdict::Wrong,
            _ => Verdict::Note,
        };
        found.add("relay", verdict, format!("{url} {}", relay_words(*state)));
        if *state == RelayState::Unreachable {
            if url.contains(".onion:") {
                found.note(
                    "relay",
                    "onion services are reached through Tor only: not yet by this version",
                );
            } else if settings.server.safety_mode {
                found.note("relay", "Safety is on: what is not on this network is not dialled");
            }
        }
    }
}

/// Sends beacons from one instance to another, both in this process, on a port
/// of their own.
async fn look_at_multicast(choice: InterfaceChoice, chosen: &[Interface], found: &mut Findings) {
    let v4 = |interface: &&Interface| interface.ip.is_ipv4();
    let mut silent: BTreeSet<IpAddr> =
        chosen.iter().filter(v4).map(|interface| interface.ip).collect();
    let port = match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|s| s.local_addr()) {
        Ok(address) => address.port(),
        Err(error) => {
            found.wrong("multicast", format!("no UDP socket can be opened ({error})"));
            return;
        }
    };
    let start = |events: mpsc::Sender<DiscoveryEvent>| {
        let options = DiscoveryOptions {
            interfaces: choice.clone(),
            beacons: BeaconUse::Always,
            mdns: MdnsUse::Never,
            tcp_port: DEFAULT_PORT,
            instance_id: InstanceId::from_bytes(OsEntropy.bytes()),
            groups: Groups { port, ..Groups::PROTOCOL },
        };
        let mut discovery = Discovery::start(options, events);
        discovery.show();
        discovery
    };
    let (events, mut heard) = mpsc::channel(256);
    let (unheard_events, mut unheard) = mpsc::channel(256);
    let (listener, speaker) = (start(events), start(unheard_events));
    let until = Instant::now() + BEACON_MAX;
    let mut next = Instant::now();
    while !silent.is_empty() && Instant::now() < until {
        if Instant::now() >= next {
            speaker.sender().send();
            next = Instant::now() + BEACON_EVERY;
        }
        if let Ok(Some(DiscoveryEvent::Heard { address, .. })) =
            timeout_at(next.min(until), heard.recv()).await
        {
            silent.remove(&address.ip());
        }
        while unheard.try_recv().is_ok() {}
    }
    drop((listener, speaker));
    match silent.first() {
        None => found.good("multicast", "beacons of this machine come back"),
        Some(ip) => found.wrong(
            "multicast",
            format!("no beacon came back on {ip}: allow UDP multicast in the firewall"),
        ),
    }
}
