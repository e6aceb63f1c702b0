//! `[[relays]]`: relays of one's own.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::document::{Document, flag, text};
use crate::{Hint, HostPort, Settings, SettingsError};

/// The most relays of one's own; a card names no more.
pub const RELAYS_MAX: usize = 4;

/// The name of the list, as messages write it between brackets.
pub(crate) const LIST: &str = "relays";
pub(crate) const SECTION: &str = "[relays]";
/// The keys of an entry.
pub(crate) const KEYS: &[&str] = &["url", "key", "insecure"];

/// The longest host that a card can name.
const HOST_BYTES_MAX: usize = 64;
/// An onion name of version 3, without `.onion`; its last letter is the version.
const ONION_CHARS: usize = 56;

/// A relay of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Where it is.
    pub url: RelayUrl,
    /// Its key, Ed25519; `None` until the relay has shown one, which is pinned
    /// then.
    pub key: Option<[u8; 32]>,
    /// Whether others may listen: no TLS beyond this machine, or a certificate
    /// that nobody stands for.
    pub insecure: bool,
}

/// With TLS or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Without.
    Http,
    /// With.
    Https,
}

/// `http` or `https`, host and port, nothing behind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayUrl {
    /// With TLS or without.
    pub scheme: Scheme,
    /// Host and port; the host has at most 64 bytes. `<56 letters>.onion` is an
    /// onion service, always `http`.
    pub at: HostPort,
}

/// The text is no address of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address such as https://relay.example:8443")]
pub struct RelayUrlError;

impl RelayUrl {
    /// Whether nobody in between can read it without TLS: loopback, or an onion
    /// service.
    pub fn is_inside(&self) -> bool {
        let host = self.at.host.as_str();
        host == "localhost"
            || host.ends_with(".onion")
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl FromStr for RelayUrl {
    type Err = RelayUrlError;

    fn from_str(text: &str) -> Result<Self, RelayUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(RelayUrlError)?;
        let (scheme, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            _ => return Err(RelayUrlError),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // A host alone has the port that its scheme stands for.
        let at: HostPort = rest
            .parse()
            .or_else(|_| format!("{rest}:{port}").parse())
            .map_err(|_| RelayUrlError)?;
        let onion = at.host.strip_suffix(".onion").map(|name| {
            let letter = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
            name.len() == ONION_CHARS && name.ends_with('d') && name.bytes().all(letter)
        });
        let fits = match onion {
            Some(well_formed) => well_formed && scheme == Scheme::Http,
            None => at.host.len() <= HOST_BYTES_MAX && !at.host.contains('_'),
        };
        if fits { Ok(Self { scheme, at }) } else { Err(RelayUrlError) }
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.at)
    }
}

impl Settings {
    /// All relays: the one of `[server]` first, where the list does not have it.
    pub fn all_relays(&self) -> Vec<Relay> {
        let server = self.server_relay();
        let server = server.map(|url| Relay { url, key: None, insecure: false });
        server.into_iter().chain(self.relays.iter().cloned()).take(RELAYS_MAX).collect()
    }

    /// The relay of `[server]`, where the list does not have it.
    fn server_relay(&self) -> Option<RelayUrl> {
        let url = self.server.url.as_deref()?.parse::<RelayUrl>().ok()?;
        (!self.relays.iter().any(|relay| relay.url == url)).then_some(url)
    }

    pub(crate) fn read_relays(&mut self, file: &mut Document<'_>) {
        const URL: &str = "an address such as \"https://relay.example:8443\"";
        const KEY: &str = "the 64 hexadecimal digits that the relay shows as its key";
        const FLAG: &str = "true or false";
        let count = file.entries(LIST);
        for i in 0..count {
            let url = file.read_entry(i, "url", URL, |value| {
                text(value, |url| url.parse::<RelayUrl>().or(Err(Hint::None)))
            });
            let key = file.read_entry(i, "key", KEY, |value| text(value, key));
            let insecure = file.read_entry(i, "insecure", FLAG, flag).unwrap_or(false);
            let line = file.entry_line(i);
            let Some(url) = url else {
                // A misspelt key was noted already, and is why.
                if file.lacks(i, "url") {
                    file.mistake(SettingsError::RelayWithoutUrl { line });
                }
                continue;
            };
            if url.scheme == Scheme::Http && !url.is_inside() && !insecure {
                file.mistake(SettingsError::RelayInTheClear { line });
            }
            if self.relays.iter().any(|other| other.url.at == url.at) {
                file.mistake(SettingsError::RelayTwice { line });
            }
            self.relays.push(Relay { url, key, insecure });
        }
        // The one of `[server]` is the first of them.
        let room = RELAYS_MAX - usize::from(self.server_relay().is_some());
        if count > room {
            let line = file.entry_line(room);
            file.mistake(SettingsError::TooManyRelays { line, max: RELAYS_MAX });
        }
    }
}

fn key(text: &str) -> Result<[u8; 32], Hint> {
    let bytes = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut key = [0; 32];
    if bytes.len() != 2 * key.len() {
        return Err(Hint::None);
    }
    for (byte, pair) in key.iter_mut().zip(bytes.chunks(2)) {
        let value = digit(pair[0]).zip(digit(pair[1])).map(|(high, low)| high * 16 + low);
        *byte = value.and_then(|value| u8::try_from(value).ok()).ok_or(Hint::None)?;
    }
    Ok(key)
}

/// A key as the file has it.
pub(crate) fn key_text(key: &[u8; 32]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_relays() {
        let onion = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd.onion";
        for (text, shown, inside) in [
            ("https://Relay.Example:8443", "https://relay.example:8443", false),
            ("https://relay.example/", "https://relay.example:443", false),
            ("http://127.0.0.1:1", "http://127.0.0.1:1", true),
            ("http://[::1]", "http://[::1]:80", true),
            ("http://localhost:9", "http://localhost:9", true),
            (&format!("http://{onion}"), &format!("http://{onion}:80"), true),
        ] {
            let url: RelayUrl = text.parse().expect(text);
            assert_eq!((url.to_string().as_str(), url.is_inside()), (shown, inside));
        }
        for text in [
            "relay.example",
            "ftp://relay.example",
            "https://a_b.example",
            "https://relay.example/path",
            "https://relay.example:0",
            "https://user@relay.example",
            "http://short.onion",
            &format!("https://{onion}"),
            &format!("https://{}.example", "a".repeat(60)),
        ] {
            assert_eq!(text.parse::<RelayUrl>(), Err(RelayUrlError), "{text}");
        }
    }
}
