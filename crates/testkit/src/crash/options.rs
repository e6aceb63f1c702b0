//! What the program is asked to do.

use std::path::PathBuf;

use super::Problem;
use super::choice::Choice;

/// A way to break a promise on purpose; the sweep has to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Promise before the transaction.
    EarlyPromise,
    /// No sync reaches the disk.
    NoSync,
}

impl Sabotage {
    const ALL: [Self; 2] = [Self::EarlyPromise, Self::NoSync];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::EarlyPromise => "early-promise",
            Self::NoSync => "no-sync",
        }
    }
}

pub(crate) enum Mode {
    Work { folder: PathBuf, sabotage: Option<Sabotage> },
    Sweep(Options),
}

/// How much is swept.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Of how many cuts one is swept with all choices. At the others all operations
    /// since the last sync are there, or none, or the last one is torn in two.
    pub(crate) every: usize,
    /// Random choices at such a cut.
    pub(crate) subsets: u64,
    /// What these depend on.
    pub(crate) seed: u64,
    /// One cut and choice alone.
    pub(crate) only: Option<(usize, Choice)>,
    /// Where that folder is laid, to stay: as the crash left it.
    pub(crate) keep: Option<PathBuf>,
    pub(crate) sabotage: Option<Sabotage>,
}

impl Default for Options {
    fn default() -> Self {
        Self { every: 4, subsets: 8, seed: 1, only: None, keep: None, sabotage: None }
    }
}

impl Options {
    /// Reads `--every N --subsets N --seed N --only CUT/CHOICE --keep FOLDER
    /// --sabotage HOW`, or `--work FOLDER`.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Mode, Problem> {
        let mut arguments = arguments;
        let (mut options, mut work) = (Self::default(), None);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            let number =
                || value.parse::<u64>().map_err(|_| format!("{name}: {value} is no number"));
            match name.as_str() {
                "--every" => options.every = usize::try_from(number()?.max(1)).unwrap_or(1),
                "--subsets" => options.subsets = number()?,
                "--seed" => options.seed = number()?,
                "--only" => {
                    let only = value
                        .split_once('/')
                        .and_then(|(cut, choice)| Some((cut.parse().ok()?, choice.parse().ok()?)));
                    let only = only.ok_or_else(|| format!("{value} is no CUT/CHOICE"))?;
                    options.only = Some(only);
                }
                "--keep" => options.keep = Some(PathBuf::from(value)),
                "--sabotage" => {
                    let found = Sabotage::ALL.into_iter().find(|one| one.name() == value);
                    options.sabotage =
                        Some(found.ok_or_else(|| {
                            format!("there is no {value}: early-promise or no-sync")
                        })?);
                }
                "--work" => work = Some(PathBuf::from(value)),
                _ => return Err(format!("there is no {name}")),
            }
        }
        Ok(match work {
            Some(folder) => Mode::Work { folder, sabotage: options.sabotage },
            None => Mode::Sweep(options),
        })
    }
}
