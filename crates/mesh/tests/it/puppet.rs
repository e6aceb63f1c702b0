//! A peer without a machine: it has keys, says what the test wants, and shows
//! what it is answered.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tortalk_keys::card::{
    Card, CardDraft, ContactPart, MailboxKind, MailboxSigner, SealingKeyEntry,
};
use tortalk_keys::link_auth::Role;
use tortalk_keys::relay::RelayAddress;
use tortalk_keys::{IdentitySecret, MailboxSecret, mailbox_proof};
use tortalk_mesh::{Command, Input, LinkAction, LinkId, PeerAuth};
use tortalk_model::entropy::Entropy;
use tortalk_model::envelope::Envelope;
use tortalk_model::{
    ChainId, DeviceId, EnvelopeId, IdentityKey, InstanceId, MonoMillis, Nonce, Now, StoreId,
    UnixMillis,
};
use tortalk_seal::{
    Body, Draft, Recipient, SealingPublic, SealingSecret, SignedMessage, open, seal,
};
use tortalk_testkit::Seeded;
use tortalk_wire::{
    Ack, AckResult, ByeReason, CardBytes, EnvelopeBytes, FeatureBytes, Frame, Hello, MailboxProof,
    Mailboxes, Msg, RefusalReason, StampBytes,
};

use crate::person::{Person, START_MS, WEEK_MS};

/// The person under test with one puppet at the other end.
pub(crate) struct Stage {
    pub(crate) person: Person,
    pub(crate) now: Now,
    pub(crate) next_link: u64,
}

/// Keys of somebody who is played by the test.
pub(crate) struct Puppet {
    pub(crate) identity: IdentitySecret,
    pub(crate) intro: MailboxSecret,
    pub(crate) contact: MailboxSecret,
    pub(crate) sealing: SealingSecret,
    pub(crate) instance_id: InstanceId,
    pub(crate) device_id: DeviceId,
    pub(crate) store_id: StoreId,
    /// When its sealing key becomes valid, in its own clock; for four weeks.
    pub(crate) not_before: UnixMillis,
    random: Seeded,
}

pub(crate) const HASH: [u8; 64] = [0x5a; 64];

impl Stage {
    pub(crate) fn new() -> Self {
        Self::of(Person::new("alice", 1))
    }

    pub(crate) fn of(person: Person) -> Self {
        let now = Now { wall: UnixMillis(START_MS), mono: MonoMillis(1000) };
        let mut stage = Self { person, now, next_link: 1 };
        stage.feed(Input::Started);
        stage
    }

    pub(crate) fn feed(&mut self, input: Input) -> Vec<LinkAction> {
        self.person.step(vec![input], self.now).0
    }

    pub(crate) fn wait(&mut self, duration: Duration) -> Vec<LinkAction> {
        self.now.mono = self.now.mono + duration;
        self.now.wall = self.now.wall.saturating_add(duration);
        self.feed(Input::Tick)
    }

    /// The puppet is linked from now on; what the person does about it.
    pub(crate) fn link(&mut self, puppet: &Puppet, role: Role) -> (LinkId, Vec<LinkAction>) {
        self.link_with_hash(puppet, role, HASH)
    }

    pub(crate) fn link_with_hash(
        &mut self,
        puppet: &Puppet,
        role: Role,
        handshake_hash: [u8; 64],
    ) -> (LinkId, Vec<LinkAction>) {
        let address = SocketAddr::from(([192, 0, 2, 7], 45454));
        self.link_at(puppet, role, handshake_hash, address)
    }

    /// A puppet at this address is linked.
    pub(crate) fn link_from(&mut self, puppet: &Puppet, address: IpAddr) -> LinkId {
        self.link_at(puppet, Role::Responder, HASH, SocketAddr::new(address, 45454)).0
    }

    fn link_at(
        &mut self,
        puppet: &Puppet,
        role: Role,
        handshake_hash: [u8; 64],
        address: SocketAddr,
    ) -> (LinkId, Vec<LinkAction>) {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let peer = PeerAuth {
            identity: puppet.identity.public(),
            device_id: puppet.device_id,
            instance_id: puppet.instance_id,
        };
        let up = Input::LinkUp { link, role, peer, handshake_hash, address };
        (link, self.feed(up))
    }

    pub(crate) fn frame(&mut self, link: LinkId, frame: Frame) -> Vec<LinkAction> {
        self.feed(Input::Frame { link, frame })
    }

    pub(crate) fn add(&mut self, puppet: &Puppet) -> Vec<LinkAction> {
        let identity = puppet.identity.public();
        let (name, text) = ("puppet".into(), String::new());
        let add = Command::AddContact { identity, name, invite: None, text };
        let (outcome, actions) = self.person.command(add, self.now);
        outcome.expect("a new contact");
        actions
    }

    /// A contact who is linked, has shown everything and has pulled.
    pub(crate) fn with_contact(puppet: &Puppet) -> (Self, LinkId) {
        let mut stage = Self::new();
        stage.add(puppet);
        let link = stage.introduce(puppet);
        (stage, link)
    }

    /// Links a puppet and says everything that comes first.
    pub(crate) fn introduce(&mut self, puppet: &Puppet) -> LinkId {
        let (link, _) = self.link(puppet, Role::Responder);
        self.frame(link, puppet.proofs(Role::Initiator));
        self.frame(link, puppet.hello());
        self.frame(link, puppet.card_frame(START_MS));
        self.frame(link, Frame::Pull);
        link
    }

    pub(crate) fn send_text(&mut self, to: &Puppet, text: &str) -> Vec<LinkAction> {
        let command = Command::SendText { to: to.identity.public(), text: text.to_owned() };
        let (outcome, actions) = self.person.command(command, self.now);
        outcome.expect("a text that can be sent");
        actions
    }

    /// Hands an envelope over and returns the one acknowledgement.
    pub(crate) fn hand_over(&mut self, link: LinkId, envelope: &[u8]) -> Ack {
        let envelope = EnvelopeBytes::try_from(envelope).expect("within the limit");
        let msg = Msg { ttl: 0, stamp: StampBytes::default(), envelope };
        let actions = self.frame(link, Frame::Msg(msg));
        let acks: Vec<Ack> = frames(&actions)
            .filter_map(|frame| match frame {
                Frame::Ack(ack) => Some(*ack),
                _ => None,
            })
            .collect();
        assert_eq!(acks.len(), 1, "one Msg, one Ack: {actions:?}");
        acks[0]
    }
}

impl Puppet {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Seeded::new(seed ^ 0xbeef << 32);
        Self {
            identity: IdentitySecret::from_seed(random.bytes()),
            intro: MailboxSecret::from_seed(random.bytes()),
            contact: MailboxSecret::from_seed(random.bytes()),
            sealing: SealingSecret::from_seed(random.bytes()),
            instance_id: InstanceId::from_bytes(random.bytes()),
            device_id: DeviceId::from_bytes(random.bytes()),
            store_id: StoreId::from_bytes(random.bytes()),
            not_before: UnixMillis(START_MS - 1000),
            random,
        }
    }

    pub(crate) fn proofs(&self, role: Role) -> Frame {
        proofs_of([&self.intro, &self.contact], role)
    }

    pub(crate) fn hello(&self) -> Frame {
        self.hello_at(UnixMillis(START_MS), 256)
    }

    pub(crate) fn hello_at(&self, now: UnixMillis, unacked_max: u16) -> Frame {
        Frame::Hello(Hello {
            features: FeatureBytes::default(),
            store_id: self.store_id,
            now,
            your_card_seq: 0,
            my_card_seq: START_MS,
            unacked_max: unacked_max.try_into().expect("not zero"),
        })
    }

    pub(crate) fn card(&self, seq: u64, contact: bool) -> Card {
        self.card_of(seq, contact.then(Vec::new))
    }

    pub(crate) fn card_with_relays(&self, seq: u64, relays: Vec<RelayAddress>) -> Card {
        self.card_of(seq, Some(relays))
    }

    /// A card for contacts if it names relays, and be it none.
    fn card_of(&self, seq: u64, relays: Option<Vec<RelayAddress>>) -> Card {
        let contact = relays.is_some();
        let device_id = self.device_id;
        let public = self.sealing.public().as_bytes().try_into().expect("1,216 bytes");
        let draft = CardDraft {
            device_id,
            seq,
            name: "the puppet".into(),
            sealing_keys: vec![SealingKeyEntry {
                device_id,
                not_before: self.not_before,
                not_after: UnixMillis(self.not_before.0 + 4 * WEEK_MS),
                public: Box::new(public),
            }],
            contact: relays.map(|relays| ContactPart {
                deposit_key: [1; 32],
                read_key: [2; 32],
                relays,
                onion: None,
            }),
            features: Vec::new(),
            ext: Vec::new(),
        };
        let signer = |kind, secret| MailboxSigner { kind, device_id, secret };
        let mut mailboxes = vec![signer(MailboxKind::Intro, &self.intro)];
        if contact {
            mailboxes.push(signer(MailboxKind::Contact, &self.contact));
        }
        Card::sign(draft, &self.identity, &mailboxes).expect("a well-formed card")
    }

    pub(crate) fn card_frame(&self, seq: u64) -> Frame {
        as_frame(&self.card(seq, true))
    }

    /// A text of this puppet, sealed to the person under test.
    pub(crate) fn text(&mut self, to: &Person, text: &str) -> SignedMessage {
        self.message(to.identity(), Body::Text(text.to_owned()))
    }

    pub(crate) fn message(&mut self, audience: IdentityKey, body: Body) -> SignedMessage {
        self.message_at(audience, body, UnixMillis(START_MS))
    }

    fn message_at(
        &mut self,
        audience: IdentityKey,
        body: Body,
        sent_at: UnixMillis,
    ) -> SignedMessage {
        let visible = body.is_user_visible();
        let draft = Draft {
            audience,
            device_id: self.device_id,
            nonce: Nonce::from_bytes(self.random.bytes()),
            sent_at,
            chain_id: ChainId::from_bytes(if visible { [3; 8] } else { [0; 8] }),
            counter: u64::from(visible),
            body,
        };
        SignedMessage::sign(&self.identity, draft).expect("a message that fits")
    }

    pub(crate) fn seal(&mut self, to: &Person, message: &SignedMessage) -> Envelope {
        let key = to.keyring.sealing[0].secret.public();
        self.seal_to(to, message, key, UnixMillis(START_MS + WEEK_MS))
    }

    pub(crate) fn seal_to(
        &mut self,
        to: &Person,
        message: &SignedMessage,
        key: &SealingPublic,
        expires_at: UnixMillis,
    ) -> Envelope {
        let recipient = Recipient { mailbox: to.keyring.contact_mailbox.public(), key };
        seal(message, &recipient, expires_at, &mut self.random).expect("a good key").envelope
    }

    /// What an envelope for this puppet says.
    pub(crate) fn open(&self, msg: &Msg) -> Body {
        let envelope = Envelope::parse(msg.envelope.to_vec()).expect("an envelope");
        let opened = open(&envelope, &self.sealing, &self.identity.public());
        opened.expect("for the puppet").body().clone()
    }

    /// A request to be a contact, with the puppet's contact card.
    pub(crate) fn request(&mut self, to: &Person, text: &str, sent_at: u64) -> SignedMessage {
        let card = self.card(START_MS, true).into_bytes();
        let body = Body::ContactRequest { card, text: text.to_owned() };
        self.message_at(to.identity(), body, UnixMillis(sent_at))
    }

    /// Sealed for the mailbox that everybody may write to.
    pub(crate) fn seal_for_intro(&mut self, to: &Person, message: &SignedMessage) -> Envelope {
        let mailbox = to.keyring.intro_mailbox.public();
        let recipient = Recipient { mailbox, key: to.keyring.sealing[0].secret.public() };
        let expires_at = UnixMillis(START_MS + WEEK_MS);
        seal(message, &recipient, expires_at, &mut self.random).expect("a good key").envelope
    }
}

pub(crate) fn proofs_of<'a>(
    secrets: impl IntoIterator<Item = &'a MailboxSecret>,
    role: Role,
) -> Frame {
    let proof = |secret: &MailboxSecret| MailboxProof {
        mailbox: secret.public(),
        signature: *mailbox_proof::sign(secret, role, &HASH).as_bytes(),
    };
    let proofs = secrets.into_iter().map(proof).collect();
    Frame::Mailboxes(Mailboxes::new(proofs).expect("one to sixteen proofs"))
}

pub(crate) fn msg(envelope: &Envelope) -> Frame {
    let envelope = EnvelopeBytes::from(envelope);
    Frame::Msg(Msg { ttl: 0, stamp: StampBytes::default(), envelope })
}

pub(crate) fn as_frame(card: &Card) -> Frame {
    let card = CardBytes::try_from(card.as_bytes()).expect("within the limit");
    Frame::Card(tortalk_wire::Card { card })
}

pub(crate) fn frames(actions: &[LinkAction]) -> impl Iterator<Item = &Frame> {
    actions.iter().filter_map(|action| match action {
        LinkAction::Send(_, frame) => Some(frame),
        _ => None,
    })
}

/// The envelopes handed over among these actions.
pub(crate) fn handed(actions: &[LinkAction]) -> Vec<(Msg, EnvelopeId)> {
    let msgs = frames(actions).filter_map(|frame| match frame {
        Frame::Msg(msg) => Some((msg.clone(), Envelope::id_of(msg.envelope.as_slice()))),
        _ => None,
    });
    msgs.collect()
}

pub(crate) fn closed(actions: &[LinkAction], link: LinkId) -> Option<ByeReason> {
    actions.iter().find_map(|action| match action {
        LinkAction::Close(id, reason) if *id == link => Some(*reason),
        _ => None,
    })
}

pub(crate) fn dropped(actions: &[LinkAction], link: LinkId) -> bool {
    actions.contains(&LinkAction::Drop(link))
}

pub(crate) fn ack(id: EnvelopeId, result: AckResult) -> Frame {
    Frame::Ack(Ack { id, result, retry_after_s: 0, now: UnixMillis(START_MS) })
}

pub(crate) const fn refused(reason: RefusalReason) -> AckResult {
    AckResult::Refused(reason)
}
