use tortalk_model::{DeviceId, EnvelopeId, IdentityKey, InstanceId, MailboxKey, PurgeKey, StoreId};

use super::*;

fn auth() -> proto::Auth {
    proto::Auth {
        identity: vec![1; 32],
        device_id: vec![2; 8],
        instance_id: vec![3; 16],
        version: 1,
        signature: vec![4; 64],
    }
}

fn error(kind: FrameType, message: &impl prost::Message) -> BodyError {
    decode_body(kind, &message.encode_to_vec()).expect("a known type").expect_err("a broken body")
}

/// One frame of every type.
pub(crate) fn one_of_each() -> Vec<Frame> {
    let bytes = |len| vec![9; len];
    vec![
        Frame::Auth(Auth {
            identity: IdentityKey::from_bytes([1; 32]),
            device_id: DeviceId::from_bytes([2; 8]),
            instance_id: InstanceId::from_bytes([3; 16]),
            version: 1,
            signature: [4; 64],
        }),
        Frame::Mailboxes(
            Mailboxes::new(vec![
                MailboxProof {
                    mailbox: MailboxKey::from_bytes([5; 32]),
                    signature: [6; 64],
                };
                16
            ])
            .expect("sixteen proofs"),
        ),
        Frame::Hello(Hello {
            features: bytes(256).try_into().expect("in range"),
            store_id: StoreId::from_bytes([7; 16]),
            now: UnixMillis(u64::MAX),
            your_card_seq: 8,
            my_card_seq: 9,
            unacked_max: NonZeroU16::new(256).expect("not zero"),
        }),
        Frame::Bye(Bye { reason: ByeReason::Age }),
        Frame::Ping(Ping { nonce: 10 }),
        Frame::Pong(Pong { nonce: 10 }),
        Frame::Card(Card { card: bytes(8128).try_into().expect("in range") }),
        Frame::Pull,
        Frame::Push(Push { count: 3 }),
        Frame::Msg(Msg {
            ttl: 6,
            stamp: [11; 16].into(),
            envelope: bytes(67_017).try_into().expect("in range"),
        }),
        Frame::End,
        Frame::Ack(Ack {
            id: EnvelopeId::from_bytes([12; 32]),
            result: AckResult::Refused(RefusalReason::Quota),
            retry_after_s: 60,
            now: UnixMillis(13),
        }),
        Frame::Have(EnvelopeIds::new(vec![EnvelopeId::from_bytes([14; 32]); 256]).expect("256")),
        Frame::Want(EnvelopeIds::new(vec![EnvelopeId::from_bytes([15; 32])]).expect("one")),
        Frame::Purge(PurgeKeys::new(vec![PurgeKey::from_bytes([16; 32]); 2]).expect("two")),
    ]
}

#[test]
fn every_type_survives_its_own_bytes_and_is_in_the_registry() {
    let frames = one_of_each();
    for frame in &frames {
        let bytes = frame.encode();
        let body = &bytes[6..];
        assert_eq!(decode_body(frame.frame_type(), body), Some(Ok(frame.clone())));
    }
    let mut kinds: Vec<_> = frames.iter().map(Frame::frame_type).collect();
    kinds.sort_unstable();
    let mut all = FrameType::ALL.map(|(kind, _)| kind);
    all.sort_unstable();
    assert_eq!(kinds, all);
    assert_eq!(decode_body(FrameType(0x803f), &[]), None);
}

#[test]
fn the_registry_is_the_one_of_the_proto_file() {
    for (kind, name) in FrameType::ALL {
        let listed = proto::FrameType::try_from(i32::from(kind.0)).expect("a listed type");
        assert_eq!(listed.as_str_name(), format!("FRAME_TYPE_{}", name.to_uppercase()));
    }
}

#[test]
fn every_enum_value_survives() {
    use RefusalReason as R;
    let reasons =
        [R::Unspecified, R::Expired, R::NotForMe, R::Quota, R::Malformed, R::Busy, R::UnknownKey];
    let mut results = vec![AckResult::Stored, AckResult::Duplicate];
    results.extend(reasons.map(AckResult::Refused));
    for result in results {
        let frame = Frame::Ack(Ack {
            id: EnvelopeId::from_bytes([1; 32]),
            result,
            retry_after_s: 0,
            now: UnixMillis(0),
        });
        assert_eq!(decode_body(FrameType::ACK, &frame.encode()[6..]), Some(Ok(frame)));
    }
    use ByeReason as B;
    for reason in [B::Unspecified, B::Shutdown, B::Duplicate, B::Policy, B::Age, B::Protocol] {
        let frame = Frame::Bye(Bye { reason });
        assert_eq!(decode_body(FrameType::BYE, &frame.encode()[6..]), Some(Ok(frame)));
    }
}

// req: LNK-39
#[test]
fn a_wrong_length_names_message_and_field() {
    let fault =
        |field, found| BodyError { message: "Auth", field, fault: FieldFault::Length(found) };
    let broken = |change: fn(&mut proto::Auth)| {
        let mut auth = auth();
        change(&mut auth);
        error(FrameType::AUTH, &auth)
    };
    assert_eq!(broken(|a| a.identity.push(0)), fault("identity", 33));
    assert_eq!(broken(|a| a.device_id.clear()), fault("device_id", 0));
    assert_eq!(broken(|a| a.instance_id.truncate(15)), fault("instance_id", 15));
    assert_eq!(broken(|a| a.signature.truncate(63)), fault("signature", 63));
    assert_eq!(
        broken(|a| a.version = 65_536),
        BodyError { message: "Auth", field: "version", fault: FieldFault::Range(65_536) }
    );
    assert_eq!(
        error(FrameType::ACK, &proto::Ack { id: vec![0; 31], result: 1, ..Default::default() })
            .to_string(),
        "Ack.id: a length of 31 is not allowed"
    );
}

// req: LNK-39
#[test]
fn lengths_and_counts_outside_their_range_are_refused() {
    let length = |kind, message: &dyn Fn() -> Vec<u8>| {
        let body = message();
        decode_body(kind, &body).expect("a known type").expect_err("out of range").fault
    };
    let hello = |features: usize, unacked_max| {
        proto::Hello {
            features: vec![0; features],
            store_id: vec![0; 16],
            unacked_max,
            ..Default::default()
        }
        .encode_to_vec()
    };
    assert_eq!(length(FrameType::HELLO, &|| hello(257, 1)), FieldFault::Length(257));
    assert_eq!(length(FrameType::HELLO, &|| hello(0, 0)), FieldFault::Range(0));
    assert_eq!(length(FrameType::HELLO, &|| hello(0, 65_536)), FieldFault::Range(65_536));
    let msg = |ttl, stamp: usize, envelope: usize| {
        proto::Msg { ttl, stamp: vec![0; stamp], envelope: vec![0; envelope] }.encode_to_vec()
    };
    assert_eq!(length(FrameType::MSG, &|| msg(256, 0, 1)), FieldFault::Range(256));
    assert_eq!(length(FrameType::MSG, &|| msg(1, 65, 1)), FieldFault::Length(65));
    assert_eq!(length(FrameType::MSG, &|| msg(1, 0, 0)), FieldFault::Length(0));
    assert_eq!(length(FrameType::MSG, &|| msg(1, 0, 67_018)), FieldFault::Length(67_018));
    let card = |card: usize| proto::Card { card: vec![0; card] }.encode_to_vec();
    assert_eq!(length(FrameType::CARD, &|| card(0)), FieldFault::Length(0));
    assert_eq!(length(FrameType::CARD, &|| card(8129)), FieldFault::Length(8129));
    let proof = proto::MailboxProof { mailbox: vec![0; 32], signature: vec![0; 64] };
    let proofs = |n| proto::Mailboxes { proofs: vec![proof.clone(); n] }.encode_to_vec();
    assert_eq!(length(FrameType::MAILBOXES, &|| proofs(0)), FieldFault::Length(0));
    assert_eq!(length(FrameType::MAILBOXES, &|| proofs(17)), FieldFault::Length(17));
}

// req: LNK-38
#[test]
fn a_body_that_is_not_protobuf_is_refused() {
    for (kind, name) in FrameType::ALL {
        let refused = decode_body(kind, &[0xff; 11]).expect("a known type").expect_err("junk");
        assert_eq!(
            refused,
            BodyError { message: name, field: "*", fault: FieldFault::NotProtobuf }
        );
    }
    // Field 1 of a ping is a number, here it comes as bytes.
    assert!(decode_body(FrameType::PING, &[0x0a, 1, 0]).expect("a known type").is_err());
}

// req: LNK-40
#[test]
fn fields_of_later_versions_are_ignored() {
    let later = [0xfa, 0x7f, 3, 1, 2, 3]; // Field 2047, three bytes.
    for frame in one_of_each() {
        let mut body = frame.encode()[6..].to_vec();
        body.extend_from_slice(&later);
        assert_eq!(decode_body(frame.frame_type(), &body), Some(Ok(frame)));
    }
}

// req: LNK-41
#[test]
fn reasons_of_later_versions_count_as_unspecified() {
    let bye = proto::Bye { reason: 77 }.encode_to_vec();
    assert_eq!(
        decode_body(FrameType::BYE, &bye),
        Some(Ok(Frame::Bye(Bye { reason: ByeReason::Unspecified })))
    );
    let ack = proto::Ack { id: vec![0; 32], result: 3, reason: 77, ..Default::default() };
    let Some(Ok(Frame::Ack(ack))) = decode_body(FrameType::ACK, &ack.encode_to_vec()) else {
        panic!("a refusal of a later version is a refusal");
    };
    assert_eq!(ack.result, AckResult::Refused(RefusalReason::Unspecified));
}

// req: LNK-42
#[test]
fn an_ack_without_a_clear_outcome_is_refused() {
    let ack = |result, reason| {
        let ack = proto::Ack { id: vec![0; 32], result, reason, ..Default::default() };
        error(FrameType::ACK, &ack)
    };
    assert_eq!(ack(0, 0).fault, FieldFault::Value(0));
    assert_eq!(ack(77, 0).fault, FieldFault::Value(77));
    assert_eq!((ack(1, 2).field, ack(1, 2).fault), ("reason", FieldFault::Value(2)));
    assert_eq!(ack(2, 77).fault, FieldFault::Value(77));
}
