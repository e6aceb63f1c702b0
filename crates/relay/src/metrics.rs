//! Counters without names: what happened how often, never to whom.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use tortalk_rpc::DepositRefusal;

use crate::rules::sync::Outcome;

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) commits_failed: AtomicU64,
    pub(crate) stored: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) refused_malformed: AtomicU64,
    pub(crate) refused_expiry: AtomicU64,
    pub(crate) refused_busy: AtomicU64,
    pub(crate) refused_no_room: AtomicU64,
    pub(crate) refused_full: AtomicU64,
    pub(crate) pulled: AtomicU64,
    pub(crate) pulls: AtomicU64,
    pub(crate) proofs_refused: AtomicU64,
    pub(crate) calls_limited: AtomicU64,
    pub(crate) held_bytes: AtomicU64,
    pub(crate) mailboxes: AtomicU64,
}

impl Metrics {
    pub(crate) fn count(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Stored => &self.stored,
            Outcome::Duplicate => &self.duplicates,
            Outcome::Refused(reason) => self.refused(reason),
        };
        add(counter, 1);
    }

    pub(crate) const fn refused(&self, reason: DepositRefusal) -> &AtomicU64 {
        match reason {
            DepositRefusal::Malformed => &self.refused_malformed,
            DepositRefusal::Expiry => &self.refused_expiry,
            DepositRefusal::Busy => &self.refused_busy,
            DepositRefusal::NoRoom => &self.refused_no_room,
            DepositRefusal::Full => &self.refused_full,
        }
    }

    /// Bytes of envelopes and cards that are held.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Mailboxes that are registered.
    pub fn mailboxes(&self) -> u64 {
        self.mailboxes.load(Ordering::Relaxed)
    }

    /// The counters as lines of text, as monitoring programs read them.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, counter) in [
            ("connections", &self.connections),
            ("connections_refused_total", &self.connections_refused),
            ("commits_total", &self.commits),
            ("commits_failed_total", &self.commits_failed),
            ("envelopes_stored_total", &self.stored),
            ("envelopes_duplicate_total", &self.duplicates),
            ("envelopes_refused_total{reason=\"malformed\"}", &self.refused_malformed),
            ("envelopes_refused_total{reason=\"expiry\"}", &self.refused_expiry),
            ("envelopes_refused_total{reason=\"busy\"}", &self.refused_busy),
            ("envelopes_refused_total{reason=\"no_room\"}", &self.refused_no_room),
            ("envelopes_refused_total{reason=\"full\"}", &self.refused_full),
            ("envelopes_pulled_total", &self.pulled),
            ("pulls_total", &self.pulls),
            ("proofs_refused_total", &self.proofs_refused),
            ("calls_limited_total", &self.calls_limited),
            ("held_bytes", &self.held_bytes),
            ("mailboxes", &self.mailboxes),
        ] {
            let value = counter.load(Ordering::Relaxed);
            writeln!(text, "tortalk_relay_{name} {value}").expect("a String grows");
        }
        text
    }
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

pub(crate) fn set(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Relaxed);
}
