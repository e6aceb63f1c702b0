//! The number that two people compare to know that nobody stands between them.

use core::fmt::Write as _;

use tortalk_model::IdentityKey;
use tortalk_model::hash::{self, label};

/// The safety number of two identities: 12 groups of 5 decimal digits with a
/// space between, the same whichever comes first (IDN-10).
///
/// With `low` and `high` the two keys in the order of their bytes,
/// `h = H(0x00 ‖ low ‖ high) ‖ H(0x01 ‖ low ‖ high)` where `H` is BLAKE2b-256
/// under the label SAFETY_NUMBER; group `i` is the 40-bit big-endian number at
/// `h[5·i]`, modulo 100,000.
pub fn safety_number(a: &IdentityKey, b: &IdentityKey) -> String {
    // req: IDN-10
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let half =
        |i: u8| hash::labelled(label::SAFETY_NUMBER, &[&[i], low.as_bytes(), high.as_bytes()]);
    let hash = [half(0), half(1)].concat();
    let mut text = String::with_capacity(71);
    for (i, group) in hash.chunks_exact(5).take(12).enumerate() {
        let number = group.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        let gap = if i == 0 { "" } else { " " };
        write!(text, "{gap}{:05}", number % 100_000).expect("a String grows");
    }
    text
}
