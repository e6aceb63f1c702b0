//! A link's primitives under the fuzzer, and in no other build: shares are
//! secrets, records are in clear, and their tags are not looked at.

use crate::versions;

/// Always, where this module is: lets what it replaces stand behind an `if`.
pub(crate) const IS_ON: bool = true;

/// What a handshake payload is read as, and how that is written.
pub fn versions(payload: &[u8]) -> Option<(Vec<u16>, Vec<u8>)> {
    let versions = versions::parse(payload).ok()?;
    let again = versions::payload(&versions);
    Some((versions, again))
}

/// The share of a secret: the secret, made canonical.
pub(crate) const fn share(mut secret: [u8; 32]) -> [u8; 32] {
    secret[31] &= 0x3f;
    secret
}

/// What two ends have in common.
pub(crate) fn shared(secret: [u8; 32], theirs: [u8; 32]) -> [u8; 32] {
    let ours = share(secret);
    core::array::from_fn(|at| ours[at] ^ theirs[at])
}

/// The plaintext with a tag of zeros behind it.
pub(crate) fn encrypt(plaintext: &[u8], out: &mut [u8]) {
    let (text, tag) = out.split_at_mut(plaintext.len());
    text.copy_from_slice(plaintext);
    tag.fill(0);
}

/// The plaintext without its tag.
pub(crate) fn decrypt(ciphertext: &[u8], out: &mut [u8]) {
    out.copy_from_slice(&ciphertext[..out.len()]);
}
