//! A relay: the real rules over the store in memory, without gRPC.

use std::collections::{BTreeMap, BTreeSet};

use tortalk_keys::RelaySecret;
use tortalk_keys::relay::{Authority, RelayAddress, RelayHost};
use tortalk_mesh::relay::{
    CardDrop, CardPutResult, DepositRefusal as Refusal, PullEnd, PullProof, StorageReceipt,
};
use tortalk_mesh::{RelayAction, RelayInput};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::{Envelope, EnvelopeId, Epoch, MailboxKey, PurgeKey, RelayKey, UnixMillis};
use tortalk_relay::engine::{Batch, Registered, Sweep, check_card};
use tortalk_relay::rules::config::Quotas;
use tortalk_relay::rules::pull::{Proved, SendWindow, check_proof};
use tortalk_relay::rules::sync::{self, Incoming, Outcome, Window};
use tortalk_relay::store::memory::MemoryBackend;
use tortalk_relay::store::{Reader as _, StoreError, Writer as _};
use tortalk_rpc::{DepositRefusal, PullAck, PutCard, PutCardResult};
use tortalk_wire::{EnvelopeBytes, StampBytes};

use crate::device::works;
use crate::dice::Dice;
use crate::violation::Broken;

/// Sweeps of one look; each does a great many rows.
const SWEEPS_MAX: usize = 64;

/// A connection of a device with a relay; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId(pub(crate) u64);

/// One relay.
pub(crate) struct Relay {
    pub(crate) address: RelayAddress,
    pub(crate) is_up: bool,
    /// It signs for what it does not keep.
    pub(crate) lies: bool,
    /// It did so at some time.
    pub(crate) has_lied: bool,
    /// Everything that it has ever committed.
    pub(crate) committed: BTreeSet<EnvelopeId>,
    secret: RelaySecret,
    authorities: Vec<Authority>,
    backend: MemoryBackend,
    epoch: Epoch,
    quotas: Quotas,
    calls: BTreeMap<CallId, BTreeMap<MailboxKey, Pulling>>,
    /// What was done to the store, so that it can be done again without the end.
    log: Vec<(UnixMillis, Deed)>,
    dice: Dice,
}

/// One stream of an owner.
struct Pulling {
    challenge: [u8; 32],
    /// Once the owner has proved the mailbox.
    window: Option<SendWindow>,
}

/// A change of the store.
#[derive(Clone)]
enum Deed {
    Deposit(Box<Incoming>),
    Register(Proved),
    Acknowledge(MailboxKey, u64),
    Purge(Vec<PurgeKey>),
    PutCard(PutCard),
    Sweep,
}

/// What came of one.
enum Done {
    Deposited(Outcome),
    Registered(Registered),
    Card(CardPutResult),
    Nothing,
}

/// What somebody who is connected is told.
pub(crate) type Answers = Vec<(CallId, RelayInput)>;

impl Relay {
    pub(crate) fn new(number: usize, mut dice: Dice) -> Option<Self> {
        let secret = RelaySecret::from_seed(dice.bytes());
        let host = RelayHost::Name(format!("relay{number}.example"));
        let address = RelayAddress::new(host, 443, secret.public()).ok()?;
        let epoch = Epoch::from_bytes(dice.bytes());
        Some(Self {
            authorities: vec![address.authority()],
            address,
            is_up: true,
            lies: false,
            has_lied: false,
            committed: BTreeSet::new(),
            secret,
            backend: MemoryBackend::new(epoch),
            epoch,
            quotas: Quotas::default(),
            calls: BTreeMap::new(),
            log: Vec::new(),
            dice,
        })
    }

    pub(crate) fn key(&self) -> RelayKey {
        self.address.key()
    }

    /// Somebody has connected; what it is told first.
    pub(crate) fn connect(&mut self, call: CallId, now: UnixMillis) -> RelayInput {
        self.calls.insert(call, BTreeMap::new());
        RelayInput::Up { relay: self.key(), now, epoch: self.epoch }
    }

    pub(crate) fn hang_up(&mut self, call: CallId) {
        self.calls.remove(&call);
    }

    /// It is on no more; everybody's connection is lost.
    pub(crate) fn stop(&mut self) {
        self.is_up = false;
        self.calls.clear();
    }

    /// It lost everything: another life of its database begins.
    pub(crate) fn lose_all(&mut self) {
        self.epoch = Epoch::from_bytes(self.dice.bytes());
        self.backend = MemoryBackend::new(self.epoch);
        self.log.clear();
        self.calls.clear();
    }

    /// It lost the last so many changes, and does not know it.
    pub(crate) fn lose_last(&mut self, count: usize) -> Result<(), Broken> {
        let keep = self.log.len().saturating_sub(count);
        self.log.truncate(keep);
        self.backend = MemoryBackend::new(self.epoch);
        self.calls.clear();
        for (now, deed) in self.log.clone() {
            self.carry_out(now, &deed).map_err(|e| works(&e))?;
        }
        Ok(())
    }

    /// What all envelopes that it holds cost, in bytes.
    pub(crate) fn held_bytes(&mut self) -> Result<u64, Broken> {
        self.backend.totals().map(|totals| totals.bytes).map_err(|e| works(&e))
    }

    /// Forgets what is due.
    pub(crate) fn sweep(&mut self, now: UnixMillis) -> Result<(), Broken> {
        self.apply(now, Deed::Sweep).map(|_| ())
    }

    /// Somebody who is connected wants something.
    pub(crate) fn asked(
        &mut self,
        call: CallId,
        action: RelayAction,
        now: UnixMillis,
    ) -> Result<Answers, Broken> {
        if !self.calls.contains_key(&call) {
            return Ok(Vec::new());
        }
        let relay = self.key();
        match action {
            RelayAction::Deposit { envelope, stamp, .. } => {
                self.deposit(call, &envelope, stamp, now)
            }
            RelayAction::Pull { mailbox, .. } => {
                let challenge = self.dice.bytes();
                let pulling = Pulling { challenge, window: None };
                if let Some(call) = self.calls.get_mut(&call) {
                    call.insert(mailbox, pulling);
                }
                Ok(vec![(call, RelayInput::Challenged { relay, mailbox, challenge })])
            }
            RelayAction::Prove { proof, .. } => self.prove(call, proof, now),
            RelayAction::Ack { mailbox, up_to, .. } => self.acknowledge(call, mailbox, up_to, now),
            RelayAction::StopPull { mailbox, .. } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.remove(&mailbox);
                }
                Ok(Vec::new())
            }
            RelayAction::PutCard { mailbox, drop, .. } => {
                let result = self.put_card(mailbox, drop, now)?;
                let put = result.map(|result| RelayInput::CardPut { relay, mailbox, result });
                Ok(put.map(|put| (call, put)).into_iter().collect())
            }
            RelayAction::GetCard { mailbox, .. } => {
                let stored = self.backend.card(&mailbox).map_err(|e| works(&e))?;
                let drop = stored.map(|stored| CardDrop {
                    seq: stored.card.seq,
                    blob: stored.card.blob.as_slice().to_vec(),
                    signature: stored.card.signature,
                });
                Ok(vec![(call, RelayInput::CardFound { relay, mailbox, drop })])
            }
            RelayAction::Purge { keys, .. } => {
                self.apply(now, Deed::Purge(keys))?;
                Ok(Vec::new())
            }
            RelayAction::Connect(_) | RelayAction::Disconnect(_) => Ok(Vec::new()),
        }
    }

    fn deposit(
        &mut self,
        call: CallId,
        envelope: &Envelope,
        stamp: Vec<u8>,
        now: UnixMillis,
    ) -> Result<Answers, Broken> {
        let id = envelope.id();
        let stamp = StampBytes::try_from(stamp).unwrap_or_default();
        let deposit = tortalk_rpc::Deposit { stamp, envelope: EnvelopeBytes::from(envelope) };
        let outcome = match Window::default().take(deposit, now) {
            Ok(Ok(incoming)) if self.lies => {
                drop(incoming);
                Outcome::Stored
            }
            Ok(Ok(incoming)) => match self.apply(now, Deed::Deposit(Box::new(incoming)))? {
                Done::Deposited(outcome) => outcome,
                _ => Outcome::Refused(DepositRefusal::Busy),
            },
            Ok(Err(refusal)) => Outcome::Refused(refusal.reason),
            Err(_) => Outcome::Refused(DepositRefusal::Malformed),
        };
        if outcome == Outcome::Stored && !self.lies {
            self.committed.insert(id);
        }
        let relay = self.key();
        let answer = sync::answer(&self.secret, now, &[(id, outcome)]);
        let mut answers = Vec::new();
        if let Some(receipt) = answer.receipt {
            let receipt = StorageReceipt {
                time: receipt.time,
                store_until: receipt.store_until,
                ids: receipt.ids(),
                signature: receipt.signature,
            };
            answers.push((call, RelayInput::Stored { relay, receipt }));
        }
        for refusal in answer.refusals {
            let (envelope_id, retry_after_s) = (refusal.id, refusal.retry_after_s);
            let reason = refusal_of(refusal.reason);
            let refused = RelayInput::Refused { relay, envelope_id, reason, retry_after_s, now };
            answers.push((call, refused));
        }
        answers.extend(self.push(envelope.header().mailbox)?);
        Ok(answers)
    }

    fn prove(
        &mut self,
        call: CallId,
        proof: PullProof,
        now: UnixMillis,
    ) -> Result<Answers, Broken> {
        let (relay, mailbox) = (self.key(), proof.mailbox);
        let pulling = self.calls.get(&call).and_then(|call| call.get(&mailbox));
        let Some(challenge) = pulling.map(|pulling| pulling.challenge) else {
            return Ok(Vec::new());
        };
        let proof = tortalk_rpc::PullProof {
            mailbox,
            client_nonce: proof.client_nonce,
            authority: authority_bytes(&self.address.authority())?,
            consumer: proof.consumer,
            deposit_key: proof.deposit_key,
            signature: proof.signature,
        };
        let end = |why| RelayInput::PullEnded { relay, mailbox, why };
        let Ok(proved) = check_proof(&proof, &challenge, relay, &self.authorities) else {
            return Ok(vec![(call, end(PullEnd::Again))]);
        };
        let registered = self.apply(now, Deed::Register(proved))?;
        let Done::Registered(Registered::New(until) | Registered::Again(until)) = registered else {
            return Ok(vec![(call, end(PullEnd::NoPlace))]);
        };
        let mut answers = Vec::new();
        for (other, pulls) in &mut self.calls {
            let replaced = *other != call && pulls.remove(&mailbox).is_some();
            if replaced {
                answers.push((*other, end(PullEnd::Superseded)));
            }
        }
        let window = Some(SendWindow::new(self.epoch));
        if let Some(call) = self.calls.get_mut(&call) {
            call.insert(mailbox, Pulling { challenge, window });
        }
        let registered_until = until;
        answers.push((call, RelayInput::PullOpened { relay, mailbox, registered_until }));
        answers.extend(self.push(mailbox)?);
        Ok(answers)
    }

    fn acknowledge(
        &mut self,
        call: CallId,
        mailbox: MailboxKey,
        up_to: u64,
        now: UnixMillis,
    ) -> Result<Answers, Broken> {
        let relay = self.key();
        let pulls = self.calls.get_mut(&call).and_then(|call| call.get_mut(&mailbox));
        let Some(window) = pulls.and_then(|pulling| pulling.window.as_mut()) else {
            return Ok(Vec::new());
        };
        match window.ack(&PullAck { epoch: self.epoch, up_to }) {
            Ok(Some(up_to)) => {
                self.apply(now, Deed::Acknowledge(mailbox, up_to))?;
                self.push(mailbox)
            }
            Ok(None) => Ok(Vec::new()),
            Err(_) => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.remove(&mailbox);
                }
                let why = PullEnd::Again;
                Ok(vec![(call, RelayInput::PullEnded { relay, mailbox, why })])
            }
        }
    }

    fn put_card(
        &mut self,
        mailbox: MailboxKey,
        drop: CardDrop,
        now: UnixMillis,
    ) -> Result<Option<CardPutResult>, Broken> {
        let Ok(blob) = drop.blob.try_into() else { return Ok(None) };
        let card = tortalk_rpc::CardDrop { seq: drop.seq, blob, signature: drop.signature };
        let put = PutCard { mailbox, card };
        if check_card(&put).is_err() {
            return Ok(None);
        }
        match self.apply(now, Deed::PutCard(put))? {
            Done::Card(result) => Ok(Some(result)),
            _ => Ok(None),
        }
    }

    /// Sends what a mailbox's owner has room for.
    fn push(&mut self, mailbox: MailboxKey) -> Result<Answers, Broken> {
        let relay = self.address.key();
        let mut answers = Vec::new();
        for (call, pulls) in &mut self.calls {
            let Some(window) = pulls.get_mut(&mailbox).and_then(|pulling| pulling.window.as_mut())
            else {
                continue;
            };
            let (count, bytes) = window.room();
            let queued = self.backend.queued(&mailbox, window.last_sent(), count, bytes);
            for one in queued.map_err(|e| works(&e))? {
                window.sent(one.seq, one.envelope.len());
                let (seq, envelope) = (one.seq, one.envelope.to_vec());
                answers.push((*call, RelayInput::Pulled { relay, mailbox, seq, envelope }));
            }
        }
        Ok(answers)
    }

    /// Changes the store, durably, and remembers how.
    fn apply(&mut self, now: UnixMillis, deed: Deed) -> Result<Done, Broken> {
        let done = self.carry_out(now, &deed).map_err(|e| works(&e))?;
        self.log.push((now, deed));
        Ok(done)
    }

    fn carry_out(&mut self, now: UnixMillis, deed: &Deed) -> Result<Done, StoreError> {
        let mut batch = Batch::begin(self.backend.group()?, now, self.quotas)?;
        let done = match deed {
            Deed::Deposit(incoming) => Done::Deposited(batch.deposit(incoming)?),
            Deed::Register(proved) => {
                Done::Registered(batch.register(&proved.mailbox, proved.deposit_key.clone())?)
            }
            Deed::Acknowledge(mailbox, up_to) => {
                batch.acknowledge(mailbox, *up_to)?;
                Done::Nothing
            }
            Deed::Purge(keys) => {
                batch.purge(keys)?;
                Done::Nothing
            }
            Deed::PutCard(put) => {
                let answer = batch.put_card(put)?;
                Done::Card(match answer.result {
                    PutCardResult::Stored => CardPutResult::Stored,
                    PutCardResult::Old => CardPutResult::Old { seq: answer.seq },
                    PutCardResult::Unregistered => CardPutResult::Unregistered,
                })
            }
            Deed::Sweep => {
                for _ in 0..SWEEPS_MAX {
                    if batch.sweep()? == Sweep::Done {
                        break;
                    }
                }
                Done::Nothing
            }
        };
        batch.commit()?;
        Ok(done)
    }
}

const fn refusal_of(reason: DepositRefusal) -> Refusal {
    match reason {
        DepositRefusal::Malformed => Refusal::Malformed,
        DepositRefusal::Expiry => Refusal::Expiry,
        DepositRefusal::Busy => Refusal::Busy,
        DepositRefusal::NoRoom => Refusal::NoRoom,
        DepositRefusal::Full => Refusal::Full,
    }
}

fn authority_bytes(authority: &Authority) -> Result<tortalk_rpc::AuthorityBytes, Broken> {
    authority.to_bytes().try_into().map_err(|e: tortalk_wire::LengthError| works(&e))
}
