//! Hints of where somebody may be: whom to dial because of them.

use core::net::SocketAddr;

use tortalk_model::InstanceId;

use crate::input::Visibility;
use crate::mesh::{Mesh, Step};
use crate::read::Read;

impl Mesh {
    pub(crate) fn heard<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        address: SocketAddr,
        instance_id: InstanceId,
    ) {
        // req: DSC-22
        if self.config.visibility == Visibility::Nobody {
            return;
        }
        let linked = self.links.values().any(|link| link.peer.instance_id == instance_id);
        if instance_id == self.config.instance_id || linked {
            return;
        }
        step.ready.dials.extend(self.dials.request(address, step.now.mono));
    }

    pub(crate) fn neighbour<R: Read>(&mut self, step: &mut Step<'_, R>, address: SocketAddr) {
        if self.config.visibility == Visibility::Nobody {
            return;
        }
        // Who answered at this address last time may be linked still, perhaps
        // over a link that they dialled.
        let linked = self
            .dials
            .who_answered(&address)
            .is_some_and(|who| self.links.values().any(|link| link.peer.instance_id == who));
        if !linked {
            step.ready.dials.extend(self.dials.request(address, step.now.mono));
        }
    }

    pub(crate) fn dialled<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        address: SocketAddr,
        reached: bool,
    ) {
        self.dials.ended(address);
        if !reached {
            // They may reach us where we cannot reach them: let them hear us.
            self.beacons.extra(step.now.mono);
        }
    }

    pub(crate) fn address_up<R: Read>(&mut self, step: &Step<'_, R>) {
        self.beacons.address_up(step.now.mono);
    }
}
