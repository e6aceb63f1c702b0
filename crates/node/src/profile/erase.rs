//! Erasing a file so that nothing of it stays in files of ours.
//!
//! ```text
//! 1  rename to `<name>.erasing`, sync the folder     from here on it is no key
//! 2  overwrite in place with random bytes, sync
//! 3  overwrite in place with zeros, sync
//! 4  unlink, sync the folder
//! ```
//!
//! Nothing is overwritten before step 1 is on the disk, so a crash leaves a key
//! that is whole or a file that is known to be half erased; [`finish`] goes on
//! with step 2 there. A file is never truncated: its blocks would be let go of
//! with their content.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tortalk_model::entropy::Entropy;

use super::files::{self, FileError};
use crate::entropy::OsEntropy;

const ERASING: &str = "erasing";

/// A file that is no key any more and is still to be erased.
#[derive(Debug)]
pub(super) struct Marked(PathBuf);

/// Step 1. Until it has succeeded the file is what it was.
pub(super) fn mark(path: &Path) -> Result<Marked, FileError> {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(ERASING);
    let marked = PathBuf::from(name);
    let renamed = match fs::rename(path, &marked) {
        // It was marked before, and a look at the folder failed then; or somebody
        // removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    renamed
        .and_then(|()| reached())
        .and_then(|()| files::sync_folder_of(&marked))
        .and_then(|()| reached())
        .map_err(|error| FileError::unwritable(path, &error))?;
    Ok(Marked(marked))
}

impl Marked {
    /// Steps 2 to 4. What fails is done again by [`finish`].
    // req: SEA-44, SEA-50
    pub(super) fn erase(self) -> Result<(), FileError> {
        wipe(&self.0).map_err(|error| FileError::unwritable(&self.0, &error))
    }
}

/// Goes on with what a crash or an error ended: files that are half erased, and
/// copies that were being written and never got their name.
///
/// Nobody may be writing in the folder. Tries everything; the first error counts.
// req: SEA-51
pub(super) fn finish(folder: &Path) -> Result<(), FileError> {
    let unreadable =
        |error: io::Error| FileError::Unreadable { path: folder.to_owned(), reason: error.kind() };
    let mut result = Ok(());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|end| end == ERASING) || files::is_beside(&path) {
            let done = wipe(&path).map_err(|error| FileError::unwritable(&path, &error));
            result = result.and(done);
        }
    }
    result
}

/// Overwrites and unlinks a file that bears no key's name. What stays is a whole
/// file for [`finish`].
pub(super) fn quietly(path: &Path) {
    match wipe(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!(path = %path.display(), %error, "a file is not erased yet");
        }
        _ => {}
    }
}

fn wipe(path: &Path) -> io::Result<()> {
    // A key may be a link to where its owner wants it; what we write never is.
    if !(files::is_beside(path) && path.is_symlink())
        && let Ok(target) = fs::canonicalize(path)
        && target.is_file()
    {
        overwrite(&OpenOptions::new().write(true).open(&target)?)?;
        fs::remove_file(&target)?;
        reached()?;
        files::sync_folder_of(&target)?;
        reached()?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => files::sync_folder_of(path),
    }
}

/// Steps 2 and 3, on a file that may have lost its name.
pub(super) fn overwrite(mut file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let fills: [fn(&mut [u8]); 2] = [|block| OsEntropy.fill(block), |block| block.fill(0)];
    for fill in fills {
        file.seek(SeekFrom::Start(0))?;
        let mut block = [0; 4096];
        let mut left = length;
        while left > 0 {
            let block = &mut block[..left.min(4096) as usize];
            fill(block);
            file.write_all(block)?;
            left -= block.len() as u64;
        }
        reached()?;
        file.sync_all()?;
        reached()?;
    }
    Ok(())
}

/// Where a test lets the process end.
#[cfg(test)]
fn reached() -> io::Result<()> {
    super::tests::erasing::crash_here()
}

#[cfg(not(test))]
const fn reached() -> io::Result<()> {
    Ok(())
}
