//! Reading and writing the drawn byte layouts of the spec.
//!
//! Integers are big-endian and of fixed width; everything of variable length
//! has its length in front (CNV-03). A [`Reader`] never allocates more than it
//! was given and reports the field at which the bytes ran out.

/// Why bytes are not the layout that they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The bytes end inside this field.
    #[error("the bytes end inside `{0}`")]
    Truncated(&'static str),
    /// There are bytes after the last field.
    #[error("{0} bytes after the last field")]
    Trailing(usize),
    /// A length or count is over its limit.
    #[error("`{field}` is {found}, at most {limit}")]
    TooLong {
        /// The field whose length or count it is.
        field: &'static str,
        /// The value found.
        found: usize,
        /// The largest value allowed.
        limit: usize,
    },
}

/// Takes fields off the front of a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, whole: bytes }
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] when fewer are left.
    pub fn take(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], LayoutError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(LayoutError::Truncated(field))?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] when fewer are left.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], LayoutError> {
        let (head, rest) =
            self.rest.split_first_chunk::<N>().ok_or(LayoutError::Truncated(field))?;
        self.rest = rest;
        Ok(*head)
    }

    /// An 8-bit unsigned integer.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] when no byte is left.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, LayoutError> {
        Ok(u8::from_be_bytes(self.array(field)?))
    }

    /// A 16-bit big-endian unsigned integer.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] when fewer than 2 bytes are left.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, LayoutError> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    /// A 32-bit big-endian unsigned integer.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] when fewer than 4 bytes are left.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, LayoutError> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    /// A 64-bit big-endian unsigned integer.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] when fewer than 8 bytes are left.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, LayoutError> {
        Ok(u64::from_be_bytes(self.array(field)?))
    }

    /// Bytes with an 8-bit length in front.
    ///
    /// # Errors
    /// [`LayoutError::TooLong`] over `limit`, [`LayoutError::Truncated`] when
    /// the bytes end early.
    pub fn bytes8(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], LayoutError> {
        let len = usize::from(self.u8(field)?);
        self.limited(field, len, limit)
    }

    /// Bytes with a 16-bit length in front.
    ///
    /// # Errors
    /// As [`Reader::bytes8`].
    pub fn bytes16(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], LayoutError> {
        let len = usize::from(self.u16(field)?);
        self.limited(field, len, limit)
    }

    /// Bytes with a 32-bit length in front.
    ///
    /// # Errors
    /// As [`Reader::bytes8`].
    pub fn bytes32(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], LayoutError> {
        let len = self.u32(field)? as usize;
        self.limited(field, len, limit)
    }

    /// A count of 8 bits with an upper bound.
    ///
    /// # Errors
    /// As [`Reader::bytes8`].
    pub fn count8(&mut self, field: &'static str, limit: usize) -> Result<usize, LayoutError> {
        let found = usize::from(self.u8(field)?);
        // req: CNV-05
        if found > limit {
            return Err(LayoutError::TooLong { field, found, limit });
        }
        Ok(found)
    }

    /// Everything from the first byte of the layout up to here.
    pub fn consumed(&self) -> &'a [u8] {
        &self.whole[..self.whole.len() - self.rest.len()]
    }

    /// Everything that was not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Ends the layout.
    ///
    /// # Errors
    /// [`LayoutError::Trailing`] when bytes are left over.
    pub const fn finish(self) -> Result<(), LayoutError> {
        if self.rest.is_empty() { Ok(()) } else { Err(LayoutError::Trailing(self.rest.len())) }
    }

    fn limited(
        &mut self,
        field: &'static str,
        found: usize,
        limit: usize,
    ) -> Result<&'a [u8], LayoutError> {
        // req: CNV-05
        if found > limit {
            return Err(LayoutError::TooLong { field, found, limit });
        }
        self.take(field, found)
    }
}

/// Appends fields to a byte vector.
///
/// Lengths that do not fit their prefix are a bug of the caller, who checks
/// limits before building: the `bytes*` methods panic on them.
#[derive(Debug, Clone, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts empty.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Starts empty with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Appends bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends an 8-bit integer.
    #[must_use]
    pub fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    /// Appends a 16-bit big-endian integer.
    #[must_use]
    pub fn u16(self, value: u16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Appends a 32-bit big-endian integer.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Appends a 64-bit big-endian integer.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Appends bytes with an 8-bit length in front.
    ///
    /// # Panics
    /// When there are more than 255.
    #[must_use]
    pub fn bytes8(self, bytes: &[u8]) -> Self {
        let len = u8::try_from(bytes.len()).expect("the caller keeps 8-bit lengths");
        self.u8(len).raw(bytes)
    }

    /// Appends bytes with a 16-bit length in front.
    ///
    /// # Panics
    /// When there are more than 65,535.
    #[must_use]
    pub fn bytes16(self, bytes: &[u8]) -> Self {
        let len = u16::try_from(bytes.len()).expect("the caller keeps 16-bit lengths");
        self.u16(len).raw(bytes)
    }

    /// Appends bytes with a 32-bit length in front.
    ///
    /// # Panics
    /// When there are more than 4,294,967,295.
    #[must_use]
    pub fn bytes32(self, bytes: &[u8]) -> Self {
        let len = u32::try_from(bytes.len()).expect("the caller keeps 32-bit lengths");
        self.u32(len).raw(bytes)
    }

    /// What was appended.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// What was appended so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were_written() {
        let bytes = Writer::new()
            .u8(1)
            .u16(2)
            .u32(3)
            .u64(4)
            .bytes8(b"a")
            .bytes16(b"bc")
            .bytes32(b"def")
            .raw(&[9; 4])
            .into_vec();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8("a"), Ok(1));
        assert_eq!(reader.u16("b"), Ok(2));
        assert_eq!(reader.u32("c"), Ok(3));
        assert_eq!(reader.u64("d"), Ok(4));
        assert_eq!(reader.consumed().len(), 15);
        assert_eq!(reader.bytes8("e", 8), Ok(&b"a"[..]));
        assert_eq!(reader.bytes16("f", 8), Ok(&b"bc"[..]));
        assert_eq!(reader.bytes32("g", 8), Ok(&b"def"[..]));
        assert_eq!(reader.array::<4>("h"), Ok([9; 4]));
        assert_eq!(reader.finish(), Ok(()));
    }

    // req: CNV-04, CNV-05
    #[test]
    fn short_long_and_trailing_bytes_are_refused_with_the_field() {
        let mut reader = Reader::new(&[0, 0]);
        assert_eq!(reader.u32("length"), Err(LayoutError::Truncated("length")));
        let bytes = Writer::new().bytes16(&[0; 10]).into_vec();
        assert_eq!(
            Reader::new(&bytes).bytes16("name", 9),
            Err(LayoutError::TooLong { field: "name", found: 10, limit: 9 })
        );
        assert_eq!(Reader::new(&[5]).count8("n", 4).map_err(|_| ()), Err(()));
        assert_eq!(Reader::new(&[1, 2]).finish(), Err(LayoutError::Trailing(2)));
    }
}
