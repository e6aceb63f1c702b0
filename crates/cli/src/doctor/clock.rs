//! Whether the clock can be right. It is known to be wrong only against
//! something else that has a time: this program's own age, files and messages
//! that were stored here, and the clocks of those who are connected.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tortalk_node::control::protocol::ClockLine;

use super::node::Running;
use super::{Check, Findings};
use crate::when;

/// Clocks that differ by less are not worth a word.
const TOLERANCE_MS: u64 = 5 * 60 * 1000;
/// 2026-01-01: this program did not exist before.
const EARLIEST_MS: u64 = 1_767_225_600_000;

pub(super) fn look(
    dir: &Path,
    latest_message: Option<u64>,
    node: Option<&Running>,
    found: &mut Findings,
) {
    let now = unix_ms(SystemTime::now());
    let clocks = node.and_then(|node| node.diagnosis.as_ref());
    let clocks = clocks.map_or(&[][..], |diagnosis| &diagnosis.clocks);
    match beside_others(clocks) {
        Others::AgainstUs(line) => return found.wrong(Check::Clock, line),
        Others::OneIsOff(lines) => lines.iter().for_each(|line| found.note(Check::Clock, line)),
        Others::WithUs | Others::Nobody => {}
    }
    if now < EARLIEST_MS {
        let day = when::day_and_time(now);
        let line = format!("the clock says {day}, which is long ago: set it right");
        return found.wrong(Check::Clock, line);
    }
    let newest = latest_message.max(newest_file(dir)).unwrap_or(0);
    let behind = newest.saturating_sub(now);
    if behind > TOLERANCE_MS {
        let span = span(behind);
        let line =
            format!("the clock is {span} behind what was stored here: see whether it is right");
        return found.wrong(Check::Clock, line);
    }
    let beside = match clocks.len() {
        0 => "; nobody is connected to compare it with".to_owned(),
        1 => "; one other was asked".to_owned(),
        count => format!("; {count} others were asked"),
    };
    found.good(Check::Clock, format!("says {}{beside}", when::day_and_time(now)));
}

/// What the clocks of others say of ours.
#[derive(Debug, PartialEq, Eq)]
enum Others {
    Nobody,
    WithUs,
    /// Theirs are wrong: most are with us.
    OneIsOff(Vec<String>),
    /// Ours is wrong, or one of two is.
    AgainstUs(String),
}

/// One clock against ours does not tell which of the two is right. Several that
/// differ from ours the same way do, when they are more than all others.
fn beside_others(clocks: &[ClockLine]) -> Others {
    let is_off = |clock: &&ClockLine| clock.offset_ms.unsigned_abs() > TOLERANCE_MS;
    let off: Vec<&ClockLine> = clocks.iter().filter(is_off).collect();
    let Some(first) = off.first() else {
        return if clocks.is_empty() { Others::Nobody } else { Others::WithUs };
    };
    let (behind, ahead): (Vec<&ClockLine>, _) = off.iter().partition(|clock| clock.offset_ms > 0);
    let (most, way) =
        if behind.len() > ahead.len() { (behind, "behind") } else { (ahead, "ahead of") };
    if most.len() > 1 && most.len() * 2 > clocks.len() {
        let mut offsets: Vec<u64> = most.iter().map(|c| c.offset_ms.unsigned_abs()).collect();
        offsets.sort_unstable();
        let span = span(offsets[offsets.len() / 2]);
        let count = most.len();
        return Others::AgainstUs(format!(
            "the clock is {span} {way} the clocks of {count} others: set it right"
        ));
    }
    if clocks.len() == 1 {
        let (span, whose) = (span(first.offset_ms.unsigned_abs()), whose(first));
        return Others::AgainstUs(format!(
            "the clock is {span} {way} the one of {whose}: set right whichever is wrong"
        ));
    }
    let line = |clock: &&ClockLine| {
        let way = if clock.offset_ms > 0 { "ahead of" } else { "behind" };
        let span = span(clock.offset_ms.unsigned_abs());
        format!(
            "the clock of {} is {span} {way} ours: tell them, or see whether ours is right",
            whose(clock)
        )
    };
    Others::OneIsOff(off.iter().map(line).collect())
}

/// In words, to the nearest minute: what is compared was on its way.
fn span(ms: u64) -> String {
    when::span(ms.saturating_add(30_000))
}

fn whose(clock: &ClockLine) -> String {
    match (clock.relay, clock.whose.as_str()) {
        (true, "") => "somebody's relay".to_owned(),
        (true, url) => format!("the relay {url}"),
        (false, name) => name.to_owned(),
    }
}

fn newest_file(dir: &Path) -> Option<u64> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    let times = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok());
    times.map(unix_ms).max()
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn clock(whose: &str, offset_ms: i64) -> ClockLine {
        ClockLine { whose: whose.to_owned(), relay: whose.contains(':'), offset_ms }
    }

    fn against(clocks: &[ClockLine]) -> String {
        match beside_others(clocks) {
            Others::AgainstUs(line) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_who_agree_are_believed_and_one_is_not() {
        assert_eq!(
            against(&[clock("Bob", 365 * DAY)]),
            "the clock is 365 days behind the one of Bob: set right whichever is wrong"
        );
        assert_eq!(
            against(&[clock("http://r:1", -365 * DAY)]),
            "the clock is 365 days ahead of the one of the relay http://r:1: set right whichever \
             is wrong"
        );
        assert_eq!(
            against(&[clock("Bob", -3 * DAY), clock("Eve", 9 * DAY), clock("Al", -4 * DAY)]),
            "the clock is 4 days ahead of the clocks of 2 others: set it right"
        );
    }

    #[test]
    fn one_among_others_is_off_by_itself() {
        for clocks in [
            &[clock("Bob", -3 * DAY), clock("Eve", 0)][..],
            &[clock("Bob", -3 * DAY), clock("Eve", 9 * DAY)],
            &[clock("Bob", DAY), clock("Eve", DAY), clock("Al", 0), clock("Jo", 1)],
        ] {
            assert!(matches!(beside_others(clocks), Others::OneIsOff(_)), "{clocks:?}");
        }
    }

    #[test]
    fn minutes_are_nothing() {
        assert_eq!(beside_others(&[clock("Bob", 300_000), clock("Eve", -300_000)]), Others::WithUs);
        assert_eq!(beside_others(&[]), Others::Nobody);
        assert!(matches!(beside_others(&[clock("Bob", i64::MIN)]), Others::AgainstUs(_)));
    }
}
