"""spec/seal.md, section 1, "Bodies": their layouts, who sees them, who confirms them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from layouts import Input, Output, Reader, Refused, utf8

CARD_MAX = 8128
TEXT_MAX = 1024
ENTRIES_MAX = 256
CRITICAL = 0x8000

#: One part of a body, read into the names of the vectors.
Part = Callable[[Reader, dict[str, Any]], None]


def _text(reader: Reader, fields: dict[str, Any]) -> None:
    fields["text"] = utf8(reader.rest(), "decode")  # SEA-30


def _short_text(reader: Reader, fields: dict[str, Any]) -> None:
    fields["text"] = utf8(reader.counted(2, TEXT_MAX), "decode")  # SEA-33


def _card(reader: Reader, fields: dict[str, Any]) -> None:
    card = reader.rest()
    if not 1 <= len(card) <= CARD_MAX:  # SEA-34
        raise Refused("decode", f"a card of {len(card)} bytes")
    fields["card"] = card.hex()


def _request(reader: Reader, fields: dict[str, Any]) -> None:
    fields["request"] = reader.take(32).hex()


def _entries(reader: Reader, fields: dict[str, Any]) -> None:
    count = reader.count(2, ENTRIES_MAX)  # SEA-31
    entries = [(reader.take(32), reader.take(32), reader.uint(1)) for _ in range(count)]
    reader.end()
    if not entries:  # SEA-31
        raise Refused("rule", "a receipt without entries")
    if any(kind not in (1, 2) for _, _, kind in entries):  # SEA-32
        raise Refused("rule", "an unknown kind of receipt")
    message_id, signed_hash, kind = entries[-1]
    fields.update(
        count=count,
        last_message_id=message_id.hex(),
        last_signed_hash=signed_hash.hex(),
        last_kind=kind,
    )


def _range(reader: Reader, fields: dict[str, Any]) -> None:
    fields["chain_id"] = reader.take(8).hex()
    fields["from"], fields["to"] = reader.uint(8), reader.uint(8)
    reader.end()
    if fields["from"] > fields["to"]:  # SEA-35
        raise Refused("rule", "a range that ends before it starts")


def _unknown(reader: Reader, fields: dict[str, Any]) -> None:
    fields["unknown"] = reader.rest().hex()


@dataclass(frozen=True)
class BodyType:
    """A row of the table."""

    parts: tuple[Part, ...]
    visible: bool
    receipt: bool


BODIES = {
    1: BodyType((_text,), visible=True, receipt=True),
    2: BodyType((_entries,), visible=False, receipt=False),
    3: BodyType((_short_text, _card), visible=False, receipt=False),
    4: BodyType((_request, _card), visible=False, receipt=True),
    5: BodyType((_card,), visible=False, receipt=True),
    6: BodyType((_range,), visible=False, receipt=True),
}


def body_type(number: int) -> BodyType:
    """The row of a number, also of one that is not known (SEA-36, SEA-37)."""
    later = BodyType((_unknown,), visible=True, receipt=not number & CRITICAL)
    return BODIES.get(number, later)


def read_body(number: int, data: bytes) -> dict[str, Any]:
    """SEA-28 with SEA-30 to SEA-35: the fields of a body."""
    fields: dict[str, Any] = {}
    reader = Reader(data)
    for part in body_type(number).parts:
        part(reader, fields)
    reader.end()
    return fields


def run_body(given: Input) -> Output:
    """body.json."""
    number, data = given.number("body_type"), given.hex("bytes")
    given.done()
    row = body_type(number)
    return {**read_body(number, data), "visible": row.visible, "receipt": row.receipt}
