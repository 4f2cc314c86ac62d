"""DeviceRuntime: one device of one entry while that is loaded. Asks it once for what it has, and makes its entities."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import CONF_SHOWN, DOMAIN
from .mapping import TABLE, Description, describe, device_facts
from .mapping.device_info import DEVICE_OBJECT
from .mapping.table import PRIVATE_OBJECTS
from .protocol.errors import LwM2MError, PathError, ProtocolError, ResponseError
from .protocol.path import Path
from .server.device import Device

if TYPE_CHECKING:
    from .hub import Hub

_LOGGER = logging.getLogger(__name__)

type LwM2MConfigEntry = ConfigEntry[DeviceRuntime]
"""The entry of a device. That of the server has no runtime data: the server lives in the hub."""

MAX_READS = 200
"""Instances of one device that are read, the most wanted first; what it has beyond them is left alone."""

ADDED_AT_A_TIME = 10
"""Entities that are added in one go, so that a device with many of them does not block the loop."""

WRONG_KEYS = 3
"""Calls in a row with another key after which the user is asked for the new one."""

SOON = 1.0
"""Seconds after which the entities of what was read already are made, while the rest is still being read."""


class DeviceRuntime:
    """`behind`: not all of what the device has was read yet, so its next sign of life is worth another try.

    `host` is where the device called from last, None until it has called.
    """

    def __init__(self, hub: Hub, entry: LwM2MConfigEntry, device: Device) -> None:
        self.hub = hub
        self.entry = entry
        self.device = device
        self.endpoint = device.endpoint
        self.device_info = DeviceInfo(identifiers={(DOMAIN, device.endpoint)})
        self.behind = False
        self.host: str | None = None
        self._platforms: dict[Platform, Callable[[list[Any]], None]] = {}
        self._known: set[Path] = set()
        self._settled: set[Path] = set()
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._wrong_keys = 0
        self._listeners: list[Callable[[], None]] = []
        self._stop_listening = [
            device.on_availability(self._availability_changed),
            hub.on_state(self.async_tell),
        ]

    @property
    def available(self) -> bool:
        """Whether the device is registered and the server runs."""
        return self.device.available and self.hub.running

    # Life

    async def async_start(self) -> None:
        """The platforms are there: make the entities of what is known, and ask for the rest."""
        if self.device.objects:
            self._settle()
            await self._describe(self.device.surveyed | self._shown_before())
        self.async_registered()

    @callback
    def async_stop(self) -> None:
        """Ask no more, and listen no more."""
        for stop in self._stop_listening:
            stop()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    @callback
    def on_status(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call back when what is known of the device as a whole may have changed; returns the way to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def async_tell(self) -> None:
        """Tell those who show what is known of the device as a whole, and whether it is there."""
        for listener in tuple(self._listeners):
            listener()

    @callback
    def async_registered(self) -> None:
        """The device registered, or has other objects than before."""
        self._wrong_keys = 0
        if not self._platforms or not self.device.available:
            return
        if self._task is not None:
            self._again = True
            return
        if self._settled == set(self._instances()) and not self._missing():
            return
        self._task = self.entry.async_create_background_task(
            self.hub.hass, self._interrogate(), f"lwm2m interrogate {self.endpoint}", eager_start=False
        )

    @callback
    def _availability_changed(self) -> None:
        self.async_tell()
        if self.device.available:
            self._wrong_keys = 0
            if self.behind:
                self.async_registered()

    @callback
    def async_wrong_credential(self, shown: bytes | None = None) -> None:
        """The device called with another key or certificate than the one on file; `shown` is that, if it is public.

        Anybody can do that in its name; so the user is asked only when it goes on, and the device itself is not there.
        """
        if self.device.available or self.hub.async_waits_for(self.endpoint):
            return
        self._wrong_keys += 1
        if self._wrong_keys >= WRONG_KEYS:
            data = {} if shown is None else {CONF_SHOWN: b64encode(shown).decode()}
            self.entry.async_start_reauth(self.hub.hass, data=data)

    # The device's page

    @callback
    def async_update_device(self) -> None:
        """Write what object 3 says of the device to the registry; what it does not say is left as it was."""
        facts = device_facts(self.device.values)
        registry = dr.async_get(self.hub.hass)
        known = registry.async_get_or_create(
            config_entry_id=self.entry.entry_id,
            identifiers={(DOMAIN, self.endpoint)},
            name=facts.name or self._registered_name() or self.endpoint,
        )
        said: dict[str, Any] = {
            "manufacturer": facts.manufacturer,
            "model": facts.model,
            "serial_number": facts.serial_number,
            "sw_version": facts.sw_version,
            "hw_version": facts.hw_version,
        }
        if said := {name: value for name, value in said.items() if value is not None}:
            registry.async_update_device(known.id, **said)

    def _registered_name(self) -> str | None:
        registry = dr.async_get(self.hub.hass)
        known = registry.async_get_device_by_identifier((DOMAIN, self.endpoint), self.entry.entry_id)
        return None if known is None else known.name

    # Entities

    @callback
    def async_add_platform(
        self,
        platform: Platform,
        make: Callable[[DeviceRuntime, Any], Entity],
        add: AddConfigEntryEntitiesCallback,
    ) -> None:
        """Let `make` turn this platform's descriptions into entities."""
        self._platforms[platform] = lambda descriptions: add([make(self, one) for one in descriptions])

    async def _interrogate(self) -> None:
        """Read the instances that were not read yet, one request each, and make the entities."""
        try:
            async with self.hub.async_read_turn():
                self._again = True
                while self._again:
                    self._again = False
                    await self._read_all()
            self.hub.store.changed(self.endpoint)
        finally:
            self._task = None

    async def _read_all(self) -> None:
        self._settle()
        missing = self._missing()
        if missing and len(self._settled) > MAX_READS:
            _LOGGER.warning(
                "%s has %s object instances: %s of them are used", self.endpoint, len(self._settled), MAX_READS
            )
        loop = asyncio.get_running_loop()
        described_at = loop.time()
        await self._describe(self.device.surveyed)
        for path in missing:
            try:
                await self.device.read(path)
            except ResponseError as error:
                _LOGGER.debug("%s: %s cannot be read: %s", self.endpoint, path, error)
            except ProtocolError as error:
                _LOGGER.warning("%s: what it says of %s is not understood: %s", self.endpoint, path, error)
            except LwM2MError as error:
                _LOGGER.debug("%s: %s was not read: %s", self.endpoint, path, error)
                break
            if path in self.device.objects:
                self.device.surveyed.add(path)
            if path == DEVICE_OBJECT:
                self.async_update_device()
            if loop.time() - described_at > SOON:
                await self._describe(self.device.surveyed)
                described_at = loop.time()
        if missing:
            await self._describe(self.device.surveyed)
        self.behind = bool(self._missing())

    def _settle(self) -> None:
        """What the device has is what its entities are to be of."""
        self._settled = set(self._instances())
        self.behind = bool(self._missing())
        self._remove_missing()

    def _missing(self) -> list[Path]:
        """Return the instances that were not read yet and should be."""
        return [path for path in self._instances()[:MAX_READS] if path not in self.device.surveyed]

    def _instances(self) -> list[Path]:
        """Return the registered instances that may be read, the most wanted first."""
        instances = (path for path in self.device.objects if len(path) == 2 and path[0] not in PRIVATE_OBJECTS)
        return sorted(instances, key=lambda path: (path != DEVICE_OBJECT, path[0] not in TABLE, path))

    def _shown_before(self) -> set[Path]:
        """Return the instances that have entities already, though they may have to be read anew."""
        return {Path(path[:2]) for path, _ in self._registered()}

    async def _describe(self, instances: set[Path]) -> None:
        """Make the entities of those instances that the device has, where they have none yet."""
        present = [path for path in self.device.objects if path in instances]
        descriptions = describe(self.device.definitions, present, self.device.values)
        new = [one for one in descriptions if one.path not in self._known]
        self._known.update(one.path for one in new)
        if new:
            self._remove_of_other_kind({one.path: one.platform for one in new})
        for start in range(0, len(new), ADDED_AT_A_TIME):
            for platform, chunk in _by_platform(new[start : start + ADDED_AT_A_TIME]).items():
                self._platforms[platform](chunk)
            await asyncio.sleep(0)

    def _remove_missing(self) -> None:
        """Remove the entities of instances that the device has no more.

        The registry keeps the user's settings for them, in case they come back.
        """
        registry = er.async_get(self.hub.hass)
        for path, entity in self._registered():
            if Path(path[:2]) not in self._settled:
                self._known.discard(path)
                registry.async_remove(entity.entity_id)

    def _remove_of_other_kind(self, platforms: dict[Path, Platform]) -> None:
        """Remove what stood for these resources when they were defined otherwise, as a sensor that is a switch now."""
        registry = er.async_get(self.hub.hass)
        for path, entity in self._registered():
            if entity.domain != platforms.get(path, entity.domain):
                registry.async_remove(entity.entity_id)

    def _registered(self) -> list[tuple[Path, er.RegistryEntry]]:
        """Return the registry's entities that stand for a resource, with its path."""
        registry = er.async_get(self.hub.hass)
        entities = er.async_entries_for_config_entry(registry, self.entry.entry_id)
        return [(path, entity) for entity in entities if (path := self._path_of(entity.unique_id)) is not None]

    def _path_of(self, unique_id: str) -> Path | None:
        """Return the path of an entity; None for one that stands for the device as a whole."""
        path = unique_id.removeprefix(self.endpoint)
        if not path.startswith("/"):
            return None
        try:
            return Path.parse(path)
        except PathError:
            return None


def _by_platform(descriptions: Iterable[Description]) -> dict[Platform, list[Description]]:
    found: dict[Platform, list[Description]] = {}
    for description in descriptions:
        found.setdefault(description.platform, []).append(description)
    return found
