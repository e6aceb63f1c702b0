//! One `tortalk-relay` in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use clap::Args;

use super::child::PATIENCE;
use super::{Problem, build};

#[derive(Args, Clone)]
pub(crate) struct RelayBuild {
    /// Use this relay instead of building one
    #[arg(long, value_name = "PATH")]
    pub(crate) relay_binary: Option<PathBuf>,
}

impl RelayBuild {
    /// Builds the relay in release form, unless there is one.
    pub(crate) fn program(&self) -> Result<PathBuf, Problem> {
        match &self.relay_binary {
            Some(path) => Ok(path.clone()),
            None => build("tortalk-relay", "tortalk-relay", "tortalk-relay", &[]),
        }
    }
}

/// A relay with its folder. Killed when dropped.
pub(crate) struct Relay {
    program: PathBuf,
    dir: PathBuf,
    wrapper: Vec<String>,
    listen: String,
    /// What clients pin, in hexadecimal digits.
    pub(crate) key: String,
    process: Option<Child>,
    metrics: Option<SocketAddr>,
}

impl Relay {
    /// Makes a relay that is going to listen on this address and port, behind
    /// `wrapper` where that is not empty.
    pub(crate) fn init(
        program: &Path,
        dir: &Path,
        listen: &str,
        wrapper: Vec<String>,
    ) -> Result<Self, Problem> {
        let output = Command::new(program).arg("init").arg("--data").arg(dir).output();
        let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let key = said.trim().strip_prefix("key ").ok_or_else(|| {
            format!("tortalk-relay init: {}", String::from_utf8_lossy(&output.stderr).trim())
        })?;
        Ok(Self {
            program: program.to_owned(),
            dir: dir.to_owned(),
            wrapper,
            listen: listen.to_owned(),
            key: key.to_owned(),
            process: None,
            metrics: None,
        })
    }

    /// What stands in the settings of a node whose relay this is.
    pub(crate) fn settings(&self) -> String {
        format!(
            "[[relays]]\nurl = \"http://{}\"\nkey = \"{}\"\ninsecure = true\n",
            self.listen, self.key
        )
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(&mut self) -> Result<(), Problem> {
        // It reads no input whose end could tell it that this program is gone.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(&self.wrapper).arg(&self.program);
        let (ip, _) = self.listen.rsplit_once(':').ok_or("a relay listens on IP:PORT")?;
        command.arg("run").arg("--data").arg(&self.dir).args(["--listen", &self.listen]);
        // Everybody here has one address; the limit for one address is not on trial.
        command.args(["--shared-source", ip]);
        command.args(["--metrics", &format!("{ip}:0")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command
            .spawn()
            .map_err(|error| format!("setpriv does not start ({error}): install util-linux"))?;
        let stdout = process.stdout.take().ok_or("the relay has no output")?;
        self.process = Some(process);
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        loop {
            let line = lines
                .recv_timeout(PATIENCE)
                .map_err(|_| "the relay did not begin to listen".to_owned())?;
            if let Some(address) = line.strip_prefix("metrics ") {
                self.metrics = address.parse().ok();
            }
            if line.starts_with("listening ") {
                return Ok(());
            }
        }
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(&mut self) -> Result<(), Problem> {
        let mut process = self.process.take().ok_or("the relay is not running")?;
        process.kill().map_err(|error| format!("cannot kill: {error}"))?;
        process.wait().map_err(|error| format!("cannot wait: {error}"))?;
        Ok(())
    }

    /// One of the relay's own counters.
    pub(crate) fn counter(&self, name: &str) -> Result<u64, Problem> {
        let address = self.metrics.ok_or("the relay has no counters")?;
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        let text = asked().map_err(|error| format!("the relay's counters: {error}"))?;
        let wanted = format!("tortalk_relay_{name} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&wanted)?.parse().ok())
            .ok_or_else(|| format!("the relay does not count {name}"))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ended = process.kill();
            let _reaped = process.wait();
        }
    }
}
