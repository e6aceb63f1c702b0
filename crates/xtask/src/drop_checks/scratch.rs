//! A copy of the tree with its own build folder, in which tests are run.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use serde::Deserialize;

use crate::report::Outcome;
use crate::trace::Target;

/// A test that takes longer than this does not end.
const TEST_TIME_MAX: Duration = Duration::from_secs(300);

/// Folders that are not copied.
const SKIPPED: &[&str] = &["target", ".git"];

/// The copy.
pub(super) struct Scratch {
    tree: PathBuf,
    build: PathBuf,
    log: PathBuf,
}

/// How a run of tests ended.
pub(super) enum TestRun {
    Passes,
    /// The first test that failed, or what happened to the process.
    Fails(String),
    /// The compiler's words.
    DoesNotBuild(String),
    DoesNotEnd,
    /// A name that no test has.
    Missing,
}

impl Scratch {
    /// Brings the copy below `target/drop-checks` up to date.
    ///
    /// Files that are the same are not touched, so cargo builds only what changed.
    pub(super) fn prepare(root: &Path) -> Outcome<Self> {
        let folder = root.join("target/drop-checks");
        let scratch = Self {
            tree: folder.join("tree"),
            build: folder.join("target"),
            log: folder.join("test.log"),
        };
        mirror(root, &scratch.tree).map_err(|e| format!("cannot copy the tree: {e}"))?;
        Ok(scratch)
    }

    /// Replaces one file of the copy.
    pub(super) fn write(&self, path: &str, text: &str) -> Outcome<()> {
        fs::write(self.tree.join(path), text).map_err(|e| format!("cannot write {path}: {e}"))
    }

    /// Builds one target's tests and runs those named, or all.
    pub(super) fn run(&self, package: &str, target: &Target, names: &[String]) -> Outcome<TestRun> {
        let programs = match self.build(package, target)? {
            Ok(programs) => programs,
            Err(why) => return Ok(TestRun::DoesNotBuild(why)),
        };
        let mut ran = 0;
        for program in programs {
            let Some(status) = self.run_program(package, &program, names)? else {
                return Ok(TestRun::DoesNotEnd);
            };
            let log = fs::read(&self.log).map_err(|e| format!("cannot read the log: {e}"))?;
            let log = String::from_utf8_lossy(&log);
            ran += tests_started(&log);
            if !status.success() {
                let test = first_failed(&log).unwrap_or_else(|| status.to_string());
                return Ok(TestRun::Fails(test));
            }
        }
        Ok(if ran == 0 || ran < names.len() { TestRun::Missing } else { TestRun::Passes })
    }

    /// The test programs of a target, or why they cannot be built.
    fn build(&self, package: &str, target: &Target) -> Outcome<Result<Vec<PathBuf>, String>> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.build)
            // A check that is gone may leave warnings; they prove nothing.
            .env("RUSTFLAGS", "--cap-lints=warn")
            .args(["test", "--locked", "--no-run", "--quiet", "--message-format=json"])
            .args(["--package", &format!("tortalk-{package}")]);
        match target {
            Target::Library => command.arg("--lib"),
            Target::Programs => command.arg("--bins"),
            Target::Test(name) => command.args(["--test", name]),
        };
        let output = command.output().map_err(|e| format!("cannot run cargo: {e}"))?;
        let messages = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let rendered = messages.lines().filter_map(compiler_error);
            let mut why: Vec<String> = rendered.collect();
            why.push(String::from_utf8_lossy(&output.stderr).into_owned());
            return Ok(Err(why.join("\n")));
        }
        Ok(Ok(messages.lines().filter_map(test_program).collect()))
    }

    /// Runs a test program; `None` when it had to be stopped.
    fn run_program(
        &self,
        package: &str,
        program: &Path,
        names: &[String],
    ) -> Outcome<Option<ExitStatus>> {
        let trouble = |e: io::Error| format!("cannot run {}: {e}", program.display());
        let log = File::create(&self.log).map_err(trouble)?;
        let folder = self.tree.join("crates").join(package);
        let mut child = Command::new(program)
            .env("CARGO_MANIFEST_DIR", &folder)
            .current_dir(&folder)
            .arg("--exact")
            .args(names)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(trouble)?)
            .stderr(log)
            .spawn()
            .map_err(trouble)?;
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(trouble)? {
                return Ok(Some(status));
            }
            if started.elapsed() > TEST_TIME_MAX {
                child.kill().map_err(trouble)?;
                child.wait().map_err(trouble)?;
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Makes `to` hold exactly what `from` holds, apart from skipped folders.
fn mirror(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut kept = BTreeSet::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if SKIPPED.iter().any(|skipped| name == *skipped) {
            continue;
        }
        let target = to.join(&name);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            mirror(&entry.path(), &target)?;
        } else if kind.is_file() && fs::read(&target).ok() != Some(fs::read(entry.path())?) {
            fs::copy(entry.path(), &target)?;
        }
        kept.insert(name);
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !kept.contains(&entry.file_name()) {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    profile: Option<Profile>,
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
}

/// The program that a line of cargo's messages announces, if it holds tests.
fn test_program(line: &str) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    let tests = message.profile.is_some_and(|profile| profile.test);
    message.executable.filter(|_| tests && message.reason == "compiler-artifact")
}

fn compiler_error(line: &str) -> Option<String> {
    let diagnostic = serde_json::from_str::<Message>(line).ok()?.message?;
    diagnostic.rendered.filter(|_| diagnostic.level == "error")
}

/// How many tests the harness said it would run.
fn tests_started(log: &str) -> usize {
    let counts = log.lines().filter_map(|line| line.strip_prefix("running ")?.split(' ').next());
    counts.filter_map(|count| count.parse::<usize>().ok()).sum()
}

/// The first test that the harness called failed.
fn first_failed(log: &str) -> Option<String> {
    log.lines().find_map(|line| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(name.split(" - should panic").next().unwrap_or(name).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_is_understood() {
        let log = "\nrunning 2 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\nfailures:\n";
        assert_eq!(tests_started(log), 2);
        assert_eq!(first_failed(log).as_deref(), Some("a::c"));
        assert_eq!(first_failed("test a::b ... ok\n"), None);
    }

    #[test]
    fn the_copy_follows_the_tree() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for path in ["a/one", "two", "target/junk", "a/.git/junk"] {
            let path = from.join(path);
            fs::create_dir_all(path.parent().expect("has a folder")).expect("created");
            fs::write(path, "x").expect("written");
        }
        mirror(&from, &to).expect("copied");
        assert!(to.join("a/one").exists() && to.join("two").exists());
        assert!(!to.join("target").exists() && !to.join("a/.git").exists());
        let untouched = fs::metadata(to.join("two")).expect("there").modified().expect("known");
        fs::write(from.join("a/one"), "y").expect("written");
        fs::write(to.join("a/left"), "z").expect("written");
        mirror(&from, &to).expect("copied");
        assert_eq!(fs::read(to.join("a/one")).expect("there"), b"y");
        assert!(!to.join("a/left").exists());
        let after = fs::metadata(to.join("two")).expect("there").modified().expect("known");
        assert_eq!(untouched, after);
    }
}
