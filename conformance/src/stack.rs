//! A second implementation of the wire, written from `spec/` and `proto/` alone.
//!
//! It is bytes in, bytes out: no sockets and no clock. Whatever it makes can be
//! made wrong on purpose, so its makers take every value from their caller, and
//! its readers say which class of refusal the documents name.

pub mod beacon;
pub mod body;
pub mod bytes;
pub mod card;
pub mod crypto;
pub mod drop;
pub mod envelope;
pub mod frame;
pub mod invite;
pub mod link;
pub mod noise;
pub mod proofs;
pub mod relay;
pub mod seal;

/// What the build script makes of `proto/`.
pub mod v1 {
    #![allow(missing_docs, unreachable_pub, rust_2018_idioms, clippy::all)]
    #![allow(clippy::use_self, clippy::or_fun_call, clippy::let_underscore_must_use)]
    #![allow(clippy::unwrap_used, clippy::iter_over_hash_type)]
    tonic::include_proto!("tortalk.v1");
}

/// The classes of refusal of `spec/README.md`, as the vectors name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The bytes are not the layout.
    Decode,
    /// The bytes were read and break a rule.
    Rule,
    /// A signature, proof or stamp is not valid.
    Signature,
    /// The sealed part does not open.
    Seal,
    /// It opened and is for somebody else.
    Audience,
    /// Valid, and refused by choice.
    Policy,
}

impl Class {
    /// The word that `expect` has in a vector.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Rule => "rule",
            Self::Signature => "signature",
            Self::Seal => "seal",
            Self::Audience => "audience",
            Self::Policy => "policy",
        }
    }
}

/// Why bytes were refused: the class, and the requirement that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", class.word())]
pub struct Refused {
    /// The class.
    pub class: Class,
    /// What was wrong, in a few words.
    pub why: &'static str,
}

/// What a reader gives.
pub type Taken<T> = Result<T, Refused>;

/// A refusal because the bytes are not the layout.
#[must_use]
pub fn decode(why: &'static str) -> Refused {
    Refused { class: Class::Decode, why }
}

/// A refusal because a rule is broken.
#[must_use]
pub fn rule(why: &'static str) -> Refused {
    Refused { class: Class::Rule, why }
}

/// A refusal because a signature or proof does not hold.
#[must_use]
pub fn unsigned(why: &'static str) -> Refused {
    Refused { class: Class::Signature, why }
}

/// A refusal because the seal does not open.
#[must_use]
pub fn sealed(why: &'static str) -> Refused {
    Refused { class: Class::Seal, why }
}
