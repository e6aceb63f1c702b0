//! What strace wrote, as operations on the files of one folder.
//!
//! A call that touches the folder and is not known here is an error: what the
//! model does not know it must not pass over.

use std::collections::BTreeMap;
use std::path::Path;

use super::Problem;

/// The longest string that strace shows; a write of more is an error.
pub(crate) const STRING_MAX: &str = "1048576";

/// The calls that are recorded. Those with a question mark are not on every
/// machine.
pub(crate) const CALLS: &str = "?open,openat,?openat2,?creat,close,?dup,?dup2,?dup3,\
    write,writev,pwrite64,pwritev,?pwritev2,ftruncate,truncate,fallocate,\
    fsync,fdatasync,sync_file_range,sync,syncfs,\
    ?unlink,unlinkat,?rename,?renameat,renameat2,?link,linkat,?symlink,symlinkat,\
    ?mkdir,mkdirat,?rmdir,mmap,copy_file_range,sendfile,splice,?io_uring_enter";

/// A file by its number, which a name can lose and another one get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(pub usize);

/// What was done to the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// A new, empty file.
    Create {
        /// Its name.
        name: String,
        /// Its number.
        file: FileId,
    },
    /// A name is gone.
    Unlink {
        /// Which.
        name: String,
    },
    /// A name is another one.
    Rename {
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// Bytes were written.
    Write {
        /// Where to.
        file: FileId,
        /// From which byte on.
        offset: usize,
        /// What.
        bytes: Vec<u8>,
    },
    /// A file has another length: shorter, or zeros at its end.
    Truncate {
        /// Which.
        file: FileId,
        /// In bytes.
        len: usize,
    },
    /// All that was written to a file is durable.
    Sync {
        /// Which.
        file: FileId,
    },
    /// All names are durable.
    SyncFolder,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Something was done.
    Op(Op),
    /// Something was said.
    Note(String),
}

/// A recorded run, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Log {
    /// What happened.
    pub(crate) entries: Vec<Entry>,
}

/// Reads a trace of [`CALLS`] made with `-f -y -x` about a folder that was empty.
///
/// # Errors
/// When a line is not understood, or a call is not part of the model.
pub(crate) fn parse(trace: &str, folder: &Path) -> Result<Log, Problem> {
    let folder = folder.to_str().ok_or("the folder's name is no text")?;
    let mut reader = Reader { folder, ..Reader::default() };
    for (number, line) in trace.lines().enumerate() {
        let at = |problem: Problem| {
            let start: String = line.chars().take(160).collect();
            format!("line {} of the trace: {problem}: {start}", number + 1)
        };
        let Some(call) = Call::of(line).map_err(at)? else { continue };
        reader.read(&call).map_err(at)?;
    }
    Ok(Log { entries: reader.entries })
}

/// What a descriptor stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    File(FileId),
    Folder,
    /// The index of SQLite's log: shared memory with a name. It is mapped, never
    /// synced, and made anew by whoever opens the database first, so a loss of
    /// power may leave anything in it (see `Disk::image`).
    Shared,
}

#[derive(Default)]
struct Reader<'a> {
    folder: &'a str,
    entries: Vec<Entry>,
    names: BTreeMap<String, FileId>,
    open: BTreeMap<i64, Target>,
    /// Where a plain `write` would go; none of ours seeks.
    files: usize,
}

impl Reader<'_> {
    fn read(&mut self, call: &Call<'_>) -> Result<(), Problem> {
        match call.name {
            // The diary.
            "write" if call.descriptor(0) == Some(1) => {
                let text = String::from_utf8(call.string(1)?).map_err(|_| "no text")?;
                for line in text.lines() {
                    self.entries.push(Entry::Note(line.to_owned()));
                }
                return Ok(());
            }
            "close" => {
                if let Some(descriptor) = call.descriptor(0) {
                    self.open.remove(&descriptor);
                }
                return Ok(());
            }
            _ if !call.text.contains(self.folder) => return Ok(()),
            _ => {}
        }
        // What failed has changed nothing; a sync that failed is a fault of the
        // machine and not of the store.
        if call.result < 0 {
            return if call.name.contains("sync") { Err("it failed".into()) } else { Ok(()) };
        }
        match call.name {
            "openat" => self.opened(call),
            "pwrite64" => self.written(call),
            "ftruncate" => match self.target(call)? {
                Target::File(file) => self.push(Op::Truncate { file, len: call.number(1)? }),
                _ => Ok(()),
            },
            // The calls of a disk that lies return and do nothing.
            "fsync" | "fdatasync" if call.injected => Ok(()),
            "fsync" | "fdatasync" => match self.target(call)? {
                Target::File(file) => self.push(Op::Sync { file }),
                Target::Folder => self.push(Op::SyncFolder),
                Target::Shared => Ok(()),
            },
            "unlink" => self.unlinked(call.string(0)?),
            "unlinkat" => self.unlinked(call.string(1)?),
            "rename" => self.renamed(call.string(0)?, call.string(1)?),
            "renameat" | "renameat2" => self.renamed(call.string(1)?, call.string(3)?),
            // Everything that must survive is written by calls, never by a map.
            "mmap" if call.of_shared_memory() || !call.text.contains("PROT_WRITE") => Ok(()),
            "mmap" if call.text.contains("MAP_PRIVATE") => Ok(()),
            _ => Err("the model does not know this call".into()),
        }
    }

    fn push(&mut self, op: Op) -> Result<(), Problem> {
        self.entries.push(Entry::Op(op));
        Ok(())
    }

    /// A path's name in the folder; an empty one for the folder itself.
    fn name(&self, path: Vec<u8>) -> Result<Option<String>, Problem> {
        let path = String::from_utf8(path).map_err(|_| "a path that is no text")?;
        let Some(rest) = path.strip_prefix(self.folder) else { return Ok(None) };
        let name = rest.trim_start_matches('/');
        if name.contains('/') {
            return Err("the model knows no folders in the folder".into());
        }
        Ok(Some(name.to_owned()))
    }

    fn opened(&mut self, call: &Call<'_>) -> Result<(), Problem> {
        let Some(name) = self.name(call.string(1)?)? else { return Ok(()) };
        let flags = call.argument(2)?;
        let target = if name.is_empty() {
            Target::Folder
        } else if name.ends_with("-shm") {
            Target::Shared
        } else if let Some(&file) = self.names.get(&name) {
            if flags.contains("O_TRUNC") {
                self.push(Op::Truncate { file, len: 0 })?;
            }
            Target::File(file)
        } else if flags.contains("O_CREAT") {
            let file = FileId(self.files);
            self.files += 1;
            self.names.insert(name.clone(), file);
            self.push(Op::Create { name, file })?;
            Target::File(file)
        } else {
            return Err("a file that was there before".into());
        };
        if flags.contains("O_APPEND") {
            return Err("the model does not know appending".into());
        }
        self.open.insert(call.result, target);
        Ok(())
    }

    fn target(&self, call: &Call<'_>) -> Result<Target, Problem> {
        let found = call.descriptor(0).and_then(|descriptor| self.open.get(&descriptor));
        found.copied().ok_or_else(|| "a descriptor that was never opened".into())
    }

    fn written(&mut self, call: &Call<'_>) -> Result<(), Problem> {
        let Target::File(file) = self.target(call)? else { return Ok(()) };
        let mut bytes = call.string(1)?;
        // A write may take less than it was given.
        bytes.truncate(usize::try_from(call.result).unwrap_or(0));
        self.push(Op::Write { file, offset: call.number(3)?, bytes })
    }

    fn unlinked(&mut self, path: Vec<u8>) -> Result<(), Problem> {
        match self.name(path)? {
            Some(name) if self.names.remove(&name).is_some() => self.push(Op::Unlink { name }),
            _ => Ok(()),
        }
    }

    fn renamed(&mut self, from: Vec<u8>, to: Vec<u8>) -> Result<(), Problem> {
        let (Some(from), Some(to)) = (self.name(from)?, self.name(to)?) else {
            return Err("a file that comes or goes".into());
        };
        if let Some(file) = self.names.remove(&from) {
            self.names.insert(to.clone(), file);
        }
        self.push(Op::Rename { from, to })
    }
}

/// One call of the trace.
#[derive(Debug)]
struct Call<'a> {
    text: &'a str,
    name: &'a str,
    arguments: Vec<&'a str>,
    result: i64,
    injected: bool,
}

impl<'a> Call<'a> {
    /// `PID name(arguments) = result`; `None` for what is no call.
    fn of(line: &'a str) -> Result<Option<Self>, Problem> {
        let text = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        if text.is_empty() || text.starts_with("+++") {
            return Ok(None);
        }
        if text.starts_with("<...") || text.ends_with("<unfinished ...>") {
            return Err("two threads at once, whose order is not known".into());
        }
        let (name, rest) = text.split_once('(').ok_or("no call")?;
        let (arguments, result) = split(rest).ok_or("no end of the call")?;
        let injected = result.ends_with("(INJECTED)");
        let number = result.split(|c: char| !(c.is_ascii_digit() || c == '-' || c == 'x')).next();
        let number = number.unwrap_or_default();
        // An address, which a map returns.
        let result = if number.starts_with("0x") { Ok(0) } else { number.parse() };
        let result = result.map_err(|_| format!("the result {number} is no number"))?;
        Ok(Some(Self { text, name, arguments, result, injected }))
    }

    fn argument(&self, index: usize) -> Result<&'a str, Problem> {
        self.arguments.get(index).copied().ok_or_else(|| format!("there is no argument {index}"))
    }

    /// `5</path>` is 5.
    fn descriptor(&self, index: usize) -> Option<i64> {
        let number = self.argument(index).ok()?.split('<').next()?;
        number.parse().ok()
    }

    fn number(&self, index: usize) -> Result<usize, Problem> {
        let text = self.argument(index)?;
        text.parse().map_err(|_| format!("{text} is no number"))
    }

    fn string(&self, index: usize) -> Result<Vec<u8>, Problem> {
        let text = self.argument(index)?;
        let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        // What strace has cut has three dots behind the quote.
        unescape(inside.ok_or("a string that was cut")?).ok_or_else(|| "no escape".into())
    }

    fn of_shared_memory(&self) -> bool {
        self.arguments.get(4).is_some_and(|file| file.contains("-shm>") || file.contains("-shm("))
    }
}

/// Splits what is behind the opening bracket into arguments and result. Quoted
/// strings may hold anything, quotes with a backslash in front included.
fn split(rest: &str) -> Option<(Vec<&str>, &str)> {
    let bytes = rest.as_bytes();
    let (mut arguments, mut start, mut at, mut quoted) = (Vec::new(), 0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                arguments.push(rest.get(start..at)?.trim());
                start = at + 1;
            }
            b')' if !quoted => {
                let behind = rest.get(at + 1..)?.trim_start();
                if let Some(result) = behind.strip_prefix("= ") {
                    arguments.push(rest.get(start..at)?.trim());
                    return Some((arguments, result));
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut left = text.as_bytes();
    while let Some((&first, rest)) = left.split_first() {
        left = rest;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (&kind, rest) = left.split_first()?;
        left = rest;
        bytes.push(match kind {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'v' => 0x0b,
            b'f' => 0x0c,
            b'"' | b'\\' => kind,
            b'x' => {
                let (digits, rest) = left.split_at_checked(2)?;
                left = rest;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
