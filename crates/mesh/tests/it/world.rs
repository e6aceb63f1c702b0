//! Several people, the links between them and one virtual time for all.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use tortalk_link::{Link, LinkEvent, LinkSelf};
use tortalk_mesh::{
    Command, CommandError, DeliveryState, Input, LinkAction, LinkId, Outcome, PeerAuth,
};
use tortalk_model::limits::LINK_DEAD_AFTER;
use tortalk_model::{IdentityKey, MessageId, MonoMillis, Now, UnixMillis};
use tortalk_testkit::Seeded;
use tortalk_wire::{Bye, Frame};

use crate::person::{Person, START_MS};

/// Rounds without an end are a bug of the protocol.
const ROUNDS_MAX: usize = 10_000;

pub(crate) struct World {
    pub(crate) people: Vec<Person>,
    pub(crate) now: Now,
    cables: BTreeMap<u64, Cable>,
    next_cable: u64,
    /// Bytes that crossed any cable.
    pub(crate) bytes: u64,
    /// How much time goes by at once, at most.
    pub(crate) pace: Duration,
}

/// One TCP connection; a person's link id is the cable's number.
struct Cable {
    ends: [End; 2],
    cut: bool,
    /// Nothing gets through since then, and neither end knows.
    silent: Option<MonoMillis>,
}

struct End {
    person: usize,
    link: Link,
    up: bool,
    closing: bool,
}

impl World {
    /// People of these names, all contacts of nobody yet, started.
    pub(crate) fn new(names: &[&str]) -> Self {
        let people = names.iter().zip(1..).map(|(name, seed)| Person::new(name, seed)).collect();
        Self::of(people)
    }

    pub(crate) fn of(people: Vec<Person>) -> Self {
        let now = Now { wall: UnixMillis(START_MS), mono: MonoMillis(1000) };
        let pace = Duration::from_secs(60);
        let cables = BTreeMap::new();
        let mut world = Self { people, now, cables, next_cable: 1, bytes: 0, pace };
        for person in 0..world.people.len() {
            world.feed(person, vec![Input::Started, Input::AddressUp]);
        }
        world
    }

    /// Two people who have added each other and are linked.
    pub(crate) fn pair() -> Self {
        let mut world = Self::new(&["alice", "bob"]);
        world.befriend(0, 1);
        world.connect(0, 1);
        world.run();
        world
    }

    pub(crate) fn befriend(&mut self, a: usize, b: usize) {
        for (me, other) in [(a, b), (b, a)] {
            let identity = self.people[other].identity();
            let name = format!("person {other}");
            self.command(
                me,
                Command::AddContact { identity, name, invite: None, text: String::new() },
            )
            .expect("a new contact");
        }
    }

    /// Two people add each other by their cards, without ever being linked.
    pub(crate) fn introduce(&mut self, a: usize, b: usize) {
        use tortalk_mesh::Read;
        for (me, other) in [(a, b), (b, a)] {
            let cards = self.people[other].store.own_cards().expect("readable");
            let (_, card) = cards.expect("cards are made at the start");
            let name = format!("person {other}");
            self.command(me, Command::ImportCard { card, name }).expect("a good card");
        }
    }

    /// Opens a connection that `from` dials.
    pub(crate) fn connect(&mut self, from: usize, to: usize) -> u64 {
        let id = self.next_cable;
        self.next_cable += 1;
        let now = self.now.mono;
        let mut random = Seeded::new(id ^ 3 << 50);
        let initiator = Link::initiator(myself(&self.people[from]), now, &mut random);
        let responder = Link::responder(myself(&self.people[to]), now, &mut random);
        let end = |person, link| End { person, link, up: false, closing: false };
        let ends = [end(from, initiator), end(to, responder)];
        self.cables.insert(id, Cable { ends, cut: false, silent: None });
        id
    }

    /// Cuts a connection; what was on its way is lost.
    pub(crate) fn cut(&mut self, id: u64) {
        if let Some(cable) = self.cables.get_mut(&id) {
            cable.cut = true;
        }
        self.run();
    }

    /// Lets a connection die without anybody hearing of it before it times out.
    pub(crate) fn silence(&mut self, id: u64) {
        if let Some(cable) = self.cables.get_mut(&id) {
            cable.silent.get_or_insert(self.now.mono);
        }
    }

    pub(crate) fn cut_all(&mut self) {
        for id in self.cables.keys().copied().collect::<Vec<_>>() {
            self.cut(id);
        }
    }

    /// Connections that there ever were.
    pub(crate) const fn cables_made(&self) -> u64 {
        self.next_cable - 1
    }

    pub(crate) fn cables(&self) -> usize {
        self.cables.len()
    }

    /// The connections between two people.
    pub(crate) fn cables_between(&self, a: usize, b: usize) -> Vec<u64> {
        let between = |cable: &Cable| {
            let [first, second] = [cable.ends[0].person, cable.ends[1].person];
            (first, second) == (a, b) || (first, second) == (b, a)
        };
        self.cables.iter().filter(|(_, cable)| between(cable)).map(|(id, _)| *id).collect()
    }

    pub(crate) fn cable_ids(&self) -> Vec<u64> {
        self.cables.keys().copied().collect()
    }

    /// Lets everything happen that happens without time going by.
    pub(crate) fn run(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if !self.round() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Lets a few things happen, and stops in the middle.
    pub(crate) fn run_rounds(&mut self, rounds: usize) {
        for _ in 0..rounds {
            if !self.round() {
                return;
            }
        }
    }

    /// Lets things happen until `done` says so, or everything is at rest.
    pub(crate) fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) && self.round() {}
    }

    /// Lets time go by in steps of at most the world's pace.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let until = self.now.mono + duration;
        while self.now.mono < until {
            let step = until.since(self.now.mono).min(self.pace);
            self.now.mono = self.now.mono + step;
            self.now.wall = self.now.wall.saturating_add(step);
            for cable in self.cables.values_mut() {
                let since = cable.silent.unwrap_or(self.now.mono);
                cable.cut |= self.now.mono.since(since) >= LINK_DEAD_AFTER;
            }
            for person in 0..self.people.len() {
                if !self.people[person].away {
                    self.feed(person, vec![Input::Tick]);
                }
            }
            self.run();
        }
    }

    pub(crate) fn command(
        &mut self,
        person: usize,
        command: Command,
    ) -> Result<Outcome, CommandError> {
        let (outcome, actions) = self.people[person].command(command, self.now);
        self.act(person, actions);
        outcome
    }

    pub(crate) fn send(&mut self, from: usize, to: usize, text: &str) -> MessageId {
        let to = self.people[to].identity();
        let command = Command::SendText { to, text: text.to_owned() };
        match self.command(from, command).expect("a text that can be sent") {
            Outcome::Queued { message_id, .. } => message_id,
            other => panic!("a text is queued, not {other:?}"),
        }
    }

    /// Sends many texts at once, in one transaction.
    pub(crate) fn send_all(&mut self, from: usize, to: usize, texts: &[String]) -> Vec<MessageId> {
        let to = self.people[to].identity();
        let send = |text: &String| Command::SendText { to, text: text.clone() };
        let commands = texts.iter().map(send).collect();
        let (outcomes, actions) = self.people[from].commands(commands, self.now);
        self.act(from, actions);
        let ids = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Queued { message_id, .. } => message_id,
            other => panic!("a text is queued, not {other:?}"),
        });
        ids.collect()
    }

    /// The state of a message at its sender, from stored evidence.
    pub(crate) fn state(&self, person: usize, id: &MessageId) -> DeliveryState {
        use tortalk_mesh::Read;
        let message = self.people[person].store.outgoing(id).expect("a readable store");
        DeliveryState::of(&message.expect("a message of ours"))
    }

    pub(crate) fn restart(&mut self, person: usize) {
        self.lose_process(person);
        self.people[person].restart();
        self.feed(person, vec![Input::Started, Input::AddressUp]);
    }

    /// The process ends and starts with another sealing key; what was sealed to the
    /// old one cannot be opened any more.
    pub(crate) fn change_key(&mut self, person: usize) {
        self.lose_process(person);
        self.people[person].forget_sealing_keys();
        self.feed(person, vec![Input::Started, Input::AddressUp]);
    }

    /// Everything that a person's process had open is gone, without a word to it.
    fn lose_process(&mut self, person: usize) {
        let ids = self.cables.iter();
        let touched: Vec<u64> = ids
            .filter(|(_, cable)| cable.ends.iter().any(|end| end.person == person))
            .map(|(id, _)| *id)
            .collect();
        for id in touched {
            // The process is gone before it could hear of its links' end.
            if let Some(cable) = self.cables.get_mut(&id) {
                cable.ends.iter_mut().filter(|end| end.person == person).for_each(|end| {
                    end.up = false;
                });
            }
            if let Some(cable) = self.cables.get_mut(&id) {
                cable.cut = true;
            }
        }
    }

    pub(crate) fn feed(&mut self, person: usize, inputs: Vec<Input>) {
        let fails = self.people[person].fails_next;
        let (actions, _) = self.people[person].step(inputs, self.now);
        if fails {
            // The driver closes every link and starts the machine anew.
            self.lose_process(person);
            self.feed(person, vec![Input::Started, Input::AddressUp]);
            return;
        }
        self.act(person, actions);
    }

    fn act(&mut self, person: usize, actions: Vec<LinkAction>) {
        for action in actions {
            let (LinkAction::Admit(LinkId(id))
            | LinkAction::Send(LinkId(id), _)
            | LinkAction::Close(LinkId(id), _)
            | LinkAction::Drop(LinkId(id))) = action;
            let Some(cable) = self.cables.get_mut(&id) else { continue };
            let Some(end) = cable.ends.iter_mut().find(|end| end.person == person) else {
                continue;
            };
            match action {
                LinkAction::Admit(_) => end.link.admit(),
                LinkAction::Send(_, frame) => end.link.send(&frame),
                LinkAction::Close(_, reason) => {
                    end.link.send(&Frame::Bye(Bye { reason }));
                    end.closing = true;
                }
                LinkAction::Drop(_) => cable.cut = true,
            }
        }
    }

    /// Moves what every end has to say to the other; whether anything moved.
    fn round(&mut self) -> bool {
        let mut moved = false;
        let mut inputs: BTreeMap<usize, Vec<Input>> = BTreeMap::new();
        let mut ended = Vec::new();
        for (&id, cable) in &mut self.cables {
            for side in [0, 1] {
                let bytes = cable.ends[side].link.take_output();
                self.bytes += bytes.len() as u64;
                let other = &mut cable.ends[1 - side];
                if bytes.is_empty() || cable.cut || cable.silent.is_some() {
                    continue;
                }
                moved = true;
                if other.link.receive(&bytes, self.now.mono).is_err() {
                    cable.cut = true;
                }
                while let Some(event) = other.link.next_event() {
                    inputs.entry(other.person).or_default().push(input(id, other, event));
                }
            }
            if cable.silent.is_some() && !cable.cut {
                // Who says Bye is through; the other hears nothing of it.
                for end in cable.ends.iter_mut().filter(|end| end.closing && end.up) {
                    end.up = false;
                    let down = Input::LinkDown { link: LinkId(id) };
                    inputs.entry(end.person).or_default().push(down);
                    moved = true;
                }
                continue;
            }
            let said_bye = cable.ends.iter().any(|end| end.closing && !end.link.has_output());
            if cable.cut || said_bye {
                ended.push(id);
            }
        }
        for id in ended {
            moved = true;
            let Some(cable) = self.cables.remove(&id) else { continue };
            for end in cable.ends.iter().filter(|end| end.up) {
                let down = Input::LinkDown { link: LinkId(id) };
                inputs.entry(end.person).or_default().push(down);
            }
        }
        for (person, inputs) in inputs {
            self.feed(person, inputs);
        }
        moved
    }

    pub(crate) fn identity(&self, person: usize) -> IdentityKey {
        self.people[person].identity()
    }
}

fn myself(person: &Person) -> LinkSelf {
    LinkSelf {
        identity: person.keyring.identity.clone(),
        device_id: person.keyring.device_id,
        instance_id: person.instance_id,
    }
}

fn input(id: u64, end: &mut End, event: LinkEvent) -> Input {
    let link = LinkId(id);
    match event {
        LinkEvent::Authenticated(peer) => {
            end.up = true;
            let hash = end.link.handshake_hash().expect("a link that is authenticated");
            Input::LinkUp {
                link,
                role: end.link.role(),
                peer: PeerAuth {
                    identity: peer.identity,
                    device_id: peer.device_id,
                    instance_id: peer.instance_id,
                },
                handshake_hash: *hash,
                address: SocketAddr::from(([192, 0, 2, 1], 4000 + u16::try_from(id).unwrap_or(0))),
            }
        }
        LinkEvent::Frame(frame) => Input::Frame { link, frame },
    }
}
