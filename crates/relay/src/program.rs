//! What the program does when it serves: its options, and from its folder to the last byte.

use std::error::Error;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use tortalk_keys::relay::Authority;
use tortalk_sqlite::DirLock;

use crate::authority_text::{authority_of, parse_authority};
use crate::env::{Clock, OsEntropy, SharedEntropy};
use crate::key_file;
use crate::rules::config::{Config, Quotas};
use crate::server::{TlsFiles, bind, serve, serve_metrics};
use crate::service::{Environment, Relay};
use crate::store::sqlite::SqliteBackend;

/// Why a program has ended, in a line for people.
pub type Failure = Box<dyn Error>;

/// Which relay.
#[derive(Debug, Args)]
pub struct Folder {
    /// The relay's folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// How it is to serve.
#[derive(Debug, Args)]
pub struct Run {
    /// Its folder.
    #[command(flatten)]
    pub folder: Folder,
    /// Where to listen; port 0 is any free one, which is printed
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// An address under which clients dial this relay; several are allowed.
    /// Unset: the address that it listens on
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_authority)]
    pub authority: Vec<Authority>,
    /// The certificate chain, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Where to serve counters over HTTP; not for strangers
    #[arg(long, value_name = "IP:PORT")]
    pub metrics: Option<SocketAddr>,
    /// An address behind which many people are, such as a reverse proxy or Tor;
    /// limits for one address do not apply to it
    #[arg(long, value_name = "IP")]
    pub shared_source: Vec<IpAddr>,
    /// What one mailbox may hold, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = mebibytes())]
    pub mailbox_mib: u64,
    /// What all mailboxes may hold together, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 8_192, value_parser = mebibytes())]
    pub total_mib: u64,
    /// How many mailboxes may be registered
    #[arg(long, value_name = "COUNT", default_value_t = 65_536)]
    pub mailboxes: u64,
    /// Connections at a time
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    pub connections: usize,
    /// Connections at a time from one address
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    pub connections_per_source: usize,
    /// Seconds that calls have to end after SIGTERM
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub grace: u64,
    /// Say more
    #[arg(short, long)]
    pub verbose: bool,
}

/// From one to a pebibyte, in MiB.
fn mebibytes() -> RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=1 << 30)
}

/// Serves until a signal asks for the end. `started` is handed the relay before it serves.
///
/// # Errors
/// What failed, in a line for people.
pub fn run(
    options: &Run,
    clock: Clock,
    started: impl FnOnce(&Relay) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let folder = &options.folder.data;
    let secret = key_file::read(folder)?;
    let _lock = DirLock::acquire(folder)?;
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(TlsFiles { certificate: read_text(certificate)?, key: read_text(key)? })
        }
        _ => None,
    };
    let backend = SqliteBackend::open(folder, &mut OsEntropy)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let thread = runtime.block_on(async {
        let listener = bind(options.listen)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", options.listen))?;
        let address = listener.local_addr()?;
        let mut config = Config::new(options.authority.clone());
        if config.authorities.is_empty() {
            if address.ip().is_unspecified() {
                return Err("name an --authority: clients do not dial 0.0.0.0".into());
            }
            config.authorities.push(authority_of(address)?);
        }
        config.quotas = Quotas {
            mailbox_bytes: options.mailbox_mib * 1024 * 1024,
            total_bytes: options.total_mib * 1024 * 1024,
            mailboxes: options.mailboxes,
        };
        config.bounds.connections = options.connections;
        config.bounds.connections_per_source = options.connections_per_source;
        config.bounds.shared_sources.clone_from(&options.shared_source);
        let environment = Environment { clock, entropy: SharedEntropy::new(OsEntropy) };
        let stop = stop_signal()?;
        let (relay, thread) = Relay::start(&backend, config, secret, environment)?;
        started(&relay)?;
        if let Some(address) = options.metrics {
            let listener = bind(address)
                .await
                .map_err(|error| format!("cannot listen on {address}: {error}"))?;
            say(&format!("metrics {}", listener.local_addr()?))?;
            tokio::spawn(serve_metrics(listener, relay.metrics()));
        }
        say(&format!("listening {address}"))?;
        tracing::info!("serving");
        let stop = async move {
            stop.await;
            tracing::info!("stopping");
        };
        serve(relay, listener, tls, Duration::from_secs(options.grace), stop).await?;
        Ok::<_, Failure>(thread)
    })?;
    // Drops every task and with them the last copies of the relay.
    runtime.shutdown_timeout(Duration::from_secs(1));
    thread.join();
    tracing::info!("stopped");
    Ok(())
}

/// Ends when somebody asks this process to stop.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends when somebody asks this process to stop.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without it the process can only be killed, which it survives.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// One line for whoever has started this program.
///
/// # Errors
/// When nobody takes it.
pub fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
