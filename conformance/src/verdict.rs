//! What a case and a run come to.

/// What one case found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The requirement is kept, as far as this case can see.
    Pass,
    /// It is broken; says how.
    Fail(String),
    /// A SHOULD is not followed; says how.
    Warn(String),
    /// Measured, not judged.
    Info(String),
    /// The target said that it lacks this, and is believed.
    Unsupported(String),
    /// The profile does not allow it, or the set-up lacks something.
    NotTested(String),
    /// Nothing that decides was seen.
    Inconclusive(String),
    /// Failed, as was known before.
    ExpectedFail(String),
    /// Passed, though it was known to fail.
    UnexpectedPass,
    /// The suite itself went wrong.
    Error(String),
}

impl Verdict {
    /// One word, the same in every report.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail(_) => "fail",
            Self::Warn(_) => "warn",
            Self::Info(_) => "info",
            Self::Unsupported(_) => "unsupported",
            Self::NotTested(_) => "not-tested",
            Self::Inconclusive(_) => "inconclusive",
            Self::ExpectedFail(_) => "xfail",
            Self::UnexpectedPass => "xpass",
            Self::Error(_) => "error",
        }
    }

    /// What is said besides the word; empty for a pass.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Pass => "",
            Self::UnexpectedPass => "it is listed as failing and passes: take it off the list",
            Self::Fail(text)
            | Self::Warn(text)
            | Self::Info(text)
            | Self::Unsupported(text)
            | Self::NotTested(text)
            | Self::Inconclusive(text)
            | Self::ExpectedFail(text)
            | Self::Error(text) => text,
        }
    }
}

/// What a case's steps come to: the first verdict that is no pass ends it.
pub type Judged = Result<(), Verdict>;

/// Fails with a text unless something holds.
///
/// # Errors
/// The failure.
pub fn check(holds: bool, text: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { Err(Verdict::Fail(text())) }
}

/// The verdict of a case's steps.
#[must_use]
pub fn verdict(judged: Judged) -> Verdict {
    judged.err().unwrap_or(Verdict::Pass)
}

/// How a run ends for whoever called it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every selected MUST passed, at least one ran, and the sanity case held at the end.
    Passed,
    /// Something failed, or passed against the list.
    Failed,
    /// Nothing failed, and not everything could be decided.
    Inconclusive,
    /// Nobody answers, or not even an honest peer is served.
    Unreachable,
    /// The suite does not agree with its own vectors, or has an error.
    SelfCheck,
    /// No case was selected, or none of them ran.
    NothingSelected,
    /// The command line is wrong.
    Usage,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Inconclusive => 3,
            Self::Unreachable => 4,
            Self::SelfCheck => 5,
            Self::NothingSelected => 6,
            Self::Usage => 64,
        }
    }

    /// Of the cases' verdicts alone, sanity apart.
    #[must_use]
    pub fn of<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> Self {
        let (mut ran, mut unsure, mut failed, mut broken) = (false, false, false, false);
        for verdict in verdicts {
            match verdict {
                Verdict::Fail(_) | Verdict::UnexpectedPass => failed = true,
                Verdict::Inconclusive(_) => unsure = true,
                Verdict::Error(_) => broken = true,
                Verdict::NotTested(_) | Verdict::Unsupported(_) => continue,
                _ => {}
            }
            ran = true;
        }
        match (ran, broken, failed, unsure) {
            (false, ..) => Self::NothingSelected,
            (_, true, ..) => Self::SelfCheck,
            (_, _, true, _) => Self::Failed,
            (_, _, _, true) => Self::Inconclusive,
            _ => Self::Passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(verdicts: &[Verdict]) -> u8 {
        Exit::of(verdicts.iter()).code()
    }

    #[test]
    fn a_run_in_which_nothing_ran_has_not_passed() {
        assert_eq!(of(&[]), 6);
        assert_eq!(of(&[Verdict::NotTested(String::new())]), 6);
        assert_eq!(of(&[Verdict::Unsupported(String::new())]), 6);
    }

    #[test]
    fn the_worst_verdict_decides() {
        let text = String::new;
        assert_eq!(of(&[Verdict::Pass, Verdict::Warn(text()), Verdict::ExpectedFail(text())]), 0);
        assert_eq!(of(&[Verdict::Pass, Verdict::Inconclusive(text())]), 3);
        assert_eq!(of(&[Verdict::Inconclusive(text()), Verdict::Fail(text())]), 1);
        assert_eq!(of(&[Verdict::Pass, Verdict::UnexpectedPass]), 1);
        assert_eq!(of(&[Verdict::Fail(text()), Verdict::Error(text())]), 5);
    }
}
