//! Against relays that do what no relay does.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tortalk_keys::RelaySecret;
use tortalk_keys::relay::{Authority, RelayAddress};
use tortalk_keys::relay_proof::info::{self, InfoClaim};
use tortalk_mesh::RelayAction;
use tortalk_mesh::relay::{PullEnd, RelayDown, RelayInput};
use tortalk_model::{EnvelopeId, Epoch, UnixMillis};
use tortalk_relay::authority_text::authority_of;
use tortalk_rpc::v1::relay_service_server::{RelayService, RelayServiceServer};
use tortalk_rpc::{InfoQuestion, v1};

use super::support::{Bench, Owner, QUICK, SECRET, address, common};
use crate::relays::Times;

/// What a false relay does otherwise than a true one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trick {
    None,
    OtherSecret,
    OtherNonce,
    OtherAuthority,
    NoVersion,
    ShortEpoch,
    ReceiptForNothing,
    ReceiptOfBadLength,
    NeverAnswers,
    EndsSync,
    NoChallenge,
    TwiceTheSame,
    EndsPull,
    Drains,
    PullOfBadLength,
    TooMuch,
    BusyOnce,
}

#[derive(Clone)]
struct Fake {
    trick: Trick,
    /// Calls besides GetInfo.
    calls: Arc<AtomicUsize>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn pull_answer(step: v1::pull_response::Step) -> Result<v1::PullResponse, Status> {
    Ok(v1::PullResponse { step: Some(step) })
}

fn pulled(seq: u64, envelope: Vec<u8>) -> Result<v1::PullResponse, Status> {
    pull_answer(v1::pull_response::Step::Envelope(v1::PullEnvelope { seq, envelope }))
}

#[tonic::async_trait]
impl RelayService for Fake {
    async fn get_info(
        &self,
        request: Request<v1::GetInfoRequest>,
    ) -> Result<Response<v1::GetInfoResponse>, Status> {
        let question = InfoQuestion::try_from(request.into_inner()).unwrap();
        let mut authority = Authority::parse(&question.authority).unwrap();
        let mut nonce = question.nonce;
        let mut seed = SECRET;
        let mut versions = vec![1, 2];
        match self.trick {
            Trick::OtherSecret => seed = [1; 32],
            Trick::OtherNonce => nonce[0] ^= 1,
            Trick::OtherAuthority => {
                authority = Authority::new(authority.host().clone(), 1).unwrap();
            }
            Trick::NoVersion => versions = vec![2],
            _ => {}
        }
        let secret = RelaySecret::from_seed(seed);
        let claim = InfoClaim {
            nonce: &nonce,
            authority: &authority,
            now: UnixMillis(5),
            epoch: Epoch::from_bytes([6; 16]),
            versions: &versions,
            onion: None,
        };
        let epoch = if self.trick == Trick::ShortEpoch { 15 } else { 16 };
        Ok(Response::new(v1::GetInfoResponse {
            relay_key: secret.public().as_bytes().to_vec(),
            now: 5,
            epoch: vec![6; epoch],
            signature: info::sign(&secret, &claim).as_bytes().to_vec(),
            versions: versions.into_iter().map(u32::from).collect(),
            limits: Some(v1::RelayLimits::default()),
            ..v1::GetInfoResponse::default()
        }))
    }

    type SyncStream = Answers<v1::SyncResponse>;

    async fn sync(
        &self,
        request: Request<Streaming<v1::SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let trick = self.trick;
        let answers = request.into_inner().filter_map(move |request| {
            let _deposit = request.ok()?;
            let list = v1::ReceiptList {
                stored: vec![1; if trick == Trick::ReceiptOfBadLength { 33 } else { 32 }],
                signature: vec![0; 64],
                ..v1::ReceiptList::default()
            };
            let form = Some(v1::storage_receipt::Form::List(list));
            let receipt = Some(v1::StorageReceipt { form });
            Some(Ok(v1::SyncResponse { now: 5, receipt, refusals: Vec::new() }))
        });
        Ok(Response::new(match trick {
            Trick::NeverAnswers => Box::pin(tokio_stream::pending()),
            Trick::EndsSync => Box::pin(tokio_stream::empty()),
            _ => Box::pin(answers),
        }))
    }

    type PullStream = Answers<v1::PullResponse>;

    async fn pull(
        &self,
        request: Request<Streaming<v1::PullRequest>>,
    ) -> Result<Response<Self::PullStream>, Status> {
        use v1::pull_response::Step;
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let trick = self.trick;
        if trick == Trick::BusyOnce && call == 0 {
            return Err(Status::resource_exhausted("too often"));
        }
        let mut requests = request.into_inner();
        let (sender, answers) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            let opened = pull_answer(Step::Opened(v1::PullOpened { registered_until: u64::MAX }));
            if trick == Trick::NoChallenge {
                return sender.send(opened).await;
            }
            let challenge =
                v1::PullChallenge { challenge: vec![1; 32], epoch: vec![6; 16], now: 5 };
            sender.send(pull_answer(Step::Challenge(challenge))).await?;
            let _proof = requests.message().await;
            sender.send(opened).await?;
            let end = |reason: v1::PullEndReason| {
                pull_answer(Step::End(v1::PullEnd { reason: reason.into() }))
            };
            match trick {
                Trick::TwiceTheSame => {
                    sender.send(pulled(7, vec![1; 9])).await?;
                    sender.send(pulled(7, vec![1; 9])).await?;
                }
                Trick::EndsPull => sender.send(end(v1::PullEndReason::Age)).await?,
                Trick::Drains => sender.send(end(v1::PullEndReason::Drain)).await?,
                Trick::PullOfBadLength => sender.send(pulled(7, vec![1; 70_000])).await?,
                Trick::TooMuch => {
                    for seq in 1..=257 {
                        sender.send(pulled(seq, vec![1; 9])).await?;
                    }
                }
                _ => {}
            }
            // The stream stays open until the client has ended it.
            while let Ok(Some(_)) = requests.message().await {}
            Ok(())
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn purge(
        &self,
        _: Request<v1::PurgeRequest>,
    ) -> Result<Response<v1::PurgeResponse>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(v1::PurgeResponse {}))
    }

    async fn put_card(
        &self,
        _: Request<v1::PutCardRequest>,
    ) -> Result<Response<v1::PutCardResponse>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Err(Status::unavailable("the disk fails"))
    }

    async fn get_card(
        &self,
        _: Request<v1::GetCardRequest>,
    ) -> Result<Response<v1::GetCardResponse>, Status> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.trick {
            Trick::BusyOnce if call == 0 => Err(Status::resource_exhausted("too often")),
            Trick::BusyOnce => Err(Status::not_found("none")),
            Trick::NeverAnswers => std::future::pending().await,
            _ => Ok(Response::new(v1::GetCardResponse::default())),
        }
    }
}

/// A false relay.
async fn fake(trick: Trick) -> (RelayAddress, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = authority_of(listener.local_addr().unwrap()).unwrap();
    let calls = Arc::<AtomicUsize>::default();
    let service = RelayServiceServer::new(Fake { trick, calls: Arc::clone(&calls) });
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    (address(&authority, RelaySecret::from_seed(SECRET).public()), calls)
}

// req: RLY-01, RLY-08, VER-02
#[tokio::test]
async fn nothing_is_said_to_who_does_not_prove_the_pinned_key() {
    for (trick, why) in [
        (Trick::OtherSecret, RelayDown::OtherKey),
        (Trick::OtherNonce, RelayDown::OtherKey),
        (Trick::OtherAuthority, RelayDown::OtherKey),
        (Trick::NoVersion, RelayDown::Protocol),
        (Trick::ShortEpoch, RelayDown::Protocol),
    ] {
        let (address, calls) = fake(trick).await;
        let (relay, owner) = (address.key(), Owner::new(1));
        let (mut bench, mailbox) = (Bench::new(common(QUICK)), owner.mailbox());
        bench.relays.apply(RelayAction::Connect(address));
        bench.deposit(relay, &owner.envelope().0, &[]);
        bench.relays.apply(RelayAction::Pull { relay, mailbox });
        bench.relays.apply(RelayAction::GetCard { relay, mailbox });
        assert_eq!(bench.down().await, why, "{trick:?}");
        bench.relays.apply(RelayAction::GetCard { relay, mailbox });
        // Through several further tries, which are no news.
        assert!(bench.is_quiet(QUICK.wait_max * 4).await);
        assert_eq!(calls.load(Ordering::SeqCst), 0, "{trick:?}");
    }
}

#[tokio::test]
async fn answers_that_break_the_protocol_end_the_connection() {
    for (trick, why) in [
        (Trick::ReceiptOfBadLength, RelayDown::Protocol),
        (Trick::EndsSync, RelayDown::Unreachable),
    ] {
        let (address, _) = fake(trick).await;
        let mut bench = Bench::up(common(QUICK), &address).await;
        bench.deposit(address.key(), &Owner::new(1).envelope().0, &[]);
        assert_eq!(bench.down().await, why, "{trick:?}");
        // Once, and then it is tried anew.
        assert!(matches!(bench.next().await, RelayInput::Up { .. }), "{trick:?}");
    }
}

// req: RLY-26
#[tokio::test]
async fn a_receipt_for_what_was_not_left_there_changes_nothing() {
    let (address, calls) = fake(Trick::ReceiptForNothing).await;
    let mut bench = Bench::up(common(QUICK), &address).await;
    let of_nothing = EnvelopeId::from_bytes([1; 32]);
    for number in 1..=3 {
        bench.deposit(address.key(), &Owner::new(number).envelope().0, &[]);
        assert_eq!(bench.receipt().await.ids, [of_nothing]);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1, "one stream took them all");
}

#[tokio::test]
async fn cards_that_are_none_and_calls_without_answer_end_the_connection() {
    let times = Times { call: Duration::from_millis(500), ..QUICK };
    let mailbox = Owner::new(1).mailbox();
    for (trick, why) in
        [(Trick::None, RelayDown::Protocol), (Trick::NeverAnswers, RelayDown::Unreachable)]
    {
        let (address, _) = fake(trick).await;
        let mut bench = Bench::up(common(times), &address).await;
        bench.relays.apply(RelayAction::GetCard { relay: address.key(), mailbox });
        assert_eq!(bench.down().await, why, "{trick:?}");
    }
    let (address, _) = fake(Trick::None).await;
    let mut bench = Bench::up(common(times), &address).await;
    let drop = tortalk_mesh::relay::CardDrop { seq: 1, blob: vec![1], signature: [0; 64] };
    bench.relays.apply(RelayAction::PutCard { relay: address.key(), mailbox, drop });
    assert_eq!(bench.down().await, RelayDown::Unreachable);
}

#[tokio::test]
async fn streams_that_break_the_protocol_end_the_connection() {
    for (trick, envelopes, why) in [
        (Trick::TwiceTheSame, 1, RelayDown::Protocol),
        (Trick::PullOfBadLength, 0, RelayDown::Protocol),
        (Trick::TooMuch, 256, RelayDown::Protocol),
        (Trick::Drains, 0, RelayDown::Unreachable),
    ] {
        let (address, _) = fake(trick).await;
        let mut bench = Bench::up(common(QUICK), &address).await;
        bench.pull(&address, &Owner::new(1)).await;
        for _ in 0..envelopes {
            bench.pulled().await;
        }
        assert_eq!(bench.down().await, why, "{trick:?}");
    }
    let (address, _) = fake(Trick::NoChallenge).await;
    let mut bench = Bench::up(common(QUICK), &address).await;
    let mailbox = Owner::new(1).mailbox();
    bench.relays.apply(RelayAction::Pull { relay: address.key(), mailbox });
    assert_eq!(bench.down().await, RelayDown::Protocol);
}

#[tokio::test]
async fn a_stream_that_ends_each_time_is_opened_more_and_more_slowly() {
    let (address, calls) = fake(Trick::EndsPull).await;
    let times = Times { wait_min: Duration::from_millis(100), ..QUICK };
    let times = Times { wait_max: Duration::from_secs(60), ..times };
    let mut bench = Bench::up(common(times), &address).await;
    let began = std::time::Instant::now();
    for _ in 0..5 {
        bench.pull(&address, &Owner::new(1)).await;
        match bench.next().await {
            RelayInput::PullEnded { why, .. } => assert_eq!(why, PullEnd::Again),
            other => panic!("{other:?}"),
        }
    }
    // At least half of 100 + 200 + 400 + 800 ms.
    assert!(began.elapsed() >= Duration::from_millis(750), "{:?}", began.elapsed());
    assert_eq!(calls.load(Ordering::SeqCst), 5);
}

// req: RLC-27
#[tokio::test]
async fn a_relay_that_is_busy_is_asked_again() {
    let (address, calls) = fake(Trick::BusyOnce).await;
    let mut bench = Bench::up(common(QUICK), &address).await;
    let (relay, mailbox) = (address.key(), Owner::new(1).mailbox());
    bench.relays.apply(RelayAction::GetCard { relay, mailbox });
    assert!(matches!(bench.next().await, RelayInput::CardFound { drop: None, .. }));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    let (address, _) = fake(Trick::BusyOnce).await;
    let mut bench = Bench::up(common(QUICK), &address).await;
    // The machine, which would wait for longer, is not told.
    bench.pull(&address, &Owner::new(1)).await;
}

#[tokio::test]
async fn a_connection_that_is_not_wanted_any_more_says_nothing() {
    let (address, calls) = fake(Trick::None).await;
    let relay = address.key();
    let mut bench = Bench::up(common(QUICK), &address).await;
    bench.relays.apply(RelayAction::Disconnect(relay));
    let mailbox = Owner::new(1).mailbox();
    bench.relays.apply(RelayAction::GetCard { relay, mailbox });
    // What the first one may still say is not taken for the second's.
    bench.connect(&address).await;
    bench.relays.disconnect_all();
    assert!(bench.is_quiet(Duration::from_millis(200)).await);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}
