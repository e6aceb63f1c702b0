//! What holds of every message of the relay service.

use proptest::prelude::*;
use tortalk_model::{EnvelopeId, Epoch, MailboxKey, PurgeKey, RelayKey, UnixMillis};
use tortalk_rpc::{
    CardDrop, Deposit, DepositRefusal, Info, InfoQuestion, PullAck, PullAnswer, PullEndReason,
    PullProof, PullStep, PurgeKeys, PutCard, PutCardAnswer, PutCardResult, Receipt, Refusal,
    RelayLimits, SyncAnswer, v1,
};
use tortalk_wire::BoundedBytes;

/// Through the message's bytes and back: the same value, and the same bytes.
fn check<P, T>(value: T) -> Result<(), TestCaseError>
where
    P: From<T> + prost::Message + Default,
    T: TryFrom<P> + Clone + PartialEq + std::fmt::Debug,
    T::Error: std::fmt::Debug,
{
    let bytes = P::from(value.clone()).encode_to_vec();
    let read = T::try_from(P::decode(&bytes[..]).expect("its own bytes")).expect("its own message");
    prop_assert_eq!(&read, &value);
    prop_assert_eq!(P::from(read).encode_to_vec(), bytes);
    Ok(())
}

/// What is understood of any bytes is understood in the same way once more.
fn check_read<P, T>(bytes: &[u8]) -> Result<(), TestCaseError>
where
    P: From<T> + prost::Message + Default,
    T: TryFrom<P> + Clone + PartialEq + std::fmt::Debug,
    T::Error: std::fmt::Debug,
{
    match P::decode(bytes).map(T::try_from) {
        Ok(Ok(value)) => check::<P, T>(value),
        _ => Ok(()),
    }
}

fn bytes<const MIN: usize, const MAX: usize>() -> impl Strategy<Value = BoundedBytes<MIN, MAX>> {
    prop::collection::vec(any::<u8>(), MIN..=MAX.min(200))
        .prop_map(|bytes| bytes.try_into().expect("between the limits"))
}

fn signature() -> impl Strategy<Value = [u8; 64]> {
    any::<u8>().prop_map(|fill| [fill; 64])
}

fn time() -> impl Strategy<Value = UnixMillis> {
    any::<u64>().prop_map(UnixMillis)
}

fn ids(max: usize) -> impl Strategy<Value = Vec<EnvelopeId>> {
    prop::collection::vec(any::<[u8; 32]>().prop_map(EnvelopeId::from_bytes), 0..=max)
}

fn info() -> impl Strategy<Value = Info> {
    let onion = prop::option::of((any::<[u8; 32]>(), 1_u16..));
    let versions = prop::collection::vec(1_u16.., 1..=16);
    let authorities = prop::collection::vec(bytes(), 1..=16);
    let limits = any::<[u64; 5]>().prop_map(|[a, b, c, d, e]| RelayLimits {
        mailbox_bytes: a,
        stranger_bytes: b,
        stranger_envelopes: c,
        expiry_ahead_s: d,
        registration_s: e,
    });
    let fixed = (any::<[u8; 32]>(), time(), any::<[u8; 16]>(), signature());
    (fixed, versions, onion, authorities, limits).prop_map(
        |((key, now, epoch, signature), versions, onion, authorities, limits)| Info {
            relay_key: RelayKey::from_bytes(key),
            now,
            epoch: Epoch::from_bytes(epoch),
            versions,
            onion,
            signature,
            authorities,
            limits,
        },
    )
}

fn sync_answer() -> impl Strategy<Value = SyncAnswer> {
    use DepositRefusal::{Busy, Expiry, Full, Malformed, NoRoom};
    let receipt = (time(), time(), ids(20), ids(20), signature())
        .prop_filter("a receipt names something", |(_, _, a, b, _)| a.len() + b.len() > 0)
        .prop_map(|(time, store_until, stored, duplicates, signature)| Receipt {
            time,
            store_until,
            stored,
            duplicates,
            signature,
        });
    let reason = prop::sample::select(vec![Busy, Expiry, Full, Malformed, NoRoom]);
    let refusal =
        (any::<[u8; 32]>(), reason, any::<u32>()).prop_map(|(id, reason, retry_after_s)| Refusal {
            id: EnvelopeId::from_bytes(id),
            reason,
            retry_after_s,
        });
    (time(), prop::option::of(receipt), prop::collection::vec(refusal, 0..20))
        .prop_map(|(now, receipt, refusals)| SyncAnswer { now, receipt, refusals })
}

fn pull_step() -> impl Strategy<Value = PullStep> {
    let proof = (
        any::<[u8; 32]>(),
        any::<[u8; 32]>(),
        bytes(),
        prop::option::of(any::<[u8; 32]>()),
        signature(),
    )
        .prop_map(|(mailbox, client_nonce, authority, deposit_key, signature)| PullProof {
            mailbox: MailboxKey::from_bytes(mailbox),
            client_nonce,
            authority,
            consumer: [0; 8],
            deposit_key,
            signature,
        });
    let ack = (any::<[u8; 16]>(), any::<u64>())
        .prop_map(|(epoch, up_to)| PullAck { epoch: Epoch::from_bytes(epoch), up_to });
    prop_oneof![proof.prop_map(PullStep::Proof), ack.prop_map(PullStep::Ack)]
}

fn pull_answer() -> impl Strategy<Value = PullAnswer> {
    use PullEndReason::{Age, Closed, Drain, Superseded, Unspecified};
    let reason = prop::sample::select(vec![Age, Closed, Drain, Superseded, Unspecified]);
    prop_oneof![
        (any::<[u8; 32]>(), any::<[u8; 16]>(), time()).prop_map(|(challenge, epoch, now)| {
            PullAnswer::Challenge { challenge, epoch: Epoch::from_bytes(epoch), now }
        }),
        time().prop_map(|registered_until| PullAnswer::Opened { registered_until }),
        (1_u64.., bytes()).prop_map(|(seq, envelope)| PullAnswer::Envelope { seq, envelope }),
        reason.prop_map(PullAnswer::End),
    ]
}

fn drop() -> impl Strategy<Value = CardDrop> {
    (any::<u64>(), bytes(), signature()).prop_map(|(seq, blob, signature)| CardDrop {
        seq,
        blob,
        signature,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn questions_about_a_relay(nonce: [u8; 32], authority in bytes(), info in info()) {
        check::<v1::GetInfoRequest, _>(InfoQuestion { nonce, authority })?;
        check::<v1::GetInfoResponse, _>(info)?;
    }

    #[test]
    fn deposits(stamp in bytes(), envelope in bytes(), answer in sync_answer()) {
        check::<v1::SyncRequest, _>(Deposit { stamp, envelope })?;
        check::<v1::SyncResponse, _>(answer)?;
    }

    #[test]
    fn pulls(step in pull_step(), answer in pull_answer()) {
        check::<v1::PullRequest, _>(step)?;
        check::<v1::PullResponse, _>(answer)?;
    }

    #[test]
    fn purges(keys in prop::collection::vec(any::<[u8; 32]>(), 0..60)) {
        let keys = keys.into_iter().map(PurgeKey::from_bytes).collect();
        check::<v1::PurgeRequest, _>(PurgeKeys::new(keys).expect("at most 256"))?;
    }

    #[test]
    fn drops(mailbox: [u8; 32], card in drop(), seq: u64, result in 0..3_usize) {
        use PutCardResult::{Old, Stored, Unregistered};
        check::<v1::GetCardResponse, _>(card.clone())?;
        let mailbox = MailboxKey::from_bytes(mailbox);
        check::<v1::PutCardRequest, _>(PutCard { mailbox, card })?;
        let result = [Stored, Old, Unregistered][result];
        check::<v1::PutCardResponse, _>(PutCardAnswer { result, seq })?;
    }

    /// A byte changed in what is well formed.
    #[test]
    fn what_is_understood_stays_as_it_is(
        info in info(),
        sync in sync_answer(),
        step in pull_step(),
        answer in pull_answer(),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        use prost::Message as _;
        let changed = |mut bytes: Vec<u8>| {
            let at = at.index(bytes.len().max(1));
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes
        };
        let of = v1::GetInfoResponse::from(info).encode_to_vec();
        check_read::<v1::GetInfoResponse, Info>(&changed(of))?;
        let of = v1::SyncResponse::from(sync).encode_to_vec();
        check_read::<v1::SyncResponse, SyncAnswer>(&changed(of))?;
        let of = v1::PullRequest::from(step).encode_to_vec();
        check_read::<v1::PullRequest, PullStep>(&changed(of))?;
        let of = v1::PullResponse::from(answer).encode_to_vec();
        check_read::<v1::PullResponse, PullAnswer>(&changed(of))?;
    }
}
