//! The world: devices, what is between them, and one virtual time for all.

mod cables;
mod incidents;
mod relays;

use std::collections::{BTreeMap, BTreeSet};

use tempfile::TempDir;
use tortalk_mesh::relaying::StorageProof;
use tortalk_mesh::{
    Answer, Command, DeliveryState, Event, Evidence, Input, Outcome as Came, Read as _, Ready,
    RelayAction, RelayInput, Write,
};
use tortalk_model::limits::EXPIRY_TOLERANCE;
use tortalk_model::{IdentityKey, InstanceId, MessageId, RelayKey};

use crate::checks;
use crate::device::{Asked, CommitError, Device, Owners, works};
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::outcome::{Figures, Outcome};
use crate::plan::{Cards, CrashPoint, Plan, Then};
use crate::queue::Queue;
use crate::relay::{CallId, Relay};
use crate::sabotage::Sabotage;
use crate::time::{DAY, HOUR, Moment};
use crate::trace::{Keep, Trace};
use crate::violation::{Broken, Holds, Invariant, Violation};
use cables::{Cable, Loss};
use relays::Calls;

/// Things that may happen in one moment before it counts as no rest.
const RUSH_MAX: u64 = 2_000_000;
/// A deadline of the machine is kept to this.
const REST_MS: u64 = 2;
/// Before people meet, their devices settle.
const FIRST_STEPS_MS: u64 = 20_000;
/// How often it is looked whether everything has arrived.
const LOOK_EVERY: u64 = 6 * HOUR;
/// How often everybody's tables are looked at.
const AUDIT_EVERY: u64 = 3 * HOUR;
/// Longer than any envelope lives, tolerance and the round hour included.
const ALL_EXPIRED_AFTER: u64 = 16 * DAY;

/// What is going to happen.
enum Happening {
    /// A device deals with what came.
    Wake(usize),
    /// A device's machine wants to be asked.
    Deadline(usize),
    /// Something for a device's machine.
    Tell(usize, Box<Input>),
    /// The next packet of a way of a connection.
    Arrive { cable: u64, from: usize },
    /// A connection's clocks.
    Look(u64),
    /// A device tries to reach a relay.
    CallRelay { device: usize, key: RelayKey, tries: u64 },
    /// Something arrives at a relay.
    AskRelay(CallId, Box<RelayAction>),
    /// Something of a relay arrives at a device.
    RelaySays(CallId, Box<RelayInput>),
    /// A process that has crashed starts again.
    Start(usize),
    /// Everybody's tables are looked at.
    Audit,
    /// Of the plan, by its number.
    Incident(usize),
}

/// Everything that there is.
pub(crate) struct World {
    plan: Plan,
    now: Moment,
    queue: Queue<Happening>,
    trace: Trace,
    devices: Vec<Device>,
    relays: Vec<Relay>,
    calls: Calls,
    people: BTreeMap<IdentityKey, usize>,
    owners: Owners,
    cables: BTreeMap<u64, Cable>,
    next_cable: u64,
    /// From one device to another, one way.
    walls: BTreeSet<(usize, usize)>,
    /// Nobody's device is to run.
    all_off: bool,
    /// What packets and beacons depend on.
    net: Dice,
    pub(crate) ledger: Ledger,
    /// Bytes that left on links.
    bytes: u64,
    happenings: u64,
    commits: u64,
    _dir: TempDir,
}

/// Runs a plan to its end.
pub fn run(plan: &Plan, keep: Keep) -> Outcome {
    let mut world = match World::new(plan, keep) {
        Ok(world) => world,
        Err(broken) => return Outcome::unborn(plan, broken.by(Moment(0), None)),
    };
    let violation = world.run().err();
    world.outcome(violation)
}

impl World {
    fn new(plan: &Plan, keep: Keep) -> Result<Self, Broken> {
        let dir = scratch().map_err(|e| works(&e))?;
        let relay = |number| Relay::new(number, Dice::branch(plan.seed, 500 + number as u64));
        let mut relays: Vec<Relay> = (0..plan.relays).filter_map(relay).collect();
        for relay in &mut relays {
            relay.lies = plan.sabotage == Sabotage::RelayForgets;
        }
        let mut devices = Vec::new();
        for (index, person) in plan.people.iter().enumerate() {
            let own = person.relays.iter().filter_map(|number| relays.get(*number));
            let own = own.map(|relay: &Relay| relay.address.clone()).collect();
            let device = Device::new(index, plan.seed, person, own, dir.path());
            devices.push(device.map_err(|e| works(&e))?);
        }
        let people = devices.iter().map(|device| (device.identity(), device.index)).collect();
        let owners = devices
            .iter()
            .flat_map(|device| device.mailboxes().map(|mailbox| (mailbox, device.index)))
            .collect();
        Ok(Self {
            plan: plan.clone(),
            now: Moment(0),
            queue: Queue::default(),
            trace: Trace::new(keep),
            devices,
            relays,
            calls: Calls::default(),
            people,
            owners,
            cables: BTreeMap::new(),
            next_cable: 1,
            walls: BTreeSet::new(),
            all_off: false,
            net: Dice::branch(plan.seed, 1),
            ledger: Ledger::default(),
            bytes: 0,
            happenings: 0,
            commits: 0,
            _dir: dir,
        })
    }

    fn run(&mut self) -> Result<(), Violation> {
        for device in 0..self.devices.len() {
            self.start(device)?;
        }
        // Whoever has relays is known there first, so that cards name them.
        self.run_until(Moment(FIRST_STEPS_MS))?;
        self.befriend()?;
        for (number, (at, _)) in self.plan.incidents.iter().enumerate() {
            self.queue.add(*at, Happening::Incident(number));
        }
        self.queue.add(self.now + AUDIT_EVERY, Happening::Audit);
        self.run_until(self.plan.heal_at)?;
        match self.plan.then {
            Then::Measure => Ok(()),
            Then::Expire => {
                self.heal()?;
                self.converge()?;
                self.expire()
            }
        }
    }

    /// Everybody adds those whom they know; some have their cards already.
    fn befriend(&mut self) -> Result<(), Violation> {
        for friends in self.plan.friends.clone() {
            for (me, other) in [(friends.a, friends.b), (friends.b, friends.a)] {
                let (identity, name) = (self.devices[other].identity(), format!("n{other}"));
                let card = self.devices[other].running.as_ref().and_then(|running| {
                    running.mesh.own_contact_card().map(|card| card.as_bytes().to_vec())
                });
                let command = match (friends.cards, card) {
                    (Cards::Exchanged, Some(card)) => Command::ImportCard { card, name },
                    _ => Command::AddContact { identity, name, invite: None, text: String::new() },
                };
                self.devices[me].ask(command, Asked::Other);
            }
        }
        for device in 0..self.devices.len() {
            self.wake(device)?;
        }
        Ok(())
    }

    fn run_until(&mut self, until: Moment) -> Result<(), Violation> {
        let mut rush = 0;
        while let Some((at, happening)) = self.queue.next_by(until) {
            rush = if at > self.now { 0 } else { rush + 1 };
            self.now = self.now.max(at);
            self.happenings += 1;
            if rush > RUSH_MAX {
                let broken = Broken::new(Invariant::Works, "things happen without end");
                return Err(broken.by(self.now, None));
            }
            self.happen(happening)?;
        }
        self.now = until;
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Wake(device) => {
                self.devices[device].woken = false;
                self.wake(device)
            }
            Happening::Deadline(device) => {
                let due = self.devices[device].deadline <= self.now;
                if due {
                    self.devices[device].deadline = Moment(u64::MAX);
                    self.wake(device)?;
                }
                Ok(())
            }
            Happening::Tell(device, input) => {
                self.tell(device, *input);
                Ok(())
            }
            Happening::Arrive { cable, from } => self.arrive(cable, from),
            Happening::Look(cable) => {
                self.look(cable);
                Ok(())
            }
            Happening::Start(device) => {
                // It may be on already, or be meant to stay off.
                let starts = !self.devices[device].is_on() && !self.all_off;
                if starts { self.start(device) } else { Ok(()) }
            }
            Happening::CallRelay { device, key, tries } => {
                self.call_relay(device, key, tries);
                Ok(())
            }
            Happening::AskRelay(call, action) => self.ask_relay(call, *action),
            Happening::RelaySays(call, input) => {
                self.relay_says(call, *input);
                Ok(())
            }
            Happening::Audit => self.audit(),
            Happening::Incident(number) => {
                let incident = self.plan.incidents[number].1.clone();
                self.note(format_args!("{incident:?}"));
                self.incident(incident)
            }
        }
    }

    /// Tables have bounds, whoever fills them.
    fn audit(&mut self) -> Result<(), Violation> {
        self.queue.add(self.now + AUDIT_EVERY, Happening::Audit);
        for relay in &mut self.relays {
            relay.sweep(self.now.wall()).map_err(|broken| broken.by(self.now, None))?;
        }
        for device in &self.devices {
            if let Some(running) = &device.running {
                checks::carried_is_bounded(&running.store)
                    .map_err(|broken| broken.by(self.now, Some(device.index)))?;
            }
        }
        Ok(())
    }

    /// Puts something into a device's inbox; it is dealt with soon, together with
    /// what comes meanwhile.
    fn tell(&mut self, device: usize, input: Input) {
        if self.devices[device].is_on() && !self.devices[device].is_in_trouble(self.now) {
            self.devices[device].inbox.push(input);
            self.wake_soon(device);
        }
    }

    fn wake_soon(&mut self, device: usize) {
        let (least, most) = self.plan.commit_ms;
        if !core::mem::replace(&mut self.devices[device].woken, true) {
            let at = self.now + self.net.between(least..=most);
            self.queue.add(at, Happening::Wake(device));
        }
    }

    /// One transaction of a device: everything that came, then the commit, and
    /// only then what is said (GSP-01).
    fn wake(&mut self, device: usize) -> Result<(), Violation> {
        if !self.devices[device].is_on() || self.devices[device].is_in_trouble(self.now) {
            return Ok(());
        }
        let (now, sabotage) = (self.now, self.plan.sabotage);
        let at = self.now;
        let by = |broken: Broken| broken.by(at, Some(device));
        if self.devices[device].rotate_if_due(now) {
            self.note(format_args!("n{device} new key"));
        }
        let prepared = self.devices[device].prepare(now, sabotage, &self.owners);
        let mut prepared = prepared.map_err(by)?;
        let writes = core::mem::take(&mut prepared.ready.writes);
        let crash = match writes.iter().any(is_missed) {
            true => self.devices[device].crash.take(),
            false => None,
        };
        let point = crash.map(|(point, _)| point);
        if sabotage == Sabotage::EarlyAck {
            // The broken order: first the word, then the disk.
            let ready = core::mem::take(&mut prepared.ready);
            self.dispatch(device, ready, usize::MAX)?;
        }
        if let Some((CrashPoint::BeforeCommit, gone_ms)) = crash {
            self.crash(device, gone_ms);
            return Ok(());
        }
        match self.devices[device].commit(&prepared) {
            Ok(()) => {}
            Err(CommitError::Full) => {
                self.note(format_args!("n{device} disk full"));
                self.lose_links(device, Loss::Heard);
                self.end_calls(device);
                self.devices[device].rebuild(now).map_err(by)?;
                let again = self.devices[device].trouble(now);
                self.queue.add(again, Happening::Wake(device));
                return Ok(());
            }
            Err(CommitError::Broken(broken)) => return Err(by(broken)),
        }
        self.committed(device, &writes).map_err(by)?;
        let ready = prepared.ready;
        let said = match point {
            Some(CrashPoint::BeforeWord) => 0,
            Some(CrashPoint::HalfSaid) => ready.links.len() / 2,
            _ => usize::MAX,
        };
        if said > 0 {
            self.dispatch(device, ready, said)?;
        }
        if let Some((_, gone_ms)) = crash {
            self.crash(device, gone_ms);
            return Ok(());
        }
        self.note_deadline(device);
        Ok(())
    }

    fn note_deadline(&mut self, device: usize) {
        let next = self.devices[device].next_deadline(self.now).max(self.now + REST_MS);
        if next < self.devices[device].deadline {
            self.devices[device].deadline = next;
            self.queue.add(next, Happening::Deadline(device));
        }
    }

    fn committed(&mut self, device: usize, writes: &[Write]) -> Holds {
        if writes.is_empty() {
            return Ok(());
        }
        self.commits += 1;
        let people = &self.people;
        self.ledger.committed(device, self.now, writes, |message| {
            people.get(&message.contact).copied().unwrap_or(usize::MAX)
        });
        for write in writes {
            if let Write::AddEvidence {
                message_id,
                evidence: Evidence::AtRelay { relay, proof, .. },
            } = write
            {
                self.at_relay(message_id, relay, proof)?;
            }
            if let Write::HandedOver { peer, envelope_id } = write
                && let Some(&peer) = self.people.get(peer)
                && self.devices[peer].liar.is_none()
            {
                self.ledger.handed(peer, envelope_id)?;
            }
        }
        Ok(())
    }

    /// A relay that is no liar has had what it signed for.
    fn at_relay(&self, id: &MessageId, key: &RelayKey, proof: &[u8]) -> Holds {
        let Some(number) = self.relays.iter().position(|relay| relay.key() == *key) else {
            return Err(Broken::new(Invariant::Evidence, "a relay that is none is evidence"));
        };
        let relay = &self.relays[number];
        let proof = StorageProof::parse(proof).ok().filter(|proof| proof.holds_for(key));
        let has = proof.is_some_and(|proof| relay.committed.contains(&proof.envelope_id));
        if relay.has_lied || has {
            return Ok(());
        }
        let name = self.ledger.message_name(id);
        let seen = format!("{name} is noted as being at r{number}, and never was");
        Err(Broken::new(Invariant::Evidence, seen))
    }

    /// Lets out what is durable; of what goes to links only the first `said`.
    fn dispatch(&mut self, device: usize, ready: Ready, said: usize) -> Result<(), Violation> {
        let at = self.now;
        let by = |broken: Broken| broken.by(at, Some(device));
        for answer in ready.answers {
            self.answered(device, &answer);
        }
        for event in &ready.events {
            self.show(device, event).map_err(by)?;
            if self.plan.sabotage == Sabotage::Double && matches!(event, Event::Received(_)) {
                self.show(device, event).map_err(by)?;
            }
        }
        let mut links = ready.links;
        links.truncate(said);
        let one = &mut self.devices[device];
        if let (Some(liar), Some(running)) = (&mut one.liar, &one.running) {
            links = liar.twist(links, &running.store);
        }
        self.act(device, links).map_err(by)?;
        if said == usize::MAX {
            self.act_on_relays(device, ready.relays);
        }
        for dial in ready.dials {
            self.dial(device, dial.address);
        }
        if ready.beacon {
            self.beacon(device);
        }
        Ok(())
    }

    fn answered(&mut self, device: usize, answer: &Answer) {
        let asked = self.devices[device].asked.remove(&answer.request);
        match (&answer.outcome, asked) {
            (Ok(Came::Queued { message_id, .. }), Some(Asked::Text { to, text })) => {
                let name = self.ledger.message_name(message_id);
                let len = text.len();
                self.note(format_args!("n{device} writes {name} to n{to}, {len} bytes"));
                if let Some(fate) = self.ledger.messages.get_mut(message_id) {
                    fate.accepted = true;
                }
            }
            (Err(error), _) => self.note(format_args!("n{device} may not: {error}")),
            _ => {}
        }
    }

    fn show(&mut self, device: usize, event: &Event) -> Holds {
        match event {
            Event::Received(message) => {
                let name = self.ledger.message_name(&message.message_id);
                self.note(format_args!("n{device} gets {name}"));
                self.ledger.shown(device, message)
            }
            Event::StateChanged { message_id, state, .. } => {
                let name = self.ledger.message_name(message_id);
                self.note(format_args!("n{device} sees {name} {}", state.word()));
                self.ledger.state_shown(message_id, *state)
            }
            _ => Ok(()),
        }
    }

    /// Everybody at the same place hears a beacon, but for those who are linked
    /// with its sender: their machine would ignore it.
    fn beacon(&mut self, device: usize) {
        let (Some(address), Some(instance_id)) = (
            self.devices[device].address(),
            self.devices[device].running.as_ref().map(|running| running.instance_id),
        ) else {
            return;
        };
        for hearer in 0..self.devices.len() {
            if hearer == device || !self.hears(hearer, device, instance_id) {
                continue;
            }
            if self.net.chance(self.plan.beacons_lost) {
                continue;
            }
            let at = self.now + self.latency();
            let heard = Input::Heard { address, instance_id };
            self.queue.add(at, Happening::Tell(hearer, Box::new(heard)));
        }
    }

    fn hears(&self, hearer: usize, sender: usize, instance_id: InstanceId) -> bool {
        let other = &self.devices[hearer];
        other.is_on()
            && !other.linked.contains_key(&instance_id)
            && !self.is_blocked(sender, hearer)
    }

    /// Whether nothing gets from one device to another.
    fn is_blocked(&self, from: usize, to: usize) -> bool {
        let (a, b) = (self.devices[from].place, self.devices[to].place);
        a.is_none() || a != b || self.walls.contains(&(from, to))
    }

    fn latency(&mut self) -> u64 {
        let (least, most) = self.plan.latency_ms;
        self.net.between(least..=most)
    }

    fn start(&mut self, device: usize) -> Result<(), Violation> {
        let at = self.now;
        self.devices[device].start(at).map_err(|broken| broken.by(at, Some(device)))?;
        self.wake(device)
    }

    fn crash(&mut self, device: usize, gone_ms: u64) {
        self.note(format_args!("n{device} crashes"));
        let how = if self.net.chance(500) { Loss::Heard } else { Loss::Silent };
        self.devices[device].stop();
        self.lose_links(device, how);
        self.end_calls(device);
        self.queue.add(self.now + gone_ms, Happening::Start(device));
    }

    fn note(&mut self, line: core::fmt::Arguments<'_>) {
        self.trace.note(self.now, line);
    }

    /// Waits until everything is delivered, or the time for it is over.
    fn converge(&mut self) -> Result<(), Violation> {
        loop {
            self.run_until((self.now + LOOK_EVERY).min(self.plan.converged_by))?;
            self.read_states()?;
            let left = self.ledger.undelivered().next();
            let Some((id, fate)) = left else {
                self.note(format_args!("all delivered"));
                return Ok(());
            };
            if self.now >= self.plan.converged_by {
                let (from, to, state) = (fate.from, fate.to, fate.state.word());
                let name = self.ledger.message_name(id);
                let there = if fate.stored.is_some() { "is" } else { "is not" };
                let seen = format!(
                    "{name} of {} from n{from} to n{to} {there} there; its sender sees: {state}",
                    fate.written
                );
                return Err(Broken::new(Invariant::NothingLost, seen).by(self.now, Some(from)));
            }
        }
    }

    /// Takes states from the senders' stores: a change that was committed right
    /// before a crash was never shown.
    fn read_states(&mut self) -> Result<(), Violation> {
        let open: Vec<(MessageId, usize)> =
            self.ledger.undelivered().map(|(id, fate)| (*id, fate.from)).collect();
        for (id, from) in open {
            let Some(running) = &self.devices[from].running else { continue };
            let by = |broken: Broken| broken.by(self.now, Some(from));
            let message = running.store.outgoing(&id).map_err(|e| by(works(&e)))?;
            if let Some(message) = message {
                self.ledger.state_shown(&id, DeliveryState::of(&message)).map_err(by)?;
            }
        }
        Ok(())
    }

    /// Everybody is away until all envelopes have expired, then for a while back.
    fn expire(&mut self) -> Result<(), Violation> {
        self.all_off = true;
        for device in 0..self.devices.len() {
            self.devices[device].stop();
            self.lose_links(device, Loss::Heard);
            self.end_calls(device);
        }
        self.run_until(self.now + ALL_EXPIRED_AFTER)?;
        self.all_off = false;
        for device in 0..self.devices.len() {
            self.devices[device].place = None;
            self.start(device)?;
        }
        self.run_until(self.now + 4 * HOUR)?;
        for (number, relay) in self.relays.iter_mut().enumerate() {
            let by = |broken: Broken| broken.by(self.now, None);
            let bytes = relay.held_bytes().map_err(by)?;
            if bytes > 0 {
                let seen = format!("r{number} holds {bytes} bytes still");
                return Err(by(Broken::new(Invariant::PurgedInTheEnd, seen)));
            }
        }
        for device in &self.devices {
            let Some(running) = &device.running else { continue };
            for (id, fate) in &self.ledger.envelopes {
                // Clocks that were wrong made some that live longer.
                if fate.expires_at.saturating_add(EXPIRY_TOLERANCE) >= self.now.wall() {
                    continue;
                }
                let held = running.store.envelope(id);
                let broken = match held {
                    Ok(None) => continue,
                    Ok(Some(_)) => {
                        let seen = format!("e{} is held still", fate.number);
                        Broken::new(Invariant::PurgedInTheEnd, seen)
                    }
                    Err(error) => works(&error),
                };
                return Err(broken.by(self.now, Some(device.index)));
            }
        }
        Ok(())
    }

    fn outcome(mut self, violation: Option<Violation>) -> Outcome {
        Outcome {
            seed: self.plan.seed,
            violation,
            trace_hash: self.trace.hash(),
            lines: self.trace.lines(),
            last: self.trace.last(),
            trace: self.trace.take_whole(),
            figures: Figures::of(&self.ledger, self.bytes),
            happenings: self.happenings,
            commits: self.commits,
            ended: self.now,
        }
    }
}

/// Whether somebody would miss this write if it were lost.
const fn is_missed(write: &Write) -> bool {
    matches!(
        write,
        Write::PutIncoming(_)
            | Write::PutOutgoing(_)
            | Write::PutEnvelope(_)
            | Write::AddEvidence { .. }
            | Write::HandedOver { .. }
    )
}

/// A folder in memory where there is one: the disk's speed is of no interest
/// here, and nothing of it outlives the simulation.
fn scratch() -> std::io::Result<TempDir> {
    let memory = std::path::Path::new("/dev/shm");
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("tortalk-sim-");
        builder
    };
    builder().tempdir_in(memory).or_else(|_| builder().tempdir())
}
