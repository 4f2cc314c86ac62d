"""Memory of a device in the server's process, without Home Assistant, from its credential to its observations.

Resident memory, and what Python allocated by tracemalloc, each in a process of its own. A device has five objects;
others have ten instances of one of them, each with an observation that had a notification.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from custom_components.lwm2m.protocol.path import Path as ObjectPath
from custom_components.lwm2m.server.server import Server

from .figures import ROOT
from .generator import SENML_CBOR, VALUE, endpoint_of
from .load import Load, expect, generator

OBJECTS = {"1": 1, "3": 1, "4": 1, "5": 1, "3303": 1}
OBSERVED = 10
TOGETHER = 20
"""Devices that are observed at the same time. With all at once the peak leaves holes, half as much again."""

WARM = 50
"""Devices that are there before the first look, so that what exists once is not counted."""


def main(*, quick: bool = False) -> dict[str, Any]:
    """Measure with a thousand devices; quick: a few, and one way only."""
    count = 40 if quick else 1000
    found: dict[str, Any] = {"devices": count}
    for way in ("traced",) if quick else ("resident", "traced"):
        command = (sys.executable, "-m", "tests.benchmarks.memory", way, str(count))
        out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        found[way] = json.loads(out)
    return found


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def traced() -> int:
    """Bytes that Python has allocated."""
    return tracemalloc.get_traced_memory()[0]


async def measure(used: Callable[[], int], count: int) -> dict[str, float]:
    """Bytes per device: of `count` idle ones, and of as many others with observations."""

    def look() -> int:
        gc.collect()
        return used()

    server = Server()
    await server.start("127.0.0.1", coaps_port=0)
    try:
        async with generator() as load:
            await _add(server, load, 0, WARM, {})
            first = look()
            await _add(server, load, WARM, count, {})
            second = look()
            await _add(server, load, WARM + count, count, {"3303": OBSERVED})
            for start in range(0, count, TOGETHER):
                await _observe(server, load, WARM + count, start, min(start + TOGETHER, count))
            await load("notify", count=count * OBSERVED)
            third = look()
            await load("notify", count=count * OBSERVED)
            fourth = look()
    finally:
        await server.stop()
    return {
        "idle": (second - first) / count,
        "observed": (third - second) / count,
        "observed_later": (fourth - second) / count,
    }


async def _observe(server: Server, load: Load, first: int, start: int, stop: int) -> None:
    for number in range(first + start, first + stop):
        device = server.device(endpoint_of(number))
        for instance in range(OBSERVED):
            device.watch(ObjectPath.of(3303, instance, VALUE), _ignore)
    async with asyncio.timeout(60):
        while (await load("observed"))["observed"] < stop * OBSERVED:  # noqa: ASYNC110 - it answers when it is asked
            await asyncio.sleep(0.02)


async def _add(server: Server, load: Load, first: int, count: int, more: dict[str, int]) -> None:
    expect(server, first + count)
    await load("connect", port=server.coaps_port, count=count, objects=OBJECTS | more, format=SENML_CBOR)
    await load("register", count=first + count)  # those from before once more, since it goes in turn
    if len(server.registrations) != first + count:
        raise RuntimeError("not all are registered")


def _ignore(_path: ObjectPath) -> None:
    """A watcher."""


def table(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """What a person wants to see first."""
    rows: list[tuple[str, ...]] = [("kB per device", "idle", f"{OBSERVED} observations", "after more notifications")]
    ways = [way for way in ("resident", "traced") if way in figures]
    rows += [(way, *(f"{value / 1000:.1f}" for value in figures[way].values())) for way in ways]
    return rows


if __name__ == "__main__":
    _, way, number = sys.argv
    if way == "traced":
        tracemalloc.start()
    print(json.dumps(asyncio.run(measure(traced if way == "traced" else resident, int(number)))))
