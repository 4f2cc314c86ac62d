"""Many simulated devices behind a bad network, and a server that watches them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from custom_components.lwm2m.coap.remote import Peer
from custom_components.lwm2m.dtls.association import Association
from custom_components.lwm2m.dtls.openssl.handshake import Handshake
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.security.credential import Psk
from custom_components.lwm2m.server.device import Device
from custom_components.lwm2m.server.registrations import Registration
from custom_components.lwm2m.server.server import Server
from tests.simulator.client import Settings, SimulatedClient
from tests.simulator.devices import sensor
from tests.simulator.relay import Relay

PATHS = tuple(Path.parse(path) for path in ("/3303/0/5700", "/3303/1/5700", "/3304/0/5700"))
KEPT = (Peer, Association, Handshake, Registration)


class Clock:
    """Monotonic seconds that can be set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@dataclass(slots=True)
class Member:
    """One device, seen from both ends. `seen` are the values that the server's watchers were told, by path."""

    client: SimulatedClient
    device: Device
    seen: dict[Path, list[float]] = field(default_factory=lambda: {path: [] for path in PATHS})
    last: dict[Path, float] = field(default_factory=dict)

    def watch(self) -> None:
        """Observe all paths and write down what is told."""
        for path in PATHS:
            self.device.watch(path, self._changed)

    def _changed(self, path: Path) -> None:
        if path in self.device.values:
            value = self.device.values[path]
            assert isinstance(value, float)
            self.seen[path].append(value)

    def set(self, path: Path, value: float, *, confirmable: bool = False) -> None:
        """Let the device measure a value and notify it."""
        self.client.observer.confirmable = confirmable
        self.last[path] = value
        self.client.set(str(path), value)

    @property
    def observed(self) -> bool:
        """Every path is under observation, and its first value is here."""
        return all(self.device.observations.covers(path) and self.seen[path] for path in PATHS)

    @property
    def delivered(self) -> bool:
        """The device's last value of every path is the server's."""
        return all(self.device.values.get(path) == value for path, value in self.last.items())


class Fleet:
    """`size` devices that reach one server through one relay, each with a PSK association of its own."""

    def __init__(self, size: int, *, seed: int = 7) -> None:
        self.size = size
        self.clock = Clock()
        self.server = Server(clock=self.clock)
        self.members: list[Member] = []
        self.events: Counter[str] = Counter()
        self._seed = seed

    @contextlib.asynccontextmanager
    async def behind(self, relay_seed: int) -> AsyncIterator[Relay]:
        """Start the server and a relay that loses a tenth each way, doubles and reorders; stop both in the end."""
        self.server._coap._ack_timeout = 0.5
        await self.server.start("127.0.0.1", coaps_port=0)
        port = self.server.coaps_port
        assert port is not None
        stop = self.server.subscribe(lambda event: self.events.update([type(event).__name__]))
        try:
            async with Relay(("127.0.0.1", port), loss=0.1, duplicate=0.1, reorder=0.2, seed=relay_seed) as relay:
                for number in range(self.size):
                    self.members.append(self._member(number, relay))
                try:
                    yield relay
                finally:
                    await asyncio.gather(*(member.client.stop() for member in self.members))
        finally:
            stop()
            await self.server.stop()

    def _member(self, number: int, relay: Relay) -> Member:
        endpoint, identity, key = f"urn:load:{number}", f"identity-{number}", bytes([number & 255, number >> 8]) * 8
        self.server.authorizer.set_credential(endpoint, Psk(identity.encode(), key))
        host, port = relay.address
        settings = Settings(
            server=f"coaps://{host}:{port}",
            endpoint=endpoint,
            identity=identity,
            key=key,
            lifetime=300,
            retry=0.5,
            handshake_timeout=6.0,
            # Times of a fast link, for the server's requests too, and patience: one exchange in five loses a datagram.
            time_scale=0.25,
            max_retransmit=9,
            seed=self._seed * 1000 + number,
        )
        member = Member(SimulatedClient(settings, sensor(number).model), self.server.device(endpoint))
        member.watch()
        return member


async def until(condition: Callable[[], bool], within: float) -> None:
    """Wait until a condition holds; TimeoutError after `within` seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in many places
            await asyncio.sleep(0.02)


def tasks() -> list[asyncio.Task[object]]:
    """Every task of the loop but the one that asks."""
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def timers() -> list[asyncio.TimerHandle]:
    """Every timer of the loop that is still to fire."""
    scheduled: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009
    return [timer for timer in scheduled if not timer.cancelled()]


def kept() -> Counter[str]:
    """How many objects are alive that exist once a peer, association, handshake or registration."""
    gc.collect()
    return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, KEPT))
