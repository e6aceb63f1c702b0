//! What is durable at a moment, and what may be.

use std::collections::BTreeMap;

use super::log::{FileId, Op};

/// The part of a disk that a device writes at once.
pub(crate) const SECTOR: usize = 512;

/// A folder's files by name.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// A disk between two operations.
///
/// A sync of a file makes durable what was written to it before, and a sync of
/// the folder the names that were made, moved or removed before. Neither does
/// the other's work, though most file systems do some of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk<'l> {
    names: BTreeMap<String, FileId>,
    files: BTreeMap<FileId, Vec<u8>>,
    pending: Vec<&'l Op>,
}

/// What became of an operation that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is there.
    Whole,
    /// It is not.
    Lost,
    /// The file has grown for it, and holds zeros there.
    Grown,
    /// Only so many of its first bytes are there.
    Head(usize),
    /// The same, and the file has grown for the rest.
    HeadGrown(usize),
    /// All but so many of its first bytes are there.
    Tail(usize),
}

impl<'l> Disk<'l> {
    /// The next operation is done.
    pub(crate) fn push(&mut self, op: &'l Op) {
        let now = |pending: &Op| match (op, pending) {
            (Op::Sync { file }, Op::Write { file: of, .. } | Op::Truncate { file: of, .. }) => {
                file == of
            }
            (Op::SyncFolder, pending) => is_of_folder(pending),
            _ => false,
        };
        if !matches!(op, Op::Sync { .. } | Op::SyncFolder) {
            self.pending.push(op);
            return;
        }
        let (durable, pending) = self.pending.iter().partition(|pending| now(pending));
        self.pending = pending;
        let durable: Vec<&Op> = durable;
        for op in durable {
            apply(&mut self.names, &mut self.files, op, Fate::Whole);
        }
    }

    /// What was not synced, in order.
    pub(crate) fn pending(&self) -> &[&'l Op] {
        &self.pending
    }

    /// The folder when the power comes back: what is durable, and then of the
    /// pending operations those with these numbers, in this order, as far as
    /// their fate goes.
    pub(crate) fn image(&self, fates: &[(usize, Fate)]) -> Image {
        let mut names = self.names.clone();
        let mut files = self.files.clone();
        for (number, fate) in fates {
            apply(&mut names, &mut files, self.pending[*number], *fate);
        }
        names
            .into_iter()
            .map(|(name, file)| (name, files.get(&file).cloned().unwrap_or_default()))
            .collect()
    }
}

/// Whether an operation changes names and not bytes.
pub(crate) fn is_of_folder(op: &Op) -> bool {
    matches!(op, Op::Create { .. } | Op::Unlink { .. } | Op::Rename { .. })
}

/// Where a write can be torn: how many of its first bytes lie before a border of
/// sectors.
pub(crate) fn borders(op: &Op) -> Vec<usize> {
    let Op::Write { offset, bytes, .. } = op else { return Vec::new() };
    let first = SECTOR - offset % SECTOR;
    (first..bytes.len()).step_by(SECTOR).collect()
}

fn apply(
    names: &mut BTreeMap<String, FileId>,
    files: &mut BTreeMap<FileId, Vec<u8>>,
    op: &Op,
    fate: Fate,
) {
    if fate == Fate::Lost {
        return;
    }
    match op {
        Op::Create { name, file } => {
            names.insert(name.clone(), *file);
        }
        Op::Unlink { name } => {
            names.remove(name);
        }
        Op::Rename { from, to } => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Op::Write { file, offset, bytes } => {
            let content = files.entry(*file).or_default();
            let all = bytes.len();
            let (from, to, grown) = match fate {
                Fate::Whole => (0, all, false),
                Fate::Lost => return,
                Fate::Grown => (0, 0, true),
                Fate::Head(count) => (0, count.min(all), false),
                Fate::HeadGrown(count) => (0, count.min(all), true),
                Fate::Tail(count) => (count.min(all), all, false),
            };
            let end = offset + if grown { all } else { to };
            if content.len() < end && (grown || from < to) {
                content.resize(end, 0);
            }
            if from < to {
                content[offset + from..offset + to].copy_from_slice(&bytes[from..to]);
            }
        }
        Op::Truncate { file, len } => files.entry(*file).or_default().resize(*len, 0),
        Op::Sync { .. } | Op::SyncFolder => {}
    }
}

#[cfg(test)]
mod tests;
