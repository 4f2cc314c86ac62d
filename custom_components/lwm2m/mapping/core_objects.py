"""Rows for the objects of the LwM2M core enabler and its companions: 1, 3, 4, 6 and 7."""

from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.button.const import ButtonDeviceClass
from homeassistant.components.number import NumberDeviceClass, NumberMode
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import EntityCategory

from . import decode
from .rows import BinarySensorRow, ButtonRow, NumberRow, Row, SensorRow, TrackerRow

_DIAGNOSTIC = EntityCategory.DIAGNOSTIC
_CONFIG = EntityCategory.CONFIG
_MEASURED = SensorStateClass.MEASUREMENT

BATTERY_STATUS = (
    "normal",
    "charging",
    "charge_complete",
    "damaged",
    "low",
    "not_installed",
    "unknown",
)
"""Object 3, resource 20, in the order of its numbers."""

CORE_OBJECTS: dict[int, tuple[Row, ...]] = {
    1: (
        NumberRow(
            key="lifetime",
            resource=1,
            device_class=NumberDeviceClass.DURATION,
            unit="s",
            minimum=1,
            maximum=31_536_000,
            mode=NumberMode.BOX,
            category=_CONFIG,
            enabled=False,
        ),
        ButtonRow(key="update_registration", resource=8, category=_DIAGNOSTIC, enabled=False),
    ),
    3: (
        ButtonRow(key="reboot", resource=4, device_class=ButtonDeviceClass.RESTART, category=_CONFIG),
        ButtonRow(key="factory_reset", resource=5, category=_CONFIG, enabled=False),
        SensorRow(
            key="supply_voltage",
            resource=7,
            each=True,
            unit="mV",
            device_class=SensorDeviceClass.VOLTAGE,
            state_class=_MEASURED,
            category=_DIAGNOSTIC,
        ),
        SensorRow(
            key="supply_current",
            resource=8,
            each=True,
            unit="mA",
            device_class=SensorDeviceClass.CURRENT,
            state_class=_MEASURED,
            category=_DIAGNOSTIC,
        ),
        SensorRow(
            key="battery",
            resource=9,
            unit="%",
            device_class=SensorDeviceClass.BATTERY,
            state_class=_MEASURED,
            category=_DIAGNOSTIC,
        ),
        SensorRow(
            key="memory_free",
            resource=10,
            unit="KB",
            device_class=SensorDeviceClass.DATA_SIZE,
            state_class=_MEASURED,
            category=_DIAGNOSTIC,
        ),
        SensorRow(
            key="memory_total",
            resource=21,
            unit="KB",
            device_class=SensorDeviceClass.DATA_SIZE,
            category=_DIAGNOSTIC,
            enabled=False,
        ),
        BinarySensorRow(
            key="problem",
            resource=11,
            device_class=BinarySensorDeviceClass.PROBLEM,
            decode=decode.any_nonzero,
            category=_DIAGNOSTIC,
        ),
        ButtonRow(key="reset_errors", resource=12, category=_CONFIG, enabled=False),
        SensorRow(
            key="device_time",
            resource=13,
            device_class=SensorDeviceClass.TIMESTAMP,
            decode=decode.timestamp,
            category=_DIAGNOSTIC,
            enabled=False,
        ),
        SensorRow(
            key="battery_status",
            resource=20,
            device_class=SensorDeviceClass.ENUM,
            options=BATTERY_STATUS,
            decode=decode.option(BATTERY_STATUS),
            category=_DIAGNOSTIC,
        ),
    ),
    4: (
        SensorRow(
            key="signal_strength",
            resource=2,
            unit="dBm",
            device_class=SensorDeviceClass.SIGNAL_STRENGTH,
            state_class=_MEASURED,
            category=_DIAGNOSTIC,
        ),
        SensorRow(key="link_quality", resource=3, state_class=_MEASURED, category=_DIAGNOSTIC),
        SensorRow(key="ip_addresses", resource=4, decode=decode.text, category=_DIAGNOSTIC, enabled=False),
        SensorRow(key="cell", resource=8, decode=decode.text, category=_DIAGNOSTIC, enabled=False),
        SensorRow(
            key="signal_to_noise",
            resource=11,
            unit="dB",
            device_class=SensorDeviceClass.SIGNAL_STRENGTH,
            state_class=_MEASURED,
            category=_DIAGNOSTIC,
            enabled=False,
        ),
    ),
    6: (
        TrackerRow(key="location", resource=0, longitude=1, radius=3),
        SensorRow(
            key="altitude",
            resource=2,
            unit="m",
            device_class=SensorDeviceClass.DISTANCE,
            state_class=_MEASURED,
        ),
        SensorRow(
            key="location_time",
            resource=5,
            device_class=SensorDeviceClass.TIMESTAMP,
            decode=decode.timestamp,
            category=_DIAGNOSTIC,
            enabled=False,
        ),
        SensorRow(
            key="speed",
            resource=6,
            unit="m/s",
            device_class=SensorDeviceClass.SPEED,
            state_class=_MEASURED,
        ),
    ),
    7: (
        SensorRow(
            key="data_sent",
            resource=2,
            unit="KB",
            device_class=SensorDeviceClass.DATA_SIZE,
            state_class=SensorStateClass.TOTAL_INCREASING,
            category=_DIAGNOSTIC,
            enabled=False,
        ),
        SensorRow(
            key="data_received",
            resource=3,
            unit="KB",
            device_class=SensorDeviceClass.DATA_SIZE,
            state_class=SensorStateClass.TOTAL_INCREASING,
            category=_DIAGNOSTIC,
            enabled=False,
        ),
        ButtonRow(key="start_statistics", resource=6, category=_DIAGNOSTIC, enabled=False),
        ButtonRow(key="stop_statistics", resource=7, category=_DIAGNOSTIC, enabled=False),
    ),
}
