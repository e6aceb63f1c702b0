"""The objects of spec/vectors: what runs each of them, and how an outcome is compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bodies
import card
import envelope
import frames
import identity
import link
import relay
import seal
from layouts import CannotRun, Input, Operation, Output, Refused

VECTORS = Path(__file__).resolve().parents[2] / "spec" / "vectors"
REFUSALS = ("decode", "rule", "signature", "seal", "audience", "policy")
FILE_KEYS = {"object", "about", "vectors"}
VECTOR_KEYS = {"id", "req", "comment", "input", "expect"}

Vector = dict[str, Any]


def by(name: str, operations: Mapping[str, Operation]) -> Operation:
    """An object whose vectors name their operation in the input `name`."""
    return lambda given: given.one_of(name, operations)(given)


OBJECTS: dict[str, Operation] = {
    "beacon": frames.run_beacon,
    "body": bodies.run_body,
    "card": card.run_card,
    "drop": relay.run_drop,
    "envelope": by("op", envelope.OPERATIONS),
    "frame": frames.run_frame,
    "invite": identity.run_invite,
    "link": link.run_link,
    "proof": by("proof", identity.PROOFS),
    "relay": by("proof", relay.PROOFS),
    "rpc": frames.run_rpc,
    "sealed": by("op", seal.OPERATIONS),
}


def fault_of(name: str, vector: Vector) -> str | None:
    """What is wrong with a vector or with this program; nothing where both agree."""
    try:
        return _compare(vector, *_outcome(OBJECTS[name], vector))
    except CannotRun as error:
        return f"is of an unknown kind: {error}"
    except Exception as error:  # whatever goes wrong is a fault of this one vector
        return f"{type(error).__name__}: {error}"


def _outcome(operation: Operation, vector: Vector) -> tuple[str, Output]:
    if set(vector) - {"output"} != VECTOR_KEYS:
        raise CannotRun(f"keys {', '.join(vector)}")
    if vector["expect"] not in ("ok", *REFUSALS):
        raise CannotRun(f"expect {vector['expect']!r}")
    try:
        return "ok", operation(Input(vector["input"]))
    except Refused as refused:
        return refused.expect, None


def _compare(vector: Vector, expect: str, output: Output) -> str | None:
    if expect != vector["expect"]:
        return f"expects {vector['expect']}, is {expect}"
    claimed = vector.get("output")
    if output == claimed:
        return None
    names = set(output or {}) | set(claimed or {})
    wrong = [n for n in names if (output or {}).get(n, ...) != (claimed or {}).get(n, ...)]
    return f"another output: {', '.join(sorted(wrong))}"


def load(folder: Path) -> dict[str, list[Vector]]:
    """The vectors of every file; a file that cannot be run is an error."""
    return checked({p.name: json.loads(p.read_text("utf-8")) for p in sorted(folder.iterdir())})


def checked(files: dict[str, Any]) -> dict[str, list[Vector]]:
    """The vectors of each object, if there are vectors of each, and of no other."""
    objects = {}
    for file, data in files.items():
        name = data.get("object")
        if set(data) != FILE_KEYS or file != f"{name}.json" or name not in OBJECTS:
            raise CannotRun(f"{file} is of an unknown kind")
        ids = [vector.get("id") for vector in data["vectors"]]
        if not ids or len(set(ids)) != len(ids):
            raise CannotRun(f"{file} has no vectors, or an id twice")
        objects[name] = data["vectors"]
    if missing := set(OBJECTS) - set(objects):
        raise CannotRun(f"no vectors of {', '.join(sorted(missing))}")
    return objects
