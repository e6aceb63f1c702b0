//! The stable name of a message (spec/seal.md).

use crate::hash;
use crate::ids::{IdentityKey, MessageId, Nonce};

/// `message_id` = BLAKE2b-256(base64(sender) ‖ `|` ‖ base64(recipient) ‖ nonce),
/// standard base64 with padding (SEA-11).
///
/// The formula is the one of the first torTalk, kept by name: it depends on no
/// key that changes, so a message that is sealed again is the same message.
pub fn message_id(sender: &IdentityKey, recipient: &IdentityKey, nonce: &Nonce) -> MessageId {
    MessageId::from_bytes(hash::unlabelled(&[
        &base64_of_key(sender.as_bytes()),
        b"|",
        &base64_of_key(recipient.as_bytes()),
        nonce.as_bytes(),
    ]))
}

/// Standard base64 (RFC 4648 section 4) of 32 bytes: always 44 characters.
fn base64_of_key(key: &[u8; 32]) -> [u8; 44] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = [b'='; 44];
    for (chunk, group) in key.chunks(3).zip(out.chunks_mut(4)) {
        let word = chunk
            .iter()
            .enumerate()
            .fold(0u32, |word, (i, &byte)| word | u32::from(byte) << (16 - 8 * i));
        for (i, character) in group.iter_mut().take(chunk.len() + 1).enumerate() {
            *character = ALPHABET[(word >> (18 - 6 * i)) as usize & 0x3f];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_one_with_padding() {
        let key: [u8; 32] = core::array::from_fn(|i| i as u8);
        assert_eq!(&base64_of_key(&key), b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(&base64_of_key(&[0xff; 32]), b"//////////////////////////////////////////8=");
    }

    #[test]
    fn sender_recipient_and_nonce_all_matter() {
        let (a, b) = (IdentityKey::from_bytes([1; 32]), IdentityKey::from_bytes([2; 32]));
        let (m, n) = (Nonce::from_bytes([3; 16]), Nonce::from_bytes([4; 16]));
        assert_ne!(message_id(&a, &b, &m), message_id(&b, &a, &m));
        assert_ne!(message_id(&a, &b, &m), message_id(&a, &b, &n));
    }
}
