//! When the store fails.

use std::time::{Duration, Instant};

use tortalk_sqlite::StoreFault;
use tortalk_store::StoreError;
use tortalk_wire::ByeReason;

use super::{Batch, Engine};
use crate::control::event::NodeEvent;
use crate::control::protocol::{ErrorKind, RequestError};

/// The first pause after a failure; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The store did not take the last thing that it was given.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    /// One line: what is wrong and what to do.
    pub(super) line: String,
    /// Until then links are turned away and nothing is tried unasked.
    pub(super) until: Instant,
    pause: Duration,
}

impl Trouble {
    fn after(previous: Option<&Self>, line: String) -> Self {
        let pause = previous.map_or(PAUSE_MIN, |previous| (previous.pause * 2).min(PAUSE_MAX));
        Self { line, until: Instant::now() + pause, pause }
    }

    pub(super) fn holds(&self) -> bool {
        Instant::now() < self.until
    }
}

impl Engine {
    /// Takes back everything of a batch that the store did not take.
    ///
    /// # Errors
    /// Hands the fault on when there is no point in trying again.
    pub(super) fn fail(&mut self, batch: Batch, error: StoreError) -> Result<(), StoreError> {
        // The connection may be in any state; what counts is that nothing of the
        // batch stays.
        if batch.open && self.store.rollback().is_err() {
            tracing::debug!("nothing was left to roll back");
        }
        let line = error.to_string();
        let refusal = store_failed(&error);
        let commands = batch.commands.into_values().map(|(_, answering)| answering);
        let queries = batch.queries.into_iter().map(|(_, answering)| answering);
        for answering in commands.chain(queries) {
            let _gave_up = answering.send(Err(refusal.clone()));
        }
        for (error, answering) in batch.refused {
            let _gave_up = answering.send(Err(error));
        }
        // Peers that get no answer hand over again, to a machine that knows no
        // more than the store.
        // req: GSP-02
        self.lose_links(ByeReason::Unspecified);
        self.contacts.stale = true;
        let known = self.trouble.as_ref().is_some_and(|trouble| trouble.line == line);
        if !known {
            tracing::error!("{line}");
            self.tell(NodeEvent::StoreFailed { message: line.clone() });
        }
        self.trouble = Some(Trouble::after(self.trouble.as_ref(), line));
        if is_beyond_use(&error) { Err(error) } else { Ok(()) }
    }
}

/// What somebody is told whose request the store did not take.
pub(super) fn store_failed(error: &StoreError) -> RequestError {
    RequestError::new(ErrorKind::StoreFailed, format!("nothing was stored: {error}"))
}

/// Whether no pause will mend it.
pub(super) const fn is_beyond_use(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged { .. } | StoreError::Fault(StoreFault::Damaged))
}
