"""Ready-made devices: object models with realistic names, and values that slowly change."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from .client import SimulatedClient
from .instruments import meter, motion, panel, tracker, weather
from .model import DeviceModel, Objects, Path
from .parts import Device, action, device_object, flag, measured, number, serial_number, text, wander, whole

__all__ = ["DEVICES", "Device", "action", "flag", "measured", "number", "text", "whole"]


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
                5852: whole(0, "RW"),
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
                5852: whole(0, "RW"),
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
        3342: {0: {5500: flag(value=False), 5501: whole(0), 5852: whole(0, "RW")}},
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
    """The small devices in one: sensor, plug, light, contact and actuator."""
    return _together(index, "MX-5 Multi Device", (sensor, plug, light, contact, actuator))


def everything(index: int = 0) -> Device:
    """All devices in one."""
    makers = (sensor, plug, light, contact, actuator, weather, meter, panel, motion, tracker)
    return _together(index, "EV-99 Everything", makers)


def _together(index: int, name: str, makers: Sequence[Callable[[int], Device]]) -> Device:
    """One device of several; of an object that more than one has, the first is taken."""
    parts = [make(index) for make in makers]
    objects: Objects = {}
    versions: dict[int, str] = {}
    for part in parts:
        objects = {**part.model.objects, **objects}
        versions |= part.model.versions
    objects[3] = {0: device_object(name, serial_number(index), kind="Multi device", battery=75)}
    model = DeviceModel(objects, versions=versions)
    for part in parts:  # their models' own rules go on, for what they share is the same resource
        model.changed += part.model.changed

    async def behave(client: SimulatedClient, interval: float) -> None:
        await asyncio.gather(*(part.behave(client, interval) for part in parts if part.behave is not None))

    return Device(model, behave)


DEVICES: dict[str, Callable[[int], Device]] = {
    "sensor": sensor,
    "plug": plug,
    "light": light,
    "contact": contact,
    "actuator": actuator,
    "weather": weather,
    "meter": meter,
    "panel": panel,
    "motion": motion,
    "tracker": tracker,
    "multi": multi,
    "everything": everything,
}
