"""What Home Assistant shows of devices that are refused: the server's event, and counts and facts of each device."""

import json
from datetime import datetime
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.refusals_watch import SHOWN_AT_ONCE, SHOWN_EVERY
from custom_components.lwm2m.security.cipher_suite import MANDATORY
from custom_components.lwm2m.security.refusal import Reason, Refusal
from tests.interop import peers
from tests.interop.pki import Pki
from tests.test_metadata import PACKAGE

from .house import ENDPOINT, KEY, OTHER_KEY, House
from .stranger import Stranger

GCM = "TLS_PSK_WITH_AES_128_GCM_SHA256"
ADDRESS = ("192.0.2.1", 5684)


@pytest.fixture
def stranger(house: House, pki: Pki) -> Stranger:
    return Stranger(house, pki)


async def test_a_refusal_is_an_event(house: House, server: MockConfigEntry, stranger: Stranger) -> None:
    assert stranger.event().state == "unknown"
    await stranger.call(peers.s_client_psk("PSK-AES128-GCM-SHA256"))
    event = stranger.event()
    assert event.state not in ("unknown", "unavailable")
    assert event.attributes["event_type"] == "no_permitted_suite"
    assert event.attributes["detail"] == f"none of the offered suites is permitted; allowing {GCM} would help"
    assert event.attributes["host"] == "127.0.0.1"
    assert event.attributes["offered"] == [GCM]
    assert event.attributes["permitted"] == list(MANDATORY)
    assert event.attributes["identity"] is event.attributes["endpoint"] is None
    assert event.attributes["left_out"] == 0
    assert event.name == "LwM2M server Refused connection"


async def test_each_reason_has_words_and_can_be_shown(
    house: House, server: MockConfigEntry, stranger: Stranger
) -> None:
    words = json.loads((PACKAGE / "translations" / "en.json").read_text())["entity"]["event"]["refused"]
    assert set(words["state_attributes"]["event_type"]["state"]) == {reason.value for reason in Reason}
    assert set(stranger.event().attributes["event_types"]) == {reason.value for reason in Reason}
    for reason in Reason:
        house.hub.server.refuse(ADDRESS, Refusal(reason, "why", identity="who", endpoint="e", offered=(GCM,)))
        stranger.pass_time(SHOWN_EVERY)
        event = stranger.event()
        assert event.attributes["event_type"] == reason.value
        assert set(words["state_attributes"]) <= set(event.attributes) | {"event_type"}


async def test_a_flood_is_not_shown_but_counted(
    hass: HomeAssistant, house: House, server: MockConfigEntry, stranger: Stranger
) -> None:
    changes: list[Any] = []
    hass.bus.async_listen("state_changed", changes.append)
    for host in range(1, 6):
        await stranger.call_plainly(f"127.0.0.{host}", times=4)
    await hass.async_block_till_done()
    assert house.hub.server.refusals[Reason.PLAINTEXT] == 20
    assert len(changes) == SHOWN_AT_ONCE
    assert stranger.event().attributes["left_out"] == 0
    stranger.pass_time(SHOWN_EVERY)
    await stranger.call_plainly("127.0.0.6", times=2)
    await hass.async_block_till_done()
    assert len(changes) == SHOWN_AT_ONCE + 1
    assert stranger.event().attributes["left_out"] == 20 - SHOWN_AT_ONCE
    assert stranger.event().attributes["host"] == "127.0.0.6"


async def test_the_server_is_a_device(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    await house.add_device("server")
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "server"), server.entry_id)
    assert device is not None
    assert device.name == "LwM2M server"
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    assert device.sw_version == house.hub.server.engine_name
    registry = er.async_get(hass)
    (event,) = er.async_entries_for_config_entry(registry, server.entry_id)
    assert event.device_id == device.id
    assert event.entity_category == "diagnostic"
    assert er.async_entries_for_device(registry, device.id) == [event], "a device of that endpoint name is another one"
    assert house.entity_id("#connectivity", "server") is not None


async def test_the_event_over_reload_and_removal(
    hass: HomeAssistant, house: House, server: MockConfigEntry, stranger: Stranger
) -> None:
    await stranger.call_plainly()
    entity_id = stranger.event().entity_id
    assert await hass.config_entries.async_unload(server.entry_id)
    assert hass.states.is_state(entity_id, "unavailable")
    house.hub.server.refuse(ADDRESS, Refusal(Reason.MALFORMED, "nobody listens"))
    assert await hass.config_entries.async_setup(server.entry_id)
    await stranger.call_plainly()
    assert stranger.event().entity_id == entity_id
    assert stranger.event().attributes["event_type"] == "plaintext"
    assert len(er.async_entries_for_config_entry(er.async_get(hass), server.entry_id)) == 1
    await hass.config_entries.async_remove(server.entry_id)
    assert hass.states.get(entity_id) is None
    assert dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "server"), server.entry_id) is None


async def test_refusals_of_a_device_are_counted(
    hass: HomeAssistant, house: House, server: MockConfigEntry, everything_enabled: None
) -> None:
    entry = await house.add_device()
    long = await house.add_device("l" * 80, "id-2", OTHER_KEY)
    assert house.value("#refusals") == "0"
    device = house.device(key=bytes(16), handshake_timeout=1.0)
    await device.start()
    await house.until(lambda: int(house.value("#refusals") or 0) >= 2)
    await device.vanish()
    refusal = Refusal(Reason.EXPIRED_CERTIFICATE, "d", endpoint="l" * 63 + "…")
    house.hub.server.refuse(ADDRESS, refusal)
    assert house.value("#refusals", "l" * 80) == "1"
    for number in range(1000):
        house.hub.server.refuse(ADDRESS, Refusal(Reason.WRONG_KEY, "d", endpoint=f"nobody-{number}"))
    watch = house.hub.refusals
    assert set(watch._counts) == {ENDPOINT, "l" * 80}
    counted = watch.count_of(ENDPOINT)
    assert counted >= 2
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert int(house.value("#refusals") or 0) == counted
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.config_entries.async_remove(long.entry_id)
    assert not watch._counts


async def test_facts_of_a_device_over_psk(house: House, server: MockConfigEntry, everything_enabled: None) -> None:
    await house.add_device()
    for key in ("cipher_suite", "curve", "peer_fingerprint", "last_handshake"):
        assert house.value(f"#{key}") == "unknown"
    await house.device(key=KEY).start()
    await house.until_value("#cipher_suite", "TLS_PSK_WITH_AES_128_CCM_8")
    assert house.value("#curve") == house.value("#peer_fingerprint") == "unknown"
    security = house.hub.server.devices[ENDPOINT].security
    assert security is not None
    assert security.since is not None
    assert datetime.fromisoformat(house.value("#last_handshake") or "").timestamp() == int(security.since)
