//! Relays of the settings, as people and programs see them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use common::{Home, PATIENCE, Profile};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tortalk_keys::RelaySecret;
use tortalk_relay::authority_text::authority_of;
use tortalk_relay::env::{Clock, OsEntropy, SharedEntropy};
use tortalk_relay::rules::config::Config;
use tortalk_relay::server::{bind, serve};
use tortalk_relay::service::{Environment, Relay};
use tortalk_relay::store::sqlite::SqliteBackend;

const SECRET: [u8; 32] = [0x77; 32];

/// A relay on loopback; gone when dropped.
struct Serving {
    runtime: Option<Runtime>,
    address: SocketAddr,
    _folder: TempDir,
}

impl Serving {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let address = runtime.block_on(async {
            let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let address = listener.local_addr().unwrap();
            let backend = SqliteBackend::open(folder.path(), &mut OsEntropy).unwrap();
            let environment =
                Environment { clock: Clock::system(), entropy: SharedEntropy::new(OsEntropy) };
            let config = Config::new(vec![authority_of(address).unwrap()]);
            let secret = RelaySecret::from_seed(SECRET);
            let (relay, _thread) = Relay::start(&backend, config, secret, environment).unwrap();
            tokio::spawn(serve(relay, listener, None, Duration::ZERO, std::future::pending()));
            address
        });
        Self { runtime: Some(runtime), address, _folder: folder }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

/// Somebody who answers, but with something else.
fn something_else() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                // Once the question has come: before, the connection would only seem
                // to break.
                let _asked = stream.read_exact(&mut [0; 100]);
                let _said = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                let _heard = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    url
}

fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// How it stands with the relays when it is known of all of them.
#[track_caller]
fn settled(profile: &Profile<'_>) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let relays = profile.json(&["status"])[0]["relays"].as_array().unwrap().clone();
        if relays.iter().all(|relay| relay["state"] != "connecting") {
            return relays;
        }
        assert!(Instant::now() < until, "{relays:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the doctor says of relays, without marks.
fn relay_lines(profile: &Profile<'_>, code: i32) -> Vec<String> {
    let looks = profile.run(&["doctor"]);
    assert_eq!((looks.code, &*looks.stderr), (Some(code), ""), "{}", looks.stdout);
    // What was found stands indented below the first line.
    let found = looks.stdout.lines().filter(|line| line.starts_with("  "));
    let lines = found.filter(|line| line[..line.len().min(14)].contains("relay"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn doctor_and_status_say_how_it_stands_with_each_relay() {
    let home = Home::new();
    let profile = home.profile("p");
    let relay = Serving::start();
    let (url, nobody, something_else) = (relay.url(), nobody(), something_else());
    let other = RelaySecret::from_seed([1; 32]).public();
    let replaced = Serving::start();
    let other_key = replaced.url();
    profile.settings(&format!(
        "[[relays]]\nurl = \"{url}\"\n[[relays]]\nurl = \"{other_key}\"\nkey = \"{other}\"\n\
         [[relays]]\nurl = \"{nobody}\"\n[[relays]]\nurl = \"{something_else}\"\n"
    ));
    assert_eq!(
        relay_lines(&profile, 0),
        ["note relay a node that runs can tell how it stands with relays: `tortalk run`"]
    );
    let _node = profile.start();
    let relays = settled(&profile);
    let states: Vec<&Value> = relays.iter().map(|relay| &relay["state"]).collect();
    assert_eq!(states, ["up", "other_key", "unreachable", "not_a_relay"]);
    let words = [
        format!("{url} is up"),
        format!(
            "{other_key} has another key than the one in settings.toml: ask who runs it; if the \
             key is new, put the new one there"
        ),
        format!(
            "{nobody} is not reached (nothing listens there): see whether it runs and its address \
             is right"
        ),
        format!(
            "{something_else} is no relay of this version, or not by this name: check its address, \
             and for updates"
        ),
    ];
    let marks = ["ok", "WRONG", "WRONG", "WRONG"];
    let said: Vec<String> = marks
        .iter()
        .zip(&words)
        .map(|(mark, words)| format!("{mark} relay relay {words}"))
        .collect();
    assert_eq!(relay_lines(&profile, 1), said);
    // The first wrong one is what it begins with.
    assert_eq!(
        profile.run(&["doctor"]).stdout.lines().next(),
        Some(&*format!("relay {}", words[1]))
    );
    let status = profile.run(&["status"]).ok().stdout;
    for words in &words {
        assert!(status.lines().any(|line| line == format!("relay       {words}")), "{status}");
    }
}

#[test]
fn a_relay_that_is_not_private_or_goes_by_another_name_is_said_to_be_so() {
    let home = Home::new();
    let profile = home.profile("p");
    let relay = Serving::start();
    let secured = relay.url().replace("http:", "https:");
    let named = format!("http://localhost:{}", relay.address.port());
    profile.settings(&format!("[[relays]]\nurl = \"{secured}\"\n[[relays]]\nurl = \"{named}\"\n"));
    let node = profile.start();
    // Its key is not known, so nobody but its events could tell.
    let down = [node.event("relay_down"), node.event("relay_down")];
    let state_of = |url: &str| &down.iter().find(|down| down["url"] == url).unwrap()["state"];
    assert_eq!(
        (state_of(&secured), state_of(&named)),
        (&"not_private".into(), &"not_a_relay".into())
    );
    assert_eq!(
        relay_lines(&profile, 1),
        [
            format!(
                "WRONG relay relay {secured} has no TLS certificate that is good for it: nothing \
                 was sent; see `insecure` in settings.toml"
            ),
            format!(
                "WRONG relay relay {named} is no relay of this version, or not by this name: check \
                 its address, and for updates"
            ),
        ]
    );
}

#[test]
fn events_say_when_a_relay_comes_and_goes() {
    let home = Home::new();
    let profile = home.profile("p");
    let relay = Serving::start();
    let url = relay.url();
    profile.settings(&format!("\n[[relays]]  # mine\nurl = \"{url}\"  # here\n\n# the end\n"));
    let mut node = profile.start();
    assert_eq!(node.event("relay_up")["url"], url);
    // Its key was pinned, and every other byte stays.
    let key = RelaySecret::from_seed(SECRET).public();
    let now = fs::read_to_string(profile.dir.join("settings.toml")).unwrap();
    let pinned = format!("[[relays]]  # mine\nurl = \"{url}\"  # here\nkey = \"{key}\"\n");
    assert_eq!(now, format!("{}\n{pinned}\n# the end\n", common::ALONE));
    drop(relay);
    let down = node.event("relay_down");
    assert_eq!((&down["url"], &down["state"]), (&url.into(), &"unreachable".into()));
    assert_eq!(node.stop(), Some(0));
    // What is known already is not told again.
    let rest = node.rest();
    assert!(!rest.iter().any(|line| line["event"] == "relay_down"), "{rest:?}");
}
