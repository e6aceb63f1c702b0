use proptest::prelude::*;

use super::*;
use crate::convert::tests::one_of_each;
use crate::frames::{Ping, Push};

/// Every frame that `stream` holds when it comes in pieces of these lengths.
fn decode_in(pieces: &[usize], stream: &[u8]) -> Result<Vec<Frame>, FrameError> {
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    let mut rest = stream;
    let mut pieces = pieces.iter().copied().chain(std::iter::repeat(usize::MAX));
    while !rest.is_empty() {
        let len = pieces.next().expect("endless").clamp(1, rest.len());
        let (mut piece, later) = rest.split_at(len);
        rest = later;
        while let Some(frame) = decoder.next(&mut piece)? {
            frames.push(frame);
        }
        assert!(piece.is_empty(), "None means that all was taken");
        assert!(decoder.partial.len() <= 4 + FRAME_BYTES_MAX);
    }
    Ok(frames)
}

fn framed(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(body.len() + 2).expect("small").to_be_bytes().to_vec();
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn small_frames() -> impl Strategy<Value = Vec<Frame>> {
    let frame = prop_oneof![
        any::<u64>().prop_map(|nonce| Frame::Ping(Ping { nonce })),
        any::<u32>().prop_map(|count| Frame::Push(Push { count })),
        Just(Frame::Pull),
        Just(Frame::End),
        (0usize..4).prop_map(|i| one_of_each().swap_remove(i)),
    ];
    prop::collection::vec(frame, 0..12)
}

proptest! {
    #[test]
    fn frames_come_out_whole_under_every_split(
        frames in small_frames(),
        pieces in prop::collection::vec(1usize..40, 0..200),
    ) {
        let stream: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        prop_assert_eq!(decode_in(&pieces, &stream), Ok(frames));
    }

    // req: LNK-34
    #[test]
    fn rubbish_never_panics_and_splits_do_not_matter(
        stream in prop::collection::vec(any::<u8>(), 0..300),
        known in 0usize..12,
        pieces in prop::collection::vec(1usize..9, 0..60),
    ) {
        let mut stream = stream;
        if let Some(start) = stream.first_chunk_mut::<6>() {
            *start = [0, 0, 0, start[3], 0, 0];
            start[4..].copy_from_slice(&FrameType::ALL[known].0.0.to_be_bytes());
        }
        prop_assert_eq!(decode_in(&pieces, &stream), decode_in(&[], &stream));
    }
}

#[test]
fn each_frame_comes_out_under_every_single_cut() {
    for frame in one_of_each() {
        let stream = frame.encode();
        for cut in (1..stream.len()).step_by(1 + stream.len() / 500) {
            assert_eq!(decode_in(&[cut], &stream), Ok(vec![frame.clone()]));
        }
    }
}

// req: LNK-13
#[test]
fn the_length_counts_type_and_body() {
    assert_eq!(Frame::Pull.encode(), [0, 0, 0, 2, 0x80, 0x20]);
    assert_eq!(Frame::Ping(Ping { nonce: 5 }).encode(), [0, 0, 0, 4, 0, 5, 8, 5]);
}

// req: LNK-34
#[test]
fn a_length_is_refused_before_its_body_comes() {
    assert_eq!(decode_in(&[], &[0, 0, 0, 1]), Err(FrameError::TooShort(1)));
    assert_eq!(decode_in(&[], &[0; 4]), Err(FrameError::TooShort(0)));
    let too_long = FrameError::TooLong { found: 131_073, limit: 131_072 };
    assert_eq!(decode_in(&[], &[0, 2, 0, 1]), Err(too_long));
    assert_eq!(decode_in(&[], &[0, 2, 0, 0]), Ok(vec![]));
    let mut decoder = FrameDecoder::with_limits(100, 0);
    assert_eq!(
        decoder.next(&mut &[0, 0, 0, 101][..]),
        Err(FrameError::TooLong { found: 101, limit: 100 })
    );
}

// req: LNK-35
#[test]
fn an_unknown_critical_type_is_refused_before_its_body_comes() {
    let error = Err(FrameError::UnknownCritical(FrameType(0x803f)));
    assert_eq!(decode_in(&[], &[0, 0, 1, 0, 0x80, 0x3f]), error);
    assert_eq!(
        error.map_err(|e| e.to_string()),
        Err::<Vec<Frame>, _>("frame type 0x803f is critical and not known".to_owned())
    );
}

// req: LNK-36
#[test]
fn unknown_frames_are_skipped_and_not_kept() {
    let stream = [framed(0x0007, &[0xff; 5000]), framed(0, &[]), Frame::End.encode()].concat();
    for piece in [1, 2, 3, 4999, stream.len()] {
        assert_eq!(decode_in(&vec![piece; stream.len()], &stream), Ok(vec![Frame::End]));
    }
    let mut decoder = FrameDecoder::new();
    assert_eq!(decoder.next(&mut &stream[..4000]), Ok(None));
    assert!(decoder.partial.is_empty() && !decoder.is_between_frames());
}

// req: LNK-37
#[test]
fn unknown_frames_have_a_budget_that_counts_whole_frames() {
    let frame = framed(0x7fff, &[0; 65_530]); // 64 KiB with its header.
    let within = vec![frame.clone(); 16].concat();
    assert_eq!(decode_in(&[], &within), Ok(vec![]));
    let over = [&within[..], &framed(0x7fff, &[])].concat();
    assert_eq!(decode_in(&[], &over), Err(FrameError::UnknownBudget));
}

#[test]
fn an_error_stays() {
    let mut decoder = FrameDecoder::new();
    assert_eq!(decoder.next(&mut &[0; 4][..]), Err(FrameError::TooShort(0)));
    let good = Frame::Pull.encode();
    assert_eq!(decoder.next(&mut &good[..]), Err(FrameError::TooShort(0)));
}
