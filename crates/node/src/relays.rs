//! Connections with relays: the driver of the machine's seam with them
//! (`tortalk_mesh::relay`).
//!
//! Each relay that the machine wants is one task, from `Connect` to
//! `Disconnect`: it connects, has the relay prove its key (RLY-08), moves bytes
//! and connects again after a loss. Nothing here decides what is sent where.
//!
//! ```text
//! engine ── RelayAction ──► Relays ── Order ──► keeper ─► connection ─► sync, pulls, calls
//! engine ◄── RelayReport ───────────────────────┴───────────┴──────────────┘
//! ```
//!
//! Both ways are bounded. Towards the engine entries and bytes are, so a relay
//! whose envelopes the store cannot take fast enough is not read. Towards a
//! relay the machine asks for no more than a window; a relay that falls further
//! behind is connected with anew, since an action that was dropped in between
//! would never be answered.
//!
//! A report bears the numbers of the task and connection that it is of, and
//! orders bear that of the connection which the machine knew of: what is late
//! is dropped on either side.
//!
//! Whatever is said here about a relay in a log is the number of its task.

mod calls;
mod connection;
mod dial;
mod fault;
mod keeper;
mod open;
mod own;
pub(crate) mod pin;
mod pull;
mod reasons;
mod sync;
mod tls;
mod waits;
mod way;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tortalk_keys::relay::{Authority, RelayAddress};
use tortalk_mesh::RelayAction;
use tortalk_mesh::relay::{RelayDown, RelayInput};
use tortalk_model::RelayKey;

use crate::control::protocol::Unreached;
use crate::engine::EngineInput;
use crate::links::WAITING_BYTES_MAX;
pub(crate) use dial::{Dialler, TcpDialler};
pub(crate) use own::{OwnRelay, own_relays, pin_own, ways};
pub(crate) use reasons::Reasons;
pub(crate) use tls::Tls;
pub(crate) use way::{Told, Ways};

/// Orders that wait for one relay; a window of deposits is 256.
const ORDERS_WAITING_MAX: usize = 2_048;

/// How long things may take. Tests have shorter ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// A connection comes about, TLS and all, within this time.
    pub(crate) connect: Duration,
    /// The relay proves its key within this time.
    pub(crate) proof: Duration,
    /// A call, or a step of a stream that answers one of ours, is over by then.
    pub(crate) call: Duration,
    /// A silent connection is asked for a sign of life each time this is over.
    pub(crate) ping_every: Duration,
    /// No sign of life for so long: the connection is dead.
    pub(crate) ping: Duration,
    /// The first wait before connecting again; each further one is twice as long.
    pub(crate) wait_min: Duration,
    /// The longest wait before connecting again.
    pub(crate) wait_max: Duration,
    /// What was up for so long was lost by chance: the first wait comes again.
    pub(crate) steady: Duration,
    /// When a connection is ended by us, what was sent gets this long to arrive.
    pub(crate) goodbye: Duration,
}

impl Times {
    /// As nodes have them.
    pub(crate) const USUAL: Self = Self {
        connect: Duration::from_secs(10),
        proof: Duration::from_secs(10),
        call: Duration::from_secs(30),
        ping_every: Duration::from_secs(20),
        ping: Duration::from_secs(10),
        wait_min: Duration::from_secs(1),
        wait_max: Duration::from_secs(60),
        steady: Duration::from_secs(5),
        goodbye: Duration::from_secs(1),
    };
}

/// What all relays of one node share.
pub(crate) struct Common {
    /// Why those are not reached that are not.
    pub(crate) unreached: Reasons,
    pub(crate) dialler: Box<dyn Dialler>,
    pub(crate) ways: Ways,
    pub(crate) tls: Tls,
    pub(crate) times: Times,
}

/// What came from a relay, and from which connection of which task.
pub(crate) struct RelayReport {
    relay: RelayKey,
    life: u64,
    connection: u64,
    input: RelayInput,
    /// Room for its bytes, given back when the engine has taken them.
    _room: Option<OwnedSemaphorePermit>,
}

impl RelayReport {
    /// Bytes that the engine gets with it.
    pub(crate) fn weight(&self) -> usize {
        weight(&self.input)
    }
}

/// How it stands with a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The first connection is on its way.
    Connecting,
    /// It has proved its key.
    Up,
    /// It is not to be had at the moment.
    Down(RelayDown),
}

/// All relays that the machine wants, as the engine sees them.
pub(crate) struct Relays {
    common: Arc<Common>,
    to_engine: mpsc::Sender<EngineInput>,
    runtime: tokio::runtime::Handle,
    room: Arc<Semaphore>,
    /// Held by every task; all are gone when the last clone is.
    alive: mpsc::Sender<()>,
    last_life: u64,
    wanted: BTreeMap<RelayKey, Wanted>,
}

struct Wanted {
    address: RelayAddress,
    life: u64,
    orders: mpsc::Sender<Order>,
    /// Told to give up the connection and make another.
    again: Arc<Notify>,
    condition: Condition,
    /// The connection that the machine knows of.
    up: Option<u64>,
}

/// An action for one connection.
struct Order {
    connection: u64,
    action: RelayAction,
}

impl Relays {
    /// Returns the relays, none so far, and what says that the last task is gone
    /// once the relays are.
    pub(crate) fn new(
        common: Arc<Common>,
        to_engine: mpsc::Sender<EngineInput>,
        runtime: tokio::runtime::Handle,
    ) -> (Self, mpsc::Receiver<()>) {
        let (alive, gone) = mpsc::channel(1);
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        let wanted = BTreeMap::new();
        (Self { common, to_engine, runtime, room, alive, last_life: 0, wanted }, gone)
    }

    /// Does what the machine asks for. Never waits.
    pub(crate) fn apply(&mut self, action: RelayAction) {
        let relay = match action {
            RelayAction::Connect(address) => return self.connect(address),
            RelayAction::Disconnect(relay) => {
                self.wanted.remove(&relay);
                return;
            }
            RelayAction::Deposit { relay, .. }
            | RelayAction::Pull { relay, .. }
            | RelayAction::Ack { relay, .. }
            | RelayAction::StopPull { relay, .. }
            | RelayAction::PutCard { relay, .. }
            | RelayAction::GetCard { relay, .. }
            | RelayAction::Purge { relay, .. } => relay,
            RelayAction::Prove { relay, .. } => relay,
        };
        let Some(wanted) = self.wanted.get(&relay) else { return };
        let Some(connection) = wanted.up else { return };
        if let Err(mpsc::error::TrySendError::Full(_)) =
            wanted.orders.try_send(Order { connection, action })
        {
            tracing::info!(relay = wanted.life, "the relay falls behind");
            wanted.again.notify_one();
        }
    }

    /// Lets go of all of them, for a machine that will know of none.
    pub(crate) fn disconnect_all(&mut self) {
        self.wanted.clear();
    }

    /// What the machine is to be told; `None` for what is late.
    pub(crate) fn take(&mut self, report: RelayReport) -> Option<RelayInput> {
        let RelayReport { relay, life, connection, input, _room } = report;
        let wanted = self.wanted.get_mut(&relay).filter(|wanted| wanted.life == life)?;
        match &input {
            RelayInput::Up { .. } => {
                (wanted.up, wanted.condition) = (Some(connection), Condition::Up);
            }
            RelayInput::Down { why, .. } => {
                (wanted.up, wanted.condition) = (None, Condition::Down(*why));
            }
            _ if wanted.up != Some(connection) => return None,
            _ => {}
        }
        Some(input)
    }

    /// How it stands with a relay that is wanted.
    pub(crate) fn condition(&self, relay: &RelayKey) -> Option<Condition> {
        self.wanted.get(relay).map(|wanted| wanted.condition)
    }

    /// Why a relay was not reached at the last try, where that is known.
    pub(crate) fn reason(&self, authority: &Authority) -> Option<Unreached> {
        self.common.unreached.of(authority)
    }

    fn connect(&mut self, address: RelayAddress) {
        if self.wanted.get(&address.key()).is_some_and(|wanted| wanted.address == address) {
            return;
        }
        self.last_life += 1;
        let life = self.last_life;
        let (orders, from_engine) = mpsc::channel(ORDERS_WAITING_MAX);
        let again = Arc::new(Notify::new());
        let reporter = Reporter {
            relay: address.key(),
            life,
            connection: 0,
            to_engine: self.to_engine.clone(),
            room: Arc::clone(&self.room),
        };
        let keeper = keeper::Keeper {
            common: Arc::clone(&self.common),
            address: address.clone(),
            orders: from_engine,
            again: Arc::clone(&again),
            reporter,
        };
        let alive = self.alive.clone();
        self.runtime.spawn(async move {
            keeper.run().await;
            drop(alive);
        });
        let condition = Condition::Connecting;
        let wanted = Wanted { address, life, orders, again, condition, up: None };
        self.wanted.insert(wanted.address.key(), wanted);
    }
}

/// The way from a relay to the engine.
#[derive(Clone)]
struct Reporter {
    relay: RelayKey,
    life: u64,
    connection: u64,
    to_engine: mpsc::Sender<EngineInput>,
    room: Arc<Semaphore>,
}

/// The engine is gone; nothing matters any more.
struct EngineGone;

impl Reporter {
    /// Hands something over, when the engine has room for it.
    async fn tell(&self, input: RelayInput) -> Result<(), EngineGone> {
        let weight = u32::try_from(weight(&input)).unwrap_or(u32::MAX);
        let room = match weight {
            0 => None,
            weight => {
                let room = Arc::clone(&self.room).acquire_many_owned(weight).await;
                Some(room.map_err(|_| EngineGone)?)
            }
        };
        let Self { relay, life, connection, .. } = *self;
        let report = RelayReport { relay, life, connection, input, _room: room };
        self.to_engine.send(EngineInput::Relay(report)).await.map_err(|_| EngineGone)
    }
}

/// Bytes of what is not of a small fixed size.
fn weight(input: &RelayInput) -> usize {
    match input {
        RelayInput::Pulled { envelope, .. } => envelope.len(),
        RelayInput::Stored { receipt, .. } => receipt.ids.len() * 32,
        RelayInput::CardFound { drop: Some(drop), .. } => drop.blob.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
