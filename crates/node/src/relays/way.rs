//! How a relay may be spoken to: with TLS or without.
//!
//! The relay's key is proved inside of the connection and says nothing about
//! who is in the middle of it: a man in the middle can pass the proof on and
//! read what follows. TLS therefore needs a certificate that this machine's
//! authorities stand for; only the user can say that it may be otherwise, for a
//! relay of theirs.

use std::net::IpAddr;

use tortalk_keys::relay::{Authority, RelayHost};
use tortalk_mesh::relay::RelayDown;
use tortalk_settings::Scheme;

/// What the settings say of a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) authority: Authority,
    pub(crate) scheme: Scheme,
    /// The user allows what others can listen to.
    pub(crate) insecure: bool,
}

/// How bytes travel on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    /// TLS; the certificate is good for this host.
    Verified,
    /// TLS with whatever certificate there is: good against whoever only listens.
    Unverified,
}

/// What the settings say of all relays.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ways(Vec<Told>);

impl Ways {
    pub(crate) const fn new(told: Vec<Told>) -> Self {
        Self(told)
    }

    /// The way to a relay. Cards and invites name none: loopback and onion
    /// services are spoken to in the clear, everybody else over TLS.
    pub(super) fn to(&self, authority: &Authority) -> Result<Way, RelayDown> {
        let inside = is_inside(authority.host());
        let told = self.0.iter().find(|told| told.authority == *authority);
        let scheme = told.map_or(if inside { Scheme::Http } else { Scheme::Https }, |t| t.scheme);
        let insecure = told.is_some_and(|told| told.insecure);
        // req: RLY-09
        if scheme == Scheme::Http && !inside && !insecure {
            return Err(RelayDown::NotPrivate);
        }
        Ok(match scheme {
            Scheme::Http => Way::Plain,
            Scheme::Https if insecure => Way::Unverified,
            Scheme::Https => Way::Verified,
        })
    }
}

/// Whether nobody in between can read: loopback, or an onion service. A name is
/// loopback only if no resolver is asked for it.
fn is_inside(host: &RelayHost) -> bool {
    match host {
        RelayHost::Onion(_) => true,
        RelayHost::Name(name) => is_loopback(name),
    }
}

/// Whether a host is this machine, without asking anybody.
pub(super) fn is_loopback(name: &str) -> bool {
    name == LOCALHOST || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The one name that is never resolved.
pub(super) const LOCALHOST: &str = "localhost";

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(name: &str) -> Authority {
        Authority::new(RelayHost::Name(name.to_owned()), 8_443).unwrap()
    }

    fn told(name: &str, scheme: Scheme, insecure: bool) -> Told {
        Told { authority: authority(name), scheme, insecure }
    }

    // req: RLY-09
    #[test]
    fn nothing_goes_beyond_this_machine_in_the_clear_unless_the_user_says_so() {
        let ways = Ways::new(vec![
            told("relay.test", Scheme::Http, false),
            told("127.0.0.1", Scheme::Https, false),
            told("198.51.100.1", Scheme::Http, true),
            told("198.51.100.2", Scheme::Https, true),
        ]);
        for (host, way) in [
            ("relay.test", Err(RelayDown::NotPrivate)),
            ("127.0.0.1", Ok(Way::Verified)),
            ("198.51.100.1", Ok(Way::Plain)),
            ("198.51.100.2", Ok(Way::Unverified)),
            // Nothing is said of these.
            ("127.9.9.9", Ok(Way::Plain)),
            ("::1", Ok(Way::Plain)),
            ("localhost", Ok(Way::Plain)),
            ("localhost.example", Ok(Way::Verified)),
            ("127.0.0.1.example", Ok(Way::Verified)),
            ("192.168.1.1", Ok(Way::Verified)),
            ("::ffff:192.168.1.1", Ok(Way::Verified)),
        ] {
            assert_eq!(ways.to(&authority(host)), way, "{host}");
        }
        let onion = Authority::new(RelayHost::Onion([1; 32]), 80).unwrap();
        assert_eq!(ways.to(&onion), Ok(Way::Plain));
        // Another port is another relay.
        let other = Authority::new(RelayHost::Name("198.51.100.1".into()), 1).unwrap();
        assert_eq!(ways.to(&other), Ok(Way::Verified));
    }
}
