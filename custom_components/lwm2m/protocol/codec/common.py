"""What several codecs need: bounds and checks of entries against the path that a request was about."""

from typing import TYPE_CHECKING, Final

from ..errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..messages import Entry
    from ..path import Path

MAX_PAYLOAD: Final = 65536
"""The largest payload of a format with structure, in bytes."""

MAX_TEXT: Final = 1 << 20
"""The largest payload of text and opaque, in bytes."""

MAX_ENTRIES: Final = 10000
"""The most entries of one payload."""


def single_path(base: Path) -> Path:
    """Return `base` if one value can be all there is of it: a resource or resource instance."""
    if len(base) < 3:
        raise CodecError(f"this format holds one value, {base} has several")
    return base


def single_entry(entries: Sequence[Entry], base: Path) -> Entry:
    """Return the one entry, which must be that of `base`."""
    single_path(base)
    if len(entries) != 1 or entries[0].path != base:
        raise CodecError(f"this format holds one value, that of {base}")
    return entries[0]


def check_size(payload: bytes) -> None:
    """Refuse a payload of more than MAX_PAYLOAD bytes."""
    if len(payload) > MAX_PAYLOAD:
        raise CodecError(f"more than {MAX_PAYLOAD} bytes")


def check_below(entries: Sequence[Entry], base: Path) -> None:
    """Refuse entries that are no resource, or do not lie at or below `base`."""
    for entry in entries:
        if len(entry.path) < 3 or not base.contains(entry.path):
            raise CodecError(f"{entry.path} is not a resource of {base}")
