"""OMA TLV (content format 11542): type, identifier, length, value (LwM2M TS 1.1.1 Core, section 7.4.5)."""

import struct
from typing import TYPE_CHECKING, Final

from ..content_format import ContentFormat
from ..errors import CodecError
from ..messages import Entry
from ..path import MAX_ID, Path
from ..value import DataType, ObjectLink, Value, coerce
from .common import MAX_ENTRIES, check_below, check_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..objects.registry import DefinitionView

_OBJECT_INSTANCE: Final = 0x00
_RESOURCE_INSTANCE: Final = 0x40
_MULTIPLE_RESOURCE: Final = 0x80
_RESOURCE: Final = 0xC0
_KIND: Final = 0xC0

_LONG_ID: Final = 0x20
_MAX_LENGTH: Final = 0xFFFFFF

_FLOAT = struct.Struct(">f")
_DOUBLE = struct.Struct(">d")
_LINK = struct.Struct(">HH")

type _Element = tuple[int, int, int, int]
"""Kind, identifier, and where the value starts and ends."""


def decode(payload: bytes, base: Path, definitions: DefinitionView) -> list[Entry]:
    """Return the values at and below `base`, which is an object or lies in one.

    What the standard lets a client leave out may be there or not: the object instance around its resources, the
    resource around its instances.
    """
    check_size(payload)
    entries: list[Entry] = []
    match len(base):
        case 0:
            raise _error("the root has no TLV")
        case 1:
            _read_object(payload, base, definitions, entries)
        case 2:
            _read_instance(payload, base, definitions, entries)
        case _:
            _read_resource(payload, base, definitions, entries)
    return entries


def _read_object(payload: bytes, base: Path, definitions: DefinitionView, entries: list[Entry]) -> None:
    elements = _split(payload, 0, len(payload))
    if elements and elements[0][0] in (_RESOURCE, _MULTIPLE_RESOURCE):
        if definitions.multiple(base):
            raise _error(f"resources without an instance of {base}")
        _add_resources(payload, elements, Path((*base, 0)), definitions, entries)
        return
    for kind, number, start, end in elements:
        if kind != _OBJECT_INSTANCE or number == MAX_ID:
            raise _error(f"no instance of {base}")
        _add_resources(payload, _split(payload, start, end), Path((*base, number)), definitions, entries)


def _read_instance(payload: bytes, base: Path, definitions: DefinitionView, entries: list[Entry]) -> None:
    elements = _split(payload, 0, len(payload))
    if len(elements) == 1 and elements[0][0] == _OBJECT_INSTANCE:
        _, number, start, end = elements[0]
        if number != base[1]:
            raise _error(f"instance {number} in answer to {base}")
        elements = _split(payload, start, end)
    _add_resources(payload, elements, base, definitions, entries)


def _read_resource(payload: bytes, base: Path, definitions: DefinitionView, entries: list[Entry]) -> None:
    elements = _split(payload, 0, len(payload))
    data_type = definitions.type(base)
    resource = base if len(base) == 3 else base.parent
    if elements and elements[0][0] == _RESOURCE_INSTANCE:
        _add_resource_instances(payload, elements, resource, data_type, entries)
    else:
        _read_instance(payload, resource.parent, definitions, entries)
    for entry in entries:
        if not base.contains(entry.path):
            raise _error(f"{entry.path} in answer to {base}")


def _add_resources(
    payload: bytes, elements: list[_Element], instance: Path, definitions: DefinitionView, entries: list[Entry]
) -> None:
    for kind, number, start, end in elements:
        path = Path((*instance, number))
        data_type = definitions.type(path)
        if kind == _RESOURCE:
            entries.append(Entry(path, _read_value(payload[start:end], data_type)))
        elif kind == _MULTIPLE_RESOURCE:
            _add_resource_instances(payload, _split(payload, start, end), path, data_type, entries)
        else:
            raise _error(f"no resource of {instance}")
    if len(entries) > MAX_ENTRIES:
        raise _error(f"more than {MAX_ENTRIES} values")


def _add_resource_instances(
    payload: bytes, elements: list[_Element], resource: Path, data_type: DataType | None, entries: list[Entry]
) -> None:
    for kind, number, start, end in elements:
        if kind != _RESOURCE_INSTANCE:
            raise _error(f"no instance of {resource}")
        entries.append(Entry(Path((*resource, number)), _read_value(payload[start:end], data_type)))


def _split(data: bytes, position: int, end: int) -> list[_Element]:
    """Return the elements between two positions."""
    elements: list[_Element] = []
    while position < end:
        kind = data[position]
        start = position + (3 if kind & _LONG_ID else 2)
        length = kind & 0x07
        width = kind >> 3 & 0x03
        if start + width > end:
            raise _error("cut short")
        number = data[position + 1] << 8 | data[position + 2] if kind & _LONG_ID else data[position + 1]
        if width:
            length = int.from_bytes(data[start : start + width])
            start += width
        position = start + length
        if position > end:
            raise _error("cut short")
        elements.append((kind & _KIND, number, start, position))
    return elements


def _read_value(data: bytes, data_type: DataType | None) -> Value:
    """Return the value that these bytes hold; without a type, the bytes."""
    length = len(data)
    match data_type:
        case None | DataType.OPAQUE:
            return data
        case DataType.FLOAT:
            if length == 8:
                return _DOUBLE.unpack(data)[0]  # type: ignore[no-any-return]
            if length == 4:
                return _FLOAT.unpack(data)[0]  # type: ignore[no-any-return]
            if length in (1, 2):
                return float(int.from_bytes(data, signed=True))
        case DataType.INTEGER | DataType.TIME:
            if 0 < length <= 8:
                return int.from_bytes(data, signed=True)
        case DataType.UNSIGNED_INTEGER:
            if 0 < length <= 8:
                return int.from_bytes(data)
        case DataType.BOOLEAN:
            if length == 1 and data[0] < 2:
                return data[0] == 1
        case DataType.OBJLNK:
            if length == 4:
                return ObjectLink(*_LINK.unpack(data))
        case _:
            try:
                return data.decode()
            except UnicodeDecodeError:
                raise _error("text that is not UTF-8") from None
    raise _error(f"{length} bytes are no value of type {data_type}")


def encode(entries: Sequence[Entry], base: Path, definitions: DefinitionView) -> bytes:
    """Return these values as the body of a request for `base`.

    For an object that is a list of its instances, for an instance its resources. Without values, a resource is one
    that has no instances.
    """
    check_below(entries, base)
    if not base:
        raise _error("the root has no TLV")
    if len(base) >= 3:
        return _write_resource(entries, Path(base[:3]), definitions)
    if len(base) == 2:
        return _write_instance(entries, definitions)
    instances: dict[Path, list[Entry]] = {}
    for entry in entries:
        instances.setdefault(Path(entry.path[:2]), []).append(entry)
    return b"".join(
        _element(_OBJECT_INSTANCE, path[1], _write_instance(group, definitions)) for path, group in instances.items()
    )


def _write_instance(entries: Sequence[Entry], definitions: DefinitionView) -> bytes:
    resources: dict[Path, list[Entry]] = {}
    for entry in entries:
        resources.setdefault(Path(entry.path[:3]), []).append(entry)
    return b"".join(_write_resource(group, path, definitions) for path, group in resources.items())


def _write_resource(entries: Sequence[Entry], path: Path, definitions: DefinitionView) -> bytes:
    data_type = definitions.type(path)
    if len(entries) == 1 and len(entries[0].path) == 3:
        return _element(_RESOURCE, path[2], _write_value(coerce(entries[0].value, data_type), data_type))
    if len({entry.path for entry in entries if len(entry.path) == 4}) < len(entries):
        raise _error(f"{path} is given twice")
    return _element(
        _MULTIPLE_RESOURCE,
        path[2],
        b"".join(
            _element(_RESOURCE_INSTANCE, entry.path[3], _write_value(coerce(entry.value, data_type), data_type))
            for entry in entries
        ),
    )


def _element(kind: int, number: int, value: bytes) -> bytes:
    """Return one element with the shortest identifier and length that will do."""
    length = len(value)
    if length > _MAX_LENGTH:
        raise _error("a value of more than 16 MiB")
    if number > 0xFF:
        kind |= _LONG_ID
    if length < 8:
        return bytes((kind | length,)) + number.to_bytes(2 if number > 0xFF else 1) + value
    width = 1 if length <= 0xFF else 2 if length <= 0xFFFF else 3
    return bytes((kind | width << 3,)) + number.to_bytes(2 if number > 0xFF else 1) + length.to_bytes(width) + value


def _write_value(value: Value, data_type: DataType | None) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"\x01" if value else b"\x00"
    if isinstance(value, int):
        return _write_integer(value, data_type)
    if isinstance(value, float):
        return _write_float(value)
    if isinstance(value, ObjectLink):
        return _LINK.pack(*value)
    return value.encode()


def _write_integer(value: int, data_type: DataType | None) -> bytes:
    """Return the shortest of 1, 2, 4 and 8 bytes in which a reader of signed and of unsigned integers sees `value`."""
    if value > 2**63 - 1 and data_type in (DataType.UNSIGNED_INTEGER, None):
        return value.to_bytes(8)
    bits = (value if value >= 0 else ~value).bit_length() + 1
    return value.to_bytes(1 if bits <= 8 else 2 if bits <= 16 else 4 if bits <= 32 else 8, signed=True)


def _write_float(value: float) -> bytes:
    """Return four bytes if they hold `value` exactly, else eight."""
    try:
        short = _FLOAT.pack(value)
    except OverflowError:
        return _DOUBLE.pack(value)
    return short if _FLOAT.unpack(short)[0] == value else _DOUBLE.pack(value)


def _error(message: str) -> CodecError:
    return CodecError(message, ContentFormat.TLV)
