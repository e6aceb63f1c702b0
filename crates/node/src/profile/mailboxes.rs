//! The mailbox keys, and how contacts get other ones.
//!
//! Who is removed from the contacts knows the mailbox, the deposit key and the
//! read key of the contact card. New ones shut them out. What the others sealed
//! by an older card still comes for the old mailbox, so that is used for a while.

use tortalk_keys::MailboxSecret;
use tortalk_mesh::RetiredMailbox;
use tortalk_model::UnixMillis;
use tortalk_model::entropy::{self, Entropy};
use tortalk_model::limits::RETIRED_MAILBOX_KEPT;
use tortalk_store::vault::ProfileKey;
use zeroize::Zeroizing;

use super::files::FileError;
use super::key_files::KeyFiles;

/// What the mailbox files hold.
pub(super) struct Mailboxes {
    pub(super) intro: MailboxSecret,
    pub(super) contact: ContactKeys,
    /// Those that were for contacts, in the order of their ends.
    pub(super) retired: Vec<Retired>,
}

/// What only contacts are given the use of.
pub(super) struct ContactKeys {
    pub(super) mailbox: MailboxSecret,
    pub(super) deposit_key: Zeroizing<[u8; 32]>,
    pub(super) read_key: Zeroizing<[u8; 32]>,
}

/// A mailbox that was for contacts.
pub(super) struct Retired {
    pub(super) mailbox: MailboxSecret,
    pub(super) until: UnixMillis,
    /// The name of its file.
    pub(super) file: String,
}

impl Mailboxes {
    /// Makes new secrets for contacts, first on the disk.
    ///
    /// The old mailbox gets a file of its own before the new one takes its place:
    /// a crash between the two leaves both files with one key, and
    /// [`Mailboxes::take_doubles`] takes the former for what it is.
    pub(super) fn renew(
        &mut self,
        files: &KeyFiles,
        key: &ProfileKey,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<(), FileError> {
        let until = now.saturating_add(RETIRED_MAILBOX_KEPT);
        let renewed = ContactKeys {
            mailbox: MailboxSecret::from_seed(entropy::array(entropy)),
            deposit_key: Zeroizing::new(entropy::array(entropy)),
            read_key: Zeroizing::new(entropy::array(entropy)),
        };
        let file = files.write_retired(&self.contact.mailbox, until, key, entropy)?;
        // When this fails the other file stays: nobody knows which key the next
        // start will find.
        files.replace_contact(&renewed, key, entropy)?;
        let old = core::mem::replace(&mut self.contact, renewed);
        self.retired.push(Retired { mailbox: old.mailbox, until, file });
        self.retired.sort_by_key(|retired| retired.until);
        Ok(())
    }

    /// Takes out what a renewal left that was not finished: the mailbox that is
    /// in use, and all but the last file of one that is not.
    pub(super) fn take_doubles(&mut self) -> Vec<Retired> {
        let mut doubles = Vec::new();
        let mut at = 0;
        while at < self.retired.len() {
            let public = self.retired[at].mailbox.public();
            let again = self.retired[at + 1..].iter().any(|other| other.mailbox.public() == public);
            if again || public == self.contact.mailbox.public() {
                doubles.push(self.retired.remove(at));
            } else {
                at += 1;
            }
        }
        doubles
    }

    /// The retired ones as the machine takes them.
    pub(super) fn retired(&self) -> Vec<RetiredMailbox> {
        let retired = self.retired.iter().map(|retired| RetiredMailbox {
            secret: retired.mailbox.clone(),
            until: retired.until,
        });
        retired.collect()
    }
}
