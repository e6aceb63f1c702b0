//! Times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Day and time in the system's time zone, `2026-03-01 16:05`.
pub(crate) fn day_and_time(unix_ms: u64) -> String {
    show(unix_ms, "%Y-%m-%d %H:%M")
}

/// The time in the system's time zone, `16:05:09`.
pub(crate) fn time(unix_ms: u64) -> String {
    show(unix_ms, "%H:%M:%S")
}

/// A span of time in words.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

fn show(unix_ms: u64, format: &str) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    match at {
        Some(at) => at.to_zoned(TimeZone::system()).strftime(format).to_string(),
        None => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_too_large() {
        assert_eq!(day_and_time(u64::MAX), "?");
        assert_eq!(day_and_time(1_700_000_000_000).len(), 16);
    }

    #[test]
    fn spans_are_in_the_largest_fitting_unit() {
        let spans = [0, 1_000, 119_000, 120_000, 7_200_000, 172_800_000].map(span);
        assert_eq!(
            spans,
            ["0 seconds", "1 second", "119 seconds", "2 minutes", "2 hours", "2 days"]
        );
    }
}
