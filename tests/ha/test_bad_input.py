"""Devices that answer with nonsense, too late or never, and strangers that send it: nobody else is disturbed."""

import asyncio
import math
import os
import random
import socket
from collections.abc import Callable
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m import device_runtime, hub
from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.mapping.build import MAX_ENTITIES
from custom_components.lwm2m.protocol.path import Path as LwM2MPath
from tests.simulator import DeviceModel, Event, Resource, SimulatedClient
from tests.simulator.coap import Code, Message, Option

from .house import ENDPOINT, House
from .objects import flag, number, text

TEMPERATURE = "/3303/0/5700"
NEIGHBOUR = "urn:neighbour"


@pytest.fixture
async def neighbour(house: House, server: MockConfigEntry) -> SimulatedClient:
    """Another device, which is well."""
    await house.add_device(NEIGHBOUR, "id-neighbour")
    device = house.device({3303: {0: {5700: number(7)}}}, endpoint=NEIGHBOUR, identity="id-neighbour")
    await device.start()
    await house.until_value(TEMPERATURE, "7.0", NEIGHBOUR)
    return device


async def is_well(house: House, neighbour: SimulatedClient) -> None:
    """The neighbour's reports still come in, and it was never lost."""
    value = random.Random().randint(100, 10_000)
    neighbour.set(TEMPERATURE, float(value))
    await house.until_value(TEMPERATURE, f"{value}.0", NEIGHBOUR)
    assert len(neighbour.seen("registered")) == 1
    assert not neighbour.seen("connection_lost")


def answering(device: SimulatedClient, change: Callable[[Message], None], at: tuple[str, ...] = ("3303",)) -> None:
    """Let a device's answers to reads at a path be changed before they leave."""
    read = device.handler.read

    def changed(request: Message) -> Message:
        response = read(request)
        if request.path[: len(at)] == at and response.code == Code.CONTENT:
            change(response)
        return response

    device.handler.read = changed  # type: ignore[method-assign]
    device.observer._render = changed


def with_format(content_format: int | None, payload: bytes) -> Callable[[Message], None]:
    def change(response: Message) -> None:
        response.options = [(number, value) for number, value in response.options if number != Option.CONTENT_FORMAT]
        if content_format is not None:
            response.add(Option.CONTENT_FORMAT, content_format)
        response.payload = payload

    return change


def device_with_a_good_part(house: House, **more: Any) -> SimulatedClient:
    return house.device({3303: {0: {5700: number(21)}}, 3304: {0: {5700: number(50)}}}, **more)


# Wrong format


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (112, b"\xff\xff"),
        (112, b""),
        (110, b"[{]"),
        (110, b'[{"n":"/3303/0/5700","v":"\xff"}]'),
        (11542, b"\xc8\x16\x44no"),
        (11543, b"{}"),
        (11544, b"\xbf"),
        (60, b"\x1b"),
        (0, b"\xff\xfe"),
        (40, b"</3303>"),
        (50, b'{"temperature":21}'),
        (65535, b"\x00"),
        (None, b"\x00\x01\x02"),
    ],
    ids=str,
)
async def test_answers_in_the_wrong_format(
    house: House,
    neighbour: SimulatedClient,
    content_format: int | None,
    payload: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await house.add_device()
    device = device_with_a_good_part(house)
    answering(device, with_format(content_format, payload))
    await device.start()
    await house.until_value("/3304/0/5700", "50.0")
    await house.hass.async_block_till_done(wait_background_tasks=True)
    # The definition says that there is a temperature, and the device says nothing of it that makes sense.
    assert house.value(TEMPERATURE) in ("unknown", None)
    assert house.hub.server.devices[ENDPOINT].available
    assert "Traceback" not in caplog.text
    await is_well(house, neighbour)


async def test_notifications_in_the_wrong_format(
    house: House, neighbour: SimulatedClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The last value stays, it is said once in the log, and what comes later in a good one is taken."""
    await house.add_device()
    device = device_with_a_good_part(house)
    await device.start()
    await house.until_value(TEMPERATURE, "21.0")
    await device.wait_for("observed", path=[TEMPERATURE])
    read = device.observer._render
    answering(device, with_format(112, b"\xff"))
    for value in (22.0, 23.0, 24.0):
        device.set(TEMPERATURE, value, confirmable=True)
    device.set("/3304/0/5700", 51.0)
    await house.until_value("/3304/0/5700", "51.0")
    assert house.value(TEMPERATURE) == "21.0"
    warnings = [record for record in caplog.records if "not understood" in record.getMessage()]
    assert len([record for record in warnings if record.levelname == "WARNING"]) == 1
    device.observer._render = read
    device.set(TEMPERATURE, 25.0)
    await house.until_value(TEMPERATURE, "25.0")
    await is_well(house, neighbour)


# Wrong type


@pytest.mark.parametrize("profile", ["anjay", "wakaama", "zephyr", "coap-node"])
@pytest.mark.parametrize(
    "wrong",
    [
        Resource("hot", "string"),
        Resource(b"\x01\x02\x03", "opaque"),
        Resource("3:0", "objlnk"),
        Resource({0: 1.0, 1: 2.0}, "float", multiple=True),
        Resource(True, "boolean"),
    ],
    ids=lambda resource: resource.type,
)
async def test_values_of_the_wrong_type(
    house: House, neighbour: SimulatedClient, profile: str, wrong: Resource, caplog: pytest.LogCaptureFixture
) -> None:
    await house.add_device()
    device = house.device({3303: {0: {5700: wrong}}, 3304: {0: {5700: number(50)}}}, profile=profile)
    await device.start()
    await house.until_value("/3304/0/5700", "50.0")
    await house.hass.async_block_till_done(wait_background_tasks=True)
    shown = house.value(TEMPERATURE)
    assert shown in ("unknown", None) or math.isfinite(float(shown))
    assert "Traceback" not in caplog.text
    assert house.hub.server.devices[ENDPOINT].available
    await is_well(house, neighbour)


async def test_a_value_that_becomes_one_of_another_type(
    house: House, neighbour: SimulatedClient, caplog: pytest.LogCaptureFixture
) -> None:
    await house.add_device()
    model = DeviceModel(
        {3303: {0: {5700: number(21)}}, 3311: {0: {5850: flag(True, "RW"), 5706: text("#00ff00", "RW")}}}
    )
    device = house.device(model, profile="coap-node")
    await device.start()
    await house.until_value(TEMPERATURE, "21.0")
    await house.until_value("/3311/0/5850", "on")
    for path in (TEMPERATURE, "/3311/0/5850", "/3311/0/5706"):
        await device.wait_for("observed", path=[path])
    model.objects[3303][0][5700] = Resource("hot", "string")
    model.objects[3311][0][5706] = Resource(5, "integer", "RW")
    model.notify((3303, 0, 5700))
    model.notify((3311, 0, 5706))
    device.set("/3311/0/5850", False)
    await house.until_value("/3311/0/5850", "off")
    assert house.value(TEMPERATURE) in ("21.0", "unknown")
    assert "Traceback" not in caplog.text
    model.objects[3303][0][5700] = number(22)
    model.notify((3303, 0, 5700))
    await house.until_value(TEMPERATURE, "22.0")
    await is_well(house, neighbour)


async def test_a_value_that_makes_no_sense_at_first(
    house: House, neighbour: SimulatedClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not asked for again and again; when the device registers anew it is."""
    await house.add_device()
    model = DeviceModel({3303: {0: {5700: Resource("not ready", "string")}}, 3304: {0: {5700: number(50)}}})
    device = house.device(model)
    await device.start()
    await house.until_value("/3304/0/5700", "50.0")
    await house.hass.async_block_till_done(wait_background_tasks=True)
    assert house.value(TEMPERATURE) == "unknown"
    model.objects[3303][0][5700] = number(22)
    await device.leave()
    await device.start()
    await house.until_value(TEMPERATURE, "22.0")
    device.set(TEMPERATURE, 23.0)
    await house.until_value(TEMPERATURE, "23.0")
    await is_well(house, neighbour)


# Too late, and never


async def test_answers_that_come_too_late(
    house: House, neighbour: SimulatedClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Who waits is told; what comes after that is for nobody, and the next request is answered as ever."""
    await house.add_device()
    device = house.device({3201: {0: {5550: flag(False, "RW")}}, 3303: {0: {5700: number(21)}}})
    await device.start()
    await house.until_value("/3201/0/5550", "off")
    await house.hass.async_block_till_done(wait_background_tasks=True)
    assert device.messaging is not None
    house.hub.server.context.settings.answer = 0.1
    device.messaging.separate = 0.4
    with pytest.raises(HomeAssistantError) as raised:
        await house.call("switch", "turn_on", "/3201/0/5550")
    assert raised.value.translation_key == "no_answer"
    assert raised.value.translation_placeholders is not None
    assert raised.value.translation_placeholders["device"] == ENDPOINT
    # It was done all the same, and the device says so.
    await house.until_value("/3201/0/5550", "on")
    device.messaging.separate = None
    house.hub.server.context.settings.answer = None
    await house.call("switch", "turn_off", "/3201/0/5550")
    await house.until_value("/3201/0/5550", "off")
    assert "Traceback" not in caplog.text
    await is_well(house, neighbour)


def deafen(device: SimulatedClient) -> Callable[[Event], None]:
    """Let a device acknowledge every request from its registration on, and answer none."""

    def heard(event: Event) -> None:
        if event.name == "registered" and device.messaging is not None:
            device.messaging.deaf = True

    return heard


async def test_devices_that_never_answer_keep_nobody_waiting(
    hass: HomeAssistant, house: House, neighbour: SimulatedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than are asked at a time: a device that comes after them is asked soon."""
    monkeypatch.setattr(hub, "READ_TURN", 0.05)
    dead = [f"urn:dead-{index}" for index in range(hub.READS_AT_A_TIME + 2)]
    for endpoint in dead:
        await house.add_device(endpoint, endpoint)
        device = house.device({3303: {0: {5700: number(1)}}}, endpoint=endpoint, identity=endpoint)
        device.listeners.append(deafen(device))
        await device.start()
        runtime = house.hub.runtimes[endpoint]
        await house.until(lambda runtime=runtime: runtime._task)  # type: ignore[misc]
    await house.add_device()
    await device_with_a_good_part(house).start()
    await house.until_value("/3304/0/5700", "50.0")
    assert all(house.hub.runtimes[endpoint]._task is not None for endpoint in dead)
    await is_well(house, neighbour)
    for endpoint in dead:
        await hass.config_entries.async_unload(
            next(entry.entry_id for entry in hass.config_entries.async_entries(DOMAIN) if entry.title == endpoint)
        )


# Too much


async def test_a_thousand_objects_in_one_register(
    hass: HomeAssistant,
    house: House,
    neighbour: SimulatedClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are few enough to hold, and the loop has its turns in between."""
    objects: dict[int, Any] = {
        3: {0: {0: text("Nordfeld"), 1: text("Thousand")}},
        3303: {instance: {5700: number(instance), 5701: text("Cel")} for instance in range(400)},
        **{20_000 + index: {0: {1: number(index)}} for index in range(600)},
    }
    sizes: list[int] = []
    add = device_runtime.DeviceRuntime._describe

    async def watched(self: Any, instances: Any) -> None:
        """Count what happens between two turns of the loop."""
        for platform, make in list(self._platforms.items()):
            if not hasattr(make, "counted"):

                def counting(descriptions: list[Any], make: Any = make) -> None:
                    sizes.append(len(descriptions))
                    make(descriptions)

                counting.counted = True  # type: ignore[attr-defined]
                self._platforms[platform] = counting
        await add(self, instances)

    monkeypatch.setattr(device_runtime.DeviceRuntime, "_describe", watched)
    entry = await house.add_device()
    device = house.device(objects)
    await device.start()
    await house.until_value("/3303/0/5700", "0.0")
    await is_well(house, neighbour)  # while the rest is being read
    await hass.async_block_till_done(wait_background_tasks=True)
    known = house.hub.server.devices[ENDPOINT]
    assert len(known.objects) > 1000
    assert len(known.surveyed) == device_runtime.MAX_READS
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert 100 < len(entities) <= MAX_ENTITIES + 10
    assert max(sizes) <= device_runtime.ADDED_AT_A_TIME
    assert sum("object instances" in record.getMessage() for record in caplog.records) == 1
    assert not house.hub.runtimes[ENDPOINT].behind
    # An Update asks for nothing more.
    device.update()
    await device.wait_for("updated")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(known.surveyed) == device_runtime.MAX_READS
    await is_well(house, neighbour)


async def test_a_thousand_unknown_objects_enable_nothing(
    hass: HomeAssistant, house: House, neighbour: SimulatedClient
) -> None:
    entry = await house.add_device()
    await house.device({20_000 + index: {0: {1: number(index)}} for index in range(1000)}).start()
    await house.until(lambda: len(house.hub.server.devices[ENDPOINT].surveyed) == device_runtime.MAX_READS)
    await hass.async_block_till_done(wait_background_tasks=True)
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    ours = [entity for entity in entities if "/2" in entity.unique_id]
    assert 0 < len(ours) <= device_runtime.MAX_READS
    assert all(entity.disabled for entity in ours)
    await is_well(house, neighbour)


# Strangers


async def test_datagrams_of_strangers(
    house: House, neighbour: SimulatedClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Random bytes, plain CoAP, and records of all kinds with random contents."""
    generator = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", house.port))
        for index in range(600):
            length = generator.randrange(0, 300)
            body = generator.randbytes(length)
            kind = index % 4
            if kind == 1:
                body = b"\x40\x02\x00\x01" + body
            elif kind == 2:
                header = bytes((generator.choice((20, 21, 22, 23, 25)), 254, 253))
                body = header + generator.choice((b"\0\0", b"\0\1")) + os.urandom(6) + length.to_bytes(2) + body
            elif kind == 3:
                body = b"\x16\xfe\xff" + bytes(8) + (length + 12).to_bytes(2) + b"\x01" + generator.randbytes(11) + body
            sock.send(body)
            if index % 20 == 0:
                await asyncio.sleep(0)
        await is_well(house, neighbour)
    assert "Traceback" not in caplog.text
    assert house.hub.running
    assert LwM2MPath((3303, 0)) in house.hub.server.devices[NEIGHBOUR].objects
