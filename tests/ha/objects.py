"""Devices that have every resource of an object, made from its definition."""

from custom_components.lwm2m.protocol.objects.model import ResourceDefinition
from custom_components.lwm2m.protocol.objects.registry import Registry
from custom_components.lwm2m.protocol.value import DataType
from tests.simulator import DeviceModel, Resource
from tests.simulator.model import Instance, Kind, Scalar

_KINDS: dict[DataType, tuple[Kind, Scalar]] = {
    DataType.STRING: ("string", "text"),
    DataType.INTEGER: ("integer", 1),
    DataType.UNSIGNED_INTEGER: ("unsigned", 1),
    DataType.FLOAT: ("float", 1.5),
    DataType.BOOLEAN: ("boolean", False),
    DataType.OPAQUE: ("opaque", b"\x01\xff"),
    DataType.TIME: ("time", 86_400),
    DataType.OBJLNK: ("objlnk", "3:0"),
    DataType.CORELNK: ("corelnk", "</3/0>"),
}

NOT_SAID = frozenset((5701, 5750, 5751, 5603, 5604, 6042))
"""Resources that change how others are shown; tests that want them say so."""


def number(value: float, operations: str = "R") -> Resource:
    """Return a float resource."""
    return Resource(float(value), "float", operations)


def whole(value: int, operations: str = "R") -> Resource:
    """Return an integer resource."""
    return Resource(value, "integer", operations)


def flag(value: bool, operations: str = "R") -> Resource:
    """Return a boolean resource."""
    return Resource(value, "boolean", operations)


def text(value: str, operations: str = "R") -> Resource:
    """Return a string resource."""
    return Resource(value, "string", operations)


def full_device(object_id: int, *, instances: int = 1) -> DeviceModel:
    """Return a device with that object, and in it every resource that the newest definition has."""
    definition = Registry.default().get(object_id)
    assert definition is not None
    made = {
        instance: _instance({id_: one for id_, one in definition.resources.items() if id_ not in NOT_SAID})
        for instance in range(instances)
    }
    return DeviceModel({object_id: made}, versions={object_id: definition.version})


def _instance(resources: dict[int, ResourceDefinition]) -> Instance:
    return {resource_id: _resource(definition) for resource_id, definition in resources.items()}


def _resource(definition: ResourceDefinition) -> Resource:
    if definition.type is None:
        return Resource(operations=definition.operations)
    kind, value = _KINDS[definition.type]
    if definition.type is DataType.STRING and definition.id == 5706:
        value = "#000000"
    if definition.multiple:
        return Resource({0: value}, kind, definition.operations, multiple=True)
    return Resource(value, kind, definition.operations)
