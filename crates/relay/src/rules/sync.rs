//! A stream of envelopes: what is taken from it and how it is answered.

use tortalk_keys::RelaySecret;
use tortalk_keys::relay_proof::receipt::{self, ReceiptClaim};
use tortalk_model::limits::relay::{EXPIRY_AHEAD_MAX, MALFORMED_MAX, WINDOW_BYTES_MAX, WINDOW_MAX};
use tortalk_model::{Envelope, EnvelopeId, UnixMillis};
use tortalk_rpc::{Deposit, DepositRefusal, Receipt, Refusal, SyncAnswer};

use super::quota::{check_expiry, retry_after_s};

/// An envelope that was checked as far as that goes without the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The envelope.
    pub envelope: Envelope,
    /// Its stamp, or nothing.
    pub stamp: Vec<u8>,
}

/// What became of one envelope in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable now.
    Stored,
    /// It was durable before.
    Duplicate,
    /// It was not taken.
    Refused(DepositRefusal),
}

/// The ninth thing on a stream that is no envelope (RLY-11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much that is no envelope")]
pub struct TooManyMalformed;

/// What a stream still owes answers for.
#[derive(Debug, Default)]
pub struct Window {
    count: usize,
    bytes: usize,
    malformed: u32,
}

impl Window {
    /// Whether another envelope may be taken from the stream (RLY-25).
    pub const fn has_room(&self) -> bool {
        // The largest envelope is far below the bound, so one more may pass it
        // by less than that.
        self.count < WINDOW_MAX && self.bytes < WINDOW_BYTES_MAX
    }

    /// Whether everything taken was answered.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Looks at what came. What is refused at once needs no [`Window::answered`].
    ///
    /// # Errors
    /// [`TooManyMalformed`], after which the stream ends.
    pub fn take(
        &mut self,
        deposit: Deposit,
        now: UnixMillis,
    ) -> Result<Result<Incoming, Refusal>, TooManyMalformed> {
        // Copying is cheaper than hashing what is good a second time.
        let Ok(envelope) = Envelope::parse(deposit.envelope.to_vec()) else {
            self.malformed += 1;
            // req: RLY-11
            if self.malformed > MALFORMED_MAX && !tortalk_model::deviate!(skip_rly_11) {
                return Err(TooManyMalformed);
            }
            // req: RLY-21
            let id = Envelope::id_of(&deposit.envelope);
            return Ok(Err(refusal(id, DepositRefusal::Malformed)));
        };
        if let Err(reason) = check_expiry(&envelope, now) {
            return Ok(Err(refusal(envelope.id(), reason)));
        }
        self.count += 1;
        self.bytes += envelope.as_bytes().len();
        Ok(Ok(Incoming { envelope, stamp: deposit.stamp.into_vec() }))
    }

    /// So many envelopes with so many bytes were answered.
    pub const fn answered(&mut self, count: usize, bytes: usize) {
        self.count = self.count.saturating_sub(count);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// A refusal with its hint.
pub const fn refusal(id: EnvelopeId, reason: DepositRefusal) -> Refusal {
    Refusal { id, reason, retry_after_s: retry_after_s(reason) }
}

/// The answer to what one commit did for one stream: one receipt for all that
/// is durable (RLY-23). `now` is the relay's clock at the commit. At most 256.
pub fn answer(
    secret: &RelaySecret,
    now: UnixMillis,
    outcomes: &[(EnvelopeId, Outcome)],
) -> SyncAnswer {
    let with = |wanted: Outcome| {
        outcomes.iter().filter(move |(_, outcome)| *outcome == wanted).map(|(id, _)| *id)
    };
    let stored: Vec<EnvelopeId> = with(Outcome::Stored).collect();
    let duplicates: Vec<EnvelopeId> = with(Outcome::Duplicate).collect();
    let refusals = outcomes
        .iter()
        .filter_map(|(id, outcome)| match outcome {
            Outcome::Refused(reason) => Some(refusal(*id, *reason)),
            _ => None,
        })
        .collect();
    // req: RLY-20, RLY-23
    let receipt =
        (stored.len() + duplicates.len() > 0).then(|| receipt_of(secret, now, stored, duplicates));
    SyncAnswer { now, receipt, refusals }
}

fn receipt_of(
    secret: &RelaySecret,
    time: UnixMillis,
    stored: Vec<EnvelopeId>,
    duplicates: Vec<EnvelopeId>,
) -> Receipt {
    // No envelope with a later expiry is taken, so this promises each its own.
    let store_until = time.saturating_add(EXPIRY_AHEAD_MAX);
    let mut receipt = Receipt { time, store_until, stored, duplicates, signature: [0; 64] };
    let claim = ReceiptClaim { time, store_until, ids: &receipt.ids() };
    receipt.signature = *receipt::sign(secret, &claim).as_bytes();
    receipt
}
