//! A door to the layouts of rows for the fuzzer, in no other build.

use tortalk_mesh::{IncomingMessage, OutgoingMessage};
use tortalk_model::{Envelope, IdentityKey, MessageId, PurgeKey};
use zeroize::Zeroizing;

use crate::rows;

/// Layouts that [`row_again`] knows.
pub const ROWS: u8 = 15;

/// Reads what was sealed in a row of the given kind and writes it again; `None`
/// for what is no row of that kind.
pub fn row_again(kind: u8, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let who = IdentityKey::from_bytes([7; 32]);
    Some(match kind {
        0 => rows::store_id(&rows::read_store_id(bytes).ok()?),
        1 => {
            let (intro, contact) = rows::read_cards(bytes).ok()?;
            rows::cards(&intro, &contact)
        }
        2 => rows::person(&rows::read_person(bytes).ok()?),
        3 => rows::contact(&rows::read_contact(who, bytes).ok()?),
        4 => rows::request(&rows::read_request(who, bytes).ok()?),
        5 => {
            let fixed = rows::read_outgoing(bytes).ok()?;
            rows::outgoing(&outgoing(who, fixed))
        }
        6 => rows::outgoing_state(&rows::read_outgoing_state(bytes).ok()?),
        7 => {
            let fixed = rows::read_incoming(bytes).ok()?;
            rows::incoming(&incoming(who, fixed)).expect("a body that was read can be written")
        }
        8 => rows::incoming_state(&rows::read_incoming_state(bytes).ok()?),
        9 => rows::evidence(&rows::read_evidence(bytes).ok()?),
        10 => {
            // The row's place names the envelope; here it is taken from the row.
            let envelope = envelope_at_end(bytes)?;
            let held = rows::read_envelope(who, &envelope.id(), bytes).ok()?;
            assert_eq!(held.envelope, envelope, "the envelope is the row's last field");
            rows::envelope(&held)
        }
        11 => {
            let key: PurgeKey = rows::read_seen(bytes).ok()?;
            rows::seen(&key)
        }
        12 => rows::own_relays(&rows::read_own_relays(bytes).ok()?).ok()?,
        13 => rows::adopted_relays(&rows::read_adopted_relays(bytes).ok()?).ok()?,
        14 => {
            let envelope = envelope_at_end(bytes)?;
            rows::unopened(&rows::read_unopened(&envelope.id(), bytes).ok()?)
        }
        _ => return None,
    })
}

/// The envelope that ends the bytes, whose length stands before it.
fn envelope_at_end(bytes: &[u8]) -> Option<Envelope> {
    let starts = |at: &usize| {
        let length = bytes.get(at - 4..*at).and_then(|length| length.try_into().ok());
        length.is_some_and(|length| u32::from_be_bytes(length) as usize == bytes.len() - at)
    };
    let start = (4..=bytes.len()).find(starts)?;
    Envelope::parse(bytes[start..].to_vec()).ok()
}

fn outgoing(contact: IdentityKey, fixed: rows::OutgoingFixed) -> OutgoingMessage {
    OutgoingMessage {
        message_id: MessageId::from_bytes([0; 32]),
        contact,
        signed: fixed.signed,
        signature: fixed.signature,
        body_type: fixed.body_type,
        counter: fixed.counter,
        text: fixed.text,
        written_at: fixed.written_at,
        envelope_id: None,
        attempts: 0,
        next_try: None,
        evidence: Vec::new(),
    }
}

fn incoming(contact: IdentityKey, fixed: rows::IncomingFixed) -> IncomingMessage {
    IncomingMessage {
        message_id: MessageId::from_bytes([0; 32]),
        contact,
        signed_hash: fixed.signed_hash,
        sent_at: fixed.sent_at,
        received_at: fixed.received_at,
        chain_id: fixed.chain_id,
        counter: fixed.counter,
        body: fixed.body,
        receipt_at: None,
        read: false,
    }
}
