//! The vectors of sealed cards in drops (spec/vectors/drop.json).

use orion::hazardous::aead::xchacha20poly1305::{Nonce, SecretKey, XChaCha20Poly1305};
use tortalk_keys::card::{
    Card, CardDraft, ContactPart, MailboxKind, MailboxSigner, SealingKeyEntry,
};
use tortalk_keys::{IdentitySecret, MailboxSecret};
use tortalk_model::hash::label::CARD_DROP;
use tortalk_model::{DeviceId, MailboxKey, UnixMillis};
use tortalk_seal::SealingSecret;
use tortalk_seal::card_drop::{self, CardDropError};
use tortalk_testkit::Seeded;
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};

use crate::forge::{ALICE, WEEK_1};

const ABOUT: &str = "`blob` lies in the drop of `mailbox` under the sequence `seq`; a reader \
    opens it with `read_key`. The output is the card inside.";

const READ_KEY: [u8; 32] = [0x21; 32];
const SEQ: u64 = WEEK_1;

#[test]
fn drop() {
    check("drop.json", ABOUT, vectors(), run);
}

/// What the crate makes is what the vectors' own construction makes.
#[test]
fn sealing_is_what_the_vectors_say() {
    for entries in 1..=3 {
        let card = card(SEQ, entries);
        let blob = card_drop::seal(&card, &mailbox().public(), &READ_KEY, &mut Seeded::new(1));
        let nonce = blob[1..25].try_into().expect("24 bytes");
        assert_eq!(blob, Blob { nonce, ..Blob::of(&card) }.bytes());
    }
}

fn run(vector: &Vector) -> Outcome {
    let mailbox = MailboxKey::from_bytes(vector.array("mailbox"));
    let (seq, read_key) = (vector.u64("seq"), vector.array("read_key"));
    match card_drop::open(&vector.bytes("blob"), &mailbox, seq, &read_key) {
        Ok(card) => Outcome::ok().hex("card", card.as_bytes()),
        Err(CardDropError::Length(_) | CardDropError::UnknownLayout(_)) => Verdict::Decode.into(),
        Err(CardDropError::Layout(_) | CardDropError::Card(_)) => Verdict::Decode.into(),
        Err(CardDropError::Padding | CardDropError::Sequence) => Verdict::Rule.into(),
        Err(CardDropError::Sealed) => Verdict::Seal.into(),
        Err(other) => panic!("no layer for {other:?}"),
    }
}

fn mailbox() -> MailboxSecret {
    MailboxSecret::from_seed([0x22; 32])
}

/// Alice's contact card with this many sealing keys.
fn card(seq: u64, entries: u8) -> Card {
    let device_id = DeviceId::from_bytes([0x23; 8]);
    let entry = |n: u8| SealingKeyEntry {
        device_id,
        not_before: UnixMillis(WEEK_1),
        not_after: UnixMillis(2 * WEEK_1),
        public: {
            let public = SealingSecret::from_seed([n; 32]);
            Box::new(public.public().as_bytes().try_into().expect("1,216 bytes"))
        },
    };
    let draft = CardDraft {
        device_id,
        seq,
        name: "Alice".to_owned(),
        sealing_keys: (1..=entries).map(entry).collect(),
        contact: Some(ContactPart {
            deposit_key: [0x24; 32],
            read_key: READ_KEY,
            relays: Vec::new(),
            onion: None,
        }),
        features: Vec::new(),
        ext: Vec::new(),
    };
    let intro = MailboxSecret::from_seed([0x25; 32]);
    let (contact, device) = (mailbox(), device_id);
    let signer = |kind, secret| MailboxSigner { kind, device_id: device, secret };
    let mailboxes = [signer(MailboxKind::Intro, &intro), signer(MailboxKind::Contact, &contact)];
    Card::sign(draft, &IdentitySecret::from_seed(ALICE), &mailboxes).expect("a good card")
}

/// A blob with every part in reach.
#[derive(Clone)]
struct Blob {
    layout: u8,
    nonce: [u8; 24],
    key: [u8; 32],
    mailbox: [u8; 32],
    seq: u64,
    plain: Vec<u8>,
}

impl Blob {
    fn of(card: &Card) -> Self {
        let mut plain = (card.as_bytes().len() as u16).to_be_bytes().to_vec();
        plain.extend_from_slice(card.as_bytes());
        let size = (plain.len() + 41).next_multiple_of(2048) - 41;
        plain.resize(size, 0);
        Self {
            layout: 1,
            nonce: [0x26; 24],
            key: READ_KEY,
            mailbox: *mailbox().public().as_bytes(),
            seq: card.seq(),
            plain,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let aad = [CARD_DROP, &self.mailbox, &self.seq.to_be_bytes()].concat();
        let mut sealed = vec![0; self.plain.len() + 16];
        let (key, nonce) = (SecretKey::from(self.key), Nonce::from(self.nonce));
        XChaCha20Poly1305::seal(&key, &nonce, &self.plain, Some(&aad), &mut sealed)
            .expect("a small plaintext");
        [&[self.layout], &self.nonce[..], &sealed].concat()
    }
}

fn drop_of(vector: Vector, blob: &[u8]) -> Vector {
    vector
        .hex("mailbox", mailbox().public().as_bytes())
        .number("seq", SEQ)
        .hex("read_key", READ_KEY)
        .hex("blob", blob)
}

fn good(id: &str, req: &[&str], comment: &str, card: &Card, blob: &Blob) -> Vector {
    drop_of(Vector::ok(id, req, comment), &blob.bytes()).gives_hex("card", card.as_bytes())
}

fn bad(id: &str, req: &[&str], comment: &str, verdict: Verdict, blob: &[u8]) -> Vector {
    drop_of(Vector::refused(id, req, comment, verdict), blob)
}

fn vectors() -> Vec<Vector> {
    let (decode, rule, seal) = (Verdict::Decode, Verdict::Rule, Verdict::Seal);
    let one = card(SEQ, 1);
    let blob = Blob::of(&one);
    let good_bytes = blob.bytes();
    let changed = |change: fn(&mut Blob)| {
        let mut changed = blob.clone();
        change(&mut changed);
        changed.bytes()
    };
    let mut cut = good_bytes.clone();
    cut.truncate(2047);
    let mut longer = good_bytes.clone();
    longer.push(0);
    let mut flipped = good_bytes.clone();
    flipped[2047] ^= 1;
    vec![
        good("one-key", &["RLY-53"], "2,048 bytes hold a card with one key", &one, &blob),
        {
            let card = card(SEQ, 2);
            let blob = Blob::of(&card);
            good("two-keys", &["RLY-53"], "two keys need 4,096 bytes", &card, &blob)
        },
        {
            let mut blob = blob.clone();
            blob.plain.resize(4096 - 41, 0);
            let comment = "longer than needed: the owner's fault, and no reader's concern";
            good("roomy", &["RLY-54"], comment, &one, &blob)
        },
        bad("empty", &["RLY-54"], "no byte", decode, &[]),
        bad("short", &["RLY-54"], "a byte less than 2,048", decode, &cut),
        bad("long", &["RLY-54"], "a byte more than 2,048", decode, &longer),
        bad("layout-0", &["RLY-54"], "layout 0", decode, &changed(|blob| blob.layout = 0)),
        bad("layout-2", &["RLY-54"], "layout 2", decode, &changed(|blob| blob.layout = 2)),
        bad("other-key", &["RLY-52"], "another read key", seal, &changed(|b| b.key = [1; 32])),
        bad("other-mailbox", &["RLY-52"], "sealed for another mailbox", seal, &{
            changed(|blob| blob.mailbox = [1; 32])
        }),
        bad("other-seq", &["RLY-52"], "sealed for another sequence", seal, &{
            changed(|blob| blob.seq += 1)
        }),
        bad("other-nonce", &["RLY-52"], "the nonce is another than it was sealed with", seal, &{
            let mut bytes = good_bytes.clone();
            bytes[1] ^= 1;
            bytes
        }),
        bad("tag", &["RLY-52"], "a bit of the tag is another", seal, &flipped),
        bad("padding-first", &["RLY-54"], "the first byte of the padding is 1", rule, &{
            let mut blob = blob.clone();
            blob.plain[2 + one.as_bytes().len()] = 1;
            blob.bytes()
        }),
        bad("padding-last", &["RLY-54"], "the last byte of the padding is 1", rule, &{
            changed(|blob| *blob.plain.last_mut().expect("not empty") = 1)
        }),
        bad("length-over", &["RLY-54"], "the card's length is over the end", decode, &{
            changed(|blob| blob.plain[..2].copy_from_slice(&[0xff, 0xff]))
        }),
        bad("no-card", &["RLC-19"], "what is inside is no card", decode, &{
            changed(|blob| blob.plain[2] = 9)
        }),
        bad("older-card", &["RLC-19"], "an older card under a newer sequence", rule, &{
            Blob { seq: SEQ, ..Blob::of(&card(SEQ - 1, 1)) }.bytes()
        }),
    ]
}
