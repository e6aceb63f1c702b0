//! A message for somebody who is away, when nobody is there to carry it.

use super::actor::{Actor, Problem};
use super::relay_process::Relay;
use super::stage::{Sent, Stage, arrived_once, compare, send};

/// Messages that are left at the relay.
const LEFT: usize = 24;

/// Alice and Bob are never on at the same time, and share no contact who is on.
pub(super) async fn play(
    stage: Stage,
    alice: &mut Actor,
    bob: &mut Actor,
    relay: &mut Relay,
    sent: &mut Vec<Sent>,
) -> Result<(), Problem> {
    stage.scene("A relay starts; Alice and Bob use it from now on")?;
    relay.start().await?;
    for person in [&mut *alice, &mut *bob] {
        person.stop().await?;
        person.add_settings(&relay.settings())?;
    }
    for person in [&mut *alice, &mut *bob] {
        person.start().await?;
    }
    alice.wait_for_relays_of(bob.name, 1).await?;
    bob.wait_for_relays_of(alice.name, 1).await?;
    stage.say("each is registered there and has told the other in their card")?;

    stage.scene("Bob leaves; Alice writes; the relay is killed in between; Alice leaves")?;
    bob.stop().await?;
    let first = sent.len();
    for number in 0..LEFT {
        let text = format!("At the blind relay, number {number} of {LEFT}");
        send(alice, bob.name, text, sent).await?;
        if number == LEFT / 2 {
            relay.kill().await?;
            stage.say(&format!("relay: kill -9 after {number} of {LEFT}"))?;
            relay.start().await?;
        }
    }
    let ours: Vec<String> = sent[first..].iter().map(|sent| sent.message_id.clone()).collect();
    alice.wait_for_states(&ours, "at relay").await?;
    stage.say(&format!("alice: {LEFT} at relay, by its signed receipts"))?;
    alice.kill().await?;
    stage.say("alice: kill -9")?;

    stage.scene("Bob comes back, is killed while he fetches, and comes back again")?;
    bob.start().await?;
    bob.wait_for_texts([sent[first].text.as_str()]).await?;
    bob.kill().await?;
    stage.say("bob: kill -9 after the first message")?;
    bob.start().await?;
    bob.wait_for_stored(alice.name, LEFT, |text| text.starts_with("At the blind relay")).await?;
    let there = bob.history(alice.name).await?;
    for sent in &sent[first..] {
        arrived_once(bob, &there, &sent.text)?;
    }
    stage.say(&format!("bob: {LEFT} messages of alice, who is away"))?;
    bob.wait_until_nothing_waits().await?;
    bob.stop().await?;

    stage.scene("Alice comes back and fetches Bob's receipts")?;
    alice.start().await?;
    alice.wait_for_states(&ours, "delivered").await?;
    stage.say(&format!("alice: {LEFT} delivered"))?;
    bob.start().await?;
    compare(stage, alice, bob, sent).await
}
