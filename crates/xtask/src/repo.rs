//! The repository as text in memory: every rule reads this and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::report::Outcome;

/// Folders that hold nothing of the repository.
const SKIPPED_FOLDERS: &[&str] = &["target", ".git", ".idea", ".vscode"];

/// Every text file below the root, by path with forward slashes.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    /// Files that are not UTF-8, with their size in bytes.
    binary: BTreeMap<String, u64>,
}

impl Tree {
    /// Reads the tree below `root`.
    pub(crate) fn load(root: &Path) -> Outcome<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "").map_err(|e| format!("cannot read {}: {e}", root.display()))?;
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !SKIPPED_FOLDERS.contains(&name.as_str()) {
                    self.read_folder(&entry.path(), &format!("{path}/"))?;
                }
            } else if kind.is_file() {
                match String::from_utf8(fs::read(entry.path())?) {
                    Ok(text) => self.files.insert(path, text).map_or((), drop),
                    Err(error) => {
                        self.binary.insert(path, error.as_bytes().len() as u64);
                    }
                }
            }
        }
        Ok(())
    }

    /// A tree out of thin air, for tests of rules.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
        Self { files, binary: BTreeMap::new() }
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// All text files in order of their path.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// All text files whose path starts and ends so.
    pub(crate) fn matching<'a>(
        &'a self,
        start: &'a str,
        end: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.texts().filter(move |(path, _)| path.starts_with(start) && path.ends_with(end))
    }

    /// Paths and sizes in bytes of all files, text or not.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        let texts = self.files.iter().map(|(path, text)| (path.as_str(), text.len() as u64));
        texts.chain(self.binary.iter().map(|(path, size)| (path.as_str(), *size)))
    }

    /// The folders below `crates/` that have a manifest, in order.
    pub(crate) fn crate_names(&self) -> Vec<&str> {
        self.matching("crates/", "/Cargo.toml")
            .filter_map(|(path, _)| path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"))
            .filter(|name| !name.contains('/'))
            .collect()
    }
}

/// The root of the repository: the nearest folder upwards whose manifest is a
/// workspace.
pub(crate) fn root() -> Outcome<PathBuf> {
    let start = env::current_dir().map_err(|e| format!("no current folder: {e}"))?;
    start
        .ancestors()
        .find(|folder| {
            fs::read_to_string(folder.join("Cargo.toml"))
                .is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
        })
        .map(Path::to_path_buf)
        .ok_or_else(|| "not inside the repository; run it from a folder of it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_sources_and_leaves_build_output_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (path, bytes) in [
            ("crates/a/Cargo.toml", b"[package]".as_slice()),
            ("crates/a/src/lib.rs", b"//! a"),
            ("crates/a/picture.bin", &[0xff, 0xfe, 0x00]),
            ("target/debug/junk.rs", b"junk"),
            (".git/config", b"junk"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("has a folder")).expect("created");
            fs::write(path, bytes).expect("written");
        }
        let tree = Tree::load(folder.path()).expect("readable");
        let paths: Vec<_> = tree.texts().map(|(path, _)| path).collect();
        assert_eq!(paths, ["crates/a/Cargo.toml", "crates/a/src/lib.rs"]);
        assert!(tree.sizes().any(|file| file == ("crates/a/picture.bin", 3)));
        assert_eq!(tree.crate_names(), ["a"]);
    }
}
