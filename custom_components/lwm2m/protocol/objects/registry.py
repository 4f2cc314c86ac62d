"""Registry: the definitions of objects by id and version, and DefinitionView: those of one client."""

import json
from functools import cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Final, Self

from .table import parse_row, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..path import Path
    from ..value import DataType
    from .model import ObjectDefinition, ResourceDefinition

_TABLE: Final = FilePath(__file__).parent / "data" / "objects.jsonl"
_MAX_VIEWS: Final = 512


class Registry:
    """Object definitions; those of the OMA registry are unpacked from the table one by one, when first asked for."""

    __slots__ = ("_objects", "_views")

    def __init__(self, objects: dict[int, dict[str, bytes | ObjectDefinition]]) -> None:
        """Take `objects`: by id and version a row of the table or a definition."""
        self._objects = objects
        self._views: dict[frozenset[tuple[int, str]], DefinitionView] = {}

    @classmethod
    @cache
    def default(cls) -> Registry:
        """Return the definitions that come with the package. Reads a file the first time it is called."""
        return cls(read_rows(_TABLE.read_bytes()))

    def get(self, object_id: int, version: str | None = None) -> ObjectDefinition | None:
        """Return an object's definition: of `version`, else of the nearest lower one, else of the nearest higher one.

        Without a version, the newest; None for an unknown object.
        """
        versions = self._objects.get(object_id)
        if not versions:
            return None
        return self._unpack(versions, version if version in versions else _nearest(versions, version))

    def _unpack(self, versions: dict[str, bytes | ObjectDefinition], version: str) -> ObjectDefinition:
        found = versions[version]
        if isinstance(found, bytes):
            found = versions[version] = parse_row(json.loads(found))
        return found

    def versions(self, object_id: int) -> tuple[str, ...]:
        """Return the known versions of an object, oldest first."""
        return tuple(sorted(self._objects.get(object_id, ()), key=_version_key))

    def all(self) -> Iterator[ObjectDefinition]:
        """Yield every version of every object, by id and then oldest first."""
        for object_id in sorted(self._objects):
            for version in self.versions(object_id):
                yield self._unpack(self._objects[object_id], version)

    def with_user_objects(self, definitions: Iterable[ObjectDefinition]) -> Self:
        """Return a registry with these definitions added; they replace those of the same id and version."""
        objects = {object_id: dict(versions) for object_id, versions in self._objects.items()}
        for definition in definitions:
            objects.setdefault(definition.id, {})[definition.version] = definition
        return type(self)(objects)

    def view(self, objects: Mapping[Path, str]) -> DefinitionView:
        """Return the definitions of a client that registered `objects` (path to version); equal ones share a view."""
        key = frozenset((path[0], version) for path, version in objects.items() if path)
        view = self._views.get(key)
        if view is None:
            if len(self._views) >= _MAX_VIEWS:
                self._views.clear()
            view = self._views[key] = DefinitionView(self, dict(key))
        return view


class DefinitionView:
    """The definitions that hold for one client: each object in the version that it registered, others in the newest."""

    __slots__ = ("_known", "_registry", "_versions")

    def __init__(self, registry: Registry, versions: Mapping[int, str]) -> None:
        self._registry = registry
        self._versions = versions
        self._known: dict[int, ObjectDefinition] = {}

    def object(self, object_id: int) -> ObjectDefinition | None:
        """Return the definition of an object, None if unknown."""
        found = self._known.get(object_id)
        if found is None:
            found = self._registry.get(object_id, self._versions.get(object_id))
            if found is not None:
                self._known[object_id] = found
        return found

    def resource(self, path: tuple[int, ...]) -> ResourceDefinition | None:
        """Return the definition of the resource that `path` names or lies in, None if unknown."""
        if len(path) < 3:
            return None
        definition = self._known.get(path[0]) or self.object(path[0])
        return None if definition is None else definition.resources.get(path[2])

    def type(self, path: tuple[int, ...]) -> DataType | None:
        """Return the data type of the resource at `path`, None if unknown or if it has none."""
        resource = self.resource(path)
        return None if resource is None else resource.type

    def multiple(self, path: tuple[int, ...]) -> bool | None:
        """Return whether the object or resource at `path` may have several instances, None if unknown."""
        if len(path) == 1:
            definition = self.object(path[0])
            return None if definition is None else definition.multiple
        resource = self.resource(path)
        return None if resource is None else resource.multiple


def _version_key(version: str) -> tuple[int, ...]:
    """Return what orders versions: "1.10" after "1.9"; what is not a version comes last."""
    parts = version.split(".")
    if not all(part.isascii() and part.isdecimal() and len(part) <= 5 for part in parts):
        return (65536,)
    return tuple(map(int, parts))


def _nearest(versions: Iterable[str], wanted: str | None) -> str:
    ordered = sorted(versions, key=_version_key)
    if wanted is None:
        return ordered[-1]
    key = _version_key(wanted)
    lower = [version for version in ordered if _version_key(version) <= key]
    return lower[-1] if lower else ordered[0]
