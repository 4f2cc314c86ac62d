"""Simulated devices for the demo: each a process of `python -m tests.simulator`, spoken to by lines."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import processes

ROOT = Path(__file__).parents[2]
KEPT = 200  # events of a device that are kept

type Event = dict[str, Any]


class DeviceError(Exception):
    """A device did not do what was waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One device: its make (a name of tests/simulator/devices.py), and how it calls the server."""

    make: str
    endpoint: str
    identity: str
    interval: float = 5.0
    lifetime: int = 60

    @property
    def key(self) -> bytes:
        """The device's pre-shared key: the same on each run, and no secret of anybody."""
        return hashlib.sha256(f"demo {self.endpoint}".encode()).digest()[:16]


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
async def running(python: Path, settings: Settings, *, port: int, log: Path) -> AsyncIterator[Device]:
    """Run a device for the time of the context; it deregisters at the end."""
    call = ("--server", f"coaps://127.0.0.1:{port}", "--endpoint", settings.endpoint, "--device", settings.make)
    security = ("--identity", settings.identity, "--key", settings.key.hex())
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
