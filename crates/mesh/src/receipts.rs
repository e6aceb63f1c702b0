//! Telling senders what arrived: many ids in one receipt.

use std::collections::BTreeMap;

use tortalk_keys::card::Card;
use tortalk_model::limits::RECEIPT_IDS_MAX;
use tortalk_model::{ChainId, IdentityKey, Nonce, entropy};
use tortalk_seal::{Body, Draft, ReceiptEntry, SignedMessage};

use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::write::{Purpose, Write};

/// Receipts that wait for a contact's key; beyond that a duplicate brings them
/// back.
const WAITING_MAX: usize = 4096;

/// Receipts that are due, by whom they are for.
#[derive(Default)]
pub(crate) struct Receipts {
    due: BTreeMap<IdentityKey, Vec<ReceiptEntry>>,
}

impl Receipts {
    /// Nothing is confirmed to them any more.
    pub(crate) fn forget(&mut self, to: &IdentityKey) {
        self.due.remove(to);
    }

    pub(crate) fn add(&mut self, to: IdentityKey, entry: ReceiptEntry) {
        let entries = self.due.entry(to).or_default();
        if entries.len() < WAITING_MAX && !entries.contains(&entry) {
            entries.push(entry);
        }
    }
}

impl Mesh {
    /// Seals everything that is due, each contact's receipts together.
    pub(crate) fn make_receipts<R: Read>(&mut self, step: &mut Step<'_, R>) {
        for (contact, entries) in core::mem::take(&mut self.receipts.due) {
            // req: DLV-07
            if !self.is_accepted(&contact) {
                continue;
            }
            // Without a key they wait; signing them each time would be for nothing.
            if !self.can_seal(&contact, step.now) {
                self.receipts.due.insert(contact, entries);
                continue;
            }
            for chunk in entries.chunks(RECEIPT_IDS_MAX) {
                self.make_receipt(step, &contact, chunk);
            }
        }
    }

    /// Tells somebody who asks to be a contact that their request is here.
    pub(crate) fn confirm_request<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        card: &Card,
        entry: ReceiptEntry,
    ) {
        let Some(signed) = self.sign_receipt(step, &card.identity(), &[entry]) else { return };
        if let Some(held) = self.seal_to_stranger(step, card, &signed, Purpose::Receipt) {
            self.hold(step, held);
        }
    }

    fn make_receipt<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        contact: &IdentityKey,
        entries: &[ReceiptEntry],
    ) {
        // A receipt that cannot be made comes with the next duplicate.
        let Some(signed) = self.sign_receipt(step, contact, entries) else { return };
        let Some(held) = self.seal_to_contact(step, contact, &signed, Purpose::Receipt) else {
            return;
        };
        let at = step.now.wall;
        for &ReceiptEntry { message_id, kind, .. } in entries {
            step.ready.writes.push(Write::ReceiptMade { message_id, kind, at });
        }
        self.hold(step, held);
    }

    fn sign_receipt<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        to: &IdentityKey,
        entries: &[ReceiptEntry],
    ) -> Option<SignedMessage> {
        let draft = Draft {
            audience: *to,
            device_id: self.keyring.device_id,
            // req: SEA-09
            nonce: Nonce::from_bytes(entropy::array(&mut *self.entropy)),
            sent_at: step.now.wall,
            chain_id: ChainId::from_bytes([0; 8]),
            counter: 0,
            body: Body::Receipt(entries.to_vec()),
        };
        SignedMessage::sign(&self.keyring.identity, draft).ok()
    }
}
