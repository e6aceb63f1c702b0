//! Whose a connection is, as far as the system says it: several nodes on one machine
//! have one address.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Of `/proc/net/tcp`: a socket that listens.
const LISTENING: &str = "0A";

/// A row of `/proc/net/tcp` or `tcp6`.
struct Row<'a> {
    ip: &'a str,
    port: u16,
    state: &'a str,
    inode: &'a str,
}

impl<'a> Row<'a> {
    fn read(row: &'a str) -> Option<Self> {
        let mut words = row.split_whitespace().skip(1);
        let (own, state) = (words.next()?, words.nth(1)?);
        let inode = words.nth(5)?;
        let (ip, port) = own.split_once(':')?;
        Some(Self { ip, port: u16::from_str_radix(port, 16).ok()?, state, inode })
    }
}

/// Whether the process that listens on `port` has the socket with this local address;
/// `None` where the system does not tell.
pub(super) fn has(port: u16, local: SocketAddr) -> Option<bool> {
    let (mut listening, mut dialling) = (Vec::new(), Vec::new());
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(text) = fs::read_to_string(table) else { continue };
        // A row that is not whole is of a connection that is not ours.
        for row in text.lines().skip(1).filter_map(Row::read) {
            if row.state == LISTENING && row.port == port {
                listening.push(format!("socket:[{}]", row.inode));
            }
            if row.port == local.port() && is_ip(row.ip, local.ip()) {
                dialling.push(format!("socket:[{}]", row.inode));
            }
        }
    }
    let mut found = None;
    for process in fs::read_dir("/proc").ok()?.flatten() {
        // Other people's processes cannot be looked into; the target's may be one.
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let sockets: Vec<String> = files
            .flatten()
            .filter_map(|file| Some(fs::read_link(file.path()).ok()?.to_str()?.to_owned()))
            .collect();
        if sockets.iter().any(|socket| listening.contains(socket)) {
            let has = sockets.iter().any(|socket| dialling.contains(socket));
            found = Some(found.unwrap_or(false) || has);
        }
    }
    found
}

/// The process that listens on a port of loopback, as far as the system tells.
pub(super) fn listener(port: u16) -> Option<u32> {
    let mut listening = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(text) = fs::read_to_string(table) else { continue };
        for row in text.lines().skip(1).filter_map(Row::read) {
            if row.state == LISTENING && row.port == port {
                listening.push(format!("socket:[{}]", row.inode));
            }
        }
    }
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let mut sockets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        if sockets.any(|socket| listening.iter().any(|own| socket.to_str() == Some(own))) {
            return process.file_name().to_str()?.parse().ok();
        }
    }
    None
}

/// Whether a hexadecimal address of `/proc/net/tcp` or `tcp6` is this one.
fn is_ip(hex: &str, ip: IpAddr) -> bool {
    // Four bytes at a time, in the order of the machine; of a mapped address the last four.
    let IpAddr::V4(ip) = ip.to_canonical() else { return false };
    let Some(Ok(number)) = hex.get(hex.len() - 8..).map(|last| u32::from_str_radix(last, 16))
    else {
        return false;
    };
    Ipv4Addr::from(number.to_ne_bytes()) == ip
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_has_its_own_sockets_and_no_others() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let dialled = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let local = dialled.local_addr().expect("connected");
        assert_eq!(has(port, local), Some(true));
        std::mem::drop((dialled, listener));
        assert_eq!(has(port, local), None, "nobody listens");
    }
}
