//! The control channel: a Unix socket for one client at a time.

use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::Failure;
use crate::ask::{self, Answer, Ask, Refusal};

/// The longest line of a client; what it asks is far shorter.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// Somebody who does what a client asks.
pub(crate) trait Target {
    /// Does it.
    async fn answer(&mut self, ask: Ask) -> Answer;
}

/// Listens at `path`; what an earlier start has left there is replaced.
///
/// # Errors
/// When the system refuses.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, Failure> {
    let failed = |error| format!("{}: {error}", path.display());
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error))?,
        _ => {}
    }
    Ok(UnixListener::bind(path).map_err(failed)?)
}

/// Serves clients, one after the other, for as long as it is asked to.
///
/// # Errors
/// When no client can be accepted any more.
pub(crate) async fn serve(
    listener: &UnixListener,
    target: &mut impl Target,
) -> Result<(), Failure> {
    loop {
        let (client, _) = listener.accept().await?;
        // A client that goes away is followed by the next.
        let _gone = converse(client, target).await;
    }
}

async fn converse(client: UnixStream, target: &mut impl Target) -> std::io::Result<()> {
    let (read, mut write) = client.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let length = (&mut read).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if length == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            let refused = Err(Refusal::Refused("the line has no end".to_owned()));
            return write.write_all(&ask::line(&Value::Null, &refused)).await;
        }
        let answered = match ask::read(&line) {
            Ok((id, Ask::Unknown)) => (json!(id), Err(Refusal::Unsupported)),
            Ok((id, ask)) => (json!(id), target.answer(ask).await),
            Err((id, refusal)) => (id, Err(refusal)),
        };
        write.write_all(&ask::line(&answered.0, &answered.1)).await?;
    }
}
