//! The bytes of a card: nothing but where the fields stand and how many.

use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::limits::{
    CARD_BYTES_MAX, CARD_EXT_BYTES_MAX, CARD_MAILBOXES_MAX, CARD_RELAYS_MAX, CARD_SEALING_KEYS_MAX,
    FEATURES_BYTES_MAX, NAME_BYTES_MAX,
};
use tortalk_model::{DeviceId, IdentityKey, MailboxKey, UnixMillis};

use super::{
    CardDraft, CardError, CardKind, ContactPart, MailboxEntry, MailboxKind, MailboxSigner,
    SealingKeyEntry,
};
use crate::name::NameError;
use crate::relay::{OnionAddress, RelayAddress};
use crate::{IdentitySecret, Signature, mailbox_owner};

const LAYOUT: u8 = 1;

/// Everything in a card, not yet checked beyond its layout.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) identity: IdentityKey,
    pub(super) device_id: DeviceId,
    pub(super) seq: u64,
    pub(super) name: String,
    pub(super) sealing_keys: Vec<SealingKeyEntry>,
    pub(super) mailboxes: Vec<MailboxEntry>,
    pub(super) contact: Option<ContactPart>,
    pub(super) features: Vec<u8>,
    pub(super) ext: Vec<u8>,
    pub(super) signature: Signature,
}

impl Fields {
    /// The card's kind: a contact card is one that has a contact part.
    pub(super) const fn kind(&self) -> CardKind {
        if self.contact.is_some() { CardKind::Contact } else { CardKind::Intro }
    }

    /// The fields of a draft, with the mailboxes' signatures and without the
    /// identity's.
    pub(super) fn of_draft(
        draft: CardDraft,
        identity: &IdentitySecret,
        mailboxes: &[MailboxSigner<'_>],
    ) -> Self {
        let identity = identity.public();
        let mailboxes = mailboxes.iter().map(|signer| MailboxEntry {
            kind: signer.kind,
            device_id: signer.device_id,
            mailbox: signer.secret.public(),
            ownership: mailbox_owner::sign(signer.secret, &identity, signer.kind),
        });
        Self {
            identity,
            device_id: draft.device_id,
            seq: draft.seq,
            name: draft.name,
            sealing_keys: draft.sealing_keys,
            mailboxes: mailboxes.collect(),
            contact: draft.contact,
            features: draft.features,
            ext: draft.ext,
            signature: Signature::from_bytes([0; 64]),
        }
    }
}

/// Everything before the signature.
///
/// # Errors
/// [`CardError::Layout`] or [`CardError::Name`] for what is over its limit.
pub(super) fn write(fields: &Fields) -> Result<Vec<u8>, CardError> {
    if fields.name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(fields.name.len()).into());
    }
    let sealing_count = within("sealing_count", fields.sealing_keys.len(), CARD_SEALING_KEYS_MAX)?;
    let mailbox_count = within("mailbox_count", fields.mailboxes.len(), CARD_MAILBOXES_MAX)?;
    let writer = Writer::with_capacity(CARD_BYTES_MAX)
        .u8(LAYOUT)
        .u8(fields.kind().to_byte())
        .raw(fields.identity.as_bytes())
        .raw(fields.device_id.as_bytes())
        .u64(fields.seq)
        .bytes8(fields.name.as_bytes())
        .u8(sealing_count);
    let writer = fields.sealing_keys.iter().fold(writer, |writer, key| {
        writer
            .raw(key.device_id.as_bytes())
            .u64(key.not_before.0)
            .u64(key.not_after.0)
            .raw(&key.public[..])
    });
    let writer = fields.mailboxes.iter().fold(writer.u8(mailbox_count), |writer, entry| {
        writer
            .u8(entry.kind.to_byte())
            .raw(entry.device_id.as_bytes())
            .raw(entry.mailbox.as_bytes())
            .raw(entry.ownership.as_bytes())
    });
    let writer = match &fields.contact {
        Some(contact) => write_contact(writer, contact)?,
        None => writer,
    };
    within("features", fields.features.len(), FEATURES_BYTES_MAX)?;
    within("ext", fields.ext.len(), CARD_EXT_BYTES_MAX)?;
    Ok(writer.bytes16(&fields.features).bytes16(&fields.ext).into_vec())
}

/// Reads a card and says how many of its bytes the signature covers.
pub(super) fn read(bytes: &[u8]) -> Result<(Fields, usize), CardError> {
    // req: IDN-27
    if bytes.len() > CARD_BYTES_MAX {
        return Err(CardError::TooLong(bytes.len()));
    }
    let mut reader = Reader::new(bytes);
    let layout = reader.u8("layout")?;
    // req: IDN-28
    if layout != LAYOUT && !tortalk_model::deviate!(skip_idn_28) {
        return Err(CardError::UnknownLayout(layout));
    }
    let kind = reader.u8("kind")?;
    // req: IDN-29
    if kind > CardKind::Contact.to_byte() && !tortalk_model::deviate!(skip_idn_29) {
        return Err(CardError::UnknownKind(kind));
    }
    let identity = IdentityKey::from_bytes(reader.array("identity")?);
    let device_id = DeviceId::from_bytes(reader.array("device_id")?);
    let seq = reader.u64("seq")?;
    let name = reader.bytes8("name", NAME_BYTES_MAX)?.to_vec();
    let sealing_keys = read_sealing_keys(&mut reader)?;
    let mailboxes = read_mailboxes(&mut reader)?;
    let has_contact = kind == CardKind::Contact.to_byte();
    let contact = has_contact.then(|| read_contact(&mut reader)).transpose()?;
    let features = reader.bytes16("features", FEATURES_BYTES_MAX)?.to_vec();
    let ext = reader.bytes16("ext", CARD_EXT_BYTES_MAX)?.to_vec();
    let signed_len = reader.consumed().len();
    let signature = Signature::from_bytes(reader.array("signature")?);
    reader.finish()?;
    // req: IDN-35
    let name = String::from_utf8(name).map_err(|_| NameError::NotUtf8)?;
    let fields = Fields {
        identity,
        device_id,
        seq,
        name,
        sealing_keys,
        mailboxes,
        contact,
        features,
        ext,
        signature,
    };
    Ok((fields, signed_len))
}

fn read_sealing_keys(reader: &mut Reader<'_>) -> Result<Vec<SealingKeyEntry>, CardError> {
    let count = reader.count8("sealing_count", CARD_SEALING_KEYS_MAX)?;
    // req: IDN-30
    if count == 0 && !tortalk_model::deviate!(skip_idn_30) {
        return Err(CardError::NoSealingKey);
    }
    let key = |_| {
        Ok(SealingKeyEntry {
            device_id: DeviceId::from_bytes(reader.array("sealing key's device_id")?),
            not_before: UnixMillis(reader.u64("not_before")?),
            not_after: UnixMillis(reader.u64("not_after")?),
            public: Box::new(reader.array("sealing key")?),
        })
    };
    (0..count).map(key).collect()
}

fn read_mailboxes(reader: &mut Reader<'_>) -> Result<Vec<MailboxEntry>, CardError> {
    let count = reader.count8("mailbox_count", CARD_MAILBOXES_MAX)?;
    // req: IDN-31
    if count == 0 {
        return Err(CardError::NoMailbox);
    }
    let entry = |_| {
        let kind = reader.u8("mailbox kind")?;
        // req: IDN-32
        if kind > MailboxKind::Contact.to_byte() {
            return Err(CardError::UnknownMailboxKind(kind));
        }
        let is_contact = kind == MailboxKind::Contact.to_byte();
        Ok(MailboxEntry {
            kind: if is_contact { MailboxKind::Contact } else { MailboxKind::Intro },
            device_id: DeviceId::from_bytes(reader.array("mailbox's device_id")?),
            mailbox: MailboxKey::from_bytes(reader.array("mailbox")?),
            ownership: Signature::from_bytes(reader.array("ownership_signature")?),
        })
    };
    (0..count).map(entry).collect()
}

fn read_contact(reader: &mut Reader<'_>) -> Result<ContactPart, CardError> {
    let deposit_key = reader.array("deposit_key")?;
    let read_key = reader.array("read_key")?;
    let count = reader.count8("relay_count", CARD_RELAYS_MAX)?;
    let relays = (0..count).map(|_| RelayAddress::read(reader)).collect::<Result<_, _>>()?;
    let flag = reader.u8("onion_flag")?;
    // req: IDN-33
    if flag > 1 && !tortalk_model::deviate!(skip_idn_33) {
        return Err(CardError::UnknownOnionFlag(flag));
    }
    let onion = (flag == 1).then(|| OnionAddress::read(reader)).transpose()?;
    Ok(ContactPart { deposit_key, read_key, relays, onion })
}

fn write_contact(writer: Writer, contact: &ContactPart) -> Result<Writer, CardError> {
    let relay_count = within("relay_count", contact.relays.len(), CARD_RELAYS_MAX)?;
    let writer = writer.raw(&contact.deposit_key).raw(&contact.read_key).u8(relay_count);
    let writer = contact.relays.iter().fold(writer, |writer, relay| relay.write(writer));
    Ok(match &contact.onion {
        Some(onion) => onion.write(writer.u8(1)),
        None => writer.u8(0),
    })
}

/// The count as a byte; no limit of a count is over 255.
fn within(field: &'static str, found: usize, limit: usize) -> Result<u8, LayoutError> {
    if found > limit {
        return Err(LayoutError::TooLong { field, found, limit });
    }
    Ok(found as u8)
}
