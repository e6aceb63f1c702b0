//! Messages of one stream on their way to the client.
//!
//! Few are held: a client that takes nothing makes its task wait, and after a
//! while the task takes back what waits, so that it costs nothing any more.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll};

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::Stream;
use tonic::Status;
use tortalk_model::limits::relay::STALL_TIMEOUT;

/// Messages that wait for the client.
const WAITING_MAX: usize = 16;

/// The client is gone, or takes nothing (RLY-63).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// The client's end: a stream of messages, and a status at the end of one that
/// did not end well.
pub struct Outbox<T> {
    state: Arc<Mutex<State<T>>>,
    /// Places that the stream takes until the client lets go of it.
    _places: (OwnedSemaphorePermit, super::peer::CallGuard),
}

/// A message, and the room that it takes until it has left.
type Item<T> = (T, Option<OwnedSemaphorePermit>);

struct State<T> {
    waiting: Option<mpsc::Receiver<Item<T>>>,
    end: Option<Status>,
}

/// The task's end.
pub(crate) struct Sender<T> {
    channel: mpsc::Sender<Item<T>>,
    state: Arc<Mutex<State<T>>>,
}

/// Both ends.
pub(crate) fn outbox<T>(
    places: (OwnedSemaphorePermit, super::peer::CallGuard),
) -> (Sender<T>, Outbox<T>) {
    let (channel, receiver) = mpsc::channel(WAITING_MAX);
    let state = Arc::new(Mutex::new(State { waiting: Some(receiver), end: None }));
    (Sender { channel, state: Arc::clone(&state) }, Outbox { state, _places: places })
}

impl<T> Sender<T> {
    /// Sends a message, and waits while the client is slow.
    ///
    /// # Errors
    /// [`Gone`] when the client is gone or has taken nothing for 60 s. The task
    /// is to end then.
    pub(crate) async fn send(
        &self,
        message: T,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Gone> {
        let sent = tokio::time::timeout(STALL_TIMEOUT, self.channel.send((message, room))).await;
        match sent {
            Ok(result) => result.map_err(|_| Gone),
            Err(_) => {
                // req: RLY-63
                let mut state = lock(&self.state);
                state.waiting = None;
                state.end = Some(Status::deadline_exceeded("nothing is taken from the stream"));
                Err(Gone)
            }
        }
    }

    /// Ends the stream with a status, after the messages that wait.
    pub(crate) fn fail(self, status: Status) {
        lock(&self.state).end = Some(status);
    }

    /// Ends when the client has let go of the stream.
    pub(crate) async fn closed(&self) {
        self.channel.closed().await;
    }
}

impl<T> Stream for Outbox<T> {
    type Item = Result<T, Status>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        let mut state = lock(&self.state);
        if let Some(waiting) = &mut state.waiting
            && let Some((message, _room)) = task::ready!(waiting.poll_recv(context))
        {
            return Poll::Ready(Some(Ok(message)));
        }
        state.waiting = None;
        Poll::Ready(state.end.take().map(Err))
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
