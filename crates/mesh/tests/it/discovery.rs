//! What the machine makes of beacons, neighbours and ends of dials.

use core::net::SocketAddr;
use core::time::Duration;

use tortalk_keys::link_auth::Role;
use tortalk_mesh::{Command, Input, LinkId, Visibility};
use tortalk_model::InstanceId;
use tortalk_wire::{Bye, ByeReason, Frame};

use crate::person::Person;
use crate::puppet::{Puppet, Stage};

fn heard(port: u16, instance: u8) -> Input {
    let address = SocketAddr::from(([192, 0, 2, 9], port));
    Input::Heard { address, instance_id: InstanceId::from_bytes([instance; 16]) }
}

#[test]
fn a_new_instance_is_dialled_and_a_linked_one_is_not() {
    let mut stage = Stage::new();
    stage.feed(heard(2000, 1));
    assert_eq!(stage.person.dials.len(), 1);
    let puppet = Puppet::new(1);
    stage.link(&puppet, Role::Responder);
    let address = SocketAddr::from(([192, 0, 2, 9], 3000));
    stage.feed(Input::Heard { address, instance_id: puppet.instance_id });
    let own = stage.person.instance_id;
    stage.feed(Input::Heard { address, instance_id: own });
    assert_eq!(stage.person.dials.len(), 1, "neither a linked one nor ourselves");
}

#[test]
fn a_neighbour_is_dialled_once_while_whoever_answered_there_is_linked() {
    let mut stage = Stage::new();
    let puppet = Puppet::new(1);
    let address = SocketAddr::from(([192, 0, 2, 7], 45454));
    stage.feed(Input::Neighbour { address });
    assert_eq!(stage.person.dials.len(), 1);
    stage.feed(Input::Dialled { address, reached: true });
    let (link, _) = stage.link(&puppet, Role::Initiator);
    stage.wait(Duration::from_secs(60));
    stage.feed(Input::Neighbour { address });
    assert_eq!(stage.person.dials.len(), 1, "linked");
    stage.feed(Input::LinkDown { link });
    stage.feed(Input::Neighbour { address });
    assert_eq!(stage.person.dials.len(), 2, "gone");
}

// req: DSC-22
#[test]
fn nobody_neither_beacons_nor_dials_what_it_hears() {
    let mut stage = Stage::of(Person::with_visibility("alice", 1, Visibility::Nobody));
    stage.feed(Input::AddressUp);
    for port in 2000..2010 {
        stage.feed(heard(port, 1));
        stage.wait(Duration::from_secs(30));
    }
    assert_eq!((stage.person.dials.len(), stage.person.beacons), (0, 0));
    let (outcome, _) =
        stage.person.command(Command::SetVisibility(Visibility::Everyone), stage.now);
    outcome.expect("always possible");
    stage.feed(heard(2000, 1));
    assert!(stage.person.beacons > 0 && stage.person.dials.len() == 1);
}

#[test]
fn a_dial_that_fails_asks_for_a_beacon_so_that_they_can_dial_us() {
    let mut stage = Stage::new();
    stage.feed(Input::AddressUp);
    for _ in 0..30 {
        stage.wait(Duration::from_secs(10));
    }
    let before = stage.person.beacons;
    stage.feed(heard(2000, 1));
    let address = stage.person.dials[0].address;
    assert_eq!(stage.person.beacons, before);
    stage.feed(Input::Dialled { address, reached: false });
    stage.wait(Duration::from_secs(1));
    assert_eq!(stage.person.beacons, before + 1);
}

// req: DSC-37
#[test]
fn whoever_broke_the_protocol_is_dialled_less_and_less_often() {
    let mut stage = Stage::new();
    let puppet = Puppet::new(1);
    let address = SocketAddr::from(([192, 0, 2, 7], 45454));
    let bye = Frame::Bye(Bye { reason: ByeReason::Protocol });
    let faults: [fn(LinkId, Frame) -> Input; 3] = [
        |link, _| Input::Frame { link, frame: Frame::End },
        |link, bye| Input::Frame { link, frame: bye },
        |link, _| Input::PeerFault { link },
    ];
    for (fault, wait) in faults.into_iter().zip([5, 10, 20]) {
        stage.feed(Input::Neighbour { address });
        stage.feed(Input::Dialled { address, reached: true });
        let (link, _) = stage.link(&puppet, Role::Initiator);
        stage.feed(fault(link, bye.clone()));
        stage.feed(Input::LinkDown { link });
        let dials = stage.person.dials.len();
        stage.wait(Duration::from_millis(wait * 1000 - 1));
        stage.feed(Input::Neighbour { address });
        assert_eq!(stage.person.dials.len(), dials, "{wait} s");
        stage.wait(Duration::from_millis(1));
        stage.feed(Input::Neighbour { address });
        assert_eq!(stage.person.dials.len(), dials + 1, "{wait} s");
        stage.feed(Input::Dialled { address, reached: true });
        stage.wait(Duration::from_secs(5));
    }
}
