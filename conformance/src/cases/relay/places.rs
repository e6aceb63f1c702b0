//! Connections and calls at a time (`spec/relay.md`, section 9).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::{Judged, check, expect_code, registered};
use crate::attack::Attacker;
use crate::attack::http2::{Connection, END_HEADERS, call, frame, kind};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::relay_client::Client;
use crate::verdict::Verdict;

/// The address of the suite that is not that of its honest clients.
const OTHER: u8 = 9;

fn lost(error: std::io::Error) -> Verdict {
    Verdict::Inconclusive(format!("a connection: {error}"))
}

/// A third connection of an address that may have two.
async fn connections(ctx: &mut Ctx) -> Judged {
    let _target = ctx.own_target(&json!({ "connections_per_source": 2 })).await?;
    let mut held = Vec::new();
    for number in 0..2 {
        let attacker = Attacker::new(OTHER, number, ctx.target);
        let mut connection = Connection::open(&attacker, 65_535).await.map_err(lost)?;
        let settings = timeout(ctx.deadline, connection.read_frame()).await;
        let silent = |_| Verdict::Inconclusive("no SETTINGS within the deadline".to_owned());
        settings.map_err(silent)?.map_err(lost)?;
        held.push(connection);
    }
    let third = Attacker::new(OTHER, 2, ctx.target);
    let served = async {
        let mut connection = Connection::open(&third, 65_535).await?;
        connection.read_frame().await
    };
    match timeout(ctx.deadline, served).await {
        Err(_) => {
            return Err(Verdict::Inconclusive("the third is neither served nor closed".into()));
        }
        Ok(Ok(_)) => return Err(Verdict::Fail("a third connection is served".to_owned())),
        Ok(Err(_)) => {}
    }
    // Others are served, and an end makes room.
    registered(ctx).await?;
    std::mem::drop(held);
    let until = Instant::now() + ctx.deadline;
    loop {
        let served = async {
            let mut connection = Connection::open(&third, 65_535).await?;
            connection.read_frame().await
        };
        if matches!(timeout(ctx.deadline, served).await, Ok(Ok(_))) {
            return Ok(());
        }
        check(Instant::now() < until, || "the end of two connections made no room".to_owned())?;
    }
}

/// Connections that say nothing, or half of what comes first.
async fn silent(ctx: &mut Ctx) -> Judged {
    const PATIENCE: Duration = Duration::from_secs(15);
    registered(ctx).await?;
    let attacker = Attacker::new(OTHER, 0, ctx.target);
    let mut nothing = attacker.connect().await.map_err(lost)?;
    let mut half = attacker.connect().await.map_err(lost)?;
    tokio::io::AsyncWriteExt::write_all(&mut half, b"PRI * HTTP/2").await.map_err(lost)?;
    let start = Instant::now();
    for (what, stream) in [("nothing", &mut nothing), ("12 bytes", &mut half)] {
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        check(ended.is_ok(), || format!("a connection that said {what} is open after 15 s"))?;
    }
    check(start.elapsed() > Duration::from_secs(5), || {
        "closed before the 10 s in which an honest client may be slow".to_owned()
    })?;
    registered(ctx).await.map(drop)
}

/// Twenty calls on one connection.
async fn calls(ctx: &mut Ctx) -> Judged {
    const PLACES: usize = 16;
    const MORE: usize = 4;
    let attacker = Attacker::new(OTHER, 0, ctx.target);
    let mut connection = Connection::open(&attacker, 65_535).await.map_err(lost)?;
    for _ in 0..PLACES + MORE {
        let stream = connection.stream();
        let headers = frame(kind::HEADERS, END_HEADERS, stream, &call("Pull"));
        connection.write_deaf(&headers).await.map_err(lost)?;
    }
    let (mut opened, mut reset) = (BTreeSet::new(), BTreeSet::new());
    let until = Instant::now() + ctx.deadline;
    while opened.len() + reset.len() < PLACES + MORE {
        let next = tokio::time::timeout_at(until, connection.read_frame()).await;
        let text = format!("{} calls are open, {} refused", opened.len(), reset.len());
        let (kind, stream) = match next {
            Err(_) => return Err(Verdict::Inconclusive(text)),
            // To end the whole connection is a refusal too (RFC 9113, section 5.1.2).
            Ok(Err(_)) if opened.len() <= PLACES => break,
            Ok(read) => read.map_err(lost)?,
        };
        match kind {
            kind::HEADERS => opened.insert(stream),
            kind::RST_STREAM => reset.insert(stream),
            _ => continue,
        };
    }
    check(opened.len() == PLACES, || {
        format!("{} calls are open on one connection, {} refused", opened.len(), reset.len())
    })?;
    registered(ctx).await.map(drop)
}

/// An authority that is none.
async fn authority(ctx: &mut Ctx, bytes: &[u8]) -> Judged {
    let mut client = Client::connect(ctx).await?;
    let got = client.info(&[7; 32], bytes).await;
    let code = got.as_ref().err().map(tonic::Status::code);
    if code == Some(tonic::Code::FailedPrecondition) {
        // It is not the relay's own either (RLY-06).
        return Client::connect(ctx).await.map(drop);
    }
    expect_code(got, tonic::Code::InvalidArgument)?;
    Client::connect(ctx).await.map(drop)
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relay-limits.connections", "RLY-58",
        "A third connection of an address that may have two. It is closed, until one ends.",
        connections).managed(),
    script!("relay-limits.silent", "RLY-59",
        "Connections that say nothing, or twelve bytes. Closed after 10 s.", silent).slow(),
    script!("relay-limits.calls", "RLY-60",
        "Twenty calls on one connection. Sixteen are opened.", calls),
    script!("relay-info.authority-empty", "RLY-05",
        "GetInfo for an authority without bytes. INVALID_ARGUMENT, or not the relay's own.",
        authority, b""),
    script!("relay-info.authority-cut", "RLY-05",
        "GetInfo for an authority that announces more than there is. Refused.",
        authority, b"\x01\x09127.0.0"),
    script!("relay-info.authority-port", "RLY-05",
        "GetInfo for port 0. Refused.", authority, b"\x01\x09127.0.0.1\x00\x00"),
    script!("relay-info.authority-kind", "RLY-05",
        "GetInfo for an authority of kind 3. Refused.", authority, b"\x03\x09127.0.0.1\x20\xfb"),
];
