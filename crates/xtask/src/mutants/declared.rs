//! `conformance/mutants.toml`.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::report::Outcome;

/// A fault, what it breaks, and who notices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mutant {
    /// As in `deviate!`.
    pub(super) name: String,
    /// The requirement that it breaks.
    pub(super) req: String,
    /// Which program has it.
    pub(super) target: Target,
    /// Cases of which each has to fail.
    pub(super) kills: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Target {
    Node,
    Relay,
}

impl Target {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Relay => "relay",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    mutant: Vec<Mutant>,
}

/// All of them.
pub(super) fn read(path: &Path) -> Outcome<Vec<Mutant>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: File = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(file.mutant)
}
