//! Reading contacts' cards from drops (`spec/relaying.md`, section 5; `spec/relay.md`,
//! section 6): a card that a reader takes shows in its next `Hello`.

use serde_json::json;

use super::{PATIENCE, naming};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::people::Person;
use crate::served::{Call, Served};
use crate::session::Session;
use crate::stack::card::Card;
use crate::stack::crypto::{label, public, xaead_seal};
use crate::stack::drop;
use crate::stack::envelope::HOUR_MS;
use crate::stack::frame::Frame;
use crate::stack::relay::sign_drop;
use crate::stack::v1::GetCardResponse;
use crate::stage::{Start, arrive, came, confirmed, meet, stored, text};
use crate::verdict::{Judged, Verdict, check};

/// What is wrong with a drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It holds somebody else's card.
    Identity,
    /// It holds the intro card.
    Kind,
    /// Its sequence is larger than the card's.
    Sequence,
    /// Another mailbox signed it.
    Signature,
    /// It is sealed under another read key.
    ReadKey,
    /// Its blob has another layout.
    Layout,
    /// Its blob has another length.
    Length,
    /// Its padding is not zero.
    Padding,
}

/// A drop of somebody's contact mailbox, with this card in it.
fn drop_of(
    ctx: &mut Ctx,
    owner: &Person,
    card: &[u8],
    seq: u64,
    fault: Option<Fault>,
) -> GetCardResponse {
    let mailbox = public(&owner.contact_seed);
    let is = |this| fault == Some(this);
    let read_key = if is(Fault::ReadKey) { [7; 32] } else { owner.read_key };
    let seq = if is(Fault::Sequence) { seq + 5 } else { seq };
    let nonce = ctx.fresh.array();
    let mut blob = drop::seal(&read_key, &nonce, &mailbox, seq, card);
    if is(Fault::Padding) || is(Fault::Length) {
        let mut plain = (card.len() as u16).to_be_bytes().to_vec();
        plain.extend_from_slice(card);
        plain.resize(blob.len() - 41 + usize::from(is(Fault::Length)), 0);
        if is(Fault::Padding) {
            plain.iter_mut().last().into_iter().for_each(|byte| *byte = 1);
        }
        let aad = [label("card-drop").as_slice(), &mailbox, &seq.to_be_bytes()].concat();
        let sealed = xaead_seal(&read_key, &nonce, &aad, &plain);
        blob = [&[1], nonce.as_slice(), &sealed].concat();
    }
    if is(Fault::Layout) {
        blob[0] = 2;
    }
    let signer = if is(Fault::Signature) { owner.intro_seed } else { owner.contact_seed };
    let signature = sign_drop(&signer, &mailbox, seq, &blob).to_vec();
    GetCardResponse { seq, blob, signature }
}

/// The sequence of somebody's contact card that the target says it holds.
pub(crate) async fn held(ctx: &mut Ctx, person: &Person) -> Result<u64, Verdict> {
    let mut link = ctx.link(person).await?;
    let hello = link.expect(|frame| match frame {
        Frame::Hello(hello) => Some(hello.your_card_seq),
        _ => None,
    });
    hello.await.map_err(came("no Hello"))
}

/// Shows a card whose key ends in three days, so that the target looks for a newer one.
fn ending(ctx: &Ctx, person: &Person, relay: &Served) -> (u64, Start) {
    let start = naming(ctx, person, &[relay]);
    let bytes = start.card.clone().unwrap_or_default();
    let mut card = Card::read(&bytes).expect("our own card");
    card.sealing[0].not_after = card.seq + 3 * 24 * HOUR_MS;
    (card.seq, Start { card: Some(card.signed(&person.identity_seed)), ..start })
}

async fn read(ctx: &mut Ctx, fault: Fault) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    let _target = ctx.own_target(&json!({})).await?;
    let (ada, ben, cyr) = (Person::contact(0), Person::contact(1), Person::contact(2));
    let (seq, adas) = ending(ctx, &ada, &relay);
    let (_, cyrs) = ending(ctx, &cyr, &relay);
    // Later than every card of theirs so far.
    let newer = seq + 600_000;
    let mut other_key = ada.clone();
    other_key.sealing_seed = ctx.fresh.array();
    let wrong = match fault {
        Fault::Identity => ben.card_bytes(1, newer),
        Fault::Kind => other_key.card_bytes(0, newer),
        _ => ada.card_bytes(1, newer),
    };
    let faulty = drop_of(ctx, &ada, &wrong, newer, Some(fault));
    relay.drop_card(&public(&ada.contact_seed), faulty);
    let good = drop_of(ctx, &cyr, &cyr.card_bytes(1, newer), newer, None);
    relay.drop_card(&public(&cyr.contact_seed), good);
    let link = arrive(ctx, &ada, &adas).await?;
    let reads = |person: &Person| {
        let mailbox = public(&person.contact_seed).to_vec();
        move |call: &Call| matches!(call, Call::GetCard(of) if *of == mailbox).then_some(())
    };
    relay.first("her drop is not read", PATIENCE, reads(&ada)).await?;
    let _other = arrive(ctx, &cyr, &cyrs).await?;
    relay.first("his drop is not read", PATIENCE, reads(&cyr)).await?;
    std::mem::drop(link);
    // The twin, which was read later, is taken.
    let until = std::time::Instant::now() + ctx.deadline;
    while held(ctx, &cyr).await? != newer {
        if std::time::Instant::now() > until {
            return Err(Verdict::Inconclusive("a good card in a drop is not taken".to_owned()));
        }
    }
    let (of_ada, of_ben) = (held(ctx, &ada).await?, held(ctx, &ben).await?);
    check(of_ada == seq && of_ben != newer, || {
        format!("{fault:?}: the card is taken (of her {of_ada}, before {seq})")
    })?;
    // Her receipts are still sealed to the key that she has shown.
    let (mut link, card) = meet(ctx, &ada, &Start { card: adas.card, ..Start::default() }).await?;
    let text = text(ctx, &ada, &card)?;
    stored(&mut link, &text.parcel, 0).await?;
    confirmed(&mut link, &ada, &text).await?;
    Session::open(ctx, ben).await.map(|_| ())
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relays.read-identity", "RLC-19",
        "Ben's card lies in Ada's drop, and a good one in Cyr's. Only Cyr's is taken.",
        read, Fault::Identity).managed(),
    script!("relays.read-kind", "RLC-19",
        "Ada's intro card lies in her contact drop. It is not taken; Cyr's good card is.",
        read, Fault::Kind).managed(),
    script!("relays.read-sequence", "RLC-19",
        "Ada's drop has a larger sequence than the card in it. It is not taken; Cyr's is.",
        read, Fault::Sequence).managed(),
    script!("relays.read-signature", "RLY-04",
        "Another mailbox has signed Ada's drop. It is not taken; Cyr's is.",
        read, Fault::Signature).managed(),
    script!("relays.read-key", "RLY-52",
        "Ada's drop does not open under her read key. It is not taken; Cyr's is.",
        read, Fault::ReadKey).managed(),
    script!("relays.read-layout", "RLY-54",
        "The blob has layout 2. It is not taken; Cyr's is.", read, Fault::Layout).managed(),
    script!("relays.read-length", "RLY-54",
        "The blob has a byte more. It is not taken; Cyr's is.", read, Fault::Length).managed(),
    script!("relays.read-padding", "RLY-54",
        "The last byte of padding is 1. It is not taken; Cyr's is.",
        read, Fault::Padding).managed(),
];
