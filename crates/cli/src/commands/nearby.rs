//! `tortalk nearby`

use std::time::Duration;

use tortalk_node::control::protocol::{NearbyLine, Request, Response};

use crate::args;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Output, Style};
use crate::session::{Reach, Session};
use crate::text;

pub(crate) async fn nearby(context: &Context, args: &args::Nearby) -> Result<(), Failure> {
    let answer = Session::with(context, Reach::Network, async |session| {
        if !session.is_running() {
            tokio::time::sleep(Duration::from_secs(args.wait)).await;
        }
        session.request(Request::Nearby).await
    });
    let Response::Nearby { people } = answer.await? else { return Err(Failure::strange_answer()) };
    let out = context.out;
    if out.is_json() {
        return people.iter().try_for_each(|person| out.object(person));
    }
    if people.is_empty() {
        return out.line("Nobody is nearby");
    }
    people.iter().try_for_each(|person| out.line(&person_line(out, person)))
}

/// A stranger's name never looks like a contact's: it stands in quotes.
fn person_line(out: Output, person: &NearbyLine) -> String {
    let identity = person.identity.get(..16).unwrap_or(&person.identity);
    let identity = out.paint(Style::Faint, &text::one_line(identity));
    match (&person.contact, &person.own_name) {
        (Some(name), _) => {
            format!("{identity}  {}", out.paint(Style::Strong, &text::one_line(name)))
        }
        (None, own_name) => {
            let calls = match own_name {
                Some(name) => format!("stranger, calls themselves “{}”", text::one_line(name)),
                None => "stranger".to_owned(),
            };
            let wants = if person.wants_contact { ", wants you as a contact" } else { "" };
            format!("{identity}  {}", out.paint(Style::Waiting, &format!("{calls}{wants}")))
        }
    }
}
