#!/usr/bin/env python3
"""Write the tables of docs/security.md: cipher suites as the policy has them, and what is tested with which client.

usage: .venv/bin/python scripts/generate_security_tables.py

Run it after changing the policy (`security/cipher_suite.py`) or the definitions of tests/interop. Each table stands
between two comments that name it; what is around them is left as it is.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "security.md"
NAMES = {
    "openssl": "openssl s_client",
    "openssl-newest": "openssl s_client (newest)",
    "dtlssocket": "DTLSSocket (tinydtls)",
}
"""What a reader knows a test's peer as; others have their program's name."""


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def suites() -> str:
    """Every suite that the policy knows, those that are served first."""
    from custom_components.lwm2m.security.cipher_suite import MANDATORY, SUITES, Status

    order = list(Status)
    rows = sorted(
        SUITES.values(),
        key=lambda s: (order.index(s.status), MANDATORY.index(s.name) if s.name in MANDATORY else 0, s.number),
    )
    return table(
        ["suite", "number", "status", "why"], [[f"`{s.name}`", f"0x{s.number:04X}", s.status, s.reason] for s in rows]
    )


def matrix() -> str:
    """Suite by mode by client: what the interop tests run, with the variants of each."""
    from tests.interop.test_matrix import constrained_rows, rows

    cells: dict[tuple[str, str], dict[str, list[str]]] = {}
    peers: list[str] = []
    for suite, mode, peer, variant, _ in [*rows(), *constrained_rows()]:
        if peer.name not in peers:
            peers.append(peer.name)
        key = (f"`{suite}`" if suite else "what the client prefers", mode.value)
        variants = cells.setdefault(key, {}).setdefault(peer.name, [])
        variants.append(variant or "plain")
    return table(
        ["suite", "mode", *(NAMES.get(peer, peer) for peer in peers)],
        [[suite, mode, *(", ".join(row.get(peer, [])) for peer in peers)] for (suite, mode), row in cells.items()],
    )


def refusals() -> str:
    """Every refusal that the interop tests provoke, and by which client."""
    from custom_components.lwm2m.security.refusal import Reason
    from tests.interop.test_refusals import constrained_rows, rows

    order = list(Reason)
    made: dict[tuple[str, str, str], list[str]] = {}
    for engine, those in (("OpenSSL", rows()), ("tinydtls", constrained_rows())):
        for reason, variant, peer, _ in sorted(those, key=lambda row: order.index(row[0])):
            name = NAMES.get(peer.name, peer.name)
            clients = made.setdefault((engine, reason.value, variant), [])
            if name not in clients:
                clients.append(name)
    return table(
        ["engine", "reason", "case", "clients"],
        [[engine, f"`{reason}`", case, ", ".join(clients)] for (engine, reason, case), clients in made.items()],
    )


TABLES = {"suites": suites, "matrix": matrix, "refusals": refusals}


def updated(text: str) -> str:
    """The document with its tables made anew. Raises ValueError where one has no place in it."""
    for name, make in TABLES.items():
        place = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if len(place.findall(text)) != 1:
            raise ValueError(f"there is no one place for the table {name}")
        made = make() + "\n"
        text = place.sub(lambda found, made=made: found[1] + made + found[2], text)  # type: ignore[misc]
    return text


def main() -> int:
    """Write the document; returns the exit code."""
    DOCUMENT.write_text(updated(DOCUMENT.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
