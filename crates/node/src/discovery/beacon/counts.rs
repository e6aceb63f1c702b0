//! How many beacons went out and came in, for whoever looks for faults.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::SocketKey;

/// Sockets that are counted; more than a machine has networks.
const COUNTED_MAX: usize = 256;

/// The beacons of one socket since the node was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeaconCount {
    /// The interface.
    pub interface: String,
    /// Whether these are the ones over IPv6.
    pub over_ipv6: bool,
    /// Beacons that the system took.
    pub sent: u64,
    /// Beacons that it did not take.
    pub failed: u64,
    /// Beacons of others.
    pub heard: u64,
    /// How long ago the last of these came.
    pub heard_ago: Option<Duration>,
}

/// The beacons of all sockets.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<BTreeMap<SocketKey, Count>>);

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    sent: u64,
    failed: u64,
    heard: u64,
    last_heard: Option<Instant>,
}

impl Counts {
    pub(super) fn sent(&self, key: &SocketKey) {
        self.change(key, |count| count.sent += 1);
    }

    pub(super) fn failed(&self, key: &SocketKey) {
        self.change(key, |count| count.failed += 1);
    }

    pub(super) fn heard(&self, key: &SocketKey) {
        self.change(key, |count| {
            count.heard += 1;
            count.last_heard = Some(Instant::now());
        });
    }

    pub(super) fn of(&self, key: &SocketKey) -> BeaconCount {
        let count = self.lock().get(key).copied().unwrap_or_default();
        BeaconCount {
            interface: key.interface().to_owned(),
            over_ipv6: matches!(key, SocketKey::V6 { .. }),
            sent: count.sent,
            failed: count.failed,
            heard: count.heard,
            heard_ago: count.last_heard.map(|at| at.elapsed()),
        }
    }

    fn change(&self, key: &SocketKey, change: impl FnOnce(&mut Count)) {
        let mut counts = self.lock();
        if !counts.contains_key(key) && counts.len() >= COUNTED_MAX {
            // Networks come and go on a laptop; those of today are counted anew.
            counts.clear();
        }
        change(counts.entry(key.clone()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketKey, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
