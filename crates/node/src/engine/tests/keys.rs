//! Keys that change while an engine runs.

use std::path::Path;
use std::sync::Weak;

use tokio::sync::{Semaphore, mpsc::UnboundedReceiver};
use tortalk_keys::{IdentitySecret, card::Card};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::limits::{
    SEALING_KEY_LIFE, SEALING_KEY_ROTATION, SEALING_SEED_DUE, SEALING_SEED_KEPT,
};
use tortalk_model::{ChainId, KeyId, MonoMillis, Nonce, Now};
use tortalk_seal::{Body, Draft, Recipient, SealingPublic, SignedMessage, seal};
use tortalk_wire::{AckResult, EnvelopeBytes, Msg, RefusalReason, StampBytes};

use super::*;
use crate::profile::tests::search::search;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A text of the person whom [`Bench::add`] adds under this number.
fn envelope(from: u8, to: &Keyring, key: &SealingPublic, text: &str) -> EnvelopeBytes {
    let draft = Draft {
        audience: to.identity.public(),
        device_id: DeviceId::from_bytes([2; 8]),
        nonce: Nonce::from_bytes(OsEntropy.bytes()),
        sent_at: UnixMillis(unix_now()),
        chain_id: ChainId::from_bytes([3; 8]),
        counter: 1,
        body: Body::Text(text.to_owned()),
    };
    let secret = IdentitySecret::from_seed([from; 32]);
    let message = SignedMessage::sign(&secret, draft).unwrap();
    let recipient = Recipient { mailbox: to.contact_mailbox.public(), key };
    let expires_at = UnixMillis(unix_now()).saturating_add(DAY).ceil_to_hour();
    let sealed = seal(&message, &recipient, expires_at, &mut OsEntropy).unwrap();
    EnvelopeBytes::from(&sealed.envelope)
}

impl Bench {
    /// What a peer is told about an envelope that it hands over.
    fn hand_over(
        &mut self,
        link: u64,
        orders: &mut UnboundedReceiver<LinkOrder>,
        envelope: EnvelopeBytes,
    ) -> AckResult {
        while orders.try_recv().is_ok() {}
        let msg = Msg { ttl: 0, stamp: StampBytes::default(), envelope };
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let frames = EngineInput::Frames {
            link: LinkId(link),
            frames: vec![Frame::Msg(msg)],
            weight: 1,
            _room: room,
        };
        self.engine.batch(Some(frames)).unwrap();
        let ack = std::iter::from_fn(|| orders.try_recv().ok()).find_map(|order| match order {
            LinkOrder::Send(frame) => match *frame {
                Frame::Ack(ack) => Some(ack.result),
                _ => None,
            },
            _ => None,
        });
        ack.expect("an answer")
    }

    /// Lets the running time go by that the oldest key's seed has left, but for a
    /// millisecond.
    fn run_out_the_time(&mut self) {
        let wall = UnixMillis(unix_now());
        let until = SEALING_SEED_DUE - Duration::from_millis(1);
        self.look(Now { wall, mono: MonoMillis(0) });
        let mut ran = Duration::ZERO;
        while ran < until {
            ran = (ran + Duration::from_secs(300)).min(until);
            self.look(Now { wall, mono: MonoMillis(0) + ran });
        }
        self.look(Now { wall, mono: MonoMillis(0) });
    }

    fn look(&mut self, now: Now) {
        let erased = self.engine.profile.erase_if_due(now, &mut OsEntropy);
        assert!(erased.is_nothing() && erased.trouble.is_none(), "{erased:?}");
    }

    /// The engine looks at its keys as it does each minute.
    fn minute(&mut self) {
        self.engine.key_looks.next = self.engine.around.clock.mono();
        self.engine.look_after_keys().unwrap();
    }
}

fn key_ids(keyring: &Keyring) -> Vec<KeyId> {
    keyring.sealing.iter().map(|key| key.secret.key_id()).collect()
}

/// What a seed's file holds under the profile's key.
fn sealed_form(dir: &Path, key_id: KeyId) -> Vec<u8> {
    let path = dir.join("keys").join(format!("sealing-{key_id}.seed"));
    std::fs::read(path).unwrap()[10..].to_vec()
}

// req: SEA-43, SEA-44, GSP-29
#[test]
fn an_erased_seed_is_nowhere_in_the_profile_and_what_was_sealed_to_it_stays_closed() {
    let due_since = SEALING_KEY_LIFE + SEALING_SEED_KEPT + DAY;
    let mut bench = Bench::made_at(UnixMillis(unix_now()).saturating_sub(due_since));
    let dir = bench.engine.around.about.dir.clone();
    let keyring = Arc::clone(&bench.engine.keyring);
    assert_eq!(keyring.sealing.len(), 2, "the old key is kept, a new one was made");
    let old = &keyring.sealing[0];
    let (seed, key_id) = (*old.secret.seed(), old.secret.key_id());
    let sealed = sealed_form(&dir, key_id);

    // Work, before and after the seed is gone, so that everything is written.
    let peer = bench.add(7);
    let mut orders = bench.link_up(1, peer);
    let [early, late] =
        ["early", "late"].map(|text| envelope(7, &keyring, old.secret.public(), text));
    let newer = envelope(7, &keyring, keyring.sealing[1].secret.public(), "newer");
    assert_eq!(bench.hand_over(1, &mut orders, early), AckResult::Stored);
    for number in 0..20 {
        bench.ask(send(&format!("message {number}"))).unwrap();
    }
    bench.run_out_the_time();
    bench.ask(history()).unwrap();
    assert_eq!(search(&dir, &sealed).len(), 1, "it stays in its file for the whole day");
    assert_eq!(search(&dir, &seed), [], "and is nowhere in clear");

    let before: Weak<Keyring> = Arc::downgrade(&keyring);
    drop(keyring);
    bench.minute();
    assert!(before.upgrade().is_none(), "the machine works with another keyring");
    assert!(!key_ids(&bench.engine.keyring).contains(&key_id));
    let answer = bench.hand_over(1, &mut orders, late);
    assert_eq!(answer, AckResult::Refused(RefusalReason::UnknownKey), "on the same link");
    assert_eq!(bench.hand_over(1, &mut orders, newer), AckResult::Stored);
    for number in 0..20 {
        bench.ask(send(&format!("another {number}"))).unwrap();
    }
    assert_eq!(bench.ask(history()).map(count), Ok(42));
    assert_eq!(search(&dir, &sealed), []);
    assert_eq!(search(&dir, &seed), []);
}

// req: SEA-38
#[test]
fn a_new_key_closes_no_link_and_is_shown_on_it() {
    let made = UnixMillis(unix_now()).saturating_sub(SEALING_KEY_ROTATION).saturating_add(DAY);
    let mut bench = Bench::made_at(made);
    let peer = bench.add(7);
    let mut orders = bench.link_up(1, peer);
    while orders.try_recv().is_ok() {}
    bench.told();
    bench.minute();
    assert!(orders.try_recv().is_err(), "nothing is due");

    let tomorrow = UnixMillis(unix_now()).saturating_add(DAY);
    bench.engine.profile.rotate_if_due(tomorrow, &mut OsEntropy).unwrap();
    bench.engine.change_keyring().unwrap();
    let newest = key_ids(&bench.engine.keyring)[1];
    let shown = std::iter::from_fn(|| orders.try_recv().ok()).map(|order| match order {
        LinkOrder::Send(frame) => match *frame {
            Frame::Card(card) => {
                let card = Card::parse(card.card.as_slice()).unwrap();
                tortalk_model::envelope::key_id(&card.sealing_keys()[0].public[..])
            }
            other => panic!("a card alone, not {other:?}"),
        },
        other => panic!("the link stays: {other:?}"),
    });
    assert_eq!(shown.collect::<Vec<_>>(), [newest]);
    assert!(bench.told().is_empty(), "nobody has gone");
}

#[test]
fn a_machine_that_is_built_anew_has_the_keys_that_changed_meanwhile() {
    let mut bench = Bench::new();
    bench.add(7);
    FAULT.set(Some(StoreFault::Full));
    bench.ask(send("x")).unwrap_err();
    bench.engine.profile.renew_contact_secrets(UnixMillis(unix_now()), &mut OsEntropy).unwrap();
    bench.engine.change_keyring().unwrap();
    FAULT.set(None);
    bench.wait_out_the_pause();
    bench.engine.batch(None).unwrap();
    let card = bench.engine.mesh.own_contact_card().expect("a card");
    assert_eq!(card.contact_mailbox(), Some(bench.engine.keyring.contact_mailbox.public()));
}
