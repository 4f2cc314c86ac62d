"""How a single value is written as text and as TLV or opaque bytes (LwM2M TS: Core, appendix C)."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from decimal import Decimal

from .model import Kind, Scalar


class BadValueError(Exception):
    """A value that does not fit its type; answered 4.00."""


def to_bytes(kind: Kind, value: Scalar) -> bytes:
    """Give the TLV form of a value: shortest integer, float32 where exact."""
    match kind:
        case "integer" | "time":
            return _integer(int(value), signed=True)
        case "unsigned":
            return _integer(int(value), signed=False)
        case "float":
            number = float(value)
            single = _single(number)
            return struct.pack(">d", number) if single is None else single
        case "boolean":
            return b"\1" if value else b"\0"
        case "objlnk":
            return struct.pack(">HH", *parse_link(value))
        case _:
            return value if isinstance(value, bytes) else str(value).encode()


def from_bytes(kind: Kind, data: bytes) -> Scalar:
    """Read the TLV form of a value."""
    match kind:
        case "integer" | "time" | "unsigned":
            if len(data) not in (1, 2, 4, 8):
                raise BadValueError("integer length")
            return int.from_bytes(data, "big", signed=kind != "unsigned")
        case "float":
            if len(data) not in (4, 8):
                raise BadValueError("float length")
            return float(struct.unpack(">f" if len(data) == 4 else ">d", data)[0])
        case "boolean":
            if data not in (b"\0", b"\1"):
                raise BadValueError("boolean")
            return data == b"\1"
        case "objlnk":
            if len(data) != 4:
                raise BadValueError("objlnk length")
            return "{}:{}".format(*struct.unpack(">HH", data))
        case "opaque":
            return data
        case _:
            return _utf8(data)


def to_text(kind: Kind, value: Scalar) -> bytes:
    """Give the text/plain form: opaque as base64, boolean as 0 or 1, float without exponent."""
    match kind:
        case "boolean":
            return b"1" if value else b"0"
        case "opaque":
            return base64.b64encode(value if isinstance(value, bytes) else str(value).encode())
        case "float":
            return format(Decimal(repr(float(value))), "f").removesuffix(".0").encode()
        case _:
            return str(value).encode()


def from_text(kind: Kind, data: bytes) -> Scalar:
    """Read the text/plain form."""
    text = _utf8(data)
    try:
        match kind:
            case "integer" | "time" | "unsigned":
                return coerce(kind, int(text))
            case "float":
                return coerce(kind, float(text))
            case "boolean":
                if text not in ("0", "1"):
                    raise BadValueError("boolean")
                return text == "1"
            case "opaque":
                return base64.b64decode(text, validate=True)
            case "objlnk":
                return "{}:{}".format(*parse_link(text))
            case _:
                return text
    except (ValueError, binascii.Error) as error:
        raise BadValueError(str(error)) from None


def coerce(kind: Kind, value: object) -> Scalar:
    """Check a typed value (SenML, CBOR) against the resource's type."""
    match kind:
        case "boolean" if isinstance(value, bool):
            return value
        case "float" if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        case "integer" | "time" if isinstance(value, (int, float)) and not isinstance(value, bool):
            if float(value).is_integer() and -(1 << 63) <= value < 1 << 63:
                return int(value)
        case "unsigned" if isinstance(value, (int, float)) and not isinstance(value, bool):
            if float(value).is_integer() and 0 <= value < 1 << 64:
                return int(value)
        case "opaque" if isinstance(value, bytes):
            return value
        case "objlnk" if isinstance(value, str):
            return "{}:{}".format(*parse_link(value))
        case "string" | "corelnk" if isinstance(value, str):
            return value
    raise BadValueError(f"not a value of type {kind}")


def parse_link(value: object) -> tuple[int, int]:
    """Read "3:0"."""
    try:
        left, right = (int(part) for part in str(value).split(":"))
    except ValueError:
        raise BadValueError("objlnk") from None
    if not (0 <= left <= 65535 and 0 <= right <= 65535):
        raise BadValueError("objlnk range")
    return left, right


def _integer(value: int, *, signed: bool) -> bytes:
    for width in (1, 2, 4, 8):
        try:
            return value.to_bytes(width, "big", signed=signed)
        except OverflowError:
            continue
    raise BadValueError("integer over 64 bits")


def _single(number: float) -> bytes | None:
    try:
        packed = struct.pack(">f", number)
    except OverflowError:
        return None
    return packed if struct.unpack(">f", packed)[0] == number else None


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadValueError("not UTF-8") from None
