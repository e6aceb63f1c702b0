//! Beacons and frames.

use tortalk_model::limits::{BEACON_BYTES_MAX, BEACON_PORT_MIN, FRAME_BYTES_MAX};
use tortalk_wire::{Beacon, Frame, FrameDecoder, FrameError, FrameType};

/// An accepted datagram has a limit, and what it says survives being written.
pub fn beacon(bytes: &[u8]) {
    let Ok(beacon) = Beacon::decode(bytes) else { return };
    assert!(bytes.len() <= BEACON_BYTES_MAX && beacon.port >= BEACON_PORT_MIN);
    assert!(beacon.version != 0);
    assert_eq!(Beacon::decode(&beacon.encode()), Ok(beacon));
}

/// The first byte says how the rest is cut. Frames and errors do not depend on
/// it, and each frame survives being written.
pub fn frame(bytes: &[u8]) {
    let Some((&cut, stream)) = bytes.split_first() else { return };
    let whole = decode(&[stream]);
    let pieces: Vec<&[u8]> = stream.chunks(usize::from(cut) + 1).collect();
    assert_eq!(whole, decode(&pieces), "the cuts show");
    whole.0.iter().for_each(survives);
}

/// The first byte chooses the type, the rest is the body.
pub fn frame_body(bytes: &[u8]) {
    let Some((&kind, body)) = bytes.split_first() else { return };
    let (kind, _) = FrameType::ALL[usize::from(kind) % FrameType::ALL.len()];
    let length = u32::try_from(2 + body.len()).unwrap_or(u32::MAX);
    let stream = [&length.to_be_bytes(), &kind.0.to_be_bytes()[..], body].concat();
    let (frames, error) = decode(&[&stream]);
    assert_eq!(frames.len() + usize::from(error.is_some()), 1, "one frame or one fault");
    for frame in &frames {
        assert_eq!(frame.frame_type(), kind);
        survives(frame);
    }
}

/// Every frame of a stream that comes in these pieces, and what ended it.
pub(crate) fn decode(pieces: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break assert!(piece.is_empty(), "bytes were left"),
                Err(error) => {
                    assert_eq!(decoder.next(&mut &[0][..]), Err(error), "a fault does not last");
                    return (frames, Some(error));
                }
            }
        }
    }
    (frames, None)
}

fn survives(frame: &Frame) {
    let bytes = frame.encode();
    assert!(bytes.len() <= 4 + FRAME_BYTES_MAX, "a frame over the limit was accepted");
    let (again, error) = decode(&[&bytes]);
    assert_eq!((again, error), (vec![frame.clone()], None), "a frame does not survive its bytes");
    assert_eq!(again_bytes(&bytes), bytes);
}

fn again_bytes(bytes: &[u8]) -> Vec<u8> {
    decode(&[bytes]).0.iter().flat_map(Frame::encode).collect()
}
