//! The one thread that writes: takes what is waiting, at most 1,024 pieces, does
//! it in one transaction, and answers after the commit.
//!
//! It waits for nothing else: while it syncs, the next group gathers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tortalk_model::limits::relay::GROUP_MAX;
use tortalk_model::{EnvelopeId, MailboxKey, PurgeKey, UnixMillis};
use tortalk_rpc::{DepositRefusal, PutCard, PutCardAnswer};

use crate::engine::{Batch, Registered, Sweep};
use crate::env::Clock;
use crate::hub::Hub;
use crate::metrics::{Metrics, add, set};
use crate::rules::config::Quotas;
use crate::rules::quota::DepositKey;
use crate::rules::sync::{Incoming, Outcome};
use crate::store::{StoreError, Writer};

/// Jobs that wait for the thread.
const WAITING_MAX: usize = 4_096;

/// Nothing of it happened: the store failed, or the relay stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the relay cannot do this now")]
pub(crate) struct Unavailable;

pub(crate) type Reply<T> = oneshot::Sender<Result<T, Unavailable>>;

/// Something to write.
pub(crate) enum Job {
    Deposits(Deposits),
    Register(MailboxKey, Option<DepositKey>, Reply<Registered>),
    /// The same for a mailbox that is known; one that is not finds no place.
    Renew(MailboxKey, Option<DepositKey>, Reply<Registered>),
    Acknowledge(MailboxKey, u64, Reply<()>),
    Purge(Vec<PurgeKey>, Reply<()>),
    PutCard(PutCard, Reply<PutCardAnswer>),
    Sweep(Reply<Sweep>),
}

/// Envelopes of one stream.
pub(crate) struct Deposits {
    /// Tells streams apart.
    pub(crate) stream: u64,
    pub(crate) items: Vec<Incoming>,
    /// The room that they take while they wait.
    pub(crate) room: OwnedSemaphorePermit,
    /// Bounded by the window of the stream.
    pub(crate) reply: mpsc::UnboundedSender<Committed>,
}

/// What one commit did for one stream.
#[derive(Debug)]
pub(crate) struct Committed {
    /// The relay's clock at the commit.
    pub(crate) now: UnixMillis,
    /// In the order in which they came.
    pub(crate) outcomes: Vec<(EnvelopeId, Outcome)>,
    /// The bytes of these envelopes together.
    pub(crate) bytes: usize,
}

impl Job {
    fn weight(&self) -> usize {
        match self {
            Self::Deposits(deposits) => deposits.items.len(),
            Self::Purge(keys, _) => keys.len(),
            Self::Sweep(_) => GROUP_MAX / 4,
            Self::Register(..) | Self::Renew(..) | Self::Acknowledge(..) | Self::PutCard(..) => 1,
        }
    }
}

/// Hands jobs to the thread.
#[derive(Debug, Clone)]
pub(crate) struct Jobs(mpsc::Sender<Job>);

impl Jobs {
    /// Hands a job over, and waits while too many are waiting.
    pub(crate) async fn send(&self, job: Job) -> Result<(), Unavailable> {
        self.0.send(job).await.map_err(|_| Unavailable)
    }

    /// Hands a job over and waits for what became of it.
    pub(crate) async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(job(reply)).await?;
        answer.await.map_err(|_| Unavailable)?
    }
}

/// What the thread works with.
pub(crate) struct Context {
    pub(crate) clock: Clock,
    pub(crate) quotas: Quotas,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Starts the thread. It ends when every [`Jobs`] is dropped and all is done.
pub(crate) fn start(writer: impl Writer, context: Context) -> (Jobs, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let thread = std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || run(writer, &context, receiver))
        .expect("the system starts one more thread");
    (Jobs(sender), thread)
}

fn run(mut writer: impl Writer, context: &Context, mut jobs: mpsc::Receiver<Job>) {
    let mut left = None;
    while let Some(first) = left.take().or_else(|| jobs.blocking_recv()) {
        let mut weight = first.weight();
        let mut group = vec![first];
        while weight < GROUP_MAX
            && let Ok(job) = jobs.try_recv()
        {
            if weight + job.weight() > GROUP_MAX {
                left = Some(job);
                break;
            }
            weight += job.weight();
            group.push(job);
        }
        write_group(&mut writer, context, group);
    }
}

/// What became of a job, not told yet.
enum Said {
    Deposits(Vec<Outcome>),
    Registered(Registered),
    Nothing,
    PutCard(PutCardAnswer),
    Sweep(Sweep),
}

fn write_group(writer: &mut impl Writer, context: &Context, jobs: Vec<Job>) {
    let now = context.clock.now().wall;
    let written = (|| {
        let mut batch = Batch::begin(writer.group()?, now, context.quotas)?;
        let said: Vec<Said> =
            jobs.iter().map(|job| apply(&mut batch, job)).collect::<Result<_, StoreError>>()?;
        let totals = *batch.totals();
        let fresh = batch.commit()?;
        Ok::<_, StoreError>((said, fresh, totals))
    })();
    match written {
        Ok((said, fresh, totals)) => {
            add(&context.metrics.commits, 1);
            set(&context.metrics.held_bytes, totals.bytes);
            set(&context.metrics.mailboxes, totals.mailboxes);
            context.hub.wake(&fresh);
            tell(context, now, jobs, said);
        }
        Err(error) => {
            add(&context.metrics.commits_failed, 1);
            tracing::error!(%error, "the store failed");
            jobs.into_iter().for_each(|job| fail(context, now, job));
        }
    }
}

fn apply(batch: &mut Batch<'_>, job: &Job) -> Result<Said, StoreError> {
    Ok(match job {
        Job::Deposits(deposits) => {
            let outcomes = deposits.items.iter().map(|item| batch.deposit(item));
            Said::Deposits(outcomes.collect::<Result<_, _>>()?)
        }
        Job::Register(key, deposit_key, _) => {
            Said::Registered(batch.register(key, deposit_key.clone())?)
        }
        Job::Renew(key, deposit_key, _) => Said::Registered(batch.renew(key, deposit_key.clone())?),
        Job::Acknowledge(key, up_to, _) => {
            batch.acknowledge(key, *up_to)?;
            Said::Nothing
        }
        Job::Purge(keys, _) => {
            batch.purge(keys)?;
            Said::Nothing
        }
        Job::PutCard(put, _) => Said::PutCard(batch.put_card(put)?),
        Job::Sweep(_) => Said::Sweep(batch.sweep()?),
    })
}

/// Tells everybody what became durable. Who has gone is not told.
fn tell(context: &Context, now: UnixMillis, jobs: Vec<Job>, said: Vec<Said>) {
    let mut streams: BTreeMap<u64, (mpsc::UnboundedSender<Committed>, Committed)> = BTreeMap::new();
    for pair in jobs.into_iter().zip(said) {
        match pair {
            (Job::Deposits(deposits), Said::Deposits(outcomes)) => {
                let (_, committed) = streams.entry(deposits.stream).or_insert_with(|| {
                    (deposits.reply.clone(), Committed { now, outcomes: Vec::new(), bytes: 0 })
                });
                note(context, committed, deposits, outcomes);
            }
            (Job::Register(.., reply) | Job::Renew(.., reply), Said::Registered(said)) => {
                answer(reply, Ok(said));
            }
            (Job::Acknowledge(.., reply) | Job::Purge(_, reply), Said::Nothing) => {
                answer(reply, Ok(()));
            }
            (Job::PutCard(_, reply), Said::PutCard(said)) => answer(reply, Ok(said)),
            (Job::Sweep(reply), Said::Sweep(said)) => answer(reply, Ok(said)),
            _ => unreachable!("`apply` says of each job what belongs to it"),
        }
    }
    for (reply, committed) in streams.into_values() {
        let _gone = reply.send(committed);
    }
}

fn note(context: &Context, committed: &mut Committed, deposits: Deposits, outcomes: Vec<Outcome>) {
    let Deposits { items, room, .. } = deposits;
    for (item, outcome) in items.into_iter().zip(outcomes) {
        context.metrics.count(outcome);
        committed.bytes += item.envelope.as_bytes().len();
        committed.outcomes.push((item.envelope.id(), outcome));
    }
    drop(room);
}

fn fail(context: &Context, now: UnixMillis, job: Job) {
    match job {
        Job::Deposits(deposits) => {
            let outcomes = vec![Outcome::Refused(DepositRefusal::Busy); deposits.items.len()];
            let reply = deposits.reply.clone();
            let mut committed = Committed { now, outcomes: Vec::new(), bytes: 0 };
            note(context, &mut committed, deposits, outcomes);
            let _gone = reply.send(committed);
        }
        Job::Register(.., reply) | Job::Renew(.., reply) => answer(reply, Err(Unavailable)),
        Job::Acknowledge(.., reply) | Job::Purge(_, reply) => answer(reply, Err(Unavailable)),
        Job::PutCard(_, reply) => answer(reply, Err(Unavailable)),
        Job::Sweep(reply) => answer(reply, Err(Unavailable)),
    }
}

fn answer<T>(reply: Reply<T>, said: Result<T, Unavailable>) {
    let _gone = reply.send(said);
}
