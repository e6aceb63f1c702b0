//! A card as it lies in its mailbox's drop at a relay (spec/relay.md, section 6.3).
//!
//! ```text
//! blob  = layout u8 = 1 ‖ nonce 24 ‖ XChaCha20-Poly1305(read_key, nonce, aad, plain)
//! aad   = CARD_DROP ‖ mailbox 32 ‖ seq u64
//! plain = bytes16(card) ‖ zeros
//! ```
//!
//! Whoever has the read key can make a blob too, so a blob that opens proves
//! nothing about its maker: the mailbox's signature over it does, which
//! `tortalk-keys` checks, and the card's own.

use orion::hazardous::aead::xchacha20poly1305::{Nonce, SecretKey, XChaCha20Poly1305};
use tortalk_keys::card::{Card, CardError, CardKind};
use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::entropy::{Entropy, array};
use tortalk_model::hash::label::CARD_DROP;
use tortalk_model::limits::relay::CARD_BLOB_SIZES;
use tortalk_model::{IdentityKey, MailboxKey};
use zeroize::Zeroizing;

const LAYOUT: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// What surrounds the plaintext.
const OVERHEAD: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// Why a blob gives no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardDropError {
    /// It has none of the four lengths (RLY-54).
    #[error("a sealed card has 2, 4, 6 or 8 KiB, not {0} bytes")]
    Length(usize),
    /// A layout that this version does not know (RLY-54).
    #[error("a sealed card of the unknown layout {0}")]
    UnknownLayout(u8),
    /// It does not open under this read key for this mailbox and sequence (RLY-52).
    #[error("a sealed card does not open")]
    Sealed,
    /// The card's length is over the end of what was opened.
    #[error("a sealed card: {0}")]
    Layout(#[from] LayoutError),
    /// The padding is not all zeros (RLY-54).
    #[error("the padding of a sealed card is not zero")]
    Padding,
    /// What is inside is no card.
    #[error("a sealed card: {0}")]
    Card(#[from] CardError),
    /// The card inside is somebody else's (RLC-19).
    #[error("a sealed card is somebody else's")]
    Identity,
    /// The card inside is not of the kind of the drop's mailbox (RLC-19).
    #[error("a sealed card is not of the kind of its mailbox")]
    Kind,
    /// The card inside bears another sequence than the drop (RLC-19).
    #[error("a sealed card bears another sequence than its drop")]
    Sequence,
}

/// What a reader knows of a drop before it looks into it.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// Whose card is looked for.
    pub identity: IdentityKey,
    /// Of which kind the drop's mailbox is.
    pub kind: CardKind,
    /// The drop's mailbox.
    pub mailbox: MailboxKey,
    /// The drop's sequence.
    pub seq: u64,
    /// What the blob was sealed under.
    pub read_key: &'a [u8; 32],
}

/// Seals a card for the drop of `mailbox`; the drop's sequence is the card's.
///
/// From `entropy` come 24 bytes for the nonce.
pub fn seal(
    card: &Card,
    mailbox: &MailboxKey,
    read_key: &[u8; 32],
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let needed = OVERHEAD + 2 + card.as_bytes().len();
    // req: RLY-53
    let size = CARD_BLOB_SIZES
        .into_iter()
        .find(|&size| size >= needed + 2048 * usize::from(tortalk_model::deviate!(drop_size)));
    let size = size.expect("the largest card fits into the largest blob");
    let mut plain =
        Zeroizing::new(Writer::with_capacity(size - OVERHEAD).bytes16(card.as_bytes()).into_vec());
    plain.resize(size - OVERHEAD, 0);
    let nonce: [u8; NONCE_BYTES] = array(entropy);
    let mut blob = vec![0; size];
    let (head, sealed) = blob.split_at_mut(1 + NONCE_BYTES);
    head[0] = LAYOUT;
    head[1..].copy_from_slice(&nonce);
    XChaCha20Poly1305::seal(
        &SecretKey::from(*read_key),
        &Nonce::from(nonce),
        &plain,
        Some(&associated_data(mailbox, card.seq())),
        sealed,
    )
    .expect("8 KiB are less than what one nonce can seal");
    blob
}

/// Opens what lies in a drop. The mailbox's signature over the drop is left to the caller.
///
/// # Errors
/// In the order of [`CardDropError`]'s variants, which is the checking order.
pub fn open(blob: &[u8], expected: &Expected<'_>) -> Result<Card, CardDropError> {
    // req: RLY-54
    if !CARD_BLOB_SIZES.contains(&blob.len()) {
        return Err(CardDropError::Length(blob.len()));
    }
    let mut reader = Reader::new(blob);
    let layout = reader.u8("layout")?;
    // req: RLY-54
    if layout != LAYOUT {
        return Err(CardDropError::UnknownLayout(layout));
    }
    let nonce: [u8; NONCE_BYTES] = reader.array("nonce")?;
    let mut plain = Zeroizing::new(vec![0; blob.len() - OVERHEAD]);
    // req: RLY-52
    XChaCha20Poly1305::open(
        &SecretKey::from(*expected.read_key),
        &Nonce::from(nonce),
        reader.rest(),
        Some(&associated_data(&expected.mailbox, expected.seq)),
        &mut plain,
    )
    .map_err(|_| CardDropError::Sealed)?;
    let mut reader = Reader::new(&plain);
    let len = reader.u16("card length")?;
    let card = reader.take("card", usize::from(len))?;
    // req: RLY-54
    if reader.rest().iter().any(|&byte| byte != 0) && !tortalk_model::deviate!(drop_padding) {
        return Err(CardDropError::Padding);
    }
    let card = Card::parse(card)?;
    // req: RLC-19
    if card.identity() != expected.identity {
        return Err(CardDropError::Identity);
    }
    // req: RLC-19
    if card.kind() != expected.kind {
        return Err(CardDropError::Kind);
    }
    // req: RLC-19
    if card.seq() != expected.seq && !tortalk_model::deviate!(drop_sequence) {
        return Err(CardDropError::Sequence);
    }
    Ok(card)
}

fn associated_data(mailbox: &MailboxKey, seq: u64) -> Vec<u8> {
    Writer::with_capacity(CARD_DROP.len() + 40)
        .raw(CARD_DROP)
        .raw(mailbox.as_bytes())
        .u64(seq)
        .into_vec()
}
