//! One relay: connected with, again and again, until it is not wanted any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tortalk_keys::relay::RelayAddress;
use tortalk_mesh::relay::{RelayDown, RelayInput};

use super::connection::{Connection, Ended};
use super::open::open;
use super::waits::Waits;
use super::{Common, EngineGone, Order, Reporter};

pub(super) struct Keeper {
    pub(super) common: Arc<Common>,
    pub(super) address: RelayAddress,
    pub(super) orders: mpsc::Receiver<Order>,
    /// Told to give up the connection and make another.
    pub(super) again: Arc<Notify>,
    pub(super) reporter: Reporter,
}

impl Keeper {
    pub(super) async fn run(mut self) {
        // An engine that is gone wants no relay.
        let _engine_gone = self.keep().await;
    }

    async fn keep(&mut self) -> Result<(), EngineGone> {
        let mut waits = Waits::new(&self.common.times);
        let mut told = None;
        loop {
            self.reporter.connection += 1;
            let (authority, key) = (self.address.authority(), self.address.key());
            let opened = tokio::select! {
                opened = open(&self.common, &authority, Some(&key)) => opened,
                () = unwanted(&mut self.orders) => return Ok(()),
            };
            // A try that takes long to fail is not up.
            let mut up_since = None;
            let ended = match opened {
                Ok(opened) => {
                    told = None;
                    up_since = Some(Instant::now());
                    let connection = Connection::new(
                        Arc::clone(&self.common),
                        authority,
                        &self.reporter,
                        opened,
                    );
                    connection.run(&mut self.orders, &self.again).await?
                }
                Err(why) => Ended::Broken(why),
            };
            let Ended::Broken(why) = ended else { return Ok(()) };
            // Another try that failed in the same way is no news.
            if told.replace(why) != Some(why) {
                self.lost(why).await?;
            }
            let wait = waits.after(up_since.map_or(Duration::ZERO, |since| since.elapsed()));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = unwanted(&mut self.orders) => return Ok(()),
            }
        }
    }

    async fn lost(&self, why: RelayDown) -> Result<(), EngineGone> {
        let task = self.reporter.life;
        match why {
            RelayDown::OtherKey => tracing::warn!(
                task,
                "whoever answers at a relay's address does not have its key: nothing was sent"
            ),
            RelayDown::NotPrivate => tracing::warn!(
                task,
                "a relay is not reached over TLS: nothing was sent; see `insecure` in settings.toml"
            ),
            why => tracing::info!(task, ?why, "a relay is not to be had"),
        }
        self.reporter.tell(RelayInput::Down { relay: self.reporter.relay, why }).await
    }
}

/// Ends when the relay is not wanted any more. Orders for a connection that is
/// gone are dropped.
async fn unwanted(orders: &mut mpsc::Receiver<Order>) {
    while orders.recv().await.is_some() {}
}
