"""Events."""

from typing import override

from homeassistant.components.event import EventEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DATA_HUB
from .device_runtime import LwM2MConfigEntry
from .entity import LwM2MEntity
from .entry_data import is_server
from .mapping.decode import boolean, number
from .mapping.descriptions import EventDescription
from .protocol.path import Path
from .server_entities import RefusedConnection

PARALLEL_UPDATES = 0

PRESSED = "pressed"


async def async_setup_entry(
    hass: HomeAssistant, entry: LwM2MConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the events of a device, now and when it has more; of the server, that it refused somebody."""
    if is_server(entry):
        async_add_entities([RefusedConnection(hass.data[DATA_HUB])])
        return
    entry.runtime_data.async_add_platform(Platform.EVENT, LwM2MEvent, async_add_entities)


class LwM2MEvent(LwM2MEntity[EventDescription], EventEntity):
    """Presses of a button.

    Where the device counts them, each step of the counter is a press, which also tells of one that came and went
    between two notifications. Else the rise of the button's state is.
    """

    _down: bool | None = None
    _count: int | float | None = None

    @override
    def take(self) -> bool:
        """Remember where the button stands; what it did before it was known is no event."""
        description = self.described
        held = self.held()
        self._down = None if held is None else boolean(held)
        counted = None if description.counter is None else self.held(description.counter)
        self._count = None if counted is None else number(counted)
        return False

    @callback
    @override
    def _value_changed(self, path: Path) -> None:
        down, count = self._down, self._count
        self.take()
        if path == self.described.counter:
            pressed = count is not None and self._count is not None and self._count > count
        else:
            pressed = self.described.counter is None and down is False and self._down is True
        if pressed:
            self._trigger_event(PRESSED)
            self.async_write_ha_state()
