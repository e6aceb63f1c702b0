//! What relays and their clients sign (`spec/relay.md` section 1).

use super::bytes::{Reader, bytes8, bytes16, join};
use super::crypto::{sign, valid_key, verify};
use super::{Taken, rule};

/// The address of a relay: kind, address, port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// 1 = host name or IP text, 2 = onion service.
    pub kind: u8,
    /// The name, or the service's public key.
    pub address: Vec<u8>,
    /// The TCP port.
    pub port: u16,
}

impl Authority {
    /// A host name or the text of an IP address.
    #[must_use]
    pub fn host(host: &str, port: u16) -> Self {
        Self { kind: 1, address: host.as_bytes().to_vec(), port }
    }

    /// The layout.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        join(&[&[self.kind], &bytes8(&self.address), &self.port.to_be_bytes()])
    }

    /// Reads one by IDN-21 to IDN-25, from a longer layout.
    ///
    /// # Errors
    /// `decode` or `rule`.
    pub fn read_from(reader: &mut Reader<'_>) -> Taken<Self> {
        let kind = reader.u8()?;
        let length = Reader::bounded(usize::from(reader.u8()?), 64)?;
        let address = reader.take(length)?.to_vec();
        let port = reader.u16()?;
        Ok(Self { kind, address, port })
    }

    /// The rules of an address.
    ///
    /// # Errors
    /// `rule`.
    pub fn check(&self) -> Taken<()> {
        match self.kind {
            1 => {
                let fine =
                    |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:".contains(b);
                if self.address.is_empty() || !self.address.iter().all(fine) {
                    return Err(rule("IDN-22: the host"));
                }
                let dots = self.address.iter().rev().take_while(|b| **b == b'.').count();
                if self.address[..self.address.len() - dots].ends_with(b".onion") {
                    return Err(rule("IDN-23: an onion service as host"));
                }
            }
            2 if self.address.len() != 32 => return Err(rule("IDN-24: the onion service's key")),
            2 => {}
            _ => return Err(rule("IDN-21: the kind")),
        }
        if self.port == 0 {
            return Err(rule("IDN-25: port 0"));
        }
        Ok(())
    }

    /// Reads one that stands alone (RLY-05).
    ///
    /// # Errors
    /// `decode` or `rule`.
    pub fn read(bytes: &[u8]) -> Taken<Self> {
        let mut reader = Reader::new(bytes);
        let authority = Self::read_from(&mut reader)?;
        reader.end()?;
        authority.check()?;
        Ok(authority)
    }
}

/// What a relay signs in `GetInfo`, behind the label.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // drawn in spec/relay.md
pub struct Info<'a> {
    pub nonce: &'a [u8],
    pub authority: &'a [u8],
    pub now: u64,
    pub epoch: &'a [u8],
    pub versions: &'a [u16],
    pub onion: Option<(&'a [u8], u16)>,
}

impl Info<'_> {
    /// The bytes behind the label.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = join(&[self.nonce, self.authority, &self.now.to_be_bytes(), self.epoch]);
        bytes.push(self.versions.len() as u8);
        self.versions.iter().for_each(|v| bytes.extend_from_slice(&v.to_be_bytes()));
        match self.onion {
            None => bytes.push(0),
            Some((key, port)) => bytes.extend(join(&[&[1], key, &port.to_be_bytes()])),
        }
        bytes
    }

    /// Verifies (RLY-01).
    ///
    /// # Errors
    /// `signature`.
    pub fn verify(&self, relay: &[u8; 32], signature: &[u8; 64]) -> Taken<()> {
        verify(relay, "sign/relay-info", &[&self.bytes()], signature)
    }
}

/// What a storage receipt signs, behind the label.
#[must_use]
pub fn receipt_bytes(relay: &[u8; 32], time: u64, store_until: u64, ids: &[u8]) -> Vec<u8> {
    let count = (ids.len() / 32) as u16;
    join(&[relay, &time.to_be_bytes(), &store_until.to_be_bytes(), &count.to_be_bytes(), ids])
}

/// Verifies a storage receipt (RLY-02).
///
/// # Errors
/// `signature`.
pub fn verify_receipt(
    relay: &[u8; 32],
    time: u64,
    store_until: u64,
    ids: &[u8],
    signature: &[u8; 64],
) -> Taken<()> {
    if !ids.len().is_multiple_of(32) || !(1..=256).contains(&(ids.len() / 32)) {
        return Err(super::unsigned("RLY-02: the count of ids"));
    }
    let bytes = receipt_bytes(relay, time, store_until, ids);
    verify(relay, "sign/relay-receipt", &[&bytes], signature)
}

/// What a pull proof signs.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // drawn in spec/relay.md
pub struct PullProof<'a> {
    pub relay: &'a [u8],
    pub authority: &'a [u8],
    pub challenge: &'a [u8],
    pub client_nonce: &'a [u8],
    pub mailbox: &'a [u8; 32],
    pub consumer: &'a [u8],
    pub deposit_key: Option<&'a [u8]>,
}

impl PullProof<'_> {
    /// The bytes behind the label.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = join(&[
            self.relay,
            self.authority,
            self.challenge,
            self.client_nonce,
            self.mailbox,
            self.consumer,
        ]);
        match self.deposit_key {
            None => bytes.push(0),
            Some(key) => bytes.extend(join(&[&[1], key])),
        }
        bytes
    }

    /// Signs with the mailbox's seed.
    #[must_use]
    pub fn sign(&self, seed: &[u8; 32]) -> [u8; 64] {
        sign(seed, "sign/relay-pull", &[&self.bytes()])
    }

    /// Verifies (RLY-03).
    ///
    /// # Errors
    /// `signature`.
    pub fn verify(&self, signature: &[u8; 64]) -> Taken<()> {
        verify(self.mailbox, "sign/relay-pull", &[&self.bytes()], signature)
    }
}

/// Signs a card drop.
#[must_use]
pub fn sign_drop(seed: &[u8; 32], mailbox: &[u8; 32], seq: u64, blob: &[u8]) -> [u8; 64] {
    sign(seed, "sign/card-drop", &[mailbox, &seq.to_be_bytes(), &bytes16(blob)])
}

/// Verifies a card drop (RLY-04).
///
/// # Errors
/// `signature`.
pub fn verify_drop(mailbox: &[u8; 32], seq: u64, blob: &[u8], signature: &[u8; 64]) -> Taken<()> {
    if !(1..=8192).contains(&blob.len()) {
        return Err(super::unsigned("RLY-46: the length of the blob"));
    }
    verify(mailbox, "sign/card-drop", &[mailbox, &seq.to_be_bytes(), &bytes16(blob)], signature)
}

/// A relay in a card or invite: its authority and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayEntry {
    /// Where it is.
    pub authority: Authority,
    /// What it proves.
    pub key: [u8; 32],
}

impl RelayEntry {
    /// The layout.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        join(&[&self.authority.bytes(), &self.key])
    }

    /// Reads one; keys are judged by [`Self::check_key`], in the order that the object has.
    ///
    /// # Errors
    /// `decode` or `rule`.
    pub fn read_from(reader: &mut Reader<'_>) -> Taken<Self> {
        let authority = Authority::read_from(reader)?;
        let key = reader.array()?;
        authority.check()?;
        Ok(Self { authority, key })
    }

    /// IDN-01 for the relay key.
    ///
    /// # Errors
    /// `rule`.
    pub fn check_key(&self) -> Taken<()> {
        valid_key(&self.key).map(drop)
    }
}
