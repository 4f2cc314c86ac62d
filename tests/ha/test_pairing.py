"""Pairing a device, with real handshakes: from a card, by hand, with wrong keys, without an answer."""

from datetime import timedelta
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.lwm2m import pairing
from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.pairing_flow import SEEN, UNSEEN
from custom_components.lwm2m.security.credential import Psk

from .house import ENDPOINT, IDENTITY, KEY, OTHER_KEY, House

DATA = {"kind": "device", "endpoint": ENDPOINT, "mode": "psk", "identity": IDENTITY, "key": KEY.hex()}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let flows ask at once whether to go on waiting."""
    monkeypatch.setattr(pairing, "PATIENCE", 0.05)


async def card_with_key(house: House, key: bytes = KEY) -> ConfigFlowResult:
    """Wait for a card and enter a key."""
    card = await house.until_card()
    form = await house.answer(card)
    assert form["step_id"] == "psk"
    return await house.answer(form, {"key": key.hex()})


async def later(house: House, seconds: float) -> None:
    """Let this time go by for Home Assistant's timers."""
    async_fire_time_changed(house.hass, dt_util.utcnow() + timedelta(seconds=seconds + 1))
    await house.hass.async_block_till_done()


# From a card


async def test_a_card_a_wrong_key_the_right_key(house: House, server: MockConfigEntry) -> None:
    device = house.device()
    await device.start()
    card = await house.until_card()
    assert card["context"]["title_placeholders"] == {"name": IDENTITY}
    form = await house.answer(card)
    assert form["type"] is FlowResultType.FORM
    assert form["step_id"] == "psk"
    assert house.said(form) == {"name": IDENTITY, "identity": IDENTITY, "host": "127.0.0.1"}

    progress = await house.answer(form, {"key": OTHER_KEY.hex()})
    assert progress["type"] is FlowResultType.SHOW_PROGRESS
    assert progress["progress_action"] == "waiting_closable"
    form = await house.until_step(progress, "psk")
    assert form["errors"] == {"key": "wrong_key"}
    # The dialog may be closed and opened again: the form still says what was wrong.
    assert (await house.answer(form))["errors"] == {"key": "wrong_key"}

    progress = await house.answer(form, {"key": KEY.hex()})
    finish = await house.until_step(progress, "finish")
    assert finish["type"] is FlowResultType.FORM
    assert house.said(finish) == {"name": IDENTITY, "endpoint": ENDPOINT}
    registered = len(device.seen("registered"))

    result = await house.answer(finish, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["description"] == "device"
    entry = result["result"]
    assert entry.state is ConfigEntryState.LOADED
    assert entry.unique_id == f"device_{ENDPOINT}"
    assert entry.title == ENDPOINT
    assert entry.data == DATA
    # The proven association goes over to the entry.
    await house.until_value("/3303/0/5700", "21.5")
    assert len(device.seen("registered")) == registered == 1
    assert house.flows() == []


async def test_the_success_dialog_has_the_devices_name(
    hass: HomeAssistant, house: House, server: MockConfigEntry
) -> None:
    await house.device().start()
    finish = await house.until_step(await card_with_key(house), "finish")
    entry = (await house.answer(finish, {}))["result"]
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, ENDPOINT), entry.entry_id)
    assert device is not None
    assert device.name == "Nordfeld THP-2 Climate Sensor"
    assert device.manufacturer == "Nordfeld"
    assert device.model == "THP-2 Climate Sensor"
    assert device.serial_number
    assert device.sw_version == "1.4.2"
    assert device.hw_version == "B"


async def test_a_device_without_object_3(house: House, server: MockConfigEntry) -> None:
    model = house.device().model
    del model.objects[3]
    house.devices.clear()
    await house.device(model).start()
    finish = await house.until_step(await card_with_key(house), "finish")
    assert (await house.answer(finish, {}))["type"] is FlowResultType.CREATE_ENTRY


async def test_a_second_wrong_key_leads_to_a_menu(house: House, server: MockConfigEntry) -> None:
    await house.device().start()
    form = await house.until_step(await card_with_key(house, OTHER_KEY), "psk")
    menu = await house.until_step(await house.answer(form, {"key": bytes(16).hex()}), "wrong_key")
    assert menu["type"] is FlowResultType.MENU
    assert menu["menu_options"] == ["change_credential", "wait", "add_anyway"]
    assert house.said(menu)["time"]
    form = await house.choose(menu, "change_credential")
    assert form["step_id"] == "psk"
    finish = await house.until_step(await house.answer(form, {"key": KEY.hex()}), "finish")
    assert (await house.answer(finish, {}))["type"] is FlowResultType.CREATE_ENTRY


async def test_unseen_the_flow_finishes_by_itself(house: House, server: MockConfigEntry) -> None:
    await house.device().start()
    progress = await card_with_key(house)
    await house.until(lambda: house.flows()[0]["step_id"] == "finish")
    assert progress["flow_id"] == house.flows()[0]["flow_id"]
    await later(house, UNSEEN)
    await house.until_value("/3303/0/5700", "21.5")
    assert house.flows() == []


async def test_seen_and_closed_the_flow_finishes_by_itself(house: House, server: MockConfigEntry) -> None:
    await house.device().start()
    finish = await house.until_step(await card_with_key(house), "finish")
    await later(house, UNSEEN)
    assert (await house.answer(finish))["step_id"] == "finish"
    await later(house, SEEN)
    await house.until_value("/3303/0/5700", "21.5")
    assert house.flows() == []


async def test_nothing_heard_and_then_it_comes(house: House, server: MockConfigEntry, impatient: None) -> None:
    device = house.device()
    await device.start()
    card = await house.until_card()
    await device.vanish()
    menu = await house.until_step(await house.answer(card, {"key": KEY.hex()}), "no_answer")
    assert menu["type"] is FlowResultType.MENU
    assert menu["menu_options"] == ["wait", "change_credential", "add_anyway"]
    menu = await house.until_step(await house.choose(menu, "wait"), "no_answer")
    await device.start()
    await device.wait_for("registered")
    await house.until(lambda: house.hub.server.pending.candidates[0].endpoint)
    finish = await house.until_step(await house.choose(menu, "wait"), "finish")
    assert (await house.answer(finish, {}))["type"] is FlowResultType.CREATE_ENTRY


async def test_what_comes_while_the_dialog_is_closed(house: House, server: MockConfigEntry, impatient: None) -> None:
    device = house.device()
    await device.start()
    card = await house.until_card()
    await device.vanish()
    await house.until_step(await house.answer(card, {"key": KEY.hex()}), "no_answer")
    await device.start()
    await house.until(lambda: house.hub.server.pending.candidates[0].endpoint)
    await later(house, UNSEEN)
    await house.until(lambda: house.flows()[0]["step_id"] == "finish")
    await later(house, UNSEEN)
    await house.until_value("/3303/0/5700", "21.5")


async def test_another_credential_after_nothing_was_heard(
    house: House, server: MockConfigEntry, impatient: None
) -> None:
    device = house.device()
    await device.start()
    card = await house.until_card()
    await device.vanish()
    menu = await house.until_step(await house.answer(card, {"key": OTHER_KEY.hex()}), "no_answer")
    form = await house.choose(menu, "change_credential")
    assert form["step_id"] == "psk"
    assert not form["errors"]
    assert house.hub.server.pending.candidates == ()


async def test_add_anyway_from_a_card_asks_for_the_endpoint(
    house: House, server: MockConfigEntry, impatient: None
) -> None:
    device = house.device()
    await device.start()
    card = await house.until_card()
    await device.vanish()
    menu = await house.until_step(await house.answer(card, {"key": KEY.hex()}), "no_answer")
    form = await house.choose(menu, "add_anyway")
    assert form["step_id"] == "add_anyway"
    form = await house.answer(form, {"endpoint": " "})
    assert form["errors"] == {"endpoint": "bad_endpoint"}
    result = await house.answer(form, {"endpoint": ENDPOINT})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["description"] == "device_pending"
    assert result["result"].data == DATA
    assert result["result"].state is ConfigEntryState.LOADED
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")


async def test_keys_that_are_none(house: House, server: MockConfigEntry) -> None:
    await house.device().start()
    form = await house.answer(await house.until_card())
    for typed, error in (("k?y", "key_format"), (":", "empty_key"), ("ab" * 513, "key_too_long")):
        form = await house.answer(form, {"key": typed})
        assert form["errors"] == {"key": error}
    with pytest.raises(InvalidData):
        await house.answer(form, {})


async def test_a_given_up_flow_lets_nobody_in(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    await house.device().start()
    progress = await card_with_key(house)
    await house.until_step(progress, "finish")
    assert house.hub.server.registrations
    hass.config_entries.flow.async_abort(progress["flow_id"])
    await hass.async_block_till_done()
    assert house.hub.server.pending.candidates == ()
    assert not house.hub.server.registrations
    # It calls on, and has a card again.
    await house.until_card()


async def test_a_waiting_flow_that_is_given_up(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    device = house.device()
    await device.start()
    card = await house.until_card()
    await device.vanish()
    progress = await house.answer(card, {"key": KEY.hex()})
    assert house.hub.server.pending.candidates
    hass.config_entries.flow.async_abort(progress["flow_id"])
    assert house.hub.server.pending.candidates == ()


async def test_the_server_goes_while_the_flow_waits(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    device = house.device()
    await device.start()
    card = await house.until_card()
    await device.vanish()
    progress = await house.answer(card, {"key": KEY.hex()})
    assert progress["type"] is FlowResultType.SHOW_PROGRESS
    await hass.config_entries.async_remove(server.entry_id)
    await house.until(lambda: house.flows()[0]["step_id"] == "no_server")
    result = await house.answer(progress)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "no_server"


async def test_a_name_that_another_device_has(house: House, server: MockConfigEntry) -> None:
    await house.add_device(identity="other")
    await house.device().start()
    progress = await card_with_key(house)
    await house.until(lambda: house.flows()[0]["step_id"] == "refused")
    result = await house.answer(progress)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "endpoint_in_use"
    assert house.said(result)["endpoint"] == ENDPOINT


async def test_a_name_that_a_disabled_device_has(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    entry = await house.add_device(identity="other")
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    await house.device().start()
    finish = await house.until_step(await card_with_key(house), "finish")
    result = await house.answer(finish, {})
    assert result["reason"] == "endpoint_in_use"
    assert not house.hub.server.registrations


async def test_a_name_that_was_taken_meanwhile(house: House, server: MockConfigEntry) -> None:
    await house.device().start()
    finish = await house.until_step(await card_with_key(house), "finish")
    house.hub.server.authorizer.set_credential(ENDPOINT, Psk(b"other", KEY))
    assert (await house.answer(finish, {}))["reason"] == "endpoint_in_use"


async def test_a_device_that_proves_its_key_and_does_not_register(house: House, server: MockConfigEntry) -> None:
    device = house.device(version="1.1", extra_query=["lt=x"])
    await device.start()
    progress = await card_with_key(house)

    async def action() -> Any:
        return (await house.answer(progress)).get("progress_action")

    await house.until(lambda: house.hub.server.pending.candidates[0].state == "proven")
    await house.hass.async_block_till_done()
    assert await action() == "proven"


# By hand


async def manual_form(house: House) -> ConfigFlowResult:
    menu = await house.start_flow()
    assert menu["type"] is FlowResultType.MENU
    assert menu["step_id"] == "add_device"
    assert menu["menu_options"] == ["manual_psk", "manual_rpk", "manual_certificate"]
    assert house.said(menu)["uri"].startswith("coaps://127.0.0.1:")
    form = await house.choose(menu, "manual_psk")
    assert form["step_id"] == "manual_psk"
    return form


async def test_by_hand_with_a_known_key(house: House, server: MockConfigEntry) -> None:
    form = await manual_form(house)
    device = house.device()
    await device.start()
    progress = await house.answer(form, {"endpoint": ENDPOINT, "identity": IDENTITY, "key": KEY.hex()})
    assert progress["progress_action"] == "waiting"
    finish = await house.until_step(progress, "finish")
    result = await house.answer(finish, {})
    assert result["result"].data == DATA
    # The device's card has gone.
    assert house.flows() == []


async def test_by_hand_with_a_key_that_is_made(house: House, server: MockConfigEntry) -> None:
    form = await manual_form(house)
    form = await house.answer(form, {"endpoint": ENDPOINT})
    assert form["step_id"] == "show_key"
    said = house.said(form)
    assert said["identity"] == ENDPOINT
    key = bytes.fromhex(said["key"])
    assert len(key) == 16
    assert said["uri"] == "coaps://127.0.0.1:0"
    assert form["data_schema"] is not None
    fields = form["data_schema"]({})
    assert fields["key"] == said["key"]
    assert all(part in fields["qr_code"] for part in (said["key"], ENDPOINT, said["uri"]))
    # The device still has another key; the flow says so and waits on.
    device = house.device(identity=ENDPOINT[:32], key=OTHER_KEY)
    await device.start()
    progress = await house.answer(form, fields)
    assert progress["type"] is FlowResultType.SHOW_PROGRESS
    await house.until(lambda: house.hub.server.pending.candidates[0].tries)
    await house.hass.async_block_till_done()
    progress = await house.answer(progress)
    assert progress["progress_action"] == "wrong_so_far"
    assert house.said(progress)["tries"] == "1"
    assert house.said(progress)["time"]
    await device.vanish()
    await house.device(identity=ENDPOINT, key=key).start()
    finish = await house.until_step(progress, "finish")
    result = await house.answer(finish, {})
    assert result["result"].data == {**DATA, "identity": ENDPOINT, "key": key.hex()}


async def test_a_shown_key_may_be_typed_over(house: House, server: MockConfigEntry) -> None:
    form = await manual_form(house)
    form = await house.answer(form, {"endpoint": ENDPOINT, "identity": IDENTITY})
    form = await house.answer(form, {"key": "no key"})
    assert form["errors"] == {"key": "key_format"}
    await house.device().start()
    finish = await house.until_step(await house.answer(form, {"key": KEY.hex()}), "finish")
    assert (await house.answer(finish, {}))["result"].data == DATA


async def test_by_hand_a_wrong_key_leads_back_to_the_form(house: House, server: MockConfigEntry) -> None:
    form = await manual_form(house)
    await house.device().start()
    progress = await house.answer(form, {"endpoint": ENDPOINT, "identity": IDENTITY, "key": OTHER_KEY.hex()})
    form = await house.until_step(progress, "manual_psk")
    assert form["errors"] == {"key": "wrong_key"}
    assert form["data_schema"] is not None
    suggested = {str(field): field.description for field in form["data_schema"].schema if field.description}
    assert suggested["endpoint"] == {"suggested_value": ENDPOINT}
    assert suggested["identity"] == {"suggested_value": IDENTITY}
    progress = await house.answer(form, {"endpoint": ENDPOINT, "identity": IDENTITY, "key": KEY.hex()})
    finish = await house.until_step(progress, "finish")
    assert (await house.answer(finish, {}))["result"].data == DATA


async def test_by_hand_the_name_that_was_typed_may_be_wrong(house: House, server: MockConfigEntry) -> None:
    form = await manual_form(house)
    await house.device().start()
    progress = await house.answer(form, {"endpoint": "mistyped", "identity": IDENTITY, "key": KEY.hex()})
    finish = await house.until_step(progress, "finish")
    assert house.said(finish) == {"name": "mistyped", "endpoint": ENDPOINT}
    result = await house.answer(finish, {})
    assert result["result"].unique_id == f"device_{ENDPOINT}"
    assert result["result"].data == DATA


async def test_by_hand_and_never_heard_of(house: House, server: MockConfigEntry, impatient: None) -> None:
    form = await manual_form(house)
    progress = await house.answer(form, {"endpoint": ENDPOINT, "identity": IDENTITY, "key": KEY.hex()})
    menu = await house.until_step(progress, "no_answer")
    result = await house.choose(menu, "add_anyway")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["description"] == "device_pending"
    await house.device().start()
    await house.until_value("/3303/0/5700", "21.5")


async def test_by_hand_and_added_twice(house: House, server: MockConfigEntry, impatient: None) -> None:
    form = await manual_form(house)
    progress = await house.answer(form, {"endpoint": ENDPOINT, "identity": IDENTITY, "key": KEY.hex()})
    menu = await house.until_step(progress, "no_answer")
    await house.add_device(identity="other")
    result = await house.choose(menu, "add_anyway")
    assert result["reason"] == "endpoint_in_use"


async def test_fields_that_cannot_be(house: House, server: MockConfigEntry) -> None:
    await house.add_device(endpoint="urn:other", identity="taken")
    form = await manual_form(house)
    for fields, errors in (
        ({"endpoint": " ", "identity": "x"}, {"endpoint": "bad_endpoint"}),
        ({"endpoint": "x" * 256}, {"endpoint": "bad_endpoint", "identity": "bad_identity"}),
        ({"endpoint": "x\ny"}, {"endpoint": "bad_endpoint"}),
        ({"endpoint": "x", "identity": "i" * 129}, {"identity": "bad_identity"}),
        ({"endpoint": "x", "identity": "a\x00b"}, {"identity": "bad_identity"}),
        ({"endpoint": "x", "identity": "taken"}, {"base": "identity_in_use"}),
        ({"endpoint": "x", "key": "o?d"}, {"key": "key_format"}),
    ):
        form = await house.answer(form, fields)
        assert form["step_id"] == "manual_psk"
        assert form["errors"] == errors, fields
    result = await house.answer(form, {"endpoint": "urn:other", "identity": "free"})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_an_identity_that_only_the_server_knows(house: House, server: MockConfigEntry) -> None:
    house.hub.server.authorizer.set_credential("urn:other", Psk(b"taken", KEY))
    form = await house.answer(await manual_form(house), {"endpoint": ENDPOINT, "identity": "taken"})
    assert form["errors"] == {"base": "identity_in_use"}


async def test_no_device_without_a_running_server(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    await hass.config_entries.async_unload(server.entry_id)
    result = await house.start_flow()
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "server_not_running"


async def test_identities_that_are_no_text(house: House, server: MockConfigEntry) -> None:
    identity = b"\xff\xfe`x"
    await house.device(identity=identity).start()
    card = await house.until_card()
    shown = house.said(await house.answer(card))["identity"]
    assert "`" not in shown
    assert shown.isprintable()
    finish = await house.until_step(await house.answer(card, {"key": KEY.hex()}), "finish")
    entry = (await house.answer(finish, {}))["result"]
    assert entry.data["identity_hex"] == identity.hex()
    await house.until_value("/3303/0/5700", "21.5")
