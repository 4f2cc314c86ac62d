"""Which device class a value may have in its unit."""

from typing import Final

from homeassistant.components.number import NumberDeviceClass
from homeassistant.components.number.const import DEVICE_CLASS_UNITS as NUMBER_UNITS
from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.components.sensor.const import DEVICE_CLASS_UNITS as SENSOR_UNITS
from homeassistant.const import (
    LIGHT_LUX,
    SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
    UnitOfConductivity,
    UnitOfDataRate,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfFrequency,
    UnitOfIrradiance,
    UnitOfMass,
    UnitOfPower,
    UnitOfPressure,
    UnitOfSpeed,
    UnitOfTemperature,
    UnitOfVolumeFlowRate,
)

from .units import Unit

_BY_UNIT: Final[dict[str, str]] = {
    **dict.fromkeys(UnitOfTemperature, "temperature"),
    **dict.fromkeys(UnitOfElectricPotential, "voltage"),
    **dict.fromkeys(UnitOfElectricCurrent, "current"),
    **dict.fromkeys((UnitOfPower.MILLIWATT, UnitOfPower.WATT, UnitOfPower.KILO_WATT), "power"),
    **dict.fromkeys(UnitOfFrequency, "frequency"),
    **dict.fromkeys(UnitOfPressure, "pressure"),
    **dict.fromkeys(UnitOfSpeed, "speed"),
    **dict.fromkeys(UnitOfMass, "weight"),
    **dict.fromkeys(UnitOfConductivity, "conductivity"),
    **dict.fromkeys(UnitOfDataRate, "data_rate"),
    **dict.fromkeys(UnitOfVolumeFlowRate, "volume_flow_rate"),
    **dict.fromkeys(UnitOfIrradiance, "irradiance"),
    LIGHT_LUX: "illuminance",
    SIGNAL_STRENGTH_DECIBELS_MILLIWATT: "signal_strength",
}
"""The device class, by its value, of units that belong to one kind of measurement alone."""


def sensor_class(wanted: SensorDeviceClass | None, unit: Unit, *, by_unit: bool = False) -> SensorDeviceClass | None:
    """Return `wanted` if it is legal with the unit, else None; with `by_unit` and nothing wanted, the unit's own."""
    if wanted is None:
        named = _BY_UNIT.get(unit.name or "") if by_unit else None
        return None if named is None else SensorDeviceClass(named)
    legal = SENSOR_UNITS.get(wanted)
    return wanted if legal is None or unit.name in legal else None


def number_class(wanted: NumberDeviceClass | None, unit: Unit, *, by_unit: bool = False) -> NumberDeviceClass | None:
    """Return the same for a number."""
    if wanted is None:
        named = _BY_UNIT.get(unit.name or "") if by_unit else None
        return None if named is None else NumberDeviceClass(named)
    legal = NUMBER_UNITS.get(wanted)
    return wanted if legal is None or unit.name in legal else None
