//! Two people who never share a network or an hour online, through one relay.
//!
//! `cargo xtask show distance` runs these and prints what happened when.

use core::time::Duration;

use tortalk_keys::invite::Invite;
use tortalk_mesh::{Command, DeliveryState, Event, Read};
use tortalk_model::{EnvelopeId, MessageId, UnixMillis};

use crate::person::START_MS;
use crate::relay_net::Net;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Who is online, by number.
const ALICE: usize = 0;
const BOB: usize = 1;
const NAMES: [&str; 2] = ["Alice", "Bob"];
/// The hours of the day at which they are.
const HOURS: [u64; 2] = [8, 20];

/// What happens to the two, told line by line.
struct Story {
    net: Net,
    title: &'static str,
    /// Whoever was online, and in which hour of the story.
    online: Vec<(u64, usize)>,
}

impl Story {
    /// Alice, who has no relay, and Bob, who has one; both are away.
    fn begin(title: &'static str) -> Self {
        let mut net = Net::new(&[("alice", &[]), ("bob", &[0])], 1);
        net.keys_are_tended = true;
        net.leave(ALICE);
        net.leave(BOB);
        Self { net, title, online: Vec::new() }
    }

    fn hour(&self) -> u64 {
        (self.net.world.now.wall.0 - START_MS) / 3_600_000
    }

    fn say(&self, who: &str, what: &str) {
        let minutes = (self.net.world.now.wall.0 - START_MS) / 60_000;
        let (day, hour, minute) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
        println!("@\t{}\t{day}\t{hour:02}:{minute:02}\t{who}\t{what}", self.title);
    }

    /// Somebody is online for their hour of that day, and nobody else.
    fn online(&mut self, day: u64, who: usize, act: impl FnOnce(&mut Self)) {
        let starts = UnixMillis(START_MS + (24 * day + HOURS[who]) * 3_600_000);
        let wait = starts.0.checked_sub(self.net.world.now.wall.0).expect("days go forward");
        assert!(self.net.world.people.iter().all(|person| person.away), "an hour of their own");
        self.net.world.pace = HOUR;
        self.net.advance(Duration::from_millis(wait));
        self.online.push((self.hour(), who));
        self.net.world.pace = MINUTE;
        self.net.come_back(who);
        self.net.advance(20 * MINUTE);
        act(self);
        self.net.run();
        self.net.advance(39 * MINUTE);
        self.net.leave(who);
    }

    fn write(&mut self, from: usize, text: &str) -> MessageId {
        let id = self.net.world.send(from, 1 - from, text);
        self.net.run();
        let state = self.state(from, &id).word();
        self.say(NAMES[from], &format!("writes “{text}”: {state}"));
        id
    }

    fn state(&self, person: usize, id: &MessageId) -> DeliveryState {
        self.net.world.state(person, id)
    }

    /// Whoever is online reads what has come since they looked last.
    fn read(&mut self, person: usize, expected: &[&str]) {
        assert_eq!(self.net.world.people[person].received(), expected);
        self.net.world.people[person].events.clear();
        for text in expected {
            self.say(NAMES[person], &format!("reads “{text}”"));
        }
    }

    fn sees(&self, person: usize, text: &str, id: &MessageId, expected: DeliveryState) {
        let state = self.state(person, id);
        assert_eq!(state, expected, "“{text}”");
        self.say(NAMES[person], &format!("sees “{text}”: {}", state.word()));
    }

    fn envelope(&self, id: &MessageId) -> Option<EnvelopeId> {
        let message = self.net.world.people[ALICE].store.outgoing(id).expect("readable");
        message.expect("hers").envelope_id
    }

    /// Alice is online each of these days; it is told when a message of hers had to
    /// be sealed again. How often that was.
    fn alice_goes_on(
        &mut self,
        days: core::ops::RangeInclusive<u64>,
        ids: &[(&str, MessageId)],
    ) -> usize {
        let mut again = 0;
        for day in days {
            let before: Vec<_> = ids.iter().map(|(_, id)| self.envelope(id)).collect();
            self.online(day, ALICE, |_| {});
            for ((text, id), before) in ids.iter().zip(before) {
                if self.envelope(id) != before {
                    again += 1;
                    let state = self.state(ALICE, id).word();
                    self.say(NAMES[ALICE], &format!("“{text}” is sealed again: {state}"));
                }
            }
        }
        again
    }

    /// Invite, request, accept and a message each way, in five days.
    fn meet(&mut self) {
        let mut text = String::new();
        self.online(0, BOB, |story| {
            let bob = &story.net.world.people[BOB];
            let relays = bob.mesh.relays_for_invite();
            let invite = Invite::Full {
                identity: bob.identity(),
                intro_mailbox: bob.keyring.intro_mailbox.public(),
                read_key: bob.keyring.intro_read_key,
                relays,
            };
            text = invite.to_text();
            let len = text.len();
            story.say(NAMES[BOB], &format!("writes his invite on paper: {len} characters"));
        });
        self.online(1, ALICE, |story| {
            let invite = Invite::parse_text(&text).expect("copied well");
            let (identity, name) = (invite.identity(), NAMES[BOB].to_owned());
            let (invite, text) = (Some(invite.to_bytes()), "from the ferry".to_owned());
            let add = Command::AddContact { identity, name, invite, text };
            story.net.world.command(ALICE, add).expect("a new contact");
            story.net.run();
            let events = &story.net.world.people[ALICE].events;
            assert!(events.iter().any(|event| matches!(event, Event::RelayAdopted { .. })));
            story.say(NAMES[ALICE], "has no relay: answers come to that of the invite");
            story.sees(ALICE, "from the ferry", &story.request(), DeliveryState::AtRelay);
        });
        self.online(1, BOB, |story| {
            let asked = story.net.world.people[BOB].mesh.requests().next().cloned();
            let asked = asked.expect("the request");
            assert_eq!(asked.identity, story.net.world.identity(ALICE));
            let text = format!("accepts whoever says “{}”", asked.text);
            let (identity, name) = (asked.identity, NAMES[ALICE].to_owned());
            let accept = Command::AcceptRequest { identity, name };
            story.net.world.command(BOB, accept).expect("a request");
            story.say(NAMES[BOB], &text);
        });
        let request = self.request();
        let mut first = None;
        self.online(2, ALICE, |story| {
            story.sees(ALICE, "from the ferry", &request, DeliveryState::Delivered);
            first = Some(story.write(ALICE, "so it is you"));
        });
        let mut answer = None;
        self.online(2, BOB, |story| {
            story.read(BOB, &["so it is you"]);
            answer = Some(story.write(BOB, "it is"));
        });
        self.online(3, ALICE, |story| {
            story.read(ALICE, &["it is"]);
            let first = first.expect("written");
            story.sees(ALICE, "so it is you", &first, DeliveryState::Delivered);
        });
        self.online(3, BOB, |story| {
            story.sees(BOB, "it is", &answer.expect("written"), DeliveryState::Delivered);
        });
    }

    /// Alice's request to Bob.
    fn request(&self) -> MessageId {
        let bob = self.net.world.identity(BOB);
        let contacts = self.net.world.people[ALICE].store.contacts().expect("readable");
        let contact = contacts.iter().find(|contact| contact.identity == bob).expect("added");
        contact.requested.expect("asked")
    }

    /// Nobody shared an hour or a link, whatever else happened.
    fn end(&self) {
        let shared = |(hour, who): &(u64, usize)| {
            self.online.iter().any(|(other, person)| hour == other && who != person)
        };
        assert!(!self.online.iter().any(shared), "never an hour online together");
        assert_eq!(self.net.world.cables_made(), 0, "never a link");
        let hours = self.online.len();
        self.say("", &format!("no link, no hour shared of {hours}, one relay"));
    }
}

/// Bob is away from day 3; Alice is online daily.
#[test]
fn after_twenty_days_away_messages_are_there() {
    let mut story = Story::begin("twenty days");
    story.meet();
    let mut ids = Vec::new();
    story.online(4, ALICE, |story| ids.push(("early", story.write(ALICE, "early"))));
    let mut again = story.alice_goes_on(5..=9, &ids);
    story.online(10, ALICE, |story| ids.push(("late", story.write(ALICE, "late"))));
    assert_eq!(again, 0, "for two weeks the relay has them");
    again += story.alice_goes_on(11..=23, &ids);
    assert!((1..=3).contains(&again), "sealed again {again} times: before they expire only");
    story.online(23, BOB, |story| {
        let mut read = story.net.world.people[BOB].received();
        read.sort();
        assert_eq!(read, ["early", "late"]);
        story.say(NAMES[BOB], "is back after twenty days and reads both");
    });
    story.online(24, ALICE, |story| {
        for (text, id) in &ids {
            story.sees(ALICE, text, id, DeliveryState::Delivered);
        }
    });
    assert_eq!(story.net.relays[0].held(), 0);
    story.end();
}

/// Bob is away from day 3; his published key ends on day 28.
#[test]
fn after_forty_days_away_a_new_key_is_read_and_messages_arrive() {
    let mut story = Story::begin("forty days");
    story.meet();
    let mut ids = Vec::new();
    story.online(4, ALICE, |story| ids.push(("early", story.write(ALICE, "early"))));
    story.alice_goes_on(5..=29, &ids);
    story.online(30, ALICE, |story| {
        let id = story.write(ALICE, "no key");
        assert_eq!(story.state(ALICE, &id), DeliveryState::WaitingForKey);
        ids.push(("no key", id));
    });
    story.alice_goes_on(31..=43, &ids);
    assert_eq!(story.state(ALICE, &ids[1].1), DeliveryState::WaitingForKey);
    story.online(43, BOB, |story| {
        assert!(story.net.world.people[BOB].received().iter().all(|text| text == "it is"));
        story.say(NAMES[BOB], "is back after forty days, with a new key in his drop");
    });
    let sealed = story.alice_goes_on(44..=44, &ids);
    assert_eq!(sealed, 2, "both, with the key that she has read");
    story.online(44, BOB, |story| {
        let mut read = story.net.world.people[BOB].received();
        read.sort();
        assert_eq!(read, ["early", "no key"]);
        story.say(NAMES[BOB], "reads both");
    });
    story.online(45, ALICE, |story| {
        for (text, id) in &ids {
            story.sees(ALICE, text, id, DeliveryState::Delivered);
        }
    });
    story.end();
}

/// Bob's computer breaks on day 4; he has a backup of day 3, without seeds.
#[test]
fn after_a_reinstall_from_a_backup_without_seeds_messages_arrive() {
    let mut story = Story::begin("reinstall");
    story.meet();
    let backup = story.net.world.people[BOB].store.contacts().expect("readable");
    let mut ids = Vec::new();
    story.online(4, ALICE, |story| ids.push(("lost key", story.write(ALICE, "lost key"))));
    story.alice_goes_on(5..=5, &ids);
    story.online(6, ALICE, |story| ids.push(("meanwhile", story.write(ALICE, "meanwhile"))));
    let now = story.net.world.now;
    let before = story.net.world.people[BOB].keyring.store_id;
    story.net.world.people[BOB].reinstall(&backup, now);
    story.net.world.people[BOB].events.clear();
    assert_ne!(story.net.world.people[BOB].keyring.store_id, before);
    story.say(NAMES[BOB], "has a new computer and the backup of day 3");
    story.online(6, BOB, |story| {
        assert!(story.net.world.people[BOB].received().is_empty(), "no key for them is left");
        let kept = story.net.world.people[BOB].store.unopened().expect("readable").len();
        story.say(NAMES[BOB], &format!("has {kept} envelopes that nothing here opens"));
        assert_eq!(kept, 2);
    });
    story.alice_goes_on(7..=7, &ids);
    story.online(7, BOB, |story| {
        let mut read = story.net.world.people[BOB].received();
        read.sort();
        assert_eq!(read, ["lost key", "meanwhile"]);
        story.say(NAMES[BOB], "reads both");
    });
    story.online(8, ALICE, |story| {
        for (text, id) in &ids {
            story.sees(ALICE, text, id, DeliveryState::Delivered);
        }
        story.write(ALICE, "and on");
    });
    story.online(8, BOB, |story| {
        assert!(story.net.world.people[BOB].received().contains(&"and on".to_owned()));
        story.say(NAMES[BOB], "reads “and on”");
    });
    story.end();
}
