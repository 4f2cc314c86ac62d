"""Hub: the LwM2M server of this Home Assistant, and the devices that have an entry.

It is made before any entry is set up and outlives them all, so that the order of entries does not matter and no entry
disturbs another. The server's entry opens and closes the sockets; a device's entry brings its credential.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval

from . import discovery, issues
from .const import CONF_ENDPOINT, DOMAIN, device_unique_id
from .device_runtime import DeviceRuntime, LwM2MConfigEntry
from .entry_data import (
    Listen,
    authorities_data,
    authorities_of,
    credential_of,
    device_entries,
    mode_of,
    server_entry,
)
from .protocol.objects.model import ObjectDefinition
from .protocol.objects.registry import Registry
from .refusal_issues import can_be_pinned
from .refusals_watch import RefusalWatch
from .security.credential import CredentialError, SecurityMode
from .security.pem import MAX_AUTHORITIES
from .security.refusal import Reason, Refusal
from .server.device import Device
from .server.events import Event, RefusedEvent, Registered, UnknownPeer, Updated
from .server.server import Server
from .server.store import Store
from .server_keys import ServerKeys
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
        server.authorizer.is_reserved = self._is_reserved
        self._file = DeviceFile(hass)
        self.store = Store(
            server,
            load=self._file.async_load,
            save=self._file.async_save,
            on_failure=lambda error: issues.async_store_not_saved(hass, error),
        )
        self.keys = ServerKeys(hass, server)
        self.setups = asyncio.Semaphore(SETUPS_AT_A_TIME)
        self._reads = asyncio.Semaphore(READS_AT_A_TIME)
        self.runtimes: dict[str, DeviceRuntime] = {}
        self._objects: list[ObjectDefinition] = []
        self._objects_lock = asyncio.Lock()
        self._listeners: list[Callable[[], None]] = []
        self.refusals = RefusalWatch(self)
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
        await self.keys.async_load()
        await self.server.start(listen.host, coaps_port=listen.port, coap_port=listen.nosec)
        issues.async_constrained_engine(self.hass, self.server.engine_name or "")
        self.refusals.issues.async_check()
        self._stop_listening = [
            self.server.subscribe(self._on_event, Registered, Updated, RefusedEvent, UnknownPeer),
            async_track_time_interval(self.hass, self._check_cards, CARDS_CHECKED_EVERY, cancel_on_shutdown=True),
            async_track_time_interval(self.hass, self._tell_contacts, CONTACT_SHOWN_EVERY, cancel_on_shutdown=True),
        ]
        _LOGGER.info("Listening on port %s with %s", self.server.coaps_port, self.server.engine_name)
        if self.server.coap_port is not None:
            _LOGGER.info("Listening without security on port %s", self.server.coap_port)
        else:
            discovery.async_withdraw_unproven(self.hass, self.server.pending)
        served = self.server.suites
        if unserved := [suite.name for suite in self.server.policy.suites if suite.name not in served]:
            _LOGGER.warning("%s cannot serve %s", self.server.engine_name, ", ".join(unserved))
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

    # Trusted CAs

    async def async_trust(self, certificates: Sequence[bytes]) -> None:
        """Trust these CAs (DER) too, from now on; CredentialError where they would be too many."""
        entry = server_entry(self.hass)
        if entry is not None:
            trusted = tuple(dict.fromkeys((*authorities_of(entry.data), *certificates)))
            if len(trusted) > MAX_AUTHORITIES:
                raise CredentialError(f"there would be more than {MAX_AUTHORITIES} trusted CAs")
            self._set_authorities(entry, trusted)

    async def async_distrust(self, fingerprint: str) -> None:
        """Trust a CA (SHA-256 of its certificate, in hexadecimal) no more.

        Whoever has come in by a certificate of any CA has to prove itself anew.
        """
        entry = server_entry(self.hass)
        if entry is not None:
            trusted = authorities_of(entry.data)
            self._set_authorities(entry, tuple(der for der in trusted if sha256(der).hexdigest() != fingerprint))

    def _set_authorities(self, entry: ConfigEntry, certificates: tuple[bytes, ...]) -> None:
        self.server.set_trust_anchors(certificates)
        self.hass.config_entries.async_update_entry(entry, data={**entry.data, **authorities_data(certificates)})

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
        if credential is None:
            self.server.authorizer.remove_credential(endpoint)
        else:
            self.server.authorizer.set_credential(endpoint, credential)
        runtime = self.runtimes[endpoint] = DeviceRuntime(self, entry, self.store.restore(endpoint))
        discovery.async_withdraw(self.hass, endpoint, credential)
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
        self.refusals.async_forget(endpoint)
        self._let_go(endpoint)

    @callback
    def put_away(self, endpoint: str) -> None:
        """The entry is disabled: what the device has stays known, but it is not let in."""
        self.store.put_away(endpoint)
        self._let_go(endpoint)

    def _let_go(self, endpoint: str) -> None:
        self.server.authorizer.remove_credential(endpoint)
        self.server.forget(endpoint)

    def _is_reserved(self, endpoint: str) -> bool:
        """Whether nobody may be this device without a credential: it has an entry with one, or a disabled entry."""
        entry = self.hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, device_unique_id(endpoint))
        return entry is not None and (entry.disabled_by is not None or mode_of(entry.data) is not SecurityMode.NOSEC)

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
                if (runtime := self._heard(device)) is not None:
                    runtime.async_registered()
                    runtime.async_tell()
            case Updated(device, objects_changed):
                if (runtime := self._heard(device)) is not None:
                    if objects_changed or runtime.behind:
                        runtime.async_registered()
                    runtime.async_tell()
            case RefusedEvent((host, _), refusal):
                self._refused(host, refusal)
            case UnknownPeer(peer):
                discovery.async_found(self.hass, peer)

    def _heard(self, device: Device) -> DeviceRuntime | None:
        runtime = self.runtimes.get(device.endpoint)
        if runtime is not None and device.registration is not None:
            runtime.host = device.registration.peer.address[0]
        return runtime

    def _refused(self, host: str, refusal: Refusal) -> None:
        runtime, shown = self.refusals.runtime(refusal.endpoint), refusal.identity_bytes
        match refusal.reason:
            case Reason.WRONG_KEY if runtime is not None:
                runtime.async_wrong_credential()
            case Reason.UNTRUSTED_CERTIFICATE if runtime is not None and shown is not None and can_be_pinned(shown):
                runtime.async_wrong_credential(shown)
            case Reason.UNKNOWN_PUBLIC_KEY if shown is not None:
                if (runtime := self._absent_at(host)) is not None:
                    runtime.async_wrong_credential(shown)

    def _absent_at(self, host: str) -> DeviceRuntime | None:
        """The one device with a raw public key that was here last and is gone: a handshake names no endpoint."""
        absent = [
            runtime
            for runtime in self.runtimes.values()
            if runtime.host == host and not runtime.device.available and mode_of(runtime.entry.data) is SecurityMode.RPK
        ]
        return absent[0] if len(absent) == 1 else None

    @callback
    def _check_cards(self, _now: datetime) -> None:
        discovery.async_withdraw_stale(self.hass, self.server.pending)
        self.refusals.issues.async_check()

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
            self.refusals.issues.async_clear()
        self._tell()
