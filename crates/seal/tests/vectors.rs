//! The vectors of seal and body (spec/vectors/sealed.json, spec/vectors/body.json)
//! and of cards in drops (spec/vectors/drop.json).

#[path = "vectors/body.rs"]
mod body;
#[path = "vectors/draft.rs"]
mod draft;
#[path = "vectors/drop.rs"]
mod drop;
#[path = "vectors/forge.rs"]
mod forge;
#[path = "vectors/sealed.rs"]
mod sealed;

use tortalk_seal::BodyError;
use tortalk_testkit::vectors::Verdict;

/// The layer that refuses a body.
pub(crate) fn body_verdict(error: BodyError) -> Verdict {
    match error {
        BodyError::Layout(_) | BodyError::NotUtf8 | BodyError::NoCard => Verdict::Decode,
        BodyError::EmptyReceipt | BodyError::ReceiptKind(_) | BodyError::Range => Verdict::Rule,
        other => panic!("no layer for {other:?}"),
    }
}
