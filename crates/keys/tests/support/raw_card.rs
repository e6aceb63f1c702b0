//! A card as bytes, written a second time from spec/identity.md alone, so that
//! every field can be wrong and the signatures still right.

use ed25519_dalek::{Signer, SigningKey};

#[derive(Clone)]
pub(crate) struct RawCard {
    pub(crate) layout: u8,
    pub(crate) kind: u8,
    pub(crate) signer: SigningKey,
    pub(crate) identity: [u8; 32],
    pub(crate) seq: u64,
    pub(crate) name: Vec<u8>,
    pub(crate) sealing_count: u8,
    pub(crate) sealing_keys: Vec<(u64, u64, Vec<u8>)>,
    pub(crate) mailbox_count: u8,
    pub(crate) mailboxes: Vec<RawMailbox>,
    pub(crate) contact: Option<RawContact>,
    pub(crate) features: Vec<u8>,
    pub(crate) ext: Vec<u8>,
    pub(crate) label: &'static [u8],
}

#[derive(Clone)]
pub(crate) struct RawMailbox {
    pub(crate) kind: u8,
    pub(crate) mailbox: [u8; 32],
    pub(crate) ownership: [u8; 64],
}

#[derive(Clone)]
pub(crate) struct RawContact {
    pub(crate) relay_count: u8,
    pub(crate) relays: Vec<Vec<u8>>,
    pub(crate) onion_flag: u8,
    pub(crate) onion: Vec<u8>,
}

pub(crate) const DEVICE: [u8; 8] = [0xd1; 8];
const DAY: u64 = 24 * 3_600_000;
/// 2026-01-01T00:00:00Z.
pub(crate) const NEW_YEAR: u64 = 1_767_225_600_000;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

impl RawCard {
    pub(crate) fn intro() -> Self {
        Self {
            layout: 1,
            kind: 0,
            signer: key(1),
            identity: public(1),
            seq: NEW_YEAR,
            name: b"Ada".to_vec(),
            sealing_count: 1,
            sealing_keys: vec![(NEW_YEAR, NEW_YEAR + 28 * DAY, sealing_key(1))],
            mailbox_count: 1,
            mailboxes: vec![RawMailbox::new(0, 2, &public(1))],
            contact: None,
            features: vec![],
            ext: vec![],
            label: b"tortalk/v1/sign/card\0",
        }
    }

    pub(crate) fn contact() -> Self {
        Self {
            kind: 1,
            mailbox_count: 2,
            mailboxes: vec![RawMailbox::new(0, 2, &public(1)), RawMailbox::new(1, 3, &public(1))],
            contact: Some(RawContact {
                relay_count: 1,
                relays: vec![relay(1, b"relay.example", 443)],
                onion_flag: 1,
                onion: [&[0x06; 32][..], &80u16.to_be_bytes(), &[0xca; 32]].concat(),
            }),
            ..Self::intro()
        }
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn change_contact(self, change: impl FnOnce(&mut RawContact)) -> Self {
        self.change(|card| change(card.contact.as_mut().expect("a contact card")))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = vec![self.layout, self.kind];
        out.extend(self.identity);
        out.extend(DEVICE);
        out.extend(self.seq.to_be_bytes());
        out.push(self.name.len() as u8);
        out.extend(&self.name);
        out.push(self.sealing_count);
        for (not_before, not_after, public) in &self.sealing_keys {
            out.extend(DEVICE);
            out.extend(not_before.to_be_bytes());
            out.extend(not_after.to_be_bytes());
            out.extend(public);
        }
        out.push(self.mailbox_count);
        for entry in &self.mailboxes {
            out.push(entry.kind);
            out.extend(DEVICE);
            out.extend(entry.mailbox);
            out.extend(entry.ownership);
        }
        if let Some(contact) = &self.contact {
            out.extend([0xde; 32]);
            out.extend([0xad; 32]);
            out.push(contact.relay_count);
            out.extend(contact.relays.concat());
            out.push(contact.onion_flag);
            out.extend(&contact.onion);
        }
        for bytes in [&self.features, &self.ext] {
            out.extend((bytes.len() as u16).to_be_bytes());
            out.extend(bytes);
        }
        let signature = self.signer.sign(&[self.label, &out].concat());
        out.extend(signature.to_bytes());
        out
    }
}

impl RawMailbox {
    pub(crate) fn new(kind: u8, seed: u8, owner: &[u8; 32]) -> Self {
        let signed = [b"tortalk/v1/sign/mailbox-owner\0", &owner[..], &[kind]].concat();
        let ownership = key(seed).sign(&signed).to_bytes();
        Self { kind, mailbox: public(seed), ownership }
    }
}

/// An address of a relay with the key of seed 9.
pub(crate) fn relay(kind: u8, address: &[u8], port: u16) -> Vec<u8> {
    let head = [&[kind, address.len() as u8], address, &port.to_be_bytes()].concat();
    [&head[..], &public(9)].concat()
}

/// Bytes of the form of a suite 1 public key: every 12-bit coefficient of the
/// ML-KEM part is below its modulus.
pub(crate) fn sealing_key(seed: u8) -> Vec<u8> {
    let bytes = (0..1216u32).map(|i| (i.wrapping_mul(167) >> 3) as u8 ^ seed);
    let mut bytes: Vec<u8> = bytes.collect();
    for three in bytes[..1152].chunks_exact_mut(3) {
        three[1] &= 0xf7;
        three[2] &= 0x7f;
    }
    bytes
}
