//! Who called, as far as limits need it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tonic::Request;
use tonic::transport::server::TlsConnectInfo;
use tortalk_model::MonoMillis;

use crate::env::Clock;
use crate::rules::rate::Source;

/// A connection, as its calls see it.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// `None` for an address behind which many people are.
    source: Option<Source>,
    calls: Arc<Calls>,
    clock: Option<Clock>,
}

/// The calls of one connection.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: AtomicUsize,
    /// When the last one ended, or the connection began.
    idle_since: AtomicU64,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, shared: &[IpAddr], clock: &Clock) -> Self {
        let calls = Calls::default();
        calls.idle_since.store(clock.now().mono.0, Ordering::Relaxed);
        let source = (!shared.contains(&address.to_canonical())).then(|| Source::from(address));
        Self { source, calls: Arc::new(calls), clock: Some(clock.clone()) }
    }

    /// The peer behind a request. One that came over no connection of ours has
    /// no source.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        let extensions = request.extensions();
        let over_tls = extensions.get::<TlsConnectInfo<Self>>().map(TlsConnectInfo::get_ref);
        let peer = extensions.get::<Self>().or(over_tls).cloned();
        peer.unwrap_or_else(|| Self { source: None, calls: Arc::default(), clock: None })
    }

    pub(crate) const fn source(&self) -> Option<Source> {
        self.source
    }

    pub(crate) fn calls(&self) -> Arc<Calls> {
        Arc::clone(&self.calls)
    }

    /// Counts a call as open until the guard is dropped.
    pub(crate) fn call(&self) -> CallGuard {
        self.calls.open.fetch_add(1, Ordering::Relaxed);
        CallGuard { calls: Arc::clone(&self.calls), clock: self.clock.clone() }
    }
}

impl Calls {
    /// Since when no call is open; `None` while one is.
    pub(crate) fn idle_since(&self) -> Option<MonoMillis> {
        let open = self.open.load(Ordering::Relaxed);
        (open == 0).then(|| MonoMillis(self.idle_since.load(Ordering::Relaxed)))
    }
}

/// An open call.
#[derive(Debug)]
pub(crate) struct CallGuard {
    calls: Arc<Calls>,
    clock: Option<Clock>,
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        if let Some(clock) = &self.clock {
            self.calls.idle_since.store(clock.now().mono.0, Ordering::Relaxed);
        }
        self.calls.open.fetch_sub(1, Ordering::Relaxed);
    }
}
