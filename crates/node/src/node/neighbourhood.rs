//! What a node knows of who is around: discovery and the peers of the settings.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tortalk_mesh::{Input, MeshConfig, Visibility};
use tortalk_settings::{HostPort, Settings};

use crate::discovery::beacon::Groups;
use crate::discovery::interfaces::{Interface, InterfaceChoice};
use crate::discovery::{BeaconUse, Discovery, DiscoveryEvent, DiscoveryOptions, MdnsUse};
use crate::engine::{EngineInput, Surroundings};
use crate::links::Links;

/// Peers named in the settings are tried again this often.
const PEERS_EVERY: Duration = Duration::from_secs(30);
/// Addresses of one host name that are tried.
const ADDRESSES_PER_PEER_MAX: usize = 4;
/// Hints of discovery that wait; more are dropped and come again.
const HINTS_WAITING_MAX: usize = 256;

/// Discovery and its ways to and from the engine.
pub(super) struct Neighbourhood {
    discovery: Discovery,
    hints: mpsc::Receiver<DiscoveryEvent>,
    to_engine: mpsc::Sender<EngineInput>,
    beacon: Arc<Notify>,
    visibility: watch::Receiver<Visibility>,
}

impl Neighbourhood {
    pub(super) fn start(
        settings: &Settings,
        config: &MeshConfig,
        surroundings: &Surroundings,
        groups: Groups,
    ) -> Self {
        let network = &settings.network;
        let interfaces = match &network.interfaces {
            Some(names) => InterfaceChoice::Named(names.iter().cloned().collect()),
            None => InterfaceChoice::Usual,
        };
        let beacons = if network.beacons { BeaconUse::Always } else { BeaconUse::Never };
        let mdns = if network.mdns { MdnsUse::WhereAllowed } else { MdnsUse::Never };
        let options = DiscoveryOptions {
            interfaces,
            beacons,
            mdns,
            tcp_port: surroundings.about.port,
            instance_id: config.instance_id,
            groups,
        };
        let (events, hints) = mpsc::channel(HINTS_WAITING_MAX);
        Self {
            discovery: Discovery::start(options, events),
            hints,
            to_engine: surroundings.to_self.clone(),
            beacon: Arc::clone(&surroundings.beacon),
            visibility: surroundings.visibility.subscribe(),
        }
    }

    pub(super) fn interfaces(&self) -> watch::Receiver<Vec<Interface>> {
        self.discovery.interfaces()
    }

    /// Runs until the node begins to end.
    pub(super) async fn run(mut self, links: Arc<Links>) {
        let sender = self.discovery.sender();
        links.observed().follow(sender.clone());
        self.apply_visibility();
        loop {
            tokio::select! {
                () = links.stopping() => return,
                changed = self.visibility.changed() => {
                    if changed.is_err() {
                        return; // The engine has ended.
                    }
                    self.apply_visibility();
                }
                () = self.beacon.notified() => {
                    sender.send();
                }
                Some(hint) = self.hints.recv() => {
                    let input = match hint {
                        DiscoveryEvent::Heard { address, instance_id } => {
                            links.observed().heard(address, instance_id);
                            Input::Heard { address, instance_id }
                        }
                        DiscoveryEvent::Neighbour { address } => Input::Neighbour { address },
                        DiscoveryEvent::AddressUp => Input::AddressUp,
                    };
                    if self.to_engine.send(EngineInput::Mesh(input)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn apply_visibility(&mut self) {
        let visibility = *self.visibility.borrow_and_update();
        match visibility {
            Visibility::Everyone | Visibility::Contacts => self.discovery.show(),
            Visibility::Nobody => self.discovery.hide(),
        }
    }
}

/// Tells the machine of the peers in the settings, again and again: it dials
/// those that are not linked. With Safety on nothing is resolved: the question
/// itself would leave the network in the clear.
pub(super) async fn name_peers(
    peers: Vec<HostPort>,
    safety: bool,
    to_engine: mpsc::Sender<EngineInput>,
    links: Arc<Links>,
) {
    if peers.is_empty() {
        return;
    }
    loop {
        for peer in &peers {
            let addresses = tokio::select! {
                addresses = addresses_of(peer, safety) => addresses,
                () = links.stopping() => return,
            };
            for address in addresses {
                let input = EngineInput::Mesh(Input::Neighbour { address });
                if to_engine.send(input).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PEERS_EVERY) => {}
            () = links.stopping() => return,
        }
    }
}

async fn addresses_of(peer: &HostPort, safety: bool) -> Vec<SocketAddr> {
    if let Ok(ip) = peer.host.parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, peer.port)];
    }
    if safety {
        return Vec::new();
    }
    match tokio::net::lookup_host((peer.host.as_str(), peer.port)).await {
        Ok(addresses) => addresses.take(ADDRESSES_PER_PEER_MAX).collect(),
        Err(error) => {
            tracing::debug!(%error, "a peer of the settings cannot be resolved");
            Vec::new()
        }
    }
}
