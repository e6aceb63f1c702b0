//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use tortalk_keys::relay::Authority;
use tortalk_relay::authority_text::parse_authority;

/// Holds sealed messages and cards for people who are away. It can open neither.
#[derive(Debug, Parser)]
#[command(name = "tortalk-relay", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tortalk-relay init --data relay
  tortalk-relay run --data relay --listen 0.0.0.0:8443 \\
      --authority relay.example:8443 --tls-cert chain.pem --tls-key key.pem
  tortalk-relay run --data relay --listen 127.0.0.1:0

Exit codes: 0 stopped in order, 1 something failed, 2 wrong arguments.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the relay's folder and key, and print the key's public half
    Init(Folder),
    /// Print the public half of the relay's key
    Key(Folder),
    /// Serve
    Run(Box<Run>),
    /// Tell clients that a backup was put in the place of the data
    Restored(Folder),
}

#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// The relay's folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Where to listen; port 0 is any free one, which is printed
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8443")]
    pub(crate) listen: SocketAddr,
    /// An address under which clients dial this relay; several are allowed.
    /// Unset: the address that it listens on
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_authority)]
    pub(crate) authority: Vec<Authority>,
    /// The certificate chain, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where to serve counters over HTTP; not for strangers
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// An address behind which many people are, such as a reverse proxy or Tor;
    /// limits for one address do not apply to it
    #[arg(long, value_name = "IP")]
    pub(crate) shared_source: Vec<IpAddr>,
    /// What one mailbox may hold, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = mebibytes())]
    pub(crate) mailbox_mib: u64,
    /// What all mailboxes may hold together, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 8_192, value_parser = mebibytes())]
    pub(crate) total_mib: u64,
    /// How many mailboxes may be registered
    #[arg(long, value_name = "COUNT", default_value_t = 65_536)]
    pub(crate) mailboxes: u64,
    /// Connections at a time
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    pub(crate) connections: usize,
    /// Connections at a time from one address
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    pub(crate) connections_per_source: usize,
    /// Seconds that calls have to end after SIGTERM
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) grace: u64,
    /// Say more
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// From one to a pebibyte, in MiB.
fn mebibytes() -> RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=1 << 30)
}
