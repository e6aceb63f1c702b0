//! Seeds end, by the clock and by nothing else.

use std::cell::Cell;
use std::io;

use tortalk_model::limits::SEALING_SEED_KEPT;
use tortalk_model::{MonoMillis, Now};

use super::search::search;
use super::*;

thread_local! {
    /// How many more steps of erasing are made before the process ends.
    static STEPS_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Called after each step of erasing.
pub(in crate::profile) fn crash_here() -> io::Result<()> {
    match STEPS_LEFT.get() {
        Some(0) => Err(io::Error::other("the process has ended here")),
        Some(left) => {
            STEPS_LEFT.set(Some(left - 1));
            Ok(())
        }
        None => Ok(()),
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// When the seed of a new profile is due to be erased.
fn due() -> UnixMillis {
    NOW.saturating_sub(HOUR).saturating_add(SEALING_KEY_LIFE).saturating_add(SEALING_SEED_KEPT)
}

/// A profile that runs, with the clocks that it is shown.
struct Running {
    profile: Profile,
    now: Now,
    step: Duration,
}

impl Running {
    fn start(dir: &Path, wall: UnixMillis) -> Self {
        let profile = open(dir, None).expect("it opens");
        let mut running = Self { profile, now: Now { wall, mono: MonoMillis(5000) }, step: MINUTE };
        assert!(running.look().is_empty(), "nothing has been said for any time");
        running
    }

    /// What is erased at a look.
    fn look(&mut self) -> Vec<KeyId> {
        let erased = self.profile.erase_if_due(self.now, &mut OsEntropy);
        assert_eq!(erased.trouble, None);
        erased.keys
    }

    /// Runs with a clock that goes on; what is erased meanwhile.
    fn run(&mut self, duration: Duration) -> Vec<KeyId> {
        let end = self.now.mono + duration;
        let mut erased = Vec::new();
        while self.now.mono < end {
            self.now.mono = self.now.mono + self.step;
            self.now.wall = self.now.wall.saturating_add(self.step);
            erased.extend(self.look());
        }
        erased
    }

    /// The clock is set.
    fn set(&mut self, wall: UnixMillis) {
        self.now.wall = wall;
    }

    fn stop(mut self) {
        self.profile.note_running_time(self.now, &mut OsEntropy).expect("a disk");
    }

    fn keys(&self) -> Vec<KeyId> {
        self.profile.sealing.iter().map(|key| key.key_id).collect()
    }
}

/// A profile with one key, and the key.
fn one_key(dir: &Path) -> KeyId {
    make(dir, None).expect("a new profile").sealing[0].key_id
}

/// A profile whose key is erased at the next look but for `left`.
fn almost(dir: &Path, left: Duration) -> Running {
    let mut running = Running::start(dir, due());
    assert!(running.run(24 * HOUR - left).is_empty());
    running
}

// req: SEA-42, SEA-43
#[test]
fn a_seed_is_kept_for_sixteen_days_and_goes_when_the_clock_said_so_for_a_day() {
    let (_parent, dir) = place();
    let key = one_key(&dir);
    let mut running = Running::start(&dir, due().saturating_sub(30 * HOUR));
    assert!(running.run(30 * HOUR - MINUTE).is_empty(), "it is not due yet");
    assert!(running.run(24 * HOUR).is_empty(), "it has been due for less than a day");
    assert_eq!(running.keys(), [key]);
    assert_eq!(running.run(MINUTE), [key]);
    assert_eq!(running.keys(), []);
    drop(running);
    assert_eq!(Running::start(&dir, NOW).keys(), [], "whatever the clock says afterwards");
}

// req: SEA-43, SEA-49
#[test]
fn running_time_counts_over_restarts() {
    let (_parent, dir) = place();
    let key = one_key(&dir);
    // Half an hour each time, and days between them.
    let mut at = due();
    for _ in 0..48 {
        let mut running = Running::start(&dir, at);
        assert!(running.run(HOUR / 2 - MINUTE).is_empty());
        running.now.mono = running.now.mono + MINUTE;
        running.stop();
        at = at.saturating_add(DAY);
    }
    let mut running = Profile::erase_if_due(
        &mut open(&dir, None).expect("it opens"),
        Now { wall: at, mono: MonoMillis(0) },
        &mut OsEntropy,
    );
    assert_eq!(running.keys, [key], "at the first look of a start");
    running.keys.clear();
    assert!(running.is_nothing());
}

// req: SEA-49
#[test]
fn a_crash_takes_an_hour_of_running_time_at_most_and_adds_none() {
    let (_parent, dir) = place();
    let key = one_key(&dir);
    drop(almost(&dir, MINUTE));
    let mut running = Running::start(&dir, due());
    assert!(running.run(MINUTE).is_empty(), "what was not written down does not count");
    assert_eq!(running.run(HOUR), [key]);
}

// req: SEA-43, SEA-47
#[test]
fn a_clock_a_year_ahead_for_less_than_a_day_erases_nothing() {
    let (_parent, dir) = place();
    let key = one_key(&dir);
    let ahead = NOW.saturating_add(365 * DAY);
    for stops in [false, true] {
        let mut running = Running::start(&dir, ahead);
        for _ in 0..3 {
            assert!(running.run(23 * HOUR).is_empty());
            running.set(NOW);
            if stops {
                running.stop();
                running = Running::start(&dir, NOW);
            } else {
                assert!(running.look().is_empty());
                // Noted, too: a crash now does not bring the count back.
                drop(running);
                running = Running::start(&dir, ahead);
            }
            running.set(ahead);
        }
        assert_eq!(running.keys(), [key]);
    }
    let seed = dir.join("keys").join(format!("sealing-{key}.seed"));
    assert!(seed.exists());
}

// req: SEA-48
#[test]
fn a_machine_that_sleeps_does_not_run() {
    let (_parent, dir) = place();
    one_key(&dir);
    let mut running = Running::start(&dir, due());
    running.step = 10 * HOUR;
    assert!(running.run(200 * HOUR).is_empty(), "twenty looks count for minutes each");
}

// req: SEA-49
#[test]
fn damaged_counts_begin_anew() {
    let (_parent, dir) = place();
    let key = one_key(&dir);
    almost(&dir, MINUTE).stop();
    let path = dir.join("keys").join("seeds.due");
    let mut bytes = fs::read(&path).expect("counts");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&path, bytes).expect("damaged");
    let mut running = Running::start(&dir, due());
    assert!(running.run(24 * HOUR - MINUTE).is_empty());
    assert_eq!(running.run(MINUTE), [key]);
}

// req: SEA-44
#[test]
fn a_seed_is_overwritten_in_place_before_it_loses_its_name() {
    let (parent, dir) = place();
    let key = one_key(&dir);
    let mut running = almost(&dir, MINUTE);
    let path = dir.join("keys").join(format!("sealing-{key}.seed"));
    // Another name of the same blocks.
    let blocks = parent.path().join("blocks");
    fs::hard_link(&path, &blocks).expect("a second name");
    let before = fs::read(&blocks).expect("a seed");
    assert_eq!(running.run(MINUTE), [key]);
    assert!(!path.exists());
    assert_eq!(fs::read(&blocks).expect("what is left"), vec![0; before.len()]);
}

// req: SEA-44, SEA-50, SEA-51
#[test]
fn a_crash_between_any_two_steps_is_finished_by_the_next_start() {
    let mut states = Vec::new();
    for steps in 0.. {
        let (_parent, dir) = place();
        let key = one_key(&dir);
        let seed = *running_seed(&dir);
        let mut running = almost(&dir, MINUTE);
        let path = dir.join("keys").join(format!("sealing-{key}.seed"));
        let marked = dir.join("keys").join(format!("sealing-{key}.seed.erasing"));
        let sealed = fs::read(&path).expect("a seed");
        STEPS_LEFT.set(Some(steps));
        running.now.mono = running.now.mono + MINUTE;
        let erased = running.profile.erase_if_due(running.now, &mut OsEntropy);
        STEPS_LEFT.set(None);
        let at = running.now.wall;
        drop(running);

        assert!(!path.exists() || !marked.exists());
        if let Ok(bytes) = fs::read(&marked) {
            assert_eq!(bytes.len(), sealed.len(), "nothing is cut off");
            let state = match bytes {
                bytes if bytes == sealed => "whole",
                bytes if bytes.iter().all(|byte| *byte == 0) => "zeros",
                _ => "random",
            };
            states.push(state);
        }
        let mut profile = open(&dir, None).expect("a start after a crash");
        let finished = profile.erase_if_due(Now { wall: at, mono: MonoMillis(0) }, &mut OsEntropy);
        assert_eq!(finished.trouble, None);
        assert!(profile.sealing.is_empty());
        let left: Vec<_> = contents(&dir.join("keys")).into_keys().collect();
        assert_eq!(left.len(), 3, "two mailboxes and the counts: {left:?}");
        assert_eq!(search(&dir, &seed), []);
        assert_eq!(search(&dir, &sealed[10..]), []);
        if erased.trouble.is_none() {
            assert!(steps > 6, "every step is one of these");
            break;
        }
    }
    states.dedup();
    assert_eq!(states, ["whole", "random", "zeros"]);
}

fn running_seed(dir: &Path) -> zeroize::Zeroizing<[u8; 32]> {
    (*open(dir, None).expect("it opens").sealing[0].seed).clone()
}

// req: SEA-51
#[test]
fn what_an_error_ends_is_done_at_the_next_look() {
    let (_parent, dir) = place();
    let key = one_key(&dir);
    let mut running = almost(&dir, MINUTE);
    running.now.mono = running.now.mono + MINUTE;
    STEPS_LEFT.set(Some(3));
    let erased = running.profile.erase_if_due(running.now, &mut OsEntropy);
    STEPS_LEFT.set(None);
    assert_eq!(erased.keys, [key], "in memory it is gone from the first step on");
    assert!(erased.trouble.is_some_and(|error| !error.to_string().contains('\n')));
    assert!(running.look().is_empty());
    assert!(!dir.join("keys").join(format!("sealing-{key}.seed.erasing")).exists());
}

// req: SEA-44
#[test]
fn copies_that_never_became_keys_are_erased_too() {
    let (parent, dir) = place();
    let key = one_key(&dir);
    let keys = dir.join("keys");
    let sealed = fs::read(keys.join(format!("sealing-{key}.seed"))).expect("a seed");
    let copy = keys.join(".sealing-0011223344556677.seed.new");
    fs::write(&copy, &sealed[..40]).expect("half a copy");
    let blocks = parent.path().join("blocks");
    fs::hard_link(&copy, &blocks).expect("a second name");
    // Nothing of ours: a link is removed and what it points to is not.
    let other = parent.path().join("letter");
    fs::write(&other, "dear").expect("a letter");
    std::os::unix::fs::symlink(&other, keys.join(".intro.mailbox.new")).expect("a link");
    drop(open(&dir, None).expect("it opens"));
    assert_eq!(contents(&keys).len(), 3);
    assert_eq!(fs::read(blocks).expect("what is left"), [0; 40]);
    assert_eq!(fs::read(other).expect("the letter"), b"dear");
}

// req: SEA-44
#[test]
fn a_seed_in_another_place_is_erased_there() {
    let (parent, dir) = place();
    let key = one_key(&dir);
    let path = dir.join("keys").join(format!("sealing-{key}.seed"));
    let place = parent.path().join("seed");
    fs::rename(&path, &place).expect("moved");
    std::os::unix::fs::symlink(&place, &path).expect("a link");
    assert_eq!(almost(&dir, MINUTE).run(MINUTE), [key]);
    assert!(!place.exists() && !path.is_symlink());
}
