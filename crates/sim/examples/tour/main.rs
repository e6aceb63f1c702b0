//! Writes `docs/protocol-tour.md`: one message through every layer, with the
//! bytes that the crates make of fixed seeds. With `--check` it only compares.
#![forbid(unsafe_code)]

mod cast;
mod dump;
mod story;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol-tour.md");
    let text = story::tell();
    let only_compare = std::env::args().any(|argument| argument == "--check");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written == text {
        println!("docs/protocol-tour.md is what the code makes");
        return ExitCode::SUCCESS;
    }
    if only_compare {
        let same = written.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
        println!(
            "docs/protocol-tour.md:{}: is not what the code makes; run `cargo xtask tour` and \
             read the difference",
            same + 1
        );
        return ExitCode::FAILURE;
    }
    match std::fs::write(&path, text) {
        Ok(()) => {
            println!("docs/protocol-tour.md is written anew");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("docs/protocol-tour.md cannot be written: {error}");
            ExitCode::from(2)
        }
    }
}
