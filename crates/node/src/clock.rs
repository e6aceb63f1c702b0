//! The two clocks of a node, read here and nowhere else in it.

use std::time::{Duration, Instant};

use tortalk_model::{MonoMillis, Now, UnixMillis};

use crate::handle::unix_now;

/// Both clocks; copies count from the same start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall: UnixMillis(unix_now()), mono: self.mono() }
    }

    pub(crate) fn mono(&self) -> MonoMillis {
        MonoMillis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The first moment at which `mono` has come; far away for the end of time.
    pub(crate) fn instant(&self, mono: MonoMillis) -> Instant {
        const FAR: Duration = Duration::from_secs(24 * 3600);
        // A millisecond is over when the next begins.
        self.start + Duration::from_millis(mono.0).min(self.start.elapsed() + FAR)
    }
}
