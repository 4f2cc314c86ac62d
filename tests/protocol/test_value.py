"""Values and data types."""

import json
import math

import pytest

from custom_components.lwm2m.protocol.errors import InvalidValueError
from custom_components.lwm2m.protocol.value import (
    DataType,
    ObjectLink,
    Value,
    coerce,
    from_json,
    parse_typed,
    to_json,
)

T = DataType


@pytest.mark.parametrize(
    ("value", "data_type", "expected"),
    [
        ("x", T.STRING, "x"),
        (5, T.STRING, "5"),
        (21.5, T.STRING, "21.5"),
        (5, T.INTEGER, 5),
        (5.0, T.INTEGER, 5),
        ("-5", T.INTEGER, -5),
        (-(2**63), T.INTEGER, -(2**63)),
        (2**64 - 1, T.UNSIGNED_INTEGER, 2**64 - 1),
        (5, T.FLOAT, 5.0),
        ("5.5", T.FLOAT, 5.5),
        (True, T.BOOLEAN, True),
        (0, T.BOOLEAN, False),
        (1.0, T.BOOLEAN, True),
        ("on", T.BOOLEAN, True),
        ("0", T.BOOLEAN, False),
        (b"\x00", T.OPAQUE, b"\x00"),
        (1367491215, T.TIME, 1367491215),
        (1367491215.7, T.TIME, 1367491215),
        ("3:0", T.OBJLNK, ObjectLink(3, 0)),
        (ObjectLink(65535, 65535), T.OBJLNK, ObjectLink(65535, 65535)),
        ("</3/0>", T.CORELNK, "</3/0>"),
        (ObjectLink(1, 2), None, ObjectLink(1, 2)),
        (2**64 - 1, None, 2**64 - 1),
        (b"", None, b""),
    ],
)
def test_coerce(value: object, data_type: DataType | None, expected: Value) -> None:
    result = coerce(value, data_type)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "data_type"),
    [
        (True, T.STRING),
        (b"x", T.STRING),
        (None, T.STRING),
        (True, T.INTEGER),
        (5.5, T.INTEGER),
        (math.nan, T.INTEGER),
        (math.inf, T.TIME),
        (2**63, T.INTEGER),
        (1e300, T.INTEGER),
        ("5 ", T.INTEGER),
        ("\u0665", T.INTEGER),
        ("1" * 5000, T.INTEGER),
        (-1, T.UNSIGNED_INTEGER),
        (2**64, T.UNSIGNED_INTEGER),
        (True, T.FLOAT),
        ("x", T.FLOAT),
        ("1_0", T.FLOAT),
        (10**400, T.FLOAT),
        (2, T.BOOLEAN),
        ("maybe", T.BOOLEAN),
        (b"", T.BOOLEAN),
        ("x", T.OPAQUE),
        ("3", T.OBJLNK),
        ("3:65536", T.OBJLNK),
        (3, T.OBJLNK),
        ([], T.CORELNK),
        ({}, None),
        (2**64, None),
    ],
)
def test_coerce_nonsense(value: object, data_type: DataType | None) -> None:
    with pytest.raises(InvalidValueError):
        coerce(value, data_type)


@pytest.mark.parametrize(
    ("text", "data_type", "expected"),
    [
        ("21.5", T.FLOAT, 21.5),
        ("-inf", T.FLOAT, -math.inf),
        (".5e1", T.FLOAT, 5.0),
        (" 7 ", T.INTEGER, 7),
        ("ON", T.BOOLEAN, True),
        ("no", T.BOOLEAN, False),
        ("0x00fF", T.OPAQUE, b"\x00\xff"),
        ("00:ff 01", T.OPAQUE, b"\x00\xff\x01"),
        ("", T.OPAQUE, b""),
        ("1367491215", T.TIME, 1367491215),
        ("2013-05-02T10:40:15", T.TIME, 1367491215),
        ("2013-05-02T12:40:15+02:00", T.TIME, 1367491215),
        ("3:0", T.OBJLNK, ObjectLink(3, 0)),
        (" a text ", T.STRING, " a text "),
        ("12", T.STRING, "12"),
        ("12", None, 12),
        ("18446744073709551616", None, 18446744073709551616.0),
        ("-1.5", None, -1.5),
        ("true", None, True),
        ("words", None, "words"),
    ],
)
def test_parse_typed(text: str, data_type: DataType | None, expected: Value) -> None:
    result = parse_typed(text, data_type)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("text", "data_type"),
    [("abc", T.OPAQUE), ("xy", T.OPAQUE), ("yesterday", T.TIME), ("", T.INTEGER), ("", T.FLOAT), ("2", T.BOOLEAN)],
)
def test_parse_typed_nonsense(text: str, data_type: DataType) -> None:
    with pytest.raises(InvalidValueError):
        parse_typed(text, data_type)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ("x", "x"),
        (5, 5),
        (True, True),
        (2.5, 2.5),
        (b"\x01\xff", {"opaque": "01ff"}),
        (ObjectLink(3, 0), "3:0"),
        (math.inf, "inf"),
    ],
)
def test_json(value: Value, data: object) -> None:
    assert to_json(value) == data
    json.dumps(to_json(value), allow_nan=False)
    data_type = {ObjectLink: T.OBJLNK, float: T.FLOAT}.get(type(value))
    assert from_json(json.loads(json.dumps(data)), data_type) == value


def test_json_nan() -> None:
    assert to_json(math.nan) == "nan"
    assert math.isnan(from_json("nan", T.FLOAT))  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [{}, {"opaque": "0"}, {"opaque": 1}, {"opaque": "", "x": 1}, [1], None])
def test_from_json_nonsense(data: object) -> None:
    with pytest.raises(InvalidValueError):
        from_json(data)
