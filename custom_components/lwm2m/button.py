"""Buttons."""

from typing import override

from homeassistant.components.button import ButtonEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .device_runtime import LwM2MConfigEntry
from .entity import LwM2MEntity, translate_errors
from .mapping.descriptions import ButtonDescription

PARALLEL_UPDATES = 1


async def async_setup_entry(
    _hass: HomeAssistant, entry: LwM2MConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the buttons of a device, now and when it has more."""
    entry.runtime_data.async_add_platform(Platform.BUTTON, LwM2MButton, async_add_entities)


class LwM2MButton(LwM2MEntity[ButtonDescription], ButtonEntity):
    """An executable resource."""

    @translate_errors
    @override
    async def async_press(self, /) -> None:
        await self.execute(self.described.path)
