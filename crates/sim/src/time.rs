//! Virtual time, and the clocks that people have.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

use tortalk_model::{MonoMillis, Now, UnixMillis};

/// Where the true wall clock stands when a simulation begins.
pub const START: UnixMillis = UnixMillis(1_800_000_000_000);
/// What monotonic clocks show then. Not zero, as on no machine that is on.
const MONO_START_MS: u64 = 1_000;

/// One second, minute, hour and day in milliseconds.
pub const SECOND: u64 = 1_000;
/// See [`SECOND`].
pub const MINUTE: u64 = 60 * SECOND;
/// See [`SECOND`].
pub const HOUR: u64 = 60 * MINUTE;
/// See [`SECOND`].
pub const DAY: u64 = 24 * HOUR;

/// Milliseconds of virtual time since the simulation began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The true time of day.
    pub const fn wall(self) -> UnixMillis {
        UnixMillis(START.0 + self.0)
    }

    /// What every monotonic clock shows.
    pub const fn mono(self) -> MonoMillis {
        MonoMillis(MONO_START_MS + self.0)
    }

    /// The moment at which monotonic clocks show this; the end of time for what
    /// never comes.
    pub const fn of_mono(mono: MonoMillis) -> Self {
        Self(mono.0.saturating_sub(MONO_START_MS))
    }

    /// Milliseconds since an earlier moment.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Moment {
    type Output = Self;

    fn add(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self + u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Moment {
    /// Days, hours, minutes, seconds, milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        write!(
            f,
            "{}d{:02}:{:02}:{:02}.{:03}",
            ms / DAY,
            ms / HOUR % 24,
            ms / MINUTE % 60,
            ms / SECOND % 60,
            ms % SECOND
        )
    }
}

/// Somebody's wall clock: how far it is from the true time, and how fast it goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    offset_ms: i64,
    /// Milliseconds gained in a million.
    drift: i64,
    since: Moment,
}

impl Clock {
    /// What it shows, beside the monotonic clock, which is never wrong.
    pub fn now(&self, at: Moment) -> Now {
        let wall = UnixMillis(at.wall().0.saturating_add_signed(self.offset_at(at)));
        Now { wall, mono: at.mono() }
    }

    /// Sets it: from now on it is this far from the true time.
    pub const fn set(&mut self, at: Moment, offset_ms: i64) {
        self.offset_ms = offset_ms;
        self.since = at;
    }

    /// Lets it go faster or slower by so many milliseconds in a million.
    pub fn drift(&mut self, at: Moment, drift: i64) {
        self.offset_ms = self.offset_at(at);
        self.since = at;
        self.drift = drift;
    }

    /// How far it is from the true time, in milliseconds.
    pub fn offset_at(&self, at: Moment) -> i64 {
        let gone = i64::try_from(at.since(self.since)).unwrap_or(i64::MAX);
        self.offset_ms.saturating_add(gone.saturating_mul(self.drift) / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_and_drifts() {
        let mut clock = Clock::default();
        clock.set(Moment(0), -5_000);
        clock.drift(Moment(0), 100);
        assert_eq!(clock.offset_at(Moment(DAY)), -5_000 + 8_640);
        clock.drift(Moment(DAY), 0);
        assert_eq!(clock.offset_at(Moment(2 * DAY)), 3_640);
        assert_eq!(clock.now(Moment(DAY)).mono, Moment(DAY).mono());
    }

    #[test]
    fn moments_read_well() {
        assert_eq!(
            Moment(DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5).to_string(),
            "1d02:03:04.005"
        );
    }
}
