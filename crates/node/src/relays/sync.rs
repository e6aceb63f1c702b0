//! The stream of deposits.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tortalk_mesh::relay::{DepositRefusal, RelayDown, RelayInput, StorageReceipt};
use tortalk_model::limits::relay::{WINDOW_BYTES_MAX, WINDOW_MAX};
use tortalk_model::{Envelope, EnvelopeId};
use tortalk_rpc::{Deposit, SyncAnswer, v1};

use super::Reporter;
use super::fault::{Fault, malformed, of_status};
use super::open::Client;

pub(super) struct SyncTask {
    pub(super) client: Client,
    pub(super) reporter: Reporter,
    pub(super) deposits: mpsc::Receiver<Deposit>,
}

impl SyncTask {
    /// Runs until the other end of `deposits` is dropped and all is answered.
    /// Everything else is the end of the connection. How long a deposit may stay
    /// unanswered is the machine's to say (RLC-28).
    pub(super) async fn run(mut self) -> Result<(), Fault> {
        let (requests, outgoing) = mpsc::channel(WINDOW_MAX);
        let mut requests = Some(requests);
        let mut answers = Answers::open(self.client.clone(), outgoing);
        let mut window = Window::default();
        loop {
            if requests.is_none() && window.count == 0 {
                return Ok(());
            }
            tokio::select! {
                biased;
                answer = answers.next() => {
                    let answer = match answer {
                        Ok(Some(answer)) => SyncAnswer::try_from(answer).map_err(malformed)?,
                        // The relay stops.
                        Ok(None) => return Err(RelayDown::Unreachable.into()),
                        Err(status) => return Err(of_status(&status).into()),
                    };
                    window.answered(&answer);
                    self.report(answer).await?;
                }
                deposit = self.deposits.recv(), if requests.is_some() && window.has_room() => {
                    match (deposit, &requests) {
                        (Some(deposit), Some(requests)) => {
                            window.sent(&deposit);
                            // There is a place for each of a window; a stream that
                            // has ended says so in its answers.
                            let _ended = requests.try_send(v1::SyncRequest::from(deposit));
                        }
                        _ => requests = None,
                    }
                }
            }
        }
    }

    async fn report(&self, answer: SyncAnswer) -> Result<(), Fault> {
        let relay = self.reporter.relay;
        if let Some(receipt) = answer.receipt {
            let receipt = StorageReceipt {
                time: receipt.time,
                store_until: receipt.store_until,
                ids: receipt.ids(),
                signature: receipt.signature,
            };
            self.reporter.tell(RelayInput::Stored { relay, receipt }).await?;
        }
        for refusal in answer.refusals {
            let refused = RelayInput::Refused {
                relay,
                envelope_id: refusal.id,
                reason: reason(refusal.reason),
                retry_after_s: refusal.retry_after_s,
                now: answer.now,
            };
            self.reporter.tell(refused).await?;
        }
        Ok(())
    }
}

const fn reason(reason: tortalk_rpc::DepositRefusal) -> DepositRefusal {
    use tortalk_rpc::DepositRefusal as R;
    match reason {
        R::Malformed => DepositRefusal::Malformed,
        R::Expiry => DepositRefusal::Expiry,
        R::Busy => DepositRefusal::Busy,
        R::NoRoom => DepositRefusal::NoRoom,
        R::Full => DepositRefusal::Full,
    }
}

type Opening = Pin<Box<dyn Future<Output = Result<Streaming<v1::SyncResponse>, Status>> + Send>>;

/// What the relay answers. It may open its side only with the first answer, so
/// deposits do not wait for that.
enum Answers {
    Opening(Opening),
    Open(Box<Streaming<v1::SyncResponse>>),
}

impl Answers {
    fn open(mut client: Client, outgoing: mpsc::Receiver<v1::SyncRequest>) -> Self {
        Self::Opening(Box::pin(async move {
            Ok(client.sync(ReceiverStream::new(outgoing)).await?.into_inner())
        }))
    }

    /// The next answer. Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Result<Option<v1::SyncResponse>, Status> {
        if let Self::Opening(opening) = self {
            *self = Self::Open(Box::new(opening.await?));
        }
        match self {
            Self::Open(answers) => answers.message().await,
            Self::Opening(_) => Ok(None),
        }
    }
}

/// What was sent and not answered.
#[derive(Default)]
struct Window {
    open: BTreeMap<EnvelopeId, Unanswered>,
    count: usize,
    bytes: usize,
}

/// Copies of one envelope, and the length of one.
struct Unanswered {
    copies: usize,
    len: usize,
}

impl Window {
    const fn has_room(&self) -> bool {
        self.count < WINDOW_MAX && self.bytes < WINDOW_BYTES_MAX
    }

    fn sent(&mut self, deposit: &Deposit) {
        let (id, len) = (Envelope::id_of(&deposit.envelope), deposit.envelope.len());
        self.open.entry(id).or_insert(Unanswered { copies: 0, len }).copies += 1;
        self.count += 1;
        self.bytes += len;
    }

    /// Takes off what is answered. What was not sent, or is answered already, is passed
    /// over here as the machine does it (RLY-26): it proves nothing and costs nothing.
    fn answered(&mut self, answer: &SyncAnswer) {
        let receipt = answer.receipt.iter();
        let stored = receipt.flat_map(|receipt| receipt.stored.iter().chain(&receipt.duplicates));
        let refused = answer.refusals.iter().map(|refusal| &refusal.id);
        for id in stored.chain(refused) {
            let Entry::Occupied(mut unanswered) = self.open.entry(*id) else { continue };
            unanswered.get_mut().copies -= 1;
            self.count -= 1;
            self.bytes -= unanswered.get().len;
            if unanswered.get().copies == 0 {
                unanswered.remove();
            }
        }
    }
}
