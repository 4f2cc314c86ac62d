"""Ready-made devices: object models with realistic names, and values that slowly change."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .client import SimulatedClient
from .model import DeviceModel, Instance, Objects, Path, Resource, Scalar


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


def sensor(index: int = 0) -> Device:
    """Temperature twice, humidity and air pressure."""
    objects: Objects = {
        3: {0: device_object("THP-2 Climate Sensor", serial_number(index), kind="Climate sensor", battery=87)},
        3303: {
            0: measured(21.5, "Cel", low=-40, high=125, name="Indoor"),
            1: measured(8.25, "Cel", low=-40, high=125, name="Outdoor"),
        },
        3304: {0: measured(46.0, "%RH", low=0, high=100)},
        3315: {0: measured(101325.0, "Pa", low=30000, high=110000)},
    }
    model = DeviceModel(objects, versions={3: "1.1", 3303: "1.1", 3304: "1.1", 3315: "1.1"})

    async def behave(client: SimulatedClient, interval: float) -> None:
        await wander(
            client,
            interval,
            {
                (3303, 0, 5700): (21.5, 1.5),
                (3303, 1, 5700): (8.25, 4.0),
                (3304, 0, 5700): (46.0, 6.0),
                (3315, 0, 5700): (101325.0, 300.0),
            },
        )

    return Device(model, behave)


def plug(index: int = 0) -> Device:
    """A switched outlet with power metering, and a digital output."""
    objects: Objects = {
        3: {0: device_object("SP-16 Smart Plug", serial_number(index), kind="Smart plug")},
        3201: {0: {5550: flag(value=False, operations="RW"), 5551: flag(value=False, operations="RW")}},
        3312: {
            0: {
                5850: flag(value=False, operations="RW"),
                5852: Resource(0, "time", "RW"),
                5805: number(1250.5),
                5820: number(0.97),
                5750: text("Outlet", "RW"),
            }
        },
        3328: {0: measured(0.0, "W", low=0, high=3680)},
    }
    model = DeviceModel(objects, versions={3: "1.1", 3312: "1.1", 3328: "1.1"})

    def switched(path: Path) -> None:
        if path == (3312, 0, 5850):
            model.set((3328, 0, 5700), 42.5 if objects[3312][0][5850].value else 0.0)

    model.changed.append(switched)

    async def behave(client: SimulatedClient, interval: float) -> None:
        rng = random.Random(index)
        while True:
            await asyncio.sleep(interval)
            if client.get("/3312/0/5850"):
                power = round(42.5 + rng.uniform(-1.5, 1.5), 1)
                client.set("/3328/0/5700", power)
                total = objects[3312][0][5805].value
                if isinstance(total, float):
                    client.set("/3312/0/5805", round(total + power * interval / 3600, 4))

    return Device(model, behave)


def light(index: int = 0) -> Device:
    """A dimmable colour lamp."""
    objects: Objects = {
        3: {0: device_object("LC-9 Colour Lamp", serial_number(index), kind="Lamp")},
        3311: {
            0: {
                5850: flag(value=False, operations="RW"),
                5851: whole(60, "RW"),
                5706: text("#ffd9a0", "RW"),
                5852: Resource(0, "time", "RW"),
                5750: text("Ceiling", "RW"),
            }
        },
    }
    return Device(DeviceModel(objects, versions={3: "1.1", 3311: "1.0"}))


def contact(index: int = 0) -> Device:
    """A door contact with a button and a presence detector; now and then somebody comes."""
    objects: Objects = {
        3: {0: device_object("DC-1 Door Contact", serial_number(index), kind="Contact", battery=64)},
        3200: {0: {5500: flag(value=False), 5501: whole(12), 5750: text("Door", "RW"), 5505: action()}},
        3302: {0: {5500: flag(value=False), 5501: whole(3)}},
        3342: {0: {5500: flag(value=False), 5501: whole(0), 5852: Resource(0, "time", "R")}},
        3347: {0: {5500: flag(value=False), 5501: whole(0)}},
    }
    model = DeviceModel(objects, versions={3: "1.1"})

    async def behave(client: SimulatedClient, interval: float) -> None:
        while True:
            for object_id in (3302, 3200):
                await asyncio.sleep(interval * 2)
                now = not client.get((object_id, 0, 5500))
                client.set((object_id, 0, 5500), now)
                count = client.get((object_id, 0, 5501))
                if now and isinstance(count, int):
                    client.set((object_id, 0, 5501), count + 1)

    return Device(model, behave)


def actuator(index: int = 0) -> Device:
    """A radiator valve: actuation with a level, an analogue output, a set point."""
    objects: Objects = {
        3: {0: device_object("RV-3 Radiator Valve", serial_number(index), kind="Actuator", battery=91)},
        3203: {0: {5650: number(2.5, "RW"), 5603: number(0), 5604: number(10), 5750: text("Bias", "RW")}},
        3303: {0: measured(20.0, "Cel", low=-10, high=60)},
        3306: {0: {5850: flag(value=True, operations="RW"), 5851: whole(30, "RW"), 5750: text("Valve", "RW")}},
        3308: {0: {5900: number(21.0, "RW"), 5701: text("Cel")}},
    }
    model = DeviceModel(objects, versions={3: "1.1"})

    async def behave(client: SimulatedClient, interval: float) -> None:
        await wander(client, interval, {(3303, 0, 5700): (20.0, 1.0)})

    return Device(model, behave)


def multi(index: int = 0) -> Device:
    """All of the small devices in one."""
    parts = [make(index) for make in (sensor, plug, light, contact, actuator)]
    objects: Objects = {}
    versions: dict[int, str] = {}
    for part in parts:
        objects = {**part.model.objects, **objects}
        versions |= part.model.versions
    objects[3] = {0: device_object("MX-5 Multi Device", serial_number(index), kind="Multi device", battery=75)}
    model = DeviceModel(objects, versions=versions)

    async def behave(client: SimulatedClient, interval: float) -> None:
        await asyncio.gather(*(part.behave(client, interval) for part in parts if part.behave is not None))

    return Device(model, behave)


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


DEVICES: dict[str, Callable[[int], Device]] = {
    "sensor": sensor,
    "plug": plug,
    "light": light,
    "contact": contact,
    "actuator": actuator,
    "multi": multi,
}
