"""LwM2M CBOR (content format 11544): maps of identifiers, one in another (LwM2M TS 1.2.1 Core, section 7.5.6).

A key is one identifier or an array of several; the path of a value is what its keys spell from the root.
"""

from typing import TYPE_CHECKING, Any

from ..content_format import ContentFormat
from ..errors import CodecError
from ..messages import Entry
from ..path import MAX_ID, ROOT, Path
from ..value import coerce
from .cbor import dump, load, to_item
from .common import MAX_ENTRIES, check_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..objects.registry import DefinitionView


def decode(payload: bytes, base: Path, definitions: DefinitionView) -> list[Entry]:
    """Return the values at and below `base`; those without a value (null) are left out."""
    root = load(payload)
    if not isinstance(root, dict):
        raise CodecError("not a map", ContentFormat.LWM2M_CBOR)
    entries: list[Entry] = []
    _walk(root, ROOT, definitions, entries)
    check_below(entries, base)
    return entries


def _walk(items: dict[Any, Any], parent: Path, definitions: DefinitionView, entries: list[Entry]) -> None:
    for key, item in items.items():
        path = Path((*parent, *key) if isinstance(key, tuple) else (*parent, key))
        if len(path) > 4 or len(path) == len(parent) or not all(_is_id(number) for number in path):
            raise CodecError("a key that is no path of identifiers", ContentFormat.LWM2M_CBOR)
        if isinstance(item, dict):
            _walk(item, path, definitions, entries)
        elif item is not None:
            entries.append(Entry(path, coerce(item, definitions.type(path))))
            if len(entries) > MAX_ENTRIES:
                raise CodecError(f"more than {MAX_ENTRIES} values", ContentFormat.LWM2M_CBOR)


def _is_id(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= MAX_ID


def encode(entries: Sequence[Entry], base: Path, definitions: DefinitionView) -> bytes:
    """Return the map of these values."""
    check_below(entries, base)
    root: dict[int, Any] = {}
    for entry in entries:
        node = root
        for number in entry.path[:-1]:
            node = node.setdefault(number, {})
            if not isinstance(node, dict):
                raise CodecError(f"{entry.path} lies in a resource with a value", ContentFormat.LWM2M_CBOR)
        if entry.path[-1] in node:
            raise CodecError(f"{entry.path} is given twice", ContentFormat.LWM2M_CBOR)
        node[entry.path[-1]] = to_item(entry.value, definitions.type(entry.path))
    return dump(root)
