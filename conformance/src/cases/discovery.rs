//! Beacons of the target, and what it does with those of the suite (`spec/discovery.md`).

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use prost::Message;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::dialled::{host, up};
use super::{Script, script};
use crate::case::{Ctx, unserved};
use crate::nearby::{Ear, Heard, Host, Mouth, next_ttl, own_address};
use crate::peer::Reached;
use crate::people::Person;
use crate::stack::frame::{Frame, raw};
use crate::stack::v1::{Beacon, ByeReason};
use crate::verdict::{Judged, Verdict, check};

/// A dial on one machine takes far less.
const SOON: Duration = Duration::from_millis(300);
/// In a neighbourhood that has just changed a beacon comes within 6 s (DSC-06).
const NEXT_BEACON: Duration = Duration::from_millis(6_500);

fn inconclusive(text: &str) -> Verdict {
    Verdict::Inconclusive(text.to_owned())
}

fn lacking(error: std::io::Error) -> Verdict {
    Verdict::NotTested(format!("the suite cannot be a neighbour: {error}"))
}

fn own(ctx: &Ctx) -> Result<Ipv4Addr, Verdict> {
    own_address(ctx.target).map_err(lacking)
}

fn ear(ctx: &Ctx) -> Result<Ear, Verdict> {
    Ear::open(own(ctx)?).map_err(lacking)
}

/// Another host is dialled, so whatever came before its beacon has been judged.
async fn marker(ctx: &mut Ctx) -> Judged {
    let other = host(ctx).await?;
    ctx.log.add(crate::peer::Direction::Note, "a beacon that is good", &[]);
    let dialled = other.invite(ctx.deadline).await;
    dialled.map(|_| ()).ok_or_else(|| inconclusive("a good beacon led to no dial"))
}

/// A datagram that has to be dropped.
async fn dropped(ctx: &mut Ctx, make: fn(Beacon) -> Vec<u8>) -> Judged {
    let host = host(ctx).await?;
    let datagram = make(host.beacon());
    is_dropped(ctx, &host, &datagram).await
}

async fn is_dropped(ctx: &mut Ctx, host: &Host, datagram: &[u8]) -> Judged {
    host.say(datagram, "what has to be dropped");
    marker(ctx).await?;
    if host.dialled(Instant::now() + SOON).await.is_some() {
        return Err(Verdict::Fail("the target dials because of it".to_owned()));
    }
    // The twin: the same address, and a beacon without the fault.
    let dialled = host.invite(ctx.deadline).await;
    dialled.map(|_| ()).ok_or_else(|| inconclusive("the same without the fault led to no dial"))
}

/// A datagram that has to be heeded.
async fn heeded(ctx: &mut Ctx, make: fn(Beacon) -> Vec<u8>) -> Judged {
    let host = host(ctx).await?;
    let datagram = make(host.beacon());
    for _ in 0..3 {
        host.say(&datagram, "what has to be heeded");
        if host.dialled(Instant::now() + SOON).await.is_some() {
            return Ok(());
        }
    }
    marker(ctx).await?;
    Err(Verdict::Fail("the target does not dial because of it".to_owned()))
}

/// The fields and one that nobody knows, so many bytes in all.
fn padded(beacon: &Beacon, length: usize) -> Vec<u8> {
    let mut bytes = beacon.encode_to_vec();
    let room = length - bytes.len() - 2;
    // Up to 127 the length of the field is one byte, from there on two.
    let room = if room > 127 { room - 1 } else { room };
    bytes.push(0x7a);
    if room > 127 {
        bytes.push(room as u8 | 0x80);
    }
    bytes.push((if room > 127 { room >> 7 } else { room }) as u8);
    bytes.resize(length, 0);
    bytes
}

/// Version, port and instance id as encoded fields that can be put together otherwise.
fn fields(beacon: &Beacon) -> [Vec<u8>; 3] {
    let only = |beacon: Beacon| beacon.encode_to_vec();
    [
        only(Beacon { version: beacon.version, ..Beacon::default() }),
        only(Beacon { port: beacon.port, ..Beacon::default() }),
        only(Beacon { instance_id: beacon.instance_id.clone(), ..Beacon::default() }),
    ]
}

async fn own_instance(ctx: &mut Ctx) -> Judged {
    let person = Person::stranger(&mut ctx.fresh);
    let link = ctx.link(&person).await?;
    let instance_id = link.auth.as_ref().map(|auth| auth.instance_id.clone());
    let host = host(ctx).await?;
    let beacon = Beacon { instance_id: instance_id.unwrap_or_default(), ..host.beacon() };
    is_dropped(ctx, &host, &beacon.encode_to_vec()).await
}

async fn low_port(ctx: &mut Ctx) -> Judged {
    let other = host(ctx).await?;
    let at = SocketAddrV4::new(*other.address.ip(), 1023);
    let low = Host::open_at(at, ctx.target, &mut ctx.fresh, &ctx.log).await;
    let low = low.map_err(|e| Verdict::NotTested(format!("port 1023 cannot be had: {e}")))?;
    low.say(&low.beacon().encode_to_vec(), "a beacon with port 1023");
    let dialled = other.invite(ctx.deadline).await;
    dialled.ok_or_else(|| inconclusive("a good beacon led to no dial"))?;
    let wrong = low.dialled(Instant::now() + SOON).await.is_some();
    check(!wrong, || "the target dials port 1023".to_owned())
}

async fn far_source(ctx: &mut Ctx) -> Judged {
    let lo = own(ctx)?;
    // Nothing is sent there: it says which address the machine has besides.
    let far = own_address(SocketAddr::from(([198, 51, 100, 1], 9))).map_err(lacking)?;
    if !lo.is_loopback() || far.is_loopback() {
        return Err(Verdict::NotTested("the machine has no second address".to_owned()));
    }
    let at = SocketAddrV4::new(far, 0);
    let host = Host::open_at(at, ctx.target, &mut ctx.fresh, &ctx.log).await.map_err(lacking)?;
    let mouth = Mouth::open_on(far, lo).map_err(lacking)?;
    let ear = ear(ctx)?;
    mouth.say(&host.beacon().encode_to_vec()).map_err(lacking)?;
    let heard = ear.wait(host.address.port(), 1, ctx.deadline).await;
    if heard.iter().all(|heard| heard.source.ip() != far) {
        return Err(Verdict::NotTested("the system lets no such datagram through".to_owned()));
    }
    marker(ctx).await?;
    let wrong = host.dialled(Instant::now() + SOON).await.is_some();
    check(!wrong, || "the target dials a source that is not on-link".to_owned())
}

async fn source(ctx: &mut Ctx) -> Judged {
    let host = host(ctx).await?;
    // The same port at another address of the machine; nobody says that one.
    let at = SocketAddrV4::new(own(ctx)?, host.address.port());
    let other = Host::open_at(at, ctx.target, &mut ctx.fresh, &ctx.log).await.map_err(lacking)?;
    let dialled = host.invite(ctx.deadline).await;
    let wrong = other.dialled(Instant::now() + SOON).await.is_some();
    check(!wrong, || "the target dials another address than the datagram's source".to_owned())?;
    dialled.map(|_| ()).ok_or_else(|| inconclusive("a good beacon led to no dial"))
}

async fn unanswered(ctx: &mut Ctx) -> Judged {
    let host = host(ctx).await?;
    let dialled = host.invite(ctx.deadline).await;
    dialled.ok_or_else(|| inconclusive("a good beacon led to no dial"))?;
    check(!host.mouth.was_answered(), || "a datagram answers a beacon".to_owned())
}

/// The next beacon of the target after its neighbourhood has changed.
async fn provoked(ctx: &mut Ctx, ear: &Ear) -> Result<Heard, Verdict> {
    let person = Person::stranger(&mut ctx.fresh);
    let link = ctx.link(&person).await?;
    let moment = Instant::now();
    drop(link);
    let heard = ear.after(ctx.target.port(), moment, NEXT_BEACON).await;
    heard.ok_or_else(|| inconclusive("no beacon of the target is heard"))
}

async fn content(ctx: &mut Ctx) -> Judged {
    let ear = ear(ctx)?;
    let heard = provoked(ctx, &ear).await?;
    ctx.log.add(crate::peer::Direction::Received, "a beacon", &heard.bytes);
    let beacon = heard.beacon();
    let beacon = beacon.ok_or_else(|| Verdict::Fail("its beacon is none".to_owned()))?;
    check(beacon.version == 1, || format!("version {}", beacon.version))?;
    // Exactly these three fields: written again they are as long.
    let again = beacon.encode_to_vec();
    check(again.len() == heard.bytes.len(), || "there is more in it than three fields".to_owned())?;
    let person = Person::stranger(&mut ctx.fresh);
    let link = ctx.link(&person).await?;
    let auth = link.auth.as_ref().map(|auth| auth.instance_id.clone());
    check(auth == Some(beacon.instance_id), || "Auth has another instance id".to_owned())
}

async fn from_address(ctx: &mut Ctx) -> Judged {
    let ear = ear(ctx)?;
    let heard = provoked(ctx, &ear).await?;
    let fine = heard.source.ip() == ctx.target.ip();
    check(fine, || format!("its beacon comes from {}", heard.source.ip()))
}

async fn time_to_live(ctx: &mut Ctx) -> Judged {
    let own = own(ctx)?;
    let person = Person::stranger(&mut ctx.fresh);
    let link = ctx.link(&person).await?;
    drop(link);
    let ttl = next_ttl(own, ctx.target.port(), NEXT_BEACON).await;
    let ttl = ttl.map_err(|e| Verdict::NotTested(format!("no raw socket: {e}")))?;
    let ttl = ttl.ok_or_else(|| inconclusive("no beacon of the target is heard"))?;
    check(ttl == 1, || format!("the TTL is {ttl}"))
}

async fn shared_port(ctx: &mut Ctx) -> Judged {
    let (first, second) = (ear(ctx)?, ear(ctx)?);
    let heard = provoked(ctx, &first).await?;
    let also = second.after(ctx.target.port(), heard.at - SOON, ctx.deadline).await;
    check(also.is_some(), || "only one process hears its beacon".to_owned())?;
    marker(ctx).await
}

/// Other nodes on this network change the target's neighbourhood, and so its schedule.
fn undisturbed(ctx: &Ctx, ear: &Ear, began: Instant, judged: Judged) -> Judged {
    let own = u32::from(ctx.target.port());
    let others = ear
        .all(|heard| heard.at > began && heard.beacon().is_some_and(|beacon| beacon.port != own));
    match judged {
        Err(Verdict::Fail(text)) if !others.is_empty() => {
            Err(inconclusive(&format!("{text}; there are other nodes on this network")))
        }
        judged => judged,
    }
}

async fn quick(ctx: &mut Ctx) -> Judged {
    let ear = ear(ctx)?;
    let began = Instant::now();
    let _target = ctx.own_target(&json!({})).await?;
    let heard = ear.wait(ctx.target.port(), 3, Duration::from_secs(3)).await;
    check(heard.len() >= 3, || format!("{} beacons within 3 s of the start", heard.len()))?;
    let gap = |at: usize| heard[at + 1].at.duration_since(heard[at].at).as_millis();
    let judged = check((150..=450).contains(&gap(0)) && (550..=950).contains(&gap(1)), || {
        format!("{} ms and {} ms apart instead of 250 and 750", gap(0), gap(1))
    });
    undisturbed(ctx, &ear, began, judged)
}

async fn schedule(ctx: &mut Ctx) -> Judged {
    let ear = ear(ctx)?;
    let began = Instant::now();
    let _target = ctx.own_target(&json!({})).await?;
    let heard = ear.wait(ctx.target.port(), 5, Duration::from_secs(20)).await;
    check(heard.len() >= 5, || format!("{} beacons within 20 s", heard.len()))?;
    let gap = |at: usize| heard[at + 1].at.duration_since(heard[at].at).as_millis();
    let judged =
        check((3_800..=6_300).contains(&gap(2)) && (5_800..=9_400).contains(&gap(3)), || {
            format!("the first waits are {} ms and {} ms", gap(2), gap(3))
        });
    undisturbed(ctx, &ear, began, judged)
}

/// A beacon that leads to nobody.
async fn closed_port(ctx: &mut Ctx) -> Judged {
    let host = host(ctx).await?;
    let (from, beacon) = (*host.address.ip(), host.beacon());
    drop(host);
    let mouth = Mouth::open(from).map_err(lacking)?;
    mouth.say(&beacon.encode_to_vec()).map_err(lacking)
}

async fn failed_dial(ctx: &mut Ctx) -> Judged {
    let ear = ear(ctx)?;
    let moment = Instant::now();
    closed_port(ctx).await?;
    let heard = ear.after(ctx.target.port(), moment, Duration::from_millis(2_500)).await;
    check(heard.is_some(), || "no beacon within 2.5 s".to_owned())
}

async fn apart(ctx: &mut Ctx) -> Judged {
    let ear = ear(ctx)?;
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        closed_port(ctx).await?;
        sleep(Duration::from_millis(100)).await;
    }
    let heard = ear.of_port(ctx.target.port());
    if heard.len() < 2 {
        return Err(inconclusive("too few beacons to see how far apart they are"));
    }
    let gaps: Vec<u128> =
        heard.windows(2).map(|two| two[1].at.duration_since(two[0].at).as_millis()).collect();
    // One that the schedule wants may come at any time.
    let short = gaps.iter().filter(|gap| **gap < 900).count();
    check(short <= 1, || format!("beacons beside the schedule, ms apart: {gaps:?}"))
}

async fn peer_gone(ctx: &mut Ctx) -> Judged {
    let ear = ear(ctx)?;
    let moment = Instant::now();
    let heard = provoked(ctx, &ear).await?;
    let after = heard.at.duration_since(moment);
    check(after < Duration::from_millis(2_500), || format!("it comes after {after:?}"))
}

async fn no_v6_on_loopback(ctx: &mut Ctx) -> Judged {
    if !own(ctx)?.is_loopback() {
        return Err(Verdict::NotTested("the target is not on loopback".to_owned()));
    }
    let name = if cfg!(target_os = "linux") { "/sys/class/net/lo/ifindex" } else { "" };
    let index = std::fs::read_to_string(name).ok().and_then(|text| text.trim().parse().ok());
    let index = index.ok_or_else(|| Verdict::NotTested("no number of loopback".to_owned()))?;
    let v6 = Ear::open_v6(index).map_err(lacking)?;
    let v4 = ear(ctx)?;
    provoked(ctx, &v4).await?;
    let wrong = v6.of_port(ctx.target.port());
    check(wrong.is_empty(), || "an IPv6 beacon came on loopback".to_owned())
}

async fn dialled_once(ctx: &mut Ctx) -> Judged {
    let host = host(ctx).await?;
    let first = host.invite(ctx.deadline).await;
    drop(first.ok_or_else(|| inconclusive("a good beacon led to no dial"))?);
    let until = Instant::now() + Duration::from_millis(1_200);
    let beacon = host.beacon().encode_to_vec();
    while Instant::now() < until {
        host.say(&beacon, "the beacon again");
        if host.dialled(Instant::now() + SOON).await.is_some() {
            return Err(Verdict::Fail("a second dial within 5 s".to_owned()));
        }
    }
    marker(ctx).await
}

async fn dialled_again(ctx: &mut Ctx) -> Judged {
    let host = host(ctx).await?;
    // The dial begins after its beacon, whenever the suite sees it.
    let began = Instant::now();
    let first = host.invite(ctx.deadline).await;
    drop(first.ok_or_else(|| inconclusive("a good beacon led to no dial"))?);
    let second = host.invite(Duration::from_secs(9)).await;
    second.ok_or_else(|| inconclusive("it dials no second time"))?;
    let after = began.elapsed();
    check(after >= Duration::from_secs(5), || format!("the second dial after {after:?}"))
}

async fn in_progress(ctx: &mut Ctx) -> Judged {
    const MOST: usize = 16;
    let mut hosts = Vec::new();
    for _ in 0..MOST + 6 {
        hosts.push(host(ctx).await?);
    }
    let mut held: Vec<Option<TcpStream>> = hosts.iter().map(|_| None).collect();
    let until = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < until {
        for (host, held) in hosts.iter().zip(&mut held).filter(|(_, held)| held.is_none()) {
            host.say(&host.beacon().encode_to_vec(), "a beacon");
            *held = host.dialled(Instant::now() + Duration::from_millis(5)).await;
        }
        let count = held.iter().flatten().count();
        check(count <= MOST, || format!("{count} dials in progress"))?;
        sleep(SOON).await;
    }
    if held.iter().flatten().count() == 0 {
        return Err(inconclusive("no beacon led to a dial"));
    }
    // With those ended others begin, so it was their number that held them back.
    let waiting = held.iter().position(Option::is_none);
    held.clear();
    match waiting {
        None => Ok(()),
        Some(at) => {
            let dialled = hosts[at].invite(ctx.deadline).await;
            dialled.map(|_| ()).ok_or_else(|| inconclusive("no further dial afterwards"))
        }
    }
}

async fn one_source(ctx: &mut Ctx) -> Judged {
    const MANY: usize = 30;
    let first = host(ctx).await?;
    let mut hosts = Vec::new();
    for _ in 0..MANY {
        let at = SocketAddrV4::new(*first.address.ip(), 0);
        let next = Host::open_at(at, ctx.target, &mut ctx.fresh, &ctx.log).await;
        hosts.push(next.map_err(lacking)?);
    }
    let began = Instant::now();
    for host in &hosts {
        host.say(&host.beacon().encode_to_vec(), "one of many");
    }
    if began.elapsed() > SOON {
        return Err(inconclusive("the burst took too long"));
    }
    marker(ctx).await?;
    let mut dials = 0;
    for host in &hosts {
        dials +=
            usize::from(host.dialled(Instant::now() + Duration::from_millis(20)).await.is_some());
    }
    check((1..=11).contains(&dials), || format!("{dials} of {MANY} datagrams led to a dial"))
}

async fn hidden(ctx: &mut Ctx) -> Judged {
    let usual = ctx.target;
    let ear = ear(ctx)?;
    let _target = ctx.own_target(&json!({"visibility": "nobody"})).await?;
    let hidden = host(ctx).await?;
    for _ in 0..4 {
        hidden.say(&hidden.beacon().encode_to_vec(), "a beacon");
        // As long as the three quick ones take together.
        if hidden.dialled(Instant::now() + SOON).await.is_some() {
            return Err(Verdict::Fail("with visibility nobody it dials a beacon".to_owned()));
        }
    }
    let heard = ear.of_port(ctx.target.port());
    check(heard.is_empty(), || "with visibility nobody it sends beacons".to_owned())?;
    // The same is heard and heeded by one that does not hide.
    ctx.target = usual;
    provoked(ctx, &ear).await?;
    marker(ctx).await
}

async fn turned_away(ctx: &mut Ctx, visibility: &str) -> Judged {
    let _target = ctx.own_target(&json!({"visibility": visibility})).await?;
    let stranger = Person::stranger(&mut ctx.fresh);
    let ada = Person::contact(0);
    for (person, lets_in) in [(&stranger, false), (&ada, visibility == "contacts")] {
        let plan = ctx.plan(person);
        match (ctx.dial(&plan).await?, lets_in) {
            (Reached::Up(mut link), true) => {
                link.ping().await.map_err(|ended| unserved("no pong", &ended))?;
            }
            (Reached::Up(_), false) => {
                return Err(Verdict::Fail(format!("{} is let in", person.name)));
            }
            (Reached::Second(crate::peer::Ended::Closed, 0), false) => {}
            (Reached::First(ended, _) | Reached::Second(ended, _), _) => {
                return Err(unserved(&format!("{}: {ended}", person.name), &ended));
            }
        }
    }
    Ok(())
}

async fn linked_already(ctx: &mut Ctx) -> Judged {
    let host = host(ctx).await?;
    let person = Person::stranger(&mut ctx.fresh);
    let mut link = up(ctx, &host, &person).await?;
    let other = super::dialled::host(ctx).await?;
    let same = Beacon { instance_id: host.instance_id.to_vec(), ..other.beacon() };
    other.say(&same.encode_to_vec(), "the instance of a link, at another address");
    marker(ctx).await?;
    let dialled = other.dialled(Instant::now() + SOON).await.is_some();
    link.ping().await.map_err(|ended| unserved("the link that was there", &ended))?;
    check(!dialled, || "it dials an instance that it has a link with".to_owned())
}

async fn link_stays(ctx: &mut Ctx) -> Judged {
    let host = host(ctx).await?;
    let person = Person::stranger(&mut ctx.fresh);
    let mut link = up(ctx, &host, &person).await?;
    for _ in 0..3 {
        let other = super::dialled::host(ctx).await?;
        let same = Beacon { instance_id: host.instance_id.to_vec(), ..other.beacon() };
        other.say(&same.encode_to_vec(), "somebody claims to be the peer of a link");
    }
    marker(ctx).await?;
    link.ping().await.map_err(|ended| unserved("the link that was there", &ended))
}

async fn after_fault(ctx: &mut Ctx) -> Judged {
    let host = host(ctx).await?;
    let person = Person::stranger(&mut ctx.fresh);
    let mut link = up(ctx, &host, &person).await?;
    for (least, most) in [(4_800, 9_000), (9_800, 16_000)] {
        link.ping().await.map_err(|ended| unserved("before the fault", &ended))?;
        let broken = raw(0x8fff, b"later");
        link.send_plain(&broken, "a critical frame that nobody knows").await;
        let _ended = link.to_end().await;
        let reason = ByeReason::Protocol as i32;
        let protocol = |frame: &Frame| matches!(frame, Frame::Bye(b) if b.reason == reason);
        if !link.passed_over.iter().any(protocol) {
            return Err(inconclusive("the link did not end with Bye{PROTOCOL}"));
        }
        let ended = Instant::now();
        let stream = host.invite(Duration::from_millis(most)).await;
        let stream = stream.ok_or_else(|| inconclusive("it dials no further time"))?;
        let after = ended.elapsed();
        check(after > Duration::from_millis(least), || format!("it dials again after {after:?}"))?;
        let mut plan = ctx.plan(&person);
        plan.instance_id = host.instance_id;
        let answered =
            crate::peer::answer(stream, &plan, &mut ctx.fresh, ctx.deadline, &ctx.log).await;
        let crate::peer::Answered::Up(again) = answered else {
            return Err(inconclusive("the next link does not come up"));
        };
        link = again;
    }
    Ok(())
}

/// A number above 2^16 whose low 16 bits are the port.
fn too_large(beacon: Beacon) -> Vec<u8> {
    Beacon { port: beacon.port + 0x1_0000, ..beacon }.encode_to_vec()
}

fn instance(beacon: Beacon, length: usize) -> Vec<u8> {
    let mut instance_id = beacon.instance_id.clone();
    instance_id.resize(length, 7);
    Beacon { instance_id, ..beacon }.encode_to_vec()
}

/// The port as 32 bits of fixed length.
fn fixed_port(beacon: Beacon) -> Vec<u8> {
    let [version, _, instance] = fields(&beacon);
    [version, vec![0x15], beacon.port.to_le_bytes().to_vec(), instance].concat()
}

fn cut(beacon: Beacon) -> Vec<u8> {
    let mut bytes = beacon.encode_to_vec();
    bytes.pop();
    bytes
}

fn reversed(beacon: Beacon) -> Vec<u8> {
    let [version, port, instance] = fields(&beacon);
    [instance, port, version].concat()
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("discovery.too-long", "DSC-02",
        "A beacon of 65 bytes. The target does not dial.", dropped, |b| padded(&b, 65)),
    script!("discovery.much-too-long", "DSC-02",
        "A beacon of 1,200 bytes. The target does not dial.", dropped, |b| padded(&b, 1200)),
    script!("discovery.cut-off", "DSC-02",
        "A beacon whose last byte is missing. The target does not dial.", dropped, cut),
    script!("discovery.wire-type", "DSC-02",
        "A port of another wire type. The target does not dial.", dropped, fixed_port),
    script!("discovery.version-0", "DSC-03", "Version 0. The target does not dial.",
        dropped, |b| Beacon { version: 0, ..b }.encode_to_vec()),
    script!("discovery.port-65536", "DSC-03",
        "A port that is 65,536 too large. The target does not dial what is left of it.",
        dropped, too_large),
    script!("discovery.port-1023", "DSC-03", "Port 1023. The target does not dial.", low_port),
    script!("discovery.instance-15", "DSC-03",
        "An instance id of 15 bytes. The target does not dial.", dropped, |b| instance(b, 15)),
    script!("discovery.instance-17", "DSC-03",
        "An instance id of 17 bytes. The target does not dial.", dropped, |b| instance(b, 17)),
    script!("discovery.instance-none", "DSC-03",
        "No instance id. The target does not dial.", dropped, |b| instance(b, 0)),
    script!("discovery.later", "DSC-04",
        "Version 9 and a field that nobody knows, 64 bytes. The target dials.",
        heeded, |b| padded(&Beacon { version: 9, ..b }, 64)),
    script!("discovery.field-order", "DSC-04",
        "The fields in another order. The target dials.", heeded, reversed),
    script!("discovery.own-instance", "DSC-17",
        "A beacon with the target's own instance id. It does not dial.", own_instance),
    script!("discovery.far-source", "DSC-18",
        "A beacon on loopback from an address of another network. The target does not dial.",
        far_source),
    script!("discovery.source", "DSC-16",
        "The target dials the datagram's source with the beacon's port, and nothing else.", source),
    script!("discovery.unanswered", "DSC-26",
        "A beacon. The target dials, and no datagram comes back.", unanswered),
    script!("discovery.dials", "DSC-28",
        "A beacon of an instance that is new. The target dials.", heeded, |b| b.encode_to_vec()),
    script!("discovery.linked", "DSC-27",
        "The instance of a link, at another address. The target does not dial.", linked_already),
    script!("discovery.link-stays", "DSC-25",
        "Others claim a linked peer's instance. The link goes on.", link_stays),
    script!("discovery.dialled-once", "DSC-19",
        "A beacon again and again after a dial. No second dial comes in a second.", dialled_once),
    script!("discovery.dialled-again", "DSC-19",
        "A beacon again and again after a dial. The second dial comes after 5 s.",
        dialled_again).slow(),
    script!("discovery.dials-16", "DSC-20",
        "22 hosts that take connections and say nothing. At most 16 are dialled at once.",
        in_progress),
    script!("discovery.one-source", "DSC-21",
        "30 beacons of one address at once. At most 10 are heeded; another address's is.",
        one_source),
    script!("discovery.after-fault", "DSC-37",
        "Links that end for faults, at one address. The waits are 5 s and 10 s.",
        after_fault).slow(),
    script!("discovery.content", "DSC-01",
        "A beacon of the target. It has three fields and nothing else.", content),
    script!("discovery.from-address", "DSC-09",
        "A beacon of the target comes to the group and port from the address where it listens.",
        from_address),
    script!("discovery.ttl", "DSC-11", "A beacon of the target has the TTL 1.", time_to_live),
    script!("discovery.no-v6-on-loopback", "DSC-14",
        "A beacon of the target comes by IPv4. None comes on loopback by IPv6.",
        no_v6_on_loopback),
    script!("discovery.shared-port", "DSC-15",
        "Two sockets on the target's UDP port hear its beacon; it hears the suite's.",
        shared_port),
    script!("discovery.quick", "DSC-05",
        "A start. Three beacons, 250 ms and 750 ms apart.", quick).managed(),
    script!("discovery.schedule", "DSC-06",
        "A start. After the quick beacons the waits are 5 s and 7.5 s, within 20 %.",
        schedule).managed().slow(),
    script!("discovery.apart", "DSC-07",
        "Dials that fail, ten a second. The target's beacons are a second apart.", apart),
    script!("discovery.failed-dial", "DSC-29",
        "A beacon that leads to a closed port. The target sends one of its own.", failed_dial),
    script!("discovery.peer-gone", "DSC-36",
        "A link ends. The target sends a beacon a second later.", peer_gone),
    script!("discovery.nobody", "DSC-22",
        "Visibility nobody: no beacon in the first second, and no dial.", hidden).managed(),
    script!("discovery.contacts-only", "DSC-23",
        "Visibility contacts: a stranger gets no Auth, a contact does.",
        turned_away, "contacts").managed(),
    script!("discovery.nobody-answers", "DSC-23",
        "Visibility nobody: neither a stranger nor a contact gets an Auth.",
        turned_away, "nobody").managed(),
];
