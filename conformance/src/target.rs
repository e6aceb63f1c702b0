//! What is tested: a port, or a program that the suite starts and kills.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use data_encoding::{BASE64, HEXLOWER};

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

/// A program that the suite started.
#[derive(Debug)]
pub struct Spawned {
    template: String,
    folder: PathBuf,
    cards: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    child: Option<Child>,
}

impl Spawned {
    /// Starts `template`, in which `{port}`, `{dir}` and `{cards}` are replaced, on a free
    /// port of loopback, and waits until it takes a connection.
    ///
    /// # Errors
    /// When it cannot be started, ends, or takes no connection within `patience`.
    pub async fn start(template: &str, folder: &Path, patience: Duration) -> io::Result<Self> {
        let cards = folder.join("cards");
        write_cards(&cards)?;
        let data = folder.join("target");
        fs::create_dir_all(&data)?;
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = free.local_addr()?;
        std::mem::drop(free);
        let mut spawned =
            Self { template: template.to_owned(), folder: data, cards, address, child: None };
        spawned.run(patience).await?;
        Ok(spawned)
    }

    async fn run(&mut self, patience: Duration) -> io::Result<()> {
        let text = self
            .template
            .replace("{port}", &self.address.port().to_string())
            .replace("{dir}", &self.folder.to_string_lossy())
            .replace("{cards}", &self.cards.to_string_lossy());
        let mut words = text.split_whitespace();
        let program = words.next().ok_or_else(|| io::Error::other("--spawn is empty"))?;
        let mut child = Command::new(program)
            .args(words)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let until = Instant::now() + patience;
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

    /// SIGKILL, and a start in the same folder.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&mut self, patience: Duration) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        self.run(patience).await
    }
}
