use super::super::namespace;
use super::*;

fn interface(index: u32, ip: &str, prefix_len: u8, kind: InterfaceKind) -> Interface {
    let ip = ip.parse().expect("an address");
    Interface { name: format!("eth{index}"), index, ip, prefix_len, kind }
}

fn lan() -> Vec<Interface> {
    vec![
        interface(1, "127.0.0.1", 8, InterfaceKind::Loopback),
        interface(2, "192.168.1.20", 24, InterfaceKind::Network),
        interface(2, "fe80::1", 64, InterfaceKind::Network),
        interface(3, "fe80::2", 64, InterfaceKind::Network),
    ]
}

// req: DSC-34
#[test]
fn only_what_can_be_dialled_on_the_lan_is_reported() {
    let peer = PeerId::random();
    let read = |text: &str| addresses(&text.parse().expect("a multiaddr"), &lan());
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    assert_eq!(read("/ip4/192.168.1.7/tcp/4000"), [address("192.168.1.7:4000")]);
    assert_eq!(read(&format!("/ip4/192.168.1.7/tcp/4000/p2p/{peer}")).len(), 1);
    assert_eq!(
        read("/ip6/fe80::9/tcp/4000"),
        [address("[fe80::9%2]:4000"), address("[fe80::9%3]:4000")]
    );
    for no in [
        "/ip4/8.8.8.8/tcp/4000",
        "/ip4/192.168.1.7/tcp/1023",
        "/ip4/192.168.1.7/udp/4000",
        "/ip4/192.168.1.7/tcp/4000/ws",
        "/dns4/example.org/tcp/4000",
        "/ip6/2001:db8::1/tcp/4000",
        "/tcp/4000",
        "/ip4/192.168.1.7",
    ] {
        assert!(read(no).is_empty(), "{no}");
    }
}

// req: DSC-35
#[test]
fn reports_are_bounded_in_time() {
    let mut reports = Reports::default();
    let start = Instant::now();
    assert_eq!((0..1000).filter(|_| reports.admit(start)).count(), REPORTS_MAX);
    assert!(!reports.admit(start + Duration::from_secs(9)));
    assert!(reports.admit(start + Duration::from_secs(10)));
}

async fn next(events: &mut mpsc::Receiver<DiscoveryEvent>) -> DiscoveryEvent {
    tokio::time::timeout(Duration::from_secs(20), events.recv())
        .await
        .expect("an event in time")
        .expect("a running driver")
}

// req: DSC-33
#[tokio::test]
async fn nodes_find_each_other_and_stop_at_once() {
    if !namespace::is_inside() {
        return namespace::run("discovery::mdns::tests::nodes_find_each_other_and_stop_at_once");
    }
    let interfaces = namespace::interfaces();
    let (_watch, receiver) = watch::channel(interfaces.clone());
    let (alice_sender, mut alice_events) = mpsc::channel(64);
    let (bob_sender, mut bob_events) = mpsc::channel(64);
    let alice = Mdns::start(4001, receiver.clone(), alice_sender).expect("alice's mDNS");
    let bob = Mdns::start(4002, receiver.clone(), bob_sender).expect("bob's mDNS");

    let port = |event| match event {
        DiscoveryEvent::Neighbour { address } => {
            assert!(is_on_link(&address, &interfaces), "{address}");
            address.port()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(port(next(&mut alice_events).await), 4002);
    assert_eq!(port(next(&mut bob_events).await), 4001);

    // Carol comes after Bob has gone, and hears of Alice only.
    drop(bob);
    let (carol_sender, mut carol_events) = mpsc::channel(64);
    let _carol = Mdns::start(4003, receiver.clone(), carol_sender).expect("carol's mDNS");
    assert_eq!(port(next(&mut carol_events).await), 4001);

    // Alice starts again: to the library that is somebody new at an old address,
    // because her PeerId is another one.
    drop(alice);
    while carol_events.try_recv().is_ok() {}
    let (alice_sender, _alice_events) = mpsc::channel(64);
    let _alice = Mdns::start(4001, receiver, alice_sender).expect("alice's mDNS");
    let started = Instant::now();
    assert_eq!(port(next(&mut carol_events).await), 4001);
    assert!(started.elapsed() < REPORT_AGAIN / 2, "it was not a report of what was known");
    while let Ok(event) = carol_events.try_recv() {
        assert_ne!(port(event), 4002, "who has stopped is not found");
    }
}

/// A DNS answer that names a PeerId that nobody has seen.
fn announcement() -> Vec<u8> {
    let name = |labels: &[&str]| -> Vec<u8> {
        let mut name: Vec<u8> = labels
            .iter()
            .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
            .collect();
        name.push(0);
        name
    };
    let record = |name: &[u8], kind: u8, data: &[u8]| -> Vec<u8> {
        let [high, low] = (data.len() as u16).to_be_bytes();
        [name, &[0, kind, 0, 1, 0, 0, 0, 120, high, low], data].concat()
    };
    let service = name(&["_p2p", "_udp", "local"]);
    let peer = name(&["somebody", "_p2p", "_udp", "local"]);
    let text = format!("dnsaddr=/ip4/10.77.0.1/tcp/4002/p2p/{}", PeerId::random());
    let text = [&[text.len() as u8], text.as_bytes()].concat();
    // One answer (PTR) and one additional record (TXT).
    let header = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    [&header[..], &record(&service, 12, &peer), &record(&peer, 16, &text)].concat()
}

// req: DSC-35
#[tokio::test]
async fn a_flood_of_announcements_is_noticed() {
    if !namespace::is_inside() {
        return namespace::run("discovery::mdns::tests::a_flood_of_announcements_is_noticed");
    }
    let interfaces = namespace::interfaces();
    let (_watch, receiver) = watch::channel(interfaces.clone());
    let (sender, mut events) = mpsc::channel(1024);
    let life = one_life(4001, receiver, &sender);
    let socket = std::net::UdpSocket::bind("10.77.0.1:0").expect("a socket");
    let flood = async {
        loop {
            socket.send_to(&announcement(), "224.0.0.251:5353").expect("it is sent");
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = tokio::time::timeout(Duration::from_secs(60), life) => ended.expect("in time"),
        () = flood => {}
    }
    let mut reported = 0;
    while events.try_recv().is_ok() {
        reported += 1;
    }
    assert!((1..=REPORTS_MAX * 6).contains(&reported), "{reported} reports");
}
