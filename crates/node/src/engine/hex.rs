//! Ids as people and programs write them.

use data_encoding::HEXLOWER_PERMISSIVE;

/// `N` bytes from `2 · N` hexadecimal digits in any case.
pub(super) fn decode<const N: usize>(digits: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exactly_that_many_digits_are_an_id() {
        assert_eq!(decode::<2>("0aFF"), Some([0x0a, 0xff]));
        for bad in ["", "0a", "0aff0", "0aff00", "0agg", " 0aff"] {
            assert_eq!(decode::<2>(bad), None, "{bad}");
        }
    }
}
