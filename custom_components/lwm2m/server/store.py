"""Store: the records of a server's expected devices, loaded once and saved when something has changed.

What a person would miss (a registration, other objects) is saved soon, last values now and then and at the end. A save
that fails is tried again; nothing depends on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any

from ..protocol.errors import LwM2MError
from .events import Deregistered, Event, Expired, Registered, Updated
from .records import Json, Record, RecordError, apply_record, make_record

if TYPE_CHECKING:
    from .device import Device
    from .server import Server

_LOGGER = logging.getLogger(__name__)

VERSION = 1

SOON = 10.0
"""Seconds from a change that matters until it is saved, so that what belongs together is saved at once."""

LATER = 900.0
"""Seconds between two saves of last values, and until a save that failed is tried again."""

SLICE = 500
"""Values that are put into records in one go, so that many devices do not block the loop."""

type Snapshot = dict[str, Any]
"""{"version": 1, "devices": {endpoint: record}}: plain JSON."""


class StoreError(LwM2MError):
    """What was loaded is no snapshot that this version can read; the message says what is wrong with it."""


def check_snapshot(data: object) -> dict[str, Json]:
    """Return the records of a snapshot, by endpoint; StoreError if it is none, or of another version."""
    if not isinstance(data, dict) or "version" not in data:
        raise StoreError("no snapshot of devices")
    if data["version"] != VERSION:
        raise StoreError(f"version {str(data['version'])[:20]}, where {VERSION} is expected")
    devices = data.get("devices")
    if not isinstance(devices, dict):
        raise StoreError("no devices")
    for endpoint, record in devices.items():
        try:
            Record(record)
        except RecordError as error:
            raise StoreError(f"the record of {endpoint[:40]!r}: {error}") from None
    return devices


class Store:
    """`load` returns what `save` was given last, or None.

    `save` may raise OSError: `on_failure` is called with it when saving begins to fail, and with None when it works
    again. What `save` is given is never changed afterwards, so it may be written in another thread.
    """

    def __init__(
        self,
        server: Server,
        *,
        load: Callable[[], Awaitable[object]],
        save: Callable[[Snapshot], Awaitable[None]],
        on_failure: Callable[[OSError | None], None] = lambda error: None,
    ) -> None:
        self._server = server
        self._load = load
        self._save = save
        self._on_failure = on_failure
        self._records: dict[str, Json] = {}
        self._kept_at: dict[str, float | None] = {}
        self._dirty = False
        self._failing = False
        self._timer: asyncio.TimerHandle | None = None
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        server.subscribe(self._on_event, Registered, Updated, Deregistered, Expired)

    # -- what was kept

    async def load(self, expected: Collection[str] | None = None) -> None:
        """Load the records, of these endpoints if they are given; StoreError if what is there is no snapshot."""
        data = await self._load()
        if data is None:
            return
        records = await asyncio.to_thread(check_snapshot, data)
        self._records = {
            endpoint: record for endpoint, record in records.items() if expected is None or endpoint in expected
        }
        self._dirty = len(self._records) < len(records)

    def restore(self, endpoint: str) -> Device:
        """Expect a device, and give it what was kept of it, unless the server knows it already."""
        known = self._server.devices.get(endpoint)
        device = self._server.device(endpoint)
        record = self._records.get(endpoint)
        if record is None:
            self.changed(endpoint)
        elif known is None:
            apply_record(record, self._server, device)
            self._kept_at[endpoint] = device.heard_at
        return device

    # -- what is to be kept

    def changed(self, endpoint: str) -> None:
        """What matters of a device is another than it was."""
        self._kept_at.pop(endpoint, None)
        self._arm(SOON)

    def put_away(self, endpoint: str) -> None:
        """Nobody expects the device for now: keep what is known of it, but not its registration."""
        device = self._server.devices.get(endpoint)
        if device is not None:
            self._records[endpoint] = {**make_record(device), "registration": None}
            self._dirty = True
            self._arm(SOON)

    def forget(self, endpoint: str) -> None:
        """Nobody will expect the device again."""
        self._kept_at.pop(endpoint, None)
        if self._records.pop(endpoint, None) is not None:
            self._dirty = True
            self._arm(SOON)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Updated) and not event.objects_changed:
            self._arm(LATER)
        elif isinstance(event, Registered | Updated | Deregistered | Expired) and event.device.expected:
            self.changed(event.device.endpoint)

    # -- saving

    async def flush(self) -> None:
        """Save now what has changed, and wait for it; until something changes there is nothing left to do."""
        self._disarm()
        if self._task is not None:
            await self._task
        await self._write()
        self._disarm()

    def snapshot(self) -> Snapshot:
        """What is to be saved, as it was put together last."""
        return {"version": VERSION, "devices": dict(self._records)}

    def _arm(self, delay: float) -> None:
        """Save after this many seconds, or when it was to be done sooner; not so soon where saving fails at present."""
        loop = asyncio.get_running_loop()
        due = loop.time() + (max(delay, LATER) if self._failing else delay)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._begin)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="save devices")
        else:
            self._arm(SOON)

    async def _run(self) -> None:
        try:
            await self._write()
            if self._server.running:
                self._arm(LATER)
        finally:
            self._task = None

    async def _write(self) -> None:
        async with self._lock:
            await self._collect()
            if not self._dirty:
                return
            self._dirty = False
            try:
                await self._save(self.snapshot())
            except OSError as error:
                self._dirty = True
                self._failed(error)
                self._arm(LATER)
            else:
                self._failed(None)

    def _failed(self, error: OSError | None) -> None:
        if self._failing is (error is not None):
            return
        self._failing = error is not None
        if error is not None:
            _LOGGER.warning("What is known of the devices cannot be saved: %s", error)
        else:
            _LOGGER.info("What is known of the devices is saved again")
        self._on_failure(error)

    async def _collect(self) -> None:
        """Make new records of the devices that were heard since the last one, some at a time."""
        done = 0
        for device in list(self._server.devices.values()):
            endpoint = device.endpoint
            if not device.expected or (endpoint in self._kept_at and self._kept_at[endpoint] == device.heard_at):
                continue
            self._kept_at[endpoint] = device.heard_at
            self._records[endpoint] = make_record(device)
            self._dirty = True
            done += 1 + len(device.values)
            if done >= SLICE:
                done = 0
                await asyncio.sleep(0)
