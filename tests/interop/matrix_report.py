"""Printed at the end of a run: suite by mode by client, and the refusals, with what became of each."""

from collections import Counter
from collections.abc import Iterable

import pytest

from custom_components.lwm2m.security.refusal import Reason

from . import test_matrix, test_refusals
from .peers import TINYDTLS, Peer, version

MARKS = {"passed": "ok", "failed": "FAILED", "error": "FAILED", "skipped": "not here"}


def outcomes(terminal: pytest.TerminalReporter, test: str) -> dict[str, str]:
    """What became of each case of a test function of this package, by the case's id."""
    found: dict[str, str] = {}
    for outcome, mark in MARKS.items():
        for report in terminal.stats.get(outcome, ()):
            head, _, case = getattr(report, "nodeid", "").partition("[")
            if head.endswith(f"tests/interop/{test}") and found.get(case.rstrip("]")) != "FAILED":
                found[case.rstrip("]")] = mark
    return found


def named(peer: Peer) -> str:
    return f"{peer.name} {version(peer.program)}" if peer is not TINYDTLS else peer.name


def of_row(found: dict[str, str], row: str) -> dict[str, str]:
    """What became of a row, by the word before its id: the library that the engine ran on."""
    return {case[: -len(row)].rstrip("-"): mark for case, mark in found.items() if f"-{case}".endswith(f"-{row}")}


def matrix_lines(found: dict[str, str]) -> Iterable[str]:
    for row in [*test_matrix.rows(), *test_matrix.constrained_rows()]:
        suite, mode, peer, variant, _ = row
        for library, mark in of_row(found, test_matrix._id(row)).items():
            name = suite or "its own choice"
            yield f"{mark:8} {library:8} {name:40} {mode:11} {named(peer):27} {variant}".rstrip()


def write(terminal: pytest.TerminalReporter) -> None:
    """Nothing where the interop tests were not run."""
    if found := outcomes(terminal, "test_matrix.py::test_accepts"):
        terminal.section("handshakes with other programs")
        for line in matrix_lines(found):
            terminal.write_line(line)
    refused = outcomes(terminal, "test_refusals.py::test_refuses")
    if refused:
        terminal.section("refusals, by reason")
        for reason in Reason:
            count = Counter(
                mark
                for row in test_refusals.rows()
                if row[0] is reason
                for mark in of_row(refused, test_refusals._id(row)).values()
            )
            if count:
                terminal.write_line(f"{reason:24} " + ", ".join(f"{n} {mark}" for mark, n in count.items()))
