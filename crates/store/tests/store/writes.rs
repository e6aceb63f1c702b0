//! Steps and writes drawn at random, over few of everything.

use proptest::prelude::*;
use tortalk_mesh::{
    Contact, ContactRequest, Evidence, HeldEnvelope, IncomingMessage, MissingRange,
    OutgoingMessage, OwnCardBytes, PeerChain, Purpose, RegisteredMailbox, RequestSource, Standing,
    Write,
};
use tortalk_model::{
    ChainId, EnvelopeId, MailboxKey, MessageId, RelayKey, SignedHash, StoreId, UnixMillis,
};
use tortalk_seal::{Body, BodyType, ReceiptEntry, ReceiptKind, ResendRequest};

use crate::random::{ENVELOPES, HOURS, MESSAGES, PEOPLE, Step, WORDS};
use crate::world::{
    HOUR, address, carried, envelope, held, message_id, outgoing, person, purge_key,
};

/// A commit or rollback counts only where there is something to keep or lose, so
/// writes are most of the steps.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => write().prop_map(|write| Step::Write(Box::new(write))),
        2 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        1 => Just(Step::Reopen),
    ]
}

pub(crate) fn envelope_step() -> impl Strategy<Value = Step> {
    let write = (0..14, 0..2u8, 0..3u8, time()).prop_map(|(kind, n, e, time)| {
        let (peer, envelope_id) = (person(n), envelope(e).id());
        match kind {
            0 | 1 => Write::PutEnvelope(Box::new(held(e, n, Purpose::Receipt))),
            2 => Write::HandedOver { peer, envelope_id },
            3 => Write::HandOverAgain { peer, envelope_id },
            4 => Write::ForgetHandedOver { peer },
            5 => Write::Seen { envelope_id, until: time, purge_key: None },
            6 => {
                let purge_key = Some(purge_key(e));
                Write::Seen { envelope_id, until: time, purge_key }
            }
            10 | 11 => Write::OwePurge { peer, envelope_id },
            12 => Write::PurgeTold { peer, envelope_id },
            13 => Write::LeftAtRelay(envelope_id),
            7 | 8 => Write::PutEnvelope(Box::new(carried(e, n))),
            9 => Write::SetTtl { envelope_id, ttl: u8::try_from(time.0 % 3).unwrap_or(0) },
            _ if time.0 % 3 == 0 => Write::DropEnvelope(envelope_id),
            _ => Write::Expire { before: time },
        }
    });
    prop_oneof![
        20 => write.prop_map(|write| Step::Write(Box::new(write))),
        1 => Just(Step::Rollback),
        1 => Just(Step::Commit),
        1 => Just(Step::Reopen),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        1 => contact().prop_map(|contact| Write::PutContact(Box::new(contact))),
        1 => (0..PEOPLE).prop_map(|n| Write::DropContact(person(n))),
        2 => request().prop_map(|request| Write::PutRequest(Box::new(request))),
        1 => (0..PEOPLE).prop_map(|n| Write::DropRequest(person(n))),
        1 => (id(), time()).prop_map(|(message_id, until)| Write::Declined { message_id, until }),
        1 => (some_bytes(), some_bytes())
            .prop_map(|(intro, contact)| Write::PutOwnCards(OwnCardBytes { intro, contact })),
        4 => out().prop_map(|message| Write::PutOutgoing(Box::new(message))),
        3 => an_envelope().prop_map(|held| Write::PutEnvelope(Box::new(held))),
        1 => (id(), envelope_id())
            .prop_map(|(message_id, envelope_id)| Write::SealedIn { message_id, envelope_id }),
        1 => envelope_id().prop_map(Write::DropEnvelope),
        1 => envelope_id().prop_map(Write::LeftAtRelay),
        2 => (0..PEOPLE, envelope_id())
            .prop_map(|(n, envelope_id)| Write::HandedOver { peer: person(n), envelope_id }),
        1 => (0..PEOPLE).prop_map(|n| Write::ForgetHandedOver { peer: person(n) }),
        1 => (0..PEOPLE, envelope_id())
            .prop_map(|(n, envelope_id)| Write::HandOverAgain { peer: person(n), envelope_id }),
        3 => (id(), evidence())
            .prop_map(|(message_id, evidence)| Write::AddEvidence { message_id, evidence }),
        2 => (id(), any::<u32>(), prop::option::of(time()))
            .prop_map(|(message_id, attempts, at)| Write::NextTry { message_id, attempts, at }),
        4 => inc().prop_map(|message| Write::PutIncoming(Box::new(message))),
        1 => (id(), receipt_kind(), time())
            .prop_map(|(message_id, kind, at)| Write::ReceiptMade { message_id, kind, at }),
        1 => id().prop_map(Write::MarkRead),
        1 => (envelope_id(), time(), any::<bool>()).prop_map(|(envelope_id, until, known)| {
            let purge_key = known.then(|| purge_key(9));
            Write::Seen { envelope_id, until, purge_key }
        }),
        1 => (0..PEOPLE, envelope_id())
            .prop_map(|(n, envelope_id)| Write::OwePurge { peer: person(n), envelope_id }),
        1 => (0..PEOPLE, envelope_id())
            .prop_map(|(n, envelope_id)| Write::PurgeTold { peer: person(n), envelope_id }),
        2 => (envelope_id(), 0..3u8)
            .prop_map(|(envelope_id, ttl)| Write::SetTtl { envelope_id, ttl }),
        1 => time().prop_map(|before| Write::Expire { before }),
        1 => prop::collection::vec(registered(), 0..3).prop_map(Write::PutOwnRelays),
        1 => prop::collection::vec((0..3u8).prop_map(address), 0..3)
            .prop_map(Write::PutAdoptedRelays),
        2 => (0..ENVELOPES, time()).prop_map(|(n, until)| {
            Write::PutUnopened { envelope: Box::new(envelope(n)), until }
        }),
        1 => envelope_id().prop_map(Write::DropUnopened),
    ]
}

fn contact() -> impl Strategy<Value = Contact> {
    (
        0..PEOPLE,
        text(),
        (
            prop::sample::select(STANDINGS.to_vec()),
            any::<bool>(),
            prop::option::of(id()),
            prop::option::of(chain()),
            prop::option::of(text()),
        ),
        [prop::option::of(some_bytes()), prop::option::of(some_bytes())],
        prop::option::of(any::<[u8; 16]>()),
        any::<u64>(),
        time(),
    )
        .prop_map(
            |(
                n,
                name,
                (standing, verified, requested, their_chain, asking),
                [card, invite],
                store_id,
                next_counter,
                added_at,
            )| {
                Contact {
                    identity: person(n),
                    name,
                    standing,
                    verified,
                    card,
                    invite,
                    store_id: store_id.map(StoreId::from_bytes),
                    chain_id: ChainId::from_bytes([n; 8]),
                    next_counter,
                    requested,
                    their_chain,
                    asking,
                    added_at,
                }
            },
        )
}

fn chain() -> impl Strategy<Value = PeerChain> {
    let range = (any::<[u64; 2]>(), time()).prop_map(|([from, to], since)| MissingRange {
        from,
        to,
        since,
    });
    (
        any::<([u8; 8], u64)>(),
        prop::collection::vec(range, 0..4),
        prop::option::of(id()),
        prop::option::of(time()),
        prop::collection::vec(any::<[u8; 8]>().prop_map(ChainId::from_bytes), 0..3),
    )
        .prop_map(|((chain_id, next), missing, asked, asked_at, earlier)| {
            let chain_id = ChainId::from_bytes(chain_id);
            PeerChain { chain_id, next, missing, asked, asked_at, earlier }
        })
}

const STANDINGS: [Standing; 3] = [Standing::Accepted, Standing::Blocked, Standing::Unwanted];

fn request() -> impl Strategy<Value = ContactRequest> {
    let source = prop_oneof![
        any::<[u8; 4]>().prop_map(|address| RequestSource::Address(address.into())),
        any::<[u8; 16]>().prop_map(|address| RequestSource::Address(address.into())),
        any::<[u8; 32]>().prop_map(|key| RequestSource::Relay(RelayKey::from_bytes(key))),
    ];
    (0..MESSAGES, 0..PEOPLE, text(), some_bytes(), source).prop_map(
        |(n, from, text, card, source)| ContactRequest {
            card,
            source,
            ..crate::world::request(n, from, &text)
        },
    )
}

/// What messages of ours are made of.
fn body_type() -> impl Strategy<Value = BodyType> {
    prop_oneof![6 => Just(BodyType::TEXT), 4 => (1..8u16).prop_map(BodyType)]
}

fn out() -> impl Strategy<Value = OutgoingMessage> {
    (
        (0..MESSAGES, 0..PEOPLE, text(), time(), body_type(), 0..4u64),
        prop::option::of(envelope_id()),
        any::<u32>(),
        prop::option::of(time()),
        prop::collection::vec(evidence(), 0..3),
    )
        .prop_map(|(fixed, envelope_id, attempts, next_try, evidence)| {
            let (n, to, text, written_at, body_type, counter) = fixed;
            let message =
                OutgoingMessage { written_at, body_type, counter, ..outgoing(n, to, &text) };
            OutgoingMessage { envelope_id, attempts, next_try, evidence, ..message }
        })
}

fn inc() -> impl Strategy<Value = IncomingMessage> {
    (
        (0..MESSAGES, 0..PEOPLE, body()),
        any::<[u8; 32]>(),
        (time(), time()),
        any::<u64>(),
        prop::option::of(time()),
        any::<bool>(),
    )
        .prop_map(
            |((n, from, body), hash, (sent_at, received_at), counter, receipt_at, read)| {
                IncomingMessage {
                    signed_hash: SignedHash::from_bytes(hash),
                    sent_at,
                    received_at,
                    counter,
                    receipt_at,
                    read,
                    ..crate::world::incoming(n, from, body)
                }
            },
        )
}

fn body() -> impl Strategy<Value = Body> {
    let card = || prop::collection::vec(any::<u8>(), 1..20);
    prop_oneof![
        4 => text().prop_map(Body::Text),
        1 => (card(), text()).prop_map(|(card, text)| Body::ContactRequest { card, text }),
        1 => (any::<[u8; 32]>(), card()).prop_map(|(id, card)| {
            Body::ContactAccept { request: MessageId::from_bytes(id), card }
        }),
        1 => card().prop_map(|card| Body::Card { card }),
        1 => (any::<u64>(), any::<u64>()).prop_map(|(a, b)| {
            let chain_id = ChainId::from_bytes([3; 8]);
            Body::ResendRequest(ResendRequest { chain_id, from: a.min(b), to: a.max(b) })
        }),
        1 => (id(), any::<[u8; 32]>(), receipt_kind()).prop_map(|(message_id, hash, kind)| {
            let signed_hash = SignedHash::from_bytes(hash);
            Body::Receipt(vec![ReceiptEntry { message_id, signed_hash, kind }])
        }),
        1 => (16u16.., some_bytes())
            .prop_map(|(n, bytes)| Body::Unknown { body_type: BodyType(n), bytes }),
    ]
}

fn an_envelope() -> impl Strategy<Value = HeldEnvelope> {
    let purpose = prop_oneof![
        2 => id().prop_map(Purpose::Message),
        1 => Just(Purpose::Receipt),
        2 => Just(Purpose::Carried),
    ];
    (0..ENVELOPES, 0..PEOPLE, purpose, 0..4u8).prop_map(|(n, to, purpose, ttl)| {
        let own = HeldEnvelope { ttl, ..held(n, to, purpose) };
        match purpose {
            Purpose::Carried => HeldEnvelope { ttl, ..carried(n, to) },
            _ => own,
        }
    })
}

fn evidence() -> impl Strategy<Value = Evidence> {
    prop_oneof![
        3 => (0..PEOPLE, time()).prop_map(|(n, at)| Evidence::Handed { peer: person(n), at }),
        1 => (receipt_kind(), time(), some_bytes())
            .prop_map(|(kind, at, proof)| Evidence::Receipt { kind, at, proof }),
        1 => time().prop_map(|at| Evidence::Cancelled { at }),
        1 => time().prop_map(|at| Evidence::GaveUp { at }),
        1 => (0..3u8, time(), time(), some_bytes()).prop_map(|(n, at, store_until, proof)| {
            Evidence::AtRelay { relay: relay(n), at, store_until, proof }
        }),
    ]
}

fn registered() -> impl Strategy<Value = RegisteredMailbox> {
    (0..3u8, any::<[u8; 32]>()).prop_map(|(n, mailbox)| RegisteredMailbox {
        relay: relay(n),
        mailbox: MailboxKey::from_bytes(mailbox),
    })
}

fn relay(n: u8) -> RelayKey {
    RelayKey::from_bytes([n; 32])
}

fn receipt_kind() -> impl Strategy<Value = ReceiptKind> {
    prop_oneof![Just(ReceiptKind::Delivered), Just(ReceiptKind::Read)]
}

fn id() -> impl Strategy<Value = MessageId> {
    (0..MESSAGES).prop_map(message_id)
}

fn envelope_id() -> impl Strategy<Value = EnvelopeId> {
    (0..ENVELOPES).prop_map(|n| envelope(n).id())
}

/// Few enough to be equal, before and after each other; and the last time that
/// columns tell apart.
fn time() -> impl Strategy<Value = UnixMillis> {
    prop_oneof![
        20 => (0..HOURS, 0..2u64).prop_map(|(hour, more)| UnixMillis(hour * HOUR + more)),
        1 => Just(UnixMillis(i64::MAX.unsigned_abs())),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(WORDS.to_vec()).prop_flat_map(|word| {
        prop_oneof![Just(word.to_owned()), Just(word.to_uppercase()), Just(format!("x{word}"))]
    });
    prop::collection::vec(word, 0..4).prop_map(|words| words.join(", "))
}

fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}
