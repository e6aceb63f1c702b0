//! Who takes part, and what they do: the real machines, fed with fixed seeds.

use std::sync::Arc;
use std::time::Duration;

use tortalk_keys::{IdentitySecret, MailboxSecret};
use tortalk_link::{Link, LinkEvent, LinkSelf};
use tortalk_mesh::{DeliveryState, Evidence, OutgoingMessage};
use tortalk_model::{
    ChainId, DeviceId, Envelope, IdentityKey, InstanceId, MonoMillis, Nonce, UnixMillis,
};
use tortalk_seal::{
    Body, Draft, OpenedMessage, ReceiptEntry, ReceiptKind, Recipient, Sealed, SealingSecret,
    SignedMessage, open, seal,
};
use tortalk_testkit::Seeded;
use tortalk_wire::{Ack, AckResult, Frame, Msg};

pub(crate) const TEXT: &str = "Meet me at the harbour at nine.";
/// 2026-09-21T14:13:20Z.
pub(crate) const SENT_AT: UnixMillis = UnixMillis(1_790_000_000_000);
/// A quarter of a second later, by Bob's clock.
pub(crate) const TAKEN_AT: UnixMillis = UnixMillis(SENT_AT.0 + 250);
const LIFE: Duration = Duration::from_secs(14 * 24 * 3600);
const START: MonoMillis = MonoMillis(0);

/// Somebody with all their keys.
pub(crate) struct Person {
    pub(crate) identity: Arc<IdentitySecret>,
    pub(crate) mailbox: MailboxSecret,
    pub(crate) sealing: SealingSecret,
    pub(crate) device_id: DeviceId,
    /// All that this person draws at random.
    random: Seeded,
}

impl Person {
    /// All keys of a person from one byte.
    pub(crate) fn new(n: u8) -> Self {
        Self {
            identity: Arc::new(IdentitySecret::from_seed([n; 32])),
            mailbox: MailboxSecret::from_seed([n + 1; 32]),
            sealing: SealingSecret::from_seed([n + 2; 32]),
            device_id: DeviceId::from_bytes([n + 3; 8]),
            random: Seeded::new(u64::from(n)),
        }
    }

    pub(crate) fn key(&self) -> IdentityKey {
        self.identity.public()
    }

    fn on_link(&self) -> LinkSelf {
        LinkSelf {
            identity: Arc::clone(&self.identity),
            device_id: self.device_id,
            instance_id: InstanceId::from_bytes([self.device_id.as_bytes()[0]; 16]),
        }
    }

    fn sign(&self, to: &Self, body: Body, fill: u8) -> SignedMessage {
        // Only what people see has a place in a chain.
        let place = u8::from(body.is_user_visible());
        let draft = Draft {
            audience: to.key(),
            device_id: self.device_id,
            nonce: Nonce::from_bytes([fill; 16]),
            sent_at: if place == 1 { SENT_AT } else { TAKEN_AT },
            chain_id: ChainId::from_bytes([0xc1 * place; 8]),
            counter: u64::from(place),
            body,
        };
        SignedMessage::sign(&self.identity, draft).expect("a message that fits")
    }

    fn seal(&mut self, message: &SignedMessage, to: &Self) -> Sealed {
        let recipient = Recipient { mailbox: to.mailbox.public(), key: to.sealing.public() };
        let expires_at = message.fields().sent_at.saturating_add(LIFE);
        seal(message, &recipient, expires_at, &mut self.random).expect("a good key")
    }

    fn open(&self, envelope: &Envelope) -> OpenedMessage {
        open(envelope, &self.sealing, &self.key()).expect("sealed to this key")
    }
}

/// Everything that came to be on the way.
pub(crate) struct Journey {
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    /// Alice's text.
    pub(crate) message: SignedMessage,
    pub(crate) sealed: Sealed,
    /// What the two connections say until the link is up: from Alice, from Bob, …
    pub(crate) handshake: [Vec<u8>; 4],
    pub(crate) msg: Frame,
    pub(crate) msg_record: Vec<u8>,
    pub(crate) opened: OpenedMessage,
    pub(crate) ack: Frame,
    pub(crate) ack_record: Vec<u8>,
    pub(crate) receipt: SignedMessage,
    pub(crate) receipt_sealed: Sealed,
    pub(crate) receipt_record: Vec<u8>,
    /// What Alice's program shows: written, acknowledged, confirmed.
    pub(crate) states: [DeliveryState; 3],
}

/// Everything happens, layer by layer.
pub(crate) fn travel() -> Journey {
    let (mut alice, mut bob) = (Person::new(0x0a), Person::new(0xb0));
    let message = alice.sign(&bob, Body::Text(TEXT.to_owned()), 0x11);
    let sealed = alice.seal(&message, &bob);
    let mut outgoing = stored(&message, &sealed, &bob);
    let queued = DeliveryState::of(&outgoing);

    let (mut here, mut there, handshake) = connect(&mut alice, &mut bob);
    let msg = msg_to_recipient(&sealed.envelope);
    let msg_record = send(&mut here, &msg);

    // Bob's end believes nothing: frame, envelope and seal are read anew.
    let came = receive(&mut there, &msg_record);
    assert_eq!(came, msg);
    let Frame::Msg(Msg { envelope, .. }) = came else { panic!("a Msg was sent") };
    let envelope = Envelope::parse(envelope.as_slice().to_vec()).expect("an envelope");
    let opened = bob.open(&envelope);
    assert_eq!(opened.sender(), alice.key());

    let (id, result) = (envelope.id(), AckResult::Stored);
    let ack = Frame::Ack(Ack { id, result, retry_after_s: 0, now: TAKEN_AT });
    let ack_record = send(&mut there, &ack);
    assert_eq!(receive(&mut here, &ack_record), ack);
    outgoing.evidence.push(Evidence::Handed { peer: bob.key(), at: TAKEN_AT });
    let handed = DeliveryState::of(&outgoing);

    let entry = ReceiptEntry {
        message_id: opened.message_id(),
        signed_hash: opened.signed_hash(),
        kind: ReceiptKind::Delivered,
    };
    let receipt = bob.sign(&alice, Body::Receipt(vec![entry]), 0x22);
    let receipt_sealed = bob.seal(&receipt, &alice);
    let receipt_record = send(&mut there, &msg_to_recipient(&receipt_sealed.envelope));
    let Frame::Msg(Msg { envelope, .. }) = receive(&mut here, &receipt_record) else {
        panic!("a Msg was sent")
    };
    let envelope = Envelope::parse(envelope.as_slice().to_vec()).expect("an envelope");
    let confirmed = alice.open(&envelope);
    assert_eq!(confirmed.sender(), bob.key());
    let Body::Receipt(entries) = confirmed.body() else { panic!("a receipt was sent") };
    assert!(message.is_named(&entries[0].message_id, &entries[0].signed_hash));
    let (kind, at) = (entries[0].kind, TAKEN_AT);
    outgoing.evidence.push(Evidence::Receipt { kind, at, proof: receipt.bytes().to_vec() });
    let delivered = DeliveryState::of(&outgoing);

    Journey {
        alice,
        bob,
        message,
        sealed,
        handshake,
        msg,
        msg_record,
        opened,
        ack,
        ack_record,
        receipt,
        receipt_sealed,
        receipt_record,
        states: [queued, handed, delivered],
    }
}

/// What Alice's store keeps of the message.
fn stored(message: &SignedMessage, sealed: &Sealed, to: &Person) -> OutgoingMessage {
    OutgoingMessage {
        message_id: message.message_id(),
        contact: to.key(),
        signed: message.bytes().to_vec(),
        signature: *message.signature().as_bytes(),
        body_type: message.fields().body.body_type(),
        counter: message.fields().counter,
        text: TEXT.to_owned(),
        written_at: SENT_AT,
        envelope_id: Some(sealed.envelope.id()),
        attempts: 0,
        next_try: None,
        evidence: Vec::new(),
    }
}

fn msg_to_recipient(envelope: &Envelope) -> Frame {
    // To the recipient itself there is nothing to spread and nothing to prove.
    let stamp = [][..].try_into().expect("a stamp may be empty");
    Frame::Msg(Msg { ttl: 0, stamp, envelope: envelope.into() })
}

/// Two ends that know each other, and what they said for that.
fn connect(alice: &mut Person, bob: &mut Person) -> (Link, Link, [Vec<u8>; 4]) {
    let mut here = Link::initiator(alice.on_link(), START, &mut alice.random);
    let mut there = Link::responder(bob.on_link(), START, &mut bob.random);
    let first = here.take_output();
    there.receive(&first, START).expect("an honest end");
    let second = there.take_output();
    here.receive(&second, START).expect("an honest end");
    let third = here.take_output();
    there.receive(&third, START).expect("an honest end");
    there.admit();
    let fourth = there.take_output();
    here.receive(&fourth, START).expect("an honest end");
    here.admit();
    for (link, peer) in [(&mut here, &*bob), (&mut there, &*alice)] {
        let Some(LinkEvent::Authenticated(proved)) = link.next_event() else {
            panic!("both are authenticated")
        };
        assert_eq!(proved.identity, peer.key());
    }
    (here, there, [first, second, third, fourth])
}

fn send(link: &mut Link, frame: &Frame) -> Vec<u8> {
    link.send(frame);
    link.take_output()
}

fn receive(link: &mut Link, record: &[u8]) -> Frame {
    link.receive(record, START).expect("an honest end");
    match link.next_event() {
        Some(LinkEvent::Frame(frame)) => frame,
        other => panic!("{other:?} is no frame"),
    }
}
