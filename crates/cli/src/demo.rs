//! `tortalk demo`: two real processes talk, one is killed, nothing is lost.
//!
//! The demo is the product's own proof. It starts this very program twice, with
//! temporary profiles on loopback, drives both over their control sockets as
//! anybody could, and compares at the end what was promised with what is there.

mod actor;
mod lan;

use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Arguments of `tortalk demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Two people on one network (the only scene so far)
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
}

#[cfg(feature = "sabotage")]
impl From<SabotageArg> for tortalk_node::sabotage::Sabotage {
    fn from(how: SabotageArg) -> Self {
        match how {
            SabotageArg::EarlyAck => Self::EarlyAck,
            SabotageArg::Double => Self::Double,
            SabotageArg::NoStore => Self::NoStore,
        }
    }
}

/// Runs the demo; anything that does not hold is a failure.
pub(crate) async fn run(context: &Context, args: &DemoArgs) -> Result<(), Failure> {
    if !args.lan {
        let line = "there is one scene so far: run `tortalk demo --lan`";
        return Err(Failure::new(Exit::Usage, line));
    }
    lan::play(context.out, args.sabotage()).await.map_err(Failure::world)
}
