//! What the suite is measured by: faults of this repository's programs, and the cases that
//! have to notice them (`mutants.toml`; run by `cargo xtask mutants`).

use std::collections::{BTreeMap, BTreeSet};

use crate::case::Case;
use crate::spec::Level;

/// The declarations.
pub const DECLARED: &str = include_str!("../mutants.toml");

/// A fault that a program was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// Its name in the code.
    pub name: String,
    /// The requirement that it breaks.
    pub req: String,
    /// `node` or `relay`.
    pub target: String,
    /// The cases that have to fail.
    pub kills: Vec<String>,
}

/// Reads `mutants.toml`.
///
/// # Errors
/// A line that says what is wrong with it.
pub fn declared(text: &str) -> Result<Vec<Mutant>, String> {
    let file: toml::Table = text.parse().map_err(|error| format!("mutants.toml: {error}"))?;
    let none = Vec::new();
    let entries = file.get("mutant").and_then(toml::Value::as_array).unwrap_or(&none);
    let field = |entry: &toml::Value, name: &str| {
        let text = entry.get(name).and_then(toml::Value::as_str);
        text.map(str::to_owned).ok_or_else(|| format!("mutants.toml: an entry without {name}"))
    };
    entries
        .iter()
        .map(|entry| {
            let kills = entry.get("kills").and_then(toml::Value::as_array).unwrap_or(&none);
            Ok(Mutant {
                name: field(entry, "name")?,
                req: field(entry, "req")?,
                target: field(entry, "target")?,
                kills: kills.iter().filter_map(|k| Some(k.as_str()?.to_owned())).collect(),
            })
        })
        .collect()
}

/// Requirement, cases and mutants, a line for each MUST that a case judges.
#[must_use]
pub fn table(cases: &[Case], mutants: &[Mutant]) -> String {
    let mut judged: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.level() == Level::Must) {
        judged.entry(case.req).or_default().push(case.id);
    }
    let mut text = String::new();
    let mut without = BTreeSet::new();
    for (req, ids) in &judged {
        let broken: Vec<&Mutant> = mutants.iter().filter(|mutant| &mutant.req == req).collect();
        if broken.is_empty() {
            without.insert(*req);
        }
        let first = ids.first().copied().unwrap_or_default();
        let more = ids.len().saturating_sub(1);
        text += &match more {
            0 => format!("{req}  {first}\n"),
            _ => format!("{req}  {first} and {more} more\n"),
        };
        for mutant in broken {
            text += &format!("        {}: {}\n", mutant.name, mutant.kills.join(" "));
        }
    }
    let list: Vec<&str> = without.iter().copied().collect();
    text + &format!(
        "{} MUSTs have a case, {} of them a mutant; {} mutants in all\nwithout one: {}\n",
        judged.len(),
        judged.len() - without.len(),
        mutants.len(),
        list.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_breaks_a_requirement_and_names_cases_that_there_are() {
        let cases = crate::cases::all();
        let mutants = declared(DECLARED).expect("it is read");
        for mutant in &mutants {
            let name = &mutant.name;
            assert!(crate::spec::requirement(&mutant.req).is_some(), "{name}: {}", mutant.req);
            assert!(["node", "relay"].contains(&mutant.target.as_str()), "{name}");
            assert!(!mutant.kills.is_empty(), "{name} is noticed by nobody");
            for kill in &mutant.kills {
                assert!(cases.iter().any(|case| case.id == kill), "{name}: no case {kill}");
            }
        }
        let text = table(&cases, &mutants);
        assert!(mutants.iter().all(|mutant| text.contains(&mutant.name)), "some has no case");
    }
}
