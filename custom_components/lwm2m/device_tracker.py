"""Device trackers."""

from typing import override

from homeassistant.components.device_tracker.entity import TrackerEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .device_runtime import LwM2MConfigEntry
from .entity import LwM2MEntity
from .mapping.decode import number
from .mapping.descriptions import TrackerDescription
from .protocol.path import Path

PARALLEL_UPDATES = 0


async def async_setup_entry(
    _hass: HomeAssistant, entry: LwM2MConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the trackers of a device, now and when it has more."""
    entry.runtime_data.async_add_platform(Platform.DEVICE_TRACKER, LwM2MTracker, async_add_entities)


class LwM2MTracker(LwM2MEntity[TrackerDescription], TrackerEntity):
    """Where the device is."""

    _attr_name = None

    @override
    def take(self) -> bool:
        description = self.described
        latitude, longitude = self._number(description.latitude), self._number(description.longitude)
        radius = None if description.radius is None else self._number(description.radius)
        if latitude is None or longitude is None or not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            latitude = longitude = None
        place = (latitude, longitude, max(0.0, radius or 0.0))
        if place == (self._attr_latitude, self._attr_longitude, self._attr_location_accuracy):
            return False
        self._attr_latitude, self._attr_longitude, self._attr_location_accuracy = place
        return True

    def _number(self, path: Path) -> float | None:
        held = self.held(path)
        return None if held is None else number(held)
