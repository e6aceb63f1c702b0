//! `tortalk-sim`: runs simulations and says what did not hold.
//!
//! Exit codes: 0 everything held, 1 something did not, 2 wrong usage.
#![forbid(unsafe_code)]

mod table;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use tortalk_sim::{Keep, Outcome, Plan, Sabotage, measured, shrink, swarm};

#[derive(Parser)]
#[command(name = "tortalk-sim", about = "Many nodes on the real machine, in virtual time")]
struct Arguments {
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 300)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    from: u64,
    /// This seed alone
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Prints the whole trace of the seed
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Looks for a smaller plan of the seed that fails in the same way
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// Breaks the devices on purpose; the command must then fail
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    sabotage: Sabotage,
    /// Figures of a network, a village and a relay in place of faults
    #[arg(long, conflicts_with_all = ["trace", "shrink", "seeds", "from"])]
    table: bool,
    /// Simulations at a time; all processors if not given
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let held = match arguments.seed {
        _ if arguments.table => figures(arguments.seed.unwrap_or(1)),
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one seed, with its trace if that is wanted; whether everything held.
fn one(seed: u64, arguments: &Arguments) -> bool {
    let plan = swarm::plan(seed, arguments.sabotage);
    let keep = if arguments.trace { Keep::Whole } else { Keep::Last };
    let outcome = tortalk_sim::run(&plan, keep);
    if let Some(trace) = &outcome.trace {
        // Whoever reads may have seen enough.
        let _closed = std::io::stdout().write_all(trace.as_bytes());
    }
    let Some(violation) = &outcome.violation else {
        let Outcome { trace_hash, lines, ended, happenings, .. } = &outcome;
        println!(
            "seed {seed}: held; trace {trace_hash}, {lines} lines, \
             {happenings} happenings until {ended}"
        );
        return true;
    };
    report(&outcome, arguments.sabotage);
    if arguments.shrink {
        let small = shrink::smallest(&plan, violation.invariant);
        print_plan(&small);
    }
    false
}

/// Prints the figures of the measured scenarios; whether everything held.
fn figures(seed: u64) -> bool {
    println!("seed {seed}\n{}", table::head());
    for (name, plan) in measured::scenarios(seed) {
        let started = Instant::now();
        let outcome = tortalk_sim::run(&plan, Keep::Last);
        if outcome.violation.is_some() {
            report(&outcome, Sabotage::None);
            return false;
        }
        println!("{}", table::row(name, plan.people.len(), &outcome.figures));
        eprintln!("  ({} happenings in {} s)", outcome.happenings, started.elapsed().as_secs());
    }
    println!("{}", table::LEGEND);
    true
}

/// Runs many seeds, several at a time; whether everything held in all.
fn many(arguments: &Arguments) -> bool {
    let started = Instant::now();
    let last = arguments.from.saturating_add(arguments.seeds);
    let next = AtomicU64::new(arguments.from);
    let totals = Mutex::new(Totals::default());
    let jobs = arguments.jobs.unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
    });
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last {
                        return;
                    }
                    let one = Instant::now();
                    let outcome =
                        tortalk_sim::run(&swarm::plan(seed, arguments.sabotage), Keep::Last);
                    let failed = outcome.violation.is_some();
                    lock(&totals).add(outcome, one.elapsed().as_millis());
                    if failed {
                        // What was begun is ended; nothing new is.
                        next.store(last, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let totals = lock(&totals);
    let Totals { seeds, written, delivered, happenings, commits, slowest, failed } = &*totals;
    let seconds = started.elapsed().as_secs();
    if let Some(outcome) = failed {
        report(outcome, arguments.sabotage);
        println!("a fault in one of {seeds} seeds, after {seconds} s");
        return false;
    }
    println!(
        "{seeds} seeds held: {written} messages written, {delivered} delivered, \
         {happenings} happenings, {commits} commits, in {seconds} s; \
         the slowest, seed {}, took {} ms",
        slowest.1, slowest.0
    );
    true
}

fn lock(totals: &Mutex<Totals>) -> std::sync::MutexGuard<'_, Totals> {
    totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[derive(Default)]
struct Totals {
    seeds: u64,
    written: usize,
    delivered: usize,
    happenings: u64,
    commits: u64,
    /// Milliseconds and seed.
    slowest: (u128, u64),
    /// The failed one with the smallest seed.
    failed: Option<Outcome>,
}

impl Totals {
    fn add(&mut self, outcome: Outcome, took_ms: u128) {
        self.seeds += 1;
        self.written += outcome.figures.written;
        self.delivered += outcome.figures.delivered;
        self.happenings += outcome.happenings;
        self.commits += outcome.commits;
        self.slowest = self.slowest.max((took_ms, outcome.seed));
        let first = self.failed.as_ref().is_none_or(|failed| outcome.seed < failed.seed);
        if outcome.violation.is_some() && first {
            self.failed = Some(outcome);
        }
    }
}

fn report(outcome: &Outcome, sabotage: Sabotage) {
    let Some(violation) = &outcome.violation else { return };
    for line in &outcome.last {
        println!("  {line}");
    }
    println!("seed {}: {violation}", outcome.seed);
    let broken = match sabotage {
        Sabotage::None => String::new(),
        how => format!(" --sabotage {}", how.word()),
    };
    println!("again: cargo xtask sim --seed {}{broken} --trace", outcome.seed);
}

fn print_plan(plan: &Plan) {
    println!("a smaller plan fails likewise, {} incidents:", plan.incidents.len());
    for (number, person) in plan.people.iter().enumerate() {
        println!("  n{number} {person:?}");
    }
    for friends in &plan.friends {
        println!("  {friends:?}");
    }
    for (at, incident) in &plan.incidents {
        println!("  {at} {incident:?}");
    }
    println!("  {} healed", plan.heal_at);
}
