"""Changes each vector in memory, one thing at a time: each change has to be noticed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from layouts import CannotRun
from objects import REFUSALS, Vector, checked, fault_of

#: The names of inputs that choose what is run, and so are no bytes.
WORDS = frozenset({"op", "proof", "role", "kind", "type"})


def run(files: dict[str, list[Vector]]) -> bool:
    """Whether every change was noticed; prints a line for each object."""
    unnoticed: list[str] = []
    changes = 0
    for name, vectors in files.items():
        counts = dict.fromkeys(("expectations", "outputs", "inputs", "kinds"), 0)
        for vector in vectors:
            for kind, makes in MAKERS.items():
                for changed in makes(vector):
                    counts[kind] += 1
                    if fault_of(name, changed) is None:
                        unnoticed.append(f"{name}.json: {vector['id']}: changed {kind} unnoticed")
            if (count := _inputs(name, vector)) is not None:
                counts["inputs"] += count
                if count == 0:
                    unnoticed.append(f"{name}.json: {vector['id']}: no changed byte is noticed")
        if not all(counts.values()):
            unnoticed.append(f"{name}.json: nothing of a kind was changed")
        changes += sum(counts.values())
        print(f"{name:9}" + ", ".join(f"{count:4} {kind}" for kind, count in counts.items()))
    unnoticed += _files(files)
    for line in unnoticed:
        print(line)
    print(f"{changes} changes, {len(unnoticed)} not noticed")
    return not unnoticed


def _files(objects: dict[str, list[Vector]]) -> list[str]:
    """Files that are unknown, missing, empty or without what they need."""
    files: dict[str, Any] = {
        f"{name}.json": {"object": name, "about": "", "vectors": vectors}
        for name, vectors in objects.items()
    }
    checked(files)
    body = files["body.json"]
    rest = {file: data for file, data in files.items() if file != "body.json"}
    wrong = {
        "a missing file": rest,
        "an unknown object": {**files, "other.json": {**body, "object": "other"}},
        "a file of another object": {**rest, "other.json": body},
        "a file without vectors": {**rest, "body.json": {**body, "vectors": []}},
        "an id twice": {**rest, "body.json": {**body, "vectors": body["vectors"][:1] * 2}},
        "an unknown key": {**rest, "body.json": {**body, "more": 1}},
    }
    unnoticed = []
    for what, changed in wrong.items():
        try:
            checked(changed)
            unnoticed.append(f"{what} is not noticed")
        except CannotRun:
            pass
    return unnoticed


def _expectations(vector: Vector) -> Iterator[Vector]:
    """Accepted for refused, and refused by two other layers."""
    others = [expect for expect in ("ok", *REFUSALS) if expect != vector["expect"]]
    for expect in (others[0], others[1], others[-1]):
        yield {**vector, "expect": expect}


def _outputs(vector: Vector) -> Iterator[Vector]:
    """Every value of the output changed, left out, and one that nothing computes."""
    if "output" in vector:
        for path in _leaves(vector["output"]):
            yield _changed(vector, ["output", *path])
        for key in vector["output"]:
            output = {k: v for k, v in vector["output"].items() if k != key}
            yield {**vector, "output": output}
    yield {**vector, "output": {**vector.get("output", {}), "more": 1}}


def _kinds(vector: Vector) -> Iterator[Vector]:
    """Vectors of a kind that is not known."""
    yield {**vector, "expect": "fine"}
    yield {**vector, "more": 1}
    yield {**vector, "input": {}}
    yield {**vector, "input": {**vector["input"], "more": "00"}}
    for word in WORDS & set(vector["input"]):
        yield {**vector, "input": {**vector["input"], word: "other"}}


MAKERS = {"expectations": _expectations, "outputs": _outputs, "kinds": _kinds}


def _inputs(name: str, vector: Vector) -> int | None:
    """How many changed inputs of a vector that is accepted were noticed.

    Not all have to be: half of all numbers are keys, and a frame has ignored bytes.
    """
    if vector["expect"] != "ok":
        return None
    paths = [path for path in _leaves(vector["input"]) if path[0] not in WORDS]
    places = [_changed(vector, ["input", *path], at) for path in paths for at in (-1, 0, 9)]
    return sum(fault_of(name, changed) is not None for changed in places)


def _leaves(value: Any) -> Iterator[list[Any]]:
    """The ways to every value in an object."""
    if isinstance(value, dict) and value:
        items: Any = value.items()
    elif isinstance(value, list) and value:
        items = enumerate(value)
    else:
        yield []
        return
    for key, inner in items:
        for path in _leaves(inner):
            yield [key, *path]


def _changed(vector: Vector, path: list[Any], at: int = -1) -> Vector:
    """A copy with one value changed: in a text the digit `at`, or the last one."""
    changed = copy.deepcopy(vector)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = _other(place[path[-1]], at)
    return changed


def _other(value: Any, at: int) -> Any:
    if isinstance(value, str) and value:
        at = at if at < len(value) else -1
        at %= len(value)
        return value[:at] + ("1" if value[at] == "0" else "0") + value[at + 1 :]
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + 1
    return "00"
