//! Signatures of links and mailboxes, stamps, safety numbers (`spec/identity.md`).

use super::bytes::{bytes16, join};
use super::crypto::{hash, keyed, label, sign, verify};
use super::noise::Role;
use super::{Taken, unsigned};

/// What an `Auth` signs (LNK-02).
#[derive(Debug, Clone)]
#[allow(missing_docs)] // drawn in spec/identity.md
pub struct LinkAuth<'a> {
    pub role: Role,
    pub identity: [u8; 32],
    pub device_id: [u8; 8],
    pub instance_id: [u8; 16],
    pub initiator_payload: &'a [u8],
    pub responder_payload: &'a [u8],
    pub handshake_hash: &'a [u8],
}

impl LinkAuth<'_> {
    /// The bytes behind the label.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        join(&[
            &[self.role.byte()],
            &self.identity,
            &self.device_id,
            &self.instance_id,
            &bytes16(self.initiator_payload),
            &bytes16(self.responder_payload),
            self.handshake_hash,
        ])
    }

    /// Signs.
    #[must_use]
    pub fn sign(&self, seed: &[u8; 32]) -> [u8; 64] {
        sign(seed, "sign/link-auth", &[&self.bytes()])
    }

    /// Verifies with `identity`.
    ///
    /// # Errors
    /// `signature`.
    pub fn verify(&self, signature: &[u8; 64]) -> Taken<()> {
        verify(&self.identity, "sign/link-auth", &[&self.bytes()], signature)
    }
}

/// Signs a mailbox proof (LNK-03).
#[must_use]
pub fn sign_mailbox(seed: &[u8; 32], role: Role, handshake_hash: &[u8]) -> [u8; 64] {
    sign(seed, "sign/mailbox-proof", &[&[role.byte()], handshake_hash])
}

/// Verifies a mailbox proof (IDN-04).
///
/// # Errors
/// `signature`.
pub fn verify_mailbox(
    mailbox: &[u8; 32],
    role: Role,
    handshake_hash: &[u8],
    signature: &[u8; 64],
) -> Taken<()> {
    verify(mailbox, "sign/mailbox-proof", &[&[role.byte()], handshake_hash], signature)
}

/// Signs that a mailbox is somebody's.
#[must_use]
pub fn sign_owner(seed: &[u8; 32], identity: &[u8; 32], kind: u8) -> [u8; 64] {
    sign(seed, "sign/mailbox-owner", &[identity, &[kind]])
}

/// Verifies that a mailbox is somebody's (IDN-06).
///
/// # Errors
/// `signature`.
pub fn verify_owner(
    mailbox: &[u8; 32],
    identity: &[u8; 32],
    kind: u8,
    signature: &[u8; 64],
) -> Taken<()> {
    verify(mailbox, "sign/mailbox-owner", &[identity, &[kind]], signature)
}

/// The stamp of an envelope (IDN-07).
#[must_use]
pub fn stamp(deposit_key: &[u8; 32], envelope_id: &[u8; 32]) -> [u8; 16] {
    keyed(deposit_key, &[&label("stamp"), envelope_id])[..16].try_into().expect("half of 32")
}

/// Whether bytes are the stamp (IDN-08).
///
/// # Errors
/// `signature`.
pub fn check_stamp(deposit_key: &[u8; 32], envelope_id: &[u8; 32], bytes: &[u8]) -> Taken<()> {
    if bytes == stamp(deposit_key, envelope_id) {
        return Ok(());
    }
    Err(unsigned("IDN-08: not the stamp"))
}

/// What two people read to each other (IDN-10).
#[must_use]
pub fn safety_number(a: &[u8; 32], b: &[u8; 32]) -> String {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let half = |n: u8| hash("safety-number", &[&[n], low, high]);
    let h = [half(0), half(1)].concat();
    let group = |five: &[u8]| {
        let number = five.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        format!("{:05}", number % 100_000)
    };
    h.chunks(5).take(12).map(group).collect::<Vec<_>>().join(" ")
}
