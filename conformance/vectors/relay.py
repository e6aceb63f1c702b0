"""spec/relay.md: authorities, the four signatures, and sealed cards in drops."""

from __future__ import annotations

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
from nacl.exceptions import CryptoError

from card import read_card
from ed25519 import must_be_signed
from identity import MAILBOX_KINDS, read_relay_address
from layouts import Input, Output, Reader, Refused, label, uint

VERSIONS_MAX = 16
IDS_MAX = 256
BLOB_MAX = 8192
BLOB_LENGTHS = (2048, 4096, 6144, 8192)


def check_authority(data: bytes) -> bytes:
    """RLY-05: the bytes of an authority."""
    reader = Reader(data)
    kind, address, port = read_relay_address(reader)
    reader.end()
    return uint(kind, 1) + uint(len(address), 1) + address + uint(port, 2)


def _authority(given: Input) -> Output:
    authority = given.hex("authority")
    given.done()
    return {"again": check_authority(authority).hex()}


def _check_signed(given: Input, use: str, signed: bytes, count: int = 1, most: int = 1) -> Output:
    """The last fields of a vector, and a count whose range the layout draws."""
    key, signature = given.hex("key", 32), given.hex("signature", 64)
    given.done()
    if not 1 <= count <= most:
        raise Refused("signature", f"a count of {count} is never signed")
    must_be_signed(key, use, signed, signature)
    return None


def _relay_info(given: Input) -> Output:
    versions = given.hex("versions")
    count = len(versions) // 2
    onion, port = given.hex("onion"), given.number("onion_port")
    signed = (
        given.hex("nonce", 32) + given.hex("authority")
        + given.hex("now", 8) + given.hex("epoch", 16)
        + uint(count, 1) + versions
        + (uint(1, 1) + onion + uint(port, 2) if onion else uint(0, 1))
    )  # fmt: skip
    return _check_signed(given, "sign/relay-info", signed, count, VERSIONS_MAX)  # RLY-01


def _relay_receipt(given: Input) -> Output:
    ids = given.hex("ids")
    count = len(ids) // 32
    signed = (
        given.hex("key", 32) + given.hex("time", 8) + given.hex("store_until", 8)
        + uint(count, 2) + ids
    )  # fmt: skip
    return _check_signed(given, "sign/relay-receipt", signed, count, IDS_MAX)  # RLY-02


def _relay_pull(given: Input) -> Output:
    deposit_key = given.hex("deposit_key")
    signed = (
        given.hex("relay", 32) + given.hex("authority")
        + given.hex("challenge", 32) + given.hex("client_nonce", 32)
        + given.hex("key", 32) + given.hex("consumer", 8)
        + (uint(1, 1) + deposit_key if deposit_key else uint(0, 1))
    )  # fmt: skip
    return _check_signed(given, "sign/relay-pull", signed)  # RLY-03


def _card_drop(given: Input) -> Output:
    blob = given.hex("blob")
    count = uint(len(blob), 2)
    signed = given.hex("key", 32) + given.hex("seq", 8) + count + blob
    return _check_signed(given, "sign/card-drop", signed, len(blob), BLOB_MAX)  # RLY-04, RLY-46


PROOFS = {
    "authority": _authority,
    "relay-info": _relay_info,
    "relay-receipt": _relay_receipt,
    "relay-pull": _relay_pull,
    "card-drop": _card_drop,
}


def open_drop(blob: bytes, mailbox: bytes, seq: int, read_key: bytes) -> bytes:
    """Section 6.3: the bytes of the card in a drop."""
    if len(blob) not in BLOB_LENGTHS or blob[0] != 1:  # RLY-54
        raise Refused("decode", f"a blob of {len(blob)} bytes")
    aad = label("card-drop") + mailbox + uint(seq, 8)
    try:
        plain = decrypt(blob[25:], aad, blob[1:25], read_key)
    except CryptoError as error:  # RLY-52
        raise Refused("seal", "it does not open") from error
    reader = Reader(plain)
    card = reader.counted(2, len(plain) - 2)
    if any(reader.rest()):  # RLY-54
        raise Refused("rule", "padding that is not zero")
    return card


def run_drop(given: Input) -> Output:
    """drop.json."""
    blob, seq = given.hex("blob"), given.number("seq")
    mailbox, read_key = given.hex("mailbox", 32), given.hex("read_key", 32)
    identity, kind = given.hex("identity", 32), given.one_of("kind", MAILBOX_KINDS)
    given.done()
    data = open_drop(blob, mailbox, seq, read_key)
    card = read_card(data)
    if (card.identity, card.kind, card.seq) != (identity, kind, seq):  # RLC-19
        raise Refused("rule", "another card than the one that is looked for")
    return {"card": data.hex()}
