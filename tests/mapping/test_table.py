"""Every row of the table, held against the OMA definitions, Home Assistant's rules and the words."""

import json
from collections import Counter
from itertools import chain
from pathlib import Path as FilePath
from typing import Any

import pytest
from homeassistant.components.number.const import DEVICE_CLASS_UNITS as NUMBER_UNITS
from homeassistant.components.sensor.const import (
    DEVICE_CLASS_STATE_CLASSES,
    DEVICE_CLASS_UNITS as SENSOR_UNITS,
    SensorDeviceClass,
)
from homeassistant.const import Platform

from custom_components.lwm2m.mapping import TABLE, decode, describe
from custom_components.lwm2m.mapping.descriptions import (
    PLATFORMS,
    Description,
    NumberDescription,
    SensorDescription,
)
from custom_components.lwm2m.mapping.rows import (
    BinarySensorRow,
    ButtonRow,
    EventRow,
    LightRow,
    NumberRow,
    Row,
    SensorRow,
    SirenRow,
    SwitchRow,
    TextRow,
    TrackerRow,
)
from custom_components.lwm2m.mapping.table import DEVICE_INFO, PRIVATE_OBJECTS
from custom_components.lwm2m.protocol.objects.model import ResourceDefinition
from custom_components.lwm2m.protocol.objects.registry import Registry
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.protocol.value import DataType, Value
from custom_components.lwm2m.status import CONNECTIVITY, STATUS_SENSORS

REGISTRY = Registry.default()
PACKAGE = FilePath(__file__).parents[2] / "custom_components" / "lwm2m"
WORDS: dict[str, Any] = json.loads((PACKAGE / "translations" / "en.json").read_text())
ICONS: dict[str, Any] = json.loads((PACKAGE / "icons.json").read_text())

ROWS = [pytest.param(object_id, row, id=f"{object_id}-{row.key}") for object_id, rows in TABLE.items() for row in rows]
NUMERIC = {DataType.INTEGER, DataType.UNSIGNED_INTEGER, DataType.FLOAT}


def defined(object_id: int, resource: int) -> ResourceDefinition:
    """Return the definition of a resource in the newest version of its object."""
    definition = REGISTRY.get(object_id)
    assert definition is not None, f"no object {object_id}"
    assert resource in definition.resources, f"object {object_id} has no resource {resource}"
    return definition.resources[resource]


def sample(resource: ResourceDefinition) -> Value:
    """Return a value of the resource's type."""
    samples: dict[DataType | None, Value] = {
        DataType.BOOLEAN: True, DataType.FLOAT: 1.5, DataType.INTEGER: 1, DataType.UNSIGNED_INTEGER: 1,
        DataType.STRING: "x", DataType.TIME: 86400, DataType.OPAQUE: b"x",
    }  # fmt: skip
    return samples[resource.type]


def describe_row(object_id: int, row: Row) -> Description:
    """Return what a row makes of a device that has all its resources, and nothing else."""
    values: dict[Path, Value] = {}
    for resource in row.shown:
        definition = defined(object_id, resource)
        path = Path((object_id, 0, resource))
        values[path.child(0) if definition.multiple else path] = sample(definition)
    objects = {Path((object_id, 0)): "1.0"}
    newest = REGISTRY.get(object_id)
    assert newest is not None
    found = describe(REGISTRY.view({Path((object_id, 0)): newest.version}), objects, values)
    mine = [one for one in found if one.key == row.key and one.platform is row.platform]
    assert len(mine) == 1
    return mine[0]


@pytest.mark.parametrize(("object_id", "row"), ROWS)
def test_resources_exist_and_permit_the_use(object_id: int, row: Row) -> None:
    definition = defined(object_id, row.resource)
    match row:
        case ButtonRow():
            assert definition.executable
            # An optional executable cannot be told from one that is missing, so the user decides.
            assert definition.mandatory or not row.enabled
        case SensorRow(decode=None):
            assert definition.readable
            assert definition.type in NUMERIC
            assert definition.multiple == row.each
        case SensorRow():
            assert definition.readable
            if row.device_class is SensorDeviceClass.TIMESTAMP:
                assert definition.type is DataType.TIME
        case BinarySensorRow():
            assert definition.readable
            assert definition.type is (DataType.BOOLEAN if row.decode is decode.boolean else DataType.INTEGER)
        case SwitchRow() | LightRow() | SirenRow():
            assert definition.operations == "RW"
            assert definition.type is DataType.BOOLEAN
        case NumberRow():
            assert definition.operations == "RW"
            assert definition.type in NUMERIC
        case TextRow():
            assert definition.operations == "RW"
            assert definition.type is DataType.STRING
        case EventRow():
            assert definition.readable
            assert definition.type is DataType.BOOLEAN
        case TrackerRow():
            assert definition.type is DataType.FLOAT
        case _:
            pytest.fail(f"no rule for {row!r}")


@pytest.mark.parametrize(("object_id", "row"), ROWS)
def test_further_resources(object_id: int, row: Row) -> None:
    match row:
        case LightRow():
            assert defined(object_id, row.level).operations == "RW"
            assert defined(object_id, row.level).range == "0..100"
            assert defined(object_id, row.colour).operations == "RW"
            assert defined(object_id, row.colour).type is DataType.STRING
        case SirenRow():
            assert defined(object_id, row.level).operations == "RW"
            assert defined(object_id, row.level).range == "0..100"
        case EventRow():
            assert defined(object_id, row.counter).readable
            assert defined(object_id, row.counter).type in NUMERIC
        case TrackerRow():
            assert defined(object_id, row.longitude).type is DataType.FLOAT
            assert defined(object_id, row.radius).type is DataType.FLOAT
        case _:
            assert row.shown in ((row.resource,), ())


@pytest.mark.parametrize(("object_id", "row"), ROWS)
def test_device_class_unit_and_state_class_go_together(object_id: int, row: Row) -> None:
    description = describe_row(object_id, row)
    assert description.translation_key == row.key
    assert description.path == Path((object_id, 0, row.resource)) or (isinstance(row, SensorRow) and row.each)
    if isinstance(row, SensorRow):
        assert isinstance(description, SensorDescription)
        # The default unit is one with which the device class is legal, so that it is not dropped.
        if not row.class_by_unit:
            assert description.device_class is row.device_class
        if row.device_class is not None:
            legal = SENSOR_UNITS.get(row.device_class)
            assert legal is None or description.native_unit_of_measurement in legal
            if row.state_class is not None:
                assert row.state_class in DEVICE_CLASS_STATE_CLASSES[row.device_class]
        assert bool(row.options) == (row.device_class is SensorDeviceClass.ENUM)
    if isinstance(row, NumberRow):
        assert isinstance(description, NumberDescription)
        if row.device_class is not None:
            assert description.native_unit_of_measurement in NUMBER_UNITS[row.device_class]
        assert description.native_min_value is not None
        assert description.native_max_value is not None
        assert description.native_min_value < description.native_max_value
        assert description.native_step


@pytest.mark.parametrize(("object_id", "row"), ROWS)
def test_words_and_icons(object_id: int, row: Row) -> None:
    words = WORDS["entity"][row.platform][row.key]
    assert words["name"].endswith("{suffix}")
    if isinstance(row, SensorRow) and row.options:
        assert list(words["state"]) == list(row.options)
    device_class = getattr(row, "device_class", None)
    has_icon = row.key in ICONS["entity"].get(row.platform, {})
    assert has_icon or device_class is not None or isinstance(row, LightRow)


@pytest.mark.parametrize("object_id", TABLE)
def test_nothing_is_claimed_twice(object_id: int) -> None:
    rows = TABLE[object_id]
    claims = Counter(chain.from_iterable(row.claims for row in rows))
    assert max(claims.values()) == 1
    if object_id == 3:
        assert not DEVICE_INFO & claims.keys()
    assert object_id not in PRIVATE_OBJECTS
    # One unique id, one entity: what stands at a path is one row.
    assert max(Counter(row.resource for row in rows).values()) == 1


def test_no_words_or_icons_without_a_row() -> None:
    rows = {(row.platform, row.key) for rows in TABLE.values() for row in rows}
    for platform, keys in WORDS["entity"].items():
        unused = {key for key in keys if (Platform(platform), key) not in rows}
        assert unused <= {"resource", "refused", CONNECTIVITY.key, *(one.key for one in STATUS_SENSORS)}, platform


def test_platforms_are_those_of_the_rows() -> None:
    assert set(PLATFORMS) == {row.platform for rows in TABLE.values() for row in rows}


def test_the_objects_that_must_be_there() -> None:
    wanted = {
        3, 4, 6, *range(3200, 3204), *range(3300, 3307), 3308, 3310, 3311, 3312, 3313, *range(3315, 3319),
        *range(3320, 3326), *range(3327, 3332), 3337, 3338, *range(3340, 3344), *range(3346, 3349), 3350,
    }  # fmt: skip
    assert wanted <= TABLE.keys()
