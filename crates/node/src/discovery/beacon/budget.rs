//! How many beacons are read per source and in all.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Beacons per second that are read from one source address.
const PER_SOURCE: u32 = 10;
/// Beacons per second that are read in all.
const IN_ALL: u32 = 256;
/// Sources that are remembered.
const SOURCES_MAX: usize = 256;
/// The budgets hold for each span of this length.
const SPAN: Duration = Duration::from_secs(1);

/// Counts beacons in spans of one second.
#[derive(Debug, Default)]
pub(super) struct SourceBudget {
    sources: BTreeMap<IpAddr, Count>,
    all: Count,
}

/// How many came since a moment.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    since: Option<Instant>,
    number: u32,
}

impl Count {
    fn has_room(&self, limit: u32, now: Instant) -> bool {
        self.is_old(now) || self.number < limit
    }

    fn add(&mut self, now: Instant) {
        if self.is_old(now) {
            *self = Self { since: Some(now), number: 0 };
        }
        self.number += 1;
    }

    fn is_old(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now.saturating_duration_since(since) >= SPAN)
    }
}

impl SourceBudget {
    /// Whether one more datagram of `source` is read.
    ///
    /// When more sources than fit are active in one second, new ones wait: to
    /// forget an active one would hand its budget out again.
    pub(super) fn admit(&mut self, source: IpAddr, now: Instant) -> bool {
        // req: DSC-21
        if !self.all.has_room(IN_ALL, now) {
            return false;
        }
        if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES_MAX {
            self.sources.retain(|_, count| !count.is_old(now));
            // req: DSC-24
            if self.sources.len() >= SOURCES_MAX {
                return false;
            }
        }
        let count = self.sources.entry(source).or_default();
        // req: DSC-21
        if !count.has_room(PER_SOURCE, now) {
            return false;
        }
        count.add(now);
        self.all.add(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + number).into())
    }

    // req: DSC-21
    #[test]
    fn one_source_has_ten_in_a_second_and_others_are_not_touched() {
        let mut budget = SourceBudget::default();
        let start = Instant::now();
        assert_eq!((0..100).filter(|_| budget.admit(source(1), start)).count(), 10);
        assert!(budget.admit(source(2), start));
        assert!(!budget.admit(source(1), start + Duration::from_millis(999)));
        assert!(budget.admit(source(1), start + Duration::from_secs(1)));
    }

    // req: DSC-21
    #[test]
    fn all_sources_together_have_a_bound() {
        let mut budget = SourceBudget::default();
        let start = Instant::now();
        let admitted =
            (0..1000).filter(|&number| budget.admit(source(number % 100), start)).count();
        assert_eq!(admitted, 256);
    }

    // req: DSC-24
    #[test]
    fn the_table_is_bounded_and_forgets_quiet_sources() {
        let mut budget = SourceBudget::default();
        let start = Instant::now();
        for second in 0..20 {
            let now = start + Duration::from_secs(second);
            for number in 0..2000 {
                budget.admit(source(second as u32 * 2000 + number), now);
            }
            assert!(budget.sources.len() <= SOURCES_MAX);
        }
        assert!(budget.admit(source(1_000_000), start + Duration::from_secs(21)));
    }
}
