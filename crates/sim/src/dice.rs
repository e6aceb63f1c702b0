//! Every random choice of a simulation, from one number.

use core::ops::RangeInclusive;

use tortalk_model::entropy::Entropy;

/// A generator that depends on its seed alone (SplitMix64).
///
/// It is fast and even, and nothing made with it is secret: the keys of
/// simulated people are drawn from it too.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// A generator from a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator of its own for one purpose: what is drawn from it changes
    /// nothing of what is drawn from others.
    pub fn branch(seed: u64, purpose: u64) -> Self {
        let mut dice = Self::new(seed ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        Self::new(dice.next())
    }

    /// 64 even bits.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("a product of 64 bits each, shifted by 64")
    }

    /// An index into something with `len` entries; 0 when it has none.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a usize")
    }

    /// A number in a range, ends included.
    pub fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = range.into_inner();
        low + self.below((high - low).saturating_add(1))
    }

    /// True in `of_thousand` cases of a thousand.
    pub fn chance(&mut self, of_thousand: u64) -> bool {
        self.below(1000) < of_thousand
    }

    /// One of several; there is one at least.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// Puts things into a random order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..things.len()).rev() {
            let other = self.index(end + 1);
            things.swap(end, other);
        }
    }
}

impl Entropy for Dice {
    fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(8) {
            let random = self.next().to_be_bytes();
            piece.copy_from_slice(&random[..piece.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_row_and_branches_differ() {
        let row = |mut dice: Dice| (0..8).map(|_| dice.next()).collect::<Vec<_>>();
        assert_eq!(row(Dice::new(7)), row(Dice::new(7)));
        assert_ne!(row(Dice::branch(7, 1)), row(Dice::branch(7, 2)));
        assert_ne!(row(Dice::branch(7, 1)), row(Dice::branch(8, 1)));
    }

    #[test]
    fn bounds_hold() {
        let mut dice = Dice::new(1);
        assert!((0..1000).all(|_| dice.below(3) < 3));
        assert!((0..1000).all(|_| (5..=6).contains(&dice.between(5..=6))));
        assert_eq!(dice.below(0), 0);
        let hits = (0..10_000).filter(|_| dice.chance(100)).count();
        assert!((800..1200).contains(&hits), "{hits}");
    }
}
