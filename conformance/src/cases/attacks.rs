//! Floods and slow senders, judged by what somebody honest gets meanwhile and by the
//! memory of the target ([`crate::attack`]). Each has a target of its own.

pub mod calls;
pub mod links;
