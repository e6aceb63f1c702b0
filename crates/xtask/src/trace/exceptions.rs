//! `spec/exceptions.toml`: what is not tested, and why.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::spec::Id;
use crate::repo::Tree;
use crate::report::Report;

pub(super) const PATH: &str = "spec/exceptions.toml";

/// Why a MUST has no test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing that can be seen from outside tells whether it is kept.
    Unobservable,
    /// Its area is not built yet.
    Planned { area: String },
}

/// One exception.
#[derive(Debug)]
pub(super) struct Exception {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

/// All exceptions.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    pub(super) entries: BTreeMap<Id, Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    exception: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    kind: String,
    area: Option<String>,
    reason: Option<String>,
}

impl Exceptions {
    pub(super) fn read(tree: &Tree, report: &mut Report) -> Self {
        let mut exceptions = Self::default();
        let Some(text) = tree.text(PATH) else { return exceptions };
        let file: File = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                report.fault(PATH, 0, format!("{}; mend the file", error.message()));
                return exceptions;
            }
        };
        for row in file.exception {
            let line = text.lines().position(|l| l.contains(&format!("\"{}\"", row.id)));
            let line = line.map_or(0, |index| index + 1);
            match row.read() {
                Ok((id, kind)) => {
                    let exception = Exception { kind, line };
                    if exceptions.entries.insert(id, exception).is_some() {
                        let text = format!("{} is excepted twice; remove one", row.id);
                        report.fault(PATH, line, text);
                    }
                }
                Err(problem) => report.fault(PATH, line, problem),
            }
        }
        exceptions
    }

    pub(super) fn is_planned(&self, id: &Id) -> bool {
        self.entries.get(id).is_some_and(|e| matches!(e.kind, Kind::Planned { .. }))
    }

    pub(super) fn unobservable(&self) -> usize {
        self.entries.values().filter(|e| e.kind == Kind::Unobservable).count()
    }
}

impl Row {
    fn read(&self) -> Result<(Id, Kind), String> {
        let id: Id = self.id.parse()?;
        let given = |field: &Option<String>| field.as_ref().is_some_and(|text| !text.is_empty());
        let kind = match self.kind.as_str() {
            "unobservable" if !given(&self.reason) => {
                return Err(format!("{id} is unobservable without a reason; give it"));
            }
            "unobservable" => Kind::Unobservable,
            "planned" => match &self.area {
                Some(area) if !area.is_empty() => Kind::Planned { area: area.clone() },
                _ => return Err(format!("{id} is planned without an area; name it")),
            },
            other => {
                return Err(format!("{id} is `{other}`; write \"unobservable\" or \"planned\""));
            }
        };
        Ok((id, kind))
    }
}
