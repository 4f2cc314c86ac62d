"""Units as devices write them (resource 5701 or an object definition) and as Home Assistant knows them.

The names are those of the SenML units registry (RFC 8428, section 12.1; RFC 8798, section 3) and what clients write
instead of them. A name is looked up as it stands first, since mW is not MW, and then without regard to case.
"""

from collections import Counter
from typing import NamedTuple

from homeassistant.const import (
    DEGREE,
    LIGHT_LUX,
    PERCENTAGE,
    SIGNAL_STRENGTH_DECIBELS,
    SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
    UnitOfApparentPower,
    UnitOfConductivity,
    UnitOfDataRate,
    UnitOfDensity,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfFrequency,
    UnitOfInformation,
    UnitOfIrradiance,
    UnitOfLength,
    UnitOfMass,
    UnitOfPower,
    UnitOfPressure,
    UnitOfRatio,
    UnitOfReactiveEnergy,
    UnitOfReactivePower,
    UnitOfSoundPressure,
    UnitOfSpeed,
    UnitOfTemperature,
    UnitOfTime,
    UnitOfVolume,
    UnitOfVolumeFlowRate,
)

MAX_LENGTH = 32
"""A unit that a device names is cut to this many characters."""


class Unit(NamedTuple):
    """A unit of Home Assistant (None: a bare number) and the way to it: shown = value * factor + offset."""

    name: str | None
    factor: float = 1
    offset: float = 0

    def show(self, value: float) -> float:
        """Return a device's value in this unit."""
        if self.factor == 1 and self.offset == 0:
            return value
        return round(value * self.factor + self.offset, 9)

    def restore(self, shown: float) -> float:
        """Return the value that a device must be given for `shown`."""
        if self.factor == 1 and self.offset == 0:
            return shown
        return round((shown - self.offset) / self.factor, 9)


NO_UNIT = Unit(None)

_UNITS: dict[str, Unit] = {
    "Cel": Unit(UnitOfTemperature.CELSIUS),
    "K": Unit(UnitOfTemperature.KELVIN),
    "degF": Unit(UnitOfTemperature.FAHRENHEIT),
    "%": Unit(PERCENTAGE),
    "/": Unit(PERCENTAGE, 100),
    "ppm": Unit(UnitOfRatio.PARTS_PER_MILLION),
    "ppb": Unit(UnitOfRatio.PARTS_PER_BILLION),
    "ug/m3": Unit(UnitOfDensity.MICROGRAMS_PER_CUBIC_METER),
    "mg/m3": Unit(UnitOfDensity.MILLIGRAMS_PER_CUBIC_METER),
    "g/m3": Unit(UnitOfDensity.GRAMS_PER_CUBIC_METER),
    "mg/l": Unit(UnitOfDensity.MILLIGRAMS_PER_CUBIC_METER, 1000),
    "Pa": Unit(UnitOfPressure.PA),
    "hPa": Unit(UnitOfPressure.HPA),
    "kPa": Unit(UnitOfPressure.KPA),
    "mbar": Unit(UnitOfPressure.MBAR),
    "bar": Unit(UnitOfPressure.BAR),
    "lx": Unit(LIGHT_LUX),
    "lm": Unit("lm"),
    "V": Unit(UnitOfElectricPotential.VOLT),
    "mV": Unit(UnitOfElectricPotential.MILLIVOLT),
    "A": Unit(UnitOfElectricCurrent.AMPERE),
    "mA": Unit(UnitOfElectricCurrent.MILLIAMPERE),
    "Ah": Unit("Ah"),
    "mW": Unit(UnitOfPower.MILLIWATT),
    "W": Unit(UnitOfPower.WATT),
    "kW": Unit(UnitOfPower.KILO_WATT),
    "MW": Unit(UnitOfPower.MEGA_WATT),
    "VA": Unit(UnitOfApparentPower.VOLT_AMPERE),
    "kVA": Unit(UnitOfApparentPower.VOLT_AMPERE, 1000),
    "var": Unit(UnitOfReactivePower.VOLT_AMPERE_REACTIVE),
    "kvar": Unit(UnitOfReactivePower.KILO_VOLT_AMPERE_REACTIVE),
    "varh": Unit(UnitOfReactiveEnergy.VOLT_AMPERE_REACTIVE_HOUR),
    "kvarh": Unit(UnitOfReactiveEnergy.KILO_VOLT_AMPERE_REACTIVE_HOUR),
    "mWh": Unit(UnitOfEnergy.MILLIWATT_HOUR),
    "Wh": Unit(UnitOfEnergy.WATT_HOUR),
    "kWh": Unit(UnitOfEnergy.KILO_WATT_HOUR),
    "MWh": Unit(UnitOfEnergy.MEGA_WATT_HOUR),
    "J": Unit(UnitOfEnergy.JOULE),
    "Ws": Unit(UnitOfEnergy.JOULE),
    "Hz": Unit(UnitOfFrequency.HERTZ),
    "kHz": Unit(UnitOfFrequency.KILOHERTZ),
    "MHz": Unit(UnitOfFrequency.MEGAHERTZ),
    "dB": Unit(SIGNAL_STRENGTH_DECIBELS),
    "dBA": Unit(UnitOfSoundPressure.WEIGHTED_DECIBEL_A),
    "dBm": Unit(SIGNAL_STRENGTH_DECIBELS_MILLIWATT),
    "dBW": Unit(SIGNAL_STRENGTH_DECIBELS_MILLIWATT, 1, 30),
    "mm": Unit(UnitOfLength.MILLIMETERS),
    "cm": Unit(UnitOfLength.CENTIMETERS),
    "m": Unit(UnitOfLength.METERS),
    "km": Unit(UnitOfLength.KILOMETERS),
    "m/s": Unit(UnitOfSpeed.METERS_PER_SECOND),
    "m/h": Unit(UnitOfSpeed.METERS_PER_SECOND, 1 / 3600),
    "km/h": Unit(UnitOfSpeed.KILOMETERS_PER_HOUR),
    "m/s2": Unit("m/s²"),
    "deg": Unit(DEGREE),
    "rad": Unit(DEGREE, 57.29577951308232),
    "rad/s": Unit("rad/s"),
    "T": Unit("T"),
    "s": Unit(UnitOfTime.SECONDS),
    "ms": Unit(UnitOfTime.MILLISECONDS),
    "min": Unit(UnitOfTime.MINUTES),
    "h": Unit(UnitOfTime.HOURS),
    "m3": Unit(UnitOfVolume.CUBIC_METERS),
    "l": Unit(UnitOfVolume.LITERS),
    "m3/s": Unit(UnitOfVolumeFlowRate.CUBIC_METERS_PER_HOUR, 3600),
    "m3/h": Unit(UnitOfVolumeFlowRate.CUBIC_METERS_PER_HOUR),
    "l/s": Unit(UnitOfVolumeFlowRate.LITERS_PER_SECOND),
    "l/min": Unit(UnitOfVolumeFlowRate.LITERS_PER_MINUTE),
    "kg": Unit(UnitOfMass.KILOGRAMS),
    "g": Unit(UnitOfMass.GRAMS),
    "pH": NO_UNIT,
    "S/m": Unit(UnitOfConductivity.MILLISIEMENS_PER_CM, 10),
    "mS/cm": Unit(UnitOfConductivity.MILLISIEMENS_PER_CM),
    "uS/cm": Unit(UnitOfConductivity.MICROSIEMENS_PER_CM),
    "W/m2": Unit(UnitOfIrradiance.WATTS_PER_SQUARE_METER),
    "bit": Unit(UnitOfInformation.BITS),
    "B": Unit(UnitOfInformation.BYTES),
    "KiB": Unit(UnitOfInformation.KIBIBYTES),
    "KB": Unit(UnitOfInformation.KILOBYTES),
    "MB": Unit(UnitOfInformation.MEGABYTES),
    "GB": Unit(UnitOfInformation.GIGABYTES),
    "bit/s": Unit(UnitOfDataRate.BITS_PER_SECOND),
    "Mbit/s": Unit(UnitOfDataRate.MEGABITS_PER_SECOND),
    "B/s": Unit(UnitOfDataRate.BYTES_PER_SECOND),
    # Named so that they are not taken for a unit that differs from them by case alone.
    "S": Unit("S"),
    "H": Unit("H"),
    "mHz": Unit(UnitOfFrequency.MILLIHERTZ),
}

_ALIASES = {
    "c": "Cel",
    "°c": "Cel",
    "degc": "Cel",
    "deg c": "Cel",
    "celsius": "Cel",
    "degrees celsius": "Cel",
    "kelvin": "K",
    "°f": "degF",
    "fahrenheit": "degF",
    "%rh": "%",
    "/100": "%",
    "%el": "%",
    "percent": "%",
    "µg/m3": "ug/m3",
    "μg/m3": "ug/m3",
    "µg/m³": "ug/m3",
    "μg/m³": "ug/m3",
    "mg/m³": "mg/m3",
    "lux": "lx",
    "volt": "V",
    "volts": "V",
    "ampere": "A",
    "amps": "A",
    "watt": "W",
    "watts": "W",
    "hertz": "Hz",
    "db(a)": "dBA",
    "meter": "m",
    "meters": "m",
    "m/s²": "m/s2",
    "m/s^2": "m/s2",
    "°": "deg",
    "degree": "deg",
    "degrees": "deg",
    "lat": "deg",
    "lon": "deg",
    "sec": "s",
    "seconds": "s",
    "minutes": "min",
    "hours": "h",
    "m³": "m3",
    "m³/h": "m3/h",
    "m³/s": "m3/s",
    "liter": "l",
    "liters": "l",
    "µs/cm": "uS/cm",
    "μs/cm": "uS/cm",
    "w/m²": "W/m2",
    "ph": "pH",
    "count": "",
    "1": "",
}


def _folded() -> dict[str, Unit]:
    """Return the units by folded name, without the names that differ by case alone."""
    often = Counter(name.casefold() for name in _UNITS)
    units = {name.casefold(): unit for name, unit in _UNITS.items() if often[name.casefold()] == 1}
    return units | {alias: _UNITS.get(name, NO_UNIT) for alias, name in _ALIASES.items()}


_FOLDED = _folded()


def find_unit(text: str) -> Unit:
    """Return the unit that `text` names; an unknown one is shown as it is written, an empty one is no unit."""
    name = "".join(filter(str.isprintable, text)).strip()[:MAX_LENGTH]
    return _UNITS.get(name) or _FOLDED.get(name.casefold()) or Unit(name or None)
