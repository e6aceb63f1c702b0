//! How many connections there may be.

use std::collections::BTreeMap;

use super::rate::Source;

/// Counts connections, all and of each source (RLY-58).
#[derive(Debug)]
pub struct Connections {
    max: usize,
    max_per_source: usize,
    open: usize,
    sources: BTreeMap<Source, usize>,
}

impl Connections {
    /// None is open.
    pub const fn new(max: usize, max_per_source: usize) -> Self {
        Self { max, max_per_source, open: 0, sources: BTreeMap::new() }
    }

    /// Whether one more may be open; counts it if so. `None` is a source behind
    /// which many people are.
    pub fn open(&mut self, source: Option<Source>) -> bool {
        // req: RLY-58
        if self.open >= self.max {
            return false;
        }
        if let Some(source) = source {
            let count = self.sources.get(&source).copied().unwrap_or(0);
            // req: RLY-58
            if count >= self.max_per_source
                && !tortalk_model::deviate!(skip_rly_58_in_connections_2)
            {
                return false;
            }
            self.sources.insert(source, count + 1);
        }
        self.open += 1;
        true
    }

    /// One that was counted has ended.
    pub fn close(&mut self, source: Option<Source>) {
        self.open = self.open.saturating_sub(1);
        if let Some(source) = source
            && let Some(count) = self.sources.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }

    /// How many are open.
    pub const fn count(&self) -> usize {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    // req: RLY-58
    #[test]
    fn both_limits_hold_and_an_end_makes_room() {
        let source = |last: u8| Some(Source::from(IpAddr::from([192, 0, 2, last])));
        let mut connections = Connections::new(3, 2);
        assert!(connections.open(source(1)));
        assert!(connections.open(source(1)));
        assert!(!connections.open(source(1)), "the third of one source");
        assert!(connections.open(None), "a shared source has no limit of its own");
        assert!(!connections.open(source(2)), "the fourth in all");
        connections.close(source(1));
        assert!(connections.open(source(2)));
        connections.close(source(1));
        connections.close(source(2));
        connections.close(None);
        assert_eq!(connections.count(), 0);
        assert!(connections.sources.is_empty(), "nothing is kept of those that left");
    }
}
