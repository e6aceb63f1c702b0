//! First contact at a distance: an invite, a relay, and never a link.

use core::time::Duration;

use tortalk_keys::invite::Invite;
use tortalk_mesh::{Command, DeliveryState, Event, Read};

use crate::puppet::Puppet;
use crate::relay_net::Net;

const HOUR: Duration = Duration::from_secs(3600);

fn invite_of(net: &Net, person: usize) -> Vec<u8> {
    let someone = &net.world.people[person];
    let invite = Invite::Full {
        identity: someone.identity(),
        intro_mailbox: someone.keyring.intro_mailbox.public(),
        read_key: someone.keyring.intro_read_key,
        relays: someone.mesh.relays_for_invite(),
    };
    invite.to_bytes()
}

pub(crate) fn ask(net: &mut Net, from: usize, to: usize, text: &str) {
    let identity = net.world.identity(to);
    let (invite, text) = (Some(invite_of(net, to)), text.to_owned());
    let add = Command::AddContact { identity, name: "far away".into(), invite, text };
    net.world.command(from, add).expect("a new contact");
}

// req: RLC-13, RLC-18
#[test]
fn an_invite_a_request_and_an_accept_go_through_relays_alone() {
    let mut net = Net::new(&[("alice", &[0]), ("bob", &[1])], 2);
    // Bob is away when Alice reads his invite.
    net.relays[1].manners.unreachable = true;
    ask(&mut net, 0, 1, "we met at the lake");
    net.run();
    assert!(net.world.people[1].events.iter().all(|e| !matches!(e, Event::ContactRequest(_))));
    net.relays[1].manners.unreachable = false;
    net.advance(HOUR);
    net.connect_again();
    net.run();
    let asked = net.world.people[1].mesh.requests().next().cloned().expect("a request");
    assert_eq!(
        (asked.identity, asked.text.as_str()),
        (net.world.identity(0), "we met at the lake")
    );
    assert!(!net.relays[1].left[0].2, "strangers have no stamp");
    // Bob says yes, and each can write to the other.
    let identity = net.world.identity(0);
    let accept = Command::AcceptRequest { identity, name: "Alice".into() };
    net.world.command(1, accept).expect("a request");
    net.run();
    let id = net.world.send(0, 1, "there you are");
    net.run();
    assert_eq!(net.world.state(0, &id), DeliveryState::Delivered);
    let id = net.world.send(1, 0, "here I am");
    net.run();
    assert_eq!(net.world.state(1, &id), DeliveryState::Delivered);
    assert_eq!(net.world.people[0].received(), ["here I am"]);
    assert_eq!(net.world.cables(), 0);
}

// req: REQ-10
#[test]
fn a_stranger_who_knows_the_mailbox_for_contacts_asks_there_in_vain() {
    let mut net = Net::new(&[("bob", &[0])], 1);
    let bob = &net.world.people[0];
    let mut stranger = Puppet::new(100);
    let message = stranger.request(bob, "let me in", crate::person::START_MS);
    let envelope = stranger.seal(bob, &message);
    let mailbox = bob.keyring.contact_mailbox.public();
    net.junk.insert(envelope.id());
    net.relays[0].plant(mailbox, envelope.as_bytes().to_vec());
    net.run();
    assert_eq!(net.relays[0].held(), 0, "it is of no use");
    assert_eq!(net.world.people[0].mesh.requests().count(), 0);
    // The same words where strangers are heard.
    let envelope = stranger.seal_for_intro(&net.world.people[0], &message);
    let intro = net.world.people[0].keyring.intro_mailbox.public();
    net.relays[0].plant(intro, envelope.as_bytes().to_vec());
    net.run();
    assert_eq!(net.world.people[0].mesh.requests().count(), 1);
}

// req: RLC-10, REQ-18
#[test]
fn requests_beyond_the_places_of_a_relay_are_kept_for_later() {
    let mut net = Net::new(&[("bob", &[0])], 1);
    let intro = net.world.people[0].keyring.intro_mailbox.public();
    for n in 0..20 {
        let mut stranger = Puppet::new(100 + n);
        let bob = &net.world.people[0];
        let card = stranger.card(crate::person::START_MS, true).into_bytes();
        let body = tortalk_seal::Body::ContactRequest { card, text: format!("{n}") };
        let message = stranger.message(bob.identity(), body);
        let envelope = stranger.seal_for_intro(bob, &message);
        net.relays[0].plant(intro, envelope.as_bytes().to_vec());
    }
    net.run();
    assert_eq!(net.world.people[0].mesh.requests().count(), 16);
    assert_eq!(net.world.people[0].store.unopened().expect("readable").len(), 4);
    assert_eq!(net.relays[0].held(), 0);
    let who = net.world.people[0].mesh.requests().next().expect("a request").identity;
    net.world.command(0, Command::DeclineRequest { identity: who }).expect("a request");
    net.restart(0);
    assert_eq!(net.world.people[0].mesh.requests().count(), 16);
    assert_eq!(net.world.people[0].store.unopened().expect("readable").len(), 3);
}
