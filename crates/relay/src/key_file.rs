//! The relay's key: a file of its own, which only its owner may read.
//!
//! `layout u8 = 1 ‖ seed 32`. Whoever has it is the relay; losing it means that
//! every client's pin of this relay is worth nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tortalk_keys::RelaySecret;
use tortalk_model::entropy::{self, Entropy};
use zeroize::Zeroizing;

/// The file in a relay's folder.
pub const KEY_FILE: &str = "relay.key";

const LAYOUT: u8 = 1;
const BYTES: usize = 33;

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// There is no file.
    #[error("{}: there is no key: make one with `tortalk-relay init`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A key is there already.
    #[error("{}: there is a key already: choose another folder", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others may read it.
    #[error("{}: others may read the key: chmod 600 it, or make a new one", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// Not what this program writes.
    #[error("{}: not a relay key of this version: restore the file", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The disk is at fault.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// Makes a new key in `folder`, which is made too when it is missing.
///
/// # Errors
/// [`KeyFileError::Exists`] when there is one; it is never overwritten.
pub fn create(folder: &Path, entropy: &mut dyn Entropy) -> Result<RelaySecret, KeyFileError> {
    let path = folder.join(KEY_FILE);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.clone() },
        _ => KeyFileError::Io { path: path.clone(), reason: error.to_string() },
    };
    make_folder(folder).map_err(failed)?;
    let mut bytes = Zeroizing::new([0; BYTES]);
    let seed = Zeroizing::new(entropy::array::<32>(entropy));
    bytes[0] = LAYOUT;
    bytes[1..].copy_from_slice(&seed[..]);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(failed)?;
    file.write_all(&bytes[..]).and_then(|()| file.sync_all()).map_err(failed)?;
    if cfg!(unix) {
        // A new name is durable when its folder is.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(RelaySecret::from_seed(*seed))
}

/// Reads the key in `folder`.
///
/// # Errors
/// [`KeyFileError`] when it is missing, damaged or readable by others.
pub fn read(folder: &Path) -> Result<RelaySecret, KeyFileError> {
    let path = folder.join(KEY_FILE);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing { path: path.clone() },
        _ => KeyFileError::Io { path: path.clone(), reason: error.to_string() },
    };
    let file = File::open(&path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if is_open_to_others(&metadata) {
        return Err(KeyFileError::Open { path });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES + 1));
    file.take(BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.split_first() {
        Some((&LAYOUT, seed)) if seed.len() == 32 => {
            let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).expect("32 bytes"));
            Ok(RelaySecret::from_seed(*seed))
        }
        _ => Err(KeyFileError::Damaged { path }),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(unix)]
fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use tortalk_testkit::Seeded;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("relay");
        let made = create(&place, &mut Seeded::new(1)).expect("an empty folder");
        assert_eq!(read(&place).expect("the file that was made").seed(), made.seed());
        let path = place.join(KEY_FILE);
        assert_eq!(
            create(&place, &mut Seeded::new(2)).map(|_| ()),
            Err(KeyFileError::Exists { path })
        );
        assert_eq!(read(&place).expect("still the first one").seed(), made.seed());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        create(folder.path(), &mut Seeded::new(1)).expect("an empty folder");
        let path = folder.path().join(KEY_FILE);
        let mode = fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("our own file");
        assert_eq!(read(folder.path()).map(|_| ()), Err(KeyFileError::Open { path }));
    }

    #[test]
    fn what_is_missing_or_damaged_is_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(KEY_FILE);
        let missing = KeyFileError::Missing { path: path.clone() };
        assert_eq!(read(folder.path()).map(|_| ()), Err(missing));
        for bytes in [&[][..], &[1; 32], &[1; 34], &[2; 33]] {
            create(folder.path(), &mut Seeded::new(1)).expect("no file yet");
            fs::write(&path, bytes).expect("our own file");
            let damaged = KeyFileError::Damaged { path: path.clone() };
            assert_eq!(read(folder.path()).map(|_| ()), Err(damaged), "{} bytes", bytes.len());
            fs::remove_file(&path).expect("our own file");
        }
    }
}
