"""docs/security.md says what the policy and the tests say, and names files that are there."""

import re
from pathlib import Path

import pytest

from custom_components.lwm2m.security.cipher_suite import MANDATORY, SUITES
from custom_components.lwm2m.security.refusal import Reason
from scripts import generate_security_tables as generator

TEXT = generator.DOCUMENT.read_text("utf-8")


def test_the_tables_are_those_of_today() -> None:
    assert generator.updated(TEXT) == TEXT, "run scripts/generate_security_tables.py"


def test_an_old_table_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "security.md"
    old.write_text(TEXT.replace("| mandatory |", "| optional |"), "utf-8")
    monkeypatch.setattr(generator, "DOCUMENT", old)
    assert generator.main() == 0
    assert old.read_text("utf-8") == TEXT


def test_a_table_without_a_place() -> None:
    with pytest.raises(ValueError, match="no one place for the table suites"):
        generator.updated(TEXT.replace("<!-- end of suites -->", ""))


def test_every_suite_and_reason_is_there() -> None:
    for suite in SUITES.values():
        assert TEXT.count(f"| `{suite.name}` | 0x{suite.number:04X} | {suite.status} |") == 1
    for name in MANDATORY:
        assert TEXT.index(name) < TEXT.index("## Cipher suites"), "named with the requirements"
    for reason in Reason:
        assert TEXT.count(f"\n| `{reason}` |") == 1


def test_files_that_are_named_exist() -> None:
    package = generator.ROOT / "custom_components" / "lwm2m"
    named = set(re.findall(r"`([\w/]+\.py|tests/\w+)`", TEXT))
    assert len(named) > 10
    for name in named:
        assert ((generator.ROOT if name.startswith("tests/") else package) / name).exists(), name


def test_no_versions_and_no_times() -> None:
    for made in (make() for make in generator.TABLES.values()):
        assert not re.search(r"\d+\.\d+\.\d+|\d+ m?s\b", made)
