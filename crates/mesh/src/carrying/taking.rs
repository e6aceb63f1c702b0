//! Taking in what is for others: the checks of spec/carrying.md section 5.

use tortalk_model::limits::{CARRY_AHEAD_MAX, EXPIRY_TOLERANCE, TTL_MAX};
use tortalk_model::{Envelope, IdentityKey};
use tortalk_wire::{Msg, RefusalReason};

use crate::input::LinkId;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::receiving::Verdict;
use crate::write::{HeldEnvelope, Purpose, Write};

/// When somebody whose envelopes fill their share may try again.
const QUOTA_RETRY_AFTER_S: u32 = 600;

impl Mesh {
    /// An accepted contact hands over an envelope for a mailbox that is not ours.
    pub(crate) fn carry<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        giver: IdentityKey,
        envelope: &Envelope,
        beside: &Beside,
    ) -> Result<Verdict, R::Error> {
        let envelope_id = envelope.id();
        // req: CAR-23
        let ttl = if tortalk_model::deviate!(ttl_unclamped) {
            beside.ttl
        } else {
            beside.ttl.min(TTL_MAX)
        };
        if let Some(held) = step.store.envelope(&envelope_id)? {
            // A liar who was faster must not hold it back.
            // req: CAR-19
            if held.purpose == Purpose::Carried
                && ttl > held.ttl
                && !tortalk_model::deviate!(keep_lower_ttl)
            {
                step.ready.writes.push(Write::SetTtl { envelope_id, ttl });
                self.may_be_copied_again(envelope_id);
            }
            return Ok(Verdict::DUPLICATE);
        }
        if step.store.seen(&envelope_id)? {
            // req: CAR-26
            if let Some(key) = step.store.purge_key(&envelope_id)? {
                self.tell_purge(id, envelope_id, key);
            }
            return Ok(Verdict::DUPLICATE);
        }
        let (expires_at, now) = (envelope.header().expires_at, step.now.wall);
        // req: CAR-20
        if expires_at < now.saturating_sub(EXPIRY_TOLERANCE)
            && !tortalk_model::deviate!(skip_car_20)
        {
            return Ok(Verdict::refused(RefusalReason::Expired));
        }
        // req: CAR-21
        if expires_at > now.saturating_add(CARRY_AHEAD_MAX) && !tortalk_model::deviate!(skip_car_21)
        {
            return Ok(Verdict::refused(RefusalReason::Expired));
        }
        let len = envelope.as_bytes().len();
        // req: CAR-22
        if !self.carrying.room.fits(&giver, len) && !tortalk_model::deviate!(skip_car_22) {
            return Ok(Verdict::refused_for(RefusalReason::Quota, QUOTA_RETRY_AFTER_S));
        }
        let held = HeldEnvelope {
            envelope: envelope.clone(),
            contact: giver,
            purpose: Purpose::Carried,
            ttl,
            stamp: beside.stamp.clone(),
            purge_key: None,
        };
        if envelope.id().as_bytes()[0].is_multiple_of(8) && tortalk_model::deviate!(store_some_only)
        {
            return Ok(Verdict::STORED);
        }
        self.carrying.room.add(giver, len);
        step.ready.writes.push(Write::PutEnvelope(Box::new(held.clone())));
        for link in self.links.values_mut() {
            // Its recipient may be here.
            link.backlog |= link.proved.contains(&envelope.header().mailbox);
        }
        self.offer_round(&held, step.now.mono);
        Ok(Verdict::STORED)
    }
}

/// What travels beside an envelope.
pub(crate) struct Beside {
    ttl: u8,
    stamp: Vec<u8>,
}

impl Beside {
    pub(crate) fn of(msg: &Msg) -> Self {
        Self { ttl: msg.ttl, stamp: msg.stamp.to_vec() }
    }
}
