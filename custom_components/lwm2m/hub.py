"""Hub: the LwM2M server of this Home Assistant, and the devices that have an entry.

It is made before any entry is set up and outlives them all, so that the order of entries does not matter and no entry
disturbs another. The server's entry opens and closes the sockets; a device's entry brings its credential.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval

from . import discovery, issues
from .const import CONF_ENDPOINT
from .device_runtime import DeviceRuntime, LwM2MConfigEntry
from .entry_data import Listen, credential_of, device_entries, server_entry
from .protocol.objects.model import ObjectDefinition
from .protocol.objects.registry import Registry
from .security.refusal import Reason, Refusal
from .server.events import Event, RefusedEvent, Registered, UnknownPeer, Updated
from .server.server import Server
from .server.store import Store
from .storage import DeviceFile, async_load
from .user_objects import FOLDER, read_folder

_LOGGER = logging.getLogger(__name__)

SETUPS_AT_A_TIME = 4
"""Devices that are set up at the same time, so that many of them do not block the loop."""

READS_AT_A_TIME = 4
"""Devices that are asked for all they have at the same time."""

READ_TURN = 5.0
"""Seconds after which a device that is still being asked no longer counts: it may be one that never answers."""

CONTACT_SHOWN_EVERY = timedelta(minutes=5)
"""How old a device's last contact may be shown; each of its messages is too often."""

CARDS_CHECKED_EVERY = timedelta(hours=1)


class Hub:
    """`setups` bounds how many devices are set up at a time; `store` keeps what is known of the devices."""

    def __init__(self, hass: HomeAssistant, server: Server) -> None:
        self.hass = hass
        self.server = server
        self._file = DeviceFile(hass)
        self.store = Store(
            server,
            load=self._file.async_load,
            save=self._file.async_save,
            on_failure=lambda error: issues.async_store_not_saved(hass, error),
        )
        self.setups = asyncio.Semaphore(SETUPS_AT_A_TIME)
        self._reads = asyncio.Semaphore(READS_AT_A_TIME)
        self.runtimes: dict[str, DeviceRuntime] = {}
        self._objects: list[ObjectDefinition] = []
        self._objects_lock = asyncio.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._stop_listening: list[Callable[[], None]] = []

    # The server

    @property
    def running(self) -> bool:
        """Whether the server listens."""
        return self.server.running

    @property
    def has_server(self) -> bool:
        """Whether there is a server's entry, be it running, or about to run again."""
        return server_entry(self.hass) is not None

    async def async_start(self, listen: Listen) -> None:
        """Open the sockets; OSError if that cannot be done, EngineUnavailableError where there is no DTLS."""
        await self.server.start(listen.host, coaps_port=listen.port)
        issues.async_constrained_engine(self.hass, self.server.engine_name or "")
        self._stop_listening = [
            self.server.subscribe(self._on_event, Registered, Updated, RefusedEvent, UnknownPeer),
            async_track_time_interval(self.hass, self._check_cards, CARDS_CHECKED_EVERY, cancel_on_shutdown=True),
            async_track_time_interval(self.hass, self._tell_contacts, CONTACT_SHOWN_EVERY, cancel_on_shutdown=True),
        ]
        _LOGGER.info("Listening on port %s with %s", self.server.coaps_port, self.server.engine_name)
        self._tell()

    async def async_stop(self) -> None:
        """Say goodbye to all devices and close the sockets."""
        for stop in self._stop_listening:
            stop()
        self._stop_listening = []
        await self.server.stop()
        self._tell()
        await self.store.flush()

    async def async_load_objects(self) -> None:
        """Read the user's object definitions anew. Devices of which they say something else now are set up again."""
        async with self._objects_lock:
            folder = Path(self.hass.config.path(*FOLDER))
            found = await self.hass.async_add_executor_job(read_folder, folder)
            issues.async_bad_objects(self.hass, folder, found.problems)
            if found.definitions == self._objects:
                return
            self._objects = found.definitions
            for device in self.server.set_registry(Registry.default().with_user_objects(found.definitions)):
                self.store.changed(device.endpoint)
                if (runtime := self.runtimes.get(device.endpoint)) is not None:
                    self.hass.config_entries.async_schedule_reload(runtime.entry.entry_id)

    # What is kept over a restart

    async def async_load(self) -> None:
        """Load what is known of the devices; before the first of them is set up."""
        await async_load(self.hass, self._file, self.store)

    async def async_remove_file(self) -> None:
        """There are no entries any more, and so nothing to be kept."""
        await self.store.flush()
        await self._file.async_remove()

    @callback
    def on_state(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call back when the server starts, stops, or loses its entry; returns the way to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    # Devices

    @callback
    def attach(self, entry: LwM2MConfigEntry) -> DeviceRuntime:
        """Expect the device of an entry, with its credential; IdentityInUseError if another entry has that identity."""
        endpoint = entry.data[CONF_ENDPOINT]
        credential = credential_of(entry.data)
        self.server.authorizer.set_credential(endpoint, credential)
        runtime = self.runtimes[endpoint] = DeviceRuntime(self, entry, self.store.restore(endpoint))
        discovery.async_withdraw(self.hass, credential.identity)
        return runtime

    @callback
    def detach(self, runtime: DeviceRuntime) -> None:
        """The entry is unloaded. Credential and registration go on, so that a reload is not felt by the device."""
        runtime.async_stop()
        self.runtimes.pop(runtime.endpoint, None)

    @callback
    def forget(self, endpoint: str) -> None:
        """The entry is gone: so are credential, association, registration and all that was known."""
        self.store.forget(endpoint)
        self._let_go(endpoint)

    @callback
    def put_away(self, endpoint: str) -> None:
        """The entry is disabled: what the device has stays known, but it is not let in."""
        self.store.put_away(endpoint)
        self._let_go(endpoint)

    def _let_go(self, endpoint: str) -> None:
        self.server.authorizer.remove_credential(endpoint)
        self.server.forget(endpoint)

    @asynccontextmanager
    async def async_read_turn(self) -> AsyncIterator[None]:
        """Wait for a turn to ask a device for all that it has; it ends after READ_TURN, whatever the device does."""
        await self._reads.acquire()
        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._reads.release()

        timer = self.hass.loop.call_later(READ_TURN, end)
        try:
            yield
        finally:
            timer.cancel()
            end()

    # What the server tells

    @callback
    def _on_event(self, event: Event) -> None:
        match event:
            case Registered(device):
                if (runtime := self.runtimes.get(device.endpoint)) is not None:
                    runtime.async_registered()
                    runtime.async_tell()
            case Updated(device, objects_changed):
                if (runtime := self.runtimes.get(device.endpoint)) is not None:
                    if objects_changed or runtime.behind:
                        runtime.async_registered()
                    runtime.async_tell()
            case RefusedEvent(_, refusal):
                self._refused(refusal)
            case UnknownPeer(peer):
                discovery.async_found(self.hass, peer)

    def _refused(self, refusal: Refusal) -> None:
        if refusal.reason is Reason.WRONG_KEY and refusal.endpoint is not None:
            if (runtime := self.runtimes.get(refusal.endpoint)) is not None:
                runtime.async_wrong_key()
        elif refusal.reason is Reason.ENDPOINT_MISMATCH and refusal.identity is not None:
            issues.async_shared_identity(self.hass, refusal.identity, refusal.endpoint or "")

    @callback
    def _check_cards(self, _now: datetime) -> None:
        discovery.async_withdraw_stale(self.hass, self.server.pending)

    @callback
    def _tell_contacts(self, _now: datetime) -> None:
        for runtime in self.runtimes.values():
            runtime.async_tell()

    @callback
    def async_waits_for(self, endpoint: str) -> bool:
        """Whether a flow waits for this device to prove a new key."""
        return any(candidate.expected_endpoint == endpoint for candidate in self.server.pending.candidates)

    @callback
    def async_check_server_entry(self) -> None:
        """Tell the user where devices have no server to call, or tell no more; and tell those who wait for one."""
        issues.async_no_server(self.hass, missing=not self.has_server and bool(device_entries(self.hass)))
        if not self.has_server:
            discovery.async_withdraw_all(self.hass)
        self._tell()
