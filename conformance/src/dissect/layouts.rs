//! The drawn layouts: envelopes (envelope.md), cards (identity.md), authorities (relay.md).

use super::Walk;

impl Walk<'_> {
    /// envelope.md, section 1, and the parts of `sealed` for suite 1 (seal.md).
    pub(super) fn envelope(&mut self) {
        let _cut = self.envelope_fields();
    }

    fn envelope_fields(&mut self) -> Option<()> {
        self.number(1, "layout")?;
        let suite = self.number(2, "suite")?;
        self.take(32, "mailbox")?;
        self.take(8, "key_id")?;
        self.number(8, "expires_at")?;
        self.take(32, "purge_hash")?;
        let ext = self.size(2, "ext_len")?;
        self.some(ext, "ext")?;
        let sealed = self.size(4, "sealed_len")?;
        if suite == 1 && sealed > 1136 && self.left().len() >= sealed {
            self.take(1088, "sealed: ML-KEM-768 ciphertext")?;
            self.take(32, "sealed: X25519 share")?;
            self.take(sealed - 1136, "sealed: ciphertext")?;
            self.take(16, "sealed: tag")?;
        } else {
            self.some(sealed, "sealed")?;
        }
        Some(())
    }

    /// identity.md, section 6.
    pub(super) fn card(&mut self) {
        let _cut = self.card_fields();
    }

    fn card_fields(&mut self) -> Option<()> {
        self.number(1, "layout")?;
        let kind = self.number(1, "kind")?;
        self.say(if kind == 0 { "0 intro card" } else { "1 contact card" }.to_owned());
        self.take(32, "identity")?;
        self.take(8, "device_id")?;
        self.number(8, "seq")?;
        let name = self.size(1, "name_len")?;
        if name > 0 {
            let text = String::from_utf8_lossy(self.take(name, "name")?).into_owned();
            self.say(format!("{text:?}"));
        }
        for _ in 0..self.number(1, "sealing_count")? {
            self.take(8, "sealing key: device_id")?;
            self.number(8, "not_before")?;
            self.number(8, "not_after")?;
            self.take(1216, "sealing key: public")?;
        }
        for _ in 0..self.number(1, "mailbox_count")? {
            self.number(1, "mailbox: kind")?;
            self.take(8, "mailbox: device_id")?;
            self.take(32, "mailbox")?;
            self.take(64, "mailbox: ownership_signature")?;
        }
        if kind == 1 {
            self.take(32, "deposit_key")?;
            self.take(32, "read_key")?;
            for _ in 0..self.number(1, "relay_count")? {
                self.authority_fields()?;
                self.take(32, "relay_key")?;
            }
            if self.number(1, "onion_present")? == 1 {
                self.take(32, "onion")?;
                self.number(2, "onion_port")?;
                self.take(32, "client_auth")?;
            }
        }
        let features = self.size(2, "features_len")?;
        self.some(features, "features")?;
        let ext = self.size(2, "ext_len")?;
        self.some(ext, "ext")?;
        self.take(64, "signature")?;
        Some(())
    }

    /// identity.md, section 5.1, without the key.
    pub(super) fn authority(&mut self) {
        let _cut = self.authority_fields();
    }

    fn authority_fields(&mut self) -> Option<()> {
        let kind = self.number(1, "authority: kind")?;
        let length = self.size(1, "authority: len")?;
        if length > 0 {
            let address = self.take(length, "authority: address")?;
            if kind == 1 {
                self.say(String::from_utf8_lossy(address).into_owned());
            }
        }
        self.number(2, "authority: port")?;
        Some(())
    }

    fn size(&mut self, length: usize, name: &str) -> Option<usize> {
        self.number(length, name).and_then(|value| usize::try_from(value).ok())
    }

    /// Like `take`, but nothing for no bytes.
    fn some(&mut self, length: usize, name: &str) -> Option<()> {
        if length > 0 {
            self.take(length, name)?;
        }
        Some(())
    }
}
