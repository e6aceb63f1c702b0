//! Cards of one person in any order, any number of times and by any way: in the
//! end the newest one counts.

use core::time::Duration;

use proptest::prelude::*;
use tortalk_keys::card::Card;
use tortalk_mesh::{Command, Input};
use tortalk_seal::Body;

use crate::person::START_MS;
use crate::puppet::{Puppet, Stage, as_frame};

const HOUR_MS: u64 = 3_600_000;

/// How a card comes.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Its owner shows it on the link.
    Shown,
    /// In a message of its owner.
    Passed,
    /// As a file.
    File,
}

/// A card by the hour of its sequence; older ones than the first at hand and
/// newer ones, but none from so far ahead that it waits for its time (IDN-46).
#[derive(Debug, Clone, Copy)]
struct Came {
    hour: u64,
    contact: bool,
    way: Way,
}

fn came() -> impl Strategy<Value = Came> {
    let way = prop::sample::select(vec![Way::Shown, Way::Passed, Way::File]);
    (0..60_u64, prop::bool::weighted(0.7), way).prop_map(|(hour, contact, way)| Came {
        hour,
        contact,
        way,
    })
}

/// Cards, and the same ones shuffled with some of them twice.
fn orders() -> impl Strategy<Value = (Vec<Came>, Vec<Came>)> {
    prop::collection::vec(came(), 1..8).prop_flat_map(|cards| {
        let twice = prop::collection::vec(prop::sample::select(cards.clone()), 0..4);
        let shuffled = twice.prop_flat_map({
            let cards = cards.clone();
            move |twice| Just([&cards[..], &twice].concat()).prop_shuffle()
        });
        (Just(cards), shuffled)
    })
}

const fn seq(hour: u64) -> u64 {
    START_MS - 20 * HOUR_MS + hour * HOUR_MS
}

/// What is held of the puppet after all of these came, and again after a restart.
fn held(cards: &[Came]) -> [Vec<u8>; 2] {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    for came in cards {
        let card = puppet.card(seq(came.hour), came.contact);
        match came.way {
            Way::Passed if came.contact => {
                let body = Body::Card { card: card.into_bytes() };
                let message = puppet.message(stage.person.identity(), body);
                let envelope = puppet.seal(&stage.person, &message);
                stage.hand_over(link, envelope.as_bytes());
            }
            Way::File => {
                let import = Command::ImportCard { card: card.into_bytes(), name: String::new() };
                // An older one and one for strangers are refused with a reason.
                drop(stage.person.command(import, stage.now).0);
            }
            Way::Shown | Way::Passed => drop(stage.frame(link, as_frame(&card))),
        }
        // Within the two cards a second that a link may bring.
        stage.wait(Duration::from_secs(1));
    }
    let of = |stage: &Stage| {
        let contact = stage.person.mesh.contact(&puppet.identity.public()).expect("a contact");
        contact.card.clone().expect("the first card at least")
    };
    let before = of(&stage);
    stage.person.restart();
    stage.feed(Input::Started);
    [before, of(&stage)]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    // req: IDN-45, IDN-47
    #[test]
    fn the_newest_card_counts_in_whatever_order_they_come((cards, shuffled) in orders()) {
        let [in_order, restarted] = held(&cards);
        prop_assert_eq!(&held(&shuffled), &[in_order.clone(), in_order.clone()]);
        prop_assert_eq!(&restarted, &in_order);
        let of_contact = cards.iter().filter(|came| came.contact).map(|came| seq(came.hour));
        let newest = of_contact.max().unwrap_or(0).max(START_MS);
        let card = Card::parse(&in_order).expect("a card of ours");
        prop_assert!(card.contact().is_some());
        prop_assert_eq!(card.seq(), newest);
    }
}
