//! How the rest of a program talks to a node that runs inside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::control::event::{EventLine, NodeEvent};
use crate::control::protocol::{Dialled, ErrorKind, Request, RequestError, Response};
use crate::engine::EngineInput;
use crate::links::{DialError, Links};

/// Events kept for a listener that is slow.
pub(crate) const EVENTS_KEPT: usize = 1024;

/// How far a node is with ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    Stopping,
    Stopped,
}

/// A handle on a running node; any number of them, from any task.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

/// What all handles of one node have in common.
pub(crate) struct Shared {
    pub(crate) to_engine: mpsc::Sender<EngineInput>,
    pub(crate) events: broadcast::Sender<EventLine>,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) ready: NodeEvent,
    pub(crate) links: Option<Arc<Links>>,
}

impl Handle {
    /// Asks for something and waits for the answer.
    ///
    /// # Errors
    /// The node's reason; nothing has changed then.
    pub async fn request(&self, request: Request) -> Result<Response, RequestError> {
        self.submit(request).await.outcome().await
    }

    /// Hands a request in; its place among others is decided when this returns.
    pub async fn submit(&self, request: Request) -> Pending {
        match request {
            Request::Events => Pending::ready(Ok(Response::Done {})),
            Request::Stop => {
                self.stop();
                Pending::ready(Ok(Response::Done {}))
            }
            Request::Dial { address } => self.dial(&address),
            request => {
                let (answer, answered) = oneshot::channel();
                let input = EngineInput::Request(Box::new(request), answer);
                // An engine that is gone drops the sender, and that is the answer.
                let _stopped = self.shared.to_engine.send(input).await;
                Pending(answered)
            }
        }
    }

    /// Events from now on, `ready` first.
    pub fn events(&self) -> Events {
        Events::new(self.shared.ready.clone(), self.shared.events.subscribe())
    }

    /// Lets the node end: links are told, what is queued for them is sent.
    /// [`crate::Node::wait`] returns when that is done.
    pub fn stop(&self) {
        self.shared.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            if running {
                *phase = Phase::Stopping;
            }
            running
        });
    }

    /// Waits until the node has stopped.
    pub async fn stopped(&self) {
        let mut phase = self.shared.phase.subscribe();
        let _sender_is_ours = phase.wait_for(|&phase| phase == Phase::Stopped).await;
    }

    /// Whether the node has stopped.
    pub fn has_stopped(&self) -> bool {
        *self.shared.phase.borrow() == Phase::Stopped
    }

    fn dial(&self, address: &str) -> Pending {
        let Ok(address) = address.parse::<SocketAddr>() else {
            return Pending::ready(Err(RequestError::new(
                ErrorKind::BadAddress,
                "this is no IP address with a port: write it like 192.0.2.7:45454 or \
                 [2001:db8::7]:45454",
            )));
        };
        let Some(links) = self.shared.links.clone() else {
            return Pending::ready(Err(RequestError::new(
                ErrorKind::Offline,
                "this node works without a network: start one with `tortalk run`",
            )));
        };
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let outcome = links.dial(address).await.map(|peer| {
                let identity = peer.identity.to_string();
                Response::Dialled(Dialled { address: address.to_string(), identity })
            });
            let outcome = outcome.map_err(|error: DialError| {
                RequestError::new(ErrorKind::NotReached, format!("{address}: {error}"))
            });
            let _gave_up = answer.send(outcome);
        });
        Pending(answered)
    }
}

/// A request that was handed in.
#[derive(Debug)]
#[must_use = "the answer is in here"]
pub struct Pending(oneshot::Receiver<Result<Response, RequestError>>);

impl Pending {
    /// Waits for the answer.
    ///
    /// # Errors
    /// The node's reason.
    pub async fn outcome(self) -> Result<Response, RequestError> {
        self.0.await.unwrap_or_else(|_| {
            Err(RequestError::new(
                ErrorKind::Stopping,
                "the node is ending and did not take this: start it again and repeat",
            ))
        })
    }

    fn ready(outcome: Result<Response, RequestError>) -> Self {
        let (answer, answered) = oneshot::channel();
        answer.send(outcome).expect("the receiver is right here");
        Self(answered)
    }
}

/// The events of a node, one after the other.
#[derive(Debug)]
pub struct Events {
    first: Option<EventLine>,
    rest: broadcast::Receiver<EventLine>,
}

impl Events {
    /// `ready`, then what comes.
    pub(crate) fn new(ready: NodeEvent, rest: broadcast::Receiver<EventLine>) -> Self {
        Self { first: Some(EventLine { at: unix_now(), event: ready }), rest }
    }

    /// The next event; `None` when the node is gone. Whoever is too slow gets
    /// [`NodeEvent::Missed`] in place of what was left out. Nothing is lost when
    /// the future is dropped.
    pub async fn next(&mut self) -> Option<EventLine> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        match self.rest.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(count)) => {
                Some(EventLine { at: unix_now(), event: NodeEvent::Missed { count } })
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Milliseconds since 1970; 0 for a clock before that.
pub(crate) fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl core::fmt::Debug for Handle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Handle")
            .field("phase", &*self.shared.phase.borrow())
            .finish_non_exhaustive()
    }
}
