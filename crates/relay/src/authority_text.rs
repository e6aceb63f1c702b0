//! Authorities as an operator writes them.

use std::net::{IpAddr, SocketAddr};

use data_encoding::BASE32_NOPAD_NOCASE;
use tortalk_keys::relay::{Authority, RelayError, RelayHost};

/// Why text is no authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityTextError {
    /// No `host:port`.
    #[error("not `host:port`, `[IPv6]:port` or `….onion:port`")]
    Form,
    /// An onion name that is not of version 3.
    #[error("not an onion name of 56 letters and digits")]
    Onion,
    /// A host or port that no authority has.
    #[error("{0}")]
    Value(#[from] RelayError),
}

/// Reads `host:port`, `[IPv6]:port` or `<56 characters>.onion:port`.
///
/// # Errors
/// [`AuthorityTextError`] when it is none of them. The checksum in an onion name
/// is not checked.
pub fn parse_authority(text: &str) -> Result<Authority, AuthorityTextError> {
    let (host, port) = text.rsplit_once(':').ok_or(AuthorityTextError::Form)?;
    let port: u16 = port.parse().map_err(|_| AuthorityTextError::Form)?;
    if let Some(name) = host.to_ascii_lowercase().strip_suffix(".onion") {
        return Ok(Authority::new(RelayHost::Onion(onion_key(name)?), port)?);
    }
    let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        // One spelling for each address, since proofs compare bytes.
        Some(address) => match address.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => return Err(AuthorityTextError::Form),
        },
        None if host.contains(':') => return Err(AuthorityTextError::Form),
        None => host.to_owned(),
    };
    Ok(Authority::new(RelayHost::Name(host), port)?)
}

/// The authority of a socket address.
///
/// # Errors
/// [`RelayError`] for port 0.
pub fn authority_of(address: SocketAddr) -> Result<Authority, RelayError> {
    Authority::new(RelayHost::Name(address.ip().to_string()), address.port())
}

/// The public key in the name of an onion service of version 3:
/// base32(public 32 ‖ checksum 2 ‖ version 1).
fn onion_key(name: &str) -> Result<[u8; 32], AuthorityTextError> {
    let bytes =
        BASE32_NOPAD_NOCASE.decode(name.as_bytes()).map_err(|_| AuthorityTextError::Onion)?;
    match bytes.split_first_chunk::<32>() {
        Some((public, [_, _, 3])) => Ok(*public),
        _ => Err(AuthorityTextError::Onion),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_the_others_are_not() {
        let name = |host: &str| RelayHost::Name(host.to_owned());
        let onion = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd";
        for (text, host, port) in [
            ("Relay.Example:8443", name("relay.example"), 8443),
            ("127.0.0.1:1", name("127.0.0.1"), 1),
            ("[::0001]:9", name("::1"), 9),
        ] {
            assert_eq!(parse_authority(text), Ok(Authority::new(host, port).expect("valid")));
        }
        let read = parse_authority(&format!("{onion}.onion:80")).expect("an onion name");
        assert!(matches!(read.host(), RelayHost::Onion([0xad, ..])));
        for text in ["", "a", "a:", "a:70000", "::1:9", "[::1]", "[a]:9", "x.onion:80"] {
            assert!(parse_authority(text).is_err(), "{text}");
        }
        assert_eq!(parse_authority("a:0"), Err(RelayError::Port.into()));
    }
}
