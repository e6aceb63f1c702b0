//! Who may talk to us.

use tortalk_keys::card::Card;
use tortalk_keys::name;
use tortalk_model::entropy;
use tortalk_model::{ChainId, EnvelopeId, IdentityKey, MonoMillis, Now};
use tortalk_wire::ByeReason;

use crate::input::LinkId;
use crate::mesh::{CommandResult, Mesh, Step};
use crate::read::Read;
use crate::ready::{CommandError, Event, Outcome};
use crate::write::{Contact, Standing, Write};

/// Somebody in the store, with what was parsed or learnt in this run.
pub(crate) struct Known {
    pub(crate) contact: Contact,
    /// The parsed form of `contact.card`.
    pub(crate) card: Option<Card>,
    /// Their card for strangers, as long as there is no other.
    pub(crate) intro_card: Option<Card>,
    /// Their clock minus ours, as their last hello told.
    pub(crate) clock_offset_ms: Option<i64>,
    /// Missing messages that the user was last told of.
    pub(crate) gap_shown: u64,
    /// When a resend request of theirs was last answered.
    pub(crate) resent_at: Option<MonoMillis>,
    /// Envelopes of that answer whose messages have receipts: they end by themselves.
    pub(crate) resent: Vec<EnvelopeId>,
    /// They have shown another store, and no card since.
    pub(crate) store_is_new: bool,
}

impl Known {
    pub(crate) fn load(contact: Contact) -> (IdentityKey, Self) {
        let identity = contact.identity;
        (identity, Self::new(contact))
    }

    fn new(contact: Contact) -> Self {
        // A card that no longer parses is as good as none: a new one will come.
        let card = contact.card.as_deref().and_then(|bytes| Card::parse(bytes).ok());
        Self {
            contact,
            card,
            intro_card: None,
            clock_offset_ms: None,
            gap_shown: 0,
            resent_at: None,
            resent: Vec::new(),
            store_is_new: false,
        }
    }

    /// The card that something could be sealed to, their contact card if it is here.
    pub(crate) fn any_card(&self) -> Option<&Card> {
        self.card.as_ref().or(self.intro_card.as_ref())
    }

    /// Whether this card takes the place of the newest that is held.
    fn takes_card(&self, card: &Card, source: CardSource, now: Now) -> bool {
        let Some(held) = &self.card else { return true };
        // Whoever shows a card on a link of their own means it, whatever the
        // clocks said when it was made.
        // req: IDN-46
        if source == CardSource::Passed && card.is_ahead_of(now.wall) {
            return false;
        }
        card.supersedes(held)
    }
}

/// How a contact's card got here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CardSource {
    /// Its owner shows it on a link.
    Owner,
    /// In a message or as a file; it may be of any age.
    Passed,
}

impl Mesh {
    pub(crate) fn is_accepted(&self, identity: &IdentityKey) -> bool {
        self.standing(identity) == Some(Standing::Accepted)
    }

    pub(crate) fn is_blocked(&self, identity: &IdentityKey) -> bool {
        matches!(self.standing(identity), Some(Standing::Blocked | Standing::Unwanted))
    }

    fn standing(&self, identity: &IdentityKey) -> Option<Standing> {
        self.contacts.get(identity).map(|known| known.contact.standing)
    }

    /// A contact as the machine sees it now.
    pub fn contact(&self, identity: &IdentityKey) -> Option<&Contact> {
        self.contacts.get(identity).map(|known| &known.contact)
    }

    pub(crate) fn add_contact<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: IdentityKey,
        name: String,
        invite: Option<Vec<u8>>,
        card: Option<Card>,
    ) -> Result<CommandResult, R::Error> {
        if identity == self.me() {
            return Ok(Err(CommandError::Yourself));
        }
        if let Err(error) = name::check(&name) {
            return Ok(Err(error.into()));
        }
        let (card, source) = match card {
            Some(card) => (Some(card), CardSource::Passed),
            None => (self.contact_card_from_links(&identity), CardSource::Owner),
        };
        if self.contacts.contains_key(&identity) {
            let card = card.map(|card| (card, source));
            return self.accept_again(step, identity, name, invite, card);
        }
        let name = self.name_for(&identity, name, card.as_ref());
        let contact = Contact {
            card: card.map(|card| card.as_bytes().to_vec()),
            invite,
            ..self.new_contact(step, identity, name, Standing::Accepted)
        };
        let intro_card = self.intro_card_from_links(&identity);
        self.contacts.insert(identity, Known { intro_card, ..Known::new(contact) });
        self.note_peer_clock(&identity, step.now);
        self.contact_changed(step, &identity);
        self.introduce_ourselves(step, &identity);
        Ok(Ok(Outcome::Contact(identity)))
    }

    fn new_contact<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        identity: IdentityKey,
        name: String,
        standing: Standing,
    ) -> Contact {
        Contact {
            identity,
            name,
            standing,
            verified: false,
            card: None,
            invite: None,
            store_id: self.store_shown_by(&identity),
            // req: SEA-52
            chain_id: ChainId::from_bytes(entropy::array(&mut *self.entropy)),
            next_counter: 1,
            requested: None,
            their_chain: None,
            asking: None,
            added_at: step.now.wall,
        }
    }

    /// Adding somebody who is there already: unblocks, renames, takes the card.
    fn accept_again<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: IdentityKey,
        name: String,
        invite: Option<Vec<u8>>,
        card: Option<(Card, CardSource)>,
    ) -> Result<CommandResult, R::Error> {
        let was = self.standing(&identity);
        let name = match was {
            // Until now they were called by their digits.
            Some(Standing::Unwanted) => {
                self.name_for(&identity, name, card.as_ref().map(|(card, _)| card))
            }
            _ => name,
        };
        let intro_card = self.intro_card_from_links(&identity);
        let Some(known) = self.contacts.get_mut(&identity) else {
            return Ok(Err(CommandError::NotAContact));
        };
        known.contact.standing = Standing::Accepted;
        if known.intro_card.is_none() {
            known.intro_card = intro_card;
        }
        if !name.is_empty() {
            known.contact.name = name;
        }
        if invite.is_some() {
            known.contact.invite = invite;
        }
        self.contact_changed(step, &identity);
        if was != Some(Standing::Accepted) {
            self.introduce_ourselves(step, &identity);
        }
        if let Some((card, source)) = card {
            self.take_contact_card(step, &identity, card, source)?;
        }
        Ok(Ok(Outcome::Contact(identity)))
    }

    /// The user's name for somebody, or their own, or the start of their key.
    fn name_for(&self, identity: &IdentityKey, wanted: String, card: Option<&Card>) -> String {
        let from_links = || {
            let mut cards = self.links.values().filter(|link| link.peer.identity == *identity);
            cards.find_map(|link| link.card.as_ref()).map(|card| card.name().to_owned())
        };
        Some(wanted)
            .filter(|name| !name.is_empty())
            .or_else(|| card.map(|card| card.name().to_owned()))
            .filter(|name| !name.is_empty())
            .or_else(from_links)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| short(identity))
    }

    /// Shows a new contact who is linked what only contacts are shown.
    fn introduce_ourselves<R: Read>(&mut self, step: &mut Step<'_, R>, identity: &IdentityKey) {
        for id in self.links_with(identity) {
            self.prove_mailboxes(step, id);
            self.send_own_card(step, id, 0);
        }
        // They may carry for others, and others for them.
        self.look_for_offers_again();
    }

    pub(crate) fn links_with(&self, identity: &IdentityKey) -> Vec<LinkId> {
        let links = self.links.values();
        let links = links.filter(|link| link.peer.identity == *identity && !link.is_closing());
        links.map(|link| link.id).collect()
    }

    pub(crate) fn contact_card_from_links(&self, identity: &IdentityKey) -> Option<Card> {
        self.card_from_links(identity, |card| card.contact().is_some())
    }

    fn intro_card_from_links(&self, identity: &IdentityKey) -> Option<Card> {
        self.card_from_links(identity, |card| card.contact().is_none())
    }

    fn card_from_links(&self, identity: &IdentityKey, wanted: fn(&Card) -> bool) -> Option<Card> {
        let mut links = self.links.values().filter(|link| link.peer.identity == *identity);
        links.find_map(|link| link.card.clone().filter(wanted))
    }

    pub(crate) fn import_card<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        bytes: &[u8],
        name: String,
    ) -> Result<CommandResult, R::Error> {
        let card = match Card::parse(bytes) {
            Ok(card) => card,
            Err(error) => return Ok(Err(CommandError::Card(error.to_string()))),
        };
        if card.contact().is_none() {
            let reason = "it is a card for strangers".to_owned();
            return Ok(Err(CommandError::Card(reason)));
        }
        let known = self.contacts.get(&card.identity());
        let held = known.and_then(|known| known.card.as_ref());
        if held.is_some_and(|held| held.supersedes(&card)) {
            return Ok(Err(CommandError::CardOutdated));
        }
        if held.is_some_and(|held| card.supersedes(held)) && card.is_ahead_of(step.now.wall) {
            return Ok(Err(CommandError::CardAhead));
        }
        let identity = card.identity();
        let added = self.add_contact(step, identity, name, None, Some(card))?;
        if added.is_ok() {
            self.answer_request(step, &identity);
        }
        Ok(added)
    }

    /// A card came in a frame on a link.
    pub(crate) fn peer_card<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        frame: &tortalk_wire::Card,
    ) -> Result<(), R::Error> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let identity = link.peer.identity;
        // req: LIM-07
        if !link.cards.take(step.now.mono) && !tortalk_model::deviate!(skip_lim_07) {
            return Ok(());
        }
        let card = Card::parse(frame.card.as_slice()).ok();
        let Some(card) = card.filter(|card| card.identity() == identity) else {
            // req: GSP-11
            self.protocol_fault(step, id);
            return Ok(());
        };
        let for_contacts = card.contact().is_some();
        let name = card.name().to_owned();
        // One for strangers must not hide that we were accepted.
        if link.card.as_ref().is_none_or(|held| card.supersedes(held)) {
            link.card = Some(card.clone());
        }
        step.ready.events.push(Event::PeerNamed { identity, name: name.clone() });
        if self.is_accepted(&identity) {
            if for_contacts {
                self.take_contact_card(step, &identity, card, CardSource::Owner)?;
            } else {
                self.take_intro_card(step, &identity, card, CardSource::Owner)?;
            }
        } else if for_contacts {
            step.ready.events.push(Event::WantsContact { identity, name });
        }
        Ok(())
    }

    /// Keeps a contact's card when it is the newest, and seals what waited for it.
    pub(crate) fn take_contact_card<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
        card: Card,
        source: CardSource,
    ) -> Result<(), R::Error> {
        let Some(known) = self.contacts.get_mut(identity) else { return Ok(()) };
        if !known.takes_card(&card, source, step.now) {
            return Ok(());
        }
        known.contact.card = Some(card.as_bytes().to_vec());
        let first = known.card.replace(card).is_none();
        self.contact_changed(step, identity);
        if first {
            self.let_links_take_again(identity);
        }
        // What was refused for its key may be sealed again now.
        self.look_again_for(identity);
        self.seal_waiting(step, identity)?;
        self.readdress_request(step, identity)?;
        self.seal_outdated(step, identity)
    }

    pub(crate) fn contact_changed<R: Read>(&self, step: &mut Step<'_, R>, identity: &IdentityKey) {
        if let Some(known) = self.contacts.get(identity) {
            step.ready.writes.push(Write::PutContact(Box::new(known.contact.clone())));
            step.ready.events.push(Event::ContactChanged(Box::new(known.contact.clone())));
        }
    }

    pub(crate) fn rename<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: IdentityKey,
        name: String,
    ) -> CommandResult {
        name::check(&name)?;
        if name.is_empty() {
            return Err(CommandError::NameEmpty);
        }
        let known = self.contacts.get_mut(&identity).ok_or(CommandError::NotAContact)?;
        known.contact.name = name;
        self.contact_changed(step, &identity);
        Ok(Outcome::Contact(identity))
    }

    pub(crate) fn set_blocked<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: IdentityKey,
        blocked: bool,
    ) -> CommandResult {
        let standing = match (self.standing(&identity), blocked) {
            (None | Some(Standing::Unwanted), false) => return self.let_ask(step, &identity),
            (None | Some(Standing::Unwanted), true) => Standing::Unwanted,
            (Some(_), true) => Standing::Blocked,
            (Some(_), false) => Standing::Accepted,
        };
        if identity == self.me() {
            return Err(CommandError::Yourself);
        }
        if standing == Standing::Unwanted && !self.contacts.contains_key(&identity) {
            // By a name of theirs they could pass for a contact.
            let contact = self.new_contact(step, identity, short(&identity), standing);
            self.contacts.insert(identity, Known::new(contact));
        }
        let known = self.contacts.get_mut(&identity).ok_or(CommandError::NotAContact)?;
        known.contact.standing = standing;
        self.contact_changed(step, &identity);
        if blocked {
            self.forget_request(step, &identity);
            for id in self.links_with(&identity) {
                self.close(step, id, ByeReason::Policy);
            }
        } else {
            self.introduce_ourselves(step, &identity);
        }
        Ok(Outcome::Contact(identity))
    }

    /// Somebody who was never a contact may ask again.
    fn let_ask<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
    ) -> CommandResult {
        self.contacts.remove(identity).ok_or(CommandError::NotAContact)?;
        step.ready.writes.push(Write::DropContact(*identity));
        step.ready.events.push(Event::ContactRemoved { identity: *identity });
        Ok(Outcome::Done)
    }

    pub(crate) fn set_verified<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: IdentityKey,
        verified: bool,
    ) -> CommandResult {
        let known = self.contacts.get_mut(&identity).ok_or(CommandError::NotAContact)?;
        known.contact.verified = verified;
        self.contact_changed(step, &identity);
        Ok(Outcome::Contact(identity))
    }
}

/// The start of somebody's identity, for a name.
fn short(identity: &IdentityKey) -> String {
    identity.to_string().chars().take(8).collect()
}
