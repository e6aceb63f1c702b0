//! The relay of the demo: a folder and a process.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::actor::{PATIENCE, Problem};

pub(super) struct Relay {
    program: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) address: SocketAddr,
    /// The public half of its key, in hexadecimal digits.
    pub(super) key: String,
    running: Option<Child>,
}

impl Relay {
    /// Makes the relay's folder and key; nothing runs yet.
    pub(super) async fn new(folder: &Path) -> Result<Self, Problem> {
        let program = beside_this_program()?;
        let dir = folder.join("relay");
        let init = Command::new(&program)
            .arg("init")
            .arg("--data")
            .arg(&dir)
            .output()
            .await
            .map_err(|error| format!("{} cannot start: {error}", program.display()))?;
        if !init.status.success() {
            return Err("the relay's folder could not be made".to_owned());
        }
        let key =
            String::from_utf8_lossy(&init.stdout).trim().trim_start_matches("key ").to_owned();
        // The same port after a kill, so one that is free now is chosen once.
        let address = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|error| format!("no free port on loopback: {error}"))?;
        Ok(Self { program, dir, address, key, running: None })
    }

    /// Starts the relay and waits until it serves.
    pub(super) async fn start(&mut self) -> Result<(), Problem> {
        let mut process = Command::new(&self.program)
            .arg("run")
            .arg("--data")
            .arg(&self.dir)
            .arg("--listen")
            .arg(self.address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("the relay cannot start: {error}"))?;
        let output = process.stdout.take().ok_or("the relay has no output")?;
        let mut lines = BufReader::new(output).lines();
        let listening = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("listening") {
                    return true;
                }
            }
            false
        };
        if !timeout(PATIENCE, listening).await.unwrap_or(false) {
            return Err("the relay does not serve".to_owned());
        }
        self.running = Some(process);
        Ok(())
    }

    /// Ends the process as a power cut would.
    pub(super) async fn kill(&mut self) -> Result<(), Problem> {
        let mut process = self.running.take().ok_or("no relay is running")?;
        process.kill().await.map_err(|error| format!("the relay: {error}"))
    }

    /// What a node's settings say to use this relay.
    pub(super) fn settings(&self) -> String {
        format!("\n[[relays]]\nurl = \"http://{}\"\nkey = \"{}\"\n", self.address, self.key)
    }
}

/// `tortalk-relay`, where the build puts it.
fn beside_this_program() -> Result<PathBuf, Problem> {
    let this = std::env::current_exe().map_err(|error| format!("cannot find itself: {error}"))?;
    let name = format!("tortalk-relay{}", std::env::consts::EXE_SUFFIX);
    let program = this.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(format!(
        "{} is not there: build it with `cargo build --release -p tortalk-relay`, or play only \
         the first part with `tortalk demo --lan`",
        program.display()
    ))
}
