//! A store in memory, for tests and the simulator. It keeps every promise of a
//! store but the one about the power going off.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tortalk_model::{Envelope, EnvelopeId, Epoch, MailboxKey, PurgeHash, UnixMillis};
use tortalk_rpc::EnvelopeBytes;
use tortalk_sqlite::StoreFault;

use super::{
    Backend, Group, MailboxId, Queued, Reader, Row, StoreError, StoredCard, Sums, Totals, Writer,
};
use crate::rules::quota::{Class, Mailbox};

/// A store that is gone when the last handle is.
#[derive(Debug, Clone)]
pub struct MemoryBackend {
    state: Arc<Mutex<State>>,
    /// Held by the one group that is open.
    turn: Arc<Mutex<()>>,
}

impl MemoryBackend {
    /// An empty store.
    pub fn new(epoch: Epoch) -> Self {
        let state = State::new(epoch);
        Self { state: Arc::new(Mutex::new(state)), turn: Arc::default() }
    }
}

impl Backend for MemoryBackend {
    type Writer = Self;
    type Reader = Self;

    fn writer(&self) -> Result<Self, StoreError> {
        Ok(self.clone())
    }

    fn reader(&self) -> Result<Self, StoreError> {
        Ok(self.clone())
    }
}

impl Writer for MemoryBackend {
    fn group(&mut self) -> Result<Box<dyn Group + '_>, StoreError> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let staged = lock(&self.state).clone();
        Ok(Box::new(MemoryGroup { state: &self.state, staged, _turn: turn }))
    }
}

#[derive(Debug, Clone)]
struct State {
    epoch: Epoch,
    totals: Totals,
    next_id: i64,
    keys: BTreeMap<MailboxKey, MailboxId>,
    mailboxes: BTreeMap<MailboxId, (Mailbox, u64)>,
    envelopes: BTreeMap<(MailboxId, u64), Kept>,
    cards: BTreeMap<MailboxId, StoredCard>,
}

#[derive(Debug, Clone)]
struct Kept {
    class: Option<Class>,
    cost: u64,
    id: EnvelopeId,
    purge: PurgeHash,
    expires_at: UnixMillis,
    /// `None` when the bytes are forgotten.
    bytes: Option<Arc<Vec<u8>>>,
}

impl Kept {
    const fn row(&self, mailbox: MailboxId, seq: u64) -> Row {
        Row { mailbox, seq, class: self.class, cost: self.cost }
    }
}

impl State {
    const fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            totals: Totals { bytes: 0, mailboxes: 0, first_seq: 1 },
            next_id: 1,
            keys: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            envelopes: BTreeMap::new(),
            cards: BTreeMap::new(),
        }
    }

    fn mailbox_mut(&mut self, id: MailboxId) -> Result<&mut (Mailbox, u64), StoreError> {
        Ok(self.mailboxes.get_mut(&id).ok_or(StoreFault::Damaged)?)
    }
}

/// Changes a copy, which takes the place of the state at the commit.
struct MemoryGroup<'s> {
    state: &'s Mutex<State>,
    staged: State,
    _turn: MutexGuard<'s, ()>,
}

impl Group for MemoryGroup<'_> {
    fn find(&mut self, key: &MailboxKey) -> Result<Option<(MailboxId, Mailbox)>, StoreError> {
        let Some(&id) = self.staged.keys.get(key) else { return Ok(None) };
        Ok(Some((id, self.load(id)?)))
    }

    fn load(&mut self, id: MailboxId) -> Result<Mailbox, StoreError> {
        Ok(self.staged.mailbox_mut(id)?.0.clone())
    }

    fn create(&mut self, key: &MailboxKey, mailbox: &Mailbox) -> Result<MailboxId, StoreError> {
        let id = MailboxId(self.staged.next_id);
        self.staged.next_id += 1;
        self.staged.keys.insert(*key, id);
        self.staged.mailboxes.insert(id, (mailbox.clone(), mailbox.cursor));
        Ok(id)
    }

    fn save(&mut self, id: MailboxId, mailbox: &Mailbox) -> Result<(), StoreError> {
        self.staged.mailbox_mut(id)?.0 = mailbox.clone();
        Ok(())
    }

    fn remove(&mut self, id: MailboxId) -> Result<(), StoreError> {
        self.staged.keys.retain(|_, found| *found != id);
        self.staged.mailboxes.remove(&id);
        self.staged.cards.remove(&id);
        self.staged.envelopes.retain(|(mailbox, _), _| *mailbox != id);
        Ok(())
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        Ok(self.staged.totals)
    }

    fn save_totals(&mut self, totals: &Totals) -> Result<(), StoreError> {
        self.staged.totals = *totals;
        Ok(())
    }

    fn knows(&mut self, id: &EnvelopeId, _purge: &PurgeHash) -> Result<bool, StoreError> {
        Ok(self.staged.envelopes.values().any(|kept| kept.id == *id))
    }

    fn insert(
        &mut self,
        mailbox: MailboxId,
        seq: u64,
        class: Class,
        cost: u64,
        envelope: &Envelope,
    ) -> Result<(), StoreError> {
        let header = envelope.header();
        let kept = Kept {
            class: Some(class),
            cost,
            id: envelope.id(),
            purge: header.purge_hash,
            expires_at: header.expires_at,
            bytes: Some(Arc::new(envelope.as_bytes().to_vec())),
        };
        if self.staged.envelopes.insert((mailbox, seq), kept).is_some() {
            return Err(StoreFault::Internal.into());
        }
        Ok(())
    }

    fn sums(&mut self, mailbox: MailboxId, after: u64, up_to: u64) -> Result<Sums, StoreError> {
        let mut sums = Sums::default();
        if after >= up_to {
            return Ok(sums);
        }
        let range = (mailbox, after + 1)..=(mailbox, up_to);
        for kept in self.staged.envelopes.range(range).map(|(_, kept)| kept) {
            match kept.class {
                Some(Class::Stamped) => sums.stamped.add(kept.cost),
                Some(Class::Stranger) => sums.strangers.add(kept.cost),
                None => sums.purged += 1,
            }
        }
        Ok(sums)
    }

    fn with_purge_hash(&mut self, hash: &PurgeHash, limit: usize) -> Result<Vec<Row>, StoreError> {
        let held = self.staged.envelopes.iter().filter(|(_, kept)| {
            kept.purge == *hash && kept.bytes.is_some() && kept.class.is_some()
        });
        Ok(held.map(|(&(mailbox, seq), kept)| kept.row(mailbox, seq)).take(limit).collect())
    }

    fn forget_content(&mut self, mailbox: MailboxId, seq: u64) -> Result<(), StoreError> {
        if let Some(kept) = self.staged.envelopes.get_mut(&(mailbox, seq)) {
            kept.class = None;
            kept.bytes = None;
        }
        Ok(())
    }

    fn forget(&mut self, mailbox: MailboxId, seq: u64) -> Result<(), StoreError> {
        self.staged.envelopes.remove(&(mailbox, seq));
        Ok(())
    }

    fn sweep_acknowledged(&mut self, remembered: u64, limit: usize) -> Result<usize, StoreError> {
        let mut done = 0;
        for (id, (mailbox, swept)) in &mut self.staged.mailboxes {
            if done >= limit || *swept >= mailbox.cursor {
                continue;
            }
            let left = u64::try_from(limit - done).unwrap_or(u64::MAX);
            let up_to = mailbox.cursor.min(swept.saturating_add(left));
            let gone = up_to.saturating_sub(remembered);
            self.staged.envelopes.retain(|(of, seq), kept| {
                if of == id && *seq <= up_to {
                    kept.bytes = None;
                }
                of != id || *seq > gone
            });
            done += usize::try_from(up_to - *swept).unwrap_or(usize::MAX);
            *swept = up_to;
        }
        Ok(done)
    }

    fn take_expired(&mut self, before: UnixMillis, limit: usize) -> Result<Vec<Row>, StoreError> {
        let expired: Vec<Row> = self
            .staged
            .envelopes
            .iter()
            .filter(|(_, kept)| kept.expires_at < before)
            .map(|(&(mailbox, seq), kept)| kept.row(mailbox, seq))
            .take(limit)
            .collect();
        for row in &expired {
            self.staged.envelopes.remove(&(row.mailbox, row.seq));
        }
        Ok(expired)
    }

    fn lapsed(&mut self, now: UnixMillis, limit: usize) -> Result<Vec<MailboxId>, StoreError> {
        let lapsed = self
            .staged
            .mailboxes
            .iter()
            .filter(|(_, (mailbox, _))| mailbox.is_empty() && mailbox.registered_until <= now);
        Ok(lapsed.map(|(id, _)| *id).take(limit).collect())
    }

    fn card(&mut self, mailbox: MailboxId) -> Result<Option<StoredCard>, StoreError> {
        Ok(self.staged.cards.get(&mailbox).cloned())
    }

    fn put_card(&mut self, mailbox: MailboxId, card: &StoredCard) -> Result<(), StoreError> {
        self.staged.cards.insert(mailbox, card.clone());
        Ok(())
    }

    fn sweep_cards(&mut self, before: UnixMillis, _limit: usize) -> Result<usize, StoreError> {
        let count = self.staged.cards.len();
        self.staged.cards.retain(|_, card| card.put_at >= before);
        Ok(count - self.staged.cards.len())
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        *lock(self.state) = self.staged;
        Ok(())
    }
}

impl Reader for MemoryBackend {
    fn epoch(&mut self) -> Result<Epoch, StoreError> {
        Ok(lock(&self.state).epoch)
    }

    fn queued(
        &mut self,
        mailbox: &MailboxKey,
        after: u64,
        count: usize,
        bytes: usize,
    ) -> Result<Vec<Queued>, StoreError> {
        let state = lock(&self.state);
        let Some(id) = state.keys.get(mailbox) else { return Ok(Vec::new()) };
        let cursor = state.mailboxes.get(id).map_or(0, |(mailbox, _)| mailbox.cursor);
        let mut left = bytes;
        let mut found = Vec::new();
        for ((_, seq), kept) in
            state.envelopes.range((*id, after.max(cursor) + 1)..=(*id, u64::MAX))
        {
            let Some(envelope) = &kept.bytes else { continue };
            if found.len() >= count || envelope.len() > left {
                break;
            }
            left -= envelope.len();
            let envelope = EnvelopeBytes::try_from(&envelope[..])
                .map_err(|_| StoreError::from(StoreFault::Damaged))?;
            found.push(Queued { seq: *seq, envelope });
        }
        Ok(found)
    }

    fn card(&mut self, mailbox: &MailboxKey) -> Result<Option<StoredCard>, StoreError> {
        let state = lock(&self.state);
        Ok(state.keys.get(mailbox).and_then(|id| state.cards.get(id)).cloned())
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        Ok(lock(&self.state).totals)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A commit is one assignment, so a panic elsewhere leaves a whole state.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
