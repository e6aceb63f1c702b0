//! The profile, its folder and its disk.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use tortalk_node::Settings;
use tortalk_node::control::protocol::{MessageLine, Request, Response};
use tortalk_node::profile::{self, IdentityFault, OpenError};

use super::{Check, Findings};
use crate::context::{Context, OpenProfileError};
use crate::exit::Failure;
use crate::passphrase;
use crate::session::{Reach, Session};

const MIB: u64 = 1024 * 1024;
/// Less than this is too little to go on with.
const DISK_BYTES_MIN: u64 = 50 * MIB;

/// What keeps this user from looking into the folder, if anything does. One that is
/// not there keeps nobody out.
pub(super) fn can_look_into(dir: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    let shown = dir.display();
    let metadata = match fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(format!(
                "{shown}: a folder above it keeps you out: run this as the user whose profile it \
                 is, or give another --profile"
            ));
        }
        Err(_) => return Ok(()),
    };
    if !metadata.is_dir() {
        return Err(format!("{shown}: a profile is a folder, and this is none: give its folder"));
    }
    let me = rustix::process::geteuid();
    if !me.is_root() && metadata.uid() != me.as_raw() {
        return Err(format!(
            "{shown}: this profile belongs to another user (number {}): run this as that user, or \
             give another --profile",
            metadata.uid()
        ));
    }
    if fs::read_dir(dir).is_err() || fs::metadata(dir.join(".")).is_err() {
        return Err(format!("{shown}: its rights keep you out: chmod 700 '{shown}'"));
    }
    Ok(())
}

/// Opens the profile as a node would, or asks the one that runs; gives the time
/// of the latest message.
pub(super) async fn look_at_profile(
    context: &Context,
    node_runs: bool,
    found: &mut Findings,
) -> Option<u64> {
    if node_runs {
        return look_at_messages(Session::open(context, Reach::Profile).await, found).await;
    }
    let has_passphrase = matches!(
        profile::open(&context.dir, None),
        Err(OpenError::Identity { fault: IdentityFault::NeedsPassphrase, .. })
    );
    if has_passphrase && context.passphrase_file.is_none() && !passphrase::is_interactive() {
        let line = "has a passphrase, so it was not looked into: give it with --passphrase-file";
        found.note(Check::Profile, line);
        return None;
    }
    match context.open_profile() {
        Ok(profile) => {
            found.good(Check::Profile, format!("{} opens", context.dir.display()));
            look_at_messages(Session::start(profile, Reach::Profile).await, found).await
        }
        Err(error @ OpenProfileError::Open(_) | error @ OpenProfileError::Passphrase(_)) => {
            found.wrong(Check::Profile, Failure::from(error).line);
            None
        }
    }
}

async fn look_at_messages(session: Result<Session, Failure>, found: &mut Findings) -> Option<u64> {
    let look = async {
        let session = session?;
        let request = Request::History { with: None, before: None, limit: Some(1), search: None };
        let answer = session.request(request).await;
        session.close().await?;
        let Response::History { messages } = answer? else { return Err(Failure::strange_answer()) };
        Ok(messages)
    };
    match look.await {
        Ok(messages) => {
            found.good(Check::Messages, "can be read");
            messages.first().map(|message: &MessageLine| message.stored_at)
        }
        Err(failure) => {
            found.wrong(Check::Messages, failure.line);
            None
        }
    }
}

pub(super) fn look_at_folder(dir: &Path, settings: Option<&Settings>, found: &mut Findings) {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs::metadata(dir) else { return };
    if metadata.mode() & 0o077 == 0 {
        found.good(Check::Rights, "only you can look into the folder");
    } else {
        let line = format!("others can look into the folder: chmod 700 '{}'", dir.display());
        found.wrong(Check::Rights, line);
    }
    // Messages may be kept elsewhere.
    let store = settings.and_then(|settings| settings.storage.path.parent());
    let store = store.filter(|store| store.is_dir());
    let free = [Some(dir), store].into_iter().flatten().map(free_bytes);
    // The one that is least.
    match free.collect::<Result<Vec<u64>, _>>().map(|free| free.into_iter().min()) {
        Ok(free) => {
            let free = free.unwrap_or(u64::MAX);
            let shown = format!("{} MiB are free", free / MIB);
            if free < DISK_BYTES_MIN {
                let full = if free < MIB { "full" } else { "nearly full" };
                let line =
                    format!("the disk of this profile is {full}, only {shown}: free some space");
                found.wrong(Check::Disk, line);
            } else {
                found.good(Check::Disk, shown);
            }
        }
        Err(error) => found.note(Check::Disk, format!("its free space is not known ({error})")),
    }
}

fn free_bytes(dir: &Path) -> rustix::io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
