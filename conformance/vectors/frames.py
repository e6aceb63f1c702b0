"""Frames (spec/link.md, sections 1 and 4.4) and beacons (spec/discovery.md), by protobuf."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from grpc_tools import protoc

from layouts import Input, Output, Refused, uint

PROTO = Path(__file__).resolve().parents[2] / "proto"
FRAME_MAX = 131_072
CRITICAL = 0x8000
UNKNOWN_BYTES_MAX = 1_048_576
BEACON_MAX = 64


def _compile(*names: str) -> list[Any]:
    """The modules of `.proto` files, made anew from the source in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"tortalk/v1/{name}.proto" for name in names]
        if protoc.main(["protoc", f"-I{PROTO}", f"--python_out={folder}", *paths]):
            raise RuntimeError("protoc refuses proto/")
        sys.path.insert(0, folder)
        try:
            return [importlib.import_module(f"tortalk.v1.{name}_pb2") for name in names]
        finally:
            sys.path.remove(folder)


link_pb, beacon_pb, relay_pb = _compile("link", "beacon", "relay")

#: A rule for a field; true when the value keeps it.
Rule = Callable[[Any], bool]


def _length(lowest: int, highest: int | None = None) -> Rule:
    return lambda value: lowest <= len(value) <= (lowest if highest is None else highest)


def _number(lowest: int, highest: int) -> Rule:
    return lambda value: lowest <= value <= highest


def _each(rule: Rule, most: int) -> Rule:
    return lambda values: 1 <= len(values) <= most and all(rule(value) for value in values)


def _proof(value: Any) -> bool:
    return len(value.mailbox) == 32 and len(value.signature) == 64


# The rules of section 1 (LNK-39); a field without one may have any value.
RULES: dict[str, dict[str, Rule]] = {
    "Auth": {
        "identity": _length(32),
        "device_id": _length(8),
        "instance_id": _length(16),
        "version": _number(0, 0xFFFF),
        "signature": _length(64),
    },
    "Mailboxes": {"proofs": _each(_proof, 16)},
    "Hello": {
        "features": _length(0, 256),
        "store_id": _length(16),
        "unacked_max": _number(1, 0xFFFF),
    },
    "Card": {"card": _length(1, 8128)},
    "Msg": {
        "ttl": _number(0, 255),
        "stamp": _length(0, 64),
        "envelope": _length(1, 67_017),
    },
    "Ack": {"id": _length(32)},
    "Have": {"ids": _each(_length(32), 256)},
    "Want": {"ids": _each(_length(32), 256)},
    "Purge": {"keys": _each(_length(32), 256)},
}


def _frame_types() -> dict[int, str]:
    """The registry of `proto/`: `FRAME_TYPE_BYE` is the message `Bye`."""
    types = link_pb.FrameType.items()
    names = {number: name.removeprefix("FRAME_TYPE_").capitalize() for name, number in types}
    return {number: name for number, name in names.items() if number}


FRAME_TYPES = _frame_types()
TYPE_OF = {name: number for number, name in FRAME_TYPES.items()}


def parse(message: Message, data: bytes) -> Message:
    """LNK-38, CNV-18, CNV-19: the bytes as a message of this type."""
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise Refused("decode", "no protobuf") from error
    _check_wire_types(message)
    return message


def _check_wire_types(message: Message) -> None:
    # The library keeps a known field of another wire type among the unknown ones.
    known = message.DESCRIPTOR.fields_by_number
    if any(field.field_number in known for field in UnknownFieldSet(message)):
        raise Refused("decode", "a field of another wire type")
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                _check_wire_types(inner)


def check_frame(name: str, message: Message) -> None:
    """LNK-39 and LNK-42."""
    for field, rule in RULES.get(name, {}).items():
        if not rule(getattr(message, field)):
            raise Refused("rule", f"{name}.{field}")
    if name == "Ack":
        refused = message.result == link_pb.ACK_RESULT_REFUSED
        known = message.result in link_pb.AckResult.values() and message.result
        if not known or (message.reason and not refused):  # LNK-42
            raise Refused("rule", "an Ack that says nothing")


def encode_frame(name: str, message: Message) -> bytes:
    """LNK-13: a frame."""
    body: bytes = message.SerializeToString(deterministic=True)
    return uint(2 + len(body), 4) + uint(TYPE_OF[name], 2) + body


@dataclass
class FrameReader:
    """Takes a stream in pieces and gives its frames (section 4.4)."""

    buffer: bytes = b""
    unknown_bytes: int = 0

    def frames(self, data: bytes) -> list[tuple[str, Message]]:
        """The whole frames that are there now, without those that are skipped."""
        self.buffer += data
        found = []
        while (frame := self._next()) is not None:
            if frame[1] is not None:
                found.append((frame[0], frame[1]))
        return found

    def _next(self) -> tuple[str, Message | None] | None:
        if len(self.buffer) < 4:
            return None
        length = int.from_bytes(self.buffer[:4], "big")
        if not 2 <= length <= FRAME_MAX:  # LNK-34
            raise Refused("decode", f"a frame of {length} bytes")
        if len(self.buffer) < 6:
            return None
        number = int.from_bytes(self.buffer[4:6], "big")
        name = FRAME_TYPES.get(number)
        if name is None:
            self._check_unknown(number, 4 + length)
        if len(self.buffer) < 4 + length:
            return None
        body, self.buffer = self.buffer[6 : 4 + length], self.buffer[4 + length :]
        if name is None:  # LNK-36
            self.unknown_bytes += 4 + length
            return "", None
        message = parse(getattr(link_pb, name)(), body)
        check_frame(name, message)
        return name, message

    def _check_unknown(self, number: int, length: int) -> None:
        if number >= CRITICAL:  # LNK-35
            raise Refused("rule", f"a critical type: {number:#06x}")
        if self.unknown_bytes + length > UNKNOWN_BYTES_MAX:  # LNK-37
            raise Refused("rule", "too many bytes of unknown types")


def shown(message: Message) -> dict[str, Any]:
    """The fields of a message in the form of the vectors."""
    return {field.name: _shown_field(message, field) for field in message.DESCRIPTOR.fields}


def _shown_field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_shown_value(field, item) for item in value]
    return _shown_value(field, value)


def _shown_value(field: Any, value: Any) -> Any:
    if field.type == field.TYPE_MESSAGE:
        return shown(value)
    if field.type == field.TYPE_BYTES:
        return value.hex()
    if field.type == field.TYPE_UINT64:
        return str(value)
    if field.type == field.TYPE_ENUM:
        names = field.enum_type.values_by_number
        prefix = names[0].name.removesuffix("UNSPECIFIED")
        return names.get(value, names[0]).name.removeprefix(prefix)  # LNK-41
    return value


def run_frame(given: Input) -> Output:
    """frame.json."""
    stream = given.hex("stream") * (given.number("times") if "times" in given else 1)
    given.done()
    return {
        "frames": [
            {"frame": name, **shown(message)} for name, message in FrameReader().frames(stream)
        ]
    }


def run_beacon(given: Input) -> Output:
    """beacon.json: spec/discovery.md, section 5.1, checks 4 to 6."""
    datagram = given.hex("datagram")
    given.done()
    if len(datagram) > BEACON_MAX:  # DSC-02
        raise Refused("decode", f"{len(datagram)} bytes")
    beacon = parse(beacon_pb.Beacon(), datagram)
    port_is_good = 1024 <= beacon.port <= 0xFFFF
    if beacon.version == 0 or not port_is_good or len(beacon.instance_id) != 16:  # DSC-03
        raise Refused("rule", "a value that is not allowed")
    return shown(beacon)


def run_rpc(given: Input) -> Output:
    """rpc.json: a message of relay.proto, written anew."""
    types = {name: getattr(relay_pb, name) for name in relay_pb.DESCRIPTOR.message_types_by_name}
    message = given.one_of("type", types)()
    data = given.hex("bytes")
    given.done()
    parse(message, data)
    message.DiscardUnknownFields()
    return {"again": message.SerializeToString(deterministic=True).hex()}
