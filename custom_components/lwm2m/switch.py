"""Switches."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .device_runtime import LwM2MConfigEntry
from .entity import LwM2MEntity, translate_errors
from .mapping.decode import boolean
from .mapping.descriptions import SwitchDescription

PARALLEL_UPDATES = 1


async def async_setup_entry(
    _hass: HomeAssistant, entry: LwM2MConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the switches of a device, now and when it has more."""
    entry.runtime_data.async_add_platform(Platform.SWITCH, LwM2MSwitch, async_add_entities)


class LwM2MSwitch(LwM2MEntity[SwitchDescription], SwitchEntity):
    """A boolean that is read and written."""

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
    async def async_turn_on(self, /, **_kwargs: Any) -> None:
        await self.write((self.described.path, True))

    @translate_errors
    @override
    async def async_turn_off(self, /, **_kwargs: Any) -> None:
        await self.write((self.described.path, False))
