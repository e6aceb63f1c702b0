//! Other secrets for contacts.

use tortalk_model::limits::RETIRED_MAILBOX_KEPT;
use tortalk_model::{MailboxKey, MonoMillis, Now};

use super::*;

fn keyring(profile: &Profile) -> Keyring {
    profile.keyring(StoreId::from_bytes([0; 16]))
}

fn retired(profile: &Profile) -> Vec<(MailboxKey, UnixMillis)> {
    let keyring = keyring(profile);
    let retired = keyring.retired_mailboxes.iter();
    retired.map(|retired| (retired.secret.public(), retired.until)).collect()
}

fn contact_secrets(profile: &Profile) -> (MailboxKey, [u8; 32], [u8; 32]) {
    let keys = keyring(profile);
    (keys.contact_mailbox.public(), keys.deposit_key, keys.contact_read_key)
}

#[test]
fn new_secrets_for_contacts_are_kept_and_the_old_mailbox_for_a_while() {
    let (_parent, dir) = place();
    let mut profile = make(&dir, None).expect("a new profile");
    let first = contact_secrets(&profile);
    let before = keyring(&profile);
    profile.renew_contact_secrets(NOW, &mut OsEntropy).expect("a disk");
    let second = contact_secrets(&profile);
    assert!(first.0 != second.0 && first.1 != second.1 && first.2 != second.2);
    let day = NOW.saturating_add(DAY);
    profile.renew_contact_secrets(day, &mut OsEntropy).expect("a disk");
    let third = contact_secrets(&profile);
    drop(profile);

    let mut profile = open(&dir, None).expect("it opens");
    assert_eq!(contact_secrets(&profile), third, "what was said to be there is there");
    let ends = [NOW, day].map(|at| at.saturating_add(RETIRED_MAILBOX_KEPT));
    assert_eq!(retired(&profile), [(first.0, ends[0]), (second.0, ends[1])]);
    let after = keyring(&profile);
    assert_eq!(after.identity.seed(), before.identity.seed());
    assert_eq!(after.intro_mailbox.public(), before.intro_mailbox.public());
    assert_eq!(after.intro_read_key, before.intro_read_key);

    // The seed of the only key is due by then, too, and has time left.
    let mut look = |wall| {
        let erased = profile.erase_if_due(Now { wall, mono: MonoMillis(0) }, &mut OsEntropy);
        assert_eq!((erased.keys, erased.trouble), (Vec::new(), None));
        erased.mailboxes
    };
    assert_eq!(look(UnixMillis(ends[0].0 - 1)), []);
    assert_eq!(look(ends[0]), [first.0]);
    assert_eq!(look(ends[0]), []);
    assert_eq!(retired(&profile), [(second.0, ends[1])]);
    drop(profile);
    assert_eq!(retired(&open(&dir, None).expect("it opens")), [(second.0, ends[1])]);
}

#[test]
fn an_old_mailbox_leaves_nothing_on_the_disk_but_its_own_file() {
    let (parent, dir) = place();
    let mut profile = make(&dir, None).expect("a new profile");
    let blocks = parent.path().join("blocks");
    fs::hard_link(dir.join("keys").join("contact.mailbox"), &blocks).expect("a second name");
    profile.renew_contact_secrets(NOW, &mut OsEntropy).expect("a disk");
    assert!(fs::read(&blocks).expect("what is left").iter().all(|byte| *byte == 0));
    let file = dir.join("keys").join(&profile.mailboxes.retired[0].file);
    fs::remove_file(&blocks).expect("removed");
    fs::hard_link(&file, &blocks).expect("a second name");
    let late = NOW.saturating_add(RETIRED_MAILBOX_KEPT);
    let now = Now { wall: late, mono: MonoMillis(0) };
    assert_eq!(profile.erase_if_due(now, &mut OsEntropy).mailboxes.len(), 1);
    assert!(!file.exists());
    assert!(fs::read(&blocks).expect("what is left").iter().all(|byte| *byte == 0));
}

#[test]
fn a_renewal_that_a_crash_ends_has_not_happened_and_can_be_made_again() {
    let (_parent, dir) = place();
    let mut profile = make(&dir, None).expect("a new profile");
    let first = contact_secrets(&profile);
    // The moment after the old mailbox got its file.
    let until = NOW.saturating_add(DAY);
    let mailbox = profile.mailboxes.contact.mailbox.clone();
    let file =
        profile.keys.write_retired(&mailbox, until, &profile.key, &mut OsEntropy).expect("a disk");
    drop(profile);
    profile = open(&dir, None).expect("it opens");
    assert_eq!(contact_secrets(&profile), first);
    assert_eq!(retired(&profile), [], "a mailbox in use is not retired");
    assert!(!dir.join("keys").join(file).exists());
    // A renewal that failed and was made again leaves two files of one mailbox.
    profile.keys.write_retired(&mailbox, until, &profile.key, &mut OsEntropy).expect("a disk");
    profile.renew_contact_secrets(NOW, &mut OsEntropy).expect("a disk");
    drop(profile);
    profile = open(&dir, None).expect("it opens");
    assert_eq!(retired(&profile), [(first.0, NOW.saturating_add(RETIRED_MAILBOX_KEPT))]);
    assert_eq!(fs::read_dir(dir.join("keys")).expect("keys").count(), 4);
}

// req: SEA-45
#[test]
fn a_backup_has_the_mailboxes_and_works_without_the_seeds() {
    let (_parent, dir) = place();
    let mut profile = make(&dir, None).expect("a new profile");
    profile.renew_contact_secrets(NOW, &mut OsEntropy).expect("a disk");
    let (secrets, old) = (contact_secrets(&profile), retired(&profile));
    drop(profile);
    for path in contents(&dir.join("keys")).into_keys() {
        if path.extension().is_none_or(|end| end != "mailbox") {
            fs::remove_file(path).expect("removed");
        }
    }
    let profile = open(&dir, None).expect("it opens");
    assert_eq!((contact_secrets(&profile), retired(&profile)), (secrets, old));
    assert!(keyring(&profile).sealing.is_empty());
}
