"""Rows for the IPSO objects that measure. Their units are the device's (5701); the unit here is for those without."""

from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.event import EventDeviceClass
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import EntityCategory

from .rows import BinarySensorRow, ButtonRow, EventRow, Row, SensorRow

_DIAGNOSTIC = EntityCategory.DIAGNOSTIC
_CONFIG = EntityCategory.CONFIG
_MEASURED = SensorStateClass.MEASUREMENT
_GROWING = SensorStateClass.TOTAL_INCREASING


def _measured(
    key: str,
    device_class: SensorDeviceClass | None = None,
    unit: str = "",
    *,
    by_application: tuple[tuple[str, SensorDeviceClass], ...] = (),
    class_by_unit: bool = False,
    resource: int = 5700,
) -> tuple[Row, ...]:
    """Return the rows of an object with one measured value, its least and greatest so far, and a button to forget."""

    def sensor(key: str, resource: int, *, extreme: bool) -> SensorRow:
        return SensorRow(
            key=key,
            resource=resource,
            device_class=device_class,
            state_class=_MEASURED,
            unit=unit,
            by_application=by_application,
            class_by_unit=class_by_unit,
            category=_DIAGNOSTIC if extreme else None,
            enabled=not extreme,
        )

    return (
        sensor(key, resource, extreme=False),
        sensor("minimum", 5601, extreme=True),
        sensor("maximum", 5602, extreme=True),
        ButtonRow(key="reset_extremes", resource=5605, category=_CONFIG, enabled=False),
    )


def _axes(unit: str) -> tuple[Row, ...]:
    """Return the rows of an object that measures along three axes."""
    return tuple(
        SensorRow(key=f"axis_{axis}", resource=resource, unit=unit, state_class=_MEASURED, enabled=False)
        for axis, resource in (("x", 5702), ("y", 5703), ("z", 5704))
    )


_COUNTER = SensorRow(key="counter", resource=5501, state_class=_GROWING)
_QUIET_COUNTER = SensorRow(key="counter", resource=5501, state_class=_GROWING, enabled=False)
_RESET_COUNTER = ButtonRow(key="reset_counter", resource=5505, category=_CONFIG, enabled=False)
_GASES = (("co2", SensorDeviceClass.CO2), ("carbon dioxide", SensorDeviceClass.CO2))

SENSOR_OBJECTS: dict[int, tuple[Row, ...]] = {
    3200: (BinarySensorRow(key="digital_input", resource=5500), _COUNTER, _RESET_COUNTER),
    3202: _measured("analog_input", resource=5600),
    3300: _measured("sensor", class_by_unit=True),
    3301: _measured("illuminance", SensorDeviceClass.ILLUMINANCE, "lx"),
    3302: (
        BinarySensorRow(key="presence", resource=5500, device_class=BinarySensorDeviceClass.OCCUPANCY),
        _QUIET_COUNTER,
        _RESET_COUNTER,
    ),
    3303: _measured("temperature", SensorDeviceClass.TEMPERATURE, "Cel"),
    3304: _measured("humidity", SensorDeviceClass.HUMIDITY, "%RH"),
    3305: (
        SensorRow(key="power", resource=5800, unit="W", device_class=SensorDeviceClass.POWER, state_class=_MEASURED),
        SensorRow(key="energy", resource=5805, unit="Wh", device_class=SensorDeviceClass.ENERGY, state_class=_GROWING),
        SensorRow(
            key="reactive_power",
            resource=5810,
            unit="var",
            device_class=SensorDeviceClass.REACTIVE_POWER,
            state_class=_MEASURED,
        ),
        SensorRow(
            key="reactive_energy",
            resource=5815,
            unit="varh",
            device_class=SensorDeviceClass.REACTIVE_ENERGY,
            state_class=_GROWING,
        ),
        SensorRow(
            key="power_factor", resource=5820, device_class=SensorDeviceClass.POWER_FACTOR, state_class=_MEASURED
        ),
        ButtonRow(key="reset_energy", resource=5822, category=_CONFIG, enabled=False),
        ButtonRow(key="reset_extremes", resource=5605, category=_CONFIG, enabled=False),
    ),
    3313: _axes("m/s2"),
    3314: _axes("T"),
    3315: _measured("atmospheric_pressure", SensorDeviceClass.ATMOSPHERIC_PRESSURE, "Pa"),
    3316: _measured("voltage", SensorDeviceClass.VOLTAGE, "V"),
    3317: _measured("current", SensorDeviceClass.CURRENT, "A"),
    3318: _measured("frequency", SensorDeviceClass.FREQUENCY, "Hz"),
    3319: _measured("depth", SensorDeviceClass.DISTANCE, "m"),
    3320: _measured("percentage", unit="%"),
    3321: _measured("altitude", SensorDeviceClass.DISTANCE, "m"),
    3322: _measured("load", SensorDeviceClass.WEIGHT, "kg"),
    3323: _measured("pressure", SensorDeviceClass.PRESSURE, "Pa"),
    3324: _measured("loudness", SensorDeviceClass.SOUND_PRESSURE, "dB"),
    3325: _measured("concentration", unit="ppm", by_application=_GASES),
    3326: _measured("acidity", SensorDeviceClass.PH, "pH"),
    3327: _measured("conductivity", SensorDeviceClass.CONDUCTIVITY, "S/m"),
    3328: _measured("power", SensorDeviceClass.POWER, "W"),
    3329: _measured("power_factor", SensorDeviceClass.POWER_FACTOR),
    3330: _measured("distance", SensorDeviceClass.DISTANCE, "m"),
    3331: (
        SensorRow(key="energy", resource=5700, unit="Wh", device_class=SensorDeviceClass.ENERGY, state_class=_GROWING),
        ButtonRow(key="reset_energy", resource=5822, category=_CONFIG, enabled=False),
    ),
    3332: (SensorRow(key="direction", resource=5705, unit="deg", state_class=_MEASURED),),
    3334: _axes("rad/s"),
    3342: (BinarySensorRow(key="on_off_switch", resource=5500), _QUIET_COUNTER),
    3346: _measured("rate", class_by_unit=True),
    3347: (
        EventRow(key="push_button", resource=5500, counter=5501, device_class=EventDeviceClass.BUTTON),
        _QUIET_COUNTER,
    ),
    3348: (SensorRow(key="selector", resource=5547),),
}
