//! Firewalls: here, there, and where one cannot tell.

use super::lan::Lan;
use super::people::{alice_and_bob, met_in_health};
use super::table::first_line;
use crate::common::Home;

#[test]
fn firewall_drop_into_this_machine() {
    let Some(lan) = Lan::new("firewall drop into this machine") else { return };
    let home = Home::new();
    let (alice, bob) = alice_and_bob(&home, &lan);
    met_in_health(&alice, &bob);
    alice.host.filter("input", "tcp dport 45454 drop");
    let values = [("address", &*alice.host.ip()), ("port", "45454")];
    let line = first_line("firewall drop, into this machine", &values);
    alice.comes_to_say(&line);
    let _node = alice.start();
    alice.comes_to_say(&line);
    alice.host.let_through();
    alice.recovers();
}

#[test]
fn firewall_drop_out_of_this_machine() {
    let Some(lan) = Lan::new("firewall drop out of this machine") else { return };
    let home = Home::new();
    let (alice, bob) = alice_and_bob(&home, &lan);
    met_in_health(&alice, &bob);
    alice.host.filter("output", "oifname lan0 ip daddr 10.77.0.0/24 drop");
    alice.host.filter("output", "oifname lan0 ip6 daddr fe80::/64 drop");
    let _nodes = (alice.start(), bob.start());
    let line = |ip: String| first_line("firewall drop, out of this machine", &[("address", &*ip)]);
    alice.comes_to_say_one_of(&bob.host.ips().map(line));
    alice.host.let_through();
    alice.recovers();
}

#[test]
fn firewall_drop_there_or_here() {
    let Some(lan) = Lan::new("firewall drop there or here") else { return };
    let home = Home::new();
    let (alice, bob) = alice_and_bob(&home, &lan);
    met_in_health(&alice, &bob);
    bob.host.filter("input", "iifname lan0 meta l4proto tcp drop");
    let _nodes = (alice.start(), bob.start());
    let line = |ip: String| {
        let values = [("address", &*ip), ("port", "45454")];
        first_line("firewall drop, there or here", &values)
    };
    alice.comes_to_say_one_of(&bob.host.ips().map(line));
    bob.host.let_through();
    alice.recovers();
}
