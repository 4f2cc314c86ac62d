"""LwM2M JSON (content format 11543), the JSON of LwM2M 1.0 (LwM2M TS 1.0.2, section 6.4.4)."""

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from ..content_format import ContentFormat
from ..errors import CodecError, PathError
from ..messages import Entry
from ..path import Path
from ..value import DataType, ObjectLink, Value, coerce
from .common import MAX_ENTRIES, check_below
from .senml import dump_json, load_json
from .text import parse_base64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..objects.registry import DefinitionView

_LARGEST_TIME: Final = 2.0**40


def decode(payload: bytes, base: Path, definitions: DefinitionView, prefix: str = "") -> list[Entry]:
    """Return the values at and below `base`; names without a base name are absolute or relative to `base`."""
    root = load_json(payload)
    if not isinstance(root, dict):
        raise _error("not an object")
    elements = root.get("e")
    base_name = root.get("bn")
    base_time = root.get("bt")
    if not isinstance(elements, list) or not isinstance(base_name, str | None) or len(elements) > MAX_ENTRIES:
        raise _error("no array of elements")
    entries: list[Entry] = []
    for element in elements:
        if not isinstance(element, dict):
            raise _error("an element that is no object")
        name = element.get("n", "")
        if not isinstance(name, str):
            raise _error("a name that is no text")
        path = _find_path(base_name, name, base, prefix)
        entries.append(Entry(path, _read_value(element, definitions.type(path)), _time(element.get("t"), base_time)))
    return entries


def _find_path(base_name: str | None, name: str, base: Path, prefix: str) -> Path:
    """Return the path that base name and name spell, with the slash between them that some clients leave out."""
    if base_name is None:
        spellings = [name if name.startswith("/") else f"{prefix}{base}/{name}"]
    else:
        spellings = [base_name + name, f"{base_name}/{name}"]
    for spelling in spellings:
        try:
            path = Path.parse(spelling.removeprefix(prefix))
        except PathError:
            continue
        if len(path) > 2 and base.contains(path):
            return path
    raise _error(f"{spellings[0][:40]!r} in answer to {base}")


def _time(time: object, base_time: object) -> float | None:
    if time is None and base_time is None:
        return None
    total = 0.0
    for part in (time, base_time):
        if part is not None:
            if isinstance(part, bool) or not isinstance(part, int | float) or not abs(part) < _LARGEST_TIME:
                raise _error("a time that is none")
            total += part
    return total


def _read_value(element: dict[str, Any], data_type: DataType | None) -> Value:
    value: object
    match element:
        case {"v": bool()}:
            raise _error("a number that is none")
        case {"v": int() | float() as value} | {"bv": bool() as value}:
            pass
        case {"sv": str() as value}:
            if data_type is DataType.OPAQUE:
                value = parse_base64(str(value))
        case {"ov": str() as text}:
            value = ObjectLink.parse(text)
        case _:
            raise _error("an element without a value")
    return coerce(value, data_type)


def encode(entries: Sequence[Entry], base: Path, definitions: DefinitionView, prefix: str = "") -> bytes:
    """Return these values with names relative to the object instance that holds them all, or to the root."""
    check_below(entries, base)
    instances = {entry.path[:2] for entry in entries}
    base_name = f"{prefix}{Path(*instances)}/" if len(instances) == 1 else f"{prefix}/"
    elements: list[dict[str, object]] = []
    for entry in entries:
        element: dict[str, object] = {"n": f"{prefix}{entry.path}"[len(base_name) :]}
        if entry.time is not None:
            element["t"] = entry.time
        value = coerce(entry.value, definitions.type(entry.path))
        if isinstance(value, bool):
            element["bv"] = value
        elif isinstance(value, bytes):
            element["sv"] = b64encode(value).decode()
        elif isinstance(value, ObjectLink):
            element["ov"] = str(value)
        else:
            element["sv" if isinstance(value, str) else "v"] = value
        elements.append(element)
    return dump_json({"bn": base_name, "e": elements})


def _error(message: str) -> CodecError:
    return CodecError(message, ContentFormat.JSON)
