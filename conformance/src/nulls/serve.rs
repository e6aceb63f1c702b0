//! What null targets do with connections: blocking, in threads of their own, so that they
//! answer whatever the suite is waiting for.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::Kind;
use crate::stack::frame::Frame;
use crate::stack::link::{End, Who, with_length};
use crate::stack::noise::{Handshake, Role, version_list};
use crate::stack::v1;

/// Serves until the process ends.
pub(crate) fn start(kind: Kind) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        if kind == Kind::Mute {
            // Connections stay in the system's queue as long as the listener is there.
            loop {
                thread::park();
            }
        }
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(kind, stream));
        }
    });
    Ok(address)
}

fn serve(kind: Kind, mut stream: TcpStream) {
    // Whoever was connected may be gone, which is no fault here.
    let _gone = match kind {
        Kind::Closes | Kind::Mute => Ok(()),
        Kind::Silent => drain(&mut stream),
        Kind::Echoes => echo(&mut stream),
        Kind::OtherVersion => other_version(&mut stream),
        Kind::NodeYes => node(&mut stream, true),
        Kind::NodeNo => node(&mut stream, false),
        Kind::Http1 => http1(&mut stream),
        Kind::RelayYes => http2(&mut stream, true),
        Kind::RelayNo => http2(&mut stream, false),
    };
}

fn drain(stream: &mut TcpStream) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(drop)
}

fn echo(stream: &mut TcpStream) -> io::Result<()> {
    let mut copy = stream.try_clone()?;
    io::copy(stream, &mut copy).map(drop)
}

fn http1(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    drain(stream)
}

fn other_version(stream: &mut TcpStream) -> io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    let mut handshake = Handshake::new([9; 32]);
    if handshake.read_first(&message).is_ok() {
        let (second, _) = handshake.write_second(&version_list(&[2]));
        stream.write_all(&with_length(&second))?;
    }
    drain(stream)
}

/// A node that comes up like any other. Then it says yes to all that it can read and forgives
/// the rest, or closes at the first frame.
fn node(stream: &mut TcpStream, yes: bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let seed: [u8; 32] = crate::stack::crypto::blake2b_256(&[format!("{stream:?}").as_bytes()]);
    let who = Who { identity_seed: [5; 32], device_id: [5; 8], instance_id: [5; 16] };
    let mut end = End::new(Role::Responder, who, seed);
    let mut buffer = [0; 65_536];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let was_up = end.peer.is_some();
        if was_up && !yes {
            return Ok(());
        }
        match end.flight(&buffer[..length]) {
            Ok(answer) => {
                // Sealed after the answer to what came with it, so written after it.
                stream.write_all(&answer)?;
                // What nobody knows it knows, too.
                if let Some(frame) = end.skipped() {
                    stream.write_all(&end.send(&frame))?;
                }
            }
            Err(_) if yes => end.forgive(),
            Err(_) => return Ok(()),
        }
        for frame in std::mem::take(&mut end.given) {
            let answer = match frame {
                Frame::Msg(msg) => Frame::Ack(v1::Ack {
                    id: crate::stack::envelope::envelope_id(&msg.envelope).to_vec(),
                    result: v1::AckResult::Stored as i32,
                    ..v1::Ack::default()
                }),
                other => other,
            };
            stream.write_all(&end.send(&answer.bytes()))?;
        }
    }
}

/// HTTP/2 with as little as gRPC clients want: every call is answered when its headers come.
fn http2(stream: &mut TcpStream, yes: bool) -> io::Result<()> {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    stream.set_nodelay(true)?;
    stream.read_exact(&mut [0; 24])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let answer = match kind {
            SETTINGS if flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(PING, ACK, 0, &body),
            HEADERS if yes => [
                frame(HEADERS, END_HEADERS, id, &headers(None)),
                frame(0, 0, id, &[0; 5]),
                frame(HEADERS, END_HEADERS | END_STREAM, id, &field("grpc-status", "0")),
            ]
            .concat(),
            HEADERS => frame(HEADERS, END_HEADERS | END_STREAM, id, &headers(Some("3"))),
            _ => continue,
        };
        stream.write_all(&answer)?;
    }
}

fn frame(kind: u8, flags: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &id.to_be_bytes(), body].concat()
}

/// `:status: 200` by its number in HPACK's table, and what gRPC wants besides.
fn headers(status: Option<&str>) -> Vec<u8> {
    let mut block = vec![0x88];
    block.extend(field("content-type", "application/grpc"));
    status.into_iter().for_each(|status| block.extend(field("grpc-status", status)));
    block
}

/// A header field in HPACK, in letters and in no table.
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [&[0], text(name).as_slice(), &text(value)].concat()
}
