//! A link on which the suite plays an accepted contact of a node.

use crate::case::{Ctx, unserved};
use crate::peer::{Ended, Link};
use crate::people::Person;
use crate::stack::card::Card;
use crate::stack::crypto::{Rng, public};
use crate::stack::envelope::{Envelope, HOUR_MS, envelope_id, key_id, purge_hash};
use crate::stack::frame::Frame;
use crate::stack::proofs::sign_mailbox;
use crate::stack::seal::{self, Encapsulation, Signed};
use crate::stack::{Taken, v1};
use crate::verdict::Verdict;

/// A session with the target, as one of its contacts.
#[derive(Debug)]
pub struct Session {
    /// Who the suite is.
    pub person: Person,
    /// The link.
    pub link: Box<Link>,
    /// The target's contact card.
    pub card: Card,
}

/// What stands first on every link: proofs, `Hello`, `Pull`, and our card.
pub async fn introduce(link: &mut Link, person: &Person, kind: u8, now: u64) {
    let hash = link.handshake_hash();
    let role = link.role;
    let proof = |seed: &[u8; 32]| v1::MailboxProof {
        mailbox: public(seed).to_vec(),
        signature: sign_mailbox(seed, role, &hash).to_vec(),
    };
    let mut proofs = vec![proof(&person.intro_seed)];
    if kind == 1 {
        proofs.push(proof(&person.contact_seed));
    }
    link.send(&Frame::Mailboxes(v1::Mailboxes { proofs })).await;
    link.send(&Frame::Hello(hello(person, now))).await;
    link.send(&Frame::Card(v1::Card { card: person.card_bytes(kind, now) })).await;
    link.send(&Frame::Pull(v1::Pull {})).await;
}

/// An honest `Hello`, by somebody who holds no card of the target.
#[must_use]
pub fn hello(person: &Person, now: u64) -> v1::Hello {
    v1::Hello {
        features: Vec::new(),
        store_id: person.read_key[..16].to_vec(),
        now,
        your_card_seq: 0,
        my_card_seq: now,
        unacked_max: 256,
    }
}

/// The next card of the target of a kind, read and verified.
///
/// # Errors
/// When none comes.
pub async fn expect_card(link: &mut Link, kind: u8) -> Result<Card, Ended> {
    link.expect(|frame| match frame {
        Frame::Card(card) => Card::read(&card.card).ok().filter(|card| card.kind == kind),
        _ => None,
    })
    .await
}

impl Session {
    /// Opens one as a contact of the target.
    ///
    /// # Errors
    /// `not-tested` when the target shows no contact card: it has not accepted the suite's people.
    pub async fn open(ctx: &mut Ctx, person: Person) -> Result<Self, Verdict> {
        let mut link = ctx.link(&person).await?;
        introduce(&mut link, &person, 1, ctx.now()).await;
        let card = match expect_card(&mut link, 1).await {
            Ok(card) => card,
            Err(Ended::TimedOut) => {
                let text = format!("the target has not accepted {}: see `cards`", person.name);
                return Err(Verdict::NotTested(text));
            }
            Err(ended) => {
                return Err(unserved(&format!("no contact card came: {ended}"), &ended));
            }
        };
        let proved = link.auth.as_ref().map(|auth| auth.identity.as_slice());
        if proved != Some(&card.identity) {
            return Err(Verdict::Fail("GSP-11: the target shows a card of somebody else".into()));
        }
        Ok(Self { person, link, card })
    }

    /// A good letter to the target.
    ///
    /// # Errors
    /// A verdict when its card has no key that is good now.
    pub fn letter(&self, now: u64, rng: &mut Rng) -> Result<Letter, Verdict> {
        Letter::new(&self.person, &self.card, now, rng)
            .ok_or_else(|| Verdict::Fail("the target's card has no sealing key for now".into()))
    }

    /// Hands an envelope over and waits for its `Ack`, whose id is the envelope's own (ENV-07).
    ///
    /// # Errors
    /// When none comes.
    pub async fn hand_over(&mut self, envelope: &[u8]) -> Result<v1::Ack, Ended> {
        hand_over(&mut self.link, envelope).await
    }
}

/// Hands an envelope over on any link.
///
/// # Errors
/// When no `Ack` with its id comes.
pub async fn hand_over(link: &mut Link, envelope: &[u8]) -> Result<v1::Ack, Ended> {
    let id = envelope_id(envelope);
    let message = v1::Msg { ttl: 0, stamp: Vec::new(), envelope: envelope.to_vec() };
    link.send(&Frame::Msg(message)).await;
    link.expect(|frame| match frame {
        Frame::Ack(ack) if ack.id == id => Some(ack.clone()),
        _ => None,
    })
    .await
}

/// A message on its way into an envelope; every field can be made wrong.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The header; `sealed` is made in the end.
    pub envelope: Envelope,
    /// The sealing key.
    pub public: Vec<u8>,
    /// Randomness of the encapsulation.
    pub eseed: [u8; 64],
    /// Another X25519 share than that of `eseed`.
    pub share: Option<[u8; 32]>,
    /// Lets holders forget it.
    pub purge_key: [u8; 32],
    /// What is signed.
    pub signed: Signed,
    /// Whose signature.
    pub signer_seed: [u8; 32],
}

impl Letter {
    /// A text to the owner of `card`, for its contact mailbox, or its intro mailbox where
    /// there is no other.
    #[must_use]
    pub fn new(from: &Person, card: &Card, now: u64, rng: &mut Rng) -> Option<Self> {
        let key = card.sealing_at(now)?;
        let purge_key = rng.array();
        let last = key.not_after + 14 * 24 * HOUR_MS;
        let expires_at = (now + 7 * 24 * HOUR_MS).min(last).div_ceil(HOUR_MS) * HOUR_MS;
        Some(Self {
            envelope: Envelope {
                layout: 1,
                suite: 1,
                mailbox: card.mailbox(1).or_else(|| card.mailbox(0))?,
                key_id: key_id(&key.public),
                expires_at,
                purge_hash: purge_hash(&purge_key),
                ext: Vec::new(),
                sealed: Vec::new(),
            },
            public: key.public.clone(),
            eseed: rng.array(),
            share: None,
            purge_key,
            signed: Signed {
                layout: 1,
                audience_kind: 0,
                audience: card.identity,
                sender: from.identity(),
                device_id: from.device_id,
                nonce: rng.array(),
                sent_at: now,
                // A chain of its own for each letter, so that nothing seems to be missing.
                chain_id: rng.array(),
                counter: 1,
                body_type: 1,
                body: b"from the conformance suite".to_vec(),
            },
            signer_seed: from.identity_seed,
        })
    }

    /// Makes it a body that has no place in a chain.
    pub fn invisible(&mut self, body_type: u16, body: Vec<u8>) {
        self.signed.chain_id = [0; 8];
        self.signed.counter = 0;
        self.signed.body_type = body_type;
        self.signed.body = body;
    }

    /// The envelope, after `change` of its plaintext.
    ///
    /// # Errors
    /// When the sealing key is none.
    pub fn seal(&self, change: impl FnOnce(&mut Vec<u8>)) -> Taken<Vec<u8>> {
        let signed = self.signed.bytes();
        let signature = seal::sign_message(&self.signer_seed, &signed);
        let mut plain = seal::plaintext(&self.purge_key, &signed, &signature);
        change(&mut plain);
        let encapsulation = match &self.share {
            Some(share) => Encapsulation::with_share(&self.public, &self.eseed, share)?,
            None => Encapsulation::new(&self.public, &self.eseed)?,
        };
        let body = encapsulation.seal(&seal::info(&self.envelope.header()), &[], &plain);
        let mut envelope = self.envelope.clone();
        envelope.sealed = [encapsulation.enc.as_slice(), &body].concat();
        Ok(envelope.bytes())
    }
}
