"""Pairing a device, with real handshakes: from a card, by hand, with wrong keys, without an answer."""

from homeassistant.config_entries import ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .house import ENDPOINT, IDENTITY, KEY, OTHER_KEY, House


async def test_a_card_a_wrong_key_the_right_key(house: House, server: MockConfigEntry) -> None:
    device = house.device()
    await device.start()
    card = await house.until_card()
    assert card["context"]["title_placeholders"] == {"name": IDENTITY}
    form = await house.answer(card)
    assert form["type"] is FlowResultType.FORM
    assert form["step_id"] == "psk"
    assert form["description_placeholders"]["identity"] == IDENTITY
    assert form["description_placeholders"]["host"] == "127.0.0.1"

    progress = await house.answer(form, {"key": OTHER_KEY.hex()})
    assert progress["type"] is FlowResultType.SHOW_PROGRESS
    form = await house.until_step(progress, "psk")
    assert form["errors"] == {"key": "wrong_key"}
    # The dialog may be closed and opened again: the form still says what was wrong.
    assert (await house.answer(form))["errors"] == {"key": "wrong_key"}

    progress = await house.answer(form, {"key": KEY.hex()})
    finish = await house.until_step(progress, "finish")
    assert finish["type"] is FlowResultType.FORM
    assert finish["description_placeholders"]["endpoint"] == ENDPOINT
    registered = len(device.seen("registered"))

    result = await house.answer(finish, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    assert entry.state is ConfigEntryState.LOADED
    assert entry.unique_id == f"device_{ENDPOINT}"
    assert entry.title == ENDPOINT
    assert entry.data == {
        "kind": "device", "endpoint": ENDPOINT, "mode": "psk", "identity": IDENTITY, "key": KEY.hex(),
    }  # fmt: skip
    # The proven association goes over to the entry.
    await house.until_value("/3303/0/5700", "21.5")
    assert len(device.seen("registered")) == registered
    assert len(device.seen("connected")) == registered
    assert house.flows() == []
