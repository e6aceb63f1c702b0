//! Questions, answered from what is committed.

use data_encoding::BASE64;
use tortalk_keys::invite::Invite;
use tortalk_keys::safety_number;
use tortalk_mesh::{Nearby, Read as _, Standing};
use tortalk_model::IdentityKey;
use tortalk_store::{HistoryEntry, StoreError};

use super::failure::{is_beyond_use, store_failed};
use super::requests::{PlanError, message_id, visible};
use super::{Engine, Machine};
use crate::control::protocol::{
    Address, CarriedLine, ErrorKind, MessageLine, NearbyLine, OwnCard, Request, RequestError,
    Response, SafetyNumber, Status,
};

/// Messages in a history that says nothing else, and in any.
const HISTORY_USUAL: usize = 50;
const HISTORY_MAX: usize = 500;
/// Text in one answer; what is left out is asked for with `before`.
const HISTORY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why there is no answer.
pub(super) enum QueryError {
    Refused(RequestError),
    Store(StoreError),
}

impl QueryError {
    /// What the node cannot go on with.
    pub(super) fn fatal(&self) -> Option<StoreError> {
        match self {
            Self::Store(error) if is_beyond_use(error) => Some(error.clone()),
            _ => None,
        }
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<PlanError> for QueryError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Refused(error) => Self::Refused(error),
            PlanError::Store(error) => Self::Store(error),
        }
    }
}

impl From<QueryError> for RequestError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Refused(error) => error,
            QueryError::Store(error) => store_failed(&error),
        }
    }
}

impl Engine {
    pub(super) fn query(&mut self, request: &Request) -> Result<Response, QueryError> {
        match request {
            Request::Status => self.status(),
            Request::Diagnose => Ok(self.diagnosis()?),
            Request::Address => Ok(self.address()?),
            Request::OwnCard => self.own_card(),
            Request::Contacts => Ok(Response::Contacts { contacts: self.contact_lines()? }),
            Request::Contact { who } => {
                let identity = self.who(who)?;
                let contact = self.contact_line(&identity)?.ok_or_else(not_a_contact)?;
                Ok(Response::Contact { contact })
            }
            Request::Requests => {
                let requests = self.store.requests()?;
                let requests = requests.iter().map(super::render::requested_line).collect();
                Ok(Response::Requests { requests })
            }
            Request::SafetyNumber { who } => self.safety_number(who),
            Request::Nearby => Ok(self.people()),
            Request::History { with, before, limit, search } => {
                let limit = limit.unwrap_or(HISTORY_USUAL).min(HISTORY_MAX);
                self.history(with.as_deref(), *before, limit, search.as_deref())
            }
            Request::Message { id } => self.message(id),
            _ => {
                let message = "this version cannot answer that: update it";
                Err(QueryError::Refused(RequestError::new(ErrorKind::BadRequest, message)))
            }
        }
    }

    /// Who is linked; nobody while the machine is not to be relied on.
    pub(super) fn nearby(&self) -> Vec<Nearby> {
        if self.machine == Machine::Stale { Vec::new() } else { self.mesh.nearby() }
    }

    fn status(&mut self) -> Result<Response, QueryError> {
        let nearby = self.nearby();
        let contacts_linked = nearby.iter().filter(|person| person.contact).count();
        let accepted = |contact: &&tortalk_mesh::Contact| contact.standing == Standing::Accepted;
        let contacts = self.contacts()?.iter().filter(accepted).count();
        let unread = self.store.unread()?.into_iter().map(|(_, count)| count).sum();
        let mut carried = CarriedLine::default();
        for of_giver in self.store.carried()? {
            carried.envelopes += of_giver.envelopes;
            carried.bytes += of_giver.bytes;
        }
        let about = &self.around.about;
        Ok(Response::Status(Box::new(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            name: self.config.name.clone(),
            identity: self.me().to_string(),
            instance: self.config.instance_id.to_string(),
            port: about.port,
            visibility: visible(self.config.visibility),
            profile: about.dir.display().to_string(),
            started_at: about.started_at,
            now: self.around.clock.wall().0,
            contacts,
            contacts_linked,
            strangers_linked: nearby.len() - contacts_linked,
            unread,
            carried,
            waiting: self.store.waiting()?,
            store_failed: self.trouble.as_ref().map(|trouble| trouble.line.clone()),
            relays: self.own_relays()?,
        })))
    }

    fn address(&self) -> Result<Response, StoreError> {
        let identity = self.me();
        let invite = Invite::Full {
            identity,
            intro_mailbox: self.keyring.intro_mailbox.public(),
            read_key: self.keyring.intro_read_key,
            relays: self.invite_relays()?,
        };
        Ok(Response::Address(Address {
            address: invite.to_text(),
            bare: Invite::Bare { identity }.to_text(),
            identity: identity.to_string(),
        }))
    }

    fn own_card(&self) -> Result<Response, QueryError> {
        let cards = self.store.own_cards()?.ok_or_else(|| {
            let message = "there is no card yet: ask again in a moment";
            QueryError::Refused(RequestError::new(ErrorKind::Other, message))
        })?;
        let (_, contact) = cards;
        Ok(Response::OwnCard(OwnCard { card: BASE64.encode(&contact) }))
    }

    fn safety_number(&mut self, who: &str) -> Result<Response, QueryError> {
        let (identity, me) = (self.who(who)?, self.me());
        if identity == me {
            let message = "this is your own address: a safety number is for two people";
            return Err(QueryError::Refused(RequestError::new(ErrorKind::Yourself, message)));
        }
        let verified = self.contact(&identity)?.is_some_and(|contact| contact.verified);
        Ok(Response::SafetyNumber(SafetyNumber {
            number: safety_number(&me, &identity),
            identity: identity.to_string(),
            verified,
        }))
    }

    fn people(&self) -> Response {
        let line = |person: Nearby| {
            let name = (!person.name.is_empty()).then_some(person.name);
            let (contact, own_name) = if person.contact { (name, None) } else { (None, name) };
            NearbyLine {
                identity: person.identity.to_string(),
                own_name,
                contact,
                wants_contact: person.accepted_us && !person.contact,
            }
        };
        Response::Nearby { people: self.nearby().into_iter().map(line).collect() }
    }

    fn history(
        &mut self,
        with: Option<&str>,
        before: Option<u64>,
        limit: usize,
        search: Option<&str>,
    ) -> Result<Response, QueryError> {
        let with = with.map(|who| self.who(who)).transpose()?;
        let entries = match search {
            None => self.store.history(with.as_ref(), before, limit)?,
            Some(words) => self.store.search(words, with.as_ref(), before, limit)?,
        };
        let (mut messages, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            let line = self.history_line(&entry)?;
            bytes += line.text.as_ref().map_or(0, String::len);
            if bytes > HISTORY_BYTES_MAX && !messages.is_empty() {
                break;
            }
            messages.push(line);
        }
        Ok(Response::History { messages })
    }

    fn message(&mut self, id: &str) -> Result<Response, QueryError> {
        let no_such = || {
            let message = "there is no such message: `history` shows the ids";
            QueryError::Refused(RequestError::new(ErrorKind::NoSuchMessage, message))
        };
        let entry = self.store.message(&message_id(id)?)?.ok_or_else(no_such)?;
        let mut message = self.history_line(&entry)?;
        message.evidence = super::render::evidence_lines(&entry);
        Ok(Response::Message { message: Box::new(message) })
    }

    fn history_line(&mut self, entry: &HistoryEntry) -> Result<MessageLine, StoreError> {
        let name = self.name_of(&entry.contact)?;
        Ok(super::render::history_line(entry, name))
    }

    fn me(&self) -> IdentityKey {
        self.keyring.identity.public()
    }
}

fn not_a_contact() -> QueryError {
    let message = "this is not a contact yet: add them first";
    QueryError::Refused(RequestError::new(ErrorKind::NotAContact, message))
}
