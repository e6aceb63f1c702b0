//! Which process has something: where `/proc` tells, and nowhere else.

use std::fs;

/// A process as people read it: its number, and its name where there is one.
pub(super) fn process(pid: u32) -> String {
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("process {pid} ({})", name.trim_end()),
        Err(_) => format!("process {pid}"),
    }
}

/// The process that listens on a TCP port; `None` where that is not shown to us.
pub(super) fn listener(port: u16) -> Option<u32> {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let inode = tables.iter().find_map(|table| {
        let text = fs::read_to_string(table).ok()?;
        text.lines().find_map(|line| listening_inode(line, port))
    })?;
    let wanted = format!("socket:[{inode}]");
    let has_it = |pid: &u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| target.as_os_str() == wanted.as_str())
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(has_it)
}

/// The inode of a line of `/proc/net/tcp` that shows a listener on this port.
fn listening_inode(line: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let is_it = u16::from_str_radix(local_port, 16) == Ok(port) && *fields.get(3)? == LISTEN;
    fields.get(9).filter(|_| is_it)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn our_own_listener_is_ours() {
        let listener_here = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener_here.local_addr().expect("its address").port();
        if fs::metadata("/proc/self/net/tcp").is_ok() {
            assert_eq!(listener(port), Some(std::process::id()));
        }
        drop(listener_here);
        assert_eq!(listener(port), None);
    }

    #[test]
    fn a_connection_is_no_listener() {
        let row = |state| {
            format!(
                "   0: 0100007F:B18E 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 \
                 0 0 4711 1 0000000000000000 100 0 0 10 0"
            )
        };
        assert_eq!(listening_inode(&row("0A"), 0xb18e), Some(4711));
        assert_eq!(listening_inode(&row("01"), 0xb18e), None);
        assert_eq!(listening_inode(&row("0A"), 1), None);
        for rubbish in ["", "sl local_address", "0: x", "0: :B18E x 0A"] {
            assert_eq!(listening_inode(rubbish, 0xb18e), None, "{rubbish}");
        }
    }
}
