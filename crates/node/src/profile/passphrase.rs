//! What a person types, and how a key is made of it.

use argon2::{Algorithm, Argon2, Params, Version};
use tortalk_store::vault::ProfileKey;
use zeroize::Zeroizing;

/// Memory that a file may ask for: 1 GiB.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// Memory with which a guess would cost nothing.
const MEMORY_KIB_MIN: u32 = 8;
/// Passes that a file may ask for.
const PASSES_MAX: u32 = 64;
/// Lanes that a file may ask for.
const LANES_MAX: u32 = 16;

/// A passphrase. It is wiped when dropped and shows nothing.
///
/// Its bytes are taken as they are typed: whoever writes an accent in another
/// way has another passphrase.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// `None` for an empty text: that would protect nothing.
    pub fn new(text: String) -> Option<Self> {
        let text = Zeroizing::new(text);
        (!text.is_empty()).then_some(Self(text))
    }
}

/// How dear each guess of a passphrase is (Argon2id, RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Argon2Cost {
    /// 128 MiB, 4 passes, 1 lane: about half a second on a slow laptop.
    pub const DEFAULT: Self = Self { memory_kib: 128 * 1024, passes: 4, lanes: 1 };
    /// As little as is accepted at all. **For tests only.**
    pub const FOR_TESTS: Self = Self { memory_kib: MEMORY_KIB_MIN, passes: 1, lanes: 1 };
    /// What stands in a file without a passphrase.
    pub(super) const NONE: Self = Self { memory_kib: 0, passes: 0, lanes: 0 };

    /// A cost from a file, if it is within bounds.
    pub(super) const fn bounded(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let memory = memory_kib <= MEMORY_KIB_MAX && memory_kib >= MEMORY_KIB_MIN;
        let passes_hold = passes >= 1 && passes <= PASSES_MAX;
        let lanes_hold = lanes >= 1 && lanes <= LANES_MAX && memory_kib / 8 >= lanes;
        if memory && passes_hold && lanes_hold {
            Some(Self { memory_kib, passes, lanes })
        } else {
            None
        }
    }

    /// Memory in KiB, passes, lanes.
    pub(super) const fn parts(self) -> [u32; 3] {
        [self.memory_kib, self.passes, self.lanes]
    }

    /// The key that wraps the profile key.
    pub(super) fn wrapping_key(self, passphrase: &Passphrase, salt: &[u8; 16]) -> ProfileKey {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .expect("costs are bounded when they are made");
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.0.as_bytes(), salt, &mut *key)
            .expect("salt and output have allowed lengths");
        ProfileKey::from_bytes(*key)
    }
}
