//! One node: keys, machine and store, driven as a driver has to drive them.

use core::time::Duration;
use std::sync::Arc;

use tempfile::TempDir;
use tortalk_keys::relay::RelayAddress;
use tortalk_keys::{IdentitySecret, MailboxSecret};
use tortalk_mesh::{
    Answer, Command, CommandError, Contact, Dial, Event, Input, Keyring, LinkAction, Mesh,
    MeshConfig, Outcome, Ready, RelayAction, RequestId, SealingKey, Visibility, Write,
};
use tortalk_model::entropy::Entropy;
use tortalk_model::limits::{SEALING_KEY_LIFE, SEALING_KEY_ROTATION, SEALING_SEED_KEPT};
use tortalk_model::{DeviceId, EnvelopeId, IdentityKey, InstanceId, Now, UnixMillis};
use tortalk_seal::SealingSecret;
use tortalk_store::Store;
use tortalk_store::vault::ProfileKey;
use tortalk_testkit::Seeded;

use crate::claims;

pub(crate) const WEEK_MS: u64 = 7 * 24 * 3_600_000;
const WEEK: Duration = SEALING_KEY_ROTATION;
/// Where the virtual wall clocks start.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

pub(crate) struct Person {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) instance_id: InstanceId,
    pub(crate) mesh: Mesh,
    pub(crate) store: Store,
    pub(crate) events: Vec<Event>,
    pub(crate) dials: Vec<Dial>,
    /// What is to be done with relays and was not fetched by the test yet.
    pub(crate) relay_actions: Vec<RelayAction>,
    pub(crate) beacons: u32,
    /// This person's wall clock minus the world's, in milliseconds.
    pub(crate) clock_offset_ms: i64,
    pub(crate) config: MeshConfig,
    /// The computer is off: no time goes by for it.
    pub(crate) away: bool,
    /// The disk fails at the next commit.
    pub(crate) fails_next: bool,
    key: ProfileKey,
    seed: u64,
    starts: u64,
    requests: u64,
    ledger: claims::Ledger,
    dir: TempDir,
}

impl Person {
    pub(crate) fn new(name: &str, seed: u64) -> Self {
        Self::with_visibility(name, seed, Visibility::Everyone)
    }

    /// Somebody whose clock is off by this much, and was when the keys were made.
    pub(crate) fn with_clock(name: &str, seed: u64, clock_offset_ms: i64) -> Self {
        let made = START_MS.saturating_add_signed(clock_offset_ms) - 3_600_000;
        let person = Self::made_at(name, seed, Visibility::Everyone, made);
        Self { clock_offset_ms, ..person }
    }

    pub(crate) fn with_visibility(name: &str, seed: u64, visibility: Visibility) -> Self {
        Self::made_at(name, seed, visibility, START_MS - 3_600_000)
    }

    fn made_at(name: &str, seed: u64, visibility: Visibility, made: u64) -> Self {
        let mut random = Seeded::new(seed);
        let dir = TempDir::new().expect("a temporary folder");
        let key = ProfileKey::from_bytes(random.bytes());
        let store = Store::create(
            &dir.path().join("store.sqlite"),
            key.clone(),
            Box::new(Seeded::new(seed ^ 1 << 40)),
        )
        .expect("a new store");
        let keyring = Arc::new(Keyring {
            identity: Arc::new(IdentitySecret::from_seed(random.bytes())),
            device_id: DeviceId::from_bytes(random.bytes()),
            store_id: store.store_id(),
            intro_mailbox: MailboxSecret::from_seed(random.bytes()),
            contact_mailbox: MailboxSecret::from_seed(random.bytes()),
            retired_mailboxes: Vec::new(),
            sealing: vec![SealingKey {
                secret: SealingSecret::from_seed(random.bytes()),
                not_before: UnixMillis(made),
                not_after: UnixMillis(made + 4 * WEEK_MS),
            }],
            deposit_key: random.bytes(),
            intro_read_key: random.bytes(),
            contact_read_key: random.bytes(),
        });
        let instance_id = InstanceId::from_bytes(random.bytes());
        let config = MeshConfig {
            name: name.to_owned(),
            visibility,
            read_receipts: false,
            instance_id,
            relays: Vec::new(),
            request_receipts: false,
            awaits_relays: false,
        };
        let mesh = machine(&keyring, &config, seed, 0, &store);
        Self {
            keyring,
            instance_id,
            mesh,
            store,
            events: Vec::new(),
            dials: Vec::new(),
            relay_actions: Vec::new(),
            beacons: 0,
            clock_offset_ms: 0,
            config,
            away: false,
            fails_next: false,
            key,
            seed,
            starts: 0,
            requests: 0,
            ledger: claims::Ledger::default(),
            dir,
        }
    }

    pub(crate) fn identity(&self) -> IdentityKey {
        self.keyring.identity.public()
    }

    pub(crate) fn set_request_receipts(&mut self, on: bool) {
        self.config.request_receipts = on;
    }

    pub(crate) fn set_read_receipts(&mut self, on: bool) {
        self.config.read_receipts = on;
        self.mesh = machine(&self.keyring, &self.config, self.seed, 99, &self.store);
    }

    /// Other relays in the settings, before a start.
    pub(crate) fn set_relays(&mut self, relays: Vec<RelayAddress>) {
        self.config.relays = relays;
        self.rebuild();
    }

    /// The process starts with another sealing key alone, as when the seeds were
    /// erased.
    pub(crate) fn forget_sealing_keys(&mut self) {
        self.rekey(|keys, random| {
            keys.sealing[0].secret = SealingSecret::from_seed(random.bytes());
        });
    }

    /// The process starts with other keys.
    pub(crate) fn rekey(&mut self, change: impl FnOnce(&mut Keyring, &mut Seeded)) {
        let mut keys = self.keyring_copy();
        change(&mut keys, &mut Seeded::new(self.seed ^ 5 << 40 ^ self.starts << 8));
        self.keyring = Arc::new(keys);
        self.restart();
    }

    /// The running process gets other keys.
    pub(crate) fn rotated(&mut self, change: impl FnOnce(&mut Keyring, &mut Seeded)) -> Input {
        let mut keys = self.keyring_copy();
        change(&mut keys, &mut Seeded::new(self.seed ^ 6 << 40 ^ self.requests << 8));
        self.keyring = Arc::new(keys);
        Input::KeyringChanged(Arc::clone(&self.keyring))
    }

    fn keyring_copy(&self) -> Keyring {
        let old = &self.keyring;
        let copy = |key: &SealingKey| SealingKey {
            secret: SealingSecret::from_seed(*key.secret.seed()),
            not_before: key.not_before,
            not_after: key.not_after,
        };
        Keyring {
            identity: old.identity.clone(),
            device_id: old.device_id,
            store_id: old.store_id,
            intro_mailbox: old.intro_mailbox.clone(),
            contact_mailbox: old.contact_mailbox.clone(),
            retired_mailboxes: Vec::new(),
            sealing: old.sealing.iter().map(copy).collect(),
            deposit_key: old.deposit_key,
            intro_read_key: old.intro_read_key,
            contact_read_key: old.contact_read_key,
        }
    }

    /// The machine is thrown away and built anew from the open store.
    pub(crate) fn rebuild(&mut self) {
        self.starts += 1;
        self.ledger = claims::Ledger::default();
        self.mesh = machine(&self.keyring, &self.config, self.seed, self.starts, &self.store);
    }

    /// Ends the process and starts it again: machine and store come from disk.
    pub(crate) fn restart(&mut self) {
        self.starts += 1;
        let path = self.dir.path().join("store.sqlite");
        let entropy = Box::new(Seeded::new(self.seed ^ self.starts << 48));
        self.store = Store::open(&path, self.key.clone(), entropy).expect("its own store");
        self.ledger = claims::Ledger::default();
        // Each start is an instance of its own.
        self.instance_id =
            InstanceId::from_bytes(Seeded::new(self.seed ^ self.starts << 24).bytes());
        self.config.instance_id = self.instance_id;
        self.mesh = machine(&self.keyring, &self.config, self.seed, self.starts, &self.store);
    }

    /// Another computer with what a backup has: identity, mailboxes and contacts, as
    /// they were then; no seeds, no history.
    pub(crate) fn reinstall(&mut self, contacts: &[Contact], now: Now) {
        self.starts += 1;
        let dir = TempDir::new().expect("a temporary folder");
        let entropy = Box::new(Seeded::new(self.seed ^ self.starts << 48 ^ 1 << 47));
        let path = dir.path().join("store.sqlite");
        self.store = Store::create(&path, self.key.clone(), entropy).expect("a new store");
        self.dir = dir;
        self.store.begin().expect("a transaction");
        for contact in contacts {
            let contact = Write::PutContact(Box::new(contact.clone()));
            self.store.apply(&[contact]).expect("a writable store");
        }
        self.store.commit().expect("a commit");
        let store_id = self.store.store_id();
        self.rekey(|keys, random| {
            keys.store_id = store_id;
            keys.sealing.clear();
            keys.sealing.push(new_key(now, random));
        });
    }

    /// Whether there is a key to be made, or a seed to be erased, by the schedule of
    /// a profile.
    pub(crate) fn keys_are_due(&self, now: Now) -> bool {
        let keys = &self.keyring.sealing;
        keys.last().is_none_or(|newest| now.wall >= newest.not_before.saturating_add(WEEK))
            || keys.iter().any(|key| is_erased(key, now))
    }

    /// What a profile does then.
    pub(crate) fn tend_keys(now: Now) -> impl Fn(&mut Keyring, &mut Seeded) {
        move |keys, random| {
            let newest = keys.sealing.last();
            if newest.is_none_or(|key| now.wall >= key.not_before.saturating_add(WEEK)) {
                keys.sealing.push(new_key(now, random));
            }
            keys.sealing.retain(|key| !is_erased(key, now));
        }
    }

    /// The disk forgets an envelope, as that of a liar does.
    pub(crate) fn forget_envelope(&mut self, id: &EnvelopeId) {
        self.store.begin().expect("a transaction");
        self.store.apply(&[Write::DropEnvelope(*id)]).expect("a writable store");
        self.store.commit().expect("a commit");
    }

    /// Deals with a batch of inputs in one transaction, and returns what is to be
    /// done to links after the commit.
    pub(crate) fn step(&mut self, inputs: Vec<Input>, now: Now) -> (Vec<LinkAction>, Vec<Answer>) {
        let wall = UnixMillis(now.wall.0.saturating_add_signed(self.clock_offset_ms));
        let now = Now { wall, ..now };
        self.store.begin().expect("a transaction");
        let mut all = Ready::default();
        for input in inputs {
            self.ledger.told(&input);
            let ready = self.mesh.handle(input, now, &self.store).expect("a readable store");
            self.store.apply(&ready.writes).expect("a writable store");
            claims::hold(&ready, &self.store);
            self.ledger.hold(&ready, &self.store, now.mono);
            all.merge(ready);
        }
        let ready = self.mesh.settle(now, &self.store).expect("a readable store");
        self.store.apply(&ready.writes).expect("a writable store");
        claims::hold(&ready, &self.store);
        self.ledger.hold(&ready, &self.store, now.mono);
        all.merge(ready);
        if core::mem::take(&mut self.fails_next) {
            // Nothing leaves, and what was made ready goes with the machine.
            self.store.rollback().expect("taken back");
            self.rebuild();
            return (Vec::new(), Vec::new());
        }
        self.store.commit().expect("a commit");
        self.events.extend(all.events);
        self.dials.extend(all.dials);
        self.relay_actions.extend(all.relays);
        self.beacons += u32::from(all.beacon);
        (all.links, all.answers)
    }

    /// A command and its outcome, with what it does to links.
    pub(crate) fn command(
        &mut self,
        command: Command,
        now: Now,
    ) -> (Result<Outcome, CommandError>, Vec<LinkAction>) {
        self.requests += 1;
        let request = RequestId(self.requests);
        let (links, mut answers) = self.step(vec![Input::Command(request, command)], now);
        let answer = answers.pop().expect("every command is answered");
        assert!(answers.is_empty() && answer.request == request);
        (answer.outcome, links)
    }

    /// Several commands in one transaction, and their outcomes in order.
    pub(crate) fn commands(
        &mut self,
        commands: Vec<Command>,
        now: Now,
    ) -> (Vec<Outcome>, Vec<LinkAction>) {
        let inputs = (1000..).zip(commands).map(|(i, c)| Input::Command(RequestId(i), c));
        let (links, answers) = self.step(inputs.collect(), now);
        (answers.into_iter().map(|answer| answer.outcome.expect("it can be done")).collect(), links)
    }

    /// The texts received so far, as events told them.
    pub(crate) fn received(&self) -> Vec<String> {
        let texts = self.events.iter().filter_map(|event| match event {
            Event::Received(message) => match &message.body {
                tortalk_seal::Body::Text(text) => Some(text.clone()),
                _ => None,
            },
            _ => None,
        });
        texts.collect()
    }
}

/// A sealing key for the next four weeks.
fn new_key(now: Now, random: &mut Seeded) -> SealingKey {
    SealingKey {
        secret: SealingSecret::from_seed(random.bytes()),
        not_before: now.wall,
        not_after: now.wall.saturating_add(SEALING_KEY_LIFE),
    }
}

fn is_erased(key: &SealingKey, now: Now) -> bool {
    now.wall >= key.not_after.saturating_add(SEALING_SEED_KEPT)
}

fn machine(
    keyring: &Arc<Keyring>,
    config: &MeshConfig,
    seed: u64,
    starts: u64,
    store: &Store,
) -> Mesh {
    let entropy = Box::new(Seeded::new(seed ^ 7 << 32 ^ starts << 20));
    Mesh::new(keyring.clone(), config.clone(), entropy, store).expect("a readable store")
}
