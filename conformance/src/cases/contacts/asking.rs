//! Requests that the target's user makes (`spec/contacts.md`, section 2; REQ-33).

use serde_json::json;

use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::control::Operated;
use crate::peer::Link;
use crate::people::Person;
use crate::stack::body::{Body, contact_accept, kind};
use crate::stack::card::{Card, SealingEntry};
use crate::stack::crypto::public;
use crate::stack::envelope::{HOUR_MS, key_id};
use crate::stack::frame::Frame;
use crate::stack::invite::Invite;
use crate::stack::seal::SealingKey;
use crate::stack::v1::AckResult;
use crate::stage::{Start, answer, arrive, begin, came, settle};
use crate::verdict::{Judged, Verdict, check};
use crate::written::{Written, send};

/// A stranger, and a target whose user has added her.
struct Scene {
    user: Operated,
    eve: Person,
}

impl Scene {
    async fn new(ctx: &mut Ctx, text: &str) -> Result<Self, Verdict> {
        let user = ctx.own_user(&json!({})).await?;
        let mut scene = Self { user, eve: Person::stranger(&mut ctx.fresh) };
        scene.add(text).await?;
        Ok(scene)
    }

    async fn add(&mut self, text: &str) -> Judged {
        let invite = Invite::Bare { identity: self.eve.identity() }.text();
        let arguments = json!({"invite": invite, "text": text});
        self.user.control.have("contacts.add", arguments).await.map(drop)
    }

    /// A link of hers, on which she shows her intro card.
    async fn arrives(&self, ctx: &mut Ctx) -> Result<Box<Link>, Verdict> {
        let card = self.eve.card_bytes(0, ctx.now());
        self.arrives_with(ctx, card).await
    }

    async fn arrives_with(&self, ctx: &mut Ctx, card: Vec<u8>) -> Result<Box<Link>, Verdict> {
        let mut link = ctx.link(&self.eve).await?;
        let start = Start { card: Some(card), ..Start::default() };
        begin(ctx, &mut link, &self.eve, &start).await;
        Ok(link)
    }

    /// The request that comes to her, which she answers with `STORED`.
    async fn asked(&self, link: &mut Link) -> Result<Written, Verdict> {
        let written = self.next(link, &self.eve.sealing_key()).await?;
        answer(link, &written.parcel(), AckResult::Stored).await;
        settle(link).await?;
        Ok(written)
    }

    async fn next(&self, link: &mut Link, key: &SealingKey) -> Result<Written, Verdict> {
        let me = self.eve.identity();
        let found = link.expect(|frame| match frame {
            Frame::Msg(msg) => Written::read(msg, key, &me).filter(is_request),
            _ => None,
        });
        found.await.map_err(came("no request comes to her")).map_err(|verdict| match verdict {
            Verdict::Inconclusive(text) => Verdict::Fail(text),
            other => other,
        })
    }

    /// No request but those with these ids is there for her.
    async fn nothing_but(&self, link: &mut Link, known: &[[u8; 32]]) -> Judged {
        settle(link).await?;
        let (me, key) = (self.eve.identity(), self.eve.sealing_key());
        let other = |frame: &Frame| match frame {
            Frame::Msg(msg) => Written::read(msg, &key, &me)
                .is_some_and(|found| is_request(&found) && !known.contains(&found.id())),
            _ => false,
        };
        check(!link.passed_over.iter().any(other), || "another request comes".to_owned())
    }
}

fn is_request(written: &Written) -> bool {
    matches!(written.opened.body, Body::ContactRequest { .. })
}

async fn made(ctx: &mut Ctx) -> Judged {
    let scene = Scene::new(ctx, "it is me").await?;
    let mut link = scene.arrives(ctx).await?;
    let written = scene.asked(&mut link).await?;
    let said = |text: &str, written: &Written| match &written.opened.body {
        Body::ContactRequest { text: found, .. } if found == text => Ok(()),
        other => Err(Verdict::Fail(format!("it says {other:?}"))),
    };
    said("it is me", &written)?;
    // Without a text, too, when the intro card is here.
    let scene = Scene::new(ctx, "").await?;
    let mut link = scene.arrives(ctx).await?;
    said("", &scene.asked(&mut link).await?)
}

async fn once(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx, "first").await?;
    let mut link = scene.arrives(ctx).await?;
    let first = scene.asked(&mut link).await?.id();
    scene.add("").await?;
    let mut link = scene.arrives(ctx).await?;
    scene.nothing_but(&mut link, &[first]).await?;
    scene.add("second").await?;
    let second = scene.asked(&mut link).await?.id();
    check(second != first, || "the request with another text is the same".to_owned())?;
    // The first was given up: its hour comes and it does not.
    scene.user.control.advance(ctx, HOUR_MS + 300_000).await?;
    let mut link = scene.arrives(ctx).await?;
    scene.nothing_but(&mut link, &[second]).await
}

/// Her intro card has two keys, both good now.
async fn sealed_to(ctx: &mut Ctx) -> Judged {
    let scene = Scene::new(ctx, "which key").await?;
    let newer = SealingKey::new(&ctx.fresh.array());
    let mut card = scene.eve.card(0, ctx.now());
    let first = card.sealing[0].clone();
    let not_before = first.not_before + HOUR_MS;
    card.sealing.push(SealingEntry { not_before, public: newer.public.clone(), ..first });
    let card = card.signed(&scene.eve.identity_seed);
    let mut link = scene.arrives_with(ctx, card).await?;
    let written = scene.next(&mut link, &newer).await?;
    check(written.envelope.mailbox == public(&scene.eve.intro_seed), || {
        "it is for another mailbox than the one in her intro card".to_owned()
    })?;
    check(written.envelope.key_id == key_id(&newer.public), || "it is for another key".to_owned())
}

async fn no_stamp(ctx: &mut Ctx) -> Judged {
    let scene = Scene::new(ctx, "no stamp").await?;
    let mut link = scene.arrives(ctx).await?;
    let written = scene.asked(&mut link).await?;
    check(written.msg.stamp.is_empty(), || "its envelope has a stamp".to_owned())
}

async fn not_carried(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx, "for you alone").await?;
    let mut link = scene.arrives(ctx).await?;
    let written = scene.asked(&mut link).await?;
    check(written.msg.ttl == 0, || format!("it comes with ttl {}", written.msg.ttl))?;
    drop(link);
    // She is away; Ben could carry it, now and at the next timed try.
    for _ in 0..2 {
        let mut to_ben = arrive(ctx, &Person::contact(1), &Start::default()).await?;
        settle(&mut to_ben).await?;
        check(!to_ben.passed_over.iter().any(|frame| matches!(frame, Frame::Have(_))), || {
            "it is offered to somebody else".to_owned()
        })?;
        drop(to_ben);
        scene.user.control.advance(ctx, HOUR_MS + 300_000).await?;
    }
    Ok(())
}

async fn contact_card(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx, "then you know me").await?;
    let mut link = scene.arrives(ctx).await?;
    let first = scene.asked(&mut link).await?;
    let card = scene.eve.card_bytes(1, ctx.now());
    let mut link = scene.arrives_with(ctx, card).await?;
    let again = scene.asked(&mut link).await?;
    check(again.id() == first.id(), || "another request comes".to_owned())?;
    check(again.envelope.mailbox == public(&scene.eve.contact_seed), || {
        "it is not sealed for the contact mailbox".to_owned()
    })?;
    scene.user.control.state(&again.id()).await.map(drop)
}

async fn own_card(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx, "here I am").await?;
    let mut link = scene.arrives(ctx).await?;
    let written = scene.asked(&mut link).await?;
    let Body::ContactRequest { card, .. } = &written.opened.body else {
        return Err(Verdict::Fail("no request".to_owned()));
    };
    let card = Card::read(card).map_err(|r| Verdict::Fail(format!("its card: {r}")))?;
    let own = scene.user.control.card().await?;
    check(card.kind == 1 && card.identity == own.identity, || {
        "the request does not hold its maker's contact card".to_owned()
    })?;
    check(card.mailbox(1) == own.mailbox(1), || "its card has another mailbox".to_owned())
}

async fn tried_again(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx, "are you there?").await?;
    let mut link = scene.arrives(ctx).await?;
    let first = scene.asked(&mut link).await?.id();
    let mut link = scene.arrives(ctx).await?;
    scene.nothing_but(&mut link, &[]).await?;
    scene.user.control.advance(ctx, HOUR_MS + 300_000).await?;
    let mut link = scene.arrives(ctx).await?;
    let again = scene.asked(&mut link).await?.id();
    check(again == first, || "another request comes".to_owned())
}

async fn accepted(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx, "yes?").await?;
    let mut link = scene.arrives(ctx).await?;
    let given_up = scene.asked(&mut link).await?.id();
    scene.add("or no?").await?;
    let request = scene.asked(&mut link).await?.id();
    let card = scene.eve.card_bytes(1, ctx.now());
    let mut link = scene.arrives_with(ctx, card.clone()).await?;
    let target = scene.user.control.card().await?;
    // Of what the user has given up since, and of nothing that there is.
    for other in [given_up, ctx.fresh.array()] {
        let body = contact_accept(other, &card);
        send(ctx, &mut link, &scene.eve, &target, kind::CONTACT_ACCEPT, body).await?;
    }
    for id in [given_up, request] {
        let (state, _) = scene.user.control.state(&id).await?;
        check(state != "delivered", || "an accept of another request confirms it".to_owned())?;
    }
    let this = contact_accept(request, &card);
    send(ctx, &mut link, &scene.eve, &target, kind::CONTACT_ACCEPT, this).await?;
    scene.user.control.shows(&request, "delivered").await
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("ask.made", "REQ-01",
        "The user adds a stranger, with a text and without. The request comes with it.",
        made).shim(),
    script!("ask.once", "REQ-02",
        "Added again without a text, and with one. No other request; then one in place of it.",
        once).shim(),
    script!("ask.sealed-to", "REQ-03",
        "An intro card with two good keys. The request is for the newer, and the intro mailbox.",
        sealed_to).shim(),
    script!("ask.no-stamp", "REQ-04", "A request. Its envelope has no stamp.", no_stamp).shim(),
    script!("ask.not-carried", "REQ-05",
        "A request, and a contact who carries. It has ttl 0, and he is not offered it.",
        not_carried).shim(),
    script!("ask.contact-card", "REQ-06",
        "The stranger shows her contact card. The open request comes for her contact mailbox.",
        contact_card).shim(),
    script!("ask.own-card", "REQ-07",
        "A request. It holds the contact card that the target shows.", own_card).shim(),
    script!("ask.tried-again", "REQ-08",
        "A request that was stored and not answered. It comes again after an hour.",
        tried_again).shim(),
    script!("ask.accepted", "REQ-33",
        "Accepts of a request that was given up, of none, and of the open one. That is confirmed.",
        accepted).shim(),
];
