//! Values that are more than a word: addresses, names, paths.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::Hint;

/// The longest `username`, in UTF-8 bytes; the same as in a card.
pub const USERNAME_BYTES_MAX: usize = 64;
/// The longest host name that DNS can carry.
const HOST_BYTES_MAX: usize = 253;
/// The longest name of an interface that is taken.
const INTERFACE_BYTES_MAX: usize = 64;

/// A host and a port: `name:port`, `1.2.3.4:port` or `[v6]:port`. Nothing is
/// resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// A host name in lower case or an IP address, without brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

/// The text is no host and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host and a port, such as 192.168.1.7:45454 or [fe80::1]:45454")]
pub struct HostPortError;

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let (host, port) = text.rsplit_once(':').ok_or(HostPortError)?;
        // `u16::from_str` takes a sign and leading zeros.
        if !port.bytes().all(|byte| byte.is_ascii_digit()) || port.len() > 5 {
            return Err(HostPortError);
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(HostPortError)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => {
                v6.parse::<Ipv6Addr>().map(|address| address.to_string()).or(Err(HostPortError))?
            }
            None => host_name(host).ok_or(HostPortError)?,
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn host_name(host: &str) -> Option<String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        // A v6 address without brackets leaves open where it ends.
        return address.is_ipv4().then(|| address.to_string());
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name of digits alone is a mistyped address.
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let known = host.len() <= HOST_BYTES_MAX && !numeric && host.split('.').all(label);
    known.then(|| host.to_ascii_lowercase())
}

/// `host:port` in a list.
pub(crate) fn peer(text: &str) -> Result<HostPort, Hint> {
    text.parse().or(Err(Hint::None))
}

/// `http://host[:port]` or `https://…`, nothing behind it.
pub(crate) fn server_url(text: &str) -> Result<String, Hint> {
    let (scheme, rest) = text.split_once("://").ok_or(Hint::None)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let scheme = scheme.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return Err(Hint::None),
    };
    // A host alone is parsed with the port that its scheme stands for.
    let host = rest
        .parse::<HostPort>()
        .map(|host| host.to_string())
        .or_else(|_| format!("{rest}:{default}").parse::<HostPort>().map(|_| rest.to_owned()))
        .or(Err(Hint::None))?;
    Ok(format!("{scheme}://{}", host.to_ascii_lowercase()))
}

/// `socks5h://host:port`. Without the `h` names would be resolved in the clear.
pub(crate) fn tor_socks(text: &str) -> Result<HostPort, Hint> {
    if let Some(address) = text.strip_prefix("socks5h://") {
        return address.parse().or(Err(Hint::None));
    }
    let address = text.strip_prefix("socks5://").unwrap_or(text);
    let meant = address.parse::<HostPort>().or(Err(Hint::None))?;
    Err(Hint::DidYouMean(format!("socks5h://{meant}")))
}

/// A path that is neither empty nor meant for a shell.
pub(crate) fn path(text: &str) -> Result<PathBuf, Hint> {
    if text.is_empty() || text.contains('\0') || text.starts_with('~') || text.contains('\n') {
        return Err(Hint::None);
    }
    Ok(PathBuf::from(text))
}

/// The name of a network interface.
pub(crate) fn interface(text: &str) -> Result<String, Hint> {
    let odd = |c: char| c.is_control() || c == '/';
    if text.trim().is_empty() || text.len() > INTERFACE_BYTES_MAX || text.contains(odd) {
        return Err(Hint::None);
    }
    Ok(text.to_owned())
}

/// Characters that change the direction of writing.
const fn turns(character: char) -> bool {
    matches!(character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' // marks
        | '\u{202a}'..='\u{202e}' // embeddings and overrides
        | '\u{2066}'..='\u{2069}') // isolates
}

/// A name as a card can carry it.
pub(crate) fn username(text: &str) -> Result<String, Hint> {
    let unfit = |c: char| c.is_control() || turns(c);
    if text.len() > USERNAME_BYTES_MAX || text.contains(unfit) {
        return Err(Hint::None);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (text, shown) in [
            ("192.168.1.7:45454", "192.168.1.7:45454"),
            ("[FE80::1]:1", "[fe80::1]:1"),
            ("Example.ORG:65535", "example.org:65535"),
            ("a_b-c:9", "a_b-c:9"),
        ] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            ":",
            "host",
            "host:",
            ":80",
            "host:0",
            "host:65536",
            "host:+80",
            "host:080808",
            "fe80::1:80",
            "[1.2.3.4]:80",
            "1.2.3:80",
            "1.2.3.400:80",
            "-a:80",
            "a..b:80",
            "a b:80",
            "é:80",
            "[fe80::1%eth0]:80",
            "user@host:80",
            "http://host:80",
        ] {
            assert_eq!(text.parse::<HostPort>(), Err(HostPortError), "{text}");
        }
    }

    #[test]
    fn servers() {
        for (text, taken) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("HTTPS://Relay.Example/", "https://relay.example"),
            ("https://[::1]", "https://[::1]"),
        ] {
            assert_eq!(server_url(text).unwrap(), taken);
        }
        for text in
            ["relay.example", "ftp://a", "http://", "http://a/b", "http://u@a", "http://a?b"]
        {
            assert!(server_url(text).is_err(), "{text}");
        }
    }
}
