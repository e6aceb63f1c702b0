pub(super) mod erasing;
mod renewal;
pub(crate) mod search;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tempfile::TempDir;
use tortalk_model::KeyId;
use tortalk_model::limits::{SEALING_KEY_LIFE, SEALING_KEY_ROTATION};
use tortalk_sqlite::LockError;
use tortalk_store::Store;
use tortalk_testkit::Seeded;

use super::sealing::Rotation;
use super::*;
use crate::entropy::OsEntropy;

const DAY: Duration = Duration::from_secs(24 * 3600);
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).expect("not empty")
}

/// A folder that does not exist yet, inside one that does.
fn place() -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let dir = parent.path().join("alice");
    (parent, dir)
}

fn make(dir: &Path, passphrase: Option<&Passphrase>) -> Result<Profile, CreateError> {
    let new =
        NewProfile { dir, name: "Alice", passphrase, cost: Argon2Cost::FOR_TESTS, person: None };
    create(&new, NOW, &mut OsEntropy)
}

fn made(dir: &Path, passphrase: Option<&Passphrase>) {
    drop(make(dir, passphrase).expect("a new profile"));
}

fn refusal(dir: &Path, passphrase: Option<&Passphrase>) -> OpenError {
    let before = contents(dir);
    let error = open(dir, passphrase).expect_err("a profile that does not open");
    assert_eq!(contents(dir), before, "an open that fails changes nothing");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

fn identity_fault(dir: &Path, passphrase: Option<&Passphrase>) -> IdentityFault {
    match refusal(dir, passphrase) {
        OpenError::Identity { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

/// Every file below `dir` with its bytes.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).expect("a file");
                all.insert(path, bytes);
            }
        }
    }
    all
}

fn identity_of(profile: &Profile) -> (Vec<u8>, Vec<KeyId>) {
    let keyring = profile.keyring(StoreId::from_bytes([0; 16]));
    let mut secrets = Vec::new();
    secrets.extend_from_slice(keyring.identity.seed());
    secrets.extend_from_slice(keyring.device_id.as_bytes());
    secrets.extend_from_slice(keyring.intro_mailbox.seed());
    secrets.extend_from_slice(keyring.contact_mailbox.seed());
    secrets.extend_from_slice(&keyring.deposit_key);
    secrets.extend_from_slice(&keyring.intro_read_key);
    secrets.extend_from_slice(&keyring.contact_read_key);
    (secrets, keyring.sealing.iter().map(|key| key.secret.key_id()).collect())
}

#[test]
fn what_was_made_is_what_is_opened() {
    let secret = passphrase("correct horse");
    for passphrase in [None, Some(&secret)] {
        let (_parent, dir) = place();
        let profile = make(&dir, passphrase).expect("a new profile");
        let before = identity_of(&profile);
        assert_eq!(before.1.len(), 1, "one sealing key");
        drop(profile);
        let profile = open(&dir, passphrase).expect("it opens");
        assert_eq!(identity_of(&profile), before);
        assert_eq!(profile.settings().user.username.as_deref(), Some("Alice"));
        assert!(!dir.join(CREATING_FILE).exists());
        let store = Store::open(profile.store_path(), profile.key().clone(), Box::new(OsEntropy));
        store.expect("the database is there and opens with the profile's key");
    }
}

#[test]
fn two_profiles_share_nothing() {
    let (_parent, dir) = place();
    let (_other_parent, other) = place();
    let (a, b) = (make(&dir, None).expect("one"), make(&other, None).expect("another"));
    let ((a, _), (b, _)) = (identity_of(&a), identity_of(&b));
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        assert_ne!(a, b);
    }
}

#[test]
fn everything_belongs_to_its_owner_alone() {
    let (_parent, dir) = place();
    made(&dir, None);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("keys")), 0o700);
    assert_eq!(mode(&dir.join("identity.bin")), 0o600);
    for entry in fs::read_dir(dir.join("keys")).expect("keys") {
        assert_eq!(mode(&entry.expect("a key").path()), 0o600);
    }
}

#[test]
fn no_secret_is_on_disk_in_clear_under_a_passphrase() {
    let (_parent, dir) = place();
    let profile = make(&dir, Some(&passphrase("correct horse"))).expect("a new profile");
    let (secrets, _) = identity_of(&profile);
    let key = *profile.key().as_bytes();
    let files = contents(&dir);
    for secret in secrets.chunks_exact(32).chain([&key[..]]) {
        for (path, bytes) in &files {
            assert!(!bytes.windows(32).any(|window| window == secret), "{}", path.display());
        }
    }
}

#[test]
fn a_passphrase_is_asked_for_and_must_be_right() {
    let (_parent, dir) = place();
    made(&dir, Some(&passphrase("correct horse")));
    assert_eq!(identity_fault(&dir, None), IdentityFault::NeedsPassphrase);
    let wrong = passphrase("correct house");
    assert_eq!(identity_fault(&dir, Some(&wrong)), IdentityFault::WrongPassphrase);
    assert!(Passphrase::new(String::new()).is_none());
}

#[test]
fn a_passphrase_is_set_changed_and_removed_without_touching_anything_else() {
    let (_parent, dir) = place();
    made(&dir, None);
    let before = contents(&dir);
    let secrets = identity_of(&open(&dir, None).expect("it opens"));
    let (first, second) = (passphrase("first"), passphrase("second"));
    let steps = [(None, Some(&first)), (Some(&first), Some(&second)), (Some(&second), None)];
    for (old, new) in steps {
        let profile = open(&dir, old).expect("the old one holds");
        profile
            .set_passphrase(new, Argon2Cost::FOR_TESTS, &mut OsEntropy)
            .expect("the file can be replaced");
        drop(profile);
        if let Some(old) = old
            && new.is_some()
        {
            assert_eq!(identity_fault(&dir, Some(old)), IdentityFault::WrongPassphrase);
        }
        assert_eq!(identity_of(&open(&dir, new).expect("the new one holds")), secrets);
    }
    assert_eq!(contents(&dir), before, "without a passphrase the file is what it was");
}

#[test]
fn the_default_cost_works_too() {
    let (_parent, dir) = place();
    made(&dir, None);
    let new = passphrase("correct horse");
    change_passphrase(&dir, None, Some(&new), &mut OsEntropy).expect("it can be changed");
    drop(open(&dir, Some(&new)).expect("it opens"));
}

#[test]
fn a_folder_without_a_profile_is_left_alone() {
    let (parent, dir) = place();
    assert_eq!(open(&dir, None).expect_err("nothing"), OpenError::NotThere { dir: dir.clone() });
    assert!(!dir.exists());
    fs::write(parent.path().join("letter.txt"), "dear").expect("a file");
    assert!(matches!(refusal(parent.path(), None), OpenError::NotThere { .. }));
    assert!(!exists(parent.path()));
    let error = make(parent.path(), None).expect_err("a folder of something else");
    assert!(matches!(error, CreateError::NotEmpty { .. }), "{error}");
    assert_eq!(fs::read_dir(parent.path()).expect("the folder").count(), 1);
}

#[test]
fn one_process_at_a_time() {
    let (_parent, dir) = place();
    let first = make(&dir, None).expect("a new profile");
    assert!(matches!(
        refusal(&dir, None),
        OpenError::Lock(LockError::InUse { pid: Some(pid), .. }) if pid == std::process::id()
    ));
    drop(first);
    drop(open(&dir, None).expect("it is free again"));
}

#[test]
fn a_profile_that_is_there_is_never_made_again() {
    let (_parent, dir) = place();
    made(&dir, None);
    let before = contents(&dir);
    assert!(matches!(make(&dir, None), Err(CreateError::AlreadyThere { .. })));
    // Without its identity it is no empty folder either.
    fs::rename(dir.join("identity.bin"), dir.with_extension("backup")).expect("moved away");
    assert!(matches!(refusal(&dir, None), OpenError::IdentityMissing { .. }));
    assert!(matches!(make(&dir, None), Err(CreateError::Remains { .. })));
    fs::rename(dir.with_extension("backup"), dir.join("identity.bin")).expect("moved back");
    assert_eq!(contents(&dir), before);
}

#[test]
fn damage_is_told_from_other_kinds_of_files_and_versions() {
    let (_parent, dir) = place();
    let secret = passphrase("correct horse");
    made(&dir, Some(&secret));
    let path = dir.join("identity.bin");
    let good = fs::read(&path).expect("the identity");
    let fault_of = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("another identity");
        identity_fault(&dir, Some(&secret))
    };
    assert_eq!(fault_of(b"-----BEGIN KEY-----"), IdentityFault::NotIdentity);
    let mut newer = good.clone();
    newer[9] = 2;
    assert_eq!(fault_of(&newer), IdentityFault::Newer(2));
    for length in 0..good.len() {
        assert_eq!(fault_of(&good[..length]), IdentityFault::Damaged, "cut at {length}");
    }
    assert_eq!(fault_of(&[&good[..], &[0]].concat()), IdentityFault::Damaged);
    for at in 10..good.len() {
        let mut bent = good.clone();
        bent[at] ^= 0x10;
        assert_eq!(fault_of(&bent), IdentityFault::Damaged, "bent at {at}");
    }
    fs::write(&path, &good).expect("the identity again");
    drop(open(&dir, Some(&secret)).expect("it opens"));
}

/// Puts a right checksum under changed bytes, as an attacker would.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = bytes.len() - 32;
    let checksum =
        tortalk_model::hash::labelled(b"tortalk/profile/identity-file\0", &[&bytes[..at]]);
    bytes[at..].copy_from_slice(&checksum);
    bytes
}

#[test]
fn a_file_cannot_ask_for_all_memory_and_cannot_be_bent_with_its_checksum() {
    let (_parent, dir) = place();
    let secret = passphrase("correct horse");
    made(&dir, Some(&secret));
    let path = dir.join("identity.bin");
    let good = fs::read(&path).expect("the identity");
    let fault_with = |offset: usize, value: u32| {
        let mut bytes = good.clone();
        bytes[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
        fs::write(&path, with_checksum(bytes)).expect("another identity");
        identity_fault(&dir, Some(&secret))
    };
    for (offset, value) in [(11, 1 << 30), (11, 0), (15, 0), (15, 65), (19, 0), (19, 17), (19, 2)] {
        assert_eq!(fault_with(offset, value), IdentityFault::Damaged, "{value} at {offset}");
    }
    // A cost within bounds that is not the true one is as a wrong passphrase.
    assert_eq!(fault_with(15, 2), IdentityFault::WrongPassphrase);
    // Changing the kdf to "none" opens nothing.
    let mut bytes = good;
    bytes[10] = 0;
    fs::write(&path, with_checksum(bytes)).expect("another identity");
    assert_eq!(identity_fault(&dir, Some(&secret)), IdentityFault::Damaged);
}

#[test]
fn a_missing_or_foreign_key_is_named() {
    let (_parent, dir) = place();
    let (_other_parent, other) = place();
    let sealing = make(&dir, None).expect("a new profile").sealing[0].key_id;
    made(&other, None);
    let intro = dir.join("keys").join("intro.mailbox");
    let contact = dir.join("keys").join("contact.mailbox");
    let seed = dir.join("keys").join(format!("sealing-{sealing}.seed"));
    let good = fs::read(&intro).expect("a key");

    fs::remove_file(&intro).expect("removed");
    assert_eq!(refusal(&dir, None), OpenError::KeyMissing { path: intro.clone() });
    let damaged =
        |path: &PathBuf, replaceable| OpenError::KeyDamaged { path: path.clone(), replaceable };
    fs::copy(other.join("keys").join("intro.mailbox"), &intro).expect("a foreign key");
    assert_eq!(refusal(&dir, None), damaged(&intro, false));
    // Another key of the same profile is in the wrong place, too.
    fs::copy(&contact, &intro).expect("a misplaced key");
    assert_eq!(refusal(&dir, None), damaged(&intro, false));
    let mut newer = good.clone();
    newer[9] = 2;
    fs::write(&intro, newer).expect("a newer key");
    assert_eq!(refusal(&dir, None), OpenError::KeyNewer { path: intro.clone() });
    fs::write(&intro, &good[..good.len() - 1]).expect("a truncated key");
    assert_eq!(refusal(&dir, None), damaged(&intro, false));
    fs::write(&intro, &good).expect("the key again");

    let good = fs::read(&seed).expect("a seed");
    fs::write(&seed, b"").expect("an empty seed");
    assert_eq!(refusal(&dir, None), damaged(&seed, true));
    fs::write(&seed, good).expect("the seed again");
    drop(open(&dir, None).expect("it opens"));
}

#[test]
fn wrong_settings_are_told_before_the_passphrase_is_asked() {
    let (_parent, dir) = place();
    made(&dir, Some(&passphrase("correct horse")));
    fs::write(dir.join("settings.toml"), "[network]\nmdms = true\n").expect("settings");
    assert!(matches!(refusal(&dir, None), OpenError::Settings(_)));
    fs::remove_file(dir.join("settings.toml")).expect("removed");
    assert!(matches!(refusal(&dir, None), OpenError::Settings(_)));
}

#[test]
fn settings_that_are_there_already_stay() {
    let (_parent, dir) = place();
    fs::create_dir(&dir).expect("a folder");
    let text = "[network]\ntcp_port = 4000 # mine\n\n[identity]\npath = \"me.bin\"\n";
    fs::write(dir.join("settings.toml"), text).expect("settings");
    assert!(!exists(&dir));
    assert!(matches!(refusal(&dir, None), OpenError::NotThere { .. }));
    made(&dir, None);
    assert!(exists(&dir) && dir.join("me.bin").exists() && !dir.join("identity.bin").exists());
    let profile = open(&dir, None).expect("it opens");
    assert_eq!(profile.settings().network.tcp_port, Some(4000));
    let kept = fs::read_to_string(dir.join("settings.toml")).expect("settings");
    assert!(kept.starts_with("[network]\ntcp_port = 4000 # mine\n"), "{kept}");
}

#[test]
fn a_profile_whose_making_was_interrupted_is_none_and_can_be_made() {
    let (_parent, dir) = place();
    made(&dir, None);
    let old = identity_of(&open(&dir, None).expect("it opens"));
    // The moment before the identity was written.
    fs::remove_file(dir.join("identity.bin")).expect("removed");
    fs::write(dir.join("creating"), "").expect("the mark");
    fs::write(dir.join(".identity.bin.new"), "torTa").expect("half a file");
    assert!(!exists(&dir));
    assert_eq!(refusal(&dir, None), OpenError::Unfinished { dir: dir.clone() });
    made(&dir, None);
    let profile = open(&dir, None).expect("it opens");
    assert_ne!(identity_of(&profile).0, old.0);
    assert_eq!(fs::read_dir(dir.join("keys")).expect("keys").count(), 3, "no old keys");
    assert!(!dir.join(".identity.bin.new").exists());
    drop(profile);
    // The moment after.
    fs::write(dir.join("creating"), "").expect("the mark");
    drop(open(&dir, None).expect("it is whole"));
    assert!(!dir.join("creating").exists());
}

#[test]
fn a_making_that_fails_leaves_nothing() {
    let (parent, dir) = place();
    fs::write(parent.path().join("other"), "").expect("a file");
    // The identity is to lie where no file can be made.
    fs::create_dir(&dir).expect("a folder");
    let text = "[identity]\npath = \"../other/identity.bin\"\n";
    fs::write(dir.join("settings.toml"), text).expect("settings");
    let error = make(&dir, None).expect_err("no place for the identity");
    assert!(matches!(error, CreateError::File(_)), "{error}");
    let left: Vec<_> = contents(&dir).into_keys().collect();
    assert_eq!(left, [dir.join("lock"), dir.join("settings.toml")]);

    let long = "x".repeat(65);
    let new = NewProfile {
        dir: &parent.path().join("bob"),
        name: &long,
        passphrase: None,
        cost: Argon2Cost::FOR_TESTS,
        person: None,
    };
    assert!(matches!(create(&new, NOW, &mut OsEntropy), Err(CreateError::Name(_))));
    assert!(!parent.path().join("bob").exists());
}

// req: SEA-38, SEA-39, SEA-42
#[test]
fn a_sealing_key_is_made_each_week_and_lives_four() {
    let (_parent, dir) = place();
    let mut profile = make(&dir, None).expect("a new profile");
    let mut entropy = Seeded::new(1);
    let almost = NOW.saturating_add(SEALING_KEY_ROTATION - Duration::from_millis(1));
    for now in [NOW, almost] {
        let rotation = profile.rotate_if_due(now, &mut entropy).expect("a disk");
        assert_eq!(rotation, Rotation::NotDue);
    }
    let week = NOW.saturating_add(SEALING_KEY_ROTATION);
    let Rotation::Rotated(key_id) = profile.rotate_if_due(week, &mut entropy).expect("a disk")
    else {
        panic!("a week has gone by");
    };
    drop(profile);
    let profile = open(&dir, None).expect("it opens");
    let keyring = profile.keyring(StoreId::from_bytes([0; 16]));
    assert_eq!(keyring.sealing.len(), 2, "the old key still opens what was sealed to it");
    let newest = keyring.sealing.last().expect("a key");
    assert_eq!(newest.secret.key_id(), key_id);
    assert!(newest.not_before < week, "neighbours' clocks may be behind");
    assert_eq!(newest.not_after, newest.not_before.saturating_add(SEALING_KEY_LIFE));
}

#[test]
fn a_clock_that_is_a_year_off_destroys_nothing() {
    for wrong in [NOW.saturating_add(365 * DAY), NOW.saturating_sub(365 * DAY), UnixMillis(0)] {
        let (_parent, dir) = place();
        let first = make(&dir, None).expect("a new profile").sealing[0].key_id;
        let mut newest = Vec::new();
        for now in [wrong, NOW, NOW] {
            let mut profile = open(&dir, None).expect("it opens at any time");
            profile.rotate_if_due(now, &mut OsEntropy).expect("a disk");
            let keys = profile.keyring(StoreId::from_bytes([0; 16])).sealing;
            let key = keys.last().expect("a key");
            assert!(key.not_before <= now && now < key.not_after, "the published key is valid");
            assert!(keys.iter().any(|key| key.secret.key_id() == first), "no key was lost");
            newest.push(key.secret.key_id());
        }
        assert_ne!(newest[0], newest[1]);
        assert_eq!(newest[1], newest[2], "a right clock makes no further keys");
    }
}

#[test]
fn a_backup_without_seeds_opens_and_gets_a_new_one() {
    let (_parent, dir) = place();
    made(&dir, None);
    for entry in fs::read_dir(dir.join("keys")).expect("keys") {
        let path = entry.expect("a key").path();
        if path.extension().is_some_and(|end| end == "seed") {
            fs::remove_file(path).expect("removed");
        }
    }
    let mut profile = open(&dir, None).expect("it opens");
    assert!(profile.keyring(StoreId::from_bytes([0; 16])).sealing.is_empty());
    let rotation = profile.rotate_if_due(NOW, &mut OsEntropy).expect("a disk");
    assert!(matches!(rotation, Rotation::Rotated(_)));
}

#[test]
fn a_profiles_name_is_one_plain_folder() {
    for bad in ["", ".", "..", "a/b", "a\\b", ".hidden", "c:x", "a\nb"] {
        assert_eq!(default_dir(bad), None, "{bad:?}");
    }
    if let Some(dir) = default_dir("alice") {
        assert!(dir.ends_with("torTalk/alice"));
    }
}
