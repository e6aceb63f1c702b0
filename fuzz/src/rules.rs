//! A relay's rules under requests in any order.

use arbitrary::{Arbitrary, Unstructured};
use tortalk_keys::{MailboxSecret, stamp};
use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::{
    EXPIRY_TOLERANCE, SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES, UNACKED_BYTES_MAX,
};
use tortalk_model::{Envelope, EnvelopeHeader, Epoch, KeyId, MailboxKey, PurgeKey, UnixMillis};
use tortalk_relay::engine::{Batch, Registered};
use tortalk_relay::rules::config::Quotas;
use tortalk_relay::rules::quota::{DepositKey, check_expiry, cost_of};
use tortalk_relay::rules::sync::{Incoming, Outcome};
use tortalk_relay::store::memory::MemoryBackend;
use tortalk_relay::store::{Queued, Reader as _, Writer as _};
use tortalk_rpc::{CardDrop, PutCard, PutCardResult};

/// Small ones, so that the fuzzer comes to their ends.
const QUOTAS: Quotas = Quotas { mailbox_bytes: 24_000, total_bytes: 50_000, mailboxes: 3 };
const OWNERS: usize = 4;
const HOUR: u64 = 3_600_000;

/// What happens between two commits, and what is done when it is over.
#[derive(Debug, Arbitrary)]
struct Turn {
    deeds: Vec<Deed>,
    ends: End,
    wait_hours: u16,
}

#[derive(Debug, Arbitrary)]
enum End {
    Commits,
    /// The transaction fails: nothing of it happened.
    Fails,
    /// It commits, and an owner pulls and acknowledges.
    Pulled {
        owner: u8,
        count: u8,
    },
}

#[derive(Debug, Arbitrary)]
enum Deed {
    Register { owner: u8, stamps: bool },
    Deposit { owner: u8, is_stamped: bool, days: u8, is_large: bool, purge: u8, salt: u8 },
    Purge { key: u8 },
    PutCard { owner: u8, seq: u64, blob: u8 },
    Sweep,
}

/// What was committed with `Stored` is given to its owner until it is
/// acknowledged, purged or expired, and nothing of a transaction that failed is.
/// Sums are right and within the quotas; a drop's sequence only rises.
pub fn rules(bytes: &[u8]) {
    let Ok(turns) = Vec::<Turn>::arbitrary(&mut Unstructured::new(bytes)) else { return };
    let mut relay = Relay::new();
    for turn in turns.iter().take(64) {
        relay.turn(turn);
    }
}

struct Relay {
    backend: MemoryBackend,
    now: UnixMillis,
    keys: [MailboxKey; OWNERS],
    known: Known,
}

/// What the relay has said.
#[derive(Clone, Default)]
struct Known {
    /// Held for somebody, so that it has to come back.
    held: Vec<(usize, Envelope)>,
    registered_until: [UnixMillis; OWNERS],
    card_seq: [u64; OWNERS],
}

impl Relay {
    fn new() -> Self {
        thread_local! {
            static KEYS: [MailboxKey; OWNERS] =
                [1, 2, 3, 4].map(|seed| MailboxSecret::from_seed([seed; 32]).public());
        }
        Self {
            backend: MemoryBackend::new(Epoch::from_bytes([9; 16])),
            now: UnixMillis(1_800_000_000_000).ceil_to_hour(),
            keys: KEYS.with(|keys| *keys),
            known: Known::default(),
        }
    }

    fn turn(&mut self, turn: &Turn) {
        let (mut backend, mut known) = (self.backend.clone(), self.known.clone());
        let group = backend.group().expect("memory does not fail");
        let mut batch = Batch::begin(group, self.now, QUOTAS).expect("memory does not fail");
        for deed in turn.deeds.iter().take(64) {
            self.carry_out(&mut batch, &mut known, deed);
        }
        if matches!(turn.ends, End::Fails) {
            drop(batch);
        } else {
            batch.commit().expect("memory does not fail");
            self.known = known;
        }
        self.check();
        if let End::Pulled { owner, count } = turn.ends {
            self.pull(usize::from(owner) % OWNERS, usize::from(count) + 1);
        }
        self.now = UnixMillis(self.now.0 + u64::from(turn.wait_hours % 200) * HOUR);
    }

    fn carry_out(&self, batch: &mut Batch<'_>, known: &mut Known, deed: &Deed) {
        match deed {
            Deed::Register { owner, stamps } => {
                let owner = usize::from(*owner) % OWNERS;
                let key = stamps.then(|| DepositKey::from_bytes(deposit_key(owner)));
                let registered = batch.register(&self.keys[owner], key).expect("memory");
                if let Registered::New(until) | Registered::Again(until) = registered {
                    assert!(until > self.now);
                    known.registered_until[owner] = until;
                }
            }
            Deed::Deposit { owner, is_stamped, .. } => {
                let owner = usize::from(*owner) % OWNERS;
                let envelope = self.envelope(owner, deed);
                if check_expiry(&envelope, self.now).is_err() {
                    return;
                }
                let stamp = is_stamped.then(|| stamp(&deposit_key(owner), &envelope.id()));
                let stamp = stamp.map_or_else(Vec::new, Vec::from);
                let incoming = Incoming { envelope, stamp };
                if batch.deposit(&incoming).expect("memory") == Outcome::Stored {
                    assert!(known.registered_until[owner] > self.now, "it is nobody's");
                    known.held.push((owner, incoming.envelope));
                }
            }
            Deed::Purge { key } => {
                let key = PurgeKey::from_bytes([*key; 32]);
                known.held.retain(|(_, envelope)| !envelope.is_purged_by(&key));
                batch.purge(&[key]).expect("memory");
            }
            Deed::PutCard { owner, seq, blob } => {
                let owner = usize::from(*owner) % OWNERS;
                let blob = vec![*blob; 8].try_into().expect("a short blob");
                let card = CardDrop { seq: *seq, blob, signature: [0; 64] };
                let put = PutCard { mailbox: self.keys[owner], card };
                let answer = batch.put_card(&put).expect("memory");
                if answer.result == PutCardResult::Stored {
                    assert!(known.registered_until[owner] > self.now, "it is nobody's");
                    assert!(*seq >= known.card_seq[owner], "an old card was taken");
                    known.card_seq[owner] = *seq;
                }
            }
            Deed::Sweep => {
                batch.sweep().expect("memory");
                // Cards and mailboxes of those who stayed away are forgotten.
                known.card_seq = [0; OWNERS];
            }
        }
    }

    fn envelope(&self, owner: usize, deed: &Deed) -> Envelope {
        let Deed::Deposit { days, is_large, purge, salt, .. } = deed else {
            unreachable!("it is called for deposits")
        };
        let header = EnvelopeHeader {
            suite: SUITE_1,
            mailbox: self.keys[owner],
            key_id: KeyId::from_bytes([*salt; 8]),
            expires_at: UnixMillis(self.now.0 + u64::from(days % 18) * 24 * HOUR),
            purge_hash: purge_hash(&PurgeKey::from_bytes([*purge; 32])),
            ext: Vec::new(),
        };
        let bucket = if *is_large { 4096 } else { 256 };
        let sealed = vec![*salt; SUITE_1_ENC_BYTES + bucket + SUITE_1_TAG_BYTES];
        Envelope::build(&header, &sealed).expect("a bucket and a whole hour")
    }

    /// What is said now, against what was said before.
    fn check(&mut self) {
        let now = self.now;
        let alive = |until: UnixMillis| until >= now;
        let known = &mut self.known;
        known.held.retain(|(_, envelope)| {
            alive(envelope.header().expires_at.saturating_add(EXPIRY_TOLERANCE))
        });
        let mut bytes = 0;
        for (owner, key) in self.keys.iter().enumerate() {
            if !alive(known.registered_until[owner]) {
                known.held.retain(|(of, _)| *of != owner);
            }
            let queued = queued(&mut self.backend, key, usize::MAX);
            assert!(queued.is_sorted_by(|a, b| a.seq < b.seq), "sequences do not rise");
            for (_, held) in known.held.iter().filter(|(of, _)| *of == owner) {
                let kept = queued.iter().any(|one| one.envelope.as_slice() == held.as_bytes());
                assert!(kept, "what was stored is gone");
            }
            for one in &queued {
                let envelope = Envelope::parse(one.envelope.to_vec()).expect("it was one");
                assert_eq!(envelope.header().mailbox, *key, "somebody else's mail");
                bytes += cost_of(&envelope);
            }
        }
        let totals = self.backend.totals().expect("memory does not fail");
        assert!(totals.bytes >= bytes && totals.bytes <= QUOTAS.total_bytes, "{totals:?} {bytes}");
        assert!(totals.mailboxes <= QUOTAS.mailboxes, "{totals:?}");
    }

    fn pull(&mut self, owner: usize, count: usize) {
        let key = self.keys[owner];
        let given = queued(&mut self.backend, &key, count);
        let Some(last) = given.last() else { return };
        let group = self.backend.group().expect("memory does not fail");
        let mut batch = Batch::begin(group, self.now, QUOTAS).expect("memory does not fail");
        batch.acknowledge(&key, last.seq).expect("memory does not fail");
        batch.commit().expect("memory does not fail");
        let holds = |envelope: &Envelope| {
            given.iter().any(|one| one.envelope.as_slice() == envelope.as_bytes())
        };
        self.known.held.retain(|(of, envelope)| *of != owner || !holds(envelope));
        self.check();
    }
}

fn queued(backend: &mut MemoryBackend, key: &MailboxKey, count: usize) -> Vec<Queued> {
    backend.queued(key, 0, count, UNACKED_BYTES_MAX).expect("memory does not fail")
}

const fn deposit_key(owner: usize) -> [u8; 32] {
    [0x40 + owner as u8; 32]
}
