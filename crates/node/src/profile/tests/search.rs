//! A search of everything in a folder for a secret, however it was written down.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{BASE32, BASE32HEX, BASE64, BASE64URL, Encoding, HEXLOWER, HEXUPPER};

use super::contents;

/// The files in which a secret is found, and how it is written there. Shows that
/// the search works, before it is believed.
pub(crate) fn search(dir: &Path, secret: &[u8]) -> Vec<(PathBuf, &'static str)> {
    plant_and_find(dir);
    find(dir, secret)
}

/// Writes a canary down in each way; each has to be found.
fn plant_and_find(dir: &Path) {
    let canary: Vec<u8> = (0..32).map(|i| i * 7 + 3).collect();
    let mut planted = Vec::new();
    for (how, alphabet) in &ENCODINGS {
        for before in 0..5 {
            let bytes = [&vec![0xa5; before], &canary[..], b"behind"].concat();
            let text = alphabet.as_ref().map(|alphabet| alphabet.encode(&bytes).into_bytes());
            let text = text.unwrap_or(bytes);
            let path = dir.join(format!("planted-{how}-{before}"));
            fs::write(&path, [b"....", &text[..], b"...."].concat()).expect("a file");
            planted.push((path, *how));
        }
    }
    let found = find(dir, &canary);
    for canary in &planted {
        assert!(found.contains(canary), "{canary:?}");
    }
    planted.into_iter().for_each(|(path, _)| fs::remove_file(path).expect("removed"));
    assert_eq!(find(dir, &canary), [], "the canary is nobody's secret");
}

fn find(dir: &Path, secret: &[u8]) -> Vec<(PathBuf, &'static str)> {
    let mut found = Vec::new();
    for (path, bytes) in contents(dir) {
        let name = path.as_os_str().as_encoded_bytes();
        for (how, alphabet) in ENCODINGS {
            let patterns = alphabet.map_or_else(|| vec![secret.to_vec()], |it| forms(&it, secret));
            let is_in = |all: &[u8]| patterns.iter().any(|pattern| holds(all, pattern));
            if is_in(&bytes) || is_in(name) {
                found.push((path.clone(), how));
            }
        }
    }
    found
}

const ENCODINGS: [(&str, Option<Encoding>); 7] = [
    ("raw", None),
    ("hex", Some(HEXLOWER)),
    ("HEX", Some(HEXUPPER)),
    ("base32", Some(BASE32)),
    ("base32hex", Some(BASE32HEX)),
    ("base64", Some(BASE64)),
    ("base64url", Some(BASE64URL)),
];

/// What a secret looks like inside longer encoded bytes, wherever it begins in
/// them: the characters that depend on nothing else.
fn forms(alphabet: &Encoding, secret: &[u8]) -> Vec<Vec<u8>> {
    let bits = alphabet.bit_width();
    let form = |before: usize| {
        let text = alphabet.encode(&[&vec![0; before], secret, &[0; 5]].concat());
        let (start, end) = (before * 8, (before + secret.len()) * 8);
        text.as_bytes()[start.div_ceil(bits)..end / bits].to_vec()
    };
    (0..5).map(form).collect()
}

fn holds(all: &[u8], pattern: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return true };
    let mut left = all;
    while let Some(at) = left.iter().position(|byte| byte == first) {
        left = &left[at + 1..];
        if left.starts_with(rest) {
            return true;
        }
    }
    false
}
