"""What the integration adds to the start of a real Home Assistant, with the server's entry and those of ten devices.

Starts with and without it alternate, each in a configuration that has been started before. Seconds are wall time from
Home Assistant's own log, and processor time of the process, both up to "initialized". Beside it: what its imports cost
after everything that Home Assistant has imported by then, by package.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from custom_components.lwm2m.entry_data import device_data
from custom_components.lwm2m.mapping.descriptions import PLATFORMS
from custom_components.lwm2m.security.credential import Psk
from scripts.lib import processes
from scripts.lib.home import CONFIGURATION, PYTHON, ROOT, Home, free_port

from .generator import KEY, endpoint_of, identity_of
from .others import free_port as free_udp_port

DEVICES = 10
PATIENCE = 120.0
NO_USERS = {"version": 1, "minor_version": 1, "key": "auth_provider.homeassistant", "data": {"users": []}}
LOGGED = "    homeassistant.bootstrap: info\n    homeassistant.setup: info\n"
INITIALIZED = re.compile(r"Home Assistant initialized in ([\d.]+)s")
SET_UP = re.compile(r"Setup of domain lwm2m took ([\d.]+) seconds")
LOADED_ANYWAY = (
    "homeassistant.bootstrap",
    *(f"homeassistant.components.{name}" for name in ("config", "file_upload", "frontend", "http", "websocket_api")),
    *(f"homeassistant.components.{platform}" for platform in PLATFORMS),
)
OURS = ("custom_components.lwm2m", *(f"custom_components.lwm2m.{name}" for name in ("config_flow", *PLATFORMS)))


def main(*, quick: bool = False) -> dict[str, Any]:
    """Measure; quick: one start with the integration and none without."""
    if not PYTHON.exists():
        raise SystemExit("this needs the demo's environment: scripts/setup demo")
    if quick:
        return asyncio.run(_starts(1, ("with",))) | {"import_ms": imports(1)}
    return asyncio.run(_starts(6, ("with", "without"))) | {"import_ms": imports(5)}


async def _starts(rounds: int, names: tuple[str, ...]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lwm2m-benchmark-") as folder:
        homes = {name: Home(Path(folder) / name, free_port()) for name in names}
        for name, home in homes.items():
            storage = home.config / ".storage"
            storage.mkdir(parents=True)
            # Nobody logs in; making a user takes as long as a start.
            (storage / "auth_provider.homeassistant").write_text(json.dumps(NO_USERS))
            await home.seed()
            configuration = CONFIGURATION.format(level="info") + LOGGED
            (home.config / "configuration.yaml").write_text(configuration)
            if name == "with":
                _add_entries(home)
            else:
                (home.config / "custom_components" / "lwm2m").unlink()
            if rounds > 1:
                await _start(home)
        starts: dict[str, list[dict[str, float]]] = {name: [] for name in homes}
        for number in range(rounds):
            for name in list(homes) if number % 2 else reversed(list(homes)):
                starts[name].append(await _start(homes[name]))
    found: dict[str, Any] = {name: _medians(times) for name, times in starts.items()}
    if "without" not in names:
        return found
    pairs = list(zip(starts["with"], starts["without"], strict=True))
    found["added"] = {key: median(ours[key] - other[key] for ours, other in pairs) for key in ("wall", "processor")}
    return found | {"rounds": rounds}


def _medians(times: list[dict[str, float]]) -> dict[str, float]:
    return {key: median(one[key] for one in times) for key in times[0]}


def _add_entries(home: Home) -> None:
    """Store the entries as Home Assistant does."""
    listen = {"ports": {"port": free_udp_port(), "interface": "127.0.0.1"}}
    entries = [_entry("server", {}, listen)]
    for number in range(DEVICES):
        endpoint = endpoint_of(number)
        entries.append(_entry(f"device_{endpoint}", device_data(endpoint, Psk(identity_of(number), KEY)), {}))
    stored = {"version": 1, "minor_version": 5, "key": "core.config_entries", "data": {"entries": entries}}
    (home.config / ".storage" / "core.config_entries").write_text(json.dumps(stored))


def _entry(unique_id: str, data: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    return {
        "created_at": "2026-01-01T00:00:00+00:00",
        "modified_at": "2026-01-01T00:00:00+00:00",
        "data": data,
        "disabled_by": None,
        "discovery_keys": {},
        "domain": "lwm2m",
        "entry_id": f"{abs(hash(unique_id)):032x}",
        "minor_version": 1,
        "options": options,
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [],
        "title": unique_id,
        "unique_id": unique_id,
        "version": 1,
    }


async def _start(home: Home) -> dict[str, float]:
    """Start it, wait until it is initialized, stop it; seconds."""
    home.log.unlink(missing_ok=True)
    command = (str(PYTHON), "-m", "homeassistant", "-c", str(home.config), "--skip-pip")
    with home.log.open("ab") as output:
        process = await processes.start(*command, cwd=home.config, log=output)
    try:
        async with asyncio.timeout(PATIENCE):
            while (done := INITIALIZED.search(home.log.read_text())) is None:
                if process.returncode is not None:
                    raise RuntimeError(home.log.read_text())
                await asyncio.sleep(0.02)
        times = {"wall": float(done[1]), "processor": _processor_seconds(process.pid)}
        log = home.log.read_text()
        if (home.config / "custom_components" / "lwm2m").exists() != ("Listening on port" in log):
            raise RuntimeError(f"the integration did not run, or ran where it is not:\n{log}")
        setup = SET_UP.search(log)
        return times | ({"setup": float(setup[1])} if setup else {})
    finally:
        await processes.end(process, 30)


def _processor_seconds(pid: int) -> float:
    """User and system time of a process, its ended threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def imports(times: int) -> dict[str, float]:
    """Milliseconds of what the integration imports, by top-level package, and their sum; medians of processes."""
    runs = []
    for _ in range(times):
        before = _import_times(LOADED_ANYWAY)
        after = _import_times((*LOADED_ANYWAY, *OURS))
        spent: Counter[str] = Counter()
        for module in after.keys() - before.keys():
            top = "lwm2m" if module.startswith("custom_components") else module.partition(".")[0]
            spent[top] += after[module]
        runs.append(spent)
    names = {name for run in runs for name in run}
    found = {name: median(run[name] for run in runs) / 1000 for name in names}
    listed = dict(sorted(found.items(), key=lambda item: -item[1])[:8])
    return {"all": median(run.total() for run in runs) / 1000} | listed


def _import_times(modules: tuple[str, ...]) -> dict[str, int]:
    """Microseconds that each module took by itself."""
    code = "\n".join(f"import {module}" for module in modules)
    done = subprocess.run(
        (PYTHON, "-X", "importtime", "-c", code), cwd=ROOT, check=True, capture_output=True, text=True
    )
    lines = (line.removeprefix("import time:").split("|") for line in done.stderr.splitlines())
    return {parts[2].strip(): int(parts[0]) for parts in lines if len(parts) == 3 and parts[0].strip().isdigit()}


def table(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """What a person wants to see first."""
    rows: list[tuple[str, ...]] = [("", "wall s", "processor s")]
    names = [name for name in ("with", "without", "added") if name in figures]
    rows += [(name, *(f"{figures[name][key]:.2f}" for key in ("wall", "processor"))) for name in names]
    rows.append(("setup of the domain, by its log", f"{figures['with'].get('setup', float('nan')):.2f}", ""))
    rows += [(f"import: {name}", "", f"{value / 1000:.3f}") for name, value in figures["import_ms"].items()]
    return rows
