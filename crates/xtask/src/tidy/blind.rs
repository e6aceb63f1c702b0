//! What a program cannot do because nothing in its tree can.

use std::collections::{BTreeMap, BTreeSet};

use crate::repo::Tree;
use crate::report::Report;

/// Programs, and what nothing that they build on may be, however far down.
const BLIND: &[(&str, &[&str])] = &[("tortalk-relay", &["tortalk-seal", "orion"])];

const LOCK: &str = "Cargo.lock";

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let Some(lock) = tree.text(LOCK) else { return };
    let packages = match packages(lock) {
        Ok(packages) => packages,
        Err(problem) => {
            report.fault(LOCK, 0, format!("{problem}; let cargo write it"));
            return;
        }
    };
    for (program, forbidden) in BLIND {
        let below = below(&packages, program);
        for name in forbidden.iter().filter(|name| below.contains(**name)) {
            report.fault(
                LOCK,
                0,
                format!("{program} builds on {name}, with which it could open; cut that path"),
            );
        }
    }
}

/// Names of packages with the names that they depend on. Two versions of one
/// package count as one, which can only find more.
fn packages(lock: &str) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let lock: toml::Table = toml::from_str(lock).map_err(|e| e.message().to_owned())?;
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let list = lock.get("package").and_then(toml::Value::as_array);
    for package in list.into_iter().flatten() {
        let Some(name) = package.get("name").and_then(toml::Value::as_str) else { continue };
        let on = package.get("dependencies").and_then(toml::Value::as_array);
        let on = on.into_iter().flatten().filter_map(toml::Value::as_str);
        // `name`, or `name version` where there are several.
        let on = on.filter_map(|entry| entry.split(' ').next()).map(str::to_owned);
        found.entry(name.to_owned()).or_default().extend(on);
    }
    Ok(found)
}

fn below<'a>(packages: &'a BTreeMap<String, BTreeSet<String>>, program: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![program];
    while let Some(name) = open.pop() {
        for on in packages.get(name).into_iter().flatten() {
            if found.insert(on.as_str()) {
                open.push(on);
            }
        }
    }
    found
}
