//! The settings themselves, their defaults and their meaning.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::document::{Document, Known, flag, integer, line_of, list, nearest, text};
use crate::values::{interface, path, peer, server_url, tor_socks, username};
use crate::{Hint, HostPort, Relay, SettingsError};

/// The file's name in a profile folder.
pub const SETTINGS_FILE: &str = "settings.toml";
/// The largest file that is read.
pub const SETTINGS_BYTES_MAX: u64 = 64 * 1024;
/// The file of a new profile: every key, switched off, with its default.
pub const TEMPLATE: &str = include_str!("template.toml");

/// The most entries in a list.
const LIST_MAX: usize = 64;

pub(crate) const KNOWN: Known = &[
    ("identity", &["path"]),
    ("storage", &["path"]),
    ("network", &["tcp_port", "interfaces", "beacons", "mdns", "visibility", "peers"]),
    ("server", &["url", "safety_mode", "tor_socks"]),
    ("user", &["username"]),
    ("messages", &["read_receipts", "request_receipts"]),
];

/// A profile's settings. [`Settings::default`] is what an empty file means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// `[identity]`
    pub identity: Identity,
    /// `[storage]`
    pub storage: Storage,
    /// `[network]`
    pub network: Network,
    /// `[server]`
    pub server: Server,
    /// `[user]`
    pub user: User,
    /// `[messages]`
    pub messages: Messages,
    /// `[[relays]]`, in the order of the file; at most [`RELAYS_MAX`](crate::RELAYS_MAX).
    pub relays: Vec<Relay>,
}

/// `[identity]`: who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The identity's file; from [`Settings::parse`] relative to the profile
    /// folder, from [`Settings::load`] joined to it.
    pub path: PathBuf,
}

/// `[storage]`: where messages lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The database; relative as [`Identity::path`] is.
    pub path: PathBuf,
}

/// `[network]`: the neighbourhood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The port for links. `None`: 45454, or any free one when that is taken.
    /// A set port that is taken is an error.
    pub tcp_port: Option<u16>,
    /// The interfaces to use. `None`: all but tunnels, containers and bridges.
    pub interfaces: Option<Vec<String>>,
    /// Whether hello beacons are sent and heard.
    pub beacons: bool,
    /// Whether mDNS is used.
    pub mdns: bool,
    /// To whom this node shows itself.
    pub visibility: Visibility,
    /// Nodes to link with besides those that are found.
    pub peers: Vec<HostPort>,
}

/// To whom a node shows itself on the local network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// Sends beacons, dials and answers all.
    #[default]
    Everyone,
    /// Sends beacons and dials; answers contacts alone.
    Contacts,
    /// Sends no beacon, dials none that it hears, answers nobody.
    Nobody,
}

/// `[server]`: the relay and the way to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Server {
    /// A relay, `http` or `https`, host and port, nothing behind; the same as an
    /// entry of `[[relays]]` with nothing but that.
    pub url: Option<String>,
    /// Whether everything that leaves the local network goes through Tor.
    pub safety_mode: bool,
    /// Tor's SOCKS port. `None`: a running Tor is looked for, then a private
    /// one started.
    pub tor_socks: Option<HostPort>,
}

/// `[user]`: what others see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// The name in one's card. `None` or empty: none.
    pub username: Option<String>,
}

/// `[messages]`: what senders learn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages {
    /// Whether receipts of reading are sent.
    pub read_receipts: bool,
    /// Whether somebody who asks to be a contact gets a receipt before that is
    /// decided.
    pub request_receipts: bool,
}

impl Default for Identity {
    fn default() -> Self {
        Self { path: "identity.bin".into() }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { path: "store.sqlite".into() }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            tcp_port: None,
            interfaces: None,
            beacons: true,
            mdns: true,
            visibility: Visibility::Everyone,
            peers: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads a file. Paths in it are taken from the file's own folder.
    ///
    /// # Errors
    ///
    /// The first mistake in the file, or that it cannot be read. A file that is
    /// missing is an error too: defaults in its place would switch off what it
    /// said about safety.
    pub fn load(file: &Path) -> Result<Self, SettingsError> {
        let text = read_text(file)?;
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        Ok(Self::parse(&text)?.in_folder(folder))
    }

    /// Reads a file's text. Paths stay as they are written.
    ///
    /// # Errors
    ///
    /// The first mistake.
    pub fn parse(toml: &str) -> Result<Self, SettingsError> {
        let mut file = Document::parse(toml, KNOWN)?;
        let mut settings = Self::default();
        settings.read_places(&mut file);
        settings.read_network(&mut file);
        settings.read_server(&mut file);
        settings.read_person(&mut file);
        settings.read_relays(&mut file);
        file.finish()?;
        Ok(settings)
    }

    /// Takes relative paths as relative to `folder`.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        for path in [&mut self.identity.path, &mut self.storage.path] {
            *path = folder.join(&*path);
        }
        self
    }

    fn read_places(&mut self, file: &mut Document<'_>) {
        const PATH: &str = "a path, absolute or from the profile folder on (`~` is not expanded)";
        let mut place = |section: &'static str| file.read(section, "path", PATH, |v| text(v, path));
        if let Some(path) = place("identity") {
            self.identity.path = path;
        }
        if let Some(path) = place("storage") {
            self.storage.path = path;
        }
    }

    fn read_network(&mut self, file: &mut Document<'_>) {
        const SECTION: &str = "network";
        let network = &mut self.network;
        network.tcp_port = file
            .read(SECTION, "tcp_port", "a whole number from 1024 to 65535", |v| {
                integer(v, 1024..65_536)
            })
            .and_then(|port| u16::try_from(port).ok());
        network.interfaces =
            file.read(SECTION, "interfaces", "a list of names such as [\"wlan0\", \"lo\"]", |v| {
                list(v, LIST_MAX, interface)
            });
        if let Some(on) = file.read(SECTION, "beacons", FLAG, flag) {
            network.beacons = on;
        }
        if let Some(on) = file.read(SECTION, "mdns", FLAG, flag) {
            network.mdns = on;
        }
        const VISIBILITY: &str = "\"everyone\", \"contacts\" or \"nobody\"";
        if let Some(visibility) =
            file.read(SECTION, "visibility", VISIBILITY, |v| text(v, visibility))
        {
            network.visibility = visibility;
        }
        const PEERS: &str = "a list of host:port such as [\"192.168.1.7:45454\"]";
        if let Some(peers) = file.read(SECTION, "peers", PEERS, |v| list(v, LIST_MAX, peer)) {
            network.peers = peers;
        }
    }

    fn read_server(&mut self, file: &mut Document<'_>) {
        const SECTION: &str = "server";
        const URL: &str = "an address such as \"https://relay.example:8443\"";
        self.server.url = file.read(SECTION, "url", URL, |v| text(v, server_url));
        if let Some(on) = file.read(SECTION, "safety_mode", FLAG, flag) {
            self.server.safety_mode = on;
        }
        const SOCKS: &str = "an address such as \"socks5h://127.0.0.1:9050\"";
        self.server.tor_socks = file.read(SECTION, "tor_socks", SOCKS, |v| text(v, tor_socks));
    }

    fn read_person(&mut self, file: &mut Document<'_>) {
        const NAME: &str = "a name of at most 64 bytes without control characters";
        self.user.username = file.read("user", "username", NAME, |v| text(v, username));
        if let Some(on) = file.read("messages", "read_receipts", FLAG, flag) {
            self.messages.read_receipts = on;
        }
        if let Some(on) = file.read("messages", "request_receipts", FLAG, flag) {
            self.messages.request_receipts = on;
        }
    }
}

const FLAG: &str = "true or false";

fn visibility(text: &str) -> Result<Visibility, Hint> {
    match text {
        "everyone" => Ok(Visibility::Everyone),
        "contacts" => Ok(Visibility::Contacts),
        "nobody" => Ok(Visibility::Nobody),
        other => Err(nearest(other, ["everyone", "contacts", "nobody"].into_iter())
            .map_or(Hint::None, |near| Hint::DidYouMean(near.to_owned()))),
    }
}

/// The text of a file that is small enough and UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String, SettingsError> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => SettingsError::Missing { path: path.to_owned() },
        kind => SettingsError::Unreadable { path: path.to_owned(), reason: kind.to_string() },
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(SETTINGS_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > SETTINGS_BYTES_MAX {
        return Err(SettingsError::TooLarge { max: SETTINGS_BYTES_MAX });
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        SettingsError::NotText { line: line_of(&text, valid) }
    })
}
