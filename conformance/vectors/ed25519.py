"""Ed25519 by CNV-10 to CNV-16 of spec/README.md, in integers.

Slow, and not in constant time: it is for public vectors alone.
"""

from __future__ import annotations

import hashlib

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from layouts import Refused, label

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)

#: x, y, z, t with x/z and y/z on the curve, and t = x·y/z.
Point = tuple[int, int, int, int]
IDENTITY: Point = (0, 1, 1, 0)

#: How many signatures PyNaCl was asked about.
second_opinions = 0


class Disagreement(Exception):
    """PyNaCl differs from the rules."""


def decode(encoding: bytes) -> Point | None:
    """The point of a canonical encoding (CNV-10, CNV-13)."""
    number = int.from_bytes(encoding, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if len(encoding) != 32 or y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * SQRT_M1 % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def add(a: Point, b: Point) -> Point:
    """The complete addition of RFC 8032, section 5.1.4."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * D * a[3] * b[3] % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, d - c, d + c, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar: int, point: Point) -> Point:
    """`scalar · point`; the scalar is not reduced."""
    result = IDENTITY
    for bit in bin(scalar)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def equal(a: Point, b: Point) -> bool:
    """Whether two points are the same."""
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def has_small_order(point: Point) -> bool:
    """Whether it is one of the eight points with `8·A` = identity."""
    return equal(multiply(8, point), IDENTITY)


def base_point() -> Point:
    """`B`: y = 4/5, and the even x."""
    point = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    assert point is not None
    return point


BASE = base_point()


def broken_key_rule(key: bytes) -> str | None:
    """The rule that a public key breaks."""
    point = decode(key)
    if point is None:
        return "CNV-10"
    if has_small_order(point):
        return "CNV-11"
    return None


def broken_rule(key: bytes, signed: bytes, signature: bytes) -> str | None:
    """The first rule that a signature breaks, in the order of the document."""
    if rule := broken_key_rule(key):
        return rule
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L:
        return "CNV-12"
    r_point = decode(r)
    if r_point is None:
        return "CNV-13"
    if has_small_order(r_point):
        return "CNV-14"
    k = int.from_bytes(hashlib.sha512(r + key + signed).digest(), "little") % L
    a_point = decode(key)
    assert a_point is not None
    if not equal(multiply(s, BASE), add(r_point, multiply(k, a_point))):
        return "CNV-15"
    return None


def is_valid(key: bytes, use: str, signed: bytes, signature: bytes) -> bool:
    """Whether `key` signed `LABEL ‖ signed`; PyNaCl is asked as well."""
    global second_opinions
    message = label(use) + signed
    rule = broken_rule(key, message, signature)
    second_opinions += 1
    if _pynacl_accepts(key, message, signature) != (rule is None):
        raise Disagreement(f"PyNaCl differs; by the rules {rule or 'nothing'} is broken")
    return rule is None


def must_be_signed(key: bytes, use: str, signed: bytes, signature: bytes) -> None:
    """Refuses what `key` did not sign."""
    if not is_valid(key, use, signed, signature):
        raise Refused("signature", f"not signed by {key.hex()}")


def public_key(seed: bytes) -> bytes:
    """The public key of a seed."""
    return crypto_sign_seed_keypair(seed)[0]


def sign(seed: bytes, use: str, signed: bytes) -> bytes:
    """`Sign(key, LABEL, a, …)`."""
    return crypto_sign(label(use) + signed, crypto_sign_seed_keypair(seed)[1])[:64]


def _pynacl_accepts(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        crypto_sign_open(signature + message, key)
    except (BadSignatureError, ValueError):
        return False
    return True
