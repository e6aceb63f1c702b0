//! Why relays are not reached, for people: the machine does the same whatever
//! the reason.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tortalk_keys::relay::Authority;

use crate::control::protocol::Unreached;

/// Relays whose reason is kept; a user has far fewer.
const KEPT_MAX: usize = 64;

/// The last reason of each relay that is not reached.
#[derive(Debug, Default)]
pub(crate) struct Reasons(Mutex<BTreeMap<Authority, Unreached>>);

impl Reasons {
    /// What came of dialling it.
    pub(super) fn note(&self, authority: &Authority, outcome: Result<(), io::ErrorKind>) {
        let mut reasons = self.lock();
        match outcome {
            Ok(()) => {
                reasons.remove(authority);
            }
            Err(kind) if reasons.len() < KEPT_MAX || reasons.contains_key(authority) => {
                reasons.insert(authority.clone(), reason(kind));
            }
            Err(_) => {}
        }
    }

    pub(super) fn of(&self, authority: &Authority) -> Option<Unreached> {
        self.lock().get(authority).copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Authority, Unreached>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn reason(kind: io::ErrorKind) -> Unreached {
    match kind {
        io::ErrorKind::ConnectionRefused => Unreached::Refused,
        io::ErrorKind::TimedOut => Unreached::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Unreached::NoRoute,
        io::ErrorKind::NotFound => Unreached::NoAddress,
        io::ErrorKind::Unsupported => Unreached::NotDialled,
        _ => Unreached::Other,
    }
}
