//! The demo's conversation without sockets: two people talk, links break, one
//! process dies in the middle; nothing is lost and nothing comes twice.

use core::time::Duration;

use tortalk_mesh::{DeliveryState, Event};

use crate::world::World;

// req: GSP-28, DLV-11, DLV-12
#[test]
fn two_people_talk_and_both_see_what_became_of_it() {
    let mut world = World::pair();
    let hello = world.send(0, 1, "hello Bob");
    assert_eq!(world.state(0, &hello), DeliveryState::Queued, "nothing has moved yet");
    world.run();
    assert_eq!(world.people[1].received(), ["hello Bob"]);
    assert_eq!(world.state(0, &hello), DeliveryState::Delivered);
    let answer = world.send(1, 0, "hello Alice");
    world.run();
    assert_eq!(world.people[0].received(), ["hello Alice"]);
    assert_eq!(world.state(1, &answer), DeliveryState::Delivered);
}

#[test]
fn what_is_written_while_the_other_is_away_arrives_once_and_in_order() {
    let mut world = World::pair();
    world.cut_all();
    let texts: Vec<String> = (0..600).map(|i| format!("message {i}")).collect();
    let ids: Vec<_> = texts.iter().map(|text| world.send(0, 1, text)).collect();
    world.restart(0);
    world.connect(1, 0);
    world.run();
    assert_eq!(world.people[1].received(), texts);
    for id in &ids {
        assert_eq!(world.state(0, id), DeliveryState::Delivered);
    }
}

// req: GSP-27
#[test]
fn a_link_that_breaks_at_every_possible_moment_neither_loses_nor_doubles() {
    for bytes in (0..40_000).step_by(997) {
        let mut world = World::pair();
        let before = world.bytes;
        let ids: Vec<_> = (0..5).map(|i| world.send(0, 1, &format!("m{i}"))).collect();
        // One round moves what each side has to say; cut after some of them.
        world.run_until(|world| world.bytes >= before + bytes);
        world.cut_all();
        if bytes % 2 == 0 {
            world.restart(1);
        }
        world.connect(0, 1);
        world.run();
        assert_eq!(world.people[1].received(), ["m0", "m1", "m2", "m3", "m4"], "cut at {bytes}");
        for id in &ids {
            assert_eq!(world.state(0, id), DeliveryState::Delivered, "cut at {bytes}");
        }
    }
}

#[test]
fn both_dial_at_once_and_one_link_remains() {
    let mut world = World::new(&["alice", "bob"]);
    world.befriend(0, 1);
    world.connect(0, 1);
    world.connect(1, 0);
    world.run();
    world.advance(Duration::from_secs(6));
    assert_eq!(world.cables(), 1);
    let id = world.send(0, 1, "over the one that is left");
    world.run();
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
}

#[test]
fn strangers_see_names_and_nothing_else() {
    let mut world = World::new(&["alice", "bob"]);
    world.connect(0, 1);
    world.run();
    let nearby = world.people[0].mesh.nearby();
    assert_eq!(nearby.len(), 1);
    assert_eq!((nearby[0].name.as_str(), nearby[0].contact), ("bob", false));
    // Alice adds Bob; Bob is told so and nothing is delivered before he agrees.
    let identity = world.identity(1);
    let add = tortalk_mesh::Command::AddContact {
        identity,
        name: String::new(),
        invite: None,
        text: String::new(),
    };
    world.command(0, add).expect("a contact");
    world.run();
    let asked =
        |event: &Event| matches!(event, Event::WantsContact { name, .. } if name == "alice");
    assert!(world.people[1].events.iter().any(asked));
    let id = world.send(0, 1, "too early");
    world.run();
    assert_eq!(world.state(0, &id), DeliveryState::WaitingForKey);
    assert!(world.people[1].received().is_empty());
    // Bob agrees: what waited arrives without another word.
    let identity = world.identity(0);
    let add = tortalk_mesh::Command::AddContact {
        identity,
        name: String::new(),
        invite: None,
        text: String::new(),
    };
    world.command(1, add).expect("a contact");
    world.run();
    assert_eq!(world.people[1].received(), ["too early"]);
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
}
