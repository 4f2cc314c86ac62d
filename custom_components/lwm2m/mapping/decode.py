"""How a resource's value becomes what an entity shows, as named functions.

Each takes a value, or the tuple of values of a multiple resource, and returns None for what it cannot show: a device's
nonsense makes an entity unknown and never raises.
"""

import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime

from ..protocol.value import ObjectLink, Value
from .units import Unit

type Held = Value | tuple[Value, ...]
"""What is known at a path: a value, or the values of the instances of a multiple resource in order of their ids."""

type Shown = str | int | float | bool | datetime | None
type Decoder = Callable[[Held], Shown]

MAX_STATE_LENGTH = 255
"""Home Assistant refuses longer states."""

_FLOAT32 = struct.Struct("<f")
_COLOUR = re.compile(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


def number(value: Held) -> int | float | None:
    """Return a finite number; a boolean is none, text counts when it reads as one."""
    if isinstance(value, float):
        return _shortest(value) if math.isfinite(value) else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        try:
            return number(float(value))
        except ValueError:
            return None
    return None


def _shortest(value: float) -> float:
    """Return the shortest decimal that is the same 32-bit float, where `value` is one: 21.3, not 21.299999237060547."""
    if value.is_integer() or abs(value) > 1e38:
        return value
    if _FLOAT32.unpack(_FLOAT32.pack(value))[0] != value:
        return value
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if _FLOAT32.unpack(_FLOAT32.pack(short))[0] == value:
            return short
    # Nine digits tell all of them apart.
    return float(f"{value:.9g}")


def number_in(unit: Unit) -> Decoder:
    """Return the decoder of numbers that are shown in `unit`."""
    if unit.factor == 1 and unit.offset == 0:
        return number

    def decode(value: Held) -> float | None:
        plain = number(value)
        return None if plain is None else unit.show(plain)

    return decode


def boolean(value: Held) -> bool | None:
    """Return a truth; clients also send it as 0 and 1."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    return None


def any_nonzero(value: Held) -> bool:
    """Return whether any instance holds a number other than 0 (object 3, resource 11: 0 is "no error")."""
    return any(number(one) not in (0, None) for one in _instances(value))


def text(value: Held) -> str:
    """Return the values as text, those of a multiple resource joined by commas."""
    shown = ", ".join(_written(one) for one in _instances(value))
    return "".join(filter(str.isprintable, shown))[:MAX_STATE_LENGTH]


def timestamp(value: Held) -> datetime | None:
    """Return the moment that seconds since the epoch name."""
    seconds = number(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except OverflowError, ValueError, OSError:
        return None


def option(names: tuple[str, ...]) -> Decoder:
    """Return the decoder of an enumeration that counts from 0."""

    def decode(value: Held) -> str | None:
        index = number(value)
        return names[index] if isinstance(index, int) and 0 <= index < len(names) else None

    return decode


def rgb(value: Held) -> tuple[int, int, int] | None:
    """Return the colour that "#RRGGBB" or "RRGGBB" writes (resource 5706)."""
    match = _COLOUR.fullmatch(value.strip()) if isinstance(value, str) else None
    return (int(match[1], 16), int(match[2], 16), int(match[3], 16)) if match else None


def write_rgb(colour: tuple[int, int, int], like: Held | None) -> str:
    """Return the colour in the way in which the device writes its own: with "#" unless it leaves that out."""
    digits = "".join(f"{part:02x}" for part in colour)
    bare = isinstance(like, str) and rgb(like) is not None and not like.strip().startswith("#")
    return digits if bare else f"#{digits}"


def _instances(value: Held) -> tuple[Value, ...]:
    """Return the values of a multiple resource, and a single value as one of them."""
    return value if isinstance(value, tuple) and not isinstance(value, ObjectLink) else (value,)


def _written(value: Value) -> str:
    if isinstance(value, bytes):
        return value[:MAX_STATE_LENGTH].hex()
    if isinstance(value, float):
        return str(_shortest(value))
    return str(value)
