//! `settings.toml` of a profile: every key optional, every mistake one line
//! that names the file's line, what is wrong and what is allowed.
//!
//! A mistake is never a warning. A misspelt `safety_mode` that is passed over
//! would send in the clear what a person meant to send through Tor, so an
//! unknown key is an error, with the nearest known one beside it.
//!
//! - [`Settings::parse`], [`Settings::load`]: text or file to [`Settings`]
//! - [`set`]: changes one value in the file and leaves every other byte as the
//!   person wrote it
//! - [`pin_relay`]: writes the key of a relay beside its address, likewise
//! - [`TEMPLATE`]: the file that a new profile gets
//!
//! This crate opens no socket, resolves no name, makes no folder and knows no
//! other crate of torTalk. It never panics on a file's contents.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod document;
mod edit;
mod error;
mod relays;
mod settings;
mod values;

pub use edit::{SetError, Value, pin_relay, set};
pub use error::{Hint, SettingsError};
pub use relays::{RELAYS_MAX, Relay, RelayUrl, RelayUrlError, Scheme};
pub use settings::{
    Identity, Messages, Network, SETTINGS_BYTES_MAX, SETTINGS_FILE, Server, Settings, Storage,
    TEMPLATE, User, Visibility,
};
pub use values::{HostPort, HostPortError, USERNAME_BYTES_MAX};
