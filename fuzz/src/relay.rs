//! What passes between a relay and its clients.

use prost::Message;
use tortalk_keys::RelaySecret;
use tortalk_keys::fuzzing::with_any_signature;
use tortalk_keys::relay::{Authority, RelayHost};
use tortalk_model::limits::relay::{CARD_BLOB_BYTES_MAX, PURGE_KEYS_MAX, RECEIPT_IDS_MAX};
use tortalk_model::limits::{ENVELOPE_BYTES_MAX, STAMP_BYTES_MAX};
use tortalk_model::{Envelope, UnixMillis};
use tortalk_relay::engine::check_card;
use tortalk_relay::rules::pull::{SendWindow, check_proof};
use tortalk_relay::rules::sync::Window;
use tortalk_rpc::{
    BodyError, CardDrop, Deposit, Info, InfoQuestion, PullAnswer, PullStep, PurgeKeys, PutCard,
    PutCardAnswer, SyncAnswer, mailbox_asked, v1,
};

/// The first byte chooses the request. An accepted one survives being written,
/// and the rules that need no store take it without panic.
pub fn request(bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    match kind % 6 {
        0 => drop(survives::<v1::GetInfoRequest, InfoQuestion>(bytes)),
        1 => with_any_signature(|| deposit(bytes)),
        2 => with_any_signature(|| pull(bytes)),
        3 => {
            let keys = survives::<v1::PurgeRequest, PurgeKeys>(bytes);
            assert!(keys.is_none_or(|keys| keys.into_vec().len() <= PURGE_KEYS_MAX));
        }
        4 => with_any_signature(|| put_card(bytes)),
        _ => {
            let asked = v1::GetCardRequest::decode(bytes).ok();
            let _mailbox = asked.map(|asked| mailbox_asked(&asked));
        }
    }
}

/// The first byte chooses the answer. An accepted one survives being written.
pub fn response(bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => drop(survives::<v1::GetInfoResponse, Info>(bytes)),
        1 => {
            let Some(answer) = survives::<v1::SyncResponse, SyncAnswer>(bytes) else { return };
            assert!(answer.refusals.len() <= RECEIPT_IDS_MAX);
            let ids = answer.receipt.map(|receipt| receipt.ids().len());
            assert!(ids.is_none_or(|ids| (1..=RECEIPT_IDS_MAX).contains(&ids)));
        }
        2 => drop(survives::<v1::PullResponse, PullAnswer>(bytes)),
        3 => drop(survives::<v1::PutCardResponse, PutCardAnswer>(bytes)),
        _ => drop(survives::<v1::GetCardResponse, CardDrop>(bytes)),
    }
}

/// Reads a message, and reads it again from what it is written as.
fn survives<P, T>(bytes: &[u8]) -> Option<T>
where
    P: Message + Default + From<T>,
    T: TryFrom<P, Error = BodyError> + Clone + PartialEq + core::fmt::Debug,
{
    let read = T::try_from(P::decode(bytes).ok()?).ok()?;
    let written = P::from(read.clone()).encode_to_vec();
    let again = P::decode(&written[..]).map(T::try_from).expect("what was written is protobuf");
    assert_eq!(again.as_ref(), Ok(&read), "it does not survive its own bytes");
    Some(read)
}

fn deposit(bytes: &[u8]) {
    let Some(deposit) = survives::<v1::SyncRequest, Deposit>(bytes) else { return };
    assert!(deposit.envelope.len() <= ENVELOPE_BYTES_MAX && deposit.stamp.len() <= STAMP_BYTES_MAX);
    let (mut window, now) = (Window::default(), UnixMillis(1_800_000_000_000));
    let envelope = Envelope::parse(deposit.envelope.to_vec());
    let id = Envelope::id_of(&deposit.envelope);
    match window.take(deposit, now).expect("the first one") {
        Ok(incoming) => assert_eq!(Ok(incoming.envelope), envelope),
        Err(refusal) => assert_eq!(refusal.id, id),
    }
}

fn pull(bytes: &[u8]) {
    let authorities = [authority()];
    match survives::<v1::PullRequest, PullStep>(bytes) {
        Some(PullStep::Proof(proof)) => {
            let key = relay_secret().public();
            if let Ok(proved) = check_proof(&proof, &[7; 32], key, &authorities) {
                assert_eq!(proved.mailbox, proof.mailbox);
                assert_eq!(Authority::parse(&proof.authority).as_ref(), Ok(&authorities[0]));
            }
        }
        Some(PullStep::Ack(ack)) => {
            let mut window = SendWindow::new(ack.epoch);
            window.sent(5, 100);
            let released = window.ack(&ack);
            assert_eq!(released.is_err(), ack.up_to > 5);
            assert_eq!(released.is_ok_and(|seq| seq == Some(5)), ack.up_to == 5);
        }
        None => {}
    }
}

fn put_card(bytes: &[u8]) {
    let Some(put) = survives::<v1::PutCardRequest, PutCard>(bytes) else { return };
    assert!((1..=CARD_BLOB_BYTES_MAX).contains(&put.card.blob.len()));
    let _signed = check_card(&put);
}

fn authority() -> Authority {
    Authority::new(RelayHost::Name("relay.example".to_owned()), 443).expect("an address")
}

fn relay_secret() -> RelaySecret {
    RelaySecret::from_seed([5; 32])
}
