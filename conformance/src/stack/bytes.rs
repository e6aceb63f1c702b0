//! Reading and writing drawn layouts (CNV-02 to CNV-05).

use super::{Taken, decode};

/// Reads a layout from its front.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Reader<'a> {
    /// Begins at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, whole: bytes.len() }
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// `decode` when there are fewer.
    pub fn take(&mut self, length: usize) -> Taken<&'a [u8]> {
        let (head, rest) =
            self.rest.split_at_checked(length).ok_or_else(|| decode("the bytes end early"))?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// `decode` when there are fewer.
    pub fn array<const N: usize>(&mut self) -> Taken<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("just taken with this length"))
    }

    /// A `u8`.
    ///
    /// # Errors
    /// `decode` when the bytes end before.
    pub fn u8(&mut self) -> Taken<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// A `u16`.
    ///
    /// # Errors
    /// `decode` when the bytes end before.
    pub fn u16(&mut self) -> Taken<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A `u32`.
    ///
    /// # Errors
    /// `decode` when the bytes end before.
    pub fn u32(&mut self) -> Taken<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A `u64`.
    ///
    /// # Errors
    /// `decode` when the bytes end before.
    pub fn u64(&mut self) -> Taken<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A length or count with its limit, judged before anything follows it.
    ///
    /// # Errors
    /// `decode` when it is above `most`.
    pub fn bounded(value: usize, most: usize) -> Taken<usize> {
        if value > most {
            return Err(decode("a length or count is over its limit"));
        }
        Ok(value)
    }

    /// What was not read yet; it counts as read.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// How many bytes were read.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.whole - self.rest.len()
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// `decode` when something does.
    pub fn end(&self) -> Taken<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(decode("bytes stand behind the end")) }
    }
}

/// Puts parts one after the other.
#[must_use]
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// `bytes8(x)`; a longer `x` gives a length that is cut, which is the caller's fault to make.
#[must_use]
pub fn bytes8(x: &[u8]) -> Vec<u8> {
    join(&[&[x.len() as u8], x])
}

/// `bytes16(x)`; see [`bytes8`].
#[must_use]
pub fn bytes16(x: &[u8]) -> Vec<u8> {
    join(&[&(x.len() as u16).to_be_bytes(), x])
}
