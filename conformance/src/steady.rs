//! The same run again and again: verdicts must depend neither on the seed nor on how busy
//! the machine is.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::verdict::Exit;

/// Keeps all cores busy as long as it lives.
struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<u64>>,
}

impl Load {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let spin = || {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut sum = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    for number in 0..10_000_u64 {
                        sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number));
                    }
                }
                sum
            })
        };
        let threads = (0..cores).map(|_| spin()).collect();
        Self { stop, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Nothing in it can fail.
            let _sum = thread.join();
        }
    }
}

/// Runs `program` with `arguments` and seeds 1 to `runs`; in `busy` of them this process keeps
/// all cores busy meanwhile. Passes when every case has one verdict in all of them and every
/// run has the same exit code, which is then the exit.
///
/// # Errors
/// When a run cannot be started or leaves no report.
pub fn run(
    program: &Path,
    runs: u64,
    busy: u64,
    arguments: &[String],
    mut say: impl FnMut(String),
) -> std::io::Result<Exit> {
    let report = std::env::temp_dir().join(format!("conformance-steady-{}", std::process::id()));
    let mut verdicts: BTreeMap<String, BTreeMap<String, Vec<u64>>> = BTreeMap::new();
    let mut codes = Vec::new();
    for seed in 1..=runs {
        // The busy ones are spread among the others.
        let is_busy = seed * busy / runs > (seed - 1) * busy / runs;
        let load = is_busy.then(Load::start);
        let started = Instant::now();
        let status = Command::new(program)
            .args(arguments)
            .args(["--seed", &seed.to_string()])
            .args(["--report", &format!("json={}", report.display())])
            .stdout(Stdio::null())
            .status()?;
        drop(load);
        let text = std::fs::read_to_string(&report);
        let read = text.and_then(|text| Ok(serde_json::from_str::<Value>(&text)?));
        let read = read.map_err(|error| {
            std::io::Error::other(format!("seed {seed} ended with {status} and no report: {error}"))
        })?;
        std::fs::remove_file(&report)?;
        let cases = read["cases"].as_array().map(Vec::as_slice).unwrap_or_default();
        for case in cases {
            let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
            let of_case = verdicts.entry(text("id")).or_default();
            of_case.entry(text("verdict")).or_default().push(seed);
        }
        let took = started.elapsed().as_secs_f64();
        let load = if is_busy { "all cores busy" } else { "nothing else" };
        say(format!("seed {seed:>2}, {load:<14}: {status}, {} cases, {took:.1} s", cases.len()));
        codes.push(status.code());
    }
    let mut differing = 0;
    for (id, by_verdict) in &verdicts {
        let seen: usize = by_verdict.values().map(Vec::len).sum();
        if by_verdict.len() == 1 && seen as u64 == runs {
            continue;
        }
        differing += 1;
        let texts: Vec<String> =
            by_verdict.iter().map(|(word, seeds)| format!("{word} with seeds {seeds:?}")).collect();
        say(format!("{id}: {}", texts.join(", ")));
    }
    codes.dedup();
    let same = differing == 0 && codes.len() == 1;
    say(format!("{runs} runs, {busy} of them busy, {} cases, {differing} differ", verdicts.len()));
    Ok(match (same, verdicts.is_empty()) {
        (_, true) => Exit::NothingSelected,
        (true, _) if codes == [Some(0)] => Exit::Passed,
        _ => Exit::Failed,
    })
}
