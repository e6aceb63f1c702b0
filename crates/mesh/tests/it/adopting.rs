//! Asking from far away without a relay: that of the invite is taken.

use core::time::Duration;

use tortalk_keys::card::Card;
use tortalk_keys::invite::Invite;
use tortalk_keys::relay::RelayAddress;
use tortalk_mesh::{Command, DeliveryState, Event, Read};

use crate::relay_net::Net;

const HOUR: Duration = Duration::from_secs(3600);

/// Alice, who has no relay, adds Bob by his invite as text.
fn add_bob(net: &mut Net, text: &str) {
    let bob = &net.world.people[1];
    let invite = Invite::Full {
        identity: bob.identity(),
        intro_mailbox: bob.keyring.intro_mailbox.public(),
        read_key: bob.keyring.intro_read_key,
        relays: bob.mesh.relays_for_invite(),
    };
    let (identity, invite, text) = (bob.identity(), Some(invite.to_bytes()), text.to_owned());
    let add = Command::AddContact { identity, name: "Bob".into(), invite, text };
    net.world.command(0, add).expect("a new contact");
}

fn named(net: &Net, person: usize) -> Vec<RelayAddress> {
    let card = net.world.people[person].mesh.own_contact_card().expect("a card");
    card.contact().expect("for contacts").relays.clone()
}

fn waits(net: &Net) -> bool {
    let contacts = net.world.people[0].store.contacts().expect("readable");
    contacts[0].asking.is_some() && contacts[0].requested.is_none()
}

// req: REQ-29, REQ-30, REQ-07
#[test]
fn who_has_no_relay_takes_that_of_the_invite_and_asks_once_it_is_registered() {
    for text in ["we met on the ferry", ""] {
        let mut net = Net::new(&[("alice", &[]), ("bob", &[0])], 1);
        let relay = net.relays[0].address.clone();
        net.relays[0].manners.unreachable = true;
        add_bob(&mut net, text);
        net.run();
        let adopted = Event::RelayAdopted { relay: relay.clone() };
        assert!(net.world.people[0].events.contains(&adopted), "the user is told");
        assert_eq!(waits(&net), !text.is_empty(), "{text}");
        net.restart(0);
        assert_eq!(net.world.people[0].mesh.adopted_relays(), std::slice::from_ref(&relay));
        assert!(named(&net, 0).is_empty());
        net.relays[0].manners.unreachable = false;
        net.advance(HOUR);
        net.connect_again();
        net.advance(HOUR);
        assert_eq!(named(&net, 0), std::slice::from_ref(&relay));
        let asked = net.world.people[1].mesh.requests().next().cloned().expect("a request");
        assert_eq!(asked.text, text);
        let card = Card::parse(&asked.card).expect("checked");
        assert_eq!(card.contact().expect("for contacts").relays, [relay], "where Bob answers");
        let identity = net.world.identity(0);
        let accept = Command::AcceptRequest { identity, name: "Alice".into() };
        net.world.command(1, accept).expect("a request");
        net.run();
        let id = net.world.send(0, 1, "there you are");
        let back = net.world.send(1, 0, "here I am");
        net.run();
        assert_eq!(net.world.state(0, &id), DeliveryState::Delivered);
        assert_eq!(net.world.state(1, &back), DeliveryState::Delivered);
        let contact = net.world.people[0].mesh.contact(&net.world.identity(1)).cloned();
        assert_eq!(contact.expect("a contact").asking, None);
    }
}

// req: REQ-30
#[test]
fn who_is_linked_is_asked_at_once() {
    let mut net = Net::new(&[("alice", &[]), ("bob", &[0])], 1);
    net.relays[0].manners.unreachable = true;
    add_bob(&mut net, "across the lake");
    net.run();
    assert!(waits(&net));
    net.world.connect(0, 1);
    net.run();
    assert!(!waits(&net));
    let asked = net.world.people[1].mesh.requests().next().cloned().expect("a request");
    assert_eq!(asked.text, "across the lake");
}

// req: REQ-30
#[test]
fn words_that_wait_are_a_text_when_the_card_for_contacts_comes() {
    let mut net = Net::new(&[("alice", &[]), ("bob", &[0])], 1);
    net.relays[0].manners.unreachable = true;
    add_bob(&mut net, "with your card");
    net.introduce(0, 1);
    net.relays[0].manners.unreachable = false;
    net.connect_again();
    net.advance(HOUR);
    assert_eq!(net.world.people[1].received(), ["with your card"]);
    assert_eq!(net.world.people[1].mesh.requests().count(), 0);
}

// req: REQ-29, REQ-30
#[test]
fn who_has_set_a_relay_whose_key_is_not_known_waits_for_that_one() {
    let mut net = Net::new(&[("alice", &[]), ("bob", &[0])], 2);
    net.world.people[0].config.awaits_relays = true;
    net.restart(0);
    add_bob(&mut net, "soon");
    net.run();
    assert!(net.world.people[0].mesh.adopted_relays().is_empty());
    assert!(waits(&net));
    net.world.people[0].config.awaits_relays = false;
    net.world.people[0].set_relays(vec![net.relays[1].address.clone()]);
    net.restart(0);
    assert!(!waits(&net));
    assert_eq!(named(&net, 0), [net.relays[1].address.clone()]);
    assert_eq!(net.world.people[1].mesh.requests().next().expect("a request").text, "soon");
}

// req: REQ-31
#[test]
fn a_relay_of_the_settings_goes_before_one_that_was_taken() {
    let mut net = Net::new(&[("alice", &[]), ("bob", &[0])], 2);
    add_bob(&mut net, "");
    net.run();
    assert_eq!(named(&net, 0), [net.relays[0].address.clone()]);
    let own = net.relays[1].address.clone();
    net.relays[1].manners.unreachable = true;
    net.world.people[0].set_relays(vec![own.clone()]);
    net.restart(0);
    assert_eq!(named(&net, 0), [net.relays[0].address.clone()], "it is not registered there");
    net.relays[1].manners.unreachable = false;
    net.connect_again();
    net.run();
    assert_eq!(named(&net, 0), std::slice::from_ref(&own));
    assert_eq!(net.world.people[0].mesh.relays_for_invite(), [own]);
    let mailbox = net.world.people[0].keyring.contact_mailbox.public();
    assert!(net.has_stream(0, 0, mailbox), "who has the old card is heard");
}
