//! Who may be in the middle of a handshake at our listener.
//!
//! Nothing is known about whoever has just connected, so their number is bounded
//! and it is always the newest that gets a place: sockets that are only held
//! open take nobody's. The place is taken from whichever source holds most, so
//! one source cannot crowd out another.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tortalk_model::limits::{HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX};

/// The handshakes in progress.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    entries: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Numbers only grow, so the first of a source is its oldest.
    last: u64,
    open: BTreeMap<u64, (Source, oneshot::Sender<()>)>,
}

/// What counts as one source: a host, or in IPv6 the network that a host can
/// take addresses from as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Source(IpAddr);

impl Source {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            // On one link everybody has the same prefix.
            IpAddr::V6(v6) if !v6.is_unicast_link_local() && !v6.is_loopback() => {
                let prefix = u128::from(v6) & !u128::from(u64::MAX);
                Self(Ipv6Addr::from(prefix).into())
            }
            ip => Self(ip),
        }
    }
}

impl Guard {
    /// Gives a place to a new connection, where necessary an older one's.
    pub(super) fn admit(&self, ip: IpAddr) -> Ticket {
        let source = Source::of(ip);
        let mut entries = self.lock();
        let held = entries.held_by(source);
        // req: LIM-02
        if held >= HANDSHAKES_PER_ADDRESS_MAX {
            entries.evict_oldest_of(source);
        }
        // req: LIM-02
        if entries.open.len() >= HANDSHAKES_MAX {
            let busiest = entries.busiest();
            entries.evict_oldest_of(busiest.unwrap_or(source));
        }
        entries.last += 1;
        let id = entries.last;
        let (evict, evicted) = oneshot::channel();
        entries.open.insert(id, (source, evict));
        Ticket { guard: self.clone(), id, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn held_by(&self, source: Source) -> usize {
        self.open.values().filter(|(other, _)| *other == source).count()
    }

    fn busiest(&self) -> Option<Source> {
        self.open.values().map(|(source, _)| *source).max_by_key(|source| self.held_by(*source))
    }

    fn evict_oldest_of(&mut self, source: Source) {
        let oldest = self.open.iter().find(|(_, (other, _))| *other == source).map(|(id, _)| *id);
        // Dropping the sender is what the ticket's holder sees.
        oldest.and_then(|id| self.open.remove(&id));
    }
}

/// A place among the handshakes in progress, given back when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    guard: Guard,
    id: u64,
    evicted: oneshot::Receiver<()>,
}

impl Ticket {
    /// Waits until the place was given to someone else.
    pub(super) async fn evicted(&mut self) {
        let _dropped = (&mut self.evicted).await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.guard.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn is_evicted(ticket: &mut Ticket) -> bool {
        ticket.evicted.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    // req: LIM-02
    #[test]
    fn the_ninth_from_one_address_takes_the_place_of_the_first() {
        let guard = Guard::default();
        let mut other = guard.admit(ip(2));
        let mut held: Vec<Ticket> =
            (0..HANDSHAKES_PER_ADDRESS_MAX).map(|_| guard.admit(ip(1))).collect();
        assert!(!held.iter_mut().any(is_evicted));
        let mut new = guard.admit(ip(1));
        assert!(is_evicted(&mut held[0]) && !held[1..].iter_mut().any(is_evicted));
        assert!(!is_evicted(&mut other) && !is_evicted(&mut new));
    }

    // req: LIM-02
    #[test]
    fn a_full_house_takes_the_place_of_whoever_holds_most() {
        let guard = Guard::default();
        let mut honest = guard.admit(ip(200));
        let mut crowd = Vec::new();
        for address in 0..100 {
            for _ in 0..2 {
                crowd.push(guard.admit(ip(address)));
            }
        }
        assert_eq!(guard.lock().open.len(), HANDSHAKES_MAX);
        assert!(!is_evicted(&mut honest));
    }

    #[test]
    fn a_place_is_given_back() {
        let guard = Guard::default();
        drop(guard.admit(ip(1)));
        assert_eq!(guard.lock().open.len(), 0);
    }

    #[test]
    fn a_host_cannot_be_many_by_choosing_addresses() {
        let source = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_ne!(source("fe80::1"), source("fe80::2"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }
}
