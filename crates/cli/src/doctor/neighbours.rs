//! What becomes of those who are around: heard, dialled, linked.
//!
//! One machine alone cannot always tell where something is lost. What each line
//! rests on stands in docs/doctor.md; where two things look the same from here,
//! the line names both.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tortalk_node::Settings;
use tortalk_node::control::protocol::{Diagnosis, DialOutcome, LinkLine, NeighbourLine, Visible};
use tortalk_node::discovery::interfaces::{Interface, InterfaceKind, is_on_link};

use super::node::Running;
use super::reach::{Reach, reach};
use super::{Check, Findings};

/// Beacons come every 36 s at the latest; who was heard within two of these, and
/// a little, is there.
const HEARD_OF_LATE_MS: u64 = 80_000;
/// Somebody who is linked for so long has sent one.
const BEACON_BY_NOW_MS: u64 = 40_000;
/// Neighbours that are tried to be reached.
const TRIED_MAX: usize = 8;
/// Addresses in one line.
const SHOWN_MAX: usize = 3;

pub(super) async fn look(
    settings: &Settings,
    node: &Running,
    chosen: &[Interface],
    found: &mut Findings,
) {
    let Some(diagnosis) = &node.diagnosis else { return };
    if node.status.visibility == Visible::Nobody {
        return;
    }
    let around = Around { diagnosis, chosen };
    let unreached = around.unreached();
    let trying: Vec<_> = unreached
        .iter()
        .take(TRIED_MAX)
        .map(|neighbour| tokio::spawn(try_all(neighbour.addresses.clone())))
        .collect();
    let mut tried = Vec::new();
    for trying in trying {
        tried.extend(trying.await);
    }
    let said = around.tell_of_unreached(tried, found);
    let said = settings.network.beacons && around.tell_of_unheard(found) || said;
    // What drops everything was found already, and explains an empty room.
    if !said && !found.has_wrong(Check::Multicast) && !found.has_wrong(Check::Interfaces) {
        around.tell_of_all(settings, found);
    }
}

/// Somebody who is heard and not linked.
struct Unreached {
    /// Where they say to be, IPv4 first.
    addresses: Vec<SocketAddr>,
}

/// The same, tried from here.
struct Tried {
    address: SocketAddr,
    reach: Reach,
}

/// The best that comes of any of the addresses.
async fn try_all(addresses: Vec<SocketAddr>) -> Option<Tried> {
    let trying: Vec<_> =
        addresses.into_iter().map(|address| (address, tokio::spawn(reach(address)))).collect();
    let mut best: Option<Tried> = None;
    for (address, trying) in trying {
        let Ok(reach) = trying.await else { continue };
        if best.as_ref().is_none_or(|best| best.reach < reach) {
            best = Some(Tried { address, reach });
        }
    }
    best
}

struct Around<'a> {
    diagnosis: &'a Diagnosis,
    chosen: &'a [Interface],
}

impl Around<'_> {
    /// Who is heard of late and was dialled in vain.
    fn unreached(&self) -> Vec<Unreached> {
        let outcomes: BTreeMap<&str, DialOutcome> =
            self.diagnosis.dials.iter().map(|dial| (&*dial.address, dial.outcome)).collect();
        let is_unreached = |neighbour: &&NeighbourLine| {
            let outcomes: Vec<DialOutcome> = neighbour
                .addresses
                .iter()
                .filter_map(|address| outcomes.get(address.as_str()).copied())
                .collect();
            let answered = |outcome| matches!(outcome, DialOutcome::Linked | DialOutcome::Answered);
            !neighbour.linked
                && neighbour.heard_ms_ago <= HEARD_OF_LATE_MS
                && !outcomes.is_empty()
                && !outcomes.into_iter().any(answered)
        };
        let neighbours = self.diagnosis.neighbours.iter().filter(is_unreached);
        let addresses = neighbours.map(|neighbour| {
            let mut addresses: Vec<SocketAddr> =
                neighbour.addresses.iter().filter_map(|address| address.parse().ok()).collect();
            // Whom nobody knows is tried only where beacons come from.
            addresses.retain(|address| is_on_link(address, self.chosen));
            addresses.sort();
            Unreached { addresses }
        });
        addresses.filter(|unreached| !unreached.addresses.is_empty()).collect()
    }

    /// Whether there was anything to tell.
    fn tell_of_unreached(&self, tried: Vec<Option<Tried>>, found: &mut Findings) -> bool {
        let tried: Vec<Tried> = tried.into_iter().flatten().collect();
        let mut silent: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
        let mut said = false;
        for Tried { address, reach } in &tried {
            let (ip, port) = (address.ip(), address.port());
            let interface = self.interface_of(address);
            said = true;
            match reach {
                Reach::Connected => said = false,
                Reach::Refused => {
                    let line = format!("{ip} is heard, but nothing listens on its port {port}");
                    found.note(Check::Neighbours, line);
                }
                Reach::Forbidden => {
                    let line = format!(
                        "this machine's own firewall lets nothing out to {ip}: let TCP out"
                    );
                    found.wrong(Check::Firewall, line);
                }
                Reach::Elsewhere => {
                    let line = format!(
                        "{ip} answers, but not on TCP port {port}: a firewall there or here drops \
                         it; let that port in there, and TCP out here"
                    );
                    // Others are dialled from here, so it is that one's.
                    if self.is_dialled_from_here(&interface) {
                        found.note(Check::Neighbours, line);
                    } else {
                        found.wrong(Check::Neighbours, line);
                    }
                }
                Reach::Silent => silent.entry(interface).or_default().push(*address),
            }
        }
        for (interface, addresses) in silent {
            let shown = shown(&addresses);
            let other = |tried: &Tried| {
                tried.reach > Reach::Forbidden && self.interface_of(&tried.address) == interface
            };
            if self.has_link(&interface) || tried.iter().any(other) {
                let line = format!(
                    "beacons of {shown} come in and nothing else does, while others are reached: \
                     perhaps a firewall there drops everything"
                );
                found.note(Check::Neighbours, line);
            } else {
                let line = format!(
                    "beacons of {shown} come in on {interface} and nothing else gets through: \
                     either this network keeps its devices apart (client isolation), or firewalls \
                     drop everything; use another network, or a relay"
                );
                found.wrong(Check::Neighbours, line);
            }
        }
        said
    }

    /// Whether somebody is linked of whom no beacon came where none came at all.
    fn tell_of_unheard(&self, found: &mut Findings) -> bool {
        let mut said = false;
        for link in &self.diagnosis.links {
            let Some(interface) = self.lan_of(link) else { continue };
            let beacons = self.diagnosis.beacons.iter().filter(|b| b.interface == interface);
            let (sent, heard) = beacons.fold((0, 0), |(s, h), b| (s + b.sent, h + b.heard));
            if sent == 0 || heard > 0 || self.diagnosis.crowded || link.up_ms < BEACON_BY_NOW_MS {
                continue;
            }
            let ip = link.address.parse::<SocketAddr>().map(|address| address.ip().to_string());
            let ip = ip.unwrap_or_else(|_| link.address.clone());
            let line = format!(
                "{ip} is linked, but no beacon comes in on {interface}: either this network drops \
                 multicast, or that node hides; name people as `peers` in settings.toml"
            );
            found.wrong(Check::Multicast, line);
            said = true;
        }
        said
    }

    fn tell_of_all(&self, settings: &Settings, found: &mut Findings) {
        let heard = |n: &&NeighbourLine| n.heard_ms_ago <= HEARD_OF_LATE_MS;
        let heard = self.diagnosis.neighbours.iter().filter(heard).count();
        let links = self.diagnosis.links.len();
        let dialled = self.diagnosis.links.iter().filter(|link| link.dialled).count();
        if heard == 0 && links == 0 && settings.network.beacons {
            let line = "nobody is heard: nobody is here, or this network drops multicast; an \
                        address of somebody may be named as `peers` in settings.toml";
            found.note(Check::Neighbours, line);
        } else {
            let line =
                format!("{heard} heard, {links} linked, {dialled} of these dialled from here");
            found.good(Check::Neighbours, line);
        }
    }

    /// The interface in whose network an address is.
    fn interface_of(&self, address: &SocketAddr) -> String {
        let is_here = |interface: &&Interface| match address {
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
                interface.index == v6.scope_id()
            }
            address => interface.contains(address.ip()),
        };
        let here = self.chosen.iter().find(is_here);
        here.map_or_else(|| "this network".to_owned(), |interface| interface.name.clone())
    }

    fn has_link(&self, interface: &str) -> bool {
        self.diagnosis.links.iter().any(|link| self.lan_of(link).as_deref() == Some(interface))
    }

    fn is_dialled_from_here(&self, interface: &str) -> bool {
        let mut links = self.diagnosis.links.iter().filter(|link| link.dialled);
        links.any(|link| self.lan_of(link).as_deref() == Some(interface))
    }

    /// The interface of a link with another machine on the same network.
    fn lan_of(&self, link: &LinkLine) -> Option<String> {
        let address: SocketAddr = link.address.parse().ok()?;
        if address.ip().is_loopback() || !is_on_link(&address, self.chosen) {
            return None;
        }
        let own = |interface: &Interface| interface.ip == address.ip();
        let name = self.interface_of(&address);
        let loopback = |interface: &Interface| {
            interface.name == name && interface.kind == InterfaceKind::Loopback
        };
        if self.chosen.iter().any(own) || self.chosen.iter().any(loopback) {
            return None;
        }
        Some(name)
    }
}

fn shown(addresses: &[SocketAddr]) -> String {
    let ips: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let (first, rest) = ips.split_at(ips.len().min(SHOWN_MAX));
    let first = first.join(", ");
    if rest.is_empty() { first } else { format!("{first} and {} more", rest.len()) }
}
