//! Percentiles, printed.

use std::time::Duration;

/// The `percent`-th percentile of some durations (nearest rank).
pub(crate) fn percentile(samples: &[Duration], percent: usize) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Milliseconds with two decimals.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

/// Prints a figure beside its limit; whether it is within.
pub(crate) fn against(what: &str, found: Duration, limit: Duration) -> bool {
    let ratio = found.as_secs_f64() / limit.as_secs_f64().max(f64::MIN_POSITIVE);
    let verdict = if found <= limit { "within" } else { "OVER" };
    println!(
        "{what:<28} {:>12}   limit {:>12}   ratio {ratio:.2}   {verdict}",
        ms(found),
        ms(limit)
    );
    found <= limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let samples: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&samples, 50), Duration::from_millis(50));
        assert_eq!(percentile(&samples, 99), Duration::from_millis(99));
        assert_eq!(percentile(&samples[..1], 99), Duration::from_millis(100));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
