//! What an origin seals to, for how long, and what it never repeats.

use core::time::Duration;
use std::collections::BTreeSet;

use tortalk_keys::link_auth::Role;
use tortalk_model::envelope::Envelope;
use tortalk_model::{MessageId, UnixMillis};
use tortalk_seal::{OpenedMessage, open};
use tortalk_wire::{Frame, Msg};

use crate::person::{START_MS, WEEK_MS};
use crate::puppet::{Puppet, Stage, handed};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

fn envelope(msg: &Msg) -> Envelope {
    Envelope::parse(msg.envelope.to_vec()).expect("ours")
}

fn opened(msg: &Msg, puppet: &Puppet) -> OpenedMessage {
    open(&envelope(msg), &puppet.sealing, &puppet.identity.public()).expect("for the puppet")
}

/// A contact whose clock differs from ours by `offset` hours.
fn contact_with_clock(puppet: &mut Puppet, offset_ms: i64) -> Stage {
    puppet.not_before = UnixMillis(START_MS.saturating_add_signed(offset_ms) - 1000);
    let mut stage = Stage::new();
    stage.add(puppet);
    let (link, _) = stage.link(puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    let now = UnixMillis(START_MS.saturating_add_signed(offset_ms));
    stage.frame(link, puppet.hello_at(now, 256));
    stage.frame(link, puppet.card_frame(START_MS));
    stage.frame(link, Frame::Pull);
    stage
}

// req: ENV-11
#[test]
fn an_envelope_lives_at_most_fourteen_days_in_the_contacts_clock() {
    let hour = i64::try_from(HOUR_MS).expect("small");
    for offset in [0, 1, -1, hour / 2, hour - 1, 1000 * hour, -1000 * hour] {
        let mut puppet = Puppet::new(1);
        let mut stage = contact_with_clock(&mut puppet, offset);
        for minute in 0..70 {
            let sent = handed(&stage.send_text(&puppet, "now"));
            let expires_at = envelope(&sent[0].0).header().expires_at.0;
            let theirs = stage.now.wall.0.saturating_add_signed(offset);
            assert!(expires_at <= theirs + 14 * DAY_MS, "{offset} {minute}");
            assert!(expires_at > theirs + 13 * DAY_MS, "{offset} {minute}");
            assert_eq!(expires_at % HOUR_MS, 0);
            stage.wait(Duration::from_secs(60));
        }
    }
}

// req: SEA-40, SEA-41
#[test]
fn nothing_is_sealed_after_the_keys_end_or_to_live_long_past_it() {
    for offset in [0, 40 * i64::try_from(WEEK_MS).expect("small")] {
        let mut puppet = Puppet::new(1);
        let mut stage = contact_with_clock(&mut puppet, offset);
        let not_after = puppet.not_before.0 + 4 * WEEK_MS;
        let end = not_after.saturating_add_signed(-offset);
        stage.wait(Duration::from_millis(end - 1 - stage.now.wall.0));
        let sent = handed(&stage.send_text(&puppet, "the last moment"));
        assert_eq!(sent.len(), 1);
        let expires_at = envelope(&sent[0].0).header().expires_at.0;
        assert!(expires_at <= not_after + 14 * DAY_MS, "{offset}");
        stage.wait(Duration::from_millis(1));
        let sent = handed(&stage.send_text(&puppet, "too late"));
        assert!(sent.is_empty(), "{offset}");
    }
}

// req: SEA-40
#[test]
fn a_message_is_not_sealed_again_to_a_key_that_has_ended() {
    let mut puppet = Puppet::new(1);
    let mut stage = contact_with_clock(&mut puppet, 0);
    let first = handed(&stage.send_text(&puppet, "nobody answers"));
    let not_after = puppet.not_before.0 + 4 * WEEK_MS;
    let mut last_sealed = 0;
    let mut ids = BTreeSet::from([first[0].1]);
    for _ in 0..(8 * 7 * 4) {
        for (msg, id) in handed(&stage.wait(Duration::from_secs(6 * 3600))) {
            assert_eq!(envelope(&msg).header().key_id, puppet.sealing.key_id());
            if ids.insert(id) {
                last_sealed = stage.now.wall.0;
            }
        }
    }
    assert!(ids.len() > 1, "it was sealed again while that could be done");
    assert!(last_sealed < not_after);
}

// req: SEA-09
#[test]
fn every_message_has_a_nonce_of_its_own() {
    let mut puppet = Puppet::new(1);
    let mut stage = contact_with_clock(&mut puppet, 0);
    let mut ids: BTreeSet<MessageId> = BTreeSet::new();
    for _ in 0..30 {
        let sent = handed(&stage.send_text(&puppet, "the same words"));
        ids.insert(opened(&sent[0].0, &puppet).message_id());
    }
    // Receipts are messages too.
    for i in 0..10 {
        let text = puppet.text(&stage.person, &format!("{i}"));
        let sealed = puppet.seal(&stage.person, &text);
        let sent = handed(&stage.frame(tortalk_mesh::LinkId(1), crate::puppet::msg(&sealed)));
        ids.insert(opened(&sent[0].0, &puppet).message_id());
    }
    // The id covers sender, audience and nonce: only the nonce differs.
    assert_eq!(ids.len(), 40);
    stage.person.restart();
    let before = ids.len();
    stage.feed(tortalk_mesh::Input::Started);
    let link = stage.introduce(&puppet);
    stage.frame(link, Frame::Pull);
    let sent = handed(&stage.send_text(&puppet, "the same words"));
    for (msg, _) in &sent {
        ids.insert(opened(msg, &puppet).message_id());
    }
    assert_eq!(ids.len(), before + sent.len());
}
