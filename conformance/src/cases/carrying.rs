//! What is carried for others (`spec/carrying.md`): ada, ben and cyr are contacts of the
//! target and hand it envelopes for each other, and for mailboxes of nobody.

pub mod giving;
pub mod taking;
