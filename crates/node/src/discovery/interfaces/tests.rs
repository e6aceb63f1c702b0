use super::*;

fn interface(name: &str, ip: &str, prefix_len: u8, kind: InterfaceKind) -> Interface {
    let ip = ip.parse().expect("a literal address");
    Interface { name: name.to_owned(), index: 7, ip, prefix_len, kind }
}

fn lan() -> Vec<Interface> {
    use InterfaceKind::{Loopback, Network};
    vec![
        interface("lo", "127.0.0.1", 8, Loopback),
        interface("eth0", "192.168.1.20", 24, Network),
        interface("eth0", "fe80::1234", 64, Network),
        interface("eth0", "2001:db8:1::5", 64, Network),
    ]
}

// req: DSC-12
#[test]
fn tunnels_containers_and_bridges_are_left_out_unless_named() {
    use InterfaceKind::{Loopback, Network, PointToPoint};
    let usual = InterfaceChoice::Usual;
    for name in ["eth0", "enp3s0", "wlan0", "wlp2s0", "en0", "Ethernet 2", "brcm0"] {
        assert!(usual.includes(&interface(name, "10.0.0.2", 24, Network)), "{name}");
    }
    assert!(usual.includes(&interface("lo", "127.0.0.1", 8, Loopback)));
    let left_out = [
        "tun0",
        "tap1",
        "utun4",
        "wg0",
        "docker0",
        "veth12ab",
        "br-9f",
        "br0",
        "bridge0",
        "virbr0",
        "tailscale0",
        "ztabc",
        "vmnet8",
        "vboxnet0",
        "lxcbr0",
        "cni0",
        "podman1",
        "ppp0",
    ];
    for name in left_out {
        let virtual_one = interface(name, "10.0.0.2", 24, Network);
        assert!(!usual.includes(&virtual_one), "{name}");
        assert!(InterfaceChoice::Named([name.to_owned()].into()).includes(&virtual_one), "{name}");
    }
    // The flag counts where the name says nothing.
    assert!(!usual.includes(&interface("corp", "10.0.0.2", 24, PointToPoint)));
    // Naming one leaves out all others.
    let only_lo = InterfaceChoice::Named(["lo".to_owned()].into());
    assert!(!only_lo.includes(&interface("eth0", "10.0.0.2", 24, Network)));
}

// req: DSC-18
#[test]
fn on_link_is_prefix_link_local_or_loopback() {
    let on_link = |text: &str| is_on_link(&text.parse().expect("an address"), &lan());
    for yes in [
        "192.168.1.1:2000",
        "192.168.1.254:2000",
        "127.0.0.1:2000",
        "127.9.9.9:2000",
        "169.254.3.3:2000",
        "[::1]:2000",
        "[fe80::99%7]:2000",
        "[2001:db8:1::77]:2000",
        "[::ffff:192.168.1.9]:2000",
    ] {
        assert!(on_link(yes), "{yes}");
    }
    for no in [
        "192.168.2.1:2000",
        "192.168.1.0:2000",
        "192.168.1.255:2000",
        "8.8.8.8:2000",
        "0.0.0.0:2000",
        "255.255.255.255:2000",
        "239.1.2.3:2000",
        "[fe80::99]:2000",
        "[fe80::99%8]:2000",
        "[2001:db8:2::77]:2000",
        "[::]:2000",
        "[ff02::1]:2000",
        "[::ffff:8.8.8.8]:2000",
    ] {
        assert!(!on_link(no), "{no}");
    }
}

// req: DSC-18
#[test]
fn odd_prefixes_do_not_make_the_world_on_link() {
    use InterfaceKind::{Network, PointToPoint};
    let far: IpAddr = "8.8.8.8".parse().expect("an address");
    assert!(!interface("eth0", "10.0.0.2", 0, Network).contains(far));
    assert!(!interface("eth0", "10.0.0.2", 200, Network).contains(far));
    let other: IpAddr = "10.0.0.3".parse().expect("an address");
    assert!(interface("ppp0", "10.0.0.2", 31, PointToPoint).contains(other));
    assert!(!interface("ppp0", "10.0.0.2", 32, PointToPoint).contains(other));
    let v6: IpAddr = "2001:db8::1".parse().expect("an address");
    assert!(!interface("eth0", "fd00::1", 0, Network).contains(v6));
}

#[test]
fn the_systems_loopback_is_found() {
    let all = all().expect("a system that lists its interfaces");
    let loopback = all.iter().find(|i| i.ip == IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(loopback.map(|i| (i.kind, i.prefix_len)), Some((InterfaceKind::Loopback, 8)));
}

#[tokio::test]
async fn a_watch_knows_the_interfaces_at_once() {
    let watch = InterfaceWatch::start(InterfaceChoice::Usual);
    assert!(watch.subscribe().borrow().iter().any(|i| i.kind == InterfaceKind::Loopback));
}
