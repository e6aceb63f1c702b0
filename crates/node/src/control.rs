//! The control socket: how other programs talk to a running node.
//!
//! One line of JSON per request, one per answer, and after `events` one per
//! event, on a Unix socket in the profile's folder that only its owner can open.
//! `tortalk run --json` speaks the same lines on standard input and output.
//!
//! ```text
//! → {"id":1,"do":"send","to":"bob","text":"hi"}
//! ← {"id":1,"ok":{"message_id":"5f…","state":"queued"}}
//! → {"id":2,"do":"send","to":"nobody","text":"hi"}
//! ← {"id":2,"error":{"kind":"unknown_who","message":"…"}}
//! → {"id":3,"do":"events"}
//! ← {"id":3,"ok":{}}
//! ← {"event":"received","at":1700000000000,…}
//! ```
//!
//! Times are milliseconds since 1970 by this node's clock unless said otherwise,
//! ids and keys are lower-case hexadecimal, states are the words of
//! [`tortalk_mesh::DeliveryState::word`].

pub mod client;
pub mod event;
pub mod lines;
pub mod protocol;
pub mod server;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the socket in the profile's folder.
pub const SOCKET_FILE: &str = "control.sock";

/// The longest request line, its newline not counted.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// The longest path that the kernel takes for a Unix socket.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A name for the socket of a profile that is short enough for the kernel.
///
/// A deep folder is reached through a descriptor of it, which has to stay open
/// as long as the name is used.
struct SocketPath {
    path: PathBuf,
    _folder: Option<File>,
}

impl SocketPath {
    fn in_folder(dir: &Path) -> io::Result<Self> {
        let path = dir.join(SOCKET_FILE);
        if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(dir)?;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&folder);
        let path = PathBuf::from(format!("/proc/self/fd/{descriptor}/{SOCKET_FILE}"));
        Ok(Self { path, _folder: Some(folder) })
    }
}
