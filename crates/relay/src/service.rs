//! The gRPC service: moves messages between streams, rules and store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status, Streaming};
use tortalk_keys::RelaySecret;
use tortalk_model::Epoch;
use tortalk_model::limits::relay::{CARD_LIFE, PURGE_KEYS_MAX};
use tortalk_rpc::v1::relay_service_server::RelayService;
use tortalk_rpc::{BodyError, CardDrop, InfoQuestion, PurgeKeys, PutCard, mailbox_asked, v1};

use crate::engine::check_card;
use crate::env::{Clock, SharedEntropy};
use crate::hub::Hub;
use crate::metrics::{Metrics, add};
use crate::readers::Readers;
use crate::rules::config::{Bounds, Config};
use crate::rules::info;
use crate::rules::rate::{Meter, Source};
use crate::service::outbox::Outbox;
use crate::service::peer::Peer;
use crate::store::{Backend, Reader, StoreError};
use crate::writer::{self, Context, Job, Jobs, Unavailable};

mod outbox;
pub(crate) mod peer;
mod pull;
mod sync;

/// Readers beside the writer.
const READERS: usize = 2;
/// What a `Purge` counts in calls (RLY-61).
const PURGE_CALLS: u32 = 4;
/// Bytes of envelopes on their way to owners, for all streams.
const SENDING_BYTES: usize = 64 * 1024 * 1024;
/// The largest message that is read at all.
pub(crate) const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// What a relay needs besides its configuration.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its clocks.
    pub clock: Clock,
    /// Its randomness.
    pub entropy: SharedEntropy,
}

/// The service. Copies are the same relay.
#[derive(Clone)]
pub struct Relay {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    config: Config,
    secret: RelaySecret,
    epoch: Epoch,
    environment: Environment,
    jobs: Jobs,
    readers: Readers,
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    meters: Mutex<Meters>,
    streams: AtomicU64,
    sync_streams: Arc<Semaphore>,
    pull_streams: Arc<Semaphore>,
    /// Room for envelopes that wait for the disk, in bytes.
    waiting: Arc<Semaphore>,
    /// Room for envelopes on their way out, in bytes.
    sending: Arc<Semaphore>,
    drain: watch::Sender<bool>,
}

struct Meters {
    calls: Meter,
    mailboxes: Meter,
}

/// The thread that writes. It ends when the relay's last copy is dropped.
#[derive(Debug)]
pub struct WriterThread(std::thread::JoinHandle<()>);

impl WriterThread {
    /// Waits until everything that was handed over is done.
    pub fn join(self) {
        // A panic there was reported by the panic hook; nothing is left to do.
        drop(self.0.join());
    }
}

impl Relay {
    /// Starts a relay on a store.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be opened.
    pub fn start(
        backend: &impl Backend,
        config: Config,
        secret: RelaySecret,
        environment: Environment,
    ) -> Result<(Self, WriterThread), StoreError> {
        let mut readers: Vec<Box<dyn Reader>> = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            readers.push(Box::new(backend.reader()?));
        }
        let epoch = backend.reader()?.epoch()?;
        let (hub, metrics) = (Arc::new(Hub::default()), Arc::new(Metrics::default()));
        let context = Context {
            clock: environment.clock.clone(),
            quotas: config.quotas,
            hub: Arc::clone(&hub),
            metrics: Arc::clone(&metrics),
        };
        let (jobs, thread) = writer::start(backend.writer()?, context);
        let now = environment.clock.now().mono;
        let bounds = &config.bounds;
        let meters = Meters {
            calls: Meter::new(bounds.calls_per_source, bounds.calls, now),
            mailboxes: Meter::new(bounds.mailboxes_per_source, bounds.mailboxes, now),
        };
        let semaphore = |room: usize| Arc::new(Semaphore::new(room));
        let shared = Shared {
            secret,
            epoch,
            environment,
            jobs,
            readers: Readers::new(readers),
            hub,
            metrics,
            meters: Mutex::new(meters),
            streams: AtomicU64::new(0),
            sync_streams: semaphore(bounds.sync_streams),
            pull_streams: semaphore(bounds.pull_streams),
            waiting: semaphore(bounds.waiting_bytes),
            sending: semaphore(SENDING_BYTES),
            drain: watch::Sender::new(false),
            config,
        };
        Ok((Self { shared: Arc::new(shared) }, WriterThread(thread)))
    }

    /// Ends all streams in order: what came is answered, nothing more is taken.
    pub fn drain(&self) {
        self.shared.drain.send_replace(true);
    }

    /// The relay's counters.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.shared.metrics)
    }

    /// What strangers may use up.
    pub fn bounds(&self) -> &Bounds {
        &self.shared.config.bounds
    }

    /// The relay's clocks.
    pub fn clock(&self) -> &Clock {
        &self.shared.environment.clock
    }

    /// Forgets what is due, all of it.
    pub async fn sweep(&self) {
        while let Ok(crate::engine::Sweep::More) = self.shared.jobs.ask(Job::Sweep).await {}
    }
}

impl Shared {
    /// Counts a call, or refuses it.
    fn admit(&self, peer: &Peer, calls: u32) -> Result<(), Status> {
        let now = self.environment.clock.now().mono;
        let admitted = self.meters().calls.take(peer.source(), calls, now);
        // req: RLY-61
        if !admitted && !tortalk_model::deviate!(skip_rly_61) {
            add(&self.metrics.calls_limited, 1);
            return Err(Status::resource_exhausted("too many calls"));
        }
        Ok(())
    }

    /// Whether a source may register one more new mailbox.
    fn admit_mailbox(&self, source: Option<Source>) -> bool {
        let now = self.environment.clock.now().mono;
        self.meters().mailboxes.take(source, 1, now)
    }

    fn give_back_mailbox(&self, source: Option<Source>) {
        self.meters().mailboxes.give_back(source, 1);
    }

    fn meters(&self) -> MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_stream(&self) -> u64 {
        self.streams.fetch_add(1, Ordering::Relaxed)
    }
}

#[tonic::async_trait]
impl RelayService for Relay {
    async fn get_info(
        &self,
        request: Request<v1::GetInfoRequest>,
    ) -> Result<Response<v1::GetInfoResponse>, Status> {
        let peer = Peer::of(&request);
        let _call = peer.call();
        let shared = &self.shared;
        shared.admit(&peer, 1)?;
        let question = InfoQuestion::try_from(request.into_inner()).map_err(malformed)?;
        let now = shared.environment.clock.now().wall;
        info::answer(&question, &shared.config, &shared.secret, shared.epoch, now)
            .map(|info| Response::new(info.into()))
            .map_err(|error| match error {
                info::InfoError::MalformedAuthority => Status::invalid_argument(error.to_string()),
                info::InfoError::OtherAuthority => Status::failed_precondition(error.to_string()),
            })
    }

    type SyncStream = Outbox<v1::SyncResponse>;

    async fn sync(
        &self,
        request: Request<Streaming<v1::SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let call = Peer::of(&request).call();
        let place = Arc::clone(&self.shared.sync_streams).try_acquire_owned();
        // req: RLY-64
        let Ok(place) = place else { return Err(too_many_streams()) };
        let (sender, outbox) = outbox::outbox((place, call));
        tokio::spawn(sync::run(Arc::clone(&self.shared), request.into_inner(), sender));
        Ok(Response::new(outbox))
    }

    type PullStream = Outbox<v1::PullResponse>;

    async fn pull(
        &self,
        request: Request<Streaming<v1::PullRequest>>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let peer = Peer::of(&request);
        let call = peer.call();
        self.shared.admit(&peer, 1)?;
        let place = Arc::clone(&self.shared.pull_streams).try_acquire_owned();
        // req: RLY-64
        let Ok(place) = place else { return Err(too_many_streams()) };
        let (sender, outbox) = outbox::outbox((place, call));
        let source = peer.source();
        tokio::spawn(pull::run(Arc::clone(&self.shared), source, request.into_inner(), sender));
        Ok(Response::new(outbox))
    }

    async fn purge(
        &self,
        request: Request<v1::PurgeRequest>,
    ) -> Result<Response<v1::PurgeResponse>, Status> {
        let peer = Peer::of(&request);
        let _call = peer.call();
        self.shared.admit(&peer, PURGE_CALLS)?;
        let keys = PurgeKeys::try_from(request.into_inner()).map_err(malformed)?.into_vec();
        debug_assert!(keys.len() <= PURGE_KEYS_MAX);
        self.shared.jobs.ask(|reply| Job::Purge(keys, reply)).await.map_err(unavailable)?;
        // req: RLY-45
        Ok(Response::new(v1::PurgeResponse {}))
    }

    async fn put_card(
        &self,
        request: Request<v1::PutCardRequest>,
    ) -> Result<Response<v1::PutCardResponse>, Status> {
        let peer = Peer::of(&request);
        let _call = peer.call();
        self.shared.admit(&peer, 1)?;
        let put = PutCard::try_from(request.into_inner()).map_err(malformed)?;
        check_card(&put).map_err(|error| Status::unauthenticated(error.to_string()))?;
        let answer = self.shared.jobs.ask(|reply| Job::PutCard(put, reply)).await;
        Ok(Response::new(answer.map_err(unavailable)?.into()))
    }

    async fn get_card(
        &self,
        request: Request<v1::GetCardRequest>,
    ) -> Result<Response<v1::GetCardResponse>, Status> {
        let peer = Peer::of(&request);
        let _call = peer.call();
        self.shared.admit(&peer, 1)?;
        let mailbox = mailbox_asked(request.get_ref()).map_err(malformed)?;
        let now = self.shared.environment.clock.now().wall;
        let stored = self.shared.readers.read(move |reader| reader.card(&mailbox)).await;
        let card: Option<CardDrop> = stored
            .map_err(unavailable)?
            .filter(|stored| stored.put_at.saturating_add(CARD_LIFE) > now)
            .map(|stored| stored.card);
        // req: RLY-39, RLY-51
        card.map(|card| Response::new(card.into()))
            .ok_or_else(|| Status::not_found("there is no card"))
    }
}

/// Ends when the relay stops.
async fn drained(drain: &mut watch::Receiver<bool>) {
    // The other end lives as long as the relay, which the caller holds.
    drop(drain.wait_for(|drain| *drain).await);
}

fn malformed(error: BodyError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn unavailable(error: Unavailable) -> Status {
    Status::unavailable(error.to_string())
}

fn too_many_streams() -> Status {
    Status::resource_exhausted("too many streams")
}
