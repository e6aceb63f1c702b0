//! Faults of the network.

use super::lan::Lan;
use super::people::{Person, alice_and_bob, has_clocks, meet, met_in_health};
use super::table::first_line;
use crate::common::Home;

#[test]
fn multicast_dropped_on_this_machine() {
    let Some(lan) = Lan::new("multicast dropped here") else { return };
    let home = Home::new();
    let (alice, bob) = alice_and_bob(&home, &lan);
    met_in_health(&alice, &bob);
    alice.host.filter("input", "iifname lan0 udp dport 54545 drop");
    let line = first_line("multicast dropped, on this machine", &[("interface", "lan0")]);
    // Without a node as with one.
    alice.comes_to_say(&line);
    let _node = alice.start();
    alice.comes_to_say(&line);
    alice.host.let_through();
    alice.recovers();
}

#[test]
fn multicast_dropped_on_the_network() {
    let Some(lan) = Lan::new("multicast dropped on the network") else { return };
    let home = Home::new();
    let (alice, bob) = alice_and_bob(&home, &lan);
    met_in_health(&alice, &bob);
    lan.drop_multicast();
    bob.settings("[network]\ntcp_port = 45454\n");
    alice.settings(&format!("[network]\npeers = [\"{}:45454\"]\n", bob.host.ip()));
    // Alice dials once at the start, and then only after half a minute.
    let of_bob = bob.start();
    let mut of_alice = alice.start();
    has_clocks(&mut of_alice, 1);
    let line = |ip: String| {
        let values = [("address", &*ip), ("interface", "lan0")];
        first_line("multicast dropped, on the network", &values)
    };
    alice.comes_to_say_one_of(&bob.host.ips().map(line));
    lan.let_through();
    alice.recovers();
    drop((of_alice, of_bob));
}

#[test]
fn no_interface() {
    let Some(lan) = Lan::new("no interface") else { return };
    let home = Home::new();
    let alice = Person::new(&home, &lan, "alice", 1);
    alice.is_healthy();
    alice.host.unplug();
    let line = first_line("no interface", &[]);
    alice.comes_to_say(&line);
    let node = alice.start();
    alice.comes_to_say(&line);
    alice.host.plug_in();
    alice.recovers();
    drop(node);
    alice.is_healthy();
    alice.host.unplug();
    alice.host.shell(
        "ip link add wg0 type veth peer name veth9; ip addr add 10.78.0.1/24 dev wg0; \
         ip link set wg0 up; ip link set veth9 up",
    );
    alice.comes_to_say(&first_line("no interface but a tunnel", &[("interfaces", "veth9, wg0")]));
    alice.host.plug_in();
    alice.recovers();
}

#[test]
fn client_isolation() {
    let Some(lan) = Lan::new("client isolation") else { return };
    let home = Home::new();
    let (alice, bob) = alice_and_bob(&home, &lan);
    met_in_health(&alice, &bob);
    lan.isolate();
    let _nodes = (alice.start(), bob.start());
    let line =
        |ip: String| first_line("client isolation", &[("addresses", &*ip), ("interface", "lan0")]);
    alice.comes_to_say_one_of(&bob.host.ips().map(line));
    lan.let_through();
    alice.recovers();
}

/// Who has nobody around is not told of a fault.
#[test]
fn nobody_is_there() {
    let Some(lan) = Lan::new("nobody there") else { return };
    let home = Home::new();
    let (alice, bob) = alice_and_bob(&home, &lan);
    let _node = alice.start();
    alice.is_healthy();
    // Nor who has one neighbour that went without a word.
    let mut of_bob = bob.start();
    has_clocks(&mut of_bob, 1);
    of_bob.signal(rustix::process::Signal::KILL);
    of_bob.wait();
    alice.is_healthy();
    let mut of_bob = bob.start();
    has_clocks(&mut of_bob, 1);
    alice.is_healthy();
}

/// Both beside each other, with nothing between them, is what the others begin with.
#[test]
fn a_healthy_network() {
    let Some(lan) = Lan::new("a healthy network") else { return };
    let home = Home::new();
    let (alice, bob) = alice_and_bob(&home, &lan);
    alice.is_healthy();
    let _nodes = meet(&alice, &bob);
    alice.is_healthy();
    bob.is_healthy();
}
