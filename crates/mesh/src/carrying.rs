//! Carrying: what is held for others, and giving copies to others who may carry
//! (spec/carrying.md).
//!
//! Handing an envelope to somebody who is not its recipient is *spreading* it. It
//! goes in three steps: the giver offers ids, the taker wants some of them, the
//! giver hands one copy at a time over and lowers its `ttl` when it is stored.
//!
//! - `offering`: `Have` and the answer to `Want`: the giver's side
//! - `wanting`: the answer to `Have`: the taker's side
//! - `taking`: what is stored for others, and what is refused
//! - `direct_first`: when an envelope may go round at all
//! - `purging`: forgetting what has arrived

mod direct_first;
mod offering;
mod purging;
mod taking;
mod wanting;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use tortalk_model::limits::{
    CARRY_BYTES_MAX, CARRY_ENVELOPES_MAX, CARRY_GIVERS, OFFERS_MAX, SPREAD_FRAMES_PER_S,
};
use tortalk_model::{EnvelopeId, IdentityKey, MonoMillis, PurgeKey};

use crate::budget::Budget;
use crate::input::LinkId;
use crate::mesh::{Mesh, Step};
use crate::read::{Carried, Read};
use crate::write::Write;

use direct_first::DirectFirst;
pub(crate) use taking::Beside;
use wanting::Wants;

/// `Have` and `Purge` are sent in bundles, on one link no closer than this, so
/// that a burst of messages does not use up what the peer reads.
const BUNDLE_INTERVAL: Duration = Duration::from_millis(100);

/// What the machine remembers of carrying, all links together.
#[derive(Default)]
pub(crate) struct Carrying {
    room: Room,
    /// Spreads without an answer, and on which link they are.
    spreading: BTreeMap<EnvelopeId, LinkId>,
    /// Envelopes for which somebody may be waiting, to be looked at when the batch
    /// is settled.
    to_serve: BTreeSet<EnvelopeId>,
    /// Held since the last batch: not in the store before this one is applied.
    fresh: BTreeSet<EnvelopeId>,
    wants: Wants,
    direct_first: DirectFirst,
}

/// What one link has to do with carrying.
pub(crate) struct Spread {
    /// `Have`, `Want` and `Purge` frames that are read.
    budget: Budget,
    /// The store may hold what was not offered here yet.
    pub(crate) backlog: bool,
    /// The store may hold purge keys that the peer is to be told.
    pub(crate) owes: bool,
    /// To be offered.
    queue: BTreeSet<EnvelopeId>,
    /// What was offered here, and how far that is.
    offered: BTreeMap<EnvelopeId, Offer>,
    /// Wanted, and there was no room.
    stalled: BTreeSet<EnvelopeId>,
    /// The peer asked not to be given more to carry until then.
    retry_at: Option<MonoMillis>,
    /// What the peer offered and was not asked for yet.
    offers: BTreeSet<EnvelopeId>,
    /// To be told to the peer.
    purges: BTreeMap<EnvelopeId, PurgeKey>,
    /// The next bundle goes no sooner.
    bundle_at: MonoMillis,
}

/// How far an offer of ours on a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    Offered,
    Wanted,
    /// The envelope was handed over, or is not to be on this link.
    Done,
}

impl Spread {
    pub(crate) fn new() -> Self {
        Self {
            budget: Budget::per_second(SPREAD_FRAMES_PER_S),
            backlog: false,
            owes: false,
            queue: BTreeSet::new(),
            offered: BTreeMap::new(),
            stalled: BTreeSet::new(),
            retry_at: None,
            offers: BTreeSet::new(),
            purges: BTreeMap::new(),
            bundle_at: MonoMillis(0),
        }
    }

    fn is_known(&self, id: &EnvelopeId) -> bool {
        self.queue.contains(id) || self.offered.contains_key(id)
    }

    // req: CAR-34
    fn has_place(&self) -> bool {
        self.queue.len() + self.offered.len() < OFFERS_MAX
    }

    fn wants(&self, id: &EnvelopeId) -> bool {
        self.offered.get(id) == Some(&Offer::Wanted)
    }

    /// An envelope is not held any more.
    fn forget(&mut self, id: &EnvelopeId) {
        self.queue.remove(id);
        self.offered.remove(id);
        self.stalled.remove(id);
    }

    fn has_bundle(&self) -> bool {
        self.backlog || self.owes || !self.queue.is_empty() || !self.purges.is_empty()
    }
}

/// What is carried, by giver: quotas are judged without asking the store.
#[derive(Default)]
struct Room {
    by_giver: BTreeMap<IdentityKey, Amount>,
    /// The store has forgotten what expired; what it holds is read when that is
    /// applied. Until then this is too much, never too little.
    stale: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Amount {
    envelopes: u64,
    bytes: u64,
}

impl Amount {
    const fn plus(self, envelopes: u64, bytes: u64) -> Self {
        Self { envelopes: self.envelopes + envelopes, bytes: self.bytes + bytes }
    }

    const fn fits(self, envelopes_max: u64, bytes_max: u64) -> bool {
        self.envelopes <= envelopes_max && self.bytes <= bytes_max
    }
}

impl Room {
    fn of(carried: Vec<Carried>) -> Self {
        let amount = |c: Carried| (c.giver, Amount { envelopes: c.envelopes, bytes: c.bytes });
        Self { by_giver: carried.into_iter().map(amount).collect(), stale: false }
    }

    /// Whether one more envelope of this giver is within the quotas.
    fn fits(&self, giver: &IdentityKey, len: usize) -> bool {
        let bytes = len as u64;
        let amounts = self.by_giver.values();
        let all = amounts.fold(Amount::default(), |sum, of| sum.plus(of.envelopes, of.bytes));
        let one = self.by_giver.get(giver).copied().unwrap_or_default();
        all.plus(1, bytes).fits(CARRY_ENVELOPES_MAX, CARRY_BYTES_MAX)
            && one
                .plus(1, bytes)
                .fits(CARRY_ENVELOPES_MAX / CARRY_GIVERS, CARRY_BYTES_MAX / CARRY_GIVERS)
    }

    fn add(&mut self, giver: IdentityKey, len: usize) {
        let amount = self.by_giver.entry(giver).or_default();
        *amount = amount.plus(1, len as u64);
    }

    fn take(&mut self, giver: &IdentityKey, len: usize) {
        if let Some(amount) = self.by_giver.get_mut(giver) {
            amount.envelopes = amount.envelopes.saturating_sub(1);
            amount.bytes = amount.bytes.saturating_sub(len as u64);
        }
    }
}

impl Carrying {
    pub(crate) fn load<R: Read>(store: &R) -> Result<Self, R::Error> {
        Ok(Self { room: Room::of(store.carried()?), ..Self::default() })
    }
}

impl Mesh {
    /// What has expired is about to be forgotten; how much room that makes is
    /// known when it is applied.
    pub(crate) fn note_expiry(&mut self) {
        self.carrying.room.stale = true;
    }

    /// Does what is done once for many inputs. Before what is made in this very
    /// batch, because that is not in the store yet.
    pub(crate) fn look_for_offers<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        if self.carrying.room.stale {
            self.carrying.room = Room::of(step.store.carried()?);
        }
        self.queue_owed_purges(step)?;
        self.queue_backlogs(step)
    }

    /// The other half: gives what is wanted, and tells what was gathered.
    pub(crate) fn spread<R: Read>(&mut self, step: &mut Step<'_, R>) -> Result<(), R::Error> {
        self.serve_wants(step)?;
        self.send_bundles(step)?;
        self.carrying.fresh.clear();
        Ok(())
    }

    /// Forgets a held envelope.
    pub(crate) fn drop_envelope<R: Read>(&mut self, step: &mut Step<'_, R>, id: EnvelopeId) {
        step.ready.writes.push(Write::DropEnvelope(id));
        self.carrying.to_serve.remove(&id);
        self.carrying.fresh.remove(&id);
        self.carrying.direct_first.forget(&id);
        for link in self.links.values_mut() {
            link.spread.forget(&id);
        }
    }

    /// Somebody may be given envelopes from now on who was not before.
    pub(crate) fn look_for_offers_again(&mut self) {
        for link in self.links.values_mut() {
            link.spread.backlog = true;
            let wanted = link.spread.offered.iter().filter(|(_, offer)| **offer == Offer::Wanted);
            self.carrying.to_serve.extend(wanted.map(|(id, _)| *id));
        }
    }

    /// A timer of carrying has run out, perhaps.
    pub(crate) fn wake_carrying<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let now = step.now.mono;
        for link in self.links.values_mut() {
            if link.spread.retry_at.is_some_and(|at| now >= at) {
                link.spread.retry_at = None;
                self.carrying.to_serve.append(&mut link.spread.stalled);
            }
        }
        self.wake_direct_first(now);
        self.give_up_wants(step);
    }

    /// When [`Mesh::wake_carrying`] or a bundle is due.
    pub(crate) fn carrying_deadline(&self) -> MonoMillis {
        let links = self.links.values().filter_map(|link| {
            let ready = link.takes_envelopes() && self.is_accepted(&link.peer.identity);
            let bundle = (ready && link.spread.has_bundle()).then_some(link.spread.bundle_at);
            [bundle, link.spread.retry_at].into_iter().flatten().min()
        });
        let timers = [self.direct_first_deadline(), self.carrying.wants.deadline()];
        links.chain(timers.into_iter().flatten()).min().unwrap_or(MonoMillis(u64::MAX))
    }

    /// A link has ended: what was on its way on it is on its way no more.
    pub(crate) fn end_carrying_on<R: Read>(&mut self, step: &mut Step<'_, R>, gone: LinkId) {
        let Carrying { spreading, to_serve, .. } = &mut self.carrying;
        spreading.retain(|id, link| {
            let stays = *link != gone;
            if !stays {
                to_serve.insert(*id);
            }
            stays
        });
        self.want_elsewhere(step, gone);
    }
}
