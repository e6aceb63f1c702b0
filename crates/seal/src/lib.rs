//! Sealing and opening messages (spec/seal.md).
//!
//! A message is signed bytes, then sealed: [`SignedMessage`] puts a [`Draft`]
//! into its layout and signs it, [`seal`] makes an envelope of it for one
//! recipient, [`open`] takes the envelope apart again. [`OpenedMessage`] can be
//! made by nothing but [`open`], so whoever has one knows that every check of
//! the spec was passed.
//!
//! This crate never reads a clock, never asks the system for randomness, never
//! stores anything and never decides whether an envelope should be opened:
//! budgets, windows of validity and duplicates are its callers' work.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod body;
pub mod card_drop;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hpke;
mod key;
mod opening;
mod sealing;
mod signed;

pub use body::{Body, BodyError, BodyType, ReceiptEntry, ReceiptKind, ResendRequest};
pub use key::{SealingKeyError, SealingPublic, SealingSecret};
pub use opening::{OpenError, OpenedMessage, open};
pub use sealing::{Recipient, SealError, Sealed, seal};
pub use signed::{Draft, DraftError, MessageFields, SignedMessage, StoredError};
