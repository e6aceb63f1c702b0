"""Answers questions from standard input: an implementation for `conformance vectors --impl`.

One line in, one line out: `{"n": 1, "object": "card", "input": {…}}` is answered by
`{"n": 1, "verdict": "ok", "output": {…}}`, or by the class of the refusal without an output.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from layouts import CannotRun, Input, Refused
from objects import OBJECTS


def main() -> int:
    """Answers until the input ends."""
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps({"n": question["n"], **answer(question)}), flush=True)
    return 0


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """A verdict, and what was computed."""
    if (operation := OBJECTS.get(question["object"])) is None:
        return {"verdict": "unsupported"}
    try:
        output = operation(Input(question["input"]))
    except Refused as refused:
        return {"verdict": refused.expect}
    except CannotRun:
        return {"verdict": "unsupported"}
    return {"verdict": "ok", "output": output or {}}
