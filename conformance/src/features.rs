//! What a target says of itself (`spec/annex-targets.md`, section 6).

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::case::{Case, Role};
use crate::spec;

/// The groups of cases that can be absent, and `links`, which cannot.
pub const GROUPS: &[&str] =
    &["links", "discovery", "mdns", "gossip", "carrying", "requests", "relays", "tor", "relay"];

/// A features file. Without one a target is said to do everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// What the target is.
    pub role: Option<Role>,
    /// Groups of cases that are not run.
    pub absent: Vec<String>,
    /// Requirements that it does not keep, each with its reason.
    pub keeps_not: BTreeMap<String, String>,
    /// What is smaller than the documents' numbers.
    pub limits: BTreeMap<String, u64>,
}

impl Features {
    /// Reads a file's text.
    ///
    /// # Errors
    /// A line that says what is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        let mut features = Self::default();
        let mut ids = Vec::new();
        for (name, value) in &table {
            match name.as_str() {
                "role" => features.role = Some(role(value)?),
                "absent" => features.absent = groups(value)?,
                "keeps_not" => ids = texts(name, value)?,
                "limits" => features.limits = limits(value)?,
                "reasons" => {}
                _ => return Err(format!("{name} is not known")),
            }
        }
        let reasons = table.get("reasons").and_then(Value::as_table).cloned().unwrap_or_default();
        for id in ids {
            if spec::requirement(&id).is_none() {
                return Err(format!("keeps_not: there is no requirement {id}"));
            }
            let reason = reasons.get(&id).and_then(Value::as_str).unwrap_or_default().trim();
            if reason.is_empty() {
                return Err(format!("keeps_not: {id} has no reason; add it to `reasons`"));
            }
            features.keeps_not.insert(id, reason.to_owned());
        }
        match reasons.keys().find(|id| !features.keeps_not.contains_key(*id)) {
            Some(id) => Err(format!("reasons: {id} does not stand in keeps_not")),
            None => Ok(features),
        }
    }

    /// Whether the target says that it lacks what a case is about.
    #[must_use]
    pub fn lacks(&self, case: &Case) -> Option<&str> {
        let group = group(case);
        self.absent.iter().map(String::as_str).find(|absent| *absent == group)
    }
}

/// Which group a case belongs to.
#[must_use]
pub fn group(case: &Case) -> &'static str {
    let area = case.id.split('.').next().unwrap_or_default();
    let document = spec::requirement(case.req).map_or("", |found| found.document);
    match (area, document) {
        ("mdns", _) => "mdns",
        ("link" | "record" | "frame", _) => "links",
        (_, "discovery.md") => "discovery",
        (_, "carrying.md") => "carrying",
        (_, "contacts.md") => "requests",
        (_, "relaying.md") => "relays",
        (_, "tor.md") => "tor",
        (_, "link.md" | "limits.md") if case.role == Role::Node => "links",
        _ if case.role == Role::Relay => "relay",
        _ => "gossip",
    }
}

fn role(value: &Value) -> Result<Role, String> {
    match value.as_str() {
        Some("node") => Ok(Role::Node),
        Some("relay") => Ok(Role::Relay),
        _ => Err("role: \"node\" or \"relay\"".to_owned()),
    }
}

fn texts(name: &str, value: &Value) -> Result<Vec<String>, String> {
    let wrong = || format!("{name}: a list of texts");
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn groups(value: &Value) -> Result<Vec<String>, String> {
    let names = texts("absent", value)?;
    match names.iter().find(|name| !GROUPS.contains(&name.as_str()) || *name == "links") {
        Some(name) if name == "links" => Err("absent: links cannot be absent".to_owned()),
        Some(name) => Err(format!("absent: there is no group {name}; {}", GROUPS.join(", "))),
        None => Ok(names),
    }
}

fn limits(value: &Value) -> Result<BTreeMap<String, u64>, String> {
    let table = value.as_table().ok_or("limits: a table of numbers")?;
    let number = |name: &String, value: &Value| {
        let number = value.as_integer().and_then(|n| u64::try_from(n).ok());
        number.map(|n| (name.clone(), n)).ok_or_else(|| format!("limits: {name} is no number"))
    };
    table.iter().map(|(name, value)| number(name, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    #[test]
    fn the_annex_has_a_good_example() {
        let annex = include_str!("../../spec/annex-targets.md");
        let (_, after) = annex.split_once("```toml\n").expect("it has an example");
        let (example, _) = after.split_once("```").expect("which ends");
        let features = Features::read(example).expect("it can be read");
        assert_eq!(features.role, Some(Role::Node));
        assert!(features.keeps_not.contains_key("LNK-12"));
        assert_eq!(features.limits.get("mailbox_bytes"), Some(&1_048_576));
        for group in GROUPS {
            assert!(annex.contains(&format!("`{group}`")), "{group}");
        }
    }

    #[test]
    fn wrong_files_are_refused_with_the_line_that_is_wrong() {
        let wrong = |text: &str| Features::read(text).expect_err(text);
        assert!(wrong("absent = [\"no-such-5f0c\"]").contains("no-such-5f0c"));
        assert!(wrong("absent = [\"links\"]").contains("cannot be absent"));
        assert!(wrong("keeps_not = [\"LNK-12\"]").contains("no reason"));
        assert!(wrong("keeps_not = [\"ZZZ-12\"]").contains("ZZZ-12"));
        assert!(wrong("reasons = { LNK-12 = \"so\" }").contains("keeps_not"));
        assert!(wrong("more = 1").contains("more"));
        assert!(wrong("role = \"both\"").contains("role"));
    }

    #[test]
    fn cases_are_in_the_group_of_what_they_need() {
        let absent = vec!["gossip".to_owned()];
        let features = Features { absent, ..Features::default() };
        for case in cases::all() {
            let lacks = features.lacks(&case).is_some();
            assert!(!(lacks && case.id.starts_with("link.")), "{}", case.id);
            assert!(!(lacks && case.role == Role::Relay), "{}", case.id);
        }
        assert!(cases::all().iter().any(|case| features.lacks(case).is_some()));
    }
}
