//! What is tested: a port, or a program that the suite starts and kills.

use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, io};

use data_encoding::{BASE64, HEXLOWER};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::people::{BLOCKED, CONTACTS, Person};

/// Writes the contact cards that a node under test imports, and whom of them it blocks.
///
/// # Errors
/// Of the disk.
pub fn write_cards(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let mut paths = Vec::new();
    for who in CONTACTS.into_iter().chain([BLOCKED]) {
        let path = folder.join(format!("{who}.card"));
        fs::write(&path, BASE64.encode(&Person::published(who).published_card(1)))?;
        paths.push(path);
    }
    let blocked = HEXLOWER.encode(&Person::published(BLOCKED).identity());
    fs::write(folder.join("blocked.txt"), format!("{blocked}\n"))?;
    Ok(paths)
}

/// How a target is started, as often as cases want one of their own.
#[derive(Debug)]
pub struct Program {
    template: String,
    work: PathBuf,
    patience: Duration,
    count: AtomicU32,
}

impl Program {
    /// `template` is a command line with the placeholders of annex-targets.md, section 4;
    /// the folders of its targets are made below `work`.
    #[must_use]
    pub fn new(template: &str, work: &Path, patience: Duration) -> Self {
        let (template, work) = (template.to_owned(), work.to_path_buf());
        Self { template, work, patience, count: AtomicU32::new(0) }
    }

    /// Whether the command line names a placeholder, such as `settings`.
    #[must_use]
    pub fn takes(&self, placeholder: &str) -> bool {
        self.template.contains(&format!("{{{placeholder}}}"))
    }

    /// Starts a target in a new folder, with `settings` (annex-targets.md, section 4), and
    /// waits until it takes a connection.
    ///
    /// # Errors
    /// When it cannot be started, ends, or takes no connection in time.
    pub async fn start(&self, settings: &Value) -> io::Result<Spawned> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let folder = self.work.join(number.to_string());
        let (data, cards) = (folder.join("target"), folder.join("cards"));
        write_cards(&cards)?;
        fs::create_dir_all(&data)?;
        let settings_file = folder.join("settings.json");
        fs::write(&settings_file, settings.to_string())?;
        let address = free_address()?;
        let command = self
            .template
            .replace("{dir}", &data.to_string_lossy())
            .replace("{cards}", &cards.to_string_lossy())
            .replace("{settings}", &settings_file.to_string_lossy())
            .replace("{control}", &folder.join("control").to_string_lossy());
        let mut spawned = Spawned {
            command,
            settings: settings_file,
            folder: data,
            control: folder.join("control"),
            address,
            patience: self.patience,
            child: None,
        };
        spawned.start().await?;
        Ok(spawned)
    }
}

/// A program that the suite started. It ends with this value.
#[derive(Debug)]
pub struct Spawned {
    /// With `{port}` in it.
    command: String,
    settings: PathBuf,
    /// What it stores, all of it.
    pub folder: PathBuf,
    /// Its control channel, where it has one (annex-targets.md, section 5).
    pub control: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    patience: Duration,
    child: Option<Child>,
}

impl Spawned {
    /// Starts it, again with what it stored, and waits until it takes a connection.
    ///
    /// # Errors
    /// When it cannot be started, ends, or takes no connection in time.
    pub async fn start(&mut self) -> io::Result<()> {
        let mut child = self.process(self.address.port())?;
        let until = Instant::now() + self.patience;
        while TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("the target ended: {status}")));
            }
            if Instant::now() > until {
                return Err(io::Error::other("the target takes no connection"));
            }
            // The condition is the connection; this only keeps the loop from spinning.
            sleep(Duration::from_millis(20)).await;
        }
        self.child = Some(child);
        Ok(())
    }

    fn process(&self, port: u16) -> io::Result<Child> {
        let command = self.command.replace("{port}", &port.to_string());
        let mut words = command.split_whitespace();
        let program = words.next().ok_or_else(|| io::Error::other("--spawn is empty"))?;
        Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }

    /// A second start in the folder of the first, on another port; gives how it has ended.
    ///
    /// # Errors
    /// When it cannot be started, or has not ended within 10 s.
    pub async fn start_twice(&self) -> io::Result<ExitStatus> {
        let mut second = self.process(free_address()?.port())?;
        let ending = timeout(Duration::from_secs(10), second.wait()).await;
        ending.map_err(|_late| io::Error::other("a second start goes on for 10 s"))?
    }

    /// Changes its settings (annex-targets.md, section 4) from the next start on.
    ///
    /// # Errors
    /// Of the disk.
    pub fn set(&self, settings: &Value) -> io::Result<()> {
        fs::write(&self.settings, settings.to_string())
    }

    /// SIGKILL, and a start in the same folder.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&mut self) -> io::Result<()> {
        self.kill().await?;
        self.start().await
    }

    /// SIGKILL; nothing happens to a target that has ended.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self) -> io::Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill().await,
            None => Ok(()),
        }
    }

    /// SIGTERM; waits until it has ended, and gives how.
    ///
    /// # Errors
    /// When it does not run, or has not ended within 12 s.
    pub async fn terminate(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let mut child = self.child.take().ok_or_else(ended)?;
        let ending = timeout(Duration::from_secs(12), child.wait()).await;
        ending.map_err(|_late| io::Error::other("SIGTERM does not end it within 12 s"))?
    }

    /// Sends it a signal, such as `Signal::STOP` and `Signal::CONT`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = self.process_id().ok_or_else(ended)?;
        let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(ended)?;
        Ok(kill_process(id, signal)?)
    }

    /// Lets no file of the target's be written any more, as on a full disk, until its next start.
    ///
    /// # Errors
    /// Where the system does not tell which process listens, or has no such limit.
    #[cfg(target_os = "linux")]
    pub fn disk_full(&self) -> io::Result<()> {
        use rustix::process::{Resource, Rlimit, prlimit};
        let unknown = || io::Error::from(io::ErrorKind::Unsupported);
        let id = crate::nearby::listener(self.address.port()).ok_or_else(unknown)?;
        let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(unknown)?;
        let limit = Rlimit { current: Some(0), maximum: Some(0) };
        prlimit(Some(id), Resource::Fsize, limit)?;
        Ok(())
    }

    /// Nothing but Linux lets the suite do that.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub fn disk_full(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }
}

/// A free port of loopback that no connection takes by chance: systems give those from
/// 32,768 (Linux) or 49,152 (RFC 6335) on to whoever connects.
fn free_address() -> io::Result<SocketAddr> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    let mut random = std::hash::RandomState::new().build_hasher().finish();
    loop {
        let port = FIRST + (random % u64::from(COUNT)) as u16;
        random /= u64::from(COUNT);
        match std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(free) => return free.local_addr(),
            Err(error) if random == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the target has ended")
}
