//! All moments and choices.

use core::fmt;
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::choice::{Choice, Kind};
use super::disk::{Disk, Image};
use super::log::{Entry, Log, Op};
use super::options::Options;
use super::{NOTHING, Problem, Subject, scratch};

/// An image is in memory once for each thread; what is larger is a mistake of the
/// workload.
const IMAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Failures that are told one by one.
const TOLD_MAX: usize = 5;
/// After so many the sweep ends: the store is broken, and that was to be found.
const FAILURES_MAX: usize = 100;
/// Fewer operations or commits would mean that the log does not show what it is
/// read for.
const OPS_MIN: usize = 100;
const COMMITS_MIN: u64 = 10;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    name: &'static str,
    seed: u64,
    commits: u64,
    operations: usize,
    syncs: usize,
    cuts: usize,
    images: usize,
    opened: usize,
    torn: usize,
    reordered: usize,
    failures: Vec<Failure>,
}

/// A broken promise.
#[derive(Debug)]
struct Failure {
    cut: usize,
    choice: Choice,
    what: String,
}

impl Summary {
    /// Whether every promise was kept.
    pub(crate) const fn holds(&self) -> bool {
        self.failures.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.images += other.images;
        self.torn += other.torn;
        self.reordered += other.reordered;
        self.failures.extend(other.failures);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = [
            ("commits", self.commits as usize),
            ("operations", self.operations),
            ("syncs", self.syncs),
            ("cuts", self.cuts),
            ("images", self.images),
            ("opened", self.opened),
            ("torn", self.torn),
            ("reordered", self.reordered),
            ("failures", self.failures.len()),
        ];
        write!(f, "{:<6}", "store")?;
        columns.iter().try_for_each(|(name, _)| write!(f, " {name:>10}"))?;
        write!(f, "\n{:<6}", self.name)?;
        columns.iter().try_for_each(|(_, count)| write!(f, " {count:>10}"))?;
        for Failure { cut, choice, what } in self.failures.iter().take(TOLD_MAX) {
            write!(f, "\n  --store {} --seed {}", self.name, self.seed)?;
            write!(f, " --only {cut}/{choice}: {what}")?;
        }
        if self.failures.len() > TOLD_MAX {
            write!(f, "\n  and {} more", self.failures.len() - TOLD_MAX)?;
        }
        Ok(())
    }
}

/// What is to hold at a cut: the content after one of these commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    /// The last commit that was promised.
    promised: u64,
    /// The last one that was begun.
    begun: u64,
}

/// A log that was understood.
#[derive(Debug)]
struct Run<'l> {
    ops: Vec<&'l Op>,
    /// Before each operation, and after the last.
    bounds: Vec<Bounds>,
    /// After each commit; before the first, nothing.
    contents: Vec<&'l str>,
}

impl<'l> Run<'l> {
    fn of(log: &'l Log) -> Result<Self, Problem> {
        let mut run = Self { ops: Vec::new(), bounds: Vec::new(), contents: vec![NOTHING] };
        let mut now = Bounds { promised: 0, begun: 0 };
        for entry in &log.entries {
            let note = match entry {
                Entry::Op(op) => {
                    run.ops.push(op);
                    run.bounds.push(now);
                    continue;
                }
                Entry::Note(note) => note,
            };
            let mut words = note.split(' ');
            let (what, number) = (words.next(), words.next().and_then(|n| n.parse().ok()));
            match (what, number, words.next()) {
                (Some("begin"), Some(number), None) => now.begun = number,
                (Some("promise"), Some(number), None) => now.promised = number,
                (Some("content"), Some(number), Some(content)) => {
                    run.contents.push(content);
                    if run.contents.len() as u64 != number + 1 {
                        return Err(format!("a commit without content before {number}"));
                    }
                }
                _ => return Err(format!("the diary says what it cannot: {note}")),
            }
        }
        run.bounds.push(now);
        if run.contents.len() as u64 != now.begun + 1 {
            return Err("the last commit has no content".into());
        }
        if run.ops.len() < OPS_MIN || now.begun < COMMITS_MIN {
            let (ops, begun) = (run.ops.len(), now.begun);
            return Err(format!("{ops} operations and {begun} commits: too little to judge"));
        }
        Ok(run)
    }

    /// What is wrong with this content after a crash here, if anything is.
    fn judge(&self, found: &Result<String, Problem>, bounds: Bounds) -> Option<String> {
        let found = match found {
            Ok(found) => found,
            Err(problem) => return Some(problem.clone()),
        };
        let Bounds { promised, begun } = bounds;
        let left_by = |(number, content): (u64, &&str)| (*content == found).then_some(number);
        let numbers: Vec<u64> = (0..).zip(&self.contents).filter_map(left_by).collect();
        if numbers.iter().any(|number| (promised..=begun).contains(number)) {
            return None;
        }
        Some(match numbers.iter().rfind(|number| **number <= begun) {
            Some(number) => format!("holds commit {number}, but {promised} was promised"),
            None => format!("holds a part of a commit; {promised} was promised, {begun} begun"),
        })
    }
}

/// What the threads of a sweep have together.
#[derive(Default)]
struct Shared {
    /// The next cut.
    next: AtomicUsize,
    failures: AtomicUsize,
    /// What was found in images that were opened, by their hash.
    known: Mutex<BTreeMap<u64, Result<String, Problem>>>,
}

/// Sweeps a log.
///
/// # Errors
/// When the log is not that of such a program, or the scratch folder fails.
pub(crate) fn run<S: Subject>(log: &Log, options: &Options) -> Result<Summary, Problem> {
    let run = Run::of(log)?;
    let mut summary = Summary {
        name: S::NAME,
        seed: options.seed,
        commits: run.contents.len() as u64 - 1,
        operations: run.ops.len(),
        syncs: run.ops.iter().filter(|op| matches!(op, Op::Sync { .. } | Op::SyncFolder)).count(),
        ..Summary::default()
    };
    if let Some((cut, choice)) = options.only {
        one::<S>(&run, options, cut, choice, &mut summary)?;
        return Ok(summary);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let shared = Shared::default();
    let parts: Vec<_> = std::thread::scope(|scope| {
        let work = || part::<S>(&run, options, &shared);
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        started.into_iter().map(|part| part.join().expect("a check that does not panic")).collect()
    });
    for part in parts {
        summary.add(part?);
    }
    summary.failures.sort_by_key(|failure| failure.cut);
    summary.opened = shared.known.lock().expect("no thread panicked").len();
    Ok(summary)
}

/// Takes cuts as long as there are some.
fn part<S: Subject>(run: &Run<'_>, options: &Options, shared: &Shared) -> Result<Summary, Problem> {
    let scratch = scratch(S::NAME)?;
    let (mut disk, mut done, mut summary) = (Disk::default(), 0, Summary::default());
    loop {
        let cut = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(bounds) = run.bounds.get(cut) else { return Ok(summary) };
        if shared.failures.load(Ordering::Relaxed) >= FAILURES_MAX {
            return Ok(summary);
        }
        for op in &run.ops[done..cut] {
            disk.push(op);
        }
        done = cut;
        summary.cuts += 1;
        let pending = disk.pending();
        let choices = if cut.is_multiple_of(options.every) {
            Choice::all(pending, options.subsets)
        } else {
            Choice::few(pending)
        };
        for choice in choices {
            summary.images += 1;
            match choice.kind() {
                Kind::Cut => {}
                Kind::Torn => summary.torn += 1,
                Kind::Reordered => summary.reordered += 1,
            }
            let image = disk.image(&choice.fates(pending, options.seed, cut));
            let hash = hash(&image);
            let before = shared.known.lock().expect("no thread panics").get(&hash).cloned();
            // Equal images hold the same, whenever the power went off; what they
            // have to hold differs.
            let found = match before {
                Some(found) => found,
                None => {
                    let found = open::<S>(&image, &scratch.path().join("store"))?;
                    shared.known.lock().expect("no thread panics").insert(hash, found.clone());
                    found
                }
            };
            if let Some(what) = run.judge(&found, *bounds) {
                shared.failures.fetch_add(1, Ordering::Relaxed);
                summary.failures.push(Failure { cut, choice, what });
            }
        }
    }
}

/// One cut and one choice, told in full.
fn one<S: Subject>(
    run: &Run<'_>,
    options: &Options,
    cut: usize,
    choice: Choice,
    summary: &mut Summary,
) -> Result<(), Problem> {
    let bounds = *run.bounds.get(cut).ok_or_else(|| format!("there is no cut {cut}"))?;
    let mut disk = Disk::default();
    for op in &run.ops[..cut] {
        disk.push(op);
    }
    let fates = choice.fates(disk.pending(), options.seed, cut);
    for (number, fate) in &fates {
        println!("  {}: {fate:?}", shown(disk.pending()[*number]));
    }
    let image = disk.image(&fates);
    if let Some(folder) = &options.keep {
        lay(&image, folder)?;
    }
    let found = open::<S>(&image, &scratch(S::NAME)?.path().join("store"))?;
    summary.cuts = 1;
    summary.images = 1;
    summary.opened = 1;
    if let Some(what) = run.judge(&found, bounds) {
        summary.failures.push(Failure { cut, choice, what });
    }
    Ok(())
}

fn shown(op: &Op) -> String {
    match op {
        Op::Write { file, offset, bytes } => {
            format!("write of {} bytes to file {} from {offset}", bytes.len(), file.0)
        }
        other => format!("{other:?}"),
    }
}

fn hash(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}

/// Puts an image on the disk and has it checked.
fn open<S: Subject>(image: &Image, folder: &Path) -> Result<Result<String, Problem>, Problem> {
    lay(image, folder)?;
    Ok(S::check(folder))
}

fn lay(image: &Image, folder: &Path) -> Result<(), Problem> {
    let bytes: usize = image.values().map(Vec::len).sum();
    if bytes > IMAGE_BYTES_MAX {
        return Err(format!("an image of {bytes} bytes, more than {IMAGE_BYTES_MAX}"));
    }
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => fs::create_dir(folder).map_err(failed)?,
    }
    for (name, content) in image {
        fs::write(folder.join(name), content).map_err(failed)?;
        // The log's index is shared memory: the kernel writes it when it likes, so
        // after a crash anything may be in it, and none of it may be believed.
        if let Some(database) = name.strip_suffix("-wal") {
            fs::write(folder.join(format!("{database}-shm")), INDEX).map_err(failed)?;
        }
    }
    Ok(())
}

static INDEX: [u8; 32 * 1024] = [0xa5; 32 * 1024];

#[cfg(test)]
mod tests;
