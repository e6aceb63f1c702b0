//! Which links are kept: policy, duplicates, and how a link ends.

use core::time::Duration;

use tortalk_keys::link_auth::Role;
use tortalk_model::MonoMillis;
use tortalk_model::limits::{LINK_YOUNG, LINKS_PER_PERSON_MAX, STRANGER_LINKS_MAX};
use tortalk_wire::ByeReason;

use crate::input::{LinkId, Visibility};
use crate::links::{Duty, Link};
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::LinkAction;

/// A duplicate finishes what is unacknowledged within this time.
pub(crate) const RETIRE_MAX: Duration = Duration::from_secs(5);

impl Mesh {
    /// Why a link is not wanted, as the action that ends it.
    pub(crate) fn refuses(&self, link: &Link) -> Option<LinkAction> {
        let identity = link.peer.identity;
        let contact = self.is_accepted(&identity);
        let by_policy = match link.role {
            // Whoever is turned away here learns nothing, not even who we are.
            Role::Responder => LinkAction::Drop(link.id),
            Role::Initiator => LinkAction::Close(link.id, ByeReason::Policy),
        };
        // req: GSP-03
        if identity == self.me() && !tortalk_model::deviate!(skip_gsp_03) {
            return Some(by_policy);
        }
        // req: GSP-04
        if self.is_blocked(&identity) && !tortalk_model::deviate!(skip_gsp_04) {
            return Some(by_policy);
        }
        let answers = match self.config.visibility {
            Visibility::Everyone => true,
            Visibility::Contacts => contact || link.role == Role::Initiator,
            Visibility::Nobody => link.role == Role::Initiator,
        };
        // req: DSC-23
        if !answers {
            return Some(by_policy);
        }
        let strangers =
            self.links.values().filter(|link| !self.is_accepted(&link.peer.identity)).count();
        // req: LIM-05
        if !contact && strangers >= STRANGER_LINKS_MAX {
            return Some(by_policy);
        }
        // A link of the same device is no further one: it takes the other's place.
        let others = self.links.values().filter(|other| {
            !other.is_retired()
                && other.peer.identity == identity
                && other.peer.device_id != link.peer.device_id
        });
        // req: LIM-10
        if others.count() >= LINKS_PER_PERSON_MAX {
            return Some(by_policy);
        }
        None
    }

    /// Keeps one of two links with the same device of the same person.
    pub(crate) fn retire_duplicate(&mut self, now: MonoMillis, new: LinkId) {
        let Some(newest) = self.links.get(&new) else { return };
        let other = self.links.values().find(|link| {
            link.id != new
                && !link.is_retired()
                && link.peer.identity == newest.peer.identity
                && link.peer.device_id == newest.peer.device_id
        });
        let Some(other) = other else { return };
        // Only two links of the same two processes can have been dialled at once;
        // whoever started anew has no other link than the newer.
        let at_once = other.peer.instance_id == newest.peer.instance_id
            && now.since(other.up_at) < LINK_YOUNG;
        let own = self.config.instance_id;
        // Both ends see the same initiators and hashes, in whatever order.
        let rank = |link: &Link| (link.initiator(own), link.handshake_hash);
        // req: GSP-05, GSP-42
        let keep_other = at_once
            && (rank(other) < rank(newest)) != tortalk_model::deviate!(keep_higher_instance);
        // req: GSP-34
        let loser =
            if keep_other || tortalk_model::deviate!(keep_older_link) { new } else { other.id };
        if let Some(link) = self.links.get_mut(&loser) {
            link.duty = Duty::Retiring { since: now };
        }
    }

    pub(crate) fn close_retired_links<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let now = step.now.mono;
        for link in self.links.values_mut() {
            let Duty::Retiring { since } = link.duty else { continue };
            if link.unacked.is_empty() || now >= since + RETIRE_MAX {
                link.close(step, ByeReason::Duplicate);
            }
        }
    }

    /// Ends a link because of what its peer did.
    pub(crate) fn protocol_fault<R: Read>(&mut self, step: &mut Step<'_, R>, id: LinkId) {
        self.note_fault(id, step.now.mono);
        self.close(step, id, ByeReason::Protocol);
    }

    /// A link ends for a fault of the protocol, whichever side found it: dialling
    /// again would most likely end so, too.
    pub(crate) fn note_fault(&mut self, id: LinkId, now: MonoMillis) {
        if let Some(link) = self.links.get(&id)
            && link.role == Role::Initiator
            && !link.is_closing()
        {
            self.dials.fault(link.address, link.up_at, now);
        }
    }

    /// Says `Bye`. Nothing that the peer sends on this link counts any more.
    pub(crate) fn close<R: Read>(&mut self, step: &mut Step<'_, R>, id: LinkId, reason: ByeReason) {
        if let Some(link) = self.links.get_mut(&id) {
            link.close(step, reason);
        }
    }

    pub(crate) fn set_visibility<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        visibility: Visibility,
    ) {
        self.config.visibility = visibility;
        if visibility != Visibility::Everyone {
            let links = self.links.values();
            let strangers = links.filter(|link| !self.is_accepted(&link.peer.identity));
            for id in strangers.map(|link| link.id).collect::<Vec<_>>() {
                self.close(step, id, ByeReason::Policy);
            }
        }
        if visibility != Visibility::Nobody {
            self.beacons.address_up(step.now.mono);
        }
    }
}

impl Link {
    fn close<R: Read>(&mut self, step: &mut Step<'_, R>, reason: ByeReason) {
        if !self.is_closing() {
            self.duty = Duty::Closing;
            step.ready.links.push(LinkAction::Close(self.id, reason));
        }
    }
}
