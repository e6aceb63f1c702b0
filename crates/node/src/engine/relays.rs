//! The relays of the machine, and those of the settings.

use tortalk_keys::relay::{Authority, RelayAddress, RelayHost};
use tortalk_mesh::relay::{RelayAction, RelayDown};
use tortalk_mesh::{Input, Read as _};
use tortalk_model::RelayKey;
use tortalk_model::limits::INVITE_RELAYS_MAX;
use tortalk_store::StoreError;
use tortalk_wire::ByeReason;

use super::{Batch, Engine};
use crate::control::event::NodeEvent;
use crate::control::protocol::{RelayLine, RelayState};
use crate::relays::{Condition, OwnRelay, RelayReport};

impl Engine {
    /// Hands on what a relay said; what is late is dropped.
    pub(super) fn take_report(
        &mut self,
        batch: &mut Batch,
        report: RelayReport,
    ) -> Result<(), StoreError> {
        let input = self.around.relays.as_mut().and_then(|relays| relays.take(report));
        match input {
            Some(input) if !self.in_trouble() => self.step(batch, Input::Relay(input)),
            _ => Ok(()),
        }
    }

    pub(super) fn apply_relays(&mut self, actions: Vec<RelayAction>) {
        let Some(relays) = &mut self.around.relays else { return };
        for action in actions {
            #[cfg(feature = "sabotage")]
            if let RelayAction::Deposit { relay, envelope, .. } = &action
                && let Some(envelope) = self.around.sabotage.beside(envelope, &self.last_text)
            {
                let (relay, stamp) = (*relay, Vec::new());
                relays.apply(RelayAction::Deposit { relay, envelope, stamp });
            }
            relays.apply(action);
        }
    }

    /// Lets go of every relay, for a machine that will know of none.
    pub(super) fn lose_relays(&mut self) {
        if let Some(relays) = &mut self.around.relays {
            relays.disconnect_all();
        }
        let own = self.around.own_relays.iter_mut();
        let up = own.filter(|own| own.told == Some(RelayState::Up));
        let news: Vec<_> = up.filter_map(|own| news_of(own, RelayState::Connecting)).collect();
        news.into_iter().for_each(|event| self.tell(event));
    }

    /// The event for a relay that came or went: `None` for a relay of somebody
    /// else's, which come and go as they are needed, and for what was told last.
    pub(super) fn relay_news(&mut self, relay: &RelayKey, state: RelayState) -> Option<NodeEvent> {
        let own = self.around.own_relays.iter_mut().find(|own| own.key == Some(*relay))?;
        news_of(own, state)
    }

    /// A relay of the settings as it stands there.
    pub(super) fn own_relay_url(&self, relay: &RelayKey) -> Option<String> {
        let own = self.around.own_relays.iter().find(|own| own.key == Some(*relay))?;
        Some(own.url.to_string())
    }

    /// Tells the machine of relays of ours whose key is known since. It is built
    /// anew with them; links end and come again. That is once for each relay.
    pub(super) fn look_after_relays(&mut self) {
        let known: Vec<RelayAddress> =
            self.around.own_relays.iter().filter_map(OwnRelay::address).collect();
        if self.around.relays.is_some() && known != self.config.relays {
            self.config.awaits_relays = known.len() < self.around.own_relays.len();
            self.config.relays = known;
            self.lose_links(ByeReason::Unspecified);
        }
    }

    /// Where an invite sends people: our relays at which our mailboxes are.
    pub(super) fn invite_relays(&self) -> Result<Vec<RelayAddress>, StoreError> {
        let registered = self.store.own_relays()?;
        let intro = self.keyring.intro_mailbox.public();
        let is_there = |relay: &&RelayAddress| {
            registered.iter().any(|r| r.relay == relay.key() && r.mailbox == intro)
        };
        let set: Vec<_> = self.config.relays.iter().filter(is_there).cloned().collect();
        // req: REQ-31
        let named = if set.is_empty() {
            let adopted = self.store.adopted_relays()?;
            adopted.iter().filter(is_there).cloned().collect()
        } else {
            set
        };
        Ok(named.into_iter().take(INVITE_RELAYS_MAX).collect())
    }

    /// Notes the key that a relay of ours has shown, or that it has not.
    pub(super) fn learned(
        &mut self,
        authority: &Authority,
        learned: Result<RelayAddress, RelayDown>,
    ) {
        let mut own = self.around.own_relays.iter_mut();
        let Some(own) = own.find(|own| own.authority == *authority) else { return };
        match learned {
            Ok(address) => (own.key, own.trouble) = (Some(address.key()), None),
            Err(why) => {
                own.trouble = Some(why);
                if let Some(event) = news_of(own, state_of(Condition::Down(why))) {
                    self.tell(event);
                }
            }
        }
    }

    /// The relays of the settings, then those taken from an invite, and how it
    /// stands with each.
    pub(super) fn own_relays(&self) -> Result<Vec<RelayLine>, StoreError> {
        let relays = self.around.relays.as_ref();
        let state = |key: Option<RelayKey>, trouble: Option<RelayDown>| {
            let known = key.and_then(|key| relays?.condition(&key));
            let unknown = trouble.map_or(Condition::Connecting, Condition::Down);
            state_of(known.unwrap_or(unknown))
        };
        let set = self.around.own_relays.iter().map(|own| RelayLine {
            url: own.url.to_string(),
            state: state(own.key, own.trouble),
            reason: relays.and_then(|relays| relays.reason(&own.authority)),
            adopted: false,
        });
        let adopted = self.store.adopted_relays()?;
        let adopted = adopted.iter().map(|relay| RelayLine {
            url: where_is(relay),
            state: state(Some(relay.key()), None),
            reason: relays.and_then(|relays| relays.reason(&relay.authority())),
            adopted: true,
        });
        Ok(set.chain(adopted).collect())
    }
}

/// A relay that no settings name, as people read it.
pub(super) fn where_is(relay: &RelayAddress) -> String {
    match relay.host() {
        RelayHost::Name(name) if name.contains(':') => format!("[{name}]:{}", relay.port()),
        RelayHost::Name(name) => format!("{name}:{}", relay.port()),
        // Its name in Tor needs more than is here; the key says which it is.
        RelayHost::Onion(_) => format!("an onion service of the relay {}", relay.key()),
    }
}

/// What is to be told of a relay of ours; `None` for what was told last.
fn news_of(own: &mut OwnRelay, state: RelayState) -> Option<NodeEvent> {
    if own.told.replace(state) == Some(state) {
        return None;
    }
    let url = own.url.to_string();
    Some(match state {
        RelayState::Up => NodeEvent::RelayUp { url },
        state => NodeEvent::RelayDown { url, state },
    })
}

pub(super) const fn state_of(condition: Condition) -> RelayState {
    match condition {
        Condition::Connecting => RelayState::Connecting,
        Condition::Up => RelayState::Up,
        Condition::Down(RelayDown::Unreachable) => RelayState::Unreachable,
        Condition::Down(RelayDown::OtherKey) => RelayState::OtherKey,
        Condition::Down(RelayDown::Protocol) => RelayState::NotARelay,
        Condition::Down(RelayDown::NotPrivate) => RelayState::NotPrivate,
        Condition::Down(_) => RelayState::Other,
    }
}
