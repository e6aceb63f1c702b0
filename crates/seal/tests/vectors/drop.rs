//! The vectors of sealed cards in drops (spec/vectors/drop.json).

use orion::hazardous::aead::xchacha20poly1305::{Nonce, SecretKey, XChaCha20Poly1305};
use tortalk_keys::card::{
    Card, CardDraft, CardKind, ContactPart, MailboxKind, MailboxSigner, SealingKeyEntry,
};
use tortalk_keys::{IdentitySecret, MailboxSecret};
use tortalk_model::hash::label::CARD_DROP;
use tortalk_model::{DeviceId, IdentityKey, MailboxKey, UnixMillis};
use tortalk_seal::SealingSecret;
use tortalk_seal::card_drop::{self, CardDropError, Expected};
use tortalk_testkit::Seeded;
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};

use crate::forge::{ALICE, CAROL, WEEK_1, identity};

const ABOUT: &str = "`blob` lies in the drop of `mailbox`, which is of `kind`, under the sequence \
    `seq`; a reader opens it with `read_key` and looks for the card of `identity`. The card is \
    read, and its identity, kind and sequence are compared. The output is the card inside.";

const READ_KEY: [u8; 32] = [0x21; 32];
const SEQ: u64 = WEEK_1;

#[test]
fn drop() {
    check("drop.json", ABOUT, vectors(), run);
}

/// What the crate makes is what the vectors' own construction makes.
#[test]
fn sealing_is_what_the_vectors_say() {
    for entries in 1..=4 {
        let card = card(Drafted { entries, ..DRAFTED });
        let blob = card_drop::seal(&card, &mailbox().public(), &READ_KEY, &mut Seeded::new(1));
        let nonce = blob[1..25].try_into().expect("24 bytes");
        assert_eq!(blob, Blob { nonce, ..Blob::of(&card) }.bytes());
    }
}

fn run(vector: &Vector) -> Outcome {
    let read_key = vector.array("read_key");
    let expected = Expected {
        identity: IdentityKey::from_bytes(vector.array("identity")),
        kind: match vector.str("kind") {
            "intro" => CardKind::Intro,
            "contact" => CardKind::Contact,
            other => panic!("{}: kind `{other}`", vector.id),
        },
        mailbox: MailboxKey::from_bytes(vector.array("mailbox")),
        seq: vector.u64("seq"),
        read_key: &read_key,
    };
    match card_drop::open(&vector.bytes("blob"), &expected) {
        Ok(card) => Outcome::ok().hex("card", card.as_bytes()),
        Err(CardDropError::Length(_) | CardDropError::UnknownLayout(_)) => Verdict::Decode.into(),
        Err(CardDropError::Layout(_) | CardDropError::Card(_)) => Verdict::Decode.into(),
        Err(
            CardDropError::Padding
            | CardDropError::Identity
            | CardDropError::Kind
            | CardDropError::Sequence,
        ) => Verdict::Rule.into(),
        Err(CardDropError::Sealed) => Verdict::Seal.into(),
        Err(other) => panic!("no layer for {other:?}"),
    }
}

fn mailbox() -> MailboxSecret {
    MailboxSecret::from_seed([0x22; 32])
}

/// A card to be made.
#[derive(Clone, Copy)]
struct Drafted {
    signer: [u8; 32],
    kind: CardKind,
    seq: u64,
    /// How many sealing keys.
    entries: u8,
    /// How many bytes of extension.
    ext: usize,
}

/// Alice's contact card.
const DRAFTED: Drafted =
    Drafted { signer: ALICE, kind: CardKind::Contact, seq: SEQ, entries: 1, ext: 0 };

fn card(drafted: Drafted) -> Card {
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
    let contact = ContactPart {
        deposit_key: [0x24; 32],
        read_key: READ_KEY,
        relays: Vec::new(),
        onion: None,
    };
    let draft = CardDraft {
        device_id,
        seq: drafted.seq,
        name: "Alice".to_owned(),
        sealing_keys: (1..=drafted.entries).map(entry).collect(),
        contact: (drafted.kind == CardKind::Contact).then_some(contact),
        features: Vec::new(),
        ext: vec![0x27; drafted.ext],
    };
    let intro = MailboxSecret::from_seed([0x25; 32]);
    let (contact, device) = (mailbox(), device_id);
    let signer = |kind, secret| MailboxSigner { kind, device_id: device, secret };
    let mailboxes = [signer(MailboxKind::Intro, &intro), signer(MailboxKind::Contact, &contact)];
    let shown = if drafted.kind == CardKind::Contact { 2 } else { 1 };
    let identity = IdentitySecret::from_seed(drafted.signer);
    Card::sign(draft, &identity, &mailboxes[..shown]).expect("a good card")
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
        .hex("identity", identity(ALICE).as_bytes())
        .text("kind", "contact")
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
    let one = card(DRAFTED);
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
            let card = card(Drafted { entries: 2, ..DRAFTED });
            let blob = Blob::of(&card);
            good("two-keys", &["RLY-53"], "two keys need 4,096 bytes", &card, &blob)
        },
        {
            let card = card(Drafted { entries: 4, ..DRAFTED });
            let blob = Blob::of(&card);
            assert_eq!(blob.bytes().len(), 6144);
            good("four-keys", &["RLY-53", "RLY-54"], "four keys need 6,144 bytes", &card, &blob)
        },
        {
            let card = card(Drafted { entries: 4, ext: 1024, ..DRAFTED });
            let blob = Blob::of(&card);
            assert_eq!(blob.bytes().len(), 8192);
            let comment = "four keys and the longest extension need 8,192 bytes";
            good("longest", &["RLY-53", "RLY-54"], comment, &card, &blob)
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
            Blob { seq: SEQ, ..Blob::of(&card(Drafted { seq: SEQ - 1, ..DRAFTED })) }.bytes()
        }),
        bad("newer-card", &["RLC-19"], "a newer card under an older sequence", rule, &{
            Blob { seq: SEQ, ..Blob::of(&card(Drafted { seq: SEQ + 1, ..DRAFTED })) }.bytes()
        }),
        bad("other-identity", &["RLC-19"], "somebody else's card", rule, &{
            Blob::of(&card(Drafted { signer: CAROL, ..DRAFTED })).bytes()
        }),
        bad("other-kind", &["RLC-19"], "the intro card in the contact mailbox's drop", rule, &{
            Blob::of(&card(Drafted { kind: CardKind::Intro, ..DRAFTED })).bytes()
        }),
    ]
}
