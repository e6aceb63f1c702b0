//! A profile: the folder of one person, and the secrets in it.
//!
//! ```text
//! settings.toml        what the person set (tortalk-settings)
//! identity.bin         who they are, under the profile key (`identity_file`)
//! keys/                one file per key, under the profile key (`key_files`)
//!   intro.mailbox        the mailbox key for strangers
//!   contact.mailbox      the mailbox key for contacts
//!   retired-<id>.mailbox an earlier one, used until what was sealed for it is over
//!   sealing-<id>.seed    one sealing key's seed; left out of backups
//!   seeds.due            how long the clock has said that seeds are due
//!   <name>.erasing       no key any more; the next start erases it
//! store.sqlite         contacts and messages (tortalk-store)
//! control.sock         while a node runs
//! lock                 one process at a time
//! creating             only while `create` is at work
//! ```
//!
//! Every file is replaced as a whole: written beside, synced, renamed, and the
//! folder synced. Keys whose time is over are overwritten before they are removed
//! (`erase`); in memory they are in the [`Profile`] and in the keyrings that it
//! made. A folder that `create` did not finish has no `identity.bin`
//! and is no profile. [`open`] writes nothing but the lock before everything was
//! read and understood.
//!
//! Without a passphrase the profile key stands in `identity.bin` in clear: then
//! only the permissions of the folder protect it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tortalk_keys::IdentitySecret;
use tortalk_mesh::Keyring;
use tortalk_model::entropy::Entropy;
use tortalk_model::{DeviceId, StoreId, UnixMillis};
use tortalk_settings::{SETTINGS_FILE, Settings};
use tortalk_sqlite::DirLock;
use tortalk_store::vault::ProfileKey;
use zeroize::Zeroizing;

use due::Due;
use erase::Marked;
use erasing::{Erasing, Rest};
use identity_file::IdentityFile;
use key_files::KeyFiles;
use mailboxes::Mailboxes;
use sealing::StoredKey;

mod create;
mod due;
mod erase;
mod erasing;
mod error;
mod files;
mod identity_file;
mod key_files;
mod mailboxes;
mod passphrase;
pub mod sealing;

pub use create::{NewProfile, PersonSeeds, create};
pub use erasing::Erased;
pub use error::{CreateError, IdentityFault, OpenError, PassphraseError};
pub use files::FileError;
pub use passphrase::{Argon2Cost, Passphrase};

/// The database, where the settings name no other place.
const STORE_FILE: &str = "store.sqlite";
/// Where `create` notes that it is at work.
const CREATING_FILE: &str = "creating";

/// An opened profile. The folder is locked until this is dropped.
pub struct Profile {
    dir: PathBuf,
    settings: Settings,
    key: ProfileKey,
    secrets: Secrets,
    keys: KeyFiles,
    mailboxes: Mailboxes,
    sealing: Vec<StoredKey>,
    erasing: Erasing,
    _lock: DirLock,
}

/// What `identity.bin` holds under the profile key.
struct Secrets {
    identity: IdentitySecret,
    device_id: DeviceId,
    /// The first one; a renewed one is in `contact.mailbox`.
    deposit_key: Zeroizing<[u8; 32]>,
    intro_read_key: Zeroizing<[u8; 32]>,
    /// The first one; a renewed one is in `contact.mailbox`.
    contact_read_key: Zeroizing<[u8; 32]>,
}

/// Opens the profile in `dir`.
///
/// A passphrase that is given and not needed is ignored. What is there is not
/// changed, whatever the outcome: leftovers of an interrupted write are removed
/// after everything was read.
///
/// # Errors
/// The first of: no folder or no profile in it, in use, settings, identity,
/// passphrase, keys.
pub fn open(dir: &Path, passphrase: Option<&Passphrase>) -> Result<Profile, OpenError> {
    if !is_profile_or_remains(dir) {
        return Err(OpenError::NotThere { dir: dir.to_owned() });
    }
    let lock = DirLock::acquire(dir)?;
    let settings = Settings::load(&dir.join(SETTINGS_FILE))?;
    let identity_path = &settings.identity.path;
    let Some(bytes) = files::read(identity_path, identity_file::BYTES_MAX)? else {
        return Err(without_identity(dir, &settings));
    };
    let identity_error = |fault| OpenError::Identity { path: identity_path.clone(), fault };
    let file = IdentityFile::parse(&bytes).map_err(identity_error)?;
    let key = file.unlock(passphrase).map_err(identity_error)?;
    let secrets = file.secrets(&key).map_err(identity_error)?;
    let keys = KeyFiles::in_profile(dir);
    let first = [&*secrets.deposit_key, &*secrets.contact_read_key];
    let mut mailboxes = Mailboxes {
        intro: keys.read_mailbox(key_files::INTRO, &key)?,
        contact: keys.read_contact(&key, first)?,
        retired: keys.read_retired(&key)?,
    };
    let sealing = keys.read_sealing(&key)?;
    let mut erasing = Erasing { due: Due::resume(keys.read_due(&key)), rest: Rest::Nothing };
    files::remove_quietly(&dir.join(CREATING_FILE));
    for double in mailboxes.take_doubles() {
        // One that stays is a double again at the next start.
        let _stays = keys.mark_retired(&double).and_then(Marked::erase);
    }
    if let Err(error) = keys.finish_erasing() {
        tracing::warn!("{error}");
        erasing.rest = Rest::Something;
    }
    Ok(Profile {
        dir: dir.to_owned(),
        settings,
        key,
        secrets,
        keys,
        mailboxes,
        sealing,
        erasing,
        _lock: lock,
    })
}

/// Whether there is a profile in `dir`, whole or damaged.
pub fn exists(dir: &Path) -> bool {
    dir.join(identity_file::NAME).exists()
        || Settings::load(&dir.join(SETTINGS_FILE))
            .is_ok_and(|settings| settings.identity.path.exists())
}

/// Sets, changes or (with `None`) removes the passphrase of a profile.
///
/// Only the wrapping of the profile key changes; nothing else is written.
///
/// # Errors
/// As [`open`], and when `identity.bin` cannot be replaced. The old passphrase
/// holds then.
pub fn change_passphrase(
    dir: &Path,
    old: Option<&Passphrase>,
    new: Option<&Passphrase>,
    entropy: &mut dyn Entropy,
) -> Result<(), PassphraseError> {
    open(dir, old)?.set_passphrase(new, Argon2Cost::DEFAULT, entropy)
}

/// The platform's own folder for the profile called `name`, such as
/// `~/.local/share/torTalk/alice`.
///
/// `None` when the system names no home folder, or when `name` is not one plain
/// folder name.
pub fn default_dir(name: &str) -> Option<PathBuf> {
    let plain = !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(['/', '\\', ':'])
        && !name.chars().any(char::is_control);
    if !plain {
        return None;
    }
    let dirs = directories::BaseDirs::new()?;
    Some(dirs.data_local_dir().join("torTalk").join(name))
}

impl Profile {
    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The settings as they were when the profile was opened.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What everything secret in the profile is sealed under.
    pub const fn key(&self) -> &ProfileKey {
        &self.key
    }

    /// The database's file.
    pub fn store_path(&self) -> &Path {
        &self.settings.storage.path
    }

    /// The secrets as the machine takes them. `store_id` is the database's.
    ///
    /// It is built anew at each call: after a rotation the machine gets another.
    /// Costs about 100 µs per sealing key.
    pub fn keyring(&self, store_id: StoreId) -> Keyring {
        Keyring {
            identity: Arc::new(self.secrets.identity.clone()),
            device_id: self.secrets.device_id,
            store_id,
            intro_mailbox: self.mailboxes.intro.clone(),
            contact_mailbox: self.mailboxes.contact.mailbox.clone(),
            retired_mailboxes: self.mailboxes.retired(),
            sealing: self.sealing.iter().map(StoredKey::to_sealing_key).collect(),
            deposit_key: *self.mailboxes.contact.deposit_key,
            intro_read_key: *self.secrets.intro_read_key,
            contact_read_key: *self.mailboxes.contact.read_key,
        }
    }

    /// Makes a new sealing key where one is due; see [`sealing`].
    ///
    /// # Errors
    /// When the new key's file cannot be written. Nothing has changed then.
    pub fn rotate_if_due(
        &mut self,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<sealing::Rotation, FileError> {
        sealing::rotate_if_due(&mut self.sealing, &self.keys, &self.key, now, entropy)
    }

    /// Makes another mailbox, deposit key and read key for contacts, for when
    /// somebody is removed from them. All are on the disk before this returns, and
    /// in the keyrings that are made from then on.
    ///
    /// The old mailbox is used for 44 days more, as one of the keyring's
    /// `retired_mailboxes`; [`Profile::erase_if_due`] erases it then.
    ///
    /// # Errors
    /// When a file cannot be written. The old secrets go on as long as the profile
    /// is open; which ones the next start finds is not known then.
    pub fn renew_contact_secrets(
        &mut self,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<(), FileError> {
        self.mailboxes.renew(&self.keys, &self.key, now, entropy)
    }

    /// Sets, changes or (with `None`) removes the passphrase.
    ///
    /// # Errors
    /// As [`change_passphrase`].
    pub fn set_passphrase(
        &self,
        new: Option<&Passphrase>,
        cost: Argon2Cost,
        entropy: &mut dyn Entropy,
    ) -> Result<(), PassphraseError> {
        let path = &self.settings.identity.path;
        let damaged = |fault| OpenError::Identity { path: path.clone(), fault };
        let Some(bytes) = files::read(path, identity_file::BYTES_MAX).map_err(OpenError::File)?
        else {
            return Err(OpenError::IdentityMissing { path: path.clone() }.into());
        };
        let file = IdentityFile::parse(&bytes).map_err(damaged)?;
        let file = file.rewrapped(&self.key, new, cost, entropy);
        files::replace(path, &file.to_bytes()).map_err(PassphraseError::Write)
    }
}

impl fmt::Debug for Profile {
    /// The folder only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({})", self.dir.display())
    }
}

/// Whether it is worth to look further: a folder of something else, or one with
/// nothing but settings, is left without even a lock's file in it.
fn is_profile_or_remains(dir: &Path) -> bool {
    [identity_file::NAME, key_files::FOLDER, CREATING_FILE]
        .iter()
        .any(|name| dir.join(name).exists())
}

/// What is wrong with a folder that has no identity.
fn without_identity(dir: &Path, settings: &Settings) -> OpenError {
    if dir.join(CREATING_FILE).exists() {
        OpenError::Unfinished { dir: dir.to_owned() }
    } else {
        OpenError::IdentityMissing { path: settings.identity.path.clone() }
    }
}

#[cfg(test)]
pub(crate) mod tests;
