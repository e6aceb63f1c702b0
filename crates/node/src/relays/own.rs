//! The relays of the settings: where they are, and pinning their keys.

use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD_NOCASE;
use tokio::sync::mpsc;
use tortalk_keys::relay::{Authority, RelayAddress, RelayHost};
use tortalk_mesh::relay::RelayDown;
use tortalk_model::RelayKey;
use tortalk_settings::{RelayUrl, Settings};

use super::waits::Waits;
use super::{Common, Told, Ways, pin};
use crate::control::protocol::RelayState;
use crate::engine::EngineInput;

/// A relay of the settings.
#[derive(Debug, Clone)]
pub(crate) struct OwnRelay {
    /// As it stands there.
    pub(crate) url: RelayUrl,
    pub(crate) authority: Authority,
    /// The key that is pinned; `None` until the relay has shown one.
    pub(crate) key: Option<RelayKey>,
    /// Why there is no key.
    pub(crate) trouble: Option<RelayDown>,
    /// What listeners were told of it last; `None` until there was something.
    pub(crate) told: Option<RelayState>,
}

impl OwnRelay {
    /// As the machine knows it; `None` while its key is not known.
    pub(crate) fn address(&self) -> Option<RelayAddress> {
        let (host, port) = (self.authority.host().clone(), self.authority.port());
        RelayAddress::new(host, port, self.key?).ok()
    }
}

/// The relays of the settings, in their order.
pub(crate) fn own_relays(settings: &Settings) -> Vec<OwnRelay> {
    let relays = settings.all_relays().into_iter();
    let own = relays.filter_map(|relay| {
        let authority = authority(&relay.url)?;
        let pinned = relay.key.map(tortalk_keys::relay_from_bytes);
        // A key that is none is nobody's.
        let trouble = matches!(pinned, Some(Err(_))).then_some(RelayDown::OtherKey);
        let key = pinned.and_then(Result::ok);
        Some(OwnRelay { url: relay.url, authority, key, trouble, told: None })
    });
    own.collect()
}

/// What the settings say of how relays are spoken to.
pub(crate) fn ways(settings: &Settings) -> Ways {
    let relays = settings.all_relays().into_iter();
    let told = relays.filter_map(|relay| {
        let authority = authority(&relay.url)?;
        Some(Told { authority, scheme: relay.url.scheme, insecure: relay.insecure })
    });
    Ways::new(told.collect())
}

/// Asks each relay that has no key yet, until it has shown one; writes that
/// into the settings and tells the engine.
pub(crate) async fn pin_own(
    common: Arc<Common>,
    own: OwnRelay,
    settings_file: PathBuf,
    to_engine: mpsc::Sender<EngineInput>,
) {
    let OwnRelay { url, authority, .. } = own;
    let mut waits = Waits::new(&common.times);
    let mut told = None;
    loop {
        let learned = pin::learn(&common, &authority).await;
        let outcome = learned.as_ref().map(|_| ()).map_err(|why| *why);
        if let Ok(address) = &learned {
            let (url, key) = (url.clone(), *address.key().as_bytes());
            let file = settings_file.clone();
            let writing = move || tortalk_settings::pin_relay(&file, &url, &key);
            match tokio::task::spawn_blocking(writing).await {
                Ok(Ok(_)) => {}
                // Whoever answers at the next start would be believed again.
                Ok(Err(error)) => tracing::warn!("the key of a relay is not kept: {error}"),
                Err(_) => tracing::error!("a part of the node has crashed: please report it"),
            }
        }
        if told.replace(outcome) != Some(outcome) {
            let authority = authority.clone();
            if to_engine.send(EngineInput::OwnRelay { authority, learned }).await.is_err() {
                return;
            }
        }
        if outcome.is_ok() {
            return;
        }
        tokio::time::sleep(waits.draw()).await;
    }
}

/// Where a relay of the settings is; `None` for what no card could name.
fn authority(url: &RelayUrl) -> Option<Authority> {
    let host = match url.at.host.strip_suffix(".onion") {
        Some(name) => {
            let bytes = BASE32_NOPAD_NOCASE.decode(name.as_bytes()).ok()?;
            RelayHost::Onion(*bytes.first_chunk()?)
        }
        None => RelayHost::Name(url.at.host.clone()),
    };
    Authority::new(host, url.at.port).ok()
}
