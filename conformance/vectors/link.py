"""spec/link.md: one end of a link, from its first byte."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Generator
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from google.protobuf.message import Message

from ed25519 import must_be_signed, public_key, sign
from frames import TYPE_OF, FrameReader, encode_frame, link_pb
from identity import ROLES, check_key, link_auth_bytes
from layouts import Input, Output, Reader, Refused, label, uint

PROTOCOL_NAME = b"Noise_NN_25519_ChaChaPoly_BLAKE2b"
VERSION_LIST = bytes.fromhex("010001")
VERSIONS = {1}
HANDSHAKE_MAX = 512
UNAUTHENTICATED_MAX = 2048
FIELD_PRIME = 2**255 - 19
TAG = 16

T = TypeVar("T")
#: Gives a `T` when enough bytes have come; yields while they have not.
Wants = Generator[None, None, T]


def blake2b_64(data: bytes) -> bytes:
    """`HASH` of section 2."""
    return hashlib.blake2b(data).digest()


def hkdf(chaining_key: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """`HKDF` of section 2."""
    temporary = hmac.digest(chaining_key, secret, "blake2b")
    first = hmac.digest(temporary, b"\1", "blake2b")
    return first, hmac.digest(temporary, first + b"\2", "blake2b")


class Cipher:
    """The records of one direction, or the one payload of the handshake."""

    def __init__(self, key: bytes) -> None:
        self._aead = ChaCha20Poly1305(key)
        self._number = 0

    def seal(self, plaintext: bytes, ad: bytes = b"") -> bytes:
        """The next ciphertext and its tag."""
        return self._aead.encrypt(self._nonce(), plaintext, ad)

    def open(self, sealed: bytes, ad: bytes, expect: str) -> bytes:
        """The next plaintext, or `expect`."""
        try:
            return self._aead.decrypt(self._nonce(), sealed, ad)
        except InvalidTag as error:
            raise Refused(expect, "it does not decrypt") from error

    def _nonce(self) -> bytes:
        self._number += 1
        return bytes(4) + (self._number - 1).to_bytes(8, "little")


def check_share(share: bytes) -> None:
    """LNK-17."""
    if int.from_bytes(share, "little") >= FIELD_PRIME:
        raise Refused("rule", "a share that is not canonical")


def exchange(secret: X25519PrivateKey, share: bytes) -> bytes:
    """LNK-18: the library refuses a result of zeros."""
    try:
        return secret.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError as error:
        raise Refused("rule", "X25519 gives zeros") from error


def read_versions(payload: bytes) -> int:
    """LNK-21 to LNK-23: the version of the link."""
    try:
        reader = Reader(payload)
        versions = {reader.uint(2) for _ in range(reader.count(1, 16))}
    except Refused as error:
        raise Refused("rule", str(error)) from error
    if not versions:
        raise Refused("rule", "an empty version list")
    common = (versions & VERSIONS) - {0}
    if not common:  # LNK-23
        raise Refused("policy", "no common version")
    return max(common)  # LNK-04


class End:
    """The tested end. `receive` takes a flight; `due` gives what it writes."""

    sending: Cipher
    receiving: Cipher

    def __init__(
        self, role: int, identity_seed: bytes, device_id: bytes, instance_id: bytes,
        ephemeral: bytes,
    ) -> None:  # fmt: skip
        self.role = role
        self.seed, self.identity = identity_seed, public_key(identity_seed)
        self.device_id, self.instance_id = device_id, instance_id
        self.secret = X25519PrivateKey.from_private_bytes(ephemeral)
        self.share = self.secret.public_key().public_bytes_raw()
        self.chaining_key = PROTOCOL_NAME.ljust(64, b"\0")
        self.hash = blake2b_64(self.chaining_key + label("link"))
        self.payloads: list[bytes] = []
        self.unauthenticated_bytes = 0
        self.peer: bytes | None = None
        self.peer_share = b""
        self.frames: list[bytes] = []
        self.ended = False
        self.reader = FrameReader()
        self._writes = b""
        self._inbox = bytearray()
        self._steps = self._run()
        next(self._steps)

    def receive(self, flight: bytes) -> None:
        """Takes what the other end sends at once."""
        self._inbox += flight
        next(self._steps)

    def due(self) -> bytes:
        """What is to be written now."""
        writes, self._writes = self._writes, b""
        return writes

    def _run(self) -> Wants[None]:
        """The states of section 4.6; yields where more bytes are wanted."""
        if self.role == 0:
            self._write_message(self._mix(self.share), self._mix(VERSION_LIST))
            version = yield from self._read_message_2()
            self._send_auth()
            yield from self._read_auth(version)
        else:
            version = yield from self._read_message_1()
            yield from self._read_auth(version)
            if self._inbox:  # LNK-32
                raise Refused("rule", "bytes before the responder's Auth")
            self._send_auth()
        while not self.ended:
            self._take_frames((yield from self._read_record()))
        while True:  # LNK-44
            self._inbox.clear()
            yield

    # Handshake.

    def _mix(self, data: bytes) -> bytes:
        self.hash = blake2b_64(self.hash + data)
        return data

    def _write_message(self, share: bytes, payload: bytes) -> None:
        self._writes += uint(len(share + payload), 2) + share + payload
        self.payloads.append(VERSION_LIST)

    def _read_message(self) -> Wants[bytes]:
        """The share and the rest of a handshake message; the share is mixed in."""
        length = int.from_bytes((yield from self._take(2)), "big")
        if not 1 <= length <= HANDSHAKE_MAX:  # LNK-15
            raise Refused("rule", f"a handshake message of {length} bytes")
        message = yield from self._take(length)
        if length < 32:  # LNK-19
            raise Refused("rule", "too short for a share")
        self.peer_share = message[:32]
        check_share(self.peer_share)
        self._mix(self.peer_share)
        return message[32:]

    def _read_message_1(self) -> Wants[int]:
        payload = yield from self._read_message()
        self.payloads.append(self._mix(payload))
        version = read_versions(payload)
        self._mix(self.share)
        key = self._exchange()
        sealed = self._mix(Cipher(key).seal(VERSION_LIST, self.hash))
        self._write_message(self.share, sealed)
        self._split()
        return version

    def _read_message_2(self) -> Wants[int]:
        sealed = yield from self._read_message()
        if len(sealed) < TAG:  # LNK-19
            raise Refused("rule", "too short for a tag")
        key = self._exchange()
        payload = Cipher(key).open(sealed, self.hash, "rule")  # LNK-19
        self._mix(sealed)
        self.payloads.append(payload)
        version = read_versions(payload)
        self._split()
        return version

    def _exchange(self) -> bytes:
        secret = exchange(self.secret, self.peer_share)
        self.chaining_key, key = hkdf(self.chaining_key, secret)
        return key[:32]

    def _split(self) -> None:
        to_responder, to_initiator = (Cipher(key[:32]) for key in hkdf(self.chaining_key, b""))
        mine = (to_responder, to_initiator)
        self.sending, self.receiving = mine if self.role == 0 else mine[::-1]

    # Records.

    def _take(self, length: int) -> Wants[bytes]:
        if self.peer is None:
            self.unauthenticated_bytes += length
            if self.unauthenticated_bytes > UNAUTHENTICATED_MAX:  # LNK-16
                raise Refused("rule", "too many bytes from nobody")
        while len(self._inbox) < length:
            yield
        data = bytes(self._inbox[:length])
        del self._inbox[:length]
        return data

    def _read_record(self) -> Wants[bytes]:
        length = int.from_bytes((yield from self._take(2)), "big")
        if length <= TAG:  # LNK-25
            raise Refused("rule", f"a record of {length} bytes")
        sealed = yield from self._take(length)
        return self.receiving.open(sealed, b"", "seal")  # LNK-26

    def _send(self, name: str, message: Message) -> None:
        record = self.sending.seal(encode_frame(name, message))
        self._writes += uint(len(record), 2) + record

    # Authentication.

    def _signed(self, role: int, identity: bytes, device_id: bytes, instance_id: bytes) -> bytes:
        payloads = (self.payloads[0], self.payloads[1])
        return link_auth_bytes(role, identity, device_id, instance_id, payloads, self.hash)

    def _send_auth(self) -> None:
        signed = self._signed(self.role, self.identity, self.device_id, self.instance_id)
        self._send(
            "Auth",
            link_pb.Auth(
                identity=self.identity,
                device_id=self.device_id,
                instance_id=self.instance_id,
                version=1,
                signature=sign(self.seed, "sign/link-auth", signed),
            ),
        )

    def _read_auth(self, version: int) -> Wants[None]:
        auth = self._first_frame((yield from self._read_record()))
        check_key(auth.identity)  # LNK-28
        signed = self._signed(1 - self.role, auth.identity, auth.device_id, auth.instance_id)
        must_be_signed(auth.identity, "sign/link-auth", signed, auth.signature)  # LNK-29
        if auth.version != version:  # LNK-30
            raise Refused("rule", f"version {auth.version}")
        if (auth.identity, auth.instance_id) == (self.identity, self.instance_id):  # LNK-31
            raise Refused("policy", "it has dialled itself")
        self.peer = auth.identity

    def _first_frame(self, plaintext: bytes) -> Message:
        """LNK-27: exactly one `Auth`, by its length and type; then its body."""
        if plaintext[:6] != uint(max(len(plaintext) - 4, 0), 4) + uint(TYPE_OF["Auth"], 2):
            raise Refused("rule", "not exactly one Auth")
        return self._parsed(plaintext)[0][1]

    # Frames.

    def _parsed(self, plaintext: bytes) -> list[tuple[str, Message]]:
        try:
            return self.reader.frames(plaintext)
        except Refused as error:  # Section 5: here every fault of a frame is `decode`.
            raise Refused("decode", str(error)) from error

    def _take_frames(self, plaintext: bytes) -> None:
        for name, message in self._parsed(plaintext):
            if self.ended:
                return
            if name == "Auth":  # LNK-33
                raise Refused("rule", "a second Auth")
            if name == "Ping":  # LNK-47
                self._send("Pong", link_pb.Pong(nonce=message.nonce))
            elif name == "Bye":
                self.ended = True
            elif name != "Pong":
                self.frames.append(encode_frame(name, message))


class RefusedEarly(Exception):
    """Refused before the last flight, or by an end that was not made of its seeds."""


def run_link(given: Input) -> Output:
    """link.json."""
    end = End(
        given.one_of("role", ROLES),
        given.hex("identity_seed", 32),
        given.hex("device_id", 8),
        given.hex("instance_id", 16),
        given.hex("ephemeral", 32),
    )
    flights = given.hex_list("receives")
    peer = _peer(given) if "peer_identity_seed" in given else None
    given.done()
    writes = [end.due()]
    for i, flight in enumerate(flights):
        try:
            end.receive(flight)
        except Refused as error:
            if i + 1 < len(flights):
                raise RefusedEarly(f"flight {i + 1} of {len(flights)}: {error}") from error
            raise
        writes.append(end.due())
    if end.peer is None:
        raise RefusedEarly("the link is not up")
    if peer not in (None, (end.peer, end.peer_share)):
        raise RefusedEarly("the other end is not made of its seeds")
    return {
        "writes": [data.hex() for data in writes],
        "handshake_hash": end.hash.hex(),
        "peer": end.peer.hex(),
        "frames": [frame.hex() for frame in end.frames],
    }


def _peer(given: Input) -> tuple[bytes, bytes]:
    """Identity and share of the other end."""
    secret = X25519PrivateKey.from_private_bytes(given.hex("peer_ephemeral", 32))
    identity = public_key(given.hex("peer_identity_seed", 32))
    return identity, secret.public_key().public_bytes_raw()
