//! Connections: what is on its way, and what goes wrong with it.

use core::net::SocketAddr;
use std::collections::VecDeque;

use tortalk_keys::link_auth::Role;
use tortalk_link::{Link, LinkError, LinkEvent};
use tortalk_mesh::{Input, LinkAction, LinkId, PeerAuth};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::limits::{AUTH_TIMEOUT, LINK_DEAD_AFTER, LINK_LIFE_MAX};
use tortalk_model::{Envelope, InstanceId, MailboxKey};
use tortalk_wire::{Bye, ByeReason, Frame, Msg};

use super::{Happening, World};
use crate::device::{address_of, who_is_at};
use crate::ledger::Giver;
use crate::plan::WireKind;
use crate::time::{Moment, SECOND};
use crate::violation::{Holds, Violation};

/// How long a dial waits for an answer that never comes.
const DIAL_TIMEOUT_MS: u64 = 3 * SECOND;
/// Bytes that a record adds to what it carries, and how much it carries.
const RECORD_OVERHEAD: usize = 18;
const RECORD_BYTES: usize = 16 * 1024;

/// A device's end of one TCP connection; the machine's link id is its number.
pub(super) struct Cable {
    /// The one that dialled comes first.
    ends: [End; 2],
    /// From each end to the other.
    ways: [Way; 2],
    /// What mailbox proofs are bound to, where no link machine makes it.
    hash: [u8; 64],
    /// What was dialled.
    address: SocketAddr,
    made: Moment,
    /// It breaks after so many more packets.
    cut_after: Option<u32>,
}

struct End {
    device: usize,
    wire: Wire,
    /// The machine was told of it.
    up: bool,
    /// Nothing comes in any more: it was closed, has broken, or its process ended.
    gone: bool,
    /// A look at the link machine's clock is due then.
    tick: Moment,
    /// The instance at the other end, once that is known.
    peer: Option<InstanceId>,
}

enum Wire {
    Frames,
    Bytes(Box<Link>),
}

#[derive(Default)]
struct Way {
    packets: VecDeque<Packet>,
    /// When the last of them arrives.
    last: Moment,
    /// Arrivals that a wall holds back.
    held_back: usize,
    /// Nothing gets through since then.
    blocked: Option<Moment>,
}

enum Packet {
    /// Who dials: in place of a handshake.
    Hello(PeerAuth),
    /// Who was dialled, and lets the other in.
    Welcome(PeerAuth),
    Frames(Vec<Frame>),
    Bytes(Vec<u8>),
    /// The end of the stream.
    Fin,
}

impl World {
    /// A machine wants a connection.
    pub(super) fn dial(&mut self, device: usize, address: SocketAddr) {
        let wait = match self.who_answers(device, address) {
            Some(to) => {
                self.connect(device, to, address);
                return;
            }
            None => DIAL_TIMEOUT_MS,
        };
        let ended = Input::Dialled { address, reached: false };
        self.queue.add(self.now + wait, Happening::Tell(device, Box::new(ended)));
    }

    fn who_answers(&self, device: usize, address: SocketAddr) -> Option<usize> {
        let (to, place) = who_is_at(address)?;
        let other = self.devices.get(to)?;
        let there = other.place == Some(place) && other.is_on();
        let reached = there && !self.is_blocked(device, to) && !self.is_blocked(to, device);
        reached.then_some(to)
    }

    fn connect(&mut self, from: usize, to: usize, address: SocketAddr) {
        let id = self.next_cable;
        self.next_cable += 1;
        let (Some(dialler), Some(answerer)) =
            (self.devices[from].link_self(), self.devices[to].link_self())
        else {
            return;
        };
        let hello = PeerAuth {
            identity: dialler.identity.public(),
            device_id: dialler.device_id,
            instance_id: dialler.instance_id,
        };
        let mono = self.now.mono();
        let wires = match self.plan.wire {
            WireKind::Frames => [Wire::Frames, Wire::Frames],
            WireKind::Bytes => [
                Wire::Bytes(Box::new(Link::initiator(dialler, mono, &mut self.net))),
                Wire::Bytes(Box::new(Link::responder(answerer, mono, &mut self.net))),
            ],
        };
        let [first, second] = wires;
        let end = |device, wire| End {
            device,
            wire,
            up: false,
            gone: false,
            tick: Moment(u64::MAX),
            peer: None,
        };
        let cable = Cable {
            ends: [end(from, first), end(to, second)],
            ways: [Way::default(), Way::default()],
            hash: self.net.bytes(),
            address,
            made: self.now,
            cut_after: None,
        };
        self.cables.insert(id, cable);
        self.queue.add(self.now + AUTH_TIMEOUT, Happening::Look(id));
        self.queue.add(self.now + LINK_LIFE_MAX, Happening::Look(id));
        match self.plan.wire {
            // A handshake takes two more ways than its last message.
            WireKind::Frames => {
                let delay = self.latency() + self.latency();
                self.put(id, 0, Packet::Hello(hello), delay);
            }
            WireKind::Bytes => self.flush(id, 0),
        }
    }

    /// What a machine wants of its links, in order.
    pub(super) fn act(&mut self, device: usize, actions: Vec<LinkAction>) -> Holds {
        let mut open: Option<(u64, Vec<Frame>)> = None;
        for action in actions {
            match action {
                LinkAction::Send(LinkId(id), frame) => {
                    if let Some((last, frames)) = &mut open
                        && *last == id
                    {
                        frames.push(frame);
                        continue;
                    }
                    if let Some((last, frames)) = open.replace((id, vec![frame])) {
                        self.send(device, last, frames)?;
                    }
                }
                other => {
                    if let Some((last, frames)) = open.take() {
                        self.send(device, last, frames)?;
                    }
                    self.act_on_link(device, other);
                }
            }
        }
        if let Some((last, frames)) = open {
            self.send(device, last, frames)?;
        }
        Ok(())
    }

    fn act_on_link(&mut self, device: usize, action: LinkAction) {
        match action {
            LinkAction::Admit(LinkId(id)) => self.admit(device, id),
            LinkAction::Close(LinkId(id), reason) => self.close(device, id, reason),
            LinkAction::Drop(LinkId(id)) => {
                if let Some(side) = self.side_of(device, id) {
                    self.end(id, side);
                    self.say_end(id, side);
                }
            }
            LinkAction::Send(..) => {}
        }
    }

    fn admit(&mut self, device: usize, id: u64) {
        let Some(side) = self.side_of(device, id) else { return };
        let Some(me) = self.devices[device].link_self() else { return };
        let Some(cable) = self.cables.get_mut(&id) else { return };
        match &mut cable.ends[side].wire {
            Wire::Frames => {
                let welcome = PeerAuth {
                    identity: me.identity.public(),
                    device_id: me.device_id,
                    instance_id: me.instance_id,
                };
                let delay = self.latency();
                self.put(id, side, Packet::Welcome(welcome), delay);
            }
            Wire::Bytes(link) => {
                link.admit();
                self.flush(id, side);
            }
        }
    }

    fn close(&mut self, device: usize, id: u64, reason: ByeReason) {
        if let Some(side) = self.side_of(device, id) {
            self.carry_away(id, side, vec![Frame::Bye(Bye { reason })]);
            self.end(id, side);
            self.say_end(id, side);
        }
    }

    fn send(&mut self, device: usize, id: u64, frames: Vec<Frame>) -> Holds {
        let Some(side) = self.side_of(device, id) else { return Ok(()) };
        for frame in &frames {
            if let Frame::Msg(msg) = frame {
                let envelope = Envelope::id_of(msg.envelope.as_slice());
                let bytes = frame.encode().len();
                self.ledger.sent(&envelope, bytes);
                self.judge_spread(device, id, msg)?;
                let name = self.ledger.envelope_name(&envelope);
                let ttl = msg.ttl;
                self.note(format_args!("n{device} c{id} msg {name} ttl {ttl}"));
            }
        }
        self.carry_away(id, side, frames);
        Ok(())
    }

    /// Whether an envelope that goes to somebody who is not its recipient has the
    /// ttl that it may have.
    fn judge_spread(&mut self, device: usize, id: u64, msg: &Msg) -> Holds {
        let Ok(envelope) = Envelope::parse(msg.envelope.as_slice().to_vec()) else {
            return Ok(());
        };
        let Some(&to) = self.devices[device].peers.get(&LinkId(id)) else { return Ok(()) };
        if self.owners.get(&envelope.header().mailbox) == Some(&to) {
            return Ok(());
        }
        let giver = Giver { device, honest: self.devices[device].liar.is_none() };
        self.ledger.spread(giver, to, &envelope.id(), msg.ttl)
    }

    /// Puts frames on their way.
    fn carry_away(&mut self, id: u64, side: usize, frames: Vec<Frame>) {
        let Some(cable) = self.cables.get_mut(&id) else { return };
        match &mut cable.ends[side].wire {
            Wire::Frames => {
                let plain: usize = frames.iter().map(|frame| frame.encode().len()).sum();
                self.bytes += (plain + plain.div_ceil(RECORD_BYTES) * RECORD_OVERHEAD) as u64;
                let delay = self.latency();
                self.put(id, side, Packet::Frames(frames), delay);
            }
            Wire::Bytes(link) => {
                frames.iter().for_each(|frame| link.send(frame));
                self.flush(id, side);
            }
        }
    }

    /// Puts what a link machine has to say on its way.
    fn flush(&mut self, id: u64, side: usize) {
        let Some(cable) = self.cables.get_mut(&id) else { return };
        let Wire::Bytes(link) = &mut cable.ends[side].wire else { return };
        let bytes = link.take_output();
        let tick = link.next_deadline().map(Moment::of_mono);
        if let Some(tick) = tick
            && tick < cable.ends[side].tick
        {
            cable.ends[side].tick = tick;
            self.queue.add(tick.max(self.now), Happening::Look(id));
        }
        if !bytes.is_empty() {
            self.bytes += bytes.len() as u64;
            let delay = self.latency();
            self.put(id, side, Packet::Bytes(bytes), delay);
        }
    }

    fn put(&mut self, id: u64, from: usize, packet: Packet, delay: u64) {
        let Some(cable) = self.cables.get_mut(&id) else { return };
        let way = &mut cable.ways[from];
        let at = (self.now + delay).max(way.last);
        way.last = at;
        way.packets.push_back(packet);
        self.queue.add(at, Happening::Arrive { cable: id, from });
    }

    /// The next packet of a way is there, unless something stands in between.
    pub(super) fn arrive(&mut self, id: u64, from: usize) -> Result<(), Violation> {
        let Some(cable) = self.cables.get(&id) else { return Ok(()) };
        let (sender, receiver) = (cable.ends[from].device, cable.ends[1 - from].device);
        let blocked = self.is_blocked(sender, receiver);
        let Some(cable) = self.cables.get_mut(&id) else { return Ok(()) };
        let way = &mut cable.ways[from];
        if blocked {
            way.held_back += 1;
            return Ok(());
        }
        let Some(mut packet) = way.packets.pop_front() else { return Ok(()) };
        let cut = match &mut cable.cut_after {
            Some(0) => {
                halve(&mut packet);
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if !cable.ends[1 - from].gone {
            self.take(id, 1 - from, packet);
        }
        if cut {
            self.note(format_args!("c{id} cut"));
            self.break_cable(id);
        }
        Ok(())
    }

    fn take(&mut self, id: u64, side: usize, packet: Packet) {
        match packet {
            Packet::Hello(peer) | Packet::Welcome(peer) => self.up(id, side, peer, None),
            Packet::Frames(frames) => {
                for frame in frames {
                    self.frame(id, side, frame);
                }
            }
            Packet::Bytes(bytes) => self.take_bytes(id, side, &bytes),
            Packet::Fin => {
                self.end(id, side);
                self.say_end(id, side);
            }
        }
    }

    fn take_bytes(&mut self, id: u64, side: usize, bytes: &[u8]) {
        let mono = self.now.mono();
        let Some(cable) = self.cables.get_mut(&id) else { return };
        let Wire::Bytes(link) = &mut cable.ends[side].wire else { return };
        let result = link.receive(bytes, mono);
        let mut events = Vec::new();
        while let Some(event) = link.next_event() {
            events.push(event);
        }
        let hash = link.handshake_hash().copied();
        for event in events {
            match event {
                LinkEvent::Authenticated(peer) => {
                    let peer = PeerAuth {
                        identity: peer.identity,
                        device_id: peer.device_id,
                        instance_id: peer.instance_id,
                    };
                    self.up(id, side, peer, hash);
                }
                LinkEvent::Frame(frame) => self.frame(id, side, frame),
            }
        }
        self.flush(id, side);
        if result.is_err() {
            self.end(id, side);
            self.say_end(id, side);
        }
    }

    fn up(&mut self, id: u64, side: usize, peer: PeerAuth, hash: Option<[u8; 64]>) {
        let Some(cable) = self.cables.get_mut(&id) else { return };
        let handshake_hash = hash.unwrap_or(cable.hash);
        let (role, address) = match side {
            0 => (Role::Initiator, cable.address),
            _ => {
                let dialler = cable.ends[0].device;
                let place = self.devices[dialler].place.unwrap_or(0);
                (Role::Responder, address_of(dialler, place))
            }
        };
        let other = cable.ends[1 - side].device;
        let end = &mut cable.ends[side];
        if self.devices[end.device].is_in_trouble(self.now) {
            self.end(id, side);
            self.say_end(id, side);
            return;
        }
        (end.up, end.peer) = (true, Some(peer.instance_id));
        let (device, dialled) = (end.device, cable.address);
        *self.devices[device].linked.entry(peer.instance_id).or_default() += 1;
        self.note(format_args!("n{device} c{id} up"));
        let link = LinkId(id);
        self.devices[device].peers.insert(link, other);
        self.tell(device, Input::LinkUp { link, role, peer, handshake_hash, address });
        if side == 0 {
            self.tell(device, Input::Dialled { address: dialled, reached: true });
        }
        let mailboxes: Vec<MailboxKey> = self.owners.keys().copied().collect();
        if let Some(liar) = &mut self.devices[device].liar {
            let junk = liar.greet(link, &mailboxes);
            // A liar is held to nothing.
            let _anything = self.act(device, junk);
        }
    }

    fn frame(&mut self, id: u64, side: usize, frame: Frame) {
        let Some(end) = self.cables.get(&id).map(|cable| &cable.ends[side]) else { return };
        if end.up && !end.gone {
            self.tell(end.device, Input::Frame { link: LinkId(id), frame });
        }
    }

    /// This end is no more; its machine is told if it knew of it.
    fn end(&mut self, id: u64, side: usize) {
        let Some(cable) = self.cables.get_mut(&id) else { return };
        let address = cable.address;
        let end = &mut cable.ends[side];
        if core::mem::replace(&mut end.gone, true) {
            return;
        }
        let (device, was_up, peer) = (end.device, end.up, end.peer);
        if was_up {
            self.note(format_args!("n{device} c{id} down"));
            self.unlink(device, peer);
            self.devices[device].peers.remove(&LinkId(id));
            self.tell(device, Input::LinkDown { link: LinkId(id) });
        } else if side == 0 {
            self.tell(device, Input::Dialled { address, reached: false });
        }
        self.forget_if_over(id);
    }

    fn unlink(&mut self, device: usize, peer: Option<InstanceId>) {
        let linked = &mut self.devices[device].linked;
        if let Some(peer) = peer
            && let Some(count) = linked.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                linked.remove(&peer);
            }
        }
    }

    /// The other end hears that this one is no more, if it can.
    fn say_end(&mut self, id: u64, side: usize) {
        let delay = self.latency();
        self.put(id, side, Packet::Fin, delay);
    }

    fn forget_if_over(&mut self, id: u64) {
        if self.cables.get(&id).is_some_and(|cable| cable.ends.iter().all(|end| end.gone)) {
            self.cables.remove(&id);
        }
    }

    fn break_cable(&mut self, id: u64) {
        self.end(id, 0);
        self.end(id, 1);
    }

    /// Timeouts of a connection: authentication, silence, age.
    pub(super) fn look(&mut self, id: u64) {
        let Some(cable) = self.cables.get(&id) else { return };
        let age = self.now.since(cable.made);
        let late = u128::from(age) >= AUTH_TIMEOUT.as_millis();
        let old = u128::from(age) >= LINK_LIFE_MAX.as_millis();
        for side in [0, 1] {
            let Some(cable) = self.cables.get_mut(&id) else { return };
            let blocked = cable.ways[1 - side].blocked;
            let end = &mut cable.ends[side];
            if end.gone {
                continue;
            }
            let over = match &mut end.wire {
                Wire::Frames => {
                    let silent = blocked.is_some_and(|since| {
                        u128::from(self.now.since(since)) >= LINK_DEAD_AFTER.as_millis()
                    });
                    silent || old || (late && !end.up)
                }
                Wire::Bytes(link) => {
                    // The other end's looks are its own, or there would be ever more.
                    if end.tick > self.now {
                        continue;
                    }
                    end.tick = Moment(u64::MAX);
                    match link.tick(self.now.mono()) {
                        Ok(()) => false,
                        Err(LinkError::Aged) => {
                            link.send(&Frame::Bye(Bye { reason: ByeReason::Shutdown }));
                            true
                        }
                        Err(_) => true,
                    }
                }
            };
            self.flush(id, side);
            if over {
                self.end(id, side);
                self.say_end(id, side);
            }
        }
    }

    /// Walls or places have changed: what now gets through goes on, what does not
    /// dies in a while.
    pub(super) fn ways_changed(&mut self) {
        let ids: Vec<u64> = self.cables.keys().copied().collect();
        for id in ids {
            for from in [0, 1] {
                let Some(cable) = self.cables.get(&id) else { break };
                let (a, b) = (cable.ends[from].device, cable.ends[1 - from].device);
                let blocked = self.is_blocked(a, b);
                let delay = self.latency();
                let Some(cable) = self.cables.get_mut(&id) else { break };
                let way = &mut cable.ways[from];
                match (way.blocked, blocked) {
                    (None, true) => {
                        way.blocked = Some(self.now);
                        self.queue.add(self.now + LINK_DEAD_AFTER, Happening::Look(id));
                    }
                    (Some(_), false) => {
                        way.blocked = None;
                        let at = (self.now + delay).max(way.last);
                        way.last = at;
                        for _ in 0..core::mem::take(&mut way.held_back) {
                            self.queue.add(at, Happening::Arrive { cable: id, from });
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// A device's process has ended, or its network has gone: what it had open is
    /// gone. Whether others hear of it at once.
    pub(super) fn lose_links(&mut self, device: usize, how: Loss) {
        let ids: Vec<u64> = self.cables.keys().copied().collect();
        for id in ids {
            let Some(side) = self.side_of(device, id) else { continue };
            match how {
                Loss::Heard => {
                    self.end(id, side);
                    self.say_end(id, side);
                }
                Loss::Silent => {
                    self.end(id, side);
                    // As behind a wall: nothing comes from there any more.
                    if let Some(cable) = self.cables.get_mut(&id) {
                        cable.ways[side].packets.clear();
                        cable.ways[side].blocked.get_or_insert(self.now);
                        self.queue.add(self.now + LINK_DEAD_AFTER, Happening::Look(id));
                    }
                }
            }
        }
    }

    /// One of the connections that there are breaks after so many more packets.
    pub(super) fn cut(&mut self, nth: u64, after: u32) {
        let count = self.cables.len() as u64;
        let Some(nth) = nth.checked_rem(count) else { return };
        let nth = usize::try_from(nth).unwrap_or(0);
        if let Some(cable) = self.cables.values_mut().nth(nth) {
            cable.cut_after.get_or_insert(after);
        }
    }

    fn side_of(&self, device: usize, id: u64) -> Option<usize> {
        let ends = &self.cables.get(&id)?.ends;
        ends.iter().position(|end| end.device == device && !end.gone)
    }
}

/// How a device's links end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The other ends are told.
    Heard,
    /// Nobody is.
    Silent,
}

/// What comes through of a packet on a connection that breaks.
fn halve(packet: &mut Packet) {
    match packet {
        Packet::Frames(frames) => frames.truncate(frames.len() / 2),
        Packet::Bytes(bytes) => bytes.truncate(bytes.len() / 2),
        Packet::Hello(_) | Packet::Welcome(_) | Packet::Fin => {}
    }
}
