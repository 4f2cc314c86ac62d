"""The fallback: entities, disabled at first, for resources that no row claims, made from their definitions."""

from collections.abc import Iterator
from typing import Final

from homeassistant.components.number import NumberMode
from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.const import EntityCategory

from ..protocol.objects.model import ResourceDefinition
from ..protocol.path import Path
from ..protocol.value import DataType, ObjectLink, Value
from . import decode
from .descriptions import (
    BinarySensorDescription,
    ButtonDescription,
    Description,
    NumberDescription,
    SensorDescription,
    SwitchDescription,
    TextDescription,
)
from .instance import Instance
from .table import ABOUT_OTHERS, DEVICE_INFO
from .unit_classes import number_class, sensor_class
from .units import NO_UNIT, Unit, find_unit

KEY: Final = "resource"
"""The translation key of all of them: the name is that of the definition."""

_NUMERIC: Final = frozenset((DataType.INTEGER, DataType.UNSIGNED_INTEGER, DataType.FLOAT))
_WIDEST: Final = 2_147_483_647.0
_CONFIG: Final = EntityCategory.CONFIG
_DIAGNOSTIC: Final = EntityCategory.DIAGNOSTIC


def describe_unclaimed(instance: Instance, claimed: frozenset[int]) -> Iterator[Description]:
    """Yield a description for each resource that the device has (or must have) and that no row claims."""
    known = _known_resources(instance)
    if instance.path[0] == 3:
        claimed = claimed | DEVICE_INFO
    wanted = {resource for resource, definition in instance.resources.items() if definition.mandatory} | known.keys()
    for resource in sorted(wanted - claimed - ABOUT_OTHERS):
        definition = instance.resources.get(resource) or _guess(resource, known[resource])
        yield _describe(instance, definition)


def _known_resources(instance: Instance) -> dict[int, tuple[Path, Value]]:
    """Return one path and value of each resource whose value is known."""
    return {path[2]: (path, value) for path, value in instance.values.items() if len(path) > 2}


def _guess(resource: int, example: tuple[Path, Value]) -> ResourceDefinition:
    """Return a definition for a resource that has none, after a value of it; it may only be read."""
    path, value = example
    match value:
        case bool():
            data_type = DataType.BOOLEAN
        case int():
            data_type = DataType.INTEGER
        case float():
            data_type = DataType.FLOAT
        case bytes():
            data_type = DataType.OPAQUE
        case ObjectLink():
            data_type = DataType.OBJLNK
        case _:
            data_type = DataType.STRING
    return ResourceDefinition(
        id=resource,
        name=f"Resource {resource}",
        operations="R",
        multiple=len(path) > 3,
        mandatory=False,
        type=data_type,
    )


def _describe(instance: Instance, resource: ResourceDefinition) -> Description:
    path = instance.path.child(resource.id)
    placeholders = {**instance.placeholders(), "resource": resource.name}
    unit = find_unit(instance.unit(resource.id)) if resource.type in _NUMERIC else NO_UNIT
    if resource.executable:
        return ButtonDescription(
            key=KEY,
            translation_key=KEY,
            placeholders=placeholders,
            entity_category=_CONFIG,
            entity_registry_enabled_default=False,
            path=path,
        )
    if resource.writable and not resource.multiple:
        if resource.type is DataType.BOOLEAN:
            return SwitchDescription(
                key=KEY,
                translation_key=KEY,
                placeholders=placeholders,
                entity_category=_CONFIG,
                entity_registry_enabled_default=False,
                path=path,
                watch=(path,),
            )
        if resource.type is DataType.STRING:
            return TextDescription(
                key=KEY,
                translation_key=KEY,
                placeholders=placeholders,
                entity_category=_CONFIG,
                entity_registry_enabled_default=False,
                path=path,
                watch=(path,),
                native_max=decode.MAX_STATE_LENGTH,
            )
        if resource.type in _NUMERIC:
            return _number(instance, resource, path, placeholders, unit)
    if resource.type is DataType.BOOLEAN and not resource.multiple:
        return BinarySensorDescription(
            key=KEY,
            translation_key=KEY,
            placeholders=placeholders,
            entity_category=_DIAGNOSTIC,
            entity_registry_enabled_default=False,
            path=path,
            watch=(path,),
            decode=decode.boolean,
        )
    return _sensor(resource, path, placeholders, unit)


def _number(
    instance: Instance, resource: ResourceDefinition, path: Path, placeholders: dict[str, str], unit: Unit
) -> Description:
    integer = resource.type is not DataType.FLOAT
    lowest = 0 if resource.type is DataType.UNSIGNED_INTEGER else -_WIDEST
    minimum, maximum = instance.range(resource.id) or (lowest, _WIDEST)
    return NumberDescription(
        key=KEY,
        translation_key=KEY,
        placeholders=placeholders,
        entity_category=_CONFIG,
        entity_registry_enabled_default=False,
        path=path,
        watch=(path,),
        device_class=number_class(None, unit, by_unit=True),
        native_unit_of_measurement=unit.name,
        native_min_value=unit.show(minimum),
        native_max_value=unit.show(maximum),
        native_step=1 if integer else 0.01,
        mode=NumberMode.BOX,
        unit=unit,
        integer=integer,
    )


def _sensor(resource: ResourceDefinition, path: Path, placeholders: dict[str, str], unit: Unit) -> Description:
    device_class: SensorDeviceClass | None = None
    decoder: decode.Decoder = decode.text
    shown_unit = NO_UNIT
    if not resource.multiple:
        if resource.type is DataType.TIME:
            device_class, decoder = SensorDeviceClass.TIMESTAMP, decode.timestamp
        elif resource.type in _NUMERIC:
            device_class, decoder = sensor_class(None, unit, by_unit=True), decode.number_in(unit)
            shown_unit = unit
    return SensorDescription(
        key=KEY,
        translation_key=KEY,
        placeholders=placeholders,
        entity_category=_DIAGNOSTIC,
        entity_registry_enabled_default=False,
        path=path,
        watch=(path,),
        device_class=device_class,
        native_unit_of_measurement=shown_unit.name,
        decode=decoder,
    )
