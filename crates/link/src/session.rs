//! What follows the handshake: the records and what both ends know.

use snow::TransportState;
use tortalk_keys::link_auth::LinkTranscript;
use tortalk_model::limits::{RECORD_BYTES_MAX, RECORD_PLAINTEXT_BYTES_SENT};
use tortalk_wire::FrameDecoder;

/// The AEAD tag of a record.
pub(crate) const TAG: usize = 16;

/// What both ends know after the handshake.
pub(crate) struct Session {
    pub(crate) cipher: Cipher,
    pub(crate) version: u16,
    pub(crate) initiator_payload: Vec<u8>,
    pub(crate) responder_payload: Vec<u8>,
    pub(crate) handshake_hash: [u8; 64],
    pub(crate) decoder: FrameDecoder,
}

impl Session {
    /// What an `Auth` of either end is signed over.
    pub(crate) fn transcript(&self) -> LinkTranscript<'_> {
        LinkTranscript {
            initiator_payload: &self.initiator_payload,
            responder_payload: &self.responder_payload,
            handshake_hash: &self.handshake_hash,
        }
    }
}

/// The ciphers of both directions.
pub(crate) struct Cipher(TransportState);

impl Cipher {
    pub(crate) fn new(transport: TransportState) -> Self {
        Self(transport)
    }

    /// Appends `plain` to `out` as records.
    pub(crate) fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        // `chunks` gives no empty piece, so no record is empty.
        // req: LNK-11, LNK-12
        for piece in plain.chunks(RECORD_PLAINTEXT_BYTES_SENT) {
            let len = piece.len() + TAG;
            let start = out.len();
            out.extend_from_slice(&u16::try_from(len).expect("a short record").to_be_bytes());
            out.resize(start + 2 + len, 0);
            self.0
                .write_message(piece, &mut out[start + 2..])
                .expect("a link ends long before 2^64 records");
        }
    }

    /// The plaintext of the next record, or `None` when it is not the peer's
    /// next record.
    pub(crate) fn read(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        debug_assert!((TAG..=RECORD_BYTES_MAX).contains(&record.len()));
        let mut plain = vec![0; record.len().checked_sub(TAG)?];
        let len = self.0.read_message(record, &mut plain).ok()?;
        plain.truncate(len);
        Some(plain)
    }
}

/// How many bytes [`Cipher::write`] makes of `plain` bytes.
pub(crate) const fn written_len(plain: usize) -> usize {
    plain + plain.div_ceil(RECORD_PLAINTEXT_BYTES_SENT) * (2 + TAG)
}
