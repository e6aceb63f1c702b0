//! What an operator chooses.

use std::net::IpAddr;
use std::time::Duration;

use tortalk_keys::relay::{Authority, RelayHost};
use tortalk_model::limits::relay::STRANGER_SHARE;

/// Everything that may differ between two relays.
#[derive(Debug, Clone)]
pub struct Config {
    /// The addresses under which clients dial this relay.
    pub authorities: Vec<Authority>,
    /// The public key and port of the relay's onion service.
    pub onion: Option<([u8; 32], u16)>,
    /// What is kept.
    pub quotas: Quotas,
    /// What strangers may use up.
    pub bounds: Bounds,
}

impl Config {
    /// The defaults of spec/relay.md for a relay with these addresses. The first
    /// onion service among them is the one that clients are told of.
    pub fn new(authorities: Vec<Authority>) -> Self {
        let onion = authorities.iter().find_map(|authority| match authority.host() {
            RelayHost::Onion(public) => Some((*public, authority.port())),
            RelayHost::Name(_) => None,
        });
        Self { authorities, onion, quotas: Quotas::default(), bounds: Bounds::default() }
    }
}

/// How much is kept (RLY-62, RLY-65).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// For one mailbox, in bytes; each envelope counts with 256 more.
    pub mailbox_bytes: u64,
    /// For all mailboxes, in bytes counted likewise.
    pub total_bytes: u64,
    /// Mailboxes.
    pub mailboxes: u64,
}

impl Quotas {
    /// The part of a mailbox's quota for unstamped envelopes, in bytes.
    pub const fn stranger_bytes(&self) -> u64 {
        self.mailbox_bytes / STRANGER_SHARE
    }

    /// The part of a mailbox's quota for stamped envelopes, in bytes.
    pub const fn stamped_bytes(&self) -> u64 {
        self.mailbox_bytes - self.stranger_bytes()
    }
}

impl Default for Quotas {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self { mailbox_bytes: 32 * MIB, total_bytes: 8 * 1024 * MIB, mailboxes: 65_536 }
    }
}

/// What strangers may use up (RLY-58, RLY-61, RLY-62, RLY-64).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address.
    pub connections_per_source: usize,
    /// `Sync` streams at a time.
    pub sync_streams: usize,
    /// `Pull` streams at a time.
    pub pull_streams: usize,
    /// Bytes of envelopes that wait for the disk.
    pub waiting_bytes: usize,
    /// Calls other than `Sync`, from one address.
    pub calls_per_source: Rate,
    /// Calls other than `Sync`, from all.
    pub calls: Rate,
    /// New mailboxes from one address.
    pub mailboxes_per_source: Rate,
    /// New mailboxes from all.
    pub mailboxes: Rate,
    /// Addresses behind which many people are; no limit for one address applies.
    pub shared_sources: Vec<IpAddr>,
}

impl Default for Bounds {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        const SECOND: Duration = Duration::from_secs(1);
        Self {
            connections: 512,
            connections_per_source: 32,
            sync_streams: 1_024,
            pull_streams: 4_096,
            waiting_bytes: 64 * 1024 * 1024,
            calls_per_source: Rate { burst: 64, refill: 16, per: SECOND },
            calls: Rate { burst: 2_048, refill: 1_024, per: SECOND },
            mailboxes_per_source: Rate { burst: 64, refill: 64, per: HOUR },
            mailboxes: Rate { burst: 4_096, refill: 4_096, per: HOUR },
            shared_sources: Vec::new(),
        }
    }
}

/// So many at once, and so many more in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once, after a rest.
    pub burst: u32,
    /// In the time `per`.
    pub refill: u32,
    /// Never zero.
    pub per: Duration,
}
