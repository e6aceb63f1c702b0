//! Faults of a relay. It runs on Alice's machine, as a process of this program.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::runtime::Runtime;
use tortalk_keys::RelaySecret;
use tortalk_relay::authority_text::authority_of;
use tortalk_relay::env::{Clock, OsEntropy, SharedEntropy};
use tortalk_relay::rules::config::Config;
use tortalk_relay::server::{bind, serve};
use tortalk_relay::service::{Environment, Relay};
use tortalk_relay::store::sqlite::SqliteBackend;

use super::lan::{Host, Lan};
use super::people::Person;
use super::table::first_line;
use crate::common::Home;

const ADDRESS: &str = "127.0.0.1:47470";
const URL: &str = "http://127.0.0.1:47470";
/// Set for the process that is the relay: the number of its key.
const RELAY: &str = "TORTALK_TEST_IS_RELAY";

/// Not a test of itself: what [`Serving`] starts.
#[test]
fn serves() {
    let Some(number) = env::var(RELAY).ok().and_then(|number| number.parse().ok()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = bind(ADDRESS.parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let backend = SqliteBackend::open(folder.path(), &mut OsEntropy).unwrap();
        let environment =
            Environment { clock: Clock::system(), entropy: SharedEntropy::new(OsEntropy) };
        let config = Config::new(vec![authority_of(address).unwrap()]);
        let secret = RelaySecret::from_seed([number; 32]);
        let (relay, _thread) = Relay::start(&backend, config, secret, environment).unwrap();
        println!("\nit serves");
        serve(relay, listener, None, Duration::ZERO, std::future::pending()).await.unwrap();
    });
}

/// A relay; gone when dropped.
struct Serving(Child);

impl Serving {
    fn start(host: &Host, number: u8) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["relays::serves", "--exact", "--nocapture"]).env(RELAY, number.to_string());
        let mut command = host.command(&command);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "it serves"));
        Self(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn relay_down_and_relay_key_changed() {
    let Some(lan) = Lan::new("relay down, relay key changed") else { return };
    let home = Home::new();
    let alice = Person::new(&home, &lan, "alice", 1);
    alice.settings(&format!("[[relays]]\nurl = \"{URL}\"\n"));
    let relay = Serving::start(&alice.host, 1);
    let node = alice.start();
    node.event("relay_up");
    alice.is_healthy();

    drop(relay);
    node.event("relay_down");
    alice.comes_to_say(&first_line("relay down", &[("url", URL)]));

    // At the same address, with another key.
    let relay = Serving::start(&alice.host, 2);
    node.line("another key", |line| line["state"] == "other_key");
    alice.comes_to_say(&first_line("relay key changed", &[("url", URL)]));

    drop(relay);
    let _relay = Serving::start(&alice.host, 1);
    node.event("relay_up");
    alice.is_healthy();
}
