//! What a relay forgets by its clock (`spec/relay.md`, section 7).

use serde_json::json;

use super::{Judged, check, good_deposit, registered};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::stack::envelope::HOUR_MS;

const DAY_MS: u64 = 24 * HOUR_MS;
/// For how long the suite's envelopes live, and a little more.
const LIFE_MS: u64 = 3 * DAY_MS + HOUR_MS;
/// For how long a registration holds (RLY-30).
const REGISTERED_MS: u64 = 60 * DAY_MS;

async fn expired(ctx: &mut Ctx) -> Judged {
    let mut operator = ctx.own_user(&json!({})).await?;
    let (mut client, owner) = registered(ctx).await?;
    good_deposit(ctx, &mut client, &owner).await?;
    let held = operator.control.counter("bytes").await?;
    check(held > 0, || "it has stored an envelope and counts no bytes".to_owned())?;
    operator.control.advance(ctx, LIFE_MS - 2 * HOUR_MS).await?;
    let before = operator.control.counter("bytes").await?;
    check(before == held, || "it forgets an envelope before it expires".to_owned())?;
    operator.control.advance(ctx, DAY_MS + 3 * HOUR_MS).await?;
    let after = operator.control.counter("bytes").await?;
    check(after == 0, || format!("more than 24 h after they expired it holds {after} bytes"))
}

async fn unregistered(ctx: &mut Ctx) -> Judged {
    let mut operator = ctx.own_user(&json!({})).await?;
    registered(ctx).await?;
    let count = operator.control.counter("mailboxes").await?;
    check(count == 1, || format!("one mailbox is registered and {count} are counted"))?;
    operator.control.advance(ctx, REGISTERED_MS - DAY_MS).await?;
    let before = operator.control.counter("mailboxes").await?;
    check(before == 1, || "it forgets a mailbox before its registration ends".to_owned())?;
    operator.control.advance(ctx, 2 * DAY_MS).await?;
    let after = operator.control.counter("mailboxes").await?;
    check(after == 0, || "a day after its registration ended it knows the mailbox".to_owned())
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relay-times.expired", "RLY-55",
        "An envelope, 25 h after it expired. The relay holds no byte more.", expired).shim(),
    script!("relay-times.unregistered", "RLY-57",
        "A mailbox without envelopes, 61 days after its proof. The relay has forgotten it.",
        unregistered).shim(),
];
