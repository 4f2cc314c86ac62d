"""Processor time of a registration and of an update, over DTLS, in the server's process (without Home Assistant).

Beside it, where it is installed: libcoap's example server answering a GET over plain UDP.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from statistics import median
from typing import Any

from .generator import SENML_CBOR
from .load import generator, serving
from .method import Comparison
from .others import free_port, program

DEVICES = 200
OBJECTS = {"1": 1, "3": 1, "3303": 2, "3304": 1}
LIBCOAP = "coap-server-notls"


def main(*, quick: bool = False) -> dict[str, Any]:
    """Measure; quick: hardly at all."""
    return asyncio.run(measure(devices=20, rounds=1, size=100) if quick else measure(DEVICES, rounds=8, size=2000))


async def measure(devices: int, *, rounds: int, size: int) -> dict[str, Any]:
    """Registers (of devices that are registered, over the association that they have) and updates, in turn."""
    comparison = Comparison()
    async with serving(devices) as server, generator() as load:
        await load("connect", port=server.coaps_port, count=devices, objects=OBJECTS, format=SENML_CBOR)

        async def update() -> int:
            await load("update", count=size)
            return size

        async def register() -> int:
            await load("register", count=size)
            if len(server.registrations) != devices:
                raise RuntimeError(f"{len(server.registrations)} of {devices} are registered")
            return size

        await load("register", count=devices)
        await comparison.run({"update": update, "register": register}, rounds)
        first = await _first(quick=rounds == 1)
        libcoap = await _libcoap(load, rounds, size)
    found: dict[str, Any] = {
        "us": {path: comparison.microseconds(path) for path in ("update", "register")} | first,
        "drift": comparison.drift,
        "valid": comparison.valid,
        "rounds": rounds,
        "window": size,
    }
    if libcoap is not None:
        found["us"]["libcoap_get"] = libcoap
        found["update_to_libcoap_get"] = found["us"]["update"] / libcoap
    return found


async def _first(*, quick: bool) -> dict[str, float]:
    """A server that knows of no device yet: each connects and registers once."""
    count, times = (10, 1) if quick else (DEVICES, 3)
    connects, registers = [], []
    for _ in range(times):
        async with serving(count) as server, generator() as load:
            started = time.process_time()
            await load("connect", port=server.coaps_port, count=count, objects=OBJECTS, format=SENML_CBOR)
            connected = time.process_time()
            await load("register", count=count)
            registers.append((time.process_time() - connected) / count * 1e6)
            connects.append((connected - started) / count * 1e6)
    return {"handshake_with_sockets": median(connects), "first_register": median(registers)}


async def _libcoap(load: Any, rounds: int, size: int) -> float | None:
    """Microseconds of libcoap's server for a GET; None where it is not installed."""
    if shutil.which(LIBCOAP) is None:
        return None
    port = free_port()
    async with program(LIBCOAP, "-A", "127.0.0.1", "-p", str(port), "-v", "0", port=port) as scheduled:
        times = []
        for _ in range(rounds + 1):
            before = scheduled()
            await load("get", port=port, count=size)
            times.append((scheduled() - before) / size / 1000)
    return median(times[1:])


def table(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """What a person wants to see first."""
    rows: list[tuple[str, ...]] = [("operation", "µs")]
    rows += [(name.replace("_", " "), f"{value:.1f}") for name, value in figures["us"].items()]
    if "update_to_libcoap_get" in figures:
        rows.append(("update, to libcoap's GET", f"{figures['update_to_libcoap_get']:.2f}"))
    if not figures["valid"]:
        rows.append(("VOID: A/A differ by", f"{figures['drift']:.0%}"))
    return rows
