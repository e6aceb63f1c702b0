"""spec/seal.md, section 2: suite 1, step by step, and by the library's own HPKE."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

import mlkem
from layouts import Refused

ML_KEM_PUBLIC = 1184
PUBLIC = 1216
ML_KEM_CIPHERTEXT = 1088
ENCAPSULATION = 1120
MODULUS = 3329
XWING_LABEL = bytes.fromhex("5c2e2f2f5e5c")
SUITE_ID = b"HPKE" + bytes.fromhex("647a00010003")
LIBRARY = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


class Disagreement(Exception):
    """The library's HPKE and the formulas of the document differ."""


class KeyPair:
    """The key pair of a seed."""

    def __init__(self, seed: bytes) -> None:
        expanded = hashlib.shake_256(seed).digest(96)
        self.ml_kem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self.x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.public = (
            self.ml_kem.public_key().public_bytes_raw()
            + self.x25519.public_key().public_bytes_raw()
        )


def x25519(secret: X25519PrivateKey, public: bytes) -> bytes:
    """SEA-05: the library refuses a result of zeros."""
    try:
        return secret.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise Refused("seal", "X25519 gives zeros") from error


def check_public(public: bytes) -> None:
    """SEA-04."""
    if len(public) != PUBLIC:
        raise Refused("decode", f"a sealing key of {len(public)} bytes")
    numbers = ML_KEM_PUBLIC - 32
    for i in range(0, numbers, 3):
        pair = int.from_bytes(public[i : i + 3], "little")
        if pair & 0xFFF >= MODULUS or pair >> 12 >= MODULUS:
            raise Refused("rule", "the ML-KEM part is not reduced")


def encapsulation(recipient: KeyPair, eseed: bytes) -> bytes:
    """What `eseed` makes for this key."""
    share = X25519PrivateKey.from_private_bytes(eseed[32:]).public_key()
    ct_m = mlkem.ciphertext(recipient.public[:ML_KEM_PUBLIC], eseed[:32])
    return ct_m + share.public_bytes_raw()


def check_encapsulation(recipient: KeyPair, eseed: bytes, enc: bytes) -> bytes:
    """The shared secret, if the library agrees that `enc` is what `eseed` makes.

    FIPS 203 derives the secret from `m` and the key alone, and decapsulation, which encapsulates
    again and compares, gives it for the one ciphertext of `m` and for no other.
    """
    m, e = eseed[:32], X25519PrivateKey.from_private_bytes(eseed[32:])
    ct_m, ct_x = enc[:ML_KEM_CIPHERTEXT], enc[ML_KEM_CIPHERTEXT:]
    ek = recipient.public[:ML_KEM_PUBLIC]
    ss_m = hashlib.sha3_512(m + hashlib.sha3_256(ek).digest()).digest()[:32]
    if len(enc) != ENCAPSULATION or recipient.ml_kem.decapsulate(ct_m) != ss_m:
        raise Disagreement("the ML-KEM ciphertext is not the one of `m`")
    if e.public_key().public_bytes_raw() != ct_x:
        raise Disagreement("the X25519 share is not the one of `e`")
    return _combine(ss_m, x25519(e, recipient.public[ML_KEM_PUBLIC:]), ct_x, recipient.public)


def decapsulate(recipient: KeyPair, enc: bytes) -> bytes:
    """The shared secret of an encapsulation."""
    ct_m, ct_x = enc[:ML_KEM_CIPHERTEXT], enc[ML_KEM_CIPHERTEXT:]
    ss_m = recipient.ml_kem.decapsulate(ct_m)
    return _combine(ss_m, x25519(recipient.x25519, ct_x), ct_x, recipient.public)


def seal(secret: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Ciphertext and tag at sequence 0, with an empty aad (SEA-02)."""
    key, nonce = _key_schedule(secret, info)
    return ChaCha20Poly1305(key).encrypt(nonce, plaintext, b"")


def open_sealed(
    recipient: KeyPair, info: bytes, enc: bytes, ciphertext: bytes, aad: bytes = b""
) -> bytes:
    """SEA-18, by the formulas and, where it can, by the library's HPKE."""
    plaintext = _open_by_formulas(recipient, info, enc, ciphertext, aad)
    # The library's HPKE takes no aad.
    if not aad and plaintext != _open_by_library(recipient, info, enc + ciphertext):
        raise Disagreement("the library's HPKE differs from the formulas")
    if plaintext is None:
        raise Refused("seal", "it does not open")
    return plaintext


def _open_by_formulas(
    recipient: KeyPair, info: bytes, enc: bytes, ciphertext: bytes, aad: bytes
) -> bytes | None:
    try:
        key, nonce = _key_schedule(decapsulate(recipient, enc), info)
        return ChaCha20Poly1305(key).decrypt(nonce, ciphertext, aad)
    except (InvalidTag, Refused):
        return None


def _open_by_library(recipient: KeyPair, info: bytes, sealed: bytes) -> bytes | None:
    private = hpke.MLKEM768X25519PrivateKey(recipient.ml_kem, recipient.x25519)
    try:
        return LIBRARY.decrypt(sealed, private, info)
    except (InvalidTag, ValueError):
        return None


def _combine(ss_m: bytes, ss_x: bytes, ct_x: bytes, public: bytes) -> bytes:
    pk_x = public[ML_KEM_PUBLIC:]
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + XWING_LABEL).digest()


# RFC 9180, sections 4 and 5.1, mode 0.


def _labeled_extract(salt: bytes, use: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + SUITE_ID + use + ikm, "sha256")


def _labeled_expand(prk: bytes, use: bytes, info: bytes, length: int) -> bytes:
    # At most 32 bytes are asked for, which is one block of HKDF-Expand.
    block = length.to_bytes(2, "big") + b"HPKE-v1" + SUITE_ID + use + info + b"\1"
    return hmac.digest(prk, block, "sha256")[:length]


def _key_schedule(secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    psk_id_hash = _labeled_extract(b"", b"psk_id_hash", b"")
    context = b"\0" + psk_id_hash + _labeled_extract(b"", b"info_hash", info)
    prk = _labeled_extract(secret, b"secret", b"")
    key = _labeled_expand(prk, b"key", context, 32)
    return key, _labeled_expand(prk, b"base_nonce", context, 12)
