"""Restarts of Home Assistant, with its files, real sockets and devices that go on meanwhile."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.helpers import device_registry as dr, entity_registry as er

from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.protocol.path import Path as LwM2MPath
from tests.simulator import DeviceModel
from tests.simulator.devices import DEVICES

from .home import Home, about, climate, home, living, make_device, native_values, settled
from .objects import number

TEMPERATURE = "/3303/0/5700"


@pytest.fixture
def hass_storage() -> None:
    """Let stores be files; the plugin would keep them in memory."""


async def test_a_restart_under_load(folder: Path, port: int) -> None:
    """Devices of all kinds go on measuring and reporting while Home Assistant stops and starts."""
    kinds = ["sensor", "plug", "light", "contact", "actuator", "weather", "meter", "motion", "multi"]
    made = {f"urn:dev:{kind}": DEVICES[kind](index) for index, kind in enumerate(kinds)}
    devices = {
        endpoint: make_device(port, endpoint, device.model, returns=index % 2 == 0, queue=index % 3 == 0)
        for index, (endpoint, device) in enumerate(made.items())
    }
    still = make_device(port, "urn:dev:still", climate(20), returns=True)
    asleep = make_device(port, "urn:dev:asleep", climate(21), returns=True, queue=True)
    everyone = [*devices, "urn:dev:still", "urn:dev:asleep"]
    behaviours = [
        asyncio.ensure_future(device.behave(devices[endpoint], 0.02))
        for endpoint, device in made.items()
        if device.behave is not None
    ]
    try:
        async with living(*devices.values(), still, asleep):
            async with home(folder) as here:
                await here.add_server_at(port)
                for endpoint in everyone:
                    await here.add_endpoint(endpoint)
                await settled(here, *everyone)
                registry = er.async_get(here.hass)
                renamed = here.entity_id(TEMPERATURE, "urn:dev:still")
                assert renamed is not None
                registry.async_update_entity(renamed, name="Attic", new_entity_id="sensor.attic")
                still.set(TEMPERATURE, 33.25)
                await here.until_value(TEMPERATURE, "33.25", "urn:dev:still")
                before = about(here.entities())
                pages = {
                    device.id: (device.name, device.manufacturer, device.model, device.identifiers)
                    for device in dr.async_get(here.hass).devices
                }
                shown = {state.entity_id for state in here.hass.states.async_all() if here_is(here, state.entity_id)}
                held = native_values(here)
                await asleep.vanish()  # and is not seen for a long time

            async with home(folder) as here:
                # At once, before any device has called.
                assert about(here.entities()) == before
                assert {
                    state.entity_id for state in here.hass.states.async_all() if here_is(here, state.entity_id)
                } == shown
                again = native_values(here)
                assert again.keys() == held.keys()
                quiet = [name for name in held if name.startswith(("urn:dev:still/", "urn:dev:asleep/"))]
                assert quiet
                assert {name: again[name] for name in quiet} == {name: held[name] for name in quiet}
                assert all(again[name] is not None for name in held if held[name] is not None)
                assert here.value(TEMPERATURE, "urn:dev:asleep") == "unavailable"
                assert here.value("#connectivity", "urn:dev:asleep") == "off"
                assert here.value("#last_contact", "urn:dev:asleep") not in (None, "unknown", "unavailable")
                assert here.hub.server.devices["urn:dev:asleep"].registration is not None

                await settled(here, *devices, "urn:dev:still")
                state = await here.until_value(TEMPERATURE, "33.25", "urn:dev:still")
                assert (state.entity_id, state.name) == ("sensor.attic", "Attic")
                assert about(here.entities()) == before
                assert {
                    device.id: (device.name, device.manufacturer, device.model, device.identifiers)
                    for device in dr.async_get(here.hass).devices
                } == pages
                # Reports go on.
                first = here.value(TEMPERATURE, "urn:dev:sensor")
                await here.until(lambda: here.value(TEMPERATURE, "urn:dev:sensor") != first)
                await asleep.start()
                await settled(here, "urn:dev:asleep")
                assert about(here.entities()) == before
                assert not here.issues()
    finally:
        for behaviour in behaviours:
            behaviour.cancel()
        await asyncio.gather(*behaviours, return_exceptions=True)


def here_is(here: Home, entity_id: str) -> bool:
    entity = er.async_get(here.hass).async_get(entity_id)
    return entity is not None and entity.platform == DOMAIN


async def test_nothing_is_asked_again(folder: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a device with the same objects as before, whether it registers anew or goes on."""
    clients = [make_device(port, "urn:new", climate()), make_device(port, "urn:on", climate(), returns=True)]
    async with living(*clients):
        async with home(folder) as here:
            await here.add_server_at(port)
            await here.add_endpoint("urn:new")
            await here.add_endpoint("urn:on")
            await settled(here, "urn:new", "urn:on")
        asked: list[Any] = []
        for client in clients:
            handle = client.handler._dispatch

            def dispatch(request: Any, handle: Any = handle) -> Any:
                asked.append(request)
                return handle(request)

            client.handler._dispatch = dispatch  # type: ignore[method-assign]
        async with home(folder) as here:
            await settled(here, "urn:new", "urn:on")
            for client in clients:
                client.set(TEMPERATURE, 30.0)
            for endpoint in ("urn:new", "urn:on"):
                await here.until_value(TEMPERATURE, "30.0", endpoint)
            assert len(clients[0].seen("registered")) == 2
            assert len(clients[1].seen("registered")) == 1
            assert clients[1].seen("updated")
            assert asked
            # What is asked for is to be told of changes, and nothing is read whole.
            assert not [request.path for request in asked if len(request.path) < 3]


async def test_what_secures_a_device_is_known_at_once(folder: Path, port: int, everything_enabled: None) -> None:
    facts = ("#security", "#cipher_suite", "#curve", "#peer_fingerprint", "#last_handshake")
    client = make_device(port, "urn:x", climate(), returns=True)
    async with living(client):
        async with home(folder) as here:
            await here.add_server_at(port)
            await here.add_endpoint("urn:x")
            await settled(here, "urn:x")
            before = {fact: here.value(fact, "urn:x") for fact in facts}
            assert before["#cipher_suite"] == "TLS_PSK_WITH_AES_128_CCM_8"
            assert before["#last_handshake"] not in (None, "unknown")
        await client.vanish()
        async with home(folder) as here:
            assert {fact: here.value(fact, "urn:x") for fact in facts} == before


@pytest.mark.parametrize("returns", [False, True])
async def test_a_device_that_comes_back_with_other_objects(folder: Path, port: int, returns: bool) -> None:
    model = DeviceModel({3303: {0: {5700: number(1)}, 1: {5700: number(2)}}, 3304: {0: {5700: number(50)}}})
    client = make_device(port, "urn:x", model, returns=returns)
    async with living(client):
        async with home(folder) as here:
            await here.add_server_at(port)
            await here.add_endpoint("urn:x")
            await settled(here, "urn:x")
            assert {entity.unique_id for entity in here.entities()} >= {
                "urn:x/3303/0/5700", "urn:x/3303/1/5700", "urn:x/3304/0/5700",
            }  # fmt: skip
            await client.vanish()
        del model.objects[3303][1]
        model.objects[3315] = {0: {5700: number(99)}}
        async with home(folder) as here:
            assert here.entity_id("/3303/1/5700", "urn:x") is not None
            await client.start()
            if returns:
                client._objects_changed = True
            await here.until_known("/3315/0/5700", "urn:x")
            await settled(here, "urn:x")
            assert here.entity_id("/3303/1/5700", "urn:x") is None
            assert here.value("/3303/0/5700", "urn:x") == "1.0"
            assert here.value("/3304/0/5700", "urn:x") == "50.0"


async def test_a_device_that_was_not_read_to_the_end(folder: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for the rest after the restart, and its sleep keeps nobody else waiting."""
    client = make_device(port, "urn:x", climate(), returns=True, queue=True)
    async with living(client):
        async with home(folder) as here:
            await here.add_server_at(port)
            await here.add_endpoint("urn:x")
            await settled(here, "urn:x")
            here.hub.server.devices["urn:x"].surveyed.discard(LwM2MPath.parse("/3304/0"))
            here.hub.store.changed("urn:x")
            await client.vanish()
        async with home(folder) as here:
            runtime = here.hub.runtimes["urn:x"]
            assert runtime.behind
            assert runtime._task is None
            assert here.value(TEMPERATURE, "urn:x") == "unavailable"
            await client.start()
            await settled(here, "urn:x")
            assert not here.hub.runtimes["urn:x"].behind
            assert here.value("/3304/0/5700", "urn:x") == "46.0"


async def test_the_server_is_reloaded(folder: Path, port: int) -> None:
    client = make_device(port, "urn:x", climate(), returns=True)
    async with living(client), home(folder) as here:
        entry = await here.add_server_at(port)
        await here.add_endpoint("urn:x")
        await settled(here, "urn:x")
        assert await here.hass.config_entries.async_reload(entry.entry_id)
        await settled(here, "urn:x")
        assert len(client.seen("registered")) == 1
        await here.until_value(TEMPERATURE, "21.5", "urn:x")


async def test_a_removed_device_leaves_nothing_in_the_file(folder: Path, file: Path, port: int) -> None:
    clients = [make_device(port, "urn:x", climate()), make_device(port, "urn:y", climate())]
    async with living(*clients), home(folder) as here:
        await here.add_server_at(port)
        await here.add_endpoint("urn:x")
        await here.add_endpoint("urn:y")
        await settled(here, "urn:x", "urn:y")
        await here.hub.store.flush()
        assert "urn:x" in file.read_text()
        await here.hass.config_entries.async_remove(here.entry("urn:x").entry_id)
        await here.hub.store.flush()
        assert set(json.loads(file.read_text())["data"]["devices"]) == {"urn:y"}
        await here.hass.config_entries.async_remove(here.entry().entry_id)
        assert set(json.loads(file.read_text())["data"]["devices"]) == {"urn:y"}
        await here.hass.config_entries.async_remove(here.entry("urn:y").entry_id)
        assert not file.exists()
        await here.hub.store.flush()
        assert not file.exists()


async def test_the_server_goes_last(folder: Path, file: Path, port: int) -> None:
    async with home(folder) as here:
        await here.add_server_at(port)
        await here.add_endpoint("urn:x")
        await here.hub.store.flush()
        assert file.exists()
        await here.hass.config_entries.async_remove(here.entry("urn:x").entry_id)
        assert file.exists()
        await here.hass.config_entries.async_remove(here.entry().entry_id)
        assert not file.exists()
    assert not file.exists()


async def test_a_disabled_device_is_known_when_it_is_enabled(folder: Path, file: Path, port: int) -> None:
    client = make_device(port, "urn:x", climate(), returns=True)
    async with living(client):
        async with home(folder) as here:
            await here.add_server_at(port)
            entry = await here.add_endpoint("urn:x")
            await settled(here, "urn:x")
            await client.vanish()
            await here.hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
            await here.hub.store.flush()
            kept = json.loads(file.read_text())["data"]["devices"]["urn:x"]
            assert kept["registration"] is None
            assert kept["values"][TEMPERATURE] == 21.5
        async with home(folder) as here:
            assert "urn:x" not in here.hub.server.devices
            await here.hass.config_entries.async_set_disabled_by(here.entry("urn:x").entry_id, None)
            await here.hass.async_block_till_done()
            assert here.value(TEMPERATURE, "urn:x") == "unavailable"
            assert here.hub.server.devices["urn:x"].values[LwM2MPath.parse(TEMPERATURE)] == 21.5
            await client.start()
            await here.until_value(TEMPERATURE, "21.5", "urn:x")


async def test_removed_while_everything_was_disabled(folder: Path, file: Path, port: int) -> None:
    async with home(folder) as here:
        entry = await here.add_endpoint("urn:x")
        await here.hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    assert file.exists()
    async with home(folder) as here:
        await here.hass.config_entries.async_remove(here.entry("urn:x").entry_id)
        assert not file.exists()
