//! What we tell others about ourselves: the intro card and the contact card.

use std::sync::Arc;

use tortalk_keys::card::{
    Card, CardDraft, CardKind, ContactPart, MailboxKind, MailboxSigner, SealingKeyEntry,
};
use tortalk_keys::{card, name};
use tortalk_model::envelope;
use tortalk_wire::{CardBytes, Frame};

use crate::input::LinkId;
use crate::keyring::Keyring;
use crate::mesh::{CommandResult, Mesh, Step};
use crate::read::Read;
use crate::ready::{LinkAction, Outcome};
use crate::write::{OwnCardBytes, Write};

/// The newest own cards; both bear the same sequence.
#[derive(Default)]
pub(crate) struct OwnCards {
    pub(crate) cards: Option<(Card, Card)>,
    /// The largest sequence of ours that others have seen and we may not have.
    pub(crate) floor: u64,
}

impl OwnCards {
    pub(crate) fn load(stored: Option<(Vec<u8>, Vec<u8>)>) -> Self {
        let parse = |bytes: Vec<u8>| Card::parse(&bytes).ok();
        let cards = stored.and_then(|(intro, contact)| Some((parse(intro)?, parse(contact)?)));
        Self { cards, floor: 0 }
    }

    pub(crate) fn seq(&self) -> u64 {
        self.cards.as_ref().map_or(0, |(_, contact)| contact.seq())
    }
}

impl Mesh {
    /// Our card for contacts, once [`crate::Input::Started`] was handled.
    pub fn own_contact_card(&self) -> Option<&Card> {
        self.own_cards.cards.as_ref().map(|(_, contact)| contact)
    }

    /// Works with other secrets. Links rest on the identity alone, so they stay.
    pub(crate) fn keyring_changed<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        keyring: Arc<Keyring>,
    ) {
        let mailboxes =
            |keys: &Keyring| (keys.intro_mailbox.public(), keys.contact_mailbox.public());
        let before = mailboxes(&self.keyring);
        self.keyring = keyring;
        // Before the card that names them: what is sealed by that card may come
        // at once.
        if mailboxes(&self.keyring) != before {
            for id in self.links.keys().copied().collect::<Vec<_>>() {
                self.prove_mailboxes(step, id);
            }
        }
        self.refresh_own_cards(step);
    }

    /// Signs new cards when what they say has changed.
    pub(crate) fn refresh_own_cards<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let unchanged =
            self.own_cards.cards.as_ref().is_some_and(|(_, card)| {
                self.is_said_by(card) && card.seq() >= self.own_cards.floor
            });
        if !unchanged {
            self.renew_own_cards(step);
        }
    }

    /// Signs new cards with a larger sequence.
    pub(crate) fn renew_own_cards<R: Read>(&mut self, step: &mut Step<'_, R>) {
        // req: IDN-44
        let last = self.own_cards.cards.as_ref().map(|(_, contact)| contact.seq());
        let last = last.max(Some(self.own_cards.floor).filter(|&floor| floor > 0));
        let seq = card::next_seq(last, step.now.wall);
        let (Some(intro), Some(contact)) =
            (self.sign_card(CardKind::Intro, seq), self.sign_card(CardKind::Contact, seq))
        else {
            return;
        };
        step.ready.writes.push(Write::PutOwnCards(OwnCardBytes {
            intro: intro.as_bytes().to_vec(),
            contact: contact.as_bytes().to_vec(),
        }));
        let way =
            |card: &Card| (card.contact_mailbox(), card.contact().map(|part| part.relays.clone()));
        let is_now = way(&contact);
        let before = self.own_cards.cards.replace((intro, contact));
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.send_own_card(step, id, 0);
        }
        self.relays.look_again();
        // By the old card they would leave things where we do not look, or nowhere.
        if before.is_some_and(|(_, contact)| way(&contact) != is_now) {
            self.send_card_to_all(step);
        }
    }

    /// Whether our card for contacts says what a new one would.
    fn is_said_by(&self, card: &Card) -> bool {
        let keys = &self.keyring;
        let newest = keys.sealing.last().map(|key| key.secret.key_id());
        let published =
            card.sealing_keys().iter().map(|key| envelope::key_id(&key.public[..])).max();
        card.identity() == self.me()
            && card.name() == self.config.name
            && published == newest
            && card.intro_mailbox() == keys.intro_mailbox.public()
            && card.contact_mailbox() == Some(keys.contact_mailbox.public())
            && card.contact().is_some_and(|part| {
                part.deposit_key == keys.deposit_key
                    && part.read_key == keys.contact_read_key
                    && part.relays == self.relays_for_card()
            })
    }

    fn sign_card(&self, kind: CardKind, seq: u64) -> Option<Card> {
        let keys = &self.keyring;
        let newest = keys.sealing.last()?;
        let draft = CardDraft {
            device_id: keys.device_id,
            seq,
            name: self.config.name.clone(),
            sealing_keys: vec![SealingKeyEntry {
                device_id: keys.device_id,
                not_before: newest.not_before,
                not_after: newest.not_after,
                public: Box::new(newest.secret.public().as_bytes().try_into().ok()?),
            }],
            contact: match kind {
                CardKind::Intro => None,
                CardKind::Contact => Some(ContactPart {
                    deposit_key: keys.deposit_key,
                    read_key: keys.contact_read_key,
                    relays: self.relays_for_card(),
                    onion: None,
                }),
            },
            features: Vec::new(),
            ext: Vec::new(),
        };
        let device_id = keys.device_id;
        let signer = |kind, secret| MailboxSigner { kind, device_id, secret };
        let mut mailboxes = vec![signer(MailboxKind::Intro, &keys.intro_mailbox)];
        if kind == CardKind::Contact {
            mailboxes.push(signer(MailboxKind::Contact, &keys.contact_mailbox));
        }
        Card::sign(draft, &keys.identity, &mailboxes).ok()
    }

    /// Sends the card that this peer may have, unless it has it already.
    pub(crate) fn send_own_card<R: Read>(&mut self, step: &mut Step<'_, R>, id: LinkId, held: u64) {
        let Some(identity) = self.links.get(&id).map(|link| link.peer.identity) else { return };
        let accepted = self.is_accepted(&identity);
        let (Some(link), Some((intro, contact))) =
            (self.links.get_mut(&id), self.own_cards.cards.as_ref())
        else {
            return;
        };
        // req: GSP-08
        let card = if accepted { contact } else { intro };
        // req: GSP-09
        if accepted && held >= card.seq() {
            return;
        }
        let shown = &mut link.shown[usize::from(accepted)];
        // Otherwise a small frame, repeated, would bring a card each time.
        // req: GSP-40
        if *shown == Some(card.seq()) && !tortalk_model::deviate!(skip_gsp_40) {
            return;
        }
        *shown = Some(card.seq());
        let card = CardBytes::try_from(card.as_bytes()).expect("a card is within its own limit");
        step.ready.links.push(LinkAction::Send(id, Frame::Card(tortalk_wire::Card { card })));
    }

    pub(crate) fn set_own_name<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        new_name: String,
    ) -> CommandResult {
        name::check(&new_name)?;
        self.config.name = new_name;
        self.refresh_own_cards(step);
        Ok(Outcome::Done)
    }
}
