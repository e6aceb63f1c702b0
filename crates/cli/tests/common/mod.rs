//! The program as a real process, on profiles that are thrown away.
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod disk;
pub(crate) mod liar;
pub(crate) mod skip;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Long enough for a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing leaves loopback, and nobody is found.
pub(crate) const ALONE: &str = "[network]\ninterfaces = [\"lo\"]\nbeacons = false\nmdns = false\n";

/// A home folder of its own.
pub(crate) struct Home(tempfile::TempDir);

/// What a command came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A profile that is made already, alone on loopback.
    pub(crate) fn profile(&self, name: &str) -> Profile<'_> {
        let profile = self.folder(name);
        profile.run(&["init", "--name", name]).ok();
        profile
    }

    /// Settings without a profile.
    pub(crate) fn folder(&self, name: &str) -> Profile<'_> {
        let dir = self.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("settings.toml"), ALONE).unwrap();
        Profile { home: self, dir }
    }

    /// The program with nothing of the tester's own around it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tortalk"));
        for variable in ["TORTALK_PROFILE", "TORTALK_PASSPHRASE_FILE", "NO_COLOR", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command
            .args(arguments)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("XDG_DATA_HOME", self.path().join("data"))
            .env("TZ", "UTC0")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments))
    }
}

/// A profile's folder.
pub(crate) struct Profile<'h> {
    home: &'h Home,
    pub(crate) dir: PathBuf,
}

impl<'h> Profile<'h> {
    /// A folder that may not be there.
    pub(crate) fn at(home: &'h Home, name: &str) -> Self {
        Self::of(home, home.path().join(name))
    }

    pub(crate) const fn of(home: &'h Home, dir: PathBuf) -> Self {
        Self { home, dir }
    }
}

impl Profile<'_> {
    pub(crate) fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["--profile", self.dir.to_str().unwrap()];
        all.extend(arguments);
        all
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.home.command(&self.arguments(arguments))
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.home.run(&self.arguments(arguments))
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that reads nothing closes its end.
        let _unread = child.stdin.take().unwrap().write_all(input);
        Outcome::at_end_of(child)
    }

    /// A command's objects, one per line.
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let mut all = arguments.to_vec();
        all.push("--json");
        let outcome = self.run(&all).ok();
        outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn address(&self) -> String {
        self.run(&["address"]).ok().stdout.trim().to_owned()
    }

    pub(crate) fn identity(&self) -> String {
        self.json(&["address"])[0]["identity"].as_str().unwrap().to_owned()
    }

    pub(crate) fn add(&self, other: &Profile<'_>, name: &str) {
        self.run(&["contacts", "add", &other.address(), "--name", name]).ok();
    }

    /// Writes the settings anew: alone, but for `more`.
    pub(crate) fn settings(&self, more: &str) {
        fs::write(self.dir.join("settings.toml"), format!("{ALONE}{more}")).unwrap();
    }

    /// A node on it.
    pub(crate) fn start(&self) -> Running {
        self.start_with(&["run", "--json"])
    }

    pub(crate) fn start_with(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    /// Every file's bytes, but for what belongs to a running process.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.dir, &mut files);
        files
    }
}

fn collect(dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            collect(&path, files);
        } else if !matches!(name, "lock" | "control.sock") && !name.ends_with("-shm") {
            let bytes = fs::read(&path).unwrap();
            // A log that nothing was written to is as good as none.
            if !(name.ends_with("-wal") && bytes.is_empty()) {
                files.insert(path.clone(), bytes);
            }
        }
    }
}

impl Outcome {
    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::at_end_of(command.spawn().unwrap())
    }

    /// Waits for a process, but not for ever.
    #[track_caller]
    pub(crate) fn at_end_of(child: Child) -> Self {
        let pid = rustix::process::Pid::from_child(&child);
        let (sender, output) = channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = output.recv_timeout(PATIENCE) else {
            // It is not waited for yet, so the number is still its own.
            let _ended = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            panic!("the program does not end");
        };
        let output = output.unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It did what it was asked to, without a word of complaint.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{}", self.stdout);
        self
    }

    /// It failed with this code and this line.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, line: &str) {
        assert_eq!((self.code, &*self.stderr), (Some(code), &*format!("tortalk: {line}\n")));
    }
}

/// The exit code of a process that ends soon.
#[track_caller]
pub(crate) fn ends(child: &mut Child) -> Option<i32> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < until, "the program does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `tortalk run --json`; killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    pub(crate) port: u16,
    pub(crate) instance: String,
    last_id: u64,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        let instance = String::new();
        let mut running = Self { child, stdin, lines, port: 0, instance, last_id: 0 };
        let ready = running.event("ready");
        running.port = ready["port"].as_u64().unwrap().try_into().unwrap();
        running.instance = ready["instance"].as_str().unwrap().to_owned();
        running
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that is wanted; others before it are dropped.
    #[track_caller]
    pub(crate) fn line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if wanted(&line) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no {what}"),
                Err(RecvTimeoutError::Disconnected) => panic!("ended without {what}"),
            }
        }
    }

    #[track_caller]
    pub(crate) fn event(&self, name: &str) -> Value {
        self.line(name, |line| line["event"] == name)
    }

    /// Whether no line of this kind comes any more, the program having ended.
    pub(crate) fn rest(&self) -> Vec<Value> {
        self.lines.iter().collect()
    }

    /// Sends a request; the answer, `ok` or `error`.
    #[track_caller]
    pub(crate) fn ask(&mut self, mut request: Value) -> Value {
        self.last_id += 1;
        request["id"] = json!(self.last_id);
        writeln!(self.stdin.as_mut().unwrap(), "{request}").unwrap();
        self.line("answer", |line| line["id"] == self.last_id)
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Ends it as a service manager does; its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> Option<i32> {
        ends(&mut self.child)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
