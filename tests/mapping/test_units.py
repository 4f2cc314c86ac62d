"""Units by LWM2M names: exact names first, folded aliases next, unknown ones as they are."""

import pytest

from custom_components.lwm2m.mapping.units import MAX_LENGTH, NO_UNIT, Unit, find_unit


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        *((name, "°C") for name in ("Cel", "C", "degC", "°C", "Celsius", "celsius", " Cel ")),
        ("K", "K"),
        ("degF", "°F"),
        *((name, "%") for name in ("%RH", "%", "/100", "%EL", "%rh")),
        *((name, name) for name in ("Pa", "hPa", "kPa", "mbar", "bar")),
        ("lx", "lx"),
        ("lux", "lx"),
        ("lm", "lm"),
        *((name, name) for name in ("V", "mV", "A", "mA", "Ah", "W", "kW", "VA", "var", "kvar", "Wh", "kWh", "J")),
        ("Ws", "J"),
        *((name, name) for name in ("Hz", "MHz", "dB", "dBm", "ppm", "ppb", "m", "cm", "mm", "km", "m/s", "km/h")),
        ("ug/m3", "μg/m³"),
        *((name, "°") for name in ("deg", "lat", "lon")),
        *((name, name) for name in ("s", "ms", "min", "h", "kg", "g", "B", "KiB", "GB", "bit/s", "Mbit/s", "B/s")),
        ("KB", "kB"),
        ("m3", "m³"),
        ("l", "L"),
        ("l/s", "L/s"),
        ("l/min", "L/min"),
    ],
)
def test_unit_of_the_same_size(written: str, unit: str) -> None:
    assert find_unit(written) == Unit(unit)


@pytest.mark.parametrize(
    ("written", "unit", "value", "shown"),
    [
        ("/", "%", 0.57, 57),
        ("dBW", "dBm", -90, -60),
        ("kVA", "VA", 1.5, 1500),
        ("mg/l", "mg/m³", 0.25, 250),
        ("m/h", "m/s", 7200, 2),
        ("rad", "°", 3.141592653589793, 180),
        ("m3/s", "m³/h", 0.5, 1800),
        ("S/m", "mS/cm", 0.7, 7),
    ],
)
def test_unit_of_another_size(written: str, unit: str, value: float, shown: float) -> None:
    found = find_unit(written)
    assert found.name == unit
    assert found.show(value) == pytest.approx(shown, rel=1e-9)
    assert found.restore(found.show(value)) == pytest.approx(value, rel=1e-6)


def test_case_tells_units_apart() -> None:
    assert find_unit("mW").name == "mW"
    assert find_unit("MW").name == "MW"
    assert find_unit("S").name == "S"
    assert find_unit("s").name == "s"
    # Neither of two units that differ by case alone is guessed.
    assert find_unit("Mw") == Unit("Mw")


def test_unknown_and_empty_units() -> None:
    assert find_unit("furlong") == Unit("furlong")
    assert find_unit("") == NO_UNIT
    assert find_unit("  ") == NO_UNIT
    assert find_unit("count") == NO_UNIT
    assert find_unit("pH") == NO_UNIT
    assert find_unit("a\x00b\n") == Unit("ab")
    assert find_unit("x" * 500) == Unit("x" * MAX_LENGTH)


def test_a_unit_of_the_same_size_leaves_the_value_alone() -> None:
    assert find_unit("Cel").show(0.1 + 0.2) == 0.1 + 0.2
    assert find_unit("Cel").restore(7) == 7
