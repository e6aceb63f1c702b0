//! What can be typed.

use std::path::PathBuf;

use crate::demo::DemoArgs;

use clap::{Args, ColorChoice, Parser, Subcommand};
use clap_complete::Shell;

/// Examples, one a line, and what follows them.
macro_rules! examples {
    ($($example:literal),* $(; $rest:literal)?) => {
        concat!("Examples:", $("\n  ", $example,)* $("\n\n", $rest)?)
    };
}

/// Talk to people: on the same network, through common contacts, through relays.
#[derive(Debug, Parser)]
#[command(
    name = "tortalk",
    version,
    after_help = EXIT_CODES,
    after_long_help = examples!(
        "tortalk init --name Alice        make a profile",
        "tortalk address --qr             show the address to be given to others",
        "tortalk contacts add mesh:… --name Bob",
        "tortalk chat Bob";
        "Exit codes:
  0   done
  1   the world: disk, network, or the other side
  3   the profile: missing, damaged, in use, from a newer version, or its settings
  4   the passphrase is wrong or missing
  5   nobody or nothing of that name, or more than one
  6   queued, but not delivered within --wait
  64  the command line is wrong
  65  what was given cannot be used: address, card, name or text

Every error is one line on standard error. With --json it is also one object
{\"error\":{\"kind\":…,\"message\":…}} on standard output.

The passphrase is asked for on the terminal, or read from --passphrase-file. It
is never an argument, because other users can see those."
    )
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The profile: a name, or a path (with a slash in it) of its folder
    #[arg(
        long,
        global = true,
        value_name = "NAME|PATH",
        env = "TORTALK_PROFILE",
        default_value = "default",
        hide_env_values = true
    )]
    pub(crate) profile: String,

    /// Print for programs: one JSON object per line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The file with the passphrase in its first line; `-` reads standard input
    #[arg(
        long,
        global = true,
        value_name = "PATH|-",
        env = "TORTALK_PASSPHRASE_FILE",
        hide_env_values = true
    )]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// Say more on standard error; twice or three times for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", value_enum)]
    pub(crate) color: ColorChoice,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a profile: an identity, its keys and an empty history
    #[command(after_help = examples!(
        "tortalk init --name Alice",
        "tortalk init --name Alice --passphrase",
        "tortalk --profile work init",
        "tortalk --profile ./test init"
    ))]
    Init(Init),

    /// Show the address to be given to others
    #[command(after_help = examples!(
        "tortalk address",
        "tortalk address --qr",
        "tortalk address --bare      shorter, for somebody on the same network"
    ))]
    Address(Address),

    /// Accept somebody as a contact, and ask them to accept you
    ///
    /// The request goes to them when they are on the same network, or through
    /// the relay in their address. Whoever asks you already is accepted.
    #[command(after_help = examples!(
        "tortalk add mesh:…",
        "tortalk add mesh:… --name Bob --text 'we met on the ferry'"
    ))]
    Add(Add),

    /// Show and answer those who ask to be a contact
    #[command(after_help = examples!(
        "tortalk requests",
        "tortalk requests accept 5f0c2a91 --name Bob",
        "tortalk requests decline 5f0c2a91      they are not told"
    ))]
    Requests {
        #[command(subcommand)]
        command: Option<Requests>,
    },

    /// Show and change contacts
    #[command(after_help = examples!(
        "tortalk contacts",
        "tortalk contacts add mesh:… --name Bob",
        "tortalk contacts verify Bob"
    ))]
    Contacts {
        #[command(subcommand)]
        command: Option<Contacts>,
    },

    /// Show who is linked right now
    #[command(after_help = examples!(
        "tortalk nearby",
        "tortalk nearby --wait 10",
        "tortalk contacts add 5f0c2a91 --name Bob      accept somebody who is nearby"
    ))]
    Nearby(Nearby),

    /// Send a text
    ///
    /// WHO is a contact's name, a `mesh:` address, or at least eight
    /// hexadecimal digits of an identity. The message is durable before
    /// anything else happens; a node that runs later delivers it.
    #[command(after_help = examples!(
        "tortalk send Bob see you at eight",
        "tortalk send Bob --wait 60 -- --this-begins-with-dashes",
        "date | tortalk send Bob -",
        "tortalk send Bob --wait 0 later      do not wait for the delivery"
    ))]
    Send(Send),

    /// Talk to a contact
    #[command(after_help = examples!(
        "tortalk chat Bob",
        "(sleep 1; echo hello) | tortalk chat Bob      lines in, lines out"
    ))]
    Chat(Chat),

    /// Show messages, the latest last
    #[command(after_help = examples!(
        "tortalk history",
        "tortalk history Bob --limit 200",
        "tortalk history --search 'eight o'",
        "tortalk history Bob --json | jq -r .text"
    ))]
    History(History),

    /// Run a node until it is ended: listen, find others, deliver
    ///
    /// Other commands find the running node and talk to it. With --json, events
    /// come out as lines and requests go in as lines: the language of
    /// `control.sock`.
    #[command(after_help = examples!(
        "tortalk run",
        "tortalk run --json --until-eof < requests",
        "echo '{\"id\":1,\"do\":\"status\"}' | tortalk run --json --until-eof"
    ))]
    Run(Run),

    /// Show how the node is
    #[command(after_help = examples!("tortalk status", "tortalk status --json"))]
    Status,

    /// Look for what is wrong
    ///
    /// The first line says what is wrong and what to do about it, or that
    /// everything looks right; below stands every check. Looked at are the
    /// profile and its disk, the clock, interfaces, port, firewall and multicast
    /// of this machine, and what a running node has noticed of neighbours and
    /// relays. Nothing is changed. The exit code is 1 when something is wrong.
    #[command(after_help = examples!("tortalk doctor", "tortalk doctor --json"))]
    Doctor,

    /// See it work: people meet, talk, are away, are killed and come back
    ///
    /// Everything happens in temporary profiles on this computer. The exit code
    /// is 1 when anything does not hold.
    #[command(after_help = examples!("tortalk demo", "tortalk demo --lan"))]
    Demo(DemoArgs),

    /// Set or remove the passphrase of the profile
    #[command(after_help = examples!("tortalk passphrase set", "tortalk passphrase remove"))]
    Passphrase {
        #[command(subcommand)]
        command: Passphrase,
    },

    /// Print what a shell needs to complete commands
    #[command(after_help = examples!(
        "tortalk completions bash > ~/.local/share/bash-completion/completions/tortalk",
        "tortalk completions zsh > ~/.zfunc/_tortalk"
    ))]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The name that others see; may be left out
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) name: String,

    /// Protect the profile with a passphrase, which is asked for
    #[arg(long)]
    pub(crate) passphrase: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Address {
    /// Show it as a QR code
    #[arg(long)]
    pub(crate) qr: bool,

    /// Only who I am: shorter, enough for somebody on the same network
    #[arg(long)]
    pub(crate) bare: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// A `mesh:` address, or digits of the identity of somebody nearby
    pub(crate) address: String,

    /// What to call them; without it what they call themselves
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) name: String,

    /// What to say to them with it, at most 1,024 bytes
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) text: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Requests {
    /// Show who asks to be a contact
    #[command(after_help = examples!("tortalk requests list", "tortalk requests list --json"))]
    List,

    /// Accept somebody who asks
    #[command(after_help = examples!("tortalk requests accept 5f0c2a91 --name Bob"))]
    Accept {
        /// At least eight digits of the identity, as `list` shows it
        who: String,
        /// What to call them; without it what they call themselves
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
    },

    /// Forget somebody's request; they are not told
    #[command(after_help = examples!(
        "tortalk requests decline 5f0c2a91",
        "tortalk contacts block 5f0c2a91      if they shall not ask again"
    ))]
    Decline {
        /// At least eight digits of the identity, as `list` shows it
        who: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Contacts {
    /// Show all contacts
    #[command(after_help = examples!("tortalk contacts list", "tortalk contacts list --json"))]
    List,

    /// Accept somebody as a contact
    #[command(after_help = examples!(
        "tortalk contacts add mesh:… --name Bob",
        "tortalk contacts add 5f0c2a91 --name Bob      somebody whom `nearby` shows"
    ))]
    Add(Add),

    /// Accept somebody by the contact card that they exported
    #[command(after_help = examples!(
        "tortalk contacts import bob.card",
        "tortalk contacts import - --name Bob < bob.card"
    ))]
    Import {
        /// The file; `-` reads standard input
        file: PathBuf,
        /// What to call them; without it the name in the card
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
    },

    /// Write my contact card, for somebody whom I want as a contact
    #[command(after_help = examples!(
        "tortalk contacts export-card alice.card",
        "tortalk contacts export-card | ssh bob tortalk contacts import -"
    ))]
    ExportCard {
        /// The file, which must not exist yet; without it standard output
        file: Option<PathBuf>,
    },

    /// Compare the safety number with a contact
    ///
    /// Both sides see the same number exactly when nobody stands between them.
    /// Compare it face to face or on the telephone.
    #[command(after_help = examples!(
        "tortalk contacts verify Bob",
        "tortalk contacts verify Bob --yes      it is the same on both sides",
        "tortalk contacts verify Bob --undo"
    ))]
    Verify {
        /// Whom
        who: String,
        /// Note that the number is the same on both sides, without asking
        #[arg(long)]
        yes: bool,
        /// Note that the number was not compared
        #[arg(long, conflicts_with = "yes")]
        undo: bool,
    },

    /// Call a contact something else
    #[command(after_help = examples!("tortalk contacts rename Bob 'Bob from work'"))]
    Rename {
        /// Whom
        who: String,
        /// The new name
        name: String,
    },

    /// Make a contact a stranger again
    ///
    /// What was said stays in the history; what was not delivered yet is given
    /// up. All other contacts get a new card, so that what this one knows is of
    /// no use any more.
    #[command(after_help = examples!("tortalk contacts remove Bob"))]
    Remove {
        /// Whom
        who: String,
    },

    /// Let nothing of theirs in
    #[command(after_help = examples!(
        "tortalk contacts block Bob",
        "tortalk contacts block 5f0c2a91      somebody who is no contact"
    ))]
    Block {
        /// Whom
        who: String,
    },

    /// Let their messages in again
    #[command(after_help = examples!("tortalk contacts unblock Bob"))]
    Unblock {
        /// Whom
        who: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Nearby {
    /// Where no node runs: how long to look
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 3,
        value_parser = clap::value_parser!(u64).range(..=86_400)
    )]
    pub(crate) wait: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// To whom
    pub(crate) who: String,

    /// The text; several words become one text; `-` alone reads standard input
    #[arg(required = true)]
    pub(crate) text: Vec<String>,

    /// How long to wait for the delivery; 0 does not wait
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(..=86_400)
    )]
    pub(crate) wait: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Chat {
    /// With whom
    pub(crate) who: String,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// With whom; without it everybody
    pub(crate) who: Option<String>,

    /// Only messages with all of these words
    #[arg(long, value_name = "WORDS")]
    pub(crate) search: Option<String>,

    /// At most this many, the latest
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// With --json: end when standard input ends
    #[arg(long)]
    pub(crate) until_eof: bool,

    /// Break a promise on purpose, for checks that have to notice it
    #[cfg(feature = "sabotage")]
    #[arg(long, value_name = "HOW")]
    pub(crate) sabotage: Option<crate::demo::SabotageArg>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Passphrase {
    /// Set or change it
    #[command(after_help = examples!(
        "tortalk passphrase set",
        "tortalk passphrase set --passphrase-file old --new-passphrase-file new"
    ))]
    Set {
        /// The file with the new passphrase in its first line; `-` reads
        /// standard input
        #[arg(long, value_name = "PATH|-")]
        new_passphrase_file: Option<PathBuf>,
    },

    /// Remove it: only the rights of the folder protect the profile then
    #[command(after_help = examples!("tortalk passphrase remove"))]
    Remove,
}

const EXIT_CODES: &str = "Exit codes and examples: tortalk --help";
