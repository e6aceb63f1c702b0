//! Plays owners and depositors towards a relay (`spec/relay.md`).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use crate::case::Ctx;
use crate::peer::Direction;
use crate::runner::PLACE;
use crate::stack::crypto::{Rng, public};
use crate::stack::envelope::{Envelope, HOUR_MS, purge_hash};
use crate::stack::relay::{Authority, Info, PullProof, verify_receipt};
use crate::stack::v1::relay_service_client::RelayServiceClient;
use crate::stack::v1::{self, pull_request, pull_response};
use crate::verdict::Verdict;

static UNPACED: AtomicBool = AtomicBool::new(false);

/// From now on [`pace`] waits no more: null targets have no rates.
pub fn unpaced() {
    UNPACED.store(true, Ordering::Relaxed);
}

/// Addresses of loopback from which the suite calls in turn, so that it need not wait for the
/// rate of one (RLY-61). Attackers have others.
const SOURCES: std::ops::Range<u8> = 20..26;

/// Where the next client calls from; any address where the target is not on loopback, or
/// the system has but one there.
fn next_source(target: SocketAddr) -> Option<IpAddr> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let at = NEXT.fetch_add(1, Ordering::Relaxed) % SOURCES.len();
    let source = IpAddr::V4(Ipv4Addr::new(127, 0, 0, SOURCES.start + at as u8));
    let usable = target.ip() == Ipv4Addr::LOCALHOST && UdpSocket::bind((source, 0)).is_ok();
    usable.then_some(source)
}

/// Keeps the suite's calls of one address below the rate for one (RLY-61): 48 at once, and
/// one in 70 ms after that.
pub async fn pace(client: &Client) {
    const EACH: Duration = Duration::from_millis(70);
    const AT_ONCE: u32 = 48;
    /// When all calls so far to a target from an address would be made, one in 70 ms.
    static MADE: Mutex<BTreeMap<(usize, Option<IpAddr>), Instant>> = Mutex::new(BTreeMap::new());
    if UNPACED.load(Ordering::Relaxed) {
        return;
    }
    let wait = {
        let now = Instant::now();
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (PLACE.try_with(|place| *place).unwrap_or_default(), client.source);
        let made = made.entry(of).or_insert(now);
        let next = now.max(*made) + EACH;
        *made = next;
        next.saturating_duration_since(now + EACH * AT_ONCE)
    };
    tokio::time::sleep(wait).await;
}

/// What became of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// In a receipt that verifies, as new.
    Stored,
    /// In a receipt that verifies, as known.
    Duplicate,
    /// Refused; the number of the reason.
    Refused(i32),
}

/// The owner of a mailbox.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Of the mailbox key.
    pub seed: [u8; 32],
    /// Makes stamps.
    pub deposit_key: [u8; 32],
}

impl Owner {
    /// Somebody new.
    pub fn new(rng: &mut Rng) -> Self {
        Self { seed: rng.array(), deposit_key: rng.array() }
    }

    /// The mailbox key.
    #[must_use]
    pub fn mailbox(&self) -> [u8; 32] {
        public(&self.seed)
    }

    /// An envelope for the mailbox that nobody can open, with its purge key.
    pub fn envelope(&self, now: u64, rng: &mut Rng) -> (Envelope, [u8; 32]) {
        let purge_key = rng.array();
        let envelope = Envelope {
            layout: 1,
            suite: 1,
            mailbox: self.mailbox(),
            key_id: rng.array(),
            expires_at: (now + 3 * 24 * HOUR_MS).div_ceil(HOUR_MS) * HOUR_MS,
            purge_hash: purge_hash(&purge_key),
            ext: Vec::new(),
            sealed: rng.array::<1392>().to_vec(),
        };
        (envelope, purge_key)
    }
}

/// What an owner does wrong in a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each is one field
pub enum ProofFault {
    None,
    Signature,
    OtherChallenge,
    OtherRelay,
    OtherMailbox,
    OtherAuthority,
    NoMailbox,
    ShortMailbox,
    ShortNonce,
    SmallOrder,
    AckFirst,
}

/// A stream of an owner, proved.
#[derive(Debug)]
pub struct Pulling {
    send: mpsc::Sender<v1::PullRequest>,
    answers: Streaming<v1::PullResponse>,
    /// Of the sequences.
    pub epoch: Vec<u8>,
    deadline: Duration,
}

impl Pulling {
    /// The relay's next step; `None` at the end of the stream.
    ///
    /// # Errors
    /// The status that ended it; `CANCELLED` when nothing came in time.
    pub async fn next(&mut self) -> Result<Option<pull_response::Step>, Status> {
        let silent = || Status::cancelled("nothing came within the deadline");
        let answer = timeout(self.deadline, self.answers.message()).await.map_err(|_| silent())?;
        Ok(answer?.and_then(|answer| answer.step))
    }

    /// The next envelope.
    ///
    /// # Errors
    /// Whatever came instead.
    pub async fn envelope(&mut self) -> Result<v1::PullEnvelope, Status> {
        match self.next().await? {
            Some(pull_response::Step::Envelope(envelope)) => Ok(envelope),
            other => Err(Status::unknown(format!("{other:?} instead of an envelope"))),
        }
    }

    /// Acknowledges.
    pub async fn ack(&self, epoch: &[u8], up_to: u64) {
        let ack = v1::PullAck { epoch: epoch.to_vec(), up_to };
        self.send(v1::PullRequest { step: Some(pull_request::Step::Ack(ack)) }).await;
    }

    /// Sends anything.
    pub async fn send(&self, request: v1::PullRequest) {
        // A stream that has ended shows in what is read.
        let _sent = self.send.send(request).await;
    }

    /// Ends our side and reads what comes until the end.
    ///
    /// # Errors
    /// The status that ended it.
    pub async fn close(self) -> Result<Option<i32>, Status> {
        let Self { send, mut answers, deadline, .. } = self;
        std::mem::drop(send);
        let mut end = None;
        let silent = || Status::cancelled("no end within the deadline");
        while let Some(answer) =
            timeout(deadline, answers.message()).await.map_err(|_| silent())??
        {
            if let Some(pull_response::Step::End(last)) = answer.step {
                end = Some(last.reason);
            }
        }
        Ok(end)
    }
}

/// A connection to a relay that has proved its key.
#[derive(Debug, Clone)]
pub struct Client {
    /// The calls themselves.
    pub calls: RelayServiceClient<Channel>,
    /// What the relay proved.
    pub relay_key: [u8; 32],
    /// What was dialled, as its layout.
    pub authority: Vec<u8>,
    source: Option<IpAddr>,
    deadline: Duration,
}

/// What tonic says when a call took longer than the suite's deadline.
const OVERDUE: &str = "Timeout expired";

/// A verdict for a status: a time-out decides nothing. A target that cuts a call short is
/// another thing, though HTTP/2 calls both cancelled.
#[must_use]
pub fn unexpected(what: &str, status: &Status) -> Verdict {
    let text = format!("{what}: {:?} {}", status.code(), status.message());
    match status.code() {
        Code::Cancelled if status.message() == OVERDUE => Verdict::Inconclusive(text),
        _ => Verdict::Fail(text),
    }
}

impl Client {
    /// Connects and asks `GetInfo`, whose answer has to verify (RLY-01, RLY-07).
    ///
    /// # Errors
    /// A verdict.
    pub async fn connect(ctx: &mut Ctx) -> Result<Self, Verdict> {
        let (host, port) = (ctx.target.ip().to_string(), ctx.target.port());
        let url = format!("http://{}", ctx.target);
        let source = next_source(ctx.target);
        let endpoint = Endpoint::from_shared(url)
            .map_err(|error| Verdict::Error(error.to_string()))?
            .connect_timeout(ctx.deadline)
            .timeout(ctx.deadline)
            .local_address(source);
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| Verdict::Fail(format!("no connection: {error}")))?;
        let authority = Authority::host(&host, port).bytes();
        let calls = RelayServiceClient::new(channel);
        let (relay_key, deadline) = ([0; 32], ctx.deadline);
        let mut client = Self { calls, relay_key, authority, source, deadline };
        let nonce: [u8; 32] = ctx.fresh.array();
        let authority = client.authority.clone();
        let info = client
            .info(&nonce, &authority)
            .await
            .map_err(|status| unexpected("GetInfo", &status))?;
        client.relay_key = verified(&info, &nonce, &authority)
            .ok_or_else(|| Verdict::Fail("RLY-01: the relay info does not verify".to_owned()))?;
        ctx.log.add(Direction::Note, "the relay has proved its key", &client.relay_key);
        Ok(client)
    }

    /// `GetInfo`.
    ///
    /// # Errors
    /// The status.
    pub async fn info(
        &mut self,
        nonce: &[u8],
        authority: &[u8],
    ) -> Result<v1::GetInfoResponse, Status> {
        pace(self).await;
        let request = v1::GetInfoRequest { nonce: nonce.to_vec(), authority: authority.to_vec() };
        Ok(self.calls.get_info(request).await?.into_inner())
    }

    /// Deposits each with its stamp on one stream; each with its fate by its id, and how the
    /// stream ended.
    pub async fn deposit(
        &mut self,
        requests: Vec<v1::SyncRequest>,
    ) -> (BTreeMap<Vec<u8>, Fate>, Result<(), Status>) {
        let mut fates = BTreeMap::new();
        let ended = self.deposit_into(requests, &mut fates).await;
        (fates, ended)
    }

    async fn deposit_into(
        &mut self,
        requests: Vec<v1::SyncRequest>,
        fates: &mut BTreeMap<Vec<u8>, Fate>,
    ) -> Result<(), Status> {
        let mut answers = self.calls.sync(tokio_stream::iter(requests)).await?.into_inner();
        let silent = || Status::cancelled("no answer within the deadline");
        while let Some(answer) =
            timeout(self.deadline, answers.message()).await.map_err(|_| silent())??
        {
            for refusal in &answer.refusals {
                fates.insert(refusal.id.clone(), Fate::Refused(refusal.reason));
            }
            verified_ids(&self.relay_key, &answer).map_err(Status::unknown)?;
            let Some(v1::storage_receipt::Form::List(list)) = answer.receipt.and_then(|r| r.form)
            else {
                continue;
            };
            for id in list.stored.chunks(32) {
                fates.insert(id.to_vec(), Fate::Stored);
            }
            for id in list.duplicates.chunks(32) {
                fates.insert(id.to_vec(), Fate::Duplicate);
            }
        }
        Ok(())
    }

    /// Opens a `Pull` and proves the mailbox, with a fault or without.
    ///
    /// # Errors
    /// The status that came instead of `PullOpened`.
    pub async fn pull(
        &mut self,
        owner: &Owner,
        fault: ProofFault,
        rng: &mut Rng,
    ) -> Result<Pulling, Status> {
        let ack_first = fault == ProofFault::AckFirst;
        self.pull_first(|client, challenge| {
            let first = if ack_first {
                let ack = v1::PullAck { epoch: challenge.epoch.clone(), up_to: 0 };
                pull_request::Step::Ack(ack)
            } else {
                pull_request::Step::Proof(client.proof(owner, fault, &challenge.challenge, rng))
            };
            v1::PullRequest { step: Some(first) }
        })
        .await
    }

    /// Opens a `Pull` and answers its challenge with what `first` makes of it.
    ///
    /// # Errors
    /// The status that came instead of `PullOpened`.
    pub async fn pull_first(
        &mut self,
        first: impl FnOnce(&Self, &v1::PullChallenge) -> v1::PullRequest,
    ) -> Result<Pulling, Status> {
        pace(self).await;
        let (send, receive) = mpsc::channel(16);
        let answers = self.calls.pull(ReceiverStream::new(receive)).await?.into_inner();
        let mut pulling = Pulling { send, answers, epoch: Vec::new(), deadline: self.deadline };
        let Some(pull_response::Step::Challenge(challenge)) = pulling.next().await? else {
            return Err(Status::unknown("no challenge first"));
        };
        if challenge.challenge.len() != 32 || challenge.epoch.len() != 16 {
            return Err(Status::unknown("RLY-27: the length of challenge or epoch"));
        }
        pulling.epoch.clone_from(&challenge.epoch);
        pulling.send(first(self, &challenge)).await;
        match pulling.next().await? {
            Some(pull_response::Step::Opened(_)) => Ok(pulling),
            other => Err(Status::unknown(format!("{other:?} instead of PullOpened"))),
        }
    }

    /// The signature over a proof as it stands.
    #[must_use]
    pub fn sign(&self, owner: &Owner, challenge: &[u8], proof: &v1::PullProof) -> Vec<u8> {
        let deposit_key = (!proof.deposit_key.is_empty()).then_some(proof.deposit_key.as_slice());
        PullProof {
            relay: &self.relay_key,
            authority: &proof.authority,
            challenge,
            client_nonce: &proof.client_nonce,
            mailbox: &owner.mailbox(),
            consumer: &proof.consumer,
            deposit_key,
        }
        .sign(&owner.seed)
        .to_vec()
    }

    /// An owner's answer to a challenge.
    pub fn proof(
        &self,
        owner: &Owner,
        fault: ProofFault,
        challenge: &[u8],
        rng: &mut Rng,
    ) -> v1::PullProof {
        let is = |this| fault == this;
        let nonce: [u8; 32] = rng.array();
        let mut mailbox = owner.mailbox();
        if is(ProofFault::SmallOrder) {
            mailbox = [0; 32];
            mailbox[0] = 1;
        }
        let authority = if is(ProofFault::OtherAuthority) {
            Authority::host("elsewhere.example", 443).bytes()
        } else {
            self.authority.clone()
        };
        let mut signature = PullProof {
            relay: if is(ProofFault::OtherRelay) { &[7; 32] } else { &self.relay_key },
            authority: &authority,
            challenge: if is(ProofFault::OtherChallenge) { &[7; 32] } else { challenge },
            client_nonce: &nonce,
            mailbox: &mailbox,
            consumer: &[0; 8],
            deposit_key: Some(&owner.deposit_key),
        }
        .sign(&owner.seed);
        match fault {
            ProofFault::Signature => signature[7] ^= 1,
            ProofFault::SmallOrder => {
                signature = crate::peer::signature_of_neutral(&owner.seed);
            }
            ProofFault::OtherMailbox => mailbox = public(&rng.array()),
            _ => {}
        }
        let mut proof = v1::PullProof {
            mailbox: mailbox.to_vec(),
            client_nonce: nonce.to_vec(),
            authority,
            consumer: vec![0; 8],
            deposit_key: owner.deposit_key.to_vec(),
            signature: signature.to_vec(),
        };
        match fault {
            ProofFault::NoMailbox => proof.mailbox.clear(),
            ProofFault::ShortMailbox => proof.mailbox.truncate(31),
            ProofFault::ShortNonce => proof.client_nonce.truncate(31),
            _ => {}
        }
        proof
    }
}

/// The relay key of an info that verifies.
#[must_use]
pub fn verified(info: &v1::GetInfoResponse, nonce: &[u8], authority: &[u8]) -> Option<[u8; 32]> {
    let key = info.relay_key.as_slice().try_into().ok()?;
    let signature = info.signature.as_slice().try_into().ok()?;
    let versions: Vec<u16> =
        info.versions.iter().map(|v| u16::try_from(*v)).collect::<Result<_, _>>().ok()?;
    let port = u16::try_from(info.onion_port).ok()?;
    let onion = (!info.onion.is_empty()).then_some((info.onion.as_slice(), port));
    let (now, epoch) = (info.now, info.epoch.as_slice());
    Info { nonce, authority, now, epoch, versions: &versions, onion }
        .verify(&key, signature)
        .ok()?;
    Some(key)
}

/// The ids that an answer's receipt names, once it verifies; none without a receipt.
///
/// # Errors
/// Why the receipt does not verify.
pub fn verified_ids(
    relay_key: &[u8; 32],
    answer: &v1::SyncResponse,
) -> Result<Vec<Vec<u8>>, String> {
    let Some(v1::storage_receipt::Form::List(list)) =
        answer.receipt.as_ref().and_then(|receipt| receipt.form.as_ref())
    else {
        return Ok(Vec::new());
    };
    let ids = [list.stored.as_slice(), &list.duplicates].concat();
    let signature = list.signature.as_slice().try_into().unwrap_or(&[0; 64]);
    verify_receipt(relay_key, list.time, list.store_until, &ids, signature)
        .map_err(|refused| format!("RLY-02: {refused}"))?;
    Ok(ids.chunks(32).map(<[u8]>::to_vec).collect())
}
