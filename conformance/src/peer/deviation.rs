//! What the peer can do wrong while a link comes up, by name.

/// Most bytes of a handshake message behind its length.
const MESSAGE_MAX: usize = 512;

/// One deviation from `spec/link.md`. Those that are no fault say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deviation {
    /// Message 1 of length 0.
    LengthZero,
    /// Message 1 of length 513.
    LengthTooLong,
    /// The first bytes of an HTTP request.
    Http,
    /// A share of 31 bytes and nothing else.
    ShareShort,
    /// A share whose highest bit is set.
    ShareHighBit,
    /// A share that is 9 more than 2^255 − 19.
    ShareNotReduced,
    /// A share of low order: 0.
    ShareZero,
    /// A share of low order: 1.
    ShareOne,
    /// A share of low order: one of order 8.
    ShareOrderEight,
    /// A share of low order: the other of order 8.
    ShareOtherOrderEight,
    /// A share of low order: 2^255 − 20.
    ShareMinusOne,
    /// No version list.
    VersionsAbsent,
    /// A version list that says that it is empty.
    VersionsNone,
    /// A version list that announces more than there is.
    VersionsCutOff,
    /// A version list of 17.
    VersionsTooMany,
    /// Versions 2 and 0.
    VersionsNotCommon,
    /// No fault: versions 9, 1 and 7, and bytes after the list.
    VersionsLater,
    /// No fault: sixteen versions, 1 the last.
    VersionsSixteen,
    /// Another prologue.
    OtherPrologue,
    /// One bit of the first record.
    RecordFlipped,
    /// A first record of length 16.
    RecordEmpty,
    /// A record that would make more than 2,048 bytes.
    Budget,
    /// A `Ping` where `Auth` belongs.
    AuthMissing,
    /// An unknown frame that is not critical where `Auth` belongs.
    AuthAfterUnknown,
    /// `Auth` and a `Ping` in the first record.
    AuthAndMore,
    /// `Auth` cut over two records.
    AuthSplit,
    /// An identity of 31 bytes.
    AuthIdentityShort,
    /// A device id of 9 bytes.
    AuthDeviceLong,
    /// A signature of 63 bytes.
    AuthSignatureShort,
    /// An identity of small order.
    AuthIdentitySmallOrder,
    /// An identity that is no canonical encoding.
    AuthIdentityNotCanonical,
    /// One bit of the signature.
    AuthSignatureFlipped,
    /// A signature whose S has L added.
    AuthSignatureMalleable,
    /// Signed with the responder's role.
    AuthOtherRole,
    /// Signed over another handshake hash.
    AuthOtherHash,
    /// Signed over another list of ours.
    AuthOtherOwnList,
    /// Signed over another list of theirs.
    AuthOtherPeerList,
    /// Signed for another device.
    AuthOtherDevice,
    /// Signed for another instance.
    AuthOtherInstance,
    /// Signed by another key than the identity that is claimed.
    AuthOtherSigner,
    /// Signed under another label.
    AuthOtherLabel,
    /// Version 2, which is on one list only.
    AuthVersion,
    /// A record that follows `Auth` at once.
    Early,
    /// No fault: a handshake message of 512 bytes, the most that there may be.
    MessageLongest,
    /// No fault: an `Auth` with which the bytes are 2,048, the most that there may be.
    AuthPadded,
    /// No fault: the second half of message 1 comes late, and nothing may come before it.
    FirstLate,
    /// No fault: `Auth` comes late, and nothing may come before it.
    AuthLate,
    /// No fault: every byte in a packet of its own.
    ByteByByte,
    /// As responder: the line with which another protocol begins.
    Banner,
    /// As responder: a share that is another than the one that seals the payload.
    ShareOther,
    /// As responder: one bit of the sealed payload.
    PayloadFlipped,
    /// As responder: one bit of the payload's tag.
    TagFlipped,
    /// As responder: message 1 sent back.
    Reflected,
    /// As responder: a first record under the key of the other direction.
    RecordOtherKey,
    /// As responder: nothing instead of message 2.
    SecondMissing,
    /// As responder: nothing instead of `Auth`.
    AuthNever,
}

impl Deviation {
    /// Whether a conforming target accepts it.
    #[must_use]
    pub fn is_fine(self) -> bool {
        matches!(
            self,
            Self::VersionsLater
                | Self::VersionsSixteen
                | Self::MessageLongest
                | Self::AuthPadded
                | Self::FirstLate
                | Self::AuthLate
                | Self::ByteByByte
        )
    }

    /// The share that it sends instead of an honest one.
    #[must_use]
    pub fn share(self) -> Option<[u8; 32]> {
        const EIGHT: [u8; 32] = [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f,
            0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16,
            0x5f, 0x49, 0xb8, 0x00,
        ];
        const OTHER_EIGHT: [u8; 32] = [
            0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83,
            0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd,
            0xd0, 0x9f, 0x11, 0x57,
        ];
        let near_p = |lowest: u8| {
            let mut share = [0xff; 32];
            share[0] = lowest;
            share[31] = 0x7f;
            share
        };
        let mut one = [0; 32];
        one[0] = 1;
        match self {
            Self::ShareZero => Some([0; 32]),
            Self::ShareOne => Some(one),
            Self::ShareOrderEight => Some(EIGHT),
            Self::ShareOtherOrderEight => Some(OTHER_EIGHT),
            Self::ShareMinusOne => Some(near_p(0xec)),
            Self::ShareNotReduced => Some(near_p(0xf6)),
            _ => None,
        }
    }

    /// The handshake payload that it sends, in a message with so many bytes besides.
    #[must_use]
    pub fn payload(self, besides: usize) -> Vec<u8> {
        use crate::stack::noise::version_list;
        let sixteen: Vec<u16> = (2..=16).rev().chain([1]).collect();
        match self {
            Self::VersionsAbsent => Vec::new(),
            Self::VersionsNone => vec![0],
            Self::VersionsCutOff => vec![2, 0, 1],
            Self::VersionsTooMany => version_list(&[1; 17]),
            Self::VersionsNotCommon => version_list(&[2, 0]),
            Self::VersionsLater => [version_list(&[9, 1, 7]).as_slice(), b"later"].concat(),
            Self::VersionsSixteen => version_list(&sixteen),
            Self::MessageLongest => {
                let mut payload = version_list(&[1]);
                payload.resize(MESSAGE_MAX - besides, 0xff);
                payload
            }
            _ => version_list(&[1]),
        }
    }
}
