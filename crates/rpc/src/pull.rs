//! Pull.

use core::fmt;

use tortalk_model::limits::relay::NONCE_BYTES;
use tortalk_model::{Epoch, MailboxKey, UnixMillis};
use tortalk_wire::{BodyError, EnvelopeBytes};

use crate::field::{AuthorityBytes, bounded, fixed, optional, present};
use crate::v1;

/// What an owner sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullStep {
    /// The first message.
    Proof(PullProof),
    /// Every other.
    Ack(PullAck),
}

/// Proves a mailbox and registers it. Not verified.
#[derive(Clone, PartialEq, Eq)]
pub struct PullProof {
    /// The mailbox.
    pub mailbox: MailboxKey,
    /// The owner's random bytes.
    pub client_nonce: [u8; NONCE_BYTES],
    /// The authority that it dialled.
    pub authority: AuthorityBytes,
    /// Zero in version 1.
    pub consumer: [u8; 8],
    /// The key of stamps to register; secret to the owner's contacts.
    pub deposit_key: Option<[u8; 32]>,
    /// Signature over the drawn proof.
    pub signature: [u8; 64],
}

impl fmt::Debug for PullProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullProof").field("mailbox", &self.mailbox).finish_non_exhaustive()
    }
}

/// The owner holds everything up to a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullAck {
    /// The epoch of the sequence.
    pub epoch: Epoch,
    /// The largest sequence that is held.
    pub up_to: u64,
}

/// What a relay sends to an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullAnswer {
    /// The first message.
    Challenge {
        /// What the owner signs.
        challenge: [u8; NONCE_BYTES],
        /// This life of the relay's database.
        epoch: Epoch,
        /// The relay's clock.
        now: UnixMillis,
    },
    /// The mailbox is registered.
    Opened {
        /// Until when, in the relay's clock.
        registered_until: UnixMillis,
    },
    /// An envelope.
    Envelope {
        /// Its sequence.
        seq: u64,
        /// Its bytes.
        envelope: EnvelopeBytes,
    },
    /// Nothing follows.
    End(PullEndReason),
}

/// Why a Pull ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PullEndReason {
    /// None that is known.
    Unspecified,
    /// The owner ended its side; its acknowledgements are durable.
    Closed,
    /// A newer Pull of this mailbox was proved.
    Superseded,
    /// The stream is 24 hours old.
    Age,
    /// The relay stops.
    Drain,
}

impl TryFrom<v1::PullRequest> for PullStep {
    type Error = BodyError;

    fn try_from(request: v1::PullRequest) -> Result<Self, BodyError> {
        match present("PullRequest", "step", request.step)? {
            v1::pull_request::Step::Proof(proof) => proof.try_into().map(Self::Proof),
            v1::pull_request::Step::Ack(ack) => Ok(Self::Ack(PullAck {
                epoch: fixed("PullAck", "epoch", &ack.epoch)?,
                up_to: ack.up_to,
            })),
        }
    }
}

impl From<PullStep> for v1::PullRequest {
    fn from(step: PullStep) -> Self {
        let step = match step {
            PullStep::Proof(proof) => v1::pull_request::Step::Proof(v1::PullProof {
                mailbox: proof.mailbox.as_bytes().to_vec(),
                client_nonce: proof.client_nonce.to_vec(),
                authority: proof.authority.into_vec(),
                consumer: proof.consumer.to_vec(),
                deposit_key: proof.deposit_key.map_or_else(Vec::new, Vec::from),
                signature: proof.signature.to_vec(),
            }),
            PullStep::Ack(ack) => v1::pull_request::Step::Ack(v1::PullAck {
                epoch: ack.epoch.as_bytes().to_vec(),
                up_to: ack.up_to,
            }),
        };
        Self { step: Some(step) }
    }
}

impl TryFrom<v1::PullProof> for PullProof {
    type Error = BodyError;

    // req: RLY-29
    fn try_from(proof: v1::PullProof) -> Result<Self, BodyError> {
        const M: &str = "PullProof";
        Ok(Self {
            mailbox: fixed(M, "mailbox", &proof.mailbox)?,
            client_nonce: fixed(M, "client_nonce", &proof.client_nonce)?,
            authority: bounded(M, "authority", proof.authority)?,
            consumer: fixed(M, "consumer", &proof.consumer)?,
            deposit_key: optional(M, "deposit_key", &proof.deposit_key)?,
            signature: fixed(M, "signature", &proof.signature)?,
        })
    }
}

impl TryFrom<v1::PullResponse> for PullAnswer {
    type Error = BodyError;

    fn try_from(response: v1::PullResponse) -> Result<Self, BodyError> {
        use v1::pull_response::Step;
        Ok(match present("PullResponse", "step", response.step)? {
            Step::Challenge(challenge) => Self::Challenge {
                challenge: fixed("PullChallenge", "challenge", &challenge.challenge)?,
                epoch: fixed("PullChallenge", "epoch", &challenge.epoch)?,
                now: UnixMillis(challenge.now),
            },
            Step::Opened(opened) => {
                Self::Opened { registered_until: UnixMillis(opened.registered_until) }
            }
            Step::Envelope(envelope) => Self::Envelope {
                seq: envelope.seq,
                envelope: bounded("PullEnvelope", "envelope", envelope.envelope)?,
            },
            Step::End(end) => Self::End(end_reason(end.reason())),
        })
    }
}

impl From<PullAnswer> for v1::PullResponse {
    fn from(answer: PullAnswer) -> Self {
        use v1::pull_response::Step;
        let step = match answer {
            PullAnswer::Challenge { challenge, epoch, now } => Step::Challenge(v1::PullChallenge {
                challenge: challenge.to_vec(),
                epoch: epoch.as_bytes().to_vec(),
                now: now.0,
            }),
            PullAnswer::Opened { registered_until } => {
                Step::Opened(v1::PullOpened { registered_until: registered_until.0 })
            }
            PullAnswer::Envelope { seq, envelope } => {
                Step::Envelope(v1::PullEnvelope { seq, envelope: envelope.into_vec() })
            }
            PullAnswer::End(reason) => {
                Step::End(v1::PullEnd { reason: end_reason_number(reason).into() })
            }
        };
        Self { step: Some(step) }
    }
}

const fn end_reason(reason: v1::PullEndReason) -> PullEndReason {
    use v1::PullEndReason as P;
    match reason {
        P::Unspecified => PullEndReason::Unspecified,
        P::Closed => PullEndReason::Closed,
        P::Superseded => PullEndReason::Superseded,
        P::Age => PullEndReason::Age,
        P::Drain => PullEndReason::Drain,
    }
}

const fn end_reason_number(reason: PullEndReason) -> v1::PullEndReason {
    use v1::PullEndReason as P;
    match reason {
        PullEndReason::Unspecified => P::Unspecified,
        PullEndReason::Closed => P::Closed,
        PullEndReason::Superseded => P::Superseded,
        PullEndReason::Age => P::Age,
        PullEndReason::Drain => P::Drain,
    }
}
