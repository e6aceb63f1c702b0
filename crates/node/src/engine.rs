//! The thread that owns the protocol machine and the store.
//!
//! ```text
//! wait for an input or a deadline
//! begin a transaction
//!   every input that is there, up to a limit:  handle → apply
//!   once:                                      settle → apply
//! commit, durably
//! only now: orders to links, answers, events, dials, beacon
//! ```
//!
//! When the store fails, everything that was made ready is thrown away, every
//! request in it is answered with the fault, the links are closed (a peer that
//! is not answered sends again), and the machine is built anew from the store.

mod diagnosis;
mod dispatch;
mod failure;
mod hex;
mod links;
mod queries;
mod relays;
mod render;
mod requests;
mod rotation;
mod who;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot, watch};
use tortalk_keys::link_auth::Role;
use tortalk_keys::relay::{Authority, RelayAddress};
use tortalk_mesh::relay::RelayDown;
use tortalk_mesh::{
    Contact, Input, Keyring, LinkId, Mesh, MeshConfig, PeerAuth, Ready, RequestId, Write,
};
use tortalk_model::IdentityKey;
use tortalk_store::{Store, StoreError};
use tortalk_wire::{ByeReason, Frame};

use crate::clock::Clock;
use crate::control::event::EventLine;
use crate::control::protocol::{Request, RequestError, Response};
use crate::entropy::OsEntropy;
use crate::handle::Phase;
use crate::links::{Links, Orders};
use crate::profile::Profile;
use crate::relays::{OwnRelay, RelayReport, Relays};
use crate::sabotage::Sabotage;
use failure::Trouble;
use links::LinkTable;
use rotation::KeyLooks;

/// Inputs that one commit is shared by.
const BATCH_INPUTS_MAX: usize = 1024;
/// Bytes from links that one commit is shared by.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Deadlines are kept to this; no deadline can keep the thread from resting.
const REST: Duration = Duration::from_millis(2);
/// Inputs that wait for the engine.
pub(crate) const INPUTS_WAITING_MAX: usize = 1024;

/// Where the answer to a request goes.
pub(crate) type Answering = oneshot::Sender<Result<Response, RequestError>>;

/// What the engine is told.
pub(crate) enum EngineInput {
    /// Something that the machine takes as it is.
    Mesh(Input),
    /// A link's peer is authenticated.
    LinkUp {
        link: LinkId,
        orders: Orders,
        role: Role,
        peer: PeerAuth,
        handshake_hash: [u8; 64],
        address: std::net::SocketAddr,
    },
    /// Frames came in.
    Frames { link: LinkId, frames: Vec<Frame>, weight: usize, _room: OwnedSemaphorePermit },
    /// A link has ended; comes once for each that was up.
    LinkDown { link: LinkId },
    /// A relay said something.
    Relay(RelayReport),
    /// The key of a relay of ours is known now, or why it is not.
    OwnRelay { authority: Authority, learned: Result<RelayAddress, RelayDown> },
    /// A user or program asks for something.
    Request(Box<Request>, Answering),
}

/// What the engine needs from the rest of the node.
pub(crate) struct Surroundings {
    pub(crate) inputs: mpsc::Receiver<EngineInput>,
    pub(crate) to_self: mpsc::Sender<EngineInput>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) events: broadcast::Sender<EventLine>,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) clock: Clock,
    pub(crate) links: Option<Arc<Links>>,
    /// `None` without a network.
    pub(crate) relays: Option<Relays>,
    /// Those of the settings.
    pub(crate) own_relays: Vec<OwnRelay>,
    /// Told when the machine wants a beacon sent.
    pub(crate) beacon: Arc<tokio::sync::Notify>,
    /// Told who may see the node.
    pub(crate) visibility: watch::Sender<tortalk_mesh::Visibility>,
    pub(crate) about: About,
    pub(crate) sabotage: Sabotage,
}

/// What never changes while a node runs.
pub(crate) struct About {
    pub(crate) dir: std::path::PathBuf,
    pub(crate) port: u16,
    pub(crate) started_at: u64,
}

/// The protocol machine, the store and everything between them.
pub(crate) struct Engine {
    mesh: Mesh,
    store: Store,
    profile: Profile,
    keyring: Arc<Keyring>,
    config: MeshConfig,
    around: Surroundings,
    table: LinkTable,
    contacts: Contacts,
    last_request: u64,
    machine: Machine,
    trouble: Option<Trouble>,
    /// The text that was written last, for a node that is to give it away.
    #[cfg(feature = "sabotage")]
    last_text: String,
    /// Discovery has said that an address is usable.
    addresses_up: bool,
    key_looks: KeyLooks,
    /// No deadline wakes the thread before this.
    rested: Instant,
}

/// How the machine stands to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Machine {
    /// It knows of things that were never committed: to be built anew.
    Stale,
    /// It was built and not yet told that it runs.
    Fresh,
    /// It knows what the store knows.
    Running,
}

/// The contacts as the store has them, kept because everything shown names them.
#[derive(Default)]
struct Contacts {
    all: Vec<Contact>,
    stale: bool,
}

/// What is done in one transaction.
#[derive(Default)]
struct Batch {
    /// A transaction is open.
    open: bool,
    /// The machine is up to the moment.
    awake: bool,
    ready: Ready,
    /// Requests whose answer the machine gives.
    commands: BTreeMap<RequestId, (requests::Then, Answering)>,
    /// Requests that are answered from what is committed.
    queries: Vec<(Request, Answering)>,
    refused: Vec<(RequestError, Answering)>,
}

/// What ended the wait.
enum Woken {
    Input(Box<EngineInput>),
    Deadline,
    Stop,
}

impl Engine {
    pub(crate) fn new(
        store: Store,
        mut profile: Profile,
        config: MeshConfig,
        around: Surroundings,
    ) -> Result<Self, StoreError> {
        let key_looks = KeyLooks::begin(&mut profile, around.clock.now());
        let keyring = Arc::new(profile.keyring(store.store_id()));
        let mesh = Mesh::new(Arc::clone(&keyring), config.clone(), Box::new(OsEntropy), &store)?;
        Ok(Self {
            mesh,
            store,
            profile,
            keyring,
            config,
            around,
            table: LinkTable::default(),
            contacts: Contacts { all: Vec::new(), stale: true },
            last_request: 0,
            machine: Machine::Fresh,
            trouble: None,
            #[cfg(feature = "sabotage")]
            last_text: String::new(),
            addresses_up: false,
            key_looks,
            rested: Instant::now(),
        })
    }

    /// Runs until the node is to end, or the store is beyond use. Gives the
    /// profile back when everything else is let go of.
    pub(crate) fn run(mut self) -> (Profile, Result<(), StoreError>) {
        let mut result = self.batch(None);
        while result.is_ok() {
            result = match self.wait() {
                Woken::Input(input) => self.batch(Some(*input)),
                Woken::Deadline => {
                    self.rested = Instant::now() + REST;
                    self.batch(None)
                }
                Woken::Stop => break,
            };
            self.look_after_relays();
            result = result.and_then(|()| self.look_after_keys());
        }
        self.leave_keys();
        self.table.close_all(ByeReason::Shutdown);
        (self.profile, result)
    }

    fn wait(&mut self) -> Woken {
        if *self.around.phase.borrow() >= Phase::Stopping {
            return Woken::Stop;
        }
        if let Ok(input) = self.around.inputs.try_recv() {
            return Woken::Input(Box::new(input));
        }
        let deadline = self.deadline();
        let Surroundings { inputs, phase, runtime, .. } = &mut self.around;
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = phase.wait_for(|&phase| phase >= Phase::Stopping) => Woken::Stop,
                input = inputs.recv() => match input {
                    Some(input) => Woken::Input(Box::new(input)),
                    None => Woken::Stop,
                },
                () = tokio::time::sleep_until(deadline.into()) => Woken::Deadline,
            }
        })
    }

    /// When the machine wants to be asked again.
    fn deadline(&self) -> Instant {
        let deadline = match &self.trouble {
            Some(trouble) if trouble.holds() => trouble.until,
            _ if self.machine != Machine::Running => Instant::now(),
            _ => self.around.clock.instant(self.mesh.next_deadline(self.around.clock.now())),
        };
        let keys = self.around.clock.instant(self.key_looks.next);
        deadline.min(keys).max(self.rested)
    }

    /// Deals with an input and everything else that is there, in one commit.
    fn batch(&mut self, first: Option<EngineInput>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        match self.fill(&mut batch, first).and_then(|()| self.make_durable(&mut batch)) {
            Ok(()) => self.dispatch(batch),
            Err(error) => self.fail(batch, error),
        }
    }

    fn fill(&mut self, batch: &mut Batch, first: Option<EngineInput>) -> Result<(), StoreError> {
        if !self.in_trouble() {
            self.wake(batch)?;
        }
        let (mut inputs, mut bytes) = (0, 0);
        let mut next = first;
        while let Some(input) = next {
            inputs += 1;
            match &input {
                EngineInput::Frames { frames, weight, .. } => {
                    inputs += frames.len();
                    bytes += weight;
                }
                EngineInput::Relay(report) => bytes += report.weight(),
                _ => {}
            }
            self.take(batch, input)?;
            let full = inputs >= BATCH_INPUTS_MAX || bytes >= BATCH_BYTES_MAX;
            next = if full { None } else { self.around.inputs.try_recv().ok() };
        }
        Ok(())
    }

    /// Brings the machine up to the moment: at the start, after a failure, and
    /// when one of its deadlines has come.
    fn wake(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        if core::mem::replace(&mut batch.awake, true) {
            return Ok(());
        }
        if self.machine == Machine::Stale {
            let (keyring, config) = (Arc::clone(&self.keyring), self.config.clone());
            self.mesh = Mesh::new(keyring, config, Box::new(OsEntropy), &self.store)?;
            self.machine = Machine::Fresh;
        }
        if self.machine == Machine::Fresh {
            self.step(batch, Input::Started)?;
            if self.addresses_up {
                // Since before this machine was there to be told.
                self.step(batch, Input::AddressUp)?;
            }
        }
        let now = self.around.clock.now();
        if self.mesh.next_deadline(now) <= now.mono {
            self.step(batch, Input::Tick)?;
        }
        Ok(())
    }

    fn take(&mut self, batch: &mut Batch, input: EngineInput) -> Result<(), StoreError> {
        match input {
            // While nothing can be stored, requests alone are worth a try.
            EngineInput::Request(request, answering) => self.request(batch, *request, answering),
            EngineInput::LinkUp { orders, .. } if self.in_trouble() => {
                LinkTable::turn_away(&orders);
                Ok(())
            }
            EngineInput::Mesh(input) => {
                self.addresses_up |= matches!(input, Input::AddressUp);
                if self.in_trouble() { Ok(()) } else { self.step(batch, input) }
            }
            EngineInput::LinkUp { link, orders, role, peer, handshake_hash, address } => {
                let (instance_id, since) = (peer.instance_id, Instant::now());
                let to = links::LinkedTo { address, instance_id, role, since };
                self.table.insert(link, orders, to);
                self.step(batch, Input::LinkUp { link, role, peer, handshake_hash, address })
            }
            EngineInput::Frames { link, frames, .. } => {
                for frame in frames {
                    // A link that the machine was not built with is closing.
                    if self.table.contains(link) {
                        self.step(batch, Input::Frame { link, frame })?;
                    }
                }
                Ok(())
            }
            EngineInput::Relay(report) => self.take_report(batch, report),
            EngineInput::OwnRelay { authority, learned } => {
                self.learned(&authority, learned);
                Ok(())
            }
            EngineInput::LinkDown { link } => {
                if self.table.remove(link) {
                    self.step(batch, Input::LinkDown { link })?;
                }
                Ok(())
            }
        }
    }

    /// One input, with its writes applied before the next.
    fn step(&mut self, batch: &mut Batch, input: Input) -> Result<(), StoreError> {
        let ready = self.mesh.handle(input, self.around.clock.now(), &self.store)?;
        self.absorb(batch, ready)
    }

    fn absorb(&mut self, batch: &mut Batch, mut ready: Ready) -> Result<(), StoreError> {
        let mut writes = core::mem::take(&mut ready.writes);
        writes.retain(|write| !self.around.sabotage.drops(write));
        #[cfg(feature = "sabotage")]
        for write in &writes {
            if let Write::PutOutgoing(message) = write {
                self.last_text.clone_from(&message.text);
            }
        }
        batch.ready.merge(ready);
        if writes.is_empty() {
            return Ok(());
        }
        if !batch.open {
            self.store.begin()?;
            batch.open = true;
        }
        self.store.apply(&writes)?;
        for write in writes {
            match write {
                Write::PutContact(contact) => self.contacts.put(*contact),
                Write::DropContact(identity) => self.contacts.remove(&identity),
                _ => {}
            }
        }
        Ok(())
    }

    // req: GSP-01
    fn make_durable(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        if batch.awake {
            let ready = self.mesh.settle(self.around.clock.now(), &self.store)?;
            self.absorb(batch, ready)?;
        }
        if self.around.sabotage.acks_early() || tortalk_model::deviate!(ack_before_commit) {
            let ready = core::mem::take(&mut batch.ready);
            self.dispatch_ready(ready, &mut batch.commands)?;
            if batch.open {
                std::thread::sleep(Sabotage::EARLY_BY);
            }
        }
        if batch.open {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        #[cfg(test)]
        tests::injected_fault()?;
        self.store.commit()
    }

    fn in_trouble(&self) -> bool {
        self.trouble.as_ref().is_some_and(Trouble::holds)
    }

    fn contacts(&mut self) -> Result<&[Contact], StoreError> {
        if self.contacts.stale {
            self.contacts.all = tortalk_mesh::Read::contacts(&self.store)?;
            self.contacts.stale = false;
        }
        Ok(&self.contacts.all)
    }

    fn contact(&mut self, identity: &IdentityKey) -> Result<Option<&Contact>, StoreError> {
        Ok(self.contacts()?.iter().find(|contact| contact.identity == *identity))
    }
}

impl Contacts {
    fn remove(&mut self, identity: &IdentityKey) {
        self.all.retain(|contact| contact.identity != *identity);
    }

    fn put(&mut self, contact: Contact) {
        if self.stale {
            return; // What is read next has it.
        }
        match self.all.iter_mut().find(|known| known.identity == contact.identity) {
            Some(known) => *known = contact,
            None => self.all.push(contact),
        }
    }
}
