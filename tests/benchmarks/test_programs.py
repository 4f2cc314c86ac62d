"""Every program still works; what it measures is nobody's business here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .__main__ import PROGRAMS
from .figures import ROOT


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_runs(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "tests.benchmarks", name, "--quick"),
        check=False,
        cwd=ROOT,
        env={**os.environ, "LWM2M_FIGURES": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / f"benchmark_{name}_quick.json").read_text())
    assert figures["processors"]
    assert "µs" in done.stdout or "kB" in done.stdout or "wall" in done.stdout


def test_unknown_program_is_refused() -> None:
    command = (sys.executable, "-m", "tests.benchmarks", "nothing")
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "there is no nothing" in done.stderr
