//! Kill -9 at random moments of a conversation, again and again.
//!
//! A round sends a few messages, kills one of the processes after a random wait,
//! starts it again, and waits until all is delivered. It counts only if at least
//! one message was not confirmed at the kill. What the sender answered with
//! "queued" has to be in the recipient's history, once, and the sender has to
//! learn of it.

mod talk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::child::Program;
use super::random::Random;
use super::relay::RelayBuild;
use super::{Build, Problem, scratch};
use talk::{Round, Step, Talk, Victim};

#[derive(Args)]
pub(crate) struct Options {
    /// What is between the sender and the recipient
    #[arg(long, value_enum, default_value = "link")]
    path: Way,
    /// Rounds that count
    #[arg(long, default_value_t = 1000)]
    rounds: usize,
    /// Messages in a round
    #[arg(long, default_value_t = 6)]
    messages: usize,
    /// Conversations at the same time, each with processes of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    /// Chooses moments and victims
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    build: Build,
    #[command(flatten)]
    relay: RelayBuild,
}

/// What is between the sender and the recipient.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Nothing but a link
    Link,
    /// A common contact; the two never link
    Carrier,
    /// A relay; nobody links
    Relay,
}

/// A round that takes longer than this has waited for something: it is shown.
const SLOW: Duration = Duration::from_secs(5);
/// A broken program is stopped when so many rounds were counted and it has failed.
const BROKEN_ROUNDS: usize = 10;

pub(crate) fn run(options: &Options) -> Result<bool, Problem> {
    let program = options.build.program()?;
    let relay = match options.path {
        Way::Link | Way::Carrier => None,
        Way::Relay => Some(options.relay.program()?),
    };
    let folder = scratch("kill")?;
    let started = Instant::now();
    let tallies: Vec<Result<Tally, Problem>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..usize::from(options.workers))
            .map(|worker| {
                let dir = folder.path().join(worker.to_string());
                let (program, relay) = (program.clone(), relay.clone());
                scope.spawn(move || work(options, worker, program, relay, &dir))
            })
            .collect();
        let crashed = |_| Err("a worker crashed".to_owned());
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(crashed)).collect()
    });
    let mut all = Tally::default();
    for tally in tallies {
        all.add(tally?);
    }
    all.print(started.elapsed());
    Ok(all.round == Round::default())
}

/// One conversation to its end.
fn work(
    options: &Options,
    worker: usize,
    program: Program,
    relay: Option<PathBuf>,
    dir: &Path,
) -> Result<Tally, Problem> {
    let workers = usize::from(options.workers);
    let rounds = options.rounds / workers + usize::from(worker < options.rounds % workers);
    let broken = program.sabotage.is_some();
    let mut talk = Talk::start(program, options.path, relay, dir)?;
    let mut random = Random(options.seed + ((worker as u64) << 32));
    // Moments from before the first byte to after the last receipt of a round.
    let undisturbed = talk.undisturbed(options.messages)? * 5 / 4;
    let longest = u64::try_from(undisturbed.as_micros()).unwrap_or(u64::MAX);
    let mut tally = Tally::default();
    while tally.counted < rounds {
        let victim = talk.victims()[random.below(talk.victims().len())];
        let number = tally.counted + tally.idle;
        let texts: Vec<String> =
            (0..options.messages).map(|i| format!("round {number} message {i}")).collect();
        talk.send(&texts)?;
        std::thread::sleep(Duration::from_micros(random.next() % longest));
        talk.kill(victim)?;
        let steps = texts.iter().filter_map(|text| talk.step(text));
        let least = steps.min().unwrap_or(Step::Asked);
        tally.note(victim, least);
        talk.restart(victim)?;
        let settling = Instant::now();
        let round = talk.settle(&texts)?;
        tally.settled(settling.elapsed());
        if round.has_fault() || settling.elapsed() > SLOW {
            let Round { lost, doubled, unconfirmed } = round;
            let seconds = settling.elapsed().as_secs_f64();
            let (who, least) = (victim.words(), least.words());
            println!(
                "round {number}, {who} killed, least: {least}: settled after {seconds:.1} s, \
                 {lost} lost, {doubled} doubled, {unconfirmed} never confirmed"
            );
        }
        tally.round.add(round);
        if broken && tally.round.has_fault() && tally.counted >= BROKEN_ROUNDS.min(rounds) {
            break; // It was shown.
        }
    }
    talk.check_links()?;
    tally.messages = talk.messages();
    Ok(tally)
}

/// What came of many rounds.
#[derive(Default)]
struct Tally {
    by_step: BTreeMap<(Victim, Step), usize>,
    counted: usize,
    idle: usize,
    messages: usize,
    round: Round,
    slow: usize,
    slowest: Duration,
}

impl Tally {
    /// Notes how long it took until all was delivered after a kill.
    fn settled(&mut self, took: Duration) {
        self.slow += usize::from(took > SLOW);
        self.slowest = self.slowest.max(took);
    }

    /// Counts a round by how far its least advanced message had come.
    fn note(&mut self, victim: Victim, least: Step) {
        if least < Step::Delivered {
            self.counted += 1;
            *self.by_step.entry((victim, least)).or_default() += 1;
        } else {
            self.idle += 1;
        }
    }

    fn add(&mut self, other: Self) {
        for (key, rounds) in other.by_step {
            *self.by_step.entry(key).or_default() += rounds;
        }
        self.counted += other.counted;
        self.idle += other.idle;
        self.messages += other.messages;
        self.round.add(other.round);
        self.slow += other.slow;
        self.slowest = self.slowest.max(other.slowest);
    }

    fn print(&self, took: Duration) {
        println!("killed       least advanced message was        rounds");
        for ((who, step), rounds) in &self.by_step {
            println!("{:<12} {:<32} {rounds:>6}", who.words(), step.words());
        }
        let seconds = took.as_secs();
        println!("{} rounds counted, {} all confirmed, {seconds} s", self.counted, self.idle);
        println!(
            "all delivered after {:.1} s at most; later than {} s: {} rounds",
            self.slowest.as_secs_f64(),
            SLOW.as_secs(),
            self.slow
        );
        let Round { lost, doubled, unconfirmed } = self.round;
        println!(
            "{lost} lost, {doubled} doubled, {unconfirmed} never confirmed of {} messages",
            self.messages
        );
    }
}
