"""What ready-made devices are built from: typed resources, object 3, the IPSO sensor pattern, values that move."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .client import SimulatedClient
from .model import DeviceModel, Instance, Path, Resource, Scalar


@dataclass(slots=True)
class Device:
    """A model, and what happens to it of itself while the client lives."""

    model: DeviceModel
    behave: Callable[[SimulatedClient, float], Awaitable[None]] | None = None


def number(value: float, operations: str = "R") -> Resource:
    """A float resource."""
    return Resource(float(value), "float", operations)


def whole(value: int, operations: str = "R") -> Resource:
    """An integer resource."""
    return Resource(value, "integer", operations)


def flag(value: bool, operations: str = "R") -> Resource:
    """A boolean resource."""
    return Resource(value, "boolean", operations)


def text(value: str, operations: str = "R") -> Resource:
    """A string resource."""
    return Resource(value, "string", operations)


def action() -> Resource:
    """An executable resource."""
    return Resource(operations="E")


def device_object(model: str, serial: str, *, kind: str, battery: int | None = None) -> Instance:
    """Object 3 of a device of the made-up maker Nordfeld."""
    resources: Instance = {
        0: text("Nordfeld"),
        1: text(model),
        2: text(serial),
        3: text("1.4.2"),
        4: action(),
        5: action(),
        11: Resource({0: 0}, "integer", "R", multiple=True),
        13: Resource(int(time.time()), "time", "RW"),
        14: text("+00:00", "RW"),
        15: text("Etc/UTC", "RW"),
        16: text("U"),
        17: text(kind),
        18: text("B"),
        19: text("1.4.2-7"),
    }
    if battery is not None:
        resources |= {
            6: Resource({0: 1}, "integer", "R", multiple=True),
            7: Resource({0: 2950}, "integer", "R", multiple=True),
            9: whole(battery),
            10: whole(38),
            20: whole(0),
            21: whole(256),
        }
    return resources


def measured(value: float, unit: str, *, low: float, high: float, name: str | None = None) -> Instance:
    """A sensor instance in the IPSO pattern: value, unit, measured and possible range, reset."""
    resources: Instance = {
        5700: number(value),
        5701: text(unit),
        5601: number(value),
        5602: number(value),
        5603: number(low),
        5604: number(high),
    }

    def reset(_arguments: str) -> None:
        resources[5601].value = resources[5602].value = resources[5700].value

    resources[5605] = Resource(operations="E", execute=reset)
    if name is not None:
        resources[5750] = text(name, "RW")
    return resources


def serial_number(index: int) -> str:
    """A serial number that is the same on each run."""
    return f"NF{2600000 + 37 * index}"


async def wander(client: SimulatedClient, interval: float, values: dict[Path, tuple[float, float]]) -> None:
    """Let values swing slowly about their middle, each with its own period; never ends."""
    step = 0
    while True:
        await asyncio.sleep(interval)
        step += 1
        for position, (path, (middle, width)) in enumerate(values.items()):
            digits = 0 if middle > 1000 else 2
            value = round(middle + width * math.sin(step / (5 + position)), digits)
            client.set(path, value)
            _widen(client, path, value)


def _widen(client: SimulatedClient, path: Path, value: Scalar) -> None:
    for resource_id, pick in ((5601, min), (5602, max)):
        bound = client.model.resource((*path[:2], resource_id))
        if bound is not None and isinstance(bound.value, float) and isinstance(value, float):
            bound.value = pick(bound.value, value)
