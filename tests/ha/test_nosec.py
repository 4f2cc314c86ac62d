"""Devices without security: what they may be, and what they never are."""

import pytest
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m.security.credential import Certificate, Credential, Psk, RawPublicKey
from custom_components.lwm2m.security.identity import NO_SECURITY
from custom_components.lwm2m.security.policy import Reason
from custom_components.lwm2m.server.events import Event, RefusedEvent
from tests.interop.pki import Pki
from tests.simulator import SimulatedClient

from .home import free_port
from .house import ENDPOINT, IDENTITY, KEY, House

CREDENTIALS = ("psk", "rpk", "certificate", "authority")


@pytest.fixture
async def server(house: House) -> MockConfigEntry:
    """A server with a port without security."""
    return await house.add_server(nosec={"enabled": True, "port": free_port()})


@pytest.fixture
def credential(request: pytest.FixtureRequest, pki: Pki) -> Credential:
    kinds: dict[str, Credential] = {
        "psk": Psk(IDENTITY.encode(), KEY),
        "rpk": RawPublicKey(pki.spki("client")),
        "certificate": Certificate(pki.der("pinned")),
        "authority": Certificate(),
    }
    return kinds[request.param]


each_credential = pytest.mark.parametrize("credential", CREDENTIALS, indirect=True)


async def attack(house: House, endpoint: str = ENDPOINT) -> SimulatedClient:
    """Call without security as this endpoint, until the server has refused that."""
    refusals: list[Event] = []
    stop = house.hub.server.subscribe(refusals.append, RefusedEvent)
    device = house.device(endpoint=endpoint, secure=False)
    try:
        await device.start()
        await device.wait_for("gave_up")
    finally:
        stop()
    assert [event.refusal.reason for event in refusals if isinstance(event, RefusedEvent)] == [Reason.ENDPOINT_MISMATCH]
    return device


async def nothing_came_of_it(house: House) -> None:
    """No registration without security, no card."""
    await house.hass.async_block_till_done(wait_background_tasks=not house.hub.server.pending.candidates)
    server = house.hub.server
    assert not [one for one in server.registrations if one.peer.security.identity is NO_SECURITY]
    assert not [flow for flow in house.flows() if flow["context"]["source"] == "integration_discovery"]
    assert not server.pending.unknown


@each_credential
async def test_the_endpoint_of_a_device_that_is_away(
    house: House, server: MockConfigEntry, credential: Credential
) -> None:
    await house.add_entry(ENDPOINT, credential)
    await attack(house)
    await nothing_came_of_it(house)
    assert not house.hub.server.devices[ENDPOINT].available


async def test_the_endpoint_of_a_device_that_is_there(house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    device = house.device()
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    await attack(house)
    await nothing_came_of_it(house)
    device.set("/3303/0/5700", 22.5)
    await house.until_value("/3303/0/5700", "22.5")


@each_credential
async def test_the_endpoint_of_a_disabled_entry(
    hass: HomeAssistant, house: House, server: MockConfigEntry, credential: Credential
) -> None:
    entry = await house.add_entry(ENDPOINT, credential)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    await attack(house)
    await nothing_came_of_it(house)
    # Nor is it to be had after the server was started anew.
    assert await hass.config_entries.async_reload(server.entry_id)
    await attack(house)
    await nothing_came_of_it(house)


async def test_the_endpoint_of_an_entry_that_was_disabled_before_start(house: House, server: MockConfigEntry) -> None:
    await house.add_device(disabled_by=ConfigEntryDisabler.USER)
    assert ENDPOINT not in house.hub.runtimes
    await attack(house)
    await nothing_came_of_it(house)


async def test_the_endpoint_of_an_entry_that_cannot_be_set_up(house: House, server: MockConfigEntry) -> None:
    await house.add_device("other")
    entry = await house.add_device()
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert house.hub.server.authorizer.credential(ENDPOINT) is None
    await attack(house)
    await nothing_came_of_it(house)


async def test_the_endpoint_of_an_entry_that_is_unloaded(
    hass: HomeAssistant, house: House, server: MockConfigEntry
) -> None:
    entry = await house.add_device()
    assert await hass.config_entries.async_unload(entry.entry_id)
    await attack(house)
    await nothing_came_of_it(house)


async def test_the_endpoint_of_a_device_that_is_waited_for(house: House, server: MockConfigEntry) -> None:
    form = await house.choose(await house.start_flow(), "manual_psk")
    waiting = await house.answer(form, {"endpoint": ENDPOINT, "identity": IDENTITY, "key": KEY.hex()})
    assert waiting["type"] is FlowResultType.SHOW_PROGRESS
    assert house.hub.server.authorizer.credential(ENDPOINT) is None
    await attack(house)
    await nothing_came_of_it(house)
    await house.device().start()
    finish = await house.until_step(waiting, "finish")
    assert (await house.answer(finish, {}))["type"] is FlowResultType.CREATE_ENTRY


@each_credential
async def test_a_device_that_gets_a_credential_is_no_longer_taken_without(
    hass: HomeAssistant, house: House, server: MockConfigEntry, credential: Credential
) -> None:
    await house.device(secure=False).start()
    await house.until_card()
    assert house.hub.server.devices[ENDPOINT].available
    await house.add_entry(ENDPOINT, credential)
    assert not house.hub.server.devices[ENDPOINT].available
    await attack(house)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert house.flows() == []


async def test_a_device_without_security_is_no_way_to_another(house: House, server: MockConfigEntry) -> None:
    """It cannot take over what another one has registered."""
    await house.add_device()
    device = house.device()
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    registration = house.hub.server.registrations.of_endpoint(ENDPOINT)
    assert registration is not None
    other = house.device(endpoint="other", secure=False)
    await other.start()
    await other.wait_for("registered")
    other.location = ("rd", registration.location)
    other.update()
    await other.wait_for("update_failed", code="4.00")
    assert house.hub.server.registrations.of_endpoint(ENDPOINT) is registration
    assert house.hub.server.devices[ENDPOINT].available


# Those that may come


async def test_a_device_with_an_entry(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    entry = await house.add_entry(ENDPOINT, None)
    assert entry.data["mode"] == "nosec"
    device = house.device(secure=False)
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    device.set("/3303/0/5700", 22.5)
    await house.until_value("/3303/0/5700", "22.5")
    assert house.flows() == []
    # Over a reload of its entry, and of the server.
    assert await hass.config_entries.async_reload(entry.entry_id)
    await house.until_value("/3303/0/5700", "22.5")
    assert await hass.config_entries.async_reload(server.entry_id)
    assert not house.hub.server.devices[ENDPOINT].available
    assert house.value("/3303/0/5700") == "unavailable"
    device.update()
    await device.wait_for("registered", count=2)
    await house.until_value("/3303/0/5700", "22.5")


async def test_a_device_that_calls_first(house: House, server: MockConfigEntry) -> None:
    await house.device(secure=False).start()
    card = await house.until_card()
    assert card["step_id"] == "nosec"
    assert (await house.answer(card, {}))["type"] is FlowResultType.CREATE_ENTRY
    await house.until_value("/3303/0/5700", "21.5")


async def test_no_card_is_left_where_the_port_is_gone(house: House, server: MockConfigEntry) -> None:
    await house.device(secure=False).start()
    await house.until_card()
    form = await house.open_settings(server, "security")
    await house.set(form, {"suites": [], "nosec": {"enabled": False, "port": 5683}})
    assert house.hub.server.coap_port is None
    await nothing_came_of_it(house)
    # Where there is one again, so is the card.
    port = free_port()
    form = await house.open_settings(server, "security")
    await house.set(form, {"suites": [], "nosec": {"enabled": True, "port": port}})
    await house.device(secure=False).start()
    await house.until_card()


async def test_a_disabled_entry_lets_it_in_no_more(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    entry = await house.add_entry(ENDPOINT, None)
    await house.device(secure=False).start()
    await house.until_value("/3303/0/5700", "21.5")
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    assert house.hub.server.registrations.of_endpoint(ENDPOINT) is None
    await attack(house)
    await nothing_came_of_it(house)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
    await house.device(secure=False).start()
    await house.until_value("/3303/0/5700", "21.5")


async def test_a_deleted_entry_leaves_nothing_and_a_card_comes_at_the_next_call(
    hass: HomeAssistant, house: House, server: MockConfigEntry
) -> None:
    entry = await house.add_entry(ENDPOINT, None)
    device = house.device(secure=False)
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    await hass.config_entries.async_remove(entry.entry_id)
    assert ENDPOINT not in house.hub.server.devices
    device.update()
    await house.until_card()


async def test_where_there_is_no_port_nobody_comes(house: House) -> None:
    await house.add_server()
    await house.add_entry(ENDPOINT, None)
    await house.device(secure=False, port=house.port).start()
    await house.until(lambda: house.hub.server.refusals[Reason.PLAINTEXT])
    assert not house.hub.server.devices[ENDPOINT].available
