//! The control socket from another program's side.

use std::os::unix::fs::PermissionsExt as _;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tortalk_node::control::client::{Client, ClientError};
use tortalk_node::control::event::NodeEvent;
use tortalk_node::control::protocol::{ErrorKind, Request, Response};
use tortalk_node::control::{LINE_BYTES_MAX, SOCKET_FILE};
use tortalk_node::profile::{self, OpenError};
use tortalk_sqlite::LockError;

use crate::support::{DEADLINE, Person};

#[tokio::test(flavor = "multi_thread")]
async fn another_process_asks_listens_and_ends_the_node() {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let (mut a, mut b) = (alice.start_quiet().await, bob.start_quiet().await);
    let client = Client::connect(&alice.dir).await.unwrap();
    let mut events = client.events().await.unwrap();
    let ready = events.recv().await.unwrap();
    let identity = a.status().await.identity;
    assert!(matches!(ready.event, NodeEvent::Ready { identity: told, .. } if told == identity));

    let add = Request::Add { address: b.address().await, name: "Bob".into(), text: String::new() };
    assert!(matches!(client.request(add).await, Ok(Response::Contact { .. })));
    b.add(&a).await;
    a.dial(&b).await;
    let send = Request::Send { to: "bob".into(), text: "over the socket".into() };
    let Ok(Response::Queued(queued)) = client.request(send).await else { panic!("not queued") };
    b.until_received("over the socket").await;
    let listening = async {
        loop {
            let event = events.recv().await.expect("the node runs").event;
            if matches!(event, NodeEvent::State { message_id, state, .. }
                if message_id == queued.message_id && state == "delivered")
            {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, listening).await.expect("delivery");

    let refused = client.request(Request::Contact { who: "carol".into() }).await.unwrap_err();
    assert_eq!(refused.kind(), Some(ErrorKind::UnknownWho));
    assert!(matches!(client.request(Request::Stop).await, Ok(Response::Done {})));
    tokio::time::timeout(DEADLINE, a.node.wait()).await.expect("an end").unwrap();
    let last = async {
        let mut last = None;
        while let Some(event) = events.recv().await {
            last = Some(event.event);
        }
        last
    };
    let last = tokio::time::timeout(DEADLINE, last).await.expect("the end of events");
    assert_eq!(last, Some(NodeEvent::Stopped));
    assert!(!alice.dir.join(SOCKET_FILE).exists());
    let gone = Client::connect(&alice.dir).await.unwrap_err();
    assert!(matches!(gone, ClientError::NotRunning), "{gone}");
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_take_effect_in_order_and_bad_ones_are_told() {
    let alice = Person::new("alice");
    let a = alice.start_quiet().await;
    let path = alice.dir.join(SOCKET_FILE);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&alice.dir).unwrap().permissions().mode() & 0o777, 0o700);

    let mut stream = UnixStream::connect(&path).await.unwrap();
    let mut input = Vec::new();
    for id in 0..200 {
        let name = format!("name {id}");
        let line = serde_json::json!({"id": id, "do": "set_name", "name": name});
        input.extend_from_slice(format!("{line}\n").as_bytes());
    }
    input.extend_from_slice(
        b"{\"id\":200,\"do\":\"status\"}\n\nnonsense\n{\"id\":201,\"do\":\"fly\"}\n",
    );
    input.resize(input.len() + LINE_BYTES_MAX + 1, b'x');
    input.extend_from_slice(b"\n{\"id\":202,\"do\":\"status\"}");
    let (read, mut write) = stream.split();
    let talking = async {
        write.write_all(&input).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut lines = BufReader::new(read).lines();
    let mut answers = Vec::new();
    let listening = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            answers.push(serde_json::from_str::<serde_json::Value>(&line).unwrap());
        }
    };
    tokio::time::timeout(DEADLINE, async { tokio::join!(talking, listening) }).await.unwrap();

    let of = |id: u64| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(answers.len(), 200 + 2 + 3, "one answer each");
    assert_eq!(of(200)["ok"]["name"], "name 199");
    assert_eq!(of(201)["error"]["kind"], "bad_request");
    assert_eq!(of(202)["ok"]["name"], "name 199");
    let without_id: Vec<_> = answers.iter().filter(|answer| answer["id"].is_null()).collect();
    let mut kinds: Vec<_> =
        without_id.iter().map(|answer| answer["error"]["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["bad_request", "too_long"]);
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_was_left_behind_is_replaced_and_another_file_is_not() {
    let alice = Person::new("alice");
    let path = alice.dir.join(SOCKET_FILE);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let stale = Client::connect(&alice.dir).await.unwrap_err();
    assert!(matches!(stale, ClientError::NotRunning), "{stale}");
    let a = alice.start_quiet().await;
    let client = Client::connect(&alice.dir).await.unwrap();
    assert!(client.request(Request::Status).await.is_ok());
    a.stop().await;

    std::fs::write(&path, "a note").unwrap();
    let profile = profile::open(&alice.dir, None).unwrap();
    let refused = tortalk_node::Node::start(profile, tortalk_node::NodeOptions::default()).await;
    let line = refused.err().unwrap().to_string();
    assert!(line.contains("control.sock is not a socket: move it away"), "{line}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a note");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_folder_has_a_control_socket_too() {
    let alice = Person::deep("alice", &"deep/".repeat(40));
    assert!(alice.dir.join(SOCKET_FILE).as_os_str().len() > 108);
    let a = alice.start_quiet().await;
    assert!(alice.dir.join(SOCKET_FILE).exists());
    let client = Client::connect(&alice.dir).await.unwrap();
    assert!(matches!(client.request(Request::Status).await, Ok(Response::Status(_))));
    a.stop().await;
    assert!(!alice.dir.join(SOCKET_FILE).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_in_use_is_refused_until_its_node_has_ended() {
    let alice = Person::new("alice");
    let a = alice.start_quiet().await;
    let refused = profile::open(&alice.dir, None).unwrap_err();
    let line = refused.to_string();
    assert!(line.contains(&format!("in use by process {}", std::process::id())), "{line}");
    assert!(matches!(refused, OpenError::Lock(LockError::InUse { .. })), "{refused:?}");
    a.stop().await;
    assert!(profile::open(&alice.dir, None).is_ok());
}
