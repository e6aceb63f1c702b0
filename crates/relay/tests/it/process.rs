//! The program as a process: its lines, its end, and what kill -9 leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tonic::transport::Endpoint;
use tortalk_keys::relay::Authority;
use tortalk_model::entropy::Entropy;
use tortalk_model::{Envelope, EnvelopeId, RelayKey, UnixMillis};
use tortalk_relay::authority_text::authority_of;
use tortalk_rpc::v1::relay_service_client::RelayServiceClient;
use tortalk_rpc::{PullAck, PullAnswer, PullEndReason, PullStep, v1};
use tortalk_testkit::{Seeded, hex};

use crate::support::client::{PullStream, Said, SyncStream, proof};
use crate::support::{Client, DAY, Maker, Owner, PATIENCE};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tortalk-relay"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it writes UTF-8")
}

/// A running relay.
struct Process {
    child: Child,
    address: std::net::SocketAddr,
    metrics: Option<std::net::SocketAddr>,
    authority: Authority,
    key: RelayKey,
}

impl Process {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let key_line = run(&["key", "--data", folder.to_str().expect("UTF-8")]).stdout;
        let key = text(&key_line).strip_prefix("key ").expect("one line").trim().to_owned();
        let mut child = program()
            .args(["run", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .args(more)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let (mut address, mut metrics) = (None, None);
        while address.is_none() {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).expect("lines") > 0, "it has ended");
            if let Some(found) = line.strip_prefix("listening ") {
                address = Some(found.trim().parse().expect("an address"));
            }
            if let Some(found) = line.strip_prefix("metrics ") {
                metrics = Some(found.trim().parse().expect("an address"));
            }
        }
        let address = address.expect("found");
        let authority = authority_of(address).expect("a port");
        Self { child, address, metrics, authority, key: RelayKey::from_bytes(hex::array(&key)) }
    }

    async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("a URI");
        let channel = endpoint.connect().await.expect("a relay that listens");
        RelayServiceClient::new(channel)
    }

    async fn pull(&self, owner: &Owner) -> Result<PullStream, tonic::Status> {
        let mut client = self.client().await;
        let mut stream = PullStream::challenge(&mut client).await?;
        let proof = proof(owner, self.key, &self.authority, stream.challenge);
        stream.send(PullStep::Proof(proof)).await;
        stream.next().await?;
        Ok(stream)
    }

    fn kill(mut self) {
        self.child.kill().expect("our own process");
        self.child.wait().expect("our own process");
    }

    fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), Signal::TERM).expect("our own process");
    }

    fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("piped")
    }
}

fn init(folder: &Path) {
    let output = run(&["init", "--data", folder.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn now() -> UnixMillis {
    tortalk_relay::env::Clock::system().now().wall
}

#[test]
fn mistakes_of_the_operator_are_one_line_each() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("UTF-8");
    let fails = |arguments: &[&str], code: i32, says: &str| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(said.contains(says), "{said}");
        assert!(code == 2 || said.lines().count() == 1, "{said}");
    };
    fails(&["run", "--data", data, "--listen", "127.0.0.1:0"], 1, "make one with");
    let output = run(&["init", "--data", data]);
    assert!(output.status.success());
    assert!(text(&output.stdout).starts_with("key "));
    fails(&["init", "--data", data], 1, "there is a key already");
    fails(&["run", "--data", data, "--authority", "x"], 2, "host:port");
    fails(&["run", "--data", data, "--tls-cert", "x"], 2, "--tls-key");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    fails(&["run", "--data", data, "--listen", &address], 1, &address);
    fails(&["run", "--data", data, "--listen", "0.0.0.0:0"], 1, "--authority");
    let missing = ["run", "--data", data, "--tls-cert", "/none", "--tls-key", "/none"];
    fails(&missing, 1, "/none");
    let running = Process::start(folder.path(), &[]);
    fails(&["run", "--data", data, "--listen", "127.0.0.1:0"], 1, "in use by process");
    fails(&["restored", "--data", data], 1, "in use by process");
    running.kill();
    assert!(run(&["restored", "--data", data]).status.success());
}

// req: RLY-67
#[tokio::test]
async fn sigterm_ends_calls_in_order_and_neither_log_nor_counters_name_anybody() {
    let folder = tempfile::tempdir().expect("a folder");
    init(folder.path());
    let mut process = Process::start(folder.path(), &["--verbose", "--metrics", "127.0.0.1:0"]);
    let (owner, stranger) = (Owner::new(1), Owner::new(2));
    let mut maker = Maker::new(1);
    maker.expires_at = now().saturating_add(DAY).ceil_to_hour();
    let mut pull = process.pull(&owner).await.expect("opened");
    let mut client = process.client().await;
    let mut stream = SyncStream::open(&mut client, process.key).await;
    let envelope = maker.envelope(owner.mailbox());
    stream.send(&envelope, &owner.stamp(&envelope)).await;
    stream.send(&maker.envelope(stranger.mailbox()), &[]).await;
    stream.send_raw(&[1; 10], &[]).await;
    stream.outcomes(3).await;
    let request = v1::GetCardRequest { mailbox: owner.mailbox().as_bytes().to_vec() };
    client.get_card(request).await.expect_err("there is none");
    pull.envelopes(1).await;

    let metrics = process.metrics.expect("asked for");
    let mut answer = String::new();
    let mut asking = std::net::TcpStream::connect(metrics).expect("it listens");
    std::io::Write::write_all(&mut asking, b"GET /metrics HTTP/1.0\r\n\r\n").expect("open");
    asking.read_to_string(&mut answer).expect("open");
    assert!(answer.contains("\ntortalk_relay_envelopes_stored_total 1\n"), "{answer}");

    process.terminate();
    let (_, reason) = pull.end().await.expect("an end in order");
    assert_eq!(reason, PullEndReason::Drain);
    assert_eq!(stream.status().await, tonic::Code::Unavailable);
    drop((client, stream, pull));
    let mut log = String::new();
    process.stderr().read_to_string(&mut log).expect("it ends");
    assert!(process.child.wait().expect("our own process").success(), "{log}");
    assert!(log.contains("stopped"), "{log}");
    for name in [
        hex::encode(owner.mailbox().as_bytes()),
        hex::encode(stranger.mailbox().as_bytes()),
        hex::encode(envelope.id().as_bytes()),
        "127.0.0.1".to_owned(),
    ] {
        for shown in [&name[..8], &name[..9].to_uppercase()] {
            assert!(!log.contains(shown), "{shown} in {log}");
            assert!(!answer.contains(shown), "{shown} in {answer}");
        }
    }
}

/// What a depositor and an owner know for sure across all rounds.
#[derive(Default)]
struct Known {
    /// Named by a receipt that verified.
    promised: BTreeSet<EnvelopeId>,
    /// Fetched, by the sequence under which it came.
    fetched: BTreeMap<u64, EnvelopeId>,
    /// Acknowledged on a stream whose end said that it counts.
    settled: u64,
}

impl Known {
    fn note(&mut self, seq: u64, id: EnvelopeId) {
        assert!(seq > self.settled, "{seq} came again, {} was settled", self.settled);
        let before = self.fetched.insert(seq, id);
        assert!(before.is_none_or(|before| before == id), "sequence {seq} was given twice");
    }
}

/// Deposits until the relay is gone, and returns what was promised.
async fn deposit_until_gone(
    mut client: Client,
    key: RelayKey,
    seed: u64,
    expires_at: UnixMillis,
    told: mpsc::UnboundedSender<EnvelopeId>,
) {
    let (owner, mut maker) = (Owner::new(1), Maker::new(seed));
    maker.expires_at = expires_at;
    let Ok(mut stream) = SyncStream::try_open(&mut client, key).await else { return };
    loop {
        let mut open = 0;
        for _ in 0..16 {
            let envelope: Envelope = maker.envelope(owner.mailbox());
            stream.send(&envelope, &owner.stamp(&envelope)).await;
            open += 1;
        }
        while open > 0 {
            let Ok(Some(answer)) = stream.answer().await else { return };
            for (id, said) in crate::support::client::said_in(&answer) {
                assert_eq!(said, Said::Stored);
                told.send(id).expect("the test listens");
                open -= 1;
            }
        }
    }
}

/// Fetches and acknowledges until the relay is gone.
async fn fetch_until_gone(mut stream: PullStream, told: mpsc::UnboundedSender<(u64, EnvelopeId)>) {
    let mut count = 0;
    while let Ok(PullAnswer::Envelope { seq, envelope }) = stream.next().await {
        // Told first: an owner has it before it acknowledges.
        told.send((seq, Envelope::id_of(&envelope))).expect("the test listens");
        count += 1;
        if count % 10 == 0 {
            let ack = PullAck { epoch: stream.epoch, up_to: seq };
            stream.send(PullStep::Ack(ack)).await;
        }
    }
}

// req: RLY-22, RLY-24, RLY-36, RLY-42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_everything_promised_is_there_and_nothing_settled_comes_again() {
    let rounds: u64 = std::env::var("TORTALK_KILL_ROUNDS")
        .map_or(6, |text| text.parse().expect("TORTALK_KILL_ROUNDS is a number"));
    let folder = tempfile::tempdir().expect("a folder");
    init(folder.path());
    let owner = Owner::new(1);
    let expires_at = now().saturating_add(DAY).ceil_to_hour();
    let (mut known, mut seeded) = (Known::default(), Seeded::new(9));
    for round in 0..rounds {
        let process = Process::start(folder.path(), &[]);
        let stream = process.pull(&owner).await.expect("opened");
        let (promised, mut promises) = mpsc::unbounded_channel();
        let (came, mut comes) = mpsc::unbounded_channel();
        let mut tasks = vec![tokio::spawn(fetch_until_gone(stream, came))];
        for i in 0..4 {
            let (client, promised) = (process.client().await, promised.clone());
            let seed = 1_000 * round + i;
            tasks.push(tokio::spawn(deposit_until_gone(
                client,
                process.key,
                seed,
                expires_at,
                promised,
            )));
        }
        drop(promised);
        let [a, b] = seeded.bytes();
        tokio::time::sleep(Duration::from_millis(20 + u64::from(a) + u64::from(b))).await;
        process.kill();
        for task in tasks {
            tokio::time::timeout(PATIENCE, task).await.expect("it ends").expect("no panic");
        }
        while let Some(id) = promises.recv().await {
            known.promised.insert(id);
        }
        while let Some((seq, id)) = comes.recv().await {
            known.note(seq, id);
        }
        settle(Process::start(folder.path(), &[]), &owner, &mut known).await;
        let fetched: BTreeSet<EnvelopeId> = known.fetched.values().copied().collect();
        assert_eq!(fetched.len(), known.fetched.len(), "one envelope has two sequences");
        let lost: Vec<_> = known.promised.difference(&fetched).collect();
        assert!(lost.is_empty(), "round {round}: {} of {} lost", lost.len(), known.promised.len());
    }
    assert!(known.promised.len() > 100, "only {} were promised", known.promised.len());
}

/// Fetches everything, and closes so that the acknowledgements count.
async fn settle(mut process: Process, owner: &Owner, known: &mut Known) {
    let mut stream = process.pull(owner).await.expect("opened");
    // Envelopes come in the order in which they were stored, so this is the last.
    let mut maker = Maker::new(known.promised.len() as u64 + 1_000_000);
    maker.expires_at = now().saturating_add(DAY).ceil_to_hour();
    let marker = maker.envelope(owner.mailbox());
    let mut client = process.client().await;
    let mut leaving = SyncStream::open(&mut client, process.key).await;
    leaving.send(&marker, &owner.stamp(&marker)).await;
    assert_eq!(leaving.outcomes(1).await, [(marker.id(), Said::Stored)]);
    let last = loop {
        let (seq, id) = stream.envelopes(1).await[0];
        known.note(seq, id);
        stream.ack(seq).await;
        if id == marker.id() {
            break seq;
        }
    };
    let (more, reason) = stream.close().await;
    assert_eq!((more, reason), (Vec::new(), PullEndReason::Closed));
    known.settled = last;
    drop((client, leaving));
    process.terminate();
    assert!(process.child.wait().expect("our own process").success());
}
