//! What is going to happen, in order.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Moment;

/// Things to happen, the earliest first; of one moment in the order in which
/// they were added. No two runs can differ in it.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    next: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Moment,
    number: u64,
    what: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), next: 0 }
    }
}

impl<T> Queue<T> {
    pub(crate) fn add(&mut self, at: Moment, what: T) {
        let number = self.next;
        self.next += 1;
        self.heap.push(Reverse(Entry { at, number, what }));
    }

    /// What comes next, if it comes by `until`.
    pub(crate) fn next_by(&mut self, until: Moment) -> Option<(Moment, T)> {
        if self.heap.peek()?.0.at > until {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_first_and_then_in_order() {
        let mut queue = Queue::default();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            queue.add(Moment(at), what);
        }
        let mut order = Vec::new();
        while let Some((_, what)) = queue.next_by(Moment(5)) {
            order.push(what);
        }
        assert_eq!(order, ['a', 'b', 'c', 'd']);
        queue.add(Moment(9), 'e');
        assert!(queue.next_by(Moment(8)).is_none());
    }
}
