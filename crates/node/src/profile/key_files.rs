//! The files in `keys/`.
//!
//! ```text
//! offset  length  field
//!      0       8  magic      "torTkey" and a zero byte
//!      8       2  version    1
//!     10       …  sealed     nonce 24, ciphertext, tag 16, to the end of the file
//!
//! opened, of a mailbox              opened, of a sealing key
//!      0   1  layout 1                   0   1  layout 1
//!      1  32  Ed25519 seed               1   8  number, rising with each key made
//!                                        9   8  not_before, unix ms
//! of the mailbox for contacts,          17   8  not_after, unix ms
//! when it was renewed                   25  32  seed
//!      0   1  layout 2
//!      1  32  Ed25519 seed           of the counts of due seeds
//!     33  32  deposit key                0   1  layout 1
//!     65  32  read key                   1   2  count, then as often
//!                                             8  key id
//! of a retired mailbox                        8  running time, ms
//!      0   1  layout 1
//!      1  32  Ed25519 seed
//!     33   8  until, unix ms
//! ```
//!
//! Integers are big-endian. The context of the sealing is the file's name, so
//! that no file opens under another's name. A mailbox for contacts of layout 1
//! goes with the deposit key and the read key in `identity.bin`, which are the
//! first ones.

use core::time::Duration;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tortalk_keys::MailboxSecret;
use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::entropy::{self, Entropy};
use tortalk_model::limits::SEALING_KEY_LIFE;
use tortalk_model::{KeyId, UnixMillis};
use tortalk_store::vault::ProfileKey;
use zeroize::Zeroizing;

use super::due::{Counts, NOTED_MAX};
use super::erase::{self, Marked};
use super::error::OpenError;
use super::files::{self, FileError};
use super::mailboxes::{ContactKeys, Retired};
use super::sealing::StoredKey;

pub(super) const INTRO: &str = "intro.mailbox";
pub(super) const CONTACT: &str = "contact.mailbox";
pub(super) const FOLDER: &str = "keys";
const DUE: &str = "seeds.due";

const MAGIC: &[u8; 8] = b"torTkey\0";
const VERSION: u16 = 1;
const LAYOUT: u8 = 1;
const LAYOUT_RENEWED: u8 = 2;
const PURPOSE: &str = "keys";
const BYTES_MAX: usize = 4096;
const SEED_START: &str = "sealing-";
const SEED_END: &str = ".seed";
const RETIRED_START: &str = "retired-";
const RETIRED_END: &str = ".mailbox";

/// The folder `keys/` of one profile.
#[derive(Debug, Clone)]
pub(super) struct KeyFiles {
    folder: PathBuf,
}

/// What is wrong with the bytes of a key's file.
enum Fault {
    Newer,
    Damaged,
}

impl From<LayoutError> for Fault {
    fn from(_: LayoutError) -> Self {
        Self::Damaged
    }
}

impl KeyFiles {
    pub(super) fn in_profile(dir: &Path) -> Self {
        Self { folder: dir.join(FOLDER) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn read_mailbox(
        &self,
        name: &str,
        key: &ProfileKey,
    ) -> Result<MailboxSecret, OpenError> {
        let path = self.folder.join(name);
        let Some(bytes) = files::read(&path, BYTES_MAX)? else {
            return Err(OpenError::KeyMissing { path });
        };
        read_mailbox(&bytes, name, key).map_err(|fault| fault.at(path, Replaceable::No))
    }

    pub(super) fn write_mailbox(
        &self,
        name: &str,
        mailbox: &MailboxSecret,
        key: &ProfileKey,
        entropy: &mut dyn Entropy,
    ) -> Result<(), FileError> {
        let plaintext =
            Zeroizing::new(Writer::with_capacity(64).u8(LAYOUT).raw(mailbox.seed()).into_vec());
        self.write(name, &plaintext, key, entropy)
    }

    /// The secrets for contacts; `first` are those that a mailbox goes with that
    /// was never renewed.
    pub(super) fn read_contact(
        &self,
        key: &ProfileKey,
        first: [&[u8; 32]; 2],
    ) -> Result<ContactKeys, OpenError> {
        let path = self.folder.join(CONTACT);
        let Some(bytes) = files::read(&path, BYTES_MAX)? else {
            return Err(OpenError::KeyMissing { path });
        };
        read_contact(&bytes, key, first).map_err(|fault| fault.at(path, Replaceable::No))
    }

    /// Puts renewed secrets in the place of those that are there, and overwrites
    /// what the old file leaves on the disk.
    pub(super) fn replace_contact(
        &self,
        keys: &ContactKeys,
        key: &ProfileKey,
        entropy: &mut dyn Entropy,
    ) -> Result<(), FileError> {
        let path = self.folder.join(CONTACT);
        let plaintext = Zeroizing::new(
            Writer::with_capacity(128)
                .u8(LAYOUT_RENEWED)
                .raw(keys.mailbox.seed())
                .raw(&*keys.deposit_key)
                .raw(&*keys.read_key)
                .into_vec(),
        );
        let old = fs::OpenOptions::new().write(true).open(&path);
        self.write(CONTACT, &plaintext, key, entropy)?;
        // It has no name any more, so a crash now leaves its bytes to the system.
        if let Err(error) = old.and_then(|old| erase::overwrite(&old)) {
            tracing::debug!(path = %path.display(), %error, "the old key is not overwritten");
        }
        Ok(())
    }

    /// The mailboxes that were replaced, in the order of their ends.
    pub(super) fn read_retired(&self, key: &ProfileKey) -> Result<Vec<Retired>, OpenError> {
        let mut all = self
            .read_all((RETIRED_START, RETIRED_END), |bytes, name| read_retired(bytes, name, key))?;
        all.sort_by(|a, b| (a.until, &a.file).cmp(&(b.until, &b.file)));
        Ok(all)
    }

    /// Writes a file for a retired mailbox; returns its name.
    pub(super) fn write_retired(
        &self,
        mailbox: &MailboxSecret,
        until: UnixMillis,
        key: &ProfileKey,
        entropy: &mut dyn Entropy,
    ) -> Result<String, FileError> {
        let plaintext = Zeroizing::new(
            Writer::with_capacity(64).u8(LAYOUT).raw(mailbox.seed()).u64(until.0).into_vec(),
        );
        // A name that was never used, and that says nothing.
        let id = KeyId::from_bytes(entropy::array(entropy));
        let name = format!("{RETIRED_START}{id}{RETIRED_END}");
        self.write(&name, &plaintext, key, entropy)?;
        Ok(name)
    }

    /// The sealing keys, in the order in which they were made. A folder without
    /// any is no error: seeds are not in backups.
    pub(super) fn read_sealing(&self, key: &ProfileKey) -> Result<Vec<StoredKey>, OpenError> {
        let mut keys =
            self.read_all((SEED_START, SEED_END), |bytes, name| read_sealing(bytes, name, key))?;
        keys.sort_by_key(|stored| (stored.number, stored.key_id));
        Ok(keys)
    }

    /// Every key whose file's name starts and ends so.
    fn read_all<K>(
        &self,
        (start, end): (&str, &str),
        read: impl Fn(&[u8], &str) -> Result<K, Fault>,
    ) -> Result<Vec<K>, OpenError> {
        let unreadable = |error: io::Error| FileError::Unreadable {
            path: self.folder.clone(),
            reason: error.kind(),
        };
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let is_one = |name: &&str| name.starts_with(start) && name.ends_with(end);
            let Some(name) = name.to_str().filter(is_one) else { continue };
            let path = self.folder.join(name);
            let Some(bytes) = files::read(&path, BYTES_MAX)? else { continue };
            keys.push(read(&bytes, name).map_err(|fault| fault.at(path, Replaceable::Yes))?);
        }
        Ok(keys)
    }

    /// The counts of due seeds. A file that is of no use means that nothing was
    /// counted yet: seeds live longer by that, and none is lost.
    pub(super) fn read_due(&self, key: &ProfileKey) -> Counts {
        let Ok(Some(bytes)) = files::read(&self.folder.join(DUE), BYTES_MAX) else {
            return Counts::new();
        };
        read_due(&bytes, key).unwrap_or_else(|_| {
            tracing::warn!("{DUE} is damaged: the time that seeds are due counts anew");
            Counts::new()
        })
    }

    pub(super) fn write_due(
        &self,
        counts: &Counts,
        key: &ProfileKey,
        entropy: &mut dyn Entropy,
    ) -> Result<(), FileError> {
        let count = u16::try_from(counts.len()).expect("few are noted");
        let mut writer = Writer::with_capacity(64).u8(LAYOUT).u16(count);
        for (key_id, ran) in counts {
            let ran = u64::try_from(ran.as_millis()).unwrap_or(u64::MAX);
            writer = writer.raw(key_id.as_bytes()).u64(ran);
        }
        self.write(DUE, writer.as_slice(), key, entropy)
    }

    /// From then on the key is none. See [`erase`].
    pub(super) fn mark_sealing(&self, key_id: KeyId) -> Result<Marked, FileError> {
        erase::mark(&self.folder.join(seed_name(key_id)))
    }

    /// From then on the mailbox is none.
    pub(super) fn mark_retired(&self, retired: &Retired) -> Result<Marked, FileError> {
        erase::mark(&self.folder.join(&retired.file))
    }

    /// Goes on with erasing that was interrupted.
    pub(super) fn finish_erasing(&self) -> Result<(), FileError> {
        erase::finish(&self.folder)
    }

    pub(super) fn write_sealing(
        &self,
        stored: &StoredKey,
        key: &ProfileKey,
        entropy: &mut dyn Entropy,
    ) -> Result<(), FileError> {
        let plaintext = Zeroizing::new(
            Writer::with_capacity(64)
                .u8(LAYOUT)
                .u64(stored.number)
                .u64(stored.not_before.0)
                .u64(stored.not_after.0)
                .raw(&**stored.seed)
                .into_vec(),
        );
        self.write(&seed_name(stored.key_id), &plaintext, key, entropy)
    }

    fn write(
        &self,
        name: &str,
        plaintext: &[u8],
        key: &ProfileKey,
        entropy: &mut dyn Entropy,
    ) -> Result<(), FileError> {
        let sealed = key.seal(PURPOSE, name.as_bytes(), plaintext, entropy::array(entropy));
        let bytes = Writer::new().raw(MAGIC).u16(VERSION).raw(&sealed).into_vec();
        files::replace(&self.folder.join(name), &bytes)
    }
}

/// Whether a profile works without a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaceable {
    Yes,
    No,
}

impl Fault {
    fn at(self, path: PathBuf, replaceable: Replaceable) -> OpenError {
        match self {
            Self::Newer => OpenError::KeyNewer { path },
            Self::Damaged => {
                OpenError::KeyDamaged { path, replaceable: replaceable == Replaceable::Yes }
            }
        }
    }
}

fn read_mailbox(bytes: &[u8], name: &str, key: &ProfileKey) -> Result<MailboxSecret, Fault> {
    let plaintext = open(bytes, name, key)?;
    let mut reader = layout(&plaintext)?;
    let seed = Zeroizing::new(reader.array("seed")?);
    reader.finish()?;
    Ok(MailboxSecret::from_seed(*seed))
}

fn read_contact(
    bytes: &[u8],
    key: &ProfileKey,
    [deposit_key, read_key]: [&[u8; 32]; 2],
) -> Result<ContactKeys, Fault> {
    let plaintext = open(bytes, CONTACT, key)?;
    let mut reader = Reader::new(&plaintext);
    let layout = reader.u8("layout")?;
    let mut secret = |field| reader.array::<32>(field).map(Zeroizing::new);
    let mailbox = MailboxSecret::from_seed(*secret("seed")?);
    let (deposit_key, read_key) = match layout {
        LAYOUT => (Zeroizing::new(*deposit_key), Zeroizing::new(*read_key)),
        LAYOUT_RENEWED => (secret("deposit_key")?, secret("read_key")?),
        _ => return Err(Fault::Damaged),
    };
    reader.finish()?;
    Ok(ContactKeys { mailbox, deposit_key, read_key })
}

fn read_retired(bytes: &[u8], name: &str, key: &ProfileKey) -> Result<Retired, Fault> {
    let plaintext = open(bytes, name, key)?;
    let mut reader = layout(&plaintext)?;
    let seed = Zeroizing::new(reader.array("seed")?);
    let until = UnixMillis(reader.u64("until")?);
    reader.finish()?;
    Ok(Retired { mailbox: MailboxSecret::from_seed(*seed), until, file: name.to_owned() })
}

fn read_due(bytes: &[u8], key: &ProfileKey) -> Result<Counts, Fault> {
    let plaintext = open(bytes, DUE, key)?;
    let mut reader = layout(&plaintext)?;
    let count = reader.u16("count")?;
    if usize::from(count) > NOTED_MAX {
        return Err(Fault::Damaged);
    }
    let mut counts = Counts::new();
    for _ in 0..count {
        let key_id = KeyId::from_bytes(reader.array("key_id")?);
        counts.insert(key_id, Duration::from_millis(reader.u64("running time")?));
    }
    reader.finish()?;
    Ok(counts)
}

fn read_sealing(bytes: &[u8], name: &str, key: &ProfileKey) -> Result<StoredKey, Fault> {
    let plaintext = open(bytes, name, key)?;
    let mut reader = layout(&plaintext)?;
    let number = reader.u64("number")?;
    let not_before = UnixMillis(reader.u64("not_before")?);
    let not_after = UnixMillis(reader.u64("not_after")?);
    let seed = Zeroizing::new(reader.array("seed")?);
    reader.finish()?;
    let stored = StoredKey::new(number, not_before, not_after, seed);
    let window = not_before < not_after && not_after <= not_before.saturating_add(SEALING_KEY_LIFE);
    if !window || seed_name(stored.key_id) != name {
        return Err(Fault::Damaged);
    }
    Ok(stored)
}

fn open(bytes: &[u8], name: &str, key: &ProfileKey) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut reader = Reader::new(bytes);
    if reader.array("magic")? != *MAGIC {
        return Err(Fault::Damaged);
    }
    match reader.u16("version")? {
        VERSION => {}
        newer if newer > VERSION => return Err(Fault::Newer),
        _ => return Err(Fault::Damaged),
    }
    key.open(PURPOSE, name.as_bytes(), reader.rest())
        .map(Zeroizing::new)
        .map_err(|_| Fault::Damaged)
}

fn layout(plaintext: &[u8]) -> Result<Reader<'_>, Fault> {
    let mut reader = Reader::new(plaintext);
    if reader.u8("layout")? != LAYOUT {
        return Err(Fault::Damaged);
    }
    Ok(reader)
}

fn seed_name(key_id: KeyId) -> String {
    format!("{SEED_START}{key_id}{SEED_END}")
}
