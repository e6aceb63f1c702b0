//! What holds of an envelope whatever is in it.

use proptest::prelude::*;
use tortalk_model::limits::{
    BUCKETS, ENVELOPE_EXT_BYTES_MAX, SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES,
};
use tortalk_model::{Envelope, EnvelopeHeader, KeyId, MailboxKey, PurgeHash, UnixMillis};

const HOUR: u64 = 3_600_000;

fn header() -> impl Strategy<Value = EnvelopeHeader> {
    let ext = prop::collection::vec(any::<u8>(), 0..=ENVELOPE_EXT_BYTES_MAX);
    let suite = prop_oneof![Just(SUITE_1), any::<u16>()];
    (suite, any::<[u8; 32]>(), any::<[u8; 8]>(), any::<u32>(), any::<[u8; 32]>(), ext).prop_map(
        |(suite, mailbox, key_id, hours, purge_hash, ext)| EnvelopeHeader {
            suite,
            mailbox: MailboxKey::from_bytes(mailbox),
            key_id: KeyId::from_bytes(key_id),
            expires_at: UnixMillis(u64::from(hours) * HOUR),
            purge_hash: PurgeHash::from_bytes(purge_hash),
            ext,
        },
    )
}

/// As long as suite 1 makes it; any content.
fn sealed() -> impl Strategy<Value = Vec<u8>> {
    (0..4usize, any::<u8>()).prop_map(|(bucket, fill)| {
        vec![fill; SUITE_1_ENC_BYTES + BUCKETS[bucket] + SUITE_1_TAG_BYTES]
    })
}

proptest! {
    #[test]
    fn an_envelope_says_what_it_was_made_of(header in header(), sealed in sealed()) {
        let made = Envelope::build(&header, &sealed).expect("within every limit");
        prop_assert_eq!(made.header(), &header);
        prop_assert_eq!(made.header_bytes(), &header.to_bytes()[..]);
        prop_assert_eq!(made.sealed(), &sealed[..]);
        let read = Envelope::parse(made.as_bytes().to_vec()).expect("its own bytes");
        prop_assert_eq!(&read, &made);
        prop_assert_eq!(read.id(), Envelope::id_of(made.as_bytes()));
    }

    /// One byte changed, added or taken: either refused, or another envelope that
    /// is exactly its bytes again.
    #[test]
    fn whatever_is_read_is_written_as_it_came(
        header in header(),
        sealed in sealed(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        len in prop_oneof![4 => Just(0_isize), 1 => -3..3_isize],
    ) {
        let made = Envelope::build(&header, &sealed).expect("within every limit");
        let mut bytes = made.as_bytes().to_vec();
        // Half of the changes hit the header, where the fields are.
        let fields = made.header_bytes().len() + 4;
        let at = at.index(if byte % 2 == 0 { bytes.len() } else { fields });
        bytes[at] = byte;
        bytes.resize(bytes.len().saturating_add_signed(len), byte);
        if let Ok(read) = Envelope::parse(bytes.clone()) {
            prop_assert_eq!(read.as_bytes(), &bytes[..]);
            let again = Envelope::build(read.header(), read.sealed()).expect("it was read");
            prop_assert_eq!(again.as_bytes(), &bytes[..]);
            prop_assert_eq!(again.id() == made.id(), bytes == made.as_bytes());
        }
    }
}
