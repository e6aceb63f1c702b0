//! A scripted peer on a link with the target, which can deviate by name.

mod answer;
mod codec;
mod deviation;
mod dial;
mod link;
pub(crate) mod odd_signatures;
mod transcript;

pub use answer::{Answered, answer};
pub use codec::{CASE_LOG, Codec};
pub use deviation::Deviation;
pub use dial::{Plan, Reached, dial, dial_over};
pub(crate) use dial::{add_order, any_signature_of_neutral as signature_of_neutral};
pub use link::{Ended, Link, Seen};
pub use transcript::{Direction, Entry, Log};
