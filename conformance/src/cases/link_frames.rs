//! Faults on a link that is up: records and frames (`spec/link.md` 4.2 and 4.4,
//! `spec/gossip.md` 3 and 4).

use prost::Message;

use crate::case::{Ctx, unserved};
use crate::peer::{Link, Seen};
use crate::people::Person;
use crate::session::{hand_over, hello};
use crate::stack::crypto::public;
use crate::stack::frame::{Frame, raw};
use crate::stack::noise::Role;
use crate::stack::proofs::sign_mailbox;
use crate::stack::v1::{self, ByeReason, FrameType};
use crate::verdict::Verdict;

/// Whether a fault or its twin is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// The same without the fault.
    Good,
    /// With it.
    Bad,
}

/// What the maker of a frame knows.
#[derive(Debug)]
pub struct Desk<'a> {
    /// Who sends.
    pub person: &'a Person,
    /// Of this link.
    pub handshake_hash: [u8; 64],
    /// The wall clock.
    pub now: u64,
    /// Fault or twin.
    pub make: Make,
}

impl Desk<'_> {
    fn bad(&self) -> bool {
        self.make == Make::Bad
    }

    /// One of two values.
    fn pick<T>(&self, good: T, bad: T) -> T {
        if self.bad() { bad } else { good }
    }
}

/// How a target ends the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It closes.
    Close,
    /// It closes, and should have said `Bye{PROTOCOL}` (LNK-43).
    ByeShould,
    /// It says `Bye{PROTOCOL}` and closes.
    ByeMust,
    /// Not at all: it is no fault.
    Goes,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub enum Wrong {
    /// A plaintext, in as many records as it takes.
    Plain(fn(&Desk<'_>) -> Vec<u8>),
    /// Records as they travel, made of pings.
    Records(fn(&mut Link) -> Vec<u8>),
}

/// One fault.
#[derive(Debug)]
#[allow(missing_docs)] // as in Case
pub struct FrameFault {
    pub id: &'static str,
    pub req: &'static str,
    pub about: &'static str,
    pub wrong: Wrong,
    pub end: End,
}

/// Runs one: the twin first, then the fault, then a fresh connection.
pub async fn run(ctx: &mut Ctx, fault: &FrameFault) -> Verdict {
    match judge(ctx, fault).await {
        Ok(verdict) | Err(verdict) => verdict,
    }
}

async fn judge(ctx: &mut Ctx, fault: &FrameFault) -> Result<Verdict, Verdict> {
    match send(ctx, fault, Make::Good).await? {
        Seen::Alive => {}
        Seen::Nothing => {
            return Err(Verdict::Inconclusive("the twin was not answered in time".to_owned()));
        }
        seen => return Err(Verdict::Fail(format!("the twin is not accepted: {seen:?}"))),
    }
    let seen = send(ctx, fault, Make::Bad).await?;
    let protocol = ByeReason::Protocol as i32;
    let verdict = match (fault.end, seen) {
        (End::Goes, Seen::Alive) => Verdict::Pass,
        (End::Goes, Seen::Closed(bye)) => {
            return Err(Verdict::Fail(format!("it is no fault; the link ended, bye {bye:?}")));
        }
        (_, Seen::Alive) => return Err(Verdict::Fail("the link goes on".to_owned())),
        (_, Seen::Nothing) => {
            let text = "the link neither ended nor went on within the deadline";
            return Err(Verdict::Inconclusive(text.to_owned()));
        }
        (_, Seen::Broken(refused)) => {
            return Err(Verdict::Fail(format!("the target sent what is not allowed: {refused}")));
        }
        (End::ByeShould | End::ByeMust, Seen::Closed(Some(bye))) if bye == protocol => {
            Verdict::Pass
        }
        (End::ByeMust, Seen::Closed(bye)) => {
            return Err(Verdict::Fail(format!("closed with bye {bye:?} instead of PROTOCOL")));
        }
        (End::ByeShould, Seen::Closed(bye)) => {
            Verdict::Warn(format!("closed with bye {bye:?} instead of PROTOCOL (LNK-43)"))
        }
        (End::Close, Seen::Closed(_)) => Verdict::Pass,
    };
    ctx.still_serves().await?;
    Ok(verdict)
}

async fn send(ctx: &mut Ctx, fault: &FrameFault, make: Make) -> Result<Seen, Verdict> {
    let person = Person::stranger(&mut ctx.fresh);
    let now = ctx.now();
    let mut link = ctx.link(&person).await?;
    link.ping()
        .await
        .map_err(|ended| unserved(&format!("no pong before the fault: {ended}"), &ended))?;
    let desk = Desk { person: &person, handshake_hash: link.handshake_hash(), now, make };
    match (fault.wrong, make) {
        (Wrong::Plain(plain), _) => {
            for chunk in plain(&desk).chunks(16_384) {
                link.send_plain(chunk, if desk.bad() { "the fault" } else { "the twin" }).await;
            }
        }
        (Wrong::Records(records), Make::Bad) => {
            let bytes = records(&mut link);
            link.write(&bytes, "the fault, as records").await;
        }
        (Wrong::Records(_), Make::Good) => {
            let two = [ping(2), ping(3)].concat();
            link.send_plain(&two, "the twin").await;
        }
    }
    if desk.bad() && fault.end != End::Goes {
        return Ok(link.probe_end().await);
    }
    if fault.end == End::ByeMust {
        // What judges frames like these answers this one, so it has judged them.
        let answered = hand_over(&mut link, &[9]).await;
        link.note(if answered.is_ok() { "judged" } else { "no Ack for junk" });
    }
    Ok(link.probe().await)
}

fn ping(nonce: u64) -> Vec<u8> {
    Frame::Ping(v1::Ping { nonce }).bytes()
}

fn mailboxes(desk: &Desk<'_>, change: fn(&mut v1::Mailboxes)) -> Vec<u8> {
    let seed = &desk.person.intro_seed;
    let signature = sign_mailbox(seed, Role::Initiator, &desk.handshake_hash).to_vec();
    let mailbox = public(seed).to_vec();
    let mut frame = v1::Mailboxes { proofs: vec![v1::MailboxProof { mailbox, signature }] };
    if desk.bad() {
        change(&mut frame);
    }
    Frame::Mailboxes(frame).bytes()
}

fn greeting(desk: &Desk<'_>, change: fn(&mut v1::Hello)) -> Vec<u8> {
    let mut frame = hello(desk.person, desk.now);
    if desk.bad() {
        change(&mut frame);
    }
    Frame::Hello(frame).bytes()
}

/// The same `Hello`; the fault that is none has the fields in reverse, and one twice.
fn reversed_hello(desk: &Desk<'_>) -> Vec<u8> {
    let whole = hello(desk.person, desk.now);
    if !desk.bad() {
        return whole.encode_to_vec();
    }
    let last_first = [
        v1::Hello { unacked_max: 7, ..v1::Hello::default() },
        v1::Hello { unacked_max: whole.unacked_max, ..v1::Hello::default() },
        v1::Hello { my_card_seq: whole.my_card_seq, ..v1::Hello::default() },
        v1::Hello { now: whole.now, ..v1::Hello::default() },
        v1::Hello { store_id: whole.store_id, ..v1::Hello::default() },
    ];
    last_first.iter().flat_map(Message::encode_to_vec).collect()
}

fn card(desk: &Desk<'_>, change: fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut card = desk.person.card_bytes(0, desk.now);
    if desk.bad() {
        change(&mut card);
    }
    Frame::Card(v1::Card { card }).bytes()
}

fn ack(desk: &Desk<'_>, change: fn(&mut v1::Ack)) -> Vec<u8> {
    // Of an envelope that nobody handed over: ignored (GSP-15).
    let mut frame = v1::Ack {
        id: vec![7; 32],
        result: v1::AckResult::Stored as i32,
        reason: 0,
        retry_after_s: 0,
        now: desk.now,
    };
    if desk.bad() {
        change(&mut frame);
    }
    Frame::Ack(frame).bytes()
}

/// `Have`, `Want` or `Purge`, whose messages have one shape; a stranger's are ignored.
fn ids(desk: &Desk<'_>, kind: FrameType, change: fn(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut ids = vec![vec![7; 32]; 256];
    if desk.bad() {
        change(&mut ids);
    }
    raw(kind as u16, &v1::Have { ids }.encode_to_vec())
}

fn msg(desk: &Desk<'_>, change: fn(&mut v1::Msg)) -> Vec<u8> {
    // One malformed envelope is answered, not punished (GSP-23).
    let mut frame = v1::Msg { ttl: 255, stamp: vec![0; 64], envelope: vec![9] };
    if desk.bad() {
        change(&mut frame);
    }
    Frame::Msg(frame).bytes()
}

const fn plain(
    id: &'static str,
    req: &'static str,
    end: End,
    about: &'static str,
    make: fn(&Desk<'_>) -> Vec<u8>,
) -> FrameFault {
    FrameFault { id, req, about, wrong: Wrong::Plain(make), end }
}

const fn records(
    id: &'static str,
    req: &'static str,
    about: &'static str,
    make: fn(&mut Link) -> Vec<u8>,
) -> FrameFault {
    FrameFault { id, req, about, wrong: Wrong::Records(make), end: End::Close }
}

use End::{ByeMust, ByeShould, Goes};

/// All of them.
#[rustfmt::skip] // a table
pub const FAULTS: &[FrameFault] = &[
    records("record.flipped", "LNK-26", "One bit of a record is flipped. The link ends.",
        |link| { let mut r = link.record(&ping(2)); r[5] ^= 1; r }),
    records("record.replayed", "LNK-26", "A record is sent twice. The link ends.",
        |link| { let r = link.record(&ping(2)); [r.as_slice(), &r].concat() }),
    records("record.reordered", "LNK-26", "Two records change places. The link ends.",
        |link| { let (a, b) = (link.record(&ping(2)), link.record(&ping(3))); [b, a].concat() }),
    records("record.skipped", "LNK-26", "A record is left out. The link ends.",
        |link| { link.record(&ping(2)); link.record(&ping(3)) }),
    records("record.empty", "LNK-25", "A record without plaintext. The link ends.",
        |link| link.record(&[])),
    records("record.short", "LNK-25", "The length of a record says 15. The link ends.",
        |_| vec![0, 15]),
    plain("frame.length-0", "LNK-34", ByeShould, "A frame of length 0. The link ends.",
        |d| d.pick(ping(2), vec![0; 4])),
    plain("frame.length-1", "LNK-34", ByeShould, "A frame of length 1. The link ends.",
        |d| d.pick(ping(2), vec![0, 0, 0, 1, 0])),
    plain("frame.length-131073", "LNK-34", ByeShould,
        "The length 131,073 and a type. The link ends before the body comes.",
        |d| d.pick(ping(2), vec![0, 2, 0, 1, 0x0f, 0xff])),
    plain("frame.length-131072", "LNK-34", Goes,
        "A frame of 131,072 bytes, the most that there may be. The link goes on.",
        |_| raw(0x0fff, &[0; 131_070])),
    plain("frame.unknown-critical", "LNK-35", ByeShould,
        "A critical type that nobody knows. The link ends.",
        |d| raw(d.pick(0x0fff, 0x8fff), b"later")),
    plain("frame.unknown-skipped", "LNK-36", Goes,
        "A type that nobody knows and that is not critical. It is skipped.",
        |_| raw(0x0fff, b"later")),
    plain("frame.unknown-too-much", "LNK-37", ByeShould,
        "More than 1 MiB of frames to be skipped. The link ends; 7/8 of it are skipped.",
        |d| raw(0x0fff, &[0; 131_070]).repeat(d.pick(7, 9))),
    plain("frame.body-cut", "LNK-38", ByeShould, "A Ping whose number is cut off. The link ends.",
        |d| raw(5, d.pick(&[8, 1], &[8]))),
    plain("frame.unknown-field", "LNK-40", Goes, "A Ping with a field 15. It is answered.",
        |d| raw(5, d.pick(&[8, 1], &[8, 1, 0x7a, 1, 0]))),
    plain("frame.field-order", "LNK-38", Goes,
        "A Hello whose fields come last first. It is taken.",
        |d| raw(FrameType::Hello as u16, &reversed_hello(d))),
    plain("frame.second-auth", "LNK-33", ByeShould, "A second Auth. The link ends.",
        |d| d.pick(ping(2), Frame::Auth(v1::Auth {
            identity: d.person.identity().to_vec(), device_id: vec![1; 8],
            instance_id: vec![1; 16], version: 1, signature: vec![1; 64],
        }).bytes())),
    plain("frame.mailboxes-none", "LNK-39", ByeShould, "Mailboxes without a proof. The link ends.",
        |d| mailboxes(d, |m| m.proofs.clear())),
    plain("frame.mailboxes-17", "LNK-39", ByeShould, "Mailboxes with 17 proofs. The link ends.",
        |d| mailboxes(d, |m| m.proofs = vec![m.proofs[0].clone(); 17])),
    plain("frame.mailbox-short", "LNK-39", ByeShould, "A mailbox of 31 bytes. The link ends.",
        |d| mailboxes(d, |m| m.proofs[0].mailbox.truncate(31))),
    plain("frame.hello-features-257", "LNK-39", ByeShould, "257 bytes of features. The link ends.",
        |d| greeting(d, |m| m.features = vec![0; 257])),
    plain("frame.hello-store-short", "LNK-39", ByeShould, "A store id of 15 bytes. The link ends.",
        |d| greeting(d, |m| m.store_id.truncate(15))),
    plain("frame.hello-unacked-0", "LNK-39", ByeShould, "unacked_max 0. The link ends.",
        |d| greeting(d, |m| m.unacked_max = 0)),
    plain("frame.hello-unacked-65536", "LNK-39", ByeShould, "unacked_max 65,536. The link ends.",
        |d| greeting(d, |m| m.unacked_max = 65_536)),
    plain("frame.card-empty", "LNK-39", ByeShould, "A Card without a card. The link ends.",
        |d| card(d, Vec::clear)),
    plain("frame.card-8129", "LNK-39", ByeShould, "A card of 8,129 bytes. The link ends.",
        |d| card(d, |c| c.resize(8129, 0))),
    plain("frame.msg-ttl-256", "LNK-39", ByeShould, "A ttl of 256. The link ends.",
        |d| msg(d, |m| m.ttl = 256)),
    plain("frame.msg-stamp-65", "LNK-39", ByeShould, "A stamp of 65 bytes. The link ends.",
        |d| msg(d, |m| m.stamp.push(0))),
    plain("frame.msg-empty", "LNK-39", ByeShould, "A Msg without an envelope. The link ends.",
        |d| msg(d, |m| m.envelope.clear())),
    plain("frame.msg-67018", "LNK-39", ByeShould, "An envelope of 67,018 bytes. The link ends.",
        |d| msg(d, |m| m.envelope = vec![9; 67_018])),
    plain("frame.ack-id-short", "LNK-39", ByeShould,
        "An Ack with an id of 31 bytes. The link ends.",
        |d| ack(d, |m| m.id.truncate(31))),
    plain("frame.ack-unspecified", "LNK-42", ByeShould, "An Ack without a result. The link ends.",
        |d| ack(d, |m| m.result = 0)),
    plain("frame.ack-unknown", "LNK-42", ByeShould, "An Ack with the result 4. The link ends.",
        |d| ack(d, |m| m.result = 4)),
    plain("frame.ack-reason", "LNK-42", ByeShould, "STORED with a reason. The link ends.",
        |d| ack(d, |m| m.reason = 3)),
    plain("frame.wire-type", "CNV-18", ByeShould,
        "A Hello whose clock comes as eight bytes instead of a varint. The link ends.",
        |d| { let mut hello = hello(d.person, d.now);
              let clock = std::mem::take(&mut hello.now);
              let mut bytes = hello.encode_to_vec();
              if d.bad() { bytes.push(3 << 3 | 1); bytes.extend(clock.to_le_bytes()); }
              else { bytes.extend(v1::Hello { now: clock, ..v1::Hello::default() }
                  .encode_to_vec()); }
              raw(FrameType::Hello as u16, &bytes) }),
    plain("frame.enum-wide", "CNV-19", Goes,
        "An Ack whose result is 2^32 + 1, which is STORED. The link goes on.",
        |d| { let result = v1::AckResult::Stored as i32;
              let with = |result| v1::Ack { id: vec![7; 32], result, ..v1::Ack::default() };
              if !d.bad() { return Frame::Ack(with(result)).bytes(); }
              let mut bytes = with(0).encode_to_vec();
              bytes.extend([2 << 3, 0x81, 0x80, 0x80, 0x80, 0x10]);
              raw(FrameType::Ack as u16, &bytes) }),
    plain("frame.have-none", "LNK-39", ByeShould, "A Have without an id. The link ends.",
        |d| ids(d, FrameType::Have, Vec::clear)),
    plain("frame.have-257", "LNK-39", ByeShould, "A Have with 257 ids. The link ends.",
        |d| ids(d, FrameType::Have, |i| i.push(vec![7; 32]))),
    plain("frame.want-short", "LNK-39", ByeShould, "A Want with an id of 31 bytes. The link ends.",
        |d| ids(d, FrameType::Want, |i| i[0].truncate(31))),
    plain("frame.purge-257", "LNK-39", ByeShould, "A Purge with 257 keys. The link ends.",
        |d| ids(d, FrameType::Purge, |i| i.push(vec![7; 32]))),
    plain("gossip.proof-flipped", "GSP-06", ByeMust,
        "One bit of a mailbox proof is flipped. Bye{PROTOCOL}.",
        |d| mailboxes(d, |m| m.proofs[0].signature[3] ^= 1)),
    plain("gossip.proof-other-link", "IDN-04", ByeMust,
        "A mailbox proof of another link. Bye{PROTOCOL}.",
        |d| mailboxes(&Desk { handshake_hash: d.pick(d.handshake_hash, [7; 64]), ..*d }, |_| {})),
    plain("gossip.proof-other-mailbox", "GSP-06", ByeMust,
        "A mailbox that another key signed for. Bye{PROTOCOL}.",
        |d| mailboxes(d, |m| m.proofs[0].mailbox = public(&[9; 32]).to_vec())),
    plain("gossip.card-cut", "GSP-11", ByeMust, "A card whose last byte is missing. Bye{PROTOCOL}.",
        |d| card(d, |c| c.truncate(c.len() - 1))),
    plain("gossip.card-flipped", "GSP-11", ByeMust, "One bit of a card is flipped. Bye{PROTOCOL}.",
        |d| card(d, |c| { let last = c.len() - 1; c[last] ^= 1; })),
    plain("gossip.card-of-another", "GSP-11", ByeMust,
        "A good card of somebody else. Bye{PROTOCOL}.",
        |d| card(&Desk { person: d.pick(d.person, &Person::published("cyr")), ..*d }, |_| {})),
    plain("gossip.push-twice", "GSP-13", ByeMust,
        "A Push before the End of another. Bye{PROTOCOL}.",
        |d| { let push = Frame::Push(v1::Push { count: 0 }).bytes();
              let end = Frame::End(v1::End {}).bytes();
              [push.clone(), d.pick(end, push)].concat() }),
    plain("gossip.end-alone", "GSP-14", ByeMust, "An End without a Push. Bye{PROTOCOL}.",
        |d| { let push = Frame::Push(v1::Push { count: 0 }).bytes();
              let end = Frame::End(v1::End {}).bytes();
              if d.bad() { end } else { [push, end].concat() } }),
];
