//! From the start of a process to its first authenticated link, tables empty.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::child::{LOOPBACK, Program};
use super::table::{against, percentile};
use super::{Build, Problem, namespace, scratch};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Beacons on loopback, mDNS off
    Beacon,
    /// mDNS alone, in a network namespace of its own
    Mdns,
}

#[derive(Args)]
pub(crate) struct Options {
    /// How they find each other
    #[arg(long, value_enum)]
    by: By,
    /// Starts, each with a new profile
    #[arg(long, default_value_t = 100)]
    starts: usize,
    #[command(flatten)]
    build: Build,
}

pub(crate) fn run(options: &Options) -> Result<bool, Problem> {
    let program = options.build.program()?;
    if options.by == By::Mdns {
        let starts = options.starts.to_string();
        let path = program.path.display().to_string();
        let again = ["show", "discovery", "--by", "mdns", "--starts", &starts, "--binary", &path];
        namespace::enter(&again.map(str::to_owned), namespace::ONE_PAIR)?;
    }
    let settings = match options.by {
        By::Beacon => LOOPBACK,
        By::Mdns => "[network]\nbeacons = false\nmdns = true\n",
    };
    let samples = starts(&program, options.starts, settings)?;
    println!("{} starts", samples.len());
    let p50 = against("start to link, p50", percentile(&samples, 50), Duration::from_millis(100));
    let p99 = against("start to link, p99", percentile(&samples, 99), Duration::from_secs(1));
    Ok(p50 && p99)
}

fn starts(program: &Program, count: usize, settings: &str) -> Result<Vec<Duration>, Problem> {
    let folder = scratch("discovery")?;
    let waiting = program.init(&folder.path().join("waiting"), "waiting", settings)?;
    let mut waiting_node = program.run(&waiting)?;
    let mut samples = Vec::new();
    for number in 0..count {
        let name = format!("start-{number}");
        let profile = program.init(&folder.path().join(&name), &name, settings)?;
        let mut node = program.run(&profile)?;
        node.wait_for("the first link", |line| {
            line["event"] == "peer_up" && line["identity"] == waiting.identity
        })?;
        samples.push(node.started.elapsed());
        node.stop()?;
        waiting_node.wait_for("the end of the link", |line| {
            line["event"] == "peer_down" && line["identity"] == profile.identity
        })?;
        waiting_node.drain();
    }
    waiting_node.stop()?;
    Ok(samples)
}
