//! Cutting the TCP stream into messages: `length u16 ‖ message`.

/// Collects the message that is arriving. It holds at most one, and allocates
/// only for bytes that have come.
#[derive(Default)]
pub(crate) struct Inlet {
    partial: Vec<u8>,
}

impl Inlet {
    /// The length that the next message announces, as soon as it is known.
    pub(crate) fn length(&mut self, input: &mut &[u8]) -> Option<usize> {
        self.fill(2, input);
        let length = *self.partial.first_chunk::<2>()?;
        Some(u16::from_be_bytes(length).into())
    }

    /// The next message, as soon as all its `length` bytes are there.
    pub(crate) fn message(&mut self, length: usize, input: &mut &[u8]) -> Option<Vec<u8>> {
        self.fill(2 + length, input);
        if self.partial.len() < 2 + length {
            return None;
        }
        let mut message = core::mem::take(&mut self.partial);
        message.drain(..2);
        Some(message)
    }

    fn fill(&mut self, wanted: usize, input: &mut &[u8]) {
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.partial.extend_from_slice(taken);
        *input = rest;
    }
}
