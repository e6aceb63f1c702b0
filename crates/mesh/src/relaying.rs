//! What a node wants of relays (spec/relaying.md).
//!
//! Its own relays keep its mailboxes: they are registered there, fetched, and
//! their cards lie in drops (`own`, `fetching`, `unopened`). At the relays of
//! contacts it leaves what is for them and reads their cards (`leaving`,
//! `answers`, `reading`). `connections` says with which relays the driver is to
//! be connected, and `purging` what they may forget.
//!
//! Whatever happens only changes what is remembered in `Relays`; once before
//! each commit `serve_relays` goes through all of it and says what is to
//! be done. Envelopes to be left are found among the machine's own writes
//! (`follow_writes`), so whoever makes or drops an envelope need not know
//! of relays.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tortalk_keys::relay::RelayAddress;
use tortalk_model::limits::relay::OWN_RELAYS_MAX;
use tortalk_model::{EnvelopeId, IdentityKey, MailboxKey, MonoMillis, PurgeKey, RelayKey};

use crate::clocks::PeerClock;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::Event;
use crate::relay::{RelayDown, RelayInput};
use crate::write::{Purpose, RegisteredMailbox};

mod answers;
mod clock;
mod connections;
mod fetching;
mod leaving;
mod own;
mod proof;
mod purging;
mod reading;
mod unopened;
mod writes;

pub use clock::ClockOwner;
use fetching::Fetching;
use leaving::Leaving;
pub use proof::StorageProof;
use reading::Reading;
use unopened::Unopened;

/// Everything that is remembered about relays in this run.
pub(crate) struct Relays {
    /// The user's own, in the order of the settings, then those that are adopted.
    own: Vec<RelayKey>,
    /// Of an invite, from a time when the user had set none.
    adopted: Vec<RelayAddress>,
    /// Where our mailboxes are registered, as in the store.
    registered: BTreeSet<RegisteredMailbox>,
    /// The own ones, and those of others for as long as they are used.
    known: BTreeMap<RelayKey, Relay>,
    /// What is to be left at relays, in the order in which it was made.
    leaving: Leaving,
    /// Contacts for whom the store may hold what is not in `leaving`.
    unread: VecDeque<(IdentityKey, Option<EnvelopeId>)>,
    /// Contacts whose drops are, or were, read.
    reading: BTreeMap<IdentityKey, Reading>,
    unopened: Unopened,
    /// Something has changed since the last look.
    changed: bool,
    /// When there is something to do by time alone.
    next: MonoMillis,
}

/// One relay.
pub(crate) struct Relay {
    address: RelayAddress,
    /// Where else it is said to be: contacts may differ about that.
    elsewhere: VecDeque<RelayAddress>,
    own: bool,
    /// Since when the driver is to be connected with it.
    asked: Option<MonoMillis>,
    /// Its clock, while it is up.
    up: Option<PeerClock>,
    /// When something was last wanted there.
    needed_at: MonoMillis,
    /// When it last got one of the places for relays of others.
    had_place_at: MonoMillis,
    /// The streams of our own mailboxes.
    fetching: BTreeMap<MailboxKey, Fetching>,
    /// Envelopes that were left and not answered.
    unanswered: BTreeMap<EnvelopeId, Left>,
    unanswered_bytes: usize,
    /// How many were left in this run.
    left: u64,
    /// What it may forget.
    purges: Vec<PurgeKey>,
    /// When it may be asked to forget again.
    purge_from: MonoMillis,
}

/// An envelope on its way to a relay.
#[derive(Clone, Copy)]
struct Left {
    /// The held envelope that it is, or was made instead of.
    of: EnvelopeId,
    contact: IdentityKey,
    purpose: Purpose,
    len: usize,
    /// Its place among all that were left on this connection.
    number: u64,
    /// When it was sent, or the relay last answered one that was sent before it.
    since: MonoMillis,
    /// It was sealed for this relay alone, by its clock.
    resealed: bool,
}

impl Relay {
    const fn new(address: RelayAddress, own: bool) -> Self {
        Self {
            address,
            elsewhere: VecDeque::new(),
            own,
            asked: None,
            up: None,
            needed_at: MonoMillis(0),
            had_place_at: MonoMillis(0),
            fetching: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            unanswered_bytes: 0,
            left: 0,
            purges: Vec::new(),
            purge_from: MonoMillis(0),
        }
    }

    /// Forgets what hung on the connection.
    fn lose(&mut self) {
        self.up = None;
        self.fetching.clear();
        self.unanswered.clear();
        self.unanswered_bytes = 0;
    }
}

impl Relays {
    pub(crate) fn load(
        configured: &[RelayAddress],
        adopted: Vec<RelayAddress>,
        registered: Vec<RegisteredMailbox>,
    ) -> Self {
        let mut own = Vec::new();
        let mut known = BTreeMap::new();
        // req: RLC-01
        for address in configured.iter().chain(&adopted) {
            if own.len() < OWN_RELAYS_MAX && !own.contains(&address.key()) {
                own.push(address.key());
                known.insert(address.key(), Relay::new(address.clone(), true));
            }
        }
        Self {
            own,
            adopted,
            registered: registered.into_iter().collect(),
            known,
            leaving: Leaving::default(),
            unread: VecDeque::new(),
            reading: BTreeMap::new(),
            unopened: Unopened::default(),
            changed: true,
            next: MonoMillis(u64::MAX),
        }
    }

    /// When [`Mesh::serve_relays`] has something to do.
    pub(crate) const fn deadline(&self, now: MonoMillis) -> MonoMillis {
        if self.changed { now } else { self.next }
    }

    /// Something may be possible that was not.
    pub(crate) const fn look_again(&mut self) {
        self.changed = true;
    }

    /// Asks to be woken at `at` at the latest.
    fn wake(&mut self, at: MonoMillis) {
        self.next = self.next.min(at);
    }

    /// A relay that is up.
    fn up(&mut self, relay: &RelayKey) -> Option<&mut Relay> {
        self.known.get_mut(relay).filter(|relay| relay.up.is_some())
    }
}

impl Mesh {
    /// Begins with what lasts as long as this run.
    pub(crate) fn start_relays<R: Read>(&mut self, step: &mut Step<'_, R>) -> Result<(), R::Error> {
        let contacts = self.contacts.keys().map(|identity| (*identity, None));
        self.relays.unread = contacts.collect();
        self.relays.unopened = Unopened::load(step.store.unopened()?);
        self.open_what_was_kept(step)
    }

    /// A relay said something, or the connection with it changed.
    pub(crate) fn relay_input<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        input: RelayInput,
    ) -> Result<(), R::Error> {
        self.relays.changed = true;
        match input {
            RelayInput::Up { relay, now, epoch: _ } => {
                let Some(known) = self.relays.known.get_mut(&relay) else { return Ok(()) };
                known.lose();
                known.up = Some(PeerClock { said: now, at: step.now.mono });
                self.relays.leaving.lost(&relay);
                step.ready.events.push(Event::RelayUp { relay });
            }
            RelayInput::Down { relay, why } => self.relay_down(step, relay, why),
            RelayInput::Challenged { relay, mailbox, challenge } => {
                self.prove_to_relay(step, relay, mailbox, &challenge);
            }
            RelayInput::PullOpened { relay, mailbox, registered_until: _ } => {
                self.mailbox_registered(step, relay, mailbox);
            }
            RelayInput::Pulled { relay, mailbox, seq, envelope } => {
                self.fetched(step, relay, mailbox, seq, envelope)?;
            }
            RelayInput::PullEnded { relay, mailbox, why } => {
                self.fetching_ended(step, relay, mailbox, why);
            }
            RelayInput::Stored { relay, receipt } => {
                self.stored_at_relay(step, relay, &receipt)?;
            }
            RelayInput::Refused { relay, envelope_id, reason, retry_after_s, now } => {
                let refusal = answers::Refusal { reason, retry_after_s, now };
                self.refused_by_relay(step, relay, envelope_id, refusal)?;
            }
            RelayInput::CardPut { relay, mailbox, result } => {
                self.own_card_put(step, relay, mailbox, result);
            }
            RelayInput::CardFound { relay, mailbox, drop } => {
                self.card_found(step, relay, mailbox, drop)?;
            }
        }
        Ok(())
    }

    fn relay_down<R: Read>(&mut self, step: &mut Step<'_, R>, relay: RelayKey, why: RelayDown) {
        let Some(known) = self.relays.known.get_mut(&relay) else { return };
        known.lose();
        known.try_elsewhere(step, relay);
        self.relays.leaving.lost(&relay);
        step.ready.events.push(Event::RelayDown { relay, why });
    }

    /// Goes through everything about relays and says what is to be done. Comes
    /// last in [`Mesh::settle`], after all that may change what is wanted.
    pub(crate) fn serve_relays<R: Read>(&mut self, step: &mut Step<'_, R>) -> Result<(), R::Error> {
        let now = step.now.mono;
        if !self.relays.changed && now < self.relays.next {
            return Ok(());
        }
        self.relays.changed = false;
        self.relays.next = MonoMillis(u64::MAX);
        self.wake_for_budget(now);
        self.let_silent_relays_go(step);
        self.fetch_own_mailboxes(step);
        self.put_own_cards(step);
        let mut wanted = BTreeSet::new();
        self.find_what_to_leave(step)?;
        self.leave_what_is_due(step, &mut wanted)?;
        self.read_drops(step, &mut wanted)?;
        self.connect_relays(step, &wanted);
        self.purge_at_relays(step);
        self.acknowledge_fetched(step);
        Ok(())
    }
}
