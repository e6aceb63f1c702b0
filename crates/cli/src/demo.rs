//! `tortalk demo`: real processes talk, are killed, and nothing is lost.
//!
//! The demo is the product's own proof. It starts this very program for three
//! people, and a relay, with temporary folders on loopback, drives them over
//! their control sockets as anybody could, and compares at the end what was
//! promised with what is there.

mod actor;
mod blind;
mod carried;
mod lan;
mod relay_process;
mod relayed;
mod search;
mod stage;

use clap::Args;

use crate::context::Context;
use crate::exit::Failure;
use crate::output::Style;
use actor::{Actor, Problem};
use relay_process::Relay;
use stage::Stage;

/// Arguments of `tortalk demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Only the first part: two people on one network, no relay
    #[arg(long)]
    pub(crate) lan: bool,
    /// Break the nodes on purpose; the demo must then fail
    #[cfg(feature = "sabotage")]
    #[arg(long, value_name = "HOW")]
    pub(crate) sabotage: Option<String>,
}

impl DemoArgs {
    /// How the nodes are to be broken, in builds that can be.
    #[cfg(feature = "sabotage")]
    fn sabotage(&self) -> Option<&str> {
        self.sabotage.as_deref()
    }

    #[cfg(not(feature = "sabotage"))]
    #[expect(clippy::unused_self, reason = "the same call in every build")]
    const fn sabotage(&self) -> Option<&str> {
        None
    }
}

/// How a node can be broken, as `--sabotage` takes it.
#[cfg(feature = "sabotage")]
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum SabotageArg {
    /// Everything is said before it is durable
    EarlyAck,
    /// A message is shown twice
    Double,
    /// Messages are acknowledged and not stored
    NoStore,
    /// What is to be carried is acknowledged and not stored
    NoCarry,
    /// What is left at a relay has the text in clear beside it
    PlaintextAtRelay,
}

#[cfg(feature = "sabotage")]
impl From<SabotageArg> for tortalk_node::sabotage::Sabotage {
    fn from(how: SabotageArg) -> Self {
        match how {
            SabotageArg::EarlyAck => Self::EarlyAck,
            SabotageArg::Double => Self::Double,
            SabotageArg::NoStore => Self::NoStore,
            SabotageArg::NoCarry => Self::NoCarry,
            SabotageArg::PlaintextAtRelay => Self::PlaintextAtRelay,
        }
    }
}

/// Runs the demo; anything that does not hold is a failure.
pub(crate) async fn run(context: &Context, args: &DemoArgs) -> Result<(), Failure> {
    play(Stage { out: context.out }, args).await.map_err(Failure::world)
}

async fn play(stage: Stage, args: &DemoArgs) -> Result<(), Problem> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let folder = folder.path();
    let sabotage = args.sabotage();
    let mut alice = Actor::new("alice", folder, sabotage).await?;
    let mut bob = Actor::new("bob", folder, sabotage).await?;
    let mut sent = Vec::new();
    if args.lan {
        lan::play(stage, &mut alice, &mut bob, &mut sent).await?;
    } else {
        // What is missing is said before anything is played.
        let mut relay = Relay::new(folder).await?;
        lan::play(stage, &mut alice, &mut bob, &mut sent).await?;
        let mut carol = Actor::new("carol", folder, sabotage).await?;
        carried::play(stage, &mut alice, &mut bob, &mut carol, &mut sent).await?;
        carol.stop().await?;
        relayed::play(stage, &mut alice, &mut bob, &mut relay, &mut sent).await?;
        carol.start().await?;
        let people = &mut [&mut alice, &mut bob, &mut carol];
        blind::play(stage, people, &mut relay, &sent).await?;
        carol.stop().await?;
    }
    alice.stop().await?;
    bob.stop().await?;
    let line = "OK: nothing lost, nothing twice, no state ahead of its evidence";
    stage.print(&format!("\n{}", stage.out.paint(Style::Good, line)))
}
