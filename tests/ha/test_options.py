"""The settings of the server: what it permits, and which CAs it trusts."""

import base64
import io
import socket
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.lwm2m import listening
from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.dtls import tinydtls
from custom_components.lwm2m.dtls.endpoint import EngineUnavailableError
from custom_components.lwm2m.dtls.openssl.ffi import Library
from custom_components.lwm2m.entry_data import Listen, authorities_of, listen_of, nosec_port_of, policy_of
from custom_components.lwm2m.security.cipher_suite import BY_NAME, MANDATORY, SUITES, Status
from custom_components.lwm2m.security.credential import Certificate
from custom_components.lwm2m.security.pem import MAX_AUTHORITIES, MAX_FILE
from custom_components.lwm2m.security.policy import Reason
from tests.interop.pki import ENDPOINT, Pki

from .home import free_port
from .house import House

GCM, CCM = "TLS_PSK_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM"


def security(*suites: str, enabled: bool = False, port: int = 5683) -> dict[str, Any]:
    return {"suites": list(suites), "nosec": {"enabled": enabled, "port": float(port)}}


@pytest.fixture
def no_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the constrained engine alone."""

    def load(_path: str | None = None) -> Library:
        raise EngineUnavailableError("no usable OpenSSL")

    monkeypatch.setattr(Library, "load", load)


# The menu


async def test_the_menu(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    menu = await hass.config_entries.options.async_init(server.entry_id)
    assert (menu["type"], menu["step_id"]) == (FlowResultType.MENU, "init")
    assert menu["menu_options"] == ["network", "security", "identity", "authorities"]


# Cipher suites


def served(house: House) -> list[str]:
    return list(house.hub.server.suites)


async def test_optional_suites(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    form = await house.open_settings(server, "security")
    assert form["step_id"] == "security"
    assert all(f"`{name}`" in house.said(form)["mandatory"] for name in MANDATORY)
    result = await house.set(form, security(CCM, GCM))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert server.options["suites"] == [GCM, CCM]
    assert server.options["ports"] == {"port": 0, "interface": "127.0.0.1"}
    assert server.state is ConfigEntryState.LOADED
    assert served(house) == [*MANDATORY, GCM, CCM]
    form = await house.open_settings(server, "security")
    schema = form["data_schema"]
    assert schema is not None
    assert next(key for key in schema.schema if key == "suites").description["suggested_value"] == [GCM, CCM]
    assert (await house.set(form, security()))["type"] is FlowResultType.CREATE_ENTRY
    assert served(house) == [*MANDATORY]


@pytest.mark.parametrize("status", [Status.FORBIDDEN, Status.UNSUPPORTED, Status.MANDATORY])
async def test_other_suites_cannot_be_chosen(house: House, server: MockConfigEntry, status: Status) -> None:
    form = await house.open_settings(server, "security")
    name = next(suite.name for suite in SUITES.values() if suite.status is status)
    with pytest.raises(InvalidData):
        await house.set(form, security(name))


async def test_the_constrained_engine_serves_no_further_suite(
    house: House, server: MockConfigEntry, no_openssl: None, caplog: pytest.LogCaptureFixture
) -> None:
    form = await house.set(await house.open_settings(server, "security"), security(GCM))
    assert form["errors"] == {"suites": "constrained_engine"}
    assert house.said(form)["unserved"] == f"`{GCM}`"
    # An entry that has it already still works, with what can be served.
    house.hass.config_entries.async_update_entry(server, options={**server.options, "suites": [GCM]})
    assert await house.hass.config_entries.async_reload(server.entry_id)
    assert served(house) == [tinydtls.SUITE.name]
    assert GCM in caplog.text


async def test_a_suite_that_openssl_has_not(
    house: House, server: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BY_NAME, GCM, replace(BY_NAME[GCM], openssl="NO-SUCH-CIPHER"))
    form = await house.set(await house.open_settings(server, "security"), security(GCM, CCM))
    assert form["errors"] == {"suites": "suites_not_served"}
    assert house.said(form)["unserved"] == f"`{GCM}`"
    assert "suites" not in server.options
    assert (await house.set(form, security(CCM)))["type"] is FlowResultType.CREATE_ENTRY


async def test_no_engine_at_all(house: House, server: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: Any) -> Any:
        raise EngineUnavailableError("none")

    monkeypatch.setattr("custom_components.lwm2m.listening.make_endpoint", none)
    form = await house.set(await house.open_settings(server, "security"), security(GCM))
    assert form["errors"] == {"suites": "no_engine"}


# Without security


async def test_a_port_without_security(house: House, server: MockConfigEntry) -> None:
    port = free_port()
    form = await house.open_settings(server, "security")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        form = await house.set(form, security(enabled=True, port=taken.getsockname()[1]))
        assert form["errors"] == {"base": "nosec_port_in_use"}
    assert (await house.set(form, security(enabled=True, port=port)))["type"] is FlowResultType.CREATE_ENTRY
    assert server.options["nosec"] == {"enabled": True, "port": port}
    assert house.hub.server.coap_port == port
    # Its own port is not in use.
    form = await house.open_settings(server, "security")
    assert (await house.set(form, security(GCM, enabled=True, port=port)))["type"] is FlowResultType.CREATE_ENTRY
    assert house.hub.server.coap_port == port
    # Nobody comes without security, so nobody is asked about it.
    form = await house.open_settings(server, "security")
    assert (await house.set(form, security(port=port)))["type"] is FlowResultType.CREATE_ENTRY
    assert house.hub.server.coap_port is None


async def test_the_two_ports_are_not_the_same(house: House) -> None:
    first, second = free_port(), free_port()
    server = await house.add_server(first)
    form = await house.open_settings(server, "security")
    form = await house.set(form, security(enabled=True, port=first))
    assert form["errors"] == {"base": "same_port"}
    await house.set(form, security(enabled=True, port=second))
    form = await house.open_settings(server, "network")
    form = await house.set(form, {"ports": {"port": second, "interface": "127.0.0.1"}})
    assert form["errors"] == {"base": "same_port"}
    # The other settings stay, and the port without security moves along with the address.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.2", second))
        assert await listening.async_try(house.hass, Listen("127.0.0.2", first, second)) == "nosec_port_in_use"
    result = await house.set(form, {"ports": {"port": first, "interface": "all"}})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert listen_of(server.options) == Listen("", first, second)
    assert (house.hub.server.coaps_port, house.hub.server.coap_port) == (first, second)


async def test_the_ports_are_taken_before_start(hass: HomeAssistant, house: House) -> None:
    first = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        second = taken.getsockname()[1]
        entry = MockConfigEntry(
            domain=DOMAIN,
            unique_id="server",
            options={
                "ports": {"port": first, "interface": "127.0.0.1"},
                "nosec": {"enabled": True, "port": second},
            },
        )
        entry.add_to_hass(hass)
        assert not await hass.config_entries.async_setup(entry.entry_id)
        assert entry.error_reason_translation_placeholders is not None
        assert entry.error_reason_translation_placeholders["port"] == f"{first} or {second}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", first))


async def test_switched_off_where_devices_need_it(hass: HomeAssistant, house: House) -> None:
    server = await house.add_server(nosec={"enabled": True, "port": free_port()})
    await house.add_entry("lamp", None)
    await house.add_device()
    form = await house.set(await house.open_settings(server, "security"), security())
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "nosec_off")
    assert house.said(form)["devices"] == "`lamp`"
    assert house.hub.server.coap_port is not None
    assert (await house.set(form, {}))["type"] is FlowResultType.CREATE_ENTRY
    assert server.options["nosec"] == {"enabled": False, "port": 5683}
    assert house.hub.server.coap_port is None


def test_what_options_mean() -> None:
    assert nosec_port_of({}) is None
    assert nosec_port_of({"nosec": {"enabled": False, "port": 1}}) is None
    assert nosec_port_of({"nosec": {"enabled": True}}) == 5683
    assert policy_of({}).suites == policy_of({"suites": ["TLS_NULL_WITH_NULL_NULL", "no suite"]}).suites
    assert [suite.name for suite in policy_of({"suites": [GCM]}).suites] == [*MANDATORY, GCM]


# Trusted CAs


async def upload(hass_client: ClientSessionGenerator, content: bytes) -> str:
    """Send a file to Home Assistant as the frontend does; returns what stands for it in a form."""
    client = await hass_client()
    response = await client.post("/api/file_upload", data={"file": io.BytesIO(content)})
    file_id: str = (await response.json())["file_id"]
    return file_id


def fingerprint(pki: Pki, name: str) -> str:
    return sha256(pki.der(name)).hexdigest()


def text(pki: Pki, *names: str) -> dict[str, str]:
    return {"authority": "".join(Path(pki.pem(name)).read_text() for name in names)}


async def test_trusted_authorities(
    hass: HomeAssistant, house: House, server: MockConfigEntry, pki: Pki, hass_client: ClientSessionGenerator
) -> None:
    await house.add_entry("lamp", Certificate())
    await house.add_entry("door", Certificate(pki.der("pinned")))
    await house.add_device()
    menu = await house.open_settings(server, "authorities")
    assert (menu["type"], menu["menu_options"]) == (FlowResultType.MENU, ["add_authority", "done"])
    assert house.said(menu) == {"authorities": "-", "count": "1"}
    form = await house.choose_setting(menu, "add_authority")
    menu = await house.set(form, text(pki, "ca"))
    assert menu["menu_options"] == ["add_authority", "remove_authority", "done"]
    (row,) = house.said(menu)["authorities"].splitlines()
    assert row.startswith("- `ca`, valid 20")
    assert fingerprint(pki, "ca") in row
    assert server.data == {"authorities": [base64.b64encode(pki.der("ca")).decode()]}
    # Again, with another one, in a file this time.
    form = await house.choose_setting(menu, "add_authority")
    menu = await house.set(form, {"authority_file": await upload(hass_client, pki.der("factory-ca"))})
    form = await house.choose_setting(menu, "add_authority")
    menu = await house.set(form, text(pki, "ca", "server-ca"))
    assert authorities_of(server.data) == tuple(map(pki.der, ("ca", "factory-ca", "server-ca")))
    assert len(house.said(menu)["authorities"].splitlines()) == 3
    form = await house.choose_setting(menu, "remove_authority")
    assert house.said(form)["devices"] == "`lamp`"
    menu = await house.set(form, {"authorities": [fingerprint(pki, "factory-ca"), fingerprint(pki, "server-ca")]})
    assert authorities_of(server.data) == (pki.der("ca"),)
    form = await house.choose_setting(menu, "remove_authority")
    menu = await house.set(form, {"authorities": []})
    assert authorities_of(server.data) == (pki.der("ca"),)
    options = dict(server.options)
    assert (await house.choose_setting(menu, "done"))["type"] is FlowResultType.CREATE_ENTRY
    assert server.options == options


async def test_changing_authorities_does_not_restart_the_server(
    house: House, server: MockConfigEntry, pki: Pki
) -> None:
    port = house.port
    await house.add_device()
    device = house.device()
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    form = await house.choose_setting(await house.open_settings(server, "authorities"), "add_authority")
    menu = await house.set(form, text(pki, "ca"))
    form = await house.choose_setting(menu, "remove_authority")
    menu = await house.set(form, {"authorities": [fingerprint(pki, "ca")]})
    await house.choose_setting(menu, "done")
    assert house.port == port
    assert house.value("/3303/0/5700") == "21.5"
    assert not [event for event in device.events if event.name == "connection_lost"]


async def test_a_device_is_let_in_by_a_ca_as_long_as_that_is_trusted(
    hass: HomeAssistant, house: House, port: int, pki: Pki
) -> None:
    server = await house.add_server(port)
    await house.add_entry(ENDPOINT, Certificate())
    form = await house.choose_setting(await house.open_settings(server, "authorities"), "add_authority")
    menu = await house.set(form, text(pki, "ca", "server-ca"))
    chain = Path(pki.pem("client"))
    device = house.device(endpoint=ENDPOINT, private_key=Path(pki.key("client")), chain=chain)
    await device.start()
    await house.until_value("/3303/0/5700", "21.5", ENDPOINT)
    # It stays with a CA that is added, and comes again at once where another one goes.
    form = await house.choose_setting(menu, "add_authority")
    menu = await house.set(form, text(pki, "factory-ca"))
    form = await house.choose_setting(menu, "remove_authority")
    menu = await house.set(form, {"authorities": [fingerprint(pki, "server-ca")]})
    await device.wait_for("registered", count=2)
    await house.until_value("/3303/0/5700", "21.5", ENDPOINT)
    # Without its own it is out at once.
    form = await house.choose_setting(menu, "remove_authority")
    menu = await house.set(form, {"authorities": [fingerprint(pki, "ca")]})
    assert house.value("/3303/0/5700", ENDPOINT) == "unavailable"
    await device.wait_for("handshake_failed", count=2)
    assert house.hub.server.refusals[Reason.UNTRUSTED_CERTIFICATE]
    form = await house.choose_setting(menu, "add_authority")
    menu = await house.set(form, text(pki, "ca"))
    await house.until_value("/3303/0/5700", "21.5", ENDPOINT)
    await house.choose_setting(menu, "done")
    # Trust outlives a start of the server.
    assert await hass.config_entries.async_reload(server.entry_id)
    await device.wait_for("registered", count=4)
    await house.until_value("/3303/0/5700", "21.5", ENDPOINT)


async def test_trust_goes_with_the_entry_of_the_server(
    hass: HomeAssistant, house: House, server: MockConfigEntry, pki: Pki
) -> None:
    await house.hub.async_trust((pki.der("ca"),))
    await hass.config_entries.async_remove(server.entry_id)
    await house.add_server()
    assert house.hub.server._trust_anchors == ()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("client", "the CA is no CA: its certificate does not say that it may sign others"),
        ("ca224", "224 bits, less than 256"),
        ("pinned-sha1", "no CA"),
        ("pinned-expired", "no CA"),
    ],
)
async def test_certificates_that_are_no_usable_ca(
    house: House, server: MockConfigEntry, pki: Pki, name: str, why: str
) -> None:
    form = await house.choose_setting(await house.open_settings(server, "authorities"), "add_authority")
    form = await house.set(form, text(pki, name))
    assert form["errors"] == {"authority": "not_usable"}
    assert why in house.said(form)["error"]
    schema = form["data_schema"]
    assert schema is not None
    typed = next(key for key in schema.schema if key == "authority").description["suggested_value"]
    assert typed == text(pki, name)["authority"]
    assert server.data == {}


async def test_nothing_and_nonsense(house: House, server: MockConfigEntry, hass_client: ClientSessionGenerator) -> None:
    form = await house.choose_setting(await house.open_settings(server, "authorities"), "add_authority")
    assert (await house.set(form, {}))["errors"] == {"base": "nothing_given"}
    form = await house.set(form, {"authority": "not a certificate"})
    assert form["errors"] == {"authority": "not_usable"}
    assert house.said(form)["error"] == "this is no certificate"
    form = await house.set(form, {"authority_file": await upload(hass_client, bytes(MAX_FILE + 1))})
    assert house.said(form)["error"] == "the file is too large"


async def test_too_many_authorities(
    hass: HomeAssistant, house: House, server: MockConfigEntry, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_AUTHORITIES == 64
    monkeypatch.setattr("custom_components.lwm2m.hub.MAX_AUTHORITIES", 2)
    form = await house.choose_setting(await house.open_settings(server, "authorities"), "add_authority")
    form = await house.set(form, text(pki, "ca", "server-ca", "factory-ca"))
    assert form["errors"] == {"authority": "not_usable"}
    assert house.said(form)["error"] == "there would be more than 2 trusted CAs"
    assert server.data == {}
    await house.hub.async_trust((pki.der("ca"), pki.der("server-ca")))
    await house.hub.async_trust((pki.der("ca"),))
    assert len(authorities_of(server.data)) == 2


async def test_without_a_server_there_is_nobody_who_trusts(house: House, pki: Pki) -> None:
    await house.add_device()
    await house.hub.async_trust((pki.der("ca"),))
    await house.hub.async_distrust(fingerprint(pki, "ca"))


async def test_authorities_of_a_server_that_never_ran(hass: HomeAssistant) -> None:
    entry = MockConfigEntry(domain=DOMAIN, unique_id="server")
    entry.add_to_hass(hass)
    menu = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(menu["flow_id"], {"next_step_id": "authorities"})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "server_not_running")
