//! A message for somebody who is away, in the hands of a common contact.

use super::actor::{Actor, Problem};
use super::stage::{Sent, Stage, arrived_once, compare, send};

/// Messages that the carrier takes along.
const CARRIED: usize = 12;

/// Alice and Bob are never on at the same time; Carol is.
pub(super) async fn play(
    stage: Stage,
    alice: &mut Actor,
    bob: &mut Actor,
    carol: &mut Actor,
    sent: &mut Vec<Sent>,
) -> Result<(), Problem> {
    stage.scene("Carol comes; she and the other two add each other")?;
    carol.start().await?;
    stage.introduce(carol, alice).await?;
    stage.introduce(carol, bob).await?;
    carol.wait_for_card_of(alice.name).await?;
    carol.wait_for_card_of(bob.name).await?;
    alice.wait_for_card_of(carol.name).await?;
    bob.wait_for_card_of(carol.name).await?;

    stage.scene("Bob leaves; Alice writes; Carol takes it along; Alice leaves")?;
    bob.stop().await?;
    let first = sent.len();
    for number in 0..CARRIED {
        let text = format!("By Carol's hands, number {number} of {CARRIED}");
        send(alice, bob.name, text, sent).await?;
    }
    let ours: Vec<String> = sent[first..].iter().map(|sent| sent.message_id.clone()).collect();
    alice.wait_for_states(&ours, "handed").await?;
    stage.say(&format!("alice: {CARRIED} handed to carol"))?;
    carol.kill().await?;
    stage.say("carol: kill -9")?;
    carol.start().await?;
    alice.kill().await?;
    stage.say("alice: kill -9")?;

    stage.scene("Bob comes back and meets Carol only")?;
    bob.start().await?;
    bob.wait_for_texts(sent[first..].iter().map(|sent| sent.text.as_str())).await?;
    let there = bob.history(alice.name).await?;
    for sent in &sent[first..] {
        arrived_once(bob, &there, &sent.text)?;
    }
    stage.say(&format!("bob: {CARRIED} messages of alice, who is away"))?;

    stage.scene("Bob leaves; Alice comes back and learns of it from Carol")?;
    bob.wait_until_nothing_waits().await?;
    bob.stop().await?;
    alice.start().await?;
    alice.wait_for_states(&ours, "delivered").await?;
    stage.say(&format!("alice: {CARRIED} delivered, with Bob's receipts"))?;
    bob.start().await?;
    compare(stage, alice, bob, sent).await
}
