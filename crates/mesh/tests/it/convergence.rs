//! Whatever happened between two people and a third who carries, once it has stopped
//! happening every text is there, once, and both know it.

use core::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::Config;
use tortalk_mesh::{Command, DeliveryState, Event, Read};
use tortalk_model::MessageId;

use crate::world::World;

const DAY_MS: i64 = 24 * 3_600_000;

/// What happens to them next.
#[derive(Debug, Clone)]
enum Step {
    Send {
        from: usize,
        texts: usize,
    },
    Connect {
        from: usize,
    },
    /// One of the two meets the third.
    Meet {
        who: usize,
    },
    /// No link is left but with the third.
    Part,
    BothDial,
    Cut(usize),
    Silence(usize),
    /// Texts go into links that are dead, before there is another one.
    IntoNothing {
        from: usize,
        texts: usize,
    },
    Restart(usize),
    DiskFails(usize),
    ChangeKey(usize),
    Block {
        who: usize,
        blocked: bool,
    },
    MarkRead(usize),
    SetClock {
        who: usize,
        offset_ms: i64,
    },
    Rounds(usize),
    Run,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let person = || 0..2usize;
    let anybody = || 0..3usize;
    let offset_ms = prop_oneof![
        Just(0),
        -1_200_000..1_200_000i64,
        Just(3 * DAY_MS),
        Just(-3 * DAY_MS),
        Just(20 * DAY_MS),
        Just(-40 * DAY_MS),
    ];
    prop_oneof![
        6 => (person(), 1..4usize).prop_map(|(from, texts)| Step::Send { from, texts }),
        1 => person().prop_map(|from| Step::Send { from, texts: 300 }),
        5 => person().prop_map(|from| Step::Connect { from }),
        5 => person().prop_map(|who| Step::Meet { who }),
        3 => Just(Step::Part),
        2 => Just(Step::BothDial),
        3 => any::<usize>().prop_map(Step::Cut),
        1 => any::<usize>().prop_map(Step::Silence),
        3 => (person(), 1..4usize).prop_map(|(from, texts)| Step::IntoNothing { from, texts }),
        2 => anybody().prop_map(Step::Restart),
        2 => anybody().prop_map(Step::DiskFails),
        2 => person().prop_map(Step::ChangeKey),
        2 => (person(), any::<bool>()).prop_map(|(who, blocked)| Step::Block { who, blocked }),
        2 => person().prop_map(Step::MarkRead),
        1 => (anybody(), offset_ms).prop_map(|(who, offset_ms)| Step::SetClock { who, offset_ms }),
        8 => (1..9usize).prop_map(Step::Rounds),
        4 => Just(Step::Run),
        4 => prop_oneof![1..10u64, 1..7200u64].prop_map(Step::Wait),
    ]
}

/// 16 cases, or as many as `PROPTEST_CASES` says.
fn config() -> Config {
    let asked = Config::default();
    let cases = if asked.cases == 256 { 16 } else { asked.cases };
    Config { cases, failure_persistence: None, max_shrink_iters: 200, ..asked }
}

proptest! {
    #![proptest_config(config())]

    // req: GSP-02, GSP-19, GSP-20, GSP-21, GSP-27, GSP-28, DLV-11
    // req: CAR-03, CAR-06, CAR-10, CAR-13
    #[test]
    fn in_the_end_everything_has_arrived_once(
        steps in prop::collection::vec(step(), 1..60),
        clocks_are_set in any::<bool>(),
        last in 0..2usize,
    ) {
        let mut story = Story::new();
        for step in &steps {
            if clocks_are_set || !matches!(step, Step::SetClock { .. }) {
                story.take(step);
            }
        }
        story.calm();
        story.check_links()?;
        story.lose_the_link_of(last);
        story.check_links()?;
        story.heal();
        story.check()?;
        story.check_carrier()?;
    }
}

/// The third, who has nothing to say.
const CARRIER: usize = 2;

struct Story {
    world: World,
    /// By sender: the texts, and the messages that they are in.
    sent: [Vec<(String, MessageId)>; 2],
    blocked: [bool; 2],
    /// Somebody's clock was set, so a link may know of a wrong one.
    clocks_set: bool,
}

impl Story {
    fn new() -> Self {
        let mut world = World::new(&["alice", "bob", "carol"]);
        world.pace = Duration::from_secs(600);
        world.people[1].set_read_receipts(true);
        world.restart(1);
        world.befriend(0, 1);
        world.befriend(0, CARRIER);
        world.befriend(1, CARRIER);
        world.connect(0, 1);
        world.run();
        let sent = [Vec::new(), Vec::new()];
        Self { world, sent, blocked: [false; 2], clocks_set: false }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Send { from, texts } => self.send(from, texts),
            Step::Connect { from } => {
                self.world.connect(from, 1 - from);
            }
            Step::Meet { who } => {
                self.world.connect(who, CARRIER);
            }
            Step::Part => {
                for id in self.world.cables_between(0, 1) {
                    self.world.cut(id);
                }
            }
            Step::BothDial => {
                self.world.connect(0, 1);
                self.world.connect(1, 0);
            }
            Step::Cut(n) => {
                if let Some(id) = self.cable(n) {
                    self.world.cut(id);
                }
            }
            Step::Silence(n) => {
                if let Some(id) = self.cable(n) {
                    self.world.silence(id);
                }
            }
            Step::IntoNothing { from, texts } => {
                for id in self.world.cables_between(0, 1) {
                    self.world.silence(id);
                }
                self.send(from, texts);
            }
            Step::ChangeKey(who) => self.world.change_key(who),
            Step::Restart(who) => self.world.restart(who),
            Step::DiskFails(who) => self.world.people[who].fails_next = true,
            Step::Block { who, blocked } => self.block(who, blocked),
            Step::MarkRead(who) => self.mark_read(who),
            Step::SetClock { who, offset_ms } => {
                self.world.people[who].clock_offset_ms = offset_ms;
                self.clocks_set = true;
            }
            Step::Rounds(rounds) => self.world.run_rounds(rounds),
            Step::Run => self.world.run(),
            Step::Wait(seconds) => self.world.advance(Duration::from_secs(seconds)),
        }
    }

    fn cable(&self, n: usize) -> Option<u64> {
        let ids = self.world.cable_ids();
        ids.get(n.checked_rem(ids.len())?).copied()
    }

    fn send(&mut self, from: usize, texts: usize) {
        if self.blocked[from] || self.world.people[from].fails_next {
            return;
        }
        let first = self.sent[from].len();
        let texts: Vec<_> = (first..first + texts).map(|i| format!("{from} says {i}")).collect();
        let ids = self.world.send_all(from, 1 - from, &texts);
        self.sent[from].extend(texts.into_iter().zip(ids));
    }

    fn block(&mut self, who: usize, blocked: bool) {
        if self.world.people[who].fails_next {
            return;
        }
        let identity = self.world.identity(1 - who);
        self.world.command(who, Command::SetBlocked { identity, blocked }).expect("a contact");
        self.blocked[who] = blocked;
    }

    fn mark_read(&mut self, who: usize) {
        let newest = self.world.people[who].events.iter().rev().find_map(|event| match event {
            Event::Received(message) => Some(message.message_id),
            _ => None,
        });
        if let Some(message_id) = newest.filter(|_| !self.world.people[who].fails_next) {
            self.world.command(who, Command::MarkRead { message_id }).expect("it was received");
        }
    }

    /// Ends all that is in the way.
    fn calm(&mut self) {
        for who in 0..3 {
            self.world.people[who].fails_next = false;
            self.world.people[who].clock_offset_ms = 0;
        }
        for who in 0..2 {
            self.block(who, false);
        }
        self.world.run();
        // Links that are dead are found to be, duplicates are closed.
        self.world.advance(Duration::from_secs(46));
        self.world.advance(Duration::from_secs(6));
    }

    /// Texts go into a link that is dead; another one is up before that is known.
    fn lose_the_link_of(&mut self, from: usize) {
        self.world.connect(from, 1 - from);
        self.world.run();
        self.world.advance(Duration::from_secs(6));
        self.take(&Step::IntoNothing { from, texts: 2 });
        self.world.run();
        self.world.connect(1 - from, from);
        self.world.run();
        self.world.advance(Duration::from_secs(46));
    }

    /// Where a link is up nothing waits for another one.
    fn check_links(&self) -> Result<(), TestCaseError> {
        let links = self.world.cables_between(0, 1).len();
        if self.clocks_set || links == 0 {
            return Ok(());
        }
        prop_assert_eq!(links, 1, "one link of several stays");
        self.check_texts()
    }

    /// Gives them one new link each, and the timed tries a day and a half.
    fn heal(&mut self) {
        self.world.connect(0, 1);
        self.world.connect(0, CARRIER);
        self.world.connect(1, CARRIER);
        self.world.run();
        for _ in 0..36 {
            if self.check().is_ok() {
                return;
            }
            self.world.advance(Duration::from_secs(3600));
        }
    }

    fn check_texts(&self) -> Result<(), TestCaseError> {
        for from in 0..2 {
            let mut received = self.world.people[1 - from].received();
            let mut expected: Vec<String> =
                self.sent[from].iter().map(|(text, _)| text.clone()).collect();
            received.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(received, expected, "from {}", from);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        self.check_texts()?;
        for from in 0..2 {
            let store = &self.world.people[from].store;
            for (text, id) in &self.sent[from] {
                let state = self.world.state(from, id);
                let arrived = matches!(state, DeliveryState::Delivered | DeliveryState::Read);
                prop_assert!(arrived, "{} is {:?}", text, state);
                let message = store.outgoing(id).expect("readable").expect("ours");
                let envelope = message.envelope_id.expect("it was sealed");
                prop_assert!(store.envelope(&envelope).expect("readable").is_none(), "{}", text);
            }
            let pending = store.pending_for(&self.world.identity(1 - from), None, 9);
            prop_assert!(pending.expect("readable").is_empty(), "held for {}", 1 - from);
        }
        Ok(())
    }

    /// What is still carried is forgotten in time, at the latest when it expires.
    fn check_carrier(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..17 * 4 {
            self.world.pace = Duration::from_secs(6 * 3600);
            self.world.advance(Duration::from_secs(6 * 3600));
        }
        for who in 0..3 {
            let carried = self.world.people[who].store.carried();
            prop_assert_eq!(carried, Ok(vec![]), "{} carries", who);
        }
        Ok(())
    }
}
