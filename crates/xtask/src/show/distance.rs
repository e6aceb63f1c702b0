//! Two people who never share a network or an hour online, in virtual time.
//!
//! They are tests of the machine with real stores; what they tell is printed here
//! as a table, and they decide.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use super::Problem;
use crate::repo;

/// The tests, by the beginning of their names, and how many there are.
const TESTS: (&str, usize) = ("distance::", 3);
/// Lines that are told begin so; then follow story, day, hour, who and what.
const MARK: &str = "@\t";

pub(crate) fn run() -> Result<bool, Problem> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(repo::root()?);
    cargo.args(["test", "--locked", "--package", "tortalk-mesh", "--test", "it", "--"]);
    cargo.args([TESTS.0, "--nocapture"]);
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{}", table(&said));
    let result = said.lines().find(|line| line.starts_with("test result: "));
    let result = result.unwrap_or("there is no result");
    println!("{result}");
    let all = format!("test result: ok. {} passed;", TESTS.1);
    if output.status.success() && !result.starts_with(&all) {
        return Err(format!("there are {} stories to be told", TESTS.1));
    }
    Ok(output.status.success())
}

/// What was told, story by story; those of several threads are mixed.
fn table(said: &str) -> String {
    let mut stories: BTreeMap<&str, String> = BTreeMap::new();
    // With one thread a test's first line follows its name.
    for line in said.lines().filter_map(|line| Some(&line[line.find(MARK)?..])) {
        let mut fields = line[MARK.len()..].splitn(5, '\t');
        let mut next = || fields.next().unwrap_or_default();
        let (title, day, hour, who, what) = (next(), next(), next(), next(), next());
        let row = format!("{day:>4}  {hour}  {who:<6} {what}\n");
        stories.entry(title).or_default().push_str(&row);
    }
    let story = |(title, rows)| format!("{title}\n day  time   who    what\n{rows}\n");
    stories.into_iter().map(story).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stories_that_are_mixed_are_told_one_after_the_other() {
        let said = "running 2 tests\n@\tb\t3\t08:20\tAlice\treads\n\
                    test one ... @\ta\t12\t20:20\tBob\twrites\n@\tb\t4\t08:20\tAlice\tsees\n";
        let expected = "a\n day  time   who    what\n  12  20:20  Bob    writes\n\n\
                        b\n day  time   who    what\n   3  08:20  Alice  reads\n\
                        \x20  4  08:20  Alice  sees\n\n";
        assert_eq!(table(said), expected);
    }
}
