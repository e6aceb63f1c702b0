//! Finding neighbours: the sockets of spec/discovery.md.
//!
//! What is here sends and hears; when to send and whom to dial is decided by
//! `tortalk_mesh::discovery`. Nothing that a driver reports is proved: every
//! [`DiscoveryEvent`] is a hint that can lead to one bounded dial.
//!
//! - [`interfaces`]: which interfaces are used, and what is on-link
//! - [`beacon`]: the hello beacons, sent and heard
//! - [`mdns`]: the one adapter to `libp2p-mdns`
//!
//! [`Discovery`] holds the three together and can make the node vanish.

use std::net::SocketAddr;

use tokio::sync::{mpsc, watch};
use tortalk_model::InstanceId;

use beacon::{BeaconSender, Beacons, Groups};
use interfaces::{Interface, InterfaceChoice, InterfaceWatch};
use mdns::Mdns;

pub mod beacon;
pub mod interfaces;
pub mod mdns;
#[cfg(test)]
mod namespace;

/// What the drivers report, into one bounded channel.
///
/// When the channel is full an event is dropped: each is a hint that comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscoveryEvent {
    /// A beacon was heard.
    Heard {
        /// The packet's source address with the beacon's TCP port; a link-local
        /// IPv6 address has its scope id.
        address: SocketAddr,
        /// Which start of which node sent it.
        instance_id: InstanceId,
    },
    /// mDNS names this on-link address.
    Neighbour {
        /// Where.
        address: SocketAddr,
    },
    /// An address of ours has become usable; its sockets are ready for beacons.
    AddressUp,
}

/// Whether mDNS is to be used where it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MdnsUse {
    /// Where no interfaces are chosen by name: the library opens every one.
    WhereAllowed,
    /// Nowhere.
    Never,
}

/// Whether beacons are sent and heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeaconUse {
    /// On every chosen interface.
    Always,
    /// Nowhere.
    Never,
}

/// What [`Discovery`] is started with.
#[derive(Debug, Clone)]
pub struct DiscoveryOptions {
    /// The interfaces to be used.
    pub interfaces: InterfaceChoice,
    /// Whether to send and hear beacons.
    pub beacons: BeaconUse,
    /// Whether to use mDNS.
    pub mdns: MdnsUse,
    /// The TCP port that is announced, where the node listens.
    pub tcp_port: u16,
    /// This start of this node.
    pub instance_id: InstanceId,
    /// The beacons' groups and port; only tests have others than the default.
    pub groups: Groups,
}

/// The drivers of one node. Dropping it closes every socket at once.
#[derive(Debug)]
pub struct Discovery {
    options: DiscoveryOptions,
    events: mpsc::Sender<DiscoveryEvent>,
    watch: InterfaceWatch,
    sender: BeaconSender,
    shown: Option<Shown>,
}

/// What a node does that lets itself be found.
#[derive(Debug)]
struct Shown {
    _beacons: Option<Beacons>,
    _mdns: Option<Mdns>,
}

impl Discovery {
    /// Starts hidden: nothing is sent, joined or heard before [`Discovery::show`].
    ///
    /// # Panics
    /// Outside a tokio runtime with timers and sockets.
    pub fn start(options: DiscoveryOptions, events: mpsc::Sender<DiscoveryEvent>) -> Self {
        let watch = InterfaceWatch::start(options.interfaces.clone());
        let sender = BeaconSender::new(options.tcp_port, options.instance_id, options.groups);
        Self { options, events, watch, sender, shown: None }
    }

    /// Joins the groups and starts mDNS. [`DiscoveryEvent::AddressUp`] follows
    /// when there is an address. Does nothing when it was done already.
    pub fn show(&mut self) {
        if self.shown.is_some() {
            return;
        }
        let beacons = (self.options.beacons == BeaconUse::Always).then(|| {
            Beacons::start(self.sender.clone(), self.watch.subscribe(), self.events.clone())
        });
        self.shown = Some(Shown { _beacons: beacons, _mdns: self.start_mdns() });
    }

    /// Leaves the groups and ends mDNS: visibility `nobody` (DSC-22).
    pub fn hide(&mut self) {
        self.shown = None;
    }

    /// What sends beacons; it stays valid while the node hides, and then sends
    /// nothing.
    pub fn sender(&self) -> BeaconSender {
        self.sender.clone()
    }

    /// The chosen interfaces as they are now.
    pub fn interfaces(&self) -> watch::Receiver<Vec<Interface>> {
        self.watch.subscribe()
    }

    fn start_mdns(&self) -> Option<Mdns> {
        if self.options.mdns == MdnsUse::Never {
            return None;
        }
        // req: DSC-31
        if self.options.interfaces != InterfaceChoice::Usual {
            tracing::info!("mDNS is off: it would use interfaces other than the chosen ones");
            return None;
        }
        Mdns::start(self.options.tcp_port, self.watch.subscribe(), self.events.clone())
            .inspect_err(|error| tracing::warn!(%error, "mDNS could not be started"))
            .ok()
    }
}

#[cfg(test)]
mod tests;
