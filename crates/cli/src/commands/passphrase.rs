//! `tortalk passphrase`

use serde_json::json;
use tortalk_node::control::client::Client;
use tortalk_node::entropy::OsEntropy;
use tortalk_node::profile::Argon2Cost;

use crate::args::Passphrase;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::passphrase;

pub(crate) async fn passphrase(context: &Context, command: Passphrase) -> Result<(), Failure> {
    // Said before anybody is asked for a passphrase.
    if Client::connect(&context.dir).await.is_ok() {
        let line = "a node runs on this profile: end it, then change the passphrase";
        return Err(Failure::new(Exit::Profile, line));
    }
    let (profile, old) = context.open_with_passphrase()?;
    let new = match command {
        Passphrase::Set { new_passphrase_file: Some(file) } => Some(passphrase::from_file(&file)?),
        Passphrase::Set { new_passphrase_file: None } => match (&old, &context.passphrase_file) {
            // There was none to be opened with, so the file is the new one.
            (None, Some(file)) => Some(passphrase::from_file(file)?),
            _ => Some(passphrase::ask_for_new()?),
        },
        Passphrase::Remove => None,
    };
    profile.set_passphrase(new.as_ref(), Argon2Cost::DEFAULT, &mut OsEntropy)?;
    let out = context.out;
    if out.is_json() {
        return out.object(&json!({ "passphrase": new.is_some() }));
    }
    out.line(match (&old, &new) {
        (None, Some(_)) => "The profile has a passphrase from now on",
        (Some(_), Some(_)) => "The passphrase is changed",
        (_, None) => "The profile has no passphrase: only the rights of the folder protect it",
    })
}
