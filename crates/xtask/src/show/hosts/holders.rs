//! How many devices hold a message whose recipient is away.
//!
//! Nine messages at a time, each in another bucket. A node tells how many
//! envelopes it carries and of how many bytes; since the buckets are powers of
//! two, the sum says which ones.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::super::Problem;
use super::super::child::Child;
use super::super::random::Random;
use super::bytes::{People, envelope, name, text};
use super::unchanged;

/// Devices that hold one message, its origin included, before the first try by
/// the clock.
const HOLDERS_MAX: usize = 8;

/// Who wants an envelope of one node wants it of another after ten seconds.
const AT_REST_AFTER: Duration = Duration::from_secs(12);

/// The lengths of one text in each bucket.
const TEXTS: [usize; 9] = [40, 296, 800, 1_800, 3_800, 7_900, 16_100, 32_500, 65_000];

/// Whether nobody's message, of `count` for somebody who is away, was held by more
/// than the limit.
pub(super) fn show(
    people: &mut People,
    count: usize,
    random: &mut Random,
) -> Result<bool, Problem> {
    let (Some(node), Some(away)) = (people.nodes.pop(), people.profiles.pop()) else {
        return Err("nobody is there".to_owned());
    };
    let to = name(people.nodes.len());
    node.stop()?;
    for node in &mut people.nodes {
        node.wait_for("somebody to be away", |line| {
            line["event"] == "peer_down" && line["identity"] == away.identity
        })?;
    }
    let mut histogram: BTreeMap<usize, usize> = BTreeMap::new();
    let mut written = 0;
    while written < count {
        let batch = TEXTS.len().min(count - written);
        let before = look(&mut people.nodes)?;
        for (number, len) in TEXTS.iter().take(batch).enumerate() {
            let from = random.below(people.nodes.len());
            let text = text(written + number, *len);
            people.nodes[from].request(json!({"do": "send", "to": to, "text": text}))?;
        }
        let after =
            unchanged("copies to be made", AT_REST_AFTER, || look(&mut people.nodes), |_| true)?;
        let mut holders = vec![1; batch]; // the origin
        for (before, after) in before.iter().zip(&after) {
            for bucket in after.since(*before)?.buckets()? {
                *holders.get_mut(bucket).ok_or("a node carries what nobody wrote")? += 1;
            }
        }
        for found in holders {
            *histogram.entry(found).or_default() += 1;
        }
        written += batch;
    }
    println!(
        "{count} messages for somebody who is away; devices that hold one, its origin included:"
    );
    for (holders, messages) in &histogram {
        println!("{holders:>3}  {messages:>5}  {}", "#".repeat(*messages));
    }
    let most = histogram.keys().max().copied().unwrap_or_default();
    let spread = histogram.keys().any(|holders| *holders > 1);
    let verdict = if most <= HOLDERS_MAX { "within" } else { "OVER" };
    println!("at most {most}   limit {HOLDERS_MAX}   {verdict}");
    if !spread {
        println!("nobody carries anything");
    }
    Ok(most <= HOLDERS_MAX && spread)
}

/// What a node carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Carried {
    envelopes: u64,
    bytes: u64,
}

fn look(nodes: &mut [Child]) -> Result<Vec<Carried>, Problem> {
    nodes
        .iter_mut()
        .map(|node| {
            let status = node.request(json!({"do": "status"}))?;
            let figure = |name: &str| {
                let figure = status["carried"][name].as_u64();
                figure.ok_or_else(|| "`status` does not say what is carried".to_owned())
            };
            Ok(Carried { envelopes: figure("envelopes")?, bytes: figure("bytes")? })
        })
        .collect()
}

impl Carried {
    fn since(self, before: Self) -> Result<Self, Problem> {
        let envelopes = self.envelopes.checked_sub(before.envelopes);
        let bytes = self.bytes.checked_sub(before.bytes);
        envelopes
            .zip(bytes)
            .map(|(envelopes, bytes)| Self { envelopes, bytes })
            .ok_or_else(|| "a node forgot what it carried".to_owned())
    }

    /// The buckets of these envelopes, if there is one of each at most.
    fn buckets(self) -> Result<Vec<usize>, Problem> {
        let smallest = u64::from(envelope(1)?);
        let least = (smallest - 256) * self.envelopes;
        let units = self.bytes.checked_sub(least).map(|bytes| bytes / 256);
        let units = units.ok_or("what a node carries is smaller than it can be")?;
        let found: Vec<usize> = (0..TEXTS.len()).filter(|bit| units >> bit & 1 == 1).collect();
        let fits = found.len() as u64 == self.envelopes && units >> TEXTS.len() == 0;
        if fits { Ok(found) } else { Err(format!("{self:?} are not one of each bucket")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_says_which_envelopes_are_in_it() -> Result<(), Problem> {
        let sizes: Vec<u64> = TEXTS
            .iter()
            .map(|len| envelope(*len as u32).map(u64::from))
            .collect::<Result<_, _>>()?;
        for mask in 0..512_usize {
            let chosen: Vec<usize> = (0..9).filter(|bit| mask >> bit & 1 == 1).collect();
            let bytes = chosen.iter().map(|bit| sizes[*bit]).sum();
            let carried = Carried { envelopes: chosen.len() as u64, bytes };
            assert_eq!(carried.buckets(), Ok(chosen));
        }
        assert!(Carried { envelopes: 2, bytes: 2 * 1481 }.buckets().is_err());
        Ok(())
    }
}
