"""Opaque (content format 42): the bytes of one resource (LwM2M TS 1.1.1 Core, section 7.4.2)."""

from typing import TYPE_CHECKING

from ..content_format import ContentFormat
from ..errors import CodecError
from ..messages import Entry
from ..value import DataType
from .common import single_entry, single_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..objects.registry import DefinitionView
    from ..path import Path


def decode(payload: bytes, base: Path, definitions: DefinitionView) -> list[Entry]:
    """Return the one value of the resource or resource instance `base`."""
    _check_type(definitions.type(base))
    return [Entry(single_path(base), payload)]


def encode(entries: Sequence[Entry], base: Path, definitions: DefinitionView) -> bytes:
    """Return the bytes of the resource or resource instance `base`."""
    _check_type(definitions.type(base))
    value = single_entry(entries, base).value
    if not isinstance(value, bytes):
        raise CodecError("not bytes", ContentFormat.OPAQUE)
    return value


def _check_type(data_type: DataType | None) -> None:
    if data_type not in (None, DataType.OPAQUE):
        raise CodecError(f"opaque cannot hold a value of type {data_type}", ContentFormat.OPAQUE)
