//! The calls of a served relay (`spec/relay.md`).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Call, Deposits, InfoLie, Shared};
use crate::stack::crypto::{blake2b_256, public, sign};
use crate::stack::envelope::{HOUR_MS, envelope_id};
use crate::stack::relay::{Info, PullProof, receipt_bytes};
use crate::stack::v1::relay_service_server::RelayService;
use crate::stack::v1::{self, pull_request, pull_response, storage_receipt};

/// Shares everything with the value that the case holds.
#[derive(Debug, Clone)]
pub(super) struct Service(pub(super) Arc<Shared>);

impl Service {
    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        now.saturating_add_signed(self.0.state().manner.ahead)
    }

    fn fate(&self, id: [u8; 32]) -> Option<v1::SyncResponse> {
        let deposits = self.0.state().manner.deposits;
        let now = self.now();
        match deposits {
            Deposits::Silent => None,
            Deposits::Refuse(reason, retry_after_s) => {
                let reason = reason as i32;
                let refusal = v1::Refusal { id: id.to_vec(), reason, retry_after_s };
                Some(v1::SyncResponse { now, receipt: None, refusals: vec![refusal] })
            }
            Deposits::Store | Deposits::OtherSigner | Deposits::OtherEnvelope => {
                let store_until = now + 14 * 24 * HOUR_MS;
                let signer = match deposits {
                    Deposits::OtherSigner => blake2b_256(&[&self.0.seed]),
                    _ => self.0.seed,
                };
                let id = match deposits {
                    Deposits::OtherEnvelope => blake2b_256(&[&id]),
                    _ => id,
                };
                let bytes = receipt_bytes(&public(&self.0.seed), now, store_until, &id);
                let list = v1::ReceiptList {
                    time: now,
                    store_until,
                    stored: id.to_vec(),
                    duplicates: Vec::new(),
                    signature: sign(&signer, "sign/relay-receipt", &[&bytes]).to_vec(),
                };
                let form = Some(storage_receipt::Form::List(list));
                let receipt = Some(v1::StorageReceipt { form });
                Some(v1::SyncResponse { now, receipt, refusals: Vec::new() })
            }
        }
    }

    /// One stream of an owner; it ends with the channel.
    async fn pulling(
        self,
        mut requests: Streaming<v1::PullRequest>,
        answers: mpsc::Sender<Result<v1::PullResponse, Status>>,
    ) -> Option<()> {
        let say = |step| {
            let answer = v1::PullResponse { step: Some(step) };
            let answers = answers.clone();
            async move { answers.send(Ok(answer)).await.ok() }
        };
        let shared = &self.0;
        let count = shared.state().calls.len() as u64;
        let challenge = blake2b_256(&[&shared.seed, &count.to_be_bytes()]);
        let epoch = shared.epoch.to_vec();
        let first = v1::PullChallenge { challenge: challenge.to_vec(), epoch, now: self.now() };
        say(pull_response::Step::Challenge(first)).await?;
        let request = requests.message().await.ok()??;
        let Some(pull_request::Step::Proof(proof)) = request.step else { return None };
        shared.add(Call::Proof(proof.clone()), &proof.encode_to_vec());
        let mailbox: [u8; 32] = proof.mailbox.as_slice().try_into().ok()?;
        let deposit_key = (!proof.deposit_key.is_empty()).then_some(proof.deposit_key.as_slice());
        let claim = PullProof {
            relay: &public(&shared.seed),
            authority: &proof.authority,
            challenge: &challenge,
            client_nonce: &proof.client_nonce,
            mailbox: &mailbox,
            consumer: &proof.consumer,
            deposit_key,
        };
        let signature = proof.signature.as_slice().try_into().ok()?;
        if claim.verify(signature).is_err() {
            let wrong = Status::unauthenticated("the proof does not verify");
            return answers.send(Err(wrong)).await.ok();
        }
        self.when(|state| state.manner.opens.then_some(())).await;
        let registered_until = self.now() + 60 * 24 * HOUR_MS;
        say(pull_response::Step::Opened(v1::PullOpened { registered_until })).await?;
        let ends = shared.state().manner.ends;
        if let Some(reason) = ends {
            let reason = reason as i32;
            return say(pull_response::Step::End(v1::PullEnd { reason })).await;
        }
        let mut sent = 0;
        loop {
            let next = self.when(|state| {
                let queue = state.queues.get(mailbox.as_slice())?;
                queue.iter().find(|(seq, _)| *seq > sent).cloned()
            });
            tokio::select! {
                request = requests.message() => {
                    let request = request.ok()??;
                    let Some(pull_request::Step::Ack(ack)) = request.step else { return None };
                    let bytes = ack.encode_to_vec();
                    let call = Call::PullAck { mailbox: mailbox.to_vec(), up_to: ack.up_to };
                    shared.add(call, &bytes);
                }
                (seq, envelope) = next => {
                    sent = seq;
                    let envelope = v1::PullEnvelope { seq, envelope };
                    say(pull_response::Step::Envelope(envelope)).await?;
                }
            }
        }
    }

    /// Waits until the state has something.
    async fn when<T>(&self, look: impl Fn(&super::State) -> Option<T>) -> T {
        loop {
            let more = self.0.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if let Some(found) = look(&self.0.state()) {
                return found;
            }
            more.await;
        }
    }
}

#[tonic::async_trait]
impl RelayService for Service {
    type SyncStream = ReceiverStream<Result<v1::SyncResponse, Status>>;
    type PullStream = ReceiverStream<Result<v1::PullResponse, Status>>;

    async fn get_info(
        &self,
        request: Request<v1::GetInfoRequest>,
    ) -> Result<Response<v1::GetInfoResponse>, Status> {
        let request = request.into_inner();
        self.0.add(Call::Info, &request.encode_to_vec());
        let lie = self.0.state().manner.lie;
        let version = if lie == Some(InfoLie::OtherVersion) { 9 } else { 1 };
        let other = blake2b_256(&[&self.0.seed]);
        let mut signed_for = request.clone();
        match lie {
            Some(InfoLie::OtherNonce) => signed_for.nonce = vec![7; 32],
            Some(InfoLie::OtherAuthority) => signed_for.authority[1] ^= 1,
            _ => {}
        }
        let (mut key, mut signer) = (public(&self.0.seed), self.0.seed);
        match lie {
            Some(InfoLie::OtherKey) => (key, signer) = (public(&other), other),
            Some(InfoLie::OtherSigner) => signer = other,
            _ => {}
        }
        let (now, epoch) = (self.now(), &self.0.epoch);
        let info = Info {
            nonce: &signed_for.nonce,
            authority: &signed_for.authority,
            now,
            epoch,
            versions: &[version],
            onion: None,
        };
        Ok(Response::new(v1::GetInfoResponse {
            relay_key: key.to_vec(),
            now,
            epoch: epoch.to_vec(),
            versions: vec![version.into()],
            onion: Vec::new(),
            onion_port: 0,
            signature: sign(&signer, "sign/relay-info", &[&info.bytes()]).to_vec(),
            authorities: vec![request.authority],
            limits: Some(v1::RelayLimits {
                mailbox_bytes: 32 << 20,
                stranger_bytes: 4 << 20,
                stranger_envelopes: 64,
                expiry_ahead_s: 15 * 24 * 3600,
                registration_s: 60 * 24 * 3600,
            }),
        }))
    }

    async fn sync(
        &self,
        request: Request<Streaming<v1::SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let (answers, stream) = mpsc::channel(64);
        let (service, mut requests) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let id = envelope_id(&request.envelope);
                service.0.add(Call::Deposit { id, request: request.clone() }, &request.envelope);
                if let Some(answer) = service.fate(id)
                    && answers.send(Ok(answer)).await.is_err()
                {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn pull(
        &self,
        request: Request<Streaming<v1::PullRequest>>,
    ) -> Result<Response<Self::PullStream>, Status> {
        self.0.add(Call::Pull, &[]);
        let (answers, stream) = mpsc::channel(64);
        tokio::spawn(self.clone().pulling(request.into_inner(), answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn purge(
        &self,
        request: Request<v1::PurgeRequest>,
    ) -> Result<Response<v1::PurgeResponse>, Status> {
        let request = request.into_inner();
        self.0.add(Call::Purge(request.keys.clone()), &request.encode_to_vec());
        Ok(Response::new(v1::PurgeResponse {}))
    }

    async fn put_card(
        &self,
        request: Request<v1::PutCardRequest>,
    ) -> Result<Response<v1::PutCardResponse>, Status> {
        let request = request.into_inner();
        let newer = self.0.state().manner.newer_card.filter(|seq| *seq >= request.seq);
        self.0.add(Call::PutCard(request.clone()), &request.encode_to_vec());
        let (result, seq) = match newer {
            Some(seq) => (v1::PutCardResult::Old, seq),
            None => (v1::PutCardResult::Stored, request.seq),
        };
        Ok(Response::new(v1::PutCardResponse { result: result as i32, seq }))
    }

    async fn get_card(
        &self,
        request: Request<v1::GetCardRequest>,
    ) -> Result<Response<v1::GetCardResponse>, Status> {
        let mailbox = request.into_inner().mailbox;
        self.0.add(Call::GetCard(mailbox.clone()), &mailbox);
        let found = self.0.state().drops.get(&mailbox).cloned();
        found.map(Response::new).ok_or_else(|| Status::not_found("no card"))
    }
}
