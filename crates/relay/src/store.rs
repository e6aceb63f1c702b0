//! Where a relay keeps things: a trait, so that operators who outgrow one
//! machine can put another database behind it, and so that one set of tests
//! holds for all (`tests/contract`).
//!
//! A [`Writer`] opens [`Group`]s, one transaction each. What a group did is
//! durable when [`Group::commit`] returns, and not there at all if it never does.
//! A mailbox that a group has looked at belongs to it until it ends: another
//! group that wants it waits. So of two sequences of a mailbox the smaller one
//! is never committed later (RLY-35).

use tortalk_keys::Signature;
use tortalk_model::{Envelope, EnvelopeId, Epoch, MailboxKey, PurgeHash, UnixMillis};
use tortalk_rpc::{CardDrop, EnvelopeBytes};

use crate::rules::quota::{Class, Held, Mailbox};

pub mod memory;
pub mod sqlite;

/// Why the store did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The place of the data is at fault.
    #[error("{0}")]
    Fault(#[from] tortalk_sqlite::StoreFault),
    /// It was not opened.
    #[error("{0}")]
    Open(#[from] tortalk_sqlite::OpenError),
}

/// The number of a mailbox in one store. Not used outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(pub i64);

/// One store: makes writers and readers of it.
pub trait Backend: Send + Sync + 'static {
    /// Its writers.
    type Writer: Writer;
    /// Its readers.
    type Reader: Reader;

    /// A writer. One process has one; tests have two.
    ///
    /// # Errors
    /// When the store cannot be opened.
    fn writer(&self) -> Result<Self::Writer, StoreError>;

    /// A reader.
    ///
    /// # Errors
    /// When the store cannot be opened.
    fn reader(&self) -> Result<Self::Reader, StoreError>;
}

/// Opens transactions.
pub trait Writer: Send + 'static {
    /// A transaction that writes. It may wait for another one to end.
    ///
    /// # Errors
    /// When the store does not let one begin.
    fn group(&mut self) -> Result<Box<dyn Group + '_>, StoreError>;
}

/// What all mailboxes have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// What all held envelopes cost, in bytes.
    pub bytes: u64,
    /// Mailboxes that there are.
    pub mailboxes: u64,
    /// Larger than every sequence of a mailbox that was removed (RLY-36).
    pub first_seq: u64,
}

/// An envelope as the store knows it, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// Its sequence.
    pub seq: u64,
    /// Who sent it; `None` when it was purged and only its id is remembered.
    pub class: Option<Class>,
    /// What it costs, in bytes.
    pub cost: u64,
}

/// Sums over a range of a mailbox's sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Stamped envelopes.
    pub stamped: Held,
    /// Unstamped envelopes.
    pub strangers: Held,
    /// Purged envelopes that are remembered.
    pub purged: u64,
}

/// What lies in a mailbox's drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCard {
    /// The drop as it was put.
    pub card: CardDrop,
    /// When.
    pub put_at: UnixMillis,
}

impl StoredCard {
    /// The signature as a value of the keys crate.
    pub const fn signature(&self) -> Signature {
        Signature::from_bytes(self.card.signature)
    }
}

/// A transaction.
///
/// # Errors
/// Every method fails with a [`StoreError`]; the group is then to be dropped,
/// and nothing of it happened.
#[allow(clippy::missing_errors_doc)]
pub trait Group {
    /// A mailbox with its number, or `None` when there is none. The group owns
    /// it from here on.
    fn find(&mut self, key: &MailboxKey) -> Result<Option<(MailboxId, Mailbox)>, StoreError>;

    /// A mailbox by its number, which this store gave.
    fn load(&mut self, id: MailboxId) -> Result<Mailbox, StoreError>;

    /// Makes a mailbox that is not there.
    fn create(&mut self, key: &MailboxKey, mailbox: &Mailbox) -> Result<MailboxId, StoreError>;

    /// Writes what is known about a mailbox.
    fn save(&mut self, id: MailboxId, mailbox: &Mailbox) -> Result<(), StoreError>;

    /// Removes a mailbox with its drop and all that is remembered of it.
    fn remove(&mut self, id: MailboxId) -> Result<(), StoreError>;

    /// What all mailboxes have together.
    fn totals(&mut self) -> Result<Totals, StoreError>;

    /// Writes them.
    fn save_totals(&mut self, totals: &Totals) -> Result<(), StoreError>;

    /// Whether this envelope is held or remembered.
    fn knows(&mut self, id: &EnvelopeId, purge: &PurgeHash) -> Result<bool, StoreError>;

    /// Keeps an envelope.
    fn insert(
        &mut self,
        mailbox: MailboxId,
        seq: u64,
        class: Class,
        cost: u64,
        envelope: &Envelope,
    ) -> Result<(), StoreError>;

    /// Sums over the sequences above `after` up to and with `up_to`.
    fn sums(&mut self, mailbox: MailboxId, after: u64, up_to: u64) -> Result<Sums, StoreError>;

    /// The envelopes, not purged ones, with this purge hash; at most `limit`.
    fn with_purge_hash(&mut self, hash: &PurgeHash, limit: usize) -> Result<Vec<Row>, StoreError>;

    /// Forgets the bytes of an envelope and remembers its id.
    fn forget_content(&mut self, mailbox: MailboxId, seq: u64) -> Result<(), StoreError>;

    /// Forgets an envelope altogether.
    fn forget(&mut self, mailbox: MailboxId, seq: u64) -> Result<(), StoreError>;

    /// Forgets the bytes of acknowledged envelopes, and all but the newest
    /// `remembered` acknowledged ones of each mailbox altogether. Does about
    /// `limit` of them and says how many it did.
    fn sweep_acknowledged(&mut self, remembered: u64, limit: usize) -> Result<usize, StoreError>;

    /// Forgets altogether what expired before `before`, at most `limit`, and says
    /// what that was.
    fn take_expired(&mut self, before: UnixMillis, limit: usize) -> Result<Vec<Row>, StoreError>;

    /// Mailboxes that hold nothing and whose registration ended by `now`.
    fn lapsed(&mut self, now: UnixMillis, limit: usize) -> Result<Vec<MailboxId>, StoreError>;

    /// What lies in a drop.
    fn card(&mut self, mailbox: MailboxId) -> Result<Option<StoredCard>, StoreError>;

    /// Puts a card into a drop.
    fn put_card(&mut self, mailbox: MailboxId, card: &StoredCard) -> Result<(), StoreError>;

    /// Empties drops that were filled before `before`.
    fn sweep_cards(&mut self, before: UnixMillis, limit: usize) -> Result<usize, StoreError>;

    /// Makes all of it durable.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// An envelope on its way to the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its sequence.
    pub seq: u64,
    /// Its bytes.
    pub envelope: EnvelopeBytes,
}

/// Reads what is committed.
#[allow(clippy::missing_errors_doc)]
pub trait Reader: Send + 'static {
    /// This life of the store.
    fn epoch(&mut self) -> Result<Epoch, StoreError>;

    /// Held envelopes above `after` and above the mailbox's cursor, in ascending
    /// sequence: at most `count`, and no more than `bytes` of them, but one at
    /// least if `bytes` has room for it.
    fn queued(
        &mut self,
        mailbox: &MailboxKey,
        after: u64,
        count: usize,
        bytes: usize,
    ) -> Result<Vec<Queued>, StoreError>;

    /// What lies in a mailbox's drop.
    fn card(&mut self, mailbox: &MailboxKey) -> Result<Option<StoredCard>, StoreError>;

    /// What all mailboxes have together.
    fn totals(&mut self) -> Result<Totals, StoreError>;
}
