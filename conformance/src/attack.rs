//! Attackers, and what an honest peer and the system's counters say meanwhile.
//!
//! An attack passes when somebody honest is served all the time and the target's
//! memory stays within bounds; that a single attacker is refused is another case's
//! business.

pub mod http2;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout};

use crate::case::Ctx;
use crate::peer::Direction;
use crate::target::Spawned;
use crate::verdict::{Judged, Verdict, check};

/// How many addresses of loopback attack at most: 127.0.0.2 and those after it.
pub const ADDRESSES: u8 = 8;
/// How long an attack goes on at least.
const ATTACK_TIME: Duration = Duration::from_secs(3);
/// How often the honest peer is served before and while the target is attacked.
const SERVICES: u32 = 20;
/// What a target's memory may grow by, bytes: more than all the budgets of limits.md and
/// relay.md, section 9, for eight addresses, and far less than what is sent.
const GROWTH_MAX: u64 = 96 << 20;

/// One connection's attacker.
#[derive(Debug, Clone)]
pub struct Attacker {
    /// Its own address.
    pub from: Ipv4Addr,
    /// Which of its connections.
    pub number: usize,
    /// What it attacks.
    pub target: SocketAddr,
    effort: Arc<AtomicU64>,
}

impl Attacker {
    /// At 127.0.0.`last`.
    #[must_use]
    pub fn new(last: u8, number: usize, target: SocketAddr) -> Self {
        Self { from: Ipv4Addr::new(127, 0, 0, last), number, target, effort: Arc::default() }
    }

    /// Connects from the attacker's address.
    ///
    /// # Errors
    /// When the target takes no connection within 2 s.
    pub async fn connect(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        let stream = timeout(Duration::from_secs(2), socket.connect(self.target)).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Counts something that the target had to deal with.
    pub fn count(&self, more: u64) {
        self.effort.fetch_add(more, Ordering::Relaxed);
    }
}

/// What an attacker does again and again until the attack is over.
pub type Attack = fn(Attacker) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Makes an [`Attack`] of an `async fn(Attacker) -> io::Result<()>`.
macro_rules! attack {
    ($function:expr) => {
        |attacker| Box::pin($function(attacker))
    };
}
pub(crate) use attack;

/// Somebody honest, who is served or not.
pub trait Honest {
    /// One service: a whole exchange.
    ///
    /// # Errors
    /// How it failed.
    fn serve(&mut self, ctx: &mut Ctx) -> impl Future<Output = Judged>;
}

/// Who attacks, and how.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What each connection does.
    pub attack: Attack,
    /// From how many addresses.
    pub addresses: u8,
    /// How many connections from each at a time.
    pub connections: usize,
    /// How much has to come about for the attack to count.
    pub effort_min: u64,
}

/// Attacks `target`, and serves `honest` meanwhile.
///
/// # Errors
/// When the honest peer is not served, the target's memory grows too much, or nobody
/// could attack at all.
pub async fn under(
    ctx: &mut Ctx,
    target: &Spawned,
    honest: &mut impl Honest,
    plan: Plan,
) -> Judged {
    let calm = services(ctx, honest, Instant::now()).await?;
    let before = resident(target)?;
    let effort = Arc::new(AtomicU64::new(0));
    // On a thread of their own: what attackers compute is not the target's delay.
    let attackers = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let attackers = attackers.map_err(|error| Verdict::Error(error.to_string()))?;
    for last in 2..2 + plan.addresses {
        for number in 0..plan.connections {
            let mut attacker = Attacker::new(last, number, target.address);
            attacker.effort = Arc::clone(&effort);
            attackers.spawn(again_and_again(attacker, plan.attack));
        }
    }
    let count = usize::from(plan.addresses) * plan.connections;
    ctx.log.add(Direction::Note, format!("{count} connections attack"), &[]);
    let served = services(ctx, honest, Instant::now() + ATTACK_TIME).await;
    let after = resident(target);
    attackers.shutdown_background();
    let effort = effort.load(Ordering::Relaxed);
    let ms = |time: Duration| time.as_millis();
    let attacked = served.map_err(|verdict| during(verdict, effort))?;
    let growth = after?.saturating_sub(before);
    let text = format!(
        "effort {effort}; slowest service {} ms, {} ms in calm; memory grew by {} KiB",
        ms(attacked),
        ms(calm),
        growth >> 10
    );
    ctx.log.add(Direction::Note, text, &[]);
    if effort < plan.effort_min {
        return Err(Verdict::Inconclusive(format!("the attack came to {effort} steps only")));
    }
    check(growth <= GROWTH_MAX, || {
        format!("the target's memory grew by {} MiB under attack", growth >> 20)
    })?;
    // What was used up comes back once the attack is over.
    honest.serve(ctx).await
}

fn during(verdict: Verdict, effort: u64) -> Verdict {
    let text = format!("while attacked ({effort} steps): {}", verdict.detail());
    match verdict {
        // Somebody who is not served within the deadline is what an attacker wants.
        Verdict::Fail(_) | Verdict::Inconclusive(_) => Verdict::Fail(text),
        other => other,
    }
}

async fn again_and_again(attacker: Attacker, attack: Attack) {
    loop {
        if attack(attacker.clone()).await.is_err() {
            // A target may refuse whom it likes; whoever was refused comes again.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::task::yield_now().await;
    }
}

/// Serves until enough was served and `until` is over; gives the slowest time.
async fn services(
    ctx: &mut Ctx,
    honest: &mut impl Honest,
    until: Instant,
) -> Result<Duration, Verdict> {
    let mut slowest = Duration::ZERO;
    let mut count = 0;
    while count < SERVICES || Instant::now() < until {
        let start = Instant::now();
        honest.serve(ctx).await?;
        slowest = slowest.max(start.elapsed());
        count += 1;
        // One after the other, as somebody who talks would.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(slowest)
}

/// The memory that the target's process holds, bytes.
fn resident(target: &Spawned) -> Result<u64, Verdict> {
    let lacking = || Verdict::Error("the target's memory cannot be read in /proc".to_owned());
    let id = target.process_id().ok_or_else(lacking)?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).map_err(|_| lacking())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or_else(lacking)?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().map_err(|_| lacking())?;
    Ok(kib << 10)
}
