//! Sealing by orion's HPKE and byte concatenation alone, without the crate's own
//! code: whoever sealed these envelopes does what the crate would never do.

use orion::KP;
use orion::hazardous::hpke::{MLKEM768_X25519_SHA256_CHACHA20, ModeBase};
use orion::hazardous::kem::xwing;
use tortalk_keys::{IdentitySecret, message};
use tortalk_model::bytes::Writer;
use tortalk_model::envelope::{key_id, purge_hash};
use tortalk_model::hash::label;
use tortalk_model::{Envelope, EnvelopeHeader, IdentityKey, MailboxKey, PurgeKey, UnixMillis};

/// The suite.
pub(crate) type Hpke = ModeBase<MLKEM768_X25519_SHA256_CHACHA20>;

pub(crate) const ALICE: [u8; 32] = [1; 32];
pub(crate) const BOB: [u8; 32] = [2; 32];
pub(crate) const CAROL: [u8; 32] = [3; 32];
pub(crate) const BOBS_KEY: [u8; 32] = [4; 32];
pub(crate) const CAROLS_KEY: [u8; 32] = [5; 32];
pub(crate) const ESEED: [u8; 64] = [13; 64];
pub(crate) const WEEK_1: u64 = 168 * 3_600_000;

pub(crate) fn pair(seed: [u8; 32]) -> xwing::KeyPair {
    xwing::KeyPair::try_from(&xwing::DecapsulationKey::from(seed)).expect("a seed")
}

pub(crate) fn identity(seed: [u8; 32]) -> IdentityKey {
    IdentitySecret::from_seed(seed).public()
}

pub(crate) fn info(header: &[u8]) -> Vec<u8> {
    [label::SEAL, header].concat()
}

pub(crate) fn hpke_seal(
    to: &xwing::EncapsulationKey,
    info: &[u8],
    plaintext: &[u8],
    eseed: [u8; 64],
) -> (Vec<u8>, Vec<u8>) {
    let (mut hpke, enc) =
        Hpke::new_sender_deterministic(to, info, xwing::Eseed::from(eseed)).expect("a good key");
    let mut ciphertext = vec![0; plaintext.len() + 16];
    hpke.seal(plaintext, &[], &mut ciphertext).expect("the first sequence");
    (enc.as_ref().to_vec(), ciphertext)
}

/// The signed bytes of a message of Alice's to Bob, every field in reach.
pub(crate) struct Signed {
    pub(crate) layout: u8,
    pub(crate) audience_kind: u8,
    pub(crate) audience: [u8; 32],
    pub(crate) sender: [u8; 32],
    pub(crate) chain_id: [u8; 8],
    pub(crate) counter: u64,
    pub(crate) body_type: u16,
    pub(crate) body: Vec<u8>,
}

impl Signed {
    pub(crate) fn text() -> Self {
        Self {
            layout: 1,
            audience_kind: 0,
            audience: *identity(BOB).as_bytes(),
            sender: *identity(ALICE).as_bytes(),
            chain_id: [10; 8],
            counter: 11,
            body_type: 1,
            body: b"hello".to_vec(),
        }
    }

    pub(crate) fn hidden(body_type: u16, body: Vec<u8>) -> Self {
        Self { chain_id: [0; 8], counter: 0, body_type, body, ..Self::text() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        Writer::new()
            .u8(self.layout)
            .u8(self.audience_kind)
            .raw(&self.audience)
            .raw(&self.sender)
            .raw(&[7; 8])
            .raw(&[8; 16])
            .u64(1_700_000_000_000)
            .raw(&self.chain_id)
            .u64(self.counter)
            .u16(self.body_type)
            .raw(&self.body)
            .into_vec()
    }

    /// Sealed to Bob with Alice's signature over whatever the fields say.
    pub(crate) fn sealed(&self) -> Forge {
        Forge::of(self.bytes())
    }
}

/// A sealing that does what it is told.
pub(crate) struct Forge {
    pub(crate) header: EnvelopeHeader,
    pub(crate) purge_key: [u8; 32],
    pub(crate) length: Option<u32>,
    pub(crate) signed: Vec<u8>,
    pub(crate) signature: [u8; 64],
    pub(crate) padding: Vec<u8>,
    pub(crate) to: [u8; 32],
}

impl Forge {
    pub(crate) fn of(signed: Vec<u8>) -> Self {
        let filled = 36 + signed.len() + 64;
        let bucket = filled.next_power_of_two().max(256);
        Self {
            header: EnvelopeHeader {
                suite: 1,
                mailbox: MailboxKey::from_bytes([6; 32]),
                key_id: key_id(pair(BOBS_KEY).public().as_ref()),
                expires_at: UnixMillis(WEEK_1),
                purge_hash: purge_hash(&PurgeKey::from_bytes([12; 32])),
                ext: Vec::new(),
            },
            purge_key: [12; 32],
            length: None,
            signature: *message::sign(&IdentitySecret::from_seed(ALICE), &signed).as_bytes(),
            signed,
            padding: vec![0; bucket - filled],
            to: BOBS_KEY,
        }
    }

    pub(crate) fn envelope(&self) -> Envelope {
        let plaintext = Writer::new()
            .raw(&self.purge_key)
            .u32(self.length.unwrap_or(self.signed.len() as u32))
            .raw(&self.signed)
            .raw(&self.signature)
            .raw(&self.padding)
            .into_vec();
        let info = info(&self.header.to_bytes());
        let (enc, ciphertext) = hpke_seal(pair(self.to).public(), &info, &plaintext, ESEED);
        Envelope::build(&self.header, &[enc, ciphertext].concat()).expect("well-formed")
    }
}
