//! The rules of a card, in the order in which spec/identity.md has them.

use tortalk_model::hash::label::SIGN_CARD;
use tortalk_model::limits::SEALING_KEY_LIFE;

use super::layout::Fields;
use super::{CardError, CardKind, MailboxKind};
use crate::{IdentitySecret, Signature, mailbox_owner, name, public};

/// The identity's signature over everything before it.
pub(super) fn sign(identity: &IdentitySecret, signed: &[u8]) -> Signature {
    identity.sign(SIGN_CARD, signed)
}

pub(super) fn all(fields: &Fields, signed: &[u8]) -> Result<(), CardError> {
    keys(fields)?;
    name::check(&fields.name)?;
    windows(fields)?;
    mailboxes(fields)?;
    ownership(fields)?;
    signature(fields, signed)
}

fn keys(fields: &Fields) -> Result<(), CardError> {
    // req: IDN-01
    let key = |field, bytes: &[u8; 32]| match public::check_key(bytes) {
        Ok(_) => Ok(()),
        Err(fault) => Err(CardError::Key { field, fault }),
    };
    key("identity", fields.identity.as_bytes())?;
    fields.mailboxes.iter().try_for_each(|entry| key("mailbox", entry.mailbox.as_bytes()))
}

fn windows(fields: &Fields) -> Result<(), CardError> {
    for key in &fields.sealing_keys {
        // req: IDN-37
        if key.not_before >= key.not_after && !tortalk_model::deviate!(skip_idn_37) {
            return Err(CardError::EmptyWindow);
        }
        // req: IDN-38
        if key.not_after > key.not_before.saturating_add(SEALING_KEY_LIFE)
            && !tortalk_model::deviate!(skip_idn_38)
        {
            return Err(CardError::LongWindow);
        }
    }
    Ok(())
}

fn mailboxes(fields: &Fields) -> Result<(), CardError> {
    let has = |kind| fields.mailboxes.iter().any(|entry| entry.kind == kind);
    // req: IDN-39
    if fields.kind() == CardKind::Intro
        && has(MailboxKind::Contact)
        && !tortalk_model::deviate!(skip_idn_39)
    {
        return Err(CardError::ContactMailboxShown);
    }
    // req: IDN-40
    if (!has(MailboxKind::Intro)
        || fields.kind() == CardKind::Contact && !has(MailboxKind::Contact))
        && !tortalk_model::deviate!(skip_idn_40)
    {
        return Err(CardError::MailboxMissing);
    }
    for (i, entry) in fields.mailboxes.iter().enumerate() {
        // req: IDN-41
        if fields.mailboxes[..i].iter().any(|earlier| earlier.mailbox == entry.mailbox)
            && !tortalk_model::deviate!(skip_idn_41)
        {
            return Err(CardError::MailboxTwice);
        }
    }
    Ok(())
}

fn ownership(fields: &Fields) -> Result<(), CardError> {
    for entry in &fields.mailboxes {
        let verified =
            mailbox_owner::verify(&entry.mailbox, &fields.identity, entry.kind, &entry.ownership);
        // req: IDN-06
        if verified.is_err() && !tortalk_model::deviate!(skip_idn_06) {
            return verified.map_err(CardError::Ownership);
        }
    }
    Ok(())
}

fn signature(fields: &Fields, signed: &[u8]) -> Result<(), CardError> {
    let key = fields.identity.as_bytes();
    let verified = public::verify(key, SIGN_CARD, signed, &fields.signature);
    // req: IDN-42
    if verified.is_err() && !tortalk_model::deviate!(skip_idn_42) {
        return verified.map_err(CardError::Signature);
    }
    Ok(())
}
