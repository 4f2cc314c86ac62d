"""Sensors."""

from typing import override

from homeassistant.components.sensor import SensorEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .device_runtime import LwM2MConfigEntry
from .entity import LwM2MEntity
from .mapping.descriptions import SensorDescription
from .status import STATUS_SENSORS, StatusSensor

PARALLEL_UPDATES = 0


async def async_setup_entry(
    _hass: HomeAssistant, entry: LwM2MConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors of a device, now and when it has more."""
    runtime = entry.runtime_data
    async_add_entities(StatusSensor(runtime, description) for description in STATUS_SENSORS)
    runtime.async_add_platform(Platform.SENSOR, LwM2MSensor, async_add_entities)


class LwM2MSensor(LwM2MEntity[SensorDescription], SensorEntity):
    """A resource that is read."""

    @override
    def take(self) -> bool:
        held = self.held()
        value = None if held is None else self.described.decode(held)
        if value == self._attr_native_value:
            return False
        self._attr_native_value = value
        return True
