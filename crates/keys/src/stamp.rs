//! The stamp: what shows a relay that a contact sent an envelope.

use subtle::ConstantTimeEq;
use tortalk_model::EnvelopeId;
use tortalk_model::hash::{self, label};

/// Length of a stamp of version 1.
pub const STAMP_BYTES: usize = 16;

/// The stamp of an envelope: the first 16 bytes of
/// keyed BLAKE2b-256(deposit_key, STAMP ‖ envelope_id) (IDN-07).
///
/// A carrier who sees it can use it for nothing else, because the id is the hash
/// of the envelope that it stands beside.
pub fn stamp(deposit_key: &[u8; 32], envelope: &EnvelopeId) -> [u8; STAMP_BYTES] {
    // req: IDN-07
    let hash = hash::keyed(deposit_key, label::STAMP, &[envelope.as_bytes()]);
    *hash.first_chunk().expect("16 bytes of 32")
}

/// Whether `found` is the stamp of an envelope, in a time that does not depend
/// on where it differs (IDN-08, IDN-09).
pub fn stamp_matches(deposit_key: &[u8; 32], envelope: &EnvelopeId, found: &[u8]) -> bool {
    // req: IDN-08, IDN-09
    stamp(deposit_key, envelope).ct_eq(found).into()
}
