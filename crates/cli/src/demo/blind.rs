//! What the relay has on disk: nothing that it could read.

use std::fs;
use std::path::Path;

use super::actor::{Actor, Problem};
use super::relay_process::Relay;
use super::search::{Found, Needle, files_under, search};
use super::stage::{Sent, Stage, address};

/// Searches the folder of a relay that was killed, its log file included, for
/// every text, name and identity; then shows that the search finds what is there.
pub(super) async fn play(
    stage: Stage,
    people: &mut [&mut Actor],
    relay: &mut Relay,
    sent: &[Sent],
) -> Result<(), Problem> {
    stage.scene("Everything that the relay has on disk is searched")?;
    let mut needles = Vec::new();
    let mut mailboxes = Vec::new();
    for person in people.iter_mut() {
        let own = address(person).await?;
        needles.push(Needle::new(format!("{}'s name", person.name), person.full_name.as_bytes()));
        let identity = unhex(&own.identity)?;
        needles.push(Needle::new(format!("{}'s identity", person.name), &identity));
        mailboxes.push(intro_mailbox(&own.address)?);
    }
    for sent in sent {
        needles.push(Needle::new(format!("“{}”", sent.text), sent.text.as_bytes()));
    }
    // The write-ahead log stays as it is, and pages that were freed too.
    relay.kill().await?;
    let found = search(&relay.dir, &needles)?;
    if let Some(Found { what, form, file, offset }) = found.first() {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        return Err(format!("the relay has {what} ({form}, in {name} at byte {offset})"));
    }
    let files = files_under(&relay.dir)?;
    let bytes: u64 = files.iter().filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum();
    let forms: usize = needles.iter().map(Needle::forms).sum();
    stage.say(&format!(
        "{} files, {bytes} bytes: none of {} texts, names and identities, in {forms} forms",
        files.len(),
        needles.len(),
    ))?;
    // Of who uses it, a relay knows mailbox keys: those have to be found.
    let known: Vec<Needle> =
        mailboxes.iter().map(|mailbox| Needle::new("a mailbox", mailbox)).collect();
    let found = search(&relay.dir, &known)?;
    if found.is_empty() {
        return Err("the search does not find the mailboxes that the relay knows".to_owned());
    }
    stage.say(&format!("the mailbox keys that it does know are found {} times", found.len()))?;
    find_canaries(stage, &relay.dir, &needles)
}

/// Plants each form of each needle into every file, one after another, and looks
/// for it.
fn find_canaries(stage: Stage, folder: &Path, needles: &[Needle]) -> Result<(), Problem> {
    let mut planted = 0;
    for file in files_under(folder)? {
        let problem = |error: std::io::Error| format!("{}: {error}", file.display());
        let content = fs::read(&file).map_err(problem)?;
        for needle in needles.iter().take(3) {
            for (form, text) in needle.texts() {
                let mut with = content.clone();
                with.push(b' ');
                with.extend_from_slice(text);
                fs::write(&file, &with).map_err(problem)?;
                let found = search(folder, core::slice::from_ref(needle))?;
                if !found.iter().any(|found| found.file == file && found.form == form) {
                    return Err(format!("{} as {form} was planted and not found", needle.what));
                }
                planted += 1;
            }
        }
        fs::write(&file, content).map_err(problem)?;
    }
    stage.say(&format!("{planted} canaries planted, each found"))
}

/// The intro mailbox in the text of a full invite (spec/identity.md, 5.1).
fn intro_mailbox(address: &str) -> Result<Vec<u8>, Problem> {
    let text = address.strip_prefix("mesh:").unwrap_or(address).to_uppercase();
    let bytes = data_encoding::BASE32_NOPAD.decode(text.as_bytes());
    let bytes = bytes.map_err(|error| format!("an address that is none: {error}"))?;
    bytes.get(33..65).map(<[u8]>::to_vec).ok_or_else(|| "an address that is too short".to_owned())
}

fn unhex(digits: &str) -> Result<Vec<u8>, Problem> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
    bytes.map_err(|error| format!("an identity that is none: {error}"))
}
