//! All cases, in one list.

pub mod attacks;
pub mod carrying;
pub mod contacts;
pub mod delivery;
pub mod dialled;
pub mod discovery;
pub mod gossip;
pub mod identity;
pub mod letters;
pub mod limits;
pub mod link;
pub mod link_frames;
pub mod link_scripts;
pub mod relay;
pub mod relaying;
pub mod seal;

use crate::case::{Case, Profile, Role, Run};

/// Every case of the suite, in the order of the documents.
#[must_use]
pub fn all() -> Vec<Case> {
    let wire = |id, req, about, run| Case {
        id,
        req,
        role: Role::Node,
        profile: Profile::Wire,
        slow: false,
        version: 1,
        about,
        run,
    };
    let mut all = Vec::new();
    all.extend(link::FAULTS.iter().map(|f| wire(f.id, f.req, f.about, Run::Handshake(f))));
    all.extend(dialled::FAULTS.iter().map(|f| wire(f.id, f.req, f.about, Run::Dialled(f))));
    all.extend(link_frames::FAULTS.iter().map(|f| wire(f.id, f.req, f.about, Run::Frame(f))));
    all.extend(identity::FAULTS.iter().map(|f| wire(f.id, f.req, f.about, Run::Frame(f))));
    all.extend(letters::FAULTS.iter().map(|f| wire(f.id, f.req, f.about, Run::Letter(f))));
    for (role, scripts) in [
        (Role::Node, identity::cards::SCRIPTS),
        (Role::Node, contacts::SCRIPTS),
        (Role::Node, contacts::asking::SCRIPTS),
        (Role::Node, contacts::answering::SCRIPTS),
        (Role::Node, gossip::SCRIPTS),
        (Role::Node, gossip::kept::SCRIPTS),
        (Role::Node, gossip::origin::SCRIPTS),
        (Role::Node, gossip::clocks::SCRIPTS),
        (Role::Node, link_scripts::SCRIPTS),
        (Role::Node, discovery::SCRIPTS),
        (Role::Node, seal::SCRIPTS),
        (Role::Node, delivery::SCRIPTS),
        (Role::Node, delivery::shown::SCRIPTS),
        (Role::Node, delivery::chains::SCRIPTS),
        (Role::Node, limits::SCRIPTS),
        (Role::Node, carrying::giving::SCRIPTS),
        (Role::Node, carrying::taking::SCRIPTS),
        (Role::Node, relaying::own::SCRIPTS),
        (Role::Node, relaying::leaving::SCRIPTS),
        (Role::Node, relaying::reading::SCRIPTS),
        (Role::Node, relaying::asking::SCRIPTS),
        (Role::Node, attacks::links::SCRIPTS),
        (Role::Relay, relay::SCRIPTS),
        (Role::Relay, relay::depositing::SCRIPTS),
        (Role::Relay, relay::fetching::SCRIPTS),
        (Role::Relay, relay::proofs::SCRIPTS),
        (Role::Relay, relay::drops::SCRIPTS),
        (Role::Relay, relay::edges::SCRIPTS),
        (Role::Relay, relay::kills::SCRIPTS),
        (Role::Relay, relay::stops::SCRIPTS),
        (Role::Relay, relay::places::SCRIPTS),
        (Role::Relay, relay::times::SCRIPTS),
        (Role::Relay, attacks::calls::SCRIPTS),
    ] {
        all.extend(scripts.iter().map(|s| Case {
            role,
            profile: s.profile,
            slow: s.slow,
            ..wire(s.id, s.req, s.about, Run::Script(s.script))
        }));
    }
    all
}

/// A case that is a script.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// The case's id.
    pub id: &'static str,
    /// The requirement that it judges.
    pub req: &'static str,
    /// What it does, and what passes.
    pub about: &'static str,
    /// What it needs.
    pub profile: Profile,
    /// Whether it waits more than 5 s.
    pub slow: bool,
    /// What runs.
    pub script: for<'a> fn(&'a mut crate::case::Ctx) -> crate::case::Running<'a>,
}

impl Script {
    /// The same, for a target that the suite starts, kills and stops.
    #[must_use]
    pub const fn managed(self) -> Self {
        Self { profile: Profile::Managed, ..self }
    }

    /// The same, for a target with a control channel.
    #[must_use]
    pub const fn shim(self) -> Self {
        Self { profile: Profile::Shim, ..self }
    }

    /// The same, run only when asked for with `--slow`.
    #[must_use]
    pub const fn slow(self) -> Self {
        Self { slow: true, ..self }
    }
}

/// A [`Script`] out of an `async fn(&mut Ctx, …) -> Result<(), Verdict>`.
macro_rules! script {
    ($id:literal, $req:literal, $about:literal, $function:expr $(, $argument:expr)* $(,)?) => {
        $crate::cases::Script {
            id: $id,
            req: $req,
            about: $about,
            profile: $crate::case::Profile::Wire,
            slow: false,
            script: |ctx| {
                Box::pin(async move {
                    $crate::verdict::verdict($function(ctx $(, $argument)*).await)
                })
            },
        }
    };
}
pub(crate) use script;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_well_formed() {
        let mut ids: Vec<_> = all().iter().map(|case| case.id).collect();
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        for id in &ids {
            assert!(id.chars().all(fine) && id.matches('.').count() == 1, "{id}");
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "an id stands twice");
    }

    #[test]
    fn every_case_names_a_requirement_that_there_is() {
        for case in all() {
            let found = crate::spec::requirement(case.req);
            assert!(found.is_some(), "{} names {}", case.id, case.req);
            assert!(!case.about.is_empty(), "{}", case.id);
        }
    }
}
