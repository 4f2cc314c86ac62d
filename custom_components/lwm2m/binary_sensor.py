"""Binary sensors."""

from typing import override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .device_runtime import LwM2MConfigEntry
from .entity import LwM2MEntity
from .mapping.descriptions import BinarySensorDescription
from .status import ConnectivitySensor

PARALLEL_UPDATES = 0


async def async_setup_entry(
    _hass: HomeAssistant, entry: LwM2MConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the binary sensors of a device, now and when it has more."""
    runtime = entry.runtime_data
    async_add_entities([ConnectivitySensor(runtime)])
    runtime.async_add_platform(Platform.BINARY_SENSOR, LwM2MBinarySensor, async_add_entities)


class LwM2MBinarySensor(LwM2MEntity[BinarySensorDescription], BinarySensorEntity):
    """A boolean that is read."""

    @override
    def take(self) -> bool:
        held = self.held()
        value = None if held is None else self.described.decode(held)
        value = None if value is None else bool(value)
        if value is self._attr_is_on:
            return False
        self._attr_is_on = value
        return True
