//! Dependencies of the workspace: each with its reason, all from one place.

use super::words::LOCK_SOURCE;
use crate::repo::Tree;
use crate::report::Report;

/// Libraries that are agreed on and need no reason beside them.
const AGREED: &[&str] = &[
    "tokio",
    "prost",
    "prost-build",
    "tonic",
    "rusqlite",
    "orion",
    "ed25519-dalek",
    "x25519-dalek",
    "blake2",
    "serde",
    "toml",
    "libp2p-mdns",
    "tokio-socks",
    "proptest",
    "egui",
    "eframe",
];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    check_reasons("Cargo.toml", "[workspace.dependencies]", tree, report);
    for (path, text) in tree.matching("", "Cargo.lock") {
        for (index, line) in text.lines().enumerate() {
            if line.starts_with("source = ") && line != LOCK_SOURCE {
                report.fault(
                    path,
                    index + 1,
                    "a package from elsewhere than the standard registry; use a published one",
                );
            }
        }
    }
}

/// One entry of the section is one line, its reason behind it.
pub(super) fn check_reasons(path: &str, section: &str, tree: &Tree, report: &mut Report) {
    let manifest = tree.text(path).unwrap_or("");
    let mut inside = false;
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.trim() == section;
            continue;
        }
        let Some((name, rest)) = line.split_once('=') else { continue };
        let name = name.trim();
        if !inside || line.starts_with('#') || name.starts_with("tortalk-") {
            continue;
        }
        // Versions and features contain no '#', so the first one starts a comment.
        let reason = rest.split_once('#').map_or("", |(_, reason)| reason.trim());
        if !AGREED.contains(&name) && reason.len() < 8 {
            let text = format!("{name} has no reason; say behind it in a comment what it is for");
            report.fault(path, index + 1, text);
        }
    }
}
