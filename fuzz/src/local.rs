//! What comes from this machine: the control socket, settings, the database.

use tortalk_node::control::protocol::RequestLine;
use tortalk_settings::Settings;

/// An accepted line survives being written; a refusal is one line too.
pub fn control(bytes: &[u8]) {
    match RequestLine::parse(bytes) {
        Ok(line) => {
            let written = line.to_line();
            let body = written.strip_suffix(b"\n").expect("a line ends");
            assert!(!body.contains(&b'\n'));
            assert_eq!(RequestLine::parse(body).as_ref(), Ok(&line));
        }
        Err((_, error)) => {
            let line = error.to_string();
            assert!(!line.contains(char::is_control) && line.len() < 5_000, "{line}");
        }
    }
}

/// A file is settings or one line that names one of its lines.
pub fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Settings::parse(&text) {
        Ok(settings) => assert_eq!(Settings::parse(&text).as_ref(), Ok(&settings)),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.contains(['\n', '\r']), "{line:?}");
            assert!(line.chars().count() < 300, "{line}");
            let lines = text.matches('\n').count() + 1;
            assert!(error.line().is_none_or(|at| (1..=lines).contains(&at)));
        }
    }
}

/// The first byte chooses the kind of row. What is a row is written as it came.
pub fn row(bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    let again = tortalk_store::fuzzing::row_again(kind % tortalk_store::fuzzing::ROWS, bytes);
    assert!(again.is_none_or(|again| **again == *bytes), "a row is written otherwise");
}
