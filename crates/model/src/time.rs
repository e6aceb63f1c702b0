//! Time as a value: nothing in the protocol reads a clock, it is told.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z by somebody's wall clock.
///
/// Wall clocks are wrong, jump, and are chosen by their owner; timers use
/// [`MonoMillis`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// This time plus `duration`, at most the end of time.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_millis() as u64))
    }

    /// This time minus `duration`, at least the epoch.
    #[must_use]
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_millis() as u64))
    }

    /// This time rounded up to a whole hour, as expiries are (ENV-04).
    #[must_use]
    pub const fn ceil_to_hour(self) -> Self {
        const HOUR: u64 = 3_600_000;
        match self.0.checked_next_multiple_of(HOUR) {
            Some(hour) => Self(hour),
            None => Self(u64::MAX - u64::MAX % HOUR),
        }
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// Milliseconds of a clock that only goes forward, from an arbitrary start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MonoMillis(pub u64);

impl MonoMillis {
    /// The time that has gone by since `earlier`; zero when it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for MonoMillis {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_millis() as u64))
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For what people and other nodes see.
    pub wall: UnixMillis,
    /// For every timer.
    pub mono: MonoMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_rounded_up_and_the_ends_of_time_hold() {
        assert_eq!(UnixMillis(1).ceil_to_hour(), UnixMillis(3_600_000));
        assert_eq!(UnixMillis(3_600_000).ceil_to_hour(), UnixMillis(3_600_000));
        assert_eq!(UnixMillis(u64::MAX).ceil_to_hour().0 % 3_600_000, 0);
        assert_eq!(UnixMillis(5).saturating_sub(Duration::from_secs(1)), UnixMillis(0));
        assert_eq!(MonoMillis(5).since(MonoMillis(9)), Duration::ZERO);
    }
}
