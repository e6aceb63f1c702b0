//! What a node has noticed of its network, for whoever looks for faults
//! (`diagnose` on the control socket).
//!
//! Nothing here decides anything. Everything is bounded, and what is forgotten
//! for want of room is said to be incomplete: absence is no evidence then.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tortalk_model::InstanceId;

use crate::control::protocol::DialOutcome;
use crate::discovery::beacon::{BeaconCount, BeaconSender};
use crate::links::DialError;

/// Instances whose beacons are remembered.
const NEIGHBOURS_MAX: usize = 64;
/// Addresses of one instance that are.
const ADDRESSES_MAX: usize = 4;
/// Addresses whose last dial is remembered.
const DIALS_MAX: usize = 128;
/// What is older is forgotten before anything else. Beacons come every 36 s at
/// the latest.
const FRESH: Duration = Duration::from_secs(120);

/// What one node has noticed since it was started.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    beacons: OnceLock<BeaconSender>,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    neighbours: BTreeMap<InstanceId, Neighbour>,
    /// Somebody who was heard of late was forgotten.
    crowded: bool,
    dials: BTreeMap<SocketAddr, Dialled>,
    accepted: u64,
}

/// Somebody whose beacons were heard.
#[derive(Debug, Clone)]
pub(crate) struct Neighbour {
    pub(crate) instance_id: InstanceId,
    /// Where from, the latest last.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) heard: Instant,
}

/// What came of the last dial to an address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialled {
    pub(crate) outcome: DialOutcome,
    pub(crate) at: Instant,
    /// Dials without a link in a row.
    pub(crate) failed: u32,
}

/// All of it, as it was at one moment.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) beacons: Vec<BeaconCount>,
    pub(crate) neighbours: Vec<Neighbour>,
    pub(crate) crowded: bool,
    pub(crate) dials: BTreeMap<SocketAddr, Dialled>,
    pub(crate) accepted: u64,
}

impl Observed {
    /// Who sends and hears this node's beacons.
    pub(crate) fn follow(&self, beacons: BeaconSender) {
        self.beacons.get_or_init(|| beacons);
    }

    /// A beacon was heard.
    pub(crate) fn heard(&self, address: SocketAddr, instance_id: InstanceId) {
        let mut noted = self.lock();
        let now = Instant::now();
        if noted.neighbours.len() >= NEIGHBOURS_MAX && !noted.neighbours.contains_key(&instance_id)
        {
            let oldest = noted.neighbours.values().min_by_key(|neighbour| neighbour.heard);
            if let Some((instance_id, heard)) = oldest.map(|old| (old.instance_id, old.heard)) {
                noted.neighbours.remove(&instance_id);
                noted.crowded |= now.duration_since(heard) < FRESH;
            }
        }
        let neighbour = noted.neighbours.entry(instance_id).or_insert_with(|| Neighbour {
            instance_id,
            addresses: Vec::new(),
            heard: now,
        });
        neighbour.heard = now;
        neighbour.addresses.retain(|known| *known != address);
        if neighbour.addresses.len() >= ADDRESSES_MAX {
            neighbour.addresses.remove(0);
        }
        neighbour.addresses.push(address);
    }

    /// A dial has ended.
    pub(crate) fn dialled<T>(&self, address: SocketAddr, result: &Result<T, DialError>) {
        let outcome = match result {
            Ok(_) => DialOutcome::Linked,
            Err(DialError::Stopping) => return,
            Err(error) => outcome_of(*error),
        };
        let mut noted = self.lock();
        let now = Instant::now();
        if noted.dials.len() >= DIALS_MAX && !noted.dials.contains_key(&address) {
            let oldest = noted.dials.iter().min_by_key(|(_, dialled)| dialled.at);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                noted.dials.remove(&oldest);
            }
        }
        let dialled = noted.dials.entry(address).or_insert(Dialled { outcome, at: now, failed: 0 });
        let failed = match outcome {
            DialOutcome::Linked => 0,
            _ => dialled.failed.saturating_add(1),
        };
        *dialled = Dialled { outcome, at: now, failed };
    }

    /// Somebody else has connected with us.
    pub(crate) fn accepted(&self) {
        self.lock().accepted += 1;
    }

    /// All of it as it is now.
    pub(crate) fn seen(&self) -> Seen {
        let beacons = self.beacons.get().map(BeaconSender::counts).unwrap_or_default();
        let noted = self.lock();
        Seen {
            beacons,
            neighbours: noted.neighbours.values().cloned().collect(),
            crowded: noted.crowded,
            dials: noted.dials.clone(),
            accepted: noted.accepted,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn outcome_of(error: DialError) -> DialOutcome {
    match error {
        DialError::NotReached(io::ErrorKind::TimedOut) => DialOutcome::TimedOut,
        DialError::NotReached(io::ErrorKind::ConnectionRefused) => DialOutcome::Refused,
        DialError::NotReached(
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable,
        ) => DialOutcome::NoRoute,
        DialError::NotReached(io::ErrorKind::PermissionDenied) => DialOutcome::Forbidden,
        DialError::TurnedAway | DialError::Version | DialError::Yourself | DialError::NotANode => {
            DialOutcome::Answered
        }
        _ => DialOutcome::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 45_454))
    }

    #[test]
    fn strangers_cannot_make_it_grow_and_it_says_when_it_forgot() {
        let observed = Observed::default();
        for number in 0..=u8::MAX {
            observed.heard(address(number), InstanceId::from_bytes([number; 16]));
            observed.heard(address(1), InstanceId::from_bytes([0xff; 16]));
            observed.heard(address(number), InstanceId::from_bytes([0xff; 16]));
            observed.dialled::<()>(address(number), &Err(DialError::TurnedAway));
            assert_eq!(observed.seen().crowded, usize::from(number) + 2 > NEIGHBOURS_MAX);
        }
        let seen = observed.seen();
        assert_eq!((seen.neighbours.len(), seen.dials.len()), (NEIGHBOURS_MAX, DIALS_MAX));
        assert!(seen.neighbours.iter().all(|known| known.addresses.len() <= ADDRESSES_MAX));
        // The latest are the ones that stay.
        assert!(seen.dials.contains_key(&address(u8::MAX)));
    }

    #[test]
    fn failures_count_until_a_link_comes_about() {
        let observed = Observed::default();
        let timed_out: Result<(), _> = Err(DialError::NotReached(io::ErrorKind::TimedOut));
        observed.dialled(address(1), &timed_out);
        observed.dialled(address(1), &timed_out);
        observed.dialled::<()>(address(1), &Err(DialError::Stopping));
        let of = |observed: &Observed| {
            let dialled = observed.seen().dials[&address(1)];
            (dialled.outcome, dialled.failed)
        };
        assert_eq!(of(&observed), (DialOutcome::TimedOut, 2));
        observed.dialled(address(1), &Ok(()));
        assert_eq!(of(&observed), (DialOutcome::Linked, 0));
    }
}
