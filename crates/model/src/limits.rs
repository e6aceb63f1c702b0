//! Every number that bounds something (spec/limits.md).
//!
//! Sizes end in `_BYTES_MAX`, counts in `_MAX`; durations are `Duration`s.

use core::time::Duration;

pub mod relay;

/// Layout number of the only envelope layout.
pub const ENVELOPE_LAYOUT: u8 = 1;
/// Suite number of the only suite: HPKE base, MLKEM768-X25519, HKDF-SHA256,
/// ChaCha20Poly1305.
pub const SUITE_1: u16 = 1;
/// Extension bytes in an envelope.
pub const ENVELOPE_EXT_BYTES_MAX: usize = 256;
/// Fixed part of an envelope's header: all before `ext`.
pub const ENVELOPE_HEADER_BYTES: usize = 1 + 2 + 32 + 8 + 8 + 32 + 2;
/// Encapsulated key of suite 1.
pub const SUITE_1_ENC_BYTES: usize = 1120;
/// Public key of suite 1.
pub const SUITE_1_PUBLIC_BYTES: usize = 1216;
/// AEAD tag of suite 1.
pub const SUITE_1_TAG_BYTES: usize = 16;
/// The sizes that a sealed plaintext is padded to.
pub const BUCKETS: [usize; 9] = [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
/// The largest `sealed` part of any suite.
pub const SEALED_BYTES_MAX: usize = SUITE_1_ENC_BYTES + BUCKETS[8] + SUITE_1_TAG_BYTES;
/// The smallest and largest envelope of suite 1.
pub const ENVELOPE_BYTES_MAX: usize =
    ENVELOPE_HEADER_BYTES + ENVELOPE_EXT_BYTES_MAX + 4 + SEALED_BYTES_MAX;
/// Fixed part of a message's signed bytes: all before `body`.
pub const SIGNED_HEADER_BYTES: usize = 1 + 1 + 32 + 32 + 8 + 16 + 8 + 8 + 8 + 2;
/// What surrounds the signed bytes inside the seal: purge key, length, signature.
pub const SEALED_OVERHEAD_BYTES: usize = 32 + 4 + 64;
/// The largest body of a message.
pub const BODY_BYTES_MAX: usize = BUCKETS[8] - SEALED_OVERHEAD_BYTES - SIGNED_HEADER_BYTES;
/// Longest life of an envelope, counted from its making.
pub const ENVELOPE_LIFE_MAX: Duration = Duration::from_secs(14 * DAY);
/// How far a holder lets expiry slip for the sake of wrong clocks.
pub const EXPIRY_TOLERANCE: Duration = Duration::from_secs(DAY);
/// A published sealing key's validity.
pub const SEALING_KEY_LIFE: Duration = Duration::from_secs(28 * DAY);
/// A new sealing key is published this long after the last.
pub const SEALING_KEY_ROTATION: Duration = Duration::from_secs(7 * DAY);
/// A seed is erased this long after its key's `not_after`.
pub const SEALING_SEED_KEPT: Duration = Duration::from_secs(16 * DAY);
/// The owner's clock has to say for this much running time that a seed is due
/// before the seed is erased.
pub const SEALING_SEED_DUE: Duration = Duration::from_secs(DAY);
/// Running time that counts between two looks at the clock, at most.
pub const SEALING_SEED_LOOK: Duration = Duration::from_secs(300);
/// A mailbox for contacts is used this long after another took its place: as long
/// as something may be under way that was sealed by an older card.
pub const RETIRED_MAILBOX_KEPT: Duration = Duration::from_secs(44 * DAY);

/// An invite's bytes.
pub const INVITE_BYTES_MAX: usize = 250;
/// An invite's text as a person pastes it, white space included.
pub const INVITE_TEXT_BYTES_MAX: usize = 4096;
/// Relays in an invite.
pub const INVITE_RELAYS_MAX: usize = 2;
/// A relay's host name in an invite or card.
pub const RELAY_HOST_BYTES_MAX: usize = 64;
/// A card's bytes, signature included.
pub const CARD_BYTES_MAX: usize = 8 * 1024 - 64;
/// A person's name in a card, in UTF-8 bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Sealing keys in a card.
pub const CARD_SEALING_KEYS_MAX: usize = 4;
/// Mailboxes in a card.
pub const CARD_MAILBOXES_MAX: usize = 4;
/// Relays in a card.
pub const CARD_RELAYS_MAX: usize = 4;
/// Feature bytes in a card or a hello.
pub const FEATURES_BYTES_MAX: usize = 256;
/// Extension bytes in a card.
pub const CARD_EXT_BYTES_MAX: usize = 1024;
/// A card with a sequence further ahead than this does not replace.
pub const CARD_AHEAD_MAX: Duration = Duration::from_secs(48 * 3600);
/// Ids in one receipt.
pub const RECEIPT_IDS_MAX: usize = 256;
/// What a contact request says, in UTF-8 bytes.
pub const REQUEST_TEXT_BYTES_MAX: usize = 1024;
/// Contact requests that wait for the user, wherever they came from.
pub const REQUESTS_MAX: usize = 32;
/// Of them from one address.
pub const REQUESTS_PER_ADDRESS_MAX: usize = 2;
/// Of them from one relay.
pub const REQUESTS_PER_RELAY_MAX: usize = 16;
/// Who finds no place for a request is told to come again after this time, in
/// seconds.
pub const REQUEST_RETRY_AFTER_S: u32 = 3600;
/// A newer request takes the place of an open one after this time.
pub const REQUEST_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Receipts for requests of one stranger that are held at a time.
pub const REQUEST_RECEIPTS_MAX: usize = 4;
/// A request that nobody decided on is forgotten after this time; a declined one
/// is known for as long.
pub const REQUEST_KEPT: Duration = RESEAL_FOR;

/// A discovery beacon's datagram.
pub const BEACON_BYTES_MAX: usize = 64;
/// Lowest TCP port that a beacon may name.
pub const BEACON_PORT_MIN: u16 = 1024;
/// One dial per address within this time.
pub const DIAL_INTERVAL: Duration = Duration::from_secs(5);
/// An address is not dialled again for so long after a link there ended for a fault
/// of the protocol; twice as long after each further one.
pub const FAULT_WAIT: Duration = DIAL_INTERVAL;
/// The longest such wait.
pub const FAULT_WAIT_MAX: Duration = Duration::from_secs(600);
/// A link that was up for so long has made up for earlier faults.
pub const FAULT_FORGIVEN_AFTER: Duration = Duration::from_secs(60);
/// Dials in flight.
pub const DIALS_IN_FLIGHT_MAX: usize = 16;

/// A Noise handshake message on a link, its length field not counted.
pub const HANDSHAKE_BYTES_MAX: usize = 512;
/// Version lists in a handshake payload: entries.
pub const VERSIONS_MAX: usize = 16;
/// A Noise record on a link, its length field not counted.
pub const RECORD_BYTES_MAX: usize = 65_535;
/// The plaintext of a Noise record on a link, as long as it can be.
pub const RECORD_PLAINTEXT_BYTES_MAX: usize = RECORD_BYTES_MAX - 16;
/// The plaintext of a Noise record on a link, as long as a node makes it.
pub const RECORD_PLAINTEXT_BYTES_SENT: usize = 16 * 1024;
/// A frame: type and body, the length field not counted.
pub const FRAME_BYTES_MAX: usize = 128 * 1024;
/// Everything that a peer may send before it is authenticated.
pub const UNAUTHENTICATED_BYTES_MAX: usize = 2 * 1024;
/// Both authentications are through within this time, or the link ends.
pub const AUTH_TIMEOUT: Duration = Duration::from_secs(5);
/// A link is closed and made anew after this time.
pub const LINK_LIFE_MAX: Duration = Duration::from_secs(24 * 3600);
/// A ping is sent when nothing was received for this time.
pub const PING_AFTER: Duration = Duration::from_secs(15);
/// A link on which nothing was received for this time is dead.
pub const LINK_DEAD_AFTER: Duration = Duration::from_secs(45);
/// Two links of one peer younger than this are compared by instance id.
pub const LINK_YOUNG: Duration = Duration::from_secs(5);
/// Retired mailboxes that are proved beside the one for contacts.
pub const RETIRED_MAILBOXES_PROVED_MAX: usize = 8;
/// Proofs in one `Mailboxes` frame.
pub const MAILBOX_PROOFS_MAX: usize = 16;
/// A stamp beside an envelope on the wire; those of version 1 have 16 bytes.
pub const STAMP_BYTES_MAX: usize = 64;
/// Unknown, non-critical frame bytes that a link may carry.
pub const UNKNOWN_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Handshakes in progress at the listener, all sources together.
pub const HANDSHAKES_MAX: usize = 64;
/// Handshakes in progress at the listener from one address.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 8;
/// Links with one person, one for each device.
pub const LINKS_PER_PERSON_MAX: usize = 8;
/// Authenticated links with strangers.
pub const STRANGER_LINKS_MAX: usize = 64;

/// Envelopes handed over on a link and not yet acknowledged.
pub const UNACKED_ENVELOPES_MAX: usize = 256;
/// Bytes of envelopes handed over on a link and not yet acknowledged.
pub const UNACKED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Envelopes opened per second for one stranger's link.
pub const STRANGER_OPENS_PER_S: u32 = 8;
/// Envelopes opened per second for all strangers together.
pub const STRANGERS_OPENS_PER_S: u32 = 64;
/// Largest `ttl` that a receiver stores.
pub const TTL_MAX: u8 = 6;
/// Entries in one `Have`, `Want` or `Purge` frame.
pub const SPREAD_ENTRIES_MAX: usize = 256;
/// `Have`, `Want` and `Purge` frames together that are read on one link.
pub const SPREAD_FRAMES_PER_S: u32 = 64;
/// Ids offered on one link that are remembered, each way.
pub const OFFERS_MAX: usize = 4096;
/// An envelope that was wanted and did not come may be wanted elsewhere after
/// this time.
pub const WANT_LIFE: Duration = Duration::from_secs(10);
/// The recipient alone gets an envelope for this long, and again for this long
/// once it said `STORED`.
pub const DIRECT_FIRST: Duration = Duration::from_secs(2);
/// What a timed try raises an origin's `ttl` to.
pub const TTL_AGAIN: u8 = 2;
/// Envelopes that a node carries for others.
pub const CARRY_ENVELOPES_MAX: u64 = 4096;
/// Bytes of envelopes that a node carries for others.
pub const CARRY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// One giver may fill one part in this many of either.
pub const CARRY_GIVERS: u64 = 8;
/// A carrier refuses an envelope that expires further ahead than this.
pub const CARRY_AHEAD_MAX: Duration = Duration::from_secs(15 * DAY);
/// An origin seals a message again for the sake of a carrier's clock at most once
/// in this time.
pub const RESEAL_FOR_CLOCK_AFTER: Duration = Duration::from_secs(3600);
/// A duplicate triggers its receipt again at most once in this time.
pub const RECEIPT_AGAIN_AFTER: Duration = Duration::from_secs(600);
/// A chain's gap is shown when it is this old.
pub const CHAIN_GAP_SHOWN_AFTER: Duration = Duration::from_secs(60);
/// Gaps of a contact's chain that are known; of more the oldest are forgotten.
pub const CHAIN_GAPS_MAX: usize = 64;
/// Chains of a contact that are known besides the one that counts.
pub const CHAINS_EARLIER_MAX: usize = 8;
/// What is missing is asked for after this time.
pub const RESEND_ASKED_AFTER: Duration = Duration::from_secs(600);
/// A contact is asked again after this time at the earliest.
pub const RESEND_ASKED_AGAIN_AFTER: Duration = Duration::from_secs(3600);
/// A contact's requests are answered once in this time.
pub const RESEND_ANSWERED_AGAIN_AFTER: Duration = Duration::from_secs(600);
/// Messages that one resend request brings.
pub const RESEND_MESSAGES_MAX: usize = 256;
/// Sealing again ends this long after the message was written.
pub const RESEAL_FOR: Duration = Duration::from_secs(90 * DAY);

const DAY: u64 = 24 * 3600;

/// The smallest bucket that holds `len` bytes, or `None` over the largest.
pub fn bucket_for(len: usize) -> Option<usize> {
    BUCKETS.into_iter().find(|&bucket| bucket >= len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_fits_and_nothing_more() {
        assert_eq!(bucket_for(0), Some(256));
        assert_eq!(bucket_for(256), Some(256));
        assert_eq!(bucket_for(257), Some(512));
        assert_eq!(bucket_for(65_536), Some(65_536));
        assert_eq!(bucket_for(65_537), None);
        assert_eq!(BODY_BYTES_MAX, 65_320);
    }
}
