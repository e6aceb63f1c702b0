//! Suite 1 and the sealed message (`spec/seal.md`).

use data_encoding::BASE64;
use orion::KP;
use orion::hazardous::hash::sha3::{sha3_256::Sha3_256, shake256::Shake256};
use orion::hazardous::kdf::hkdf::{Hkdf, SHA256};
use orion::hazardous::kem::mlkem768::{Ciphertext, EncapsulationKey, KeyPair};
use orion::hazardous::kem::mlkem768::{ExplicitRandom, Seed};

use super::body::{self, Body};
use super::bytes::{Reader, join};
use super::crypto::{
    aead_open, aead_seal, hash, label, sign, valid_key, verify, x25519, x25519_public,
};
use super::envelope::{BUCKETS, Envelope, purge_hash};
use super::{Class, Refused, Taken, decode, rule, sealed, unsigned};

/// Bytes of a sealing key's public half.
pub const PUBLIC_LEN: usize = 1216;
/// Bytes of an encapsulation.
pub const ENC_LEN: usize = 1120;
const CT_M: usize = 1088;
const SUITE_ID: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";

/// Both halves of a sealing key.
#[derive(Debug)]
pub struct SealingKey {
    pair: KeyPair,
    x_secret: [u8; 32],
    /// What cards show.
    pub public: Vec<u8>,
}

impl SealingKey {
    /// From a seed of 32 bytes.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        let mut expanded = [0; 96];
        let mut shake = Shake256::new();
        shake.absorb(seed).expect("nothing was squeezed yet");
        shake.squeeze(&mut expanded).expect("96 bytes are few");
        let (m_seed, x_secret) = expanded.split_at(64);
        let pair = KeyPair::new(Seed::try_from(m_seed).expect("64 bytes"))
            .expect("every seed makes a pair");
        let x_secret = x_secret.try_into().expect("32 bytes");
        let public = join(&[pair.public().as_ref(), &x25519_public(&x_secret)]);
        Self { pair, x_secret, public }
    }

    fn decapsulate(&self, enc: &[u8]) -> Taken<[u8; 32]> {
        let fault = sealed("SEA-18: the encapsulation");
        let (ct_m, ct_x) = enc.split_at_checked(CT_M).ok_or(fault)?;
        let ct_x: [u8; 32] = ct_x.try_into().map_err(|_| fault)?;
        let ciphertext = Ciphertext::try_from(ct_m).map_err(|_| fault)?;
        let ss_m = self.pair.decap(&ciphertext).map_err(|_| fault)?;
        let ss_x = x25519(&self.x_secret, &ct_x);
        if ss_x == [0; 32] {
            return Err(sealed("SEA-05: an X25519 result of zeros"));
        }
        Ok(combine(ss_m.unprotected_as_ref(), &ss_x, &ct_x, &self.public[1184..]))
    }

    /// Opens at sequence 0.
    ///
    /// # Errors
    /// `seal` when it does not open.
    pub fn open(&self, enc: &[u8], info: &[u8], aad: &[u8], ciphertext: &[u8]) -> Taken<Vec<u8>> {
        let (key, nonce) = key_schedule(&self.decapsulate(enc)?, info);
        aead_open(&key, &nonce, aad, ciphertext)
    }
}

/// Whether bytes are a sealing key (SEA-04).
///
/// # Errors
/// `decode` for the length, `rule` for a part that is not reduced.
pub fn check_public(public: &[u8]) -> Taken<()> {
    if public.len() != PUBLIC_LEN {
        return Err(decode("SEA-04: the length of a sealing key"));
    }
    EncapsulationKey::try_from(&public[..1184]).map_err(|_| rule("SEA-04: not reduced"))?;
    Ok(())
}

fn combine(ss_m: &[u8], ss_x: &[u8], ct_x: &[u8], pk_x: &[u8]) -> [u8; 32] {
    let input = join(&[ss_m, ss_x, ct_x, pk_x, b"\\.//^\\"]);
    let digest = Sha3_256::digest(&input).expect("the input is short");
    digest.as_ref().try_into().expect("32 bytes")
}

fn labeled_extract(
    salt: &[u8],
    name: &[u8],
    ikm: &[u8],
) -> orion::hazardous::mac::hmac::sha256::Tag {
    Hkdf::<SHA256>::extract(salt, &join(&[b"HPKE-v1", SUITE_ID, name, ikm]))
        .expect("the input is short")
}

fn labeled_expand<const N: usize>(
    prk: &orion::hazardous::mac::hmac::sha256::Tag,
    name: &[u8],
    info: &[u8],
) -> [u8; N] {
    let mut out = [0; N];
    let info = join(&[&(N as u16).to_be_bytes(), b"HPKE-v1", SUITE_ID, name, info]);
    Hkdf::<SHA256>::expand(prk, Some(&info), &mut out).expect("the output is short");
    out
}

fn key_schedule(shared: &[u8; 32], info: &[u8]) -> ([u8; 32], [u8; 12]) {
    let psk_id_hash = labeled_extract(&[], b"psk_id_hash", &[]);
    let info_hash = labeled_extract(&[], b"info_hash", info);
    let context = join(&[&[0], psk_id_hash.unprotected_as_ref(), info_hash.unprotected_as_ref()]);
    let secret = labeled_extract(shared, b"secret", &[]);
    (labeled_expand(&secret, b"key", &context), labeled_expand(&secret, b"base_nonce", &context))
}

/// An encapsulation under way, each part of which can be made wrong.
#[derive(Debug, Clone)]
pub struct Encapsulation {
    /// What travels.
    pub enc: Vec<u8>,
    shared: [u8; 32],
}

impl Encapsulation {
    /// To a public key, with 64 bytes of randomness.
    ///
    /// # Errors
    /// By SEA-04; a share of low order is not looked at, so that a fault can be made of it.
    pub fn new(public: &[u8], eseed: &[u8; 64]) -> Taken<Self> {
        let e: [u8; 32] = eseed[32..].try_into().expect("half of 64");
        Self::with_share(public, eseed, &x25519_public(&e))
    }

    /// The same with another X25519 share in `enc` than the one that belongs to the secret.
    ///
    /// # Errors
    /// By SEA-04.
    pub fn with_share(public: &[u8], eseed: &[u8; 64], share: &[u8; 32]) -> Taken<Self> {
        check_public(public)?;
        let (m, e) = eseed.split_at(32);
        let key =
            EncapsulationKey::try_from(&public[..1184]).map_err(|_| rule("SEA-04: not reduced"))?;
        let m = ExplicitRandom::try_from(m).expect("32 bytes");
        let (ss_m, ct_m) = key.encap_deterministic(&m).map_err(|_| rule("SEA-04: no key"))?;
        let pk_x: [u8; 32] = public[1184..].try_into().expect("its length was checked");
        let low = share != &x25519_public(&e.try_into().expect("half of 64"));
        // Whoever sends a share of low order knows that the result is zeros.
        let ss_x = if low { [0; 32] } else { x25519(&e.try_into().expect("half of 64"), &pk_x) };
        let shared = combine(ss_m.unprotected_as_ref(), &ss_x, share, &pk_x);
        Ok(Self { enc: join(&[ct_m.as_ref(), share]), shared })
    }

    /// Ciphertext and tag.
    #[must_use]
    pub fn seal(&self, info: &[u8], aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let (key, nonce) = key_schedule(&self.shared, info);
        aead_seal(&key, &nonce, aad, plain)
    }
}

/// The signed bytes' fields, right or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // drawn in spec/seal.md
pub struct Signed {
    pub layout: u8,
    pub audience_kind: u8,
    pub audience: [u8; 32],
    pub sender: [u8; 32],
    pub device_id: [u8; 8],
    pub nonce: [u8; 16],
    pub sent_at: u64,
    pub chain_id: [u8; 8],
    pub counter: u64,
    pub body_type: u16,
    pub body: Vec<u8>,
}

impl Signed {
    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        join(&[
            &[self.layout, self.audience_kind],
            &self.audience,
            &self.sender,
            &self.device_id,
            &self.nonce,
            &self.sent_at.to_be_bytes(),
            &self.chain_id,
            &self.counter.to_be_bytes(),
            &self.body_type.to_be_bytes(),
            &self.body,
        ])
    }

    /// Reads the fields; nothing is judged but the layout (SEA-23).
    ///
    /// # Errors
    /// `decode`.
    pub fn read(bytes: &[u8]) -> Taken<Self> {
        let mut reader = Reader::new(bytes);
        let layout = reader.u8()?;
        if layout != 1 {
            return Err(decode("SEA-23: the layout of the signed bytes"));
        }
        Ok(Self {
            layout,
            audience_kind: reader.u8()?,
            audience: reader.array()?,
            sender: reader.array()?,
            device_id: reader.array()?,
            nonce: reader.array()?,
            sent_at: reader.u64()?,
            chain_id: reader.array()?,
            counter: reader.u64()?,
            body_type: reader.u16()?,
            body: reader.rest().to_vec(),
        })
    }

    /// The message's name (SEA-11).
    #[must_use]
    pub fn message_id(&self) -> [u8; 32] {
        let (sender, audience) = (BASE64.encode(&self.sender), BASE64.encode(&self.audience));
        super::crypto::blake2b_256(&[sender.as_bytes(), b"|", audience.as_bytes(), &self.nonce])
    }
}

/// The hash that receipts name (SEA-12).
#[must_use]
pub fn signed_hash(signed: &[u8]) -> [u8; 32] {
    hash("signed-hash", &[signed])
}

/// The sender's signature (SEA-10).
#[must_use]
pub fn sign_message(seed: &[u8; 32], signed: &[u8]) -> [u8; 64] {
    sign(seed, "sign/message", &[signed])
}

/// The plaintext of the seal: the smallest bucket that holds it, filled with zeros.
#[must_use]
pub fn plaintext(purge_key: &[u8; 32], signed: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let length = (signed.len() as u32).to_be_bytes();
    let mut plain = join(&[purge_key, &length, signed, signature]);
    let bucket = BUCKETS.iter().find(|bucket| **bucket >= plain.len());
    plain.resize(bucket.copied().unwrap_or(plain.len()), 0);
    plain
}

/// The `info` of an envelope's seal (SEA-02).
#[must_use]
pub fn info(header: &[u8]) -> Vec<u8> {
    [label("seal").as_slice(), header].concat()
}

/// Seals a plaintext into an envelope whose other fields stand.
///
/// # Errors
/// By SEA-04.
pub fn seal_into(
    envelope: &mut Envelope,
    public: &[u8],
    eseed: &[u8; 64],
    plain: &[u8],
) -> Taken<()> {
    let encapsulation = Encapsulation::new(public, eseed)?;
    let pk_x: [u8; 32] = public[1184..].try_into().expect("its length was checked");
    let e: [u8; 32] = eseed[32..].try_into().expect("half of 64");
    if x25519(&e, &pk_x) == [0; 32] {
        return Err(rule("SEA-05: an X25519 result of zeros"));
    }
    let body = encapsulation.seal(&info(&envelope.header()), &[], plain);
    envelope.sealed = join(&[&encapsulation.enc, &body]);
    Ok(())
}

/// A message that passed every check of section 5.
#[derive(Debug, Clone)]
pub struct Opened {
    /// What lets holders forget the envelope.
    pub purge_key: [u8; 32],
    /// What was signed.
    pub signed_bytes: Vec<u8>,
    /// Its fields.
    pub signed: Signed,
    /// By the sender.
    pub signature: [u8; 64],
    /// What the body says.
    pub body: Body,
}

/// Opens as the owner of `key`, whose identity is `me`, by section 5 in its order.
///
/// # Errors
/// Of each class but `policy`.
pub fn open(envelope: &Envelope, key: &SealingKey, me: &[u8; 32]) -> Taken<Opened> {
    if envelope.suite != 1 {
        return Err(sealed("SEA-15: the suite is not known"));
    }
    if envelope.key_id != super::envelope::key_id(&key.public) {
        return Err(sealed("SEA-16: another key"));
    }
    let (enc, ciphertext) =
        envelope.sealed.split_at_checked(ENC_LEN).ok_or_else(|| sealed("SEA-18: too short"))?;
    let plain = key.open(enc, &info(&envelope.header()), &[], ciphertext)?;
    let purge_key: [u8; 32] = plain[..32].try_into().expect("a bucket is longer");
    if purge_hash(&purge_key) != envelope.purge_hash {
        return Err(rule("SEA-19: the purge key"));
    }
    let length = u32::from_be_bytes(plain[32..36].try_into().expect("a bucket is longer")) as usize;
    if length > plain.len() - 100 {
        return Err(decode("SEA-20: the length"));
    }
    let (signed_bytes, rest) = plain[36..].split_at(length);
    let (signature, padding) = rest.split_first_chunk::<64>().expect("SEA-20 left room");
    if padding.iter().any(|byte| *byte != 0) {
        return Err(rule("SEA-21: padding"));
    }
    if BUCKETS.iter().any(|bucket| *bucket >= length + 100 && *bucket < plain.len()) {
        return Err(rule("SEA-22: a smaller bucket would have done"));
    }
    let signed = Signed::read(signed_bytes)?;
    let audience = |why| Refused { class: Class::Audience, why };
    if signed.audience_kind != 0 {
        return Err(audience("SEA-24: the kind of the audience"));
    }
    if &signed.audience != me {
        return Err(audience("SEA-25: somebody else's"));
    }
    valid_key(&signed.sender).map_err(|_| unsigned("SEA-26: the sender is no key"))?;
    verify(&signed.sender, "sign/message", &[signed_bytes], signature)?;
    let body = Body::read(signed.body_type, &signed.body)?;
    if !body::visible(signed.body_type) && (signed.chain_id != [0; 8] || signed.counter != 0) {
        return Err(rule("SEA-29: a place in a chain"));
    }
    let signed_bytes = signed_bytes.to_vec();
    Ok(Opened { purge_key, signed_bytes, signed, signature: *signature, body })
}
