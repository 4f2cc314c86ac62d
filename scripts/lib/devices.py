"""Simulated devices for the demo: each a process of `python -m tests.simulator`, spoken to by lines."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.device_keys import DeviceKey, make_authority, make_certificate, make_key

from . import processes

ROOT = Path(__file__).parents[2]
KEPT = 200  # events of a device that are kept

type Event = dict[str, Any]


class DeviceError(Exception):
    """A device did not do what was waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the server listens on 127.0.0.1: with security, and without."""

    coaps: int
    coap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One device: its make (a name of tests/simulator/devices.py), and how it calls the server.

    `identity` is that of a PSK; `keys` below is the folder where keys and certificates are kept, made at their first
    use.
    """

    make: str
    endpoint: str
    mode: Literal["psk", "rpk", "certificate", "nosec"] = "psk"
    identity: str = ""
    interval: float = 5.0
    lifetime: int = 60

    @property
    def key(self) -> bytes:
        """The device's pre-shared key: the same on each run, and no secret of anybody."""
        return hashlib.sha256(f"demo {self.endpoint}".encode()).digest()[:16]

    def pair(self, keys: Path) -> DeviceKey:
        """Return the device's key pair, with a certificate of the demo's CA where the device has one."""
        name = self.endpoint.rpartition(":")[2]
        if self.mode == "certificate":
            return make_certificate(keys, name, self.endpoint, authority(keys))
        return make_key(keys, name)

    def security(self, keys: Path) -> tuple[str, ...]:
        """Return the arguments of the simulator that say how the device proves who it is."""
        match self.mode:
            case "psk":
                return ("--identity", self.identity, "--key", self.key.hex())
            case "rpk":
                return ("--private-key", str(self.pair(keys).private_key))
            case "certificate":
                pair = self.pair(keys)
                return ("--private-key", str(pair.private_key), "--chain", str(pair.certificate))
            case "nosec":
                # While the server does not listen there, the device asks again every few seconds.
                return ("--time-scale", "0.1")


def authority(keys: Path) -> DeviceKey:
    """Return the demo's CA."""
    return make_authority(keys, "ca", "Demo CA")


@dataclass(slots=True)
class Device:
    """A running device; `events` are what it printed."""

    settings: Settings
    process: asyncio.subprocess.Process
    events: list[Event] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        """Take in what the device prints, until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self.changed:
                self.events.append(json.loads(line))
                del self.events[:-KEPT]
                self.changed.notify_all()

    async def tell(self, command: str) -> None:
        """Give the device a command, as `set /3303/0/5700 21.5`."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        await self.process.stdin.drain()

    async def until(self, name: str, fits: Callable[[Event], bool] = lambda _: True, seconds: float = 20) -> Event:
        """Wait for an event among those kept; DeviceError when it does not come."""

        def found() -> Event | None:
            return next((event for event in self.events if event["event"] == name and fits(event)), None)

        try:
            async with asyncio.timeout(seconds), self.changed:
                await self.changed.wait_for(lambda: found() is not None)
        except TimeoutError:
            seen = [event["event"] for event in self.events]
            raise DeviceError(f"{self.settings.endpoint}: no {name} in {seconds:.0f} s, but {seen}") from None
        event = found()
        assert event is not None
        return event

    def forget(self) -> None:
        """Forget the events so far."""
        self.events.clear()


@asynccontextmanager
async def running(python: Path, settings: Settings, *, ports: Ports, keys: Path, log: Path) -> AsyncIterator[Device]:
    """Run a device for the time of the context; it deregisters at the end."""
    server = f"coap://127.0.0.1:{ports.coap}" if settings.mode == "nosec" else f"coaps://127.0.0.1:{ports.coaps}"
    call = ("--server", server, "--endpoint", settings.endpoint, "--device", settings.make)
    security = settings.security(keys)
    times = ("--lifetime", str(settings.lifetime), "--interval", str(settings.interval), "--retry", "1")
    # tinydtls is told nothing of a wrong key: it would wait for 20 s before its next call.
    patience = ("--handshake-timeout", "5")
    command = (str(python), "-m", "tests.simulator", *call, *security, *times, *patience)
    with log.open("ab") as errors:
        process = await processes.start(*command, cwd=ROOT, talks=True, log=errors)
    device = Device(settings, process)
    reading = asyncio.create_task(device.read())
    try:
        yield device
    finally:
        await processes.end(process, 10)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reading, 2)
