"""One object instance of a device, with the questions that rows ask of it."""

import math
import re
from collections.abc import Mapping
from typing import Final

from ..protocol.objects.model import ObjectDefinition, ResourceDefinition
from ..protocol.path import Path
from ..protocol.value import DataType, Value
from . import decode
from .descriptions import held
from .device_info import clean
from .table import APPLICATION_TYPE, MAXIMUM_RANGE, MEASURED, MINIMUM_RANGE, SENSOR_TYPE, SENSOR_UNITS

MAX_RESOURCE_INSTANCES: Final = 16
"""More instances of one resource than these become no entities."""

_RANGE = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)\s*(?:\.\.+|-|to)\s*(-?[0-9]+(?:\.[0-9]+)?)")


class Instance:
    """The object instance `path`: its definition, where there is one, and what is known of it."""

    __slots__ = ("application", "definition", "path", "resources", "unique_application", "values")

    def __init__(self, definition: ObjectDefinition | None, path: Path, values: Mapping[Path, Value]) -> None:
        """Take the values of this instance."""
        self.definition = definition
        self.path = path
        self.values = values
        self.resources: Mapping[int, ResourceDefinition] = {} if definition is None else definition.resources
        self.application = self._application()
        self.unique_application = bool(self.application)
        """Whether the application type tells this instance from the others; whoever knows those corrects it."""

    @property
    def object_name(self) -> str:
        """The name of the object, as its definition has it."""
        return f"Object {self.path[0]}" if self.definition is None else self.definition.name

    def defined(self, resource: int) -> bool:
        """Whether the definition has the resource."""
        return resource in self.resources

    def mandatory(self, resource: int) -> bool:
        """Whether every device with this object must have the resource."""
        definition = self.resources.get(resource)
        return definition is not None and definition.mandatory

    def known(self, resource: int) -> bool:
        """Whether a value of the resource is known."""
        return held(self.values, self.path.child(resource)) is not None

    def known_path(self, resource: int) -> Path | None:
        """Return the path of the resource if its value is known."""
        path = self.path.child(resource)
        return path if path in self.values else None

    def type(self, resource: int) -> DataType | None:
        """Return the data type of the resource, None if the definition has none."""
        definition = self.resources.get(resource)
        return None if definition is None else definition.type

    def resource_instances(self, resource: int) -> list[int]:
        """Return the ids of the known instances of a multiple resource, in order."""
        depth = len(self.path) + 1
        path = self.path.child(resource)
        return sorted(other[depth] for other in self.values if len(other) == depth + 1 and other[:depth] == path)[
            :MAX_RESOURCE_INSTANCES
        ]

    def unit(self, resource: int) -> str:
        """Return the unit that the definition names, else the one that the device names for what it measures (5701)."""
        definition = self.resources.get(resource)
        if definition is not None and definition.units:
            return definition.units
        own = self.values.get(self.path.child(SENSOR_UNITS)) if resource in MEASURED else None
        return own if isinstance(own, str) else ""

    def range(self, resource: int) -> tuple[float, float] | None:
        """Return the range that the device names (5603, 5604), else that of the definition, else None."""
        ends = [decode.number(self.values.get(self.path.child(end), "")) for end in (MINIMUM_RANGE, MAXIMUM_RANGE)]
        if ends[0] is not None and ends[1] is not None and ends[0] < ends[1]:
            return float(ends[0]), float(ends[1])
        definition = self.resources.get(resource)
        return None if definition is None else parse_range(definition.range)

    def placeholders(self, resource_instance: int = 0) -> dict[str, str]:
        """Return what fills the translated names: the object's name, and a suffix that tells its instances apart.

        The suffix is the application type (5750) where the device gives one, and the number of the instance unless it
        is 0 or the application type tells it apart already.
        """
        words = []
        if self.application:
            words.append(self.application)
        if self.path[1] and not self.unique_application:
            words.append(str(self.path[1]))
        if resource_instance:
            words.append(str(resource_instance))
        return {"object": self.object_name, "suffix": "".join(f" {word}" for word in words)}

    def _application(self) -> str:
        """Return the application type; a generic sensor's type (5751) stands in for it."""
        named = clean(self.values.get(self.path.child(APPLICATION_TYPE)))
        if not named and self.path[0] == _GENERIC_SENSOR:
            named = clean(self.values.get(self.path.child(SENSOR_TYPE)))
        return named


_GENERIC_SENSOR: Final = 3300


def parse_range(text: str) -> tuple[float, float] | None:
    """Return the ends of a range as definitions write it ("0..100"); None for an enumeration or nothing."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    low, high = float(match[1]), float(match[2])
    return (low, high) if low < high and math.isfinite(high - low) else None
