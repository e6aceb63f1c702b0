//! What a client does, in a few lines.

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};
use tortalk_keys::Signature;
use tortalk_keys::relay::Authority;
use tortalk_keys::relay_proof::pull::{self, PullClaim};
use tortalk_keys::relay_proof::receipt::{self, ReceiptClaim};
use tortalk_model::{Envelope, EnvelopeId, Epoch, RelayKey};
use tortalk_rpc::{
    AuthorityBytes, Deposit, DepositRefusal, EnvelopeBytes, PullAck, PullAnswer, PullEndReason,
    PullProof, PullStep, StampBytes, SyncAnswer, v1,
};

use super::{Client, Owner, PATIENCE, TestRelay};

/// An open stream of deposits.
pub(crate) struct SyncStream {
    pub(crate) requests: Option<mpsc::Sender<v1::SyncRequest>>,
    pub(crate) answers: Streaming<v1::SyncResponse>,
    relay: RelayKey,
}

impl SyncStream {
    pub(crate) async fn open(client: &mut Client, relay: RelayKey) -> Self {
        Self::try_open(client, relay).await.expect("a stream is taken")
    }

    pub(crate) async fn try_open(
        client: &mut Client,
        relay: RelayKey,
    ) -> Result<Self, tonic::Status> {
        let (requests, receiver) = mpsc::channel(1_024);
        let answers = client.sync(ReceiverStream::new(receiver)).await?.into_inner();
        Ok(Self { requests: Some(requests), answers, relay })
    }

    pub(crate) async fn send(&self, envelope: &Envelope, stamp: &[u8]) {
        self.send_raw(envelope.as_bytes(), stamp).await;
    }

    pub(crate) async fn send_raw(&self, envelope: &[u8], stamp: &[u8]) {
        let deposit = Deposit {
            stamp: StampBytes::try_from(stamp).expect("a short stamp"),
            envelope: EnvelopeBytes::try_from(envelope).expect("within the limit"),
        };
        self.send_message(deposit.into()).await;
    }

    pub(crate) async fn send_message(&self, request: v1::SyncRequest) {
        let requests = self.requests.as_ref().expect("not closed");
        // A stream that has ended says so in its answers.
        let _ended = requests.send(request).await;
    }

    /// The next answer, its receipt verified.
    pub(crate) async fn answer(&mut self) -> Result<Option<SyncAnswer>, tonic::Status> {
        let message =
            timeout(PATIENCE, self.answers.message()).await.expect("an answer in time")?;
        let Some(message) = message else { return Ok(None) };
        let answer = SyncAnswer::try_from(message).expect("a well-formed answer");
        if let Some(receipt) = &answer.receipt {
            let claim = ReceiptClaim {
                time: receipt.time,
                store_until: receipt.store_until,
                ids: &receipt.ids(),
            };
            let signature = Signature::from_bytes(receipt.signature);
            receipt::verify(&self.relay, &claim, &signature).expect("a receipt that verifies");
        }
        Ok(Some(answer))
    }

    /// Answers until so many envelopes are answered.
    pub(crate) async fn outcomes(&mut self, count: usize) -> Vec<(EnvelopeId, Said)> {
        let mut said = Vec::new();
        while said.len() < count {
            let answer = self.answer().await.expect("no error").expect("not the end");
            said.extend(said_in(&answer));
        }
        assert_eq!(said.len(), count);
        said
    }

    /// Ends this side.
    pub(crate) fn close(&mut self) {
        self.requests = None;
    }

    /// The status with which the relay ends the stream.
    pub(crate) async fn status(&mut self) -> Code {
        loop {
            match self.answer().await {
                Ok(Some(_)) => {}
                Ok(None) => return Code::Ok,
                Err(status) => return status.code(),
            }
        }
    }
}

/// What a relay said of one envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Stored,
    Duplicate,
    Refused(DepositRefusal),
}

pub(crate) fn said_in(answer: &SyncAnswer) -> Vec<(EnvelopeId, Said)> {
    let receipt = answer.receipt.iter();
    let stored = receipt.clone().flat_map(|r| &r.stored).map(|id| (*id, Said::Stored));
    let duplicates = receipt.flat_map(|r| &r.duplicates).map(|id| (*id, Said::Duplicate));
    let refused = answer.refusals.iter().map(|r| (r.id, Said::Refused(r.reason)));
    stored.chain(duplicates).chain(refused).collect()
}

/// Leaves envelopes, one after the other, and returns what was said.
pub(crate) async fn deposit(
    test: &TestRelay,
    items: &[(Envelope, Vec<u8>)],
) -> Vec<(EnvelopeId, Said)> {
    let mut client = test.client().await;
    let mut stream = SyncStream::open(&mut client, test.key).await;
    let mut said = Vec::new();
    for chunk in items.chunks(200) {
        for (envelope, stamp) in chunk {
            stream.send(envelope, stamp).await;
        }
        said.extend(stream.outcomes(chunk.len()).await);
    }
    stream.close();
    assert_eq!(stream.status().await, Code::Ok);
    said
}

/// An owner's open stream.
pub(crate) struct PullStream {
    pub(crate) requests: Option<mpsc::Sender<v1::PullRequest>>,
    answers: Streaming<v1::PullResponse>,
    pub(crate) epoch: Epoch,
    pub(crate) challenge: [u8; 32],
}

impl PullStream {
    /// Opens a stream and takes the challenge.
    pub(crate) async fn challenge(client: &mut Client) -> Result<Self, tonic::Status> {
        let (requests, receiver) = mpsc::channel(1_024);
        let answers = client.pull(ReceiverStream::new(receiver)).await?.into_inner();
        let epoch = Epoch::from_bytes([0; 16]);
        let mut stream = Self { requests: Some(requests), answers, epoch, challenge: [0; 32] };
        match stream.next().await? {
            PullAnswer::Challenge { challenge, epoch, .. } => {
                (stream.challenge, stream.epoch) = (challenge, epoch);
                Ok(stream)
            }
            other => panic!("{other:?} in place of a challenge"),
        }
    }

    /// Proves a mailbox on a new stream.
    pub(crate) async fn open(test: &TestRelay, client: &mut Client, owner: &Owner) -> Self {
        let mut stream = Self::challenge(client).await.expect("a stream is taken");
        let proof = proof(owner, test.key, &test.authority, stream.challenge);
        stream.send(PullStep::Proof(proof)).await;
        match stream.next().await.expect("the proof is good") {
            PullAnswer::Opened { .. } => stream,
            other => panic!("{other:?} in place of the opening"),
        }
    }

    pub(crate) async fn send(&self, step: PullStep) {
        let requests = self.requests.as_ref().expect("not closed");
        let _ended = requests.send(step.into()).await;
    }

    pub(crate) async fn ack(&self, up_to: u64) {
        self.send(PullStep::Ack(PullAck { epoch: self.epoch, up_to })).await;
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Result<PullAnswer, tonic::Status> {
        let message =
            timeout(PATIENCE, self.answers.message()).await.expect("a message in time")?;
        let message = message.ok_or_else(|| tonic::Status::ok("the end"))?;
        Ok(PullAnswer::try_from(message).expect("a well-formed message"))
    }

    /// So many envelopes, with their sequences.
    pub(crate) async fn envelopes(&mut self, count: usize) -> Vec<(u64, EnvelopeId)> {
        let mut found = Vec::new();
        while found.len() < count {
            match self.next().await.expect("no error") {
                PullAnswer::Envelope { seq, envelope } => {
                    found.push((seq, Envelope::id_of(&envelope)));
                }
                other => panic!("{other:?} in place of an envelope"),
            }
        }
        found
    }

    /// Ends this side, and returns what came before the end and the reason.
    pub(crate) async fn close(mut self) -> (Vec<(u64, EnvelopeId)>, PullEndReason) {
        self.requests = None;
        self.end().await.expect("an end in order")
    }

    /// What came before the end, and the reason for it.
    pub(crate) async fn end(
        &mut self,
    ) -> Result<(Vec<(u64, EnvelopeId)>, PullEndReason), tonic::Status> {
        let mut found = Vec::new();
        loop {
            match self.next().await? {
                PullAnswer::Envelope { seq, envelope } => {
                    found.push((seq, Envelope::id_of(&envelope)));
                }
                PullAnswer::End(reason) => return Ok((found, reason)),
                other => panic!("{other:?} in the middle of a stream"),
            }
        }
    }
}

pub(crate) fn proof(
    owner: &Owner,
    relay: RelayKey,
    authority: &Authority,
    challenge: [u8; 32],
) -> PullProof {
    let claim = PullClaim {
        relay,
        authority,
        challenge: &challenge,
        client_nonce: &[9; 32],
        mailbox: owner.mailbox(),
        consumer: [0; 8],
        deposit_key: Some(&owner.deposit_key),
    };
    PullProof {
        mailbox: claim.mailbox,
        client_nonce: *claim.client_nonce,
        authority: AuthorityBytes::try_from(authority.to_bytes()).expect("within the limit"),
        consumer: claim.consumer,
        deposit_key: Some(owner.deposit_key),
        signature: *pull::sign(&owner.secret, &claim).as_bytes(),
    }
}

/// Registers a mailbox.
pub(crate) async fn register(test: &TestRelay, owner: &Owner) {
    let mut client = test.client().await;
    let stream = PullStream::open(test, &mut client, owner).await;
    assert_eq!(stream.close().await, (Vec::new(), PullEndReason::Closed));
}

/// Fetches everything that is held, acknowledges it, and closes.
pub(crate) async fn fetch(test: &TestRelay, owner: &Owner, count: usize) -> Vec<(u64, EnvelopeId)> {
    let mut client = test.client().await;
    let mut stream = PullStream::open(test, &mut client, owner).await;
    let mut found = Vec::new();
    while found.len() < count {
        found.extend(stream.envelopes((count - found.len()).min(64)).await);
        stream.ack(found.last().expect("at least one").0).await;
    }
    let (more, reason) = stream.close().await;
    assert_eq!(reason, PullEndReason::Closed);
    assert_eq!(more, Vec::new(), "more than was expected");
    found
}
