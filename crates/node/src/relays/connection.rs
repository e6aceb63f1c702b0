//! One connection with a relay that has proved its key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tortalk_keys::relay::Authority;
use tortalk_mesh::RelayAction;
use tortalk_mesh::relay::{PullEnd, RelayDown, RelayInput};
use tortalk_model::MailboxKey;
use tortalk_model::limits::relay::{CALLS_PER_CONNECTION_MAX, WINDOW_MAX};
use tortalk_rpc::{Deposit, EnvelopeBytes, StampBytes};

use super::calls::{Call, Calls};
use super::fault::Fault;
use super::open::{Client, Opened};
use super::pull::{PullHandle, PullTask};
use super::sync::SyncTask;
use super::waits::Waits;
use super::{Common, EngineGone, Order, Reporter};

/// Calls of one answer that are open at a time; the relay takes 16 of all kinds.
const CALLS_MAX: usize = 3;
/// Streams of mailboxes that are open at a time.
const PULLS_MAX: usize = CALLS_PER_CONNECTION_MAX as usize - CALLS_MAX - 1;
/// Calls that wait for their turn.
const CALLS_WAITING_MAX: usize = 1_024;

/// How a connection ended.
pub(super) enum Ended {
    /// The relay is not wanted any more.
    Ordered,
    Broken(RelayDown),
}

pub(super) struct Connection {
    common: Arc<Common>,
    authority: Authority,
    reporter: Reporter,
    client: Client,
    gone: oneshot::Receiver<()>,
    /// Set until the engine was told that the relay is up.
    up: Option<RelayInput>,
    tasks: JoinSet<Result<(), Fault>>,
    sync: Option<mpsc::Sender<Deposit>>,
    pulls: BTreeMap<MailboxKey, PullHandle>,
    /// How long a mailbox's next stream waits; a relay that ends each at once
    /// is not asked without pause.
    pull_waits: BTreeMap<MailboxKey, (Waits, Instant)>,
    calls: Arc<Semaphore>,
}

impl Connection {
    pub(super) fn new(
        common: Arc<Common>,
        authority: Authority,
        reporter: &Reporter,
        opened: Opened,
    ) -> Self {
        let Opened { client, info, gone } = opened;
        let up = RelayInput::Up { relay: reporter.relay, now: info.now, epoch: info.epoch };
        Self {
            common,
            authority,
            reporter: reporter.clone(),
            client,
            gone,
            up: Some(up),
            tasks: JoinSet::new(),
            sync: None,
            pulls: BTreeMap::new(),
            pull_waits: BTreeMap::new(),
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        }
    }

    /// Runs until the connection ends, from whichever side. No report of it
    /// follows then.
    pub(super) async fn run(
        mut self,
        orders: &mut mpsc::Receiver<Order>,
        again: &Notify,
    ) -> Result<Ended, EngineGone> {
        let up = self.up.take().expect("a connection runs once");
        self.reporter.tell(up).await?;
        let ended = self.converse(orders, again).await?;
        if let Ended::Ordered = ended {
            self.say_goodbye().await;
        }
        self.tasks.shutdown().await;
        Ok(ended)
    }

    async fn converse(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        again: &Notify,
    ) -> Result<Ended, EngineGone> {
        loop {
            tokio::select! {
                biased;
                Some(done) = self.tasks.join_next() => {
                    if let Some(why) = outcome(done)? {
                        return Ok(Ended::Broken(why));
                    }
                }
                _ = &mut self.gone => return Ok(Ended::Broken(RelayDown::Unreachable)),
                () = again.notified() => return Ok(Ended::Broken(RelayDown::Unreachable)),
                order = orders.recv() => match order {
                    None => return Ok(Ended::Ordered),
                    // The machine did not know of this connection yet.
                    Some(order) if order.connection != self.reporter.connection => {}
                    Some(order) => {
                        if let Err(fault) = self.obey(order.action).await {
                            return match fault {
                                Fault::Down(why) => Ok(Ended::Broken(why)),
                                Fault::EngineGone => Err(EngineGone),
                            };
                        }
                    }
                },
            }
        }
    }

    async fn obey(&mut self, action: RelayAction) -> Result<(), Fault> {
        match action {
            // These are between the engine and the relays as a whole.
            RelayAction::Connect(_) | RelayAction::Disconnect(_) => Ok(()),
            RelayAction::Deposit { envelope, stamp, .. } => {
                let stamp = StampBytes::try_from(stamp.as_slice());
                let envelope = EnvelopeBytes::try_from(envelope.as_bytes());
                let (Ok(stamp), Ok(envelope)) = (stamp, envelope) else { return Ok(()) };
                self.deposit(Deposit { stamp, envelope })
            }
            RelayAction::Pull { mailbox, .. } => self.pull(mailbox).await,
            RelayAction::Prove { proof, .. } => {
                if let Some(pull) = self.pulls.get(&proof.mailbox) {
                    pull.prove(proof);
                }
                Ok(())
            }
            RelayAction::Ack { mailbox, up_to, .. } => {
                if let Some(pull) = self.pulls.get(&mailbox) {
                    pull.ack(up_to);
                }
                Ok(())
            }
            RelayAction::StopPull { mailbox, .. } => {
                self.pulls.remove(&mailbox);
                Ok(())
            }
            RelayAction::PutCard { mailbox, drop, .. } => self.call(Call::PutCard(mailbox, drop)),
            RelayAction::GetCard { mailbox, .. } => self.call(Call::GetCard(mailbox)),
            RelayAction::Purge { keys, .. } => self.call(Call::Purge(keys)),
        }
    }

    fn deposit(&mut self, deposit: Deposit) -> Result<(), Fault> {
        let sync = self.sync.get_or_insert_with(|| {
            let (sender, deposits) = mpsc::channel(WINDOW_MAX);
            let (client, reporter) = (self.client.clone(), self.reporter.clone());
            let task = SyncTask { client, reporter, deposits };
            self.tasks.spawn(task.run());
            sender
        });
        // Two windows unanswered: the machine holds to one, so this never happens.
        sync.try_send(deposit).map_err(|_| Fault::Down(RelayDown::Unreachable))
    }

    async fn pull(&mut self, mailbox: MailboxKey) -> Result<(), Fault> {
        // The one that is there ends with its handle.
        self.pulls.remove(&mailbox);
        self.pulls.retain(|_, pull| !pull.has_ended());
        if self.pulls.len() >= PULLS_MAX {
            tracing::info!(task = self.reporter.life, "more mailboxes than a connection has");
            let why = PullEnd::NoPlace;
            let relay = self.reporter.relay;
            return Ok(self.reporter.tell(RelayInput::PullEnded { relay, mailbox, why }).await?);
        }
        let wait = self.pull_wait(mailbox);
        let (handle, orders) = PullHandle::new();
        let task = PullTask {
            client: self.client.clone(),
            reporter: self.reporter.clone(),
            authority: self.authority.clone(),
            mailbox,
            orders,
            times: self.common.times,
        };
        self.tasks.spawn(task.run(wait));
        self.pulls.insert(mailbox, handle);
        Ok(())
    }

    /// Nothing for the first stream of a mailbox on this connection.
    fn pull_wait(&mut self, mailbox: MailboxKey) -> Duration {
        let now = Instant::now();
        let Some((waits, began)) = self.pull_waits.get_mut(&mailbox) else {
            self.pull_waits.insert(mailbox, (Waits::new(&self.common.times), now));
            return Duration::ZERO;
        };
        let wait = waits.after(began.elapsed());
        *began = now + wait;
        wait
    }

    fn call(&mut self, call: Call) -> Result<(), Fault> {
        if self.tasks.len() >= CALLS_WAITING_MAX {
            return Err(Fault::Down(RelayDown::Unreachable));
        }
        let calls = Calls {
            client: self.client.clone(),
            reporter: self.reporter.clone(),
            turns: Arc::clone(&self.calls),
            times: self.common.times,
        };
        self.tasks.spawn(calls.run(call));
        Ok(())
    }

    /// Ends all streams from this side and lets the relay answer that, so that
    /// what was acknowledged counts.
    async fn say_goodbye(&mut self) {
        self.sync = None;
        self.pulls.clear();
        let streams = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(self.common.times.goodbye, streams).await.is_err() {
            tracing::debug!(task = self.reporter.life, "a relay did not end its streams");
        }
    }
}

/// Why the connection has to end now that a part of it has.
fn outcome(done: Result<Result<(), Fault>, JoinError>) -> Result<Option<RelayDown>, EngineGone> {
    match done {
        Ok(Ok(())) => Ok(None),
        Ok(Err(Fault::Down(why))) => Ok(Some(why)),
        Ok(Err(Fault::EngineGone)) => Err(EngineGone),
        Err(_) => {
            tracing::error!("a connection with a relay has crashed: please report it");
            Ok(Some(RelayDown::Protocol))
        }
    }
}
