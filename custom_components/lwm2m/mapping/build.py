"""From what a device has to entity descriptions: the rows of the table first, the fallback for the rest."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import singledispatch
from typing import Final

from homeassistant.components.number import NumberDeviceClass
from homeassistant.components.sensor import SensorDeviceClass

from ..protocol.objects.registry import DefinitionView
from ..protocol.path import Path
from ..protocol.value import DataType, Value
from . import decode, rows
from .descriptions import (
    BinarySensorDescription,
    ButtonDescription,
    Description,
    EventDescription,
    LightDescription,
    NumberDescription,
    SensorDescription,
    SirenDescription,
    SwitchDescription,
    TextDescription,
    TrackerDescription,
)
from .fallback import describe_unclaimed
from .instance import Instance
from .table import CLAIMED, MEASUREMENT_QUALITY, PRIVATE_OBJECTS, TABLE
from .unit_classes import number_class, sensor_class
from .units import NO_UNIT, find_unit

MAX_ENTITIES: Final = 600
"""Of one device: what comes after is left out, so that a device cannot fill Home Assistant's registry."""


def describe(definitions: DefinitionView, objects: Iterable[Path], values: Mapping[Path, Value]) -> list[Description]:
    """Return the descriptions of all entities of a device, rows of the table before the fallback.

    `objects` are the paths that it registered (those that are no instance yield nothing), `values` what is known of
    it. What depends on a value that is not known yet, such as whether a light has a colour, may come out otherwise
    later, and optional resources are left out until they are known. Never raises, whatever the device claims.
    """
    instances = _instances(definitions, objects, values)
    found: list[Description] = []
    for instance in instances:
        for row in TABLE.get(instance.path[0], ()):
            found.extend(_describe_row(row, instance))
        if len(found) >= MAX_ENTITIES:
            return found[:MAX_ENTITIES]
    for instance in instances:
        found.extend(describe_unclaimed(instance, CLAIMED.get(instance.path[0], frozenset())))
        if len(found) >= MAX_ENTITIES:
            break
    return found[:MAX_ENTITIES]


def _instances(definitions: DefinitionView, objects: Iterable[Path], values: Mapping[Path, Value]) -> list[Instance]:
    """Return the instances that entities are made of, in order of their paths, each with its own values."""
    own: dict[tuple[int, ...], dict[Path, Value]] = defaultdict(dict)
    for path, value in values.items():
        own[path[:2]][path] = value
    instances = [
        Instance(definitions.object(path[0]), path, own.get(path, {}))
        for path in sorted(objects)
        if len(path) == 2 and path[0] not in PRIVATE_OBJECTS
    ]
    often = Counter((instance.path[0], instance.application) for instance in instances)
    for instance in instances:
        if often[instance.path[0], instance.application] > 1:
            instance.unique_application = False
    return instances


def _describe_row(row: rows.Row, instance: Instance) -> Collection[Description]:
    known = instance.known(row.resource)
    must = instance.mandatory(row.resource)
    if not row.shown:
        # Nothing tells whether a device has an optional executable resource: the user may enable the entity.
        if not instance.defined(row.resource):
            return ()
        return (_description(row, instance, row.enabled and must),)
    if not (known or must):
        return ()
    if isinstance(row, rows.SensorRow) and row.each:
        path = instance.path.child(row.resource)
        return [
            _sensor(row, instance, row.enabled, path.child(index))
            for index in instance.resource_instances(row.resource)
        ]
    return (_description(row, instance, row.enabled),)


@singledispatch
def _description(row: rows.Row, instance: Instance, enabled: bool) -> Description:
    """Return the description of the entity that a row makes of an instance which has its resource."""
    raise TypeError(f"no description for {row!r} in {instance.path}, {enabled=}")


@_description.register
def _(row: rows.SensorRow, instance: Instance, enabled: bool) -> Description:
    return _sensor(row, instance, enabled, instance.path.child(row.resource))


def _sensor(row: rows.SensorRow, instance: Instance, enabled: bool, path: Path) -> Description:
    numeric = row.decode is None
    unit = find_unit(instance.unit(row.resource) or row.unit) if numeric else NO_UNIT
    device_class: SensorDeviceClass | None = row.device_class
    for word, by_application in row.by_application:
        if word in instance.application.casefold():
            device_class = by_application
    if numeric:
        device_class = sensor_class(device_class, unit, by_unit=row.class_by_unit)
    return SensorDescription(
        key=row.key,
        translation_key=row.key,
        placeholders=instance.placeholders(path.resource_instance_id or 0),
        entity_category=row.category,
        entity_registry_enabled_default=enabled,
        path=path,
        watch=(path,),
        quality=instance.known_path(MEASUREMENT_QUALITY),
        device_class=device_class,
        state_class=row.state_class,
        native_unit_of_measurement=unit.name,
        options=list(row.options) or None,
        decode=row.decode or decode.number_in(unit),
    )


@_description.register
def _(row: rows.BinarySensorRow, instance: Instance, enabled: bool) -> Description:
    path = instance.path.child(row.resource)
    return BinarySensorDescription(
        key=row.key,
        translation_key=row.key,
        placeholders=instance.placeholders(),
        entity_category=row.category,
        entity_registry_enabled_default=enabled,
        path=path,
        watch=(path,),
        quality=instance.known_path(MEASUREMENT_QUALITY),
        device_class=row.device_class,
        decode=row.decode,
    )


@_description.register
def _(row: rows.SwitchRow, instance: Instance, enabled: bool) -> Description:
    path = instance.path.child(row.resource)
    return SwitchDescription(
        key=row.key,
        translation_key=row.key,
        placeholders=instance.placeholders(),
        entity_category=row.category,
        entity_registry_enabled_default=enabled,
        path=path,
        watch=(path,),
        device_class=row.device_class,
    )


@_description.register
def _(row: rows.LightRow, instance: Instance, enabled: bool) -> Description:
    path = instance.path.child(row.resource)
    level = instance.known_path(row.level)
    colour = instance.known_path(row.colour)
    if colour is not None and decode.rgb(instance.values[colour]) is None and instance.values[colour] != "":
        # A colour that is not "#RRGGBB" is shown by nobody rather than wrongly.
        colour = None
    return LightDescription(
        key=row.key,
        translation_key=row.key,
        placeholders=instance.placeholders(),
        entity_category=row.category,
        entity_registry_enabled_default=enabled,
        path=path,
        watch=tuple(one for one in (path, level, colour) if one is not None),
        level=level,
        colour=colour,
    )


@_description.register
def _(row: rows.NumberRow, instance: Instance, enabled: bool) -> Description:
    path = instance.path.child(row.resource)
    unit = find_unit(instance.unit(row.resource) or row.unit)
    integer = instance.type(row.resource) in (DataType.INTEGER, DataType.UNSIGNED_INTEGER)
    minimum, maximum = instance.range(row.resource) or (row.minimum, row.maximum)
    device_class: NumberDeviceClass | None = row.device_class
    return NumberDescription(
        key=row.key,
        translation_key=row.key,
        placeholders=instance.placeholders(),
        entity_category=row.category,
        entity_registry_enabled_default=enabled,
        path=path,
        watch=(path,),
        device_class=number_class(device_class, unit, by_unit=row.class_by_unit),
        native_unit_of_measurement=unit.name,
        native_min_value=unit.show(minimum),
        native_max_value=unit.show(maximum),
        native_step=unit.factor * (row.step or step_of(minimum, maximum, integer=integer)),
        mode=row.mode,
        unit=unit,
        integer=integer,
    )


def step_of(minimum: float, maximum: float, *, integer: bool) -> float:
    """Return a step with which a range can be gone through: 1, or about a hundredth of a small one."""
    if integer or maximum - minimum > 1000:
        return 1
    return 0.01 if maximum - minimum <= 1 else 0.1


@_description.register
def _(row: rows.ButtonRow, instance: Instance, enabled: bool) -> Description:
    return ButtonDescription(
        key=row.key,
        translation_key=row.key,
        placeholders=instance.placeholders(),
        entity_category=row.category,
        entity_registry_enabled_default=enabled,
        path=instance.path.child(row.resource),
        device_class=row.device_class,
    )


@_description.register
def _(row: rows.TextRow, instance: Instance, enabled: bool) -> Description:
    path = instance.path.child(row.resource)
    return TextDescription(
        key=row.key,
        translation_key=row.key,
        placeholders=instance.placeholders(),
        entity_category=row.category,
        entity_registry_enabled_default=enabled,
        path=path,
        watch=(path,),
        native_max=decode.MAX_STATE_LENGTH,
    )


@_description.register
def _(row: rows.SirenRow, instance: Instance, enabled: bool) -> Description:
    path = instance.path.child(row.resource)
    level = instance.known_path(row.level)
    return SirenDescription(
        key=row.key,
        translation_key=row.key,
        placeholders=instance.placeholders(),
        entity_category=row.category,
        entity_registry_enabled_default=enabled,
        path=path,
        watch=(path,) if level is None else (path, level),
        level=level,
    )


@_description.register
def _(row: rows.EventRow, instance: Instance, enabled: bool) -> Description:
    path = instance.path.child(row.resource)
    counter = instance.known_path(row.counter)
    return EventDescription(
        key=row.key,
        translation_key=row.key,
        placeholders=instance.placeholders(),
        entity_category=row.category,
        entity_registry_enabled_default=enabled,
        path=path,
        watch=(path,) if counter is None else (path, counter),
        counter=counter,
        device_class=row.device_class,
        event_types=["pressed"],
    )


@_description.register
def _(row: rows.TrackerRow, instance: Instance, enabled: bool) -> Description:
    path = instance.path.child(row.resource)
    longitude = instance.path.child(row.longitude)
    radius = instance.known_path(row.radius)
    return TrackerDescription(
        key=row.key,
        translation_key=row.key,
        placeholders=instance.placeholders(),
        entity_category=row.category,
        entity_registry_enabled_default=enabled,
        path=path,
        watch=(path, longitude) if radius is None else (path, longitude, radius),
        latitude=path,
        longitude=longitude,
        radius=radius,
    )
