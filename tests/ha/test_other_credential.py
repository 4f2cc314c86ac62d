"""Reauthentication and reconfiguration of a device, with real handshakes."""

from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m import pairing
from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.device_runtime import WRONG_KEYS

from .house import ENDPOINT, IDENTITY, KEY, OTHER_KEY, House

THIRD_KEY = bytes(range(2, 18))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "PATIENCE", 0.05)


@pytest.fixture
async def entry(house: House, server: MockConfigEntry) -> MockConfigEntry:
    """A device with a key on file."""
    return await house.add_device()


async def reconfigure(hass: HomeAssistant, entry: MockConfigEntry) -> ConfigFlowResult:
    context: Any = {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    return await hass.config_entries.flow.async_init(DOMAIN, context=context)


async def reconfigure_psk(house: House, entry: MockConfigEntry) -> ConfigFlowResult:
    menu = await reconfigure(house.hass, entry)
    assert menu["menu_options"] == ["set_psk", "set_rpk", "set_certificate"]
    return await house.choose(menu, "set_psk")


async def until_reauth(house: House) -> ConfigFlowResult:
    flows = await house.until(lambda: [one for one in house.flows() if one["context"]["source"] == SOURCE_REAUTH])
    flow: ConfigFlowResult = flows[0]
    return await house.answer(flow)


# Reauthentication


async def test_a_device_with_a_new_key_is_asked_for(house: House, entry: MockConfigEntry) -> None:
    device = house.device(key=OTHER_KEY, handshake_timeout=0.3, retry=0.05)
    await device.start()
    form = await until_reauth(house)
    assert form["step_id"] == "reauth_confirm"
    assert house.said(form)["name"] == ENDPOINT
    assert house.hub.server.authorizer.credential(ENDPOINT) is not None
    # Not asked twice.
    assert len(house.flows()) == 1
    progress = await house.answer(form, {"key": THIRD_KEY.hex()})
    assert progress["progress_action"] == "waiting_closable"
    form = await house.until_step(progress, "reauth_confirm")
    assert form["errors"] == {"key": "wrong_key"}
    finish = await house.until_step(await house.answer(form, {"key": OTHER_KEY.hex()}), "finish")
    result = await house.answer(finish, {})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reauth_successful"
    assert entry.data["key"] == OTHER_KEY.hex()
    registered = len(device.seen("registered"))
    await house.until_value("/3303/0/5700", "21.5")
    assert len(device.seen("registered")) == registered


async def test_the_old_key_stays_valid_until_the_new_one_is_proven(house: House, entry: MockConfigEntry) -> None:
    entry.async_start_reauth(house.hass)
    form = await until_reauth(house)
    progress = await house.answer(form, {"key": OTHER_KEY.hex()})
    assert progress["type"] is FlowResultType.SHOW_PROGRESS
    await house.device(handshake_timeout=0.3, retry=0.05).start()
    await house.until_value("/3303/0/5700", "21.5")
    assert entry.data["key"] == KEY.hex()


async def test_saved_before_it_is_proven(house: House, entry: MockConfigEntry, impatient: None) -> None:
    entry.async_start_reauth(house.hass)
    menu = await house.until_step(await house.answer(await until_reauth(house), {"key": OTHER_KEY.hex()}), "no_answer")
    result = await house.choose(menu, "add_anyway")
    assert result["reason"] == "reauth_successful"
    await house.device(key=OTHER_KEY).start()
    await house.until_value("/3303/0/5700", "21.5")


async def test_strangers_do_not_make_a_connected_device_be_asked_for(house: House, entry: MockConfigEntry) -> None:
    await house.device().start()
    await house.until_value("/3303/0/5700", "21.5")
    stranger = house.device(key=OTHER_KEY, handshake_timeout=0.3, retry=0.05)
    await stranger.start()
    await stranger.wait_for("handshake_failed", count=WRONG_KEYS + 1)
    assert house.flows() == []


async def test_a_key_that_is_none(house: House, entry: MockConfigEntry) -> None:
    entry.async_start_reauth(house.hass)
    form = await house.answer(await until_reauth(house), {"key": "?"})
    assert form["errors"] == {"key": "key_format"}


# Reconfiguration


async def test_another_identity_and_key(hass: HomeAssistant, house: House, entry: MockConfigEntry) -> None:
    await house.device().start()
    await house.until_value("/3303/0/5700", "21.5")
    form = await reconfigure_psk(house, entry)
    assert form["step_id"] == "set_psk"
    progress = await house.answer(form, {"identity": "id-2", "key": OTHER_KEY.hex()})
    assert progress["progress_action"] == "waiting"
    # The device goes on with what it has until somebody gives it the new credential.
    assert house.value("/3303/0/5700") == "21.5"
    await house.devices[0].vanish()
    await house.device(identity="id-2", key=OTHER_KEY).start()
    finish = await house.until_step(progress, "finish")
    result = await house.answer(finish, {})
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["identity"] == "id-2"
    assert entry.data["key"] == OTHER_KEY.hex()
    await house.until_value("/3303/0/5700", "21.5")
    house.devices[1].set("/3303/0/5700", 19.0)
    await house.until_value("/3303/0/5700", "19.0")


async def test_a_key_that_is_made(hass: HomeAssistant, house: House, entry: MockConfigEntry) -> None:
    form = await house.answer(await reconfigure_psk(house, entry), {"identity": IDENTITY})
    assert form["step_id"] == "show_key"
    key = bytes.fromhex(house.said(form)["key"])
    progress = await house.answer(form, {"key": key.hex()})
    await house.device(key=key, handshake_timeout=0.3, retry=0.05).start()
    finish = await house.until_step(progress, "finish")
    assert (await house.answer(finish, {}))["reason"] == "reconfigure_successful"
    assert entry.data["key"] == key.hex()


async def test_a_wrong_key_leads_back(hass: HomeAssistant, house: House, entry: MockConfigEntry) -> None:
    await house.device(key=THIRD_KEY, handshake_timeout=0.3, retry=0.05).start()
    form = await reconfigure_psk(house, entry)
    form = await house.until_step(await house.answer(form, {"identity": IDENTITY, "key": OTHER_KEY.hex()}), "set_psk")
    assert form["errors"] == {"key": "wrong_key"}


async def test_the_identity_of_another_device(hass: HomeAssistant, house: House, entry: MockConfigEntry) -> None:
    await house.add_device("urn:other", "taken")
    form = await house.answer(await reconfigure_psk(house, entry), {"identity": "taken", "key": KEY.hex()})
    assert form["errors"] == {"base": "identity_in_use"}
    form = await house.answer(form, {"identity": " ", "key": KEY.hex()})
    assert form["errors"] == {"identity": "bad_identity"}


async def test_another_device_calls(hass: HomeAssistant, house: House, entry: MockConfigEntry) -> None:
    form = await reconfigure_psk(house, entry)
    progress = await house.answer(form, {"identity": "id-2", "key": OTHER_KEY.hex()})
    await house.device(endpoint="urn:other", identity="id-2", key=OTHER_KEY).start()
    finish = await house.until_step(progress, "finish")
    result = await house.answer(finish, {})
    assert result["reason"] == "other_device"
    assert house.said(result) == {"endpoint": "urn:other", "name": ENDPOINT}
    assert entry.data["identity"] == IDENTITY


async def test_saved_anyway(hass: HomeAssistant, house: House, entry: MockConfigEntry, impatient: None) -> None:
    form = await reconfigure_psk(house, entry)
    menu = await house.until_step(await house.answer(form, {"identity": "id-2", "key": OTHER_KEY.hex()}), "no_answer")
    assert (await house.choose(menu, "add_anyway"))["reason"] == "reconfigure_successful"
    await house.device(identity="id-2", key=OTHER_KEY).start()
    await house.until_value("/3303/0/5700", "21.5")


async def test_not_without_a_server(hass: HomeAssistant, house: House, entry: MockConfigEntry) -> None:
    await house.hub.async_stop()
    assert (await reconfigure(hass, entry))["reason"] == "server_not_running"
