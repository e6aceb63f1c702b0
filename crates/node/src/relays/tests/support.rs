//! A relay that runs, and the engine's end of the driver.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tortalk_keys::relay::{Authority, RelayAddress, RelayHost};
use tortalk_keys::relay_proof::pull::{self, PullClaim};
use tortalk_keys::relay_proof::receipt::{self, ReceiptClaim};
use tortalk_keys::{MailboxSecret, RelaySecret, Signature, stamp};
use tortalk_mesh::RelayAction;
use tortalk_mesh::relay::{PullProof, RelayDown, RelayInput, StorageReceipt};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::{SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_model::{
    Envelope, EnvelopeHeader, EnvelopeId, KeyId, MailboxKey, PurgeKey, RelayKey, UnixMillis,
};
use tortalk_relay::authority_text::authority_of;
use tortalk_relay::env::{Clock, SharedEntropy};
use tortalk_relay::rules::config::Config;
use tortalk_relay::server::{TlsFiles, bind, serve};
use tortalk_relay::service::{Environment, Relay, WriterThread};
use tortalk_relay::store::sqlite::SqliteBackend;

use crate::engine::EngineInput;
use crate::entropy::OsEntropy;
use crate::handle::unix_now;
use crate::relays::dial::Dialling;
use crate::relays::{Common, Dialler, Relays, TcpDialler, Times, Tls, Ways};

/// Long enough for a slow machine; a test that waits so long has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Things go wrong soon.
pub(super) const QUICK: Times = Times {
    wait_min: Duration::from_millis(20),
    wait_max: Duration::from_millis(100),
    ..Times::USUAL
};
/// The relay of most tests.
pub(super) const SECRET: [u8; 32] = [0x77; 32];

/// A relay with a database file, in a runtime of its own that can be killed.
pub(super) struct TestRelay {
    runtime: Option<Runtime>,
    thread: Option<WriterThread>,
    pub(super) socket: SocketAddr,
    pub(super) address: RelayAddress,
    pub(super) folder: Arc<TempDir>,
}

impl TestRelay {
    pub(super) async fn start() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::start_at(folder, "127.0.0.1:0".parse().unwrap(), None).await
    }

    /// With a certificate for `relay.test`.
    pub(super) async fn start_with_tls() -> Self {
        let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("../relay/tests/it/tls");
        let read = |name: &str| std::fs::read_to_string(tls.join(name)).unwrap();
        let files = TlsFiles { certificate: read("relay.pem"), key: read("relay-key.pem") };
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::start_at(folder, "127.0.0.1:0".parse().unwrap(), Some(files)).await
    }

    pub(super) async fn start_at(
        folder: Arc<TempDir>,
        socket: SocketAddr,
        tls: Option<TlsFiles>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let path = folder.path().to_owned();
        let starting = runtime.spawn(async move {
            let listener = bind(socket).await.unwrap();
            let socket = listener.local_addr().unwrap();
            let authority = authority_of(socket).unwrap();
            let named = Authority::new(named("relay.test"), socket.port()).unwrap();
            let mut config = Config::new(vec![authority.clone(), named]);
            config.bounds.calls_per_source.burst = 100_000;
            let mut entropy = tortalk_relay::env::OsEntropy;
            let backend = SqliteBackend::open(&path, &mut entropy).unwrap();
            let environment =
                Environment { clock: Clock::system(), entropy: SharedEntropy::new(entropy) };
            let secret = RelaySecret::from_seed(SECRET);
            let key = secret.public();
            let (relay, thread) = Relay::start(&backend, config, secret, environment).unwrap();
            tokio::spawn(serve(relay, listener, tls, Duration::ZERO, std::future::pending()));
            (socket, address(&authority, key), thread)
        });
        let (socket, address, thread) = starting.await.unwrap();
        let (runtime, thread) = (Some(runtime), Some(thread));
        Self { runtime, thread, socket, address, folder }
    }

    /// Ends at once, in the middle of everything.
    pub(super) async fn kill(mut self) -> (Arc<TempDir>, SocketAddr) {
        let (runtime, thread) = (self.runtime.take().unwrap(), self.thread.take().unwrap());
        let ending = tokio::task::spawn_blocking(move || {
            runtime.shutdown_timeout(PATIENCE);
            thread.join();
        });
        ending.await.unwrap();
        (Arc::clone(&self.folder), self.socket)
    }
}

impl Drop for TestRelay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(super) fn named(name: &str) -> RelayHost {
    RelayHost::Name(name.to_owned())
}

pub(super) fn address(authority: &Authority, key: RelayKey) -> RelayAddress {
    RelayAddress::new(authority.host().clone(), authority.port(), key).unwrap()
}

/// Dials one socket, whatever the address says, and counts.
#[derive(Clone)]
pub(super) struct Always {
    pub(super) socket: SocketAddr,
    pub(super) dials: Arc<AtomicUsize>,
}

impl Always {
    pub(super) fn new(socket: SocketAddr) -> Self {
        Self { socket, dials: Arc::default() }
    }

    pub(super) fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }
}

impl Dialler for Always {
    fn dial<'a>(&'a self, _: &'a Authority) -> Dialling<'a> {
        self.dials.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let stream = TcpStream::connect(self.socket).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(Box::new(stream) as _)
        })
    }
}

pub(super) fn common(times: Times) -> Common {
    Common {
        unreached: crate::relays::Reasons::default(),
        dialler: Box::new(TcpDialler { lan_only: None }),
        ways: Ways::default(),
        tls: Tls::of_this_machine(),
        times,
    }
}

/// The engine's end.
pub(super) struct Bench {
    pub(super) relays: Relays,
    pub(super) inputs: mpsc::Receiver<EngineInput>,
    pub(super) gone: mpsc::Receiver<()>,
}

impl Bench {
    pub(super) fn new(common: Common) -> Self {
        let (to_engine, inputs) = mpsc::channel(1_024);
        let runtime = tokio::runtime::Handle::current();
        let (relays, gone) = Relays::new(Arc::new(common), to_engine, runtime);
        Self { relays, inputs, gone }
    }

    /// Connected with a relay.
    pub(super) async fn up(common: Common, address: &RelayAddress) -> Self {
        let mut bench = Self::new(common);
        bench.connect(address).await;
        bench
    }

    pub(super) async fn connect(&mut self, address: &RelayAddress) {
        self.relays.apply(RelayAction::Connect(address.clone()));
        let up = self.next().await;
        assert!(matches!(up, RelayInput::Up { relay, .. } if relay == address.key()), "{up:?}");
    }

    /// What the machine is told next.
    pub(super) async fn next(&mut self) -> RelayInput {
        loop {
            let input = timeout(PATIENCE, self.inputs.recv()).await.expect("something to happen");
            let Some(EngineInput::Relay(report)) = input else { panic!("no report") };
            if let Some(input) = self.relays.take(report) {
                return input;
            }
        }
    }

    /// Whether nothing comes for a moment.
    pub(super) async fn is_quiet(&mut self, moment: Duration) -> bool {
        timeout(moment, self.inputs.recv()).await.is_err()
    }

    pub(super) async fn down(&mut self) -> RelayDown {
        match self.next().await {
            RelayInput::Down { why, .. } => why,
            other => panic!("{other:?} in place of the end"),
        }
    }

    pub(super) async fn receipt(&mut self) -> StorageReceipt {
        match self.next().await {
            RelayInput::Stored { receipt, .. } => receipt,
            other => panic!("{other:?} in place of a receipt"),
        }
    }

    /// Takes receipts until so many envelopes are stored.
    pub(super) async fn stored(&mut self, key: RelayKey, count: usize) -> Vec<EnvelopeId> {
        let mut stored = Vec::new();
        while stored.len() < count {
            let receipt = self.receipt().await;
            verify(&key, &receipt);
            stored.extend(receipt.ids);
        }
        stored
    }

    /// Proves a mailbox on a new stream.
    pub(super) async fn pull(&mut self, address: &RelayAddress, owner: &Owner) {
        let (relay, mailbox) = (address.key(), owner.mailbox());
        self.relays.apply(RelayAction::Pull { relay, mailbox });
        let challenge = match self.next().await {
            RelayInput::Challenged { mailbox: of, challenge, .. } if of == mailbox => challenge,
            other => panic!("{other:?} in place of a challenge"),
        };
        let proof = owner.proof(address, challenge);
        self.relays.apply(RelayAction::Prove { relay, proof });
        match self.next().await {
            RelayInput::PullOpened { mailbox: of, registered_until, .. } => {
                assert_eq!(of, mailbox);
                assert!(registered_until > UnixMillis(unix_now()));
            }
            other => panic!("{other:?} in place of the opening"),
        }
    }

    /// The next envelope of a mailbox.
    pub(super) async fn pulled(&mut self) -> (u64, EnvelopeId) {
        match self.next().await {
            RelayInput::Pulled { seq, envelope, .. } => (seq, Envelope::id_of(&envelope)),
            other => panic!("{other:?} in place of an envelope"),
        }
    }

    pub(super) fn deposit(&mut self, relay: RelayKey, envelope: &Envelope, stamp: &[u8]) {
        let (envelope, stamp) = (envelope.clone(), stamp.to_vec());
        self.relays.apply(RelayAction::Deposit { relay, envelope, stamp });
    }
}

pub(super) fn verify(key: &RelayKey, receipt: &StorageReceipt) {
    let claim =
        ReceiptClaim { time: receipt.time, store_until: receipt.store_until, ids: &receipt.ids };
    receipt::verify(key, &claim, &Signature::from_bytes(receipt.signature)).unwrap();
}

/// An owner of a mailbox.
pub(super) struct Owner {
    pub(super) secret: MailboxSecret,
    deposit_key: [u8; 32],
}

impl Owner {
    pub(super) fn new(i: u8) -> Self {
        Self { secret: MailboxSecret::from_seed([i; 32]), deposit_key: [i ^ 0xff; 32] }
    }

    pub(super) fn mailbox(&self) -> MailboxKey {
        self.secret.public()
    }

    pub(super) fn stamp(&self, envelope: &Envelope) -> Vec<u8> {
        stamp(&self.deposit_key, &envelope.id()).to_vec()
    }

    pub(super) fn proof(&self, address: &RelayAddress, challenge: [u8; 32]) -> PullProof {
        let claim = PullClaim {
            relay: address.key(),
            authority: &address.authority(),
            challenge: &challenge,
            client_nonce: &[9; 32],
            mailbox: self.mailbox(),
            consumer: [0; 8],
            deposit_key: Some(&self.deposit_key),
        };
        PullProof {
            mailbox: claim.mailbox,
            client_nonce: *claim.client_nonce,
            consumer: claim.consumer,
            deposit_key: Some(self.deposit_key),
            signature: *pull::sign(&self.secret, &claim).as_bytes(),
        }
    }

    /// A new envelope for them, and the key that purges it.
    pub(super) fn envelope(&self) -> (Envelope, PurgeKey) {
        let key = PurgeKey::from_bytes(OsEntropy.bytes());
        let header = EnvelopeHeader {
            suite: SUITE_1,
            mailbox: self.mailbox(),
            key_id: KeyId::from_bytes([7; 8]),
            expires_at: UnixMillis(unix_now())
                .saturating_add(Duration::from_secs(10 * 24 * 3600))
                .ceil_to_hour(),
            purge_hash: purge_hash(&key),
            ext: Vec::new(),
        };
        let mut sealed = vec![0; SUITE_1_ENC_BYTES + 256 + SUITE_1_TAG_BYTES];
        OsEntropy.fill(&mut sealed[..32]);
        (Envelope::build(&header, &sealed).unwrap(), key)
    }
}
