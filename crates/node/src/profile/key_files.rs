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
//!                                       17   8  not_after, unix ms
//!                                       25  32  seed
//! ```
//!
//! Integers are big-endian. The context of the sealing is the file's name, so
//! that no file opens under another's name.

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

use super::error::OpenError;
use super::files::{self, FileError};
use super::sealing::StoredKey;

pub(super) const INTRO: &str = "intro.mailbox";
pub(super) const CONTACT: &str = "contact.mailbox";
pub(super) const FOLDER: &str = "keys";

const MAGIC: &[u8; 8] = b"torTkey\0";
const VERSION: u16 = 1;
const LAYOUT: u8 = 1;
const PURPOSE: &str = "keys";
const BYTES_MAX: usize = 4096;
const SEED_START: &str = "sealing-";
const SEED_END: &str = ".seed";

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

    /// The sealing keys, in the order in which they were made. A folder without
    /// any is no error: seeds are not in backups.
    pub(super) fn read_sealing(&self, key: &ProfileKey) -> Result<Vec<StoredKey>, OpenError> {
        let unreadable = |error: io::Error| FileError::Unreadable {
            path: self.folder.clone(),
            reason: error.kind(),
        };
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let Some(name) = name.to_str().filter(|name| is_seed(name)) else { continue };
            let path = self.folder.join(name);
            let Some(bytes) = files::read(&path, BYTES_MAX)? else { continue };
            let stored = read_sealing(&bytes, name, key)
                .map_err(|fault| fault.at(path, Replaceable::Yes))?;
            keys.push(stored);
        }
        keys.sort_by_key(|stored| (stored.number, stored.key_id));
        Ok(keys)
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
                .raw(&*stored.seed)
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

fn is_seed(name: &str) -> bool {
    name.starts_with(SEED_START) && name.ends_with(SEED_END)
}
