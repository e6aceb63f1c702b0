//! Peers without a machine: they have keys and say what the fuzzer wants.

use tortalk_keys::card::{
    Card, CardDraft, ContactPart, MailboxKind, MailboxSigner, SealingKeyEntry,
};
use tortalk_keys::invite::Invite;
use tortalk_keys::link_auth::Role;
use tortalk_keys::relay::{RelayAddress, RelayHost};
use tortalk_keys::{IdentitySecret, MailboxSecret, RelaySecret, mailbox_proof};
use tortalk_mesh::PeerAuth;
use tortalk_model::entropy::Entropy;
use tortalk_model::{ChainId, DeviceId, IdentityKey, InstanceId, Nonce, UnixMillis};
use tortalk_seal::{Body, Draft, SealingSecret, SignedMessage};
use tortalk_sim::dice::Dice;
use tortalk_wire::{CardBytes, Frame, MailboxProof, Mailboxes};

use super::stage::{DAY, START};

/// What mailbox proofs sign on every link.
pub(super) const HASH: [u8; 64] = [0x5a; 64];

/// Somebody.
pub(super) struct Puppet {
    pub(super) identity: IdentitySecret,
    pub(super) intro: MailboxSecret,
    pub(super) contact: MailboxSecret,
    pub(super) sealing: SealingSecret,
    number: u8,
}

impl Puppet {
    pub(super) fn new(number: u8) -> Self {
        let mut dice = Dice::new(u64::from(number) + 77);
        Self {
            identity: IdentitySecret::from_seed(dice.bytes()),
            intro: MailboxSecret::from_seed(dice.bytes()),
            contact: MailboxSecret::from_seed(dice.bytes()),
            sealing: SealingSecret::from_seed(dice.bytes()),
            number,
        }
    }

    pub(super) fn key(&self) -> IdentityKey {
        self.identity.public()
    }

    pub(super) const fn device_id(&self) -> DeviceId {
        DeviceId::from_bytes([self.number; 8])
    }

    pub(super) fn auth(&self) -> PeerAuth {
        PeerAuth {
            identity: self.key(),
            device_id: self.device_id(),
            instance_id: InstanceId::from_bytes([self.number; 16]),
        }
    }

    /// Proofs for its own mailboxes, or such as hold nowhere.
    pub(super) fn proofs(&self, theirs: Role, own: bool) -> Frame {
        let hash = if own { HASH } else { [0; 64] };
        let proof = |secret: &MailboxSecret| MailboxProof {
            mailbox: secret.public(),
            signature: *mailbox_proof::sign(secret, theirs, &hash).as_bytes(),
        };
        let proofs = vec![proof(&self.intro), proof(&self.contact)];
        Frame::Mailboxes(Mailboxes::new(proofs).expect("two proofs"))
    }

    pub(super) fn card(&self, seq: u8, contact: bool, relays: bool) -> Card {
        let device_id = self.device_id();
        let public = self.sealing.public().as_bytes().try_into().expect("1,216 bytes");
        let part = ContactPart {
            deposit_key: [self.number; 32],
            read_key: [2; 32],
            relays: if relays { vec![relay()] } else { Vec::new() },
            onion: None,
        };
        let draft = CardDraft {
            device_id,
            // The highest is ahead of every clock.
            seq: START.0 + u64::from(seq) * DAY / 8,
            name: format!("p{}", self.number),
            sealing_keys: vec![SealingKeyEntry {
                device_id,
                not_before: UnixMillis(START.0 - DAY),
                not_after: UnixMillis(START.0 + 27 * DAY),
                public: Box::new(public),
            }],
            contact: contact.then_some(part),
            features: Vec::new(),
            ext: Vec::new(),
        };
        let signer = |kind, secret| MailboxSigner { kind, device_id, secret };
        let both =
            [signer(MailboxKind::Intro, &self.intro), signer(MailboxKind::Contact, &self.contact)];
        let mailboxes = if contact { &both[..] } else { &both[..1] };
        Card::sign(draft, &self.identity, mailboxes).expect("a well-formed card")
    }

    pub(super) fn invite(&self) -> Vec<u8> {
        let invite = Invite::Full {
            identity: self.key(),
            intro_mailbox: self.intro.public(),
            read_key: [3; 32],
            relays: vec![relay()],
        };
        invite.to_bytes()
    }

    /// A message with these names in its chain; equal arguments make an equal one.
    pub(super) fn message(
        &self,
        audience: IdentityKey,
        body: Body,
        (chain, counter, salt): (u8, u8, u8),
    ) -> Option<SignedMessage> {
        let visible = body.is_user_visible();
        let draft = Draft {
            audience,
            device_id: self.device_id(),
            nonce: Nonce::from_bytes([salt; 16]),
            sent_at: START,
            chain_id: ChainId::from_bytes(if visible { [1 + chain % 3; 8] } else { [0; 8] }),
            counter: if visible { counter.into() } else { 0 },
            body,
        };
        SignedMessage::sign(&self.identity, draft).ok()
    }
}

pub(super) fn card_frame(card: &Card) -> Frame {
    let card = CardBytes::try_from(card.as_bytes()).expect("within the limit");
    Frame::Card(tortalk_wire::Card { card })
}

pub(super) fn relay_secret() -> RelaySecret {
    RelaySecret::from_seed([0x33; 32])
}

pub(super) fn relay() -> RelayAddress {
    thread_local! {
        static RELAY: RelayAddress = {
            let host = RelayHost::Name("relay.example".to_owned());
            RelayAddress::new(host, 443, relay_secret().public()).expect("an address")
        };
    }
    RELAY.with(Clone::clone)
}
