mod keys;

use std::cell::Cell;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Notify;
use tortalk_mesh::Visibility;
use tortalk_model::{DeviceId, InstanceId, UnixMillis};
use tortalk_sqlite::StoreFault;

use super::*;
use crate::control::event::NodeEvent;
use crate::control::protocol::ErrorKind;
use crate::handle::unix_now;
use crate::links::LinkOrder;
use crate::profile::{self, Argon2Cost, NewProfile};

thread_local! {
    /// What the next commits meet with.
    static FAULT: Cell<Option<StoreFault>> = const { Cell::new(None) };
    static COMMITS: Cell<u32> = const { Cell::new(0) };
}

pub(super) fn injected_fault() -> Result<(), StoreError> {
    COMMITS.set(COMMITS.get() + 1);
    FAULT.get().map_or(Ok(()), |fault| Err(StoreError::Fault(fault)))
}

/// An engine that the test drives by hand.
struct Bench {
    engine: Engine,
    events: broadcast::Receiver<EventLine>,
    inputs: mpsc::Sender<EngineInput>,
    _runtime: tokio::runtime::Runtime,
    _dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::made_at(UnixMillis(unix_now()))
    }

    /// With a profile that was made at some time.
    fn made_at(made: UnixMillis) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("profile");
        let new = NewProfile {
            dir: &path,
            name: "me",
            passphrase: None,
            cost: Argon2Cost::DEFAULT,
            person: None,
        };
        let profile = profile::create(&new, made, &mut OsEntropy).unwrap();
        let store =
            Store::open(profile.store_path(), profile.key().clone(), Box::new(OsEntropy)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let config = MeshConfig {
            name: "me".to_owned(),
            visibility: Visibility::Everyone,
            read_receipts: false,
            request_receipts: false,
            awaits_relays: false,
            instance_id: InstanceId::from_bytes([1; 16]),
            relays: Vec::new(),
        };
        let (to_engine, inputs) = mpsc::channel(INPUTS_WAITING_MAX);
        let (sender, events) = broadcast::channel(1024);
        let around = Surroundings {
            inputs,
            to_self: to_engine.clone(),
            phase: watch::channel(Phase::Running).1,
            events: sender,
            runtime: runtime.handle().clone(),
            clock: Clock::system(),
            links: None,
            relays: None,
            own_relays: Vec::new(),
            beacon: Arc::new(Notify::new()),
            visibility: watch::channel(Visibility::Everyone).0,
            about: About { dir: path, port: 0, started_at: unix_now() },
            sabotage: Sabotage::None,
        };
        let engine = Engine::new(store, profile, config, around).unwrap();
        let mut bench = Self { engine, events, inputs: to_engine, _runtime: runtime, _dir: dir };
        bench.engine.batch(None).unwrap();
        bench
    }

    fn ask(&mut self, request: Request) -> Result<Response, RequestError> {
        let (answer, mut answered) = oneshot::channel();
        self.engine.batch(Some(EngineInput::Request(Box::new(request), answer))).unwrap();
        answered.try_recv().expect("an answer in the same batch")
    }

    fn add(&mut self, first: u8) -> IdentityKey {
        let identity = tortalk_keys::IdentitySecret::from_seed([first; 32]).public();
        let add = Request::Add {
            address: identity.to_string(),
            name: format!("p{first}"),
            text: String::new(),
        };
        self.ask(add).unwrap();
        identity
    }

    fn link_up(
        &mut self,
        number: u64,
        identity: IdentityKey,
    ) -> mpsc::UnboundedReceiver<LinkOrder> {
        let (orders, given) = mpsc::unbounded_channel();
        let up = EngineInput::LinkUp {
            link: LinkId(number),
            orders,
            role: Role::Responder,
            peer: PeerAuth {
                identity,
                device_id: DeviceId::from_bytes([2; 8]),
                instance_id: InstanceId::from_bytes([2; 16]),
            },
            handshake_hash: [0; 64],
            address: ([192, 0, 2, 1], 45_454).into(),
        };
        self.engine.batch(Some(up)).unwrap();
        given
    }

    fn told(&mut self) -> Vec<NodeEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).map(|line| line.event).collect()
    }

    /// Lets the pause after a failure be over.
    fn wait_out_the_pause(&mut self) {
        self.engine.trouble.as_mut().expect("there is trouble").until = Instant::now();
    }
}

fn send(text: &str) -> Request {
    Request::Send { to: "p7".to_owned(), text: text.to_owned() }
}

fn history() -> Request {
    Request::History { with: None, before: None, limit: None, search: None }
}

// req: GSP-01, GSP-02
#[test]
fn a_full_disk_refuses_with_a_line_and_nothing_is_kept_shown_or_sent() {
    let mut bench = Bench::new();
    let peer = bench.add(7);
    let mut before = bench.link_up(1, peer);
    assert!(matches!(before.try_recv(), Ok(LinkOrder::Admit)));
    while before.try_recv().is_ok() {}
    bench.told();

    FAULT.set(Some(StoreFault::Full));
    let refused = bench.ask(send("lost?")).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::StoreFailed);
    assert_eq!(
        refused.message,
        "nothing was stored: the disk is full: free some space and try again"
    );
    let told = bench.told();
    assert!(told.iter().any(|event| matches!(event, NodeEvent::StoreFailed { .. })), "{told:?}");
    assert!(told.iter().any(|event| matches!(event, NodeEvent::PeerDown { .. })), "{told:?}");
    assert!(!told.iter().any(|event| matches!(event, NodeEvent::State { .. })), "{told:?}");
    assert!(matches!(before.try_recv(), Ok(LinkOrder::Close(_))), "the link is closed");
    assert!(before.try_recv().is_err(), "and told nothing more");

    // Reading goes on, links are turned away, and the line is not repeated.
    assert_eq!(bench.ask(history()), Ok(Response::History { messages: Vec::new() }));
    let Ok(Response::Status(status)) = bench.ask(Request::Status) else { panic!("no status") };
    assert!(status.store_failed.is_some_and(|line| line.contains("disk is full")));
    let mut turned_away = bench.link_up(2, peer);
    assert!(matches!(turned_away.try_recv(), Ok(LinkOrder::Close(_))));
    assert_eq!(bench.ask(send("again")).unwrap_err().kind, ErrorKind::StoreFailed);
    assert!(bench.told().is_empty());

    // There is room again: the next request finds out, at once.
    FAULT.set(None);
    assert!(matches!(bench.ask(send("kept")), Ok(Response::Queued(_))));
    assert!(bench.told().contains(&NodeEvent::StoreWorks));
    let Ok(Response::History { messages }) = bench.ask(history()) else { panic!("no history") };
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].text.as_deref(), Some("kept"));
    let mut after = bench.link_up(3, peer);
    assert!(matches!(after.try_recv(), Ok(LinkOrder::Admit)));
}

#[test]
fn links_are_let_in_again_after_a_pause_that_grows() {
    let mut bench = Bench::new();
    let peer = bench.add(7);
    FAULT.set(Some(StoreFault::Io));
    bench.ask(send("x")).unwrap_err();
    let first = bench.engine.trouble.as_ref().unwrap().until - Instant::now();
    bench.ask(send("x")).unwrap_err();
    let second = bench.engine.trouble.as_ref().unwrap().until - Instant::now();
    assert!(second > first + Duration::from_millis(500), "{first:?} {second:?}");
    FAULT.set(None);
    bench.wait_out_the_pause();
    let mut given = bench.link_up(1, peer);
    assert!(matches!(given.try_recv(), Ok(LinkOrder::Admit)));
}

#[test]
fn a_damaged_database_ends_the_engine_with_its_line() {
    let mut bench = Bench::new();
    bench.add(7);
    FAULT.set(Some(StoreFault::Damaged));
    let (answer, mut answered) = oneshot::channel();
    let request = EngineInput::Request(Box::new(send("x")), answer);
    let ended = bench.engine.batch(Some(request));
    assert_eq!(ended, Err(StoreError::Fault(StoreFault::Damaged)));
    let refused = answered.try_recv().unwrap().unwrap_err();
    assert!(refused.message.contains("damaged"), "{}", refused.message);
    FAULT.set(None);
}

// req: DSC-25
#[test]
fn a_hint_changes_nothing_that_is_stored_and_no_link() {
    let mut bench = Bench::new();
    let peer = bench.add(7);
    let mut orders = bench.link_up(1, peer);
    while orders.try_recv().is_ok() {}
    let before = (COMMITS.get(), bench.ask(Request::Contacts), bench.ask(Request::Nearby));
    let address = ([192, 0, 2, 1], 45_454).into();
    for instance_id in [InstanceId::from_bytes([2; 16]), InstanceId::from_bytes([9; 16])] {
        let heard = Input::Heard { address, instance_id };
        bench.engine.batch(Some(EngineInput::Mesh(heard))).unwrap();
        bench.engine.batch(Some(EngineInput::Mesh(Input::Neighbour { address }))).unwrap();
    }
    let after = (COMMITS.get(), bench.ask(Request::Contacts), bench.ask(Request::Nearby));
    assert_eq!(before, after);
    assert!(orders.try_recv().is_err(), "the link is told nothing");
}

#[test]
fn what_is_there_shares_one_commit_and_a_question_needs_none() {
    let mut bench = Bench::new();
    bench.add(7);
    let before = COMMITS.get();
    bench.ask(history()).unwrap();
    bench.ask(Request::Nearby).unwrap();
    assert_eq!(COMMITS.get(), before, "nothing was written");

    let mut answers = Vec::new();
    for number in 0..100 {
        let (answer, answered) = oneshot::channel();
        let request = EngineInput::Request(Box::new(send(&number.to_string())), answer);
        assert!(bench.inputs.try_send(request).is_ok(), "there is room");
        answers.push(answered);
    }
    assert_eq!(bench.ask(history()).map(count), Ok(50), "the newest fifty of a hundred");
    assert_eq!(COMMITS.get(), before + 1);
    assert!(answers.iter_mut().all(|answer| matches!(answer.try_recv(), Ok(Ok(_)))));
}

fn count(response: Response) -> usize {
    match response {
        Response::History { messages } => messages.len(),
        other => panic!("{other:?}"),
    }
}

#[cfg(feature = "sabotage")]
#[test]
fn early_ack_promises_what_the_disk_then_refuses() {
    let mut bench = Bench::new();
    bench.add(7);
    bench.engine.around.sabotage = Sabotage::EarlyAck;
    FAULT.set(Some(StoreFault::Full));
    assert!(matches!(bench.ask(send("promised")), Ok(Response::Queued(_))));
    FAULT.set(None);
    assert_eq!(bench.ask(history()).map(count), Ok(0));
}
