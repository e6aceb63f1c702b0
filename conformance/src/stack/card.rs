//! Cards (`spec/identity.md` section 6).

use super::bytes::{Reader, bytes8, bytes16, join};
use super::crypto::{sign, valid_key, verify};
use super::proofs::verify_owner;
use super::relay::RelayEntry;
use super::{Taken, decode, rule};

/// Most bytes of a card.
pub const CARD_MAX: usize = 8128;
/// Longest window of a sealing key.
pub const WINDOW_MAX_MS: u64 = 28 * 24 * super::envelope::HOUR_MS;

/// A sealing key in a card.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // drawn in spec/identity.md
pub struct SealingEntry {
    pub device_id: [u8; 8],
    pub not_before: u64,
    pub not_after: u64,
    pub public: Vec<u8>,
}

/// A mailbox in a card.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // drawn in spec/identity.md
pub struct MailboxEntry {
    pub kind: u8,
    pub device_id: [u8; 8],
    pub mailbox: [u8; 32],
    pub ownership_signature: [u8; 64],
}

/// An onion service in a contact card.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // drawn in spec/identity.md
pub struct OnionEntry {
    pub onion: [u8; 32],
    pub port: u16,
    pub client_auth: [u8; 32],
}

/// What only contacts see.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // drawn in spec/identity.md
pub struct ContactPart {
    pub deposit_key: [u8; 32],
    pub read_key: [u8; 32],
    pub relays: Vec<RelayEntry>,
    pub onion: Option<OnionEntry>,
}

/// A card's fields, right or wrong. `contact` is written wherever it is there,
/// whatever `kind` says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // drawn in spec/identity.md
pub struct Card {
    pub layout: u8,
    pub kind: u8,
    pub identity: [u8; 32],
    pub device_id: [u8; 8],
    pub seq: u64,
    pub name: Vec<u8>,
    pub sealing: Vec<SealingEntry>,
    pub mailboxes: Vec<MailboxEntry>,
    pub contact: Option<ContactPart>,
    pub features: Vec<u8>,
    pub ext: Vec<u8>,
}

impl Card {
    /// The bytes before the signature.
    #[must_use]
    pub fn unsigned(&self) -> Vec<u8> {
        let mut bytes = join(&[
            &[self.layout, self.kind],
            &self.identity,
            &self.device_id,
            &self.seq.to_be_bytes(),
            &bytes8(&self.name),
            &[self.sealing.len() as u8],
        ]);
        for key in &self.sealing {
            bytes.extend_from_slice(&key.device_id);
            bytes.extend_from_slice(&key.not_before.to_be_bytes());
            bytes.extend_from_slice(&key.not_after.to_be_bytes());
            bytes.extend_from_slice(&key.public);
        }
        bytes.push(self.mailboxes.len() as u8);
        for mailbox in &self.mailboxes {
            bytes.push(mailbox.kind);
            bytes.extend_from_slice(&mailbox.device_id);
            bytes.extend_from_slice(&mailbox.mailbox);
            bytes.extend_from_slice(&mailbox.ownership_signature);
        }
        if let Some(part) = &self.contact {
            bytes.extend_from_slice(&part.deposit_key);
            bytes.extend_from_slice(&part.read_key);
            bytes.push(part.relays.len() as u8);
            part.relays.iter().for_each(|relay| bytes.extend_from_slice(&relay.bytes()));
            match &part.onion {
                None => bytes.push(0),
                Some(onion) => bytes.extend(join(&[
                    &[1],
                    &onion.onion,
                    &onion.port.to_be_bytes(),
                    &onion.client_auth,
                ])),
            }
        }
        bytes.extend(bytes16(&self.features));
        bytes.extend(bytes16(&self.ext));
        bytes
    }

    /// All bytes, signed by the identity's seed.
    #[must_use]
    pub fn signed(&self, seed: &[u8; 32]) -> Vec<u8> {
        let bytes = self.unsigned();
        let signature = sign(seed, "sign/card", &[&bytes]);
        join(&[&bytes, &signature])
    }

    /// Reads by section 6.2, in its order.
    ///
    /// # Errors
    /// `decode`, `rule` or `signature`.
    pub fn read(bytes: &[u8]) -> Taken<Self> {
        let (card, signed, signature) = Self::read_layout(bytes)?;
        card.check()?;
        for entry in &card.mailboxes {
            let signature = &entry.ownership_signature;
            verify_owner(&entry.mailbox, &card.identity, entry.kind, signature)?;
        }
        verify(&card.identity, "sign/card", &[signed], &signature)?;
        Ok(card)
    }

    fn read_layout(bytes: &[u8]) -> Taken<(Self, &[u8], [u8; 64])> {
        if bytes.len() > CARD_MAX {
            return Err(decode("IDN-27: the length of the card"));
        }
        let mut reader = Reader::new(bytes);
        let layout = reader.u8()?;
        if layout != 1 {
            return Err(decode("IDN-28: the layout"));
        }
        let kind = reader.u8()?;
        if kind > 1 {
            return Err(decode("IDN-29: the kind"));
        }
        let identity = reader.array()?;
        let device_id = reader.array()?;
        let seq = reader.u64()?;
        let length = Reader::bounded(usize::from(reader.u8()?), 64)?;
        let name = reader.take(length)?.to_vec();
        let sealing = read_sealing(&mut reader)?;
        let mailboxes = read_mailboxes(&mut reader)?;
        let contact = if kind == 1 { Some(read_contact(&mut reader)?) } else { None };
        let length = Reader::bounded(usize::from(reader.u16()?), 256)?;
        let features = reader.take(length)?.to_vec();
        let length = Reader::bounded(usize::from(reader.u16()?), 1024)?;
        let ext = reader.take(length)?.to_vec();
        let signed = &bytes[..reader.offset()];
        let signature = reader.array()?;
        reader.end()?;
        let card = Self {
            layout,
            kind,
            identity,
            device_id,
            seq,
            name,
            sealing,
            mailboxes,
            contact,
            features,
            ext,
        };
        Ok((card, signed, signature))
    }

    fn check(&self) -> Taken<()> {
        let name =
            std::str::from_utf8(&self.name).map_err(|_| rule("IDN-35: the name is not UTF-8"))?;
        valid_key(&self.identity)?;
        for entry in &self.mailboxes {
            valid_key(&entry.mailbox)?;
        }
        for relay in self.contact.iter().flat_map(|part| &part.relays) {
            relay.check_key()?;
        }
        if name.chars().any(hidden) {
            return Err(rule("IDN-36: a character in the name"));
        }
        for key in &self.sealing {
            if key.not_before >= key.not_after {
                return Err(rule("IDN-37: the window is empty"));
            }
            if key.not_after - key.not_before > WINDOW_MAX_MS {
                return Err(rule("IDN-38: the window is too long"));
            }
        }
        let has = |kind| self.mailboxes.iter().any(|entry| entry.kind == kind);
        if self.kind == 0 && has(1) {
            return Err(rule("IDN-39: an intro card shows a contact mailbox"));
        }
        if !has(0) || (self.kind == 1 && !has(1)) {
            return Err(rule("IDN-40: a mailbox is missing"));
        }
        let mut keys: Vec<_> = self.mailboxes.iter().map(|entry| entry.mailbox).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(rule("IDN-41: a mailbox stands twice"));
        }
        Ok(())
    }

    /// The sealing key to be used at a time in the owner's clock (IDN-48).
    #[must_use]
    pub fn sealing_at(&self, now: u64) -> Option<&SealingEntry> {
        let mut best: Option<&SealingEntry> = None;
        for key in self.sealing.iter().filter(|k| k.not_before <= now && now < k.not_after) {
            if best.is_none_or(|best| key.not_before > best.not_before) {
                best = Some(key);
            }
        }
        best
    }

    /// The first mailbox of a kind: 0 intro, 1 contact.
    #[must_use]
    pub fn mailbox(&self, kind: u8) -> Option<[u8; 32]> {
        self.mailboxes.iter().find(|entry| entry.kind == kind).map(|entry| entry.mailbox)
    }
}

fn read_sealing(reader: &mut Reader<'_>) -> Taken<Vec<SealingEntry>> {
    let count = Reader::bounded(usize::from(reader.u8()?), 4)?;
    if count == 0 {
        return Err(decode("IDN-30: no sealing key"));
    }
    let mut keys = Vec::new();
    for _ in 0..count {
        let device_id = reader.array()?;
        let not_before = reader.u64()?;
        let not_after = reader.u64()?;
        let public = reader.take(super::seal::PUBLIC_LEN)?.to_vec();
        keys.push(SealingEntry { device_id, not_before, not_after, public });
    }
    Ok(keys)
}

fn read_mailboxes(reader: &mut Reader<'_>) -> Taken<Vec<MailboxEntry>> {
    let count = Reader::bounded(usize::from(reader.u8()?), 4)?;
    if count == 0 {
        return Err(decode("IDN-31: no mailbox"));
    }
    let mut mailboxes = Vec::new();
    for _ in 0..count {
        let kind = reader.u8()?;
        if kind > 1 {
            return Err(decode("IDN-32: the kind of a mailbox"));
        }
        let device_id = reader.array()?;
        let mailbox = reader.array()?;
        let ownership_signature = reader.array()?;
        mailboxes.push(MailboxEntry { kind, device_id, mailbox, ownership_signature });
    }
    Ok(mailboxes)
}

fn read_contact(reader: &mut Reader<'_>) -> Taken<ContactPart> {
    let deposit_key = reader.array()?;
    let read_key = reader.array()?;
    let count = Reader::bounded(usize::from(reader.u8()?), 4)?;
    let relays = (0..count).map(|_| RelayEntry::read_from(reader)).collect::<Taken<Vec<_>>>()?;
    let onion = match reader.u8()? {
        0 => None,
        1 => {
            let onion = reader.array()?;
            let port = reader.u16()?;
            if port == 0 {
                return Err(rule("IDN-25: port 0"));
            }
            Some(OnionEntry { onion, port, client_auth: reader.array()? })
        }
        _ => return Err(decode("IDN-33: the onion flag")),
    };
    Ok(ContactPart { deposit_key, read_key, relays, onion })
}

/// The characters of IDN-36.
const HIDDEN: &[(u32, u32)] = &[
    (0x0000, 0x001f),
    (0x007f, 0x009f),
    (0x00ad, 0x00ad),
    (0x034f, 0x034f),
    (0x061c, 0x061c),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0e),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

fn hidden(c: char) -> bool {
    let code = u32::from(c);
    HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&code))
}
