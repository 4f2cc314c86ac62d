"""Device entries: order, reload, objects that come and go, devices that do not let themselves be read."""

import asyncio
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m import device_runtime
from custom_components.lwm2m.const import DATA_HUB, DOMAIN
from custom_components.lwm2m.diagnostics import async_get_config_entry_diagnostics, async_get_device_diagnostics
from custom_components.lwm2m.entry_data import device_data
from custom_components.lwm2m.security.credential import Psk
from tests.simulator import DeviceModel, Resource

from .house import ENDPOINT, KEY, House
from .objects import flag, number, text


def thermometers(*values: float) -> dict[int, Any]:
    return {3303: {instance: {5700: number(value)} for instance, value in enumerate(values)}}


async def test_a_device_before_its_server(hass: HomeAssistant, house: House) -> None:
    entry = await house.add_device()
    assert entry.state is ConfigEntryState.LOADED
    await house.add_server()
    await house.device().start()
    await house.until_value("/3303/0/5700", "21.5")


async def test_one_identity_in_two_entries(house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    second = await house.add_device("urn:other")
    assert second.state is ConfigEntryState.SETUP_ERROR
    assert second.error_reason_translation_key == "identity_in_use"


async def test_reload_is_not_felt_by_the_device(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    entry = await house.add_device()
    device = house.device()
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    assert await hass.config_entries.async_reload(entry.entry_id)
    await house.until_value("/3303/0/5700", "21.5")
    assert len(device.seen("registered")) == 1
    device.set("/3303/0/5700", 22.0)
    await house.until_value("/3303/0/5700", "22.0")


async def test_unload_leaves_nothing_behind(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    entry = await house.add_device()
    await house.device().start()
    await house.until_value("/3303/0/5700", "21.5")
    assert await hass.config_entries.async_unload(entry.entry_id)
    device = house.hub.server.devices[ENDPOINT]
    assert house.hub.runtimes == {}
    assert not device._availability
    assert not device.state._watchers
    await house.until(lambda: not list(device.observations))


async def test_unload_in_the_middle_of_reading(
    hass: HomeAssistant, house: House, server: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await house.add_device()
    asked = asyncio.Event()

    async def never(*_args: Any, **_kwargs: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(type(house.hub.server.devices[ENDPOINT]), "read", never)
    await house.device().start()
    await asked.wait()
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert house.hub.runtimes == {}


async def test_objects_that_come_and_go(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    device = house.device(DeviceModel(thermometers(1, 2)))
    await device.start()
    await house.until_value("/3303/1/5700", "2.0")
    registry = er.async_get(hass)
    entity_id = house.entity_id("/3303/1/5700")
    assert entity_id is not None
    registry.async_update_entity(entity_id, name="Attic", new_entity_id="sensor.attic")

    gone = device.model.objects[3303].pop(1)
    device.model.objects[3304] = {0: {5700: number(50)}}
    device.model.instances_were_changed()
    await house.until_value("/3304/0/5700", "50.0")
    assert house.entity_id("/3303/1/5700") is None
    assert hass.states.get("sensor.attic") is None
    assert house.value("/3303/0/5700") == "1.0"

    # What the user chose for it is still there when it comes back.
    device.model.objects[3303][1] = gone
    device.model.instances_were_changed()
    state = await house.until_value("/3303/1/5700", "2.0")
    assert state.entity_id == "sensor.attic"
    assert state.name == "Attic"


async def test_registering_again_reads_nothing_again(house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    device = house.device(DeviceModel(thermometers(1)))
    await device.start()
    await house.until_value("/3303/0/5700", "1.0")
    await house.hass.async_block_till_done(wait_background_tasks=True)
    runtime = house.hub.runtimes[ENDPOINT]
    await device.leave()
    await device.start()
    await device.wait_for("registered", count=2)
    await house.until_value("/3303/0/5700", "1.0")
    assert runtime._task is None
    assert not runtime.behind


async def test_an_update_in_the_middle_of_reading(
    house: House, server: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.add_device()
    device = house.device(DeviceModel(thermometers(1)))
    known = house.hub.server.devices[ENDPOINT]
    read = type(known).read
    asked = asyncio.Event()
    go_on = asyncio.Event()

    async def slowly(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked.set()
        await go_on.wait()
        return await read(self, *args, **kwargs)

    monkeypatch.setattr(type(known), "read", slowly)
    await device.start()
    await asked.wait()
    device.model.objects[3304] = {0: {5700: number(50)}}
    device.model.instances_were_changed()
    await device.wait_for("updated")
    go_on.set()
    await house.until_value("/3304/0/5700", "50.0")
    await house.until_value("/3303/0/5700", "1.0")


async def test_a_slow_device_shows_what_was_read_already(
    house: House, server: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_runtime, "SOON", -1.0)
    await house.add_device()
    known = house.hub.server.devices[ENDPOINT]
    read = type(known).read

    async def stuck(self: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
        if path[0] == 3304:
            await asyncio.Event().wait()
        return await read(self, path, *args, **kwargs)

    monkeypatch.setattr(type(known), "read", stuck)
    await house.device(DeviceModel({**thermometers(1), 3304: {0: {5700: number(5)}}})).start()
    await house.until_value("/3303/0/5700", "1.0")
    assert house.entity_id("/3304/0/5700") is None


async def test_an_instance_that_cannot_be_read(house: House, server: MockConfigEntry) -> None:
    """Its mandatory resources have entities all the same, by the definition."""
    await house.add_device()
    model = DeviceModel({3303: {0: {5700: Resource(21.5, "float", "")}}, 3304: {0: {5700: number(50)}}})
    await house.device(model).start()
    await house.until_value("/3304/0/5700", "50.0")
    await house.until_value("/3303/0/5700", "unknown")


async def test_a_device_that_did_not_answer_at_first(house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    settings = house.hub.server.context.settings
    settings.answer = 0.2
    device = house.device(DeviceModel(thermometers(1)))
    device.listeners.append(
        lambda event: (
            setattr(device.transport, "muted", True)
            if event.name == "registered" and len(device.seen("registered")) == 1
            else None
        )
    )
    await device.start()
    runtime = house.hub.runtimes[ENDPOINT]
    await house.until(lambda: house.hub.server.devices[ENDPOINT].available)
    task = await house.until(lambda: runtime._task)
    await asyncio.wait([task])
    assert runtime.behind
    assert house.entity_id("/3303/0/5700") is None
    # Its next sign of life is worth another try.
    device.transport.muted = False
    settings.answer = None
    device.update()
    await house.until_value("/3303/0/5700", "1.0")
    await house.hass.async_block_till_done(wait_background_tasks=True)
    assert not runtime.behind


async def test_names_and_device_info_of_an_entry_that_waited(
    hass: HomeAssistant, house: House, server: MockConfigEntry
) -> None:
    entry = await house.add_device()
    registry = dr.async_get(hass)

    def device() -> dr.DeviceEntry:
        found = registry.async_get_device_by_identifier((DOMAIN, ENDPOINT), entry.entry_id)
        assert found is not None
        return found

    assert device().name == ENDPOINT
    await house.device().start()
    await house.until(lambda: device().name != ENDPOINT)
    assert device().name == "Nordfeld THP-2 Climate Sensor"
    assert device().manufacturer == "Nordfeld"
    # After a reload nothing is forgotten, though nothing is read again.
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert device().name == "Nordfeld THP-2 Climate Sensor"
    assert await hass.config_entries.async_unload(entry.entry_id)
    house.hub.forget(ENDPOINT)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert device().name == "Nordfeld THP-2 Climate Sensor"


async def test_removed_while_there_is_no_hub(hass: HomeAssistant, house: House) -> None:
    entry = MockConfigEntry(
        domain=DOMAIN, data=device_data(ENDPOINT, Psk(b"x", KEY)), disabled_by=ConfigEntryDisabler.USER
    )
    entry.add_to_hass(hass)
    assert DATA_HUB not in hass.data
    await hass.config_entries.async_remove(entry.entry_id)
    assert hass.config_entries.async_entries(DOMAIN) == []


async def test_entities_of_the_registry_that_are_not_ours(
    hass: HomeAssistant, house: House, server: MockConfigEntry
) -> None:
    entry = await house.add_device()
    registry = er.async_get(hass)
    odd = [
        registry.async_get_or_create("sensor", DOMAIN, unique_id, config_entry=entry).entity_id
        for unique_id in (f"{ENDPOINT}#state", f"{ENDPOINT}/not/a/path")
    ]
    old = registry.async_get_or_create("sensor", DOMAIN, f"{ENDPOINT}/3303/7/5700", config_entry=entry).entity_id
    await house.device().start()
    await house.until_value("/3303/0/5700", "21.5")
    assert all(registry.async_get(entity_id) for entity_id in odd)
    assert registry.async_get(old) is None


# Diagnostics


async def test_diagnostics(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    assert await async_setup_component(hass, "diagnostics", {})
    entry = await house.add_device()
    model = house.device().model
    model.objects[4] = {0: {2: Resource(-70, "integer"), 4: Resource({0: "192.0.2.9"}, "string", multiple=True)}}
    await house.devices[0].start()
    await house.until_value("/3303/0/5700", "21.5")
    await house.until(lambda: house.state("/4/0/2"))
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, ENDPOINT), entry.entry_id)
    assert device is not None
    found = await async_get_device_diagnostics(hass, entry, device)
    assert found["device"]["available"] is True
    assert found["device"]["security"]["mode"] == "psk"
    assert found["device"]["registration"]["lwm2m"] == "1.1"
    assert found["device"]["objects"]["/3303/0"] == "1.1"
    assert found["device"]["values"]["/3303/0/5700"] == 21.5
    assert "/4/0/4/0" not in found["device"]["values"]
    told = str(found) + str(await async_get_config_entry_diagnostics(hass, server))
    for secret in (KEY.hex(), ENDPOINT, "id-1", "NF26", "192.0.2.9"):
        assert secret not in told, secret
    about = (await async_get_config_entry_diagnostics(hass, server))["server"]
    assert about["running"] is True
    assert about["devices"] == about["available"] == 1
    assert about["engine"]
    await house.devices[0].leave()
    await house.until(lambda: not house.hub.server.devices[ENDPOINT].available)
    assert (await async_get_config_entry_diagnostics(hass, entry))["device"]["registration"] is None
    await hass.config_entries.async_unload(entry.entry_id)
    house.hub.forget(ENDPOINT)
    assert (await async_get_config_entry_diagnostics(hass, entry))["device"] is None


def test_no_secret_in_what_is_written() -> None:
    assert KEY.hex() not in repr(Psk(b"x", KEY))
    assert repr(KEY) not in repr(Psk(b"x", KEY))


async def test_switches_and_texts_of_names_from_the_device(house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    await house.device({3201: {0: {5550: flag(False, "RW"), 5750: text("Pump", "RW")}}}).start()
    state = await house.until_value("/3201/0/5550", "off")
    assert state.name == f"{ENDPOINT} Digital output Pump"
