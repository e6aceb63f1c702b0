//! Whom a person means.

use tortalk_keys::identity_from_bytes;
use tortalk_keys::invite::{Invite, InviteError};
use tortalk_mesh::Contact;
use tortalk_model::IdentityKey;

/// Fewer digits than this are not taken for an identity.
const DIGITS_MIN: usize = 8;
/// Candidates that an error names.
const NAMED_MAX: usize = 4;

/// Why it is not clear who is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WhoError {
    #[error(
        "nobody is called `{0}`: `tortalk contacts list` shows the names, `tortalk nearby` who is \
         here"
    )]
    Unknown(String),
    #[error(
        "no identity here begins with `{0}`: `tortalk contacts list`, `tortalk nearby` and \
         `tortalk requests list` show who there is"
    )]
    UnknownDigits(String),
    #[error(
        "nobody is called `{0}`, and {DIGITS_MIN} digits of an identity are needed: give more of \
         them"
    )]
    FewDigits(String),
    #[error("`{who}` can be {candidates}: write one of these")]
    Ambiguous { who: String, candidates: String },
    #[error("{0}")]
    Address(#[from] InviteError),
}

/// Finds the one person that `who` means: a contact's name in any case, a
/// `mesh:` address, or at least eight hexadecimal digits of an identity among
/// the contacts and `nearby`. All 64 digits need not be known.
///
/// A name that looks like digits of somebody else's identity is ambiguous:
/// people choose their own names.
pub(crate) fn resolve(
    who: &str,
    contacts: &[Contact],
    nearby: &[IdentityKey],
) -> Result<IdentityKey, WhoError> {
    let who = who.trim();
    if is_address(who) {
        return Ok(Invite::parse_text(who)?.identity());
    }
    let wanted = who.to_lowercase();
    let by_name = contacts.iter().filter(|contact| contact.name.to_lowercase() == wanted);
    let mut found: Vec<IdentityKey> = by_name.map(|contact| contact.identity).collect();
    if is_digits(&wanted) {
        let known = contacts.iter().map(|contact| contact.identity).chain(nearby.iter().copied());
        found.extend(known.filter(|identity| identity.to_string().starts_with(&wanted)));
    }
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [one] => Ok(one),
        [] => whole_identity(&wanted).ok_or_else(|| unknown(who)),
        _ => Err(ambiguous(who, &found)),
    }
}

/// The bytes of the invite that a text is, if it is a full one.
pub(crate) fn full_invite(text: &str) -> Option<Vec<u8>> {
    let invite = Invite::parse_text(text).ok()?;
    matches!(invite, Invite::Full { .. }).then(|| invite.to_bytes())
}

/// Whether a text is meant as an address rather than as a name. White space counts
/// nowhere in an address (spec IDN-14): mailers break lines where they like.
pub(crate) fn is_address(text: &str) -> bool {
    let letters = text.chars().filter(|c| !c.is_whitespace());
    letters.take(5).map(|c| c.to_ascii_lowercase()).eq("mesh:".chars())
}

fn is_digits(text: &str) -> bool {
    (DIGITS_MIN..=2 * IdentityKey::LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn whole_identity(digits: &str) -> Option<IdentityKey> {
    identity_from_bytes(super::hex::decode(digits)?).ok()
}

fn unknown(who: &str) -> WhoError {
    let digits = who.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Short words of these letters are names before they are digits.
    let number = digits && who.bytes().any(|byte| byte.is_ascii_digit());
    match who.len() {
        DIGITS_MIN.. if digits => WhoError::UnknownDigits(who.to_owned()),
        4..DIGITS_MIN if number => WhoError::FewDigits(who.to_owned()),
        _ => WhoError::Unknown(who.to_owned()),
    }
}

fn ambiguous(who: &str, found: &[IdentityKey]) -> WhoError {
    let mut names: Vec<String> = found
        .iter()
        .take(NAMED_MAX)
        .map(|identity| identity.to_string()[..16].to_owned())
        .collect();
    if found.len() > NAMED_MAX {
        names.push(format!("{} more", found.len() - NAMED_MAX));
    }
    WhoError::Ambiguous { who: who.to_owned(), candidates: names.join(" or ") }
}

#[cfg(test)]
mod tests {
    use tortalk_mesh::Standing;
    use tortalk_model::{ChainId, UnixMillis};

    use super::*;

    fn contact(name: &str, first: [u8; 4]) -> Contact {
        let mut identity = [7; 32];
        identity[..4].copy_from_slice(&first);
        Contact {
            identity: IdentityKey::from_bytes(identity),
            name: name.to_owned(),
            standing: Standing::Accepted,
            verified: false,
            card: None,
            invite: None,
            store_id: None,
            chain_id: ChainId::from_bytes([0; 8]),
            next_counter: 0,
            requested: None,
            their_chain: None,
            asking: None,
            added_at: UnixMillis(0),
        }
    }

    fn find(who: &str, contacts: &[Contact]) -> Result<IdentityKey, WhoError> {
        resolve(who, contacts, &[IdentityKey::from_bytes([0xee; 32])])
    }

    #[test]
    fn names_in_any_case_and_digits_find_one_person() {
        let contacts = [contact("Bob", [1, 2, 3, 4]), contact("Ärger", [5, 6, 7, 8])];
        assert_eq!(find(" bOB ", &contacts), Ok(contacts[0].identity));
        assert_eq!(find("ärger", &contacts), Ok(contacts[1].identity));
        assert_eq!(find("05060708", &contacts), Ok(contacts[1].identity));
        assert_eq!(find("EEEEEEEE", &contacts), Ok(IdentityKey::from_bytes([0xee; 32])));
    }

    #[test]
    fn nobody_and_too_few_digits_are_unknown() {
        let contacts = [contact("Bob", [1, 2, 3, 4])];
        for who in ["bo", "", "007", "carol", "decade"] {
            assert!(matches!(find(who, &contacts), Err(WhoError::Unknown(_))), "{who}");
        }
        // What is wrong with digits is another thing than with a name.
        assert_eq!(find("0102030", &contacts), Err(WhoError::FewDigits("0102030".into())));
        assert_eq!(find("ffffffff", &contacts), Err(WhoError::UnknownDigits("ffffffff".into())));
        for address in ["mesh:a", "MESH:a", " me sh:a", "mesh\n:a", "m\u{2003}esh: a"] {
            assert!(matches!(find(address, &contacts), Err(WhoError::Address(_))), "{address}");
        }
    }

    #[test]
    fn two_of_one_name_are_told_apart_by_digits() {
        let contacts = [contact("Bob", [1, 2, 3, 4]), contact("bob", [1, 2, 3, 5])];
        let error = find("bob", &contacts).expect_err("two").to_string();
        assert!(error.contains("01020304") && error.contains("01020305"), "{error}");
        assert_eq!(find("01020305", &contacts), Ok(contacts[1].identity));
    }

    #[test]
    fn a_name_that_poses_as_digits_of_another_is_not_followed() {
        let contacts = [contact("Bob", [0xaa, 2, 3, 4]), contact("aa020304", [9, 9, 9, 9])];
        assert!(matches!(find("aa020304", &contacts), Err(WhoError::Ambiguous { .. })));
    }
}
