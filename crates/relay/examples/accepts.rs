//! How many envelopes a relay accepts in a second, against what SQLite itself
//! does with the same rows.
//!
//! `cargo run --release -p tortalk-relay --example accepts`
//!
//! A round is three measurements one after the other, so that a disk that is
//! slower for a while is slower for all: the rows of a relay written by itself
//! with 1,024 in a transaction; the relay, over 8 streams of one connection each
//! with a window of 256, every envelope stamped and answered with a receipt;
//! and a plain table with two indexes, as a yardstick that does not depend on the
//! relay's own tables. The disk is measured around each.

use std::error::Error;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tortalk_keys::{MailboxSecret, RelaySecret, stamp};
use tortalk_model::entropy::Entropy;
use tortalk_model::limits::{SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_model::{Envelope, EnvelopeHeader, KeyId, MailboxKey, PurgeHash, UnixMillis};
use tortalk_relay::authority_text::authority_of;
use tortalk_relay::engine::Batch;
use tortalk_relay::env::{Clock, OsEntropy, SharedEntropy};
use tortalk_relay::rules::config::{Config, Quotas};
use tortalk_relay::rules::quota::{Class, DepositKey, Mailbox, cost_of};
use tortalk_relay::server::{bind, serve};
use tortalk_relay::service::{Environment, Relay};
use tortalk_relay::store::sqlite::SqliteBackend;
use tortalk_relay::store::{Backend, Writer};
use tortalk_rpc::v1;
use tortalk_rpc::v1::relay_service_client::RelayServiceClient;

/// Envelopes accepted per second, against SQLite
#[derive(Parser)]
struct Options {
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Envelopes in a round
    #[arg(long, default_value_t = 24_000)]
    count: usize,
    /// Fail when the median ratio to the same rows is smaller
    #[arg(long, default_value_t = 0.0)]
    at_least: f64,
}

const STREAMS: usize = 8;
const WINDOW: usize = 256;
const OWNERS: u8 = 16;
const DEPOSIT_KEY: [u8; 32] = [5; 32];

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let envelopes = make(options.count);
    println!("round  same rows/s   relay/s  ratio   plain rows/s  ratio   fdatasync ms");
    let (mut ratios, mut plain_ratios) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let folder = tempfile::tempdir()?;
        let mut disk = vec![sync_time(folder.path())?];
        let rows = options.count as f64 / same_rows(&envelopes)?.as_secs_f64();
        disk.push(sync_time(folder.path())?);
        let relay = options.count as f64 / over_streams(&envelopes)?.as_secs_f64();
        disk.push(sync_time(folder.path())?);
        let plain = options.count as f64 / plain_rows(&envelopes)?.as_secs_f64();
        disk.push(sync_time(folder.path())?);
        let disk: Vec<String> = disk.iter().map(|t| format!("{:.2}", t * 1e3)).collect();
        println!(
            "{round:5} {rows:12.0} {relay:9.0} {:6.2} {plain:14.0} {:6.2}   {}",
            relay / rows,
            relay / plain,
            disk.join(" ")
        );
        ratios.push(relay / rows);
        plain_ratios.push(relay / plain);
    }
    let ratio = median(&mut ratios);
    println!(
        "median ratio to the same rows {ratio:.2} ({:.2}–{:.2}), to a plain table {:.2}",
        ratios[0],
        ratios[ratios.len() - 1],
        median(&mut plain_ratios)
    );
    if ratio < options.at_least {
        return Err(format!("{ratio:.2} is below {:.2}", options.at_least).into());
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median time in which 4 KiB reach the disk, in seconds.
fn sync_time(folder: &Path) -> Result<f64, Failure> {
    let mut file = File::create(folder.join("disk"))?;
    file.write_all(&[0; 1 << 16])?;
    file.sync_all()?;
    let mut times = Vec::new();
    for i in 0..50u64 {
        file.seek(SeekFrom::Start(i % 16 * 4_096))?;
        let started = Instant::now();
        file.write_all(&[1; 4_096])?;
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64());
    }
    Ok(median(&mut times))
}

fn owner(i: u8) -> MailboxKey {
    MailboxSecret::from_seed([i; 32]).public()
}

/// Distinct envelopes of the smallest size, with their stamps.
fn make(count: usize) -> Vec<(Envelope, [u8; 16])> {
    let expires_at = in_a_week();
    let owners: Vec<MailboxKey> = (0..OWNERS).map(owner).collect();
    (0..count)
        .map(|i| {
            let mut random = [0; 64];
            OsEntropy.fill(&mut random);
            let header = EnvelopeHeader {
                suite: SUITE_1,
                mailbox: owners[i % owners.len()],
                key_id: KeyId::from_bytes([7; 8]),
                expires_at,
                purge_hash: PurgeHash::from_bytes(*random.first_chunk().expect("64 bytes")),
                ext: Vec::new(),
            };
            let mut sealed = vec![0; SUITE_1_ENC_BYTES + 256 + SUITE_1_TAG_BYTES];
            sealed[..32].copy_from_slice(&random[32..]);
            let envelope = Envelope::build(&header, &sealed).expect("a well-formed envelope");
            let stamp = stamp(&DEPOSIT_KEY, &envelope.id());
            (envelope, stamp)
        })
        .collect()
}

fn in_a_week() -> UnixMillis {
    Clock::system().now().wall.saturating_add(Duration::from_secs(7 * 24 * 3600)).ceil_to_hour()
}

/// Writes what a relay writes, and decides nothing.
fn same_rows(envelopes: &[(Envelope, [u8; 16])]) -> Result<Duration, Failure> {
    let folder = tempfile::tempdir()?;
    let backend = SqliteBackend::open(folder.path(), &mut OsEntropy)?;
    let mut writer = backend.writer()?;
    let mut group = writer.group()?;
    let mut ids = Vec::new();
    for i in 0..OWNERS {
        ids.push(group.create(&owner(i), &Mailbox::new(1))?);
    }
    group.commit()?;
    let started = Instant::now();
    for (number, chunk) in envelopes.chunks(1_024).enumerate() {
        let mut group = writer.group()?;
        for (i, (envelope, _)) in chunk.iter().enumerate() {
            let i = number * 1_024 + i;
            let seq = (i / ids.len()) as u64 + 1;
            group.insert(ids[i % ids.len()], seq, Class::Stamped, cost_of(envelope), envelope)?;
        }
        group.commit()?;
    }
    Ok(started.elapsed())
}

/// The usual table for such a thing.
fn plain_rows(envelopes: &[(Envelope, [u8; 16])]) -> Result<Duration, Failure> {
    let folder = tempfile::tempdir()?;
    let mut connection = rusqlite::Connection::open(folder.path().join("plain.sqlite"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;
         PRAGMA wal_autocheckpoint = 8192;
         CREATE TABLE message (seq INTEGER PRIMARY KEY, id BLOB, mailbox BLOB, bytes BLOB);
         CREATE UNIQUE INDEX message_id ON message (id);
         CREATE INDEX message_mailbox ON message (mailbox, seq);",
    )?;
    let started = Instant::now();
    for chunk in envelopes.chunks(1_024) {
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO message (id, mailbox, bytes) VALUES (?1, ?2, ?3)")?;
            for (envelope, _) in chunk {
                insert.execute((
                    &envelope.id().as_bytes()[..],
                    &envelope.header().mailbox.as_bytes()[..],
                    envelope.as_bytes(),
                ))?;
            }
        }
        transaction.commit()?;
    }
    Ok(started.elapsed())
}

/// The relay and its clients in one process, as on one machine.
fn over_streams(envelopes: &[(Envelope, [u8; 16])]) -> Result<Duration, Failure> {
    let folder = tempfile::tempdir()?;
    let backend = SqliteBackend::open(folder.path(), &mut OsEntropy)?;
    register(&backend)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let requests: Vec<Vec<v1::SyncRequest>> = (0..STREAMS)
        .map(|stream| {
            let mine = envelopes.iter().skip(stream).step_by(STREAMS);
            mine.map(|(envelope, stamp)| v1::SyncRequest {
                stamp: stamp.to_vec(),
                envelope: envelope.as_bytes().to_vec(),
            })
            .collect()
        })
        .collect();
    let (elapsed, thread) = runtime.block_on(async {
        let listener = bind("127.0.0.1:0".parse()?).await?;
        let address = listener.local_addr()?;
        let config = Config::new(vec![authority_of(address)?]);
        let environment =
            Environment { clock: Clock::system(), entropy: SharedEntropy::new(OsEntropy) };
        let secret = RelaySecret::from_seed([1; 32]);
        let (relay, thread) = Relay::start(&backend, config, secret, environment)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(relay, listener, None, Duration::ZERO, async {
            let _dropped = stopped.await;
        }));
        let mut clients = Vec::new();
        for _ in 0..STREAMS {
            let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
            clients.push(RelayServiceClient::new(endpoint.tcp_nodelay(true).connect().await?));
        }
        let started = Instant::now();
        let streams: Vec<_> = clients
            .into_iter()
            .zip(requests)
            .map(|(client, requests)| tokio::spawn(leave(client, requests)))
            .collect();
        for stream in streams {
            stream.await?.map_err(|status| format!("a stream failed: {status}"))?;
        }
        let elapsed = started.elapsed();
        let _gone = stop.send(());
        server.await??;
        Ok::<_, Failure>((elapsed, thread))
    })?;
    drop(runtime);
    thread.join();
    Ok(elapsed)
}

fn register(backend: &SqliteBackend) -> Result<(), Failure> {
    let mut writer = backend.writer()?;
    let now = Clock::system().now().wall;
    let mut batch = Batch::begin(writer.group()?, now, Quotas::default())?;
    for i in 0..OWNERS {
        batch.register(&owner(i), Some(DepositKey::from_bytes(DEPOSIT_KEY)))?;
    }
    batch.commit()?;
    Ok(())
}

/// Leaves all envelopes with at most 256 of them unanswered.
async fn leave(
    mut client: RelayServiceClient<tonic::transport::Channel>,
    requests: Vec<v1::SyncRequest>,
) -> Result<(), tonic::Status> {
    let (sender, receiver) = mpsc::channel(WINDOW);
    let mut answers = client.sync(ReceiverStream::new(receiver)).await?.into_inner();
    let count = requests.len();
    let mut requests = requests.into_iter();
    let (mut open, mut stored) = (0, 0);
    while stored < count {
        while open < WINDOW
            && let Some(request) = requests.next()
        {
            open += 1;
            sender.send(request).await.map_err(|_| tonic::Status::aborted("the relay is gone"))?;
        }
        let answer =
            answers.message().await?.ok_or_else(|| tonic::Status::aborted("ended early"))?;
        let receipt = answer.receipt.and_then(|receipt| receipt.form);
        let Some(v1::storage_receipt::Form::List(list)) = receipt else {
            return Err(tonic::Status::aborted("an envelope was refused"));
        };
        let durable = list.stored.len() / 32;
        (open, stored) = (open - durable, stored + durable);
    }
    Ok(())
}
