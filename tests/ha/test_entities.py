"""Entities: commands and their errors, states that follow, availability, quality."""

from typing import Any

import pytest
from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED, STATE_UNAVAILABLE, Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m.entity import error_key
from custom_components.lwm2m.protocol.errors import LwM2MError
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.server import turns
from tests.simulator import DeviceModel, Resource, SimulatedClient

from .house import ENDPOINT, House
from .objects import flag, full_device, number, text, whole


@pytest.fixture
async def entry(house: House, server: MockConfigEntry) -> MockConfigEntry:
    return await house.add_device()


async def started(house: House, objects: Any, **more: Any) -> SimulatedClient:
    """Start a device with these objects, and wait until its first entity is there."""
    device = house.device(objects, **more)
    await device.start()
    return device


# Commands


async def test_switch(house: House, entry: MockConfigEntry) -> None:
    device = await started(house, {3201: {0: {5550: flag(False, "RW")}}})
    await house.until_value("/3201/0/5550", "off")
    await house.call("switch", "turn_on", "/3201/0/5550")
    # When the action is done, the state has been confirmed.
    assert house.value("/3201/0/5550") == "on"
    assert device.get("/3201/0/5550") is True
    await house.call("switch", "turn_off", "/3201/0/5550")
    assert house.value("/3201/0/5550") == "off"
    device.set("/3201/0/5550", True)
    await house.until_value("/3201/0/5550", "on")


async def test_what_is_shown_is_what_the_device_says(house: House, entry: MockConfigEntry) -> None:
    device = house.device({3201: {0: {5550: flag(False, "RW")}}})
    stubborn: list[Any] = []

    def refuse(path: tuple[int, ...]) -> None:
        if path == (3201, 0, 5550) and device.get(path) is True:
            stubborn.append(path)
            device.model.objects[3201][0][5550].value = False

    device.model.changed.insert(0, refuse)
    await device.start()
    await house.until_value("/3201/0/5550", "off")
    await house.call("switch", "turn_on", "/3201/0/5550")
    assert stubborn
    assert house.value("/3201/0/5550") == "off"


async def test_numbers(house: House, entry: MockConfigEntry) -> None:
    device = await started(
        house,
        {
            3203: {0: {5650: number(0.5, "RW"), 5603: number(0), 5604: number(10)}},
            3306: {0: {5850: flag(False, "RW"), 5851: whole(10, "RW")}},
            3308: {0: {5900: number(0.25, "RW"), 5701: text("/")}},
        },
    )
    state = await house.until_value("/3203/0/5650", "0.5")
    assert state.attributes["max"] == 10
    await house.call("number", "set_value", "/3203/0/5650", value=7.25)
    assert device.get("/3203/0/5650") == 7.25
    assert house.value("/3203/0/5650") == "7.25"
    await house.until_value("/3306/0/5851", "10")
    await house.call("number", "set_value", "/3306/0/5851", value=42.0)
    assert device.get("/3306/0/5851") == 42
    # A ratio is shown and set in percent.
    state = await house.until_value("/3308/0/5900", "25.0")
    assert state.attributes["unit_of_measurement"] == "%"
    await house.call("number", "set_value", "/3308/0/5900", value=60)
    assert device.get("/3308/0/5900") == pytest.approx(0.6)
    device.set("/3203/0/5650", float("nan"))
    await house.until_value("/3203/0/5650", "unknown")


async def test_text(house: House, entry: MockConfigEntry) -> None:
    device = await started(house, {3341: {0: {5527: text("old", "RW")}}})
    await house.until_value("/3341/0/5527", "old")
    await house.call("text", "set_value", "/3341/0/5527", value="Grüße")
    assert device.get("/3341/0/5527") == "Grüße"
    assert house.value("/3341/0/5527") == "Grüße"


async def test_light_with_colour(house: House, entry: MockConfigEntry) -> None:
    device = await started(
        house, {3311: {0: {5850: flag(False, "RW"), 5851: whole(60, "RW"), 5706: text("ffd9a0", "RW")}}}
    )
    state = await house.until_value("/3311/0/5850", "off")
    assert state.attributes["supported_color_modes"] == ["rgb"]
    await house.call("light", "turn_on", "/3311/0/5850", brightness_pct=50, rgb_color=[255, 0, 128])
    assert device.get("/3311/0/5850") is True
    assert device.get("/3311/0/5851") == 50
    # In the device's own way of writing it, which is without "#".
    assert device.get("/3311/0/5706") == "ff0080"
    shown = house.state("/3311/0/5850")
    assert shown is not None
    assert shown.state == "on"
    assert shown.attributes["brightness"] == pytest.approx(128, abs=1)
    assert shown.attributes["rgb_color"] == (255, 0, 128)
    written = len(device.seen("written", path="/3311/0/5850"))
    await house.call("light", "turn_on", "/3311/0/5850", brightness_pct=10)
    assert device.get("/3311/0/5851") == 10
    assert len(device.seen("written", path="/3311/0/5850")) == written
    await house.call("light", "turn_off", "/3311/0/5850")
    assert device.get("/3311/0/5850") is False
    device.set("/3311/0/5706", "no colour")
    await house.call("light", "turn_on", "/3311/0/5850")
    shown = await house.until_value("/3311/0/5850", "on")
    assert shown.attributes["rgb_color"] is None


async def test_light_without(house: House, entry: MockConfigEntry) -> None:
    device = await started(
        house, {3311: {0: {5850: flag(True, "RW")}, 1: {5850: flag(True, "RW"), 5851: whole(5, "RW")}}}
    )
    plain = await house.until_value("/3311/0/5850", "on")
    assert plain.attributes["supported_color_modes"] == ["onoff"]
    dimmable = await house.until_value("/3311/1/5850", "on")
    assert dimmable.attributes["supported_color_modes"] == ["brightness"]
    await house.call("light", "turn_on", "/3311/0/5850")
    assert device.seen("written", path="/3311/0/5850")


async def test_siren(house: House, entry: MockConfigEntry) -> None:
    device = await started(
        house, {3338: {0: {5850: flag(False, "RW"), 5548: number(10, "RW")}, 1: {5850: flag(False, "RW")}}}
    )
    await house.until_value("/3338/0/5850", "off")
    await house.call("siren", "turn_on", "/3338/0/5850", volume_level=0.5)
    assert device.get("/3338/0/5850") is True
    assert device.get("/3338/0/5548") == 50
    assert house.value("/3338/0/5850") == "on"
    await house.call("siren", "turn_off", "/3338/0/5850")
    assert device.get("/3338/0/5850") is False
    await house.until_value("/3338/1/5850", "off")
    await house.call("siren", "turn_on", "/3338/1/5850")
    assert device.get("/3338/1/5850") is True


async def test_button(house: House, entry: MockConfigEntry) -> None:
    device = await started(house, None)
    await house.until_value("/3/0/4", "unknown")
    await house.call(Platform.BUTTON, "press", "/3/0/4")
    await device.wait_for("executed", path="/3/0/4")
    assert house.value("/3/0/4") != "unknown"


# Events and places


async def test_presses_that_are_counted(house: House, entry: MockConfigEntry) -> None:
    device = await started(house, {3347: {0: {5500: flag(False), 5501: whole(7)}}})
    await house.until_value("/3347/0/5500", "unknown")
    device.set("/3347/0/5500", True)
    device.set("/3347/0/5501", 8)
    await house.until(lambda: house.value("/3347/0/5500") not in ("unknown", None))
    first = await house.until_known("/3347/0/5500")
    assert first.attributes["event_type"] == "pressed"
    # One that came and went between two notifications.
    device.set("/3347/0/5501", 9)
    await house.until(lambda: house.value("/3347/0/5500") != first.state)
    # Counting from the start again is no press.
    shown = house.value("/3347/0/5500")
    device.set("/3347/0/5501", 0)
    await house.until(lambda: house.hub.server.devices[ENDPOINT].values[Path((3347, 0, 5501))] == 0)
    assert house.value("/3347/0/5500") == shown


async def test_presses_that_are_not(house: House, entry: MockConfigEntry) -> None:
    device = await started(house, {3347: {0: {5500: flag(True)}}})
    await house.until_value("/3347/0/5500", "unknown")
    device.set("/3347/0/5500", False)
    values = house.hub.server.devices[ENDPOINT].values
    await house.until(lambda: values[Path((3347, 0, 5500))] is False)
    assert house.value("/3347/0/5500") == "unknown"
    device.set("/3347/0/5500", True)
    await house.until(lambda: house.value("/3347/0/5500") not in ("unknown", None))


async def test_place(hass: HomeAssistant, house: House, entry: MockConfigEntry) -> None:
    device = await started(house, {6: {0: {0: number(47.5), 1: number(9.25), 3: number(25), 5: Resource(1, "time")}}})
    state = await house.until_value("/6/0/0", "not_home")
    assert state.attributes["latitude"] == 47.5
    assert state.attributes["longitude"] == 9.25
    assert state.attributes["gps_accuracy"] == 25
    assert state.name == ENDPOINT
    device.set("/6/0/0", 91.0)
    state = await house.until_value("/6/0/0", "unknown")
    assert "latitude" not in state.attributes


# Errors


async def failing(house: House, path: str = "/3201/0/5550") -> HomeAssistantError:
    with pytest.raises(HomeAssistantError) as raised:
        await house.call("switch", "turn_on", path)
    return raised.value


async def test_a_device_that_refuses(house: House, entry: MockConfigEntry) -> None:
    await started(house, {3201: {0: {5550: flag(False, "R")}}})
    await house.until_value("/3201/0/5550", "off")
    error = await failing(house)
    assert error.translation_key == "device_refused"
    assert error.translation_placeholders == {"device": ENDPOINT, "detail": "4.05 Method Not Allowed"}
    assert house.value("/3201/0/5550") == "off"


async def test_a_device_that_does_not_answer(house: House, entry: MockConfigEntry) -> None:
    house.hub.server.context.settings.answer = 0.5
    device = await started(house, {3201: {0: {5550: flag(False, "RW")}}})
    await house.until_value("/3201/0/5550", "off")
    device.transport.muted = True
    assert (await failing(house)).translation_key == "no_answer"


async def test_a_device_that_sleeps(house: House, entry: MockConfigEntry) -> None:
    settings = house.hub.server.context.settings
    device = await started(house, {3201: {0: {5550: flag(False, "RW")}}}, queue=True, awake=0.2)
    await house.until_value("/3201/0/5550", "off")
    await device.wait_for("asleep")
    settings.awake_window, settings.wait = 0.0, 0.1
    assert (await failing(house)).translation_key == "device_asleep"


async def test_too_many_requests(house: House, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    device = await started(house, {3201: {0: {5550: flag(False, "RW")}}}, queue=True, awake=0.2)
    await house.until_value("/3201/0/5550", "off")
    await device.wait_for("asleep")
    house.hub.server.context.settings.awake_window = 0.0
    monkeypatch.setattr(turns, "WAITING_LIMIT", 0)
    assert (await failing(house)).translation_key == "device_busy"


async def test_a_device_that_is_gone(house: House, entry: MockConfigEntry) -> None:
    device = await started(house, {3201: {0: {5550: flag(False, "RW")}}})
    await house.until_value("/3201/0/5550", "off")
    entity = house.hass.data["entity_components"]["switch"].get_entity(house.entity_id("/3201/0/5550"))
    await device.leave()
    await house.until_value("/3201/0/5550", STATE_UNAVAILABLE)
    # Home Assistant does not command what is unavailable; who is in the middle of it is told.
    with pytest.raises(HomeAssistantError) as raised:
        await entity.async_turn_on()
    assert raised.value.translation_key == "not_connected"


async def test_a_value_that_the_device_cannot_have(house: House, entry: MockConfigEntry) -> None:
    await started(house, {3306: {0: {5850: flag(False, "RW"), 5851: whole(10, "RW")}}})
    await house.until_value("/3306/0/5851", "10")
    entity = house.hass.data["entity_components"]["number"].get_entity(house.entity_id("/3306/0/5851"))
    with pytest.raises(HomeAssistantError) as raised:
        await entity.async_set_native_value(1e30)
    assert raised.value.translation_key == "not_understood"


def test_other_errors() -> None:
    assert error_key(LwM2MError("odd")) == "request_failed"


async def test_written_and_not_read_back(house: House, entry: MockConfigEntry) -> None:
    device = house.device({3201: {0: {5550: flag(False, "RW")}}})

    def lock(_path: tuple[int, ...]) -> None:
        device.model.objects[3201][0][5550].operations = "W"

    device.model.changed.insert(0, lock)
    await device.start()
    await house.until_value("/3201/0/5550", "off")
    await house.call("switch", "turn_on", "/3201/0/5550")
    assert device.get("/3201/0/5550") is True


async def test_what_can_only_be_written(house: House, entry: MockConfigEntry, everything_enabled: None) -> None:
    device = await started(house, full_device(5))
    await house.until_known("/5/0/1")
    await house.call("text", "set_value", "/5/0/1", value="coap://192.0.2.1/fw")
    assert device.get("/5/0/1") == "coap://192.0.2.1/fw"


# Availability and quality


async def test_available_while_registered(house: House, entry: MockConfigEntry) -> None:
    device = await started(house, None)
    await house.until_value("/3303/0/5700", "21.5")
    await device.leave()
    await house.until_value("/3303/0/5700", STATE_UNAVAILABLE)
    device.model.objects[3303][0][5700].value = 5.5
    await device.start()
    await house.until_value("/3303/0/5700", "5.5")


async def test_a_bad_measurement_is_unavailable(house: House, entry: MockConfigEntry) -> None:
    device = await started(house, {3303: {0: {5700: number(21.5), 6042: whole(0)}}})
    await house.until_value("/3303/0/5700", "21.5")
    device.set("/3303/0/6042", 1)
    await house.until_value("/3303/0/5700", STATE_UNAVAILABLE)
    device.set("/3303/0/6042", 3)
    await house.until_value("/3303/0/5700", "21.5")
    device.set("/3303/0/6042", 4)
    values = house.hub.server.devices[ENDPOINT].values
    await house.until(lambda: values[Path((3303, 0, 6042))] == 4)
    assert house.value("/3303/0/5700") == "21.5"


async def test_an_unchanged_value_writes_no_state(hass: HomeAssistant, house: House, entry: MockConfigEntry) -> None:
    device = await started(house, {3300: {0: {5700: number(1)}}, 3303: {0: {5700: number(21.5)}}})
    await house.until_value("/3303/0/5700", "21.5")
    written: list[Event[Any]] = []

    @callback
    def note(event: Event[Any]) -> None:
        written.append(event)

    for name in (EVENT_STATE_REPORTED, EVENT_STATE_CHANGED):
        hass.bus.async_listen(name, note, event_filter=callback(lambda _data: True))
    device.set("/3303/0/5700", 21.5, confirmable=True)
    device.set("/3300/0/5700", 2.0, confirmable=True)
    await house.until_value("/3300/0/5700", "2.0")
    assert {event.data["entity_id"] for event in written} == {house.entity_id("/3300/0/5700")}


async def test_what_looks_the_same_writes_no_state(hass: HomeAssistant, house: House, entry: MockConfigEntry) -> None:
    """A device that writes the same in another way, such as 1 for true."""
    await started(
        house,
        {
            6: {0: {0: number(47), 1: number(9)}},
            3200: {0: {5500: flag(True)}},
            3201: {0: {5550: flag(True, "RW")}},
            3203: {0: {5650: number(1, "RW")}},
            3303: {0: {5700: number(1)}},
            3311: {0: {5850: flag(True, "RW")}},
            3338: {0: {5850: flag(True, "RW")}},
            3341: {0: {5527: text("x", "RW")}},
        },
    )
    paths = ("/6/0/0", "/3200/0/5500", "/3201/0/5550", "/3203/0/5650", "/3303/0/5700", "/3311/0/5850", "/3338/0/5850")
    for path in (*paths, "/3341/0/5527"):
        await house.until_known(path)
    await hass.async_block_till_done(wait_background_tasks=True)
    written: list[Event[Any]] = []
    hass.bus.async_listen(EVENT_STATE_CHANGED, written.append)
    state = house.hub.server.devices[ENDPOINT].state
    state.store([Entry(Path.parse(path), 47 if path == "/6/0/0" else 1) for path in paths])
    state.store([Entry(Path.parse("/3341/0/5527"), "x\x00")])
    await hass.async_block_till_done()
    assert written == []


async def test_values_of_the_wrong_type(house: House, entry: MockConfigEntry) -> None:
    """A device that sends text where a number belongs: unknown, and nothing else suffers."""
    device = house.device(
        DeviceModel(
            {
                3303: {0: {5700: Resource("hot", "string")}},
                3200: {0: {5500: Resource("maybe", "string")}},
                3301: {0: {5700: number(5)}},
            }
        ),
        profile="wakaama",
    )
    await device.start()
    await house.until_value("/3301/0/5700", "5.0")
    await house.until_value("/3303/0/5700", "unknown")
    await house.until_value("/3200/0/5500", "unknown")


@pytest.mark.parametrize("profile", ["anjay", "wakaama", "zephyr", "coap-node"])
async def test_clients_of_several_makers(house: House, entry: MockConfigEntry, profile: str) -> None:
    device = await started(
        house, {3303: {0: {5700: number(21.3), 5701: text("K")}}, 3201: {0: {5550: flag(False, "RW")}}}, profile=profile
    )
    state = await house.until_value("/3303/0/5700", "21.3")
    assert state.attributes["unit_of_measurement"] == "K"
    await house.until_value("/3201/0/5550", "off")
    await house.call("switch", "turn_on", "/3201/0/5550")
    assert device.get("/3201/0/5550") is True
    assert house.value("/3201/0/5550") == "on"
    device.set("/3303/0/5700", 300.0)
    await house.until_value("/3303/0/5700", "300.0")


async def test_what_can_only_be_written_shows_what_was_written(
    house: House, entry: MockConfigEntry, everything_enabled: None
) -> None:
    device = await started(house, full_device(3393))
    await house.until_value("/3393/0/118", "unknown")
    await house.call("switch", "turn_on", "/3393/0/118")
    assert device.get("/3393/0/118") is True
    assert house.value("/3393/0/118") == "on"
