use std::collections::BTreeSet;

use super::super::interfaces::{InterfaceChoice, InterfaceKind, InterfaceWatch};
use super::super::namespace;
use super::super::tests::groups;
use super::*;

fn lan() -> Interface {
    let ip = "192.168.1.20".parse().expect("an address");
    Interface {
        name: "eth0".to_owned(),
        index: 3,
        ip,
        prefix_len: 24,
        kind: InterfaceKind::Network,
    }
}

fn loopback() -> Interface {
    Interface {
        name: "lo".to_owned(),
        index: 1,
        ip: Ipv4Addr::LOCALHOST.into(),
        prefix_len: 8,
        kind: InterfaceKind::Loopback,
    }
}

fn lan_key() -> SocketKey {
    SocketKey::of(&lan()).expect("IPv4 is used everywhere")
}

fn loopback_key() -> SocketKey {
    SocketKey::of(&loopback()).expect("IPv4 is used everywhere")
}

fn instance(byte: u8) -> InstanceId {
    InstanceId::from_bytes([byte; 16])
}

fn datagram(port: u16, byte: u8) -> Vec<u8> {
    Beacon { version: 1, port, instance: instance(byte) }.encode()
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

// req: DSC-09, DSC-10
#[test]
fn the_groups_are_those_of_the_protocol() {
    let groups = Groups::default();
    assert_eq!(lan_key().group(&groups), address("239.1.2.3:54545"));
    let v6 = SocketKey::V6 { index: 3, name: "eth0".into() };
    assert_eq!(v6.group(&groups), address("[ff12::7474:5441%3]:54545"));
}

// req: DSC-14, DSC-15
#[test]
fn ipv6_is_used_on_all_but_loopback() {
    let v6 = |ip: &str, kind| Interface { ip: ip.parse().expect("an address"), kind, ..lan() };
    assert_eq!(
        SocketKey::of(&v6("fe80::1", InterfaceKind::Network)),
        Some(SocketKey::V6 { index: 3, name: lan().name })
    );
    assert_eq!(SocketKey::of(&v6("fe80::1", InterfaceKind::Loopback)), None);
    assert_eq!(SocketKey::of(&v6("::1", InterfaceKind::Loopback)), None);
    assert_eq!(SocketKey::of(&v6("2001:db8::1", InterfaceKind::Network)), None);
    assert!(matches!(SocketKey::of(&loopback()), Some(SocketKey::V4 { .. })));
}

// req: DSC-16
#[test]
fn the_packets_source_is_what_is_reported() {
    let key = lan_key();
    let from = address("192.168.1.7:999");
    assert_eq!(
        heard(&datagram(4000, 9), from, &key, instance(1), |_| true),
        Some(DiscoveryEvent::Heard {
            address: address("192.168.1.7:4000"),
            instance_id: instance(9)
        })
    );
    let key = SocketKey::V6 { index: 3, name: lan().name };
    assert_eq!(
        heard(&datagram(4000, 9), address("[fe80::7%3]:999"), &key, instance(1), |_| true),
        Some(DiscoveryEvent::Heard {
            address: address("[fe80::7%3]:4000"),
            instance_id: instance(9)
        })
    );
}

// req: DSC-17
#[test]
fn an_own_beacon_is_dropped() {
    let key = lan_key();
    let from = address("192.168.1.7:999");
    assert_eq!(heard(&datagram(4000, 1), from, &key, instance(1), |_| true), None);
}

// req: DSC-18
#[test]
fn a_source_that_is_not_on_this_link_is_dropped() {
    let key = lan_key();
    for from in ["192.168.2.7:999", "127.0.0.1:999", "10.0.0.1:999", "[fe80::7%3]:999"] {
        let heard = heard(&datagram(4000, 9), address(from), &key, instance(1), |_| {
            unreachable!("it must not even be counted")
        });
        assert_eq!(heard, None, "{from}");
    }
    let key = SocketKey::V6 { index: 3, name: lan().name };
    for from in ["[fe80::7%4]:999", "[2001:db8::7]:999", "192.168.1.7:999"] {
        let heard = heard(&datagram(4000, 9), address(from), &key, instance(1), |_| true);
        assert_eq!(heard, None, "{from}");
    }
}

// req: DSC-21
#[test]
fn a_source_over_its_budget_is_dropped() {
    let key = lan_key();
    let from = address("192.168.1.7:999");
    assert_eq!(heard(&datagram(4000, 9), from, &key, instance(1), |_| false), None);
}

// req: DSC-02
#[test]
fn what_is_no_beacon_is_dropped() {
    let key = lan_key();
    let from = address("192.168.1.7:999");
    let mut long = datagram(4000, 9);
    long.resize(BEACON_BYTES_MAX + 1, 0);
    let whole = datagram(4000, 9);
    let rubbish = [&b""[..], &[0xff; 64], &long, &whole[..whole.len() - 1]];
    for bytes in rubbish {
        assert_eq!(heard(bytes, from, &key, instance(1), |_| true), None, "{bytes:?}");
    }
}

struct Party {
    _beacons: Beacons,
    sender: BeaconSender,
    events: mpsc::Receiver<DiscoveryEvent>,
    interfaces: watch::Sender<Vec<Interface>>,
}

impl Party {
    fn start(byte: u8, groups: Groups, interfaces: Vec<Interface>) -> Self {
        let (interfaces, receiver) = watch::channel(interfaces);
        let (sender_of_events, events) = mpsc::channel(64);
        let sender = BeaconSender::new(4000 + u16::from(byte), instance(byte), groups);
        let beacons = Beacons::start(sender.clone(), receiver, sender_of_events);
        Self { _beacons: beacons, sender, events, interfaces }
    }

    async fn next(&mut self) -> DiscoveryEvent {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv())
            .await
            .expect("an event in time")
            .expect("a running driver")
    }
}

fn heard_from(byte: u8) -> DiscoveryEvent {
    DiscoveryEvent::Heard {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 4000 + u16::from(byte))),
        instance_id: instance(byte),
    }
}

// req: DSC-01, DSC-09, DSC-15, DSC-16, DSC-17
#[tokio::test]
async fn nodes_on_one_machine_hear_each_other_and_not_themselves() {
    let groups = groups(54_601);
    let mut parties = Vec::new();
    for byte in 1..=3 {
        let mut party = Party::start(byte, groups, vec![loopback()]);
        assert_eq!(party.next().await, DiscoveryEvent::AddressUp);
        parties.push(party);
    }
    for party in &parties {
        assert_eq!(party.sender.send(), 1);
    }
    for (i, party) in (1..).zip(&mut parties) {
        let mut heard = BTreeSet::new();
        for _ in 0..2 {
            match party.next().await {
                DiscoveryEvent::Heard { address, instance_id } => {
                    heard.insert((address.port() - 4000, instance_id));
                }
                other => panic!("{other:?}"),
            }
        }
        let others: BTreeSet<_> = [1u8, 2, 3]
            .into_iter()
            .filter(|&other| other != i)
            .map(|other| (u16::from(other), instance(other)))
            .collect();
        assert_eq!(heard, others);
        // One that was sent later arrives later: nothing of its own came between.
        assert!(party.events.try_recv().is_err());
    }
}

// req: DSC-11
#[tokio::test]
async fn a_beacon_does_not_leave_the_network() {
    let socket = loopback_key().open(&groups(54_602)).expect("a socket on loopback");
    assert_eq!(socket2::SockRef::from(&socket).multicast_ttl_v4().expect("its ttl"), 1);
}

// req: DSC-13
#[tokio::test]
async fn an_interface_that_comes_is_used_and_one_that_goes_is_left() {
    let groups = groups(54_603);
    let mut alice = Party::start(1, groups, vec![]);
    let mut bob = Party::start(2, groups, vec![loopback()]);
    assert_eq!(bob.next().await, DiscoveryEvent::AddressUp);
    assert_eq!(alice.sender.send(), 0, "no interface, no beacon");

    alice.interfaces.send_replace(vec![loopback()]);
    assert_eq!(alice.next().await, DiscoveryEvent::AddressUp);
    assert_eq!(alice.sender.send(), 1);
    assert_eq!(bob.next().await, heard_from(1));

    alice.interfaces.send_replace(vec![]);
    while alice.sender.send() > 0 {
        tokio::task::yield_now().await;
    }
    // It came, went and comes again: that is an address that became usable.
    alice.interfaces.send_replace(vec![loopback()]);
    assert_eq!(alice.next().await, DiscoveryEvent::AddressUp);
    bob.sender.send();
    assert_eq!(alice.next().await, heard_from(2));
}

// req: DSC-22
#[tokio::test]
async fn a_driver_that_is_dropped_sends_and_hears_nothing() {
    let groups = groups(54_604);
    let mut alice = Party::start(1, groups, vec![loopback()]);
    let mut bob = Party::start(2, groups, vec![loopback()]);
    assert_eq!(alice.next().await, DiscoveryEvent::AddressUp);
    assert_eq!(bob.next().await, DiscoveryEvent::AddressUp);
    let Party { _beacons: beacons, sender, mut events, .. } = alice;
    drop(beacons);
    assert_eq!(sender.send(), 0);
    bob.sender.send();
    // The channel closes when the last listener is gone.
    let rest = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    assert_eq!(rest.expect("in time"), None);
}

// req: DSC-02, DSC-03
#[tokio::test]
async fn rubbish_on_the_wire_changes_nothing() {
    let groups = groups(54_605);
    let mut alice = Party::start(1, groups, vec![loopback()]);
    assert_eq!(alice.next().await, DiscoveryEvent::AddressUp);
    let bob = loopback_key().open(&groups).expect("a socket on loopback");
    let group = loopback_key().group(&groups);
    let good = datagram(4002, 2);
    for bytes in [&[][..], &[0xff; 64], &[0; 1400], &good[..5]] {
        bob.send_to(bytes, group).expect("loopback takes it");
    }
    bob.send_to(&good, group).expect("loopback takes it");
    assert_eq!(alice.next().await, heard_from(2));
}

// req: DSC-10, DSC-11, DSC-14, DSC-16
#[tokio::test]
async fn ipv6_beacons_cross_a_link_with_their_scope() {
    if !namespace::is_inside() {
        return namespace::run(
            "discovery::beacon::tests::ipv6_beacons_cross_a_link_with_their_scope",
        );
    }
    let all = namespace::interfaces();
    let ends = |name: &str| -> Vec<Interface> {
        let v6 = all.iter().filter(|i| i.name == name && is_link_local_v6(i.ip).is_some());
        v6.cloned().collect()
    };
    // The two ends of a cable: what is sent into one comes out of the other.
    let (near, far) = (ends("ta0"), ends("ta1"));
    let mut alice = Party::start(1, Groups::PROTOCOL, near.clone());
    let mut bob = Party::start(2, Groups::PROTOCOL, far.clone());
    assert_eq!(alice.next().await, DiscoveryEvent::AddressUp);
    assert_eq!(bob.next().await, DiscoveryEvent::AddressUp);
    let mut alices_address = None;
    while alices_address.is_none() {
        // An address that is being checked for duplicates cannot send yet.
        alice.sender.send();
        alices_address = tokio::time::timeout(Duration::from_millis(50), bob.next()).await.ok();
    }
    let Some(DiscoveryEvent::Heard { address: SocketAddr::V6(address), instance_id }) =
        alices_address
    else {
        panic!("{alices_address:?}");
    };
    assert_eq!(instance_id, instance(1));
    assert!(near.iter().any(|interface| interface.ip == IpAddr::V6(*address.ip())));
    assert_eq!((address.port(), address.scope_id()), (4001, far[0].index));

    let key = SocketKey::V6 { index: near[0].index, name: near[0].name.clone() };
    let socket = key.open(&groups(54_606)).expect("a socket on the link");
    assert_eq!(socket2::SockRef::from(&socket).multicast_hops_v6().expect("its hops"), 1);
}

// req: DSC-13
#[tokio::test]
async fn an_interface_that_is_plugged_in_later_is_used() {
    if !namespace::is_inside() {
        return namespace::run(
            "discovery::beacon::tests::an_interface_that_is_plugged_in_later_is_used",
        );
    }
    namespace::interfaces();
    namespace::ip(&["link", "set", "ta1", "down"]);
    while super::super::interfaces::all().expect("interfaces").iter().any(|i| i.name == "ta0") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let watch = InterfaceWatch::start(InterfaceChoice::Named(["ta0".to_owned()].into()));
    let (sender_of_events, mut events) = mpsc::channel(64);
    let sender = BeaconSender::new(4001, instance(1), Groups::PROTOCOL);
    let _beacons = Beacons::start(sender.clone(), watch.subscribe(), sender_of_events);
    assert_eq!(sender.send(), 0, "the cable is not plugged in");
    namespace::ip(&["link", "set", "ta1", "up"]);
    let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    assert_eq!(event.expect("in time"), Some(DiscoveryEvent::AddressUp));
    assert!(sender.send() > 0);
}

// req: DSC-26
#[tokio::test]
async fn hearing_a_beacon_sends_nothing() {
    let groups = groups(54_607);
    let mut alice = Party::start(1, groups, vec![loopback()]);
    assert_eq!(alice.next().await, DiscoveryEvent::AddressUp);
    let bob = loopback_key().open(&groups).expect("a socket on loopback");
    bob.set_nonblocking(false).expect("a socket that waits");
    bob.set_read_timeout(Some(Duration::from_millis(200))).expect("not for ever");
    for _ in 0..3 {
        bob.send_to(&datagram(4002, 2), loopback_key().group(&groups)).expect("it is sent");
        assert_eq!(alice.next().await, heard_from(2));
    }
    let mut buffer = [0; 100];
    let mut own = 0;
    while let Ok((len, _)) = bob.recv_from(&mut buffer) {
        assert_eq!(&buffer[..len], datagram(4002, 2), "not an echo of its own");
        own += 1;
    }
    assert_eq!(own, 3);
}
