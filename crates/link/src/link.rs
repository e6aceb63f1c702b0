//! The machine of one link.

use core::fmt;
use std::collections::VecDeque;

use tortalk_keys::link_auth::Role;
use tortalk_model::MonoMillis;
use tortalk_model::entropy::Entropy;
use tortalk_model::limits::{
    AUTH_TIMEOUT, HANDSHAKE_BYTES_MAX, LINK_DEAD_AFTER, LINK_LIFE_MAX, PING_AFTER,
    UNAUTHENTICATED_BYTES_MAX,
};
use tortalk_wire::{Bye, ByeReason, Frame, FrameDecoder, Ping, Pong};

use crate::auth::{self, LinkSelf, PeerAuth};
use crate::error::{LinkError, PeerFault};
use crate::handshake::Handshake;
use crate::inlet::Inlet;
use crate::session::{Session, TAG, written_len};
use crate::versions::{self, SUPPORTED_VERSIONS};

/// What a link tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The peer proved who it is. A responder now lets it in with
    /// [`Link::admit`] or closes; for an initiator the link is up.
    Authenticated(PeerAuth),
    /// A frame of an authenticated peer. `Auth`, `Ping` and `Pong` never come
    /// here; a `Bye` is the last.
    Frame(Frame),
}

/// One end of one link.
///
/// The owner writes [`Link::take_output`] to the socket, feeds
/// [`Link::receive`] with what comes and then drains [`Link::next_event`], and
/// calls [`Link::tick`] at [`Link::next_deadline`]. It keeps the queue of
/// frames short by looking at [`Link::output_len`].
pub struct Link {
    me: LinkSelf,
    role: Role,
    phase: Phase,
    inlet: Inlet,
    /// Bytes of messages that came while the peer was unauthenticated.
    unauthenticated: usize,
    /// Messages that are ready for the socket.
    out: Vec<u8>,
    /// Frames that wait for their record.
    frames: Vec<u8>,
    /// The newest ping that has no answer yet (LNK-48).
    pong_owed: Option<u64>,
    said_bye: bool,
    events: VecDeque<LinkEvent>,
    handshake_hash: Option<[u8; 64]>,
    peer: Option<PeerAuth>,
    timers: Timers,
}

enum Phase {
    /// The peer's handshake message is to come.
    Handshake { state: Box<Handshake>, our_payload: Vec<u8> },
    /// The peer's `Auth` is to come.
    Auth(Box<Session>),
    /// Responder: the peer is authenticated, the owner's policy is to decide.
    Policy(Box<Session>),
    /// Both are through.
    Up(Box<Session>),
    /// Nothing comes in any more.
    Closed,
}

struct Timers {
    started: MonoMillis,
    heard: MonoMillis,
    pinged: MonoMillis,
    pings: u64,
    age_reported: bool,
}

impl Link {
    /// The end that dialled. Its first output is ready at once.
    pub fn initiator(me: LinkSelf, now: MonoMillis, entropy: &mut dyn Entropy) -> Self {
        let mut link = Self::new(Role::Initiator, me, now, entropy);
        if let Phase::Handshake { state, our_payload } = &mut link.phase {
            link.out = state.write(our_payload).expect("no share of the peer is in it yet");
        }
        link
    }

    /// The end that was dialled. It is silent until it was spoken to.
    // req: LNK-07, LIM-03
    pub fn responder(me: LinkSelf, now: MonoMillis, entropy: &mut dyn Entropy) -> Self {
        Self::new(Role::Responder, me, now, entropy)
    }

    fn new(role: Role, me: LinkSelf, now: MonoMillis, entropy: &mut dyn Entropy) -> Self {
        let state = Box::new(Handshake::new(role, entropy));
        let our_payload = versions::payload(SUPPORTED_VERSIONS);
        Self {
            me,
            role,
            phase: Phase::Handshake { state, our_payload },
            inlet: Inlet::default(),
            unauthenticated: 0,
            out: Vec::new(),
            frames: Vec::new(),
            pong_owed: None,
            said_bye: false,
            events: VecDeque::new(),
            handshake_hash: None,
            peer: None,
            timers: Timers { started: now, heard: now, pinged: now, pings: 0, age_reported: false },
        }
    }

    /// Which end this is.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The hash of the handshake, as soon as it is through. Mailbox proofs are
    /// bound to it (LNK-03).
    pub const fn handshake_hash(&self) -> Option<&[u8; 64]> {
        self.handshake_hash.as_ref()
    }

    /// Who the peer is, as soon as it proved it.
    pub const fn peer(&self) -> Option<&PeerAuth> {
        self.peer.as_ref()
    }

    /// What happened, oldest first. Events stay when the link ends.
    pub fn next_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    /// Takes bytes of the TCP stream, cut anywhere.
    ///
    /// # Errors
    /// [`LinkError`]; the link has ended then. Frames that came before the fault
    /// are still events.
    pub fn receive(&mut self, mut bytes: &[u8], now: MonoMillis) -> Result<(), LinkError> {
        if matches!(self.phase, Phase::Closed) {
            return Err(LinkError::Closed);
        }
        self.check_auth_timeout(now)?;
        let result = self.receive_messages(&mut bytes, now);
        result.map_err(|error| self.fail(error))
    }

    /// Responder: the owner's policy lets the authenticated peer in. Queues our
    /// `Auth`; the link is up. Does nothing in any other state.
    // req: LNK-09
    pub fn admit(&mut self) {
        match core::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Policy(mut session) => {
                auth::write(&self.me, self.role, &mut session, &mut self.out);
                self.phase = Phase::Up(session);
            }
            other => self.phase = other,
        }
    }

    /// Queues a frame. It leaves when both sides are through; small frames share
    /// a record. After a `Bye`, and on a link that has ended, nothing is queued.
    ///
    /// `Auth` is the link's own and is not queued either.
    pub fn send(&mut self, frame: &Frame) {
        let own = matches!(frame, Frame::Auth(_));
        debug_assert!(!own, "Auth is the link's own frame");
        // req: LNK-14
        if self.said_bye || own || matches!(self.phase, Phase::Closed) {
            return;
        }
        frame.encode_to(&mut self.frames);
        self.said_bye = matches!(frame, Frame::Bye(_));
    }

    /// Everything that is ready for the socket.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.encrypt();
        core::mem::take(&mut self.out)
    }

    /// Whether [`Link::take_output`] would give bytes.
    pub fn has_output(&self) -> bool {
        self.output_len() > 0
    }

    /// How many bytes [`Link::take_output`] would give.
    pub fn output_len(&self) -> usize {
        // req: LNK-10
        if !matches!(self.phase, Phase::Up(_)) {
            return self.out.len();
        }
        let pong = self.pong().map_or(0, |pong| pong.encode().len());
        self.out.len() + written_len(self.frames.len() + pong)
    }

    /// Looks at the clock: ends a link that is late or silent, queues a ping.
    ///
    /// # Errors
    /// [`LinkError::Timeout`] and [`LinkError::Dead`] end the link.
    /// [`LinkError::Aged`] does not, and comes once.
    pub fn tick(&mut self, now: MonoMillis) -> Result<(), LinkError> {
        if matches!(self.phase, Phase::Closed) {
            return Ok(());
        }
        self.check_auth_timeout(now)?;
        if !matches!(self.phase, Phase::Up(_)) {
            return Ok(());
        }
        // req: LNK-49
        if now >= self.timers.heard + LINK_DEAD_AFTER {
            return Err(self.fail(LinkError::Dead));
        }
        // req: LNK-46
        if now >= self.ping_at() {
            self.timers.pings += 1;
            self.timers.pinged = now;
            self.send(&Frame::Ping(Ping { nonce: self.timers.pings }));
        }
        // req: LNK-50
        if !self.timers.age_reported
            && now >= self.timers.started + LINK_LIFE_MAX
            && !tortalk_model::deviate!(skip_lnk_50)
        {
            self.timers.age_reported = true;
            return Err(LinkError::Aged);
        }
        Ok(())
    }

    /// When [`Link::tick`] has something to do; `None` when the link has ended.
    pub fn next_deadline(&self) -> Option<MonoMillis> {
        let timers = &self.timers;
        match self.phase {
            Phase::Closed => None,
            Phase::Up(_) => {
                let life = (!timers.age_reported).then(|| timers.started + LINK_LIFE_MAX);
                let dead = timers.heard + LINK_DEAD_AFTER;
                life.into_iter().chain([dead, self.ping_at()]).min()
            }
            _ => Some(timers.started + AUTH_TIMEOUT),
        }
    }

    fn ping_at(&self) -> MonoMillis {
        self.timers.heard.max(self.timers.pinged) + PING_AFTER
    }

    fn check_auth_timeout(&mut self, now: MonoMillis) -> Result<(), LinkError> {
        let up = matches!(self.phase, Phase::Up(_) | Phase::Closed);
        // req: LNK-45, LIM-01
        if !up && now >= self.timers.started + AUTH_TIMEOUT {
            return Err(self.fail(LinkError::Timeout));
        }
        Ok(())
    }

    fn receive_messages(&mut self, input: &mut &[u8], now: MonoMillis) -> Result<(), LinkError> {
        while !input.is_empty() {
            // req: LNK-32
            if matches!(self.phase, Phase::Policy(_)) {
                return Err(PeerFault::Early.into());
            }
            let Some(length) = self.inlet.length(input) else { break };
            self.check_length(length)?;
            let Some(message) = self.inlet.message(length, input) else { break };
            self.unauthenticated = self.unauthenticated.saturating_add(2 + length);
            match core::mem::replace(&mut self.phase, Phase::Closed) {
                Phase::Handshake { state, our_payload } => {
                    self.on_handshake(*state, our_payload, &message)?;
                }
                Phase::Auth(session) => self.on_first_record(session, &message, now)?,
                Phase::Up(session) => self.on_record(session, &message, now)?,
                Phase::Policy(_) | Phase::Closed => break,
            }
            // A Bye came: what follows it is nobody's.
            if matches!(self.phase, Phase::Closed) {
                break;
            }
        }
        Ok(())
    }

    /// Judges a message by its length, before its bytes are kept.
    fn check_length(&self, length: usize) -> Result<(), LinkError> {
        let handshake = matches!(self.phase, Phase::Handshake { .. });
        // req: LNK-15
        if handshake && !(1..=HANDSHAKE_BYTES_MAX).contains(&length) {
            return Err(LinkError::Handshake);
        }
        let up = matches!(self.phase, Phase::Up(_));
        // req: LNK-16
        if !up && self.unauthenticated + 2 + length > UNAUTHENTICATED_BYTES_MAX {
            return Err(PeerFault::Budget.into());
        }
        // req: LNK-25
        if !handshake && length <= TAG && !tortalk_model::deviate!(skip_lnk_25) {
            return Err(PeerFault::RecordLength(length).into());
        }
        Ok(())
    }

    fn on_handshake(
        &mut self,
        mut state: Handshake,
        our_payload: Vec<u8>,
        message: &[u8],
    ) -> Result<(), LinkError> {
        let their_payload = state.read(message).map_err(|_| LinkError::Handshake)?;
        let theirs = versions::parse(&their_payload).map_err(|_| LinkError::Handshake)?;
        // A responder without a common version answers all the same: its list
        // tells the initiator what is wrong (LNK-24).
        if self.role == Role::Responder {
            self.out = state.write(&our_payload).map_err(|_| LinkError::Handshake)?;
        }
        let version = versions::highest_common(SUPPORTED_VERSIONS, &theirs);
        let highest = theirs.iter().copied().max().unwrap_or(0);
        // req: LNK-23
        if version.is_none() {
            return Err(LinkError::NoCommonVersion { highest });
        }
        let (cipher, handshake_hash) = state.finish();
        self.handshake_hash = Some(handshake_hash);
        let (initiator_payload, responder_payload) = match self.role {
            Role::Initiator => (our_payload, their_payload),
            Role::Responder => (their_payload, our_payload),
        };
        let mut session = Box::new(Session {
            cipher,
            version: version.unwrap_or(0),
            initiator_payload,
            responder_payload,
            handshake_hash,
            decoder: FrameDecoder::new(),
        });
        // The initiator shows itself first: whoever dials wants something.
        if self.role == Role::Initiator {
            auth::write(&self.me, self.role, &mut session, &mut self.out);
        }
        self.phase = Phase::Auth(session);
        Ok(())
    }

    fn on_first_record(
        &mut self,
        mut session: Box<Session>,
        record: &[u8],
        now: MonoMillis,
    ) -> Result<(), LinkError> {
        let plain = session.cipher.read(record).ok_or(PeerFault::Record)?;
        let peer = auth::verify(&self.me, self.role, &session, &plain)?;
        self.peer = Some(peer);
        self.events.push_back(LinkEvent::Authenticated(peer));
        self.timers.heard = now;
        self.timers.pinged = now;
        self.phase = match self.role {
            Role::Initiator => Phase::Up(session),
            Role::Responder => Phase::Policy(session),
        };
        Ok(())
    }

    fn on_record(
        &mut self,
        mut session: Box<Session>,
        record: &[u8],
        now: MonoMillis,
    ) -> Result<(), LinkError> {
        // req: LNK-26
        let plain = session.cipher.read(record).ok_or(PeerFault::Record)?;
        self.timers.heard = now;
        let mut rest = &plain[..];
        let result = loop {
            match session.decoder.next(&mut rest) {
                Ok(None) => break Ok(()),
                Ok(Some(Frame::Ping(ping))) => self.pong_owed = Some(ping.nonce),
                Ok(Some(Frame::Pong(_))) => {}
                // req: LNK-33
                Ok(Some(Frame::Auth(_))) => break Err(PeerFault::SecondAuth.into()),
                // req: LNK-44
                Ok(Some(frame @ Frame::Bye(_))) => {
                    self.events.push_back(LinkEvent::Frame(frame));
                    return Ok(()); // The phase stays closed.
                }
                Ok(Some(frame)) => self.events.push_back(LinkEvent::Frame(frame)),
                Err(error) => break Err(error.into()),
            }
        };
        self.phase = Phase::Up(session);
        result
    }

    /// Ends the link. What the peer may still learn stays in the output.
    fn fail(&mut self, error: LinkError) -> LinkError {
        let told = matches!(error, LinkError::Frame(_) | LinkError::Peer(PeerFault::SecondAuth));
        if told && matches!(self.phase, Phase::Up(_)) {
            // req: LNK-43
            self.send(&Frame::Bye(Bye { reason: ByeReason::Protocol }));
            self.encrypt();
        } else if !matches!(error, LinkError::NoCommonVersion { .. }) {
            // req: LNK-20
            self.out.clear();
        }
        self.frames.clear();
        self.phase = Phase::Closed;
        error
    }

    /// Turns the queued frames into records when both sides are through.
    fn encrypt(&mut self) {
        let pong = self.pong();
        if let Phase::Up(session) = &mut self.phase {
            if let Some(pong) = pong {
                self.pong_owed = None;
                pong.encode_to(&mut self.frames);
            }
            session.cipher.write(&self.frames, &mut self.out);
            self.frames.clear();
        }
    }

    /// The pong that is owed and may still be sent.
    // req: LNK-47
    fn pong(&self) -> Option<Frame> {
        let nonce = self.pong_owed.filter(|_| !self.said_bye)?;
        Some(Frame::Pong(Pong { nonce }))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Handshake { .. } => "handshake",
            Phase::Auth(_) => "auth",
            Phase::Policy(_) => "policy",
            Phase::Up(_) => "up",
            Phase::Closed => "closed",
        };
        f.debug_struct("Link")
            .field("role", &self.role)
            .field("phase", &phase)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
