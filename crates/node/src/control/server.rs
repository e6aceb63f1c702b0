//! The socket in the profile's folder.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::lines::{self, AtEnd, EventsFrom};
use super::{SOCKET_FILE, SocketPath};
use crate::handle::Handle;

/// Clients at one time.
const CLIENTS_MAX: usize = 64;
/// A client that does not read may hold up the end of the node for this long.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Something else bears the socket's name.
    #[error("{} is not a socket: move it away and start again", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The system does not let the socket be made.
    #[error(
        "{}: the control socket cannot be made ({error}): look at the folder's rights",
        path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The listening socket, removed when it is dropped.
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Makes the socket in `dir`, for its owner alone.
    ///
    /// The caller holds the profile's lock: a socket that is already there was
    /// left behind by a process that was killed, and is replaced.
    pub(crate) fn bind(dir: &Path) -> Result<Self, ControlError> {
        let path = dir.join(SOCKET_FILE);
        let failed = |error: io::Error| ControlError::Io { path: path.clone(), error };
        match fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(&path).map_err(failed)?,
            Ok(_) => return Err(ControlError::NotASocket { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // The folder is closed to others before the socket is in it.
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed)?;
        let name = SocketPath::in_folder(dir).map_err(failed)?;
        let listener = UnixListener::bind(&name.path).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path })
    }

    /// Serves clients until the node has stopped, and then what they still wait
    /// for.
    pub(crate) async fn serve(self, handle: Handle) {
        let mut clients = JoinSet::new();
        let room = Arc::new(Semaphore::new(CLIENTS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = self.accept() => accepted,
                () = handle.stopped() => break,
            };
            while clients.try_join_next().is_some() {}
            // One client more than there is room for is told by a closed connection.
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
            if !is_owner(&accepted) {
                tracing::warn!("another user tried to open the control socket");
                continue;
            }
            let handle = handle.clone();
            clients.spawn(async move {
                let (read, write) = accepted.into_split();
                let served = lines::serve(
                    handle,
                    BufReader::new(read),
                    write,
                    EventsFrom::Request,
                    AtEnd::Close,
                );
                if let Err(error) = served.await {
                    tracing::debug!(%error, "a control client is gone");
                }
                drop(permit);
            });
        }
        let flushed = async { while clients.join_next().await.is_some() {} };
        let _slow_client = tokio::time::timeout(FLUSH_MAX, flushed).await;
    }

    async fn accept(&self) -> UnixStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) => {
                    // Too many open files, most likely: that ends by itself.
                    tracing::warn!(%error, "the control socket does not accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // A file that stays is replaced by the next start.
        let _gone = fs::remove_file(&self.path);
    }
}

/// Whether the other end of a socket belongs to the user of this process.
pub(super) fn is_owner(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own)
}
