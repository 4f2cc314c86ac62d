"""Decoders: a device's nonsense makes an entity unknown and never raises."""

import struct
from datetime import UTC, datetime

import pytest

from custom_components.lwm2m.mapping import decode
from custom_components.lwm2m.mapping.units import find_unit
from custom_components.lwm2m.protocol.value import ObjectLink

NONSENSE: list[decode.Held] = ["", "no", b"\x00", True, float("nan"), float("inf"), ObjectLink(3, 0), (1, 2)]


def _float32(value: float) -> float:
    narrow: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return narrow


def test_numbers() -> None:
    assert decode.number(7) == 7
    assert decode.number("21.5") == 21.5
    for value in NONSENSE:
        assert decode.number(value) is None


@pytest.mark.parametrize("value", [21.3, -0.1, 1013.25, 0.0625, 1e-7, 123456.79])
def test_a_narrow_float_is_shown_as_it_was_meant(value: float) -> None:
    assert decode.number(_float32(value)) == value


def test_some_narrow_floats_need_nine_digits() -> None:
    assert decode.number(-103.21731567382812) == -103.217316


@pytest.mark.parametrize("value", [1 / 3, 16777217.5, 123456792.0, 1e300, 0.1 + 0.2, _float32(2.0**-149)])
def test_a_wide_float_keeps_every_digit(value: float) -> None:
    shown = decode.number(value)
    assert shown is not None
    assert struct.pack("<d", shown) == struct.pack("<d", value) or _float32(shown) == value


def test_numbers_in_a_unit() -> None:
    assert decode.number_in(find_unit("Cel")) is decode.number
    ratio = decode.number_in(find_unit("/"))
    assert ratio(0.29) == 29
    assert ratio("x") is None


def test_booleans() -> None:
    assert decode.boolean(True) is True
    assert decode.boolean(False) is False
    assert decode.boolean(1) is True
    assert decode.boolean(0.0) is False
    for value in ("true", 2, b"", (True,)):
        assert decode.boolean(value) is None


def test_any_nonzero() -> None:
    assert decode.any_nonzero((0, 3)) is True
    assert decode.any_nonzero((0, 0)) is False
    assert decode.any_nonzero(2) is True
    assert decode.any_nonzero(0) is False
    assert decode.any_nonzero("?") is False


def test_text() -> None:
    assert decode.text("hello\x00\n") == "hello"
    assert decode.text(("192.0.2.1", "2001:db8::1")) == "192.0.2.1, 2001:db8::1"
    assert decode.text(b"\x01\xff") == "01ff"
    assert decode.text(ObjectLink(3, 0)) == "3:0"
    assert decode.text(_float32(0.1)) == "0.1"
    assert len(decode.text("x" * 999)) == decode.MAX_STATE_LENGTH
    assert len(decode.text(bytes(100_000))) == decode.MAX_STATE_LENGTH


def test_timestamps() -> None:
    assert decode.timestamp(86400) == datetime(1970, 1, 2, tzinfo=UTC)
    assert decode.timestamp(2**62) is None
    assert decode.timestamp(-(2**62)) is None
    assert decode.timestamp("soon") is None


def test_options() -> None:
    status = decode.option(("normal", "charging"))
    assert status(1) == "charging"
    for value in (2, -1, 0.5, "x"):
        assert status(value) is None


def test_colours() -> None:
    assert decode.rgb("#ff8000") == (255, 128, 0)
    assert decode.rgb("FF8000") == (255, 128, 0)
    for value in ("red", "", "#ff80", 5, b"#ff8000"):
        assert decode.rgb(value) is None
    assert decode.write_rgb((255, 128, 0), None) == "#ff8000"
    assert decode.write_rgb((255, 128, 0), "00FF00") == "ff8000"
    assert decode.write_rgb((255, 128, 0), "#00FF00") == "#ff8000"
