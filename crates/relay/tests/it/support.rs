//! Envelopes, owners, stores and relays for the tests.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tortalk_keys::relay::Authority;
use tortalk_keys::{MailboxSecret, RelaySecret, stamp};
use tortalk_model::entropy::Entropy;
use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::{SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_model::{
    Envelope, EnvelopeHeader, EnvelopeId, KeyId, MailboxKey, MonoMillis, Now, PurgeKey, RelayKey,
    UnixMillis,
};
use tortalk_relay::authority_text::authority_of;
use tortalk_relay::env::{Clock, SharedEntropy};
use tortalk_relay::rules::config::Config;
use tortalk_relay::rules::sync::Incoming;
use tortalk_relay::server::{TlsFiles, bind, serve};
use tortalk_relay::service::{Environment, Relay, WriterThread};
use tortalk_relay::store::sqlite::SqliteBackend;
use tortalk_rpc::v1::relay_service_client::RelayServiceClient;
use tortalk_testkit::Seeded;

pub(crate) mod client;

pub(crate) type Client = RelayServiceClient<Channel>;

/// The time that most tests begin with.
pub(crate) const START: UnixMillis = UnixMillis(1_800_000_000_000);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
/// Long enough for a slow machine; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An owner of a mailbox.
pub(crate) struct Owner {
    pub(crate) secret: MailboxSecret,
    pub(crate) deposit_key: [u8; 32],
}

impl Owner {
    pub(crate) fn new(i: u8) -> Self {
        Self { secret: MailboxSecret::from_seed([i; 32]), deposit_key: [i ^ 0xff; 32] }
    }

    pub(crate) fn mailbox(&self) -> MailboxKey {
        self.secret.public()
    }

    pub(crate) fn stamp(&self, envelope: &Envelope) -> Vec<u8> {
        stamp(&self.deposit_key, &envelope.id()).to_vec()
    }
}

/// Distinct envelopes of the smallest size.
pub(crate) struct Maker {
    seeded: Seeded,
    pub(crate) expires_at: UnixMillis,
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seeded: Seeded::new(seed),
            expires_at: START.saturating_add(DAY * 10).ceil_to_hour(),
        }
    }

    /// An envelope, and the key that purges it.
    pub(crate) fn with_purge_key(&mut self, mailbox: MailboxKey) -> (Envelope, PurgeKey) {
        let key = PurgeKey::from_bytes(self.seeded.bytes());
        (self.purged_by(mailbox, &key, 256), key)
    }

    pub(crate) fn envelope(&mut self, mailbox: MailboxKey) -> Envelope {
        self.with_purge_key(mailbox).0
    }

    /// An envelope whose plaintext has this bucket.
    pub(crate) fn of_bucket(&mut self, mailbox: MailboxKey, bucket: usize) -> Envelope {
        let key = PurgeKey::from_bytes(self.seeded.bytes());
        self.purged_by(mailbox, &key, bucket)
    }

    pub(crate) fn purged_by(
        &mut self,
        mailbox: MailboxKey,
        key: &PurgeKey,
        bucket: usize,
    ) -> Envelope {
        let header = EnvelopeHeader {
            suite: SUITE_1,
            mailbox,
            key_id: KeyId::from_bytes([7; 8]),
            expires_at: self.expires_at,
            purge_hash: purge_hash(key),
            ext: Vec::new(),
        };
        let mut sealed = vec![0; SUITE_1_ENC_BYTES + bucket + SUITE_1_TAG_BYTES];
        let random: [u8; 32] = self.seeded.bytes();
        sealed[..32].copy_from_slice(&random);
        Envelope::build(&header, &sealed).expect("a well-formed envelope")
    }

    pub(crate) fn unstamped(&mut self, owner: &Owner) -> Incoming {
        Incoming { envelope: self.envelope(owner.mailbox()), stamp: Vec::new() }
    }

    pub(crate) fn stamped(&mut self, owner: &Owner) -> Incoming {
        let envelope = self.envelope(owner.mailbox());
        let stamp = owner.stamp(&envelope);
        Incoming { envelope, stamp }
    }
}

pub(crate) fn ids(envelopes: &[Envelope]) -> Vec<EnvelopeId> {
    envelopes.iter().map(Envelope::id).collect()
}

/// A clock that runs like the system's and can be set forward.
#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).expect("a duration of tests");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Follows a test that has paused the time of its runtime.
    pub(crate) fn clock(&self) -> Clock {
        let (start, ahead) = (tokio::time::Instant::now(), Arc::clone(&self.0));
        Clock::new(move || {
            let ahead = Duration::from_millis(ahead.load(Ordering::SeqCst));
            let elapsed = start.elapsed() + ahead;
            let millis = u64::try_from(elapsed.as_millis()).expect("a short test");
            Now { wall: START.saturating_add(elapsed), mono: MonoMillis(millis) }
        })
    }
}

/// A relay on a loopback socket with a database file.
pub(crate) struct TestRelay {
    pub(crate) relay: Option<Relay>,
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) key: RelayKey,
    pub(crate) clock: TestClock,
    pub(crate) folder: Arc<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    thread: Option<WriterThread>,
}

/// How a [`TestRelay`] is to be.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) folder: Option<Arc<TempDir>>,
    pub(crate) clock: TestClock,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) edit: Option<fn(&mut Config)>,
}

impl TestRelay {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let folder =
            options.folder.unwrap_or_else(|| Arc::new(tempfile::tempdir().expect("a folder")));
        let listener = bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let authority = authority_of(address).expect("a port");
        let mut config = Config::new(vec![authority.clone()]);
        // Tests call from one address and often.
        config.bounds.calls_per_source.burst = 100_000;
        config.bounds.calls.burst = 100_000;
        config.bounds.mailboxes_per_source.burst = 100_000;
        config.bounds.mailboxes.burst = 100_000;
        if let Some(edit) = options.edit {
            edit(&mut config);
        }
        let secret = RelaySecret::from_seed([0x77; 32]);
        let key = secret.public();
        static SEED: Mutex<u64> = Mutex::new(0);
        let seed = {
            let mut seed = SEED.lock().expect("no test panics here");
            *seed += 1;
            *seed
        };
        let mut entropy = Seeded::new(seed);
        let backend = SqliteBackend::open(folder.path(), &mut entropy).expect("an empty folder");
        let environment =
            Environment { clock: options.clock.clock(), entropy: SharedEntropy::new(entropy) };
        let (relay, thread) = Relay::start(&backend, config, secret, environment).expect("a store");
        let (stop, stopped) = oneshot::channel::<()>();
        let served = relay.clone();
        let server = tokio::spawn(async move {
            let stop = async {
                let _dropped = stopped.await;
            };
            serve(served, listener, options.tls, Duration::from_secs(5), stop)
                .await
                .expect("the server runs");
        });
        let clock = options.clock;
        let (relay, stop, thread) = (Some(relay), Some(stop), Some(thread));
        Self { relay, address, authority, key, clock, folder, stop, server, thread }
    }

    pub(crate) async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("a URI");
        let channel = endpoint.tcp_nodelay(true).connect().await.expect("a relay that listens");
        RelayServiceClient::new(channel).max_decoding_message_size(1024 * 1024)
    }

    pub(crate) fn relay(&self) -> &Relay {
        self.relay.as_ref().expect("not stopped")
    }

    /// Stops in order, and waits for the writer.
    pub(crate) async fn stop(mut self) -> Arc<TempDir> {
        drop(self.stop.take());
        (&mut self.server).await.expect("the server ends");
        drop(self.relay.take());
        let thread = self.thread.take().expect("stopped once");
        tokio::task::spawn_blocking(|| thread.join()).await.expect("the writer ends");
        Arc::clone(&self.folder)
    }
}
