//! The version lists in the handshake payloads.
//!
//! ```text
//! count u8 (1..=16) ‖ version u16 * ‖ later bytes, ignored
//! ```

use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::limits::VERSIONS_MAX;

/// The protocol versions that this node speaks.
pub const SUPPORTED_VERSIONS: &[u16] = &[1];

/// A handshake payload that offers `versions`, of which there are at most 16.
// req: LNK-06
pub(crate) fn payload(versions: &[u16]) -> Vec<u8> {
    let count = u8::try_from(versions.len()).expect("at most 16 versions");
    let list = versions.iter().fold(Writer::new().u8(count), |list, &version| list.u16(version));
    list.into_vec()
}

/// The versions that a payload offers.
///
/// # Errors
/// [`LayoutError`] for an empty, over-long or truncated list. Bytes after the
/// list are no error: later versions put more there (LNK-22).
pub(crate) fn parse(payload: &[u8]) -> Result<Vec<u16>, LayoutError> {
    let mut reader = Reader::new(payload);
    // req: LNK-21
    let count = reader.count8("versions", VERSIONS_MAX)?;
    // req: LNK-21
    if count == 0 && !tortalk_model::deviate!(skip_lnk_21) {
        return Err(LayoutError::Truncated("versions"));
    }
    (0..count).map(|_| reader.u16("version")).collect()
}

/// The highest version that both lists have; 0 is none.
// req: LNK-04
pub(crate) fn highest_common(ours: &[u16], theirs: &[u16]) -> Option<u16> {
    ours.iter().copied().filter(|version| *version != 0 && theirs.contains(version)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: LNK-06, LNK-22
    #[test]
    fn a_list_survives_its_own_bytes_and_what_later_versions_add() {
        assert_eq!(payload(SUPPORTED_VERSIONS), [1, 0, 1]);
        assert_eq!(parse(&[2, 0, 1, 1, 0]), Ok(vec![1, 256]));
        assert_eq!(parse(&[1, 0, 1, 9, 9, 9]), Ok(vec![1]));
        let most: Vec<u16> = (1..=16).collect();
        assert_eq!(parse(&payload(&most)), Ok(most));
    }

    // req: LNK-21
    #[test]
    fn empty_long_and_truncated_lists_are_refused() {
        for bad in [&[][..], &[0], &[0, 0, 1], &[1], &[1, 0], &[2, 0, 1, 0]] {
            assert!(matches!(parse(bad), Err(LayoutError::Truncated(_))), "{bad:?}");
        }
        assert!(matches!(parse(&[17; 40]), Err(LayoutError::TooLong { found: 17, .. })));
    }

    // req: LNK-04
    #[test]
    fn the_highest_common_version_wins_in_any_order() {
        assert_eq!(highest_common(&[1, 2, 4], &[4, 3, 2]), Some(4));
        assert_eq!(highest_common(&[2, 1], &[7, 1, 1]), Some(1));
        assert_eq!(highest_common(&[1], &[2, 3]), None);
        assert_eq!(highest_common(&[0, 1], &[0]), None);
    }
}
