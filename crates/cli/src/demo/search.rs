//! Looking through everything that a relay has on disk for what it must not have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};
use memchr::memmem;

/// The encodings in which bytes are looked for, with the bits that a character
/// stands for.
const ENCODINGS: [(&str, &Encoding, usize); 5] = [
    ("hex", &HEXLOWER, 4),
    ("hex", &HEXUPPER, 4),
    ("base32", &BASE32_NOPAD, 5),
    ("base64", &BASE64_NOPAD, 6),
    ("base64url", &BASE64URL_NOPAD, 6),
];

/// Something to look for, in every form that it could have.
pub(super) struct Needle {
    pub(super) what: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

/// Where something was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) what: String,
    pub(super) form: &'static str,
    pub(super) file: PathBuf,
    pub(super) offset: usize,
}

impl Needle {
    /// Raw, hexadecimal, base32 and base64, wherever in their groups the bytes
    /// begin.
    pub(super) fn new(what: impl Into<String>, bytes: &[u8]) -> Self {
        let mut forms = vec![("raw", bytes.to_vec())];
        for (name, encoding, bits) in ENCODINGS {
            let mut seen = BTreeSet::new();
            // After at most 5 bytes a group begins anew in each of them.
            for before in 0..5 {
                let form = encoded_after(before, bytes, encoding, bits);
                if seen.insert(form.clone()) {
                    if name == "base32" {
                        forms.push((name, form.to_ascii_lowercase()));
                    }
                    forms.push((name, form));
                }
            }
        }
        Self { what: what.into(), forms }
    }

    /// How many forms are looked for.
    pub(super) const fn forms(&self) -> usize {
        self.forms.len()
    }

    /// What this looks like after some other bytes, form by form.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.forms.iter().map(|(name, form)| (*name, form.as_slice()))
    }
}

/// The characters that stand for nothing but `bytes` when `before` others come
/// first and anything after.
fn encoded_after(before: usize, bytes: &[u8], encoding: &Encoding, bits: usize) -> Vec<u8> {
    let mut all = vec![0; before];
    all.extend_from_slice(bytes);
    let text = encoding.encode(&all).into_bytes();
    let first = (before * 8).div_ceil(bits);
    let end = all.len() * 8 / bits;
    text.get(first..end).unwrap_or_default().to_vec()
}

/// Looks for every needle in every file under a folder. A folder without a file
/// is an error: there was nothing to look through.
pub(super) fn search(folder: &Path, needles: &[Needle]) -> Result<Vec<Found>, String> {
    let files = files_under(folder)?;
    if files.is_empty() {
        return Err(format!("nothing to search in {}", folder.display()));
    }
    let mut found = Vec::new();
    for file in files {
        let content = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        for needle in needles {
            for (form, text) in &needle.forms {
                if let Some(offset) = memmem::find(&content, text) {
                    let what = needle.what.clone();
                    found.push(Found { what, form, file: file.clone(), offset });
                }
            }
        }
    }
    Ok(found)
}

/// Every regular file, sorted.
pub(super) fn files_under(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let problem = |error: std::io::Error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(problem)? {
            let entry = entry.map_err(problem)?;
            let kind = entry.file_type().map_err(problem)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"meet me at the well, half past six";

    /// Every form is found wherever the bytes lie in an encoded text.
    #[test]
    fn a_secret_is_found_in_every_encoding_at_every_place() {
        let dir = tempfile::tempdir().expect("a folder");
        let needles = [Needle::new("secret", SECRET)];
        for before in 0..16 {
            let mut text = vec![b'x'; before];
            text.extend_from_slice(SECRET);
            text.extend_from_slice(b"yz");
            for (name, encoding, _) in ENCODINGS {
                fs::write(dir.path().join("log"), encoding.encode(&text)).expect("a file");
                let found = search(dir.path(), &needles).expect("a folder with a file");
                assert!(found.iter().any(|found| found.form == name), "{name} after {before}");
            }
            fs::write(dir.path().join("log"), &text).expect("a file");
            let found = search(dir.path(), &needles).expect("a folder with a file");
            let [Found { form: "raw", offset, .. }] = &found[..] else { panic!("{found:?}") };
            assert_eq!(*offset, before);
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(search(dir.path(), &[]).is_err(), "an empty folder proves nothing");
        fs::create_dir(dir.path().join("deeper")).expect("a folder");
        fs::write(dir.path().join("deeper/file"), b"meet me elsewhere").expect("a file");
        let found = search(dir.path(), &[Needle::new("secret", SECRET)]);
        assert_eq!(found, Ok(Vec::new()));
    }
}
