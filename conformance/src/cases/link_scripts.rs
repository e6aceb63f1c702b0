//! What a target sends on links, how it ends them, and how many it has
//! (`spec/link.md` sections 3 and 4.4 to 4.5, `spec/limits.md` sections 1 and 2).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::{Script, script};
use crate::case::{Ctx, unserved};
use crate::peer::{Deviation, Ended, Link, Reached, dial_over};
use crate::people::Person;
use crate::session::{Session, hello, introduce};
use crate::stack::envelope::envelope_id;
use crate::stack::frame::{Frame, raw};
use crate::stack::link::with_length;
use crate::stack::noise::{Handshake, version_list, versions_in};
use crate::stack::v1::{self, AckResult, ByeReason};
use crate::verdict::{Judged, Verdict, check};

fn came(what: &str) -> impl Fn(Ended) -> Verdict {
    move |ended| unserved(&format!("{what}: {ended}"), &ended)
}

async fn stranger(ctx: &mut Ctx) -> Result<Box<Link>, Verdict> {
    let person = Person::stranger(&mut ctx.fresh);
    ctx.link(&person).await
}

async fn own_versions(ctx: &mut Ctx) -> Judged {
    let link = stranger(ctx).await?;
    let mut versions = versions_in(&link.peer_list).map_err(|r| Verdict::Fail(r.to_string()))?;
    let count = versions.len();
    versions.sort_unstable();
    versions.dedup();
    check(versions.contains(&1) && versions.len() == count, || {
        format!("its version list is {versions:?}, {count} entries")
    })
}

async fn highest_version(ctx: &mut Ctx) -> Judged {
    let person = Person::stranger(&mut ctx.fresh);
    let mut plan = ctx.plan(&person);
    plan.deviation = Some(Deviation::VersionsLater);
    match ctx.dial(&plan).await? {
        // That it names 1 was checked with its signature.
        Reached::Up(mut link) => link.ping().await.map_err(came("no pong")),
        Reached::First(ended, _) | Reached::Second(ended, _) => Err(came("no link")(ended)),
    }
}

async fn first_record(ctx: &mut Ctx) -> Judged {
    // A first record that is anything else ends the suite's handshake.
    let mut link = stranger(ctx).await?;
    check(link.auth.is_some(), || "no Auth".to_owned())?;
    link.ping().await.map_err(came("no pong"))
}

/// A contact's link on which the target says all that it says first.
async fn introduced(ctx: &mut Ctx) -> Result<Session, Verdict> {
    let mut session = Session::open(ctx, Person::contact(0)).await?;
    session.link.ping().await.map_err(came("no pong"))?;
    Ok(session)
}

async fn records(ctx: &mut Ctx) -> Judged {
    // Records without plaintext, and frames whose length is wrong, end the suite's reading.
    let session = introduced(ctx).await?;
    let frames = session.link.passed_over.len();
    check(frames > 0, || "the target sends nothing on a contact's link".to_owned())
}

async fn short_records(ctx: &mut Ctx) -> Judged {
    let session = introduced(ctx).await?;
    let longest = session.link.longest;
    check(longest <= 16_384, || format!("{longest} bytes of plaintext in one record"))
}

/// A link that ends because of a frame; what came at its end.
async fn ended_by(ctx: &mut Ctx, plain: &[u8]) -> Result<Box<Link>, Verdict> {
    let mut link = stranger(ctx).await?;
    link.ping().await.map_err(came("no pong"))?;
    link.passed_over.clear();
    link.send_plain(plain, "what ends a link").await;
    match link.to_end().await {
        Ended::Closed => Ok(link),
        ended => Err(came("it does not end")(ended)),
    }
}

fn is_bye(frame: &Frame) -> bool {
    matches!(frame, Frame::Bye(_))
}

async fn last_word(ctx: &mut Ctx) -> Judged {
    // Pings behind the fault: their answers would be frames after Bye.
    let ping = Frame::Ping(v1::Ping { nonce: 7 }).bytes();
    let link = ended_by(ctx, &[raw(0x8fff, b"later"), ping.repeat(20)].concat()).await?;
    let bye = link.passed_over.iter().position(is_bye);
    let Some(at) = bye else {
        return Err(Verdict::Inconclusive("it says no Bye (LNK-43)".to_owned()));
    };
    check(at + 1 == link.passed_over.len(), || "a frame comes after its Bye".to_owned())
}

async fn said_why(ctx: &mut Ctx) -> Judged {
    let link = ended_by(ctx, &raw(0x8fff, b"later")).await?;
    let last = link.passed_over.last();
    let said = matches!(last, Some(Frame::Bye(b)) if b.reason == ByeReason::Protocol as i32);
    check(said, || format!("its last frame is {}", last.map_or("none", Frame::name)))
}

async fn bye_unknown(ctx: &mut Ctx) -> Judged {
    for reason in [0, 77] {
        let link = ended_by(ctx, &Frame::Bye(v1::Bye { reason }).bytes()).await?;
        let blamed = link
            .passed_over
            .iter()
            .any(|frame| matches!(frame, Frame::Bye(b) if b.reason == ByeReason::Protocol as i32));
        check(!blamed, || format!("Bye with the reason {reason} counts as a fault"))?;
    }
    ctx.still_serves().await
}

async fn refusal_unknown(ctx: &mut Ctx) -> Judged {
    let mut link = stranger(ctx).await?;
    let result = AckResult::Refused as i32;
    let ack = v1::Ack { id: vec![7; 32], result, reason: 77, ..v1::Ack::default() };
    link.send(&Frame::Ack(ack)).await;
    link.ping().await.map_err(came("after a refusal for a later reason"))?;
    link.ping().await.map_err(came("after a refusal for a later reason"))
}

async fn after_bye(ctx: &mut Ctx) -> Judged {
    let mut session = introduced(ctx).await?;
    let letter = session.letter(ctx.now(), &mut ctx.fresh)?;
    let envelope = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    let bye = Frame::Bye(v1::Bye { reason: 0 }).bytes();
    let msg = v1::Msg { ttl: 0, stamp: Vec::new(), envelope: envelope.clone() };
    let both = [bye, Frame::Msg(msg).bytes()].concat();
    session.link.send_plain(&both, "Bye, and a letter behind it").await;
    let ended = session.link.to_end().await;
    check(ended == Ended::Closed, || format!("after our Bye: {ended}"))?;
    let id = envelope_id(&envelope);
    let acked =
        session.link.passed_over.iter().any(|f| matches!(f, Frame::Ack(ack) if ack.id == id));
    check(!acked, || "what came after our Bye was acknowledged".to_owned())?;
    let mut again = introduced(ctx).await?;
    let ack = again.hand_over(&envelope).await.map_err(came("no Ack"))?;
    check(ack.result == AckResult::Stored as i32, || {
        "what came after our Bye was taken in".to_owned()
    })
}

async fn nonces(ctx: &mut Ctx) -> Judged {
    let mut link = stranger(ctx).await?;
    for nonce in [0, 1, 127, 128, u64::from(u32::MAX) + 1, u64::MAX] {
        link.send(&Frame::Ping(v1::Ping { nonce })).await;
        let same = |f: &Frame| matches!(f, Frame::Pong(p) if p.nonce == nonce).then_some(());
        link.expect(same).await.map_err(came(&format!("no Pong of {nonce:#x}")))?;
    }
    Ok(())
}

/// Frames of each class, cut into two records at every byte of their first 24 and last 8.
async fn cut_frames(ctx: &mut Ctx) -> Judged {
    let person = Person::stranger(&mut ctx.fresh);
    let mut link = ctx.link(&person).await?;
    let frames = [
        Frame::Ping(v1::Ping { nonce: u64::MAX }).bytes(),
        Frame::Hello(hello(&person, ctx.now())).bytes(),
        Frame::Pull(v1::Pull {}).bytes(),
        Frame::Have(v1::Have { ids: vec![vec![7; 32]; 3] }).bytes(),
        Frame::Msg(v1::Msg { ttl: 1, stamp: vec![1; 16], envelope: vec![9; 300] }).bytes(),
        raw(0x0fff, b"not known"),
    ];
    for frame in frames {
        let length = frame.len();
        // Malformed envelopes are counted, so of those few.
        let few = if length > 300 { 3 } else { 24 };
        for at in (1..length).filter(|at| *at <= few || (few > 3 && *at + 8 >= length)) {
            link.send_plain(&frame[..at], "the first part of a frame").await;
            link.send_plain(&frame[at..], "the second part").await;
        }
        link.ping().await.map_err(came("after frames that were cut"))?;
    }
    Ok(())
}

/// Every byte of a record in a packet of its own, and many frames in one record.
async fn cut_stream(ctx: &mut Ctx) -> Judged {
    let mut link = stranger(ctx).await?;
    link.each_byte = true;
    link.ping().await.map_err(came("bytes that come one by one"))?;
    link.each_byte = false;
    let many = Frame::Ping(v1::Ping { nonce: 5 }).bytes().repeat(500);
    link.send_plain(&many, "500 pings in one record").await;
    link.ping().await.map_err(came("500 frames in one record"))
}

/// A dial of the target, joined with a connection to `other`: how many bytes the initiator
/// said, and how many the responder, until one of them closed or the deadline was over.
///
/// # Errors
/// When there is no dial, or no connection.
pub(super) async fn joined(ctx: &mut Ctx, other: SocketAddr) -> Result<(usize, usize), Verdict> {
    let host = super::dialled::host(ctx).await?;
    let Some(mut dialled) = host.invite(ctx.deadline).await else {
        return Err(Verdict::Inconclusive("the target dialled no beacon".to_owned()));
    };
    let mut back = TcpStream::connect(other)
        .await
        .map_err(|error| Verdict::Fail(format!("no connection is accepted: {error}")))?;
    let (mut one, mut two) = ([0; 4096], [0; 4096]);
    let (mut forth, mut answer) = (0, 0);
    let until = Instant::now() + ctx.deadline;
    loop {
        let (read, from_initiator) = tokio::select! {
            read = dialled.read(&mut one) => (read.unwrap_or(0), true),
            read = back.read(&mut two) => (read.unwrap_or(0), false),
            () = tokio::time::sleep_until(until) => return Ok((forth, answer)),
        };
        if read == 0 {
            return Ok((forth, answer));
        }
        // What cannot be passed on shows as the end.
        if from_initiator {
            forth += read;
            let _gone = back.write_all(&one[..read]).await;
        } else {
            answer += read;
            let _gone = dialled.write_all(&two[..read]).await;
        }
    }
}

/// The target, dialled by itself through the suite.
async fn itself(ctx: &mut Ctx) -> Judged {
    let (forth, answer) = joined(ctx, ctx.target).await?;
    check(forth > 37, || "it did not come to an Auth".to_owned())?;
    // Message 2 has 53 bytes; more would be an Auth.
    check(answer <= 53, || format!("the target answers itself with {answer} bytes"))?;
    ctx.still_serves().await
}

/// How long a connection lives on which `say` says something every second.
async fn lifetime(ctx: &mut Ctx, say: &[u8]) -> Result<Duration, Verdict> {
    let refused = |error: std::io::Error| Verdict::Fail(format!("no connection: {error}"));
    let mut stream = TcpStream::connect(ctx.target).await.map_err(refused)?;
    let began = Instant::now();
    let mut buffer = [0; 512];
    for at in 0..9 {
        if let Some(byte) = say.get(at) {
            // A closed connection is seen when it is read.
            let _gone = stream.write_all(&[*byte]).await;
        }
        let until = Duration::from_secs(1);
        match timeout(until, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return Ok(began.elapsed()),
            Ok(Ok(_)) => return Err(Verdict::Fail("it says something".to_owned())),
            Err(_) => {}
        }
    }
    Err(Verdict::Fail("it is not closed after 9 s".to_owned()))
}

async fn five_seconds(ctx: &mut Ctx, say: &[u8]) -> Judged {
    let lived = lifetime(ctx, say).await?;
    let fine = (Duration::from_millis(4_000)..Duration::from_millis(6_500)).contains(&lived);
    check(fine, || format!("it is closed after {lived:?}"))?;
    ctx.still_serves().await
}

async fn pinged(ctx: &mut Ctx) -> Judged {
    let mut link = stranger(ctx).await?;
    link.ping().await.map_err(came("no pong"))?;
    let silent = Instant::now();
    link.deadline = Duration::from_secs(18);
    let end = Instant::now() + link.deadline;
    while link.pings_answered() == 0 && Instant::now() < end {
        // Its pings are answered while another frame is waited for.
        link.deadline = Duration::from_millis(500);
        match link.expect(|_| None::<()>).await {
            Ok(()) | Err(Ended::TimedOut) => {}
            Err(ended) => return Err(came("it ends")(ended)),
        }
    }
    let after = silent.elapsed();
    let fine = (Duration::from_secs(14)..Duration::from_secs(17)).contains(&after);
    check(link.pings_answered() > 0 && fine, || format!("its Ping after {after:?}"))
}

/// Half a record now and then is no sign of life.
async fn dead(ctx: &mut Ctx) -> Judged {
    let mut link = stranger(ctx).await?;
    link.ping().await.map_err(came("no pong"))?;
    let silent = Instant::now();
    let record = link.record(&[0; 100]);
    for byte in record.iter().take(10) {
        link.write(&[*byte], "a byte of a record").await;
        sleep(Duration::from_secs(4)).await;
    }
    link.deadline = Duration::from_secs(10);
    let ended = link.to_end_unanswered().await;
    let after = silent.elapsed();
    check(ended == Ended::Closed, || format!("after {after:?}: {ended}"))?;
    let fine = (Duration::from_secs(43)..Duration::from_secs(48)).contains(&after);
    check(fine, || format!("it ends after {after:?}"))
}

/// A connection from this address that has message 2 and says no more.
async fn halfway(ctx: &mut Ctx, from: Ipv4Addr) -> Result<Option<TcpStream>, Verdict> {
    let lacking = |e: std::io::Error| Verdict::NotTested(format!("no such address here: {e}"));
    let socket = TcpSocket::new_v4().map_err(lacking)?;
    socket.bind((from, 0).into()).map_err(lacking)?;
    let Ok(mut stream) = socket.connect(ctx.target).await else { return Ok(None) };
    let first = Handshake::new(ctx.fresh.array()).write_first(&version_list(&[1]));
    if stream.write_all(&with_length(&first)).await.is_err() {
        return Ok(None);
    }
    let answered = timeout(ctx.deadline, stream.read_exact(&mut [0; 53])).await;
    Ok(matches!(answered, Ok(Ok(_))).then_some(stream))
}

/// How many of these are open when nothing happens any more.
async fn open_ones(streams: &mut Vec<TcpStream>, most: usize) -> usize {
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        streams.retain(|stream| {
            stream.try_read(&mut [0; 64]).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
        });
        if streams.len() <= most || Instant::now() > until {
            return streams.len();
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn half_open(ctx: &mut Ctx, addresses: u8, each: usize, most: usize) -> Judged {
    if !ctx.target.ip().is_loopback() {
        return Err(Verdict::NotTested("the target is not on loopback".to_owned()));
    }
    let mut streams = Vec::new();
    for last in 0..addresses {
        for _ in 0..each {
            streams.extend(halfway(ctx, Ipv4Addr::new(127, 0, 9, last + 1)).await?);
        }
    }
    check(!streams.is_empty(), || "nobody gets a message 2".to_owned())?;
    let open = open_ones(&mut streams, most).await;
    check(open <= most, || format!("{open} connections are open, unauthenticated"))?;
    drop(streams);
    ctx.still_serves().await
}

/// A stranger's link from an address of its own.
async fn linked_from(ctx: &mut Ctx, person: &Person, device: u8) -> Option<Box<Link>> {
    let mut plan = ctx.plan(person);
    plan.device_id[0] ^= device;
    let stream = TcpStream::connect(ctx.target).await.ok()?;
    match dial_over(stream, &plan, &mut ctx.fresh, ctx.deadline, &ctx.log).await {
        Reached::Up(link) => Some(link),
        Reached::First(..) | Reached::Second(..) => None,
    }
}

/// Links at once, of which so many may live; all of strangers, or of one person's devices.
async fn at_once(ctx: &mut Ctx, one: Option<&str>, tried: u8, most: usize) -> Judged {
    let mut links = Vec::new();
    for number in 0..tried {
        let person = one.map_or_else(|| Person::stranger(&mut ctx.fresh), Person::published);
        links.extend(linked_from(ctx, &person, number).await);
    }
    let mut alive = 0;
    for link in &mut links {
        alive += usize::from(link.ping().await.is_ok());
    }
    check((1..=most).contains(&alive), || format!("{alive} of {tried} links live"))?;
    // A contact is served all the same.
    let other = Person::published(if one == Some("ada") { "ben" } else { "ada" });
    let mut link = ctx.link(&other).await?;
    introduce(&mut link, &other, 1, ctx.now()).await;
    link.ping().await.map_err(came("a contact meanwhile"))?;
    drop(links);
    // And a stranger, as soon as there is room.
    for _ in 0..50 {
        if ctx.still_serves().await.is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    ctx.still_serves().await
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("link.versions-own", "LNK-06",
        "The target's version list. It has 1, and nothing twice.", own_versions),
    script!("link.version-highest", "LNK-04",
        "Versions 9, 1 and 7. The target's Auth names 1, the only one in common.",
        highest_version),
    script!("link.first-record", "LNK-08",
        "The target's first record is its Auth and nothing else.", first_record),
    script!("link.itself", "LNK-31",
        "The suite joins a dial of the target with the target. It does not answer itself.", itself),
    script!("record.sent", "LNK-11",
        "What the target sends to a contact. No record is without plaintext.", records),
    script!("record.sent-short", "LNK-12",
        "What the target sends to a contact. Records have at most 16,384 bytes.", short_records),
    script!("frame.sent", "LNK-13",
        "What the target sends to a contact. Lengths count exactly type and body.", records),
    script!("frame.last-word", "LNK-14",
        "A fault and pings behind it. Nothing comes after the target's Bye.", last_word),
    script!("frame.bye-said", "LNK-43",
        "A critical type that nobody knows. Bye{PROTOCOL} is the last frame.", said_why),
    script!("frame.bye-unknown", "LNK-41",
        "Bye with a reason that nobody knows. The link ends as with one without a reason.",
        bye_unknown),
    script!("frame.refusal-unknown", "LNK-41",
        "A refusal for a reason that nobody knows. The link goes on.", refusal_unknown),
    script!("frame.after-bye", "LNK-44",
        "A letter right behind our Bye. The link ends, and the letter was not taken in.",
        after_bye),
    script!("frame.nonces", "LNK-47",
        "Pings with the least and the largest nonces. Each Pong has the same.", nonces),
    script!("frame.cut", "LNK-34",
        "Frames of each class cut into two records at every byte. They are read as whole.",
        cut_frames),
    script!("record.cut", "LNK-26",
        "A record that comes byte by byte, and one with 500 frames. Both are read.", cut_stream),
    script!("link.five-seconds", "LNK-45",
        "A connection that says nothing. It is closed after 5 s.", five_seconds, &[]).slow(),
    script!("link.five-seconds-drip", "LIM-01",
        "A connection that says a byte a second. It is closed after 5 s.",
        five_seconds, &[0, 35, 1, 2, 3, 4, 5, 6, 7]).slow(),
    script!("link.silent", "LIM-03",
        "A connection with bytes that are no whole first message. It is closed without a byte.",
        five_seconds, &[2, 0]).slow(),
    script!("link.pinged", "LNK-46",
        "A link on which nothing is sent. The target's Ping comes after 15 s.", pinged).slow(),
    script!("link.dead", "LNK-49",
        "A link on which half a record comes, byte by byte. It ends after 45 s.", dead).slow(),
    script!("link.half-open-8", "LIM-02",
        "20 handshakes of one address that stop halfway. At most 8 stay open.",
        half_open, 1, 20, 8),
    script!("link.half-open-64", "LIM-02",
        "80 handshakes of ten addresses that stop halfway. At most 64 stay open.",
        half_open, 10, 8, 64),
    script!("link.strangers-64", "LIM-05",
        "70 strangers at once. At most 64 have a link; a contact has one, too.",
        at_once, None, 70, 64),
    script!("link.devices-8", "LIM-10",
        "11 devices of one contact at once. At most 8 have a link.",
        at_once, Some("ada"), 11, 8),
];
