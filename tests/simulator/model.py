"""The simulated device's objects: resources with value, type, operations, and who wants to know of a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["string", "integer", "unsigned", "float", "boolean", "opaque", "time", "objlnk", "corelnk", "none"]
Scalar = str | int | float | bool | bytes
Path = tuple[int, ...]
Leaf = tuple[Path, Kind, Scalar]

SECURITY = (0, 21)  # Security and OSCORE: never readable by a server


@dataclass(slots=True)
class Resource:
    """One resource.

    value is a scalar, or a dict of resource instance id to scalar when `multiple`. Objlnk is "3:0".
    operations is a subset of "RWE". `execute` is called with the arguments of an Execute.
    """

    value: Scalar | dict[int, Scalar] | None = None
    type: Kind = "string"
    operations: str = "R"
    multiple: bool = False
    execute: Callable[[str], None] | None = None

    def leaves(self, path: Path) -> Iterator[Leaf]:
        """Give what a Read of this resource gives."""
        if isinstance(self.value, dict):
            for instance, value in sorted(self.value.items()):
                yield (*path, instance), self.type, value
        elif self.value is not None:
            yield path, self.type, self.value


Instance = dict[int, Resource]
Objects = dict[int, dict[int, Instance]]


@dataclass(slots=True)
class DeviceModel:
    """All objects of a device; `set` tells the listeners what changed."""

    objects: Objects
    versions: dict[int, str] = field(default_factory=dict)
    templates: dict[int, Callable[[], Instance]] = field(default_factory=dict)
    changed: list[Callable[[Path], None]] = field(default_factory=list)
    instances_changed: list[Callable[[], None]] = field(default_factory=list)

    def resource(self, path: Path) -> Resource | None:
        """The resource at a path of three (or four) ids, None when there is none."""
        return self.objects.get(path[0], {}).get(path[1], {}).get(path[2]) if len(path) >= 3 else None

    def kind(self, path: Path) -> Kind | None:
        """The type of the resource at `path`; for a new instance, from the object's template."""
        found = self.resource(path)
        if found is None and len(path) >= 3 and path[0] in self.templates:
            found = self.templates[path[0]]().get(path[2])
        return None if found is None else found.type

    def exists(self, path: Path) -> bool:
        """Whether object, instance, resource or resource instance is there."""
        if not path:
            return True
        if len(path) == 1:
            return path[0] in self.objects
        if len(path) == 2:
            return path[1] in self.objects.get(path[0], {})
        found = self.resource(path)
        if found is None or len(path) == 3:
            return found is not None
        return isinstance(found.value, dict) and path[3] in found.value

    def leaves(self, path: Path) -> Iterator[Leaf]:
        """Give every readable value at or below `path`, security objects left out."""
        for object_id, instances in sorted(self.objects.items()):
            if object_id in SECURITY or not _under((object_id,), path):
                continue
            for instance_id, resources in sorted(instances.items()):
                for resource_id, resource in sorted(resources.items()):
                    here = (object_id, instance_id, resource_id)
                    if _under(here, path) and "R" in resource.operations:
                        for leaf in resource.leaves(here):
                            if _under(leaf[0], path):
                                yield leaf

    def set(self, path: Path, value: Scalar | dict[int, Scalar]) -> None:
        """Change a value from the device's side; KeyError when there is no such resource."""
        resource = self.resource(path)
        if resource is None:
            raise KeyError(show(path))
        if len(path) == 4:
            if not isinstance(resource.value, dict) or isinstance(value, dict):
                raise KeyError(show(path))
            resource.value[path[3]] = value
        else:
            resource.value = value
        self.notify(path)

    def notify(self, path: Path) -> None:
        """Tell the listeners that something at or below `path` changed."""
        for listener in tuple(self.changed):
            listener(path)

    def create(self, object_id: int, instance_id: int | None) -> int:
        """Make an instance from the object's template; KeyError when the object has none, ValueError when taken."""
        template = self.templates[object_id]
        instances = self.objects.setdefault(object_id, {})
        if instance_id is None:
            instance_id = next(number for number in range(65535) if number not in instances)
        if instance_id in instances:
            raise ValueError("instance exists")
        instances[instance_id] = template()
        return instance_id

    def instances_were_changed(self) -> None:
        """Tell the listeners that the list of objects and instances is another."""
        for listener in tuple(self.instances_changed):
            listener()


def _under(path: Path, base: Path) -> bool:
    length = min(len(path), len(base))
    return path[:length] == base[:length]


def covers(base: Path, path: Path) -> bool:
    """Whether a change at `path` touches what is read at `base`."""
    return _under(path, base)


def show(path: Path) -> str:
    """(3303, 0, 5700) is "/3303/0/5700"."""
    return "/" + "/".join(map(str, path))


def parse_path(text: str) -> Path:
    """Read "/3303/0/5700"; ValueError on anything that is not a path of ids."""
    path = tuple(int(part) for part in text.strip().strip("/").split("/") if part)
    if len(path) > 4 or any(not 0 <= number <= 65535 for number in path):
        raise ValueError(f"not a path: {text}")
    return path
