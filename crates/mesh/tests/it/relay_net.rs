//! Relays in memory, beside the world's links: they keep mailboxes and sign with
//! real keys, and can be told to fail or to lie.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use tortalk_keys::relay::{RelayAddress, RelayHost};
use tortalk_keys::relay_proof::pull::{self, PullClaim};
use tortalk_keys::relay_proof::receipt::{self, ReceiptClaim};
use tortalk_keys::{RelaySecret, Signature, relay_proof, stamp};
use tortalk_mesh::relay::{
    CardDrop, CardPutResult, DepositRefusal, PullEnd, PullProof, RelayDown, StorageReceipt,
};
use tortalk_mesh::{Command, Input, Read, RelayAction, RelayInput};
use tortalk_model::envelope::Envelope;
use tortalk_model::limits::EXPIRY_TOLERANCE;
use tortalk_model::limits::relay::EXPIRY_AHEAD_MAX;
use tortalk_model::{EnvelopeId, Epoch, MailboxKey, Now, PurgeKey, RelayKey, UnixMillis};

use crate::person::Person;
use crate::world::World;

/// Rounds without an end are a bug of the machine.
const ROUNDS_MAX: usize = 2_000;

/// The world with relays.
pub(crate) struct Net {
    pub(crate) world: World,
    pub(crate) relays: Vec<FakeRelay>,
    /// Who is connected with which relay, and the streams open there.
    connections: BTreeMap<(usize, RelayKey), Connection>,
    /// Sequences of envelopes that no owner has to have durable.
    pub(crate) junk: BTreeSet<EnvelopeId>,
    /// Keys are made and erased as a profile does it.
    pub(crate) keys_are_tended: bool,
}

#[derive(Default)]
struct Connection {
    up: bool,
    /// It goes to an address at which the relay is not.
    misled: bool,
    streams: BTreeMap<MailboxKey, Stream>,
}

#[derive(Default)]
struct Stream {
    challenge: [u8; 32],
    open: bool,
    sent: u64,
}

/// What a relay does instead of its duty.
#[derive(Default)]
pub(crate) struct Manners {
    /// Nobody answers.
    pub(crate) unreachable: bool,
    /// Whoever answers has another key.
    pub(crate) other_key: bool,
    /// Every envelope is refused so.
    pub(crate) refuses: Option<(DepositRefusal, u32)>,
    /// Envelopes are stored and nothing is said.
    pub(crate) silent: bool,
    /// Storage receipts are signed with a key that is not the relay's.
    pub(crate) forges: bool,
    /// Each envelope is sent twice, and the second time under a smaller number.
    pub(crate) repeats: bool,
    /// Acknowledgements get lost.
    pub(crate) deaf: bool,
    /// What `PutCard` is answered.
    pub(crate) says_old: Option<u64>,
}

pub(crate) struct FakeRelay {
    pub(crate) secret: RelaySecret,
    pub(crate) address: RelayAddress,
    pub(crate) clock_offset_ms: i64,
    pub(crate) manners: Manners,
    pub(crate) mailboxes: BTreeMap<MailboxKey, Mailbox>,
    /// Everything that was ever left, by whom, with whether it was stamped.
    pub(crate) left: Vec<(usize, EnvelopeId, bool)>,
    pub(crate) proofs: Vec<PullProof>,
    pub(crate) purged: Vec<PurgeKey>,
    /// How many calls that took.
    pub(crate) purges: usize,
    pub(crate) cards_asked: Vec<MailboxKey>,
    pub(crate) acks: Vec<u64>,
}

#[derive(Default)]
pub(crate) struct Mailbox {
    deposit_key: Option<[u8; 32]>,
    pub(crate) queue: BTreeMap<u64, Vec<u8>>,
    ids: BTreeMap<EnvelopeId, u64>,
    next_seq: u64,
    pub(crate) card: Option<CardDrop>,
    pub(crate) cards_put: usize,
}

impl FakeRelay {
    pub(crate) fn new(number: u8) -> Self {
        let secret = RelaySecret::from_seed([0x80 | number; 32]);
        let host = RelayHost::Name(format!("relay{number}.example"));
        let address = RelayAddress::new(host, 8443, secret.public()).expect("an address");
        Self {
            secret,
            address,
            clock_offset_ms: 0,
            manners: Manners::default(),
            mailboxes: BTreeMap::new(),
            left: Vec::new(),
            proofs: Vec::new(),
            purged: Vec::new(),
            purges: 0,
            cards_asked: Vec::new(),
            acks: Vec::new(),
        }
    }

    pub(crate) fn key(&self) -> RelayKey {
        self.secret.public()
    }

    fn now(&self, world: Now) -> UnixMillis {
        UnixMillis(world.wall.0.saturating_add_signed(self.clock_offset_ms))
    }

    pub(crate) fn receipt(&self, time: UnixMillis, ids: Vec<EnvelopeId>) -> StorageReceipt {
        let store_until = time.saturating_add(Duration::from_secs(30 * 24 * 3600));
        let claim = ReceiptClaim { time, store_until, ids: &ids };
        let forger = RelaySecret::from_seed([1; 32]);
        let signer = if self.manners.forges { &forger } else { &self.secret };
        let signature = *receipt::sign(signer, &claim).as_bytes();
        StorageReceipt { time, store_until, ids, signature }
    }

    fn deposit(&mut self, from: usize, envelope: &Envelope, found: &[u8], now: Now) -> Answer {
        let now = self.now(now);
        let id = envelope.id();
        let header = envelope.header();
        let known = self.mailboxes.get(&header.mailbox);
        let deposit_key = known.and_then(|mailbox| mailbox.deposit_key);
        let stamped = deposit_key.is_some_and(|key| stamp(&key, &id)[..] == *found);
        self.left.push((from, id, stamped));
        if let Some((reason, retry_after_s)) = self.manners.refuses {
            return Answer::Refused(reason, retry_after_s);
        }
        let expires = header.expires_at;
        if expires < now.saturating_sub(EXPIRY_TOLERANCE)
            || expires > now.saturating_add(EXPIRY_AHEAD_MAX)
        {
            return Answer::Refused(DepositRefusal::Expiry, 0);
        }
        let Some(mailbox) = self.mailboxes.get_mut(&header.mailbox) else {
            return Answer::Refused(DepositRefusal::NoRoom, 0);
        };
        if !mailbox.ids.contains_key(&id) {
            mailbox.next_seq += 1;
            mailbox.ids.insert(id, mailbox.next_seq);
            mailbox.queue.insert(mailbox.next_seq, envelope.as_bytes().to_vec());
        }
        Answer::Stored
    }

    /// Puts bytes into a mailbox without anybody having left them.
    pub(crate) fn plant(&mut self, mailbox: MailboxKey, bytes: Vec<u8>) -> u64 {
        let mailbox = self.mailboxes.entry(mailbox).or_default();
        mailbox.next_seq += 1;
        mailbox.ids.insert(Envelope::id_of(&bytes), mailbox.next_seq);
        mailbox.queue.insert(mailbox.next_seq, bytes);
        mailbox.next_seq
    }

    pub(crate) fn held(&self) -> usize {
        self.mailboxes.values().map(|mailbox| mailbox.queue.len()).sum()
    }
}

enum Answer {
    Stored,
    Refused(DepositRefusal, u32),
}

impl Net {
    /// People with these relays in their settings, by number; nobody knows anybody.
    pub(crate) fn new(people: &[(&str, &[usize])], relays: u8) -> Self {
        let relays: Vec<FakeRelay> = (0..relays).map(FakeRelay::new).collect();
        let made = people.iter().zip(1..).map(|((name, own), seed)| {
            let mut person = Person::new(name, seed);
            person.set_relays(own.iter().map(|&n| relays[n].address.clone()).collect());
            person
        });
        let mut world = World::of(made.collect());
        world.pace = Duration::from_secs(1);
        let junk = BTreeSet::new();
        let mut net =
            Self { world, relays, connections: BTreeMap::new(), junk, keys_are_tended: false };
        net.run();
        net
    }

    /// Alice and Bob, who have each other's cards and are never linked.
    pub(crate) fn pair(own: [&[usize]; 2], relays: u8) -> Self {
        let mut net = Self::new(&[("alice", own[0]), ("bob", own[1])], relays);
        net.introduce(0, 1);
        net
    }

    /// Two people exchange their contact cards as files.
    pub(crate) fn introduce(&mut self, a: usize, b: usize) {
        for (me, other) in [(a, b), (b, a)] {
            let card = self.world.people[other].mesh.own_contact_card().expect("a card");
            let import =
                Command::ImportCard { card: card.as_bytes().to_vec(), name: String::new() };
            self.world.command(me, import).expect("a contact");
        }
        self.run();
    }

    pub(crate) fn relay_of(&mut self, key: RelayKey) -> Option<&mut FakeRelay> {
        self.relays.iter_mut().find(|relay| relay.key() == key)
    }

    /// Lets everything happen that happens without time going by.
    pub(crate) fn run(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.world.run();
            let mut moved = false;
            for person in 0..self.world.people.len() {
                let now = self.world.now;
                let someone = &mut self.world.people[person];
                if someone.away {
                    continue;
                }
                let wall = UnixMillis(now.wall.0.saturating_add_signed(someone.clock_offset_ms));
                if someone.mesh.next_deadline(Now { wall, ..now }) <= now.mono {
                    moved = true;
                    self.world.feed(person, vec![Input::Tick]);
                }
                let actions = core::mem::take(&mut self.world.people[person].relay_actions);
                moved |= !actions.is_empty();
                let inputs = self.act(person, actions);
                self.feed(person, inputs);
                let live = self.live(person);
                moved |= !live.is_empty();
                self.feed(person, live);
            }
            if !moved {
                return;
            }
        }
        panic!("the relays do not come to rest");
    }

    /// Lets time go by, in steps of the world's pace.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let until = self.world.now.mono + duration;
        while self.world.now.mono < until {
            let step = until.since(self.world.now.mono).min(self.world.pace);
            self.world.advance(step);
            self.expire();
            self.tend_keys();
            self.run();
        }
    }

    /// What relays say, in one transaction.
    pub(crate) fn feed(&mut self, person: usize, inputs: Vec<RelayInput>) {
        if inputs.is_empty() {
            return;
        }
        let fails = self.world.people[person].fails_next;
        self.world.feed(person, inputs.into_iter().map(Input::Relay).collect());
        if fails {
            // The driver ends every connection and starts the machine anew.
            self.connections.retain(|(who, _), _| *who != person);
        }
    }

    /// A person's process ends and starts again.
    pub(crate) fn restart(&mut self, person: usize) {
        self.connections.retain(|(who, _), _| *who != person);
        self.world.people[person].relay_actions.clear();
        self.world.restart(person);
        self.run();
    }

    /// A person's computer is switched off.
    pub(crate) fn leave(&mut self, person: usize) {
        self.run();
        self.connections.retain(|(who, _), _| *who != person);
        self.world.people[person].relay_actions.clear();
        self.world.people[person].away = true;
    }

    /// It is switched on again.
    pub(crate) fn come_back(&mut self, person: usize) {
        let now = self.world.now;
        let someone = &mut self.world.people[person];
        someone.away = false;
        if someone.keys_are_due(now) {
            someone.rekey(Person::tend_keys(now));
        }
        self.restart(person);
    }

    /// Relays forget what has expired.
    fn expire(&mut self) {
        for relay in &mut self.relays {
            let now = relay.now(self.world.now);
            for mailbox in relay.mailboxes.values_mut() {
                mailbox.queue.retain(|_, bytes| {
                    let envelope = Envelope::parse(bytes.clone());
                    envelope.is_ok_and(|envelope| envelope.header().expires_at > now)
                });
            }
        }
    }

    /// Keys are renewed every week where that was begun.
    fn tend_keys(&mut self) {
        let now = self.world.now;
        for person in 0..self.world.people.len() {
            let someone = &mut self.world.people[person];
            if self.keys_are_tended && !someone.away && someone.keys_are_due(now) {
                let changed = someone.rotated(Person::tend_keys(now));
                self.world.feed(person, vec![changed]);
            }
        }
    }

    /// A relay's connections break; it may be back at once, or not.
    pub(crate) fn break_connections(&mut self, relay: usize) {
        let key = self.relays[relay].key();
        let with = self.connections.iter().filter(|((_, other), c)| *other == key && c.up);
        let people: Vec<usize> = with.map(|((person, _), _)| *person).collect();
        for person in people {
            self.connections.insert((person, key), Connection::default());
            self.feed(person, vec![RelayInput::Down { relay: key, why: RelayDown::Unreachable }]);
        }
        self.connect_again();
        self.run();
    }

    /// What the driver does by itself: it tries again.
    pub(crate) fn connect_again(&mut self) {
        let down = self.connections.iter().filter(|(_, connection)| !connection.up);
        let down: Vec<(usize, RelayKey)> = down.map(|(which, _)| *which).collect();
        for (person, key) in down {
            let inputs = self.connect(person, key);
            self.feed(person, inputs);
        }
    }

    pub(crate) fn is_connected(&self, person: usize, relay: usize) -> bool {
        self.connections.contains_key(&(person, self.relays[relay].key()))
    }

    pub(crate) fn connections_of(&self, person: usize) -> usize {
        self.connections.keys().filter(|(who, _)| *who == person).count()
    }

    fn connect(&mut self, person: usize, key: RelayKey) -> Vec<RelayInput> {
        let now = self.world.now;
        let connection = self.connections.entry((person, key)).or_default();
        let relay = self.relays.iter().find(|relay| relay.key() == key && !connection.misled);
        let why = match relay.map(|relay| &relay.manners) {
            Some(manners) if manners.other_key => RelayDown::OtherKey,
            Some(manners) if !manners.unreachable => {
                connection.up = true;
                let now = relay.map_or(now.wall, |relay| relay.now(now));
                let epoch = Epoch::from_bytes([1; 16]);
                return vec![RelayInput::Up { relay: key, now, epoch }];
            }
            _ => RelayDown::Unreachable,
        };
        vec![RelayInput::Down { relay: key, why }]
    }

    fn act(&mut self, person: usize, actions: Vec<RelayAction>) -> Vec<RelayInput> {
        let mut inputs = Vec::new();
        let mut stored: BTreeMap<RelayKey, Vec<EnvelopeId>> = BTreeMap::new();
        for action in actions {
            match action {
                RelayAction::Connect(address) => {
                    let right = self.relays.iter().any(|relay| relay.address == address);
                    let connection = self.connections.entry((person, address.key()));
                    connection.or_default().misled = !right;
                    inputs.extend(self.connect(person, address.key()));
                }
                RelayAction::Disconnect(key) => {
                    self.connections.remove(&(person, key));
                }
                RelayAction::Deposit { relay: key, envelope, stamp } => {
                    let now = self.world.now;
                    if !self.up(person, key) {
                        continue;
                    }
                    let Some(relay) = self.relay_of(key) else { continue };
                    let answer = relay.deposit(person, &envelope, &stamp, now);
                    let envelope_id = envelope.id();
                    match answer {
                        _ if relay.manners.silent => {}
                        Answer::Stored => stored.entry(key).or_default().push(envelope_id),
                        Answer::Refused(reason, retry_after_s) => {
                            let now = relay.now(now);
                            inputs.push(RelayInput::Refused {
                                relay: key,
                                envelope_id,
                                reason,
                                retry_after_s,
                                now,
                            });
                        }
                    }
                }
                other => inputs.extend(self.act_on_mailbox(person, other)),
            }
        }
        for (key, ids) in stored {
            let now = self.world.now;
            let Some(relay) = self.relay_of(key) else { continue };
            let now = relay.now(now);
            for ids in ids.chunks(256) {
                let receipt = relay.receipt(now, ids.to_vec());
                inputs.push(RelayInput::Stored { relay: key, receipt });
            }
        }
        inputs
    }

    fn up(&self, person: usize, key: RelayKey) -> bool {
        self.connections.get(&(person, key)).is_some_and(|connection| connection.up)
    }

    fn act_on_mailbox(&mut self, person: usize, action: RelayAction) -> Option<RelayInput> {
        match action {
            RelayAction::Pull { relay: key, mailbox } => {
                let connection = self.connections.get_mut(&(person, key)).filter(|c| c.up)?;
                let challenge = *Envelope::id_of(mailbox.as_bytes()).as_bytes();
                connection.streams.insert(mailbox, Stream { challenge, ..Stream::default() });
                Some(RelayInput::Challenged { relay: key, mailbox, challenge })
            }
            RelayAction::Prove { relay: key, proof } => self.prove(person, key, proof),
            RelayAction::Ack { relay: key, mailbox, up_to } => {
                self.acknowledge(person, key, mailbox, up_to);
                None
            }
            RelayAction::StopPull { relay: key, mailbox } => {
                self.connections.get_mut(&(person, key))?.streams.remove(&mailbox);
                None
            }
            RelayAction::PutCard { relay: key, mailbox, drop } => {
                let signature = Signature::from_bytes(drop.signature);
                relay_proof::card_drop::verify(&mailbox, drop.seq, &drop.blob, &signature)
                    .expect("owners sign what they put");
                let relay = self.relay_of(key)?;
                let says_old = relay.manners.says_old;
                let Some(known) = relay.mailboxes.get_mut(&mailbox) else {
                    let result = CardPutResult::Unregistered;
                    return Some(RelayInput::CardPut { relay: key, mailbox, result });
                };
                known.cards_put += 1;
                let held = known.card.as_ref().map(|card| card.seq).max(says_old);
                let result = match held {
                    Some(seq) if seq >= drop.seq => CardPutResult::Old { seq },
                    _ => {
                        known.card = Some(drop);
                        CardPutResult::Stored
                    }
                };
                Some(RelayInput::CardPut { relay: key, mailbox, result })
            }
            RelayAction::GetCard { relay: key, mailbox } => {
                let relay = self.relay_of(key)?;
                relay.cards_asked.push(mailbox);
                let drop = relay.mailboxes.get(&mailbox).and_then(|known| known.card.clone());
                Some(RelayInput::CardFound { relay: key, mailbox, drop })
            }
            RelayAction::Purge { relay: key, keys } => {
                let relay = self.relay_of(key)?;
                for known in relay.mailboxes.values_mut() {
                    known.queue.retain(|_, bytes| {
                        let envelope = Envelope::parse(bytes.clone()).ok();
                        !keys
                            .iter()
                            .any(|key| envelope.as_ref().is_some_and(|e| e.is_purged_by(key)))
                    });
                }
                relay.purged.extend(keys);
                relay.purges += 1;
                None
            }
            _ => None,
        }
    }

    fn prove(&mut self, person: usize, key: RelayKey, proof: PullProof) -> Option<RelayInput> {
        let challenge =
            self.connections.get(&(person, key))?.streams.get(&proof.mailbox)?.challenge;
        let now = self.world.now.wall;
        let relay = self.relay_of(key)?;
        let authority = relay.address.authority();
        let claim = PullClaim {
            relay: key,
            authority: &authority,
            challenge: &challenge,
            client_nonce: &proof.client_nonce,
            mailbox: proof.mailbox,
            consumer: proof.consumer,
            deposit_key: proof.deposit_key.as_ref(),
        };
        pull::verify(&claim, &Signature::from_bytes(proof.signature)).expect("a proof that holds");
        let mailbox = proof.mailbox;
        let known = relay.mailboxes.entry(mailbox).or_default();
        known.deposit_key = proof.deposit_key.or(known.deposit_key);
        relay.proofs.push(proof);
        let registered_until = now.saturating_add(Duration::from_secs(60 * 24 * 3600));
        self.connections.get_mut(&(person, key))?.streams.get_mut(&mailbox)?.open = true;
        Some(RelayInput::PullOpened { relay: key, mailbox, registered_until })
    }

    /// Holds the owner to RLY-40: what it acknowledges is on its disk.
    fn acknowledge(&mut self, person: usize, key: RelayKey, mailbox: MailboxKey, up_to: u64) {
        let Some(connection) = self.connections.get_mut(&(person, key)) else { return };
        let Some(stream) = connection.streams.get(&mailbox) else { return };
        assert!(up_to <= stream.sent, "acknowledged and never sent");
        let store = &self.world.people[person].store;
        let junk = &self.junk;
        let relay = self.relays.iter_mut().find(|relay| relay.key() == key).expect("a relay");
        if relay.manners.deaf {
            return;
        }
        relay.acks.push(up_to);
        let Some(known) = relay.mailboxes.get_mut(&mailbox) else { return };
        for bytes in known.queue.range(..=up_to).map(|(_, bytes)| bytes) {
            let id = Envelope::id_of(bytes);
            let seen = store.seen(&id).expect("readable");
            let kept = store.unopened_envelope(&id).expect("readable").is_some();
            assert!(seen || kept || junk.contains(&id), "acknowledged and not durable");
        }
        known.queue.retain(|seq, _| *seq > up_to);
    }

    /// What is sent on a person's open streams.
    fn live(&mut self, person: usize) -> Vec<RelayInput> {
        let mut inputs = Vec::new();
        for ((who, key), connection) in &mut self.connections {
            if *who != person {
                continue;
            }
            let Some(relay) = self.relays.iter().find(|relay| relay.key() == *key) else {
                continue;
            };
            for (mailbox, stream) in connection.streams.iter_mut().filter(|(_, s)| s.open) {
                let Some(known) = relay.mailboxes.get(mailbox) else { continue };
                let new: Vec<_> = known.queue.range(stream.sent + 1..).collect();
                for (&seq, envelope) in new {
                    stream.sent = seq;
                    let pulled = |seq| RelayInput::Pulled {
                        relay: *key,
                        mailbox: *mailbox,
                        seq,
                        envelope: envelope.clone(),
                    };
                    inputs.push(pulled(seq));
                    if relay.manners.repeats {
                        inputs.push(pulled(seq.saturating_sub(1)));
                    }
                }
            }
        }
        inputs
    }

    /// Ends a person's stream.
    pub(crate) fn end_stream(
        &mut self,
        person: usize,
        relay: usize,
        mailbox: MailboxKey,
        why: PullEnd,
    ) {
        let relay = self.relays[relay].key();
        if let Some(connection) = self.connections.get_mut(&(person, relay)) {
            connection.streams.remove(&mailbox);
        }
        self.feed(person, vec![RelayInput::PullEnded { relay, mailbox, why }]);
        self.run();
    }

    pub(crate) fn has_stream(&self, person: usize, relay: usize, mailbox: MailboxKey) -> bool {
        let key = self.relays[relay].key();
        let connection = self.connections.get(&(person, key));
        connection.is_some_and(|c| c.streams.get(&mailbox).is_some_and(|stream| stream.open))
    }
}
