"""Processor time of a notification, from the DTLS datagram to the entity's state in a real Home Assistant.

Beside it, in the same process: a bare write of a state; and the floor, that is what nobody can do without: receiving a
datagram, opening its record, and that write.
"""

from __future__ import annotations

import asyncio
import cProfile
import io
import pstats
import socket
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorStateClass
from homeassistant.const import UnitOfTemperature
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component

from .generator import CHUNK, FLOOR_KEY, FLOOR_SALT, SENML_CBOR, TEXT, TLV, VALUE
from .home import add_devices, add_server, home_assistant, run
from .load import Load, generator
from .method import Comparison

DEVICES, EACH = 10, 10
FORMATS = {"text": TEXT, "tlv": TLV, "senml-cbor": SENML_CBOR}
TARGET = 6.0


class BareSensor(SensorEntity):
    """A numeric sensor as integrations have them."""

    _attr_should_poll = False
    _attr_device_class = SensorDeviceClass.TEMPERATURE
    _attr_native_unit_of_measurement = UnitOfTemperature.CELSIUS
    _attr_state_class = SensorStateClass.MEASUREMENT

    def __init__(self, number: int) -> None:
        self._attr_unique_id = f"bare-{number}"
        self._attr_name = f"Bare {number}"


class Bare:
    """Bare sensors, written to directly or from records that arrive at a port of their own."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.hass = hass
        self.entities = [BareSensor(number) for number in range(DEVICES * EACH)]
        self.value = 0
        self.received = 0

    async def add(self) -> None:
        """Let Home Assistant have them."""
        assert await async_setup_component(self.hass, "sensor", {})
        component = self.hass.data["entity_components"]["sensor"]
        platform = component._async_init_entity_platform("bare", None, None)
        await platform.async_add_entities(self.entities)

    def write(self, count: int) -> None:
        """Write that many states."""
        entities, of = self.entities, len(self.entities)
        for number in range(count):
            self.value += 1
            entity = entities[number % of]
            entity._attr_native_value = self.value % 100_000 / 100
            entity.async_write_ha_state()

    def listen(self) -> socket.socket:
        """Open the port of the floor: records in, states out."""
        port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        port.bind(("127.0.0.1", 0))
        port.setblocking(False)
        cipher = AESCCM(FLOOR_KEY, tag_length=8)
        entities, of = self.entities, len(self.entities)

        def readable() -> None:
            for _ in range(32):
                try:
                    data, peer = port.recvfrom(2048)
                except BlockingIOError:
                    return
                length = (len(data) - 29).to_bytes(2)
                plain = cipher.decrypt(FLOOR_SALT + data[13:21], data[21:], data[3:11] + data[:3] + length)
                self.received += 1
                entity = entities[self.received % of]
                entity._attr_native_value = float(plain[plain.rindex(b"\xff") + 1 :])
                entity.async_write_ha_state()
                if self.received % CHUNK == 0:
                    port.sendto(b"", peer)

        asyncio.get_running_loop().add_reader(port, readable)
        return port


class Bench:
    """Devices of one content format, their entities, and the windows."""

    def __init__(self, hass: HomeAssistant, load: Load, bare: Bare, size: int) -> None:
        self.hass = hass
        self.load = load
        self.bare = bare
        self.size = size
        self.entity_ids: dict[str, str] = {}

    async def connect(self, port: int, content_format: int) -> None:
        """Let the devices register, and wait until every value is an entity under observation."""
        await self.load("connect", port=port, count=DEVICES, objects={"3": 1, "3303": EACH}, format=content_format)
        await self.load("register", count=DEVICES)
        async with asyncio.timeout(60):
            while not await self.observed():  # noqa: ASYNC110 - the generator answers when it is asked
                await asyncio.sleep(0.05)

    async def observed(self) -> bool:
        """Whether every value is an entity, and under observation."""
        observed: int = (await self.load("observed"))["observed"]
        return observed == len(self.states()) == DEVICES * EACH

    def states(self) -> dict[str, str]:
        """The state of each device's sensors, by endpoint and path."""
        registry = er.async_get(self.hass)
        entities = (entity for entity in registry.entities.values() if entity.unique_id.endswith(f"/{VALUE}"))
        found = {entity.unique_id: self.hass.states.get(entity.entity_id) for entity in entities}
        return {unique_id: state.state for unique_id, state in found.items() if state is not None}

    async def notify(self, rate: float = 0.0, size: int | None = None) -> int:
        """One window of notifications; every entity must have the last value of its resource."""
        size = self.size if size is None else size
        answer = await self.load("notify", count=size, rate=rate)
        states = self.states()
        wrong = {name for name, value in answer["final"].items() if float(states[name]) != round(value, 2)}
        if wrong:
            raise RuntimeError(f"not delivered: {sorted(wrong)[:3]}")
        return size

    async def paced(self) -> int:
        """A thousand notifications a second, mostly one a wake."""
        return await self.notify(rate=1000.0, size=max(100, self.size // 10))

    async def write(self) -> int:
        """One window of bare writes."""
        self.bare.write(self.size)
        return self.size

    async def floor(self) -> int:
        """One window of the floor."""
        port = self.bare.listen()
        try:
            before = self.bare.received
            await self.load("floor", port=port.getsockname()[1], count=self.size // CHUNK * CHUNK)
            return self.bare.received - before
        finally:
            asyncio.get_running_loop().remove_reader(port)
            port.close()


async def measure(content_format: str, *, rounds: int, size: int, profile: bool) -> dict[str, Any]:
    """Measure one format in a Home Assistant of its own."""
    async with home_assistant() as hass, generator() as load:
        hub = await add_server(hass)
        await add_devices(hass, DEVICES)
        await hass.async_block_till_done()
        port = hub.server.coaps_port
        assert port is not None
        bare = Bare(hass)
        await bare.add()
        bench = Bench(hass, load, bare, size)
        await bench.connect(port, FORMATS[content_format])
        changes = await _count_changes(hass, bench)
        if profile:
            return {"profile": await _profile(bench)}
        comparison = Comparison()
        paths: dict[str, Callable[[], Any]] = {"notification": bench.notify, "state": bench.write, "floor": bench.floor}
        await comparison.run(paths | {"paced": bench.paced}, rounds)
    return {
        "us": {path: comparison.microseconds(path) for path in ("notification", "paced", "floor", "state")},
        "ratio_to_state": comparison.ratio("notification", "state"),
        "ratio_to_floor": comparison.ratio("notification", "floor"),
        "paced_to_state": comparison.ratio("paced", "state"),
        "state_changes_per_notification": changes,
        "drift": comparison.drift,
        "valid": comparison.valid,
        "rounds": rounds,
        "window": size,
    }


async def _count_changes(hass: HomeAssistant, bench: Bench) -> float:
    """State changes per notification, counted once outside of the windows: it must be one."""
    seen = 0

    @callback
    def count(_event: Any) -> None:
        nonlocal seen
        seen += 1

    stop = hass.bus.async_listen("state_changed", count)
    sent = await bench.notify()
    stop()
    return seen / sent


async def _profile(bench: Bench) -> str:
    profiler = cProfile.Profile()
    profiler.enable()
    await bench.notify()
    profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(32)
    return text.getvalue()


def main(*, quick: bool = False, profile: bool = False) -> dict[str, Any]:
    """Measure every format; quick: one, and hardly at all."""
    formats = ["text"] if quick or profile else list(FORMATS)
    rounds, size = (1, 320) if quick else (8, 8000)
    found = {name: run(measure(name, rounds=rounds, size=size, profile=profile)) for name in formats}
    return {"formats": found, "target_ratio_to_state": TARGET}


def table(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """What a person wants to see first."""
    rows: list[tuple[str, ...]] = [
        ("format", "µs burst", "µs at 1000/s", "µs floor", "µs state", "to state", "to floor", "")
    ]
    for name, found in figures["formats"].items():
        us = found["us"]
        values = (us["notification"], us["paced"], us["floor"], us["state"])
        ratios = (found["ratio_to_state"], found["ratio_to_floor"])
        note = "" if found["valid"] else f"VOID: A/A differ by {found['drift']:.0%}"
        rows.append((name, *(f"{value:.1f}" for value in values), *(f"{ratio:.2f}" for ratio in ratios), note))
    return rows
