//! The machine on its store, and what is known about both.

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use tortalk_keys::link_auth::Role;
use tortalk_keys::{IdentitySecret, MailboxSecret};
use tortalk_mesh::{
    DeliveryState, Event, Input, Keyring, LinkAction, LinkId, Mesh, MeshConfig, Outcome, Read as _,
    Ready, RelayAction, SealingKey, Visibility,
};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::limits::REQUESTS_MAX;
use tortalk_model::{
    DeviceId, Envelope, EnvelopeId, IdentityKey, InstanceId, MailboxKey, MessageId, MonoMillis,
    Now, StoreId, UnixMillis,
};
use tortalk_seal::SealingSecret;
use tortalk_sim::checks::step_holds;
use tortalk_sim::dice::Dice;
use tortalk_store::Store;
use tortalk_store::vault::ProfileKey;
use tortalk_wire::{Frame, Msg};

use super::puppet::{HASH, Puppet, relay};
use super::{Happening, Saying, Time};

/// The true time when a run begins.
pub(super) const START: UnixMillis = UnixMillis(1_800_000_000_000);
pub(super) const DAY: u64 = 24 * 3_600_000;
pub(super) const PUPPETS: usize = 4;
/// Things that were said and may be said again.
const SAID_MAX: usize = 64;

pub(super) struct Stage {
    pub(super) mesh: Mesh,
    pub(super) store: Store,
    pub(super) keyring: Arc<Keyring>,
    pub(super) now: Now,
    pub(super) puppets: Rc<[Puppet; PUPPETS]>,
    owners: BTreeMap<MailboxKey, usize>,
    links: BTreeMap<LinkId, (usize, Role)>,
    /// The same as the checks want it.
    peers: BTreeMap<LinkId, usize>,
    next_link: u64,
    pub(super) requests: u64,
    starts: u16,
    pub(super) removals: u8,
    disk_full: bool,
    pub(super) said: Vec<Msg>,
    handed: Vec<EnvelopeId>,
    pub(super) written: BTreeMap<MessageId, IdentityKey>,
    shown: BTreeSet<MessageId>,
    pub(super) received: Vec<MessageId>,
    /// For what there is a genuine receipt, and from whom.
    pub(super) receipted: BTreeSet<(MessageId, IdentityKey)>,
    /// What the relay has signed for.
    pub(super) at_relay: BTreeSet<EnvelopeId>,
    /// Who the relay's connection is wanted by.
    pub(super) relay_wanted: bool,
    _dir: tempfile::TempDir,
}

impl Stage {
    pub(super) fn new() -> Self {
        let puppets = puppets();
        let owners = puppets
            .iter()
            .enumerate()
            .flat_map(|(at, puppet)| [(puppet.intro.public(), at), (puppet.contact.public(), at)]);
        let owners = owners.collect();
        let dir = scratch();
        let store = open(dir.path());
        let keyring = keyring(store.store_id(), 0);
        let now = Now { wall: START, mono: MonoMillis(1_000) };
        let mesh = machine(&keyring, &store, 0);
        let mut stage = Self {
            mesh,
            store,
            keyring,
            now,
            puppets,
            owners,
            links: BTreeMap::new(),
            peers: BTreeMap::new(),
            next_link: 1,
            requests: 0,
            starts: 0,
            removals: 0,
            disk_full: false,
            said: Vec::new(),
            handed: Vec::new(),
            written: BTreeMap::new(),
            shown: BTreeSet::new(),
            received: Vec::new(),
            receipted: BTreeSet::new(),
            at_relay: BTreeSet::new(),
            relay_wanted: false,
            _dir: dir,
        };
        stage.feed(vec![Input::Started]);
        stage
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Link { who, dialled, introduced } => self.link(who, dialled, introduced),
            Happening::Unlink { link } => {
                // Half of them because the peer sent what is no frame: the driver says so first.
                let faulty = link >= 128;
                if let Some((link, ..)) = self.nth_link(link) {
                    if faulty {
                        self.feed(vec![Input::PeerFault { link }]);
                    }
                    self.links.remove(&link);
                    self.feed(vec![Input::LinkDown { link }]);
                    self.peers.remove(&link);
                }
            }
            Happening::Say { link, what } => {
                let Some((link, who, role)) = self.nth_link(link) else { return };
                if let Some(frame) = self.frame(who, role, what) {
                    self.feed(vec![Input::Frame { link, frame }]);
                }
            }
            Happening::Wish { who, what } => self.wish(usize::from(who) % PUPPETS, what),
            Happening::Wait { ms } => self.wait(ms.duration()),
            Happening::Clock { half_hours } => {
                self.now.wall = self.shifted(half_hours);
                self.feed(vec![Input::Tick]);
            }
            Happening::Heard { who } => {
                let instance_id = self.puppet(who).auth().instance_id;
                self.feed(vec![Input::Heard { address: address(who), instance_id }]);
            }
            Happening::Dialled { who, reached } => {
                self.feed(vec![Input::Dialled { address: address(who), reached }]);
            }
            Happening::AddressUp => self.feed(vec![Input::AddressUp]),
            Happening::Restart => self.restart(),
            Happening::DiskFull => self.disk_full = true,
            Happening::Relay { what } => {
                if let Some(input) = self.relay_input(what) {
                    self.feed(vec![Input::Relay(input)]);
                }
            }
        }
    }

    /// What was accepted and what was shown is there still, after a restart too.
    pub(super) fn end(&mut self) {
        self.wait(Duration::from_secs(3));
        self.restart();
        for (id, contact) in &self.written {
            let stored = self.store.outgoing(id).expect("a store that works");
            let stored = stored.expect("a text was accepted and is lost");
            assert_eq!(stored.contact, *contact);
        }
        for id in &self.shown {
            let stored = self.store.incoming(id).expect("a store that works");
            assert!(stored.is_some(), "a message was shown and is lost");
        }
        let requests = self.store.requests().expect("a store that works").len();
        assert!(requests <= REQUESTS_MAX, "{requests} requests");
    }

    /// One transaction: the machine's answers are held to what it writes.
    pub(super) fn feed(&mut self, inputs: Vec<Input>) {
        self.store.begin().expect("a store that works");
        let mut all = Ready::default();
        for input in inputs {
            let ready = self.mesh.handle(input, self.now, &self.store);
            self.absorb(&mut all, ready.expect("a store that works"));
        }
        let ready = self.mesh.settle(self.now, &self.store).expect("a store that works");
        self.absorb(&mut all, ready);
        if core::mem::take(&mut self.disk_full) {
            self.store.rollback().expect("a store that works");
            return self.restart();
        }
        self.store.commit().expect("a store that works");
        self.dispatch(all);
    }

    fn absorb(&mut self, all: &mut Ready, ready: Ready) {
        self.store.apply(&ready.writes).expect("a store that works");
        let held = step_holds(&ready, &self.store, &self.owners, &self.peers);
        held.unwrap_or_else(|(invariant, seen)| panic!("{invariant}: {seen}"));
        all.merge(ready);
    }

    fn dispatch(&mut self, ready: Ready) {
        for answer in ready.answers {
            // Nobody but `write` asks for what is queued.
            if let Ok(Outcome::Queued { message_id, .. }) = answer.outcome {
                let stored = self.store.outgoing(&message_id).expect("a store that works");
                let contact = stored.expect("a text was accepted and is lost").contact;
                assert!(self.written.insert(message_id, contact).is_none(), "an id twice");
            }
        }
        for event in ready.events {
            self.show(event);
        }
        for action in ready.links {
            match action {
                LinkAction::Send(link, Frame::Msg(msg)) => {
                    assert!(self.links.contains_key(&link), "said to nobody");
                    self.handed.push(Envelope::id_of(msg.envelope.as_slice()));
                    self.say_again_later(msg);
                }
                LinkAction::Close(link, _) | LinkAction::Drop(link) => {
                    self.links.remove(&link);
                }
                LinkAction::Admit(_) | LinkAction::Send(..) => {}
            }
        }
        for action in ready.relays {
            match action {
                RelayAction::Connect(_) => self.relay_wanted = true,
                RelayAction::Disconnect(_) => self.relay_wanted = false,
                RelayAction::Deposit { envelope, .. } => self.handed.push(envelope.id()),
                _ => {}
            }
        }
    }

    fn show(&mut self, event: Event) {
        match event {
            Event::Received(message) => {
                let id = message.message_id;
                assert!(self.shown.insert(id), "a message was shown twice");
                self.received.push(id);
            }
            Event::StateChanged { message_id, contact, state, .. } => {
                if !self.written.contains_key(&message_id) {
                    return;
                }
                if matches!(state, DeliveryState::Delivered | DeliveryState::Read) {
                    let proved = self.receipted.contains(&(message_id, contact));
                    assert!(proved, "{state:?} is shown without a receipt");
                }
                if state == DeliveryState::AtRelay {
                    assert!(!self.at_relay.is_empty(), "no relay has signed anything");
                }
            }
            _ => {}
        }
    }

    /// The machine comes from the store, and nobody is linked. No machine draws the
    /// randomness of an earlier one.
    fn restart(&mut self) {
        self.starts += 1;
        self.links.clear();
        self.peers.clear();
        self.relay_wanted = false;
        self.mesh = machine(&self.keyring, &self.store, self.starts);
        self.feed(vec![Input::Started]);
    }

    /// Time passes as a driver lets it: at each deadline the machine is asked.
    fn wait(&mut self, duration: Duration) {
        let until = self.now.mono + duration;
        for _ in 0..32 {
            let next = self.mesh.next_deadline(self.now).min(until).max(self.now.mono);
            self.pass(next);
            self.feed(vec![Input::Tick]);
            if next >= until {
                return;
            }
        }
        self.pass(until);
        self.feed(vec![Input::Tick]);
    }

    fn pass(&mut self, to: MonoMillis) {
        let passed = to.0 - self.now.mono.0;
        // A machine that wants to be asked again at once is asked a little later.
        let passed = passed.max(1);
        self.now.mono = MonoMillis(self.now.mono.0 + passed);
        self.now.wall = UnixMillis(self.now.wall.0.saturating_add(passed));
    }

    fn link(&mut self, who: u8, dialled: bool, introduced: bool) {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let number = usize::from(who) % PUPPETS;
        let (role, theirs) = match dialled {
            true => (Role::Initiator, Role::Responder),
            false => (Role::Responder, Role::Initiator),
        };
        self.links.insert(link, (number, theirs));
        self.peers.insert(link, number);
        let peer = self.puppets[number].auth();
        let address = address(who);
        self.feed(vec![Input::LinkUp { link, role, peer, handshake_hash: HASH, address }]);
        if !introduced {
            return;
        }
        let hello =
            Saying::Hello { half_hours: 0, unacked: 256, seen_seq: 0, own_seq: 0, store: 0 };
        let of = who;
        let card = Saying::Card { seq: 0, contact: true, of, relays: false };
        for what in [Saying::Proofs { own: true }, hello, card, Saying::Pull] {
            let frame = self.frame(number, theirs, what).expect("an honest frame");
            if self.links.contains_key(&link) {
                self.feed(vec![Input::Frame { link, frame }]);
            }
        }
    }

    /// A link that is up, with its peer and the peer's role.
    fn nth_link(&self, nth: u8) -> Option<(LinkId, usize, Role)> {
        let at = usize::from(nth).checked_rem(self.links.len())?;
        self.links.iter().nth(at).map(|(link, (who, role))| (*link, *who, *role))
    }

    pub(super) fn puppet(&self, who: u8) -> &Puppet {
        &self.puppets[usize::from(who) % PUPPETS]
    }

    pub(super) fn shifted(&self, half_hours: i16) -> UnixMillis {
        let by = i64::from(half_hours) * 1_800_000;
        UnixMillis(self.now.wall.0.saturating_add_signed(by))
    }

    pub(super) fn say_again_later(&mut self, msg: Msg) {
        if self.said.len() < SAID_MAX {
            self.said.push(msg);
        }
    }

    pub(super) fn handed_id(&self, nth: u8) -> EnvelopeId {
        match usize::from(nth).checked_rem(self.handed.len()) {
            // The newest are at the front.
            Some(at) => self.handed[self.handed.len() - 1 - at],
            None => EnvelopeId::from_bytes([nth; 32]),
        }
    }

    pub(super) fn written_id(&self, nth: u8) -> MessageId {
        let at = usize::from(nth).checked_rem(self.written.len());
        let written = at.and_then(|at| self.written.keys().nth(at));
        written.copied().unwrap_or(MessageId::from_bytes([nth; 32]))
    }
}

impl Time {
    fn duration(self) -> Duration {
        match self {
            Self::Now => Duration::ZERO,
            Self::Milliseconds(count) => Duration::from_millis(count.into()),
            Self::Seconds(count) => Duration::from_secs(count.into()),
            Self::Minutes(count) => Duration::from_secs(60 * u64::from(count)),
            Self::Hours(count) => Duration::from_secs(3_600 * u64::from(count)),
        }
    }
}

fn address(who: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + who % PUPPETS as u8], 45_454))
}

fn machine(keyring: &Arc<Keyring>, store: &Store, starts: u16) -> Mesh {
    let config = MeshConfig {
        name: "alice".to_owned(),
        visibility: Visibility::Everyone,
        read_receipts: true,
        request_receipts: false,
        awaits_relays: false,
        instance_id: InstanceId::from_bytes(Dice::new(starts.into()).bytes()),
        relays: vec![relay()],
    };
    let entropy = Box::new(Dice::new(u64::from(starts) + 1_000_000));
    Mesh::new(Arc::clone(keyring), config, entropy, store).expect("a store that works")
}

/// The same in every run; their keys take long to make.
fn puppets() -> Rc<[Puppet; PUPPETS]> {
    thread_local! {
        static PUPPETS_MADE: Rc<[Puppet; PUPPETS]> = Rc::new([1, 2, 3, 4].map(Puppet::new));
    }
    PUPPETS_MADE.with(Rc::clone)
}

/// After each removal there are other secrets for contacts.
pub(super) fn keyring(store_id: StoreId, removals: u8) -> Arc<Keyring> {
    thread_local! {
        static MADE: RefCell<BTreeMap<(StoreId, u8), Arc<Keyring>>> = const {
            RefCell::new(BTreeMap::new())
        };
    }
    let make = || Arc::new(new_keyring(store_id, removals));
    MADE.with_borrow_mut(|made| made.entry((store_id, removals)).or_insert_with(make).clone())
}

fn new_keyring(store_id: StoreId, removals: u8) -> Keyring {
    Keyring {
        identity: Arc::new(IdentitySecret::from_seed([0xa1; 32])),
        device_id: DeviceId::from_bytes([0xa2; 8]),
        store_id,
        intro_mailbox: MailboxSecret::from_seed([0xa3; 32]),
        contact_mailbox: MailboxSecret::from_seed([0xa4 ^ removals; 32]),
        retired_mailboxes: Vec::new(),
        sealing: vec![SealingKey {
            secret: SealingSecret::from_seed([0xb5; 32]),
            not_before: UnixMillis(START.0 - DAY),
            not_after: UnixMillis(START.0 + 27 * DAY),
        }],
        deposit_key: [0xa6 ^ removals; 32],
        intro_read_key: [0xa7; 32],
        contact_read_key: [0xa8 ^ removals; 32],
    }
}

/// A folder in memory, where there is one.
fn scratch() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tortalk-fuzz-");
    builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).expect("a temporary folder")
}

/// An empty database; it is made once and copied.
fn open(dir: &std::path::Path) -> Store {
    let make = |at: &std::path::Path| {
        let path = at.join("store.sqlite");
        let entropy = Box::new(Dice::new(1));
        drop(Store::create(&path, profile_key(), entropy).expect("a new store"));
        std::fs::read(path).expect("a file")
    };
    thread_local! {
        static EMPTY: std::cell::OnceCell<Vec<u8>> = const { std::cell::OnceCell::new() };
    }
    let path = dir.join("store.sqlite");
    EMPTY.with(|empty| {
        let bytes = empty.get_or_init(|| make(scratch().path()));
        std::fs::write(&path, bytes).expect("written");
    });
    Store::open(&path, profile_key(), Box::new(Dice::new(2))).expect("a store")
}

fn profile_key() -> ProfileKey {
    ProfileKey::from_bytes([0xa9; 32])
}
