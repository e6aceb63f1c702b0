//! A relay that the suite plays for the target as its client (`spec/relaying.md`): it keeps
//! what it is told, and can be made to lie, refuse or fall silent.

mod counted;
mod service;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Server;

pub use counted::Connections;

use crate::case::Ctx;
use crate::nearby::own_address;
use crate::peer::{Direction, Log};
use crate::stack::crypto::public;
use crate::stack::relay::{Authority, RelayEntry};
use crate::stack::v1::relay_service_server::RelayServiceServer;
use crate::stack::v1::{self, PullEndReason};
use crate::verdict::Verdict;

/// Something that the target did.
#[derive(Debug, Clone)]
pub enum Call {
    /// It asked who is there.
    Info,
    /// It opened a stream for fetching.
    Pull,
    /// It proved a mailbox.
    Proof(v1::PullProof),
    /// It acknowledged what was fetched.
    PullAck {
        /// For this mailbox.
        mailbox: Vec<u8>,
        /// Up to this sequence.
        up_to: u64,
    },
    /// It left an envelope.
    Deposit {
        /// The envelope's id.
        id: [u8; 32],
        /// As it was left.
        request: v1::SyncRequest,
    },
    /// It purged.
    Purge(Vec<Vec<u8>>),
    /// It put a card.
    PutCard(v1::PutCardRequest),
    /// It asked for a card.
    GetCard(Vec<u8>),
}

/// What a relay says to an envelope that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deposits {
    /// It stores it.
    Store,
    /// It says so in a receipt that somebody else has signed.
    OtherSigner,
    /// It says so of another envelope.
    OtherEnvelope,
    /// Nothing.
    Silent,
    /// It refuses it, with this reason and `retry_after_s`.
    Refuse(v1::DepositRefusal, u32),
}

/// How a relay behaves; it may change at any time.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Whether a proof is answered; otherwise it waits until this changes.
    pub opens: bool,
    /// What is said to envelopes.
    pub deposits: Deposits,
    /// Answers `OLD` with this sequence to cards.
    pub newer_card: Option<u64>,
    /// What its clock is ahead of the true one, ms.
    pub ahead: i64,
    /// Ends each stream with this, right after it was opened.
    pub ends: Option<PullEndReason>,
    /// Proves another key than it says, or another question.
    pub lie: Option<InfoLie>,
}

/// What is wrong with a relay's proof of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InfoLie {
    /// Another key, and its own proof.
    OtherKey,
    /// The right key, and somebody else's signature.
    OtherSigner,
    /// Signed for another nonce.
    OtherNonce,
    /// Signed for another authority.
    OtherAuthority,
    /// All true, and it speaks version 9 alone.
    OtherVersion,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    calls: Vec<(Instant, Call)>,
    /// What is to be fetched, by mailbox, with its sequence.
    queues: BTreeMap<Vec<u8>, Vec<(u64, Vec<u8>)>>,
    drops: BTreeMap<Vec<u8>, v1::GetCardResponse>,
}

#[derive(Debug)]
struct Shared {
    seed: [u8; 32],
    epoch: [u8; 16],
    name: String,
    state: Mutex<State>,
    /// Something was called, or something was changed.
    more: Notify,
    log: Log,
}

/// A relay that serves until it is dropped.
#[derive(Debug)]
pub struct Served {
    shared: Arc<Shared>,
    /// Where it serves.
    pub address: SocketAddr,
    /// Who is connected.
    pub connections: Connections,
    task: AbortHandle,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, call: Call, bytes: &[u8]) {
        let word = format!("{call:?}");
        let word = word.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
        self.log.add(Direction::Received, format!("{}: {word}", self.name), bytes);
        self.state().calls.push((Instant::now(), call));
        self.more.notify_waiters();
    }
}

impl Served {
    /// Serves on a free port of the suite's address.
    ///
    /// # Errors
    /// `not-tested` where the target is not on loopback: a relay without TLS is used nowhere
    /// else (RLY-09).
    pub async fn start(ctx: &mut Ctx, name: &str) -> Result<Self, Verdict> {
        Self::counted(ctx, name, Connections::default()).await
    }

    /// The same, with connections that are counted together with those of others.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn counted(
        ctx: &mut Ctx,
        name: &str,
        connections: Connections,
    ) -> Result<Self, Verdict> {
        let lacking = |error: io::Error| Verdict::NotTested(format!("no relay is served: {error}"));
        if own_address(ctx.target).map_err(lacking)? != Ipv4Addr::LOCALHOST {
            return Err(Verdict::NotTested("the target is not on loopback".to_owned()));
        }
        let (seed, epoch) = (ctx.fresh.array(), ctx.fresh.array());
        Self::serve(seed, epoch, name, ctx.log.clone(), connections).await.map_err(lacking)
    }

    async fn serve(
        seed: [u8; 32],
        epoch: [u8; 16],
        name: &str,
        log: Log,
        connections: Connections,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let manner = Manner {
            opens: true,
            deposits: Deposits::Store,
            newer_card: None,
            ahead: 0,
            ends: None,
            lie: None,
        };
        let state =
            State { manner, calls: Vec::new(), queues: BTreeMap::new(), drops: BTreeMap::new() };
        let (state, more, name) = (Mutex::new(state), Notify::new(), name.to_owned());
        let shared = Arc::new(Shared { seed, epoch, name, state, more, log });
        let service = RelayServiceServer::new(service::Service(Arc::clone(&shared)));
        let incoming = connections.clone().accept(listener);
        let serving = Server::builder().add_service(service).serve_with_incoming(incoming);
        // How it ends shows in what the target does.
        let task = tokio::spawn(async move { drop(serving.await) }).abort_handle();
        Ok(Self { shared, address, connections, task })
    }

    /// The relay key.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        public(&self.shared.seed)
    }

    /// As a contact card names it.
    #[must_use]
    pub fn entry(&self) -> RelayEntry {
        let authority = Authority::host(&self.address.ip().to_string(), self.address.port());
        RelayEntry { authority, key: self.key() }
    }

    /// As `settings` names it (annex-targets.md, section 4).
    #[must_use]
    pub fn setting(&self) -> Value {
        let key = data_encoding::HEXLOWER.encode(&self.key());
        json!({"url": format!("http://{}", self.address), "key": key})
    }

    /// Behaves otherwise from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.shared.state().manner);
        self.shared.more.notify_waiters();
    }

    /// Has an envelope for the owner of a mailbox, with this sequence.
    pub fn put(&self, mailbox: &[u8; 32], seq: u64, envelope: Vec<u8>) {
        self.shared.log.add(Direction::Sent, format!("{}: has", self.shared.name), &envelope);
        self.shared.state().queues.entry(mailbox.to_vec()).or_default().push((seq, envelope));
        self.shared.more.notify_waiters();
    }

    /// Has a drop for whoever asks.
    pub fn drop_card(&self, mailbox: &[u8; 32], drop: v1::GetCardResponse) {
        self.shared.state().drops.insert(mailbox.to_vec(), drop);
    }

    /// All calls so far that `pick` takes.
    pub fn calls<T>(&self, pick: impl Fn(&Call) -> Option<T>) -> Vec<(Instant, T)> {
        let state = self.shared.state();
        state.calls.iter().filter_map(|(at, call)| Some((*at, pick(call)?))).collect()
    }

    /// Waits until so many calls came that `pick` takes; gives those there are at the end.
    pub async fn wait<T>(
        &self,
        count: usize,
        patience: Duration,
        pick: impl Fn(&Call) -> Option<T>,
    ) -> Vec<(Instant, T)> {
        let until = Instant::now() + patience;
        loop {
            let more = self.shared.more.notified();
            tokio::pin!(more);
            // Registered before the look, so that nothing is missed in between.
            more.as_mut().enable();
            let found = self.calls(&pick);
            if found.len() >= count || timeout_at(until, more).await.is_err() {
                return found;
            }
        }
    }

    /// The first call that `pick` takes.
    ///
    /// # Errors
    /// `inconclusive` when there is none.
    pub async fn first<T>(
        &self,
        what: &str,
        patience: Duration,
        pick: impl Fn(&Call) -> Option<T>,
    ) -> Result<(Instant, T), Verdict> {
        let mut found = self.wait(1, patience, pick).await;
        if found.is_empty() {
            return Err(Verdict::Inconclusive(format!("{}: {what}", self.shared.name)));
        }
        Ok(found.swap_remove(0))
    }
}
