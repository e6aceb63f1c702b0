"""spec/seal.md: signed bytes, sealing, opening."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import suite1
from bodies import body_type, read_body
from ed25519 import broken_key_rule, must_be_signed, public_key, sign
from envelope import BUCKETS, HOUR_MS, envelope_id, key_id, purge_hash, read_envelope
from layouts import Input, Output, Reader, Refused, blake2b, label, labelled_hash, uint

OVERHEAD = 100
SIGNED_HEAD = 116


@dataclass
class Signed:
    """The fields of signed bytes."""

    audience: bytes
    sender: bytes
    device_id: bytes
    nonce: bytes
    sent_at: int
    chain_id: bytes
    counter: int
    body_type: int
    body: bytes

    def message_id(self) -> bytes:
        """SEA-11."""
        names = b"|".join(base64.b64encode(key) for key in (self.sender, self.audience))
        return blake2b(names + self.nonce)

    def layout(self) -> bytes:
        """SEA-07, SEA-08."""
        return (
            uint(1, 1) + uint(0, 1) + self.audience + self.sender + self.device_id + self.nonce
            + uint(self.sent_at, 8) + self.chain_id + uint(self.counter, 8)
            + uint(self.body_type, 2) + self.body
        )  # fmt: skip


def signed_hash(signed: bytes) -> bytes:
    """SEA-12."""
    return labelled_hash("signed-hash", signed)


def bucket_of(length: int) -> int:
    """SEA-06: the smallest bucket for signed bytes of this length."""
    return next(bucket for bucket in BUCKETS if bucket >= OVERHEAD + length)


def open_envelope(recipient: suite1.KeyPair, me: bytes, data: bytes) -> tuple[Signed, bytes, bytes]:
    """Section 5, in its order: the message, its signed bytes and the purge key."""
    envelope = read_envelope(data)
    if envelope.suite != 1:  # SEA-15
        raise Refused("seal", f"suite {envelope.suite}")
    if envelope.key_id != key_id(recipient.public):  # SEA-16
        raise Refused("seal", "no key of this name")
    info = label("seal") + envelope.header
    enc, ciphertext = (
        envelope.sealed[: suite1.ENCAPSULATION],
        envelope.sealed[suite1.ENCAPSULATION :],
    )
    plaintext = suite1.open_sealed(recipient, info, enc, ciphertext)  # SEA-18
    purge_key, signed, signature = _unpad(plaintext, envelope.purge_hash)
    return _check_signed(signed, signature, me), signed, purge_key


def _unpad(plaintext: bytes, commitment: bytes) -> tuple[bytes, bytes, bytes]:
    reader = Reader(plaintext)
    purge_key = reader.take(32)
    if purge_hash(purge_key) != commitment:  # SEA-19
        raise Refused("rule", "another purge key")
    length = reader.count(4, len(plaintext) - OVERHEAD)  # SEA-20
    signed, signature = reader.take(length), reader.take(64)
    if any(reader.rest()):  # SEA-21
        raise Refused("rule", "padding that is not zero")
    if bucket_of(length) != len(plaintext):  # SEA-22
        raise Refused("rule", "a smaller bucket would have done")
    return purge_key, signed, signature


def _check_signed(signed: bytes, signature: bytes, me: bytes) -> Signed:
    if len(signed) < SIGNED_HEAD or signed[0] != 1:  # SEA-23
        raise Refused("decode", "not the layout of signed bytes")
    reader = Reader(signed)
    reader.take(1)
    if (kind := reader.uint(1)) != 0:  # SEA-24
        raise Refused("audience", f"audience kind {kind}")
    message = Signed(
        audience=reader.take(32),
        sender=reader.take(32),
        device_id=reader.take(8),
        nonce=reader.take(16),
        sent_at=reader.uint(8),
        chain_id=reader.take(8),
        counter=reader.uint(8),
        body_type=reader.uint(2),
        body=reader.rest(),
    )
    if message.audience != me:  # SEA-25
        raise Refused("audience", "for somebody else")
    if rule := broken_key_rule(message.sender):  # SEA-26
        raise Refused("signature", f"the sender breaks {rule}")
    must_be_signed(message.sender, "sign/message", signed, signature)  # SEA-27
    read_body(message.body_type, message.body)  # SEA-28
    if not body_type(message.body_type).visible and (any(message.chain_id) or message.counter):
        raise Refused("rule", "a place in a chain")  # SEA-29
    return message


# sealed.json.


def _hpke_seal(given: Input) -> Output:
    recipient = suite1.KeyPair(given.hex("recipient_seed", 32))
    eseed, info, plaintext = given.hex("eseed", 64), given.hex("info"), given.hex("plaintext")
    given.done()
    enc = suite1.encapsulation(recipient, eseed)
    secret = suite1.check_encapsulation(recipient, eseed, enc)
    ciphertext = suite1.seal(secret, info, plaintext)
    if suite1.open_sealed(recipient, info, enc, ciphertext) != plaintext:
        raise suite1.Disagreement("what was sealed opens to something else")
    return {
        "public": recipient.public.hex(),
        "enc": enc.hex(),
        "ciphertext": ciphertext.hex(),
    }


def _hpke_open(given: Input) -> Output:
    recipient = suite1.KeyPair(given.hex("recipient_seed", 32))
    enc, ciphertext = given.hex("enc", suite1.ENCAPSULATION), given.hex("ciphertext")
    info, aad = given.hex("info"), given.hex("aad")
    given.done()
    return {"plaintext": suite1.open_sealed(recipient, info, enc, ciphertext, aad).hex()}


def _key(given: Input) -> Output:
    public = given.hex("public")
    given.done()
    suite1.check_public(public)
    return {"key_id": key_id(public).hex()}


def _seal(given: Input) -> Output:
    return _sealed(given, 0)


def _seal_long(given: Input) -> Output:
    made = _sealed(given, given.number("zeros"))
    return {name: made[name] for name in ("enc", "message_id", "signed_hash", "envelope_id")}


def _sealed(given: Input, zeros: int) -> dict[str, str]:
    recipient = suite1.KeyPair(given.hex("recipient_seed", 32))
    sender_seed = given.hex("sender_seed", 32)
    message = Signed(
        audience=given.hex("audience", 32),
        sender=public_key(sender_seed),
        device_id=given.hex("device_id", 8),
        nonce=given.hex("nonce", 16),
        sent_at=given.number("sent_at"),
        chain_id=given.hex("chain_id", 8),
        counter=given.number("counter"),
        body_type=given.number("body_type"),
        body=given.hex("body") + bytes(zeros),
    )
    purge_key, eseed = given.hex("purge_key", 32), given.hex("eseed", 64)
    mailbox, expires_at = given.hex("mailbox", 32), given.number("expires_at")
    given.done()
    signed = message.layout()
    signature = sign(sender_seed, "sign/message", signed)  # SEA-10
    expires_at = -(-expires_at // HOUR_MS) * HOUR_MS  # ENV-11
    header = (
        uint(1, 1) + uint(1, 2) + mailbox + key_id(recipient.public)
        + uint(expires_at, 8) + purge_hash(purge_key) + uint(0, 2)
    )  # fmt: skip
    plaintext = purge_key + uint(len(signed), 4) + signed + signature
    plaintext = plaintext.ljust(bucket_of(len(signed)), b"\0")  # SEA-06
    info = label("seal") + header
    enc = suite1.encapsulation(recipient, eseed)
    secret = suite1.check_encapsulation(recipient, eseed, enc)
    ciphertext = suite1.seal(secret, info, plaintext)
    data = header + uint(len(enc + ciphertext), 4) + enc + ciphertext
    if open_envelope(recipient, message.audience, data) != (message, signed, purge_key):
        raise suite1.Disagreement("what was sealed opens to something else")
    return {
        "key_id": key_id(recipient.public).hex(),
        "signed": signed.hex(),
        "signature": signature.hex(),
        "signed_hash": signed_hash(signed).hex(),
        "message_id": message.message_id().hex(),
        "info": info.hex(),
        "enc": enc.hex(),
        "ciphertext": ciphertext.hex(),
        "envelope_id": envelope_id(data).hex(),
    }


def _open(given: Input) -> Output:
    recipient = suite1.KeyPair(given.hex("recipient_seed", 32))
    me, data = given.hex("me", 32), given.hex("envelope")
    given.done()
    message, signed, purge_key = open_envelope(recipient, me, data)
    return {
        "message_id": message.message_id().hex(),
        "signed_hash": signed_hash(signed).hex(),
        "purge_key": purge_key.hex(),
        "sender": message.sender.hex(),
        "device_id": message.device_id.hex(),
        "sent_at": message.sent_at,
        "chain_id": message.chain_id.hex(),
        "counter": message.counter,
        "body_type": message.body_type,
        "body": message.body.hex(),
    }


OPERATIONS = {
    "hpke-seal": _hpke_seal,
    "hpke-open": _hpke_open,
    "key": _key,
    "seal": _seal,
    "seal-long": _seal_long,
    "open": _open,
}
