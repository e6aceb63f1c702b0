//! Who listens for new envelopes of a mailbox.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tortalk_model::MailboxKey;

/// The streams that wait for envelopes, one for each mailbox at most.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    listeners: Mutex<BTreeMap<MailboxKey, Listener>>,
    next_number: AtomicU64,
}

#[derive(Debug)]
struct Listener {
    number: u64,
    wake: watch::Sender<u64>,
}

/// One stream's place in the hub. It ends when it is dropped, or when another
/// stream of the mailbox takes it.
#[derive(Debug)]
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    mailbox: MailboxKey,
    number: u64,
    wake: watch::Receiver<u64>,
}

/// Another stream of the same mailbox has the place now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superseded;

impl Hub {
    /// Listens for a mailbox. Who listened before is superseded (RLY-34).
    pub(crate) fn subscribe(self: &Arc<Self>, mailbox: MailboxKey) -> Subscription {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let mut listeners = self.lock();
        let (sender, wake) = watch::channel(0);
        // req: RLY-34
        listeners.insert(mailbox, Listener { number, wake: sender });
        drop(listeners);
        Subscription { hub: Arc::clone(self), mailbox, number, wake }
    }

    /// These mailboxes have new envelopes, which are committed.
    pub(crate) fn wake<'a>(&self, mailboxes: impl IntoIterator<Item = &'a MailboxKey>) {
        let listeners = self.lock();
        for mailbox in mailboxes {
            if let Some(listener) = listeners.get(mailbox) {
                listener.wake.send_modify(|count| *count += 1);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MailboxKey, Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Waits until the mailbox may have something new. One that came before this
    /// is called is not missed.
    pub(crate) async fn changed(&mut self) -> Result<(), Superseded> {
        self.wake.changed().await.map_err(|_| Superseded)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut listeners = self.hub.lock();
        if listeners.get(&self.mailbox).is_some_and(|found| found.number == self.number) {
            listeners.remove(&self.mailbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(i: u8) -> MailboxKey {
        MailboxKey::from_bytes([i; 32])
    }

    #[tokio::test]
    async fn a_wake_before_the_wait_is_not_missed() {
        let hub = Arc::new(Hub::default());
        let mut subscription = hub.subscribe(mailbox(1));
        hub.wake([&mailbox(1), &mailbox(2)]);
        assert_eq!(subscription.changed().await, Ok(()));
    }

    // req: RLY-34
    #[tokio::test]
    async fn the_newer_one_has_the_place_and_the_older_one_hears_of_it() {
        let hub = Arc::new(Hub::default());
        let mut older = hub.subscribe(mailbox(1));
        let mut newer = hub.subscribe(mailbox(1));
        assert_eq!(older.changed().await, Err(Superseded));
        drop(older);
        hub.wake([&mailbox(1)]);
        assert_eq!(newer.changed().await, Ok(()), "its place outlives the older one");
        drop(newer);
        assert!(hub.lock().is_empty());
    }
    #[tokio::test]
    async fn one_that_lost_its_place_long_ago_takes_nobody_elses() {
        let hub = Arc::new(Hub::default());
        let first = hub.subscribe(mailbox(1));
        drop(hub.subscribe(mailbox(1)));
        let mut third = hub.subscribe(mailbox(1));
        drop(first);
        hub.wake([&mailbox(1)]);
        assert_eq!(third.changed().await, Ok(()));
    }
}
