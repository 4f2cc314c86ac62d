"""Cards: when there is one, when not, and when it goes."""

from datetime import timedelta

import pytest
from homeassistant.config_entries import SOURCE_IGNORE, ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.lwm2m import discovery
from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.hub import CARDS_CHECKED_EVERY
from custom_components.lwm2m.security.credential import SecurityMode
from custom_components.lwm2m.server.events import UnknownPeer
from custom_components.lwm2m.server.pending import Unknown

from .house import ENDPOINT, IDENTITY, KEY, House


def call(house: House, identity: str, mode: SecurityMode = SecurityMode.PSK) -> Unknown:
    """Let the server tell of a caller that nobody knows."""
    peer = Unknown(mode, identity, identity.encode(), "192.0.2.7", dt_util.utcnow().timestamp())
    house.hub.server.emit(UnknownPeer(peer))
    return peer


async def settled(house: House) -> None:
    await house.hass.async_block_till_done(wait_background_tasks=True)


async def test_one_card_however_often_a_device_calls(house: House, server: MockConfigEntry) -> None:
    device = house.device()
    await device.start()
    await device.wait_for("handshake_failed", count=3)
    for _ in range(3):
        call(house, IDENTITY)
    await settled(house)
    assert len(house.flows()) == 1


async def test_there_are_never_many_cards(house: House, server: MockConfigEntry) -> None:
    for number in range(100):
        call(house, f"device-{number}")
    await settled(house)
    assert len(house.flows()) == discovery.MAX_CARDS


@pytest.mark.parametrize(
    ("mode", "title"),
    [(SecurityMode.RPK, "Raw public key name"), (SecurityMode.NOSEC, "name (unproven)")],
)
async def test_a_card_says_how_the_caller_would_prove_itself(
    house: House, server: MockConfigEntry, mode: SecurityMode, title: str
) -> None:
    call(house, "name", mode)
    await settled(house)
    (card,) = house.flows()
    assert card["context"]["title_placeholders"] == {"name": title}
    assert card["step_id"] == mode.value


async def test_ignored_and_not_any_more(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    device = house.device()
    await device.start()
    card = await house.until_card()
    await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_IGNORE},
        data={"unique_id": card["context"]["unique_id"], "title": IDENTITY},
    )
    assert house.flows() == []
    await device.wait_for("handshake_failed", count=len(device.seen("handshake_failed")) + 2)
    call(house, IDENTITY)
    await settled(house)
    assert house.flows() == []
    ignored = next(entry for entry in hass.config_entries.async_entries(DOMAIN) if entry.source == SOURCE_IGNORE)
    await hass.config_entries.async_remove(ignored.entry_id)
    await house.until_card()


async def test_an_ignored_card_whose_device_is_gone(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    await house.device().start()
    card = await house.until_card()
    await house.devices[0].vanish()
    await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_IGNORE},
        data={"unique_id": card["context"]["unique_id"], "title": IDENTITY},
    )
    for key in list(house.hub.server.pending.unknown):
        house.hub.server.pending.forget(key)
    ignored = next(entry for entry in hass.config_entries.async_entries(DOMAIN) if entry.source == SOURCE_IGNORE)
    await hass.config_entries.async_remove(ignored.entry_id)
    await settled(house)
    assert house.flows() == []


async def test_a_deleted_device_has_a_card_at_its_next_call(
    hass: HomeAssistant, house: House, server: MockConfigEntry
) -> None:
    entry = await house.add_device()
    device = house.device()
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    await hass.config_entries.async_remove(entry.entry_id)
    assert ENDPOINT not in house.hub.server.devices
    assert not house.hub.server.registrations
    await house.until_card()


async def test_a_disabled_device_has_none(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    entry = await house.add_device()
    device = house.device()
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    assert not house.hub.server.registrations
    await device.wait_for("handshake_failed")
    await settled(house)
    assert house.flows() == []
    await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
    await house.until_value("/3303/0/5700", "21.5")


async def test_a_card_goes_when_its_device_is_added_by_hand(house: House, server: MockConfigEntry) -> None:
    call(house, IDENTITY)
    call(house, "other")
    await settled(house)
    assert len(house.flows()) == 2
    await house.add_device()
    assert [flow["context"]["title_placeholders"]["name"] for flow in house.flows()] == ["other"]


async def test_a_card_that_comes_too_late(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    caller = discovery.Caller(f"psk:{IDENTITY.encode().hex()}", "psk", IDENTITY, IDENTITY.encode().hex(), "192.0.2.7")
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "integration_discovery"}, data=caller)
    assert result["reason"] == "already_configured"


async def test_a_card_goes_after_a_silent_day(
    hass: HomeAssistant, house: House, server: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = house.device()
    await device.start()
    await house.until_card()
    async_fire_time_changed(hass, dt_util.utcnow() + CARDS_CHECKED_EVERY + timedelta(minutes=1))
    await settled(house)
    assert len(house.flows()) == 1
    await device.vanish()
    monkeypatch.setattr(discovery, "CARD_LIFE", -60.0)
    async_fire_time_changed(hass, dt_util.utcnow() + 2 * CARDS_CHECKED_EVERY + timedelta(minutes=2))
    await settled(house)
    assert house.flows() == []


async def test_a_name_that_could_be_taken_for_something_else(house: House, server: MockConfigEntry) -> None:
    await house.device(identity=b"[x](http://`evil`)\n\x1b[1m").start()
    card = await house.until_card()
    name = card["context"]["title_placeholders"]["name"]
    assert name.isprintable()
    said = house.said(await house.answer(card))
    assert "`" not in said["name"]
    assert "`" not in said["identity"]
    assert len(name) <= 64


async def test_two_boards_with_one_identity(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    """Two boards that still have the settings of a sample: the second one is refused, and the user is told."""
    entry = await house.add_device()
    await house.device().start()
    await house.until_value("/3303/0/5700", "21.5")
    second = house.device(endpoint="urn:dev:test-2")
    await second.start()
    await second.wait_for("register_failed")

    issue = await house.until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, f"shared_identity_{entry.entry_id}"))
    assert issue.translation_key == "shared_identity"
    assert issue.translation_placeholders == {"identity": IDENTITY, "device": ENDPOINT, "caller": "urn:dev:test-2"}
    await hass.config_entries.async_remove(entry.entry_id)
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"shared_identity_{entry.entry_id}") is None


async def test_two_boards_with_one_identity_at_once(house: House, server: MockConfigEntry) -> None:
    """The one that registers first is the one that is paired."""
    first = house.device()
    await first.start()
    finish = await house.until_step(await house.answer(await house.until_card(), {"key": KEY.hex()}), "finish")
    second = house.device(endpoint="urn:dev:test-2")
    await second.start()
    await second.wait_for("register_failed")
    result = await house.answer(finish, {})
    assert result["result"].data["endpoint"] == ENDPOINT
    await house.until_value("/3303/0/5700", "21.5")
