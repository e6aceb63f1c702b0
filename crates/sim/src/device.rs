//! One device: machine, store, clock and secrets, driven as a driver has to.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tortalk_keys::relay::RelayAddress;
use tortalk_link::LinkSelf;
use tortalk_mesh::{
    Command, Input, LinkId, Mesh, MeshConfig, Purpose, Ready, RequestId, Visibility, Write,
};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::{IdentityKey, InstanceId, MailboxKey, Now, StoreId};
use tortalk_store::vault::ProfileKey;
use tortalk_store::{Store, StoreError};

use crate::checks;
use crate::dice::Dice;
use crate::lies::{self, Liar};
use crate::plan::{CrashPoint, Person};
use crate::sabotage::Sabotage;
use crate::secrets::Secrets;
use crate::time::{Clock, MINUTE, Moment, SECOND};
use crate::violation::{Broken, Invariant};

/// How often the clock is looked at for a new key.
const ROTATION_LOOK: Duration = Duration::from_secs(3600);

/// Whether commits succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    Works,
    Full,
}

/// What runs while a device is on.
pub(crate) struct Running {
    pub(crate) mesh: Mesh,
    pub(crate) store: Store,
    pub(crate) instance_id: InstanceId,
    next_rotation: Moment,
}

/// Everything that is made ready in one transaction, which is open still.
pub(crate) struct Prepared {
    pub(crate) ready: Ready,
    open: bool,
}

pub(crate) struct Device {
    pub(crate) index: usize,
    pub(crate) running: Option<Running>,
    pub(crate) clock: Clock,
    pub(crate) place: Option<usize>,
    pub(crate) disk: Disk,
    pub(crate) liar: Option<Liar>,
    /// What came and was not dealt with yet.
    pub(crate) inbox: Vec<Input>,
    /// A look at the inbox is due already.
    pub(crate) woken: bool,
    /// The earliest deadline that is in the queue.
    pub(crate) deadline: Moment,
    /// After a commit that failed: nothing is done until then, and how long the
    /// next wait is.
    trouble: Option<(Moment, u64)>,
    /// Where the process ends at its next commit, and how long it is gone then.
    pub(crate) crash: Option<(CrashPoint, u64)>,
    /// Links that are up, by the instance at their other end.
    pub(crate) linked: BTreeMap<InstanceId, u32>,
    /// Who is at the other end of each link that is up.
    pub(crate) peers: BTreeMap<LinkId, usize>,
    /// Commands that wait for their answer, in order.
    pub(crate) asked: BTreeMap<RequestId, Asked>,
    pub(crate) dice: Dice,
    secrets: Secrets,
    store_id: StoreId,
    path: PathBuf,
    key: ProfileKey,
    read_receipts: bool,
    relays: Vec<RelayAddress>,
    requests: u64,
}

/// What the user asked for, as far as the answer matters.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// A text to somebody.
    Text { to: usize, text: String },
    /// Anything else.
    Other,
}

impl Device {
    /// Makes a profile. Nothing runs yet.
    pub(crate) fn new(
        index: usize,
        seed: u64,
        person: &Person,
        relays: Vec<RelayAddress>,
        dir: &Path,
    ) -> Result<Self, StoreError> {
        let mut dice = Dice::branch(seed, 1_000 + index as u64);
        let mut clock = Clock::default();
        clock.set(Moment(0), person.clock_offset_ms);
        clock.drift(Moment(0), person.drift);
        let path = dir.join(format!("n{index}.sqlite"));
        let key = ProfileKey::from_bytes(dice.bytes());
        let store = Store::create(&path, key.clone(), Box::new(Dice::new(dice.next())))?;
        let store_id = store.store_id();
        let secrets = Secrets::new(Dice::new(dice.next()), clock.now(Moment(0)).wall);
        Ok(Self {
            index,
            running: None,
            clock,
            place: person.place,
            disk: Disk::Works,
            liar: person.lie.map(|lie| Liar::new(lie, Dice::new(dice.next()))),
            peers: BTreeMap::new(),
            inbox: Vec::new(),
            woken: false,
            deadline: Moment(u64::MAX),
            trouble: None,
            crash: None,
            linked: BTreeMap::new(),
            asked: BTreeMap::new(),
            dice,
            secrets,
            store_id,
            path,
            key,
            read_receipts: person.read_receipts,
            relays,
            requests: 0,
        })
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn identity(&self) -> IdentityKey {
        self.secrets.identity()
    }

    /// The mailboxes by which it is known.
    pub(crate) fn mailboxes(&self) -> [MailboxKey; 2] {
        self.secrets.mailboxes()
    }

    pub(crate) fn now(&self, at: Moment) -> Now {
        self.clock.now(at)
    }

    /// Where it is reached, while it is somewhere.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.place.map(|place| address_of(self.index, place))
    }

    /// Who it is on links.
    pub(crate) fn link_self(&self) -> Option<LinkSelf> {
        let running = self.running.as_ref()?;
        Some(LinkSelf {
            identity: self.secrets.identity_secret(),
            device_id: self.secrets.device_id(),
            instance_id: running.instance_id,
        })
    }

    /// Starts the process: store and machine come from the disk.
    pub(crate) fn start(&mut self, at: Moment) -> Result<(), Broken> {
        let entropy = Box::new(Dice::new(self.dice.next()));
        let store = Store::open(&self.path, self.key.clone(), entropy).map_err(|e| works(&e))?;
        self.run(at, store)
    }

    /// Ends the process. What was not committed is gone, and what came in too.
    pub(crate) fn stop(&mut self) {
        self.running = None;
        self.trouble = None;
        self.lose_input();
    }

    /// Builds the machine anew on the store that is open, as after a commit that
    /// failed.
    pub(crate) fn rebuild(&mut self, at: Moment) -> Result<(), Broken> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        self.lose_input();
        // Without a transaction there is nothing to take back.
        let _none_open = running.store.rollback();
        self.run(at, running.store)
    }

    fn run(&mut self, at: Moment, store: Store) -> Result<(), Broken> {
        self.secrets.rotate_if_due(self.now(at).wall);
        let instance_id = InstanceId::from_bytes(self.dice.bytes());
        let config = MeshConfig {
            name: format!("n{}", self.index),
            visibility: Visibility::Everyone,
            read_receipts: self.read_receipts,
            request_receipts: false,
            awaits_relays: false,
            instance_id,
            relays: self.relays.clone(),
        };
        let entropy = Box::new(Dice::new(self.dice.next()));
        let mesh = Mesh::new(self.secrets.keyring(self.store_id), config, entropy, &store)
            .map_err(|e| works(&e))?;
        let next_rotation = at + ROTATION_LOOK;
        self.running = Some(Running { mesh, store, instance_id, next_rotation });
        self.inbox.push(Input::Started);
        if self.place.is_some() {
            self.inbox.push(Input::AddressUp);
        }
        Ok(())
    }

    fn lose_input(&mut self) {
        self.inbox.clear();
        self.linked.clear();
        self.peers.clear();
        self.asked.clear();
        self.crash = None;
    }

    /// Puts a command into the inbox.
    pub(crate) fn ask(&mut self, command: Command, asked: Asked) {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.asked.insert(request, asked);
        self.inbox.push(Input::Command(request, command));
    }

    /// Makes a new key where one is due, and gives it to the machine; whether it
    /// did.
    pub(crate) fn rotate_if_due(&mut self, at: Moment) -> bool {
        let wall = self.now(at).wall;
        let Some(running) = &mut self.running else { return false };
        if at < running.next_rotation {
            return false;
        }
        running.next_rotation = at + ROTATION_LOOK;
        let rotated = self.secrets.rotate_if_due(wall);
        if rotated {
            self.inbox.push(Input::KeyringChanged(self.secrets.keyring(self.store_id)));
        }
        rotated
    }

    /// Whether nothing is done for now, because the disk did not take the last.
    pub(crate) fn is_in_trouble(&self, at: Moment) -> bool {
        self.trouble.is_some_and(|(until, _)| at < until)
    }

    /// The disk works, and what waits for it is worth a try at once.
    pub(crate) const fn mend_disk(&mut self) {
        self.disk = Disk::Works;
        self.trouble = None;
    }

    /// A commit failed: when the next one is worth a try.
    pub(crate) fn trouble(&mut self, at: Moment) -> Moment {
        let wait = self.trouble.map_or(SECOND, |(_, wait)| (wait * 2).min(MINUTE));
        self.trouble = Some((at + wait, wait));
        at + wait
    }

    /// Deals with what came in one transaction, which stays open. What is said
    /// is held to what was written, input by input.
    pub(crate) fn prepare(
        &mut self,
        at: Moment,
        sabotage: Sabotage,
        owners: &Owners,
    ) -> Result<Prepared, Broken> {
        let now = self.now(at);
        let mut inputs = core::mem::take(&mut self.inbox);
        let judge = Judge { sabotage, owners, peers: &self.peers, liar: self.liar.as_ref() };
        let Some(running) = &mut self.running else {
            return Ok(Prepared { ready: Ready::default(), open: false });
        };
        if running.mesh.next_deadline(now) <= now.mono {
            inputs.push(Input::Tick);
        }
        let mut all = Prepared { ready: Ready::default(), open: false };
        for input in inputs {
            let ready = running.mesh.handle(input, now, &running.store).map_err(|e| works(&e))?;
            absorb(&mut running.store, &mut all, ready, &judge)?;
        }
        let ready = running.mesh.settle(now, &running.store).map_err(|e| works(&e))?;
        absorb(&mut running.store, &mut all, ready, &judge)?;
        Ok(all)
    }

    /// Makes it durable, if the disk lets it.
    pub(crate) fn commit(&mut self, prepared: &Prepared) -> Result<(), CommitError> {
        let Some(running) = &mut self.running else { return Ok(()) };
        if !prepared.open {
            return Ok(());
        }
        if self.disk == Disk::Full {
            return Err(CommitError::Full);
        }
        running.store.commit().map_err(|e| CommitError::Broken(works(&e)))?;
        self.trouble = None;
        Ok(())
    }

    /// When the machine wants to be asked again.
    pub(crate) fn next_deadline(&self, at: Moment) -> Moment {
        let Some(running) = &self.running else { return Moment(u64::MAX) };
        let machine = Moment::of_mono(running.mesh.next_deadline(self.now(at)));
        machine.min(running.next_rotation)
    }
}

/// Why a commit did not happen.
pub(crate) enum CommitError {
    Full,
    Broken(Broken),
}

/// What is needed to judge what a device says.
struct Judge<'a> {
    sabotage: Sabotage,
    owners: &'a Owners,
    peers: &'a BTreeMap<LinkId, usize>,
    liar: Option<&'a Liar>,
}

/// Whose mailbox each is.
pub(crate) type Owners = BTreeMap<MailboxKey, usize>;

fn absorb(
    store: &mut Store,
    all: &mut Prepared,
    mut ready: Ready,
    judge: &Judge<'_>,
) -> Result<(), Broken> {
    ready.writes.retain(|write| !judge.drops(write));
    ready.writes.iter_mut().for_each(|write| judge.changes(write));
    if !ready.writes.is_empty() {
        if !all.open {
            store.begin().map_err(|e| works(&e))?;
            all.open = true;
        }
        store.apply(&ready.writes).map_err(|e| works(&e))?;
    }
    // Nobody believes a liar.
    if judge.liar.is_none() {
        checks::borne_out(&ready, store)?;
        checks::spread_holds(&ready, store, judge.owners, judge.peers)?;
    }
    all.ready.merge(ready);
    Ok(())
}

impl Judge<'_> {
    /// What a broken or lying driver leaves out.
    fn drops(&self, write: &Write) -> bool {
        let broken = match self.sabotage {
            Sabotage::NoStore => matches!(write, Write::PutIncoming(_) | Write::PutOutgoing(_)),
            Sabotage::NoCarry => lies::is_carrying(write),
            _ => false,
        };
        broken || self.liar.is_some_and(|liar| liar.drops(write))
    }

    fn changes(&self, write: &mut Write) {
        if let Write::PutEnvelope(held) = write
            && self.sabotage == Sabotage::RaisesTtl
            && held.purpose == Purpose::Carried
        {
            held.ttl += 1;
        }
    }
}

pub(crate) fn works(error: &(impl core::error::Error + ?Sized)) -> Broken {
    Broken::new(Invariant::Works, error.to_string())
}

/// Each device has an address of its own at each place.
pub(crate) fn address_of(device: usize, place: usize) -> SocketAddr {
    let [_, _, high, low] = u32::try_from(device).unwrap_or(0).to_be_bytes();
    let place = u8::try_from(place).unwrap_or(0);
    SocketAddr::from(([10, place, high, low], 4000))
}

/// Whose address this is, and at which place.
pub(crate) fn who_is_at(address: SocketAddr) -> Option<(usize, usize)> {
    match address {
        SocketAddr::V4(address) => {
            let [_, place, high, low] = address.ip().octets();
            Some((usize::from(u16::from_be_bytes([high, low])), usize::from(place)))
        }
        SocketAddr::V6(_) => None,
    }
}
