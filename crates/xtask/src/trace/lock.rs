//! `spec/requirements.lock`: the sentence that a requirement's tests were read
//! against. A changed sentence fails until someone has read its tests again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::spec::{Id, Spec};
use crate::repo::Tree;
use crate::report::{Outcome, Report};

pub(super) const PATH: &str = "spec/requirements.lock";

const HEAD: &str = "\
# One line per requirement: its id and the hash of its sentence (FNV-1a, 64 bits).
# After changing a sentence read its tests again, then `cargo xtask trace --bless ID`.
";

/// Ids with the hash of the sentence last read.
#[derive(Debug, Default)]
pub(super) struct Lock {
    /// Hash and line.
    entries: BTreeMap<Id, (u64, usize)>,
}

impl Lock {
    pub(super) fn read(tree: &Tree, report: &mut Report) -> Self {
        let mut lock = Self::default();
        for (index, line) in tree.text(PATH).unwrap_or("").lines().enumerate() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            let entry = line.split_once(' ').and_then(|(id, hash)| {
                Some((id.parse::<Id>().ok()?, u64::from_str_radix(hash, 16).ok()?))
            });
            match entry {
                Some((id, hash)) => {
                    lock.entries.insert(id, (hash, index + 1));
                }
                None => report.fault(PATH, index + 1, "not `ID hash`; bless the requirement again"),
            }
        }
        lock
    }

    /// Takes over the present sentences of `ids`, or of all.
    pub(super) fn bless(&mut self, spec: &Spec, ids: &[Id], all: bool) -> Outcome<()> {
        if all != ids.is_empty() {
            return Err("--bless wants ids or --all".to_owned());
        }
        for id in ids {
            if !spec.requirements.contains_key(id) {
                return Err(format!("{id} is not in the spec"));
            }
        }
        for (id, requirement) in &spec.requirements {
            if all || ids.contains(id) {
                self.entries.insert(id.clone(), (hash(&requirement.sentence), 0));
            }
        }
        self.entries.retain(|id, _| !spec.withdrawn.contains_key(id));
        Ok(())
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (id, (hash, _)) in &self.entries {
            writeln!(text, "{id} {hash:016x}").expect("a String takes everything");
        }
        text
    }

    pub(super) fn check(&self, spec: &Spec, report: &mut Report) {
        let mut new: BTreeMap<&str, (usize, Vec<String>)> = BTreeMap::new();
        for (id, requirement) in &spec.requirements {
            let line = requirement.line;
            match self.entries.get(id) {
                None => {
                    let (first, ids) = new.entry(&requirement.path).or_insert((line, Vec::new()));
                    *first = line.min(*first);
                    ids.push(id.to_string());
                }
                Some((locked, _)) if *locked != hash(&requirement.sentence) => {
                    let text = format!(
                        "{id} was changed; read its tests again, then \
                         `cargo xtask trace --bless {id}`"
                    );
                    report.fault(&requirement.path, line, text);
                }
                Some(_) => {}
            }
        }
        for (path, (line, ids)) in new {
            let ids = ids.join(" ");
            let text = format!("new: {ids}; read their tests, then `cargo xtask trace --bless …`");
            report.fault(path, line, text);
        }
        for (id, (_, line)) in &self.entries {
            if !spec.requirements.contains_key(id) {
                let text = format!("{id} left the spec; list it there as withdrawn: ~~[{id}]~~");
                report.fault(PATH, *line, text);
            }
        }
    }
}

/// FNV-1a with 64 bits: stable for ever, and nobody attacks this file.
fn hash(sentence: &str) -> u64 {
    sentence.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
