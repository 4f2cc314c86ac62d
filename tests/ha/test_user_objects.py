"""The user's own object definitions: a folder of XML files, bad ones among them, reloaded without a restart."""

import os
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.lwm2m import user_objects
from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.protocol.objects.xml import MAX_XML
from custom_components.lwm2m.protocol.path import Path as LwM2MPath
from custom_components.lwm2m.user_objects import read_folder
from tests.server.helpers import eventually
from tests.simulator import DeviceModel

from .house import ENDPOINT, House
from .objects import flag, number

BARREL = 30001


def item(resource: int, name: str, operations: str, kind: str, more: str = "") -> str:
    return (
        f'<Item ID="{resource}"><Name>{name}</Name><Operations>{operations}</Operations>'
        f"<MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory><Type>{kind}</Type>{more}</Item>"
    )


LEVEL = item(1, "Fill level", "R", "Float", "<Units>%</Units>")
TAP = item(2, "Tap", "RW", "Boolean")


def xml(*items: str, object_id: int = BARREL, name: str = "Barrel", version: str = "1.0", before: str = "") -> str:
    return (
        f"{before}<LWM2M><Object><Name>{name}</Name><ObjectID>{object_id}</ObjectID>"
        f"<ObjectVersion>{version}</ObjectVersion><MultipleInstances>Multiple</MultipleInstances>"
        f"<Mandatory>Optional</Mandatory><Resources>{''.join(items)}</Resources></Object></LWM2M>"
    )


def barrel() -> DeviceModel:
    return DeviceModel({BARREL: {0: {1: number(66.5), 2: flag(False, "RW")}}, 3304: {0: {5700: number(50)}}})


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """A configuration directory of our own."""
    return str(tmp_path)


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """The folder for the files."""
    folder = tmp_path / "lwm2m" / "objects"
    folder.mkdir(parents=True)
    return folder


async def reload_objects(hass: HomeAssistant, **more: Any) -> None:
    await hass.services.async_call(DOMAIN, "reload_objects", blocking=True, **more)
    await hass.async_block_till_done()


def problems(hass: HomeAssistant) -> dict[str, str]:
    """What is said of which file."""
    return {
        str(issue.translation_placeholders["file"]): str(issue.translation_placeholders["error"])
        for issue in ir.async_get(hass).issues.values()
        if issue.translation_key == "bad_object" and issue.translation_placeholders
    }


# In Home Assistant


async def test_a_file_at_the_start(objects: Path, house: House, everything_enabled: None) -> None:
    (objects / "barrel.XML").write_text(xml(LEVEL, TAP))
    await house.add_server()
    await house.add_device()
    await house.device(barrel()).start()
    state = await house.until_value("/30001/0/1", "66.5")
    assert state.entity_id.startswith("sensor.")
    assert state.name.endswith("Barrel Fill level")
    assert state.attributes["unit_of_measurement"] == "%"
    await house.until_value("/30001/0/2", "off")
    await house.call("switch", "turn_on", "/30001/0/2")
    await house.until_value("/30001/0/2", "on")


async def test_a_file_that_comes_later(
    hass: HomeAssistant, objects: Path, house: House, server: MockConfigEntry, everything_enabled: None
) -> None:
    await house.add_device()
    await house.add_device("urn:other", "id-other")
    device = house.device(barrel(), profile="wakaama")
    other = house.device({3304: {0: {5700: number(1)}}}, endpoint="urn:other", identity="id-other")
    await device.start()
    await other.start()
    state = await house.until_known("/30001/0/2")
    assert state.entity_id.startswith("binary_sensor.") or state.entity_id.startswith("sensor.")
    assert state.name.endswith("Object 30001 Resource 2")
    await house.until_value("/3304/0/5700", "1.0", "urn:other")
    await hass.async_block_till_done(wait_background_tasks=True)
    runtimes = dict(house.hub.runtimes)
    count = len(er.async_get(hass).entities)

    (objects / "barrel.xml").write_text(xml(LEVEL, TAP))
    await reload_objects(hass)
    await house.until(lambda: (found := house.entity_id("/30001/0/2")) and found.startswith("switch."))
    await house.until_value("/30001/0/2", "off")
    state = await house.until_value("/30001/0/1", "66.5")
    assert state.name.endswith("Barrel Fill level")
    # What stood for the same resource before is gone, and nobody else was disturbed.
    assert len(er.async_get(hass).entities) == count
    assert house.hub.runtimes["urn:other"] is runtimes["urn:other"]
    assert house.hub.runtimes[ENDPOINT] is not runtimes[ENDPOINT]
    assert len(device.seen("registered")) == 1
    await house.call("switch", "turn_on", "/30001/0/2")
    await house.until_value("/30001/0/2", "on")

    # The same files once more change nothing.
    runtimes = dict(house.hub.runtimes)
    await reload_objects(hass)
    assert house.hub.runtimes == runtimes

    # And without the file everything is as it was.
    (objects / "barrel.xml").unlink()
    await reload_objects(hass)
    await house.until(lambda: not (house.entity_id("/30001/0/2") or "switch.").startswith("switch."))
    assert len(er.async_get(hass).entities) == count


async def test_a_file_for_a_device_that_sleeps(
    hass: HomeAssistant, objects: Path, house: House, server: MockConfigEntry, everything_enabled: None
) -> None:
    """Its entities are there, as the file has them, before it can be asked."""
    await house.add_device()
    device = house.device(barrel())
    await device.start()
    await house.until_known("/30001/0/2")
    await hass.async_block_till_done(wait_background_tasks=True)
    await device.leave()
    await house.until(lambda: not house.hub.server.devices[ENDPOINT].available)
    (objects / "barrel.xml").write_text(xml(LEVEL, TAP))
    await reload_objects(hass)
    await eventually(lambda: (house.entity_id("/30001/0/2") or "").startswith("switch."))
    await hass.async_block_till_done()
    assert house.value("/30001/0/2") == "unavailable"
    assert house.value("/3304/0/5700") == "unavailable"
    assert LwM2MPath((BARREL, 0)) not in house.hub.server.devices[ENDPOINT].surveyed
    await device.start()
    await house.until_value("/30001/0/2", "off")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert LwM2MPath((BARREL, 0)) in house.hub.server.devices[ENDPOINT].surveyed


async def test_bad_files_are_named_and_the_rest_loads(
    hass: HomeAssistant, objects: Path, house: House, server: MockConfigEntry, everything_enabled: None
) -> None:
    assert problems(hass) == {}
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    (objects / "a.xml").write_text("no `XML` at all")
    (objects / "bomb.xml").write_text(xml(item(1, "&c;", "R", "Float"), before=bomb))
    (objects / "outside.xml").write_text(xml(item(1, "&a;", "R", "Float"), before=outside))
    (objects / "type.xml").write_text(xml(item(1, "Level", "R", "Quaternion"), object_id=30002))
    (objects / "good.xml").write_text(xml(LEVEL, TAP))
    (objects / "twice.xml").write_text(xml(LEVEL))
    (objects / "notes.txt").write_text("not looked at")
    (objects / ".hidden.xml").write_text("not looked at")
    await reload_objects(hass)
    said = problems(hass)
    assert set(said) == {"a.xml", "bomb.xml", "outside.xml", "type.xml", "twice.xml"}
    assert "not well-formed" in said["a.xml"]
    assert "entities are not allowed" in said["bomb.xml"]
    assert "entities are not allowed" in said["outside.xml"]
    assert "'quaternion'" in said["type.xml"]
    assert "good.xml" in said["twice.xml"]
    definition = house.hub.server.context.registry.get(BARREL)
    assert definition is not None
    assert set(definition.resources) == {1, 2}

    # Mended, and the server's entry reloaded.
    for name in ("a.xml", "bomb.xml", "outside.xml", "twice.xml"):
        (objects / name).unlink()
    assert await hass.config_entries.async_reload(server.entry_id)
    assert set(problems(hass)) == {"type.xml"}
    (objects / "type.xml").write_text(xml(LEVEL, object_id=30002))
    assert await hass.config_entries.async_reload(server.entry_id)
    assert problems(hass) == {}
    assert house.hub.server.context.registry.get(30002) is not None


async def test_only_for_administrators(hass: HomeAssistant, house: House, hass_read_only_user: MockUser) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    with pytest.raises(Unauthorized):
        await reload_objects(hass, context=Context(user_id=hass_read_only_user.id))
    await reload_objects(hass)


async def test_another_version_of_an_object_of_the_registry(
    hass: HomeAssistant, objects: Path, house: House, server: MockConfigEntry
) -> None:
    """A file of the same object and version is used in place of what comes along."""
    registry = house.hub.server.context.registry
    known = registry.get(3303, "1.1")
    assert known is not None
    (objects / "3303.xml").write_text(xml(LEVEL, object_id=3303, name="Thermometer", version="1.1"))
    await reload_objects(hass)
    found = house.hub.server.context.registry.get(3303, "1.1")
    assert found is not None
    assert found.name == "Thermometer"
    assert registry.get(3303, "1.1") == known


# The folder


def test_no_folder(tmp_path: Path) -> None:
    assert read_folder(tmp_path / "nowhere") == ([], {})


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("x")
    assert read_folder(tmp_path / "objects") == ([], {})


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    found = read_folder(tmp_path)
    assert found.definitions == []
    assert found.problems == {tmp_path.name: "the folder cannot be read: Permission denied"}


def test_what_is_no_file_is_not_opened(objects: Path) -> None:
    os.mkfifo(objects / "pipe.xml")  # reading it would wait for ever
    (objects / "folder.xml").mkdir()
    (objects / "nowhere.xml").symlink_to(objects / "absent")
    (objects / "round.xml").symlink_to(objects / "round.xml")
    found = read_folder(objects)
    assert found.definitions == []
    assert set(found.problems) == {"pipe.xml", "folder.xml", "nowhere.xml", "round.xml"}


def test_a_file_that_cannot_be_read(objects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (objects / "a.xml").write_text(xml(LEVEL))

    def refuse(*_args: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert read_folder(objects).problems == {"a.xml": "it cannot be read: Permission denied"}


def test_names_that_are_no_text(objects: Path) -> None:
    name = os.fsencode(objects) + b"/\xff.xml"
    Path(os.fsdecode(name)).write_text("x")
    assert set(read_folder(objects).problems) == {"?.xml"}


def test_bounds(objects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_objects, "MAX_FILES", 3)
    for index in range(6):
        (objects / f"{index}.xml").write_text(xml(LEVEL, object_id=30000 + index))
    found = read_folder(objects)
    assert [definition.id for definition in found.definitions] == [30000, 30001, 30002]
    assert found.problems == {"3.xml": "more than 3 files: it and those after it are not read"}

    monkeypatch.setattr(user_objects, "MAX_TOTAL", 2 * (objects / "0.xml").stat().st_size)
    found = read_folder(objects)
    assert [definition.id for definition in found.definitions] == [30000, 30001]
    assert set(found.problems) == {"3.xml", "2.xml"}


def test_a_large_file(objects: Path) -> None:
    (objects / "large.xml").write_bytes(b" " * (MAX_XML + 5))
    assert read_folder(objects).problems == {"large.xml": "the file is larger than 1048576 bytes"}
