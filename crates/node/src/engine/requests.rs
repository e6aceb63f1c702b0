//! Requests that change something become commands of the machine.

use std::sync::Arc;

use data_encoding::BASE64;
use tortalk_mesh::{
    Command, CommandError, Input, Outcome, Read as _, RequestId, Standing, Visibility,
};
use tortalk_model::{IdentityKey, MessageId};
use tortalk_settings::{SETTINGS_FILE, Value};
use tortalk_store::StoreError;

use super::who::{self, WhoError};
use super::{Answering, Batch, Engine, hex};
use crate::control::protocol::{ErrorKind, Queued, Request, RequestError, Response, Visible};
use crate::entropy::OsEntropy;

/// What is left to do when a command has succeeded and is durable.
#[derive(Debug)]
pub(super) enum Then {
    Answer,
    /// The own name is another one from now on.
    Named(String),
    /// Others may see this node from now on.
    Visible(Visibility),
}

/// A command, and what belongs to it.
struct Planned {
    command: Command,
    then: Then,
    /// The machine is to have the profile's new secrets directly after it.
    rekeyed: bool,
}

impl From<(Command, Then)> for Planned {
    fn from((command, then): (Command, Then)) -> Self {
        Self { command, then, rekeyed: false }
    }
}

/// Why a request does not become a command.
pub(super) enum PlanError {
    Refused(RequestError),
    Store(StoreError),
}

impl From<StoreError> for PlanError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<WhoError> for PlanError {
    fn from(error: WhoError) -> Self {
        let kind = match error {
            WhoError::Unknown(_) | WhoError::UnknownDigits(_) | WhoError::FewDigits(_) => {
                ErrorKind::UnknownWho
            }
            WhoError::Ambiguous { .. } => ErrorKind::AmbiguousWho,
            WhoError::Address(_) => ErrorKind::BadAddress,
        };
        Self::Refused(RequestError::new(kind, error.to_string()))
    }
}

impl Engine {
    /// Takes a request into the batch.
    pub(super) fn request(
        &mut self,
        batch: &mut Batch,
        request: Request,
        answering: Answering,
    ) -> Result<(), StoreError> {
        match self.plan(&request) {
            Ok(None) => batch.queries.push((request, answering)),
            Ok(Some(Planned { command, then, rekeyed })) => {
                self.last_request += 1;
                let id = RequestId(self.last_request);
                // Its answer is in the batch before anything can fail.
                batch.commands.insert(id, (then, answering));
                self.wake(batch)?;
                self.step(batch, Input::Command(id, command))?;
                if rekeyed {
                    let keyring = Arc::clone(&self.keyring);
                    self.step(batch, Input::KeyringChanged(keyring))?;
                }
            }
            Err(PlanError::Refused(error)) => batch.refused.push((error, answering)),
            Err(PlanError::Store(error)) => {
                batch.queries.push((request, answering));
                return Err(error);
            }
        }
        Ok(())
    }

    /// The command that a request is, or `None` for a question.
    fn plan(&mut self, request: &Request) -> Result<Option<Planned>, PlanError> {
        let command = match request {
            Request::Add { address, name, text } => Command::AddContact {
                identity: self.who(address)?,
                name: name.clone(),
                invite: who::full_invite(address),
                text: text.clone(),
            },
            Request::Accept { who, name } => {
                Command::AcceptRequest { identity: self.who(who)?, name: name.clone() }
            }
            Request::Decline { who } => Command::DeclineRequest { identity: self.who(who)? },
            Request::Import { card, name } => {
                Command::ImportCard { card: decode_card(card)?, name: name.clone() }
            }
            Request::Rename { who, name } => {
                Command::Rename { identity: self.who(who)?, name: name.clone() }
            }
            Request::Block { who } => {
                Command::SetBlocked { identity: self.who(who)?, blocked: true }
            }
            Request::Unblock { who } => {
                Command::SetBlocked { identity: self.who(who)?, blocked: false }
            }
            Request::Verify { who, yes } => {
                Command::SetVerified { identity: self.who(who)?, verified: *yes }
            }
            Request::Send { to, text } => {
                Command::SendText { to: self.who(to)?, text: text.clone() }
            }
            Request::Cancel { id } => Command::Cancel { message_id: message_id(id)? },
            Request::MarkRead { id } => Command::MarkRead { message_id: message_id(id)? },
            Request::SetName { name } => {
                let command = Command::SetOwnName { name: name.clone() };
                return Ok(Some((command, Then::Named(name.clone())).into()));
            }
            Request::Visibility { value } => {
                let value = visibility(*value);
                return Ok(Some((Command::SetVisibility(value), Then::Visible(value)).into()));
            }
            Request::Remove { who } => return self.plan_removal(who).map(Some),
            _ => return Ok(None),
        };
        Ok(Some((command, Then::Answer).into()))
    }

    /// Removing somebody who knows the secrets for contacts begins with new ones,
    /// on the disk. If the rest fails they are new for nothing.
    fn plan_removal(&mut self, who: &str) -> Result<Planned, PlanError> {
        let identity = self.who(who)?;
        let command = Command::RemoveContact { identity };
        let standing = self.contact(&identity)?.map(|contact| contact.standing);
        // Who never was a contact knows nothing, nobody even less.
        if !matches!(standing, Some(Standing::Accepted | Standing::Blocked)) {
            return Ok((command, Then::Answer).into());
        }
        let now = self.around.clock.now().wall;
        self.profile.renew_contact_secrets(now, &mut OsEntropy).map_err(|error| {
            let message = format!("nobody is removed: {error}");
            PlanError::Refused(RequestError::new(ErrorKind::KeysFailed, message))
        })?;
        self.keyring = Arc::new(self.profile.keyring(self.store.store_id()));
        Ok(Planned { command, then: Then::Answer, rekeyed: true })
    }

    /// Whom a text means.
    pub(super) fn who(&mut self, who: &str) -> Result<IdentityKey, PlanError> {
        let mut others: Vec<IdentityKey> =
            self.nearby().into_iter().map(|person| person.identity).collect();
        others.extend(self.store.requests()?.iter().map(|request| request.identity));
        Ok(who::resolve(who, self.contacts()?, &others)?)
    }

    /// What came of a command, as its answer.
    pub(super) fn conclude(
        &mut self,
        then: Then,
        outcome: Result<Outcome, CommandError>,
    ) -> Result<Result<Response, RequestError>, StoreError> {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return Ok(Err(command_error(&error))),
        };
        let kept = match then {
            Then::Answer => Ok(()),
            Then::Named(name) => {
                self.config.name.clone_from(&name);
                self.keep_setting("user", "username", name)
            }
            Then::Visible(visibility) => {
                self.config.visibility = visibility;
                self.around.visibility.send_replace(visibility);
                self.keep_setting("network", "visibility", word(visibility).to_owned())
            }
        };
        if let Err(error) = kept {
            return Ok(Err(error));
        }
        Ok(Ok(match outcome {
            Outcome::Done => Response::Done {},
            Outcome::Queued { message_id, state } => Response::Queued(Queued {
                message_id: message_id.to_string(),
                state: state.word().to_owned(),
            }),
            Outcome::Contact(identity) => match self.contact_line(&identity)? {
                Some(contact) => Response::Contact { contact },
                None => Response::Done {},
            },
        }))
    }
}

impl Engine {
    /// Writes a setting that holds already, so that it holds after the next
    /// start too.
    fn keep_setting(&self, section: &str, key: &str, value: String) -> Result<(), RequestError> {
        let file = self.profile.dir().join(SETTINGS_FILE);
        tortalk_settings::set(&file, section, key, &Value::Text(value)).map(drop).map_err(|error| {
            let message = format!("it holds until the node ends, then no more: {error}");
            RequestError::new(ErrorKind::SettingsFailed, message)
        })
    }
}

/// The id of a message as it is written.
pub(super) fn message_id(digits: &str) -> Result<MessageId, PlanError> {
    let no_such = || {
        let message = "there is no such message: an id has 64 hexadecimal digits, as `history` \
                       shows it";
        PlanError::Refused(RequestError::new(ErrorKind::NoSuchMessage, message))
    };
    hex::decode(digits.trim()).map(MessageId::from_bytes).ok_or_else(no_such)
}

fn decode_card(base64: &str) -> Result<Vec<u8>, PlanError> {
    let compact: Vec<u8> = base64.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(&compact).map_err(|_| {
        let message = "the card is not whole: ask for the file again and import it as it is";
        PlanError::Refused(RequestError::new(ErrorKind::BadCard, message))
    })
}

const fn visibility(value: Visible) -> Visibility {
    match value {
        Visible::Everyone => Visibility::Everyone,
        Visible::Contacts => Visibility::Contacts,
        Visible::Nobody => Visibility::Nobody,
    }
}

pub(super) const fn visible(value: Visibility) -> Visible {
    match value {
        Visibility::Everyone => Visible::Everyone,
        Visibility::Contacts => Visible::Contacts,
        Visibility::Nobody => Visible::Nobody,
    }
}

/// The word for it in the settings.
const fn word(value: Visibility) -> &'static str {
    match value {
        Visibility::Everyone => "everyone",
        Visibility::Contacts => "contacts",
        Visibility::Nobody => "nobody",
    }
}

/// The machine's reason, and what to do about it where that is not in it.
fn command_error(error: &CommandError) -> RequestError {
    let (kind, what_to_do) = match error {
        CommandError::NotAContact => (ErrorKind::NotAContact, ""),
        CommandError::Yourself => (ErrorKind::Yourself, ": give the address of somebody else"),
        CommandError::Blocked => (ErrorKind::Blocked, ""),
        CommandError::TextTooLong { .. } => (ErrorKind::TextTooLong, ""),
        CommandError::TextEmpty => (ErrorKind::TextEmpty, ": write something"),
        CommandError::Name(_) => (ErrorKind::BadName, ": choose another name"),
        CommandError::NameEmpty => (ErrorKind::BadName, ""),
        CommandError::Card(_) => (ErrorKind::BadCard, ": ask for the file again"),
        CommandError::CardOutdated => (ErrorKind::CardOutdated, ": there is nothing to do"),
        CommandError::NoSuchRequest => {
            (ErrorKind::NoSuchRequest, ": `tortalk requests list` shows who does")
        }
        CommandError::RequestTooLong { .. } => (ErrorKind::TextTooLong, ""),
        CommandError::NoSuchMessage => (ErrorKind::NoSuchMessage, ": `history` shows the ids"),
        _ => (ErrorKind::Other, ""),
    };
    RequestError::new(kind, format!("{error}{what_to_do}"))
}
