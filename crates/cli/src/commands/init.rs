//! `tortalk init`

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tortalk_node::UnixMillis;
use tortalk_node::control::protocol::{Request, Response};
use tortalk_node::entropy::OsEntropy;
use tortalk_node::profile::{self, Argon2Cost, NewProfile, Passphrase, Profile};

use crate::args::Init;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::Style;
use crate::passphrase;
use crate::session::{Reach, Session};

pub(crate) async fn init(context: &Context, args: &Init) -> Result<(), Failure> {
    // Nobody is asked for a passphrase in vain.
    if profile::exists(&context.dir) {
        create(context, args, None)?;
    }
    let passphrase = match &context.passphrase_file {
        Some(file) => Some(passphrase::from_file(file)?),
        None if args.passphrase => Some(passphrase::ask_for_new()?),
        None => None,
    };
    let profile = create(context, args, passphrase.as_ref())?;
    let session = Session::start(profile, Reach::Profile).await?;
    let address = session.request(Request::Address).await;
    session.close().await?;
    let Response::Address(address) = address? else { return Err(Failure::strange_answer()) };

    let out = context.out;
    let dir = context.dir.display().to_string();
    if out.is_json() {
        return out.object(&json!({
            "profile": dir,
            "identity": address.identity,
            "address": address.address,
            "passphrase": passphrase.is_some(),
        }));
    }
    out.line(&format!("Your profile is in {dir}"))?;
    if passphrase.is_none() {
        out.line(&out.paint(
            Style::Faint,
            "It has no passphrase: whoever can read the folder is you; `tortalk passphrase set`",
        ))?;
    }
    out.line("This is your address; give it to those who are to reach you:")?;
    out.line(&out.paint(Style::Strong, &address.address))
}

fn create(
    context: &Context,
    args: &Init,
    passphrase: Option<&Passphrase>,
) -> Result<Profile, Failure> {
    let new = NewProfile {
        dir: &context.dir,
        name: &args.name,
        passphrase,
        cost: Argon2Cost::DEFAULT,
        person: None,
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| {
        Failure::world("the clock of this machine says a time before 1970: set it right")
    })?;
    let now = UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Ok(profile::create(&new, now, &mut OsEntropy)?)
}
