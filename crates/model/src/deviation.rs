//! Mutants for the conformance suite: checks that can be left out, by name.
//!
//! A suite is only as good as the faults that it finds. Each [`deviate!`](crate::deviate)
//! names one fault; `conformance/mutants.toml` says which requirement it breaks and
//! which cases have to notice. Without the feature `deviations` none of it is in a
//! program: every question is answered `false` when it is compiled.
//!
//! The feature `sabotage` of the programs is another thing: faults of a whole node,
//! for the demo and the simulator, chosen by an option.

/// Whether the named fault was asked for: constant `false` without the feature
/// `deviations`. One line at most for each name; all names stand in `names.txt`.
#[macro_export]
macro_rules! deviate {
    ($name:ident) => {
        $crate::deviation::is_active(stringify!($name))
    };
}

/// Nothing deviates in a program for people.
#[cfg(not(feature = "deviations"))]
#[doc(hidden)]
#[must_use]
#[inline(always)]
pub const fn is_active(_name: &str) -> bool {
    false
}

#[cfg(feature = "deviations")]
pub use chosen::{UnknownDeviation, VARIABLE, choose, is_active};

#[cfg(feature = "deviations")]
mod chosen {
    use std::sync::OnceLock;

    /// The variable by which a program is told what to do wrong. Programs read it; this
    /// crate reads no environment.
    pub const VARIABLE: &str = "TORTALK_DEVIATION";

    /// All names, as `cargo xtask mutants --write` finds them in the code.
    const NAMES: &str = include_str!("deviation/names.txt");

    static CHOSEN: OnceLock<&'static str> = OnceLock::new();

    /// There is no such fault.
    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    #[error("{VARIABLE}: there is no deviation {0}: see crates/model/src/deviation/names.txt")]
    pub struct UnknownDeviation(String);

    /// Does one thing wrong from now on, until the process ends.
    ///
    /// # Errors
    /// [`UnknownDeviation`]
    pub fn choose(name: &str) -> Result<(), UnknownDeviation> {
        let known = NAMES.lines().find(|known| *known == name);
        let known = known.ok_or_else(|| UnknownDeviation(name.to_owned()))?;
        // The first choice stays; programs choose once.
        let _chosen = CHOSEN.set(known);
        Ok(())
    }

    /// Whether this was chosen.
    #[doc(hidden)]
    #[must_use]
    pub fn is_active(name: &str) -> bool {
        CHOSEN.get().is_some_and(|chosen| *chosen == name)
    }
}
