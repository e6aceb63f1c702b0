//! How often somebody may ask.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tortalk_model::MonoMillis;

use super::config::Rate;

/// Addresses that are told apart at a time.
const SOURCES_MAX: usize = 4_096;
/// Thousandths of a token, so that slow rates refill evenly.
const UNIT: u64 = 1_000;

/// Where a connection comes from: an IPv4 address, or an IPv6 network of 64
/// bits, since one household has a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source([u8; 8]);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let mut bytes = [0; 8];
                bytes[4..].copy_from_slice(&v4.octets());
                Self(bytes)
            }
            IpAddr::V6(v6) => Self(*v6.octets().first_chunk().expect("8 bytes of 16")),
        }
    }
}

/// Counts what all and what each source use up.
#[derive(Debug)]
pub struct Meter {
    each: Rate,
    all: Bucket,
    all_rate: Rate,
    sources: BTreeMap<Source, Bucket>,
    others: Bucket,
}

impl Meter {
    /// Nobody has used anything up.
    pub const fn new(each: Rate, all: Rate, now: MonoMillis) -> Self {
        Self {
            each,
            all: Bucket::full(&all, now),
            all_rate: all,
            sources: BTreeMap::new(),
            others: Bucket::full(&each, now),
        }
    }

    /// Whether `source` may use up `count` now. With `None` for a source behind
    /// which many people are, only the limit for all applies.
    pub fn take(&mut self, source: Option<Source>, count: u32, now: MonoMillis) -> bool {
        let need = u64::from(count) * UNIT;
        self.all.refill(&self.all_rate, now);
        if self.all.tokens < need {
            return false;
        }
        if let Some(source) = source {
            let each = self.each;
            let bucket = self.bucket(source, now);
            bucket.refill(&each, now);
            if bucket.tokens < need {
                return false;
            }
            bucket.tokens -= need;
        }
        self.all.tokens -= need;
        true
    }

    /// Gives back what was taken and not used.
    pub fn give_back(&mut self, source: Option<Source>, count: u32) {
        let tokens = u64::from(count) * UNIT;
        self.all.tokens += tokens;
        if let Some(bucket) = source.and_then(|source| self.sources.get_mut(&source)) {
            bucket.tokens += tokens;
        }
    }

    /// The source's own bucket; all that find no place share one.
    fn bucket(&mut self, source: Source, now: MonoMillis) -> &mut Bucket {
        let each = self.each;
        if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES_MAX {
            self.sources.retain(|_, bucket| {
                bucket.refill(&each, now);
                bucket.tokens < u64::from(each.burst) * UNIT
            });
            if self.sources.len() >= SOURCES_MAX {
                return &mut self.others;
            }
        }
        self.sources.entry(source).or_insert_with(|| Bucket::full(&each, now))
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: u64,
    at: MonoMillis,
}

impl Bucket {
    const fn full(rate: &Rate, now: MonoMillis) -> Self {
        Self { tokens: rate.burst as u64 * UNIT, at: now }
    }

    fn refill(&mut self, rate: &Rate, now: MonoMillis) {
        let per = u64::try_from(rate.per.as_millis()).unwrap_or(u64::MAX).max(1);
        let elapsed = now.0.saturating_sub(self.at.0);
        let gained = elapsed.saturating_mul(u64::from(rate.refill) * UNIT) / per;
        if gained > 0 {
            self.tokens = self.tokens.saturating_add(gained).min(u64::from(rate.burst) * UNIT);
            self.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Rate = Rate { burst: 4, refill: 2, per: Duration::from_secs(1) };
    const MANY: Rate = Rate { burst: 10_000, refill: 1, per: Duration::from_secs(3600) };

    fn source(last: u8) -> Option<Source> {
        Some(IpAddr::from([192, 0, 2, last]).into())
    }

    // req: RLY-61
    #[test]
    fn a_burst_and_then_the_rate() {
        let mut meter = Meter::new(SECOND, MANY, MonoMillis(0));
        let taken = (0..9).filter(|_| meter.take(source(1), 1, MonoMillis(0))).count();
        assert_eq!(taken, 4);
        assert!(meter.take(source(2), 4, MonoMillis(0)), "another source has its own");
        assert!(!meter.take(source(1), 1, MonoMillis(499)));
        assert!(meter.take(source(1), 1, MonoMillis(999)));
        assert!(!meter.take(source(1), 1, MonoMillis(999)));
        let rested = (0..9).filter(|_| meter.take(source(1), 1, MonoMillis(100_000))).count();
        assert_eq!(rested, 4, "a rest gives a burst and no more");
    }

    // req: RLY-61
    #[test]
    fn all_sources_together_have_a_limit() {
        let mut meter = Meter::new(SECOND, SECOND, MonoMillis(0));
        assert!((0..4).all(|i| meter.take(source(i), 1, MonoMillis(0))));
        assert!(!meter.take(source(9), 1, MonoMillis(0)));
        assert!(!meter.take(None, 1, MonoMillis(0)), "a shared source counts there too");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut meter = Meter::new(SECOND, SECOND, MonoMillis(0));
        assert!(meter.take(source(1), 4, MonoMillis(0)));
        meter.give_back(source(1), 4);
        assert!(meter.take(source(1), 4, MonoMillis(0)));
    }

    #[test]
    fn the_table_is_bounded_and_those_beyond_it_share() {
        let mut meter = Meter::new(SECOND, MANY, MonoMillis(0));
        let wide = |i: u32| Some(Source::from(IpAddr::from(i.to_be_bytes())));
        for i in 0..5_000 {
            meter.take(wide(i), 1, MonoMillis(0));
        }
        assert_eq!(meter.sources.len(), SOURCES_MAX);
        assert!(!meter.take(wide(9_999), 4, MonoMillis(0)), "the shared one is used up");
        assert!(meter.take(wide(9_999), 4, MonoMillis(10_000)), "idle ones made room");
    }

    // req: RLY-58
    #[test]
    fn an_ipv6_network_is_one_source() {
        let of = |text: &str| Source::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
