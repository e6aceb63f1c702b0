//! The one hash function, and the labels that keep its uses apart.
//!
//! BLAKE2b (RFC 7693) with a digest length of 32 bytes in its parameter block.
//! A label is `"tortalk/v1/<use>\0"`; the closing zero byte makes the table
//! prefix-free, so no two uses can ever hash the same input (CNV-07).

use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{Digest, FixedOutput, KeyInit, Update};

type Blake2b256 = blake2::Blake2b<U32>;

/// Domain separation labels. Each is used for one purpose only.
pub mod label {
    /// `envelope_id` over an envelope's bytes.
    pub const ENVELOPE_ID: &[u8] = b"tortalk/v1/envelope-id\0";
    /// `purge_hash` over a purge key.
    pub const PURGE_HASH: &[u8] = b"tortalk/v1/purge-hash\0";
    /// `key_id` over a sealing key.
    pub const SEALING_KEY_ID: &[u8] = b"tortalk/v1/sealing-key-id\0";
    /// The hash of a message's signed bytes.
    pub const SIGNED_HASH: &[u8] = b"tortalk/v1/signed-hash\0";
    /// The checksum of an invite.
    pub const INVITE_SUM: &[u8] = b"tortalk/v1/invite-sum\0";
    /// The safety number of two identities.
    pub const SAFETY_NUMBER: &[u8] = b"tortalk/v1/safety-number\0";
    /// The stamp of a contact on an envelope (keyed).
    pub const STAMP: &[u8] = b"tortalk/v1/stamp\0";
    /// The `info` of HPKE.
    pub const SEAL: &[u8] = b"tortalk/v1/seal\0";
    /// The prologue of the link handshake.
    pub const LINK: &[u8] = b"tortalk/v1/link\0";
    /// An identity's signature over a message.
    pub const SIGN_MESSAGE: &[u8] = b"tortalk/v1/sign/message\0";
    /// An identity's signature over its card.
    pub const SIGN_CARD: &[u8] = b"tortalk/v1/sign/card\0";
    /// A mailbox key's signature over its owner's identity.
    pub const SIGN_MAILBOX_OWNER: &[u8] = b"tortalk/v1/sign/mailbox-owner\0";
    /// An identity's signature over a link's handshake.
    pub const SIGN_LINK_AUTH: &[u8] = b"tortalk/v1/sign/link-auth\0";
    /// A mailbox key's signature over a link's handshake.
    pub const SIGN_MAILBOX_PROOF: &[u8] = b"tortalk/v1/sign/mailbox-proof\0";
    /// The associated data of the sealed card in a drop.
    pub const CARD_DROP: &[u8] = b"tortalk/v1/card-drop\0";
    /// A relay's signature over who it is and what its clock says.
    pub const SIGN_RELAY_INFO: &[u8] = b"tortalk/v1/sign/relay-info\0";
    /// A relay's signature over the ids of what it stored.
    pub const SIGN_RELAY_RECEIPT: &[u8] = b"tortalk/v1/sign/relay-receipt\0";
    /// A mailbox key's signature over a relay's challenge.
    pub const SIGN_RELAY_PULL: &[u8] = b"tortalk/v1/sign/relay-pull\0";
    /// A mailbox key's signature over what lies in its card drop.
    pub const SIGN_CARD_DROP: &[u8] = b"tortalk/v1/sign/card-drop\0";

    /// Every label, for the check that the table is prefix-free.
    pub const ALL: &[&[u8]] = &[
        ENVELOPE_ID,
        PURGE_HASH,
        SEALING_KEY_ID,
        SIGNED_HASH,
        INVITE_SUM,
        SAFETY_NUMBER,
        STAMP,
        SEAL,
        LINK,
        SIGN_MESSAGE,
        SIGN_CARD,
        SIGN_MAILBOX_OWNER,
        SIGN_LINK_AUTH,
        SIGN_MAILBOX_PROOF,
        CARD_DROP,
        SIGN_RELAY_INFO,
        SIGN_RELAY_RECEIPT,
        SIGN_RELAY_PULL,
        SIGN_CARD_DROP,
    ];
}

/// BLAKE2b-256 over the concatenation of `parts`, without a label.
///
/// Only `message_id` is made this way, because its formula is older than the
/// labels (SEA-11). Everything else uses [`labelled`].
pub fn unlabelled(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2b256::new();
    for part in parts {
        Update::update(&mut hash, part);
    }
    hash.finalize_fixed().into()
}

/// BLAKE2b-256 over `label` and then the concatenation of `parts`.
pub fn labelled(label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2b256::new();
    Update::update(&mut hash, label);
    for part in parts {
        Update::update(&mut hash, part);
    }
    hash.finalize_fixed().into()
}

/// Keyed BLAKE2b-256 (RFC 7693 section 2.5) over `label` and then `parts`.
pub fn keyed(key: &[u8; 32], label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac =
        Blake2bMac::<U32>::new_from_slice(key).expect("BLAKE2b takes keys of up to 64 bytes");
    Update::update(&mut mac, label);
    for part in parts {
        Update::update(&mut mac, part);
    }
    mac.finalize_fixed().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: CNV-07
    #[test]
    fn no_label_is_the_start_of_another() {
        for (i, a) in label::ALL.iter().enumerate() {
            assert!(a.starts_with(b"tortalk/v1/") && a.ends_with(b"\0"));
            for (j, b) in label::ALL.iter().enumerate() {
                assert!(i == j || !b.starts_with(a));
            }
        }
    }

    #[test]
    fn parts_are_concatenated_and_labels_and_keys_matter() {
        assert_eq!(labelled(b"l\0", &[b"ab", b"c"]), labelled(b"l\0", &[b"abc"]));
        assert_eq!(labelled(b"l\0", &[b"abc"]), unlabelled(&[b"l\0abc"]));
        assert_ne!(labelled(b"l\0", &[b"abc"]), labelled(b"m\0", &[b"abc"]));
        assert_ne!(keyed(&[1; 32], b"l\0", &[b"abc"]), keyed(&[2; 32], b"l\0", &[b"abc"]));
    }
}
