//! An owner's stream: proof, window, acknowledgements.

use std::collections::VecDeque;

use tortalk_keys::Signature;
use tortalk_keys::relay::Authority;
use tortalk_keys::relay_proof::pull::{self, PullClaim};
use tortalk_model::limits::relay::{NONCE_BYTES, WINDOW_BYTES_MAX, WINDOW_MAX};
use tortalk_model::{Epoch, MailboxKey, RelayKey};
use tortalk_rpc::{PullAck, PullProof};

use super::quota::DepositKey;

/// Why a proof is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The authority is not the layout (RLY-05).
    #[error("the authority is not well-formed")]
    MalformedAuthority,
    /// Another relay's address (RLY-30).
    #[error("the authority is not this relay's")]
    OtherAuthority,
    /// The key or the signature is not valid (RLY-31).
    #[error("the proof is not valid")]
    Invalid,
}

/// Why an acknowledgement ends the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// Another life of the database (RLY-41).
    #[error("the acknowledgement is of another epoch")]
    OtherEpoch,
    /// More than was sent (RLY-41).
    #[error("the acknowledgement is of what was not sent")]
    NotSent,
}

/// A mailbox whose owner has proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// The mailbox.
    pub mailbox: MailboxKey,
    /// What to register as the key of stamps.
    pub deposit_key: Option<DepositKey>,
}

/// Checks a proof against the challenge of its stream.
///
/// # Errors
/// The first of [`ProofError`]'s variants that applies.
pub fn check_proof(
    proof: &PullProof,
    challenge: &[u8; NONCE_BYTES],
    relay: RelayKey,
    authorities: &[Authority],
) -> Result<Proved, ProofError> {
    let authority =
        Authority::parse(&proof.authority).map_err(|_| ProofError::MalformedAuthority)?;
    // req: RLY-30
    if !authorities.contains(&authority) && !tortalk_model::deviate!(skip_rly_30) {
        return Err(ProofError::OtherAuthority);
    }
    let claim = PullClaim {
        relay,
        authority: &authority,
        challenge,
        client_nonce: &proof.client_nonce,
        mailbox: proof.mailbox,
        consumer: proof.consumer,
        deposit_key: proof.deposit_key.as_ref(),
    };
    // This refuses a mailbox key that is none, too.
    let verified = pull::verify(&claim, &Signature::from_bytes(proof.signature));
    // req: RLY-31
    if verified.is_err() && !tortalk_model::deviate!(skip_rly_31) {
        return Err(ProofError::Invalid);
    }
    Ok(Proved {
        mailbox: proof.mailbox,
        deposit_key: proof.deposit_key.map(DepositKey::from_bytes),
    })
}

/// What was sent on a stream and not acknowledged.
#[derive(Debug)]
pub struct SendWindow {
    epoch: Epoch,
    unacked: VecDeque<(u64, usize)>,
    bytes: usize,
    last_sent: u64,
}

impl SendWindow {
    /// Nothing sent yet.
    pub const fn new(epoch: Epoch) -> Self {
        Self { epoch, unacked: VecDeque::new(), bytes: 0, last_sent: 0 }
    }

    /// How many more envelopes may be sent, and how many bytes they may have.
    pub fn room(&self) -> (usize, usize) {
        // req: RLY-38
        (WINDOW_MAX - self.unacked.len(), WINDOW_BYTES_MAX - self.bytes)
    }

    /// The largest sequence sent; the next is above it (RLY-37).
    pub const fn last_sent(&self) -> u64 {
        self.last_sent
    }

    /// An envelope of this sequence and length is on its way.
    pub fn sent(&mut self, seq: u64, len: usize) {
        debug_assert!(seq > self.last_sent, "sequences of a stream ascend");
        self.unacked.push_back((seq, len));
        self.bytes += len;
        self.last_sent = seq;
    }

    /// Takes an acknowledgement. `None` when it says nothing new.
    ///
    /// # Errors
    /// [`AckError`] when it is of another epoch or of what was not sent.
    pub fn ack(&mut self, ack: &PullAck) -> Result<Option<u64>, AckError> {
        // req: RLY-41
        if ack.epoch != self.epoch {
            return Err(AckError::OtherEpoch);
        }
        // req: RLY-41
        if ack.up_to > self.last_sent {
            return Err(AckError::NotSent);
        }
        let mut released = None;
        while let Some(&(seq, len)) = self.unacked.front() {
            if seq > ack.up_to {
                break;
            }
            self.unacked.pop_front();
            self.bytes -= len;
            released = Some(seq);
        }
        Ok(released)
    }
}
