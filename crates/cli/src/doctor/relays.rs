//! How it stands with relays, as the running node says.

use tortalk_node::Settings;
use tortalk_node::control::protocol::{RelayLine, RelayState, Unreached};

use super::node::Running;
use super::{Check, Findings, Verdict};
use crate::commands::relay_words;

pub(super) fn look(settings: &Settings, node: Option<&Running>, found: &mut Findings) {
    let Some(node) = node else {
        if !settings.all_relays().is_empty() {
            let line = "a node that runs can tell how it stands with relays: `tortalk run`";
            found.note(Check::Relay, line);
        }
        return;
    };
    for RelayLine { url, state, reason, adopted } in &node.status.relays {
        let url = if *adopted { &format!("{url}, of an invite,") } else { url };
        let verdict = match state {
            RelayState::Up => Verdict::Good,
            RelayState::Unreachable
            | RelayState::OtherKey
            | RelayState::NotARelay
            | RelayState::NotPrivate => Verdict::Wrong,
            _ => Verdict::Note,
        };
        found.add(Check::Relay, verdict, format!("relay {url} {}", relay_words(*state, *reason)));
        if *state == RelayState::Unreachable && *reason == Some(Unreached::NotDialled) {
            let line = if url.contains(".onion:") {
                "onion services are reached through Tor only: not yet by this version"
            } else {
                "Safety is on: what is not on this network is not dialled"
            };
            found.note(Check::Relay, line);
        }
    }
}
