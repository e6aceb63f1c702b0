//! Repeatable randomness.

use tortalk_model::entropy::Entropy;
use tortalk_model::hash;

const LABEL: &[u8] = b"tortalk-testkit/stream\0";

/// A stream of bytes that depends on a seed alone.
///
/// **For tests and the simulator only.** The seed is usually a small number, so
/// nothing made with it is secret.
///
/// Block `i` of the stream is keyed BLAKE2b-256 with the seed as the key over a
/// label and `i` as 8 big-endian bytes. How the stream is cut into calls of
/// `fill` does not matter.
#[derive(Debug, Clone)]
pub struct Seeded {
    key: [u8; 32],
    next_block: u64,
    block: [u8; 32],
    used: usize,
}

impl Seeded {
    /// A stream from a number: the key is the number as 8 big-endian bytes and
    /// then 24 zeros.
    pub fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_be_bytes());
        Self::from_key(key)
    }

    /// A stream from bytes of any length: the key is their hash. A test's own
    /// name makes a good seed.
    pub fn from_bytes(seed: &[u8]) -> Self {
        Self::from_key(hash::labelled(LABEL, &[seed]))
    }

    fn from_key(key: [u8; 32]) -> Self {
        Self { key, next_block: 0, block: [0; 32], used: 32 }
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.block.len() {
                self.block = hash::keyed(&self.key, LABEL, &[&self.next_block.to_be_bytes()]);
                self.next_block += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_stream_however_it_is_cut() {
        let whole: [u8; 100] = Seeded::new(7).bytes();
        let mut cut = [0; 100];
        let mut seeded = Seeded::new(7);
        let (head, tail) = cut.split_at_mut(33);
        seeded.fill(head);
        seeded.fill(tail);
        assert_eq!(whole, cut);
        assert_ne!(whole[..32], whole[32..64]);
    }

    #[test]
    fn seeds_differ() {
        let streams: [[u8; 32]; 4] = [
            Seeded::new(1).bytes(),
            Seeded::new(2).bytes(),
            Seeded::from_bytes(b"a").bytes(),
            Seeded::from_bytes(b"b").bytes(),
        ];
        for (i, a) in streams.iter().enumerate() {
            assert!(streams[i + 1..].iter().all(|b| a != b));
        }
    }
}
