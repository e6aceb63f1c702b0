//! The suite's people, whose seeds anybody can compute.

use crate::stack::card::{Card, ContactPart, MailboxEntry, SealingEntry};
use crate::stack::crypto::{Rng, blake2b_256, public};
use crate::stack::proofs::sign_owner;
use crate::stack::seal::SealingKey;

/// Whom a node under test has accepted before a run (`spec/annex-targets.md`).
pub const CONTACTS: [&str; 3] = ["ada", "ben", "cyr"];

/// Whom it has accepted and then blocked.
pub const BLOCKED: &str = "dan";

/// When the published cards were made: 2026-01-01T00:00:00Z.
pub const PUBLISHED_AT: u64 = 1_767_225_600_000;

const DAY_MS: u64 = 24 * crate::stack::envelope::HOUR_MS;

/// Somebody with all their secrets.
#[derive(Debug, Clone)]
pub struct Person {
    /// What they call themselves.
    pub name: String,
    /// Of the identity key.
    pub identity_seed: [u8; 32],
    /// Of the mailbox for strangers.
    pub intro_seed: [u8; 32],
    /// Of the mailbox for contacts.
    pub contact_seed: [u8; 32],
    /// Of the sealing key.
    pub sealing_seed: [u8; 32],
    /// Makes stamps.
    pub deposit_key: [u8; 32],
    /// Opens the contact card at relays.
    pub read_key: [u8; 32],
    /// The only device.
    pub device_id: [u8; 8],
}

impl Person {
    /// Somebody whose secrets are published: `BLAKE2b-256("tortalk target " ‖ who ‖ " " ‖ use)`.
    #[must_use]
    pub fn published(who: &str) -> Self {
        Self::of(who.to_owned(), |purpose| {
            blake2b_256(&[b"tortalk target ", who.as_bytes(), b" ", purpose.as_bytes()])
        })
    }

    /// One of the three contacts, by any number.
    #[must_use]
    pub fn contact(number: usize) -> Self {
        Self::published(CONTACTS[number % CONTACTS.len()])
    }

    /// Somebody whom nobody has met.
    pub fn stranger(rng: &mut Rng) -> Self {
        Self::of("Stranger".to_owned(), |_| rng.array())
    }

    fn of(name: String, mut seed: impl FnMut(&str) -> [u8; 32]) -> Self {
        Self {
            name,
            identity_seed: seed("identity"),
            intro_seed: seed("intro"),
            contact_seed: seed("contact"),
            sealing_seed: seed("sealing"),
            deposit_key: seed("deposit"),
            read_key: seed("read"),
            device_id: seed("device")[..8].try_into().expect("8 of 32"),
        }
    }

    /// The identity key.
    #[must_use]
    pub fn identity(&self) -> [u8; 32] {
        public(&self.identity_seed)
    }

    /// The sealing key.
    #[must_use]
    pub fn sealing_key(&self) -> SealingKey {
        SealingKey::new(&self.sealing_seed)
    }

    /// The published card of a kind (0 intro, 1 contact), as bytes. Its key has ended.
    #[must_use]
    pub fn published_card(&self, kind: u8) -> Vec<u8> {
        let mut card = self.card(kind, PUBLISHED_AT);
        card.sealing[0].not_before = PUBLISHED_AT;
        card.sealing[0].not_after = PUBLISHED_AT + 28 * DAY_MS;
        card.signed(&self.identity_seed)
    }

    /// The card of a kind (0 intro, 1 contact) as it is made at `now`: its key is
    /// good from the day before that until 26 days after it.
    #[must_use]
    pub fn card(&self, kind: u8, now: u64) -> Card {
        let day = now - now % DAY_MS;
        let entry = |kind: u8, seed: &[u8; 32]| MailboxEntry {
            kind,
            device_id: self.device_id,
            mailbox: public(seed),
            ownership_signature: sign_owner(seed, &self.identity(), kind),
        };
        let mut mailboxes = vec![entry(0, &self.intro_seed)];
        if kind == 1 {
            mailboxes.push(entry(1, &self.contact_seed));
        }
        Card {
            layout: 1,
            kind,
            identity: self.identity(),
            device_id: self.device_id,
            seq: now,
            name: self.name.clone().into_bytes(),
            sealing: vec![SealingEntry {
                device_id: self.device_id,
                not_before: day - DAY_MS,
                not_after: day + 26 * DAY_MS,
                public: self.sealing_key().public,
            }],
            mailboxes,
            contact: (kind == 1).then(|| ContactPart {
                deposit_key: self.deposit_key,
                read_key: self.read_key,
                relays: Vec::new(),
                onion: None,
            }),
            features: Vec::new(),
            ext: Vec::new(),
        }
    }

    /// The same, as bytes.
    #[must_use]
    pub fn card_bytes(&self, kind: u8, now: u64) -> Vec<u8> {
        self.card(kind, now).signed(&self.identity_seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_read_by_our_own_reader() {
        let now = 1_790_000_000_000;
        for kind in [0, 1] {
            let person = Person::contact(1);
            let card = Card::read(&person.card_bytes(kind, now)).expect("a good card");
            assert_eq!(card.mailbox(0), Some(public(&person.intro_seed)));
            assert!(card.sealing_at(now).is_some());
        }
        assert_ne!(Person::contact(1).identity(), Person::contact(2).identity());
        let card = Card::read(&Person::contact(1).published_card(1)).expect("a good card");
        assert_eq!(card.seq, PUBLISHED_AT);
    }
}
