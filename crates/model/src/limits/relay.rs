//! The numbers of the relay service (spec/relay.md).
//!
//! What an operator may choose stands in the relay's own configuration.

use core::time::Duration;

use super::DAY;

/// Random bytes that a client sends for a relay to sign, and the other way.
pub const NONCE_BYTES: usize = 32;
/// Protocol versions that a relay names.
pub const VERSIONS_MAX: usize = 16;
/// Ids in one storage receipt.
pub const RECEIPT_IDS_MAX: usize = 256;
/// Envelopes of one stream that are not answered or not acknowledged.
pub const WINDOW_MAX: usize = 256;
/// Bytes of envelopes of one stream that are not answered or not acknowledged.
pub const WINDOW_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What is no envelope, on one stream, before it ends.
pub const MALFORMED_MAX: u32 = 8;
/// How far ahead an expiry may lie: the longest life, a day of wrong clocks and
/// the hour that rounding adds.
pub const EXPIRY_AHEAD_MAX: Duration = Duration::from_secs(15 * DAY + 3600);
/// Purge keys in one call.
pub const PURGE_KEYS_MAX: usize = 256;
/// What lies in a card drop.
pub const CARD_BLOB_BYTES_MAX: usize = 8 * 1024;
/// The lengths that a sealed card is padded to.
pub const CARD_BLOB_SIZES: [usize; 4] = [2 * 1024, 4 * 1024, 6 * 1024, CARD_BLOB_BYTES_MAX];
/// A card drop is kept this long after it was put.
pub const CARD_LIFE: Duration = Duration::from_secs(60 * DAY);
/// A mailbox is registered this long after its owner proved itself.
pub const REGISTRATION_LIFE: Duration = Duration::from_secs(60 * DAY);
/// Unstamped envelopes held for one mailbox.
pub const STRANGER_ENVELOPES_MAX: u64 = 64;
/// Unstamped envelopes have one part in so many of a mailbox's quota.
pub const STRANGER_SHARE: u64 = 8;
/// What a quota counts for an envelope besides its bytes.
pub const ENVELOPE_COST_BYTES: u64 = 256;
/// Forgotten envelopes of one mailbox whose ids are remembered.
pub const REMEMBERED_MAX: u64 = 8_192;
/// A proof comes within this time, or the stream ends.
pub const PROOF_TIMEOUT: Duration = Duration::from_secs(10);
/// A stream whose client takes nothing for this long ends.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// A stream to a mailbox's owner ends after this time.
pub const STREAM_LIFE_MAX: Duration = Duration::from_secs(DAY);
/// The first bytes of a connection, which come in time or it is closed.
pub const FIRST_BYTES: u64 = 24;
/// When the first bytes of a connection are there.
pub const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection without an open call is closed after this time.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Calls open on one connection.
pub const CALLS_PER_CONNECTION_MAX: u32 = 16;
/// Writes of clients in one transaction.
pub const GROUP_MAX: usize = 1_024;

/// Own relays that a node uses: as many as a contact card names.
pub const OWN_RELAYS_MAX: usize = 4;
/// Relays of others that a node is connected to at a time.
pub const OTHER_RELAYS_MAX: usize = 16;
/// A relay of somebody else is let go of when nothing was wanted there for so long.
pub const RELAY_IDLE_AFTER: Duration = Duration::from_secs(60);
/// A contact's next relay has its turn when the one before brought no storage
/// receipt for so long.
pub const NEXT_RELAY_AFTER: Duration = Duration::from_secs(60);
/// An envelope that a relay has not answered for so long counts as refused.
pub const DEPOSIT_TIMEOUT: Duration = Duration::from_secs(60);
/// What is carried for somebody waits so long for a purge before it is left at
/// their relays.
pub const CARRIED_TO_RELAY_AFTER: Duration = Duration::from_secs(60);
/// Envelopes that wait in memory to be left at relays.
pub const LEAVING_MAX: usize = 4_096;
/// Of them for one contact, so that one with dead relays holds nobody else's up.
pub const LEAVING_PER_CONTACT_MAX: usize = LEAVING_MAX / 8;
/// Own cards are put into their drops again after this time.
pub const CARD_AGAIN_AFTER: Duration = Duration::from_secs(30 * DAY);
/// A contact's drop is read when its newest key ends within this time.
pub const CARD_READ_BEFORE: Duration = Duration::from_secs(7 * DAY);
/// Pulled envelopes that cannot be opened yet.
pub const UNOPENED_MAX: usize = 1_024;
/// Bytes of pulled envelopes that cannot be opened yet.
pub const UNOPENED_BYTES_MAX: usize = 16 * 1024 * 1024;
