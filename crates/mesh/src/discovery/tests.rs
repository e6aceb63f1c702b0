use super::*;

struct Middle;

impl Entropy for Middle {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(127);
    }
}

fn sent_until(beacons: &mut Beacons, from: u64, until: u64) -> Vec<u64> {
    (from..until).filter(|&ms| beacons.due(MonoMillis(ms), &mut Middle)).collect()
}

// req: DSC-05, DSC-06
#[test]
fn three_quick_beacons_and_then_rarer_ones() {
    let mut beacons = Beacons::default();
    assert!(sent_until(&mut beacons, 0, 1000).is_empty(), "no address, no beacon");
    beacons.address_up(MonoMillis(1000));
    let sent = sent_until(&mut beacons, 1000, 300_000);
    assert_eq!(sent[..3], [1000, 1250, 2000]);
    let gaps: Vec<u64> = sent[2..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((4_900..=5_100).contains(&gaps[0]), "{gaps:?}");
    assert!(gaps.windows(2).all(|pair| pair[1] >= pair[0]), "{gaps:?}");
    assert!(gaps.iter().all(|&gap| gap <= 30_000), "{gaps:?}");
    assert!(*gaps.last().expect("several") >= 29_000, "{gaps:?}");
}

// req: DSC-06
#[test]
fn a_change_brings_the_short_interval_back() {
    let mut beacons = Beacons::default();
    beacons.address_up(MonoMillis(0));
    sent_until(&mut beacons, 0, 200_000);
    beacons.neighbourhood_changed(MonoMillis(200_000));
    assert!(!sent_until(&mut beacons, 200_000, 205_001).is_empty());
}

// req: DSC-36
#[test]
fn a_peer_that_starts_again_hears_of_us_within_a_second() {
    let mut beacons = Beacons::default();
    beacons.address_up(MonoMillis(0));
    sent_until(&mut beacons, 0, 200_000);
    beacons.peer_gone(MonoMillis(200_000));
    let sent = sent_until(&mut beacons, 200_000, 201_100);
    assert_eq!(sent.len(), 1, "{sent:?}");
}

// req: DSC-07
#[test]
fn extra_beacons_are_a_second_apart() {
    let mut beacons = Beacons::default();
    beacons.address_up(MonoMillis(0));
    sent_until(&mut beacons, 0, 60_000);
    let mut sent = Vec::new();
    for ms in 60_000..65_000 {
        beacons.extra(MonoMillis(ms));
        if beacons.due(MonoMillis(ms), &mut Middle) {
            sent.push(ms);
        }
    }
    assert!(sent.len() >= 4, "{sent:?}");
    assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= 1000), "{sent:?}");
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

// req: DSC-19
#[test]
fn one_address_is_dialled_once_in_five_seconds() {
    let mut dials = Dials::default();
    assert!(dials.request(address(2000), MonoMillis(0)).is_some());
    assert!(dials.request(address(2000), MonoMillis(10_000)).is_none(), "still in flight");
    dials.ended(address(2000));
    assert!(dials.request(address(2000), MonoMillis(4_999)).is_none());
    assert!(dials.request(address(2000), MonoMillis(5_000)).is_some());
}

/// When `address(2000)` may be dialled again after `from`, in ms.
fn dialled_again(dials: &mut Dials, from: u64) -> u64 {
    let again = |&ms: &u64| dials.request(address(2000), MonoMillis(ms)).is_some();
    let at = (from..from + 700_000).step_by(500).find(again).expect("some day");
    dials.ended(address(2000));
    at
}

// req: DSC-37
#[test]
fn an_address_of_links_that_end_for_faults_is_dialled_ever_more_rarely() {
    let mut dials = Dials::default();
    let mut now = dialled_again(&mut dials, 0);
    for seconds in [5, 10, 20, 40, 80, 160, 320, 600, 600] {
        dials.fault(address(2000), MonoMillis(now), MonoMillis(now + 500));
        let again = dialled_again(&mut dials, now + 500);
        assert_eq!(again - (now + 500), seconds * 1000);
        now = again;
    }
    assert!(dials.request(address(2001), MonoMillis(now)).is_some(), "another address");
    // A link that was good for a minute, and a fault after all.
    dials.fault(address(2000), MonoMillis(now), MonoMillis(now + 60_000));
    assert_eq!(dialled_again(&mut dials, now + 60_000), now + 65_000);
}

// req: DSC-20
#[test]
fn sixteen_dials_are_in_flight_and_no_more() {
    let mut dials = Dials::default();
    let started = (0..40).filter(|&i| dials.request(address(2000 + i), MonoMillis(0)).is_some());
    assert_eq!(started.count(), 16);
    dials.ended(address(2000));
    assert!(dials.request(address(3000), MonoMillis(0)).is_some());
}

#[test]
fn the_memory_of_dials_is_bounded() {
    let mut dials = Dials::default();
    for i in 0..5000 {
        let _ = dials.request(address(1024 + i), MonoMillis(0));
        dials.ended(address(1024 + i));
    }
    for i in 0..5000 {
        dials.fault(address(1024 + i), MonoMillis(0), MonoMillis(0));
    }
    assert!(dials.last.len() <= REMEMBERED_MAX && dials.faults.len() <= REMEMBERED_MAX);
    assert!(dials.request(address(9000), MonoMillis(5_000)).is_some());
}
