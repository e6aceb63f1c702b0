//! One end of a link written by hand from spec/link.md, which can also do what
//! no honest node does. It shares neither `snow` nor the resolver with the
//! machine, so that both are checked against each other.

use blake2::{Blake2b512, Digest as _};
use orion::hazardous::aead::chacha20poly1305::{ChaCha20Poly1305, Nonce, SecretKey};
use tortalk_keys::link_auth::{self, AuthClaim, LinkTranscript, Role};
use tortalk_keys::{IdentitySecret, Signature};
use tortalk_link::LinkSelf;
use tortalk_wire::{Auth, Frame};
use x25519_dalek::{PublicKey, StaticSecret};

/// An end of a link that keeps to no rule by itself.
pub struct Raw {
    pub role: Role,
    secret: StaticSecret,
    their_share: [u8; 32],
    pub hash: [u8; 64],
    chain: [u8; 64],
    send: Direction,
    receive: Direction,
    pub initiator_payload: Vec<u8>,
    pub responder_payload: Vec<u8>,
}

#[derive(Default)]
pub struct Direction {
    key: [u8; 32],
    pub counter: u64,
}

impl Raw {
    pub fn new(role: Role, ephemeral: [u8; 32]) -> Self {
        Self::with_name(role, ephemeral, "Noise_NN_25519_ChaChaPoly_BLAKE2b", b"tortalk/v1/link\0")
    }

    pub fn with_name(role: Role, ephemeral: [u8; 32], name: &str, prologue: &[u8]) -> Self {
        let mut padded = [0; 64];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        let mut raw = Self {
            role,
            secret: StaticSecret::from(ephemeral),
            their_share: [0; 32],
            hash: padded,
            chain: padded,
            send: Direction::default(),
            receive: Direction::default(),
            initiator_payload: Vec::new(),
            responder_payload: Vec::new(),
        };
        raw.mix_hash(prologue);
        raw
    }

    pub fn share(&self) -> [u8; 32] {
        PublicKey::from(&self.secret).to_bytes()
    }

    /// The first message, with its length.
    pub fn message_1(&mut self, payload: &[u8]) -> Vec<u8> {
        let share = self.share();
        self.message_1_with(share, payload)
    }

    pub fn message_1_with(&mut self, share: [u8; 32], payload: &[u8]) -> Vec<u8> {
        self.mix_hash(&share);
        self.mix_hash(payload);
        self.initiator_payload = payload.to_vec();
        prefixed(&[&share, payload].concat())
    }

    /// Reads the first message, without its length.
    pub fn read_1(&mut self, message: &[u8]) {
        self.their_share = message[..32].try_into().expect("a share");
        let payload = message[32..].to_vec();
        self.mix_hash(&message[..32]);
        self.mix_hash(&payload);
        self.initiator_payload = payload;
    }

    /// The second message, with its length.
    pub fn message_2(&mut self, payload: &[u8]) -> Vec<u8> {
        let share = self.share();
        self.message_2_with(share, payload)
    }

    pub fn message_2_with(&mut self, share: [u8; 32], payload: &[u8]) -> Vec<u8> {
        self.mix_hash(&share);
        let key = self.mix_key();
        let sealed = seal(&key, 0, &self.hash, payload);
        self.mix_hash(&sealed);
        self.responder_payload = payload.to_vec();
        self.split();
        prefixed(&[&share[..], &sealed].concat())
    }

    /// The second message of one who sent a share of low order, and so knows
    /// what the exchange gives on the other side.
    pub fn message_2_with_zero_secret(&mut self, share: [u8; 32], payload: &[u8]) -> Vec<u8> {
        self.mix_hash(&share);
        let (_, key) = hkdf(&self.chain, &[0; 32]);
        let key = key[..32].try_into().expect("32 of 64");
        prefixed(&[&share[..], &seal(&key, 0, &self.hash, payload)].concat())
    }

    /// Reads the second message, without its length.
    pub fn read_2(&mut self, message: &[u8]) -> Vec<u8> {
        self.their_share = message[..32].try_into().expect("a share");
        self.mix_hash(&message[..32]);
        let key = self.mix_key();
        let payload = open(&key, 0, &self.hash, &message[32..]).expect("the second message opens");
        self.mix_hash(&message[32..]);
        self.responder_payload = payload.clone();
        self.split();
        payload
    }

    /// A record, with its length.
    pub fn record(&mut self, plain: &[u8]) -> Vec<u8> {
        let sealed = seal(&self.send.key, self.send.counter, &[], plain);
        self.send.counter += 1;
        prefixed(&sealed)
    }

    /// The plaintext of each record in `stream`.
    pub fn read_records(&mut self, stream: &[u8]) -> Vec<Vec<u8>> {
        let mut plains = Vec::new();
        for record in messages(stream) {
            let plain = open(&self.receive.key, self.receive.counter, &[], &record);
            self.receive.counter += 1;
            plains.push(plain.expect("a record opens"));
        }
        plains
    }

    /// An honest `Auth` frame.
    pub fn auth(&self, who: &LinkSelf) -> Auth {
        self.auth_as(self.role, who, &who.identity)
    }

    /// An `Auth` frame whose signature is for `role` and by `signer`.
    pub fn auth_as(&self, role: Role, who: &LinkSelf, signer: &IdentitySecret) -> Auth {
        let claim = AuthClaim {
            identity: who.identity.public(),
            device_id: who.device_id,
            instance_id: who.instance_id,
        };
        let signature = link_auth::sign(signer, role, &claim, &self.transcript());
        Auth {
            identity: claim.identity,
            device_id: claim.device_id,
            instance_id: claim.instance_id,
            version: 1,
            signature: *signature.as_bytes(),
        }
    }

    pub fn auth_record(&mut self, who: &LinkSelf) -> Vec<u8> {
        let auth = Frame::Auth(self.auth(who)).encode();
        self.record(&auth)
    }

    /// Whether `auth` is a true one of the other end.
    pub fn accepts(&self, auth: &Auth) -> bool {
        let claim = AuthClaim {
            identity: auth.identity,
            device_id: auth.device_id,
            instance_id: auth.instance_id,
        };
        let signature = Signature::from_bytes(auth.signature);
        link_auth::verify(self.role.other(), &claim, &self.transcript(), &signature).is_ok()
    }

    fn transcript(&self) -> LinkTranscript<'_> {
        LinkTranscript {
            initiator_payload: &self.initiator_payload,
            responder_payload: &self.responder_payload,
            handshake_hash: &self.hash,
        }
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.hash = blake2b(&[&self.hash, data]);
    }

    /// Mixes the Diffie-Hellman result in; returns the key for the payload.
    fn mix_key(&mut self) -> [u8; 32] {
        let shared = self.secret.diffie_hellman(&PublicKey::from(self.their_share));
        let (chain, key) = hkdf(&self.chain, shared.as_bytes());
        self.chain = chain;
        key[..32].try_into().expect("32 of 64")
    }

    fn split(&mut self) {
        let (first, second) = hkdf(&self.chain, &[]);
        let cut = |key: [u8; 64]| key[..32].try_into().expect("32 of 64");
        let (from_initiator, from_responder) = (cut(first), cut(second));
        (self.send.key, self.receive.key) = match self.role {
            Role::Initiator => (from_initiator, from_responder),
            Role::Responder => (from_responder, from_initiator),
        };
    }
}

/// `length u16 ‖ message`.
pub fn prefixed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a short message");
    [&length.to_be_bytes()[..], message].concat()
}

/// The messages of a stream, without their lengths.
pub fn messages(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk::<2>() {
        let (message, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        out.push(message.to_vec());
        stream = rest;
    }
    assert!(stream.is_empty(), "half a length is left over");
    out
}

fn blake2b(parts: &[&[u8]]) -> [u8; 64] {
    let mut hash = Blake2b512::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC (RFC 2104) with BLAKE2b-512, whose block has 128 bytes.
fn hmac(key: &[u8; 64], data: &[&[u8]]) -> [u8; 64] {
    let pad = |with: u8| {
        let mut block = [with; 128];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = blake2b(&[&[&pad(0x36)[..]], data].concat());
    blake2b(&[&pad(0x5c), &inner])
}

/// The two outputs of HKDF as Noise defines it.
fn hkdf(chain: &[u8; 64], input: &[u8]) -> ([u8; 64], [u8; 64]) {
    let temporary = hmac(chain, &[input]);
    let first = hmac(&temporary, &[&[1]]);
    let second = hmac(&temporary, &[&first, &[2]]);
    (first, second)
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::from(bytes)
}

fn seal(key: &[u8; 32], counter: u64, ad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plain.len() + 16];
    let key = SecretKey::from(*key);
    ChaCha20Poly1305::seal(&key, &nonce(counter), plain, Some(ad), &mut out).expect("it fits");
    out
}

fn open(key: &[u8; 32], counter: u64, ad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; sealed.len().checked_sub(16)?];
    let key = SecretKey::from(*key);
    ChaCha20Poly1305::open(&key, &nonce(counter), sealed, Some(ad), &mut out).ok()?;
    Some(out)
}
