//! Talking to a running node from another process.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::SocketPath;
use super::event::EventLine;
use super::lines::{Line, LineReader};
use super::protocol::{ErrorKind, Request, RequestError, RequestLine, Response};
use super::server::is_owner;

/// A line of an answer; histories are long.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Events that wait for a program that takes them slowly. Then it is the node
/// that waits, and counts what it had to leave out.
const EVENTS_WAITING_MAX: usize = 256;

/// Why a node cannot be talked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No node runs on this profile.
    #[error("no node is running on this profile: start one with `tortalk run`")]
    NotRunning,
    /// The socket belongs to someone else.
    #[error("the control socket belongs to another user: look at the folder's owner")]
    NotOurs,
    /// The connection broke.
    #[error("the connection to the node broke ({0}): see whether it is still running")]
    Broken(io::ErrorKind),
    /// The node answered something else than was asked.
    #[error("the node does not speak this version's language: update the older one of the two")]
    Answer,
    /// The node has refused the request.
    #[error("{0}")]
    Refused(#[from] RequestError),
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.kind())
    }
}

/// A connection to the node of a profile; ends when it is dropped.
#[derive(Debug)]
pub struct Client {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    routes: Arc<Mutex<Routes>>,
    reading: JoinHandle<()>,
}

/// Where lines from the node go.
#[derive(Debug, Default)]
struct Routes {
    last_id: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Value>>,
    events: Option<mpsc::Sender<EventLine>>,
    closed: bool,
}

impl Client {
    /// Connects to the node that runs on the profile in `dir`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when there is none.
    pub async fn connect(dir: &Path) -> Result<Self, ClientError> {
        let not_there = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning,
            kind => ClientError::Broken(kind),
        };
        let name = SocketPath::in_folder(dir).map_err(not_there)?;
        let stream = UnixStream::connect(&name.path).await.map_err(not_there)?;
        if !is_owner(&stream) {
            return Err(ClientError::NotOurs);
        }
        let (read, write) = stream.into_split();
        let routes = Arc::new(Mutex::new(Routes::default()));
        let reading = tokio::spawn(read_lines(read, Arc::clone(&routes)));
        Ok(Self { writer: tokio::sync::Mutex::new(write), routes, reading })
    }

    /// Sends a request and waits for its answer. Several may be under way.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the node's reason, or what is wrong with
    /// the connection.
    pub async fn request(&self, request: Request) -> Result<Response, ClientError> {
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut routes = lock(&self.routes);
            if routes.closed {
                return Err(ClientError::Broken(io::ErrorKind::ConnectionReset));
            }
            routes.last_id += 1;
            let id = routes.last_id;
            routes.waiting.insert(id, answer);
            id
        };
        let line = RequestLine { id, request };
        self.writer.lock().await.write_all(&line.to_line()).await?;
        let broken = |_| ClientError::Broken(io::ErrorKind::UnexpectedEof);
        let mut answer = answered.await.map_err(broken)?;
        if let Some(error) = answer.get_mut("error") {
            let error: RequestError =
                serde_json::from_value(error.take()).map_err(|_| ClientError::Answer)?;
            return Err(ClientError::Refused(error));
        }
        let ok = answer.get_mut("ok").ok_or(ClientError::Answer)?.take();
        Response::from_value(&line.request, ok).map_err(|_| ClientError::Answer)
    }

    /// Asks for events. A second call takes them away from the first receiver.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn events(&self) -> Result<mpsc::Receiver<EventLine>, ClientError> {
        let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
        lock(&self.routes).events = Some(sender);
        self.request(Request::Events).await?;
        Ok(receiver)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read_lines(read: OwnedReadHalf, routes: Arc<Mutex<Routes>>) {
    let mut lines = LineReader::new(BufReader::new(read), ANSWER_BYTES_MAX);
    while let Ok(Some(Line::Whole(line))) = lines.next().await {
        let Ok(value) = serde_json::from_slice::<Value>(&line) else { break };
        if value.get("event").is_some() {
            let events = lock(&routes).events.clone();
            let Some(events) = events else { continue };
            let Ok(event) = serde_json::from_value(value) else { continue };
            // Whoever no longer listens does not hold up the answers.
            let _not_listening = events.send(event).await;
        } else if let Some(id) = value.get("id").and_then(Value::as_u64) {
            let waiting = lock(&routes).waiting.remove(&id);
            if let Some(waiting) = waiting {
                let _gave_up = waiting.send(value);
            }
        }
    }
    let mut routes = lock(&routes);
    routes.closed = true;
    routes.waiting.clear();
    routes.events = None;
}

/// Nothing that holds the lock can panic; a poisoned map is still a map.
fn lock(routes: &Mutex<Routes>) -> std::sync::MutexGuard<'_, Routes> {
    routes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientError {
    /// The kind of a refusal.
    pub const fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Refused(error) => Some(error.kind),
            _ => None,
        }
    }
}
