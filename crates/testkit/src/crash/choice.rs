//! Which part of the unsynced operations a crash has left.

use core::fmt;
use core::str::FromStr;

use tortalk_model::entropy::Entropy;

use super::disk::{Fate, borders, is_of_folder};
use super::log::Op;
use crate::Seeded;

/// One way in which it can have gone. Numbers count the pending operations.
///
/// Its text names it on the command line: `without-3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// All of them are there: the log was cut.
    All,
    /// None.
    Nothing,
    /// Names and lengths, and none of the bytes.
    Grown,
    /// All but this one.
    Without(usize),
    /// All but this one, for which the file has grown.
    Hole(usize),
    /// Names, and this one write alone.
    Only(usize),
    /// All, of the last write the first bytes alone.
    Head(usize),
    /// The same, and the file has grown for the rest.
    HeadGrown(usize),
    /// All, of the last write all but the first bytes.
    Tail(usize),
    /// A part of them, some of them torn, in another order, by this number.
    Random(u64),
}

/// What the table counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A cut between two operations, or back to the last sync.
    Cut,
    /// A write is there in part.
    Torn,
    /// Something is missing before something that is there.
    Reordered,
}

impl Choice {
    /// All choices for these operations; `subsets` random ones.
    pub(crate) fn all(pending: &[&Op], subsets: u64) -> Vec<Self> {
        let mut choices = vec![Self::All, Self::Nothing];
        if pending.is_empty() {
            return choices;
        }
        choices.push(Self::Grown);
        for border in pending.last().into_iter().flat_map(|last| borders(last)) {
            choices.extend([Self::Head(border), Self::HeadGrown(border), Self::Tail(border)]);
        }
        for (number, op) in pending.iter().enumerate() {
            choices.push(Self::Without(number));
            if matches!(op, Op::Write { .. }) {
                choices.push(Self::Hole(number));
            }
            if !is_of_folder(op) {
                choices.push(Self::Only(number));
            }
        }
        choices.extend((0..subsets).map(Self::Random));
        choices
    }

    /// Those that are looked at everywhere.
    pub(crate) fn few(pending: &[&Op]) -> Vec<Self> {
        let mut choices = vec![Self::All, Self::Nothing];
        let borders = pending.last().map(|last| borders(last)).unwrap_or_default();
        if let Some(middle) = borders.get(borders.len() / 2) {
            choices.push(Self::HeadGrown(*middle));
        }
        choices
    }

    /// What becomes of each operation, in the order in which they take effect.
    /// `seed` and the cut decide what is random.
    pub(crate) fn fates(self, pending: &[&Op], seed: u64, cut: usize) -> Vec<(usize, Fate)> {
        let last = pending.len().wrapping_sub(1);
        let each = |fate: &dyn Fn(usize) -> Fate| {
            pending.iter().enumerate().map(|(number, _)| (number, fate(number))).collect()
        };
        let instead =
            |at: usize, fate: Fate| each(&|number| if number == at { fate } else { Fate::Whole });
        match self {
            Self::All => each(&|_| Fate::Whole),
            Self::Nothing => Vec::new(),
            Self::Grown => each(&|_| Fate::Grown),
            Self::Without(at) => instead(at, Fate::Lost),
            Self::Hole(at) => instead(at, Fate::Grown),
            Self::Only(at) => each(&|number| {
                let there = number == at || is_of_folder(pending[number]);
                if there { Fate::Whole } else { Fate::Lost }
            }),
            Self::Head(count) => instead(last, Fate::Head(count)),
            Self::HeadGrown(count) => instead(last, Fate::HeadGrown(count)),
            Self::Tail(count) => instead(last, Fate::Tail(count)),
            Self::Random(number) => random(pending, seed, cut, number),
        }
    }

    /// What it counts as.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::All | Self::Nothing | Self::Grown => Kind::Cut,
            Self::Head(_) | Self::HeadGrown(_) | Self::Tail(_) => Kind::Torn,
            Self::Without(_) | Self::Hole(_) | Self::Only(_) | Self::Random(_) => Kind::Reordered,
        }
    }
}

/// Any part of the operations. Names keep their order, as file systems keep it;
/// nothing else does.
fn random(pending: &[&Op], seed: u64, cut: usize, number: u64) -> Vec<(usize, Fate)> {
    let mut seeded = Seeded::from_bytes(format!("{seed}/{cut}/{number}").as_bytes());
    let mut below = |limit: usize| {
        let drawn: [u8; 8] = seeded.bytes();
        usize::try_from(u64::from_be_bytes(drawn) % limit as u64).unwrap_or(0)
    };
    let mut fates: Vec<(usize, Fate)> = Vec::with_capacity(pending.len());
    for (at, op) in pending.iter().enumerate() {
        let borders = borders(op);
        let fate = match below(8) {
            0..4 => Fate::Whole,
            4 => Fate::Grown,
            5 if !borders.is_empty() => {
                let count = borders[below(borders.len())];
                [Fate::Head(count), Fate::HeadGrown(count), Fate::Tail(count)][below(3)]
            }
            _ => Fate::Lost,
        };
        // A name has no length.
        let named = if fate == Fate::Grown { Fate::Whole } else { fate };
        fates.push((at, if is_of_folder(op) { named } else { fate }));
    }
    if number % 2 == 1 {
        let writes: Vec<usize> =
            (0..pending.len()).filter(|at| !is_of_folder(pending[*at])).collect();
        for i in (1..writes.len()).rev() {
            fates.swap(writes[i], writes[below(i + 1)]);
        }
    }
    fates
}

const WORDS: [&str; 7] = ["without", "hole", "only", "head", "head-grown", "tail", "random"];

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Nothing => f.write_str("nothing"),
            Self::Grown => f.write_str("grown"),
            Self::Without(number) => write!(f, "{}-{number}", WORDS[0]),
            Self::Hole(number) => write!(f, "{}-{number}", WORDS[1]),
            Self::Only(number) => write!(f, "{}-{number}", WORDS[2]),
            Self::Head(count) => write!(f, "{}-{count}", WORDS[3]),
            Self::HeadGrown(count) => write!(f, "{}-{count}", WORDS[4]),
            Self::Tail(count) => write!(f, "{}-{count}", WORDS[5]),
            Self::Random(number) => write!(f, "{}-{number}", WORDS[6]),
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("there is no choice {text}");
        match text {
            "all" => return Ok(Self::All),
            "nothing" => return Ok(Self::Nothing),
            "grown" => return Ok(Self::Grown),
            _ => {}
        }
        let (word, number) = text.rsplit_once('-').ok_or_else(unknown)?;
        let count: usize = number.parse().map_err(|_| unknown())?;
        let word = WORDS.iter().position(|known| *known == word).ok_or_else(unknown)?;
        Ok(match word {
            0 => Self::Without(count),
            1 => Self::Hole(count),
            2 => Self::Only(count),
            3 => Self::Head(count),
            4 => Self::HeadGrown(count),
            5 => Self::Tail(count),
            _ => Self::Random(count as u64),
        })
    }
}

#[cfg(test)]
mod tests;
