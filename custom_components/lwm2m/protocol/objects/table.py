"""The table of object definitions: one line of JSON for each version of an object.

A row is [id, version, name, multiple, mandatory, resources]; a resource is [id, name, operations, multiple, mandatory,
type, range, units] with empty fields at its end left out. `pull` and `push` of both stand side by side here.
"""

import json
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from ..value import DataType
from .model import ObjectDefinition, ResourceDefinition

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEFAULTS: Final[list[Any]] = [0, "", "", 0, 0, "", "", ""]


def read_rows(table: bytes) -> dict[int, dict[str, bytes | ObjectDefinition]]:
    """Return the rows of a table by object id and version, not yet parsed."""
    rows: dict[int, dict[str, bytes | ObjectDefinition]] = {}
    for line in table.splitlines():
        object_id, version, _ = line[1:].split(b",", 2)
        rows.setdefault(int(object_id), {})[version[1:-1].decode()] = line
    return rows


def write_rows(definitions: Iterable[ObjectDefinition]) -> bytes:
    """Return the table of these definitions, in their order."""
    rows = (json.dumps(make_row(d), separators=(",", ":"), ensure_ascii=False) for d in definitions)
    return "".join(f"{row}\n" for row in rows).encode()


def parse_row(row: list[Any]) -> ObjectDefinition:
    """Return the definition that a row holds."""
    object_id, version, name, multiple, mandatory, resources = row
    return ObjectDefinition(
        object_id,
        name,
        version,
        bool(multiple),
        bool(mandatory),
        {resource[0]: _parse_resource(resource) for resource in resources},
    )


def make_row(definition: ObjectDefinition) -> list[Any]:
    """Return the row that holds a definition."""
    return [
        definition.id,
        definition.version,
        definition.name,
        int(definition.multiple),
        int(definition.mandatory),
        [_make_resource(resource) for resource in definition.resources.values()],
    ]


def _parse_resource(row: list[Any]) -> ResourceDefinition:
    number, name, operations, multiple, mandatory, data_type, values, units = row + _DEFAULTS[len(row) :]
    return ResourceDefinition(
        number,
        intern(name),
        intern(operations),
        bool(multiple),
        bool(mandatory),
        DataType(data_type) if data_type else None,
        intern(values),
        intern(units),
    )


def _make_resource(resource: ResourceDefinition) -> list[Any]:
    row: list[Any] = [
        resource.id,
        resource.name,
        resource.operations,
        int(resource.multiple),
        int(resource.mandatory),
        resource.type or "",
        resource.range,
        resource.units,
    ]
    while not row[-1]:
        row.pop()
    return row
