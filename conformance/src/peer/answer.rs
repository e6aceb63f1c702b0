//! Answers a dial of the target and goes as far as a deviation lets it.

use std::time::Duration;

use tokio::net::TcpStream;

use super::deviation::Deviation;
use super::dial::{Lists, Plan, read_auth, send_auth, verify_auth};
use super::link::{Ended, Link};
use super::transcript::Log;
use crate::stack::crypto::Rng;
use crate::stack::link::with_length;
use crate::stack::noise::{Handshake, Role, common_version, version_list, versions_in};
use crate::stack::rule;

/// How far a link came that the target dialled.
#[derive(Debug)]
pub enum Answered {
    /// The target takes it for up, or says something after our `Auth`.
    Up(Box<Link>),
    /// It ended before a whole message 1 of the target.
    First(Ended),
    /// It ended after our message 2 and before the target's `Auth`; so many bytes came after it.
    Second(Ended, usize),
    /// It ended after our first record, without another byte.
    Auth(Ended),
}

/// Plays the responder on a connection that the target made.
pub async fn answer(
    stream: TcpStream,
    plan: &Plan<'_>,
    rng: &mut Rng,
    deadline: Duration,
    log: &Log,
) -> Answered {
    // What cannot be set shows as a slow link.
    let _set = stream.set_nodelay(true);
    let mut link = Link::new(stream, Role::Responder, deadline, log.clone());
    let first = match link.read_message().await {
        Ok(first) => first,
        Err(ended) => return Answered::First(ended),
    };
    let secret = rng.array();
    let mut handshake = match plan.deviation {
        Some(Deviation::OtherPrologue) => Handshake::with_prologue(secret, b"tortalk/v2/link\0"),
        _ => Handshake::new(secret),
    };
    let read = handshake.read_first(&first).and_then(|list| {
        let versions = versions_in(&list)?;
        common_version(&[1], &versions).map(|_| list)
    });
    let theirs = match read {
        Ok(list) => list,
        Err(refused) => return Answered::First(Ended::Broken(refused)),
    };
    let own = plan.deviation.map_or_else(|| version_list(&[1]), |d| d.payload(48));
    let (message, keys) = match plan.deviation.and_then(Deviation::share) {
        Some(share) => handshake.write_second_as(&share, &own),
        None => handshake.write_second(&own),
    };
    link.peer_list.clone_from(&theirs);
    link.each_byte = plan.deviation == Some(Deviation::ByteByByte);
    if let Some(bytes) = second_bytes(plan.deviation, &message, &first) {
        link.write(&bytes, "message 2").await;
    }
    link.keys = Some(keys);

    let before = link.received;
    let plain = match link.read_record().await {
        Ok(plain) => plain,
        Err(ended) => return Answered::Second(ended, link.received - before),
    };
    let lists = Lists { own: &own, peer: &theirs };
    let auth = read_auth(&plain).and_then(|auth| {
        verify_auth(&link, &auth, lists)?;
        Ok(auth)
    });
    match auth {
        Ok(auth) => link.auth = Some(auth),
        Err(refused) => {
            let came = link.received - before;
            return Answered::Second(Ended::Broken(refused), came);
        }
    }
    if plan.deviation == Some(Deviation::AuthLate) {
        let rule = rule("LNK-10: a byte before the responder's Auth");
        if let Err(ended) = link.stays_silent(rule).await {
            return Answered::Second(ended, link.received - before);
        }
    }
    if plan.deviation != Some(Deviation::AuthNever) {
        send_auth(&mut link, plan, lists).await;
    }
    if plan.deviation.is_none_or(Deviation::is_fine) {
        link.each_byte = false;
        link.note("the link is up");
        return Answered::Up(Box::new(link));
    }
    match link.read_end().await {
        Ok(_) => Answered::Up(Box::new(link)),
        Err(ended) => Answered::Auth(ended),
    }
}

/// Message 2 as it is written; `None` when nothing is.
fn second_bytes(deviation: Option<Deviation>, message: &[u8], first: &[u8]) -> Option<Vec<u8>> {
    let flipped = |at: usize| {
        let mut message = message.to_vec();
        message[at] ^= 1;
        with_length(&message)
    };
    Some(match deviation {
        Some(Deviation::SecondMissing) => return None,
        Some(Deviation::LengthZero) => vec![0, 0],
        Some(Deviation::LengthTooLong) => 513_u16.to_be_bytes().to_vec(),
        Some(Deviation::Banner) => b"220 mail.example ESMTP\r\n".to_vec(),
        Some(Deviation::ShareShort) => with_length(&message[..31]),
        Some(Deviation::ShareHighBit) => {
            let mut message = message.to_vec();
            message[31] |= 0x80;
            with_length(&message)
        }
        Some(Deviation::ShareOther) => flipped(7),
        Some(Deviation::PayloadFlipped) => flipped(33),
        Some(Deviation::TagFlipped) => flipped(message.len() - 1),
        Some(Deviation::Reflected) => with_length(first),
        _ => with_length(message),
    })
}
