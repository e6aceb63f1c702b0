//! One end of a link as the documents want it: bytes in, bytes out.
//!
//! The vectors are run on it. The peer that talks to targets is made of the
//! same parts, but deviates; see [`crate::peer`].

use super::frame::{Frame, Frames, parse};
use super::noise::{Direction, Handshake, Keys, Role, common_version, version_list, versions_in};
use super::proofs::LinkAuth;
use super::v1::{self, FrameType};
use super::{Class, Refused, Taken, decode, rule};

/// Bytes that a peer may send before it is authenticated, lengths included.
pub const UNAUTHENTICATED_MAX: usize = 2048;

/// Who an end is.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // named as proto/ names them
pub struct Who {
    pub identity_seed: [u8; 32],
    pub device_id: [u8; 8],
    pub instance_id: [u8; 16],
}

#[derive(Debug)]
enum State {
    First(Handshake),
    Second(Handshake),
    Auth,
    Up,
}

/// One end.
#[derive(Debug)]
pub struct End {
    role: Role,
    who: Who,
    state: State,
    input: Vec<u8>,
    taken: usize,
    lists: [Vec<u8>; 2],
    version: u16,
    keys: Option<Keys>,
    frames: Frames,
    /// Frames that are handed on, as they came.
    pub given: Vec<Frame>,
    /// The peer's identity, once it is proved.
    pub peer: Option<[u8; 32]>,
}

impl End {
    /// A new end; `secret` is the X25519 key. The first bytes to be written are
    /// those that the first [`Self::flight`], of nothing, gives.
    #[must_use]
    pub fn new(role: Role, who: Who, secret: [u8; 32]) -> Self {
        Self {
            role,
            who,
            state: State::First(Handshake::new(secret)),
            input: Vec::new(),
            taken: 0,
            lists: [Vec::new(), Vec::new()],
            version: 0,
            keys: None,
            frames: Frames::default(),
            given: Vec::new(),
            peer: None,
        }
    }

    /// Noise's `h`, once there is one.
    #[must_use]
    pub fn handshake_hash(&self) -> Option<[u8; 64]> {
        self.keys.as_ref().map(|keys| keys.handshake_hash)
    }

    /// What an initiator writes before anything came.
    pub fn start(&mut self) -> Vec<u8> {
        let list = version_list(&[1]);
        let State::First(handshake) = &mut self.state else { return Vec::new() };
        if self.role == Role::Responder {
            return Vec::new();
        }
        let message = handshake.write_first(&list);
        self.lists[0] = list;
        self.state = State::Second(handshake.clone());
        with_length(&message)
    }

    /// Takes one flight in and gives what it writes because of it.
    ///
    /// # Errors
    /// Whatever section 4 refuses.
    pub fn flight(&mut self, bytes: &[u8]) -> Taken<Vec<u8>> {
        self.input.extend_from_slice(bytes);
        let mut out = Vec::new();
        while let Some(part) = self.next_part()? {
            match std::mem::replace(&mut self.state, State::Up) {
                State::First(handshake) => out.extend(self.answer_first(handshake, &part)?),
                State::Second(handshake) => out.extend(self.take_second(handshake, &part)?),
                State::Auth => out.extend(self.take_auth(&part)?),
                State::Up => out.extend(self.take_record(&part)?),
            }
        }
        Ok(out)
    }

    /// A whole handshake message or the body of a whole record.
    fn next_part(&mut self) -> Taken<Option<Vec<u8>>> {
        let Some(length) = self.input.first_chunk::<2>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*length));
        match self.state {
            State::First(_) | State::Second(_) if !(1..=512).contains(&length) => {
                return Err(rule("LNK-15: the length of a handshake message"));
            }
            State::Auth | State::Up if length < 17 => {
                return Err(rule("LNK-25: a record without plaintext"));
            }
            _ => {}
        }
        if self.peer.is_none() && self.taken + length + 2 > UNAUTHENTICATED_MAX {
            return Err(rule("LNK-16: too many bytes"));
        }
        if self.input.len() < length + 2 {
            return Ok(None);
        }
        self.taken += length + 2;
        let part: Vec<u8> = self.input.drain(..length + 2).collect();
        Ok(Some(part[2..].to_vec()))
    }

    fn answer_first(&mut self, mut handshake: Handshake, part: &[u8]) -> Taken<Vec<u8>> {
        self.lists[0] = handshake.read_first(part)?;
        let theirs = versions_in(&self.lists[0])?;
        self.lists[1] = version_list(&[1]);
        let (message, keys) = handshake.write_second(&self.lists[1]);
        self.version = common_version(&[1], &theirs)?;
        self.keys = Some(keys);
        self.state = State::Auth;
        Ok(with_length(&message))
    }

    fn take_second(&mut self, handshake: Handshake, part: &[u8]) -> Taken<Vec<u8>> {
        let (payload, keys) = handshake.read_second(part)?;
        let theirs = versions_in(&payload)?;
        self.lists[1] = payload;
        self.version = common_version(&[1], &theirs)?;
        self.keys = Some(keys);
        self.state = State::Auth;
        Ok(self.own_auth())
    }

    fn signed_auth(&self, role: Role, m: &v1::Auth) -> LinkAuth<'_> {
        LinkAuth {
            role,
            identity: m.identity.as_slice().try_into().expect("its length was checked"),
            device_id: m.device_id.as_slice().try_into().expect("its length was checked"),
            instance_id: m.instance_id.as_slice().try_into().expect("its length was checked"),
            initiator_payload: &self.lists[0],
            responder_payload: &self.lists[1],
            handshake_hash: &self.keys.as_ref().expect("after the handshake").handshake_hash,
        }
    }

    fn own_auth(&mut self) -> Vec<u8> {
        let mut auth = v1::Auth {
            identity: super::crypto::public(&self.who.identity_seed).to_vec(),
            device_id: self.who.device_id.to_vec(),
            instance_id: self.who.instance_id.to_vec(),
            version: u32::from(self.version),
            signature: Vec::new(),
        };
        let signature = self.signed_auth(self.role, &auth).sign(&self.who.identity_seed);
        auth.signature = signature.to_vec();
        self.record(&Frame::Auth(auth).bytes())
    }

    /// Bytes of frames in a record, once the handshake is through.
    pub fn send(&mut self, frames: &[u8]) -> Vec<u8> {
        self.record(frames)
    }

    /// The last frame that was skipped because nobody knows its type.
    pub fn skipped(&mut self) -> Option<Vec<u8>> {
        self.frames.skipped.take()
    }

    /// Goes on after a frame that was refused, as no end should.
    pub fn forgive(&mut self) {
        self.frames = Frames::default();
    }

    fn record(&mut self, plain: &[u8]) -> Vec<u8> {
        let role = self.role;
        direction(self.keys.as_mut().expect("after the handshake"), role).seal(plain)
    }

    fn open(&mut self, part: &[u8]) -> Taken<Vec<u8>> {
        let role = self.role.other();
        direction(self.keys.as_mut().expect("after the handshake"), role)
            .open(part)
            .map_err(|_| super::noise::not_the_next())
    }

    fn take_auth(&mut self, part: &[u8]) -> Taken<Vec<u8>> {
        let plain = self.open(part)?;
        let fault = rule("LNK-27: not exactly one Auth");
        let head = plain.first_chunk::<6>().ok_or(fault)?;
        let length = u32::from_be_bytes(head[..4].try_into().expect("4 of 6")) as usize;
        let kind = u16::from_be_bytes([head[4], head[5]]);
        if kind != FrameType::Auth as u16 || plain.len() != length + 4 {
            return Err(fault);
        }
        let faults_of_frames = |refused: Refused| decode(refused.why);
        let Frame::Auth(auth) = parse(FrameType::Auth, &plain[6..]).map_err(faults_of_frames)?
        else {
            return Err(fault);
        };
        let identity = auth.identity.as_slice().try_into().expect("its length was checked");
        super::crypto::valid_key(&identity).map_err(|_| rule("LNK-28: the identity"))?;
        let signature = auth.signature.as_slice().try_into().expect("its length was checked");
        self.signed_auth(self.role.other(), &auth).verify(&signature)?;
        if auth.version != u32::from(self.version) {
            return Err(rule("LNK-30: the version"));
        }
        if identity == super::crypto::public(&self.who.identity_seed)
            && auth.instance_id == self.who.instance_id
        {
            return Err(Refused { class: Class::Policy, why: "LNK-31: the node itself" });
        }
        self.peer = Some(identity);
        if self.role == Role::Initiator {
            return Ok(Vec::new());
        }
        if !self.input.is_empty() {
            return Err(rule("LNK-32: early bytes"));
        }
        Ok(self.own_auth())
    }

    fn take_record(&mut self, part: &[u8]) -> Taken<Vec<u8>> {
        let plain = self.open(part)?;
        self.frames.put(&plain);
        let mut out = Vec::new();
        while let Some(frame) = self.frames.next().map_err(|refused| decode(refused.why))? {
            match frame {
                Frame::Auth(_) => return Err(rule("LNK-33: a second Auth")),
                Frame::Ping(ping) => {
                    let pong = Frame::Pong(v1::Pong { nonce: ping.nonce });
                    out.extend(self.record(&pong.bytes()));
                }
                Frame::Pong(_) | Frame::Bye(_) => {}
                frame => self.given.push(frame),
            }
        }
        Ok(out)
    }
}

fn direction(keys: &mut Keys, sender: Role) -> &mut Direction {
    match sender {
        Role::Initiator => &mut keys.forth,
        Role::Responder => &mut keys.back,
    }
}

/// A handshake message as it travels.
#[must_use]
pub fn with_length(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}
