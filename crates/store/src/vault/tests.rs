use super::*;

fn key(byte: u8) -> ProfileKey {
    ProfileKey::from_bytes([byte; 32])
}

#[test]
fn what_was_sealed_opens_in_its_place_only() {
    let sealed = key(1).seal("a", b"row 1", b"secret", [7; 24]);
    assert_eq!(sealed.len(), b"secret".len() + SEALED_OVERHEAD);
    assert_eq!(key(1).open("a", b"row 1", &sealed).as_deref(), Ok(&b"secret"[..]));
    for (key, purpose, context) in [
        (key(2), "a", &b"row 1"[..]),
        (key(1), "b", b"row 1"),
        (key(1), "a", b"row 2"),
        // The same bytes of associated data, cut elsewhere.
        (key(1), "a row", b" 1"),
    ] {
        assert_eq!(key.open(purpose, context, &sealed), Err(VaultError::NotAuthentic));
    }
}

#[test]
fn every_byte_counts_and_short_ones_are_refused() {
    let sealed = key(1).seal("a", b"", b"secret", [7; 24]);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(key(1).open("a", b"", &changed), Err(VaultError::NotAuthentic), "byte {at}");
    }
    for len in 0..sealed.len() {
        let found = key(1).open("a", b"", &sealed[..len]);
        let expected =
            if len < SEALED_OVERHEAD { VaultError::Truncated } else { VaultError::NotAuthentic };
        assert_eq!(found, Err(expected), "{len} bytes");
    }
}

#[test]
fn nothing_can_be_sealed_too() {
    let sealed = key(1).seal("a", b"", b"", [0; 24]);
    assert_eq!(key(1).open("a", b"", &sealed).as_deref(), Ok(&b""[..]));
}

#[test]
fn tags_depend_on_key_purpose_and_bytes() {
    let tag = key(1).tag("person", b"alice");
    assert_eq!(tag, key(1).tag("person", b"alice"));
    assert_ne!(tag, key(2).tag("person", b"alice"));
    assert_ne!(tag, key(1).tag("peer", b"alice"));
    assert_ne!(tag, key(1).tag("person", b"bob"));
    assert_ne!(key(1).tag("ab", b"c"), key(1).tag("a", b"bc"));
}

/// Files written today must open tomorrow. The bytes were computed from the
/// RFCs by another program.
#[test]
fn the_layout_does_not_drift() {
    let sealed = key(1).seal("purpose", b"context", b"plaintext", [2; 24]);
    assert_eq!(hex(&sealed[..24]), "02".repeat(24));
    assert_eq!(hex(&sealed[24..]), "8bdef40d795d33cfcfff9761d025212f1032c2ff11162b6556");
    assert_eq!(hex(&key(1).tag("purpose", b"bytes")), "d7d244b3820a8fbac4c50c69af04357e");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
