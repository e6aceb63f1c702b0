//! Attacks on a relay from one address (`spec/relay.md`, section 9): HTTP/2 by the byte.

use std::io;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::attack::http2::{Connection, END_HEADERS, END_STREAM, call, frame, header, kind};
use crate::attack::{Attack, Attacker, Honest, Plan, attack, under};
use crate::case::Ctx;
use crate::cases::relay::{good_deposit, registered};
use crate::cases::{Script, script};
use crate::relay_client::{Client, Owner};
use crate::verdict::Judged;

/// What a connection may hold open without a word before it counts as patient.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many frames go into one write.
const BATCH: u32 = 64;
/// The window of a client that takes what it is sent.
const WINDOW: u32 = 65_535;

/// An owner with a mailbox, who is given mail.
struct Depositor {
    client: Client,
    owner: Owner,
    served: u32,
}

impl Honest for Depositor {
    async fn serve(&mut self, ctx: &mut Ctx) -> Judged {
        self.served += 1;
        if self.served.is_multiple_of(5) {
            // Somebody who comes new is served like somebody who was there before.
            self.client = Client::connect(ctx).await?;
        }
        good_deposit(ctx, &mut self.client, &self.owner).await
    }
}

async fn attacked(ctx: &mut Ctx, attack: Attack, connections: usize, effort_min: u64) -> Judged {
    let target = ctx.own_target(&json!({})).await?;
    let (client, owner) = registered(ctx).await?;
    let mut honest = Depositor { client, owner, served: 0 };
    under(ctx, &target, &mut honest, Plan { attack, addresses: 1, connections, effort_min }).await
}

async fn half_open(attacker: Attacker) -> io::Result<()> {
    let stream = attacker.connect().await?;
    attacker.count(1);
    sleep(PATIENCE).await;
    drop(stream);
    Ok(())
}

async fn slow(attacker: Attacker) -> io::Result<()> {
    let mut stream = attacker.connect().await?;
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        stream.write_all(&[*byte]).await?;
        attacker.count(1);
        sleep(PATIENCE / 10).await;
    }
    Ok(())
}

async fn rapid_reset(attacker: Attacker) -> io::Result<()> {
    const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
    let mut connection = Connection::open(&attacker, WINDOW).await?;
    let headers = call("GetInfo");
    for _ in 0..1_000 {
        let mut batch = Vec::new();
        for _ in 0..BATCH {
            let stream = connection.stream();
            batch.extend(frame(kind::HEADERS, END_HEADERS, stream, &headers));
            batch.extend(frame(kind::RST_STREAM, 0, stream, &CANCEL));
        }
        connection.write(&batch).await?;
        attacker.count(u64::from(BATCH));
    }
    Ok(())
}

async fn continuation(attacker: Attacker) -> io::Result<()> {
    let mut connection = Connection::open(&attacker, WINDOW).await?;
    let stream = connection.stream();
    connection.write(&frame(kind::HEADERS, 0, stream, &call("GetInfo"))).await?;
    let more = header("x-more", &"a".repeat(16_000));
    for _ in 0..10_000 {
        connection.write(&frame(kind::CONTINUATION, 0, stream, &more)).await?;
        attacker.count(1);
    }
    Ok(())
}

/// Frames that have to be answered, by somebody who does not read.
async fn deaf(attacker: Attacker, one: &[u8]) -> io::Result<()> {
    let mut connection = Connection::open(&attacker, WINDOW).await?;
    let batch = one.repeat(BATCH as usize);
    for _ in 0..10_000 {
        connection.write_deaf(&batch).await?;
        attacker.count(u64::from(BATCH));
    }
    Ok(())
}

async fn pings(attacker: Attacker) -> io::Result<()> {
    deaf(attacker, &frame(kind::PING, 0, 0, &[7; 8])).await
}

async fn settings(attacker: Attacker) -> io::Result<()> {
    deaf(attacker, &frame(kind::SETTINGS, 0, 0, &[])).await
}

/// Opens as many calls as it may, whose answers it never lets through.
async fn zero_window(attacker: Attacker) -> io::Result<()> {
    let mut connection = Connection::open(&attacker, 0).await?;
    for _ in 0..64 {
        let stream = connection.stream();
        let headers = frame(kind::HEADERS, END_HEADERS, stream, &call("Pull"));
        connection.write(&headers).await?;
        attacker.count(1);
    }
    sleep(PATIENCE).await;
    Ok(())
}

async fn headers(attacker: Attacker) -> io::Result<()> {
    let mut connection = Connection::open(&attacker, WINDOW).await?;
    let much = [call("GetInfo"), header("x-much", &"a".repeat(15_000))].concat();
    for _ in 0..256 {
        let stream = connection.stream();
        connection.write(&frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &much)).await?;
        attacker.count(1);
    }
    Ok(())
}

async fn deadlines(attacker: Attacker) -> io::Result<()> {
    let mut connection = Connection::open(&attacker, WINDOW).await?;
    for timeout in ["1n", "0n", "99999999H", "-1S", ""] {
        let timed = [call("Sync"), header("grpc-timeout", timeout)].concat();
        for _ in 0..16 {
            let stream = connection.stream();
            let both = [
                frame(kind::HEADERS, END_HEADERS, stream, &timed),
                frame(kind::DATA, END_STREAM, stream, &[0; 5]),
            ];
            connection.write(&both.concat()).await?;
            attacker.count(1);
        }
        sleep(PATIENCE / 100).await;
    }
    Ok(())
}

/// A message whose head is `head`, and whose bytes go on.
async fn message(attacker: Attacker, head: [u8; 5]) -> io::Result<()> {
    let mut connection = Connection::open(&attacker, WINDOW).await?;
    for _ in 0..16 {
        let stream = connection.stream();
        let chunk = [0x55; 16_000];
        connection.write(&frame(kind::HEADERS, END_HEADERS, stream, &call("Sync"))).await?;
        connection.write(&frame(kind::DATA, 0, stream, &head)).await?;
        for _ in 0..16 {
            connection.write(&frame(kind::DATA, 0, stream, &chunk)).await?;
            attacker.count(1);
        }
    }
    Ok(())
}

async fn oversize(attacker: Attacker) -> io::Result<()> {
    message(attacker, [0, 0xff, 0xff, 0xff, 0xff]).await
}

async fn compressed(attacker: Attacker) -> io::Result<()> {
    message(attacker, [1, 0, 1, 0, 0]).await
}

/// All of them. `connections` is more than what one address may have.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("attack-relay.half-open", "RLY-70",
        "40 connections of one address that say nothing. Another address is served.",
        attacked, attack!(half_open), 40, 40).managed().slow(),
    script!("attack-relay.slow", "RLY-70",
        "40 connections of one address that say a byte now and then. Another is served.",
        attacked, attack!(slow), 40, 100).managed().slow(),
    script!("attack-relay.rapid-reset", "RLY-70",
        "Calls that are cancelled at once, as fast as they can be written. Another is served.",
        attacked, attack!(rapid_reset), 8, 1_000).managed().slow(),
    script!("attack-relay.continuation", "RLY-70",
        "Headers that never end. Another address is served, and memory stays bounded.",
        attacked, attack!(continuation), 8, 20).managed().slow(),
    script!("attack-relay.pings", "RLY-70",
        "Pings whose answers nobody reads. Another address is served, and memory stays bounded.",
        attacked, attack!(pings), 8, 1_000).managed().slow(),
    script!("attack-relay.settings", "RLY-70",
        "SETTINGS whose answers nobody reads. Another is served, and memory stays bounded.",
        attacked, attack!(settings), 8, 1_000).managed().slow(),
    script!("attack-relay.window-zero", "RLY-70",
        "Calls whose answers have no window. Another address is served.",
        attacked, attack!(zero_window), 32, 100).managed().slow(),
    script!("attack-relay.headers", "RLY-70",
        "Headers of 15,000 bytes, again and again. Another address is served.",
        attacked, attack!(headers), 16, 100).managed().slow(),
    script!("attack-relay.deadlines", "RLY-70",
        "Deadlines of a nanosecond, of 11,000 years, and ones that are none. Another is served.",
        attacked, attack!(deadlines), 16, 100).managed().slow(),
    script!("attack-relay.oversize", "RLY-70",
        "Messages that announce 4 GiB. Another is served, and memory stays bounded.",
        attacked, attack!(oversize), 16, 16).managed().slow(),
    script!("attack-relay.compressed", "RLY-70",
        "Messages that say that they are compressed. Another address is served.",
        attacked, attack!(compressed), 16, 16).managed().slow(),
];
