//! The commands, each in its own file.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use tortalk_node::control::protocol::{RelayState, Unreached};

use crate::args::{Cli, Command, Contacts};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::{chat, demo, doctor};

mod address;
mod contacts;
mod history;
mod init;
mod nearby;
mod passphrase;
mod requests;
mod run;
mod send;
mod status;

pub(crate) use history::message_lines;
pub(crate) use run::stop_signal;
pub(crate) use send::state_words;

/// The largest input that is read as a whole; larger ones are refused unread.
const INPUT_BYTES_MAX: u64 = 1024 * 1024;

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(args) => init::init(context, &args).await,
        Command::Address(args) => address::address(context, &args).await,
        Command::Add(args) => contacts::contacts(context, Some(Contacts::Add(args))).await,
        Command::Requests { command } => requests::requests(context, command).await,
        Command::Contacts { command } => contacts::contacts(context, command).await,
        Command::Nearby(args) => nearby::nearby(context, &args).await,
        Command::Send(args) => send::send(context, args).await,
        Command::Chat(args) => chat::chat(context, args).await,
        Command::History(args) => history::history(context, args).await,
        Command::Run(args) => run::run(context, &args).await,
        Command::Status => status::status(context).await,
        Command::Demo(args) => demo::run(context, &args).await,
        Command::Doctor => doctor::doctor(context).await,
        Command::Passphrase { command } => passphrase::passphrase(context, command).await,
        Command::Completions { shell } => completions(shell),
    }
}

pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tortalk", &mut script);
    let mut stdout = io::stdout().lock();
    stdout.write_all(&script).and_then(|()| stdout.flush()).map_err(|error| Failure::output(&error))
}

/// How it stands with a relay, behind its address; for what is wrong also what
/// to do.
pub(crate) fn relay_words(state: RelayState, reason: Option<Unreached>) -> String {
    let words = match state {
        RelayState::Up => "is up",
        RelayState::Connecting => "is being connected with",
        RelayState::Unreachable => {
            let reason = reason.map_or("", reason_words);
            return format!("is not reached{reason}: see whether it runs and its address is right");
        }
        RelayState::OtherKey => {
            "has another key than the one in settings.toml: ask who runs it; if the key is new, \
             put the new one there"
        }
        RelayState::NotARelay => {
            "is no relay of this version, or not by this name: check its address, and for updates"
        }
        RelayState::NotPrivate => {
            "has no TLS certificate that is good for it: nothing was sent; see `insecure` in \
             settings.toml"
        }
        _ => "is in a state that this version cannot name",
    };
    words.to_owned()
}

const fn reason_words(reason: Unreached) -> &'static str {
    match reason {
        Unreached::Refused => " (nothing listens there)",
        Unreached::TimedOut => " (no answer)",
        Unreached::NoRoute => " (there is no way to it)",
        Unreached::NoAddress => " (its name is not known)",
        Unreached::NotDialled => " (it is not dialled)",
        _ => "",
    }
}

/// Reads a text file, or standard input for `-`.
fn read_text(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    let name =
        if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
    read.map_err(|error| {
        Failure::new(Exit::Data, format!("{name}: cannot be read ({error}): give another file"))
    })?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        let line = format!("{name}: more than {INPUT_BYTES_MAX} bytes: give the right file");
        return Err(Failure::new(Exit::Data, line));
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::new(Exit::Data, format!("{name}: this is not UTF-8 text: give a text file"))
    })
}
