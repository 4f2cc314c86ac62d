"""The scripts that a person runs: their syntax, and what the set-up reads of this machine."""

import ast
import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from scripts.lib import apt_source

ROOT = Path(__file__).parents[2]
SHELL = sorted(
    path
    for path in [*(ROOT / "scripts").iterdir(), *(ROOT / "scripts" / "lib").iterdir(), ROOT / ".ci" / "run"]
    if path.is_file() and (path.suffix == ".sh" or path.read_bytes().startswith(b"#!/usr/bin/env bash"))
)

ONE_LINE = """\
# deb http://old.invalid/debian trixie main
deb [arch=amd64 signed-by=/usr/share/keyrings/other.gpg] https://other.invalid/apt stable main
deb http://security.invalid/debian-security trixie-security main
deb-src http://mirror.invalid/debian trixie main
deb [signed-by=/k.gpg] http://mirror.invalid/debian trixie main contrib  # ours
"""
DEB822 = """\
# modified by hand
Types: deb
URIs: https://other.invalid/node
Suites: nodistro
Components: main
Signed-By: /other.gpg

Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: trixie
Components: main

Types: deb deb-src
# an earlier mirror
URIs: http://mirror.invalid/debian
 http://second.invalid/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /k.gpg

Types: deb
URIs: http://security.invalid/debian-security
Suites: trixie-security
Components: main
"""


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_shell_syntax(script: Path) -> None:
    assert subprocess.run(["bash", "-n", script], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("parse", [apt_source.parse_list, apt_source.parse_sources])
def test_apt_source_of_the_system(parse: object) -> None:
    found = apt_source.parse_list(ONE_LINE) if parse is apt_source.parse_list else apt_source.parse_sources(DEB822)
    chosen = apt_source.choose(found, "trixie")
    assert chosen is not None
    assert chosen.uri == "http://mirror.invalid/debian"
    assert chosen.signed_by == "/k.gpg"


def test_apt_source_of_no_debian() -> None:
    assert apt_source.choose(apt_source.parse_list(ONE_LINE), "bookworm") is None


def test_apt_source_runs_on_an_old_python() -> None:
    ast.parse((ROOT / "scripts" / "lib" / "apt_source.py").read_text(), feature_version=(3, 9))


async def test_server_starts_without_home_assistant() -> None:
    """The first line on standard output is `listening`; SIGTERM is a clean stop."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        ROOT / "scripts" / "server", "--coaps-port", "0", cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stdout is not None
    first = json.loads(await process.stdout.readline())
    assert first["event"] == "listening"
    assert first["coaps"] > 0
    assert first["coap"] is None
    process.terminate()
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
