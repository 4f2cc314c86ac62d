"""From what a device has to descriptions: names, units, ranges, the fallback, and nothing that a device could break."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from homeassistant.components.number import NumberMode
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import EntityCategory, Platform

from custom_components.lwm2m.mapping import TABLE, build, describe, device_facts, rows, unique_id
from custom_components.lwm2m.mapping.build import MAX_ENTITIES, step_of
from custom_components.lwm2m.mapping.descriptions import (
    ButtonDescription,
    Description,
    EventDescription,
    LightDescription,
    NumberDescription,
    SensorDescription,
    SirenDescription,
    TrackerDescription,
    held,
)
from custom_components.lwm2m.mapping.instance import Instance, parse_range
from custom_components.lwm2m.protocol.objects.registry import Registry
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.protocol.value import ObjectLink, Value

REGISTRY = Registry.default()


def described(*objects: str, versions: Mapping[str, str] | None = None, **values: Any) -> dict[str, Description]:
    """Return descriptions by path. Values are given as `_3303_0_5700=21.5`."""
    paths = {Path.parse(path): (versions or {}).get(path, "1.1") for path in objects}
    known = {Path.parse(name.replace("_", "/")): value for name, value in values.items()}
    found = describe(REGISTRY.view(paths), paths, known)
    by_path = {str(one.path): one for one in found}
    assert len(by_path) == len(found)
    return by_path


def suffix(description: Description) -> str:
    return description.placeholders["suffix"]


def test_unique_id() -> None:
    assert unique_id("urn:x", Path((3303, 0, 5700))) == "urn:x/3303/0/5700"


# Which entities


def test_mandatory_resources_need_no_value_and_optional_ones_do() -> None:
    found = described("/3303/0")
    assert found["/3303/0/5700"].entity_registry_enabled_default
    assert "/3303/0/5601" not in found
    found = described("/3303/0", _3303_0_5601=18.0)
    assert not found["/3303/0/5601"].entity_registry_enabled_default
    assert found["/3303/0/5601"].entity_category is EntityCategory.DIAGNOSTIC


def test_buttons() -> None:
    found = described("/3/0", "/3303/0")
    reboot, reset = found["/3/0/4"], found["/3/0/5"]
    assert isinstance(reboot, ButtonDescription)
    assert reboot.entity_registry_enabled_default
    assert not reset.entity_registry_enabled_default
    assert not found["/3303/0/5605"].entity_registry_enabled_default


def test_an_older_version_has_less() -> None:
    assert "/3306/0/6050" not in described("/3306/0", versions={"/3306/0": "1.0"})
    old = REGISTRY.view({Path((3336, 0)): "1.0"})
    assert old.object(3336) is not None


def test_rows_without_a_definition() -> None:
    path = Path((3303, 0))
    bare = describe(Registry({}).view({path: "1.0"}), [path], {Path((3303, 0, 5700)): 21.5})
    assert [str(one.path) for one in bare] == ["/3303/0/5700"]
    assert bare[0].translation_key == "temperature"


def test_what_is_no_instance_yields_nothing() -> None:
    assert described("/", "/3303", "/3303/0/5700") == {}


def test_keys_and_rights_are_never_shown() -> None:
    assert described("/0/0", "/2/0", "/21/0", "/23/0", _0_0_5=b"key") == {}


def test_resources_of_the_device_page_are_no_entities() -> None:
    found = described(
        "/3/0", _3_0_0="Maker", _3_0_1="Model", _3_0_2="S", _3_0_3="1", _3_0_17="t", _3_0_18="h", _3_0_19="s"
    )
    assert not {f"/3/0/{resource}" for resource in (0, 1, 2, 3, 17, 18, 19)} & found.keys()


def test_one_sensor_of_each_instance_of_a_resource() -> None:
    found = described("/3/0", _3_0_7_0=3300, _3_0_7_1=5000)
    assert found["/3/0/7/0"].placeholders["suffix"] == ""
    assert found["/3/0/7/1"].placeholders["suffix"] == " 1"
    assert "/3/0/8/0" not in found


# Names


def test_instances_in_names() -> None:
    found = described("/3303/0", "/3303/1", "/3303/2")
    assert [suffix(found[f"/3303/{instance}/5700"]) for instance in range(3)] == ["", " 1", " 2"]
    assert found["/3303/1/5700"].placeholders["object"] == "Temperature"


def test_application_types_in_names() -> None:
    found = described(
        "/3303/0", "/3303/1", "/3303/2", _3303_0_5750="Cellar", _3303_1_5750="Attic", _3303_2_5750="Attic"
    )
    assert suffix(found["/3303/0/5700"]) == " Cellar"
    assert suffix(found["/3303/1/5700"]) == " Attic 1"
    assert suffix(found["/3303/2/5700"]) == " Attic 2"
    # Of another object, the same name tells it apart all the same.
    found = described("/3303/1", "/3304/1", _3303_1_5750="Cellar", _3304_1_5750="Cellar")
    assert suffix(found["/3303/1/5700"]) == suffix(found["/3304/1/5700"]) == " Cellar"


def test_a_name_from_a_device_is_cleaned() -> None:
    found = described("/3303/0", _3303_0_5750="\x00Ke\nller\u202e " + "x" * 500)
    assert suffix(found["/3303/0/5700"]) == (" Keller " + "x" * 500)[:65]
    assert suffix(described("/3303/0", _3303_0_5750=5)["/3303/0/5700"]) == ""


def test_a_generic_sensor_is_named_by_its_type() -> None:
    assert suffix(described("/3300/0", _3300_0_5751="Soil")["/3300/0/5700"]) == " Soil"
    assert suffix(described("/3300/0", _3300_0_5751="Soil", _3300_0_5750="Bed")["/3300/0/5700"]) == " Bed"
    assert suffix(described("/3200/0", _3200_0_5751="Reed")["/3200/0/5500"]) == ""


# Units


def sensor(found: dict[str, Description], path: str) -> SensorDescription:
    description = found[path]
    assert isinstance(description, SensorDescription)
    return description


def test_the_devices_unit_wins_over_the_default() -> None:
    assert sensor(described("/3303/0"), "/3303/0/5700").native_unit_of_measurement == "°C"
    kelvin = sensor(described("/3303/0", _3303_0_5701="K"), "/3303/0/5700")
    assert kelvin.native_unit_of_measurement == "K"
    assert kelvin.device_class is SensorDeviceClass.TEMPERATURE
    assert sensor(described("/3303/0", _3303_0_5701=""), "/3303/0/5700").native_unit_of_measurement == "°C"


def test_a_device_class_goes_when_the_unit_is_not_legal_for_it() -> None:
    odd = sensor(described("/3303/0", _3303_0_5701="furlong"), "/3303/0/5700")
    assert odd.native_unit_of_measurement == "furlong"
    assert odd.device_class is None
    assert odd.state_class is SensorStateClass.MEASUREMENT


def test_a_unit_of_another_size_is_converted() -> None:
    ratio = sensor(described("/3304/0", _3304_0_5701="/"), "/3304/0/5700")
    assert ratio.native_unit_of_measurement == "%"
    assert ratio.decode(0.42) == 42


def test_the_unit_beside_a_value_is_not_that_of_every_resource() -> None:
    # Of object 3311, resource 5701 says how the colour is written.
    found = described("/3311/0", _3311_0_5701="RGB", _3311_0_5820=0.9, _3311_0_5805=5.0)
    assert sensor(found, "/3311/0/5820").native_unit_of_measurement is None
    assert sensor(found, "/3311/0/5805").native_unit_of_measurement == "Wh"


def test_units_of_the_definition() -> None:
    assert sensor(described("/4/0"), "/4/0/2").native_unit_of_measurement == "dBm"


def test_classes_by_application_and_by_unit() -> None:
    gas = sensor(described("/3325/0", _3325_0_5750="CO2 living room"), "/3325/0/5700")
    assert gas.device_class is SensorDeviceClass.CO2
    assert sensor(described("/3325/0"), "/3325/0/5700").device_class is None
    in_other_unit = sensor(described("/3325/0", _3325_0_5750="CO2", _3325_0_5701="mg/l"), "/3325/0/5700")
    assert in_other_unit.device_class is None
    generic = sensor(described("/3300/0", _3300_0_5701="hPa"), "/3300/0/5700")
    assert generic.device_class is SensorDeviceClass.PRESSURE
    set_point = described("/3308/0", _3308_0_5701="Cel")["/3308/0/5900"]
    assert isinstance(set_point, NumberDescription)
    assert set_point.device_class == "temperature"


# Numbers


def number(found: dict[str, Description], path: str) -> NumberDescription:
    description = found[path]
    assert isinstance(description, NumberDescription)
    return description


def test_ranges_of_numbers() -> None:
    own = number(described("/3203/0", _3203_0_5603=4.0, _3203_0_5604=20.0), "/3203/0/5650")
    assert (own.native_min_value, own.native_max_value, own.native_step) == (4, 20, 0.1)
    definition = number(described("/3306/0", _3306_0_5851=5), "/3306/0/5851")
    assert (definition.native_min_value, definition.native_max_value, definition.native_step) == (0, 100, 1)
    assert definition.integer
    assert definition.mode is NumberMode.SLIDER
    row = number(described("/3308/0"), "/3308/0/5900")
    assert (row.native_min_value, row.native_max_value) == (-1_000_000, 1_000_000)
    assert not row.integer
    nonsense = number(described("/3203/0", _3203_0_5603=20.0, _3203_0_5604=4.0), "/3203/0/5650")
    assert (nonsense.native_min_value, nonsense.native_max_value, nonsense.native_step) == (0, 1, 0.01)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("0..100", (0, 100)), ("-5..5", (-5, 5)), ("0.5..1.5", (0.5, 1.5)), ("1-3", (1, 3)), ("0 .. 1", (0, 1)),
        ("", None), ("0,1,2", None), ("5..1", None), ("see the specification", None), (f"0..{'9' * 400}", None),
    ],
)  # fmt: skip
def test_ranges_of_definitions(text: str, ends: tuple[float, float] | None) -> None:
    assert parse_range(text) == ends


def test_steps() -> None:
    assert step_of(0, 1, integer=True) == 1
    assert step_of(0, 5000, integer=False) == 1
    assert step_of(0, 100, integer=False) == 0.1
    assert step_of(0, 1, integer=False) == 0.01


# Composite entities


def test_lights() -> None:
    plain = described("/3311/0")["/3311/0/5850"]
    assert isinstance(plain, LightDescription)
    assert (plain.level, plain.colour, plain.watch) == (None, None, (plain.path,))
    full = described("/3311/0", _3311_0_5851=60, _3311_0_5706="#ff0000")["/3311/0/5850"]
    assert isinstance(full, LightDescription)
    assert full.level == Path((3311, 0, 5851))
    assert full.colour == Path((3311, 0, 5706))
    assert full.watch == (full.path, full.level, full.colour)
    empty = described("/3311/0", _3311_0_5706="")["/3311/0/5850"]
    assert isinstance(empty, LightDescription)
    assert empty.colour is not None
    named = described("/3311/0", _3311_0_5706="red")["/3311/0/5850"]
    assert isinstance(named, LightDescription)
    assert named.colour is None


def test_sirens_events_and_trackers() -> None:
    siren = described("/3338/0", _3338_0_5548=50.0)["/3338/0/5850"]
    assert isinstance(siren, SirenDescription)
    assert siren.level == Path((3338, 0, 5548))
    silent = described("/3338/0")["/3338/0/5850"]
    assert isinstance(silent, SirenDescription)
    assert silent.watch == (silent.path,)
    event = described("/3347/0", _3347_0_5501=3)["/3347/0/5500"]
    assert isinstance(event, EventDescription)
    assert event.counter == Path((3347, 0, 5501))
    uncounted = described("/3347/0")["/3347/0/5500"]
    assert isinstance(uncounted, EventDescription)
    assert uncounted.counter is None
    tracker = described("/6/0", _6_0_3=12.0)["/6/0/0"]
    assert isinstance(tracker, TrackerDescription)
    assert tracker.watch == (Path((6, 0, 0)), Path((6, 0, 1)), Path((6, 0, 3)))
    vague = described("/6/0")["/6/0/0"]
    assert isinstance(vague, TrackerDescription)
    assert vague.radius is None


def test_quality() -> None:
    assert described("/3303/0")["/3303/0/5700"].quality is None
    assert described("/3303/0", _3303_0_6042=0)["/3303/0/5700"].quality == Path((3303, 0, 6042))
    assert described("/3302/0", _3302_0_6042=0)["/3302/0/5500"].quality == Path((3302, 0, 6042))


def test_a_row_of_no_kind_is_an_error_of_ours() -> None:
    @dataclass(frozen=True, kw_only=True, slots=True)
    class OddRow(rows.Row):
        pass

    with pytest.raises(TypeError):
        build._description(OddRow(key="odd", resource=1), Instance(None, Path((1, 0)), {}), True)


# The fallback


def test_fallback_by_type_and_operations() -> None:
    found = described(
        "/1/0", "/5/0", "/3340/0", "/3311/0", "/10/0", "/9/0",
        _1_0_6=True, _1_0_2=5, _1_0_7="U", _5_0_3=0, _5_0_7="fw", _9_0_12=False, _3311_0_5852=4,
    )  # fmt: skip
    expected = {
        "/1/0/6": Platform.SWITCH, "/1/0/2": Platform.NUMBER, "/1/0/7": Platform.TEXT, "/5/0/3": Platform.SENSOR,
        "/5/0/7": Platform.SENSOR, "/5/0/2": Platform.BUTTON, "/9/0/12": Platform.BINARY_SENSOR,
        "/3311/0/5852": Platform.NUMBER,
    }  # fmt: skip
    for path, platform in expected.items():
        description = found[path]
        assert description.platform is platform, path
        assert not description.entity_registry_enabled_default
        assert description.translation_key == "resource"
        assert description.placeholders["object"]
        assert description.placeholders["resource"]
        commanded = platform in (Platform.SWITCH, Platform.NUMBER, Platform.TEXT, Platform.BUTTON)
        assert description.entity_category is (EntityCategory.CONFIG if commanded else EntityCategory.DIAGNOSTIC)
    assert found["/5/0/2"].placeholders["resource"] == "Update"


def test_fallback_numbers() -> None:
    found = described("/1/0", versions={"/1/0": "1.2"}, _1_0_2=5, _1_0_14=1)
    signed = number(found, "/1/0/2")
    assert signed.native_min_value == -2_147_483_647
    assert signed.integer
    assert signed.native_unit_of_measurement == "s"
    unsigned = number(found, "/1/0/14")
    assert unsigned.native_min_value == 0
    assert unsigned.mode is NumberMode.BOX
    # In a version that does not have the resource yet it may only be read.
    assert described("/1/0", _1_0_14=1)["/1/0/14"].platform is Platform.SENSOR


def test_fallback_of_times_and_multiple_resources() -> None:
    found = described("/3/0", "/7/0", "/4/0", "/1/0", _1_0_12=86400, _3_0_6_0=1, _3_0_6_1=5, _4_0_1_0=21)
    assert sensor(found, "/1/0/12").device_class is SensorDeviceClass.TIMESTAMP
    joined = sensor(found, "/3/0/6")
    assert joined.decode((1, 5)) == "1, 5"
    assert joined.native_unit_of_measurement is None


def test_fallback_leaves_out_what_is_about_other_resources() -> None:
    found = described("/3303/0", _3303_0_5701="Cel", _3303_0_5603=0.0, _3303_0_5604=9.0, _3303_0_6042=0, _3303_0_5518=5)
    assert not {f"/3303/0/{resource}" for resource in (5701, 5603, 5604, 6042, 5518)} & found.keys()
    assert "/3303/0/5750" in described("/3303/0", _3303_0_5750="Cellar")


def test_objects_without_a_definition_are_read_only() -> None:
    found = described(
        "/32000/0",
        _32000_0_1=True, _32000_0_2=5, _32000_0_3=1.5, _32000_0_4="x", _32000_0_5=b"x", _32000_0_6=ObjectLink(3, 0),
        _32000_0_7_0=1, _32000_0_7_1=2,
    )  # fmt: skip
    platforms = {path: one.platform for path, one in found.items()}
    assert platforms == {
        "/32000/0/1": Platform.BINARY_SENSOR,
        **{f"/32000/0/{resource}": Platform.SENSOR for resource in range(2, 8)},
    }
    assert found["/32000/0/2"].placeholders == {"object": "Object 32000", "suffix": "", "resource": "Resource 2"}
    assert sensor(found, "/32000/0/7").decode((1, 2)) == "1, 2"
    assert sensor(found, "/32000/0/3").decode(1.5) == 1.5


# What a device could try


def test_a_device_cannot_fill_the_registry() -> None:
    many = [f"/3303/{instance}" for instance in range(2000)]
    assert len(described(*many)) == MAX_ENTITIES
    values: dict[str, Any] = {f"_32000_0_{resource}": 1 for resource in range(2000)}
    found = described("/32000/0", "/3303/0", **values)
    assert len(found) == MAX_ENTITIES
    assert "/3303/0/5700" in found
    many_instances: dict[str, Any] = {f"_3_0_7_{instance}": 1 for instance in range(500)}
    assert len([path for path in described("/3/0", **many_instances) if path.startswith("/3/0/7/")]) == 16


def test_values_of_the_wrong_type_raise_nothing() -> None:
    odd: list[Value] = ["", "x", b"\xff", -1, 2**63, 1e308, True, ObjectLink(1, 2)]
    for object_id in TABLE:
        for value in odd:
            definition = REGISTRY.get(object_id)
            assert definition is not None
            values: dict[str, Any] = {f"_{object_id}_0_{resource}": value for resource in definition.resources}
            for description in described(f"/{object_id}/0", **values).values():
                if isinstance(description, SensorDescription):
                    description.decode(value)


def test_held() -> None:
    values: dict[Path, Value] = {
        Path((3, 0, 7, 1)): 2,
        Path((3, 0, 7, 0)): 1,
        Path((3, 0, 9)): 50,
        Path((3, 0, 70, 0)): 9,
    }
    assert held(values, Path((3, 0, 7))) == (1, 2)
    assert held(values, Path((3, 0, 9))) == 50
    assert held(values, Path((3, 0, 8))) is None


# Device info


def test_device_facts() -> None:
    def facts(**values: Value) -> tuple[str | None, ...]:
        found = device_facts({Path((3, 0, int(name[1:]))): value for name, value in values.items()})
        return (found.name, found.manufacturer, found.model, found.serial_number, found.sw_version, found.hw_version)

    assert facts() == (None,) * 6
    assert facts(_0="Acme", _1="X1", _2="S1", _3="1.0", _18="B", _19="1.0-7") == (
        "Acme X1", "Acme", "X1", "S1", "1.0", "B",
    )  # fmt: skip
    assert facts(_0="Acme", _1="ACME X1")[0] == "ACME X1"
    assert facts(_17="Sensor", _19="2.0") == ("Sensor", None, "Sensor", None, "2.0", None)
    assert facts(_0="Acme\x00", _1=5, _2="\n")[:4] == (None, "Acme", None, None)
    assert facts(_1="m" * 500)[0] == "m" * 64
