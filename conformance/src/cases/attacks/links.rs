//! Attacks on a node from eight addresses (`spec/limits.md`).

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::attack::{ADDRESSES, Attack, Attacker, Honest, Plan, attack, under};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::peer::{Link, Log, Plan as Dial, Reached, dial_over};
use crate::people::Person;
use crate::session::{Letter, Session, expect_card, introduce};
use crate::stack::crypto::Rng;
use crate::stack::frame::{Frame, raw};
use crate::stack::link::with_length;
use crate::stack::noise::{Handshake, version_list};
use crate::stack::v1::{self, AckResult};
use crate::verdict::{Judged, Verdict, check};

/// How long a connection is held that says nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many frames one stranger sends before they come anew.
const FRAMES: u32 = 512;

/// A contact who talks, and now and then comes anew.
struct Talker {
    session: Session,
    served: usize,
}

impl Honest for Talker {
    async fn serve(&mut self, ctx: &mut Ctx) -> Judged {
        self.served += 1;
        if self.served.is_multiple_of(5) {
            self.session = Session::open(ctx, Person::contact(self.served)).await?;
        }
        let letter = self.session.letter(ctx.now(), &mut ctx.fresh)?;
        let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
        let ack = self.session.hand_over(&bytes).await;
        let ack = ack.map_err(|ended| Verdict::Fail(format!("a letter has no Ack: {ended}")))?;
        check(ack.result == AckResult::Stored as i32, || "a letter is not stored".to_owned())?;
        self.session.link.passed_over.clear();
        Ok(())
    }
}

async fn attacked(ctx: &mut Ctx, attack: Attack, connections: usize, effort_min: u64) -> Judged {
    let target = ctx.own_target(&json!({})).await?;
    let session = Session::open(ctx, Person::contact(0)).await?;
    let mut honest = Talker { session, served: 0 };
    let addresses = ADDRESSES;
    under(ctx, &target, &mut honest, Plan { attack, addresses, connections, effort_min }).await
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Randomness that no other attacker has.
fn fresh(attacker: &Attacker) -> Rng {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Rng::new(&nanos.to_be_bytes(), &format!("{} {}", attacker.from, attacker.number))
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
    let first = with_length(&Handshake::new([7; 32]).write_first(&version_list(&[1])));
    for byte in &first {
        stream.write_all(&[*byte]).await?;
        attacker.count(1);
        sleep(PATIENCE / 10).await;
    }
    Ok(())
}

/// Lets the target compute its half of a handshake, and leaves.
async fn handshakes(attacker: Attacker) -> io::Result<()> {
    let mut stream = attacker.connect().await?;
    let secret = fresh(&attacker).array();
    let first = with_length(&Handshake::new(secret).write_first(&version_list(&[1])));
    stream.write_all(&first).await?;
    stream.readable().await?;
    attacker.count(1);
    Ok(())
}

async fn rubbish(attacker: Attacker) -> io::Result<()> {
    let mut stream = attacker.connect().await?;
    let bytes: [u8; 2_048] = fresh(&attacker).array();
    attacker.count(1);
    stream.write_all(&bytes).await
}

/// A stranger's link that is up.
async fn stranger(attacker: &Attacker) -> io::Result<(Person, Box<Link>)> {
    let stream = attacker.connect().await?;
    let mut rng = fresh(attacker);
    let person = Person::stranger(&mut rng);
    let plan = Dial {
        person: &person,
        device_id: person.device_id,
        instance_id: rng.array(),
        deviation: None,
    };
    let deadline = Duration::from_secs(2);
    match dial_over(stream, &plan, &mut rng, deadline, &Log::default()).await {
        Reached::Up(link) => Ok((person, link)),
        _ => Err(io::ErrorKind::ConnectionRefused.into()),
    }
}

/// Sends one frame again and again, until the target has enough of it.
async fn frames(attacker: Attacker, frame: &[u8]) -> io::Result<()> {
    let (_, mut link) = stranger(&attacker).await?;
    for _ in 0..FRAMES {
        for chunk in frame.chunks(16_384) {
            let record = link.record(chunk);
            link.write_now(&record).await?;
        }
        attacker.count(1);
    }
    Ok(())
}

async fn oversize(attacker: Attacker) -> io::Result<()> {
    frames(attacker, &raw(0x7fff, &[7; 131_000])).await
}

async fn pings(attacker: Attacker) -> io::Result<()> {
    frames(attacker, &Frame::Ping(v1::Ping { nonce: 7 }).bytes()).await
}

fn ids() -> Vec<Vec<u8>> {
    (0..=255).map(|at| vec![at; 32]).collect()
}

async fn haves(attacker: Attacker) -> io::Result<()> {
    frames(attacker, &Frame::Have(v1::Have { ids: ids() }).bytes()).await
}

async fn wants(attacker: Attacker) -> io::Result<()> {
    frames(attacker, &Frame::Want(v1::Want { ids: ids() }).bytes()).await
}

async fn purges(attacker: Attacker) -> io::Result<()> {
    frames(attacker, &Frame::Purge(v1::Purge { keys: ids() }).bytes()).await
}

async fn cards(attacker: Attacker) -> io::Result<()> {
    let (person, mut link) = stranger(&attacker).await?;
    for at in 0..u64::from(FRAMES) {
        let card = person.card_bytes(0, now() + at);
        let record = link.record(&Frame::Card(v1::Card { card }).bytes());
        link.write_now(&record).await?;
        attacker.count(1);
    }
    Ok(())
}

/// Envelopes for the intro mailbox that open and are nothing (LIM-09).
async fn openings(attacker: Attacker) -> io::Result<()> {
    let (person, mut link) = stranger(&attacker).await?;
    let mut rng = fresh(&attacker);
    introduce(&mut link, &person, 0, now()).await;
    let gone = |_| io::Error::from(io::ErrorKind::ConnectionReset);
    let card = expect_card(&mut link, 0).await.map_err(gone)?;
    for _ in 0..FRAMES {
        let letter = Letter::new(&person, &card, now(), &mut rng);
        let letter = letter.ok_or(io::ErrorKind::InvalidData)?;
        let envelope =
            letter.seal(|_| {}).map_err(|refused| io::Error::other(refused.to_string()))?;
        let msg = v1::Msg { ttl: 0, stamp: Vec::new(), envelope };
        let record = link.record(&Frame::Msg(msg).bytes());
        link.write_now(&record).await?;
        attacker.count(1);
    }
    Ok(())
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("attack.half-open", "LIM-04",
        "96 connections of eight addresses that say nothing. A contact is served.",
        attacked, attack!(half_open), 12, 64).managed().slow(),
    script!("attack.slow", "LIM-04",
        "96 connections that say a byte of a handshake now and then. A contact is served.",
        attacked, attack!(slow), 12, 100).managed().slow(),
    script!("attack.handshakes", "LIM-04",
        "First messages of handshakes, as fast as they are answered. A contact is served.",
        attacked, attack!(handshakes), 2, 100).managed().slow(),
    script!("attack.rubbish", "LIM-04",
        "Rubbish, again and again. A contact is served.",
        attacked, attack!(rubbish), 4, 100).managed().slow(),
    script!("attack.oversize", "LIM-11",
        "Strangers' frames of 131,000 bytes. A contact is served, and memory stays bounded.",
        attacked, attack!(oversize), 2, 50).managed().slow(),
    script!("attack.pings", "LIM-11",
        "Strangers' pings whose answers nobody reads. A contact is served.",
        attacked, attack!(pings), 2, 100).managed().slow(),
    script!("attack.haves", "LIM-11",
        "Strangers' lists of 256 ids that they have. A contact is served, memory stays bounded.",
        attacked, attack!(haves), 2, 50).managed().slow(),
    script!("attack.wants", "LIM-11",
        "Strangers' lists of 256 ids that they want. A contact is served.",
        attacked, attack!(wants), 2, 50).managed().slow(),
    script!("attack.purges", "LIM-11",
        "Strangers' lists of 256 purge keys. A contact is served.",
        attacked, attack!(purges), 2, 50).managed().slow(),
    script!("attack.cards", "LIM-11",
        "Strangers' cards, each newer than the last. A contact is served.",
        attacked, attack!(cards), 2, 50).managed().slow(),
    script!("attack.openings", "LIM-11",
        "Strangers' envelopes that have to be opened. A contact is served.",
        attacked, attack!(openings), 1, 50).managed().slow(),
];
