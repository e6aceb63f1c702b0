//! Bytes as lower-case hexadecimal text, for vectors and assertions.

use data_encoding::HEXLOWER;

/// Lower-case hexadecimal text of `bytes`.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

/// The bytes of lower-case hexadecimal text.
///
/// # Panics
/// When `text` is not lower-case hexadecimal: a test that names such text is
/// wrong.
pub fn decode(text: &str) -> Vec<u8> {
    HEXLOWER
        .decode(text.as_bytes())
        .unwrap_or_else(|error| panic!("`{text}` is not lower-case hexadecimal: {error}"))
}

/// The `N` bytes of lower-case hexadecimal text.
///
/// # Panics
/// As [`decode`], and when the text is not of exactly `N` bytes.
pub fn array<const N: usize>(text: &str) -> [u8; N] {
    let bytes = decode(text);
    let len = bytes.len();
    bytes.try_into().unwrap_or_else(|_| panic!("`{text}` is {len} bytes, not {N}"))
}
