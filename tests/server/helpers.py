"""A running server for tests: real sockets on loopback, its events collected, its clock moved by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from custom_components.lwm2m.security.credential import Psk
from custom_components.lwm2m.server.context import Settings
from custom_components.lwm2m.server.events import Event
from custom_components.lwm2m.server.server import Server
from tests.simulator.client import Settings as DeviceSettings, SimulatedClient
from tests.simulator.model import DeviceModel, Resource

PATIENCE = 15.0
"""Seconds after which a test that waits has failed."""

KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
OTHER_KEY = bytes.fromhex("101112131415161718191a1b1c1d1e1f")


class Clock:
    """Time that runs, and jumps when told to."""

    def __init__(self, base: Callable[[], float] = time.monotonic) -> None:
        self._base = base
        self.offset = 0.0

    def __call__(self) -> float:
        return self._base() + self.offset

    def jump(self, seconds: float) -> None:
        self.offset += seconds


class Bench:
    """A server, its clock, and every event that it told."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        settings = Settings(**{"ack_timeout": 0.1, "wait": 5.0, **options})
        self.server = Server(settings=settings, clock=self.clock)
        self.events: list[Event] = []
        self._changed = asyncio.Event()
        self.server.subscribe(self._take)

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    def seen[E](self, kind: type[E], where: Callable[[E], bool] = lambda _: True) -> list[E]:
        return [event for event in self.events if isinstance(event, kind) and where(event)]

    async def until[E](self, kind: type[E], where: Callable[[E], bool] = lambda _: True, count: int = 1) -> E:
        """The `count`th event of a kind, waiting for it."""
        async with asyncio.timeout(PATIENCE):
            while len(found := self.seen(kind, where)) < count:
                self._changed.clear()
                await self._changed.wait()
        return found[count - 1]

    def let_in(self, endpoint: str, identity: str, key: bytes = KEY) -> None:
        self.server.authorizer.set_credential(endpoint, Psk(identity.encode(), key))

    def plain(self, endpoint: str, model: DeviceModel | None = None, **options: Any) -> SimulatedClient:
        """A device without security."""
        return self.make(f"coap://127.0.0.1:{self.server.coap_port}", endpoint, model, **options)

    def secure(
        self, endpoint: str, identity: str, model: DeviceModel | None = None, key: bytes = KEY, **options: Any
    ) -> SimulatedClient:
        """A device with a key."""
        return self.make(
            f"coaps://127.0.0.1:{self.server.coaps_port}", endpoint, model, identity=identity, key=key, **options
        )

    @staticmethod
    def make(server: str, endpoint: str, model: DeviceModel | None, **options: Any) -> SimulatedClient:
        options = {"retry": 0.05, "time_scale": 0.1, "update_after": 1e6, **options}
        return SimulatedClient(DeviceSettings(server=server, endpoint=endpoint, **options), model or thermometer())


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Bench]:
    """A server on two free ports."""
    bench = Bench(**options)
    await bench.server.start("127.0.0.1", coaps_port=0, coap_port=0)
    try:
        yield bench
    finally:
        await bench.server.stop()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells; asks again after each turn of the loop that had something to do."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


def thermometer() -> DeviceModel:
    """A device with a sensor, a name that can be written, and a battery of two cells."""
    return DeviceModel(
        {
            3: {
                0: {
                    0: Resource("Nordfeld", "string", "R"),
                    4: Resource(operations="E"),
                    7: Resource({0: 3000, 1: 2900}, "integer", "R", multiple=True),
                    14: Resource("+00:00", "string", "RW"),
                }
            },
            3303: {
                0: {
                    5700: Resource(21.5, "float", "R"),
                    5701: Resource("Cel", "string", "R"),
                    5750: Resource("Indoor", "string", "RW"),
                }
            },
        },
        versions={3: "1.1", 3303: "1.1"},
        templates={3303: lambda: {5700: Resource(0.0, "float", "RW"), 5750: Resource("", "string", "RW")}},
    )
