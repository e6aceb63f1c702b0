//! One connection to the target: bytes, records and frames with a deadline.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::transcript::{Direction, Log};
use crate::stack::Refused;
use crate::stack::frame::{Frame, Frames};
use crate::stack::noise::{Keys, Role, next_record};
use crate::stack::v1;

/// Why nothing more comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The target closed the connection.
    Closed,
    /// Nothing came within the deadline; this decides nothing.
    TimedOut,
    /// The target sent something that the documents do not allow.
    Broken(Refused),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("the target closed the connection"),
            Self::TimedOut => f.write_str("nothing came within the deadline"),
            Self::Broken(refused) => write!(f, "the target sent what is not allowed: {refused}"),
        }
    }
}

/// What became of a link after something was sent on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It was closed, after `Bye` with this reason where there was one.
    Closed(Option<i32>),
    /// It answered the ping that followed.
    Alive,
    /// Neither.
    Nothing,
    /// The target sent something that the documents do not allow.
    Broken(Refused),
}

/// A connection on which the suite plays one end.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    input: Vec<u8>,
    /// Bytes received so far, as they travelled.
    pub received: usize,
    /// How long one answer may take.
    pub deadline: Duration,
    /// Which end we are.
    pub role: Role,
    /// Set when the handshake is through.
    pub keys: Option<Keys>,
    /// The target's `Auth`.
    pub auth: Option<v1::Auth>,
    /// The target's handshake payload.
    pub peer_list: Vec<u8>,
    /// Whether every byte is written by itself.
    pub each_byte: bool,
    /// The longest plaintext of a record so far.
    pub longest: usize,
    frames: Frames,
    /// Frames that were passed over while another was waited for.
    pub passed_over: Vec<Frame>,
    pings: u64,
    pongs: u64,
    log: Log,
}

impl Link {
    /// Over a connection that was just made.
    #[must_use]
    pub fn new(stream: TcpStream, role: Role, deadline: Duration, log: Log) -> Self {
        Self {
            stream,
            input: Vec::new(),
            received: 0,
            deadline,
            role,
            keys: None,
            auth: None,
            peer_list: Vec::new(),
            each_byte: false,
            longest: 0,
            frames: Frames::default(),
            passed_over: Vec::new(),
            pings: 0,
            pongs: 0,
            log,
        }
    }

    /// Writes bytes as they are. A connection that is closed takes them in silence:
    /// what counts is what is read afterwards.
    pub async fn write(&mut self, bytes: &[u8], what: &str) {
        self.log.add(Direction::Sent, what, bytes);
        self.put(bytes).await;
    }

    async fn put(&mut self, bytes: &[u8]) {
        let step = if self.each_byte { 1 } else { bytes.len().max(1) };
        for chunk in bytes.chunks(step) {
            if let Err(error) = self.stream.write_all(chunk).await {
                self.log.add(Direction::Note, format!("writing failed: {error}"), &[]);
                return;
            }
        }
    }

    /// Writes bytes as they are, beside the transcript: for those who send much.
    ///
    /// # Errors
    /// When the target has closed the connection.
    pub async fn write_now(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    async fn read_more(&mut self, until: Instant) -> Result<(), Ended> {
        let mut buffer = [0; 16_384];
        match timeout_at(until, self.stream.read(&mut buffer)).await {
            Err(_) => Err(Ended::TimedOut),
            Ok(Ok(0) | Err(_)) => Err(Ended::Closed),
            Ok(Ok(length)) => {
                self.received += length;
                self.input.extend_from_slice(&buffer[..length]);
                Ok(())
            }
        }
    }

    /// The next handshake message, without its length.
    ///
    /// # Errors
    /// When none comes whole.
    pub async fn read_message(&mut self) -> Result<Vec<u8>, Ended> {
        let until = Instant::now() + self.deadline;
        loop {
            if let Some((length, rest)) = self.input.split_first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*length));
                if rest.len() >= length {
                    let whole: Vec<u8> = self.input.drain(..length + 2).collect();
                    self.log.add(Direction::Received, "handshake message", &whole);
                    return Ok(whole[2..].to_vec());
                }
            }
            self.read_more(until).await?;
        }
    }

    /// Waits for the connection's end; `TimedOut` when it does not come, and
    /// `Ok` with the number of bytes when any came instead.
    ///
    /// # Errors
    /// [`Ended::Closed`] is what one hopes for.
    pub async fn read_end(&mut self) -> Result<usize, Ended> {
        let before = self.received - self.input.len();
        self.read_more(Instant::now() + self.deadline).await?;
        Ok(self.received - before)
    }

    /// Nothing may come for a moment; what comes is `fault`. What follows has to show
    /// that the target is there.
    ///
    /// # Errors
    /// When something comes, or the end.
    pub async fn stays_silent(&mut self, fault: Refused) -> Result<(), Ended> {
        const MOMENT: Duration = Duration::from_millis(200);
        if !self.input.is_empty() {
            return Err(Ended::Broken(fault));
        }
        match self.read_more(Instant::now() + MOMENT).await {
            Ok(()) => Err(Ended::Broken(fault)),
            Err(Ended::TimedOut) => Ok(()),
            Err(ended) => Err(ended),
        }
    }

    /// How many pings of the target were answered.
    #[must_use]
    pub fn pings_answered(&self) -> u64 {
        self.pongs
    }

    /// Reads records until the link has ended, and answers nothing.
    pub async fn to_end_unanswered(&mut self) -> Ended {
        let until = Instant::now() + self.deadline;
        loop {
            if let Err(ended) = self.read_record_until(until).await {
                return ended;
            }
        }
    }

    /// Reads frames until the link has ended; they are kept.
    pub async fn to_end(&mut self) -> Ended {
        match self.expect(|_| None::<()>).await {
            Ok(()) => Ended::TimedOut,
            Err(ended) => ended,
        }
    }

    fn own_direction(&mut self) -> &mut crate::stack::noise::Direction {
        let keys = self.keys.as_mut().expect("only after the handshake");
        match self.role {
            Role::Initiator => &mut keys.forth,
            Role::Responder => &mut keys.back,
        }
    }

    /// A record of these bytes, not sent yet.
    pub fn record(&mut self, plain: &[u8]) -> Vec<u8> {
        self.own_direction().seal(plain)
    }

    /// Sends one record.
    pub async fn send_plain(&mut self, plain: &[u8], what: &str) {
        let record = self.record(plain);
        self.log.add(Direction::Sent, format!("{what}, in clear:"), plain);
        self.put(&record).await;
    }

    /// Sends one frame in a record of its own, or in several where it is long.
    pub async fn send(&mut self, frame: &Frame) {
        for (at, chunk) in frame.bytes().chunks(16_384).enumerate() {
            let name = if at == 0 { frame.name().to_owned() } else { "continued".to_owned() };
            self.send_plain(chunk, &name).await;
        }
    }

    /// The plaintext of the next record.
    ///
    /// # Errors
    /// When none comes whole, or it does not open.
    pub async fn read_record(&mut self) -> Result<Vec<u8>, Ended> {
        self.read_record_until(Instant::now() + self.deadline).await
    }

    async fn read_record_until(&mut self, until: Instant) -> Result<Vec<u8>, Ended> {
        loop {
            if let Some((record, _)) = next_record(&self.input).map_err(Ended::Broken)? {
                let record = record.to_vec();
                self.input.drain(..record.len() + 2);
                let keys = self.keys.as_mut().expect("only after the handshake");
                let direction = match self.role {
                    Role::Initiator => &mut keys.back,
                    Role::Responder => &mut keys.forth,
                };
                let plain = direction.open(&record).map_err(Ended::Broken)?;
                self.longest = self.longest.max(plain.len());
                return Ok(plain);
            }
            self.read_more(until).await?;
        }
    }

    async fn next_frame_until(&mut self, until: Instant) -> Result<Frame, Ended> {
        loop {
            while let Some(frame) = self.frames.next().map_err(Ended::Broken)? {
                self.log.add(Direction::Received, frame.name(), &frame.bytes());
                if let Frame::Ping(ping) = &frame {
                    self.pongs += 1;
                    self.send(&Frame::Pong(v1::Pong { nonce: ping.nonce })).await;
                    continue;
                }
                return Ok(frame);
            }
            let plain = self.read_record_until(until).await?;
            self.frames.put(&plain);
        }
    }

    /// The next frame that `pick` takes; others are passed over. Pings are answered.
    ///
    /// # Errors
    /// When none comes.
    pub async fn expect<T>(&mut self, pick: impl Fn(&Frame) -> Option<T>) -> Result<T, Ended> {
        if let Some(at) = self.passed_over.iter().position(|frame| pick(frame).is_some()) {
            let frame = self.passed_over.remove(at);
            return pick(&frame).ok_or(Ended::TimedOut);
        }
        let until = Instant::now() + self.deadline;
        loop {
            let frame = self.next_frame_until(until).await?;
            match pick(&frame) {
                Some(picked) => return Ok(picked),
                None => self.passed_over.push(frame),
            }
        }
    }

    /// Sends a `Ping` and waits for its `Pong`.
    ///
    /// # Errors
    /// When none comes.
    pub async fn ping(&mut self) -> Result<(), Ended> {
        self.pings += 1;
        let nonce = 0x7e57_0000_0000_0000 | self.pings;
        self.send(&Frame::Ping(v1::Ping { nonce })).await;
        self.expect(|frame| matches!(frame, Frame::Pong(p) if p.nonce == nonce).then_some(())).await
    }

    /// Sends a ping and tells what became of the link.
    pub async fn probe(&mut self) -> Seen {
        match self.ping().await {
            Ok(()) => Seen::Alive,
            Err(ended) => self.seen(ended),
        }
    }

    /// The same for a link that is to end. A `Pong` says nothing of the frames before
    /// it, which another part of the target may still be judging; so a link counts as
    /// going on only if it answers a second ping after the deadline.
    pub async fn probe_end(&mut self) -> Seen {
        match self.probe().await {
            Seen::Alive => {}
            seen => return seen,
        }
        match self.expect(|_| None::<()>).await {
            Ok(()) | Err(Ended::TimedOut) => self.probe().await,
            Err(ended) => self.seen(ended),
        }
    }

    fn seen(&self, ended: Ended) -> Seen {
        let bye = self.passed_over.iter().find_map(|frame| match frame {
            Frame::Bye(bye) => Some(bye.reason),
            _ => None,
        });
        match ended {
            Ended::Closed => Seen::Closed(bye),
            Ended::TimedOut => Seen::Nothing,
            Ended::Broken(refused) => Seen::Broken(refused),
        }
    }

    /// Adds a remark to the transcript.
    pub fn note(&self, text: &str) {
        self.log.add(Direction::Note, text, &[]);
    }

    /// How many bytes of frames came whose type is not known.
    #[must_use]
    pub fn unknown_bytes(&self) -> usize {
        self.frames.unknown_bytes()
    }

    /// Noise's `h`.
    #[must_use]
    pub fn handshake_hash(&self) -> [u8; 64] {
        self.keys.as_ref().map_or([0; 64], |keys| keys.handshake_hash)
    }
}
