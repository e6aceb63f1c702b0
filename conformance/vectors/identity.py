"""spec/identity.md: keys, what is signed, stamps, safety numbers, invites."""

from __future__ import annotations

import re
from typing import Any

from ed25519 import broken_key_rule, must_be_signed
from layouts import (
    Input,
    Output,
    Reader,
    Refused,
    blake2b,
    keyed_hash,
    labelled_hash,
    uint,
)

ROLES = {"initiator": 0, "responder": 1}
MAILBOX_KINDS = {"intro": 0, "contact": 1}

RELAY_HOST, RELAY_ONION = 1, 2
HOST = re.compile(rb"[a-z0-9.:-]{1,64}")

INVITE_TEXT_MAX = 4096
INVITE_MAX = 250
SCHEME = "mesh:"
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
# The Unicode property White_Space; `str.isspace` has U+001C to U+001F besides.
WHITE_SPACE = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# Only these letters have two cases here: `str.lower` maps U+212A to `k`.
LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def check_key(key: bytes) -> None:
    """IDN-01."""
    if rule := broken_key_rule(key):
        raise Refused("rule", f"key {key.hex()} breaks {rule}")


# What is signed (section 2).


def check_mailbox_owner(mailbox: bytes, identity: bytes, kind: int, signature: bytes) -> None:
    """IDN-06."""
    must_be_signed(mailbox, "sign/mailbox-owner", identity + uint(kind, 1), signature)


def link_auth_bytes(
    role: int,
    identity: bytes,
    device_id: bytes,
    instance_id: bytes,
    payloads: tuple[bytes, bytes],
    handshake_hash: bytes,
) -> bytes:
    """What a link authentication signs, behind the label (IDN-03)."""
    initiator, responder = payloads
    return (
        uint(role, 1) + identity + device_id + instance_id
        + uint(len(initiator), 2) + initiator
        + uint(len(responder), 2) + responder
        + handshake_hash
    )  # fmt: skip


def mailbox_proof_bytes(role: int, handshake_hash: bytes) -> bytes:
    """What a mailbox proof signs, behind the label (IDN-04)."""
    return uint(role, 1) + handshake_hash


# Formulas (sections 3 and 4).


def stamp(deposit_key: bytes, envelope_id: bytes) -> bytes:
    """IDN-07."""
    return keyed_hash(deposit_key, "stamp", envelope_id)[:16]


def safety_number(a: bytes, b: bytes) -> str:
    """IDN-10."""
    low, high = sorted((a, b))
    h = b"".join(labelled_hash("safety-number", part, low, high) for part in (b"\0", b"\1"))
    groups = (int.from_bytes(h[5 * i : 5 * i + 5], "big") % 100_000 for i in range(12))
    return " ".join(f"{group:05}" for group in groups)


# Relays (section 5.1); relay.md has the same address without a key.


def read_relay_address(reader: Reader) -> tuple[int, bytes, int]:
    """Kind, address and port."""
    kind = reader.uint(1)
    address = reader.counted(1, 64)
    port = reader.uint(2)
    if kind not in (RELAY_HOST, RELAY_ONION):  # IDN-21
        raise Refused("rule", f"relay of kind {kind}")
    if kind == RELAY_HOST:
        if not HOST.fullmatch(address):  # IDN-22
            raise Refused("rule", f"host {address!r}")
        if address.rstrip(b".").endswith(b".onion"):  # IDN-23
            raise Refused("rule", "an onion service as a name")
    elif len(address) != 32:  # IDN-24
        raise Refused("rule", f"an onion service of {len(address)} bytes")
    check_port(port)
    return kind, address, port


def check_port(port: int) -> None:
    """IDN-25."""
    if port == 0:
        raise Refused("rule", "port 0")


def read_relays(reader: Reader, most: int) -> list[dict[str, Any]]:
    """A count and relays, in the names of the vectors; their keys are not checked."""
    relays = []
    for _ in range(reader.count(1, most)):
        kind, address, port = read_relay_address(reader)
        where = (
            {"host": address.decode("ascii")} if kind == RELAY_HOST else {"onion": address.hex()}
        )
        relays.append({**where, "port": port, "key": reader.take(32).hex()})
    return relays


# Invites (section 5).


def invite_bytes(text: str) -> bytes:
    """IDN-13 to IDN-17: the bytes of a pasted text."""
    if len(text.encode("utf-8")) > INVITE_TEXT_MAX:  # IDN-15
        raise Refused("decode", "too long")
    text = "".join(c for c in text if c not in WHITE_SPACE).translate(LOWER)  # IDN-13, IDN-14
    if not text.startswith(SCHEME):  # IDN-16
        raise Refused("decode", "no invite")
    digits = text.removeprefix(SCHEME)
    if any(c not in ALPHABET for c in digits) or len(digits) % 8 in (1, 3, 6):  # IDN-17
        raise Refused("decode", "no base32")
    bits = "".join(f"{ALPHABET.index(c):05b}" for c in digits)
    whole = len(bits) // 8 * 8
    if "1" in bits[whole:]:  # IDN-17
        raise Refused("decode", "unused bits are set")
    return bytes(int(bits[i : i + 8], 2) for i in range(0, whole, 8))


def invite_text(data: bytes) -> str:
    """IDN-11."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return SCHEME + "".join(ALPHABET[int(bits[i : i + 5], 2)] for i in range(0, len(bits), 5))


def read_invite(data: bytes) -> dict[str, Any]:
    """IDN-18 to IDN-25, then the keys."""
    if len(data) < 4 or labelled_hash("invite-sum", data[:-4])[:4] != data[-4:]:  # IDN-18
        raise Refused("decode", "another checksum")
    reader = Reader(data[:-4])
    layout = reader.uint(1)
    if layout not in (0, 1):  # IDN-19
        raise Refused("decode", f"layout {layout}")
    if len(data) > INVITE_MAX:  # IDN-20
        raise Refused("decode", f"{len(data)} bytes")
    invite: dict[str, Any] = {"identity": reader.take(32).hex()}
    keys = [invite["identity"]]
    if layout == 1:
        invite["intro_mailbox"] = reader.take(32).hex()
        invite["read_key"] = reader.take(32).hex()
        invite["relays"] = read_relays(reader, 2)
        keys += [invite["intro_mailbox"], *(relay["key"] for relay in invite["relays"])]
    reader.end()
    for key in keys:
        check_key(bytes.fromhex(key))
    text = invite_text(data)
    return {**invite, "text": text, "qr": text.upper()}


def run_invite(given: Input) -> Output:
    """invite.json."""
    text = given.text("text") if "text" in given else None
    data = given.hex("bytes") if text is None else b""
    given.done()
    return read_invite(data if text is None else invite_bytes(text))


# proof.json.


def _hash(given: Input) -> Output:
    key = given.hex("key", 32) if "key" in given else b""
    data = given.hex("label") + given.hex("data")
    given.done()
    return {"hash": blake2b(data, key).hex()}


def _key(given: Input) -> Output:
    key = given.hex("key", 32)
    given.done()
    check_key(key)
    return None


def _signature(given: Input) -> bytes:
    """The signature of a vector, the last field that is read."""
    signature = given.hex("signature", 64)
    given.done()
    return signature


def _message(given: Input) -> Output:
    key, signed, signature = given.hex("key", 32), given.hex("signed"), _signature(given)
    must_be_signed(key, "sign/message", signed, signature)  # IDN-02
    return None


def _link_auth(given: Input) -> Output:
    key = given.hex("key", 32)
    signed = link_auth_bytes(
        given.one_of("role", ROLES),
        key,
        given.hex("device_id", 8),
        given.hex("instance_id", 16),
        (given.hex("initiator_payload"), given.hex("responder_payload")),
        given.hex("handshake_hash", 64),
    )
    must_be_signed(key, "sign/link-auth", signed, _signature(given))
    return None


def _mailbox_proof(given: Input) -> Output:
    signed = mailbox_proof_bytes(given.one_of("role", ROLES), given.hex("handshake_hash", 64))
    must_be_signed(given.hex("key", 32), "sign/mailbox-proof", signed, _signature(given))
    return None


def _mailbox_owner(given: Input) -> Output:
    identity, kind = given.hex("identity", 32), given.one_of("kind", MAILBOX_KINDS)
    check_mailbox_owner(given.hex("key", 32), identity, kind, _signature(given))
    return None


def _stamp(given: Input) -> Output:
    deposit_key, envelope_id = given.hex("deposit_key", 32), given.hex("envelope_id", 32)
    shown = given.hex("stamp")
    given.done()
    if shown != stamp(deposit_key, envelope_id):  # IDN-08
        raise Refused("signature", "another stamp")
    return None


def _safety_number(given: Input) -> Output:
    a, b = given.hex("a", 32), given.hex("b", 32)
    given.done()
    return {"number": safety_number(a, b)}


PROOFS = {
    "hash": _hash,
    "key": _key,
    "message": _message,
    "link-auth": _link_auth,
    "mailbox-proof": _mailbox_proof,
    "mailbox-owner": _mailbox_owner,
    "stamp": _stamp,
    "safety-number": _safety_number,
}
