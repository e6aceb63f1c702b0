//! What converts, and what does not.

use proptest::prelude::*;
use tortalk_model::{EnvelopeId, Epoch, MailboxKey, PurgeKey, RelayKey, UnixMillis};
use tortalk_rpc::{
    AuthorityBytes, CardBlob, CardDrop, Deposit, DepositRefusal, EnvelopeBytes, Info, InfoQuestion,
    PullAck, PullAnswer, PullEndReason, PullProof, PullStep, PurgeKeys, PutCard, PutCardAnswer,
    PutCardResult, Receipt, Refusal, RelayLimits, StampBytes, SyncAnswer, mailbox_asked, v1,
};

/// Through the message and back.
fn again<P, T>(value: T) -> T
where
    P: From<T> + prost::Message + Default,
    T: TryFrom<P>,
    T::Error: std::fmt::Debug,
{
    let bytes = P::from(value).encode_to_vec();
    T::try_from(P::decode(&bytes[..]).expect("its own bytes")).expect("its own message")
}

fn authority() -> AuthorityBytes {
    AuthorityBytes::try_from(&[1; 9][..]).expect("within the limit")
}

fn info() -> Info {
    Info {
        relay_key: RelayKey::from_bytes([1; 32]),
        now: UnixMillis(u64::MAX),
        epoch: Epoch::from_bytes([2; 16]),
        versions: vec![1, 65_535],
        onion: Some(([3; 32], 80)),
        signature: [4; 64],
        authorities: vec![authority(); 16],
        limits: RelayLimits { mailbox_bytes: 1, stranger_bytes: 2, ..RelayLimits::default() },
    }
}

fn receipt() -> Receipt {
    Receipt {
        time: UnixMillis(1),
        store_until: UnixMillis(2),
        stored: vec![EnvelopeId::from_bytes([1; 32]); 255],
        duplicates: vec![EnvelopeId::from_bytes([2; 32])],
        signature: [3; 64],
    }
}

fn proof() -> PullProof {
    PullProof {
        mailbox: MailboxKey::from_bytes([1; 32]),
        client_nonce: [2; 32],
        authority: authority(),
        consumer: [0; 8],
        deposit_key: Some([3; 32]),
        signature: [4; 64],
    }
}

#[test]
fn every_message_says_what_it_was_made_of() {
    let question = InfoQuestion { nonce: [1; 32], authority: authority() };
    assert_eq!(again::<v1::GetInfoRequest, _>(question.clone()), question);
    for onion in [info().onion, None] {
        let info = Info { onion, ..info() };
        assert_eq!(again::<v1::GetInfoResponse, _>(info.clone()), info);
    }
    let deposit = Deposit {
        stamp: StampBytes::from([1; 16]),
        envelope: EnvelopeBytes::try_from(&[2; 67_017][..]).expect("the limit"),
    };
    assert_eq!(again::<v1::SyncRequest, _>(deposit.clone()), deposit);
    let refusals: Vec<Refusal> = [
        DepositRefusal::Malformed,
        DepositRefusal::Expiry,
        DepositRefusal::Busy,
        DepositRefusal::NoRoom,
        DepositRefusal::Full,
    ]
    .map(|reason| Refusal { id: EnvelopeId::from_bytes([5; 32]), reason, retry_after_s: 7 })
    .to_vec();
    for receipt in [Some(receipt()), None] {
        let answer = SyncAnswer { now: UnixMillis(9), receipt, refusals: refusals.clone() };
        assert_eq!(again::<v1::SyncResponse, _>(answer.clone()), answer);
    }
    let ack = PullAck { epoch: Epoch::from_bytes([1; 16]), up_to: u64::MAX };
    for deposit_key in [Some([3; 32]), None] {
        let step = PullStep::Proof(PullProof { deposit_key, ..proof() });
        assert_eq!(again::<v1::PullRequest, _>(step.clone()), step);
    }
    assert_eq!(again::<v1::PullRequest, _>(PullStep::Ack(ack)), PullStep::Ack(ack));
    for answer in [
        PullAnswer::Challenge {
            challenge: [1; 32],
            epoch: Epoch::from_bytes([2; 16]),
            now: UnixMillis(3),
        },
        PullAnswer::Opened { registered_until: UnixMillis(4) },
        PullAnswer::Envelope {
            seq: 5,
            envelope: EnvelopeBytes::try_from(&[6][..]).expect("short"),
        },
        PullAnswer::End(PullEndReason::Closed),
        PullAnswer::End(PullEndReason::Superseded),
        PullAnswer::End(PullEndReason::Age),
        PullAnswer::End(PullEndReason::Drain),
        PullAnswer::End(PullEndReason::Unspecified),
    ] {
        assert_eq!(again::<v1::PullResponse, _>(answer.clone()), answer);
    }
    let keys = PurgeKeys::new(vec![PurgeKey::from_bytes([1; 32]); 256]).expect("the limit");
    assert_eq!(again::<v1::PurgeRequest, _>(keys.clone()), keys);
    let blob = CardBlob::try_from(&[1; 8_192][..]).expect("the limit");
    let card = CardDrop { seq: u64::MAX, blob, signature: [2; 64] };
    assert_eq!(again::<v1::GetCardResponse, _>(card.clone()), card);
    let put = PutCard { mailbox: MailboxKey::from_bytes([3; 32]), card };
    assert_eq!(again::<v1::PutCardRequest, _>(put.clone()), put);
    for result in [PutCardResult::Stored, PutCardResult::Old, PutCardResult::Unregistered] {
        let answer = PutCardAnswer { result, seq: 4 };
        assert_eq!(again::<v1::PutCardResponse, _>(answer), answer);
    }
}

// req: RLY-10, RLY-29, RLY-43, RLY-46
#[test]
fn a_length_or_number_out_of_range_is_refused_with_its_field() {
    fn of<P, T: TryFrom<P, Error = tortalk_rpc::BodyError>>(message: P) -> &'static str {
        match T::try_from(message) {
            Ok(_) => "",
            Err(error) => error.field,
        }
    }
    let deposit = |stamp: usize, envelope: usize| {
        let request = v1::SyncRequest { stamp: vec![0; stamp], envelope: vec![0; envelope] };
        of::<_, Deposit>(request)
    };
    assert_eq!([deposit(64, 1), deposit(65, 1)], ["", "stamp"]);
    assert_eq!([deposit(0, 0), deposit(0, 67_018)], ["envelope", "envelope"]);
    let purge = |count: usize, len: usize| {
        of::<_, PurgeKeys>(v1::PurgeRequest { keys: vec![vec![0; len]; count] })
    };
    assert_eq!([purge(256, 32), purge(257, 32), purge(1, 33)], ["", "keys", "keys"]);
    let put = |edit: fn(&mut v1::PutCardRequest)| {
        let blob = CardBlob::try_from(&[1][..]).expect("short");
        let card = CardDrop { seq: 1, blob, signature: [2; 64] };
        let put = PutCard { mailbox: MailboxKey::from_bytes([3; 32]), card };
        let mut request = v1::PutCardRequest::from(put);
        edit(&mut request);
        of::<_, PutCard>(request)
    };
    assert_eq!(put(|_| {}), "");
    assert_eq!(put(|put| put.mailbox.push(0)), "mailbox");
    assert_eq!(put(|put| put.blob.clear()), "blob");
    assert_eq!(put(|put| put.blob.resize(8_193, 0)), "blob");
    assert_eq!(put(|put| put.signature.push(0)), "signature");
    let proof = |edit: fn(&mut v1::PullProof)| {
        let mut request = v1::PullRequest::from(PullStep::Proof(proof()));
        if let Some(v1::pull_request::Step::Proof(proof)) = &mut request.step {
            edit(proof);
        }
        of::<_, PullStep>(request)
    };
    assert_eq!(proof(|_| {}), "");
    assert_eq!(proof(|proof| proof.mailbox.clear()), "mailbox");
    assert_eq!(proof(|proof| proof.client_nonce.clear()), "client_nonce");
    assert_eq!(proof(|proof| proof.authority.truncate(4)), "authority");
    assert_eq!(proof(|proof| proof.authority.resize(69, 0)), "authority");
    assert_eq!(proof(|proof| proof.consumer.clear()), "consumer");
    assert_eq!(proof(|proof| proof.deposit_key.push(0)), "deposit_key");
    assert_eq!(proof(|proof| proof.signature.clear()), "signature");
    assert_eq!(of::<_, PullStep>(v1::PullRequest { step: None }), "step");
    let info = |edit: fn(&mut v1::GetInfoResponse)| {
        let mut response = v1::GetInfoResponse::from(info());
        edit(&mut response);
        of::<_, Info>(response)
    };
    assert_eq!(info(|info| info.versions.clear()), "versions");
    assert_eq!(info(|info| info.versions.resize(17, 1)), "versions");
    assert_eq!(info(|info| info.versions.push(65_536)), "versions");
    assert_eq!(info(|info| info.authorities.resize(17, vec![1; 9])), "authorities");
    assert_eq!(info(|info| info.onion.push(0)), "onion");
    assert_eq!(info(|info| info.limits = None), "limits");
    let list = |edit: fn(&mut v1::ReceiptList)| {
        let mut list = v1::ReceiptList::from(receipt());
        edit(&mut list);
        of::<_, Receipt>(list)
    };
    assert_eq!(list(|list| list.stored.push(0)), "stored");
    assert_eq!(list(|list| list.duplicates.extend([0; 32])), "stored", "257 in all");
    assert_eq!(list(|list| (list.stored.clear(), list.duplicates.clear()).0), "stored");
    assert_eq!(list(|list| list.signature.clear()), "signature");
    let result = v1::PutCardResponse { result: 9, seq: 1 };
    assert_eq!(of::<_, PutCardAnswer>(result), "result");
    let short = v1::GetCardRequest { mailbox: vec![0; 31] };
    assert_eq!(mailbox_asked(&short).map_err(|error| error.field), Err("mailbox"));
}

#[test]
fn what_a_later_version_says_is_read_as_nothing_special() {
    let id = vec![1; 32];
    let refusal = v1::Refusal { id, reason: 77, retry_after_s: 0 };
    let read = Refusal::try_from(refusal).expect("an unknown reason is no error");
    assert_eq!(read.reason, DepositRefusal::Busy);
    let end =
        v1::PullResponse { step: Some(v1::pull_response::Step::End(v1::PullEnd { reason: 77 })) };
    assert_eq!(PullAnswer::try_from(end), Ok(PullAnswer::End(PullEndReason::Unspecified)));
    // A receipt of another form proves nothing.
    let response = v1::SyncResponse {
        now: 1,
        receipt: Some(v1::StorageReceipt { form: None }),
        refusals: Vec::new(),
    };
    assert_eq!(SyncAnswer::try_from(response).map(|answer| answer.receipt), Ok(None));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read::<v1::SyncRequest, Deposit>(&bytes);
        read::<v1::PullRequest, PullStep>(&bytes);
        read::<v1::SyncResponse, SyncAnswer>(&bytes);
        read::<v1::PullResponse, PullAnswer>(&bytes);
        read::<v1::GetInfoResponse, Info>(&bytes);
        read::<v1::PurgeRequest, PurgeKeys>(&bytes);
        read::<v1::PutCardRequest, PutCard>(&bytes);
        read::<v1::GetCardResponse, CardDrop>(&bytes);
    }
}

fn read<P: prost::Message + Default, T: TryFrom<P>>(bytes: &[u8]) {
    if let Ok(message) = P::decode(bytes) {
        drop(T::try_from(message));
    }
}
