"""Runs every test vector of spec/vectors and compares; see README.md."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field

import answer
import ed25519
import selftest
from layouts import CannotRun
from objects import VECTORS, Vector, fault_of, load


@dataclass
class Report:
    """What became of the vectors of one object."""

    accepting: int = 0
    refusing: int = 0
    agreed: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many vectors were run."""
        return self.accepting + self.refusing


def run(name: str, vectors: list[Vector]) -> Report:
    """Runs the vectors of one object."""
    report = Report()
    for vector in vectors:
        if vector.get("expect") == "ok":
            report.accepting += 1
        else:
            report.refusing += 1
        if fault := fault_of(name, vector):
            report.faults.append(f"{name}.json: {vector.get('id')} {fault}")
        else:
            report.agreed += 1
    return report


def check(files: dict[str, list[Vector]]) -> bool:
    """Runs all and prints a line for each object."""
    reports = {name: run(name, vectors) for name, vectors in files.items()}
    for report in reports.values():
        for fault in report.faults:
            print(fault)
    for name, r in reports.items():
        counts = f"{r.total:4} vectors: {r.accepting:3} accepting, {r.refusing:3} refusing"
        print(f"{name:9}{counts}; {r.agreed:4} agreed")
    print(f"PyNaCl agrees about {ed25519.second_opinions} signatures")
    passed = sum(report.agreed for report in reports.values())
    failed = sum(report.total for report in reports.values()) - passed
    print(f"{passed} passed, {failed} failed")
    return failed == 0


def main() -> int:
    """The exit code: 0 when all agree, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--self-test", action="store_true", help="show that faults are noticed")
    parser.add_argument("--answer", action="store_true", help="answer questions line by line")
    arguments = parser.parse_args()
    if arguments.answer:
        return answer.main()
    try:
        files = load(VECTORS)
        holds = selftest.run(files) if arguments.self_test else check(files)
        return 0 if holds else 1
    except CannotRun as error:
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
