"""Sirens."""

from typing import Any, override

from homeassistant.components.siren import SirenEntity
from homeassistant.components.siren.const import ATTR_VOLUME_LEVEL, SirenEntityFeature
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .device_runtime import DeviceRuntime, LwM2MConfigEntry
from .entity import LwM2MEntity, translate_errors
from .mapping.decode import boolean
from .mapping.descriptions import SirenDescription
from .protocol.path import Path
from .protocol.value import Value

PARALLEL_UPDATES = 1


async def async_setup_entry(
    _hass: HomeAssistant, entry: LwM2MConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sirens of a device, now and when it has more."""
    entry.runtime_data.async_add_platform(Platform.SIREN, LwM2MSiren, async_add_entities)


class LwM2MSiren(LwM2MEntity[SirenDescription], SirenEntity):
    """A buzzer."""

    def __init__(self, runtime: DeviceRuntime, description: SirenDescription) -> None:
        super().__init__(runtime, description)
        self._attr_supported_features = SirenEntityFeature.TURN_ON | SirenEntityFeature.TURN_OFF
        if description.level is not None:
            self._attr_supported_features |= SirenEntityFeature.VOLUME_SET

    @override
    def take(self) -> bool:
        held = self.held()
        value = None if held is None else boolean(held)
        if value is self._attr_is_on:
            return False
        self._attr_is_on = value
        return True

    @translate_errors
    @override
    async def async_turn_on(self, /, **kwargs: Any) -> None:
        description = self.described
        values: list[tuple[Path, Value]] = [(description.path, True)]
        if description.level is not None and (volume := kwargs.get(ATTR_VOLUME_LEVEL)) is not None:
            values.insert(0, (description.level, volume * 100.0))
        await self.write(*values)

    @translate_errors
    @override
    async def async_turn_off(self, /, **_kwargs: Any) -> None:
        await self.write((self.described.path, False))
