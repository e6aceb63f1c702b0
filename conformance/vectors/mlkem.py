"""FIPS 203 with k = 3: the ciphertext that a given `m` makes. Libraries draw `m` themselves."""

from __future__ import annotations

import hashlib
from itertools import count

Q = 3329
K = 3
#: ζ to the power of the 7 bits of each index in reverse order.
ZETAS = [pow(17, int(f"{i:07b}"[::-1], 2), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * int(f"{i:07b}"[::-1], 2) + 1, Q) for i in range(128)]

Polynomial = list[int]


def ciphertext(ek: bytes, m: bytes) -> bytes:
    """Algorithms 17 and 14: the 1,088 bytes for this key and message."""
    r = hashlib.sha3_512(m + hashlib.sha3_256(ek).digest()).digest()[32:]
    t = [_unpacked(ek[384 * i : 384 * (i + 1)], 12) for i in range(K)]
    rho = ek[384 * K :]
    y = [_ntt(_noise(r, i)) for i in range(K)]
    u = []
    for i in range(K):
        column = [_uniform(rho + bytes((i, j))) for j in range(K)]
        u.append(_sum(_inverse(_product(column, y)), _noise(r, K + i)))
    message = [bit * (Q + 1) // 2 for bit in _unpacked(m, 1)]
    v = _sum(_sum(_inverse(_product(t, y)), _noise(r, 2 * K)), message)
    return b"".join(_packed(p, 10) for p in u) + _packed(v, 4)


def _uniform(seed: bytes) -> Polynomial:
    """Algorithm 7."""
    for length in count(840, 168):
        stream = hashlib.shake_128(seed).digest(length)
        found: Polynomial = []
        for i in range(0, length - 2, 3):
            a, b, c = stream[i : i + 3]
            found += [d for d in (a + 256 * (b % 16), b // 16 + 16 * c) if d < Q]
        if len(found) >= 256:
            return found[:256]
    raise AssertionError("the stream has no end")


def _noise(seed: bytes, number: int) -> Polynomial:
    """Algorithm 8 with η = 2."""
    bits = _unpacked(hashlib.shake_256(seed + bytes((number,))).digest(128), 1, 1024)
    quads = (bits[i : i + 4] for i in range(0, 1024, 4))
    return [(a + b - c - d) % Q for a, b, c, d in quads]


def _ntt(values: Polynomial) -> Polynomial:
    """Algorithm 9."""
    f, zetas, length = list(values), iter(ZETAS[1:]), 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            zeta = next(zetas)
            for j in range(start, start + length):
                t = zeta * f[j + length] % Q
                f[j], f[j + length] = (f[j] + t) % Q, (f[j] - t) % Q
        length //= 2
    return f


def _inverse(values: Polynomial) -> Polynomial:
    """Algorithm 10."""
    f, zetas, length = list(values), iter(ZETAS[:0:-1]), 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            zeta = next(zetas)
            for j in range(start, start + length):
                f[j], f[j + length] = (f[j] + f[j + length]) % Q, zeta * (f[j + length] - f[j]) % Q
        length *= 2
    return [value * 3303 % Q for value in f]


def _product(a: list[Polynomial], b: list[Polynomial]) -> Polynomial:
    """The sum of the products of two lists (algorithms 11 and 12)."""
    result = [0] * 256
    for f, g in zip(a, b, strict=True):
        for i in range(128):
            f0, f1, g0, g1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
            result[2 * i] = (result[2 * i] + f0 * g0 + f1 * g1 * GAMMAS[i]) % Q
            result[2 * i + 1] = (result[2 * i + 1] + f0 * g1 + f1 * g0) % Q
    return result


def _sum(f: Polynomial, g: Polynomial) -> Polynomial:
    return [(a + b) % Q for a, b in zip(f, g, strict=True)]


def _unpacked(data: bytes, bits: int, length: int = 256) -> Polynomial:
    """Algorithm 6."""
    number = int.from_bytes(data, "little")
    return [number >> (bits * i) & ((1 << bits) - 1) for i in range(length)]


def _packed(values: Polynomial, bits: int) -> bytes:
    """Compressed to so many bits each (4.7), then algorithm 5."""
    number = 0
    for i, value in enumerate(values):
        number |= (((value << bits + 1) + Q) // (2 * Q) & ((1 << bits) - 1)) << (bits * i)
    return number.to_bytes(32 * bits, "little")
