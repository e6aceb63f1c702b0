//! The two clocks of a node, read here and nowhere else in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tortalk_model::{MonoMillis, Now, UnixMillis};

use crate::handle::unix_now;

/// Both clocks; copies are the same clocks.
///
/// Nothing moves them in a program for people. A target of conformance tests does
/// (spec/annex-targets.md, section 5), so that they need not wait for weeks.
#[derive(Debug, Clone)]
pub struct Clock {
    start: Instant,
    shift: Arc<watch::Sender<Shift>>,
}

/// What the clocks are apart from those of the system, ms.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shift {
    wall: i64,
    mono: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// The clocks of the system; the one that nobody sets begins at 0.
    pub fn system() -> Self {
        Self { start: Instant::now(), shift: Arc::new(watch::Sender::default()) }
    }

    /// Sets the wall clock. No time passes by the other one.
    pub fn set_wall(&self, wall: UnixMillis) {
        let wall = i64::try_from(wall.0).unwrap_or(i64::MAX);
        let system = i64::try_from(unix_now()).unwrap_or(i64::MAX);
        self.shift.send_modify(|shift| shift.wall = wall.saturating_sub(system));
    }

    /// Lets both clocks go on by so many milliseconds at once.
    pub fn advance(&self, ms: u64) {
        self.shift.send_modify(|shift| {
            shift.wall = shift.wall.saturating_add_unsigned(ms);
            shift.mono = shift.mono.saturating_add(ms);
        });
    }

    /// Both at this moment.
    pub(crate) fn now(&self) -> Now {
        Now { wall: self.wall(), mono: self.mono() }
    }

    /// What the user is shown as the time.
    pub(crate) fn wall(&self) -> UnixMillis {
        UnixMillis(unix_now().saturating_add_signed(self.shift.borrow().wall))
    }

    pub(crate) fn mono(&self) -> MonoMillis {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        MonoMillis(elapsed.saturating_add(self.shift.borrow().mono))
    }

    /// The first moment at which `mono` has come; far away for the end of time.
    pub(crate) fn instant(&self, mono: MonoMillis) -> Instant {
        const FAR: Duration = Duration::from_secs(24 * 3600);
        let mono = mono.0.saturating_sub(self.shift.borrow().mono);
        // A millisecond is over when the next begins.
        self.start + Duration::from_millis(mono).min(self.start.elapsed() + FAR)
    }

    /// Tells each time when the clocks were moved from now on: moments that were
    /// reckoned before are others then.
    pub(crate) fn moves(&self) -> watch::Receiver<Shift> {
        self.shift.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_set_wall_clock_goes_on_and_nothing_passes_by_the_other() {
        let clock = Clock::system();
        let before = clock.mono();
        clock.set_wall(UnixMillis(1_900_000_000_000));
        let now = clock.now();
        assert!((1_900_000_000_000..1_900_000_060_000).contains(&now.wall.0));
        assert!(now.mono.since(before) < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn an_advance_is_told_and_makes_a_later_moment_come_now() {
        const DAY_MS: u64 = 24 * 3600 * 1000;
        let clock = Clock::system();
        let mut moves = clock.moves();
        let (then, wall) = (MonoMillis(clock.mono().0 + DAY_MS), clock.wall());
        assert!(clock.instant(then) > Instant::now() + Duration::from_secs(23 * 3600));
        clock.clone().advance(DAY_MS);
        moves.changed().await.unwrap();
        assert!(clock.instant(then) <= Instant::now());
        assert!(clock.mono() >= then && clock.wall().0 >= wall.0 + DAY_MS);
    }
}
