"""CBOR (content format 60): one value of one resource (LwM2M TS 1.1.1 Core, section 7.4.3), and CBOR data items.

Of the tags (RFC 8949 section 3.4) only those for times and numbers are understood; the rest, which would have the
decoder build shared structures, compile expressions or parse mail, are refused.
"""

import math
from typing import TYPE_CHECKING, Any, Final

import cbor2

from ..content_format import ContentFormat
from ..errors import CodecError
from ..messages import Entry
from ..value import DataType, ObjectLink, Value, coerce, parse_typed
from .common import check_size, single_entry, single_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..objects.registry import DefinitionView
    from ..path import Path

_MAX_DEPTH: Final = 8
_EPOCH_TIME: Final = 1


def decode(payload: bytes, base: Path, definitions: DefinitionView) -> list[Entry]:
    """Return the one value of the resource or resource instance `base`."""
    value = load(payload)
    return [] if value is None else [Entry(single_path(base), coerce(value, definitions.type(base)))]


def encode(entries: Sequence[Entry], base: Path, definitions: DefinitionView) -> bytes:
    """Return the one value of the resource or resource instance `base`; a time is tagged as one."""
    value = single_entry(entries, base).value
    return dump(to_item(value, definitions.type(base)))


def to_item(value: Value, data_type: DataType | None) -> object:
    """Return what `dump` writes for a value: an object link as text, a time with its tag."""
    value = coerce(value, data_type)
    if isinstance(value, ObjectLink):
        return str(value)
    if data_type is DataType.TIME:
        return cbor2.CBORTag(_EPOCH_TIME, value)
    return value


def load(payload: bytes) -> Any:
    """Return the one data item that `payload` is; CodecError if it is none, or more than one."""
    check_size(payload)
    try:
        # As the first of two items in an array: what follows it must be the second, a null, and not a part of it.
        item, end = cbor2.loads(
            b"\x82%b\xf6" % payload, max_depth=_MAX_DEPTH, semantic_decoders=_TAGS, tag_hook=_refuse_tag
        )
    except cbor2.CBORDecodeError as error:
        raise CodecError(f"not CBOR: {error}", ContentFormat.CBOR) from None
    if end is not None:
        raise CodecError("more than one CBOR data item", ContentFormat.CBOR)
    return item


def dump(item: object) -> bytes:
    """Return the encoding of one data item."""
    return cbor2.dumps(item)


def _refuse_tag(_value: object, _immutable: bool) -> object:
    raise ValueError("a tag that LwM2M has no use for")


def _time_text(value: object, _immutable: bool) -> object:
    if not isinstance(value, str):
        raise TypeError("a time that is no text")
    return parse_typed(value, DataType.TIME)


def _time_number(value: object, _immutable: bool) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a time that is no number")
    return value


def _positive_bignum(value: object, _immutable: bool) -> object:
    if not isinstance(value, bytes) or len(value) > 8:
        raise ValueError("a number of more than 64 bit")
    return int.from_bytes(value)


def _negative_bignum(value: object, _immutable: bool) -> object:
    if not isinstance(value, bytes) or len(value) > 8:
        raise ValueError("a number of more than 64 bit")
    return -1 - int.from_bytes(value)


def _fraction(value: object, base: int) -> float:
    match value:
        case [int(exponent), int(mantissa)] if abs(exponent) < 1100:
            return math.ldexp(mantissa, exponent) if base == 2 else float(f"{mantissa}e{exponent}")
    raise ValueError("not a fraction")


def _decimal_fraction(value: object, _immutable: bool) -> object:
    return _fraction(value, 10)


def _binary_fraction(value: object, _immutable: bool) -> object:
    return _fraction(value, 2)


def _self_described(value: object, _immutable: bool) -> object:
    return value


_TAGS: Final[dict[int, Callable[[Any, bool], object]]] = {
    # Those that cbor2 would otherwise decode by itself; unknown ones reach the hook.
    **dict.fromkeys((25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000), _refuse_tag),
    0: _time_text,
    _EPOCH_TIME: _time_number,
    2: _positive_bignum,
    3: _negative_bignum,
    4: _decimal_fraction,
    5: _binary_fraction,
    55799: _self_described,
}
