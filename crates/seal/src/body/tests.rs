use proptest::prelude::*;

use super::*;

fn entry(kind: ReceiptKind) -> ReceiptEntry {
    ReceiptEntry {
        message_id: MessageId::from_bytes([1; 32]),
        signed_hash: SignedHash::from_bytes([2; 32]),
        kind,
    }
}

fn range(from: u64, to: u64) -> ResendRequest {
    ResendRequest { chain_id: ChainId::from_bytes([3; 8]), from, to }
}

fn comes_back(body: &Body) {
    let bytes = body.to_bytes().expect("a good body");
    assert_eq!(Body::parse(body.body_type(), &bytes).as_ref(), Ok(body));
}

fn accept(request: [u8; 32], card: Vec<u8>) -> Body {
    Body::ContactAccept { request: MessageId::from_bytes(request), card }
}

fn any_body() -> impl Strategy<Value = Body> {
    let bytes = |max| prop::collection::vec(any::<u8>(), 1..max);
    let entry =
        (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<bool>()).prop_map(|(id, hash, read)| {
            ReceiptEntry {
                message_id: MessageId::from_bytes(id),
                signed_hash: SignedHash::from_bytes(hash),
                kind: if read { ReceiptKind::Read } else { ReceiptKind::Delivered },
            }
        });
    prop_oneof![
        any::<String>().prop_map(Body::Text),
        prop::collection::vec(entry, 1..=256).prop_map(Body::Receipt),
        (bytes(9000), "\\PC{0,256}").prop_map(|(card, text)| Body::ContactRequest { card, text }),
        (any::<[u8; 32]>(), bytes(9000)).prop_map(|(id, card)| accept(id, card)),
        bytes(9000).prop_map(|card| Body::Card { card }),
        (any::<[u8; 8]>(), any::<u64>(), any::<u64>()).prop_map(|(chain_id, from, to)| {
            Body::ResendRequest(ResendRequest { chain_id: ChainId::from_bytes(chain_id), from, to })
        }),
        (any::<u16>(), bytes(100))
            .prop_map(|(number, bytes)| Body::Unknown { body_type: BodyType(number), bytes }),
    ]
}

proptest! {
    #[test]
    fn what_can_be_written_is_read_as_the_same(body in any_body()) {
        if let Ok(bytes) = body.to_bytes() {
            prop_assert_eq!(Body::parse(body.body_type(), &bytes), Ok(body));
        }
    }

    #[test]
    fn what_can_be_read_has_one_form(number in 0_u16..10, bytes: Vec<u8>) {
        if let Ok(body) = Body::parse(BodyType(number), &bytes) {
            prop_assert_eq!(body.to_bytes(), Ok(bytes));
            prop_assert_eq!(body.body_type(), BodyType(number));
        }
    }
}

// req: SEA-30
#[test]
fn text_is_any_utf8_and_nothing_else() {
    for text in ["", "hello", "žluťoučký kůň", "\0\u{202e}"] {
        comes_back(&Body::Text(text.to_owned()));
    }
    for bytes in [&b"\xff"[..], b"ab\xc3", b"\xed\xa0\x80", b"\xc0\x80"] {
        assert_eq!(Body::parse(BodyType::TEXT, bytes), Err(BodyError::NotUtf8));
    }
}

// req: SEA-31, SEA-32, DLV-06
#[test]
fn a_receipt_has_one_to_256_entries_of_known_kinds() {
    comes_back(&Body::Receipt(vec![entry(ReceiptKind::Delivered), entry(ReceiptKind::Read)]));
    comes_back(&Body::Receipt(vec![entry(ReceiptKind::Read); 256]));
    let parse = |bytes: &[u8]| Body::parse(BodyType::RECEIPT, bytes);

    let too_many = LayoutError::TooLong { field: "count", found: 257, limit: 256 };
    let many = Writer::new().u16(257).raw(&[1; 257 * 65]).into_vec();
    assert_eq!(parse(&many), Err(BodyError::Layout(too_many)));
    let many = Body::Receipt(vec![entry(ReceiptKind::Read); 257]);
    assert_eq!(many.to_bytes(), Err(BodyError::Layout(too_many)));

    assert_eq!(parse(&[0, 0]), Err(BodyError::EmptyReceipt));
    assert_eq!(Body::Receipt(Vec::new()).to_bytes(), Err(BodyError::EmptyReceipt));

    let good = Body::Receipt(vec![entry(ReceiptKind::Read)]).to_bytes().expect("one entry");
    assert_eq!(good, [&[0, 1][..], &[1; 32], &[2; 32], &[2]].concat());
    for kind in [0, 3, 255] {
        let bad = [&good[..66], &[kind]].concat();
        assert_eq!(parse(&bad), Err(BodyError::ReceiptKind(kind)));
    }
}

// req: SEA-28
#[test]
fn missing_and_trailing_bytes_are_refused() {
    let receipt = Body::Receipt(vec![entry(ReceiptKind::Read)]);
    let resend = Body::ResendRequest(range(4, 9));
    for body in [receipt, resend] {
        let mut bytes = body.to_bytes().expect("a good body");
        for len in 0..bytes.len() {
            let result = Body::parse(body.body_type(), &bytes[..len]);
            assert!(matches!(result, Err(BodyError::Layout(LayoutError::Truncated(_)))), "{len}");
        }
        bytes.push(0);
        assert_eq!(
            Body::parse(body.body_type(), &bytes),
            Err(BodyError::Layout(LayoutError::Trailing(1)))
        );
    }
}

// req: SEA-33, SEA-34
#[test]
fn a_request_is_a_short_text_and_a_card() {
    let request = |text: &str, card: &[u8]| Body::ContactRequest {
        card: card.to_vec(),
        text: text.to_owned(),
    };
    comes_back(&request("", b"card"));
    comes_back(&request(&"x".repeat(1024), &[5; 8128]));
    let bytes = request("hi", b"card").to_bytes().expect("a good body");
    assert_eq!(bytes, b"\0\x02hicard");

    let too_long = LayoutError::TooLong { field: "text", found: 1025, limit: 1024 };
    assert_eq!(request(&"x".repeat(1025), b"card").to_bytes(), Err(BodyError::Layout(too_long)));
    let parse = |bytes: &[u8]| Body::parse(BodyType::CONTACT_REQUEST, bytes);
    let bytes = Writer::new().bytes16(&[b'x'; 1025]).raw(b"card").into_vec();
    assert_eq!(parse(&bytes), Err(BodyError::Layout(too_long)));
    assert_eq!(parse(b"\0\x02\xff\xffcard"), Err(BodyError::NotUtf8));
    assert_eq!(parse(b"\0\x02h"), Err(BodyError::Layout(LayoutError::Truncated("text"))));
    assert_eq!(parse(b"\0\x02hi"), Err(BodyError::NoCard));
}

// req: SEA-34
#[test]
fn a_card_is_there_and_within_its_limit() {
    comes_back(&accept([7; 32], vec![1]));
    comes_back(&Body::Card { card: vec![1; 8128] });
    let too_long = LayoutError::TooLong { field: "card", found: 8129, limit: 8128 };
    for (body_type, before) in [(BodyType::CONTACT_ACCEPT, 32_usize), (BodyType::CARD, 0)] {
        let parse = |card_len| Body::parse(body_type, &vec![1; before + card_len]);
        assert_eq!(parse(0), Err(BodyError::NoCard));
        assert_eq!(parse(8129), Err(BodyError::Layout(too_long)));
    }
    assert_eq!(Body::Card { card: Vec::new() }.to_bytes(), Err(BodyError::NoCard));
    assert_eq!(accept([7; 32], Vec::new()).to_bytes(), Err(BodyError::NoCard));
    assert_eq!(accept([7; 32], vec![1; 8129]).to_bytes(), Err(BodyError::Layout(too_long)));
}

// req: SEA-28
#[test]
fn an_acceptance_begins_with_the_id_of_the_request() {
    let bytes = [&[7; 32][..], b"card"].concat();
    assert_eq!(accept([7; 32], b"card".to_vec()).to_bytes(), Ok(bytes));
    let cut = Body::parse(BodyType::CONTACT_ACCEPT, &[7; 31]);
    assert_eq!(cut, Err(BodyError::Layout(LayoutError::Truncated("request"))));
}

// req: SEA-35
#[test]
fn a_resend_range_goes_forward() {
    for (from, to) in [(0, 0), (1, 1), (4, 9), (0, u64::MAX)] {
        comes_back(&Body::ResendRequest(range(from, to)));
    }
    let backwards = Body::ResendRequest(range(9, 8));
    assert_eq!(backwards.to_bytes(), Err(BodyError::Range));
    let bytes = Writer::new().raw(&[3; 8]).u64(9).u64(8).into_vec();
    assert_eq!(Body::parse(BodyType::RESEND_REQUEST, &bytes), Err(BodyError::Range));
}

// req: SEA-36, SEA-37
#[test]
fn unknown_bodies_are_kept_and_only_critical_ones_are_not_confirmed() {
    for number in [0, 7, 16, 0x7fff, 0x8000, 0x8001, 0xffff] {
        let body_type = BodyType(number);
        let body = Body::parse(body_type, b"\xffwhatever").expect("kept as it is");
        assert_eq!(body, Body::Unknown { body_type, bytes: b"\xffwhatever".to_vec() });
        assert!(body.is_user_visible());
        assert_eq!(body_type.is_critical(), number >= 0x8000);
        assert_eq!(body.wants_receipt(), number < 0x8000);
        comes_back(&body);
    }
    let disguised = Body::Unknown { body_type: BodyType::TEXT, bytes: vec![0xff] };
    assert_eq!(disguised.to_bytes(), Err(BodyError::KnownType(BodyType::TEXT)));
}

#[test]
fn what_is_shown_and_what_is_confirmed() {
    let card = || vec![1];
    let cases = [
        (Body::Text(String::new()), true, true),
        (Body::Receipt(vec![entry(ReceiptKind::Read)]), false, false),
        (Body::ContactRequest { card: card(), text: String::new() }, false, false),
        (accept([7; 32], card()), false, true),
        (Body::Card { card: card() }, false, true),
        (Body::ResendRequest(range(1, 1)), false, true),
    ];
    for (body, visible, receipt) in cases {
        assert_eq!((body.is_user_visible(), body.wants_receipt()), (visible, receipt), "{body:?}");
    }
}

#[test]
fn a_body_shows_no_content() {
    let body = Body::Text("secret".to_owned());
    assert_eq!(format!("{body:?}"), "Body(type 1, 6 bytes)");
}
