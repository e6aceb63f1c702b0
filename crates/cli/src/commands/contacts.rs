//! `tortalk contacts`

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use serde_json::json;
use tortalk_node::control::protocol::{ContactLine, Request, Response};

use super::read_text;
use crate::args::{Add, Contacts};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::session::{Reach, Session};
use crate::text;

/// Columns of a line of base64.
const CARD_COLUMNS: usize = 76;

pub(crate) async fn contacts(context: &Context, command: Option<Contacts>) -> Result<(), Failure> {
    // What can be wrong with a file is found before a profile is opened.
    let request = match command.unwrap_or(Contacts::List) {
        Contacts::List => return list(context).await,
        Contacts::ExportCard { file } => return export_card(context, file.as_deref()).await,
        Contacts::Verify { who, yes, undo } => return verify(context, who, yes, undo).await,
        Contacts::Add(Add { address, name, text }) => Request::Add { address, name, text },
        Contacts::Import { file, name } => Request::Import { card: read_text(&file)?, name },
        Contacts::Rename { who, name } => Request::Rename { who, name },
        Contacts::Remove { who } => Request::Remove { who },
        Contacts::Block { who } => Request::Block { who },
        Contacts::Unblock { who } => Request::Unblock { who },
    };
    let removes = matches!(request, Request::Remove { .. });
    let said = match &request {
        Request::Add { .. } | Request::Import { .. } => "is a contact",
        Request::Rename { .. } => "is the name from now on",
        Request::Block { .. } => "is blocked",
        _ => "is not blocked any more",
    };
    let (answer, running) = Session::with(context, Reach::Profile, async |session| {
        Ok((session.request(request).await?, session.is_running()))
    })
    .await?;
    let out = context.out;
    let contact = match answer {
        Response::Contact { contact } => contact,
        Response::Done {} if out.is_json() => return out.object(&json!({})),
        Response::Done {} if removes => {
            let line = "They are no contact any more; the others get your new card";
            return out.line(&if running { line.to_owned() } else { once_a_node_runs(line) });
        }
        // Somebody who was no contact is none again.
        Response::Done {} => return out.line("They are not blocked any more"),
        _ => return Err(Failure::strange_answer()),
    };
    if out.is_json() {
        return out.object(&contact);
    }
    let name = out.paint(Style::Strong, &text::one_line(&contact.name));
    out.line(&format!("{name} {said}"))?;
    if said == "is a contact" && !contact.has_card {
        let line = if running {
            "They have to accept you too; they are asked as soon as they can be reached."
        } else {
            "They have to accept you too; they are asked once a node runs: `tortalk run`"
        };
        out.line(&out.paint(Style::Faint, line))?;
    }
    Ok(())
}

/// What is said to others goes out from a node only.
pub(super) fn once_a_node_runs(line: &str) -> String {
    format!("{line} once a node runs: `tortalk run`")
}

async fn list(context: &Context) -> Result<(), Failure> {
    let answer = Session::with(context, Reach::Profile, async |session| {
        session.request(Request::Contacts).await
    });
    let Response::Contacts { contacts } = answer.await? else {
        return Err(Failure::strange_answer());
    };
    let out = context.out;
    if out.is_json() {
        return contacts.iter().try_for_each(|contact| out.object(contact));
    }
    if contacts.is_empty() {
        return out.line("No contacts yet: `tortalk contacts add mesh:… --name Bob`");
    }
    let names: Vec<String> = contacts.iter().map(|contact| text::one_line(&contact.name)).collect();
    let widest = names.iter().filter_map(|name| text::columns(name)).max().unwrap_or(0);
    for (contact, name) in contacts.iter().zip(&names) {
        out.line(&contact_line(out, contact, name, widest))?;
    }
    Ok(())
}

fn contact_line(out: Output, contact: &ContactLine, name: &str, widest: usize) -> String {
    let gap = " ".repeat(widest.saturating_sub(text::columns(name).unwrap_or(widest)));
    let mut notes = Vec::new();
    if contact.standing == "blocked" {
        notes.push(out.paint(Style::Bad, "blocked"));
    } else if !contact.has_card {
        notes.push(out.paint(Style::Waiting, "has not accepted you yet"));
    }
    if contact.linked {
        notes.push(out.paint(Style::Good, "here"));
    }
    if contact.verified {
        notes.push(out.paint(Style::Good, "verified"));
    }
    if contact.unread > 0 {
        notes.push(format!("{} unread", contact.unread));
    }
    if contact.missing > 0 {
        notes.push(out.paint(Style::Waiting, &format!("{} missing", contact.missing)));
    }
    let identity = contact.identity.get(..16).unwrap_or(&contact.identity);
    let line = format!(
        "{}{gap}  {}  {}",
        out.paint(Style::Strong, name),
        out.paint(Style::Faint, &text::one_line(identity)),
        notes.join(", ")
    );
    line.trim_end().to_owned()
}

async fn export_card(context: &Context, file: Option<&Path>) -> Result<(), Failure> {
    let answer = Session::with(context, Reach::Profile, async |session| {
        session.request(Request::OwnCard).await
    });
    let Response::OwnCard(card) = answer.await? else { return Err(Failure::strange_answer()) };
    let out = context.out;
    let mut lines = String::new();
    for (index, c) in card.card.chars().enumerate() {
        if index > 0 && index % CARD_COLUMNS == 0 {
            lines.push('\n');
        }
        lines.push(c);
    }
    lines.push('\n');
    let Some(file) = file else {
        return if out.is_json() { out.object(&card) } else { out.raw(&lines) };
    };
    let path = file.display();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut file| file.write_all(lines.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new(Exit::Data, format!("{path}: there is such a file: choose another name"))
        }
        _ => Failure::world(format!("{path}: cannot be written ({error}): choose another place")),
    })?;
    if out.is_json() {
        return out.object(&json!({ "file": path.to_string() }));
    }
    out.line(&format!(
        "Your contact card is in {path}: only those whom you want as contacts need it"
    ))
}

async fn verify(context: &Context, who: String, yes: bool, undo: bool) -> Result<(), Failure> {
    Session::with(context, Reach::Profile, async |session| {
        let out = context.out;
        let answer = session.request(Request::SafetyNumber { who: who.clone() }).await?;
        let Response::SafetyNumber(number) = answer else { return Err(Failure::strange_answer()) };
        if !yes && !undo && !out.is_json() {
            out.line(&out.paint(Style::Strong, &number.number))?;
        }
        let same = if yes || undo {
            Some(yes)
        } else if !out.is_json() && io::stdin().is_terminal() && io::stdout().is_terminal() {
            ask(out)?
        } else {
            None
        };
        let verified = match same {
            Some(yes) => {
                // By identity: a name could have gone to somebody else meanwhile.
                let who = number.identity.clone();
                let answer = session.request(Request::Verify { who, yes }).await?;
                let Response::Contact { contact } = answer else {
                    return Err(Failure::strange_answer());
                };
                contact.verified
            }
            None => number.verified,
        };
        if out.is_json() {
            return out.object(&json!({
                "number": number.number,
                "identity": number.identity,
                "verified": verified,
            }));
        }
        out.line(match (same, verified) {
            (_, true) => "You have compared it: it is the same on both sides.",
            (Some(_), false) => "It is noted that the numbers were not found the same.",
            (None, false) => {
                "Compare it with them, then `tortalk contacts verify WHO --yes` if it is the same."
            }
        })
    })
    .await
}

/// `None` for an answer that is neither.
fn ask(out: Output) -> Result<Option<bool>, Failure> {
    out.raw("Is it the same on both sides? [y/n] ")?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::world(format!("the answer cannot be read ({error})")))?;
    Ok(match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    })
}
