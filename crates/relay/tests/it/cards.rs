//! Info, purging and card drops, over a socket.

use tonic::Code;
use tortalk_keys::Signature;
use tortalk_keys::relay_proof::card_drop;
use tortalk_keys::relay_proof::info::{self, InfoClaim};
use tortalk_model::limits::relay::CARD_LIFE;
use tortalk_rpc::{
    AuthorityBytes, CardBlob, CardDrop, Info, InfoQuestion, PurgeKeys, PutCard, PutCardAnswer,
    PutCardResult, v1,
};

use crate::support::client::{Said, deposit, fetch, register};
use crate::support::{Client, DAY, HOUR, Maker, Owner, START, TestRelay};

// req: RLY-01, RLY-06, RLY-07
#[tokio::test]
async fn a_relay_proves_its_key_for_the_address_that_was_dialled() {
    let test = TestRelay::start().await;
    let mut client = test.client().await;
    let nonce = [0x42; 32];
    let mut ask = async |authority: Vec<u8>| {
        let authority = AuthorityBytes::try_from(authority).expect("within the limit");
        client.get_info(v1::GetInfoRequest::from(InfoQuestion { nonce, authority })).await
    };
    let said = ask(test.authority.to_bytes()).await.expect("its own address").into_inner();
    let said = Info::try_from(said).expect("well-formed");
    assert_eq!((said.relay_key, said.versions.as_slice()), (test.key, &[1][..]));
    assert!(said.now >= START && said.now < START.saturating_add(HOUR));
    let claim = InfoClaim {
        nonce: &nonce,
        authority: &test.authority,
        now: said.now,
        epoch: said.epoch,
        versions: &said.versions,
        onion: said.onion,
    };
    let signature = Signature::from_bytes(said.signature);
    assert_eq!(info::verify(&test.key, &claim, &signature), Ok(()));
    assert_eq!(said.limits.stranger_bytes * 8, said.limits.mailbox_bytes);

    let mut other = test.authority.to_bytes();
    *other.last_mut().expect("a port") ^= 1;
    assert_eq!(ask(other).await.expect_err("another port").code(), Code::FailedPrecondition);
    let code = ask(vec![9; 9]).await.expect_err("no authority").code();
    assert_eq!(code, Code::InvalidArgument);
    let short = v1::GetInfoRequest { nonce: vec![1; 31], authority: test.authority.to_bytes() };
    let code = client.get_info(short).await.expect_err("a short nonce").code();
    assert_eq!(code, Code::InvalidArgument);
    test.stop().await;
}

// req: RLY-43, RLY-44, RLY-45
#[tokio::test]
async fn purging_forgets_and_says_nothing() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    let (first, key) = maker.with_purge_key(owner.mailbox());
    let second = maker.envelope(owner.mailbox());
    let items = [(first.clone(), owner.stamp(&first)), (second.clone(), owner.stamp(&second))];
    deposit(&test, &items).await;
    let mut client = test.client().await;
    for _ in 0..2 {
        let keys = PurgeKeys::new(vec![key.clone()]).expect("one key");
        let answer = client.purge(v1::PurgeRequest::from(keys)).await.expect("always");
        assert_eq!(answer.into_inner(), v1::PurgeResponse {});
    }
    let most = v1::PurgeRequest { keys: vec![vec![5; 32]; 256] };
    client.purge(most).await.expect("as many as there may be");
    for keys in [vec![vec![5; 32]; 257], vec![vec![5; 31]]] {
        let code = client.purge(v1::PurgeRequest { keys }).await.expect_err("refused").code();
        assert_eq!(code, Code::InvalidArgument);
    }
    let copy = deposit(&test, &items[..1]).await;
    assert_eq!(copy[0].1, Said::Duplicate, "its id is remembered");
    let found = fetch(&test, &owner, 1).await;
    assert_eq!(found[0].1, second.id());
    test.stop().await;
}

fn card(owner: &Owner, seq: u64, blob: &[u8]) -> CardDrop {
    let signature = *card_drop::sign(&owner.secret, seq, blob).as_bytes();
    CardDrop { seq, blob: CardBlob::try_from(blob).expect("within the limit"), signature }
}

async fn put(
    client: &mut Client,
    owner: &Owner,
    card: CardDrop,
) -> Result<PutCardAnswer, tonic::Status> {
    let put = PutCard { mailbox: owner.mailbox(), card };
    let answer = client.put_card(v1::PutCardRequest::from(put)).await?.into_inner();
    Ok(PutCardAnswer::try_from(answer).expect("well-formed"))
}

async fn get(client: &mut Client, owner: &Owner) -> Result<CardDrop, Code> {
    let request = v1::GetCardRequest { mailbox: owner.mailbox().as_bytes().to_vec() };
    let answer = client.get_card(request).await.map_err(|status| status.code())?.into_inner();
    Ok(CardDrop::try_from(answer).expect("well-formed"))
}

// req: RLY-04, RLY-46, RLY-47, RLY-48, RLY-49, RLY-50, RLY-51
#[tokio::test]
async fn a_drop_holds_the_newest_card_that_its_owner_signed() {
    let test = TestRelay::start().await;
    let (owner, other) = (Owner::new(1), Owner::new(2));
    let mut client = test.client().await;
    let unregistered = put(&mut client, &owner, card(&owner, 7, b"a")).await.expect("an answer");
    assert_eq!(unregistered, PutCardAnswer { result: PutCardResult::Unregistered, seq: 0 });
    register(&test, &owner).await;
    assert_eq!(get(&mut client, &owner).await, Err(Code::NotFound));
    let stored = put(&mut client, &owner, card(&owner, 7, &[1; 8192])).await.expect("an answer");
    assert_eq!(stored, PutCardAnswer { result: PutCardResult::Stored, seq: 7 });
    let old = put(&mut client, &owner, card(&owner, 6, b"b")).await.expect("an answer");
    assert_eq!(old, PutCardAnswer { result: PutCardResult::Old, seq: 7 });
    let forged = put(&mut client, &owner, card(&other, 8, b"c")).await;
    assert_eq!(forged.expect_err("forged").code(), Code::Unauthenticated);
    for blob in [vec![], vec![1; 8193]] {
        let request = v1::PutCardRequest {
            mailbox: owner.mailbox().as_bytes().to_vec(),
            seq: 9,
            blob,
            signature: vec![0; 64],
        };
        let status = client.put_card(request).await.expect_err("of a wrong length");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    let folder = test.stop().await;
    let options = crate::support::Options { folder: Some(folder), ..Default::default() };
    let test = TestRelay::with(options).await;
    let mut client = test.client().await;
    let held = get(&mut client, &owner).await.expect("durable");
    assert_eq!(held, card(&owner, 7, &[1; 8192]));
    let signature = Signature::from_bytes(held.signature);
    let verified = card_drop::verify(&owner.mailbox(), held.seq, &held.blob, &signature);
    assert_eq!(verified, Ok(()), "readers check it themselves");
    test.stop().await;
}

// req: RLY-39, RLY-51
#[tokio::test]
async fn no_drop_and_no_mailbox_look_alike_and_a_drop_ends_after_sixty_days() {
    let test = TestRelay::start().await;
    let (owner, unknown) = (Owner::new(1), Owner::new(2));
    register(&test, &owner).await;
    let mut client = test.client().await;
    assert_eq!(get(&mut client, &owner).await, Err(Code::NotFound));
    assert_eq!(get(&mut client, &unknown).await, Err(Code::NotFound));
    put(&mut client, &owner, card(&owner, 7, b"a")).await.expect("an answer");
    test.clock.advance(CARD_LIFE - HOUR);
    register(&test, &owner).await;
    let mut client = test.client().await;
    get(&mut client, &owner).await.expect("not yet");
    test.clock.advance(HOUR);
    let mut client = test.client().await;
    assert_eq!(get(&mut client, &owner).await, Err(Code::NotFound));
    test.stop().await;
}

// req: RLY-55
#[tokio::test]
async fn a_running_relay_forgets_what_has_expired() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    let envelope = maker.envelope(owner.mailbox());
    deposit(&test, &[(envelope.clone(), owner.stamp(&envelope))]).await;
    test.clock.advance(DAY * 12);
    test.relay().sweep().await;
    assert_eq!(fetch(&test, &owner, 0).await, []);
    let file = test.folder.path().join(tortalk_relay::store::sqlite::STORE_FILE);
    let reader = rusqlite::Connection::open(file).expect("the relay's file");
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        reader.query_row(&sql, [], |row| row.get(0)).expect("a table")
    };
    assert_eq!((count("envelope"), count("content")), (0, 0));
    test.stop().await;
}
