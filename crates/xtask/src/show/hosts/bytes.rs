//! Bytes on the wire for messages between people who are linked, and copies of a
//! message whose recipient is away.
//!
//! All nodes are on one bridge and contacts of each other. The bridge's counters
//! show what the hosts send, headers of Ethernet, IP and TCP included.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::super::child::{Child, Profile, Program, own_card, wait_delivered};
use super::super::random::Random;
use super::super::{Build, Problem, argument, namespace, scratch};
use super::{Bridge, Host, Port, Traffic, holders};

#[derive(Args)]
pub(crate) struct Options {
    /// Hosts on the bridge, a node on each
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u8).range(3..=200))]
    nodes: u8,
    /// Messages between linked people
    #[arg(long, default_value_t = 1000)]
    messages: usize,
    /// Over how many seconds they are spread; as long idle traffic is measured
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Bytes of text in a message
    #[arg(long, default_value_t = 40)]
    text: usize,
    /// Messages for somebody who is away
    #[arg(long, default_value_t = 45)]
    away: usize,
    /// Chooses who writes to whom
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    build: Build,
}

/// What mDNS sends comes in waves of minutes, and says nothing about messages.
const SETTINGS: &str = "[network]\nmdns = false\n";

/// Wire bytes for one delivered message against its envelope and its receipt's.
const RATIO_MAX: f64 = 1.5;

pub(crate) fn run(options: &Options) -> Result<bool, Problem> {
    let program = options.build.program()?;
    let mut again = vec!["show".to_owned(), "bytes".to_owned()];
    for (name, value) in [
        ("--nodes", options.nodes.to_string()),
        ("--messages", options.messages.to_string()),
        ("--seconds", options.seconds.to_string()),
        ("--text", options.text.to_string()),
        ("--away", options.away.to_string()),
        ("--seed", options.seed.to_string()),
        ("--binary", argument(&program.path)),
    ] {
        again.extend([name.to_owned(), value]);
    }
    if let Some(how) = &program.sabotage {
        again.extend(["--sabotage".to_owned(), how.clone()]);
    }
    namespace::enter(&again, "")?;
    let folder = scratch("bytes")?;
    let mut people = People::start(&program, folder.path(), options.nodes)?;
    people.meet()?;
    let wire = people.wire_bytes(options)?;
    let mut random = Random(options.seed);
    let copies = options.away == 0 || holders::show(&mut people, options.away, &mut random)?;
    people.stop()?;
    Ok(wire && copies)
}

/// Everybody on the bridge.
pub(super) struct People {
    pub(super) nodes: Vec<Child>,
    pub(super) profiles: Vec<Profile>,
    ports: Vec<Port>,
    _hosts: Vec<Host>,
    _bridge: Bridge,
}

impl People {
    fn start(program: &Program, dir: &std::path::Path, count: u8) -> Result<Self, Problem> {
        let started = Instant::now();
        let bridge = Bridge::new(1)?;
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let mut host = Host::new()?;
            ports.push(host.join(&bridge, number)?);
            hosts.push(host);
        }
        let profiles = (0..count)
            .map(|number| {
                let name = name(number.into());
                program.init(&dir.join(&name), &name, SETTINGS)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let nodes = hosts
            .iter()
            .zip(&profiles)
            .map(|(host, profile)| program.run_under(profile, &host.wrapper()))
            .collect::<Result<Vec<_>, _>>()?;
        println!("{count} nodes run on {count} hosts, {:.1} s", started.elapsed().as_secs_f64());
        Ok(Self { nodes, profiles, ports, _hosts: hosts, _bridge: bridge })
    }

    /// Links all with all, then makes all contacts of all.
    fn meet(&mut self) -> Result<(), Problem> {
        let started = Instant::now();
        let others = self.nodes.len() - 1;
        for node in &mut self.nodes {
            node.ask_until("links with everybody", &json!({"do": "nearby"}), |answer| {
                answer["people"].as_array().filter(|people| people.len() == others).map(|_| ())
            })?;
        }
        println!("all are linked with all, {:.1} s", started.elapsed().as_secs_f64());
        let cards: Vec<Value> = self.nodes.iter_mut().map(own_card).collect::<Result<_, _>>()?;
        for (of, card) in cards.iter().enumerate() {
            for (to, node) in self.nodes.iter_mut().enumerate() {
                if of != to {
                    node.request(json!({"do": "import", "card": card, "name": name(of)}))?;
                }
            }
        }
        for node in &mut self.nodes {
            node.ask_until("everybody as a contact", &json!({"do": "status"}), |status| {
                (status["contacts_linked"] == others).then_some(())
            })?;
        }
        println!("all are contacts of all, {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    }

    fn wire_bytes(&mut self, options: &Options) -> Result<bool, Problem> {
        let window = Duration::from_secs(options.seconds);
        let (idle, ()) = self.measure(window, |_, _| Ok(()))?;
        let mut random = Random(options.seed);
        let pause = window / u32::try_from(options.messages).unwrap_or(u32::MAX).max(1);
        let (busy, took) = self.measure(window, |people, started| {
            let mut sent = Vec::new();
            for number in 0..options.messages {
                let due = started + pause * u32::try_from(number).unwrap_or(u32::MAX);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                sent.push(people.write(&mut random, number, options.text)?);
            }
            for (from, id) in &sent {
                wait_delivered(&mut people.nodes[*from], id)?;
            }
            Ok(started.elapsed())
        })?;
        // Idle traffic for as long as the messages took.
        let share = took.max(window).as_secs_f64() / window.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let [all, packets, idle_bytes, idle_packets, count] =
            [busy.bytes, busy.packets, idle.bytes, idle.packets, options.messages as u64]
                .map(|figure| figure as f64);
        let bytes = (all - idle_bytes * share) / count;
        let packets = (packets - idle_packets * share) / count;
        println!(
            "{} messages delivered in {:.1} s: {all:.0} bytes in all; idle {:.0} bytes in as long",
            options.messages,
            took.as_secs_f64(),
            idle_bytes * share
        );
        println!("a message: {bytes:.0} bytes on the wire, {packets:.1} packets");
        let (message, receipt) = (envelope(text_body(options.text))?, envelope(RECEIPT_BODY)?);
        let both = f64::from(message + receipt);
        let ratio = bytes / both;
        println!(
            "envelope of a text of {} bytes: {HEADER} + {ENC} + bucket {} + {TAG} = {message}; \
             of a receipt for one message: {HEADER} + {ENC} + bucket {} + {TAG} = {receipt}",
            options.text,
            bucket(text_body(options.text))?,
            bucket(RECEIPT_BODY)?,
        );
        let verdict = if ratio <= RATIO_MAX { "within" } else { "OVER" };
        println!("wire bytes / (message + receipt): {ratio:.2}   limit {RATIO_MAX}   {verdict}");
        println!("{:<33} {:.2}   with all idle traffic", "", all / count / both);
        Ok(ratio <= RATIO_MAX)
    }

    /// What goes over the wire while `act` acts, and at least for this long.
    fn measure<T>(
        &mut self,
        window: Duration,
        act: impl FnOnce(&mut Self, Instant) -> Result<T, Problem>,
    ) -> Result<(Traffic, T), Problem> {
        let before = Traffic::from_hosts(&self.ports)?;
        let started = Instant::now();
        let outcome = act(self, started)?;
        std::thread::sleep((started + window).saturating_duration_since(Instant::now()));
        Ok((Traffic::from_hosts(&self.ports)?.since(before), outcome))
    }

    /// Somebody writes to somebody else.
    fn write(
        &mut self,
        random: &mut Random,
        number: usize,
        len: usize,
    ) -> Result<(usize, Value), Problem> {
        let from = random.below(self.nodes.len());
        let to = (from + 1 + random.below(self.nodes.len() - 1)) % self.nodes.len();
        let text = text(number, len);
        let request = json!({"do": "send", "to": name(to), "text": text});
        let queued = self.nodes[from].request(request)?;
        Ok((from, queued["message_id"].clone()))
    }

    fn stop(self) -> Result<(), Problem> {
        for mut node in self.nodes {
            node.post(json!({"do": "stop"}))?;
        }
        Ok(())
    }
}

pub(super) fn name(number: usize) -> String {
    format!("node-{number}")
}

/// A text of so many bytes that is not like another.
pub(super) fn text(number: usize, len: usize) -> String {
    let mut text = format!("message {number} ");
    text.extend(std::iter::repeat_n('.', len.saturating_sub(text.len())));
    text.truncate(len.max(1));
    text
}

/// spec/envelope.md: all before `sealed`, the length of `sealed` included.
const HEADER: u32 = 1 + 2 + 32 + 8 + 8 + 32 + 2 + 4;
/// Suite 1: the encapsulated key and the tag.
const ENC: u32 = 1120;
const TAG: u32 = 16;
/// spec/seal.md: purge key, length and signature; all of the signed bytes before
/// the body.
const AROUND_BODY: u32 = 32 + 4 + 64 + 116;
/// A receipt for one message: count, then id, hash and kind.
const RECEIPT_BODY: u32 = 2 + 32 + 32 + 1;

fn text_body(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The bucket of a message with a body of so many bytes.
fn bucket(body: u32) -> Result<u32, Problem> {
    let len = body.saturating_add(AROUND_BODY);
    let bucket = (8..=16).map(|bits| 1 << bits).find(|&bucket| bucket >= len);
    bucket.ok_or_else(|| format!("{body} bytes do not fit in a message"))
}

/// The size of the envelope of such a message.
pub(super) fn envelope(body: u32) -> Result<u32, Problem> {
    Ok(HEADER + ENC + bucket(body)? + TAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_as_large_as_the_documents_say() {
        assert_eq!(envelope(1), Ok(1481));
        assert_eq!(envelope(40), Ok(1481));
        assert_eq!(envelope(41), Ok(1737));
        assert_eq!(envelope(RECEIPT_BODY), Ok(1737));
        assert!(envelope(65_321).is_err());
    }

    #[test]
    fn texts_have_the_length_that_was_asked_for() {
        assert_eq!(text(7, 40).len(), 40);
        assert_eq!(text(7, 3).len(), 3);
    }
}
