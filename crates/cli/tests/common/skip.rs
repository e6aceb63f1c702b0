//! What cannot be shown on this machine.

use std::env;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Says that a row was not shown, and how many that makes. Where everything has to
/// be shown (`CI=true`) that is a fault.
pub(crate) fn skipped(what: &str, why: &str) {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "{what}: {why}");
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    // The harness would keep what the print macros write.
    writeln!(io::stderr(), "SKIPPED ({count}): {what}: {why}").expect("stderr is open");
}
