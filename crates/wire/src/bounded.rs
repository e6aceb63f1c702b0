//! Bytes whose length is within fixed limits.

use core::fmt;
use core::ops::Deref;

/// Bytes of a length outside the limits of their field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} bytes where {min}..={max} are allowed")]
pub struct LengthError {
    /// The length found, in bytes.
    pub found: usize,
    /// The smallest length allowed, in bytes.
    pub min: usize,
    /// The largest length allowed, in bytes.
    pub max: usize,
}

/// `MIN..=MAX` bytes: a frame made of these can always be encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct BoundedBytes<const MIN: usize, const MAX: usize>(Vec<u8>);

impl<const MIN: usize, const MAX: usize> BoundedBytes<MIN, MAX> {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl<const MAX: usize> Default for BoundedBytes<0, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<Vec<u8>> for BoundedBytes<MIN, MAX> {
    type Error = LengthError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, LengthError> {
        let found = bytes.len();
        // req: LNK-39
        if (found < MIN || found > MAX) && !tortalk_model::deviate!(skip_lnk_39_in_bounded) {
            return Err(LengthError { found, min: MIN, max: MAX });
        }
        Ok(Self(bytes))
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<&[u8]> for BoundedBytes<MIN, MAX> {
    type Error = LengthError;

    fn try_from(bytes: &[u8]) -> Result<Self, LengthError> {
        bytes.to_vec().try_into()
    }
}

impl<const MIN: usize, const MAX: usize> Deref for BoundedBytes<MIN, MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Debug for BoundedBytes<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_the_range_hold() {
        type Two = BoundedBytes<1, 2>;
        assert_eq!(Two::try_from(vec![]), Err(LengthError { found: 0, min: 1, max: 2 }));
        assert_eq!(Two::try_from(vec![7]).map(Two::into_vec), Ok(vec![7]));
        assert!(Two::try_from(&[1, 2][..]).is_ok());
        assert!(Two::try_from(vec![0; 3]).is_err());
    }
}
