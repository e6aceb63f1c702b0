//! Sync: one task for each stream of envelopes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::{Status, Streaming};
use tortalk_model::limits::relay::WINDOW_MAX;
use tortalk_rpc::{Deposit, Refusal, SyncAnswer, v1};

use super::outbox::Sender;
use super::{Shared, drained, malformed};
use crate::metrics::add;
use crate::rules::sync::{Incoming, TooManyMalformed, Window, answer};
use crate::writer::{Committed, Deposits, Job};

/// Serves a stream until its client has ended it and has all answers.
pub(super) async fn run(
    shared: Arc<Shared>,
    inbound: Streaming<v1::SyncRequest>,
    outbox: Sender<v1::SyncResponse>,
) {
    let mut drain = shared.drain.subscribe();
    let (reply, mut committed) = mpsc::unbounded_channel();
    let number = shared.next_stream();
    let mut stream =
        Serving { shared, inbound, window: Window::default(), number, reply, end: None };
    loop {
        if stream.end.is_some() && stream.window.is_empty() {
            break;
        }
        let taking = stream.end.is_none() && stream.window.has_room();
        let sent = tokio::select! {
            biased;
            Some(committed) = committed.recv() => stream.answer(&outbox, committed).await,
            () = outbox.closed() => break,
            () = drained(&mut drain), if stream.end.is_none() => {
                stream.end = Some(End::Drained);
                Ok(())
            }
            batch = stream.next_batch(), if taking => stream.hand_over(&outbox, batch).await,
        };
        if sent.is_err() {
            return;
        }
    }
    match stream.end {
        Some(End::Failed(status)) => outbox.fail(status),
        Some(End::Drained) => outbox.fail(Status::unavailable("the relay stops")),
        Some(End::Closed) | None => {}
    }
}

/// Why nothing more is taken from a stream.
enum End {
    Closed,
    Drained,
    Failed(Status),
}

struct Serving {
    shared: Arc<Shared>,
    inbound: Streaming<v1::SyncRequest>,
    window: Window,
    number: u64,
    reply: mpsc::UnboundedSender<Committed>,
    end: Option<End>,
}

/// What has arrived on a stream at one moment.
#[derive(Default)]
struct Arrived {
    incoming: Vec<Incoming>,
    refusals: Vec<Refusal>,
}

impl Serving {
    /// Everything that has arrived, at least one message or the end.
    async fn next_batch(&mut self) -> Arrived {
        let mut arrived = Arrived::default();
        let now = self.shared.environment.clock.now().wall;
        std::future::poll_fn(|context| {
            // req: RLY-25
            while self.end.is_none()
                && self.window.has_room()
                && arrived.incoming.len() + arrived.refusals.len() < WINDOW_MAX
            {
                match Pin::new(&mut self.inbound).poll_next(context) {
                    Poll::Pending => break,
                    Poll::Ready(None) => self.end = Some(End::Closed),
                    Poll::Ready(Some(Err(status))) => self.end = Some(of_transport(status)),
                    Poll::Ready(Some(Ok(request))) => match Deposit::try_from(request) {
                        Ok(deposit) => match self.window.take(deposit, now) {
                            Ok(Ok(incoming)) => arrived.incoming.push(incoming),
                            Ok(Err(refusal)) => arrived.refusals.push(refusal),
                            Err(TooManyMalformed) => {
                                let status = Status::invalid_argument(TooManyMalformed.to_string());
                                self.end = Some(End::Failed(status));
                            }
                        },
                        Err(error) => self.end = Some(End::Failed(malformed(error))),
                    },
                }
            }
            let nothing = arrived.incoming.is_empty() && arrived.refusals.is_empty();
            if nothing && self.end.is_none() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        arrived
    }

    /// Answers what is refused at once and hands the rest to the writer.
    async fn hand_over(
        &mut self,
        outbox: &Sender<v1::SyncResponse>,
        arrived: Arrived,
    ) -> Result<(), super::outbox::Gone> {
        if !arrived.refusals.is_empty() {
            for refusal in &arrived.refusals {
                add(self.shared.metrics.refused(refusal.reason), 1);
            }
            let now = self.shared.environment.clock.now().wall;
            let answer = SyncAnswer { now, receipt: None, refusals: arrived.refusals };
            outbox.send(answer.into(), None).await?;
        }
        if arrived.incoming.is_empty() {
            return Ok(());
        }
        let bytes: usize =
            arrived.incoming.iter().map(|incoming| incoming.envelope.as_bytes().len()).sum();
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let waiting = Arc::clone(&self.shared.waiting);
        let Ok(room) = waiting.acquire_many_owned(permits).await else { return Ok(()) };
        let deposits = Deposits {
            stream: self.number,
            items: arrived.incoming,
            room,
            reply: self.reply.clone(),
        };
        if self.shared.jobs.send(Job::Deposits(deposits)).await.is_err() {
            self.end = Some(End::Drained);
            self.window = Window::default();
        }
        Ok(())
    }

    async fn answer(
        &mut self,
        outbox: &Sender<v1::SyncResponse>,
        committed: Committed,
    ) -> Result<(), super::outbox::Gone> {
        self.window.answered(committed.outcomes.len(), committed.bytes);
        let answer = answer(&self.shared.secret, committed.now, &committed.outcomes);
        outbox.send(answer.into(), None).await
    }
}

/// How a stream ends whose messages cannot be read.
fn of_transport(status: Status) -> End {
    match status.code() {
        // A message that is too long, or not protobuf.
        tonic::Code::OutOfRange | tonic::Code::Internal | tonic::Code::InvalidArgument => {
            End::Failed(Status::invalid_argument("the message cannot be read"))
        }
        _ => End::Closed,
    }
}
