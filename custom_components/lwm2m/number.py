"""Numbers."""

from typing import override

from homeassistant.components.number import NumberEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .device_runtime import LwM2MConfigEntry
from .entity import LwM2MEntity, translate_errors
from .mapping.decode import number_in
from .mapping.descriptions import NumberDescription

PARALLEL_UPDATES = 1


async def async_setup_entry(
    _hass: HomeAssistant, entry: LwM2MConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the numbers of a device, now and when it has more."""
    entry.runtime_data.async_add_platform(Platform.NUMBER, LwM2MNumber, async_add_entities)


class LwM2MNumber(LwM2MEntity[NumberDescription], NumberEntity):
    """A number that is read and written."""

    @override
    def take(self) -> bool:
        held = self.held()
        value = None if held is None else number_in(self.described.unit)(held)
        if value == self._attr_native_value:
            return False
        self._attr_native_value = value if isinstance(value, int | float) else None
        return True

    @translate_errors
    @override
    async def async_set_native_value(self, /, value: float) -> None:
        description = self.described
        wanted = description.unit.restore(value)
        await self.write((description.path, round(wanted) if description.integer else float(wanted)))
