//! Deliberate faults, so that the simulator can be shown to find them.

/// What is broken on purpose, in every device of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[non_exhaustive]
pub enum Sabotage {
    /// Nothing.
    #[default]
    None,
    /// Everything is said before the disk has it.
    EarlyAck,
    /// Messages are shown twice.
    Double,
    /// Messages are never written.
    NoStore,
    /// What is carried for others is never written.
    NoCarry,
    /// A carrier keeps a larger ttl than came.
    RaisesTtl,
    /// A relay says that it stored what it forgets.
    RelayForgets,
}

impl Sabotage {
    /// Its name on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::EarlyAck => "early-ack",
            Self::Double => "double",
            Self::NoStore => "no-store",
            Self::NoCarry => "no-carry",
            Self::RaisesTtl => "raises-ttl",
            Self::RelayForgets => "relay-forgets",
        }
    }
}
