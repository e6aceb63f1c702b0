//! The requirements of `spec/`, read from the documents themselves.

/// The documents with requirements, by the name of their file.
pub const DOCUMENTS: &[(&str, &str)] = &[
    ("README.md", include_str!("../../spec/README.md")),
    ("identity.md", include_str!("../../spec/identity.md")),
    ("envelope.md", include_str!("../../spec/envelope.md")),
    ("seal.md", include_str!("../../spec/seal.md")),
    ("discovery.md", include_str!("../../spec/discovery.md")),
    ("link.md", include_str!("../../spec/link.md")),
    ("gossip.md", include_str!("../../spec/gossip.md")),
    ("carrying.md", include_str!("../../spec/carrying.md")),
    ("delivery.md", include_str!("../../spec/delivery.md")),
    ("contacts.md", include_str!("../../spec/contacts.md")),
    ("relay.md", include_str!("../../spec/relay.md")),
    ("relaying.md", include_str!("../../spec/relaying.md")),
    ("limits.md", include_str!("../../spec/limits.md")),
    ("tor.md", include_str!("../../spec/tor.md")),
    ("versioning.md", include_str!("../../spec/versioning.md")),
];

/// How much a requirement binds, by the first of its key words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// MUST and MUST NOT.
    Must,
    /// SHOULD and SHOULD NOT.
    Should,
    /// MAY.
    May,
}

impl Level {
    /// The key word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        }
    }
}

/// One sentence with an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// As `LNK-12`.
    pub id: String,
    /// The file's name.
    pub document: &'static str,
    /// The sentence, without its mark.
    pub sentence: String,
    /// What its key word says.
    pub level: Level,
}

/// All requirements, in the order of the documents.
#[must_use]
pub fn requirements() -> Vec<Requirement> {
    let mut all = Vec::new();
    for (document, text) in DOCUMENTS {
        for line in text.lines() {
            let Some((_, marked)) = line.split_once("**[") else { continue };
            let Some((id, sentence)) = marked.split_once("]**") else { continue };
            let level = [("MUST", Level::Must), ("SHOULD", Level::Should), ("MAY", Level::May)]
                .into_iter()
                .find(|(word, _)| sentence.contains(word));
            let Some((_, level)) = level else { continue };
            let (id, sentence) = (id.to_owned(), sentence.trim().to_owned());
            all.push(Requirement { id, document, sentence, level });
        }
    }
    all
}

/// One requirement by its id.
#[must_use]
pub fn requirement(id: &str) -> Option<Requirement> {
    requirements().into_iter().find(|requirement| requirement.id == id)
}

/// What names this text of the documents: 8 bytes of a hash over all of them.
#[must_use]
pub fn fingerprint() -> String {
    let parts: Vec<&[u8]> = DOCUMENTS.iter().map(|(_, text)| text.as_bytes()).collect();
    data_encoding::HEXLOWER.encode(&crate::stack::crypto::blake2b_256(&parts)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_found_with_their_level() {
        let all = requirements();
        assert!(all.len() > 400, "only {}", all.len());
        let found = requirement("LNK-15").expect("it is in link.md");
        assert_eq!((found.document, found.level), ("link.md", Level::Must));
        assert_eq!(requirement("LNK-24").map(|r| r.level), Some(Level::Should));
        assert_eq!(requirement("LNK-48").map(|r| r.level), Some(Level::May));
    }

    #[test]
    fn no_id_stands_twice() {
        let mut ids: Vec<String> = requirements().into_iter().map(|r| r.id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
