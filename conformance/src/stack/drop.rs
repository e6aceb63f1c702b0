//! The sealed card in a drop (`spec/relay.md` section 6.3).

use super::bytes::{bytes16, join};
use super::crypto::{label, xaead_open, xaead_seal};
use super::{Taken, decode, rule};

/// The lengths of a blob.
pub const SIZES: [usize; 4] = [2048, 4096, 6144, 8192];
const OVERHEAD: usize = 1 + 24 + 16;

fn aad(mailbox: &[u8; 32], seq: u64) -> Vec<u8> {
    join(&[&label("card-drop"), mailbox, &seq.to_be_bytes()])
}

/// Seals a card into the smallest blob that holds it (RLY-53).
#[must_use]
pub fn seal(
    read_key: &[u8; 32],
    nonce: &[u8; 24],
    mailbox: &[u8; 32],
    seq: u64,
    card: &[u8],
) -> Vec<u8> {
    let mut plain = bytes16(card);
    let size = SIZES.iter().find(|size| **size >= plain.len() + OVERHEAD);
    plain.resize(size.map_or(plain.len(), |size| size - OVERHEAD), 0);
    join(&[&[1], nonce, &xaead_seal(read_key, nonce, &aad(mailbox, seq), &plain)])
}

/// Opens a blob (RLY-52, RLY-54); gives the card's bytes.
///
/// # Errors
/// `decode`, `seal` or `rule`.
pub fn open(read_key: &[u8; 32], mailbox: &[u8; 32], seq: u64, blob: &[u8]) -> Taken<Vec<u8>> {
    if !SIZES.contains(&blob.len()) {
        return Err(decode("RLY-54: the length of the blob"));
    }
    if blob[0] != 1 {
        return Err(decode("RLY-54: the layout of the blob"));
    }
    let nonce = blob[1..25].try_into().expect("24 bytes");
    let plain = xaead_open(read_key, nonce, &aad(mailbox, seq), &blob[25..])?;
    let length = usize::from(u16::from_be_bytes([plain[0], plain[1]]));
    let rest = &plain[2..];
    let (card, padding) =
        rest.split_at_checked(length).ok_or_else(|| decode("RLY-54: the card's length"))?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(rule("RLY-54: padding"));
    }
    Ok(card.to_vec())
}
