//! The command line.

use clap::{Parser, Subcommand};
use tortalk_relay::program::{Folder, Run};

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
