//! Randomness as a value: the machines have no generator of their own.

/// A source of cryptographically secure random bytes.
///
/// The node fills from the operating system; tests and the simulator fill from
/// a seed, which makes every run repeatable.
pub trait Entropy {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);

    /// `N` random bytes.
    fn bytes<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        array(self)
    }
}

/// `N` random bytes, also from a `dyn Entropy`.
pub fn array<const N: usize>(entropy: &mut (impl Entropy + ?Sized)) -> [u8; N] {
    let mut out = [0; N];
    entropy.fill(&mut out);
    out
}
