"""Rows for the IPSO objects that act."""

from homeassistant.components.number import NumberDeviceClass, NumberMode
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.components.switch.const import SwitchDeviceClass
from homeassistant.const import EntityCategory

from . import decode
from .rows import (
    BinarySensorRow,
    ButtonRow,
    LightRow,
    NumberRow,
    Row,
    SensorRow,
    SirenRow,
    SwitchRow,
    TextRow,
)

_DIAGNOSTIC = EntityCategory.DIAGNOSTIC
_CONFIG = EntityCategory.CONFIG
_MEASURED = SensorStateClass.MEASUREMENT
_GROWING = SensorStateClass.TOTAL_INCREASING
_LONGEST = 86_400.0
"""Seconds; the most that a duration may be set to."""

_ENERGY = SensorRow(key="energy", resource=5805, unit="Wh", device_class=SensorDeviceClass.ENERGY, state_class=_GROWING)
_POWER_FACTOR = SensorRow(
    key="power_factor",
    resource=5820,
    device_class=SensorDeviceClass.POWER_FACTOR,
    state_class=_MEASURED,
    enabled=False,
)
_QUIET_COUNTER = SensorRow(key="counter", resource=5501, state_class=_GROWING, enabled=False)


def _level(key: str, resource: int, category: EntityCategory | None = None) -> NumberRow:
    """Return the row of a percentage that is set with a slider."""
    return NumberRow(
        key=key, resource=resource, unit="%", minimum=0, maximum=100, mode=NumberMode.SLIDER, category=category
    )


ACTUATOR_OBJECTS: dict[int, tuple[Row, ...]] = {
    3201: (SwitchRow(key="digital_output", resource=5550),),
    3203: (NumberRow(key="analog_output", resource=5650, minimum=0, maximum=1),),
    3306: (SwitchRow(key="actuation", resource=5850), _level("dimmer", 5851)),
    3308: (NumberRow(key="set_point", resource=5900, class_by_unit=True, step=0.1, mode=NumberMode.BOX),),
    3310: (
        TextRow(key="load_event", resource=5823),
        SensorRow(key="start_time", resource=5824, device_class=SensorDeviceClass.TIMESTAMP, decode=decode.timestamp),
        NumberRow(
            key="duration",
            resource=5825,
            device_class=NumberDeviceClass.DURATION,
            unit="min",
            minimum=0,
            maximum=1440,
            mode=NumberMode.BOX,
        ),
        NumberRow(key="criticality", resource=5826, minimum=0, maximum=3),
        _level("load_adjustment", 5827),
        _level("duty_cycle", 5828),
    ),
    3311: (LightRow(key="light", resource=5850, level=5851, colour=5706), _ENERGY, _POWER_FACTOR),
    3312: (
        SwitchRow(key="power_control", resource=5850, device_class=SwitchDeviceClass.OUTLET),
        _level("dimmer", 5851),
        _ENERGY,
        _POWER_FACTOR,
    ),
    3337: (_level("position", 5536),),
    3338: (
        SirenRow(key="buzzer", resource=5850, level=5548),
        NumberRow(
            key="delay",
            resource=5521,
            device_class=NumberDeviceClass.DURATION,
            unit="s",
            minimum=0,
            maximum=_LONGEST,
            mode=NumberMode.BOX,
            category=_CONFIG,
            enabled=False,
        ),
    ),
    3340: (
        SwitchRow(key="timer", resource=5850),
        BinarySensorRow(key="timer_output", resource=5543),
        SensorRow(
            key="remaining_time",
            resource=5538,
            unit="s",
            device_class=SensorDeviceClass.DURATION,
            state_class=_MEASURED,
        ),
        NumberRow(
            key="delay",
            resource=5521,
            device_class=NumberDeviceClass.DURATION,
            unit="s",
            minimum=0,
            maximum=_LONGEST,
            mode=NumberMode.BOX,
            category=_CONFIG,
        ),
        ButtonRow(key="start_timer", resource=5523, enabled=False),
        _QUIET_COUNTER,
    ),
    3341: (
        TextRow(key="display_text", resource=5527),
        ButtonRow(key="clear_display", resource=5530, enabled=False),
        _level("brightness", 5548, _CONFIG),
        _level("contrast", 5531, _CONFIG),
    ),
    3343: (_level("dimmer", 5548),),
    3350: (
        SwitchRow(key="stopwatch", resource=5850),
        SensorRow(
            key="elapsed_time",
            resource=5544,
            unit="s",
            device_class=SensorDeviceClass.DURATION,
            state_class=_MEASURED,
        ),
        _QUIET_COUNTER,
    ),
}
