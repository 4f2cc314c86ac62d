"""Texts."""

from typing import override

from homeassistant.components.text import TextEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .device_runtime import LwM2MConfigEntry
from .entity import LwM2MEntity, translate_errors
from .mapping.decode import text
from .mapping.descriptions import TextDescription

PARALLEL_UPDATES = 1


async def async_setup_entry(
    _hass: HomeAssistant, entry: LwM2MConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the texts of a device, now and when it has more."""
    entry.runtime_data.async_add_platform(Platform.TEXT, LwM2MText, async_add_entities)


class LwM2MText(LwM2MEntity[TextDescription], TextEntity):
    """A text that is read and written."""

    _attr_native_value: str | None = None

    @override
    def take(self) -> bool:
        held = self.held()
        value = None if held is None else text(held)
        if value == self._attr_native_value:
            return False
        self._attr_native_value = value
        return True

    @translate_errors
    @override
    async def async_set_value(self, /, value: str) -> None:
        await self.write((self.described.path, value))
