//! What came of a simulation.

use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::time::Moment;
use crate::violation::Violation;

/// What came of a simulation.
#[derive(Debug)]
pub struct Outcome {
    /// The plan's.
    pub seed: u64,
    /// The first thing that did not hold.
    pub violation: Option<Violation>,
    /// Over the whole trace; equal for equal plans.
    pub trace_hash: String,
    /// Lines of the trace.
    pub lines: u64,
    /// The last lines of the trace.
    pub last: Vec<String>,
    /// The trace, where it was kept whole.
    pub trace: Option<String>,
    /// What was measured.
    pub figures: Figures,
    /// Things that happened.
    pub happenings: u64,
    /// Transactions with something in them.
    pub commits: u64,
    /// When it ended, in virtual time.
    pub ended: Moment,
}

impl Outcome {
    pub(crate) fn unborn(plan: &Plan, violation: Violation) -> Self {
        Self {
            seed: plan.seed,
            violation: Some(violation),
            trace_hash: String::new(),
            lines: 0,
            last: Vec::new(),
            trace: None,
            figures: Figures::default(),
            happenings: 0,
            commits: 0,
            ended: Moment(0),
        }
    }
}

/// How messages fared.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Messages that were written.
    pub written: usize,
    /// Those that their recipients have.
    pub delivered: usize,
    /// From writing to the recipient's store, in milliseconds, ascending.
    pub latencies_ms: Vec<u64>,
    /// Devices besides the sender's that held each delivered message, all added.
    pub holders: u64,
    /// Times that an envelope with a message went over a link, all added.
    pub copies: u64,
    /// Bytes of those.
    pub message_bytes: u64,
    /// Bytes of everything on links.
    pub bytes: u64,
}

impl Figures {
    pub(crate) fn of(ledger: &Ledger, bytes: u64) -> Self {
        let mut figures = Self { bytes, ..Self::default() };
        for fate in ledger.messages.values() {
            figures.written += 1;
            figures.copies += fate.copies;
            figures.message_bytes += fate.bytes;
            if let Some(stored) = fate.stored {
                figures.delivered += 1;
                figures.holders += fate.holders.len() as u64;
                figures.latencies_ms.push(stored.since(fate.written));
            }
        }
        figures.latencies_ms.sort_unstable();
        figures
    }

    /// The latency that so many of a hundred stay within, in milliseconds.
    pub fn percentile_ms(&self, percent: usize) -> Option<u64> {
        let last = self.latencies_ms.len().checked_sub(1)?;
        self.latencies_ms.get((self.latencies_ms.len() * percent / 100).min(last)).copied()
    }
}
