//! The tour's text, step by step.

mod summary;

use tortalk_model::Envelope;
use tortalk_seal::SignedMessage;
use tortalk_wire::Frame;

use crate::cast::{self, Journey, TAKEN_AT, TEXT};
use crate::dump::{Dump, grouped, hex};

/// The whole document.
pub(crate) fn tell() -> String {
    let journey = cast::travel();
    [
        opening(&journey),
        signed(&journey),
        plaintext(&journey),
        envelope(&journey),
        link(&journey),
        frame(&journey),
        record(&journey),
        arrival(&journey),
        ack(&journey),
        receipt(&journey),
        summary::states(&journey),
        summary::sizes(&journey),
        summary::observers(),
    ]
    .join("\n")
}

fn opening(journey: &Journey) -> String {
    let Journey { alice, bob, .. } = journey;
    let rows: String = [("Alice", alice), ("Bob", bob)]
        .map(|(name, person)| {
            format!(
                "| {name} | `{}` | `{}` | `{}` |\n",
                hex(person.key().as_bytes()),
                hex(person.mailbox.public().as_bytes()),
                hex(person.sealing.key_id().as_bytes()),
            )
        })
        .concat();
    format!(
        "# One message through every layer

Alice writes to Bob. Both are on one network, and each has accepted the other. This page shows
the bytes that come to be, from the text to the word *delivered* on Alice's screen: what each
layer adds, and what it is for. The [specification](../spec/README.md) is what counts; each step
names its place there.

The bytes are real. `cargo xtask tour` makes this page with the same crates that the programs use,
from keys and random bytes that are fixed, so that it is the same each time; `cargo xtask tour
--check` fails when the code makes something else. **The keys are public: use them for nothing.**

| person | identity key | mailbox key | `key_id` of the sealing key |
|---|---|---|---|
{rows}
An identity key *is* the person. A mailbox key is the only name that an envelope shows. Messages
are sealed to the sealing key, which changes every week. Alice has Bob's three keys from his card
([identity.md, section 6](../spec/identity.md#6-card)).

Integers are big-endian. In the drawings the first column is an offset; long fields are cut.

## 1. The text

```text
{TEXT}
```

{} bytes of UTF-8. That is the whole body of a message of type 1
([seal.md, section 1](../spec/seal.md#1-objects)).
",
        TEXT.len()
    )
}

/// The fields of signed bytes, layout 1.
fn draw_signed(message: &SignedMessage, of: &str, body: &str) -> String {
    let fields = message.fields();
    let len = message.bytes().len() - 116;
    Dump::new(message.bytes())
        .is(&[1], "layout: 1")
        .is(&[0], "audience_kind: a person")
        .is(fields.audience.as_bytes(), "audience: whom it is for")
        .is(fields.sender.as_bytes(), &format!("sender: {of}"))
        .is(fields.device_id.as_bytes(), "device_id: the writer's device")
        .is(fields.nonce.as_bytes(), "nonce: random")
        .is(&fields.sent_at.0.to_be_bytes(), &format!("sent_at: {} ms", fields.sent_at.0))
        .is(fields.chain_id.as_bytes(), "chain_id: the sequence it is part of")
        .is(&fields.counter.to_be_bytes(), &format!("counter: {}", fields.counter))
        .is(&fields.body.body_type().0.to_be_bytes(), "body_type")
        .field(len, body)
        .finish()
}

fn signed(journey: &Journey) -> String {
    let message = &journey.message;
    format!(
        "## 2. Signed bytes

Alice's node puts the text into a drawn layout and signs it
([seal.md, section 1](../spec/seal.md#1-objects), SEA-07 to SEA-10):

{}
The *audience* is part of what is signed. Without it Bob could seal Alice's words again, to Carol,
as if Alice had written to her. `sent_at` is only what Alice's clock claims. With the chain and its
counter Bob notices that a message is missing.

From these bytes follow three values that travel nowhere as they are, or inside the seal only:

| value | bytes |
|---|---|
| signature of the label `sign/message` and the signed bytes | `{}` |
| `message_id`: the name of the message, for ever | `{}` |
| `signed_hash`: what a receipt has to name as well | `{}` |

The three are stored with the message before anything is sent. Alice's program shows **{}**.
",
        draw_signed(message, "Alice", "body: the text"),
        hex(message.signature().as_bytes()),
        hex(message.message_id().as_bytes()),
        hex(message.signed_hash().as_bytes()),
        journey.states[0].word(),
    )
}

fn plaintext(journey: &Journey) -> String {
    let (message, sealed) = (&journey.message, &journey.sealed);
    let len = u32::try_from(message.bytes().len()).expect("a short message");
    let mut bytes = sealed.purge_key.as_bytes().to_vec();
    bytes.extend(len.to_be_bytes());
    bytes.extend(message.bytes());
    bytes.extend(message.signature().as_bytes());
    let padding = sealed.envelope.sealed().len() - 1_120 - 16 - bytes.len();
    bytes.resize(bytes.len() + padding, 0);
    let drawing = Dump::new(&bytes)
        .field(32, "purge_key: random for this sealing")
        .field(4, &format!("length: {len}"))
        .is(message.bytes(), "signed: step 2")
        .is(message.signature().as_bytes(), "signature: Alice's")
        .field(padding, "padding: zeros up to the bucket")
        .finish();
    format!(
        "## 3. What goes into the seal

Before sealing, the message is padded to the smallest of nine sizes that holds it
([seal.md, section 1](../spec/seal.md#1-objects), SEA-03 and SEA-06): here {} bytes.

{drawing}
So an onlooker learns a size class and not the length: whatever has up to {} bytes of text looks
the same. Whoever can show the *purge key* may have the envelope forgotten; until it is opened only
Alice has it.
",
        bytes.len(),
        bytes.len() - 100 - 116,
    )
}

fn draw_envelope(envelope: &Envelope) -> String {
    let header = envelope.header();
    let sealed = envelope.sealed();
    let bucket = sealed.len() - 1_120 - 16;
    Dump::new(envelope.as_bytes())
        .is(&[1], "layout: 1")
        .is(&header.suite.to_be_bytes(), "suite: 1")
        .is(header.mailbox.as_bytes(), "mailbox: whose it is")
        .is(header.key_id.as_bytes(), "key_id: which key opens it")
        .is(&header.expires_at.0.to_be_bytes(), "expires_at: a whole hour")
        .is(header.purge_hash.as_bytes(), "purge_hash: of the purge key")
        .is(&[0, 0], "ext_len: 0")
        .field(4, &format!("sealed_len: {}", grouped(sealed.len())))
        .field(1_088, "sealed: ML-KEM-768 ciphertext")
        .field(32, "sealed: X25519 share")
        .field(bucket, "sealed: step 3, encrypted")
        .field(16, "sealed: tag")
        .finish()
}

fn envelope(journey: &Journey) -> String {
    let envelope = &journey.sealed.envelope;
    format!(
        "## 4. The envelope

The seal is HPKE with a key exchange that is classical and post-quantum at once: whoever records
this today has to break both. Its `info` is the label `seal` and the envelope's header, so that
nobody can put the sealed part behind another header (SEA-01, SEA-02). The result is the one thing
that is carried, stored and forwarded ([envelope.md, section 1](../spec/envelope.md#1-objects)):

{}
Nothing here names Alice, and Bob only by a mailbox key. `expires_at` is rounded up to the hour.
`envelope_id` is no field: everybody computes it from all {} bytes (ENV-07), so nobody can claim
it for something else.

```text
envelope_id  {}
```

Sealed once more, the same message would give another envelope with another id, and the same
`message_id`: Bob shows it once (GSP-27).
",
        draw_envelope(envelope),
        grouped(envelope.as_bytes().len()),
        hex(envelope.id().as_bytes()),
    )
}

fn link(journey: &Journey) -> String {
    let [first, second, third, fourth] = &journey.handshake;
    let first_drawing = Dump::new(first)
        .field(2, "length")
        .field(32, "e: Alice's X25519 share for this connection")
        .field(3, "payload: one version, 1")
        .finish();
    let second_drawing = Dump::new(second)
        .field(2, "length")
        .field(32, "e: Bob's share")
        .field(3, "payload: encrypted already")
        .field(16, "tag")
        .finish();
    format!(
        "## 5. A link

Bob's node was found by a beacon, which says no more than \"somebody speaks torTalk at this
port\" ([discovery.md](../spec/discovery.md)). Alice's node dials. A Noise handshake without any
long-lived key comes first ([link.md, sections 1 and 2](../spec/link.md#1-objects), LNK-01):

{first_drawing}
{second_drawing}
From here on everything is encrypted. Now each end proves who it is with a signature over this
handshake: Alice first, in a record of {} bytes, then Bob, if he lets her in, in one of {} bytes
(LNK-02, LNK-08, LNK-09). Somebody who only listens learns neither of the two names; somebody in
the middle would have two handshakes, and no signature that fits both.

Not shown here: `Hello`, the proofs of mailboxes, and Bob's `Pull`, by which he says that he is
ready ([gossip.md, sections 3 and 4](../spec/gossip.md#3-what-is-exchanged-first)). Without the
proof of Bob's mailbox Alice would hand him nothing for it (GSP-35): a card cannot divert mail.
",
        third.len(),
        fourth.len(),
    )
}

fn frame(journey: &Journey) -> String {
    let bytes = journey.msg.encode();
    let envelope = journey.sealed.envelope.as_bytes();
    let drawing = Dump::new(&bytes)
        .field(4, &format!("length: {} of type and body", grouped(bytes.len() - 4)))
        .is(&[0x80, 0x22], "type: Msg")
        .is(&[0x1a], "body: field 3, bytes")
        .field(bytes.len() - 7 - envelope.len(), "body: their number, a varint")
        .is(envelope, "body: envelope, step 4")
        .finish();
    format!(
        "## 6. The frame

On the link the envelope travels in a frame of type `Msg`
([link.md, section 1](../spec/link.md#1-objects);
[gossip.md, section 4](../spec/gossip.md#4-handing-over)):

{drawing}
The body is protobuf. Two fields stand beside the envelope and are left out here, as protobuf
leaves out what is empty: `ttl` (how far it may spread) is 0 and `stamp` (which shows a relay
that a contact sent it) is empty, for this is the recipient itself (GSP-18). What is signed or
hashed is never protobuf, but bytes that it carries.
"
    )
}

fn record(journey: &Journey) -> String {
    let bytes = &journey.msg_record;
    let plain = journey.msg.encode().len();
    assert_eq!(bytes.len(), 2 + plain + 16, "one record with this frame alone");
    let drawing = Dump::new(bytes)
        .field(2, &format!("length: {}", grouped(bytes.len() - 2)))
        .field(plain, "step 6, encrypted")
        .field(16, "tag")
        .finish();
    format!(
        "## 7. The record: what is on the wire

The stream of frames is cut into records, and each is encrypted with the key of its direction and
its number ([link.md, section 1](../spec/link.md#1-objects)). This is what an onlooker on the
network sees of the message:

{drawing}
A record that is changed, repeated, left out or out of order ends the link. Records and frames need
not begin together; a frame larger than a record goes on in the next.
"
    )
}

fn arrival(journey: &Journey) -> String {
    let opened = &journey.opened;
    format!(
        "## 8. At Bob's end

Bob's node takes the layers off again and believes nothing on the way:

1. The record decrypts, the frame is a known one and within its limits (link.md, section 4).
2. The bytes are an envelope, of a known layout and suite; its id is computed anew (envelope.md,
   section 4).
3. It was not dealt with before, and `key_id` names a key that Bob holds (gossip.md, section 6).
4. It opens; the purge key inside is the one that the header commits to; the padding is zeros and no
   longer than needed (SEA-18 to SEA-22).
5. The audience is Bob, and the signature is that of the sender (SEA-25, SEA-27).
6. The sender is an accepted contact (GSP-26), and `{}…` was never stored before (GSP-27).

Then the message is written to disk, and the disk is waited for. Only after that does Bob see:

```text
{TEXT}
```
",
        &hex(opened.message_id().as_bytes())[..8],
    )
}

fn ack(journey: &Journey) -> String {
    let bytes = journey.ack.encode();
    let Frame::Ack(ack) = &journey.ack else { panic!("an Ack") };
    let drawing = Dump::new(&bytes)
        .field(4, "length")
        .is(&[0x80, 0x24], "type: Ack")
        .is(&[0x0a, 32], "body: field 1, 32 bytes")
        .is(ack.id.as_bytes(), "body: id, the envelope's")
        .is(&[0x10], "body: field 2, a number")
        .is(&[1], "body: result, STORED")
        .is(&[0x28], "body: field 5, a number")
        .field(bytes.len() - 43, &format!("body: now, {}", TAKEN_AT.0))
        .finish();
    format!(
        "## 9. The acknowledgement

{drawing}
It goes out in a record of {} bytes. An `Ack` with `STORED` means: it is on my disk (GSP-28). Alice
stores it as evidence, and her program shows **{}**. That is what is known so far: *a peer* has
the envelope. Had it been a carrier in place of Bob, the word would be the same.
",
        journey.ack_record.len(),
        journey.states[1].word(),
    )
}

fn receipt(journey: &Journey) -> String {
    let Journey { receipt, receipt_sealed, message, .. } = journey;
    let body = Dump::new(&receipt.bytes()[116..])
        .is(&[0, 1], "count: 1")
        .is(message.message_id().as_bytes(), "message_id: step 2")
        .is(message.signed_hash().as_bytes(), "signed_hash: step 2")
        .is(&[1], "kind: delivered")
        .finish();
    format!(
        "## 10. The receipt

Only Bob can say that Bob has it. His node writes a message of its own, of body type 2
([delivery.md, sections 2 and 3](../spec/delivery.md#2-receipts-what-the-recipient-owes)). Its
body:

{body}
The signed bytes around it are like those of step 2, from Bob to Alice, {} bytes in all; nobody
sees a receipt, so its chain and counter are zeros (SEA-14). It is signed, sealed to Alice's key,
and travels as an envelope of {} bytes in a record of {} bytes: to everybody in between it is an
envelope like any other of its size. The hash says that Bob has exactly these words, not only
something of that name.

Alice's node opens it, finds its own message by both values, and stores the receipt as evidence.
Now her program shows **{}**. Bob's signature stays as the proof.

If carriers or a relay hold copies of the envelope, they are shown the purge key of step 3, which
hashes to what their copy's header says, and forget it
([carrying.md, section 6](../spec/carrying.md#6-purging)).
",
        grouped(receipt.bytes().len()),
        grouped(receipt_sealed.envelope.as_bytes().len()),
        grouped(journey.receipt_record.len()),
        journey.states[2].word(),
    )
}
