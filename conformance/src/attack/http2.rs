//! HTTP/2 by the byte (RFC 9113), as far as attackers need it: frames and a request's
//! headers, without flow control and without manners.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Attacker;

/// What a client says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113, section 6).
pub mod kind {
    /// `DATA`.
    pub const DATA: u8 = 0;
    /// `HEADERS`.
    pub const HEADERS: u8 = 1;
    /// `RST_STREAM`.
    pub const RST_STREAM: u8 = 3;
    /// `SETTINGS`.
    pub const SETTINGS: u8 = 4;
    /// `PING`.
    pub const PING: u8 = 6;
    /// `CONTINUATION`.
    pub const CONTINUATION: u8 = 9;
}

/// `END_STREAM` on `DATA` and `HEADERS`.
pub const END_STREAM: u8 = 1;
/// `END_HEADERS` on `HEADERS` and `CONTINUATION`.
pub const END_HEADERS: u8 = 4;
/// `SETTINGS_INITIAL_WINDOW_SIZE`.
const INITIAL_WINDOW_SIZE: u16 = 4;

/// One frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header without indexing (RFC 7541, section 6.2.2), with a name of its own.
#[must_use]
pub fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        integer(&mut bytes, text.len());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// An integer with a prefix of 7 bits (RFC 7541, section 5.1).
fn integer(bytes: &mut Vec<u8>, value: usize) {
    const PREFIX: usize = 127;
    if value < PREFIX {
        return bytes.push(value as u8);
    }
    bytes.push(PREFIX as u8);
    let mut rest = value - PREFIX;
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    bytes.push(rest as u8);
}

/// The headers of a gRPC call, `:method` and `:scheme` by their indices.
#[must_use]
pub fn call(method: &str) -> Vec<u8> {
    let path = format!("/tortalk.v1.RelayService/{method}");
    [
        vec![0x83, 0x86],
        header(":path", &path),
        header(":authority", "127.0.0.1"),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    ]
    .concat()
}

/// A connection that has said its preface.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    next_stream: u32,
}

impl Connection {
    /// Connects and says the preface, with a window for what the target sends.
    ///
    /// # Errors
    /// When the target takes no connection.
    pub async fn open(attacker: &Attacker, window: u32) -> io::Result<Self> {
        let mut stream = attacker.connect().await?;
        let setting =
            [INITIAL_WINDOW_SIZE.to_be_bytes().as_slice(), &window.to_be_bytes()].concat();
        let first = [PREFACE, &frame(kind::SETTINGS, 0, 0, &setting)].concat();
        stream.write_all(&first).await?;
        Ok(Self { stream, next_stream: 1 })
    }

    /// The id of a stream that was not used yet.
    pub fn stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// Writes, and reads away what the target has said, without waiting for it.
    ///
    /// # Errors
    /// When the target has closed the connection.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.drain()?;
        self.stream.write_all(bytes).await
    }

    /// Writes and never reads: what the target says piles up at its end.
    ///
    /// # Errors
    /// When the target has closed the connection.
    pub async fn write_deaf(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    fn drain(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16_384];
        loop {
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::ConnectionReset.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next frame of the target: its kind and stream.
    ///
    /// # Errors
    /// When the target has closed the connection.
    pub async fn read_frame(&mut self) -> io::Result<(u8, u32)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Ok((head[3], stream & 0x7fff_ffff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_those_of_rfc_7541() {
        let of = |value| {
            let mut bytes = Vec::new();
            integer(&mut bytes, value);
            bytes
        };
        assert_eq!(of(10), [10]);
        assert_eq!(of(127), [127, 0]);
        assert_eq!(of(1337), [127, 0xba, 0x09]);
    }
}
