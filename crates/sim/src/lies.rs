//! Devices that lie about what they carry. Their machine is the real one; what
//! it writes and says is changed on its way out.

use std::collections::VecDeque;

use tortalk_mesh::{LinkAction, LinkId, Purpose, Read as _, Write};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::envelope::EnvelopeHeader;
use tortalk_model::limits::{SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_model::{Envelope, KeyId, MailboxKey, PurgeHash, UnixMillis};
use tortalk_store::Store;
use tortalk_wire::{EnvelopeBytes, Frame, Msg, StampBytes};

use crate::dice::Dice;
use crate::plan::Lie;
use crate::time::DAY;

/// What a replaying device keeps to say again.
const KEPT: usize = 16;
/// Envelopes of its own making that a device hands over on a new link.
const JUNK: (u64, u64) = (1, 40);
/// Now and then so many, which is more than one giver's part of a carry store.
const FLOOD: u64 = 700;
/// Whoever is closed on for it dials again: this is enough of it.
const GREETINGS_MAX: u32 = 60;
const TWISTS_MAX: u32 = 600;

/// How a device lies, and what it needs for that.
pub(crate) struct Liar {
    pub(crate) lie: Lie,
    said: VecDeque<Msg>,
    /// New links on which there is junk still.
    greetings: u32,
    /// What is said otherwise than it should be still.
    twists: u32,
    dice: Dice,
}

impl Liar {
    pub(crate) const fn new(lie: Lie, dice: Dice) -> Self {
        Self { lie, said: VecDeque::new(), greetings: GREETINGS_MAX, twists: TWISTS_MAX, dice }
    }

    /// Whether a write of its machine never reaches its store.
    pub(crate) fn drops(&self, write: &Write) -> bool {
        self.lie == Lie::Forgets && is_carrying(write)
    }

    /// What it does instead of what its machine wants.
    pub(crate) fn twist(&mut self, actions: Vec<LinkAction>, store: &Store) -> Vec<LinkAction> {
        let mut twisted = Vec::new();
        for action in actions {
            let LinkAction::Send(link, Frame::Msg(mut msg)) = action else {
                twisted.push(action);
                continue;
            };
            let id = Envelope::id_of(msg.envelope.as_slice());
            let held = store.envelope(&id).ok().flatten();
            let carried = held.is_some_and(|held| held.purpose == Purpose::Carried);
            if self.twists == 0 {
                twisted.push(LinkAction::Send(link, Frame::Msg(msg)));
                continue;
            }
            self.twists -= u32::from(carried || self.lie == Lie::Replays);
            match self.lie {
                Lie::Keeps if carried => continue,
                Lie::Corrupts if carried => msg = self.corrupted(&msg),
                Lie::Replays => self.again(link, &msg, &mut twisted),
                _ => {}
            }
            twisted.push(LinkAction::Send(link, Frame::Msg(msg)));
        }
        twisted
    }

    /// What it says unasked on a new link with somebody who has these mailboxes.
    pub(crate) fn greet(&mut self, link: LinkId, mailboxes: &[MailboxKey]) -> Vec<LinkAction> {
        if self.lie != Lie::Junk || self.greetings == 0 {
            return Vec::new();
        }
        self.greetings -= 1;
        let flood = self.dice.chance(100);
        let count = if flood { FLOOD } else { self.dice.between(JUNK.0..=JUNK.1) };
        (0..count)
            .filter_map(|_| self.junk(mailboxes))
            .map(|msg| LinkAction::Send(link, Frame::Msg(msg)))
            .collect()
    }

    fn corrupted(&mut self, msg: &Msg) -> Msg {
        let mut bytes = msg.envelope.as_slice().to_vec();
        let at = self.dice.index(bytes.len());
        bytes[at] ^= 1 << self.dice.below(8);
        let envelope = EnvelopeBytes::try_from(bytes).unwrap_or_else(|_| msg.envelope.clone());
        Msg { ttl: msg.ttl, stamp: msg.stamp.clone(), envelope }
    }

    fn again(&mut self, link: LinkId, msg: &Msg, out: &mut Vec<LinkAction>) {
        for _ in 0..self.dice.between(0..=2) {
            if let Some(old) = self.said.get(self.dice.index(self.said.len())) {
                out.push(LinkAction::Send(link, Frame::Msg(old.clone())));
            }
        }
        self.said.push_back(msg.clone());
        if self.said.len() > KEPT {
            self.said.pop_front();
        }
    }

    /// A well-formed envelope with nothing in it that opens.
    fn junk(&mut self, mailboxes: &[MailboxKey]) -> Option<Msg> {
        let dice = &mut self.dice;
        let known = !mailboxes.is_empty() && dice.chance(500);
        let mailbox =
            if known { *dice.pick(mailboxes) } else { MailboxKey::from_bytes(dice.bytes()) };
        let days = dice.between(1..=14);
        let header = EnvelopeHeader {
            suite: SUITE_1,
            mailbox,
            key_id: KeyId::from_bytes(dice.bytes()),
            expires_at: UnixMillis(crate::time::START.0 + days * DAY).ceil_to_hour(),
            purge_hash: PurgeHash::from_bytes(dice.bytes()),
            ext: Vec::new(),
        };
        let mut sealed = vec![0; SUITE_1_ENC_BYTES + 256 + SUITE_1_TAG_BYTES];
        dice.fill(&mut sealed);
        let envelope = Envelope::build(&header, &sealed).ok()?;
        let ttl = u8::try_from(dice.below(256)).unwrap_or(0);
        let stamp = StampBytes::default();
        Some(Msg { ttl, stamp, envelope: EnvelopeBytes::from(&envelope) })
    }
}

/// Whether a write keeps something for others.
pub(crate) fn is_carrying(write: &Write) -> bool {
    matches!(write, Write::PutEnvelope(held) if held.purpose == Purpose::Carried)
}
