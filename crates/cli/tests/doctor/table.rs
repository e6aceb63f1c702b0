//! The table of docs/doctor.md: what is promised there is what is tested.

use std::fs;

/// Every row has a test that asks for it by this name.
const TESTED: &[&str] = &[
    "multicast dropped, on this machine",
    "multicast dropped, on the network",
    "port taken",
    "no interface",
    "no interface but a tunnel",
    "client isolation",
    "clock a year off",
    "clock a year off, with one witness",
    "relay down",
    "relay key changed",
    "full disk",
    "second process",
    "firewall drop, into this machine",
    "firewall drop, out of this machine",
    "firewall drop, there or here",
];

struct Row {
    fault: String,
    line: String,
}

fn rows() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/doctor.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        let (fault, _looks_at, line) = (cells.next()?, cells.next()?, cells.next()?);
        // A line with code in it stands between two backquotes.
        let line = line.strip_prefix("`` ").and_then(|line| line.strip_suffix(" ``"));
        Some(Row { fault: fault.to_owned(), line: line?.to_owned() })
    });
    rows.collect()
}

/// The first line that is promised for a fault, with `{name}`s filled in.
#[track_caller]
pub(crate) fn first_line(fault: &str, values: &[(&str, &str)]) -> String {
    assert!(TESTED.contains(&fault), "{fault}");
    let rows = rows();
    let row = rows.iter().find(|row| row.fault == fault);
    let mut line = row.unwrap_or_else(|| panic!("docs/doctor.md has no {fault}")).line.clone();
    for (name, value) in values {
        let name = format!("{{{name}}}");
        assert!(line.contains(&name), "{fault}: no {name} in {line}");
        line = line.replace(&name, value);
    }
    assert!(!line.contains('{'), "{line}");
    line
}

#[test]
fn every_row_is_tested() {
    let faults: Vec<String> = rows().into_iter().map(|row| row.fault).collect();
    assert_eq!(faults, TESTED);
}
