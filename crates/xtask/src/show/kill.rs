//! Kill -9 at random moments of a conversation, again and again.
//!
//! A round sends a few messages, kills the sender or the recipient after a
//! random wait, starts it again, and waits until all is delivered. It counts
//! only if at least one message was not confirmed at the kill. What the sender
//! answered with "queued" has to be in the recipient's history, once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::child::{Child, LOOPBACK, PATIENCE, Profile, Program, befriend};
use super::{Build, Problem, scratch};

#[derive(Args)]
pub(crate) struct Options {
    /// Rounds that count
    #[arg(long, default_value_t = 1000)]
    rounds: usize,
    /// Messages in a round
    #[arg(long, default_value_t = 6)]
    messages: usize,
    /// Chooses moments and victims
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    build: Build,
}

/// How far a message had come when the process was killed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Asked,
    Queued,
    Handed,
    Delivered,
}

struct Talk {
    program: Program,
    profiles: [Profile; 2],
    nodes: [Option<Child>; 2],
    /// Every text that was asked to be sent: what is known about it.
    sent: BTreeMap<String, Sent>,
    /// How often the recipient's events showed a text.
    shown: BTreeMap<String, u32>,
}

struct Sent {
    request: u64,
    message_id: Option<String>,
    step: Step,
}

pub(crate) fn run(options: &Options) -> Result<bool, Problem> {
    let program = options.build.program()?;
    let folder = scratch("kill")?;
    let mut talk = Talk::start(program, folder.path())?;
    let mut random = Random(options.seed);
    let mut by_step: BTreeMap<(&str, Step), usize> = BTreeMap::new();
    let (mut counted, mut idle) = (0, 0);
    let (mut lost, mut doubled) = (0, 0);
    let started = Instant::now();
    while counted < options.rounds {
        let victim = usize::from(random.next() & 1 == 0);
        let texts: Vec<String> =
            (0..options.messages).map(|i| format!("round {counted}.{idle} message {i}")).collect();
        talk.send(&texts)?;
        // From before the first byte to after the last receipt of a round.
        std::thread::sleep(Duration::from_micros(random.next() % 12_000));
        talk.kill(victim)?;
        let steps: Vec<Step> = texts.iter().filter_map(|text| talk.step(text)).collect();
        let counts = steps.iter().any(|step| *step < Step::Delivered);
        if counts {
            counted += 1;
            let who = ["sender", "recipient"][victim];
            let furthest = steps.iter().min().copied().unwrap_or(Step::Asked);
            *by_step.entry((who, furthest)).or_default() += 1;
        } else {
            idle += 1;
        }
        talk.restart(victim)?;
        let round = talk.settle(&texts)?;
        lost += round.lost;
        doubled += round.doubled;
        if options.build.sabotage.is_some() && lost + doubled > 0 && counted >= 50 {
            break; // It was shown.
        }
    }
    println!("killed       least advanced message was        rounds");
    for ((who, step), rounds) in &by_step {
        println!("{who:<12} {:<32} {rounds:>6}", step.words());
    }
    let seconds = started.elapsed().as_secs();
    println!("{counted} rounds counted, {idle} without anything unconfirmed, {seconds} s");
    println!("{lost} lost, {doubled} doubled of {} messages", talk.sent.len());
    Ok(lost == 0 && doubled == 0)
}

struct Round {
    lost: usize,
    doubled: usize,
}

impl Talk {
    fn start(program: Program, dir: &std::path::Path) -> Result<Self, Problem> {
        let alice = program.init(&dir.join("alice"), "alice", LOOPBACK)?;
        let bob = program.init(&dir.join("bob"), "bob", LOOPBACK)?;
        let mut a = program.run(&alice)?;
        let mut b = program.run(&bob)?;
        befriend((&mut a, &alice), (&mut b, &bob))?;
        a.drain();
        b.drain();
        Ok(Self {
            program,
            profiles: [alice, bob],
            nodes: [Some(a), Some(b)],
            sent: BTreeMap::new(),
            shown: BTreeMap::new(),
        })
    }

    fn node(&mut self, which: usize) -> Result<&mut Child, Problem> {
        self.nodes[which].as_mut().ok_or_else(|| "the node is not running".to_owned())
    }

    fn send(&mut self, texts: &[String]) -> Result<(), Problem> {
        for text in texts {
            let request = json!({"do": "send", "to": "other", "text": text});
            let request = self.node(0)?.post(request)?;
            let sent = Sent { request, message_id: None, step: Step::Asked };
            self.sent.insert(text.clone(), sent);
        }
        Ok(())
    }

    fn kill(&mut self, victim: usize) -> Result<(), Problem> {
        let child = self.nodes[victim].take().ok_or("the node is not running")?;
        let lines = child.kill()?;
        self.note(victim, &lines);
        let other = self.node(1 - victim)?.drain();
        self.note(1 - victim, &other);
        Ok(())
    }

    fn restart(&mut self, victim: usize) -> Result<(), Problem> {
        self.nodes[victim] = Some(self.program.run(&self.profiles[victim])?);
        Ok(())
    }

    fn step(&self, text: &str) -> Option<Step> {
        self.sent.get(text).map(|sent| sent.step)
    }

    /// Takes in what a node has said.
    fn note(&mut self, node: usize, lines: &[Value]) {
        for line in lines {
            if node == 1 {
                if line["event"] == "received"
                    && let Some(text) = line["message"]["text"].as_str()
                {
                    *self.shown.entry(text.to_owned()).or_default() += 1;
                }
                continue;
            }
            let answered = line["ok"]["message_id"].as_str();
            let sent = self.sent.values_mut().find(|sent| match answered {
                Some(_) => sent.message_id.is_none() && line["id"] == sent.request,
                None => {
                    line["event"] == "state"
                        && sent.message_id.is_some()
                        && line["message_id"].as_str() == sent.message_id.as_deref()
                }
            });
            let Some(sent) = sent else { continue };
            if let Some(id) = answered {
                sent.message_id = Some(id.to_owned());
                sent.step = Step::Queued;
            }
            sent.step = match line["state"].as_str() {
                Some("handed") => sent.step.max(Step::Handed),
                Some("delivered") => Step::Delivered,
                _ => sent.step,
            };
        }
    }

    /// Waits until everything of the round that became durable at the sender is
    /// delivered, and compares both histories.
    fn settle(&mut self, texts: &[String]) -> Result<Round, Problem> {
        let deadline = Instant::now() + PATIENCE;
        let mut outgoing = self.history(0)?;
        // What is in the sender's history is all that can still be delivered.
        while Instant::now() < deadline && !all_delivered(&outgoing, texts) {
            let node = self.node(0)?;
            // Another state is told when something moves; a node that is stuck
            // is asked again by the deadline.
            let event = node.wait_for("a state", |line| line["event"] == "state").ok();
            if let Some(event) = event {
                self.note(0, &[event]);
            }
            outgoing = self.history(0)?;
        }
        let incoming = self.history(1)?;
        for node in [0, 1] {
            let lines = self.node(node)?.drain();
            self.note(node, &lines);
        }
        let mut round = Round { lost: 0, doubled: 0 };
        for text in texts {
            let promised = self.sent.get(text).is_some_and(|sent| sent.message_id.is_some());
            let copies = incoming.iter().filter(|message| message["text"] == **text).count();
            let kept = outgoing.iter().any(|message| message["text"] == **text);
            if (promised || kept) && copies == 0 {
                round.lost += 1;
            }
            let shown = self.shown.get(text).copied().unwrap_or(0);
            if copies > 1 || shown > 1 {
                round.doubled += 1;
            }
            self.sent.entry(text.clone()).and_modify(|sent| sent.request = 0);
        }
        Ok(round)
    }

    fn history(&mut self, node: usize) -> Result<Vec<Value>, Problem> {
        let request = json!({"do": "history", "with": "other", "limit": 64});
        let answer = self.node(node)?.request(request)?;
        Ok(answer["messages"].as_array().cloned().unwrap_or_default())
    }
}

fn all_delivered(outgoing: &[Value], texts: &[String]) -> bool {
    let mut of_round =
        outgoing.iter().filter(|message| texts.iter().any(|text| message["text"] == **text));
    of_round.all(|message| message["state"] == "delivered")
}

impl Step {
    const fn words(self) -> &'static str {
        match self {
            Self::Asked => "asked for, not answered",
            Self::Queued => "queued, not handed over",
            Self::Handed => "handed over, not confirmed",
            Self::Delivered => "delivered",
        }
    }
}

/// SplitMix64: repeatable, and good enough to choose moments.
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
