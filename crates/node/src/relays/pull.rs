//! The stream of one mailbox of ours.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{timeout, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tortalk_keys::relay::Authority;
use tortalk_mesh::relay::{PullEnd, PullProof, RelayDown, RelayInput};
use tortalk_model::limits::relay::{WINDOW_BYTES_MAX, WINDOW_MAX};
use tortalk_model::{Epoch, MailboxKey};
use tortalk_rpc::{AuthorityBytes, PullAck, PullAnswer, PullEndReason, PullStep, v1};

use super::fault::{Fault, malformed, of_status};
use super::open::Client;
use super::waits::Waits;
use super::{Reporter, Times};

/// The connection's end of a stream. Dropping it ends the stream, and nothing
/// more is reported of it.
pub(super) struct PullHandle {
    proof: mpsc::Sender<PullProof>,
    acks: watch::Sender<u64>,
}

/// The stream's end.
pub(super) struct PullOrders {
    proof: mpsc::Receiver<PullProof>,
    acks: watch::Receiver<u64>,
}

impl PullHandle {
    pub(super) fn new() -> (Self, PullOrders) {
        let (proof, proof_receiver) = mpsc::channel(1);
        let (acks, acks_receiver) = watch::channel(0);
        (Self { proof, acks }, PullOrders { proof: proof_receiver, acks: acks_receiver })
    }

    pub(super) fn prove(&self, proof: PullProof) {
        // A second one for the same challenge is worth nothing.
        let _one_is_enough = self.proof.try_send(proof);
    }

    pub(super) fn ack(&self, up_to: u64) {
        self.acks.send_if_modified(|last| {
            let more = up_to > *last;
            *last = up_to.max(*last);
            more
        });
    }

    pub(super) fn has_ended(&self) -> bool {
        self.acks.is_closed()
    }
}

pub(super) struct PullTask {
    pub(super) client: Client,
    pub(super) reporter: Reporter,
    pub(super) authority: Authority,
    pub(super) mailbox: MailboxKey,
    pub(super) orders: PullOrders,
    pub(super) times: Times,
}

/// What ends a stream.
enum End {
    /// From this side.
    Ours,
    Theirs(PullEnd),
    /// It did not begin: the relay is asked too often, or has too many streams.
    Busy,
}

struct Open {
    requests: mpsc::Sender<v1::PullRequest>,
    answers: Streaming<v1::PullResponse>,
}

impl PullTask {
    /// Opens the stream after a wait and sees it to its end.
    pub(super) async fn run(mut self, mut wait: Duration) -> Result<(), Fault> {
        let mut waits = Waits::new(&self.times);
        let end = loop {
            let unwanted = self.orders.acks.wait_for(|_| false);
            if timeout(wait, unwanted).await.is_ok() {
                return Ok(());
            }
            match self.open().await? {
                Ok((open, epoch)) => break self.read(open, epoch).await?,
                // Mail may wait: what did not begin is no stream that ended young.
                // req: RLC-27
                Err(End::Busy) => wait = waits.draw(),
                Err(end) => break end,
            }
        };
        match end {
            End::Ours | End::Busy => Ok(()),
            End::Theirs(why) => {
                let (relay, mailbox) = (self.reporter.relay, self.mailbox);
                let ended = RelayInput::PullEnded { relay, mailbox, why };
                // A stream that is not wanted any more has nothing to say.
                if self.orders.acks.has_changed().is_ok() {
                    self.reporter.tell(ended).await?;
                }
                Ok(())
            }
        }
    }

    /// The challenge, the proof and what the relay says to it.
    async fn open(&mut self) -> Result<Result<(Open, Epoch), End>, Fault> {
        let (relay, mailbox) = (self.reporter.relay, self.mailbox);
        let (requests, outgoing) = mpsc::channel(2);
        let opening = timeout(self.times.call, self.client.pull(ReceiverStream::new(outgoing)));
        let answers = match opening.await.map_err(|_| RelayDown::Unreachable)? {
            Ok(answers) => answers.into_inner(),
            Err(status) if status.code() == Code::ResourceExhausted => {
                return Ok(Err(End::Busy));
            }
            Err(status) => return Err(of_status(&status).into()),
        };
        let mut open = Open { requests, answers };
        let (challenge, epoch) = match self.answer(&mut open).await? {
            Ok(PullAnswer::Challenge { challenge, epoch, .. }) => (challenge, epoch),
            Ok(_) => return Err(RelayDown::Protocol.into()),
            Err(status) => return Ok(Err(End::Theirs(end_of(&status)?))),
        };
        self.reporter.tell(RelayInput::Challenged { relay, mailbox, challenge }).await?;
        let Some(proof) = self.orders.proof.recv().await else { return Ok(Err(End::Ours)) };
        // A stream that has ended says so in its answers.
        let _ended = open.requests.send(self.proof(proof)).await;
        match self.answer(&mut open).await? {
            Ok(PullAnswer::Opened { registered_until }) => {
                let opened = RelayInput::PullOpened { relay, mailbox, registered_until };
                self.reporter.tell(opened).await?;
                Ok(Ok((open, epoch)))
            }
            Ok(PullAnswer::End(reason)) => Ok(Err(End::Theirs(end_for(reason)?))),
            Ok(_) => Err(RelayDown::Protocol.into()),
            Err(status) if status.code() == Code::ResourceExhausted => {
                Ok(Err(End::Theirs(PullEnd::NoPlace)))
            }
            Err(status) => Ok(Err(End::Theirs(end_of(&status)?))),
        }
    }

    fn proof(&self, proof: PullProof) -> v1::PullRequest {
        let authority = AuthorityBytes::try_from(self.authority.to_bytes());
        let proof = tortalk_rpc::PullProof {
            mailbox: proof.mailbox,
            client_nonce: proof.client_nonce,
            authority: authority.expect("an authority's length"),
            consumer: proof.consumer,
            deposit_key: proof.deposit_key,
            signature: proof.signature,
        };
        PullStep::Proof(proof).into()
    }

    /// An answer that has to come now.
    async fn answer(&self, open: &mut Open) -> Result<Result<PullAnswer, Status>, Fault> {
        let message = timeout(self.times.call, open.answers.message()).await;
        match message.map_err(|_| RelayDown::Unreachable)? {
            Ok(Some(message)) => Ok(Ok(PullAnswer::try_from(message).map_err(malformed)?)),
            Ok(None) => Ok(Ok(PullAnswer::End(PullEndReason::Unspecified))),
            Err(status) => Ok(Err(status)),
        }
    }

    /// Envelopes one way, acknowledgements the other. Nothing is read while the
    /// engine has no room.
    async fn read(&mut self, open: Open, epoch: Epoch) -> Result<End, Fault> {
        let Open { requests, mut answers } = open;
        let mut window = Window::default();
        let mut acked = 0;
        loop {
            let ack = (*self.orders.acks.borrow_and_update()).min(window.last);
            window.acked(ack);
            tokio::select! {
                biased;
                permit = requests.reserve(), if ack > acked => {
                    // A stream that has ended says so in its answers.
                    if let Ok(permit) = permit {
                        permit.send(PullStep::Ack(PullAck { epoch, up_to: ack }).into());
                    }
                    acked = ack;
                }
                changed = self.orders.acks.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
                message = answers.message() => match message {
                    Ok(Some(message)) => match PullAnswer::try_from(message).map_err(malformed)? {
                        PullAnswer::Envelope { seq, envelope } => {
                            let envelope = envelope.into_vec();
                            window.came(seq, envelope.len())?;
                            let (relay, mailbox) = (self.reporter.relay, self.mailbox);
                            let pulled = RelayInput::Pulled { relay, mailbox, seq, envelope };
                            self.reporter.tell(pulled).await?;
                        }
                        PullAnswer::End(reason) => return Ok(End::Theirs(end_for(reason)?)),
                        _ => return Err(RelayDown::Protocol.into()),
                    },
                    Ok(None) => return Ok(End::Theirs(PullEnd::Again)),
                    Err(status) => return Ok(End::Theirs(end_of(&status)?)),
                },
            }
        }
        let last = (*self.orders.acks.borrow()).min(window.last);
        let ack = (last > acked).then_some(PullAck { epoch, up_to: last });
        self.close(requests, answers, ack).await;
        Ok(End::Ours)
    }

    /// Ends this side and waits until the relay has ended its own: what was
    /// acknowledged counts then. Envelopes that still come will come again.
    async fn close(
        &self,
        requests: mpsc::Sender<v1::PullRequest>,
        mut answers: Streaming<v1::PullResponse>,
        ack: Option<PullAck>,
    ) {
        let until = tokio::time::Instant::now() + self.times.goodbye;
        if let Some(ack) = ack {
            let _ended = timeout_at(until, requests.send(PullStep::Ack(ack).into())).await;
        }
        drop(requests);
        while let Ok(Ok(Some(_))) = timeout_at(until, answers.message()).await {}
    }
}

/// What the relay's reason means for whoever wants the mailbox.
fn end_for(reason: PullEndReason) -> Result<PullEnd, Fault> {
    match reason {
        PullEndReason::Superseded => Ok(PullEnd::Superseded),
        // It stops: everything of the connection is over.
        PullEndReason::Drain => Err(RelayDown::Unreachable.into()),
        PullEndReason::Unspecified | PullEndReason::Closed | PullEndReason::Age => {
            Ok(PullEnd::Again)
        }
    }
}

/// What it means that a stream ended with a fault: its own, or the connection's.
fn end_of(status: &Status) -> Result<PullEnd, Fault> {
    match status.code() {
        // Too slow; or a proof for a challenge of another stream.
        Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Unauthenticated
        | Code::InvalidArgument => Ok(PullEnd::Again),
        _ => Err(of_status(status).into()),
    }
}

/// What came and was not acknowledged.
#[derive(Default)]
struct Window {
    unacked: VecDeque<(u64, usize)>,
    bytes: usize,
    last: u64,
}

impl Window {
    /// A relay holds to ascending sequences and to its window.
    fn came(&mut self, seq: u64, len: usize) -> Result<(), Fault> {
        self.unacked.push_back((seq, len));
        self.bytes += len;
        let overfull = self.unacked.len() > WINDOW_MAX || self.bytes > WINDOW_BYTES_MAX;
        if seq <= self.last || overfull {
            return Err(RelayDown::Protocol.into());
        }
        self.last = seq;
        Ok(())
    }

    fn acked(&mut self, up_to: u64) {
        while let Some(&(seq, len)) = self.unacked.front()
            && seq <= up_to
        {
            self.unacked.pop_front();
            self.bytes -= len;
        }
    }
}
