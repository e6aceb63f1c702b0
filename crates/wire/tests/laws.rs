//! What holds of every frame, every beacon and every stream of frames.

use std::num::NonZeroU16;

use proptest::prelude::*;
use tortalk_model::{
    DeviceId, EnvelopeId, IdentityKey, InstanceId, MailboxKey, PurgeKey, StoreId, UnixMillis,
};
use tortalk_wire::{
    Ack, AckResult, Auth, Beacon, BoundedBytes, Bye, ByeReason, Card, EnvelopeIds, Frame,
    FrameDecoder, FrameError, Hello, MailboxProof, Mailboxes, Msg, Ping, Pong, PurgeKeys, Push,
    RefusalReason,
};

fn bytes<const MIN: usize, const MAX: usize>() -> impl Strategy<Value = BoundedBytes<MIN, MAX>> {
    prop::collection::vec(any::<u8>(), MIN..=MAX.min(300))
        .prop_map(|bytes| bytes.try_into().expect("between the limits"))
}

fn signature() -> impl Strategy<Value = [u8; 64]> {
    any::<[[u8; 32]; 2]>().prop_map(|halves| {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&halves[0]);
        signature[32..].copy_from_slice(&halves[1]);
        signature
    })
}

fn auth() -> impl Strategy<Value = Frame> {
    (any::<[u8; 32]>(), any::<[u8; 8]>(), any::<[u8; 16]>(), 1_u16.., signature()).prop_map(
        |(identity, device, instance, version, signature)| {
            let identity = IdentityKey::from_bytes(identity);
            let device_id = DeviceId::from_bytes(device);
            let instance_id = InstanceId::from_bytes(instance);
            Frame::Auth(Auth { identity, device_id, instance_id, version, signature })
        },
    )
}

fn mailboxes() -> impl Strategy<Value = Frame> {
    let proof = (any::<[u8; 32]>(), signature()).prop_map(|(mailbox, signature)| MailboxProof {
        mailbox: MailboxKey::from_bytes(mailbox),
        signature,
    });
    prop::collection::vec(proof, 1..=16)
        .prop_map(|proofs| Frame::Mailboxes(Mailboxes::new(proofs).expect("1 to 16")))
}

fn hello() -> impl Strategy<Value = Frame> {
    (bytes(), any::<[u8; 16]>(), any::<[u64; 3]>(), 1_u16..).prop_map(
        |(features, store_id, [now, your_card_seq, my_card_seq], unacked_max)| {
            Frame::Hello(Hello {
                features,
                store_id: StoreId::from_bytes(store_id),
                now: UnixMillis(now),
                your_card_seq,
                my_card_seq,
                unacked_max: NonZeroU16::new(unacked_max).expect("not zero"),
            })
        },
    )
}

fn bye() -> impl Strategy<Value = Frame> {
    use ByeReason::{Age, Duplicate, Policy, Protocol, Shutdown, Unspecified};
    prop::sample::select(vec![Unspecified, Shutdown, Duplicate, Policy, Age, Protocol])
        .prop_map(|reason| Frame::Bye(Bye { reason }))
}

fn ack() -> impl Strategy<Value = Frame> {
    use RefusalReason::{Busy, Expired, Malformed, NotForMe, Quota, UnknownKey, Unspecified};
    let reasons = vec![Unspecified, Expired, NotForMe, Quota, Malformed, Busy, UnknownKey];
    let result = prop_oneof![
        Just(AckResult::Stored),
        Just(AckResult::Duplicate),
        prop::sample::select(reasons).prop_map(AckResult::Refused),
    ];
    (any::<[u8; 32]>(), result, any::<u32>(), any::<u64>()).prop_map(
        |(id, result, retry_after_s, now)| {
            let (id, now) = (EnvelopeId::from_bytes(id), UnixMillis(now));
            Frame::Ack(Ack { id, result, retry_after_s, now })
        },
    )
}

fn ids() -> impl Strategy<Value = EnvelopeIds> {
    let id = any::<[u8; 32]>().prop_map(EnvelopeId::from_bytes);
    prop::collection::vec(id, 1..=40).prop_map(|ids| EnvelopeIds::new(ids).expect("1 to 256"))
}

fn frame() -> impl Strategy<Value = Frame> {
    let key = any::<[u8; 32]>().prop_map(PurgeKey::from_bytes);
    let keys = prop::collection::vec(key, 1..=40)
        .prop_map(|keys| Frame::Purge(PurgeKeys::new(keys).expect("1 to 256")));
    prop_oneof![
        auth(),
        mailboxes(),
        hello(),
        bye(),
        any::<u64>().prop_map(|nonce| Frame::Ping(Ping { nonce })),
        any::<u64>().prop_map(|nonce| Frame::Pong(Pong { nonce })),
        bytes().prop_map(|card| Frame::Card(Card { card })),
        Just(Frame::Pull),
        any::<u32>().prop_map(|count| Frame::Push(Push { count })),
        (any::<u8>(), bytes(), bytes()).prop_map(|(ttl, stamp, envelope)| Frame::Msg(Msg {
            ttl,
            stamp,
            envelope
        })),
        Just(Frame::End),
        ack(),
        ids().prop_map(Frame::Have),
        ids().prop_map(Frame::Want),
        keys,
    ]
}

/// What a decoder makes of a stream that comes in these pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Frame>, FrameError> {
    let (mut decoder, mut frames) = (FrameDecoder::new(), Vec::new());
    for mut piece in pieces {
        while let Some(frame) = decoder.next(&mut piece)? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

proptest! {
    #[test]
    fn a_frame_says_what_it_was_made_of(frame in frame()) {
        let bytes = frame.encode();
        prop_assert_eq!(read([&bytes[..]]), Ok(vec![frame]));
    }

    /// Protobuf has several forms of one message; what was understood once is
    /// understood in the same way after it was written again.
    #[test]
    fn what_is_understood_stays_as_it_is(
        frame in frame(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        tail in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        let mut bytes = frame.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.extend(tail);
        if let Ok(frames) = read([&bytes[..]]) {
            let again: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
            prop_assert_eq!(read([&again[..]]), Ok(frames));
        }
    }

    #[test]
    fn a_beacon_says_what_it_was_made_of(
        version in 1..=u32::MAX,
        port in 1024..=u16::MAX,
        instance: [u8; 16],
    ) {
        let beacon = Beacon { version, port, instance: InstanceId::from_bytes(instance) };
        prop_assert_eq!(Beacon::decode(&beacon.encode()), Ok(beacon));
    }

    #[test]
    fn no_datagram_is_read_in_two_ways(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(beacon) = Beacon::decode(&bytes) {
            prop_assert_eq!(Beacon::decode(&beacon.encode()), Ok(beacon));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Every single cut, a byte at a time, and cuts at random.
    #[test]
    fn a_stream_of_all_frames_is_the_same_under_every_split(
        frames in prop::collection::vec(frame(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            prop_assert_eq!(&read([head, tail]), &Ok(frames.clone()), "cut at {}", at);
        }
        prop_assert_eq!(&read(stream.chunks(1)), &Ok(frames.clone()));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
        prop_assert_eq!(&read(pieces), &Ok(frames));
    }
}
