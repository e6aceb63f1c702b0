//! Cutting a byte stream into frames, one at a time.

use tortalk_model::limits::{FRAME_BYTES_MAX, UNKNOWN_FRAME_BYTES_MAX};

use crate::convert::{self, BodyError};
use crate::frame::{Frame, FrameType};

/// `length` and `type` in front of a frame's body.
const HEADER: usize = 6;

/// How a peer broke the framing. The link cannot go on after any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length that has no room for the type.
    #[error("a frame of {0} bytes has no room for its type")]
    TooShort(u32),
    /// A length over the limit.
    #[error("a frame of {found} bytes, at most {limit}")]
    TooLong {
        /// The length found, in bytes.
        found: u32,
        /// The limit, in bytes.
        limit: u32,
    },
    /// A critical type that this version does not know.
    #[error("frame type {0} is critical and not known")]
    UnknownCritical(FrameType),
    /// More bytes of unknown frames than a link may carry.
    #[error("too many bytes in frames that are not known")]
    UnknownBudget,
    /// A body that is not what its type says.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Cuts a byte stream into frames.
///
/// It holds at most one frame that is not yet whole, and allocates only for
/// bytes that have come. After an error it returns that error for ever.
#[derive(Debug)]
pub struct FrameDecoder {
    frame_limit: u32,
    unknown_left: usize,
    /// Header and body of the frame that is arriving.
    partial: Vec<u8>,
    /// Bytes of an unknown frame that are still to be thrown away.
    skip: usize,
    failed: Option<FrameError>,
}

impl FrameDecoder {
    /// A decoder with the limits of an authenticated link.
    pub fn new() -> Self {
        Self::with_limits(FRAME_BYTES_MAX, UNKNOWN_FRAME_BYTES_MAX)
    }

    /// A decoder with other limits: type and body of one frame, and the bytes of
    /// all unknown frames together, both at most those of [`FrameDecoder::new`].
    pub fn with_limits(frame_bytes: usize, unknown_bytes: usize) -> Self {
        Self {
            frame_limit: frame_bytes.min(FRAME_BYTES_MAX) as u32,
            unknown_left: unknown_bytes.min(UNKNOWN_FRAME_BYTES_MAX),
            partial: Vec::new(),
            skip: 0,
            failed: None,
        }
    }

    /// Takes bytes off the front of `input` until a frame is whole, or returns
    /// `None` when all are taken.
    ///
    /// # Errors
    /// [`FrameError`], in checking order: the length, the type, the body. A
    /// length or type is judged as soon as it is there, before the body is.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.advance(input);
        self.failed = result.as_ref().err().copied();
        if self.failed.is_some() {
            self.partial = Vec::new();
        }
        result
    }

    /// Whether the bytes so far end between two frames.
    pub fn is_between_frames(&self) -> bool {
        self.partial.is_empty() && self.skip == 0
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, FrameError> {
        loop {
            let skipped = self.skip.min(input.len());
            *input = &input[skipped..];
            self.skip -= skipped;

            if !self.fill(4, input) {
                return Ok(None);
            }
            let length = self.check_length()?;
            if !self.fill(HEADER, input) {
                return Ok(None);
            }
            let kind = FrameType(u16::from_be_bytes([self.partial[4], self.partial[5]]));
            if kind.name().is_none() {
                self.skip_unknown(kind, length)?;
                continue;
            }
            if !self.fill(4 + length, input) {
                return Ok(None);
            }
            let frame = convert::decode_body(kind, &self.partial[HEADER..])
                .expect("only types of the registry come this far")?;
            self.partial.clear();
            return Ok(Some(frame));
        }
    }

    /// Moves bytes until the partial frame has `wanted`; false when too few came.
    fn fill(&mut self, wanted: usize, input: &mut &[u8]) -> bool {
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.partial.extend_from_slice(taken);
        *input = rest;
        taken.len() == missing
    }

    fn check_length(&self) -> Result<usize, FrameError> {
        let [a, b, c, d] = *self.partial.first_chunk().expect("four bytes are there");
        let length = u32::from_be_bytes([a, b, c, d]);
        // req: LNK-34
        if length < 2 {
            return Err(FrameError::TooShort(length));
        }
        // req: LNK-34
        if length > self.frame_limit {
            return Err(FrameError::TooLong { found: length, limit: self.frame_limit });
        }
        Ok(length as usize)
    }

    // req: LNK-36
    fn skip_unknown(&mut self, kind: FrameType, length: usize) -> Result<(), FrameError> {
        // req: LNK-35
        if kind.is_critical() && !tortalk_model::deviate!(skip_lnk_35) {
            return Err(FrameError::UnknownCritical(kind));
        }
        // req: LNK-37
        if length + 4 > self.unknown_left && !tortalk_model::deviate!(skip_lnk_37) {
            return Err(FrameError::UnknownBudget);
        }
        self.unknown_left = self.unknown_left.saturating_sub(length + 4);
        self.skip = length - 2;
        self.partial.clear();
        Ok(())
    }
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
