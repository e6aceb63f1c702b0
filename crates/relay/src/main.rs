//! The program `tortalk-relay`.
#![forbid(unsafe_code)]

// Under the fuzzer hashes stand in for signatures and seals.
#[cfg(fuzzing)]
compile_error!("a program for people is never built with cfg(fuzzing)");

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tortalk_keys::RelaySecret;
use tortalk_relay::authority_text::authority_of;
use tortalk_relay::env::{Clock, OsEntropy, SharedEntropy};
use tortalk_relay::key_file;
use tortalk_relay::rules::config::{Config, Quotas};
use tortalk_relay::server::{TlsFiles, bind, serve, serve_metrics};
use tortalk_relay::service::{Environment, Relay};
use tortalk_relay::store::sqlite::SqliteBackend;
use tortalk_sqlite::DirLock;
use tracing_subscriber::EnvFilter;

use crate::args::{Arguments, Command, Run};

mod args;

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(feature = "deviations")]
    if let Err(error) = deviate() {
        eprintln!("tortalk-relay: {error}");
        return ExitCode::from(2);
    }
    let done = match arguments.command {
        Command::Init(folder) => init(&folder.data),
        Command::Key(folder) => show_key(&folder.data),
        Command::Restored(folder) => restored(&folder.data),
        Command::Run(run) => self::run(&run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tortalk-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does wrong what the environment names, for the conformance suite.
#[cfg(feature = "deviations")]
fn deviate() -> Result<(), Failure> {
    use tortalk_model::deviation::{VARIABLE, choose};
    let Ok(name) = std::env::var(VARIABLE) else { return Ok(()) };
    Ok(choose(&name)?)
}

fn init(folder: &Path) -> Result<(), Failure> {
    print_key(&key_file::create(folder, &mut OsEntropy)?)
}

fn show_key(folder: &Path) -> Result<(), Failure> {
    print_key(&key_file::read(folder)?)
}

fn print_key(secret: &RelaySecret) -> Result<(), Failure> {
    Ok(say(&format!("key {}", secret.public()))?)
}

// req: RLY-69
fn restored(folder: &Path) -> Result<(), Failure> {
    key_file::read(folder)?;
    let _lock = DirLock::acquire(folder)?;
    SqliteBackend::open(folder, &mut OsEntropy)?.renew_epoch(&mut OsEntropy)?;
    Ok(say("new epoch")?)
}

fn run(options: &Run) -> Result<(), Failure> {
    start_logs(options.verbose);
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
        let environment =
            Environment { clock: Clock::system(), entropy: SharedEntropy::new(OsEntropy) };
        let stop = stop_signal()?;
        let (relay, thread) = Relay::start(&backend, config, secret, environment)?;
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

/// What this relay does goes to standard error. Libraries stay silent: they log
/// addresses.
fn start_logs(verbose: bool) {
    let level = if verbose { "debug" } else { "info" };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("off,tortalk_relay={level}")))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
}

fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// One line for whoever has started this program.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
