//! Files that are there as a whole or not at all, and only for their owner.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tortalk_sqlite::StoreFault;
use zeroize::Zeroizing;

/// Why a file could not be read or written. Each prints as one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("{}: cannot be read ({reason}): make it readable for you", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::ErrorKind,
    },
    /// It cannot be written.
    #[error("{}: {fault}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: StoreFault,
    },
}

impl FileError {
    pub(super) fn unwritable(path: &Path, error: &io::Error) -> Self {
        Self::Unwritable { path: path.to_owned(), fault: StoreFault::of_io(error) }
    }
}

/// The file's bytes, at most one more than `limit` of them; `None` when there is
/// no such file.
pub(super) fn read(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    let unreadable =
        |error: io::Error| FileError::Unreadable { path: path.to_owned(), reason: error.kind() };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    // Reserved whole, so that no outgrown copy of a secret stays in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Some(bytes))
}

/// Puts `bytes` in the file's place: written beside it, synced, renamed, and the
/// folder synced. A crash leaves the old file or the new one.
///
/// The caller holds the profile's lock, so nobody else writes the same file.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    // A link stays one; what it points to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let beside = beside(&target);
    let replaced = write_new(&beside, bytes)
        .and_then(|()| fs::rename(&beside, &target))
        .and_then(|()| sync_folder_of(&target));
    replaced.map_err(|error| {
        super::erase::quietly(&beside);
        FileError::unwritable(path, &error)
    })
}

/// Makes a folder for its owner alone, or makes one that is there such.
pub(super) fn private_folder(path: &Path) -> Result<Created, FileError> {
    let made = || -> io::Result<Created> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            builder.recursive(true).create(parent)?;
            builder.recursive(false);
        }
        match builder.create(path) {
            Ok(()) => {
                sync_folder_of(path)?;
                Ok(Created::Now)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
                #[cfg(unix)]
                fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
                Ok(Created::Before)
            }
            Err(error) => Err(error),
        }
    };
    made().map_err(|error| FileError::unwritable(path, &error))
}

/// When a folder was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Created {
    Now,
    Before,
}

/// Removes a file of ours that is not needed. What stays does no harm.
pub(super) fn remove_quietly(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!(path = %path.display(), %error, "a file stays behind");
        }
        _ => {}
    }
}

/// The name that a file has while it is written. It is the same each time, so
/// that what a crash leaves is replaced.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

/// Whether a file bears a name that it has only while it is written.
pub(super) fn is_beside(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with('.') && name.ends_with(".new"))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        // Left by a crash. Not opened but replaced: it could be a link.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            options.open(path)?
        }
        other => other?,
    };
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes names that were given or taken in the file's folder durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    // Other systems do not let a folder be opened, and need no sync of it.
    if cfg!(unix) {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
