"""What is shown of a device as a whole, and of the server."""

from datetime import datetime, timedelta
from typing import Any

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.lwm2m import issues
from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.hub import CONTACT_SHOWN_EVERY

from .house import ENDPOINT, House


async def test_before_during_and_after_a_registration(house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    assert house.value("#connectivity") == "off"
    for key in ("last_contact", "registered_until", "security"):
        assert house.value(f"#{key}") == "unknown"
    device = house.device(lifetime=600)
    before = dt_util.utcnow().replace(microsecond=0)
    await device.start()
    await house.until_value("#connectivity", "on")
    security = await house.until_value("#security", "psk")
    assert security.attributes["cipher_suite"] == "TLS_PSK_WITH_AES_128_CCM_8"
    await house.until(lambda: house.value("#last_contact") != "unknown")
    contact = datetime.fromisoformat(house.value("#last_contact") or "")
    assert before - timedelta(seconds=1) <= contact <= dt_util.utcnow()
    until = datetime.fromisoformat(house.value("#registered_until") or "")
    assert timedelta(seconds=598) <= until - before <= timedelta(seconds=620)
    await device.wait_for("registered")
    await device.leave()
    await house.until_value("#connectivity", "off")
    assert house.value("#registered_until") == "unknown"
    # What was is still shown.
    assert house.value("#security") == "psk"
    assert house.value("#last_contact") != "unknown"


async def test_an_infinite_lifetime(house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    await house.device(lifetime=2**31 - 1).start()
    await house.until(lambda: (house.value("#registered_until") or "").startswith("209"))


async def test_last_contact_follows_now_and_then(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    await house.device().start()
    await house.until_value("/3303/0/5700", "21.5")
    shown = house.value("#last_contact")
    context = house.hub.server.context
    wall = context.wall
    context.wall = lambda: wall() + 3600
    assert house.value("#last_contact") == shown
    async_fire_time_changed(hass, dt_util.utcnow() + CONTACT_SHOWN_EVERY + timedelta(seconds=1))
    await hass.async_block_till_done()
    assert house.value("#last_contact") != shown


async def test_an_update_moves_the_end_of_the_registration(house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    device = house.device(lifetime=600)
    await device.start()
    await house.until(lambda: house.value("#registered_until") not in ("unknown", None))
    shown = house.value("#registered_until")
    device.lifetime = 3600
    device.update()
    await house.until(lambda: house.value("#registered_until") != shown)


async def test_nothing_becomes_unavailable_because_home_assistant_stops(
    hass: HomeAssistant, house: House, server: MockConfigEntry
) -> None:
    await house.add_device()
    await house.device().start()
    await house.until_value("/3303/0/5700", "21.5")
    await hass.async_block_till_done(wait_background_tasks=True)
    written: list[Any] = []
    hass.bus.async_listen("state_changed", written.append)
    hass.set_state(CoreState.stopping)
    await house.hub.async_stop()
    await hass.async_block_till_done()
    hass.set_state(CoreState.running)
    assert not house.hub.server.devices[ENDPOINT].available
    assert written == []


async def test_the_constrained_engine_is_named(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    registry = ir.async_get(hass)
    assert registry.async_get_issue(DOMAIN, "constrained_engine") is None
    house.hub.server._engine = "tinydtls"
    assert await hass.config_entries.async_reload(server.entry_id)
    issue = registry.async_get_issue(DOMAIN, "constrained_engine")
    assert issue is not None
    assert issue.translation_placeholders == {"engine": house.hub.server.engine_name}
    house.hub.server._engine = None
    assert await hass.config_entries.async_reload(server.entry_id)
    assert registry.async_get_issue(DOMAIN, "constrained_engine") is None


async def test_a_stranger_shares_no_identity(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    issues.async_shared_identity(hass, "nobody's", "urn:x")
    assert not [issue for issue in ir.async_get(hass).issues.values() if issue.domain == DOMAIN]


async def test_cards_go_with_the_server(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    await house.device().start()
    await house.until_card()
    await hass.config_entries.async_remove(server.entry_id)
    assert house.flows() == []
