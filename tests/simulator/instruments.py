"""More ready-made devices: instruments that measure much, a panel with a display and keys, a tracker."""

from __future__ import annotations

import asyncio
import time

from .client import SimulatedClient
from .model import DeviceModel, Objects, Path, Resource
from .parts import Device, action, device_object, flag, measured, number, serial_number, text, wander, whole


def moment() -> Resource:
    """A time resource, now."""
    return Resource(int(time.time()), "time", "R")


def weather(index: int = 0) -> Device:
    """A station that measures air, light, wind and rain."""
    objects: Objects = {
        3: {0: device_object("WS-7 Weather Station", serial_number(index), kind="Weather station", battery=93)},
        3301: {0: measured(5400.0, "lx", low=0, high=120000)},
        3320: {0: measured(63.0, "%", low=0, high=100, name="Soil moisture")},
        3321: {0: measured(412.0, "m", low=-100, high=9000)},
        3323: {0: measured(2.4, "bar", low=0, high=10, name="Water line")},
        3324: {0: measured(48.5, "dB", low=30, high=130)},
        3325: {0: measured(612.0, "ppm", low=400, high=5000, name="CO2")},
        3326: {0: measured(6.8, "pH", low=0, high=14)},
        3327: {0: measured(0.05, "S/m", low=0, high=5)},
        3332: {0: {5705: number(225.0), 5750: text("Wind direction", "RW")}},
        3346: {0: measured(1.2, "m/s", low=0, high=60, name="Wind")},
    }
    model = DeviceModel(objects, versions=dict.fromkeys(objects, "1.1"))

    async def behave(client: SimulatedClient, interval: float) -> None:
        await wander(
            client,
            interval,
            {
                (3301, 0, 5700): (5400.0, 2500.0),
                (3325, 0, 5700): (612.0, 90.0),
                (3332, 0, 5705): (225.0, 45.0),
                (3346, 0, 5700): (3.0, 2.0),
            },
        )

    return Device(model, behave)


def meter(index: int = 0) -> Device:
    """An electricity meter of three circuits."""
    objects: Objects = {
        3: {0: device_object("EM-3 Energy Meter", serial_number(index), kind="Energy meter")},
        3305: {
            circuit: {
                5800: number(120.0 * (circuit + 1)),
                5805: number(54321.0 + circuit),
                5810: number(14.5),
                5815: number(321.0),
                5820: number(0.97),
                5822: action(),
                5605: action(),
                5750: text(f"Circuit {circuit + 1}", "RW"),
            }
            for circuit in range(3)
        },
        3316: {0: measured(230.4, "V", low=0, high=400)},
        3317: {0: measured(1.6, "A", low=0, high=63)},
        3318: {0: measured(50.01, "Hz", low=45, high=65)},
        3329: {0: measured(0.96, "", low=-1, high=1)},
        3331: {0: {5700: number(987654.0), 5701: text("Wh"), 5822: action()}},
    }
    model = DeviceModel(objects, versions=dict.fromkeys(objects, "1.1"))

    async def behave(client: SimulatedClient, interval: float) -> None:
        values: dict[Path, tuple[float, float]] = {
            (3316, 0, 5700): (230.4, 3.0),
            (3317, 0, 5700): (1.6, 0.8),
            (3318, 0, 5700): (50.0, 0.05),
        }
        values |= {(3305, circuit, 5800): (120.0 * (circuit + 1), 40.0) for circuit in range(3)}
        await asyncio.gather(wander(client, interval, values), _count(client, interval))

    return Device(model, behave)


async def _count(client: SimulatedClient, interval: float) -> None:
    """Let the meter's counters grow."""
    while True:
        await asyncio.sleep(interval)
        for path in ((3331, 0, 5700), (3305, 0, 5805), (3305, 1, 5805), (3305, 2, 5805)):
            value = client.get(path)
            if isinstance(value, float):
                client.set(path, round(value + 0.5, 1))


def panel(index: int = 0) -> Device:
    """A wall panel: display, dimmer, buzzer, timer, stopwatch, selector, push button, load control, shutter."""
    objects: Objects = {
        3: {0: device_object("WP-4 Wall Panel", serial_number(index), kind="Wall panel")},
        3202: {0: {5600: number(1.25), 5601: number(0.0), 5602: number(3.3), 5605: action()}},
        3300: {0: measured(12.5, "Cel", low=0, high=100, name="Probe")},
        3310: {
            0: {
                5823: text("peak", "RW"),
                5824: Resource(1_700_000_000, "time", "RW"),
                5825: whole(30, "RW"),
                5826: whole(1, "RW"),
                5827: whole(20, "RW"),
                5828: whole(50, "RW"),
            }
        },
        3337: {0: {5536: number(40, "RW"), 5519: number(0), 5520: number(100), 5750: text("Shutter", "RW")}},
        3338: {0: {5850: flag(value=False, operations="RW"), 5548: number(50, "RW"), 5525: number(1, "RW")}},
        3340: {
            0: {
                5521: number(60, "RW"),
                5538: number(0),
                5523: action(),
                5850: flag(value=False, operations="RW"),
                5501: whole(4),
                5543: flag(value=False),
            }
        },
        3341: {0: {5527: text("Hello", "RW"), 5530: action(), 5548: number(80, "RW"), 5531: number(50, "RW")}},
        3343: {0: {5548: number(35, "RW"), 5750: text("Dining room", "RW")}},
        3347: {0: {5500: flag(value=False), 5501: whole(0), 5750: text("Bell", "RW")}},
        3348: {0: {5547: whole(2)}},
        3350: {0: {5544: number(12.5, "RW"), 5850: flag(value=False, operations="RW"), 5501: whole(1)}},
    }
    newer = (3202, 3300, 3310, 3337, 3338, 3347, 3348, 3350)
    display = objects[3341][0]

    def clear(_arguments: str) -> None:
        display[5527].value = ""
        model.notify((3341, 0, 5527))

    display[5530].execute = clear
    model = DeviceModel(objects, versions={3: "1.1"} | dict.fromkeys(newer, "1.1"))

    async def behave(client: SimulatedClient, interval: float) -> None:
        while True:
            await asyncio.sleep(interval * 3)
            presses = client.get("/3347/0/5501")
            client.set("/3347/0/5500", value=True)
            client.set("/3347/0/5501", presses + 1 if isinstance(presses, int) else 1)
            await asyncio.sleep(interval / 10)
            client.set("/3347/0/5500", value=False)

    return Device(model, behave)


def motion(index: int = 0) -> Device:
    """A sensor of acceleration, magnetic field and turning."""
    objects: Objects = {
        3: {0: device_object("IM-9 Motion Sensor", serial_number(index), kind="Motion sensor", battery=58)},
        3313: {0: {5702: number(0.02), 5703: number(-0.01), 5704: number(9.81), 5701: text("m/s2")}},
        3314: {0: {5702: number(21.0), 5703: number(3.5), 5704: number(-42.0), 5701: text("uT")}},
        3334: {0: {5702: number(0.0), 5703: number(0.1), 5704: number(0.0), 5701: text("deg/s")}},
    }
    model = DeviceModel(objects, versions=dict.fromkeys(objects, "1.1"))

    async def behave(client: SimulatedClient, interval: float) -> None:
        await wander(client, interval, {(3313, 0, 5702): (0.0, 0.5), (3334, 0, 5703): (0.0, 2.0)})

    return Device(model, behave)


def tracker(index: int = 0) -> Device:
    """A position on the move, with what it knows of its radio link."""
    objects: Objects = {
        3: {0: device_object("GT-1 Tracker", serial_number(index), kind="Tracker", battery=71)},
        4: {
            0: {
                0: whole(6),
                1: Resource({0: 6, 1: 7}, "integer", "R", multiple=True),
                2: whole(-91),
                3: whole(24),
                4: Resource({0: "192.0.2.17"}, "string", "R", multiple=True),
                8: whole(26501),
                9: whole(1),
                10: whole(262),
            }
        },
        6: {0: {0: number(47.3769), 1: number(8.5417), 2: number(408.0), 3: number(12.0), 5: moment(), 6: number(1.4)}},
        7: {0: {2: whole(1432), 3: whole(877), 6: action(), 7: action(), 8: whole(3600, "RW")}},
    }
    model = DeviceModel(objects, versions={3: "1.1", 4: "1.3"})

    async def behave(client: SimulatedClient, interval: float) -> None:
        await asyncio.gather(
            wander(client, interval, {(6, 0, 0): (47.3769, 0.05), (6, 0, 1): (8.5417, 0.05)}),
            _stamp(client, interval),
        )

    return Device(model, behave)


async def _stamp(client: SimulatedClient, interval: float) -> None:
    """Let the tracker's radio and time move on."""
    step = 0
    while True:
        await asyncio.sleep(interval)
        step += 1
        client.set("/6/0/5", int(time.time()))
        client.set("/4/0/2", -91 + step % 9)
