"""Lights."""

from typing import Any, override

from homeassistant.components.light import LightEntity
from homeassistant.components.light.const import ATTR_BRIGHTNESS, ATTR_RGB_COLOR, ColorMode
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util.color import brightness_to_value, value_to_brightness

from .device_runtime import DeviceRuntime, LwM2MConfigEntry
from .entity import LwM2MEntity, translate_errors
from .mapping.decode import boolean, number, rgb, write_rgb
from .mapping.descriptions import LightDescription
from .protocol.path import Path
from .protocol.value import Value

PARALLEL_UPDATES = 1

LEVELS = (1, 100)
"""Of resource 5851; at 0 a light is as good as off, and Home Assistant's brightness starts above that."""


async def async_setup_entry(
    _hass: HomeAssistant, entry: LwM2MConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the lights of a device, now and when it has more."""
    entry.runtime_data.async_add_platform(Platform.LIGHT, LwM2MLight, async_add_entities)


class LwM2MLight(LwM2MEntity[LightDescription], LightEntity):
    """On and off, brightness and colour as the device has them."""

    def __init__(self, runtime: DeviceRuntime, description: LightDescription) -> None:
        super().__init__(runtime, description)
        mode = ColorMode.ONOFF
        if description.colour is not None:
            mode = ColorMode.RGB
        elif description.level is not None:
            mode = ColorMode.BRIGHTNESS
        self._attr_color_mode = mode
        self._attr_supported_color_modes = {mode}

    @override
    def take(self) -> bool:
        description = self.described
        held = self.held()
        level = self.held(description.level) if description.level is not None else None
        colour = self.held(description.colour) if description.colour is not None else None
        percent = None if level is None else number(level)
        state = (
            None if held is None else boolean(held),
            None if percent is None else value_to_brightness(LEVELS, percent),
            None if colour is None else rgb(colour),
        )
        if state == (self._attr_is_on, self._attr_brightness, self._attr_rgb_color):
            return False
        self._attr_is_on, self._attr_brightness, self._attr_rgb_color = state
        return True

    @translate_errors
    @override
    async def async_turn_on(self, /, **kwargs: Any) -> None:
        description = self.described
        values: list[tuple[Path, Value]] = []
        if description.colour is not None and (colour := kwargs.get(ATTR_RGB_COLOR)) is not None:
            values.append((description.colour, write_rgb(colour, self.held(description.colour))))
        if description.level is not None and (brightness := kwargs.get(ATTR_BRIGHTNESS)) is not None:
            values.append((description.level, round(brightness_to_value(LEVELS, brightness))))
        if not (values and self._attr_is_on):
            values.append((description.path, True))
        await self.write(*values)

    @translate_errors
    @override
    async def async_turn_off(self, /, **_kwargs: Any) -> None:
        await self.write((self.described.path, False))
