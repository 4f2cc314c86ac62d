"""OMA TLV (LwM2M TS: Core 1.1.1, section 7.4.5), writer and reader side by side."""

from __future__ import annotations

from collections.abc import Sequence

from .model import Leaf, Path
from .values import BadValueError, to_bytes

OBJECT_INSTANCE, RESOURCE_INSTANCE, MULTIPLE_RESOURCE, RESOURCE = 0, 1, 2, 3


def entry(kind: int, identifier: int, value: bytes) -> bytes:
    """Give one TLV: type byte, identifier, length and value."""
    head = kind << 6
    ident = identifier.to_bytes(1 if identifier < 256 else 2, "big")
    if len(ident) == 2:
        head |= 0x20
    size = len(value)
    if size < 8:
        return bytes((head | size,)) + ident + value
    width = 1 if size < 1 << 8 else 2 if size < 1 << 16 else 3
    return bytes((head | width << 3,)) + ident + size.to_bytes(width, "big") + value


def encode(base: Path, leaves: Sequence[Leaf]) -> bytes:
    """Write leaves that lie at or below `base` (one to four ids)."""
    if len(base) == 4:
        return b"".join(entry(RESOURCE_INSTANCE, path[3], to_bytes(kind, value)) for path, kind, value in leaves)
    if len(base) >= 2:
        return _resources(leaves)
    instances: dict[int, list[Leaf]] = {}
    for leaf in leaves:
        instances.setdefault(leaf[0][1], []).append(leaf)
    return b"".join(entry(OBJECT_INSTANCE, number, _resources(below)) for number, below in instances.items())


def _resources(leaves: Sequence[Leaf]) -> bytes:
    out, multiple = bytearray(), dict[int, bytearray]()
    order: list[int] = []
    single: dict[int, bytes] = {}
    for path, kind, value in leaves:
        if path[2] not in order:
            order.append(path[2])
        if len(path) == 4:
            multiple.setdefault(path[2], bytearray()).extend(entry(RESOURCE_INSTANCE, path[3], to_bytes(kind, value)))
        else:
            single[path[2]] = entry(RESOURCE, path[2], to_bytes(kind, value))
    for number in order:
        out += single[number] if number in single else entry(MULTIPLE_RESOURCE, number, bytes(multiple[number]))
    return bytes(out)


def decode(base: Path, data: bytes) -> list[tuple[Path, bytes]]:
    """Read TLVs written to `base`; gives full paths with raw values. BadValueError on a malformed one."""
    out: list[tuple[Path, bytes]] = []
    for kind, identifier, value in read(data):
        if kind == OBJECT_INSTANCE:
            out += decode((base[0], identifier), value)
            continue
        resource = base if len(base) >= 3 else (*base, identifier)
        if kind == RESOURCE:
            out.append((resource, value))
        elif kind == MULTIPLE_RESOURCE:
            out += [((*resource[:3], number), inner) for inner_kind, number, inner in read(value) if inner_kind == 1]
        else:
            out.append(((*base[:3], identifier), value))
    return out


def read(data: bytes) -> list[tuple[int, int, bytes]]:
    """Split a run of TLVs into (kind, identifier, value)."""
    out, position = [], 0
    while position < len(data):
        head = data[position]
        position += 1
        ident_width, length_width = (2 if head & 0x20 else 1), head >> 3 & 3
        if position + ident_width + length_width > len(data):
            raise BadValueError("TLV header cut off")
        identifier = int.from_bytes(data[position : position + ident_width], "big")
        position += ident_width
        size = head & 7
        if length_width:
            size = int.from_bytes(data[position : position + length_width], "big")
            position += length_width
        if position + size > len(data):
            raise BadValueError("TLV value cut off")
        out.append((head >> 6, identifier, data[position : position + size]))
        position += size
    return out
