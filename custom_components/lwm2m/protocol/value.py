"""Values of resources and the data types they have (LwM2M TS 1.1.1 Core, appendix C)."""

import math
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from .errors import InvalidValueError
from .path import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class DataType(StrEnum):
    """The data types of resources."""

    STRING = "string"
    INTEGER = "integer"
    UNSIGNED_INTEGER = "unsigned_integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    OPAQUE = "opaque"
    TIME = "time"
    OBJLNK = "objlnk"
    CORELNK = "corelnk"


class ObjectLink(NamedTuple):
    """A reference to an object instance; 65535:65535 refers to nothing."""

    object_id: int
    instance_id: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the link that "3:0" writes."""
        match = _OBJECT_LINK.fullmatch(text)
        if match is None:
            raise InvalidValueError(f"{text[:40]!r} is not an object link")
        return cls.of(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, object_id: int, instance_id: int) -> Self:
        """Return the link to this instance, checked."""
        if not (0 <= object_id <= MAX_ID and 0 <= instance_id <= MAX_ID):
            raise InvalidValueError(f"{object_id}:{instance_id} is not an object link")
        return cls(object_id, instance_id)

    def __str__(self) -> str:
        return f"{self.object_id}:{self.instance_id}"


type Value = str | int | float | bool | bytes | ObjectLink
"""A value: TIME is an int of seconds since the epoch, CORELNK the text of the link list."""

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1
MAX_UNSIGNED: Final = 2**64 - 1

_OBJECT_LINK = re.compile(r"([0-9]{1,5}):([0-9]{1,5})", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_HEX = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2})*)", re.ASCII)
_TRUE: Final = frozenset(("true", "1", "on", "yes"))
_FALSE: Final = frozenset(("false", "0", "off", "no"))


def coerce(value: object, data_type: DataType | None) -> Value:
    """Return `value` as `data_type` holds it; without a type, any of the types of `Value` is let through.

    A number as text, a whole float for an integer, 0 and 1 for a boolean, a number for a string and fractions of a
    second (cut off) are accepted, since clients send them. Anything else raises InvalidValueError.
    """
    return _COERCE[data_type](value)


def parse_typed(text: str, data_type: DataType | None) -> Value:
    """Return the value that a person means by `text`.

    Opaque is hexadecimal, time is seconds since the epoch or ISO 8601 (UTC where it names no offset), an object link
    is "3:0", booleans are true/false, on/off, yes/no, 1/0. Without a type, what looks like a number is one.
    """
    match data_type:
        case None:
            return _guess(text)
        case DataType.STRING | DataType.CORELNK:
            return text
        case DataType.OPAQUE:
            match = _HEX.fullmatch(text.strip().replace(" ", "").replace(":", ""))
            if match is None:
                raise InvalidValueError(f"{text[:40]!r} is not hexadecimal")
            return bytes.fromhex(match[1])
        case DataType.BOOLEAN:
            return _to_boolean(text.strip().lower())
        case DataType.TIME:
            return _parse_time(text.strip())
        case _:
            return coerce(text.strip(), data_type)


def to_json(value: Value) -> object:
    """Return what `json.dumps` writes for a value: bytes as {"opaque": hex}, an object link as "3:0".

    Infinite floats and NaN, which JSON lacks, become the strings "inf", "-inf" and "nan".
    """
    if isinstance(value, bytes):
        return {"opaque": value.hex()}
    if isinstance(value, ObjectLink):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def from_json(data: object, data_type: DataType | None = None) -> Value:
    """Return the value that `to_json` wrote; InvalidValueError for anything else."""
    if isinstance(data, dict):
        digits = data.get("opaque")
        if len(data) != 1 or not isinstance(digits, str) or not (match := _HEX.fullmatch(digits)):
            raise InvalidValueError('an object must be {"opaque": hexadecimal}')
        return coerce(bytes.fromhex(match[1]), data_type)
    if isinstance(data, str) and data_type is DataType.FLOAT:
        return parse_float(data)
    return coerce(data, data_type)


_SPECIAL_FLOATS: Final = {"inf": math.inf, "+inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def parse_float(text: str) -> float:
    """Return the float that decimal text writes; also inf, -inf and nan, which C clients print."""
    text = text.strip()
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL_FLOATS.get(text.lower())
    if special is None:
        raise InvalidValueError(f"{text[:40]!r} is not a number")
    return special


def _parse_time(text: str) -> int:
    if _INTEGER.fullmatch(text):
        return _to_integer(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValueError(f"{text[:40]!r} is not a time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp())


def _guess(text: str) -> Value:
    if _INTEGER.fullmatch(text) and MIN_INTEGER <= int(text) <= MAX_UNSIGNED:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if text in ("true", "false"):
        return text == "true"
    return text


def _untyped(value: object) -> Value:
    if isinstance(value, ObjectLink):
        return value
    if isinstance(value, bool | str | bytes | float):
        return value
    if isinstance(value, int) and MIN_INTEGER <= value <= MAX_UNSIGNED:
        return value
    raise _wrong(value, None)


def _to_float(value: object) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise InvalidValueError("the number is too large for a float") from None
    if isinstance(value, str):
        return parse_float(value)
    raise _wrong(value, DataType.FLOAT)


def _to_integer(value: object, lowest: int = MIN_INTEGER, highest: int = MAX_INTEGER) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    else:
        raise _wrong(value, DataType.INTEGER if lowest else DataType.UNSIGNED_INTEGER)
    if not lowest <= number <= highest:
        raise InvalidValueError(f"an integer outside {lowest}..{highest}")
    return number


def _to_boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
    raise _wrong(value, DataType.BOOLEAN)


def _to_string(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise _wrong(value, DataType.STRING)


def _to_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    raise _wrong(value, DataType.OPAQUE)


def _to_object_link(value: object) -> ObjectLink:
    if isinstance(value, ObjectLink):
        return value
    if isinstance(value, str):
        return ObjectLink.parse(value)
    raise _wrong(value, DataType.OBJLNK)


def _wrong(value: object, data_type: DataType | None) -> InvalidValueError:
    shown = f"{value[:40]!r}" if isinstance(value, str) else f"a {type(value).__name__}"
    return InvalidValueError(f"{shown} is not a value of type {data_type or 'any'}")


def _to_unsigned(value: object) -> int:
    return _to_integer(value, 0, MAX_UNSIGNED)


def _to_time(value: object) -> int:
    return _to_integer(math.floor(value) if isinstance(value, float) and math.isfinite(value) else value)


_COERCE: Final[Mapping[DataType | None, Callable[[object], Value]]] = {
    None: _untyped,
    DataType.STRING: _to_string,
    DataType.INTEGER: _to_integer,
    DataType.UNSIGNED_INTEGER: _to_unsigned,
    DataType.FLOAT: _to_float,
    DataType.BOOLEAN: _to_boolean,
    DataType.OPAQUE: _to_bytes,
    DataType.TIME: _to_time,
    DataType.OBJLNK: _to_object_link,
    DataType.CORELNK: _to_string,
}
