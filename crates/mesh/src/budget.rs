//! A token bucket: how much of something a stranger may make us do.

use tortalk_model::MonoMillis;

/// Allows `rate` actions a second, and as many at once after a quiet second.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    rate: u32,
    milli_tokens: u64,
    at: Option<MonoMillis>,
}

impl Budget {
    pub(crate) fn per_second(rate: u32) -> Self {
        Self { rate, milli_tokens: u64::from(rate) * 1000, at: None }
    }

    /// Takes one action from the budget, or refuses.
    pub(crate) fn take(&mut self, now: MonoMillis) -> bool {
        let full = u64::from(self.rate) * 1000;
        if let Some(at) = self.at {
            let passed = u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
            let gained = passed.saturating_mul(u64::from(self.rate));
            self.milli_tokens = self.milli_tokens.saturating_add(gained).min(full);
        }
        self.at = Some(now);
        if self.milli_tokens < 1000 {
            return false;
        }
        self.milli_tokens -= 1000;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_empties_and_fills_again() {
        let mut budget = Budget::per_second(8);
        let taken = (0..100).filter(|_| budget.take(MonoMillis(0))).count();
        assert_eq!(taken, 8);
        assert!(!budget.take(MonoMillis(124)));
        assert!(budget.take(MonoMillis(249)));
        let taken = (0..100).filter(|_| budget.take(MonoMillis(90_000))).count();
        assert_eq!(taken, 8, "it holds one second's worth");
    }
}
