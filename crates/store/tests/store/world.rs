//! A folder with a database, and small supplies of everything a write names.

use core::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tortalk_keys::RelaySecret;
use tortalk_keys::relay::{RelayAddress, RelayHost};
use tortalk_mesh::{
    Contact, ContactRequest, HeldEnvelope, IncomingMessage, OutgoingMessage, Purpose,
    RequestSource, Standing, Write,
};
use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::{SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_model::{
    ChainId, Envelope, EnvelopeHeader, IdentityKey, KeyId, MailboxKey, MessageId, PurgeKey,
    SignedHash, UnixMillis,
};
use tortalk_seal::{Body, BodyType};
use tortalk_store::Store;
use tortalk_store::vault::ProfileKey;
use tortalk_testkit::Seeded;

pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const KEY: [u8; 32] = [0x5a; 32];

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("store.sqlite");
        let store = Store::create(&path, key(), entropy()).expect("a new database");
        Self { dir, store }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("store.sqlite")
    }

    /// Closes the database and opens it again.
    pub(crate) fn reopen(self) -> Self {
        let Self { dir, store } = self;
        drop(store);
        let path = dir.path().join("store.sqlite");
        let store = Store::open(&path, key(), entropy()).expect("the same database");
        Self { dir, store }
    }

    /// Applies writes in a transaction of their own.
    pub(crate) fn write(&mut self, writes: &[Write]) {
        self.store.begin().expect("no transaction is open");
        self.store.apply(writes).expect("writes apply");
        self.store.commit().expect("the disk takes it");
    }
}

pub(crate) fn key() -> ProfileKey {
    ProfileKey::from_bytes(KEY)
}

/// Another stream each time: nonces never repeat under one key.
pub(crate) fn entropy() -> Box<Seeded> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Box::new(Seeded::new(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Bytes that look random, so that they occur by chance nowhere.
pub(crate) fn bytes32(what: &str, n: u8) -> [u8; 32] {
    tortalk_model::hash::labelled(what.as_bytes(), &[&[n]])
}

pub(crate) fn person(n: u8) -> IdentityKey {
    IdentityKey::from_bytes(bytes32("person", n))
}

pub(crate) fn message_id(n: u8) -> MessageId {
    MessageId::from_bytes(bytes32("message", n))
}

/// Where a relay is.
pub(crate) fn address(n: u8) -> RelayAddress {
    let host = RelayHost::Name(format!("relay-of-an-invite-{n}.example"));
    RelayAddress::new(host, 443, RelaySecret::from_seed([n; 32]).public()).expect("well-formed")
}

pub(crate) fn contact(n: u8, name: &str) -> Contact {
    Contact {
        identity: person(n),
        name: name.to_owned(),
        standing: Standing::Accepted,
        verified: false,
        card: None,
        invite: None,
        store_id: None,
        chain_id: ChainId::from_bytes([n; 8]),
        next_counter: 1,
        requested: None,
        their_chain: None,
        asking: None,
        added_at: UnixMillis(1000),
    }
}

pub(crate) fn outgoing(n: u8, to: u8, text: &str) -> OutgoingMessage {
    OutgoingMessage {
        message_id: message_id(n),
        contact: person(to),
        signed: [b"signed ", text.as_bytes()].concat(),
        signature: [n; 64],
        body_type: BodyType::TEXT,
        counter: u64::from(n),
        text: text.to_owned(),
        written_at: UnixMillis(u64::from(n) * 10),
        envelope_id: None,
        attempts: 0,
        next_try: None,
        evidence: Vec::new(),
    }
}

pub(crate) fn request(n: u8, from: u8, text: &str) -> ContactRequest {
    ContactRequest {
        identity: person(from),
        name: format!("person {from}"),
        card: vec![n; 40],
        text: text.to_owned(),
        message_id: message_id(n),
        signed_hash: SignedHash::from_bytes([n; 32]),
        sent_at: UnixMillis(u64::from(n)),
        received_at: UnixMillis(u64::from(n) * 10),
        source: RequestSource::Address(Ipv4Addr::new(192, 0, 2, n).into()),
    }
}

pub(crate) fn incoming(n: u8, from: u8, body: Body) -> IncomingMessage {
    IncomingMessage {
        message_id: message_id(n),
        contact: person(from),
        signed_hash: SignedHash::from_bytes([n; 32]),
        sent_at: UnixMillis(u64::from(n)),
        received_at: UnixMillis(u64::from(n) * 10),
        chain_id: ChainId::from_bytes([1; 8]),
        counter: u64::from(n),
        body,
        receipt_at: None,
        read: false,
    }
}

/// An envelope that expires in hour `n`.
pub(crate) fn envelope(n: u8) -> Envelope {
    let header = EnvelopeHeader {
        suite: SUITE_1,
        mailbox: MailboxKey::from_bytes(bytes32("mailbox", n)),
        key_id: KeyId::from_bytes([n; 8]),
        expires_at: UnixMillis(u64::from(n) * HOUR),
        purge_hash: purge_hash(&purge_key(n)),
        ext: Vec::new(),
    };
    let sealed = vec![n; SUITE_1_ENC_BYTES + 256 + SUITE_1_TAG_BYTES];
    Envelope::build(&header, &sealed).expect("a well-formed envelope")
}

pub(crate) fn purge_key(n: u8) -> PurgeKey {
    PurgeKey::from_bytes(bytes32("purge", n))
}

/// An envelope that this person gave us to carry.
pub(crate) fn carried(n: u8, giver: u8) -> HeldEnvelope {
    HeldEnvelope { purge_key: None, ..held(n, giver, Purpose::Carried) }
}

pub(crate) fn held(n: u8, to: u8, purpose: Purpose) -> HeldEnvelope {
    HeldEnvelope {
        envelope: envelope(n),
        contact: person(to),
        purpose,
        ttl: 2,
        stamp: vec![n; 16],
        purge_key: Some(purge_key(n)),
    }
}
