//! What the user is shown of a message, and on what it rests (`spec/delivery.md`, sections 1
//! and 3).

use serde_json::json;

use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::control::{Operated, hex};
use crate::peer::Link;
use crate::people::Person;
use crate::stack::card::Card;
use crate::stack::v1::{AckResult, RefusalReason};
use crate::stage::{Start, answer, arrive, meet, settle};
use crate::verdict::{Judged, Verdict, check};
use crate::written::{comes, confirm, decline, taken};

/// A target whose user has written to Ada, who is linked and takes envelopes.
struct Scene {
    user: Operated,
    ada: Person,
    link: Box<Link>,
    card: Card,
    message_id: [u8; 32],
}

impl Scene {
    async fn new(ctx: &mut Ctx) -> Result<Self, Verdict> {
        let mut user = ctx.own_user(&json!({})).await?;
        let ada = Person::contact(0);
        // Her published key has ended; this one is good.
        drop(arrive(ctx, &ada, &Start::quiet()).await?);
        let message_id = user.control.send(&ada, "how it goes").await?;
        user.control.shows(&message_id, "queued").await?;
        let (link, card) = meet(ctx, &ada, &Start::default()).await?;
        Ok(Self { user, ada, link, card, message_id })
    }

    async fn shows(&mut self, word: &str) -> Judged {
        self.user.control.shows(&self.message_id, word).await
    }
}

async fn handed(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx).await?;
    let written = comes(&mut scene.link, &scene.ada, &scene.message_id).await?;
    scene.shows("queued").await?;
    decline(&mut scene.link, &written, RefusalReason::Quota).await;
    settle(&mut scene.link).await?;
    scene.shows("queued").await?;
    // On a new link it comes again.
    let mut link = arrive(ctx, &scene.ada, &Start::default()).await?;
    let again = comes(&mut link, &scene.ada, &scene.message_id).await?;
    answer(&mut link, &again.parcel(), AckResult::Duplicate).await;
    settle(&mut link).await?;
    scene.shows("handed").await?;
    let (_, count) = scene.user.control.state(&scene.message_id).await?;
    check(count == 1, || format!("handed to {count}, and one peer has acknowledged it"))
}

async fn not_without_receipt(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx).await?;
    let written = taken(&mut scene.link, &scene.ada, &scene.message_id).await?;
    scene.shows("handed").await?;
    // A receipt, but of another message.
    let mut other = written.confirmation();
    other.message_id = ctx.fresh.array();
    let Scene { ada, link, card, .. } = &mut scene;
    confirm(ctx, link, ada, card, &[other]).await?;
    scene.shows("handed").await?;
    let Scene { ada, link, card, .. } = &mut scene;
    confirm(ctx, link, ada, card, &[written.confirmation()]).await?;
    scene.shows("delivered").await
}

async fn other_words(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx).await?;
    let written = taken(&mut scene.link, &scene.ada, &scene.message_id).await?;
    let mut other = written.confirmation();
    other.signed_hash = ctx.fresh.array();
    let Scene { ada, link, card, .. } = &mut scene;
    confirm(ctx, link, ada, card, &[other]).await?;
    scene.shows("handed").await?;
    let Scene { ada, link, card, .. } = &mut scene;
    confirm(ctx, link, ada, card, &[written.confirmation()]).await?;
    scene.shows("delivered").await
}

async fn after_restart(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx).await?;
    let written = taken(&mut scene.link, &scene.ada, &scene.message_id).await?;
    let cyr = Person::contact(2);
    drop(arrive(ctx, &cyr, &Start::quiet()).await?);
    let queued = scene.user.control.send(&cyr, "to nobody here").await?;
    scene.shows("handed").await?;
    scene.user.restart(ctx).await?;
    scene.shows("handed").await?;
    let (mut link, card) = meet(ctx, &scene.ada, &Start::default()).await?;
    confirm(ctx, &mut link, &scene.ada, &card, &[written.confirmation()]).await?;
    scene.shows("delivered").await?;
    scene.user.restart(ctx).await?;
    scene.shows("delivered").await?;
    scene.user.control.shows(&queued, "queued").await
}

/// Cancelled is shown before handed, delivered before cancelled, read before all.
async fn in_order(ctx: &mut Ctx) -> Judged {
    let mut scene = Scene::new(ctx).await?;
    let written = taken(&mut scene.link, &scene.ada, &scene.message_id).await?;
    scene.shows("handed").await?;
    let id = json!({"message_id": hex(&scene.message_id)});
    scene.user.control.have("cancel", id).await?;
    scene.shows("cancelled").await?;
    let Scene { ada, link, card, .. } = &mut scene;
    confirm(ctx, link, ada, card, &[written.confirmation()]).await?;
    scene.shows("delivered").await?;
    let mut read = written.confirmation();
    read.kind = 2;
    let Scene { ada, link, card, .. } = &mut scene;
    confirm(ctx, link, ada, card, &[read]).await?;
    scene.shows("read").await
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("state.handed", "DLV-03",
        "Ada refuses a message, then has it. Queued, then handed to one.", handed).shim(),
    script!("state.no-receipt", "DLV-04",
        "Ada has a message and confirms another. Handed; delivered with its own receipt.",
        not_without_receipt).shim(),
    script!("state.other-words", "DLV-06",
        "A receipt with another signed_hash. Handed; delivered with the right one.",
        other_words).shim(),
    script!("state.restart", "DLV-01",
        "SIGKILL after each evidence. The state is the same behind it.", after_restart).shim(),
    script!("state.order", "DLV-02",
        "Handed, cancelled, confirmed, read. Each is shown in place of those before.",
        in_order).shim(),
];
