//! The two messages of `Noise_NN_25519_ChaChaPoly_BLAKE2b`.

use snow::{Builder, HandshakeState};
use tortalk_keys::link_auth::Role;
use tortalk_model::entropy::{self, Entropy};
use tortalk_model::hash::label;
use tortalk_model::limits::HANDSHAKE_BYTES_MAX;
use zeroize::Zeroizing;

use crate::resolver::Resolver;
use crate::session::Cipher;

/// The protocol name of Noise.
const NOISE: &str = "Noise_NN_25519_ChaChaPoly_BLAKE2b";

/// The handshake failed; why is nobody's business.
#[derive(Debug)]
pub(crate) struct Failed;

/// A handshake in progress.
pub(crate) struct Handshake(HandshakeState);

impl Handshake {
    /// Starts with a fresh ephemeral key.
    // req: LNK-01, LNK-05
    pub(crate) fn new(role: Role, entropy: &mut dyn Entropy) -> Self {
        let ephemeral = Zeroizing::new(entropy::array(entropy));
        let params = NOISE.parse().expect("a name that snow knows");
        let builder = Builder::with_resolver(params, Box::new(Resolver::new(ephemeral)))
            .prologue(label::LINK)
            .expect("the prologue is set once");
        let state = match role {
            Role::Initiator => builder.build_initiator(),
            Role::Responder => builder.build_responder(),
        };
        Self(state.expect("the resolver has what the name asks for"))
    }

    /// Our message, with `length u16` in front.
    ///
    /// # Errors
    /// [`Failed`] when the peer's share is of low order.
    pub(crate) fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, Failed> {
        let mut out = vec![0; 2 + HANDSHAKE_BYTES_MAX];
        let len = self.0.write_message(payload, &mut out[2..]).map_err(|_| Failed)?;
        out.truncate(2 + len);
        let prefix = u16::try_from(len).expect("a handshake message is short");
        out[..2].copy_from_slice(&prefix.to_be_bytes());
        Ok(out)
    }

    /// The payload of the peer's message.
    ///
    /// # Errors
    /// [`Failed`] for everything that is not the message of an honest peer.
    pub(crate) fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, Failed> {
        let share = message.first_chunk::<32>().ok_or(Failed)?;
        // req: LNK-17
        if !is_canonical(share) && !tortalk_model::deviate!(skip_lnk_17) {
            return Err(Failed);
        }
        let mut payload = vec![0; message.len()];
        // req: LNK-19
        let len = self.0.read_message(message, &mut payload).map_err(|_| Failed)?;
        payload.truncate(len);
        Ok(payload)
    }

    /// The record ciphers and the handshake hash, after both messages.
    pub(crate) fn finish(self) -> (Cipher, [u8; 64]) {
        let hash = self.0.get_handshake_hash().try_into().expect("BLAKE2b gives 64 bytes");
        let transport = self.0.into_transport_mode().expect("both messages are through");
        (Cipher::new(transport), hash)
    }
}

/// Whether a share is the encoding that X25519 itself would give: little-endian
/// and below 2^255 − 19.
fn is_canonical(share: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = share;
    *high < 0x7f || (*high == 0x7f && (middle.iter().any(|&b| b != 0xff) || *low < 0xed))
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: LNK-17
    #[test]
    fn a_share_is_canonical_below_the_prime() {
        let mut share = [0xff; 32];
        share[31] = 0x7f;
        for (low, canonical) in [(0xec, true), (0xed, false), (0xee, false), (0xff, false)] {
            share[0] = low;
            assert_eq!(is_canonical(&share), canonical, "{low:#x}");
        }
        share[15] = 0xfe;
        assert!(is_canonical(&share));
        share[31] = 0x80;
        assert!(!is_canonical(&share));
        assert!(is_canonical(&[0; 32]) && is_canonical(&[0x7e; 32]));
    }

    #[test]
    fn the_name_is_what_the_spec_says() {
        assert_eq!(NOISE, "Noise_NN_25519_ChaChaPoly_BLAKE2b");
        assert_eq!(label::LINK, b"tortalk/v1/link\0");
    }
}
