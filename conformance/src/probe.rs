//! What is asked before the cases: what the target is, and whether it claims to know what
//! does not exist (`spec/annex-targets.md`, section 7).

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use crate::case::{Ctx, Role};
use crate::peer::{Codec, Direction, Seen};
use crate::people::Person;
use crate::stack::frame::raw;
use crate::stack::noise::{Handshake, version_list};
use crate::stack::{link::with_length, v1};
use crate::verdict::Verdict;

/// What a port speaks: HTTP/2 is a relay, an answer to a first handshake message a node.
/// `None` when it speaks neither.
///
/// # Errors
/// When no connection can be made.
pub async fn role(target: SocketAddr, deadline: Duration) -> std::io::Result<Option<Role>> {
    /// The preface, and SETTINGS without any.
    const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // A node takes the preface for a length that is out of range, and closes.
    let answer = ask(target, HTTP2, 9, deadline).await?;
    if answer.len() == 9 && answer[3] == 4 && answer[5..] == [0; 4] {
        return Ok(Some(Role::Relay));
    }
    let mut handshake = Handshake::new([0x5f; 32]);
    let first = with_length(&handshake.write_first(&version_list(&[1])));
    let answer = ask(target, &first, 514, deadline).await?;
    let message = answer.get(2..).unwrap_or_default();
    let whole = answer.first_chunk::<2>().map(|l| usize::from(u16::from_be_bytes(*l)));
    let is_node = whole == Some(message.len()) && handshake.read_second(message).is_ok();
    Ok(is_node.then_some(Role::Node))
}

/// The first bytes that come back, at most `most`: until there is a whole answer or an end.
async fn ask(
    target: SocketAddr,
    bytes: &[u8],
    most: usize,
    deadline: Duration,
) -> std::io::Result<Vec<u8>> {
    let connecting = timeout(deadline, TcpStream::connect(target));
    let mut stream = connecting.await.map_err(|_| std::io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    let mut answer = vec![0; most];
    let mut length = 0;
    let reading = async {
        if stream.write_all(bytes).await.is_err() {
            return;
        }
        while length < most {
            match stream.read(&mut answer[length..]).await {
                Ok(count) if count > 0 => length += count,
                _ => return,
            }
            let whole = usize::from(u16::from_be_bytes([answer[0], answer[1]])) + 2;
            if most > 9 && length == whole {
                return;
            }
        }
    };
    // Silence is an answer too, of a target that is neither.
    let _silent = timeout(deadline, reading).await;
    answer.truncate(length);
    Ok(answer)
}

/// What the target claims to know of things that do not exist; `None` when it claims nothing.
///
/// # Errors
/// A verdict when it cannot be asked.
pub async fn invents(
    ctx: &mut Ctx,
    role: Role,
    control: Option<&Path>,
) -> Result<Option<String>, Verdict> {
    ctx.log.add(Direction::Note, "asks for what does not exist", &[]);
    let invented = match role {
        Role::Node => frames(ctx).await?,
        Role::Relay => method(ctx).await?,
    };
    match (invented, control) {
        (None, Some(control)) => request(ctx, control).await,
        (invented, _) => Ok(invented),
    }
}

/// The control channel says `unsupported` to a request that does not exist.
async fn request(ctx: &mut Ctx, control: &Path) -> Result<Option<String>, Verdict> {
    let fault = |error: &dyn std::fmt::Display| {
        Verdict::Inconclusive(format!("no probe of {}: {error}", control.display()))
    };
    let name = format!("no-such-thing-{:016x}", u64::from_be_bytes(ctx.fresh.array()));
    let asking = async {
        let mut stream = UnixStream::connect(control).await?;
        stream.write_all(format!("{}\n", json!({"id": 1, "do": name})).as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        std::io::Result::Ok(line)
    };
    let asked = timeout(ctx.deadline, asking).await.map_err(|late| fault(&late))?;
    let line = asked.map_err(|error| fault(&error))?;
    let answer: Value = serde_json::from_str(&line).map_err(|error| fault(&error))?;
    let believed = answer["error"] == "unsupported";
    Ok((!believed).then(|| format!("its control channel answers {name} with {}", line.trim())))
}

/// A frame of 0x7f00 is skipped in silence, one of 0xff00 ends the link.
async fn frames(ctx: &mut Ctx) -> Result<Option<String>, Verdict> {
    let person = Person::stranger(&mut ctx.fresh);
    let nonsense: [u8; 16] = ctx.fresh.array();
    let mut link = ctx.link(&person).await?;
    link.send_plain(&raw(0x7f00, &nonsense), "a frame that does not exist").await;
    // Twice: what it says to the frame may come after the first answer.
    let seen = match link.probe().await {
        Seen::Alive => link.probe().await,
        seen => seen,
    };
    match seen {
        Seen::Alive if link.unknown_bytes() > 0 => {
            return Ok(Some("it answers a frame of type 0x7f00 with one that nobody knows".into()));
        }
        Seen::Alive => {}
        seen => return Ok(Some(format!("it does not skip a frame of type 0x7f00: {seen:?}"))),
    }
    link.send_plain(&raw(0xff00, &nonsense), "a critical frame that does not exist").await;
    match link.probe_end().await {
        Seen::Closed(_) => Ok(None),
        Seen::Alive => Ok(Some("it goes on after a critical frame of type 0xff00".into())),
        seen => Ok(Some(format!("it does not close on a critical frame of type 0xff00: {seen:?}"))),
    }
}

async fn method(ctx: &mut Ctx) -> Result<Option<String>, Verdict> {
    let fault = |error: &dyn std::fmt::Display| Verdict::Inconclusive(format!("no probe: {error}"));
    let endpoint = Endpoint::from_shared(format!("http://{}", ctx.target))
        .map_err(|error| fault(&error))?
        .connect_timeout(ctx.deadline)
        .timeout(ctx.deadline);
    let channel = endpoint.connect().await.map_err(|error| fault(&error))?;
    let mut calls = Grpc::new(channel);
    calls.ready().await.map_err(|error| fault(&error))?;
    let name = u64::from_be_bytes(ctx.fresh.array());
    let path = format!("/tortalk.v1.RelayService/NoSuch{name:016x}");
    let path = path.parse::<PathAndQuery>().map_err(|error| fault(&error))?;
    let codec = Codec::<v1::GetInfoRequest, v1::PurgeResponse>::default();
    let request = Request::new(v1::GetInfoRequest::default());
    Ok(match calls.unary(request, path, codec).await {
        Ok(_) => Some("it answers a method that does not exist with OK".to_owned()),
        Err(status) if status.code() == Code::Unimplemented => None,
        Err(status) => {
            Some(format!("a method that does not exist is {:?}, not UNIMPLEMENTED", status.code()))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::net::UnixListener;

    use super::*;

    /// What is found of a control channel that gives this answer to everything.
    async fn found(answer: &'static str) -> Result<Option<String>, Verdict> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("control");
        let listener = UnixListener::bind(&path).expect("nobody else is there");
        let answering = async {
            let (stream, _) = listener.accept().await?;
            let mut stream = BufReader::new(stream);
            stream.read_line(&mut String::new()).await?;
            stream.write_all(answer.as_bytes()).await
        };
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let mut ctx = Ctx::new(nobody, 1, Duration::from_secs(5), "probe");
        let (answered, found) = tokio::join!(answering, request(&mut ctx, &path));
        answered.expect("somebody asks");
        found
    }

    #[tokio::test]
    async fn a_control_channel_that_knows_everything_is_not_believed() {
        assert_eq!(found("{\"id\": 1, \"error\": \"unsupported\"}\n").await, Ok(None));
        let text = found("{\"id\": 1, \"ok\": {}}\n").await.expect("it was asked");
        assert!(text.is_some_and(|text| text.contains("no-such-thing-")));
        assert!(found("yes\n").await.is_err());
    }
}
