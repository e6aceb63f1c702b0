//! The primitives under Noise: X25519, ChaCha20-Poly1305, BLAKE2b.
//!
//! `snow` brings its own set only with features that are off here. This one
//! refuses X25519 results to which the peer did not contribute (LNK-18), and
//! has no randomness but the 32 bytes that it was handed.

use core::cell::Cell;

use blake2::{Blake2b512, Digest as _};
use orion::hazardous::aead::chacha20poly1305::{ChaCha20Poly1305, Nonce, SecretKey};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const TAG: usize = 16;

/// Resolves the one set of primitives, with one ephemeral key's randomness.
pub(crate) struct Resolver {
    ephemeral: Zeroizing<[u8; 32]>,
    used: Cell<bool>,
}

impl Resolver {
    pub(crate) fn new(ephemeral: Zeroizing<[u8; 32]>) -> Self {
        Self { ephemeral, used: Cell::new(false) }
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        // One generator for one handshake: a second would repeat the key.
        if self.used.replace(true) {
            return None;
        }
        Some(Box::new(OneKey(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        match choice {
            DHChoice::Curve25519 => Some(Box::new(X25519::default())),
            _ => None,
        }
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        match choice {
            HashChoice::Blake2b => Some(Box::new(Blake2b(Blake2b512::new()))),
            _ => None,
        }
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        match choice {
            CipherChoice::ChaChaPoly => Some(Box::new(ChaChaPoly::default())),
            _ => None,
        }
    }
}

/// Gives its 32 bytes once.
struct OneKey(Option<Zeroizing<[u8; 32]>>);

impl Random for OneKey {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        let bytes = self.0.take().ok_or(Error::Rng)?;
        if dest.len() != bytes.len() {
            return Err(Error::Rng);
        }
        dest.copy_from_slice(&bytes[..]);
        Ok(())
    }
}

/// X25519 (RFC 7748) that refuses an all-zero result.
struct X25519 {
    secret: StaticSecret,
    public: [u8; 32],
}

impl Default for X25519 {
    fn default() -> Self {
        Self { secret: StaticSecret::from([0; 32]), public: [0; 32] }
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, privkey: &[u8]) {
        let bytes: [u8; 32] = privkey.try_into().expect("snow keeps the length of private keys");
        self.secret = StaticSecret::from(bytes);
        #[cfg(fuzzing)]
        if crate::fuzzing::IS_ON {
            self.public = crate::fuzzing::share(bytes);
            return;
        }
        self.public = PublicKey::from(&self.secret).to_bytes();
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(&mut bytes[..])?;
        self.set(&bytes[..]);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public: [u8; 32] =
            pubkey.get(..32).and_then(|key| key.try_into().ok()).ok_or(Error::Dh)?;
        #[cfg(fuzzing)]
        if crate::fuzzing::IS_ON {
            out[..32].copy_from_slice(&crate::fuzzing::shared(*self.secret.as_bytes(), public));
            return Ok(());
        }
        let shared = self.secret.diffie_hellman(&PublicKey::from(public));
        // req: LNK-18
        if !shared.was_contributory() && !tortalk_model::deviate!(skip_lnk_18) {
            return Err(Error::Dh);
        }
        out[..32].copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

/// BLAKE2b with 64 bytes, as Noise names it.
struct Blake2b(Blake2b512);

impl Hash for Blake2b {
    fn name(&self) -> &'static str {
        "BLAKE2b"
    }

    fn block_len(&self) -> usize {
        128
    }

    fn hash_len(&self) -> usize {
        64
    }

    fn reset(&mut self) {
        self.0 = Blake2b512::new();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..64].copy_from_slice(&self.0.finalize_reset());
    }
}

/// ChaCha20-Poly1305 (RFC 8439); the nonce is four zero bytes and then the
/// counter in little-endian order, as Noise has it.
#[derive(Default)]
struct ChaChaPoly(Zeroizing<[u8; 32]>);

impl ChaChaPoly {
    fn key(&self) -> SecretKey {
        SecretKey::from(*self.0)
    }

    fn nonce(counter: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&counter.to_le_bytes());
        Nonce::from(nonce)
    }
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        *self.0 = *key;
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let len = plaintext.len() + TAG;
        #[cfg(fuzzing)]
        if crate::fuzzing::IS_ON {
            crate::fuzzing::encrypt(plaintext, &mut out[..len]);
            return len;
        }
        let (key, nonce) = (self.key(), Self::nonce(nonce));
        ChaCha20Poly1305::seal(&key, &nonce, plaintext, Some(authtext), &mut out[..len])
            .expect("Noise messages are far below the limits of the cipher");
        len
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let len = ciphertext.len().checked_sub(TAG).ok_or(Error::Decrypt)?;
        let out = out.get_mut(..len).ok_or(Error::Decrypt)?;
        #[cfg(fuzzing)]
        if crate::fuzzing::IS_ON {
            crate::fuzzing::decrypt(ciphertext, out);
            return Ok(len);
        }
        let (key, nonce) = (self.key(), Self::nonce(nonce));
        ChaCha20Poly1305::open(&key, &nonce, ciphertext, Some(authtext), out)
            .map_err(|_| Error::Decrypt)?;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_randomness_is_used_once() {
        let resolver = Resolver::new(Zeroizing::new([7; 32]));
        let mut rng = resolver.resolve_rng().expect("the first generator");
        let mut key = X25519::default();
        assert_eq!(key.generate(&mut *rng), Ok(()));
        assert_eq!(key.privkey(), [7; 32]);
        assert_eq!(key.generate(&mut *rng), Err(Error::Rng));
        assert!(resolver.resolve_rng().is_none());
    }

    #[test]
    fn a_changed_byte_does_not_decrypt() {
        let mut cipher = ChaChaPoly::default();
        cipher.set(&[1; 32]);
        let mut sealed = [0; 21];
        assert_eq!(cipher.encrypt(3, b"ad", b"hello", &mut sealed), 21);
        let mut open = [0; 5];
        assert_eq!(cipher.decrypt(3, b"ad", &sealed, &mut open), Ok(5));
        assert_eq!(&open, b"hello");
        assert_eq!(cipher.decrypt(4, b"ad", &sealed, &mut open), Err(Error::Decrypt));
        assert_eq!(cipher.decrypt(3, b"da", &sealed, &mut open), Err(Error::Decrypt));
        assert_eq!(cipher.decrypt(3, b"ad", &sealed[..15], &mut open), Err(Error::Decrypt));
        sealed[20] ^= 1;
        assert_eq!(cipher.decrypt(3, b"ad", &sealed, &mut open), Err(Error::Decrypt));
    }
}
