use std::time::Duration;

use super::*;

/// Groups that no other test, no other run of the tests and no node uses.
pub(super) fn groups(port: u16) -> Groups {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Groups { v4: [239, 192 | (high & 0x3f), middle, low].into(), port, ..Groups::PROTOCOL }
}

fn options(interfaces: InterfaceChoice, udp_port: u16) -> DiscoveryOptions {
    DiscoveryOptions {
        interfaces,
        beacons: BeaconUse::Always,
        mdns: MdnsUse::Never,
        tcp_port: 4000,
        instance_id: InstanceId::from_bytes([7; 16]),
        groups: groups(udp_port),
    }
}

fn only_loopback() -> InterfaceChoice {
    let all = interfaces::all().expect("interfaces");
    let loopback = all.into_iter().find(|i| i.kind == interfaces::InterfaceKind::Loopback);
    InterfaceChoice::Named([loopback.expect("a loopback interface").name].into())
}

async fn next(events: &mut mpsc::Receiver<DiscoveryEvent>) -> Option<DiscoveryEvent> {
    tokio::time::timeout(Duration::from_secs(20), events.recv()).await.expect("in time")
}

// req: DSC-22
#[tokio::test]
async fn a_node_that_hides_sends_nothing_until_it_shows_itself_again() {
    let (sender, mut events) = mpsc::channel(8);
    let mut discovery = Discovery::start(options(only_loopback(), 54_611), sender);
    let beacons = discovery.sender();
    assert_eq!(beacons.send(), 0, "it starts hidden");
    for _ in 0..2 {
        discovery.show();
        assert_eq!(next(&mut events).await, Some(DiscoveryEvent::AddressUp));
        assert_eq!(beacons.send(), 1);
        discovery.hide();
        assert_eq!(beacons.send(), 0);
    }
}

// req: DSC-31
#[tokio::test]
async fn chosen_interfaces_switch_mdns_off() {
    // Were it not so, mDNS would speak on every network of this machine.
    if !namespace::is_inside() {
        return namespace::run("discovery::tests::chosen_interfaces_switch_mdns_off");
    }
    let (sender, _events) = mpsc::channel(8);
    let options =
        DiscoveryOptions { mdns: MdnsUse::WhereAllowed, ..options(only_loopback(), 54_612) };
    let mut discovery = Discovery::start(options, sender);
    discovery.show();
    let shown = discovery.shown.as_ref().expect("it is shown");
    assert!(shown._mdns.is_none());
}

#[tokio::test]
async fn beacons_can_be_switched_off() {
    let (sender, mut events) = mpsc::channel(8);
    let options =
        DiscoveryOptions { beacons: BeaconUse::Never, ..options(only_loopback(), 54_613) };
    let mut discovery = Discovery::start(options, sender);
    discovery.show();
    drop(discovery);
    // Without a driver nobody holds the channel.
    assert_eq!(next(&mut events).await, None);
}
