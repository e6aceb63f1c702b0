//! Addresses of relays and onion services, as invites and cards carry them.
//!
//! ```text
//! kind u8 (1 = host name or IP text, 2 = onion v3) ‖ address bytes8 ‖ port u16 ‖ relay_key 32
//! ```

use core::fmt;

use tortalk_model::RelayKey;
use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::limits::RELAY_HOST_BYTES_MAX;

use crate::{KeyError, relay_from_bytes};

mod authority;

pub use authority::Authority;

const KIND_NAME: u8 = 1;
const KIND_ONION: u8 = 2;

/// Why bytes or values are no relay's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The bytes are not the layout.
    #[error("{0}")]
    Layout(#[from] LayoutError),
    /// A kind of address that this version does not know (IDN-21).
    #[error("a relay's address is of the unknown kind {0}")]
    UnknownKind(u8),
    /// A host that is empty or has other bytes than names and IP addresses have
    /// (IDN-22).
    #[error("a relay's host name is not well-formed")]
    Host,
    /// An onion name written as a host name (IDN-23).
    #[error("a relay's onion address is written as a host name")]
    OnionAsName,
    /// An onion address that is not 32 bytes (IDN-24).
    #[error("a relay's onion address is {0} bytes, not 32")]
    OnionLength(usize),
    /// Port 0 (IDN-25).
    #[error("a relay's port is 0")]
    Port,
    /// The relay key is no key (IDN-01).
    #[error("a relay's key: {0}")]
    Key(#[from] KeyError),
}

/// Where a relay is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelayHost {
    /// A host name or the text of an IP address (IPv6 without brackets): 1 to 64
    /// bytes of lower-case letters, digits, `.`, `-` and `:`.
    Name(String),
    /// The public key of a version 3 onion service.
    Onion([u8; 32]),
}

/// A relay: where it is and the key that it proves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayAddress {
    host: RelayHost,
    port: u16,
    key: RelayKey,
}

impl RelayAddress {
    /// Checks an address. Upper-case letters of a host name become lower-case.
    ///
    /// # Errors
    /// [`RelayError`] when the host or the port is not well-formed. The key is
    /// not checked: it comes from [`relay_from_bytes`].
    pub fn new(host: RelayHost, port: u16, key: RelayKey) -> Result<Self, RelayError> {
        let host = match host {
            RelayHost::Name(name) => {
                let name = name.to_ascii_lowercase();
                check_name(name.as_bytes())?;
                RelayHost::Name(name)
            }
            onion @ RelayHost::Onion(_) => onion,
        };
        check_port(port)?;
        Ok(Self { host, port, key })
    }

    /// Where it is.
    pub const fn host(&self) -> &RelayHost {
        &self.host
    }

    /// Its TCP port, never 0.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The key that it proves on every connection.
    pub const fn key(&self) -> RelayKey {
        self.key
    }

    /// What is dialled: the address without the key.
    pub fn authority(&self) -> Authority {
        Authority::of_address(self)
    }

    /// Reads the bytes of [`RelayAddress::to_bytes`].
    ///
    /// # Errors
    /// [`RelayError`], in the checking order of spec/identity.md.
    pub fn parse(bytes: &[u8]) -> Result<Self, RelayError> {
        let mut reader = Reader::new(bytes);
        let address = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(address)
    }

    /// The address as invites and cards have it: kind, address, port, key; at most
    /// 36 bytes more than the host has.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(Writer::new()).into_vec()
    }

    /// Takes an address off the front of a layout.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, RelayError> {
        let kind = read_kind(reader)?;
        let address = reader.bytes8("relay address", RELAY_HOST_BYTES_MAX)?;
        let port = reader.u16("relay port")?;
        let key = reader.array("relay key")?;
        let host = read_host(kind, address)?;
        check_port(port)?;
        Ok(Self { host, port, key: relay_from_bytes(key)? })
    }

    /// Appends the address to a layout.
    pub(crate) fn write(&self, writer: Writer) -> Writer {
        write_host(&self.host, writer).u16(self.port).raw(self.key.as_bytes())
    }
}

fn read_kind(reader: &mut Reader<'_>) -> Result<u8, RelayError> {
    let kind = reader.u8("relay kind")?;
    // req: IDN-21
    if kind != KIND_NAME && kind != KIND_ONION && !tortalk_model::deviate!(skip_idn_21) {
        return Err(RelayError::UnknownKind(kind));
    }
    Ok(kind)
}

fn read_host(kind: u8, address: &[u8]) -> Result<RelayHost, RelayError> {
    if kind == KIND_NAME {
        return Ok(RelayHost::Name(check_name(address)?.to_owned()));
    }
    // req: IDN-24
    if address.len() != 32 && !tortalk_model::deviate!(skip_idn_24) {
        return Err(RelayError::OnionLength(address.len()));
    }
    Ok(RelayHost::Onion(address.try_into().expect("32 bytes")))
}

fn write_host(host: &RelayHost, writer: Writer) -> Writer {
    match host {
        RelayHost::Name(name) => writer.u8(KIND_NAME).bytes8(name.as_bytes()),
        RelayHost::Onion(public) => writer.u8(KIND_ONION).bytes8(public),
    }
}

fn check_name(name: &[u8]) -> Result<&str, RelayError> {
    let allowed = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':');
    // req: IDN-22
    if (name.is_empty() || name.len() > RELAY_HOST_BYTES_MAX || !name.iter().all(allowed))
        && !tortalk_model::deviate!(skip_idn_22)
    {
        return Err(RelayError::Host);
    }
    let dots = name.iter().rev().take_while(|&&byte| byte == b'.').count();
    // A resolver asked for such a name would tell the network about it.
    // req: IDN-23
    if name[..name.len() - dots].ends_with(b".onion") && !tortalk_model::deviate!(skip_idn_23) {
        return Err(RelayError::OnionAsName);
    }
    core::str::from_utf8(name).map_err(|_| RelayError::Host)
}

const fn check_port(port: u16) -> Result<(), RelayError> {
    // req: IDN-25
    if port == 0 {
        return Err(RelayError::Port);
    }
    Ok(())
}

/// A contact's onion service and the key that opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct OnionAddress {
    /// The public key of the version 3 onion service.
    pub public: [u8; 32],
    /// Its virtual port, never 0.
    pub port: u16,
    /// The X25519 private key of client authorisation; secret to the contacts.
    pub client_auth: [u8; 32],
}

impl OnionAddress {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, RelayError> {
        let public = reader.array("onion")?;
        let port = reader.u16("onion port")?;
        let client_auth = reader.array("client_auth")?;
        check_port(port)?;
        Ok(Self { public, port, client_auth })
    }

    pub(crate) fn write(&self, writer: Writer) -> Writer {
        writer.raw(&self.public).u16(self.port).raw(&self.client_auth)
    }
}

impl fmt::Debug for OnionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnionAddress").field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: IDN-23
    #[test]
    fn dots_hide_no_onion_name() {
        let new = |name: &str| {
            RelayAddress::new(RelayHost::Name(name.to_owned()), 443, RelayKey::from_bytes([0; 32]))
        };
        for name in ["a.onion", "a.onion.", "a.onion...", ".onion", "A.Onion.."] {
            assert_eq!(new(name), Err(RelayError::OnionAsName), "{name}");
        }
        for name in ["onion", "a.onion.example", "onion.", "..."] {
            assert!(new(name).is_ok(), "{name}");
        }
    }
}
