//! Pull: one task for each owner.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::Stream;
use tonic::{Status, Streaming};
use tortalk_model::limits::ENVELOPE_BYTES_MAX;
use tortalk_model::limits::relay::{PROOF_TIMEOUT, STREAM_LIFE_MAX};
use tortalk_model::{MailboxKey, UnixMillis};
use tortalk_rpc::{PullAnswer, PullEndReason, PullStep, v1};

use super::outbox::{Gone, Sender};
use super::{Shared, drained, malformed, unavailable};
use crate::engine::Registered;
use crate::hub::Subscription;
use crate::metrics::add;
use crate::rules::pull::{ProofError, Proved, SendWindow, check_proof};
use crate::rules::rate::Source;
use crate::store::Queued;
use crate::writer::Job;

/// Bytes of envelopes that one read takes from the store, about.
const CHUNK_BYTES: usize = 256 * 1024;

/// Why a stream ends.
enum End {
    /// In order.
    Ended(PullEndReason),
    /// With an error.
    Failed(Status),
    /// The client is gone, so nobody is told.
    Gone,
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

/// Serves a stream until it ends.
pub(super) async fn run(
    shared: Arc<Shared>,
    source: Option<Source>,
    inbound: Streaming<v1::PullRequest>,
    outbox: Sender<v1::PullResponse>,
) {
    let inbound = Inbound { messages: inbound, fault: None, closed: false };
    let mut stream = Serving { shared, source, inbound, outbox };
    match stream.serve().await {
        End::Ended(reason) => {
            // A client that does not take the end has gone without it.
            let _gone = stream.outbox.send(PullAnswer::End(reason).into(), None).await;
        }
        End::Failed(status) => stream.outbox.fail(status),
        End::Gone => {}
    }
}

struct Serving {
    shared: Arc<Shared>,
    source: Option<Source>,
    inbound: Inbound,
    outbox: Sender<v1::PullResponse>,
}

impl Serving {
    async fn serve(&mut self) -> End {
        match self.try_serve().await {
            Ok(reason) => End::Ended(reason),
            Err(end) => end,
        }
    }

    async fn try_serve(&mut self) -> Result<PullEndReason, End> {
        let mut drain = self.shared.drain.subscribe();
        let proved = tokio::select! {
            biased;
            () = drained(&mut drain) => return Ok(PullEndReason::Drain),
            proved = self.prove() => proved?,
        };
        let mailbox = proved.mailbox;
        let registered_until = self.register(proved).await?;
        add(&self.shared.metrics.pulls, 1);
        // First listened, then read: nothing falls between.
        // req: RLY-37
        let mut subscription = self.shared.hub.subscribe(mailbox);
        self.send(PullAnswer::Opened { registered_until }).await?;
        let mut window = SendWindow::new(self.shared.epoch);
        let age = sleep_until(Instant::now() + STREAM_LIFE_MAX);
        tokio::pin!(age);
        // Whether the store may hold what was not sent.
        let mut more = true;
        loop {
            let room = window.room();
            let sendable = more && room.0 > 0 && room.1 >= ENVELOPE_BYTES_MAX;
            let sending = Arc::clone(&self.shared.sending);
            tokio::select! {
                biased;
                () = drained(&mut drain) => return Ok(PullEndReason::Drain),
                () = &mut age => return Ok(PullEndReason::Age),
                changed = changed(&mut subscription) => match changed {
                    Changed::More => more = true,
                    Changed::Superseded => return Ok(PullEndReason::Superseded),
                },
                message = self.inbound.message() => match message {
                    Ok(Some(request)) => self.acknowledge(mailbox, &mut window, request).await?,
                    Ok(None) => return Ok(PullEndReason::Closed),
                    Err(status) => return Err(of_transport(status)),
                },
                () = self.outbox.closed() => return Err(End::Gone),
                permit = sending.acquire_many_owned(CHUNK_BYTES as u32), if sendable => {
                    let Ok(permit) = permit else { return Ok(PullEndReason::Drain) };
                    more = self.send_queued(mailbox, &mut window, permit).await?;
                }
            }
        }
    }

    /// Sends a challenge and takes one proof for it.
    async fn prove(&mut self) -> Result<Proved, End> {
        let now = self.shared.environment.clock.now().wall;
        // req: RLY-27
        let challenge = self.shared.environment.entropy.array();
        let epoch = self.shared.epoch;
        self.send(PullAnswer::Challenge { challenge, epoch, now }).await?;
        // req: RLY-28
        let message = timeout(PROOF_TIMEOUT, self.inbound.message()).await;
        let Ok(message) = message else {
            return Err(Status::deadline_exceeded("no proof came").into());
        };
        let Some(request) = message.map_err(of_transport)? else { return Err(End::Gone) };
        // req: RLY-29
        let PullStep::Proof(proof) = PullStep::try_from(request).map_err(malformed)? else {
            return Err(Status::invalid_argument("the first message is no proof").into());
        };
        let relay = self.shared.secret.public();
        let authorities = &self.shared.config.authorities;
        check_proof(&proof, &challenge, relay, authorities).map_err(|error| {
            add(&self.shared.metrics.proofs_refused, 1);
            let text = error.to_string();
            End::Failed(match error {
                ProofError::MalformedAuthority => Status::invalid_argument(text),
                ProofError::OtherAuthority => Status::failed_precondition(text),
                ProofError::Invalid => Status::unauthenticated(text),
            })
        })
    }

    /// Makes the registration durable.
    async fn register(&self, proved: Proved) -> Result<UnixMillis, End> {
        let Proved { mailbox, deposit_key } = proved;
        let shared = &self.shared;
        // Taken before it is known whether the mailbox is new: asking first would
        // let many ask at once.
        let admitted = shared.admit_mailbox(self.source);
        let registered = if admitted {
            shared.jobs.ask(|reply| Job::Register(mailbox, deposit_key, reply)).await
        } else {
            // Who is known is served whatever newcomers do.
            shared.jobs.ask(|reply| Job::Renew(mailbox, deposit_key, reply)).await
        };
        let registered = registered.map_err(unavailable)?;
        if admitted && !matches!(registered, Registered::New(_)) {
            shared.give_back_mailbox(self.source);
        }
        match registered {
            Registered::Again(until) | Registered::New(until) => Ok(until),
            // req: RLY-32, RLY-62
            Registered::NoPlace => {
                Err(Status::resource_exhausted("no more mailboxes are taken").into())
            }
        }
    }

    /// Makes an acknowledgement durable, and with it all that have come by now.
    async fn acknowledge(
        &mut self,
        mailbox: MailboxKey,
        window: &mut SendWindow,
        request: v1::PullRequest,
    ) -> Result<(), End> {
        let mut largest = None;
        let mut taken = take_ack(window, request, &mut largest);
        while taken.is_ok()
            && let Some(request) = self.inbound.arrived().await
        {
            taken = take_ack(window, request, &mut largest);
        }
        if let Some(up_to) = largest {
            let job = |reply| Job::Acknowledge(mailbox, up_to, reply);
            self.shared.jobs.ask(job).await.map_err(unavailable)?;
        }
        // What came before a mistake counts.
        Ok(taken?)
    }

    /// Sends what fits. Returns whether there may be more.
    async fn send_queued(
        &self,
        mailbox: MailboxKey,
        window: &mut SendWindow,
        mut permit: OwnedSemaphorePermit,
    ) -> Result<bool, End> {
        let (count, bytes) = window.room();
        let (after, bytes) = (window.last_sent(), bytes.min(CHUNK_BYTES));
        let read = self
            .shared
            .readers
            .read(move |reader| reader.queued(&mailbox, after, count, bytes))
            .await;
        let queued = read.map_err(unavailable)?;
        let more = !queued.is_empty();
        for Queued { seq, envelope } in queued {
            window.sent(seq, envelope.len());
            let room = permit.split(envelope.len());
            self.outbox.send(PullAnswer::Envelope { seq, envelope }.into(), room).await?;
            add(&self.shared.metrics.pulled, 1);
        }
        Ok(more)
    }

    async fn send(&self, answer: PullAnswer) -> Result<(), End> {
        Ok(self.outbox.send(answer.into(), None).await?)
    }
}

/// What the client sends.
struct Inbound {
    messages: Streaming<v1::PullRequest>,
    /// How its side ended, found while something else was done.
    fault: Option<Status>,
    closed: bool,
}

impl Inbound {
    /// The next message, if it is here already. An end is found again later.
    async fn arrived(&mut self) -> Option<v1::PullRequest> {
        std::future::poll_fn(|context| {
            Poll::Ready(match Pin::new(&mut self.messages).poll_next(context) {
                Poll::Ready(Some(Ok(request))) => Some(request),
                Poll::Ready(Some(Err(status))) => {
                    self.fault = Some(status);
                    None
                }
                Poll::Ready(None) => {
                    self.closed = true;
                    None
                }
                Poll::Pending => None,
            })
        })
        .await
    }

    /// The next message.
    async fn message(&mut self) -> Result<Option<v1::PullRequest>, Status> {
        match self.fault.take() {
            Some(status) => Err(status),
            None if self.closed => Ok(None),
            None => self.messages.message().await,
        }
    }
}

fn take_ack(
    window: &mut SendWindow,
    request: v1::PullRequest,
    largest: &mut Option<u64>,
) -> Result<(), Status> {
    let PullStep::Ack(ack) = PullStep::try_from(request).map_err(malformed)? else {
        return Err(Status::invalid_argument("a second proof"));
    };
    let released = window.ack(&ack).map_err(|error| Status::invalid_argument(error.to_string()))?;
    *largest = released.or(*largest);
    Ok(())
}

enum Changed {
    More,
    Superseded,
}

async fn changed(subscription: &mut Subscription) -> Changed {
    match subscription.changed().await {
        Ok(()) => Changed::More,
        Err(_) => Changed::Superseded,
    }
}

/// How a stream ends whose messages cannot be read.
fn of_transport(status: Status) -> End {
    match status.code() {
        tonic::Code::OutOfRange | tonic::Code::Internal | tonic::Code::InvalidArgument => {
            End::Failed(Status::invalid_argument("the message cannot be read"))
        }
        _ => End::Gone,
    }
}
