//! What a client dials: a relay's address without its key.
//!
//! ```text
//! kind u8 (1 = host name or IP text, 2 = onion v3) ‖ address bytes8 ‖ port u16
//! ```

use tortalk_model::bytes::{Reader, Writer};
use tortalk_model::limits::RELAY_HOST_BYTES_MAX;

use super::{
    RelayAddress, RelayError, RelayHost, check_name, check_port, read_host, read_kind, write_host,
};

/// The address under which a relay is dialled; always well-formed.
///
/// It stands in what relays and owners sign, so that a proof made for one
/// address is worth nothing at another (RLY-01, RLY-03).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Authority {
    host: RelayHost,
    port: u16,
}

impl Authority {
    /// Length of the longest: a host of 64 bytes.
    pub const BYTES_MAX: usize = 1 + 1 + RELAY_HOST_BYTES_MAX + 2;

    /// Checks a host and port. Upper-case letters of a host name become lower-case.
    ///
    /// # Errors
    /// [`RelayError`] when the host or the port is not well-formed.
    pub fn new(host: RelayHost, port: u16) -> Result<Self, RelayError> {
        let host = match host {
            RelayHost::Name(name) => {
                let name = name.to_ascii_lowercase();
                check_name(name.as_bytes())?;
                RelayHost::Name(name)
            }
            onion @ RelayHost::Onion(_) => onion,
        };
        check_port(port)?;
        Ok(Self { host, port })
    }

    /// Reads the layout; there is nothing after it.
    ///
    /// # Errors
    /// [`RelayError`] when the bytes are not the layout or break a rule (RLY-05).
    pub fn parse(bytes: &[u8]) -> Result<Self, RelayError> {
        // req: RLY-05
        let mut reader = Reader::new(bytes);
        let kind = read_kind(&mut reader)?;
        let address = reader.bytes8("authority address", RELAY_HOST_BYTES_MAX)?;
        let port = reader.u16("authority port")?;
        reader.finish()?;
        let host = read_host(kind, address)?;
        check_port(port)?;
        Ok(Self { host, port })
    }

    /// The layout's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(Writer::with_capacity(Self::BYTES_MAX)).into_vec()
    }

    /// The host.
    pub const fn host(&self) -> &RelayHost {
        &self.host
    }

    /// The TCP port, never 0.
    pub const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn write(&self, writer: Writer) -> Writer {
        write_host(&self.host, writer).u16(self.port)
    }

    pub(super) fn of_address(address: &RelayAddress) -> Self {
        Self { host: address.host.clone(), port: address.port }
    }
}
