"""What the server proves itself with: made, kept, shown, downloaded, replaced, and lost; with real handshakes."""

import io
from base64 import b64decode
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from re import findall
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from homeassistant.config_entries import ConfigFlowResult
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.lwm2m.security.credential import RawPublicKey
from custom_components.lwm2m.security.refusal import Reason
from custom_components.lwm2m.security.server_identity import ServerIdentity
from custom_components.lwm2m.server_keys import ServerKeys
from tests.device_keys import DeviceKey, make_authority, make_certificate, make_key

from .house import ENDPOINT, House


@pytest.fixture
def key(tmp_path: Path) -> DeviceKey:
    return make_key(tmp_path / "keys", "device")


async def open_menu(house: House, server: MockConfigEntry) -> ConfigFlowResult:
    options = house.hass.config_entries.options
    flow = await options.async_init(server.entry_id)
    return await options.async_configure(flow["flow_id"], {"next_step_id": "identity"})


async def choose(house: House, flow: ConfigFlowResult, step: str) -> ConfigFlowResult:
    return await answer(house, flow, {"next_step_id": step})


async def answer(house: House, flow: ConfigFlowResult, fields: dict[str, Any]) -> ConfigFlowResult:
    return await house.hass.config_entries.options.async_configure(flow["flow_id"], fields)


def served(house: House) -> ServerIdentity:
    identity = house.hub.server.server_identity
    assert identity is not None
    return identity


async def upload(hass_client: ClientSessionGenerator, content: bytes) -> str:
    client = await hass_client()
    response = await client.post("/api/file_upload", data={"file": io.BytesIO(content)})
    file_id: str = (await response.json())["file_id"]
    return file_id


async def test_shown_and_downloaded(
    house: House, server: MockConfigEntry, hass_client_no_auth: ClientSessionGenerator
) -> None:
    assert await async_setup_component(house.hass, "http", {})
    menu = await open_menu(house, server)
    assert menu["menu_options"] == ["show_identity", "make_identity", "upload_identity", "identity_done"]
    identity = served(house)
    assert house.said(menu) == {"fingerprint": sha256(identity.public_key).hexdigest(), "other": "-"}
    form = await choose(house, menu, "show_identity")
    assert form["data_schema"] is not None
    shown = {str(field): field.default() for field in form["data_schema"].schema}
    assert b64decode(shown["public_key_base64"]) == identity.public_key
    assert b64decode(shown["certificate_base64"]) == identity.certificate
    assert bytes.fromhex("04" + shown["x"] + shown["y"]) == identity.point
    said = house.said(form)
    assert said["certificate_fingerprint"] == sha256(identity.certificate).hexdigest()
    client = await hass_client_no_auth()
    got = {}
    for link in findall(r'href="([^"]+)"', said["links"]):
        response = await client.get(link)
        assert response.status == HTTPStatus.OK
        assert response.headers["Content-Disposition"].startswith("attachment")
        got[response.headers["Content-Disposition"].rpartition("_server_")[2].rstrip('"')] = await response.read()
        assert (await client.get(link.partition("?")[0])).status == HTTPStatus.UNAUTHORIZED
    assert got == {
        "certificate.pem": identity.chain_pem(),
        "certificate.der": identity.certificate,
        "public_key.pem": identity.public_key_pem(),
        "public_key.der": identity.public_key,
    }
    assert not any(b"PRIVATE" in content for content in got.values())
    menu = await answer(house, form, {})
    assert menu["step_id"] == "identity"
    result = await choose(house, menu, "identity_done")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert house.hub.running


async def test_only_what_is_kept_can_be_downloaded(
    house: House, server: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    client = await hass_client()
    key_id = house.hub.keys.active.key_id
    for path in (f"{key_id}/private_key.pem", "unknown/certificate.pem"):
        assert (await client.get(f"/api/lwm2m/server_key/{path}")).status == HTTPStatus.NOT_FOUND


async def test_a_new_one_beside_the_old_switched_and_back(
    house: House, server: MockConfigEntry, key: DeviceKey
) -> None:
    await house.add_entry(ENDPOINT, RawPublicKey(key.public_der()))
    first = served(house)
    device = house.public_device(key, server_key=first.public_key, handshake_timeout=1.0, retry=0.05)
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")

    form = await choose(house, await open_menu(house, server), "make_identity")
    form = await answer(house, form, {"names": ["not a name!"]})
    assert form["errors"] == {"names": "not_usable"}
    assert "not a name!" in house.said(form)["error"]
    form = await answer(house, form, {"names": ["lwm2m.example", " ", "192.0.2.1"]})
    assert form["step_id"] == "show_other"
    assert house.said(form)["names"] == "`lwm2m.example`, `192.0.2.1`"
    assert served(house) == first
    menu = await answer(house, form, {})
    assert menu["menu_options"] == ["show_identity", "show_other", "switch_identity", "delete_other", "identity_done"]
    form = await choose(house, menu, "switch_identity")
    assert house.said(form)["devices"] == f"- `{ENDPOINT}`"
    menu = await answer(house, form, {})
    second = served(house)
    assert second != first
    # The association goes on; a new handshake shows the new key, which the device does not know.
    device.set("/3303/0/5700", 19.0)
    await house.until_value("/3303/0/5700", "19.0")
    assert len(device.seen("registered")) == 1
    await device.vanish()
    await device.start()
    await house.until(lambda: house.hub.server.refusals[Reason.REJECTED_BY_DEVICE])
    await device.vanish()

    menu = await answer(house, await choose(house, menu, "switch_identity"), {})
    assert served(house) == first
    await device.start()
    await device.wait_for("registered", count=2)
    form = await choose(house, menu, "delete_other")
    assert house.said(form)["other"] == sha256(second.public_key).hexdigest()
    menu = await answer(house, form, {})
    assert house.hub.keys.other is None
    assert menu["menu_options"] == ["show_identity", "make_identity", "upload_identity", "identity_done"]


async def test_one_of_the_users_own(
    house: House, server: MockConfigEntry, hass_client: ClientSessionGenerator, tmp_path: Path
) -> None:
    own = ServerIdentity.generate(["own.example"])
    private = serialization.load_der_private_key(own.private_key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    secret = serialization.BestAvailableEncryption(b"secret")
    encrypted = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
    certificate = x509.load_der_x509_certificate(own.certificate)
    bundle = pkcs12.serialize_key_and_certificates(b"own", private, certificate, None, secret)

    form = await choose(house, await open_menu(house, server), "upload_identity")
    form = await answer(house, form, {})
    assert form["errors"] == {"base": "not_usable"}
    assert "missing" in house.said(form)["error"]
    form = await answer(house, form, {"key_file": await upload(hass_client, encrypted), "password": "wrong"})
    assert form["errors"] == {"base": "not_usable"}
    client_only = make_certificate(tmp_path / "k", "c", "c", make_authority(tmp_path / "k", "a", "CA"))
    fields = {
        "key_file": await upload(hass_client, client_only.private_key.read_bytes()),
        "certificate_file": await upload(hass_client, client_only.certificate.read_bytes()),
    }
    form = await answer(house, form, fields)
    assert "server" in house.said(form)["error"]
    form = await answer(house, form, {"pkcs12_file": await upload(hass_client, bundle), "password": "wrong"})
    assert form["errors"] == {"base": "not_usable"}
    form = await answer(house, form, {"pkcs12_file": await upload(hass_client, bundle), "password": "secret"})
    assert form["step_id"] == "show_other"
    assert house.said(form)["names"] == "`own.example`"
    menu = await answer(house, await choose(house, await answer(house, form, {}), "switch_identity"), {})
    assert served(house).public_key == own.public_key
    menu = await answer(house, await choose(house, menu, "delete_other"), {})
    form = await choose(house, menu, "upload_identity")
    fields = {"key_file": await upload(hass_client, encrypted), "password": "secret"}
    form = await answer(house, form, fields)
    assert form["step_id"] == "show_other"


async def test_dialogs_that_come_too_late(house: House, server: MockConfigEntry) -> None:
    keys = house.hub.keys
    await keys.async_switch()
    await keys.async_take(ServerIdentity.generate())
    for step in ("show_other", "switch_identity", "delete_other"):
        menu = await open_menu(house, server)
        other = keys.other
        assert other is not None
        await keys.async_delete_other()
        again = await choose(house, menu, step)
        assert again["step_id"] == "identity"
        await keys.async_take(other.identity)


def test_a_name_that_no_certificate_can_carry() -> None:
    assert ServerKeys._generate(["a name with spaces", "host", "host"]).names == ("host",)
