"""Where figures of a run go: one JSON file a name, in $LWM2M_FIGURES or build/figures."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def write(name: str, figures: Mapping[str, object]) -> Path:
    """Write `figures` with the machine that they are of; returns the file."""
    folder = Path(os.environ.get("LWM2M_FIGURES") or ROOT / "build" / "figures")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    machine = {"python": platform.python_version(), "machine": platform.machine(), "processors": os.cpu_count()}
    file.write_text(json.dumps({"name": name, **machine, **figures}, indent=2) + "\n")
    return file
