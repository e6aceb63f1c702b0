//! One `tortalk run --json` in a process of its own, driven line by line.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Problem;

/// Longer than anything takes that is going to happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two questions about what no event tells.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The program under test.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) sabotage: Option<String>,
}

/// A profile in a folder of its own.
pub(crate) struct Profile {
    pub(crate) dir: PathBuf,
    pub(crate) address: String,
    pub(crate) identity: String,
}

/// A running node. Killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
    events: VecDeque<Value>,
    next_id: u64,
    pub(crate) started: Instant,
}

impl Program {
    /// Makes a profile whose node keeps to `settings`.
    pub(crate) fn init(&self, dir: &Path, name: &str, settings: &str) -> Result<Profile, Problem> {
        self.say(dir, &["init", "--name", name])?;
        fs::write(dir.join("settings.toml"), settings)
            .map_err(|error| format!("{}: {error}", dir.display()))?;
        let address = self.say(dir, &["address"])?;
        let field = |name: &str| {
            address
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(|| format!("`tortalk address --json` shows no `{name}`: {address}"))
        };
        Ok(Profile {
            dir: dir.to_owned(),
            address: field("address")?,
            identity: field("identity")?,
        })
    }

    /// Runs one command to its end and returns the object that it printed.
    pub(crate) fn say(&self, dir: &Path, arguments: &[&str]) -> Result<Value, Problem> {
        let mut lines = self.say_lines(dir, arguments)?;
        lines.pop().ok_or_else(|| format!("tortalk {}: says nothing", arguments.join(" ")))
    }

    /// Runs one command to its end and returns the lines that it printed.
    pub(crate) fn say_lines(&self, dir: &Path, arguments: &[&str]) -> Result<Vec<Value>, Problem> {
        let mut command = self.command(dir);
        let output = command.arg("--json").args(arguments).output();
        let output = output.map_err(|error| format!("{}: {error}", self.path.display()))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(format!("tortalk {}: {}", arguments.join(" "), stderr.trim()));
        }
        serde_json::Deserializer::from_slice(&output.stdout)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| format!("tortalk {}: no JSON: {error}", arguments.join(" ")))
    }

    pub(crate) fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("--profile").arg(dir).stdin(Stdio::null());
        command
    }

    /// Starts the profile's node and waits until it says that it is ready.
    pub(crate) fn run(&self, profile: &Profile) -> Result<Child, Problem> {
        self.run_under::<&str>(profile, &[])
    }

    /// The same behind another program, such as strace and its options.
    pub(crate) fn run_under<W: AsRef<OsStr>>(
        &self,
        profile: &Profile,
        wrapper: &[W],
    ) -> Result<Child, Problem> {
        let mut command = match wrapper.split_first() {
            Some((program, options)) => {
                let mut command = Command::new(program);
                command.args(options).arg(&self.path);
                command
            }
            None => Command::new(&self.path),
        };
        command.arg("--profile").arg(&profile.dir).args(["--json", "run"]);
        if let Some(how) = &self.sabotage {
            command.args(["--sabotage", how]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let started = Instant::now();
        let mut process = command.spawn().map_err(|error| format!("cannot start: {error}"))?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the process has no pipes".to_owned());
        };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(value) = serde_json::from_str(&line) else { continue };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut child =
            Child { process, stdin, lines, events: VecDeque::new(), next_id: 1, started };
        child.wait_for("ready", |event| event["event"] == "ready")?;
        Ok(child)
    }
}

impl Child {
    /// Sends a request and waits for its answer.
    pub(crate) fn request(&mut self, request: Value) -> Result<Value, Problem> {
        let id = self.post(request)?;
        self.answer(id)
    }

    /// Sends a request without waiting; the answer bears the returned id.
    pub(crate) fn post(&mut self, mut request: Value) -> Result<u64, Problem> {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = json!(id);
        let line = format!("{request}\n");
        self.stdin
            .write_all(line.as_bytes())
            .map_err(|error| format!("the node takes no requests: {error}"))?;
        Ok(id)
    }

    /// Asks the same again and again until the answer fits; what `fits` makes of it.
    pub(crate) fn ask_until<T>(
        &mut self,
        what: &str,
        request: &Value,
        fits: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, Problem> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.request(request.clone())?;
            if let Some(found) = fits(&answer) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(format!("waited in vain for {what}; the last answer: {answer}"));
            }
            std::thread::sleep(ASK_AGAIN_AFTER);
        }
    }

    fn answer(&mut self, id: u64) -> Result<Value, Problem> {
        let answer = self.wait_for("the answer to a request", |line| line["id"] == id)?;
        match answer.get("ok") {
            Some(ok) => Ok(ok.clone()),
            None => Err(format!("the node refused: {}", answer["error"]["message"])),
        }
    }

    /// Waits for the first line, kept or new, that fits; it is taken out.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value, Problem> {
        self.wait_within(PATIENCE, what, fits)
    }

    /// The same with a time of its own.
    pub(crate) fn wait_within(
        &mut self,
        patience: Duration,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value, Problem> {
        if let Some(at) = self.events.iter().position(&fits)
            && let Some(event) = self.events.remove(at)
        {
            return Ok(event);
        }
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if fits(&line) => return Ok(line),
                Ok(line) => self.events.push_back(line),
                Err(RecvTimeoutError::Timeout) => return Err(format!("waited in vain for {what}")),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("the node ended while {what} was awaited"));
                }
            }
        }
    }

    /// Everything that the node has said and nobody has waited for.
    pub(crate) fn drain(&mut self) -> Vec<Value> {
        self.events.extend(self.lines.try_iter());
        self.events.drain(..).collect()
    }

    /// Ends the process as a power cut would, and returns its last lines.
    pub(crate) fn kill(mut self) -> Result<Vec<Value>, Problem> {
        self.process.kill().map_err(|error| format!("cannot kill: {error}"))?;
        self.process.wait().map_err(|error| format!("cannot wait: {error}"))?;
        // The reader ends with the pipe: all that the process wrote is there.
        let rest: Vec<Value> = self.lines.iter().collect();
        self.events.extend(rest);
        Ok(self.events.drain(..).collect())
    }

    /// Asks the node to end and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), Problem> {
        self.post(json!({"do": "stop"}))?;
        self.process.wait().map_err(|error| format!("cannot wait: {error}"))?;
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Makes each the other's contact and waits until they are linked.
pub(crate) fn befriend(
    a: (&mut Child, &Profile),
    b: (&mut Child, &Profile),
) -> Result<(), Problem> {
    a.0.request(json!({"do": "add", "address": b.1.address, "name": "other"}))?;
    b.0.request(json!({"do": "add", "address": a.1.address, "name": "other"}))?;
    // A first message each way: both hold the other's card when it is delivered.
    for child in [a.0, b.0] {
        let queued = child.request(json!({"do": "send", "to": "other", "text": "warm-up"}))?;
        wait_delivered(child, &queued["message_id"])?;
    }
    Ok(())
}

/// Gives each the other's card, as files would: they need not be linked.
pub(crate) fn acquaint(
    (a, a_name): (&mut Child, &str),
    (b, b_name): (&mut Child, &str),
) -> Result<(), Problem> {
    let (card_a, card_b) = (own_card(a)?, own_card(b)?);
    a.request(json!({"do": "import", "card": card_b, "name": b_name}))?;
    b.request(json!({"do": "import", "card": card_a, "name": a_name}))?;
    Ok(())
}

pub(crate) fn own_card(child: &mut Child) -> Result<Value, Problem> {
    Ok(child.request(json!({"do": "own_card"}))?["card"].clone())
}

/// Waits until a node's card names the relay on this host: the node is registered
/// there.
pub(crate) fn registered(child: &mut Child, host: &str) -> Result<(), Problem> {
    child.ask_until("a card that names the relay", &json!({"do": "own_card"}), |answer| {
        let card = from_base64(answer["card"].as_str()?)?;
        card.windows(host.len()).any(|part| part == host.as_bytes()).then_some(())
    })
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    Some(bytes)
}

pub(crate) fn wait_delivered(child: &mut Child, message_id: &Value) -> Result<(), Problem> {
    child.wait_for("delivery", |line| {
        line["event"] == "state"
            && line["message_id"] == *message_id
            && line["state"] == "delivered"
    })?;
    Ok(())
}

/// Settings that keep a node on loopback, with beacons as the only discovery.
pub(crate) const LOOPBACK: &str =
    "[network]\ninterfaces = [\"lo\"]\nbeacons = true\nmdns = false\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        assert_eq!(from_base64("MTI3LjAuMC4x"), Some(b"127.0.0.1".to_vec()));
        assert_eq!(from_base64("+/8="), Some(vec![0xfb, 0xff]));
        assert_eq!(from_base64("+ 8="), None);
    }
}
