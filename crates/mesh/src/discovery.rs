//! When to send beacons and whom to dial (spec/discovery.md).
//!
//! Both are small machines of their own: [`Beacons`] knows nothing of dials and
//! [`Dials`] nothing of beacons. A beacon is an untrusted hint; all that it can
//! cause is one bounded dial to the address that it came from.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use tortalk_model::entropy::{self, Entropy};
use tortalk_model::limits::{
    DIAL_INTERVAL, DIALS_IN_FLIGHT_MAX, FAULT_FORGIVEN_AFTER, FAULT_WAIT, FAULT_WAIT_MAX,
};
use tortalk_model::{InstanceId, MonoMillis};

use crate::ready::Dial;

/// Beacons after an address became usable, counted from that moment.
const QUICK: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(250), Duration::from_millis(1000)];
/// The interval in a neighbourhood that has just changed.
const INTERVAL_MIN: Duration = Duration::from_secs(5);
/// The interval in a neighbourhood that has been stable.
const INTERVAL_MAX: Duration = Duration::from_secs(30);
/// No two beacons that were not due by schedule are closer than this.
const EXTRA_INTERVAL: Duration = Duration::from_secs(1);
/// Addresses whose last dial is remembered.
const REMEMBERED_MAX: usize = 1024;

/// The schedule of our own beacons.
#[derive(Debug)]
pub struct Beacons {
    quick_from: Option<MonoMillis>,
    quick_sent: usize,
    interval: Duration,
    next: MonoMillis,
    last: Option<MonoMillis>,
}

impl Default for Beacons {
    fn default() -> Self {
        Self {
            quick_from: None,
            quick_sent: 0,
            interval: INTERVAL_MIN,
            next: MonoMillis(u64::MAX),
            last: None,
        }
    }
}

impl Beacons {
    /// An address of ours has become usable: three quick beacons.
    pub fn address_up(&mut self, now: MonoMillis) {
        self.quick_from = Some(now);
        self.quick_sent = 0;
        self.interval = INTERVAL_MIN;
        self.next = now;
    }

    /// Somebody came or went: back to the short interval.
    pub fn neighbourhood_changed(&mut self, now: MonoMillis) {
        self.interval = INTERVAL_MIN;
        self.next = self.next.min(now + INTERVAL_MIN);
    }

    /// The last link with a peer has ended: they may be starting again, and hear
    /// this beacon before they may be dialled again (DSC-36).
    pub fn peer_gone(&mut self, now: MonoMillis) {
        self.neighbourhood_changed(now);
        self.extra(now + EXTRA_INTERVAL);
    }

    /// Asks for one beacon beside the schedule, at most one in a second.
    pub fn extra(&mut self, now: MonoMillis) {
        let earliest = self.last.map_or(now, |last| last + EXTRA_INTERVAL);
        self.next = self.next.min(earliest.max(now));
    }

    /// When the next beacon is due; the end of time before the first address.
    pub const fn deadline(&self) -> MonoMillis {
        self.next
    }

    /// Whether a beacon is to be sent now; notes that it was.
    pub fn due(&mut self, now: MonoMillis, entropy: &mut dyn Entropy) -> bool {
        if now < self.next {
            return false;
        }
        self.last = Some(now);
        self.next = match self.quick_from {
            Some(from) if self.quick_sent + 1 < QUICK.len() => {
                self.quick_sent += 1;
                from + QUICK[self.quick_sent]
            }
            _ => {
                let wait = jittered(self.interval, entropy);
                self.interval = (self.interval * 3 / 2).min(INTERVAL_MAX);
                now + wait
            }
        };
        true
    }
}

/// `interval` ± 20 %, so that neighbours do not fall into step.
fn jittered(interval: Duration, entropy: &mut dyn Entropy) -> Duration {
    let [random] = entropy::array::<1>(entropy);
    interval * (8 * 255 + 4 * u32::from(random)) / (10 * 255)
}

/// Whom to dial and when.
#[derive(Debug, Default)]
pub struct Dials {
    last: BTreeMap<SocketAddr, MonoMillis>,
    in_flight: BTreeSet<SocketAddr>,
    answered: BTreeMap<SocketAddr, InstanceId>,
    faults: BTreeMap<SocketAddr, Fault>,
}

/// The last link with an address that ended for a fault of the protocol.
#[derive(Debug)]
struct Fault {
    at: MonoMillis,
    /// How long the address is let alone.
    wait: Duration,
}

impl Dials {
    /// A dial to `address`, if the limits allow one now.
    pub fn request(&mut self, address: SocketAddr, now: MonoMillis) -> Option<Dial> {
        // req: DSC-20
        if self.in_flight.len() >= DIALS_IN_FLIGHT_MAX {
            return None;
        }
        let tried_lately = self.last.get(&address).is_some_and(|&at| now < at + DIAL_INTERVAL);
        // req: DSC-19
        if self.in_flight.contains(&address) || tried_lately {
            return None;
        }
        let at_fault = self.faults.get(&address).is_some_and(|last| now < last.at + last.wait);
        // req: DSC-37
        if at_fault {
            return None;
        }
        if self.last.len() >= REMEMBERED_MAX {
            self.last.retain(|_, &mut at| now < at + DIAL_INTERVAL);
        }
        if self.last.len() >= REMEMBERED_MAX {
            return None;
        }
        self.last.insert(address, now);
        self.in_flight.insert(address);
        Some(Dial { address })
    }

    /// A dial has ended, in a link or in nothing.
    pub fn ended(&mut self, address: SocketAddr) {
        self.in_flight.remove(&address);
    }

    /// A dial to `address` was answered by this instance.
    pub fn answered(&mut self, address: SocketAddr, instance_id: InstanceId) {
        if self.answered.len() >= REMEMBERED_MAX {
            self.answered.clear();
        }
        self.answered.insert(address, instance_id);
    }

    /// A link that was dialled at `address` and up since `up_at` ends for a fault of
    /// the protocol.
    pub fn fault(&mut self, address: SocketAddr, up_at: MonoMillis, now: MonoMillis) {
        // A link that was good for a while is a new beginning.
        let lasted = now >= up_at + FAULT_FORGIVEN_AFTER;
        let before = self.faults.get(&address).filter(|_| !lasted);
        let wait = before.map_or(FAULT_WAIT, |last| (last.wait * 2).min(FAULT_WAIT_MAX));
        if self.faults.len() >= REMEMBERED_MAX {
            self.faults.retain(|_, last| now < last.at + last.wait);
        }
        if self.faults.len() < REMEMBERED_MAX || self.faults.contains_key(&address) {
            self.faults.insert(address, Fault { at: now, wait });
        }
    }

    /// The instance that answered at `address` last time.
    pub fn who_answered(&self, address: &SocketAddr) -> Option<InstanceId> {
        self.answered.get(address).copied()
    }
}

#[cfg(test)]
mod tests;
