//! Calls of one answer: cards and purging.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use tortalk_mesh::relay::{CardDrop, CardPutResult, RelayDown, RelayInput};
use tortalk_model::{MailboxKey, PurgeKey};
use tortalk_rpc::{CardBlob, PurgeKeys, PutCard, PutCardAnswer, PutCardResult, v1};

use super::fault::{Fault, malformed, of_status};
use super::open::Client;
use super::waits::Waits;
use super::{Reporter, Times};

/// How often a call is made that the relay has no time for.
const TRIES: u32 = 5;

pub(super) enum Call {
    PutCard(MailboxKey, CardDrop),
    GetCard(MailboxKey),
    Purge(Vec<PurgeKey>),
}

pub(super) struct Calls {
    pub(super) client: Client,
    pub(super) reporter: Reporter,
    /// One for each call that may be open.
    pub(super) turns: Arc<Semaphore>,
    pub(super) times: Times,
}

impl Calls {
    /// Makes a call when it is its turn, and tells what came of it.
    pub(super) async fn run(self, call: Call) -> Result<(), Fault> {
        let turns = Arc::clone(&self.turns);
        let Ok(_turn) = turns.acquire().await else { return Ok(()) };
        match call {
            Call::PutCard(mailbox, drop) => self.put_card(mailbox, drop).await,
            Call::GetCard(mailbox) => self.get_card(mailbox).await,
            Call::Purge(keys) => self.purge(keys).await,
        }
    }

    async fn put_card(&self, mailbox: MailboxKey, drop: CardDrop) -> Result<(), Fault> {
        let Ok(blob) = CardBlob::try_from(drop.blob) else { return Ok(()) };
        let CardDrop { seq, signature, .. } = drop;
        let put = PutCard { mailbox, card: tortalk_rpc::CardDrop { seq, blob, signature } };
        let request = v1::PutCardRequest::from(put);
        let answer = self
            .make(|mut client| {
                let request = request.clone();
                async move { client.put_card(request).await }
            })
            .await?
            .map_err(|status| of_status(&status))?;
        let answer = PutCardAnswer::try_from(answer).map_err(malformed)?;
        let result = match answer.result {
            PutCardResult::Stored => CardPutResult::Stored,
            PutCardResult::Old => CardPutResult::Old { seq: answer.seq },
            PutCardResult::Unregistered => CardPutResult::Unregistered,
        };
        let relay = self.reporter.relay;
        Ok(self.reporter.tell(RelayInput::CardPut { relay, mailbox, result }).await?)
    }

    async fn get_card(&self, mailbox: MailboxKey) -> Result<(), Fault> {
        let request = v1::GetCardRequest { mailbox: mailbox.as_bytes().to_vec() };
        let answer = self
            .make(|mut client| {
                let request = request.clone();
                async move { client.get_card(request).await }
            })
            .await?;
        let drop = match answer {
            Ok(answer) => {
                let found = tortalk_rpc::CardDrop::try_from(answer).map_err(malformed)?;
                let tortalk_rpc::CardDrop { seq, blob, signature } = found;
                Some(CardDrop { seq, blob: blob.into_vec(), signature })
            }
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(of_status(&status).into()),
        };
        let relay = self.reporter.relay;
        Ok(self.reporter.tell(RelayInput::CardFound { relay, mailbox, drop }).await?)
    }

    async fn purge(&self, keys: Vec<PurgeKey>) -> Result<(), Fault> {
        let Ok(keys) = PurgeKeys::new(keys) else { return Ok(()) };
        let request = v1::PurgeRequest::from(keys);
        self.make(|mut client| {
            let request = request.clone();
            async move { client.purge(request).await }
        })
        .await?
        .map(|_| ())
        .map_err(|status| of_status(&status).into())
    }

    /// Makes a call, again after a wait while the relay is asked too often.
    async fn make<T, F>(&self, call: impl Fn(Client) -> F) -> Result<Result<T, Status>, Fault>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let mut waits = Waits::new(&self.times);
        for _ in 1..TRIES {
            match self.make_once(&call).await? {
                Err(status) if status.code() == Code::ResourceExhausted => {}
                answer => return Ok(answer),
            }
            sleep(waits.draw()).await;
        }
        self.make_once(&call).await
    }

    async fn make_once<T, F>(&self, call: impl Fn(Client) -> F) -> Result<Result<T, Status>, Fault>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let answer = timeout(self.times.call, call(self.client.clone())).await;
        let answer = answer.map_err(|_| RelayDown::Unreachable)?;
        Ok(answer.map(tonic::Response::into_inner))
    }
}
