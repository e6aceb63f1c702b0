//! What is true: every message and envelope of a simulation, seen from above.

use std::collections::{BTreeMap, BTreeSet};

use tortalk_mesh::{DeliveryState, IncomingMessage, OutgoingMessage, Purpose, Write};
use tortalk_model::limits::TTL_MAX;
use tortalk_model::{EnvelopeId, MessageId, UnixMillis};
use tortalk_seal::{Body, BodyType};

use crate::time::Moment;
use crate::violation::{Broken, Holds, Invariant};

/// Everything that was written, sealed, handed over and shown.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) messages: BTreeMap<MessageId, MessageFate>,
    /// In the order in which they were written.
    pub(crate) order: Vec<MessageId>,
    pub(crate) envelopes: BTreeMap<EnvelopeId, EnvelopeFate>,
    /// The largest ttl that each device was handed an envelope with, where it is
    /// not for it.
    granted: BTreeMap<(EnvelopeId, usize), u8>,
    /// Who sealed each envelope.
    origins: BTreeMap<EnvelopeId, usize>,
    /// What was shown besides texts, and to whom.
    shown_besides: BTreeSet<(usize, MessageId)>,
}

/// One message of a person.
#[derive(Debug)]
pub(crate) struct MessageFate {
    pub(crate) number: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) text: String,
    pub(crate) written: Moment,
    /// The user was told that it is queued.
    pub(crate) accepted: bool,
    /// The recipient's store has it since.
    pub(crate) stored: Option<Moment>,
    /// How often it was shown to the recipient.
    pub(crate) shown: u32,
    /// Its newest state at the sender.
    pub(crate) state: DeliveryState,
    /// Devices that committed an envelope with it, the sender's not counted.
    pub(crate) holders: BTreeSet<usize>,
    /// Times that an envelope with it, or with its receipt, was sent on a link.
    pub(crate) copies: u64,
    /// Bytes of those.
    pub(crate) bytes: u64,
}

/// One envelope.
#[derive(Debug)]
pub(crate) struct EnvelopeFate {
    pub(crate) number: usize,
    /// What is inside, where it is a message.
    pub(crate) message: Option<MessageId>,
    /// By the clock of whoever sealed it; the latest that was seen.
    pub(crate) expires_at: UnixMillis,
    /// Devices that have committed something about it: held it or dealt with it.
    pub(crate) committed: BTreeSet<usize>,
}

impl Ledger {
    /// A name for a message in traces.
    pub(crate) fn message_name(&self, id: &MessageId) -> String {
        self.messages.get(id).map_or_else(|| "m?".to_owned(), |fate| format!("m{}", fate.number))
    }

    /// A name for an envelope in traces.
    pub(crate) fn envelope_name(&self, id: &EnvelopeId) -> String {
        self.envelopes.get(id).map_or_else(|| "e?".to_owned(), |fate| format!("e{}", fate.number))
    }

    /// A device has committed these writes.
    pub(crate) fn committed(
        &mut self,
        device: usize,
        at: Moment,
        writes: &[Write],
        whose: impl Fn(&OutgoingMessage) -> usize,
    ) {
        for write in writes {
            match write {
                Write::PutOutgoing(message) => {
                    self.written(device, whose(message), at, message);
                }
                Write::PutEnvelope(held) => {
                    let message = match held.purpose {
                        Purpose::Message(id) => Some(id),
                        _ => None,
                    };
                    if held.purpose != Purpose::Carried {
                        self.origins.insert(held.envelope.id(), device);
                    }
                    let expires_at = held.envelope.header().expires_at;
                    self.commit_envelope(device, held.envelope.id(), message, expires_at);
                }
                Write::Seen { envelope_id, .. } => {
                    self.commit_envelope(device, *envelope_id, None, UnixMillis(0));
                }
                Write::PutIncoming(message) => {
                    if let Some(fate) = self.messages.get_mut(&message.message_id)
                        && fate.to == device
                    {
                        fate.stored.get_or_insert(at);
                    }
                }
                _ => {}
            }
        }
    }

    fn written(&mut self, from: usize, to: usize, at: Moment, message: &OutgoingMessage) {
        if message.body_type != BodyType::TEXT {
            return;
        }
        let fate = MessageFate {
            number: self.order.len(),
            from,
            to,
            text: message.text.clone(),
            written: at,
            accepted: false,
            stored: None,
            shown: 0,
            state: DeliveryState::of(message),
            holders: BTreeSet::new(),
            copies: 0,
            bytes: 0,
        };
        if self.messages.insert(message.message_id, fate).is_none() {
            self.order.push(message.message_id);
        }
    }

    fn commit_envelope(
        &mut self,
        device: usize,
        id: EnvelopeId,
        message: Option<MessageId>,
        expires_at: UnixMillis,
    ) {
        let number = self.envelopes.len();
        let fate = self.envelopes.entry(id).or_insert_with(|| EnvelopeFate {
            number,
            message,
            expires_at,
            committed: BTreeSet::new(),
        });
        fate.committed.insert(device);
        fate.expires_at = fate.expires_at.max(expires_at);
        if let Some(fate) = fate.message.and_then(|id| self.messages.get_mut(&id))
            && fate.from != device
        {
            fate.holders.insert(device);
        }
    }

    /// A message was shown to its recipient.
    pub(crate) fn shown(&mut self, device: usize, message: &IncomingMessage) -> Holds {
        // What comes with a request is no text of a conversation.
        if !matches!(message.body, Body::Text(_)) {
            let first = self.shown_besides.insert((device, message.message_id));
            let twice = Broken::new(Invariant::OnceOnly, "a request was shown twice");
            return if first { Ok(()) } else { Err(twice) };
        }
        let Some(fate) = self.messages.get_mut(&message.message_id) else {
            return Err(Broken::new(Invariant::Authentic, "a message was shown that nobody wrote"));
        };
        let same = matches!(&message.body, Body::Text(text) if *text == fate.text);
        if fate.to != device || !same {
            let seen = "a message was shown that is another's or says something else";
            return Err(Broken::new(Invariant::Authentic, seen));
        }
        fate.shown += 1;
        if fate.shown > 1 {
            return Err(Broken::new(Invariant::OnceOnly, "a message was shown twice"));
        }
        Ok(())
    }

    /// A message's state was shown to its sender.
    pub(crate) fn state_shown(&mut self, id: &MessageId, state: DeliveryState) -> Holds {
        let Some(fate) = self.messages.get_mut(id) else { return Ok(()) };
        fate.state = state;
        let confirmed = matches!(state, DeliveryState::Delivered | DeliveryState::Read);
        if confirmed && fate.stored.is_none() {
            let seen = "a message is shown as delivered and its recipient does not have it";
            return Err(Broken::new(Invariant::Evidence, seen));
        }
        Ok(())
    }

    /// A device noted that a peer has stored an envelope.
    pub(crate) fn handed(&self, peer: usize, id: &EnvelopeId) -> Holds {
        let committed = self.envelopes.get(id).is_some_and(|fate| fate.committed.contains(&peer));
        if committed {
            return Ok(());
        }
        let seen = format!("n{peer} is noted as having {}, and has not", self.envelope_name(id));
        Err(Broken::new(Invariant::Evidence, seen))
    }

    /// An envelope goes to somebody who is not its recipient. Whoever was handed
    /// it with a ttl may hand it on with less, and nobody with more.
    // req: CAR-03, CAR-04
    pub(crate) fn spread(&mut self, from: Giver, to: usize, id: &EnvelopeId, ttl: u8) -> Holds {
        let granted = self.granted.get(&(*id, from.device)).copied();
        let known = self.granted.entry((*id, to)).or_default();
        *known = (*known).max(ttl.min(TTL_MAX));
        match granted {
            // Some bring an origin its own.
            _ if self.origins.get(id) == Some(&from.device) => Ok(()),
            Some(granted) if from.honest && ttl >= granted => {
                let name = self.envelope_name(id);
                let seen = format!("{name} came with ttl {granted} and is spread with {ttl}");
                Err(Broken::new(Invariant::NoSpreadAtZero, seen))
            }
            _ => Ok(()),
        }
    }

    /// An envelope of so many bytes goes over a link.
    pub(crate) fn sent(&mut self, id: &EnvelopeId, bytes: usize) {
        let message = self.envelopes.get(id).and_then(|fate| fate.message);
        if let Some(fate) = message.and_then(|id| self.messages.get_mut(&id)) {
            fate.copies += 1;
            fate.bytes += bytes as u64;
        }
    }

    /// Messages that are neither delivered nor given up.
    pub(crate) fn undelivered(&self) -> impl Iterator<Item = (&MessageId, &MessageFate)> {
        self.order.iter().filter_map(|id| Some((id, self.messages.get(id)?))).filter(|(_, fate)| {
            !(fate.state.is_final() && (fate.stored.is_some() || fate.is_given_up()))
        })
    }
}

/// Who hands an envelope on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Giver {
    pub(crate) device: usize,
    pub(crate) honest: bool,
}

impl MessageFate {
    /// Whether the sender knows that it may not have arrived.
    pub(crate) const fn is_given_up(&self) -> bool {
        matches!(self.state, DeliveryState::Cancelled | DeliveryState::NotConfirmed)
    }
}
