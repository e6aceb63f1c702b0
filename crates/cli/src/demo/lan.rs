//! Two people on one network.

use std::time::Instant;

use tortalk_node::control::event::NodeEvent;

use super::actor::{Actor, Problem};
use super::stage::{Sent, Stage, address, compare, ms, send, shows};

/// What they say to each other before anything goes wrong.
const TALK: [(&str, &str); 4] = [
    ("alice", "Hello Bob, is this thing on?"),
    ("bob", "It is. No server, no internet, no account."),
    ("alice", "And if your laptop dies while I write?"),
    ("bob", "Try it."),
];
/// Messages that are under way when somebody's process is killed.
const UNDER_WAY: usize = 25;

pub(super) async fn play(
    stage: Stage,
    alice: &mut Actor,
    bob: &mut Actor,
    sent: &mut Vec<Sent>,
) -> Result<(), Problem> {
    stage.scene("Two processes start and find each other by beacon")?;
    find_each_other(stage, alice, bob).await?;
    stage.scene("They exchange invites")?;
    show_invites(stage, alice, bob).await?;
    stage.introduce(alice, bob).await?;
    stage.scene("They talk")?;
    talk(stage, alice, bob, sent).await?;
    stage.scene("Bob's process is killed the moment his receipt is there")?;
    kill_after_a_receipt(stage, alice, bob, sent).await?;
    stage.scene("Bob's process is killed while messages are on their way")?;
    kill_recipient(stage, alice, bob, sent).await?;
    stage.scene("Alice's process is killed the moment her message is queued")?;
    kill_sender(stage, alice, bob, sent).await?;
    stage.scene("What was promised is compared with what is there")?;
    compare(stage, alice, bob, sent).await
}

async fn find_each_other(stage: Stage, alice: &mut Actor, bob: &mut Actor) -> Result<(), Problem> {
    let started = alice.start().await?;
    stage.say(&format!("alice is ready after {}", ms(started)))?;
    let started = bob.start().await?;
    stage.say(&format!("bob is ready after {}", ms(started)))?;
    let linked = Instant::now();
    let is_up = |event: &NodeEvent| matches!(event, NodeEvent::PeerUp { .. });
    bob.wait_for("alice to be near", is_up).await?;
    alice.wait_for("bob to be near", is_up).await?;
    stage.say(&format!("each has proved who they are to the other {} later", ms(linked.elapsed())))
}

async fn show_invites(stage: Stage, alice: &mut Actor, bob: &mut Actor) -> Result<(), Problem> {
    let (of_alice, of_bob) = (address(alice).await?, address(bob).await?);
    let start = |address: &str| address.chars().take(48).collect::<String>();
    stage.say(&format!("alice: {}…", start(&of_alice.address)))?;
    stage.say(&format!("bob:   {}…", start(&of_bob.address)))
}

async fn talk(
    stage: Stage,
    a: &mut Actor,
    b: &mut Actor,
    sent: &mut Vec<Sent>,
) -> Result<(), Problem> {
    for (from, text) in TALK {
        let (writer, reader) = if from == a.name { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
        let written = Instant::now();
        let id = send(writer, reader.name, text.to_owned(), sent).await?;
        let queued = written.elapsed();
        writer.wait_for_state(&id, "delivered").await?;
        let delivered = written.elapsed();
        if !reader.shown.iter().any(|shown| shown == text) {
            reader.wait_for("a message", |event| shows(event, text)).await?;
        }
        stage.say(&format!("{from}: {text}"))?;
        stage.say(&format!("    queued {}, delivered {}", ms(queued), ms(delivered)))?;
    }
    Ok(())
}

/// A receipt says that the recipient's disk has the message: it has to be there
/// whatever happens next.
async fn kill_after_a_receipt(
    stage: Stage,
    alice: &mut Actor,
    bob: &mut Actor,
    sent: &mut Vec<Sent>,
) -> Result<(), Problem> {
    let text = "You have this on disk, says your receipt.";
    let id = send(alice, bob.name, text.to_owned(), sent).await?;
    alice.wait_for_state(&id, "delivered").await?;
    bob.kill().await?;
    stage.say("bob: kill -9")?;
    let started = bob.start().await?;
    stage.say(&format!("bob is back after {}", ms(started)))?;
    let there = bob.history(alice.name).await?;
    if !there.iter().any(|message| message.text.as_deref() == Some(text)) {
        return Err("a message with a receipt is not in its recipient's store".to_owned());
    }
    stage.say("the message with the receipt is there")?;
    Ok(())
}

async fn kill_recipient(
    stage: Stage,
    alice: &mut Actor,
    bob: &mut Actor,
    sent: &mut Vec<Sent>,
) -> Result<(), Problem> {
    let mut last = String::new();
    for number in 0..UNDER_WAY {
        let text = format!("while you fall: {number}");
        last = send(alice, bob.name, text, sent).await?;
        if number == UNDER_WAY / 2 {
            bob.kill().await?;
            stage.say(&format!("bob: kill -9 after {number} of {UNDER_WAY}"))?;
        }
    }
    let started = bob.start().await?;
    stage.say(&format!("bob is back after {}", ms(started)))?;
    alice.wait_for_state(&last, "delivered").await?;
    stage.say("everything has a receipt")?;
    Ok(())
}

/// "queued" says that the sender's disk has the message.
async fn kill_sender(
    stage: Stage,
    alice: &mut Actor,
    bob: &mut Actor,
    sent: &mut Vec<Sent>,
) -> Result<(), Problem> {
    let text = "Queued is a promise too.";
    let id = send(alice, bob.name, text.to_owned(), sent).await?;
    alice.kill().await?;
    stage.say("alice: kill -9")?;
    let started = alice.start().await?;
    stage.say(&format!("alice is back after {}", ms(started)))?;
    let kept = alice.history(bob.name).await?;
    let Some(message) = kept.iter().find(|message| message.message_id == id) else {
        return Err("a queued message is not in its sender's store".to_owned());
    };
    if message.state.as_deref() != Some("delivered") {
        alice.wait_for_state(&id, "delivered").await?;
    }
    stage.say("the queued message went out and was confirmed")?;
    Ok(())
}
