//! Waits that grow.

use std::time::Duration;

use tortalk_model::entropy::Entropy as _;

use super::Times;
use crate::entropy::OsEntropy;

/// The waits between tries: each twice as long as the one before, drawn from the
/// upper half of that, so that many who lost the same relay do not all come back
/// at once.
#[derive(Debug)]
pub(super) struct Waits {
    min: Duration,
    max: Duration,
    steady: Duration,
    next: Duration,
}

impl Waits {
    pub(super) const fn new(times: &Times) -> Self {
        let Times { wait_min: min, wait_max: max, steady, .. } = *times;
        Self { min, max, steady, next: min }
    }

    /// The wait after something that was up for so long. Long enough, and the
    /// waits begin anew.
    pub(super) fn after(&mut self, up: Duration) -> Duration {
        if up >= self.steady {
            self.next = self.min;
        }
        self.draw()
    }

    /// The next wait.
    pub(super) fn draw(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.max);
        let random = f64::from(u32::from_be_bytes(OsEntropy.bytes())) / f64::from(u32::MAX);
        wait.mul_f64(0.5 + random / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_steady_time() {
        let mut waits = Waits::new(&Times::USUAL);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = waits.after(Duration::from_millis(4_999));
            let whole = Duration::from_secs(seconds);
            assert!(whole / 2 <= wait && wait <= whole, "{wait:?} of {whole:?}");
        }
        assert!(waits.after(Duration::from_secs(5)) <= Duration::from_secs(1));
    }

    #[test]
    fn waits_differ() {
        let times = Times { wait_min: Times::USUAL.wait_max, ..Times::USUAL };
        let drawn: Vec<Duration> = (0..8).map(|_| Waits::new(&times).draw()).collect();
        assert!(drawn.iter().any(|wait| *wait != drawn[0]));
    }
}
