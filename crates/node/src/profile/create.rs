//! Making a profile, so that it is whole or not there.
//!
//! The file `creating` is the first that is made and the last that is removed;
//! `identity.bin` is the last that is written. Whatever a crash leaves is
//! therefore known to be of no worth: no secret in it was ever used.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tortalk_keys::{IdentitySecret, MailboxSecret, name};
use tortalk_model::entropy::{self, Entropy};
use tortalk_model::{DeviceId, UnixMillis};
use tortalk_settings::{SETTINGS_FILE, Settings, TEMPLATE, Value};
use tortalk_sqlite::{DirLock, LOCK_FILE};
use tortalk_store::Store;
use tortalk_store::vault::ProfileKey;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::erasing::Erasing;
use super::error::CreateError;
use super::files::{self, Created, FileError};
use super::identity_file::IdentityFile;
use super::key_files::{self, KeyFiles};
use super::mailboxes::{ContactKeys, Mailboxes};
use super::passphrase::{Argon2Cost, Passphrase};
use super::sealing::StoredKey;
use super::{CREATING_FILE, Profile, STORE_FILE, Secrets};
use crate::entropy::OsEntropy;

/// What a new profile is made of.
pub struct NewProfile<'a> {
    /// The folder; made where it is not there, and empty but for settings.
    pub dir: &'a Path,
    /// The name in the person's card; empty for none.
    pub name: &'a str,
    /// What seals it, if anything.
    pub passphrase: Option<&'a Passphrase>,
    /// How dear a guess of the passphrase is.
    pub cost: Argon2Cost,
    /// Who it is; somebody new without.
    pub person: Option<&'a PersonSeeds>,
}

/// What a person is derived from, for the published people of a conformance suite.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PersonSeeds {
    /// Ed25519 seed of the identity key.
    pub identity: [u8; 32],
    /// Ed25519 seed of the intro mailbox.
    pub intro: [u8; 32],
    /// Ed25519 seed of the contact mailbox.
    pub contact: [u8; 32],
    /// Seed of the first sealing key.
    pub sealing: [u8; 32],
}

impl PersonSeeds {
    /// Somebody new.
    fn random(entropy: &mut dyn Entropy) -> Self {
        Self {
            identity: entropy::array(entropy),
            intro: entropy::array(entropy),
            contact: entropy::array(entropy),
            sealing: entropy::array(entropy),
        }
    }
}

/// Makes a profile: folder, settings, keys, an empty database and, last, the
/// identity.
///
/// Settings that are there already stay, but for the name.
///
/// # Errors
/// See [`CreateError`]. What was made is removed again as far as the disk lets
/// us; a profile that is there is never touched.
pub fn create(
    new: &NewProfile<'_>,
    now: UnixMillis,
    entropy: &mut dyn Entropy,
) -> Result<Profile, CreateError> {
    name::check(new.name)?;
    if super::exists(new.dir) {
        return Err(CreateError::AlreadyThere { dir: new.dir.to_owned() });
    }
    refuse_other_folders(new.dir)?;
    let folder = files::private_folder(new.dir)?;
    let lock = match DirLock::acquire(new.dir) {
        Ok(lock) => lock,
        Err(error) => {
            if folder == Created::Now {
                remove_folder(new.dir);
            }
            return Err(error.into());
        }
    };
    // Somebody may have been faster, as long as the lock was not ours.
    if super::exists(new.dir) {
        return Err(CreateError::AlreadyThere { dir: new.dir.to_owned() });
    }
    refuse_other_folders(new.dir)?;
    let settings = settings_there(new.dir);
    let work = Work { dir: new.dir, folder, settings, store: None, done: false };
    build(new, lock, now, entropy, work)
}

fn build(
    new: &NewProfile<'_>,
    lock: DirLock,
    now: UnixMillis,
    entropy: &mut dyn Entropy,
    mut work: Work<'_>,
) -> Result<Profile, CreateError> {
    let dir = new.dir;
    files::replace(&dir.join(CREATING_FILE), b"")?;
    work.remove_secrets();

    let settings_path = dir.join(SETTINGS_FILE);
    if work.settings == SettingsFile::Ours {
        files::replace(&settings_path, TEMPLATE.as_bytes())?;
    }
    let mut settings = Settings::load(&settings_path)?;
    if !new.name.is_empty() && settings.user.username.as_deref() != Some(new.name) {
        let name = Value::Text(new.name.to_owned());
        settings = tortalk_settings::set(&settings_path, "user", "username", &name)?;
    }

    let key = ProfileKey::from_bytes(entropy::array(entropy));
    let drawn;
    let person = match new.person {
        Some(person) => person,
        None => {
            drawn = PersonSeeds::random(entropy);
            &drawn
        }
    };
    let secrets = Secrets {
        identity: IdentitySecret::from_seed(person.identity),
        device_id: DeviceId::from_bytes(entropy::array(entropy)),
        deposit_key: Zeroizing::new(entropy::array(entropy)),
        intro_read_key: Zeroizing::new(entropy::array(entropy)),
        contact_read_key: Zeroizing::new(entropy::array(entropy)),
    };
    let mailboxes = Mailboxes {
        intro: MailboxSecret::from_seed(person.intro),
        contact: ContactKeys {
            mailbox: MailboxSecret::from_seed(person.contact),
            deposit_key: secrets.deposit_key.clone(),
            read_key: secrets.contact_read_key.clone(),
        },
        retired: Vec::new(),
    };
    let sealing = vec![StoredKey::of_seed(1, now, Zeroizing::new(person.sealing))];

    let keys = KeyFiles::in_profile(dir);
    files::private_folder(keys.folder())?;
    keys.write_mailbox(key_files::INTRO, &mailboxes.intro, &key, entropy)?;
    keys.write_mailbox(key_files::CONTACT, &mailboxes.contact.mailbox, &key, entropy)?;
    for stored in &sealing {
        keys.write_sealing(stored, &key, entropy)?;
    }
    work.store = Some(settings.storage.path.clone()).filter(|path| !path.exists());
    drop(Store::create(&settings.storage.path, key.clone(), Box::new(OsEntropy))?);

    let identity = IdentityFile::new(&key, &secrets, new.passphrase, new.cost, entropy);
    files::replace(&settings.identity.path, &identity.to_bytes())?;
    work.done = true;
    files::remove_quietly(&dir.join(CREATING_FILE));
    Ok(Profile {
        dir: dir.to_owned(),
        settings,
        key,
        secrets,
        keys,
        mailboxes,
        sealing,
        erasing: Erasing::default(),
        _lock: lock,
    })
}

/// A folder with something else in it is not made a profile of.
fn refuse_other_folders(dir: &Path) -> Result<(), CreateError> {
    let unreadable =
        |error: io::Error| FileError::Unreadable { path: dir.to_owned(), reason: error.kind() };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error).into()),
    };
    let was_at_work = dir.join(CREATING_FILE).exists();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let is_secret = name == key_files::FOLDER || is_of_store(&name);
        if is_secret && !was_at_work {
            return Err(CreateError::Remains { dir: dir.to_owned() });
        }
        let is_ours = [SETTINGS_FILE, LOCK_FILE, CREATING_FILE].iter().any(|ours| name == *ours)
            || name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".new"));
        if !is_ours && !is_secret && name != "lost+found" {
            return Err(CreateError::NotEmpty { dir: dir.to_owned() });
        }
    }
    Ok(())
}

/// What SQLite puts behind a database's name for itself and its helpers.
const STORE_ENDS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The database and what SQLite keeps beside it.
fn is_of_store(name: &OsStr) -> bool {
    name.to_str()
        .and_then(|name| name.strip_prefix(STORE_FILE))
        .is_some_and(|rest| STORE_ENDS.contains(&rest))
}

/// Whose `settings.toml` is in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SettingsFile {
    Theirs,
    Ours,
}

fn settings_there(dir: &Path) -> SettingsFile {
    if dir.join(SETTINGS_FILE).exists() { SettingsFile::Theirs } else { SettingsFile::Ours }
}

/// What has been made so far; removed again unless it is done.
struct Work<'a> {
    dir: &'a Path,
    folder: Created,
    settings: SettingsFile,
    /// The database, from when there was none at its place.
    store: Option<PathBuf>,
    done: bool,
}

impl Work<'_> {
    /// Keys and database of this attempt or of one that a crash ended.
    fn remove_secrets(&self) {
        let in_folder = self.dir.join(STORE_FILE);
        for store in self.store.iter().chain([&in_folder]) {
            for end in STORE_ENDS {
                let mut path = store.clone().into_os_string();
                path.push(end);
                files::remove_quietly(Path::new(&path));
            }
        }
        let keys: PathBuf = self.dir.join(key_files::FOLDER);
        if let Ok(entries) = fs::read_dir(&keys) {
            for entry in entries.flatten() {
                files::remove_quietly(&entry.path());
            }
            remove_folder(&keys);
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.remove_secrets();
        if self.settings == SettingsFile::Ours {
            files::remove_quietly(&self.dir.join(SETTINGS_FILE));
        }
        files::remove_quietly(&self.dir.join(CREATING_FILE));
        if self.folder == Created::Now {
            files::remove_quietly(&self.dir.join(LOCK_FILE));
            remove_folder(self.dir);
        }
    }
}

/// Removes a folder of ours if nothing is left in it.
fn remove_folder(path: &Path) {
    if let Err(error) = fs::remove_dir(path) {
        tracing::debug!(path = %path.display(), %error, "a folder stays behind");
    }
}
