//! Fetching our mailboxes: the streams, and what comes on them.

use core::time::Duration;

use tortalk_model::envelope::Envelope;
use tortalk_model::{MailboxKey, MonoMillis, RelayKey};
use tortalk_seal::OpenError;
use tortalk_wire::{AckResult, RefusalReason};

use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::relay::{PullEnd, RelayAction};
use crate::requests::Bringer;
use crate::sending::remember_until;
use crate::write::Write;

/// A stream that lived less than this is opened again with a wait.
const STREAM_YOUNG: Duration = Duration::from_secs(60);
const WAIT_MIN: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(600);
/// Somebody else fetches this mailbox: two that take turns at once help nobody.
const WAIT_SUPERSEDED: Duration = Duration::from_secs(60);
const WAIT_NO_PLACE: Duration = Duration::from_secs(3600);

/// One mailbox of ours at one relay of ours, while that is up.
#[derive(Default)]
pub(super) struct Fetching {
    pub(super) stream: Stream,
    /// The largest sequence that was dealt with, and what was acknowledged.
    dealt: u64,
    acknowledged: u64,
    /// The sequence of the card that was put into the drop.
    pub(super) shown: Option<u64>,
    /// Streams that ended young, one after the other.
    failures: u32,
}

#[derive(Default, Clone, Copy)]
pub(super) enum Stream {
    /// Not open before this moment.
    #[default]
    None,
    Waiting {
        until: MonoMillis,
    },
    Asked,
    Proved,
    Open {
        since: MonoMillis,
    },
}

/// What became of an envelope that was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Taken in, or of no use.
    Done,
    /// Nothing here opens it yet.
    NoKey,
    /// Strangers have used up what may be opened now.
    NoBudget,
    /// Too many strangers wait for the user's word.
    NoPlace,
}

impl Mesh {
    /// Opens a stream for each of our mailboxes at each of our relays, and ends
    /// those of mailboxes that are not ours any more.
    pub(super) fn fetch_own_mailboxes<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let mailboxes = self.own_mailboxes(step.now);
        let now = step.now.mono;
        let mut wake = MonoMillis(u64::MAX);
        for key in &self.relays.own {
            let up = self.relays.known.get_mut(key).filter(|relay| relay.up.is_some());
            let Some(relay) = up else { continue };
            relay.fetching.retain(|mailbox, _| {
                let ours = mailboxes.contains(mailbox);
                if !ours {
                    let (relay, mailbox) = (*key, *mailbox);
                    step.ready.relays.push(RelayAction::StopPull { relay, mailbox });
                }
                ours
            });
            for &mailbox in &mailboxes {
                let fetching = relay.fetching.entry(mailbox).or_default();
                match fetching.stream {
                    Stream::Waiting { until } if now < until => wake = wake.min(until),
                    Stream::None | Stream::Waiting { .. } => {
                        fetching.stream = Stream::Asked;
                        step.ready.relays.push(RelayAction::Pull { relay: *key, mailbox });
                    }
                    Stream::Asked | Stream::Proved | Stream::Open { .. } => {}
                }
            }
        }
        self.relays.wake(wake);
    }

    /// A stream has ended; what was not acknowledged on it comes again.
    pub(super) fn fetching_ended<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        mailbox: MailboxKey,
        why: PullEnd,
    ) {
        let Some(known) = self.relays.up(&relay) else { return };
        let Some(fetching) = known.fetching.get_mut(&mailbox) else { return };
        let now = step.now.mono;
        let lived = match fetching.stream {
            Stream::Open { since } => now.since(since),
            _ => Duration::ZERO,
        };
        fetching.failures = if lived < STREAM_YOUNG { fetching.failures + 1 } else { 0 };
        // req: RLC-11
        let wait = match why {
            PullEnd::Superseded => WAIT_SUPERSEDED,
            PullEnd::NoPlace => WAIT_NO_PLACE,
            PullEnd::Again => match fetching.failures {
                0 => Duration::ZERO,
                times => WAIT_MIN.saturating_mul(1 << (times - 1).min(7)).min(WAIT_MAX),
            },
        };
        fetching.stream = Stream::Waiting { until: now + wait };
        (fetching.dealt, fetching.acknowledged) = (0, 0);
    }

    /// An envelope came on a stream of ours.
    pub(super) fn fetched<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        mailbox: MailboxKey,
        seq: u64,
        bytes: Vec<u8>,
    ) -> Result<(), R::Error> {
        let Some(known) = self.relays.up(&relay) else { return Ok(()) };
        let Some(fetching) = known.fetching.get_mut(&mailbox) else { return Ok(()) };
        if !matches!(fetching.stream, Stream::Open { .. }) {
            return Ok(());
        }
        // All that came before is dealt with in this transaction or an earlier one.
        fetching.dealt = fetching.dealt.max(seq);
        if tortalk_model::deviate!(ack_unread) {
            return Ok(());
        }
        // What is no envelope, or for somebody else, is of no use at any time.
        let Ok(envelope) = Envelope::parse(bytes) else { return Ok(()) };
        if envelope.header().mailbox != mailbox && !tortalk_model::deviate!(fetch_for_anybody) {
            return Ok(());
        }
        let fate = self.take_in_fetched(step, relay, &envelope)?;
        self.keep_unopened(step, relay, &envelope, fate);
        Ok(())
    }

    /// Takes an envelope in that a relay had: the checks of spec/gossip.md, section
    /// 6, where a relay is like a contact about mailboxes for contacts and like a
    /// stranger about the other.
    // req: RLC-08
    pub(super) fn take_in_fetched<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        envelope: &Envelope,
    ) -> Result<Fate, R::Error> {
        let for_strangers = envelope.header().mailbox == self.keyring.intro_mailbox.public();
        let seen = step.store.seen(&envelope.id())?;
        if seen && for_strangers {
            return Ok(Fate::Done);
        }
        // req: RLC-09
        if for_strangers
            && !tortalk_model::deviate!(skip_rlc_09)
            && !self.strangers_opens.take(step.now.mono)
        {
            return Ok(Fate::NoBudget);
        }
        let opened = match self.open(envelope) {
            Ok(opened) => opened,
            Err(OpenError::UnknownSuite(_) | OpenError::OtherKey) if !seen => {
                return Ok(Fate::NoKey);
            }
            Err(_) => return Ok(Fate::Done),
        };
        // req: RLC-08
        if !self.is_accepted(&opened.sender()) {
            let verdict = self.take_request(step, Bringer::Relay(relay), envelope, &opened)?;
            // There is no telling a relay to come again.
            // req: RLC-10
            let again = matches!(verdict.result, AckResult::Refused(RefusalReason::Quota));
            return Ok(if again { Fate::NoPlace } else { Fate::Done });
        }
        // Of several envelopes that are dealt with in one step the store has seen
        // none yet; one message may be in two of them.
        let taken = |write: &Write| match write {
            Write::PutIncoming(message) => message.message_id == opened.message_id(),
            _ => false,
        };
        if !step.ready.writes.iter().any(taken) {
            self.deliver(step, &opened)?;
        }
        let until = remember_until(envelope.header().expires_at, step.now.wall);
        let (envelope_id, purge_key) = (envelope.id(), Some(opened.purge_key().clone()));
        step.ready.writes.push(Write::Seen { envelope_id, until, purge_key });
        Ok(Fate::Done)
    }

    /// Says what is durable with this commit, once for each stream.
    // req: RLY-40, RLC-12
    pub(super) fn acknowledge_fetched<R: Read>(&mut self, step: &mut Step<'_, R>) {
        for key in &self.relays.own {
            let Some(relay) = self.relays.known.get_mut(key) else { continue };
            for (mailbox, fetching) in &mut relay.fetching {
                if fetching.dealt > fetching.acknowledged {
                    fetching.acknowledged = fetching.dealt;
                    let (relay, mailbox, up_to) = (*key, *mailbox, fetching.dealt);
                    step.ready.relays.push(RelayAction::Ack { relay, mailbox, up_to });
                }
            }
        }
    }
}
