"""Plain text (content format 0): one value of one resource (LwM2M TS 1.1.1 Core, section 7.4.1 and appendix C)."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING

from ..content_format import ContentFormat
from ..errors import CodecError
from ..messages import Entry
from ..value import DataType, Value, coerce
from .common import single_entry, single_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..objects.registry import DefinitionView
    from ..path import Path

_LONGEST_NUMBER = 400


def decode(payload: bytes, base: Path, definitions: DefinitionView) -> list[Entry]:
    """Return the one value of the resource or resource instance `base`."""
    return [Entry(single_path(base), parse(payload, definitions.type(base)))]


def encode(entries: Sequence[Entry], base: Path, definitions: DefinitionView) -> bytes:
    """Return the one value of the resource or resource instance `base` as text."""
    value = single_entry(entries, base).value
    return write(coerce(value, definitions.type(base)))


def parse(payload: bytes, data_type: DataType | None) -> Value:
    """Return the value that `payload` writes; without a type it is a string."""
    if data_type is DataType.FLOAT and len(payload) <= _LONGEST_NUMBER and b"_" not in payload:
        try:
            return float(payload)
        except ValueError:
            raise CodecError(f"{payload[:40]!r} is not a number", ContentFormat.TEXT) from None
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise CodecError("text that is not UTF-8", ContentFormat.TEXT) from None
    if data_type is None or data_type is DataType.STRING or data_type is DataType.CORELNK:
        return text
    if data_type is DataType.OPAQUE:
        return parse_base64(text)
    text = text.strip()
    if "." in text and (data_type is DataType.INTEGER or data_type is DataType.TIME):
        return coerce(coerce(text, DataType.FLOAT), data_type)
    return coerce(text, data_type)


def write(value: Value) -> bytes:
    """Return a value as text: booleans as 0 and 1, opaque as base64, object links as "3:0"."""
    if isinstance(value, bytes):
        return b64encode(value)
    if isinstance(value, bool):
        return b"1" if value else b"0"
    return str(value).encode()


def parse_base64(text: str) -> bytes:
    """Return the bytes that base64 text of either alphabet holds, padded or not (RFC 4648 sections 4 and 5)."""
    digits = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except Base64Error, ValueError:
        raise CodecError("not base64") from None
