//! The system's randomness: the one door to it.

use tortalk_model::entropy::Entropy;

/// Fills from the operating system's generator. Copies are the same source.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// When the system has no randomness. Nothing safe can be done without it.
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the system's generator answers");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let draws: [[u8; 32]; 2] = [OsEntropy.bytes(), OsEntropy.bytes()];
        assert_ne!(draws[0], draws[1]);
        assert_ne!(draws[0], [0; 32]);
    }
}
