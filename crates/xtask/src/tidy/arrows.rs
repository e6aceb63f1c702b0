//! Which crate may build on which, and who may name which library.

use super::{Dependency, SANS_IO, Section, dependencies};
use crate::repo::Tree;
use crate::report::Report;

/// Arrows between our crates: left may name right. Anything else is a fault.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("keys", &["model"]),
    ("seal", &["keys", "model"]),
    ("wire", &["model"]),
    ("link", &["wire", "keys", "model"]),
    ("mesh", &["wire", "seal", "keys", "model"]),
    ("rpc", &["wire", "model"]),
    ("sqlite", &[]),
    ("settings", &[]),
    ("tor", &[]),
    ("store", &["mesh", "sqlite", "model", "keys", "seal"]),
    (
        "node",
        &[
            "mesh", "link", "wire", "seal", "keys", "model", "store", "sqlite", "settings", "rpc",
            "tor",
        ],
    ),
    ("relay", &["rpc", "wire", "keys", "model", "sqlite", "settings", "tor"]),
    ("sim", &["mesh", "link", "wire", "seal", "keys", "model", "store", "relay", "rpc"]),
    ("cli", &["node"]),
    ("desktop", &["node"]),
    ("shim", &["node", "relay"]),
    ("testkit", &["model"]),
    ("xtask", &[]),
];

/// What every crate may use in its tests.
const TEST_ARROWS: &[&str] = &["testkit"];

/// What single crates may use in their tests besides.
const TEST_ARROWS_OF: &[(&str, &[&str])] = &[
    ("mesh", &["store", "link"]),
    // What a node says to relays is tried on a real one.
    ("node", &["relay"]),
    // And what the doctor says of them.
    ("cli", &["relay", "keys"]),
];

/// All libraries that a sans-IO crate may build on.
const SANS_IO_LIBRARIES: &[(&str, &[&str])] = &[
    ("model", &["blake2", "thiserror", "zeroize"]),
    ("keys", &["data-encoding", "ed25519-dalek", "subtle", "thiserror", "zeroize"]),
    ("seal", &["orion", "subtle", "thiserror", "zeroize"]),
    ("wire", &["prost", "thiserror"]),
    ("link", &["blake2", "orion", "snow", "subtle", "thiserror", "x25519-dalek", "zeroize"]),
    ("mesh", &["thiserror", "zeroize"]),
];

/// Libraries that only these crates may name outside tests. A star ends a prefix.
const NAMED_BY: &[(&str, &[&str])] = &[
    ("blake2", &["model", "link", "testkit"]),
    ("ed25519-dalek", &["keys"]),
    ("x25519-dalek", &["link"]),
    ("snow", &["link"]),
    ("orion", &["seal", "link", "store", "node"]),
    ("prost*", &["wire", "rpc"]),
    ("protox", &["wire", "rpc"]),
    ("tonic*", &["rpc", "node", "relay"]),
    ("rusqlite", &["sqlite", "store", "relay"]),
    ("getrandom", &["node", "relay", "tor"]),
    ("libp2p-*", &["node"]),
    ("tokio-socks", &["tor"]),
    ("tokio*", &["node", "relay", "tor", "cli", "desktop", "shim"]),
    ("clap*", &["cli", "relay", "sim", "desktop", "shim", "xtask"]),
    ("egui*", &["desktop"]),
    ("eframe", &["desktop"]),
];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for name in tree.crate_names() {
        let path = format!("crates/{name}/Cargo.toml");
        let text = tree.text(&path).expect("listed by its manifest");
        match dependencies(text) {
            Ok(found) => found.iter().for_each(|d| check_one(name, &path, d, report)),
            Err(problem) => report.fault(&path, 0, format!("{problem}; mend the manifest")),
        }
        if !ARROWS.iter().any(|(known, _)| known == &name) {
            report.fault(
                &path,
                0,
                format!("crate {name} is in no arrow; add it to ARROWS in tidy/arrows.rs"),
            );
        }
    }
    // The suite judges our code and anyone's, so it shares none with it.
    let path = "conformance/Cargo.toml";
    for found in tree.text(path).and_then(|text| dependencies(text).ok()).unwrap_or_default() {
        if found.package.starts_with("tortalk-") && found.section != Section::Dev {
            report.fault(
                path,
                found.line,
                format!("conformance builds on {}; it uses nothing under crates/", found.package),
            );
        }
    }
}

fn check_one(name: &str, path: &str, dependency: &Dependency, report: &mut Report) {
    let package = dependency.package.as_str();
    if let Some(target) = package.strip_prefix("tortalk-") {
        if !arrow_allowed(name, target, dependency.section) {
            report.fault(
                path,
                dependency.line,
                format!("{name} may not build on {target}; see the arrows in crates/README.md"),
            );
        }
        return;
    }
    if dependency.section == Section::Dev {
        return;
    }
    if let Some(allowed) = list_of(SANS_IO_LIBRARIES, name) {
        debug_assert!(SANS_IO.contains(&name));
        if dependency.section == Section::Normal && !allowed.contains(&package) {
            report.fault(
                path,
                dependency.line,
                format!(
                    "sans-IO crate {name} may not build on {package}; move the use to a driver, \
                     or argue for a row in tidy/arrows.rs"
                ),
            );
        }
    }
    let owner = NAMED_BY.iter().find(|(pattern, _)| match pattern.strip_suffix('*') {
        Some(prefix) => package.starts_with(prefix),
        None => *pattern == package,
    });
    if let Some((_, names)) = owner
        && !names.contains(&name)
    {
        report.fault(
            path,
            dependency.line,
            format!("{package} is named by {} only; go through them", names.join(", ")),
        );
    }
}

fn arrow_allowed(name: &str, target: &str, section: Section) -> bool {
    let has = |table, name| list_of(table, name).is_some_and(|list| list.contains(&target));
    has(ARROWS, name)
        || section == Section::Dev && (TEST_ARROWS.contains(&target) || has(TEST_ARROWS_OF, name))
}

fn list_of<'a>(table: &'a [(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(row, _)| *row == name).map(|(_, list)| *list)
}
