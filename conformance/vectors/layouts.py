"""Bytes: reading layouts, labels and hashes (spec/README.md), and the fields of a vector."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
#: What an operation gives: the vector's `output`, or nothing.
Output = dict[str, Any] | None
#: One operation on the input of a vector.
Operation = Callable[["Input"], Output]


class Refused(Exception):
    """The bytes are refused; `expect` is the layer's name in the vectors."""

    def __init__(self, expect: str, why: str) -> None:
        super().__init__(f"{expect}: {why}")
        self.expect = expect


class CannotRun(Exception):
    """The vector is of a kind that this program does not know."""


class Reader:
    """Reads a layout from the front; CNV-04 and CNV-05 are `decode`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are still there."""
        return len(self._data) - self._at

    @property
    def before(self) -> bytes:
        """All bytes that were read."""
        return self._data[: self._at]

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        if length > self.left:  # CNV-04
            raise Refused("decode", f"{length} bytes wanted, {self.left} left")
        start, self._at = self._at, self._at + length
        return self._data[start : self._at]

    def uint(self, width: int) -> int:
        """A big-endian integer of `width` bytes (CNV-03)."""
        return int.from_bytes(self.take(width), "big")

    def count(self, width: int, highest: int) -> int:
        """A length or count, judged before anything is taken for it (CNV-05)."""
        value = self.uint(width)
        if value > highest:
            raise Refused("decode", f"{value} announced, {highest} allowed")
        return value

    def counted(self, width: int, longest: int) -> bytes:
        """The bytes behind their own length."""
        return self.take(self.count(width, longest))

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(self.left)

    def end(self) -> None:
        """Nothing may be left (CNV-05)."""
        if self.left:
            raise Refused("decode", f"{self.left} bytes too many")


class Input:
    """The input of a vector; a field that nobody reads makes the vector unknown."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def _value(self, name: str, kind: type[T]) -> T:
        if name not in self._fields:
            raise CannotRun(f"no input `{name}`")
        self._read.add(name)
        value = self._fields[name]
        # Not isinstance: `true` is no number.
        if type(value) is not kind:
            raise CannotRun(f"input `{name}` is no {kind.__name__}")
        return value

    def text(self, name: str) -> str:
        """A text as it stands."""
        return self._value(name, str)

    def number(self, name: str) -> int:
        """A number."""
        return self._value(name, int)

    def hex(self, name: str, length: int | None = None) -> bytes:
        """Bytes in hexadecimal, `length` of them where that is fixed."""
        return self._decoded(name, self.text(name), length)

    def hex_list(self, name: str) -> list[bytes]:
        """A list of bytes in hexadecimal."""
        return [self._decoded(name, text) for text in self._value(name, list)]

    def one_of(self, name: str, values: Mapping[str, Any]) -> Any:
        """What a word stands for."""
        word = self.text(name)
        if word not in values:
            raise CannotRun(f"input `{name}` is {word!r}")
        return values[word]

    def done(self) -> None:
        """Every field was read."""
        if unread := set(self._fields) - self._read:
            raise CannotRun(f"unknown input {', '.join(sorted(unread))}")

    @staticmethod
    def _decoded(name: str, text: str, length: int | None = None) -> bytes:
        try:
            data = bytes.fromhex(text)
        except ValueError as error:
            raise CannotRun(f"input `{name}` is not hexadecimal") from error
        if data.hex() != text or length not in (None, len(data)):
            raise CannotRun(f"input `{name}` is not {length} bytes in lower case")
        return data


def label(use: str) -> bytes:
    """The bytes of a label (CNV-07)."""
    return b"tortalk/v1/" + use.encode("ascii") + b"\0"


def blake2b(data: bytes, key: bytes = b"") -> bytes:
    """BLAKE2b with 32 in its parameter block (CNV-08) and its own key input (CNV-09)."""
    return hashlib.blake2b(data, digest_size=32, key=key).digest()


def labelled_hash(use: str, *parts: bytes) -> bytes:
    """`H(LABEL, a, b, …)`."""
    return blake2b(label(use) + b"".join(parts))


def keyed_hash(key: bytes, use: str, *parts: bytes) -> bytes:
    """`K(key, LABEL, a, …)`."""
    return blake2b(label(use) + b"".join(parts), key)


def uint(value: int, width: int) -> bytes:
    """A big-endian integer of `width` bytes (CNV-03)."""
    return value.to_bytes(width, "big")


def utf8(data: bytes, expect: str) -> str:
    """Well-formed UTF-8, or `expect`."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(expect, "no UTF-8") from error
