//! What a store holds after the power went off, at every moment of a recorded run.
//!
//! A program that owns a store is run under `strace`, which writes down what it
//! asked the kernel to do with the files of its folder, and what it said in
//! between. From that log follows, for every moment, what a disk may hold when
//! the power goes off then: what was synced, and any part of what was not. Each
//! such folder is made, opened with the real store and held against what the
//! program had promised by then.
//!
//! - `log`: what strace wrote, as operations on files and notes
//! - `disk`: what is durable, and what may be
//! - `choice`: which part of the rest is there
//! - `sweep`: all moments and choices, on all processors
//!
//! A program that is to be swept implements [`Subject`] and calls [`main`].

mod choice;
mod disk;
mod log;
mod options;
mod sweep;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use options::{Mode, Options, Sabotage};

/// A sentence for the person who ran the program.
pub type Problem = String;

/// The content before anything was stored.
pub const NOTHING: &str = "nothing";

/// A store with a piece of work.
pub trait Subject: Sync {
    /// The word for it: "node".
    const NAME: &'static str;

    /// Works in an empty folder. Every commit goes through the diary. The same
    /// every time, but for bytes that the database draws itself.
    ///
    /// # Errors
    /// When the store does not do what it is asked to.
    fn work(folder: &Path, diary: &mut Diary) -> Result<(), Problem>;

    /// Opens what is left in a folder, and says what the store holds: the text
    /// that [`Diary::commit`] was given for it, or [`NOTHING`]. Then it commits
    /// something, closes and opens the store again, and looks for that.
    ///
    /// # Errors
    /// When the store reports damage, contradicts itself, or takes nothing new.
    fn check(folder: &Path) -> Result<String, Problem>;
}

/// What a working program says, between its system calls.
#[derive(Debug)]
pub struct Diary {
    commits: u64,
    sabotage: Option<Sabotage>,
}

impl Diary {
    /// Runs one transaction, its commit included, and promises that it holds once
    /// that has returned. `content` reads what the store holds then.
    ///
    /// # Errors
    /// Those of the two.
    pub fn commit<T>(
        &mut self,
        store: &mut T,
        transaction: impl FnOnce(&mut T) -> Result<(), Problem>,
        content: impl FnOnce(&mut T) -> Result<String, Problem>,
    ) -> Result<(), Problem> {
        self.commits += 1;
        let number = self.commits;
        let early = self.sabotage == Some(Sabotage::EarlyPromise);
        say(&format!("begin {number}"))?;
        if early {
            say(&format!("promise {number}"))?;
        }
        transaction(store)?;
        if !early {
            say(&format!("promise {number}"))?;
        }
        say(&format!("content {number} {}", content(store)?))
    }
}

/// One line, one system call: so it has its place among the others.
fn say(line: &str) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| format!("the diary: {error}"))
}

/// The whole program: works when it is told to, and else records itself working
/// and sweeps the log. Exit code 1 means that a store broke a promise, 2 that the
/// program could not find out.
pub fn main<S: Subject>() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).and_then(|mode| match mode {
        Mode::Work { folder, sabotage } => {
            S::work(&folder, &mut Diary { commits: 0, sabotage }).map(|()| true)
        }
        Mode::Sweep(options) => record::<S>(&options).and_then(|log| {
            let summary = sweep::run::<S>(&log, &options)?;
            println!("{summary}");
            Ok(summary.holds())
        }),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(problem) => {
            eprintln!("{}: {problem}", S::NAME);
            ExitCode::from(2)
        }
    }
}

/// Runs the work under strace.
fn record<S: Subject>(options: &Options) -> Result<log::Log, Problem> {
    let scratch = scratch(S::NAME)?;
    // The paths in the trace are compared with this one.
    let root = scratch.path().canonicalize().map_err(|e| format!("the folder: {e}"))?;
    let (folder, trace) = (root.join("store"), root.join("trace"));
    std::fs::create_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let program = std::env::current_exe().map_err(|e| format!("this program: {e}"))?;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-x", "-qq", "-e", "signal=none", "-s", log::STRING_MAX]);
    strace.args(["-e", &format!("trace={}", log::CALLS)]);
    if options.sabotage == Some(Sabotage::NoSync) {
        // As `PRAGMA synchronous=OFF`: the calls return and nothing was done.
        strace.args(["-e", "inject=fsync,fdatasync:retval=0"]);
    }
    strace.arg("-o").arg(&trace).arg(program).arg("--work").arg(&folder);
    if let Some(sabotage) = options.sabotage {
        strace.args(["--sabotage", sabotage.name()]);
    }
    let status = strace
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("strace does not start: {error} (is it installed?)"))?;
    if !status.success() {
        return Err(format!("the work failed under strace: {status}"));
    }
    let text = std::fs::read_to_string(&trace).map_err(|e| format!("{}: {e}", trace.display()))?;
    log::parse(&text, &folder)
}

/// A folder in memory where there is one: thousands of stores are opened, and
/// what a disk would do is known from the log.
fn scratch(name: &str) -> Result<tempfile::TempDir, Problem> {
    let prefix = format!("tortalk-crashes-{name}-");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    let memory = PathBuf::from("/dev/shm");
    let made = if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() };
    made.map_err(|error| format!("no scratch folder: {error}"))
}
