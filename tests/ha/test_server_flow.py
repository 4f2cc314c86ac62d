"""The server's entry: set up, its settings, and ports that cannot be had."""

import errno
import socket
from typing import Any

import pytest
from homeassistant.components import network
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntryState, ConfigFlowContext
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m import listening
from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.dtls.endpoint import EngineUnavailableError
from custom_components.lwm2m.entry_data import Listen, listen_of
from custom_components.lwm2m.server.server import Server

from .house import ENDPOINT, House


def ports(port: int, interface: str = "127.0.0.1") -> dict[str, Any]:
    return {"ports": {"port": float(port), "interface": interface}}


@pytest.fixture
def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


async def test_set_up(hass: HomeAssistant, house: House, free_port: int) -> None:
    form = await house.start_flow()
    assert form["type"] is FlowResultType.FORM
    assert form["step_id"] == "server"
    result = await house.answer(form, ports(free_port))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    assert entry.title == "LwM2M server"
    assert entry.unique_id == "server"
    assert entry.data == {}
    assert entry.options == {"ports": {"port": free_port, "interface": "127.0.0.1"}}
    assert entry.state is ConfigEntryState.LOADED
    assert house.hub.running
    assert house.port == free_port
    # From now on the same flow adds devices.
    assert (await house.start_flow())["step_id"] == "add_device"


async def test_two_people_set_it_up_at_once(house: House, free_port: int) -> None:
    first, second = await house.start_flow(), await house.start_flow()
    assert (await house.answer(first, ports(free_port)))["type"] is FlowResultType.CREATE_ENTRY
    assert not [flow for flow in house.flows() if flow["flow_id"] == second["flow_id"]]


async def test_a_port_in_use(house: House) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        form = await house.answer(await house.start_flow(), ports(port))
        assert form["type"] is FlowResultType.FORM
        assert form["errors"] == {"base": "port_in_use"}
    assert (await house.answer(form, ports(port)))["type"] is FlowResultType.CREATE_ENTRY


async def test_an_address_that_is_not_of_this_machine(house: House, free_port: int) -> None:
    form = await house.answer(await house.start_flow(), ports(free_port, "10.10.10.10"))
    assert form["errors"] == {"base": "no_such_address"}


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OSError(errno.EACCES, "no"), "port_forbidden"),
        (OSError(errno.ENETDOWN, "no"), "cannot_listen"),
        (OSError("no"), "cannot_listen"),
        (EngineUnavailableError("no OpenSSL"), "no_engine"),
    ],
)
async def test_other_reasons(
    house: House, free_port: int, monkeypatch: pytest.MonkeyPatch, error: Exception, word: str
) -> None:
    async def start(*_args: Any, **_kwargs: Any) -> None:
        raise error

    form = await house.start_flow()
    monkeypatch.setattr(Server, "start", start)
    assert (await house.answer(form, ports(free_port)))["errors"] == {"base": word}


async def test_the_port_is_taken_before_start(hass: HomeAssistant, house: House) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        entry = MockConfigEntry(domain=DOMAIN, unique_id="server", options=ports(taken.getsockname()[1]))
        entry.add_to_hass(hass)
        assert not await hass.config_entries.async_setup(entry.entry_id)
        assert entry.state.value == "setup_retry"
        assert entry.error_reason_translation_key == "port_in_use"
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED


async def test_no_dtls(hass: HomeAssistant, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(*_args: Any, **_kwargs: Any) -> None:
        raise EngineUnavailableError("no OpenSSL")

    monkeypatch.setattr(Server, "start", start)
    entry = MockConfigEntry(domain=DOMAIN, unique_id="server", options=ports(0))
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == "no_engine"


# Its settings


async def test_options(hass: HomeAssistant, house: House, server: MockConfigEntry, free_port: int) -> None:
    device = await house.add_device()
    assert server.supports_options
    assert not device.supports_options
    form = await house.open_settings(server, "network")
    assert form["step_id"] == "network"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        form = await house.set(form, ports(taken.getsockname()[1]))
        assert form["errors"] == {"base": "port_in_use"}
    result = await house.set(form, ports(free_port))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert house.port == free_port
    assert server.state is ConfigEntryState.LOADED


async def test_reconfigure(hass: HomeAssistant, house: House, server: MockConfigEntry, free_port: int) -> None:
    context = ConfigFlowContext(source=SOURCE_RECONFIGURE, entry_id=server.entry_id)
    form = await hass.config_entries.flow.async_init(DOMAIN, context=context)
    assert form["step_id"] == "server_settings"
    form = await house.answer(form, ports(free_port, "10.10.10.10"))
    assert form["errors"] == {"base": "no_such_address"}
    result = await house.answer(form, ports(free_port))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert house.port == free_port
    assert server.options == {"ports": {"port": free_port, "interface": "127.0.0.1"}}


async def test_reconfigure_leaves_the_other_settings(hass: HomeAssistant, house: House, free_port: int) -> None:
    others: dict[str, Any] = {
        "suites": ["TLS_PSK_WITH_AES_128_GCM_SHA256"],
        "nosec": {"enabled": True, "port": free_port},
    }
    server = await house.add_server(**others)
    context = ConfigFlowContext(source=SOURCE_RECONFIGURE, entry_id=server.entry_id)
    form = await hass.config_entries.flow.async_init(DOMAIN, context=context)
    form = await house.answer(form, ports(free_port))
    assert form["errors"] == {"base": "same_port"}
    port = house.port
    assert (await house.answer(form, ports(port)))["type"] is FlowResultType.ABORT
    await hass.async_block_till_done()
    assert server.options == {"ports": {"port": port, "interface": "127.0.0.1"}, **others}
    assert (house.port, house.hub.server.coap_port) == (port, free_port)


async def test_an_address_that_is_gone_may_be_kept(
    hass: HomeAssistant, house: House, free_port: int, server: MockConfigEntry
) -> None:
    options = {"ports": {"port": free_port, "interface": "192.0.2.1"}}
    hass.config_entries.async_update_entry(server, options=options)
    form = await house.open_settings(server, "network")
    form = await house.set(form, ports(free_port, "192.0.2.1"))
    assert form["errors"] == {"base": "no_such_address"}
    with pytest.raises(InvalidData):
        await house.set(form, ports(free_port, "192.0.2.2"))


async def test_its_own_port_is_not_in_use(hass: HomeAssistant, house: House, free_port: int) -> None:
    entry = await house.add_server(free_port)
    assert await listening.async_try(hass, listen_of(entry.options), house.hub) is None
    assert await listening.async_try(hass, Listen("", free_port), house.hub) is None
    assert await listening.async_try(hass, Listen("192.0.2.1", free_port), house.hub) == "no_such_address"
    assert await listening.async_try(hass, Listen("127.0.0.1", free_port)) == "port_in_use"


# How devices reach it


async def test_addresses(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    async def adapters(_hass: HomeAssistant) -> list[dict[str, Any]]:
        return [
            {
                "ipv4": [{"address": "192.0.2.7"}],
                "ipv6": [{"address": "2001:db8::7"}, {"address": "fe80::7"}],
            }
        ]

    monkeypatch.setattr(network, "async_get_adapters", adapters)
    assert await listening.async_addresses(hass) == ["192.0.2.7", "2001:db8::7", "127.0.0.1"]


async def test_uris(hass: HomeAssistant) -> None:
    # The test plugin says that this is the machine's address.
    assert await listening.async_server_uri(hass, Listen("", 5684)) == "coaps://10.10.10.10:5684"
    assert await listening.async_server_uri(hass, Listen("192.0.2.7", 1)) == "coaps://192.0.2.7:1"
    assert await listening.async_server_uri(hass, Listen("2001:db8::7", 1)) == "coaps://[2001:db8::7]:1"
    assert await listening.async_server_uri(hass, Listen("example.org", 1)) == "coaps://example.org:1"


def test_listen_of_nothing() -> None:
    assert listen_of({}) == Listen("", 5684)
    assert listen_of({"ports": {"port": 1.0, "interface": "all"}}) == Listen("", 1)


# Its life


async def test_unload_leaves_nothing_behind(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    port = house.port
    await house.device().start()
    await house.until_card()
    assert await hass.config_entries.async_unload(server.entry_id)
    assert not house.hub.running
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", port))


async def test_reload(hass: HomeAssistant, house: House, free_port: int) -> None:
    entry = await house.add_server(free_port)
    await house.add_device()
    device = house.device()
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    assert await hass.config_entries.async_reload(entry.entry_id)
    # The server says goodbye, so that devices call again at once.
    await device.wait_for("registered", count=2)
    await house.until_value("/3303/0/5700", "21.5")
    device.set("/3303/0/5700", 22.5)
    await house.until_value("/3303/0/5700", "22.5")


async def test_home_assistant_stops(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()
    assert not house.hub.running


async def test_removed_and_added_again(hass: HomeAssistant, house: House, free_port: int) -> None:
    server = await house.add_server(free_port)
    entry = await house.add_device()
    device = house.device()
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    issues = ir.async_get(hass)
    assert issues.async_get_issue(DOMAIN, "no_server") is None
    await hass.config_entries.async_remove(server.entry_id)
    # The device's entry stays as it is, with entities that are unavailable; the user is told once.
    assert entry.state is ConfigEntryState.LOADED
    assert house.value("/3303/0/5700") == "unavailable"
    assert issues.async_get_issue(DOMAIN, "no_server") is not None
    result = await house.answer(await house.start_flow(), ports(free_port))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert issues.async_get_issue(DOMAIN, "no_server") is None
    await house.until_value("/3303/0/5700", "21.5")


async def test_a_device_without_any_server(hass: HomeAssistant, house: House) -> None:
    entry = await house.add_device()
    assert entry.state is ConfigEntryState.LOADED
    assert ir.async_get(hass).async_get_issue(DOMAIN, "no_server") is not None
    await hass.config_entries.async_remove(entry.entry_id)
    assert ir.async_get(hass).async_get_issue(DOMAIN, "no_server") is None
    assert ENDPOINT not in house.hub.server.devices
