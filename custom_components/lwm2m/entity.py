"""LwM2MEntity: what all entities share. States come from watched resources, commands end in writes and executes."""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import wraps
from typing import Any, Concatenate, override

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity import Entity

from .const import DOMAIN
from .device_runtime import DeviceRuntime
from .mapping.decode import Held
from .mapping.descriptions import Description, held, unique_id
from .protocol.errors import LwM2MError, NotRegistered, PeerGone, ProtocolError, RequestTimeout, ResponseError
from .protocol.path import Path
from .protocol.value import Value
from .server.errors import DeviceAsleepError, DeviceBusyError

_LOGGER = logging.getLogger(__name__)

BAD_QUALITY = frozenset((1, 2))
"""Of resource 6042: the measurement is bad, or there is none."""


def translate_errors[**P, R, E: LwM2MEntity[Any]](
    command: Callable[Concatenate[E, P], Awaitable[R]],
) -> Callable[Concatenate[E, P], Coroutine[Any, Any, R]]:
    """Let a command raise Home Assistant's errors, in the user's words, in place of those of the LwM2M layers."""

    @wraps(command)
    async def translated(self: E, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await command(self, *args, **kwargs)
        except LwM2MError as error:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key=error_key(error),
                translation_placeholders={"device": self.runtime.endpoint, "detail": str(error)},
            ) from error

    return translated


def error_key(error: LwM2MError) -> str:
    """Return the translation key of what went wrong."""
    match error:
        case ResponseError():
            return "device_refused"
        case DeviceAsleepError():
            return "device_asleep"
        case RequestTimeout():
            return "no_answer"
        case NotRegistered() | PeerGone():
            return "not_connected"
        case DeviceBusyError():
            return "device_busy"
        case ProtocolError():
            return "not_understood"
    return "request_failed"


class LwM2MEntity[D: Description](Entity):
    """An entity that shows the resources of its description.

    A subclass turns values into attributes in `take`, which returns whether the state is another one now: an unchanged
    state is not written.
    """

    _attr_has_entity_name = True
    _attr_should_poll = False

    described: D
    """The entity's description, as its platform has it."""

    def __init__(self, runtime: DeviceRuntime, description: D) -> None:
        self.runtime = runtime
        self.device = runtime.device
        self.entity_description = self.described = description
        self._attr_unique_id = unique_id(runtime.endpoint, description.path)
        self._attr_translation_placeholders = dict(description.placeholders)
        self._attr_device_info = runtime.device_info
        self._bad_quality = False
        self._was_available = False

    @property
    @override
    def available(self) -> bool:
        return self.runtime.available and not self._bad_quality

    def take(self) -> bool:
        """Take over the present values; returns whether the state changed."""
        return False

    def held(self, path: Path | None = None) -> Held | None:
        """Return what is known at a path, by default the entity's own."""
        return held(self.device.values, self.described.path if path is None else path)

    @override
    async def async_added_to_hass(self) -> None:
        description = self.described
        for path in description.watch:
            self.async_on_remove(self.device.watch(path, self._value_changed))
        if description.quality is not None:
            self.async_on_remove(self.device.watch(description.quality, self._quality_changed))
            self._take_quality(description.quality)
        self.async_on_remove(self.runtime.on_status(self._status_changed))
        self._was_available = self.runtime.available
        self.take()

    @callback
    def _status_changed(self) -> None:
        """Show that the device came or went; not where Home Assistant stops, and takes all of them with it."""
        available = self.runtime.available
        if available is not self._was_available and not self.hass.is_stopping:
            self._was_available = available
            self.async_write_ha_state()

    @callback
    def _value_changed(self, _path: Path) -> None:
        if self.take():
            self.async_write_ha_state()

    def _take_quality(self, path: Path) -> None:
        self._bad_quality = self.device.values.get(path) in BAD_QUALITY

    @callback
    def _quality_changed(self, path: Path) -> None:
        before = self._bad_quality
        self._take_quality(path)
        if self._bad_quality is not before:
            self.async_write_ha_state()

    # Commands

    async def write(self, *values: tuple[Path, Value]) -> None:
        """Write values, one request each, and have the device confirm them.

        What is shown afterwards is what the device says, not what it was told: each resource is read back, since a
        notification may wait for its minimum period.
        """
        for path, value in values:
            await self.device.write(path, value)
        await self._confirm([path for path, _ in values])

    async def _confirm(self, paths: Sequence[Path]) -> None:
        for path in paths:
            definition = self.device.definitions.resource(path)
            if definition is not None and not definition.readable:
                continue
            try:
                await self.device.read(path)
            except LwM2MError as error:
                # The command itself was done.
                _LOGGER.debug("%s: %s was written, but not read back: %s", self.runtime.endpoint, path, error)

    async def execute(self, path: Path) -> None:
        """Execute a resource."""
        await self.device.execute(path)
