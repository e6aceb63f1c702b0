//! `identity.bin`: the wrapped profile key, and the secrets under it.
//!
//! ```text
//! offset  length  field
//!      0       8  magic          "torTalk" and a zero byte
//!      8       2  version        1
//!     10       1  kdf            0 none, 1 Argon2id version 0x13
//!     11       4  memory         KiB; 0 without a kdf
//!     15       4  passes         0 without a kdf
//!     19       4  lanes          0 without a kdf
//!     23      16  salt           zeros without a kdf
//!     39      24  nonce          zeros without a kdf
//!     63      48  profile key    kdf 1: sealed, 32 + tag 16; kdf 0: in clear, 32 + zeros 16
//!    111       2  body length    177
//!    113     177  body           nonce 24, sealed 137, tag 16
//!    290      32  checksum       labelled BLAKE2b-256 over all before
//!
//! the body, opened
//!      0       1  layout         1
//!      1      32  identity       Ed25519 seed
//!     33       8  device id
//!     41      32  deposit key
//!     73      32  read key of the intro card's drop
//!    105      32  read key of the contact card's drop
//! ```
//!
//! Integers are big-endian. Sealing is that of [`tortalk_store::vault`]; the
//! wrapping key is made by Argon2id from the passphrase and its context is
//! everything in front of the nonce. **With kdf 0 the profile key stands in
//! clear**: only the file's permissions protect it then. The checksum protects
//! from nobody. It tells a damaged file from a wrong passphrase.

use tortalk_keys::IdentitySecret;
use tortalk_model::DeviceId;
use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::entropy::{self, Entropy};
use tortalk_model::hash;
use tortalk_store::vault::ProfileKey;
use zeroize::Zeroizing;

use super::Secrets;
use super::error::IdentityFault;
use super::passphrase::{Argon2Cost, Passphrase};

/// The file's name, where the settings name no other.
pub(super) const NAME: &str = "identity.bin";
/// The largest file that is read. Later versions may be longer than this one.
pub(super) const BYTES_MAX: usize = 64 * 1024;

const MAGIC: &[u8; 8] = b"torTalk\0";
const VERSION: u16 = 1;
const KDF_NONE: u8 = 0;
const KDF_ARGON2ID: u8 = 1;
/// Nonce, key and tag.
const WRAPPED_BYTES: usize = 24 + 32 + 16;
const BODY_BYTES_MAX: usize = 4096;
const BODY_LAYOUT: u8 = 1;

const CHECKSUM: &[u8] = b"tortalk/profile/identity-file\0";
const PURPOSE_WRAP: &str = "identity.bin/profile-key";
const PURPOSE_BODY: &str = "identity.bin/secrets";

/// The file's parts, with nothing opened yet.
pub(super) struct IdentityFile {
    wrap: Wrap,
    body: Vec<u8>,
}

/// How the profile key is protected.
enum Wrap {
    Clear(Zeroizing<[u8; 32]>),
    Sealed { cost: Argon2Cost, salt: [u8; 16], sealed: [u8; WRAPPED_BYTES] },
}

impl IdentityFile {
    /// A new profile's file.
    pub(super) fn new(
        key: &ProfileKey,
        secrets: &Secrets,
        passphrase: Option<&Passphrase>,
        cost: Argon2Cost,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let body = Zeroizing::new(
            Writer::with_capacity(256)
                .u8(BODY_LAYOUT)
                .raw(secrets.identity.seed())
                .raw(secrets.device_id.as_bytes())
                .raw(&*secrets.deposit_key)
                .raw(&*secrets.intro_read_key)
                .raw(&*secrets.contact_read_key)
                .into_vec(),
        );
        let body = key.seal(PURPOSE_BODY, &[], &body, entropy::array(entropy));
        Self { wrap: Wrap::new(key, passphrase, cost, entropy), body }
    }

    /// The same secrets under another passphrase.
    pub(super) fn rewrapped(
        self,
        key: &ProfileKey,
        passphrase: Option<&Passphrase>,
        cost: Argon2Cost,
        entropy: &mut dyn Entropy,
    ) -> Self {
        Self { wrap: Wrap::new(key, passphrase, cost, entropy), body: self.body }
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let header = self.wrap.header();
        let writer = Writer::with_capacity(512).raw(&header);
        let writer = match &self.wrap {
            Wrap::Clear(key) => writer.raw(&[0; 24]).raw(&**key).raw(&[0; 16]),
            Wrap::Sealed { sealed, .. } => writer.raw(sealed),
        };
        let writer = writer.bytes16(&self.body);
        let checksum = hash::labelled(CHECKSUM, &[writer.as_slice()]);
        Zeroizing::new(writer.raw(&checksum).into_vec())
    }

    /// Checks what can be checked without a passphrase.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, IdentityFault> {
        if !bytes.starts_with(MAGIC) {
            // A file that ends within the magic is one of ours, cut off.
            return Err(if MAGIC.starts_with(bytes) {
                IdentityFault::Damaged
            } else {
                IdentityFault::NotIdentity
            });
        }
        let mut reader = Reader::new(&bytes[MAGIC.len()..]);
        match reader.u16("version").map_err(damaged)? {
            VERSION => {}
            newer if newer > VERSION => return Err(IdentityFault::Newer(newer)),
            _ => return Err(IdentityFault::Damaged),
        }
        let (all, checksum) = bytes.split_last_chunk::<32>().ok_or(IdentityFault::Damaged)?;
        if hash::labelled(CHECKSUM, &[all]) != *checksum {
            return Err(IdentityFault::Damaged);
        }
        Self::read_parts(reader).map_err(damaged)?.ok_or(IdentityFault::Damaged)
    }

    fn read_parts(mut reader: Reader<'_>) -> Result<Option<Self>, LayoutError> {
        let kdf = reader.u8("kdf")?;
        let [memory, passes, lanes] =
            [reader.u32("memory")?, reader.u32("passes")?, reader.u32("lanes")?];
        let salt = reader.array::<16>("salt")?;
        let sealed = Zeroizing::new(reader.array::<WRAPPED_BYTES>("profile key")?);
        let body = reader.bytes16("body", BODY_BYTES_MAX)?.to_vec();
        reader.array::<32>("checksum")?;
        reader.finish()?;
        let wrap =
            match kdf {
                KDF_NONE => {
                    let key: &[u8; 32] = sealed[24..].first_chunk().expect("48 bytes are left");
                    Some(Wrap::Clear(Zeroizing::new(*key)))
                }
                KDF_ARGON2ID => Argon2Cost::bounded(memory, passes, lanes)
                    .map(|cost| Wrap::Sealed { cost, salt, sealed: *sealed }),
                _ => None,
            };
        Ok(wrap.map(|wrap| Self { wrap, body }))
    }

    /// The profile key.
    pub(super) fn unlock(
        &self,
        passphrase: Option<&Passphrase>,
    ) -> Result<ProfileKey, IdentityFault> {
        match (&self.wrap, passphrase) {
            (Wrap::Clear(key), _) => Ok(ProfileKey::from_bytes(**key)),
            (Wrap::Sealed { .. }, None) => Err(IdentityFault::NeedsPassphrase),
            (Wrap::Sealed { cost, salt, sealed }, Some(passphrase)) => {
                let key = cost
                    .wrapping_key(passphrase, salt)
                    .open(PURPOSE_WRAP, &self.wrap.header(), sealed)
                    .map(Zeroizing::new)
                    .map_err(|_| IdentityFault::WrongPassphrase)?;
                let key = key.first_chunk().ok_or(IdentityFault::Damaged)?;
                Ok(ProfileKey::from_bytes(*key))
            }
        }
    }

    /// The secrets under the profile key.
    pub(super) fn secrets(&self, key: &ProfileKey) -> Result<Secrets, IdentityFault> {
        let body = key
            .open(PURPOSE_BODY, &[], &self.body)
            .map(Zeroizing::new)
            .map_err(|_| IdentityFault::Damaged)?;
        let mut reader = Reader::new(&body);
        if reader.u8("layout").map_err(damaged)? != BODY_LAYOUT {
            return Err(IdentityFault::Damaged);
        }
        let mut secret = |field| reader.array::<32>(field).map(Zeroizing::new);
        let identity = secret("identity").map_err(damaged)?;
        let device_id = reader.array("device_id").map_err(damaged)?;
        let mut secret = |field| reader.array::<32>(field).map(Zeroizing::new);
        let secrets = Secrets {
            identity: IdentitySecret::from_seed(*identity),
            device_id: DeviceId::from_bytes(device_id),
            deposit_key: secret("deposit_key").map_err(damaged)?,
            intro_read_key: secret("intro_read_key").map_err(damaged)?,
            contact_read_key: secret("contact_read_key").map_err(damaged)?,
        };
        reader.finish().map_err(damaged)?;
        Ok(secrets)
    }
}

impl Wrap {
    fn new(
        key: &ProfileKey,
        passphrase: Option<&Passphrase>,
        cost: Argon2Cost,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let Some(passphrase) = passphrase else {
            return Self::Clear(Zeroizing::new(*key.as_bytes()));
        };
        let salt = entropy::array(entropy);
        let sealed = cost.wrapping_key(passphrase, &salt).seal(
            PURPOSE_WRAP,
            &header(KDF_ARGON2ID, cost, &salt),
            key.as_bytes(),
            entropy::array(entropy),
        );
        let sealed = sealed.try_into().expect("a nonce, a key and a tag have a fixed length");
        Self::Sealed { cost, salt, sealed }
    }

    fn header(&self) -> Vec<u8> {
        match self {
            Self::Clear(_) => header(KDF_NONE, Argon2Cost::NONE, &[0; 16]),
            Self::Sealed { cost, salt, .. } => header(KDF_ARGON2ID, *cost, salt),
        }
    }
}

/// Everything in front of the nonce.
fn header(kdf: u8, cost: Argon2Cost, salt: &[u8; 16]) -> Vec<u8> {
    let [memory, passes, lanes] = cost.parts();
    Writer::new()
        .raw(MAGIC)
        .u16(VERSION)
        .u8(kdf)
        .u32(memory)
        .u32(passes)
        .u32(lanes)
        .raw(salt)
        .into_vec()
}

/// A layout error inside a file is damage, wherever it is.
fn damaged(_: LayoutError) -> IdentityFault {
    IdentityFault::Damaged
}
