"""What tests of a restart share: a shelf for what is saved, devices that return, a second server."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from custom_components.lwm2m.coap.remote import PeerSecurity
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.security.credential import SecurityMode
from custom_components.lwm2m.security.identity import (
    PskIdentity,
)
from custom_components.lwm2m.server import store
from custom_components.lwm2m.server.events import Registered
from custom_components.lwm2m.server.records import Record, make_record
from custom_components.lwm2m.server.server import Server
from custom_components.lwm2m.server.store import Store
from tests.simulator.client import Settings
from tests.simulator.model import DeviceModel
from tests.simulator.returning import ReturningClient

from .helpers import KEY, Bench, thermometer

TEMPERATURE = Path((3303, 0, 5700))


class Shelf:
    """Where a store keeps what it saves: as text, as a file would."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.saves = 0
        self.full = False
        self.told: list[OSError | None] = []
        self.saved = asyncio.Event()

    async def load(self) -> object:
        return None if self.text is None else json.loads(self.text)

    async def save(self, snapshot: store.Snapshot) -> None:
        self.saved.set()
        self.saves += 1
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")
        self.text = json.dumps(snapshot)

    def store(self, server: Server) -> Store:
        return Store(server, load=self.load, save=self.save, on_failure=self.told.append)

    @property
    def devices(self) -> dict[str, Any]:
        assert self.text is not None
        found: dict[str, Any] = json.loads(self.text)["devices"]
        return found


def returning(bench: Bench, endpoint: str = "d", model: DeviceModel | None = None, **options: Any) -> ReturningClient:
    settings = Settings(
        server=f"coaps://127.0.0.1:{bench.server.coaps_port}",
        endpoint=endpoint,
        identity=f"id-{endpoint}",
        key=KEY,
        **{"retry": 0.05, "time_scale": 0.1, "update_after": 1e6, **options},
    )
    return ReturningClient(settings, model or thermometer())


async def known(bench: Bench) -> None:
    """A device `d` has registered and was asked for all that it has."""
    bench.let_in("d", "id-d")
    device = bench.server.device("d")
    await bench.until(Registered)
    for path in (Path((3, 0)), Path((3303, 0))):
        await device.read(path)
        device.surveyed.add(path)


@asynccontextmanager
async def restarted(shelf: Shelf, port: int, *, jump: float = 0.0, restored: bool = True) -> AsyncIterator[Bench]:
    """Another server at the same port, which has loaded what the first one saved."""
    bench = Bench()
    bench.clock.jump(1e6 + jump)  # another monotonic clock
    bench.server.context.wall = lambda wall=bench.server.context.wall: wall() + jump  # type: ignore[misc]
    bench.let_in("d", "id-d")
    kept = shelf.store(bench.server)
    await kept.load()
    if restored:
        kept.restore("d")
    await bench.server.start("127.0.0.1", coaps_port=port, coap_port=0)
    try:
        yield bench
    finally:
        await bench.server.stop()
        await kept.flush()


async def stop_and_save(bench: Bench, shelf: Shelf) -> int:
    """Stop the server as at the end of a process; returns the port that is free now."""
    port = bench.server.coaps_port
    assert port is not None
    kept = shelf.store(bench.server)
    await bench.server.stop()
    await kept.flush()
    return port


def broken(**changes: Any) -> dict[str, Any]:
    device = Server().device("d")
    identity = PskIdentity(b"id-d")
    device.restore({Path((3303, 0)): "1.1"}, PeerSecurity(SecurityMode.PSK, None, identity), 0.0)
    device.state.store([Entry(TEMPERATURE, 21.5)])
    record = make_record(device)
    record["registration"] = {
        "location": "0a", "lwm2m": "1.1", "lifetime": 60, "binding": "U", "queue": False, "sms": None, "root": [],
        "content_formats": [112], "registered_at": 1.0, "updated_at": 1.0, "expires_at": 61.0,
    }  # fmt: skip
    Record(record)
    for name, value in changes.items():
        place = record
        *way, last = name.split("__")
        for part in way:
            place = place[part]
        place[last] = value
    return record
