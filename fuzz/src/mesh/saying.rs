//! What peers, the user and a relay say on the stage.

use tortalk_keys::link_auth::Role;
use tortalk_keys::relay_proof::{card_drop, receipt};
use tortalk_mesh::relay::{
    CardDrop, CardPutResult, DepositRefusal, PullEnd, RelayDown, StorageReceipt,
};
use tortalk_mesh::{Command, Input, Read as _, RelayInput, RequestId, Visibility};
use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::{SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_model::{
    ChainId, Envelope, EnvelopeHeader, EnvelopeId, Epoch, KeyId, MailboxKey, MessageId, PurgeKey,
    SignedHash, StoreId, UnixMillis,
};
use tortalk_seal::{
    Body, BodyType, ReceiptEntry, ReceiptKind, Recipient, ResendRequest, SignedMessage, seal,
};
use tortalk_sim::dice::Dice;
use tortalk_wire::{
    Ack, AckResult, Bye, ByeReason, Entries, EnvelopeBytes, FeatureBytes, Frame, FrameType, Hello,
    Msg, Push, RefusalReason, StampBytes,
};

use super::puppet::{card_frame, relay, relay_secret};
use super::stage::{DAY, PUPPETS, START, Stage, keyring};
use super::{RelaySaying, Saying, Telling, Wish};
use crate::wire;

impl Stage {
    /// The frame that a peer says; `role` is the peer's.
    pub(super) fn frame(&mut self, who: usize, role: Role, what: Saying) -> Option<Frame> {
        Some(match what {
            Saying::Proofs { own } => self.puppets[who].proofs(role, own),
            Saying::Hello { half_hours, unacked, seen_seq, own_seq, store } => {
                Frame::Hello(Hello {
                    features: FeatureBytes::default(),
                    store_id: StoreId::from_bytes([store; 16]),
                    now: self.shifted(half_hours),
                    your_card_seq: u64::from(seen_seq) * START.0 / 128,
                    my_card_seq: START.0 + u64::from(own_seq) * DAY / 8,
                    unacked_max: unacked.max(1).try_into().ok()?,
                })
            }
            Saying::Card { seq, contact, of, relays } => {
                card_frame(&self.puppet(of).card(seq, contact, relays))
            }
            Saying::Pull => Frame::Pull,
            Saying::Push { count } => Frame::Push(Push { count }),
            Saying::End => Frame::End,
            Saying::Bye { reason } => Frame::Bye(Bye {
                reason: match reason % 3 {
                    0 => ByeReason::Duplicate,
                    1 => ByeReason::Shutdown,
                    _ => ByeReason::Policy,
                },
            }),
            Saying::Message { body, from, intro, ttl, days, spoilt } => {
                let envelope = self.sealed(body, from, intro, days, spoilt)?;
                self.msg(envelope, ttl)
            }
            Saying::Again { nth, ttl } => {
                let at = usize::from(nth).checked_rem(self.said.len())?;
                Frame::Msg(Msg { ttl, ..self.said[at].clone() })
            }
            Saying::Carried { to, ttl, days, salt } => {
                let envelope = self.foreign(to, days, salt)?;
                self.msg(envelope, ttl)
            }
            Saying::Ack { nth, result, retry_s, half_hours } => Frame::Ack(Ack {
                id: self.handed_id(nth),
                result: ack_result(result),
                retry_after_s: retry_s.into(),
                now: self.shifted(half_hours),
            }),
            Saying::Have { nths } => Frame::Have(Entries::new(self.ids(nths)).ok()?),
            Saying::Want { nths } => Frame::Want(Entries::new(self.ids(nths)).ok()?),
            Saying::Purge { nths } => {
                let keys = nths.map(|salt| PurgeKey::from_bytes([salt % 8; 32])).to_vec();
                Frame::Purge(Entries::new(keys).ok()?)
            }
            Saying::Raw { kind, body } => {
                let (kind, _) = FrameType::ALL[usize::from(kind) % FrameType::ALL.len()];
                let length = u32::try_from(body.len() + 2).ok()?.to_be_bytes();
                let bytes = [&length[..], &kind.0.to_be_bytes(), &body].concat();
                let (frames, _) = wire::decode(&[&bytes]);
                let own = [FrameType::AUTH, FrameType::PING, FrameType::PONG];
                frames.into_iter().find(|frame| !own.contains(&frame.frame_type()))?
            }
        })
    }

    /// What the user wants, of or with one of the puppets.
    pub(super) fn wish(&mut self, who: usize, what: Wish) {
        let identity = self.puppets[who].key();
        let name = || format!("p{who}");
        let command = match what {
            Wish::Write { len } => {
                let text = format!("{} {}", self.requests, ".".repeat(usize::from(len)));
                Command::SendText { to: identity, text }
            }
            Wish::Add { invite, len } => {
                let invite = invite.then(|| self.puppets[who].invite());
                let text = "?".repeat(usize::from(len) * 5);
                Command::AddContact { identity, name: name(), invite, text }
            }
            Wish::Accept => Command::AcceptRequest { identity, name: name() },
            Wish::Decline => Command::DeclineRequest { identity },
            Wish::Import { seq } => {
                let card = self.puppets[who].card(seq, true, seq % 2 == 1).into_bytes();
                Command::ImportCard { card, name: name() }
            }
            Wish::Rename { name } => Command::Rename { identity, name },
            Wish::Block { blocked } => Command::SetBlocked { identity, blocked },
            Wish::Verify { verified } => Command::SetVerified { identity, verified },
            Wish::Remove => return self.remove(who),
            Wish::OwnName { name } => Command::SetOwnName { name },
            Wish::Visibility { nth } => Command::SetVisibility(match nth % 3 {
                0 => Visibility::Everyone,
                1 => Visibility::Contacts,
                _ => Visibility::Nobody,
            }),
            Wish::Read { nth } => {
                let at = usize::from(nth).checked_rem(self.received.len());
                let known = at.map(|at| self.received[at]);
                let message_id = known.unwrap_or(MessageId::from_bytes([nth; 32]));
                Command::MarkRead { message_id }
            }
            Wish::Cancel { nth } => Command::Cancel { message_id: self.written_id(nth) },
        };
        let request = self.next_request();
        self.feed(vec![Input::Command(request, command)]);
    }

    /// Who is removed knows the secrets for contacts, so there are others then.
    fn remove(&mut self, who: usize) {
        let command = Command::RemoveContact { identity: self.puppets[who].key() };
        self.removals = self.removals.wrapping_add(1);
        self.keyring = keyring(self.store.store_id(), self.removals);
        let request = self.next_request();
        let changed = Input::KeyringChanged(self.keyring.clone());
        self.feed(vec![Input::Command(request, command), changed]);
    }

    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    pub(super) fn relay_input(&mut self, what: RelaySaying) -> Option<RelayInput> {
        if !self.relay_wanted {
            return None;
        }
        let relay = relay().key();
        let mailboxes = [&self.keyring.contact_mailbox, &self.keyring.intro_mailbox];
        let own = |own: bool| mailboxes[usize::from(own)].public();
        Some(match what {
            RelaySaying::Up { half_hours, epoch } => {
                let (now, epoch) = (self.shifted(half_hours), Epoch::from_bytes([epoch % 2; 16]));
                RelayInput::Up { relay, now, epoch }
            }
            RelaySaying::Down { why } => {
                let why = [RelayDown::Unreachable, RelayDown::OtherKey][usize::from(why % 2)];
                RelayInput::Down { relay, why }
            }
            RelaySaying::Challenged { own: intro } => {
                RelayInput::Challenged { relay, mailbox: own(intro), challenge: [7; 32] }
            }
            RelaySaying::Opened { own: intro, days } => {
                let registered_until = UnixMillis(self.now.wall.0 + u64::from(days) * DAY);
                RelayInput::PullOpened { relay, mailbox: own(intro), registered_until }
            }
            RelaySaying::Pulled { seq, nth } => {
                let at = usize::from(nth).checked_rem(self.said.len())?;
                let envelope = self.said[at].envelope.to_vec();
                let mailbox = own(seq % 2 == 1);
                RelayInput::Pulled { relay, mailbox, seq: seq.into(), envelope }
            }
            RelaySaying::Ended { why } => {
                let reasons = [PullEnd::Superseded, PullEnd::NoPlace, PullEnd::Again];
                let why = reasons[usize::from(why) % 3];
                RelayInput::PullEnded { relay, mailbox: own(false), why }
            }
            RelaySaying::Stored { nth, genuine, days } => {
                let ids = vec![self.handed_id(nth)];
                let store_until = UnixMillis(self.now.wall.0 + u64::from(days) * DAY);
                let time = self.now.wall;
                let claim = receipt::ReceiptClaim { time, store_until, ids: &ids };
                let mut signature = *receipt::sign(&relay_secret(), &claim).as_bytes();
                if genuine {
                    self.at_relay.extend(&ids);
                } else {
                    signature[0] ^= 1;
                }
                let receipt = StorageReceipt { time, store_until, ids, signature };
                RelayInput::Stored { relay, receipt }
            }
            RelaySaying::Refused { nth, reason, retry_s, half_hours } => RelayInput::Refused {
                relay,
                envelope_id: self.handed_id(nth),
                reason: match reason % 5 {
                    0 => DepositRefusal::Malformed,
                    1 => DepositRefusal::Expiry,
                    2 => DepositRefusal::Busy,
                    3 => DepositRefusal::NoRoom,
                    _ => DepositRefusal::Full,
                },
                retry_after_s: retry_s,
                now: self.shifted(half_hours),
            },
            RelaySaying::CardPut { result, seq } => RelayInput::CardPut {
                relay,
                mailbox: own(seq % 2 == 1),
                result: match result % 3 {
                    0 => CardPutResult::Stored,
                    1 => CardPutResult::Old { seq },
                    _ => CardPutResult::Unregistered,
                },
            },
            RelaySaying::CardFound { of, seq, genuine } => {
                let puppet = self.puppet(of);
                let card = puppet.card(seq, seq % 2 == 1, false);
                let read_key = [if seq % 2 == 1 { 2 } else { 3 }; 32];
                let secret = if seq % 2 == 1 { &puppet.contact } else { &puppet.intro };
                let mailbox = secret.public();
                let blob = tortalk_seal::card_drop::seal(
                    &card,
                    &mailbox,
                    &read_key,
                    &mut Dice::new(seq.into()),
                );
                let mut signature = *card_drop::sign(secret, card.seq(), &blob).as_bytes();
                signature[0] ^= u8::from(!genuine);
                let drop = Some(CardDrop { seq: card.seq(), blob, signature });
                RelayInput::CardFound { relay, mailbox, drop }
            }
        })
    }

    /// An envelope for us with a message of a puppet in it.
    fn sealed(
        &mut self,
        body: Telling,
        from: u8,
        intro: bool,
        days: u8,
        spoilt: bool,
    ) -> Option<Envelope> {
        let message = self.message(body, from)?;
        let mailboxes = [&self.keyring.contact_mailbox, &self.keyring.intro_mailbox];
        let mailbox = mailboxes[usize::from(intro)].public();
        let recipient = Recipient { mailbox, key: self.keyring.sealing[0].secret.public() };
        let expires_at = UnixMillis(START.0 + u64::from(days) * DAY / 8);
        let mut dice = Dice::new(u64::from(days) << 8 | u64::from(from));
        let envelope = seal(&message, &recipient, expires_at, &mut dice).ok()?.envelope;
        if !spoilt {
            return Some(envelope);
        }
        let mut bytes = envelope.into_bytes();
        *bytes.last_mut()? ^= 1;
        Envelope::parse(bytes).ok()
    }

    fn message(&mut self, body: Telling, from: u8) -> Option<SignedMessage> {
        let me = self.keyring.identity.public();
        let card = |of: u8, seq| self.puppet(of).card(seq, true, false).into_bytes();
        let (body, name) = match body {
            Telling::Text { counter, chain, salt } => {
                (Body::Text(format!("{counter} {salt}")), (chain, counter, salt))
            }
            Telling::Receipt { nth, read, right } => {
                let kind = if read { ReceiptKind::Read } else { ReceiptKind::Delivered };
                (self.receipt(nth, kind, right, from)?, (0, 0, nth ^ 0x80))
            }
            Telling::Request { len, seq } => {
                let text = "!".repeat(usize::from(len % 1025));
                (Body::ContactRequest { card: card(from, seq), text }, (0, 0, seq))
            }
            Telling::Accept { seq, of } => {
                let request = self.requested(from).unwrap_or(MessageId::from_bytes([seq; 32]));
                (Body::ContactAccept { request, card: card(of, seq) }, (0, 0, seq ^ 0x40))
            }
            Telling::Card { seq, of } => (Body::Card { card: card(of, seq) }, (0, 0, seq ^ 0x20)),
            Telling::Resend { from, to, own } => {
                let (from, to) = (from.min(to), from.max(to));
                let contacts = self.store.contacts().expect("a store that works");
                let chain = contacts.first().filter(|_| own).map(|contact| contact.chain_id);
                let chain_id = chain.unwrap_or(ChainId::from_bytes([1; 8]));
                (Body::ResendRequest(ResendRequest { chain_id, from, to }), (0, 0, to as u8))
            }
            Telling::Unknown { kind, bytes } => {
                let body_type = BodyType(kind);
                (Body::Unknown { body_type, bytes }, (0, kind as u8, kind as u8))
            }
        };
        self.puppet(from).message(me, body, name)
    }

    /// The request that the machine's user has sent to somebody.
    fn requested(&self, of: u8) -> Option<MessageId> {
        let contacts = self.store.contacts().expect("a store that works");
        let key = self.puppet(of).key();
        contacts.iter().find(|contact| contact.identity == key)?.requested
    }

    /// A receipt for something that was written; one that is right counts as
    /// evidence from now on.
    fn receipt(&mut self, nth: u8, kind: ReceiptKind, right: bool, from: u8) -> Option<Body> {
        let message_id = self.written_id(nth);
        let stored = self.store.outgoing(&message_id).expect("a store that works")?;
        let signature = tortalk_keys::Signature::from_bytes(stored.signature);
        let message = SignedMessage::from_stored(stored.signed, signature).expect("our own");
        let mut signed_hash = message.signed_hash();
        if right {
            self.receipted.insert((message_id, self.puppet(from).key()));
        } else {
            signed_hash = SignedHash::from_bytes([nth; 32]);
        }
        Some(Body::Receipt(vec![ReceiptEntry { message_id, signed_hash, kind }]))
    }

    /// An envelope that is not for us.
    fn foreign(&self, to: u8, days: u8, salt: u8) -> Option<Envelope> {
        let puppet = self.puppet(to);
        let mailbox = match to % 12 / PUPPETS as u8 {
            0 => puppet.contact.public(),
            1 => puppet.intro.public(),
            _ => MailboxKey::from_bytes([to; 32]),
        };
        let header = EnvelopeHeader {
            suite: SUITE_1,
            mailbox,
            key_id: KeyId::from_bytes([salt; 8]),
            expires_at: UnixMillis(START.0 + u64::from(days) * DAY / 8).ceil_to_hour(),
            purge_hash: purge_hash(&PurgeKey::from_bytes([salt % 8; 32])),
            ext: Vec::new(),
        };
        let sealed = vec![salt; SUITE_1_ENC_BYTES + 256 + SUITE_1_TAG_BYTES];
        Envelope::build(&header, &sealed).ok()
    }

    fn msg(&mut self, envelope: Envelope, ttl: u8) -> Frame {
        let (stamp, envelope) = (StampBytes::default(), EnvelopeBytes::from(&envelope));
        let msg = Msg { ttl, stamp, envelope };
        self.say_again_later(msg.clone());
        Frame::Msg(msg)
    }

    fn ids(&self, nths: [u8; 3]) -> Vec<EnvelopeId> {
        nths.map(|nth| self.any_id(nth)).to_vec()
    }

    /// Of what was handed over, or said.
    fn any_id(&self, nth: u8) -> EnvelopeId {
        let said = usize::from(nth / 2).checked_rem(self.said.len());
        match said.filter(|_| nth % 2 == 1) {
            Some(at) => Envelope::id_of(self.said[at].envelope.as_slice()),
            None => self.handed_id(nth / 2),
        }
    }
}

const fn ack_result(number: u8) -> AckResult {
    match number % 9 {
        0 | 1 => AckResult::Stored,
        2 => AckResult::Duplicate,
        3 => AckResult::Refused(RefusalReason::Expired),
        4 => AckResult::Refused(RefusalReason::NotForMe),
        5 => AckResult::Refused(RefusalReason::Quota),
        6 => AckResult::Refused(RefusalReason::Malformed),
        7 => AckResult::Refused(RefusalReason::Busy),
        _ => AckResult::Refused(RefusalReason::UnknownKey),
    }
}
