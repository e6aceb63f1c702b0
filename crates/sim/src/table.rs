//! The figures of measured scenarios, in lines and columns.

use core::fmt::Write as _;

use tortalk_sim::Figures;
use tortalk_sim::time::{DAY, HOUR, MINUTE, SECOND};

/// The names of the columns.
pub(crate) fn head() -> String {
    let (first, rest) = ("scenario", ["people", "written", "arrived", "p50", "p95", "p99"]);
    let mut line = format!("{first:<24}");
    for name in rest {
        let _fits = write!(line, "{name:>9}");
    }
    for name in ["holders", "copies", "bytes", "all bytes"] {
        let _fits = write!(line, "{name:>10}");
    }
    line
}

/// What the columns are.
pub(crate) const LEGEND: &str = "\
arrived: of the messages written, in per cent. p50 to p99: from writing to the recipient's disk.
Per message that arrived: holders: devices besides the sender's that kept an envelope with it;
copies: times that one went over a link or to a relay; bytes: of those; all bytes: of everything
on links and with relays (receipts, offers, cards, greetings), by the number of messages.";

/// One scenario.
pub(crate) fn row(name: &str, people: usize, figures: &Figures) -> String {
    let Figures { written, delivered, holders, copies, message_bytes, bytes, .. } = figures;
    let ratio = 100.0 * part(*delivered as u64, *written as u64);
    let each = |total: u64| part(total, *delivered as u64);
    let mut line = format!("{name:<24}{people:>9}{written:>9}{ratio:>8.1}%");
    for percent in [50, 95, 99] {
        let latency = figures.percentile_ms(percent).map_or_else(|| "-".to_owned(), duration);
        let _fits = write!(line, "{latency:>9}");
    }
    let _fits = write!(line, "{:>10.2}{:>10.2}", each(*holders), each(*copies));
    let _fits = write!(line, "{:>10.0}{:>10.0}", each(*message_bytes), each(*bytes));
    line
}

fn part(of: u64, whole: u64) -> f64 {
    of as f64 / whole.max(1) as f64
}

/// In the unit that reads best.
fn duration(ms: u64) -> String {
    let in_unit = |unit: u64| ms as f64 / unit as f64;
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..MINUTE => format!("{:.1} s", in_unit(SECOND)),
        MINUTE..HOUR => format!("{:.1} min", in_unit(MINUTE)),
        HOUR..DAY => format!("{:.1} h", in_unit(HOUR)),
        _ => format!("{:.1} d", in_unit(DAY)),
    }
}
