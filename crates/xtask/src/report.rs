//! What a check found, in the form `file:line: what is wrong; what to do`.

use std::fmt;
use std::process::ExitCode;

/// What a command returns: an exit code, or why it could not do its work.
pub(crate) type Outcome<T = ExitCode> = Result<T, String>;

/// One fault in the tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Path below the root, with forward slashes.
    pub(crate) path: String,
    /// Line, counted from 1; 0 when the fault is the file as a whole.
    pub(crate) line: usize,
    /// What is wrong and, after a semicolon, what to do.
    pub(crate) text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line.max(1), self.text)
    }
}

/// The findings and notes of one run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
    notes: Vec<String>,
}

impl Report {
    /// Records a fault, which makes the run fail.
    pub(crate) fn fault(&mut self, path: &str, line: usize, text: impl Into<String>) {
        let finding = Finding { path: path.to_owned(), line, text: text.into() };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Records something worth reading that fails nothing.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Whether there is nothing to mend.
    pub(crate) fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Prints everything, faults sorted by place.
    pub(crate) fn finish(mut self, name: &str) -> ExitCode {
        self.findings.sort();
        for note in &self.notes {
            println!("note: {note}");
        }
        for finding in &self.findings {
            println!("{finding}");
        }
        if self.findings.is_empty() {
            println!("{name}: nothing to mend");
            ExitCode::SUCCESS
        } else {
            println!("{name}: {} to mend", self.findings.len());
            ExitCode::FAILURE
        }
    }

    /// The faults as lines, sorted; for tests.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        lines.sort();
        lines
    }

    /// The notes; for tests.
    #[cfg(test)]
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }
}
