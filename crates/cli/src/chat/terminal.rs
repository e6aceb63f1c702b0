//! The terminal, key by key.

use std::io::{self, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::exit::Failure;

/// Keys come one by one, and a pasted text is marked as such. Everything is as
/// before when this is dropped.
#[derive(Debug)]
pub(super) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    pub(super) fn enter() -> Result<Self, Failure> {
        let failed = |error: rustix::io::Errno| {
            Failure::world(format!("the terminal cannot be used ({error}): use `tortalk send`"))
        };
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.local_modes &=
            !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        let terminal = Self { before };
        say("\x1b[?2004h");
        Ok(terminal)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (size.ws_col.into(), size.ws_row.into())
            }
            _ => (80, 24),
        }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        say("\x1b[?2004l");
        // A terminal that is gone needs no mending.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn say(sequence: &str) {
    let mut stdout = io::stdout().lock();
    let _gone = stdout.write_all(sequence.as_bytes()).and_then(|()| stdout.flush());
}
