"""spec/identity.md, section 6: the card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ed25519 import must_be_signed
from envelope import key_id
from identity import check_key, check_mailbox_owner, check_port, read_relays
from layouts import Input, Output, Reader, Refused, utf8

CARD_MAX = 8128
KINDS = {0: "intro", 1: "contact"}
WINDOW_MAX_MS = 28 * 24 * 3600 * 1000
#: One hour after 2026-01-01T00:00:00Z: the moment of `newest_key_id`.
MOMENT_MS = 1_767_225_600_000 + 3_600_000

# IDN-36.
FORBIDDEN = (
    (0x0000, 0x001F), (0x007F, 0x009F), (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C),
    (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x2028, 0x202E),
    (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0E), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip


@dataclass
class SealingKey:
    """A sealing key and its window."""

    not_before: int
    not_after: int
    public: bytes


@dataclass
class Mailbox:
    """A mailbox and its owner's statement."""

    kind: int
    key: bytes
    ownership_signature: bytes


@dataclass
class Card:
    """The fields of a card that was accepted."""

    kind: int
    identity: bytes
    seq: int
    name: str
    sealing_keys: list[SealingKey]
    mailboxes: list[Mailbox]
    features: bytes
    ext: bytes
    contact: dict[str, Any] | None = field(default=None)

    def mailbox(self, kind: int) -> str | None:
        """The first mailbox of a kind, which is the one that is written to."""
        return next((m.key.hex() for m in self.mailboxes if m.kind == kind), None)

    def newest_key_id(self, now: int) -> str:
        """IDN-48; of two with one `not_before` the first."""
        valid = [key for key in self.sealing_keys if key.not_before <= now < key.not_after]
        if not valid:
            return ""
        return key_id(max(valid, key=lambda key: key.not_before).public).hex()


def read_card(data: bytes) -> Card:
    """All checks of section 6.2, in its order."""
    if len(data) > CARD_MAX:  # IDN-27
        raise Refused("decode", f"{len(data)} bytes")
    reader = Reader(data)
    if (layout := reader.uint(1)) != 1:  # IDN-28
        raise Refused("decode", f"layout {layout}")
    if (kind := reader.uint(1)) not in KINDS:  # IDN-29
        raise Refused("decode", f"kind {kind}")
    identity = reader.take(32)
    reader.take(8)
    seq = reader.uint(8)
    name_bytes = reader.counted(1, 64)
    sealing_keys = [_read_sealing_key(reader) for _ in range(_at_least_one(reader, 4))]
    mailboxes = [_read_mailbox(reader) for _ in range(_at_least_one(reader, 4))]
    contact, relay_keys = _read_contact_part(reader) if kind == 1 else (None, [])
    features = reader.counted(2, 256)
    ext = reader.counted(2, 1024)
    signed = reader.before
    signature = reader.take(64)
    reader.end()

    name = utf8(name_bytes, "rule")  # IDN-35
    for key in (identity, *(mailbox.key for mailbox in mailboxes), *relay_keys):
        check_key(key)
    _check_name(name)
    _check_windows(sealing_keys)
    _check_mailboxes(kind, mailboxes)
    for mailbox in mailboxes:
        check_mailbox_owner(mailbox.key, identity, mailbox.kind, mailbox.ownership_signature)
    must_be_signed(identity, "sign/card", signed, signature)  # IDN-42
    return Card(kind, identity, seq, name, sealing_keys, mailboxes, features, ext, contact)


def _at_least_one(reader: Reader, most: int) -> int:
    count = reader.count(1, most)
    if count == 0:  # IDN-30, IDN-31
        raise Refused("decode", "a count of 0")
    return count


def _read_sealing_key(reader: Reader) -> SealingKey:
    reader.take(8)
    return SealingKey(reader.uint(8), reader.uint(8), reader.take(1216))


def _read_mailbox(reader: Reader) -> Mailbox:
    if (kind := reader.uint(1)) not in KINDS:  # IDN-32
        raise Refused("decode", f"mailbox kind {kind}")
    reader.take(8)
    return Mailbox(kind, reader.take(32), reader.take(64))


def _read_contact_part(reader: Reader) -> tuple[dict[str, Any], list[bytes]]:
    """In the names of the vectors, and the keys of the relays."""
    part: dict[str, Any] = {
        "deposit_key": reader.take(32).hex(),
        "read_key": reader.take(32).hex(),
        "onion_port": None,
    }
    relays = read_relays(reader, 4)
    part["relays"] = len(relays)
    flag = reader.uint(1)
    if flag not in (0, 1):  # IDN-33
        raise Refused("decode", f"onion flag {flag}")
    if flag:
        reader.take(32)
        part["onion_port"] = reader.uint(2)
        reader.take(32)
        check_port(part["onion_port"])
    return part, [bytes.fromhex(relay["key"]) for relay in relays]


def _check_name(name: str) -> None:
    if any(first <= ord(c) <= last for c in name for first, last in FORBIDDEN):  # IDN-36
        raise Refused("rule", "a character that a name may not have")


def _check_windows(sealing_keys: list[SealingKey]) -> None:
    for key in sealing_keys:
        if key.not_before >= key.not_after:  # IDN-37
            raise Refused("rule", "an empty window")
        if key.not_after - key.not_before > WINDOW_MAX_MS:  # IDN-38
            raise Refused("rule", "a window of more than 28 days")


def _check_mailboxes(kind: int, mailboxes: list[Mailbox]) -> None:
    kinds = {mailbox.kind for mailbox in mailboxes}
    if kind == 0 and 1 in kinds:  # IDN-39
        raise Refused("rule", "a contact mailbox in an intro card")
    if 0 not in kinds or (kind == 1 and 1 not in kinds):  # IDN-40
        raise Refused("rule", "a mailbox is missing")
    if len({mailbox.key for mailbox in mailboxes}) != len(mailboxes):  # IDN-41
        raise Refused("rule", "a mailbox stands twice")


def run_card(given: Input) -> Output:
    """card.json."""
    data = given.hex("card")
    given.done()
    card = read_card(data)
    return {
        "kind": KINDS[card.kind],
        "identity": card.identity.hex(),
        "seq": f"{card.seq:016x}",
        "name": card.name,
        "intro_mailbox": card.mailbox(0),
        "contact_mailbox": card.mailbox(1),
        "newest_key_id": card.newest_key_id(MOMENT_MS),
        "contact": card.contact,
        "features": card.features.hex(),
        "ext": card.ext.hex(),
    }
