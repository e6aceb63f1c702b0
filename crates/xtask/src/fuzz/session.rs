//! One target's run, and what is kept of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Inputs that are kept in git: each at most so long, and so many bytes of a
/// target's together.
const INPUT_BYTES_MAX: u64 = 8 * 1024;
const CORPUS_BYTES_MAX: u64 = 60 * 1024;
/// An input that takes longer than this is a crash, in seconds.
const TIMEOUT_S: u32 = 30;
/// Memory above this is a crash, in MiB.
const MEMORY_MB: u32 = 2048;

/// Where the programs are.
pub(super) struct Programs {
    folder: PathBuf,
    work: PathBuf,
}

impl Programs {
    /// Asks cargo and the compiler.
    pub(super) fn find(root: &Path) -> Result<Self, String> {
        let metadata = output(Command::new("cargo").current_dir(root.join("fuzz")).args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ]))?;
        let metadata: Value = serde_json::from_str(&metadata).map_err(|e| e.to_string())?;
        let target = metadata["target_directory"].as_str().ok_or("cargo names no target folder")?;
        let version = output(Command::new("rustc").arg("-vV"))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let folder = Path::new(target).join(host.ok_or("rustc names no host")?).join("release");
        Ok(Self { folder, work: Path::new(target).join("fuzzing") })
    }
}

/// What came of a run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) executions: u64,
    pub(super) minutes: f64,
    pub(super) edges: u64,
    /// Inputs in git, and their bytes.
    pub(super) inputs: u64,
    pub(super) bytes: u64,
    /// Inputs that crashed some time.
    pub(super) crashes: u64,
    /// Whether this run did.
    pub(super) crashed: bool,
}

/// One target and its folders.
pub(super) struct Session {
    program: PathBuf,
    /// What the fuzzer keeps for itself, outside git.
    work: PathBuf,
    corpus: PathBuf,
    crashes: PathBuf,
    dictionary: PathBuf,
    name: String,
}

impl Session {
    pub(super) fn new(root: &Path, programs: &Programs, name: &str) -> Self {
        let fuzz = root.join("fuzz");
        Self {
            program: programs.folder.join(name),
            work: programs.work.join(name),
            corpus: fuzz.join("corpus").join(name),
            crashes: fuzz.join("crashes").join(name),
            dictionary: fuzz.join("dictionaries").join(format!("{name}.dict")),
            name: name.to_owned(),
        }
    }

    /// Runs the target so long, then keeps what is worth it.
    pub(super) fn run(&self, duration: Duration) -> Result<Run, String> {
        for folder in [&self.work, &self.corpus] {
            fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        println!("{}: runs for {:.1} minutes", self.name, duration.as_secs_f64() / 60.0);
        let began = Instant::now();
        let seen = self.fuzz(duration)?;
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        let said = Said::read(&seen.text);
        if said.edges == 0 {
            let last = seen.text.lines().last().unwrap_or("it says nothing");
            return Err(format!("{}: it did not run: {last}", self.name));
        }
        self.keep()?;
        let (inputs, bytes) = count(&self.corpus);
        let run = Run {
            executions: said.executions,
            minutes,
            edges: said.edges,
            inputs,
            bytes,
            crashes: count(&self.crashes).0,
            crashed: !seen.success,
        };
        let Run { executions, edges, crashes, .. } = run;
        println!("{}: {executions} executions, {edges} edges, {crashes} crashes", self.name);
        if run.crashed {
            let lines = seen.text.lines().skip_while(|line| !line.contains("panicked at"));
            lines.take(20).for_each(|line| println!("{}: {line}", self.name));
        }
        Ok(run)
    }

    fn fuzz(&self, duration: Duration) -> Result<Seen, String> {
        let mut command = self.command();
        command.arg(format!("-max_total_time={}", duration.as_secs().max(1)));
        command.arg(format!("-timeout={TIMEOUT_S}")).arg(format!("-rss_limit_mb={MEMORY_MB}"));
        // What a busy machine makes slow is kept by libFuzzer as if it were a crash.
        command.arg(format!("-report_slow_units={TIMEOUT_S}"));
        command.args(["-print_final_stats=1", "-len_control=20", "-max_len=16384"]);
        if self.dictionary.exists() {
            command.arg(format!("-dict={}", self.dictionary.display()));
        }
        // The crash of this run is made a file of the repository at once.
        fs::create_dir_all(&self.crashes).map_err(|e| e.to_string())?;
        command.arg(format!("-artifact_prefix={}/", self.crashes.display()));
        command.args([&self.work, &self.corpus]);
        let seen = run_to_end(&mut command);
        // A folder without a crash is none of git's.
        let _others_are_in_it = fs::remove_dir(&self.crashes);
        seen
    }

    /// Makes the corpus in git the smallest inputs that reach all that is reached.
    fn keep(&self) -> Result<(), String> {
        let fresh = self.work.with_extension("kept");
        let _none_left = fs::remove_dir_all(&fresh);
        fs::create_dir_all(&fresh).map_err(|e| e.to_string())?;
        let mut command = self.command();
        // By edges alone: how often one is taken is of interest to the fuzzer only.
        command.args(["-set_cover_merge=1", "-use_counters=0"]);
        command.args([&fresh, &self.corpus, &self.work]);
        command.arg(format!("-timeout={TIMEOUT_S}"));
        let merged = run_to_end(&mut command)?;
        if !merged.success {
            return Err(format!("{}: the corpus cannot be merged\n{}", self.name, merged.text));
        }
        let mut files = files(&fresh);
        files.sort_by_key(|(path, len)| (*len, path.clone()));
        let mut left = CORPUS_BYTES_MAX;
        files.retain(|(_, len)| {
            let fits = *len <= INPUT_BYTES_MAX && *len <= left;
            left -= if fits { *len } else { 0 };
            fits
        });
        let failed = |e: std::io::Error| format!("{}: {e}", self.corpus.display());
        // What leaves git stays with the fuzzer.
        for (path, _) in self::files(&self.corpus) {
            let name = path.file_name().unwrap_or_default();
            fs::copy(&path, self.work.join(name)).map_err(failed)?;
            fs::remove_file(&path).map_err(failed)?;
        }
        for (path, _) in files {
            let name = path.file_name().unwrap_or_default();
            fs::copy(&path, self.corpus.join(name)).map_err(failed)?;
        }
        fs::remove_dir_all(&fresh).map_err(failed)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(&self.program).env("RUST_BACKTRACE", "0");
        command
    }
}

/// What a program said at its end.
struct Seen {
    text: String,
    success: bool,
}

fn run_to_end(command: &mut Command) -> Result<Seen, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("the target does not start: {e}; leave --no-build out"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Seen { text, success: output.status.success() })
}

/// What libFuzzer says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    executions: u64,
    edges: u64,
}

impl Said {
    fn read(text: &str) -> Self {
        let mut said = Self::default();
        for line in text.lines() {
            if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
                said.executions = count.trim().parse().unwrap_or(said.executions);
            } else if let Some(count) = line.strip_prefix('#') {
                let mut words = count.split_whitespace();
                let executed = words.next().and_then(|count| count.parse().ok());
                said.executions = executed.unwrap_or(said.executions).max(said.executions);
                let words: Vec<&str> = words.collect();
                let edges = words.windows(2).find(|pair| pair[0] == "cov:");
                let edges = edges.and_then(|pair| pair[1].parse().ok());
                said.edges = edges.unwrap_or(said.edges);
            }
        }
        said
    }
}

fn count(folder: &Path) -> (u64, u64) {
    let files = files(folder);
    (files.len() as u64, files.iter().map(|(_, len)| len).sum())
}

fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(read) = fs::read_dir(folder) else { return Vec::new() };
    read.filter_map(|entry| {
        let entry = entry.ok()?;
        Some((entry.path(), entry.metadata().ok()?.len()))
    })
    .collect()
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?} does not start: {e}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_figures_count() {
        let text = "INFO: Seed: 1\n#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb\n\
             #4096\tpulse  cov: 99 ft: 200 corp: 7/60b lim: 4 exec/s: 2048 rss: 40Mb\n\
             #5000\tDONE   cov: 101 ft: 210 corp: 8/61b lim: 4 exec/s: 2048 rss: 40Mb\n";
        assert_eq!(Said::read(text), Said { executions: 5000, edges: 101 });
        let more = format!("{text}stat::number_of_executed_units: 5123\n");
        assert_eq!(Said::read(&more), Said { executions: 5123, edges: 101 });
        assert_eq!(Said::read("nothing"), Said::default());
    }
}
