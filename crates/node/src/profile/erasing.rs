//! What is erased when its time is over: seeds and retired mailboxes.

use tortalk_model::entropy::Entropy;
use tortalk_model::{KeyId, MailboxKey, Now};

use super::Profile;
use super::due::{Due, Note};
use super::erase::Marked;
use super::files::FileError;

/// Where the erasing of a profile stands.
#[derive(Debug, Default)]
pub(super) struct Erasing {
    pub(super) due: Due,
    pub(super) rest: Rest,
}

/// Whether files are left that are no keys any more.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    #[default]
    Nothing,
    Something,
}

/// What [`Profile::erase_if_due`] did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[must_use = "the machine works with what was erased until it gets another keyring"]
pub struct Erased {
    /// Sealing keys that are no more.
    pub keys: Vec<KeyId>,
    /// Mailboxes that are not used any more.
    pub mailboxes: Vec<MailboxKey>,
    /// What stood in the way of more; it is tried again at the next look.
    pub trouble: Option<FileError>,
}

impl Erased {
    /// Whether the secrets are what they were before.
    pub const fn is_nothing(&self) -> bool {
        self.keys.is_empty() && self.mailboxes.is_empty()
    }

    fn note(&mut self, result: Result<(), FileError>) -> bool {
        let failed = result.is_err();
        self.trouble = self.trouble.take().or_else(|| result.err());
        failed
    }
}

impl Profile {
    /// Looks at the clock and erases what it has said long enough to be due: the
    /// seeds of sealing keys (SEA-43), and mailboxes that were replaced 44 days
    /// ago.
    ///
    /// To be called once a minute: of the time since the last call five minutes
    /// count as running time, at most. What was erased is in no keyring that
    /// [`Profile::keyring`] makes from then on.
    pub fn erase_if_due(&mut self, now: Now, entropy: &mut dyn Entropy) -> Erased {
        let mut erased = Erased::default();
        if self.erasing.rest == Rest::Something && !erased.note(self.keys.finish_erasing()) {
            self.erasing.rest = Rest::Nothing;
        }
        self.erasing.due.look(&self.sealing, now);
        // First on the disk, so that a start after a crash goes on at once.
        // req: SEA-49
        erased.note(self.note_due(Note::InTime, entropy));

        let Self { keys, sealing, mailboxes, erasing, .. } = self;
        let Erasing { due, rest } = erasing;
        let is_over = |key: &super::StoredKey| due.is_over(key.key_id);
        let mark = |key: &super::StoredKey| keys.mark_sealing(key.key_id);
        let gone = erase_each(sealing, is_over, mark, rest, &mut erased);
        erased.keys.extend(gone.iter().map(|key| key.key_id));
        gone.iter().for_each(|key| due.forget(key.key_id));

        let is_over = |retired: &super::mailboxes::Retired| retired.until <= now.wall;
        let mark = |retired: &super::mailboxes::Retired| keys.mark_retired(retired);
        let gone = erase_each(&mut mailboxes.retired, is_over, mark, rest, &mut erased);
        erased.mailboxes.extend(gone.iter().map(|retired| retired.mailbox.public()));
        erased.note(self.note_due(Note::InTime, entropy));
        erased
    }

    /// Writes down the running time that has counted so far; for the end of a run.
    ///
    /// # Errors
    /// When it cannot be written: then up to an hour counts again.
    pub fn note_running_time(
        &mut self,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), FileError> {
        self.erasing.due.look(&self.sealing, now);
        self.note_due(Note::AtTheEnd, entropy)
    }

    fn note_due(&mut self, when: Note, entropy: &mut dyn Entropy) -> Result<(), FileError> {
        let Some(counts) = self.erasing.due.to_note(when) else { return Ok(()) };
        self.keys.write_due(&counts, &self.key, entropy)?;
        self.erasing.due.noted(counts);
        Ok(())
    }
}

/// Erases the files of those that are over. One whose file is marked is gone from
/// memory too; one whose file cannot be marked stays as it is.
fn erase_each<K>(
    all: &mut Vec<K>,
    is_over: impl Fn(&K) -> bool,
    mark: impl Fn(&K) -> Result<Marked, FileError>,
    rest: &mut Rest,
    erased: &mut Erased,
) -> Vec<K> {
    let mut gone = Vec::new();
    let mut at = 0;
    while let Some(key) = all.get(at) {
        if !is_over(key) {
            at += 1;
            continue;
        }
        match mark(key) {
            Ok(marked) => {
                gone.push(all.remove(at));
                if erased.note(marked.erase()) {
                    *rest = Rest::Something;
                }
            }
            Err(error) => {
                erased.note(Err(error));
                at += 1;
            }
        }
    }
    gone
}
