//! The rules applied to a store: everything that one group commit does.
//!
//! A [`Batch`] is one transaction. It is given what clients want, in the order
//! in which they are to take effect, and says what became of each; all of it
//! holds when [`Batch::commit`] has returned, and none of it before.

use std::collections::BTreeMap;

use tortalk_keys::Signature;
use tortalk_keys::relay_proof::card_drop;
use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::EXPIRY_TOLERANCE;
use tortalk_model::limits::relay::{CARD_LIFE, REMEMBERED_MAX};
use tortalk_model::{MailboxKey, PurgeKey, UnixMillis};
use tortalk_rpc::{DepositRefusal, PutCard, PutCardAnswer, PutCardResult};

use crate::rules::config::Quotas;
use crate::rules::quota::{DepositKey, Mailbox, cost_of};
use crate::rules::sync::{Incoming, Outcome};
use crate::store::{Group, MailboxId, StoreError, StoredCard, Totals};

/// Purged envelopes of a mailbox, above its cursor, whose ids are remembered.
const PURGED_REMEMBERED_MAX: u64 = 1_024;
/// Acknowledged envelopes of a mailbox whose ids are remembered (RLY-66).
const ACKNOWLEDGED_REMEMBERED: u64 = REMEMBERED_MAX - PURGED_REMEMBERED_MAX;
/// Envelopes that one purge key may forget in one call.
const PURGED_PER_KEY_MAX: usize = 64;
/// Rows that one sweep looks at.
const SWEPT_MAX: usize = 1_024;

/// What became of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The mailbox was known.
    Again(UnixMillis),
    /// The mailbox is new.
    New(UnixMillis),
    /// The mailbox is new and there is no place for it (RLY-32).
    NoPlace,
}

/// Whether a sweep has left something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// Nothing is due.
    Done,
    /// Another sweep would find something.
    More,
}

/// One transaction with what it knows so far.
pub struct Batch<'g> {
    group: Box<dyn Group + 'g>,
    now: UnixMillis,
    quotas: Quotas,
    totals: Totals,
    ids: BTreeMap<MailboxKey, Option<MailboxId>>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    fresh: Vec<MailboxKey>,
}

impl<'g> Batch<'g> {
    /// Begins with an open group. `now` is the relay's clock.
    ///
    /// # Errors
    /// [`StoreError`], here and in all methods: the batch is to be dropped then.
    pub fn begin(
        mut group: Box<dyn Group + 'g>,
        now: UnixMillis,
        quotas: Quotas,
    ) -> Result<Self, StoreError> {
        let totals = group.totals()?;
        Ok(Self {
            group,
            now,
            quotas,
            totals,
            ids: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            fresh: Vec::new(),
        })
    }

    /// Takes an envelope or refuses it (spec/relay.md, 3.1).
    ///
    /// # Errors
    /// As [`Batch::begin`].
    pub fn deposit(&mut self, incoming: &Incoming) -> Result<Outcome, StoreError> {
        let (envelope, now) = (&incoming.envelope, self.now);
        let cost = cost_of(envelope);
        // req: RLY-13, RLY-65
        if self.totals.bytes + cost > self.quotas.total_bytes
            && !tortalk_model::deviate!(skip_rly_13)
        {
            return Ok(Outcome::Refused(DepositRefusal::Busy));
        }
        let key = envelope.header().mailbox;
        let known = self.find(&key)?;
        let registered = known.filter(|id| self.mailbox(*id).is_registered(now));
        // req: RLY-14
        if registered.is_none() {
            return Ok(Outcome::Refused(DepositRefusal::NoRoom));
        }
        let Some(id) = known else { return Ok(Outcome::Refused(DepositRefusal::NoRoom)) };
        let duplicate = self.group.knows(&envelope.id(), &envelope.header().purge_hash)?;
        // req: RLY-15
        if duplicate && !tortalk_model::deviate!(skip_rly_15) {
            return Ok(Outcome::Duplicate);
        }
        let quotas = self.quotas;
        let mailbox = self.mailbox(id);
        let class = mailbox.class_of(envelope, &incoming.stamp);
        let seq = match mailbox.take(class, cost, &quotas) {
            Ok(seq) => seq,
            Err(reason) => return Ok(Outcome::Refused(reason)),
        };
        self.group.insert(id, seq, class, cost, envelope)?;
        self.totals.bytes += cost;
        self.fresh.push(key);
        Ok(Outcome::Stored)
    }

    /// Registers a mailbox whose owner has proved itself.
    ///
    /// # Errors
    /// As [`Batch::begin`].
    pub fn register(
        &mut self,
        key: &MailboxKey,
        deposit_key: Option<DepositKey>,
    ) -> Result<Registered, StoreError> {
        if let again @ Registered::Again(_) = self.renew(key, deposit_key.clone())? {
            return Ok(again);
        }
        // req: RLY-32, RLY-62
        if self.totals.mailboxes >= self.quotas.mailboxes && !tortalk_model::deviate!(skip_rly_32) {
            return Ok(Registered::NoPlace);
        }
        let mut mailbox = Mailbox::new(self.totals.first_seq.max(1));
        mailbox.register(self.now, deposit_key);
        let until = mailbox.registered_until;
        let id = self.group.create(key, &mailbox)?;
        self.totals.mailboxes += 1;
        self.ids.insert(*key, Some(id));
        self.mailboxes.insert(id, mailbox);
        Ok(Registered::New(until))
    }

    /// Registers a mailbox again if it is known, and finds no place for it if not.
    ///
    /// # Errors
    /// As [`Batch::begin`].
    pub fn renew(
        &mut self,
        key: &MailboxKey,
        deposit_key: Option<DepositKey>,
    ) -> Result<Registered, StoreError> {
        let Some(id) = self.find(key)? else { return Ok(Registered::NoPlace) };
        let now = self.now;
        let mailbox = self.mailbox(id);
        mailbox.register(now, deposit_key);
        Ok(Registered::Again(mailbox.registered_until))
    }

    /// The owner holds everything up to a sequence that was sent to it.
    ///
    /// # Errors
    /// As [`Batch::begin`].
    pub fn acknowledge(&mut self, key: &MailboxKey, up_to: u64) -> Result<(), StoreError> {
        let Some(id) = self.find(key)? else { return Ok(()) };
        let mailbox = self.mailbox(id);
        // What was never given cannot be held, and would be lost when it comes.
        let (cursor, up_to) = (mailbox.cursor, up_to.min(mailbox.next_seq - 1));
        if up_to <= cursor {
            return Ok(());
        }
        let sums = self.group.sums(id, cursor, up_to)?;
        let mailbox = self.mailbox(id);
        // req: RLY-42
        mailbox.cursor = up_to;
        mailbox.stamped.remove(sums.stamped);
        mailbox.strangers.remove(sums.strangers);
        mailbox.purged = mailbox.purged.saturating_sub(sums.purged);
        self.release(sums.stamped.bytes + sums.strangers.bytes);
        Ok(())
    }

    /// Forgets every held envelope that these keys purge.
    ///
    /// # Errors
    /// As [`Batch::begin`].
    pub fn purge(&mut self, keys: &[PurgeKey]) -> Result<(), StoreError> {
        for key in keys {
            // req: RLY-44
            let rows = self.group.with_purge_hash(&purge_hash(key), PURGED_PER_KEY_MAX)?;
            for row in rows {
                let mailbox = self.load(row.mailbox)?;
                let Some(class) = row.class else { continue };
                if row.seq <= mailbox.cursor {
                    continue;
                }
                let held = mailbox.held_mut(class);
                held.count = held.count.saturating_sub(1);
                held.bytes = held.bytes.saturating_sub(row.cost);
                // req: RLY-66
                if mailbox.purged >= PURGED_REMEMBERED_MAX {
                    self.group.forget(row.mailbox, row.seq)?;
                } else {
                    mailbox.purged += 1;
                    self.group.forget_content(row.mailbox, row.seq)?;
                }
                self.release(row.cost);
            }
        }
        Ok(())
    }

    /// Puts a card into a mailbox's drop. The caller has checked the signature.
    ///
    /// # Errors
    /// As [`Batch::begin`].
    pub fn put_card(&mut self, put: &PutCard) -> Result<PutCardAnswer, StoreError> {
        let now = self.now;
        let known = self.find(&put.mailbox)?;
        let registered = known.filter(|id| self.mailbox(*id).is_registered(now));
        // req: RLY-48
        if registered.is_none() {
            return Ok(PutCardAnswer { result: PutCardResult::Unregistered, seq: 0 });
        }
        let Some(id) = known else {
            return Ok(PutCardAnswer { result: PutCardResult::Unregistered, seq: 0 });
        };
        let before = self.group.card(id)?.map(|stored| stored.card);
        let held = before.as_ref().map_or(0, |card| card.seq);
        let newer = before.as_ref().is_none_or(|card| put.card.seq > card.seq);
        let same = before
            .as_ref()
            .is_some_and(|card| card.seq == put.card.seq && card.blob == put.card.blob);
        // req: RLY-49
        if !newer && !same && !tortalk_model::deviate!(skip_rly_49) {
            return Ok(PutCardAnswer { result: PutCardResult::Old, seq: held });
        }
        let seq = put.card.seq;
        self.group.put_card(id, &StoredCard { card: put.card.clone(), put_at: now })?;
        Ok(PutCardAnswer { result: PutCardResult::Stored, seq })
    }

    /// Does some of what is due: forgets what was acknowledged, has expired or
    /// belongs to nobody any more.
    ///
    /// # Errors
    /// As [`Batch::begin`].
    pub fn sweep(&mut self) -> Result<Sweep, StoreError> {
        self.flush()?;
        let mut done = self.group.sweep_acknowledged(ACKNOWLEDGED_REMEMBERED, SWEPT_MAX)?;
        // req: RLY-55
        let expired = self.group.take_expired(
            self.now.saturating_sub(EXPIRY_TOLERANCE),
            if tortalk_model::deviate!(keep_expired) { 0 } else { SWEPT_MAX },
        )?;
        done = done.max(expired.len());
        for row in expired {
            let mailbox = self.load(row.mailbox)?;
            if row.seq <= mailbox.cursor {
                continue;
            }
            let Some(class) = row.class else {
                mailbox.purged = mailbox.purged.saturating_sub(1);
                continue;
            };
            let held = mailbox.held_mut(class);
            held.count = held.count.saturating_sub(1);
            held.bytes = held.bytes.saturating_sub(row.cost);
            self.release(row.cost);
        }
        let before = self.now.saturating_sub(CARD_LIFE);
        done = done.max(self.group.sweep_cards(before, SWEPT_MAX)?);
        self.flush()?;
        // req: RLY-57
        for id in self.group.lapsed(
            self.now,
            if tortalk_model::deviate!(keep_lapsed) { 0 } else { SWEPT_MAX / 8 },
        )? {
            let next = self.load(id)?.next_seq;
            // req: RLY-36
            self.totals.first_seq = self.totals.first_seq.max(next);
            self.totals.mailboxes = self.totals.mailboxes.saturating_sub(1);
            self.group.remove(id)?;
            self.mailboxes.remove(&id);
            self.ids.retain(|_, known| *known != Some(id));
            done = done.max(1);
        }
        Ok(if done >= SWEPT_MAX / 8 { Sweep::More } else { Sweep::Done })
    }

    /// Makes everything durable. Returns the mailboxes that got envelopes, one
    /// entry for each envelope.
    ///
    /// # Errors
    /// As [`Batch::begin`]; then none of it happened.
    pub fn commit(mut self) -> Result<Vec<MailboxKey>, StoreError> {
        self.flush()?;
        self.group.save_totals(&self.totals)?;
        // req: RLY-22, RLY-33, RLY-50
        self.group.commit()?;
        Ok(self.fresh)
    }

    /// What all mailboxes have together, this batch included.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    const fn release(&mut self, bytes: u64) {
        self.totals.bytes = self.totals.bytes.saturating_sub(bytes);
    }

    fn find(&mut self, key: &MailboxKey) -> Result<Option<MailboxId>, StoreError> {
        if let Some(known) = self.ids.get(key) {
            return Ok(*known);
        }
        let found = self.group.find(key)?;
        let id = found.as_ref().map(|(id, _)| *id);
        self.ids.insert(*key, id);
        if let Some((id, mailbox)) = found {
            // One that was loaded by its number may have changed since.
            self.mailboxes.entry(id).or_insert(mailbox);
        }
        Ok(id)
    }

    fn load(&mut self, id: MailboxId) -> Result<&mut Mailbox, StoreError> {
        if !self.mailboxes.contains_key(&id) {
            let mailbox = self.group.load(id)?;
            self.mailboxes.insert(id, mailbox);
        }
        Ok(self.mailbox(id))
    }

    fn mailbox(&mut self, id: MailboxId) -> &mut Mailbox {
        self.mailboxes.get_mut(&id).expect("every number that `find` gives is here")
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        for (id, mailbox) in &self.mailboxes {
            self.group.save(*id, mailbox)?;
        }
        Ok(())
    }
}

/// The mailbox key did not sign the drop (RLY-47).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the card is not signed by its mailbox")]
pub struct CardError;

/// Checks who put a card.
///
/// # Errors
/// [`CardError`] when it was not the mailbox's owner.
pub fn check_card(put: &PutCard) -> Result<(), CardError> {
    let signature = Signature::from_bytes(put.card.signature);
    let verified = card_drop::verify(&put.mailbox, put.card.seq, &put.card.blob, &signature);
    // req: RLY-47
    if verified.is_err() && !tortalk_model::deviate!(skip_rly_47) {
        return Err(CardError);
    }
    Ok(())
}
