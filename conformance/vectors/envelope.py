"""spec/envelope.md."""

from __future__ import annotations

from dataclasses import dataclass

from layouts import Input, Output, Reader, Refused, labelled_hash

EXT_MAX = 256
SEALED_MAX = 66_672
HOUR_MS = 3_600_000
BUCKETS = (256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536)
ENCAPSULATION = 1120
TAG = 16


@dataclass
class Envelope:
    """The fields of an envelope."""

    suite: int
    mailbox: bytes
    key_id: bytes
    expires_at: int
    purge_hash: bytes
    ext: bytes
    sealed: bytes
    header: bytes


def envelope_id(data: bytes) -> bytes:
    """ENV-07."""
    return labelled_hash("envelope-id", data)


def purge_hash(purge_key: bytes) -> bytes:
    """The commitment to a purge key."""
    return labelled_hash("purge-hash", purge_key)


def key_id(public: bytes) -> bytes:
    """ENV-05."""
    return labelled_hash("sealing-key-id", public)[:8]


def read_envelope(data: bytes) -> Envelope:
    """Section 4, in its order."""
    reader = Reader(data)
    if (layout := reader.uint(1)) != 1:  # ENV-02
        raise Refused("decode", f"layout {layout}")
    suite = reader.uint(2)
    mailbox, key = reader.take(32), reader.take(8)
    expires_at = reader.uint(8)
    commitment = reader.take(32)
    ext = reader.counted(2, EXT_MAX)
    header = reader.before
    sealed = reader.counted(4, SEALED_MAX)
    reader.end()  # ENV-01
    if expires_at % HOUR_MS:  # ENV-04
        raise Refused("rule", "no whole hour")
    if not sealed:  # ENV-09
        raise Refused("rule", "nothing sealed")
    if suite == 1 and len(sealed) - ENCAPSULATION - TAG not in BUCKETS:  # ENV-08
        raise Refused("rule", f"no bucket: {len(sealed)}")
    return Envelope(suite, mailbox, key, expires_at, commitment, ext, sealed, header)


def _parse(given: Input) -> Output:
    data = given.hex("bytes") + bytes(given.number("zeros") if "zeros" in given else 0)
    given.done()
    envelope = read_envelope(data)
    return {
        "envelope_id": envelope_id(data).hex(),
        "suite": envelope.suite,
        "mailbox": envelope.mailbox.hex(),
        "key_id": envelope.key_id.hex(),
        "expires_at": envelope.expires_at,
        "purge_hash": envelope.purge_hash.hex(),
        "ext": envelope.ext.hex(),
        "sealed_len": len(envelope.sealed),
    }


def _purge(given: Input) -> Output:
    data, purge_key = given.hex("bytes"), given.hex("purge_key", 32)
    given.done()
    if purge_hash(purge_key) != read_envelope(data).purge_hash:  # ENV-06
        raise Refused("rule", "not the purge key")
    return None


def _purge_hash(given: Input) -> Output:
    purge_key = given.hex("purge_key", 32)
    given.done()
    return {"purge_hash": purge_hash(purge_key).hex()}


def _key_id(given: Input) -> Output:
    public = given.hex("public", 1216)
    given.done()
    return {"key_id": key_id(public).hex()}


OPERATIONS = {
    "parse": _parse,
    "purge": _purge,
    "purge-hash": _purge_hash,
    "key-id": _key_id,
}
