//! Where a passphrase comes from: a file or the terminal, never an argument.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _};
use std::path::Path;

use tortalk_node::profile::Passphrase;

use crate::exit::{Exit, Failure};

/// The longest first line that is read.
const LINE_BYTES_MAX: u64 = 4096;

/// Reads the first line of a file; `-` is standard input, of which the rest
/// stays for others to read.
pub(crate) fn from_file(path: &Path) -> Result<Passphrase, Failure> {
    let line = if path == Path::new("-") {
        first_line(io::stdin().lock())
    } else {
        File::open(path).and_then(|file| first_line(BufReader::new(file)))
    };
    let line = line.map_err(|error| {
        let path = path.display();
        fail(format!("{path}: the passphrase cannot be read ({error}): give another file"))
    })?;
    checked(line)
}

/// Asks for one on the terminal.
pub(crate) fn ask(prompt: &str) -> Result<Passphrase, Failure> {
    if !is_interactive() {
        return Err(fail(
            "there is no terminal to ask for the passphrase: give it with --passphrase-file",
        ));
    }
    let typed = rpassword::prompt_password(format!("{prompt}: "));
    checked(typed.map_err(|error| {
        fail(format!(
            "the passphrase cannot be asked for ({error}): give it with --passphrase-file"
        ))
    })?)
}

/// Asks for a new one, twice.
pub(crate) fn ask_for_new() -> Result<Passphrase, Failure> {
    if !is_interactive() {
        return ask("");
    }
    let failed = |error: io::Error| {
        fail(format!("the passphrase cannot be asked for ({error}): give it with a file"))
    };
    let first = rpassword::prompt_password("New passphrase: ").map_err(failed)?;
    let second = rpassword::prompt_password("Once more: ").map_err(failed)?;
    if first != second {
        return Err(fail("the two passphrases differ: try again"));
    }
    checked(first)
}

/// Whether somebody sits there who can be asked.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() || io::stderr().is_terminal()
}

fn first_line(reader: impl io::BufRead) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(LINE_BYTES_MAX as usize);
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    let line = String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    let mut line = line;
    line.truncate(end);
    Ok(line)
}

fn checked(text: String) -> Result<Passphrase, Failure> {
    Passphrase::new(text)
        .ok_or_else(|| fail("the passphrase is empty and would protect nothing: give another one"))
}

fn fail(line: impl AsRef<str>) -> Failure {
    Failure::new(Exit::Passphrase, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_without_its_end() {
        let line = |bytes: &[u8]| first_line(bytes).ok();
        assert_eq!(line(b"a b \nrest"), Some("a b ".to_owned()));
        assert_eq!(line(b"a\r\n"), Some("a".to_owned()));
        assert_eq!(line(b"a"), Some("a".to_owned()));
        assert_eq!(line(b""), Some(String::new()));
        assert_eq!(line(&[0xff, b'\n']), None);
    }
}
