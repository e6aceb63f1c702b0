//! The clocks and the randomness of a running relay: the one door to both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tortalk_model::entropy::{self, Entropy};
use tortalk_model::{MonoMillis, Now, UnixMillis};

/// Tells the time. Copies tell the same.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Now + Send + Sync>);

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        let start = Instant::now();
        Self::new(move || {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let millis =
                |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            Now { wall: UnixMillis(millis(wall)), mono: MonoMillis(millis(start.elapsed())) }
        })
    }

    /// A clock of the caller's, for tests.
    pub fn new(clock: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self(Arc::new(clock))
    }

    /// Both clocks at this moment.
    pub fn now(&self) -> Now {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Randomness that tasks share.
#[derive(Clone)]
pub struct SharedEntropy(Arc<Mutex<dyn Entropy + Send>>);

impl SharedEntropy {
    /// From any source.
    pub fn new(entropy: impl Entropy + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(entropy)))
    }

    /// `N` random bytes.
    pub fn array<const N: usize>(&self) -> [u8; N] {
        let mut entropy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entropy::array(&mut *entropy)
    }
}

impl fmt::Debug for SharedEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedEntropy")
    }
}

/// Fills from the operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// When the system has no randomness. Nothing safe can be done without it.
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the system's generator answers");
    }
}
