"""The flows of repair issues, as the frontend runs them, with devices that are refused before and let in after."""

import json
import string
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m.const import CONF_SUITES, DOMAIN, device_unique_id
from custom_components.lwm2m.entry_data import device_data
from custom_components.lwm2m.refusal_issues import UNPROVEN_SPAN
from custom_components.lwm2m.security.cipher_suite import BY_NAME
from custom_components.lwm2m.security.credential import RawPublicKey
from custom_components.lwm2m.security.refusal import Reason
from tests.interop import peers
from tests.interop.pki import Pki
from tests.test_metadata import PACKAGE

from .house import ENDPOINT, IDENTITY, KEY, House
from .stranger import Stranger

GCM = "TLS_PSK_WITH_AES_128_GCM_SHA256"

type Json = dict[str, Any]


class Repairs:
    """The repairs of a Home Assistant, over HTTP as the frontend has them."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.client = client

    async def begin(self, issue: ir.IssueEntry) -> Json:
        """Open the dialog of an issue."""
        return await self._post("/api/repairs/issues/fix", {"handler": DOMAIN, "issue_id": issue.issue_id})

    async def go_on(self, flow: Json, fields: Json | None = None) -> Json:
        """Submit a form, or choose from a menu."""
        return await self._post(f"/api/repairs/issues/fix/{flow['flow_id']}", fields or {})

    async def _post(self, path: str, data: Json) -> Json:
        async with self.client.post(path, json=data) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())


@pytest.fixture
def stranger(house: House, pki: Pki) -> Stranger:
    return Stranger(house, pki)


@pytest.fixture
async def repairs(
    hass: HomeAssistant, server: MockConfigEntry, hass_client: Callable[[], Awaitable[TestClient[Any, Any]]]
) -> Repairs:
    assert await async_setup_component(hass, "repairs", {})
    assert await async_setup_component(hass, "config", {})
    return Repairs(await hass_client())


def read(issue: ir.IssueEntry, flow: Json) -> str:
    """Return the text of a step as the frontend fills it in."""
    words = json.loads((PACKAGE / "translations" / "en.json").read_text())["issues"][issue.translation_key]["fix_flow"]
    text = words["step"][flow["step_id"]]["description"]
    said = (issue.translation_placeholders or {}) | (flow["description_placeholders"] or {})
    assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= set(said)
    return str(text.format_map(said))


async def test_an_optional_suite_is_allowed(
    hass: HomeAssistant, house: House, server: MockConfigEntry, repairs: Repairs, stranger: Stranger
) -> None:
    await house.add_device()
    command = peers.s_client_psk("PSK-AES128-GCM-SHA256", identity=IDENTITY, key=KEY)
    for _ in range(2):
        await stranger.call(command)
    issue = stranger.issue()
    assert issue.is_fixable
    flow = await repairs.begin(issue)
    assert (flow["type"], flow["step_id"]) == ("form", "confirm")
    assert f"`{GCM}` is an optional one" in read(issue, flow)
    assert CONF_SUITES not in server.options
    done = await repairs.go_on(flow)
    assert done["type"] == "create_entry"
    await hass.async_block_till_done()
    assert server.options[CONF_SUITES] == [GCM]
    assert server.options["ports"]["interface"] == "127.0.0.1"
    assert GCM in house.hub.server.suites
    assert not stranger.issues()
    assert not house.hub.refusals.issues._cases
    # The device gets in.
    output = await peers.run(peers.S_CLIENT, command(house.port, stranger.pki), until=b"CONNECTED")
    assert b"CONNECTED" in output
    assert house.hub.server.refusals[Reason.NO_PERMITTED_SUITE] == 2


async def test_a_second_suite_beside_the_first(
    hass: HomeAssistant, house: House, server: MockConfigEntry, repairs: Repairs, stranger: Stranger
) -> None:
    for command in (
        peers.s_client_psk("PSK-AES128-GCM-SHA256"),
        peers.s_client_certificate("ECDHE-ECDSA-AES128-GCM-SHA256"),
    ):
        for _ in range(2):
            await stranger.call(command)
        await repairs.go_on(await repairs.begin(stranger.issue()))
        await hass.async_block_till_done()
    assert server.options[CONF_SUITES] == [GCM, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]


async def test_a_suite_that_this_openssl_has_not(
    house: House, server: MockConfigEntry, repairs: Repairs, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await stranger.call(peers.s_client_psk("PSK-AES128-GCM-SHA256"))
    monkeypatch.setitem(BY_NAME, GCM, replace(BY_NAME[GCM], openssl="PSK-NO-SUCH-CIPHER"))
    left = await repairs.go_on(await repairs.begin(stranger.issue()))
    assert (left["type"], left["reason"]) == ("abort", "not_served")
    assert left["description_placeholders"]["suite"] == GCM
    assert CONF_SUITES not in server.options
    assert stranger.issues()


async def test_a_device_that_trusts_another_server(
    hass: HomeAssistant, house: House, server: MockConfigEntry, repairs: Repairs, stranger: Stranger, pki: Pki
) -> None:
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id=device_unique_id(ENDPOINT),
        title="A board",
        data=device_data(ENDPOINT, RawPublicKey(pki.spki("client"))),
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    own = house.hub.keys.active.identity
    settings: dict[str, Any] = {"private_key": Path(pki.key("client")), "server_key": own.public_key}
    device = house.device(**settings)
    await device.start()
    await house.until_value("#connectivity", "on")
    await device.vanish()
    # It comes back, and somebody has given it the key of another server.
    stranger.pass_time(1)
    mistaken = house.device(**{**settings, "server_key": pki.spki("stranger")})
    await mistaken.start()
    await house.until(stranger.issues)
    await mistaken.vanish()
    issue = stranger.issue()
    flow = await repairs.begin(issue)
    assert (flow["type"], flow["step_id"]) == ("form", "server_key")
    said = read(issue, flow)
    assert said.startswith(
        "`A board` or another device at `127.0.0.1` called, and ended the handshake: `the device does"
    )
    for shown in (own.public_key_fingerprint, own.certificate_fingerprint, "public_key.der"):
        assert shown in said
    assert {field["name"]: field["default"] for field in flow["data_schema"]} == {
        "public_key": own.public_key_pem().decode(),
        "public_key_base64": b64encode(own.public_key).decode(),
        "x": own.x.hex(),
        "y": own.y.hex(),
        "certificate": own.chain_pem().decode(),
    }
    private = load_der_private_key(own.private_key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert f"{private.private_numbers().private_value:x}" not in str(flow)
    assert (await repairs.go_on(flow))["type"] == "create_entry"
    assert not stranger.issues()
    # Nothing was done about it: it comes again.
    await mistaken.start()
    await house.until(stranger.issues)
    await mistaken.vanish()
    device = house.device(**settings)
    await device.start()
    await house.until(lambda: not stranger.issues())
    await house.until_value("#connectivity", "on")


async def test_the_device_is_told_to_use_dtls(
    hass: HomeAssistant, house: House, server: MockConfigEntry, repairs: Repairs, stranger: Stranger
) -> None:
    await called_plainly(stranger)
    issue = stranger.issue()
    flow = await repairs.begin(issue)
    assert (flow["type"], flow["step_id"]) == ("menu", "init")
    assert flow["menu_options"] == ["secured", "settings"]
    assert f"`coaps://127.0.0.1:{server.options['ports']['port']}`" in read(issue, flow)
    assert (await repairs.go_on(flow, {"next_step_id": "secured"}))["type"] == "create_entry"
    assert not stranger.issues()


async def test_the_settings_open_for_devices_without_security(
    hass: HomeAssistant, house: House, server: MockConfigEntry, repairs: Repairs, stranger: Stranger
) -> None:
    await called_plainly(stranger)
    flow = await repairs.begin(stranger.issue())
    left = await repairs.go_on(flow, {"next_step_id": "settings"})
    assert (left["type"], left["reason"]) == ("abort", "settings")
    kind, flow_id = left["next_flow"]
    assert kind == "options_flow"
    assert left["result"]["entry_id"] == server.entry_id
    assert hass.config_entries.options.async_get(flow_id)["handler"] == server.entry_id
    assert stranger.issues(), "only the device's success closes it"
    hass.config_entries.options.async_abort(flow_id)


async def called_plainly(stranger: Stranger) -> None:
    await stranger.call_plainly(times=3)
    stranger.pass_time(UNPROVEN_SPAN)
    await stranger.call_plainly()


async def test_the_server_goes_meanwhile(
    hass: HomeAssistant, house: House, server: MockConfigEntry, repairs: Repairs, stranger: Stranger
) -> None:
    for _ in range(2):
        await stranger.call(peers.s_client_psk("PSK-AES128-GCM-SHA256"))
    suite = await repairs.begin(stranger.issue())
    house.hub.refusals.issues.async_clear()
    await called_plainly(stranger)
    plain = await repairs.begin(stranger.issue())
    await hass.config_entries.async_remove(server.entry_id)
    for flow, fields in ((suite, {}), (plain, {"next_step_id": "settings"})):
        left = await repairs.go_on(flow, fields)
        assert (left["type"], left["reason"]) == ("abort", "no_server")
