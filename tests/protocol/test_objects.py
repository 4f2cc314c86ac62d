"""Object definitions: the table, the registry and user's XML files."""

import pytest

from custom_components.lwm2m.protocol.errors import ObjectXmlError
from custom_components.lwm2m.protocol.objects import Registry, parse_object_xml
from custom_components.lwm2m.protocol.objects.table import read_rows, write_rows
from custom_components.lwm2m.protocol.path import ROOT, Path
from custom_components.lwm2m.protocol.value import DataType

XML = """<?xml version="1.0" encoding="UTF-8"?>
<LWM2M xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <Object ObjectType="MODefinition">
    <Name>Fountain</Name>
    <Description1><![CDATA[A fountain]]></Description1>
    <ObjectID>32000</ObjectID>
    <ObjectURN>urn:oma:lwm2m:x:32000</ObjectURN>
    <LWM2MVersion>1.0</LWM2MVersion>
    <ObjectVersion>1.2</ObjectVersion>
    <MultipleInstances>Multiple</MultipleInstances>
    <Mandatory>Optional</Mandatory>
    <Resources>
      <Item ID="1">
        <Name>Height of
          the jet</Name>
        <Operations>RW</Operations>
        <MultipleInstances>Single</MultipleInstances>
        <Mandatory>Mandatory</Mandatory>
        <Type>Unsigned Integer</Type>
        <RangeEnumeration>0..50</RangeEnumeration>
        <Units>m</Units>
      </Item>
      <Item ID="2">
        <Name>Splash</Name>
        <Operations>E</Operations>
        <MultipleInstances>Single</MultipleInstances>
        <Mandatory>Optional</Mandatory>
        <Type></Type>
        <RangeEnumeration/>
        <Units/>
      </Item>
    </Resources>
  </Object>
</LWM2M>"""


def test_default_registry() -> None:
    registry = Registry.default()
    assert registry is Registry.default()
    temperature = registry.get(3303)
    assert temperature is not None
    assert (temperature.name, temperature.version, temperature.multiple) == ("Temperature", "1.1", True)
    value = temperature.resources[5700]
    assert (value.name, value.operations, value.type, value.mandatory) == ("Sensor Value", "R", DataType.FLOAT, True)
    assert (value.readable, value.writable, value.executable) == (True, False, False)
    reset = temperature.resources[5605]
    assert (reset.type, reset.executable, reset.readable) == (None, True, False)
    assert temperature.resources[5750].writable
    assert registry.get(3303) is temperature


def test_every_row_can_be_read() -> None:
    definitions = list(Registry.default().all())
    assert len(definitions) > 400
    assert len({definition.id for definition in definitions}) > 300
    assert all(definition.resources for definition in definitions if definition.id not in {11, 509, 510})
    assert {10244, 3443}.isdisjoint(definition.id for definition in definitions)


def test_table_round_trip() -> None:
    definitions = list(Registry.default().all())
    assert list(Registry(read_rows(write_rows(definitions))).all()) == definitions


@pytest.mark.parametrize(
    ("object_id", "asked", "given"),
    [
        (3336, None, "2.0"),
        (3336, "1.0", "1.0"),
        (3336, "1.5", "1.1"),
        (3336, "9.0", "2.0"),
        (3336, "0.1", "1.0"),
        (3, "1.1", "1.1"),
        (4, "1.10", "1.3"),
        (4, "rubbish", "1.3"),
    ],
)
def test_versions(object_id: int, asked: str | None, given: str) -> None:
    definition = Registry.default().get(object_id, asked)
    assert definition is not None
    assert definition.version == given


def test_version_decides_the_type() -> None:
    registry = Registry.default()
    path = Path.of(3336, 0, 5514)
    assert registry.view({Path.of(3336, 0): "1.0"}).type(path) is DataType.STRING
    assert registry.view({Path.of(3336, 0): "2.0"}).type(path) is None
    assert registry.view({Path.of(3336, 0): "2.0"}).type(Path.of(3336, 0, 6051)) is DataType.FLOAT


def test_unknown_object() -> None:
    assert Registry.default().get(32769) is None
    assert Registry.default().versions(32769) == ()


def test_view() -> None:
    registry = Registry.default()
    objects = {Path.of(3303, 0): "1.1", Path.of(3303, 1): "1.1", Path.of(3): "1.0", ROOT: ""}
    view = registry.view(objects)
    assert registry.view(dict(objects)) is view
    assert view.type(Path.of(3303, 0, 5700)) is DataType.FLOAT
    assert view.type(Path.of(3303, 0, 5605)) is None
    assert view.type(Path.of(3303, 0, 1)) is None
    assert view.type(Path.of(3303, 0)) is None
    assert view.type(Path.of(32769, 0, 1)) is None
    assert view.multiple(Path.of(3303)) is True
    assert view.multiple(Path.of(3)) is False
    assert view.multiple(Path.of(3, 0, 6)) is True
    assert view.multiple(Path.of(3, 0, 9)) is False
    assert view.multiple(Path.of(32769)) is None
    assert view.multiple(Path.of(32769, 0, 1)) is None
    assert view.object(3) is registry.get(3, "1.0")
    assert view.object(3301) is registry.get(3301)
    assert view.resource(ROOT) is None


def test_views_are_bounded() -> None:
    registry = Registry({})
    for number in range(1200):
        registry.view({Path.of(number): "1.0"})
    assert len(registry._views) <= 512


def test_user_objects() -> None:
    definition = parse_object_xml(XML.encode())
    assert (definition.id, definition.name, definition.version) == (32000, "Fountain", "1.2")
    assert (definition.multiple, definition.mandatory) == (True, False)
    height = definition.resources[1]
    assert (height.name, height.operations, height.type) == ("Height of the jet", "RW", DataType.UNSIGNED_INTEGER)
    assert (height.range, height.units, height.mandatory) == ("0..50", "m", True)
    assert definition.resources[2].type is None
    default = Registry.default()
    registry = default.with_user_objects([definition])
    assert registry.get(32000) is definition
    assert registry.get(3303) == default.get(3303)
    assert default.get(32000) is None


def test_user_object_replaces_the_same_version() -> None:
    own = parse_object_xml(XML.replace("32000", "3303").replace("1.2", "1.1").encode())
    registry = Registry.default().with_user_objects([own])
    assert registry.get(3303, "1.1") is own
    assert registry.get(3303, "1.0") is not own


def test_version_may_be_left_out() -> None:
    assert parse_object_xml(XML.replace("<ObjectVersion>1.2</ObjectVersion>", "").encode()).version == "1.0"
    assert parse_object_xml(XML.replace("<ObjectVersion>1.2</", "<ObjectVersion>2</").encode()).version == "2.0"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("</LWM2M>", "", "not well-formed"),
        (XML, "", "not well-formed"),
        ("UTF-8", "no-such-encoding", "not well-formed"),
        ("LWM2M", "Other", "outermost element is Other"),
        ("Object>", "Thing>", "not well-formed"),
        ("<ObjectID>32000</ObjectID>", "", "ObjectID is missing"),
        ("<ObjectID>32000<", "<ObjectID>65535<", "not a number up to 65534"),
        ("<ObjectID>32000<", "<ObjectID>-1<", "not a number"),
        ("<Name>Fountain</Name>", "", "object 32000: Name is missing"),
        ("<ObjectVersion>1.2<", "<ObjectVersion>new<", "is not a version"),
        ('ID="1"', 'ID="65536"', "object 32000: an Item's ID '65536'"),
        ('ID="1"', "", "an Item's ID ''"),
        ('ID="1"', 'ID="2"', "resource 2 is defined twice"),
        ("<Operations>RW<", "<Operations>RX<", "resource 1: Operations 'RX'"),
        ("<Type>Unsigned Integer<", "<Type>Colour<", "resource 1: Type 'colour' is unknown"),
        ("<Mandatory>Mandatory<", "<Mandatory>Perhaps<", "resource 1: Mandatory is 'Perhaps'"),
        ("<Units>m<", f"<Units>{'m' * 600}<", "Units is longer"),
        ("<Object ObjectType", "<Object/><Object ObjectType", "2 Object elements"),
        ("<LWM2M ", '<!DOCTYPE x [<!ENTITY a "b">]><LWM2M ', "entities are not allowed"),
        ("<LWM2M ", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><LWM2M ', "entities are not allowed"),
    ],
)
def test_bad_files_are_named(old: str, new: str, words: str) -> None:
    assert old in XML
    with pytest.raises(ObjectXmlError, match=words):
        parse_object_xml(XML.replace(old, new).encode())


def test_file_too_large() -> None:
    with pytest.raises(ObjectXmlError, match="larger"):
        parse_object_xml(XML.encode() + b" " * (1 << 20))


def test_too_many_resources() -> None:
    item = XML[XML.index("<Item") : XML.index("</Item>") + 7]
    items = "".join(item.replace('ID="1"', f'ID="{number}"') for number in range(2001))
    with pytest.raises(ObjectXmlError, match="more than 2000"):
        parse_object_xml(XML.replace(item, items).encode())


def test_deep_nesting() -> None:
    with pytest.raises(ObjectXmlError):
        parse_object_xml(b"<a>" * 100_000 + b"</a>" * 100_000)
