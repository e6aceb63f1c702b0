//! Our own relays: mailboxes are registered there and cards lie there.

use tortalk_keys::card::Card;
use tortalk_keys::invite::Invite;
use tortalk_keys::relay::RelayAddress;
use tortalk_keys::relay_proof::pull::{self, PullClaim};
use tortalk_keys::{MailboxSecret, relay_proof};
use tortalk_model::limits::relay::CARD_AGAIN_AFTER;
use tortalk_model::limits::{CARD_AHEAD_MAX, INVITE_RELAYS_MAX};
use tortalk_model::{MailboxKey, Now, RelayKey, UnixMillis, entropy};
use tortalk_seal::card_drop;

use super::fetching::Stream;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::Event;
use crate::relay::{CardDrop, CardPutResult, PullProof, RelayAction};
use crate::write::{RegisteredMailbox, Write};

impl Mesh {
    /// Our relays as our contact card names them: those of the settings at which
    /// its mailbox is registered.
    // req: RLC-02, RLC-03
    pub(crate) fn relays_for_card(&self) -> Vec<RelayAddress> {
        self.own_relays_with(self.keyring.contact_mailbox.public())
    }

    /// Our relays as an invite may name them: the intro mailbox is registered
    /// there. At most two, the best first.
    // req: RLC-02
    pub fn relays_for_invite(&self) -> Vec<RelayAddress> {
        let mut relays = self.own_relays_with(self.keyring.intro_mailbox.public());
        relays.truncate(INVITE_RELAYS_MAX);
        relays
    }

    fn own_relays_with(&self, mailbox: MailboxKey) -> Vec<RelayAddress> {
        let own = self.relays.own.iter();
        let registered = own.filter(|relay| {
            tortalk_model::deviate!(name_unregistered)
                || self.relays.registered.contains(&RegisteredMailbox { relay: **relay, mailbox })
        });
        let named = |adopted: bool| {
            let relays = registered.clone().filter(move |relay| {
                self.relays.adopted.iter().any(|other| other.key() == **relay) == adopted
            });
            let relays = relays.filter_map(|relay| self.relays.known.get(relay));
            relays.map(|relay| relay.address.clone()).collect::<Vec<_>>()
        };
        // req: REQ-31
        match named(false) {
            set if !set.is_empty() => set,
            _ => named(true),
        }
    }

    /// Relays that are ours because an invite named them and the user has set none.
    pub fn adopted_relays(&self) -> &[RelayAddress] {
        &self.relays.adopted
    }

    /// Who has no relay takes those of an invite, so that an answer has a place to
    /// wait at.
    // req: REQ-29
    pub(crate) fn adopt_relays<R: Read>(&mut self, step: &mut Step<'_, R>, invite: &Invite) {
        let Invite::Full { relays, .. } = invite else { return };
        let has_own = self.config.awaits_relays || !self.relays.own.is_empty();
        if has_own || relays.is_empty() {
            return;
        }
        for address in relays {
            let key = address.key();
            self.learn_relay(address);
            if let Some(known) = self.relays.known.get_mut(&key) {
                known.own = true;
            }
            self.relays.own.push(key);
            step.ready.events.push(Event::RelayAdopted { relay: address.clone() });
        }
        self.relays.adopted.clone_from(relays);
        step.ready.writes.push(Write::PutAdoptedRelays(relays.clone()));
        self.relays.look_again();
    }

    /// Whether an answer of somebody who is not linked would find no relay of ours
    /// yet, though there is to be one.
    pub(crate) fn waits_for_registration(&self) -> bool {
        let has_own = self.config.awaits_relays || !self.relays.own.is_empty();
        has_own && self.relays_for_card().is_empty()
    }

    /// The mailboxes that are fetched: ours, and those that were and still count.
    pub(super) fn own_mailboxes(&self, now: Now) -> Vec<MailboxKey> {
        let keys = &self.keyring;
        let retired = keys.retired_mailboxes.iter().filter(|retired| now.wall < retired.until);
        let current = [&keys.intro_mailbox, &keys.contact_mailbox];
        let all = current.into_iter().chain(retired.map(|retired| &retired.secret));
        all.map(MailboxSecret::public).collect()
    }

    fn mailbox_secret(&self, mailbox: MailboxKey) -> Option<&MailboxSecret> {
        let keys = &self.keyring;
        let retired = keys.retired_mailboxes.iter().map(|retired| &retired.secret);
        let mut all = [&keys.intro_mailbox, &keys.contact_mailbox].into_iter().chain(retired);
        all.find(|secret| secret.public() == mailbox)
    }

    /// Answers a relay's challenge for a stream that we opened.
    pub(super) fn prove_to_relay<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        mailbox: MailboxKey,
        challenge: &[u8; 32],
    ) {
        let client_nonce = entropy::array(&mut *self.entropy);
        let Some(known) = self.relays.up(&relay) else { return };
        // Nothing is signed that was not asked for.
        let Some(fetching) = known.fetching.get_mut(&mailbox) else { return };
        if !matches!(fetching.stream, Stream::Asked) {
            return;
        }
        fetching.stream = Stream::Proved;
        let authority = known.address.authority();
        // req: RLC-04
        let deposit_key = (mailbox == self.keyring.contact_mailbox.public()
            || tortalk_model::deviate!(deposit_key_always))
        .then_some(self.keyring.deposit_key);
        let Some(secret) = self.mailbox_secret(mailbox) else { return };
        let consumer = [0; 8];
        let claim = PullClaim {
            relay,
            authority: &authority,
            challenge,
            client_nonce: &client_nonce,
            mailbox,
            consumer,
            deposit_key: deposit_key.as_ref(),
        };
        let signature = *pull::sign(secret, &claim).as_bytes();
        let proof = PullProof { mailbox, client_nonce, consumer, deposit_key, signature };
        step.ready.relays.push(RelayAction::Prove { relay, proof });
    }

    /// A relay has one of our mailboxes registered: the card may name it, and a
    /// card may lie there.
    pub(super) fn mailbox_registered<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        mailbox: MailboxKey,
    ) {
        let Some(known) = self.relays.up(&relay) else { return };
        let Some(fetching) = known.fetching.get_mut(&mailbox) else { return };
        if !matches!(fetching.stream, Stream::Proved) {
            return;
        }
        fetching.stream = Stream::Open { since: step.now.mono };
        fetching.shown = None;
        if self.relays.registered.insert(RegisteredMailbox { relay, mailbox }) {
            self.forget_old_registrations(step.now);
            let registered = self.relays.registered.iter().copied().collect();
            step.ready.writes.push(Write::PutOwnRelays(registered));
            self.refresh_own_cards(step);
            self.ask_who_waits(step);
        }
    }

    /// A mailbox that is not ours any more, and a relay that is not in the
    /// settings, are in no card.
    fn forget_old_registrations(&mut self, now: Now) {
        let mailboxes = self.own_mailboxes(now);
        let own = &self.relays.own;
        self.relays.registered.retain(|registered| {
            own.contains(&registered.relay) && mailboxes.contains(&registered.mailbox)
        });
    }

    /// Puts the newest cards where older ones lie.
    pub(super) fn put_own_cards<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let Some((intro, contact)) = &self.own_cards.cards else { return };
        let keys = &self.keyring;
        // A retired mailbox has no drop: its read key is known to who was removed.
        // req: RLC-05
        let cards: [(&MailboxSecret, &Card, &[u8; 32]); 2] = [
            (
                &keys.intro_mailbox,
                intro,
                if tortalk_model::deviate!(one_read_key) {
                    &keys.contact_read_key
                } else {
                    &keys.intro_read_key
                },
            ),
            (&keys.contact_mailbox, contact, &keys.contact_read_key),
        ];
        for (secret, card, read_key) in cards {
            let mailbox = secret.public();
            for key in &self.relays.own {
                let Some(relay) = self.relays.known.get_mut(key) else { continue };
                let Some(fetching) = relay.fetching.get_mut(&mailbox) else { continue };
                let open = matches!(fetching.stream, Stream::Open { .. });
                if !open || fetching.shown == Some(card.seq()) {
                    continue;
                }
                fetching.shown = Some(card.seq());
                let blob = card_drop::seal(card, &mailbox, read_key, &mut *self.entropy);
                let signature = relay_proof::card_drop::sign(secret, card.seq(), &blob);
                let drop = CardDrop { seq: card.seq(), blob, signature: *signature.as_bytes() };
                step.ready.relays.push(RelayAction::PutCard { relay: *key, mailbox, drop });
            }
        }
    }

    /// What came of putting a card.
    pub(super) fn own_card_put<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        mailbox: MailboxKey,
        result: CardPutResult,
    ) {
        let shown = self.relays.up(&relay).and_then(|known| known.fetching.get(&mailbox)?.shown);
        let (CardPutResult::Old { seq }, Some(shown)) = (result, shown) else { return };
        // A copy of this profile, or its backup, has signed cards since. A relay
        // that makes up a sequence far ahead would make all later cards worthless.
        // req: RLC-06
        let believable = tortalk_model::deviate!(follow_any_drop)
            || seq <= step.now.wall.saturating_add(CARD_AHEAD_MAX).0;
        if seq > shown && believable && self.own_cards.floor <= seq {
            self.own_cards.floor = seq.saturating_add(1);
            self.refresh_own_cards(step);
        }
    }

    /// Signs new cards when those in the drops are about to be forgotten.
    pub(crate) fn refresh_old_cards<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let signed_at = UnixMillis(self.own_cards.seq());
        let old = step.now.wall >= signed_at.saturating_add(CARD_AGAIN_AFTER);
        // req: RLC-07
        if old && !self.relays.own.is_empty() && self.clock.is_steady(step.now) {
            self.renew_own_cards(step);
        }
    }
}
