//! What the machine and the store say, as lines for people and programs.

use std::collections::{BTreeMap, BTreeSet};

use tortalk_keys::card::Card;
use tortalk_mesh::{
    Contact, ContactRequest, DeliveryState, Event, Evidence, IncomingMessage, RequestSource,
    Standing,
};
use tortalk_model::limits::CHAIN_GAP_SHOWN_AFTER;
use tortalk_model::{IdentityKey, UnixMillis};
use tortalk_seal::{Body, ReceiptKind};
use tortalk_store::{Direction, HistoryEntry, StoreError};

use super::Engine;
use super::relays::{state_of, where_is};
use crate::control::event::NodeEvent;
use crate::control::protocol::{ContactLine, EvidenceLine, MessageLine, RelayState, RequestedLine};
use crate::relays::Condition;

impl Engine {
    /// The line for an event of the machine, or `None` for one without a line.
    pub(super) fn render_event(&mut self, event: Event) -> Result<Option<NodeEvent>, StoreError> {
        Ok(Some(match event {
            Event::Received(message) => {
                let name = self.name_of(&message.contact)?;
                NodeEvent::Received { message: Box::new(incoming_line(&message, name)) }
            }
            // What nobody sees has no state that anybody follows.
            Event::StateChanged { message_id, .. } if !self.store.is_shown(&message_id)? => {
                return Ok(None);
            }
            Event::StateChanged { message_id, contact, state, at: _ } => NodeEvent::State {
                message_id: message_id.to_string(),
                identity: contact.to_string(),
                name: self.name_of(&contact)?,
                state: state.word().to_owned(),
                peers: peers(state),
            },
            Event::PeerUp { identity, contact: _ } => NodeEvent::PeerUp {
                identity: identity.to_string(),
                contact: self.contact_name(&identity)?,
            },
            Event::PeerDown { identity } => NodeEvent::PeerDown {
                identity: identity.to_string(),
                contact: self.contact_name(&identity)?,
            },
            Event::PeerNamed { identity, name } => {
                NodeEvent::PeerNamed { identity: identity.to_string(), own_name: name }
            }
            Event::WantsContact { identity, name } => {
                NodeEvent::WantsContact { identity: identity.to_string(), own_name: name }
            }
            Event::ContactRequest(request) => {
                NodeEvent::ContactRequest { request: requested_line(&request) }
            }
            Event::Gap { contact, missing } => NodeEvent::Gap {
                identity: contact.to_string(),
                name: self.name_of(&contact)?,
                missing,
            },
            Event::ContactRemoved { identity } => {
                NodeEvent::ContactRemoved { identity: identity.to_string() }
            }
            Event::ContactChanged(contact) => {
                let around = self.around_contacts()?;
                NodeEvent::Contact { contact: line_of(&contact, &around) }
            }
            Event::ClockDiffers { contact, offset_ms } => NodeEvent::ClockDiffers {
                identity: contact.to_string(),
                name: self.name_of(&contact)?,
                offset_ms,
            },
            Event::RelayAdopted { relay } => NodeEvent::RelayAdopted { relay: where_is(&relay) },
            Event::RelayUp { relay } => return Ok(self.relay_news(&relay, RelayState::Up)),
            Event::RelayDown { relay, why } => {
                return Ok(self.relay_news(&relay, state_of(Condition::Down(why))));
            }
            Event::RelayClockDiffers { relay, offset_ms } => {
                NodeEvent::RelayClockDiffers { url: self.own_relay_url(&relay), offset_ms }
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn contact_line(
        &mut self,
        identity: &IdentityKey,
    ) -> Result<Option<ContactLine>, StoreError> {
        let around = self.around_contacts()?;
        Ok(self.contact(identity)?.map(|contact| line_of(contact, &around)))
    }

    pub(super) fn contact_lines(&mut self) -> Result<Vec<ContactLine>, StoreError> {
        let around = self.around_contacts()?;
        Ok(self.contacts()?.iter().map(|contact| line_of(contact, &around)).collect())
    }

    fn around_contacts(&self) -> Result<AroundContacts, StoreError> {
        Ok(AroundContacts {
            unread: self.store.unread()?.into_iter().collect(),
            linked: self.nearby().into_iter().map(|person| person.identity).collect(),
            now: self.around.clock.wall(),
        })
    }

    /// What the user calls somebody; the start of the identity for a stranger.
    pub(super) fn name_of(&mut self, identity: &IdentityKey) -> Result<String, StoreError> {
        let name = self.contact(identity)?.map(|contact| contact.name.clone());
        Ok(name.unwrap_or_else(|| identity.to_string()[..16].to_owned()))
    }

    fn contact_name(&mut self, identity: &IdentityKey) -> Result<Option<String>, StoreError> {
        Ok(self.contact(identity)?.map(|contact| contact.name.clone()))
    }
}

/// What is shown beside contacts and is no part of them.
struct AroundContacts {
    unread: BTreeMap<IdentityKey, u64>,
    linked: BTreeSet<IdentityKey>,
    now: UnixMillis,
}

fn relays_named(contact: &Contact) -> usize {
    let card = contact.card.as_deref().and_then(|bytes| Card::parse(bytes).ok());
    card.as_ref().and_then(Card::contact).map_or(0, |part| part.relays.len())
}

fn line_of(contact: &Contact, around: &AroundContacts) -> ContactLine {
    ContactLine {
        identity: contact.identity.to_string(),
        name: contact.name.clone(),
        standing: match contact.standing {
            Standing::Accepted => "accepted",
            Standing::Blocked | Standing::Unwanted => "blocked",
        }
        .to_owned(),
        verified: contact.verified,
        has_card: contact.card.is_some(),
        relays: relays_named(contact),
        linked: around.linked.contains(&contact.identity),
        unread: around.unread.get(&contact.identity).copied().unwrap_or(0),
        missing: contact
            .their_chain
            .as_ref()
            .map_or(0, |chain| chain.missing_for(CHAIN_GAP_SHOWN_AFTER, around.now)),
        added_at: contact.added_at.0,
    }
}

pub(super) fn history_line(entry: &HistoryEntry, name: String) -> MessageLine {
    let incoming = entry.direction == Direction::Incoming;
    MessageLine {
        row: entry.row,
        message_id: entry.message_id.to_string(),
        direction: if incoming { "in" } else { "out" }.to_owned(),
        identity: entry.contact.to_string(),
        name,
        request: is_request(&entry.body),
        text: shown(&entry.body),
        sent_at: entry.sent_at.0,
        stored_at: entry.at.0,
        state: entry.state.map(|state| state.word().to_owned()),
        peers: entry.state.and_then(peers),
        read: incoming.then_some(entry.read),
        evidence: Vec::new(),
    }
}

pub(super) fn evidence_lines(entry: &HistoryEntry) -> Vec<EvidenceLine> {
    let line = |kind: &str, at: &UnixMillis, peer: Option<&IdentityKey>| EvidenceLine {
        kind: kind.to_owned(),
        at: at.0,
        peer: peer.map(ToString::to_string),
    };
    let lines = entry.evidence.iter().map(|evidence| match evidence {
        Evidence::Handed { peer, at } => line("handed", at, Some(peer)),
        Evidence::Receipt { kind: ReceiptKind::Delivered, at, proof: _ } => {
            line("delivered", at, Some(&entry.contact))
        }
        Evidence::Receipt { kind: ReceiptKind::Read, at, proof: _ } => {
            line("read", at, Some(&entry.contact))
        }
        Evidence::Cancelled { at } => line("cancelled", at, None),
        Evidence::GaveUp { at } => line("gave_up", at, None),
        Evidence::AtRelay { relay, at, .. } => {
            EvidenceLine { peer: Some(relay.to_string()), ..line("at_relay", at, None) }
        }
    });
    lines.collect()
}

fn incoming_line(message: &IncomingMessage, name: String) -> MessageLine {
    MessageLine {
        row: 0,
        message_id: message.message_id.to_string(),
        direction: "in".to_owned(),
        identity: message.contact.to_string(),
        name,
        request: is_request(&message.body),
        text: shown(&message.body),
        sent_at: message.sent_at.0,
        stored_at: message.received_at.0,
        state: None,
        peers: None,
        read: Some(message.read),
        evidence: Vec::new(),
    }
}

pub(super) fn requested_line(request: &ContactRequest) -> RequestedLine {
    RequestedLine {
        identity: request.identity.to_string(),
        own_name: request.name.clone(),
        text: request.text.clone(),
        sent_at: request.sent_at.0,
        stored_at: request.received_at.0,
        from: match request.source {
            RequestSource::Address(address) => address.to_string(),
            RequestSource::Relay(_) => "relay".to_owned(),
        },
    }
}

const fn is_request(body: &Body) -> bool {
    matches!(body, Body::ContactRequest { .. })
}

/// What a person reads, if this version can show it.
fn shown(body: &Body) -> Option<String> {
    match body {
        Body::Text(text) | Body::ContactRequest { text, .. } => Some(text.clone()),
        _ => None,
    }
}

const fn peers(state: DeliveryState) -> Option<u32> {
    match state {
        DeliveryState::Handed { peers } => Some(peers),
        _ => None,
    }
}
