//! The machine itself: its state and where each input goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tortalk_keys::relay::RelayAddress;
use tortalk_model::entropy::Entropy;
use tortalk_model::limits::STRANGERS_OPENS_PER_S;
use tortalk_model::{IdentityKey, InstanceId, MessageId, MonoMillis, Now, UnixMillis};
use tortalk_wire::{ByeReason, Frame};

use crate::budget::Budget;
use crate::carrying::Carrying;
use crate::clocks::OwnClock;
use crate::contacts::Known;
use crate::discovery::{Beacons, Dials};
use crate::input::{Command, Input, LinkId, RequestId, Visibility};
use crate::keyring::Keyring;
use crate::links::Link;
use crate::own_cards::OwnCards;
use crate::read::Read;
use crate::ready::{Answer, CommandError, Outcome, Ready};
use crate::receipts::Receipts;
use crate::relaying::Relays;
use crate::requests::Requests;
use crate::write::Write;

/// The machine is woken at least this often, so that a wall clock that jumps is
/// noticed soon.
const TICK_MAX_MS: u64 = 60_000;

/// How the machine is to behave; what the user's settings say.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// The own name in cards; may be empty.
    pub name: String,
    /// Who may see this node.
    pub visibility: Visibility,
    /// Whether reading a message tells its sender.
    pub read_receipts: bool,
    /// Whether somebody who asks to be a contact gets a receipt before the user
    /// has decided.
    pub request_receipts: bool,
    /// This start of this node.
    pub instance_id: InstanceId,
    /// Where our mailboxes are kept, the best first; those beyond four are not used.
    pub relays: Vec<RelayAddress>,
    /// The user has set relays whose keys are not known yet, so that they are not
    /// among the former: none of an invite is taken instead.
    pub awaits_relays: bool,
}

/// The protocol machine of one node.
pub struct Mesh {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) config: MeshConfig,
    pub(crate) entropy: Box<dyn Entropy + Send>,
    pub(crate) contacts: BTreeMap<IdentityKey, Known>,
    pub(crate) requests: Requests,
    pub(crate) own_cards: OwnCards,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) dials: Dials,
    pub(crate) beacons: Beacons,
    pub(crate) receipts: Receipts,
    pub(crate) carrying: Carrying,
    /// When messages were last sealed again for a carrier's clock.
    pub(crate) sealed_for_clock: BTreeMap<MessageId, MonoMillis>,
    pub(crate) strangers_opens: Budget,
    pub(crate) clock: OwnClock,
    pub(crate) next_due: Option<UnixMillis>,
    pub(crate) next_tick: MonoMillis,
    pub(crate) next_expiry: MonoMillis,
    pub(crate) relays: Relays,
}

/// One input being dealt with: the moment, the store, and what it leads to.
pub(crate) struct Step<'a, R: Read> {
    pub(crate) now: Now,
    pub(crate) store: &'a R,
    pub(crate) ready: Ready,
}

impl Mesh {
    /// Builds the machine from what the store holds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new<R: Read>(
        keyring: Arc<Keyring>,
        config: MeshConfig,
        entropy: Box<dyn Entropy + Send>,
        store: &R,
    ) -> Result<Self, R::Error> {
        let contacts = store.contacts()?.into_iter().map(Known::load).collect();
        let own_cards = OwnCards::load(store.own_cards()?);
        let adopted = store.adopted_relays()?;
        let relays = Relays::load(&config.relays, adopted, store.own_relays()?);
        let requests = Requests::load(store.requests()?);
        Ok(Self {
            keyring,
            config,
            entropy,
            contacts,
            requests,
            own_cards,
            links: BTreeMap::new(),
            dials: Dials::default(),
            beacons: Beacons::default(),
            receipts: Receipts::default(),
            carrying: Carrying::load(store)?,
            sealed_for_clock: BTreeMap::new(),
            strangers_opens: Budget::per_second(STRANGERS_OPENS_PER_S),
            clock: OwnClock::default(),
            next_due: store.next_due()?,
            next_tick: MonoMillis(0),
            next_expiry: MonoMillis(0),
            relays,
        })
    }

    /// Deals with one thing that happened.
    ///
    /// # Errors
    /// When the store cannot be read; the machine is to be built anew then, and
    /// everything of the open transaction thrown away.
    pub fn handle<R: Read>(
        &mut self,
        input: Input,
        now: Now,
        store: &R,
    ) -> Result<Ready, R::Error> {
        let mut step = Step { now, store, ready: Ready::default() };
        self.notice_clock(&mut step)?;
        match input {
            Input::Started => self.started(&mut step)?,
            Input::Tick => self.tick(&mut step)?,
            Input::LinkUp { link, role, peer, handshake_hash, address } => {
                self.link_up(&mut step, Link::new(link, role, peer, handshake_hash, address, now));
            }
            Input::Frame { link, frame } => self.frame(&mut step, link, frame)?,
            Input::LinkDown { link } => self.link_down(&mut step, link),
            Input::PeerFault { link } => self.note_fault(link, now.mono),
            Input::Heard { address, instance_id } => {
                self.heard(&mut step, address, instance_id);
            }
            Input::Neighbour { address } => self.neighbour(&mut step, address),
            Input::Dialled { address, reached } => self.dialled(&step, address, reached),
            Input::AddressUp => self.address_up(&step),
            Input::Relay(input) => self.relay_input(&mut step, input)?,
            Input::KeyringChanged(keyring) => {
                self.keyring_changed(&mut step, keyring);
                self.open_what_was_kept(&mut step)?;
            }
            Input::Command(request, command) => self.command(&mut step, request, command)?,
        }
        self.follow_writes(&mut step)?;
        Ok(step.ready)
    }

    /// Does what is done once for many inputs: receipts, handing over, beacons.
    ///
    /// The driver calls it before each commit, after applying the writes of
    /// every [`Mesh::handle`] in it.
    ///
    /// # Errors
    /// As [`Mesh::handle`].
    pub fn settle<R: Read>(&mut self, now: Now, store: &R) -> Result<Ready, R::Error> {
        let mut step = Step { now, store, ready: Ready::default() };
        // Receipts come after every look for a backlog: their envelopes are not in
        // the store yet.
        self.look_for_offers(&mut step)?;
        self.hand_over_backlogs(&mut step)?;
        self.make_receipts(&mut step);
        self.spread(&mut step)?;
        self.follow_writes(&mut step)?;
        self.serve_relays(&mut step)?;
        self.close_retired_links(&mut step);
        step.ready.beacon = self.config.visibility != Visibility::Nobody
            && self.beacons.due(now.mono, &mut *self.entropy);
        Ok(step.ready)
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn next_deadline(&self, now: Now) -> MonoMillis {
        let until_due = self.next_due.map_or(u64::MAX, |due| due.0.saturating_sub(now.wall.0));
        let due = MonoMillis(now.mono.0.saturating_add(until_due));
        let beacon = match self.config.visibility {
            Visibility::Nobody => MonoMillis(u64::MAX),
            Visibility::Everyone | Visibility::Contacts => self.beacons.deadline(),
        };
        let links = self.links.values().filter_map(Link::deadline).min();
        let links = links.unwrap_or(MonoMillis(u64::MAX));
        let others = self.carrying_deadline().min(self.relays.deadline(now.mono));
        due.min(beacon).min(self.next_tick).min(links).min(others)
    }

    fn frame<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        frame: Frame,
    ) -> Result<(), R::Error> {
        let Some(open) = self.links.get(&link) else {
            return Ok(()); // It ended while this frame was on its way here.
        };
        // req: GSP-43
        if open.is_closing() && !tortalk_model::deviate!(skip_gsp_43) {
            return Ok(());
        }
        let identity = open.peer.identity;
        self.note_peer_clock(&identity, step.now);
        match frame {
            Frame::Mailboxes(proofs) => self.mailboxes(step, link, &proofs),
            Frame::Hello(hello) => self.hello(step, link, &hello)?,
            Frame::Card(card) => self.peer_card(step, link, &card)?,
            Frame::Pull => self.pull(link, step.now.mono),
            Frame::Push(push) => self.push(step, link, push.count),
            Frame::Msg(msg) => self.receive(step, link, msg)?,
            Frame::End => self.end(step, link),
            Frame::Ack(ack) => self.acked(step, link, &ack)?,
            Frame::Have(ids) => self.offered_by_peer(step, link, &ids)?,
            Frame::Want(ids) => self.wanted_by_peer(step, link, &ids),
            Frame::Purge(keys) => self.purged_by_peer(step, link, &keys)?,
            // The link ends by itself; LinkDown follows.
            Frame::Bye(bye) if bye.reason == ByeReason::Protocol => {
                self.note_fault(link, step.now.mono);
            }
            Frame::Bye(_) => {}
            Frame::Auth(_) | Frame::Ping(_) | Frame::Pong(_) => {} // The link's own.
        }
        Ok(())
    }

    fn started<R: Read>(&mut self, step: &mut Step<'_, R>) -> Result<(), R::Error> {
        self.refresh_own_cards(step);
        self.start_relays(step)?;
        self.ask_who_waits(step);
        self.check_tries(step)
    }

    fn tick<R: Read>(&mut self, step: &mut Step<'_, R>) -> Result<(), R::Error> {
        self.next_tick = MonoMillis(step.now.mono.0.saturating_add(TICK_MAX_MS));
        self.wake_links(step.now.mono);
        self.wake_carrying(step);
        self.refresh_old_cards(step);
        self.open_within_budget(step)?;
        if step.now.mono >= self.next_expiry {
            self.next_expiry = MonoMillis(step.now.mono.0.saturating_add(3_600_000));
            let before = step.now.wall.saturating_sub(tortalk_model::limits::EXPIRY_TOLERANCE);
            step.ready.writes.push(Write::Expire { before });
            self.note_expiry();
            self.drop_old_requests(step);
        }
        self.look_at_chains(step)?;
        self.try_again(step)
    }

    fn command<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        request: RequestId,
        command: Command,
    ) -> Result<(), R::Error> {
        let outcome = match command {
            Command::SendText { to, text } => self.send_text(step, to, text),
            Command::AddContact { identity, name, invite, text } => {
                self.add_or_accept(step, identity, name, invite, text)?
            }
            Command::AcceptRequest { identity, name } => {
                self.accept_request(step, identity, name)?
            }
            Command::DeclineRequest { identity } => self.decline_request(step, identity),
            Command::ImportCard { card, name } => self.import_card(step, &card, name)?,
            Command::Rename { identity, name } => self.rename(step, identity, name),
            Command::SetBlocked { identity, blocked } => self.set_blocked(step, identity, blocked),
            Command::RemoveContact { identity } => self.remove_contact(step, identity)?,
            Command::SetVerified { identity, verified } => {
                self.set_verified(step, identity, verified)
            }
            Command::SetOwnName { name } => self.set_own_name(step, name),
            Command::SetVisibility(visibility) => {
                self.set_visibility(step, visibility);
                Ok(Outcome::Done)
            }
            Command::MarkRead { message_id } => self.mark_read(step, message_id)?,
            Command::Cancel { message_id } => self.cancel(step, message_id)?,
        };
        step.ready.answers.push(Answer { request, outcome });
        Ok(())
    }

    /// The own identity.
    pub fn me(&self) -> IdentityKey {
        self.keyring.identity.public()
    }
}

/// What a command came to.
pub(crate) type CommandResult = Result<Outcome, CommandError>;
