//! What was noticed of the network, for `diagnose`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tortalk_keys::link_auth::Role;
use tortalk_mesh::ClockOwner;
use tortalk_model::InstanceId;
use tortalk_store::StoreError;

use super::{Engine, Machine};
use crate::control::protocol::{
    BeaconLine, ClockLine, Diagnosis, DialLine, LinkLine, NeighbourLine, Response,
};

impl Engine {
    pub(super) fn diagnosis(&mut self) -> Result<Response, StoreError> {
        let now = Instant::now();
        let ms_ago = |at: Instant| millis(now.saturating_duration_since(at));
        let linked: BTreeSet<InstanceId> =
            self.table.linked_to().map(|to| to.instance_id).collect();
        let links = self.table.linked_to().map(|to| LinkLine {
            address: to.address.to_string(),
            instance: to.instance_id.to_string(),
            dialled: to.role == Role::Initiator,
            up_ms: ms_ago(to.since),
        });
        let mut diagnosis = Diagnosis { links: links.collect(), ..Diagnosis::default() };
        diagnosis.clocks = self.clock_lines()?;
        // Without a network there is nothing to notice.
        let Some(links) = &self.around.links else {
            return Ok(Response::Diagnosis(Box::new(diagnosis)));
        };
        let seen = links.observed().seen();
        diagnosis.crowded = seen.crowded;
        diagnosis.accepted = seen.accepted;
        let beacons = seen.beacons.into_iter().map(|count| BeaconLine {
            interface: count.interface,
            ip_version: if count.over_ipv6 { 6 } else { 4 },
            sent: count.sent,
            failed: count.failed,
            heard: count.heard,
            heard_ms_ago: count.heard_ago.map(millis),
        });
        diagnosis.beacons = beacons.collect();
        let neighbours = seen.neighbours.into_iter().map(|neighbour| NeighbourLine {
            instance: neighbour.instance_id.to_string(),
            addresses: neighbour.addresses.iter().map(ToString::to_string).collect(),
            heard_ms_ago: ms_ago(neighbour.heard),
            linked: linked.contains(&neighbour.instance_id),
        });
        diagnosis.neighbours = neighbours.collect();
        let dials = seen.dials.into_iter().map(|(address, dialled)| DialLine {
            address: address.to_string(),
            outcome: dialled.outcome,
            ms_ago: ms_ago(dialled.at),
            failed: dialled.failed,
        });
        diagnosis.dials = dials.collect();
        Ok(Response::Diagnosis(Box::new(diagnosis)))
    }

    fn clock_lines(&mut self) -> Result<Vec<ClockLine>, StoreError> {
        if self.machine == Machine::Stale {
            return Ok(Vec::new()); // It knows of nobody.
        }
        let mut lines = Vec::new();
        for (owner, offset_ms) in self.mesh.clocks(self.around.clock.now()) {
            let (whose, relay) = match owner {
                ClockOwner::Contact(identity) => (self.name_of(&identity)?, false),
                // Those of other people are named nowhere.
                ClockOwner::Relay(key) => (self.own_relay_url(&key).unwrap_or_default(), true),
            };
            lines.push(ClockLine { whose, relay, offset_ms });
        }
        Ok(lines)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
