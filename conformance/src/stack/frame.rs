//! Frames (`spec/link.md` section 1 and 4.4).

use prost::Message;

use super::v1::{self, FrameType};
use super::{Taken, decode, rule};

/// Most bytes of type and body.
pub const FRAME_MAX: usize = 131_072;

/// Most bytes of frames of unknown types on one link.
pub const UNKNOWN_MAX: usize = 1_048_576;

/// A frame that was read.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // named as proto/ names them
pub enum Frame {
    Auth(v1::Auth),
    Bye(v1::Bye),
    Ping(v1::Ping),
    Pong(v1::Pong),
    Mailboxes(v1::Mailboxes),
    Hello(v1::Hello),
    Card(v1::Card),
    Pull(v1::Pull),
    Push(v1::Push),
    Msg(v1::Msg),
    End(v1::End),
    Ack(v1::Ack),
    Have(v1::Have),
    Want(v1::Want),
    Purge(v1::Purge),
}

impl Frame {
    /// The frame's name in `proto/`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Auth(_) => "Auth",
            Self::Bye(_) => "Bye",
            Self::Ping(_) => "Ping",
            Self::Pong(_) => "Pong",
            Self::Mailboxes(_) => "Mailboxes",
            Self::Hello(_) => "Hello",
            Self::Card(_) => "Card",
            Self::Pull(_) => "Pull",
            Self::Push(_) => "Push",
            Self::Msg(_) => "Msg",
            Self::End(_) => "End",
            Self::Ack(_) => "Ack",
            Self::Have(_) => "Have",
            Self::Want(_) => "Want",
            Self::Purge(_) => "Purge",
        }
    }

    /// Length, type and body.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Auth(m) => (FrameType::Auth, m.encode_to_vec()),
            Self::Bye(m) => (FrameType::Bye, m.encode_to_vec()),
            Self::Ping(m) => (FrameType::Ping, m.encode_to_vec()),
            Self::Pong(m) => (FrameType::Pong, m.encode_to_vec()),
            Self::Mailboxes(m) => (FrameType::Mailboxes, m.encode_to_vec()),
            Self::Hello(m) => (FrameType::Hello, m.encode_to_vec()),
            Self::Card(m) => (FrameType::Card, m.encode_to_vec()),
            Self::Pull(m) => (FrameType::Pull, m.encode_to_vec()),
            Self::Push(m) => (FrameType::Push, m.encode_to_vec()),
            Self::Msg(m) => (FrameType::Msg, m.encode_to_vec()),
            Self::End(m) => (FrameType::End, m.encode_to_vec()),
            Self::Ack(m) => (FrameType::Ack, m.encode_to_vec()),
            Self::Have(m) => (FrameType::Have, m.encode_to_vec()),
            Self::Want(m) => (FrameType::Want, m.encode_to_vec()),
            Self::Purge(m) => (FrameType::Purge, m.encode_to_vec()),
        };
        raw(kind as u16, &body)
    }
}

/// A frame of any type with any body; the length counts both.
#[must_use]
pub fn raw(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 2).to_be_bytes();
    [&length, kind.to_be_bytes().as_slice(), body].concat()
}

/// Takes frames from the stream that the records of one direction make.
#[derive(Debug, Default)]
pub struct Frames {
    stream: Vec<u8>,
    unknown: usize,
    /// The last frame that was skipped.
    pub skipped: Option<Vec<u8>>,
}

impl Frames {
    /// More of the stream.
    pub fn put(&mut self, bytes: &[u8]) {
        self.stream.extend_from_slice(bytes);
    }

    /// How many bytes of frames of unknown types were skipped.
    #[must_use]
    pub fn unknown_bytes(&self) -> usize {
        self.unknown
    }

    /// The next whole frame of a type that is known.
    ///
    /// # Errors
    /// `decode` or `rule`, by LNK-34 to LNK-42.
    #[allow(clippy::should_implement_trait)] // it can fail, and goes on later
    pub fn next(&mut self) -> Taken<Option<Frame>> {
        loop {
            let Some(head) = self.stream.first_chunk::<4>() else { return Ok(None) };
            let length = u32::from_be_bytes(*head) as usize;
            if !(2..=FRAME_MAX).contains(&length) {
                return Err(decode("LNK-34: the length of a frame"));
            }
            let Some(kind) = self.stream.get(4..6) else { return Ok(None) };
            let kind = u16::from_be_bytes([kind[0], kind[1]]);
            let known = FrameType::try_from(i32::from(kind)).ok().filter(|t| *t as u16 != 0);
            if known.is_none() {
                if kind >= 0x8000 {
                    return Err(rule("LNK-35: an unknown critical type"));
                }
                if self.unknown + length + 4 > UNKNOWN_MAX {
                    return Err(rule("LNK-37: too much of unknown types"));
                }
            }
            if self.stream.len() < 4 + length {
                return Ok(None);
            }
            let frame: Vec<u8> = self.stream.drain(..4 + length).collect();
            match known {
                Some(kind) => return parse(kind, &frame[6..]).map(Some),
                None => {
                    self.unknown += length + 4;
                    self.skipped = Some(frame);
                }
            }
        }
    }
}

fn message<M: Message + Default>(body: &[u8]) -> Taken<M> {
    M::decode(body).map_err(|_| decode("LNK-38: the body does not parse"))
}

/// Reads a body by its type, with the rules of section 1.
///
/// # Errors
/// `decode` or `rule`, by LNK-38, LNK-39, LNK-42.
pub fn parse(kind: FrameType, body: &[u8]) -> Taken<Frame> {
    let fits = |fine: bool| if fine { Ok(()) } else { Err(rule("LNK-39: a field of a frame")) };
    let ids = |list: &[Vec<u8>]| {
        fits((1..=256).contains(&list.len()) && list.iter().all(|id| id.len() == 32))
    };
    Ok(match kind {
        FrameType::Unspecified => return Err(decode("no type")),
        FrameType::Bye => Frame::Bye(message(body)?),
        FrameType::Ping => Frame::Ping(message(body)?),
        FrameType::Pong => Frame::Pong(message(body)?),
        FrameType::Pull => Frame::Pull(message(body)?),
        FrameType::Push => Frame::Push(message(body)?),
        FrameType::End => Frame::End(message(body)?),
        FrameType::Auth => {
            let m: v1::Auth = message(body)?;
            fits(m.identity.len() == 32 && m.device_id.len() == 8 && m.instance_id.len() == 16)?;
            fits(m.signature.len() == 64 && m.version <= 65_535)?;
            Frame::Auth(m)
        }
        FrameType::Mailboxes => {
            let m: v1::Mailboxes = message(body)?;
            fits((1..=16).contains(&m.proofs.len()))?;
            fits(m.proofs.iter().all(|p| p.mailbox.len() == 32 && p.signature.len() == 64))?;
            Frame::Mailboxes(m)
        }
        FrameType::Hello => {
            let m: v1::Hello = message(body)?;
            fits(m.features.len() <= 256 && m.store_id.len() == 16)?;
            fits((1..=65_535).contains(&m.unacked_max))?;
            Frame::Hello(m)
        }
        FrameType::Card => {
            let m: v1::Card = message(body)?;
            fits((1..=8128).contains(&m.card.len()))?;
            Frame::Card(m)
        }
        FrameType::Msg => {
            let m: v1::Msg = message(body)?;
            fits(m.ttl <= 255 && m.stamp.len() <= 64)?;
            fits((1..=67_017).contains(&m.envelope.len()))?;
            Frame::Msg(m)
        }
        FrameType::Ack => {
            let m: v1::Ack = message(body)?;
            fits(m.id.len() == 32)?;
            if !(1..=3).contains(&m.result) {
                return Err(rule("LNK-42: the result of an Ack"));
            }
            if m.reason != 0 && m.result != v1::AckResult::Refused as i32 {
                return Err(rule("LNK-42: a reason without a refusal"));
            }
            Frame::Ack(m)
        }
        FrameType::Have => {
            let m: v1::Have = message(body)?;
            ids(&m.ids)?;
            Frame::Have(m)
        }
        FrameType::Want => {
            let m: v1::Want = message(body)?;
            ids(&m.ids)?;
            Frame::Want(m)
        }
        FrameType::Purge => {
            let m: v1::Purge = message(body)?;
            ids(&m.keys)?;
            Frame::Purge(m)
        }
    })
}
