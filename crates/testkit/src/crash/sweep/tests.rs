use super::*;
use crate::crash::log::FileId;

/// A store of one file that holds whole lines, one for each commit: what stands
/// behind the last line end is no commit.
struct Lines;

impl Subject for Lines {
    const NAME: &'static str = "lines";

    fn work(_: &Path, _: &mut crate::crash::Diary) -> Result<(), Problem> {
        Ok(())
    }

    fn check(folder: &Path) -> Result<String, Problem> {
        let Ok(bytes) = fs::read(folder.join("lines")) else { return Ok(NOTHING.into()) };
        let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter(|l| l.ends_with(b"\n"));
        let whole: Vec<&[u8]> = whole.take_while(|line| !line.contains(&0)).collect();
        match whole.len() {
            0 => Ok(NOTHING.into()),
            count => Ok(format!("lines-{count}")),
        }
    }
}

/// Whether a commit is synced before it is promised.
#[derive(PartialEq)]
enum Syncs {
    Before,
    After,
}

fn log(syncs: &Syncs) -> Log {
    let (file, line) = (FileId(0), b"a line\n");
    let mut entries =
        vec![Entry::Op(Op::Create { name: "lines".into(), file }), Entry::Op(Op::SyncFolder)];
    for k in 1..=60_usize {
        let (offset, bytes) = ((k - 1) * line.len(), line.to_vec());
        entries.push(Entry::Note(format!("begin {k}")));
        entries.push(Entry::Op(Op::Write { file, offset, bytes }));
        let ends = [Entry::Op(Op::Sync { file }), Entry::Note(format!("promise {k}"))];
        match syncs {
            Syncs::Before => entries.extend(ends),
            Syncs::After => entries.extend(ends.into_iter().rev()),
        }
        entries.push(Entry::Note(format!("content {k} lines-{k}")));
    }
    Log { entries }
}

#[test]
fn a_store_that_syncs_before_it_promises_holds() {
    let summary = run::<Lines>(&log(&Syncs::Before), &Options { every: 1, ..Options::default() });
    let summary = summary.expect("a sweep");
    assert!(summary.holds(), "{summary}");
    assert_eq!((summary.commits, summary.cuts, summary.syncs), (60, 123, 61));
    assert!(summary.opened < summary.images, "equal images are opened once");
}

#[test]
fn a_store_that_promises_before_it_syncs_is_found_and_named() {
    let log = log(&Syncs::After);
    let summary = run::<Lines>(&log, &Options::default()).expect("a sweep");
    assert!(!summary.holds());
    let Failure { cut, choice, what } = &summary.failures[0];
    assert_eq!(what, "holds commit 0, but 1 was promised");
    let only = Options { only: Some((*cut, *choice)), ..Options::default() };
    let again = run::<Lines>(&log, &only).expect("a sweep");
    assert_eq!(again.failures.len(), 1, "it can be run again alone");
}

#[test]
fn a_log_that_shows_too_little_is_no_proof() {
    for (from, what) in [(0, "too little"), (2, "cannot"), (3, "without content")] {
        let mut log = log(&Syncs::Before);
        match from {
            0 => log.entries.truncate(2 + 5 * 5),
            2 => log.entries.push(Entry::Note("promised 3".into())),
            _ => log.entries.retain(|entry| *entry != Entry::Note("content 3 lines-3".into())),
        }
        let problem = run::<Lines>(&log, &Options::default()).expect_err("no proof");
        assert!(problem.contains(what), "{problem}");
    }
}
