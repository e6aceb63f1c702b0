//! The seal under the fuzzer, and in no other build: the plaintext in clear with
//! a hash behind it in place of the tag.

use tortalk_keys::fuzzing::is_any;
use tortalk_model::hash;
use tortalk_model::limits::{SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_model::{Envelope, EnvelopeHeader};
use zeroize::Zeroizing;

use crate::key::SealingSecret;
use crate::sealing::info;

/// Always, where this module is: lets what it replaces stand behind an `if`.
pub(crate) const IS_ON: bool = true;

/// The sealed part of an envelope with this header and plaintext, whatever that
/// is: what a hostile sender can make.
pub fn seal_plaintext(key: &SealingSecret, header: &EnvelopeHeader, plaintext: &[u8]) -> Vec<u8> {
    seal(key.public().as_bytes(), &info(&header.to_bytes()), plaintext, &[0; 64])
}

/// The plaintext of an envelope that [`crate::open`] has opened.
pub fn plaintext_of(envelope: &Envelope) -> &[u8] {
    let sealed = envelope.sealed();
    &sealed[SUITE_1_ENC_BYTES..sealed.len() - SUITE_1_TAG_BYTES]
}

pub(crate) fn seal(key: &[u8], info: &[u8], plaintext: &[u8], eseed: &[u8; 64]) -> Vec<u8> {
    let mut enc = [0; SUITE_1_ENC_BYTES];
    enc[..64].copy_from_slice(eseed);
    [&enc[..], plaintext, &tag(key, info, &enc, plaintext)].concat()
}

pub(crate) fn open(key: &[u8], info: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (enc, rest) = sealed.split_at_checked(SUITE_1_ENC_BYTES)?;
    let (plaintext, found) = rest.split_at_checked(rest.len().checked_sub(SUITE_1_TAG_BYTES)?)?;
    let good = is_any() || tag(key, info, enc, plaintext) == *found;
    good.then(|| Zeroizing::new(plaintext.to_vec()))
}

fn tag(key: &[u8], info: &[u8], enc: &[u8], plaintext: &[u8]) -> [u8; SUITE_1_TAG_BYTES] {
    let hash = hash::labelled(b"fuzzing", &[key, info, enc, plaintext]);
    *hash.first_chunk().expect("16 bytes of 32")
}
