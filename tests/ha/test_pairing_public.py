"""Pairing devices with raw public keys, with certificates and without security, by real handshakes."""

import io
from base64 import b64encode
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.lwm2m import pairing, pairing_flow
from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.security.credential import Certificate, RawPublicKey
from custom_components.lwm2m.security.refusal import Reason
from tests.device_keys import DeviceKey, make_authority, make_certificate, make_key

from .house import ENDPOINT, KEY, House

QUICK: dict[str, Any] = {"handshake_timeout": 1.0, "retry": 0.05}


@pytest.fixture
def key(tmp_path: Path) -> DeviceKey:
    return make_key(tmp_path / "keys", "device")


@pytest.fixture
def other_key(tmp_path: Path) -> DeviceKey:
    return make_key(tmp_path / "keys", "other")


@pytest.fixture
def authority(tmp_path: Path) -> DeviceKey:
    return make_authority(tmp_path / "keys", "ca", "Test CA")


@pytest.fixture
def pinned(tmp_path: Path) -> DeviceKey:
    return make_certificate(tmp_path / "keys", "pinned", ENDPOINT)


@pytest.fixture
def signed(tmp_path: Path, authority: DeviceKey) -> DeviceKey:
    return make_certificate(tmp_path / "keys", "signed", ENDPOINT, authority)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "PATIENCE", 0.05)


async def finished(house: House, progress: ConfigFlowResult) -> ConfigFlowResult:
    assert progress["type"] is FlowResultType.SHOW_PROGRESS, progress
    return await house.answer(await house.until_step(progress, "finish"), {})


async def until_reauth(house: House, step: str) -> ConfigFlowResult:
    flows = await house.until(
        lambda: [
            one for one in house.flows() if one["context"]["source"] == SOURCE_REAUTH and one.get("step_id") == step
        ]
    )
    return await house.answer(flows[0])


async def reconfigure(hass: HomeAssistant, entry: MockConfigEntry) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id},
    )


async def uploaded(hass_client: ClientSessionGenerator, path: Path) -> str:
    """Upload a file as the frontend does; returns what stands for it in a form."""
    client = await hass_client()
    response = await client.post("/api/file_upload", data={"file": io.BytesIO(path.read_bytes())})
    assert response.status == HTTPStatus.OK
    file_id: str = (await response.json())["file_id"]
    return file_id


# Raw public keys


async def test_a_raw_public_key_by_card(
    house: House, server: MockConfigEntry, key: DeviceKey, other_key: DeviceKey
) -> None:
    device = house.public_device(key, **QUICK)
    await device.start()
    form = await house.answer(await house.until_card())
    assert form["step_id"] == "rpk"
    assert house.said(form)["fingerprint"] == sha256(key.public_der()).hexdigest()
    form = await house.answer(form, {"fingerprint_matches": False})
    assert form["errors"] == {"fingerprint_matches": "not_compared"}
    form = await house.answer(form, {"fingerprint_matches": False, "public_key": "no key"})
    assert form["errors"] == {"public_key": "not_usable"}
    assert house.said(form)["error"]
    form = await house.answer(form, {"fingerprint_matches": True, "public_key": other_key.public_key.read_text()})
    assert form["errors"] == {"public_key": "other_public_key"}
    result = await finished(house, await house.answer(form, {"fingerprint_matches": True}))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {
        "kind": "device",
        "endpoint": ENDPOINT,
        "mode": "rpk",
        "public_key": b64encode(key.public_der()).decode(),
    }
    await house.until_value("/3303/0/5700", "21.5")
    assert len(device.seen("registered")) == 1


async def test_a_raw_public_key_by_card_compared_by_us(house: House, server: MockConfigEntry, key: DeviceKey) -> None:
    await house.public_device(key, **QUICK).start()
    form = await house.answer(await house.until_card())
    fields = {"fingerprint_matches": False, "public_key": key.public_key.read_text()}
    result = await finished(house, await house.answer(form, fields))
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_raw_public_key_by_hand(
    house: House, server: MockConfigEntry, key: DeviceKey, other_key: DeviceKey
) -> None:
    form = await house.choose(await house.start_flow(), "manual_rpk")
    form = await house.answer(form, {"endpoint": " ", "public_key": "?"})
    assert form["errors"] == {"endpoint": "bad_endpoint", "public_key": "not_usable"}
    fields = {"endpoint": ENDPOINT, "public_key": key.public_key.read_text()}
    form = await house.answer(form, fields)
    assert form["step_id"] == "show_server"
    assert house.said(form)["uri"] == f"coaps://127.0.0.1:{server.options['ports']['port']}"
    identity = house.hub.server.server_identity
    assert identity is not None
    assert house.said(form)["public_key_fingerprint"] == sha256(identity.public_key).hexdigest()
    progress = await house.answer(form, {})
    # A device with another key calls: it may be the one, with a mistake in its settings.
    stranger = house.public_device(other_key, **QUICK)
    await stranger.start()
    await house.until(lambda: house.hub.server.refusals[Reason.UNKNOWN_PUBLIC_KEY])
    await house.hass.async_block_till_done()
    shown = await house.answer(progress)
    assert shown["progress_action"] == "refused_so_far"
    assert "public key is not on file" in house.said(shown)["detail"]
    await stranger.vanish()
    await house.public_device(key, **QUICK).start()
    result = await finished(house, progress)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await house.until_value("/3303/0/5700", "21.5")


async def test_a_public_key_that_another_device_has(house: House, server: MockConfigEntry, key: DeviceKey) -> None:
    await house.add_entry("urn:other", RawPublicKey(key.public_der()))
    form = await house.choose(await house.start_flow(), "manual_rpk")
    form = await house.answer(form, {"endpoint": ENDPOINT, "public_key": key.public_key.read_text()})
    assert form["errors"] == {"base": "public_key_in_use"}


async def test_a_new_raw_public_key(
    house: House, server: MockConfigEntry, key: DeviceKey, other_key: DeviceKey
) -> None:
    entry = await house.add_entry(ENDPOINT, RawPublicKey(key.public_der()))
    device = house.public_device(key, **QUICK)
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    await device.stop()
    await house.until_value("/3303/0/5700", "unavailable")
    changed = house.public_device(other_key, **QUICK)
    await changed.start()
    form = await until_reauth(house, "reauth_public_key")
    assert house.said(form)["known"] == sha256(key.public_der()).hexdigest()
    assert house.said(form)["fingerprint"] == sha256(other_key.public_der()).hexdigest()
    result = await finished(house, await house.answer(form, {"fingerprint_matches": True}))
    assert result["reason"] == "reauth_successful"
    assert entry.data["public_key"] == b64encode(other_key.public_der()).decode()
    await house.until_value("/3303/0/5700", "21.5")
    await house.hass.async_block_till_done(wait_background_tasks=True)
    assert house.flows() == []


async def test_the_question_goes_when_the_device_comes_with_its_old_key(
    house: House, server: MockConfigEntry, key: DeviceKey, other_key: DeviceKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.add_entry(ENDPOINT, RawPublicKey(key.public_der()))
    device = house.public_device(key, **QUICK)
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    await device.stop()
    stranger = house.public_device(other_key, **QUICK)
    await stranger.start()
    await house.until(lambda: [one for one in house.flows() if one["context"]["source"] == SOURCE_REAUTH])
    await stranger.vanish()
    # Somebody looks at it: it is not taken away from under their eyes.
    await until_reauth(house, "reauth_public_key")
    back = house.public_device(key, **QUICK)
    await back.start()
    await house.until_value("/3303/0/5700", "21.5")
    assert [one for one in house.flows() if one["context"]["source"] == SOURCE_REAUTH]
    monkeypatch.setattr(pairing_flow, "DIALOG", 0.0)
    back.update()
    await house.until(lambda: not [one for one in house.flows() if one["context"]["source"] == SOURCE_REAUTH])


# Certificates


async def test_a_certificate_pinned_by_card(
    house: House,
    server: MockConfigEntry,
    pinned: DeviceKey,
    signed: DeviceKey,
    hass_client: ClientSessionGenerator,
) -> None:
    await house.public_device(pinned, chain=True, **QUICK).start()
    card = await house.until_card()
    assert card["context"]["title_placeholders"] == {"name": ENDPOINT}
    menu = await house.answer(card)
    assert menu["menu_options"] == ["pin_certificate", "by_authority"]
    form = await house.choose(menu, "pin_certificate")
    assert house.said(form)["fingerprint"] == sha256(pinned.certificate_der()).hexdigest()
    assert house.said(form)["known"] == "-"
    form = await house.answer(form, {"fingerprint_matches": False})
    assert form["errors"] == {"fingerprint_matches": "not_compared"}
    form = await house.answer(form, {"fingerprint_matches": False, "certificate": "none"})
    assert form["errors"] == {"certificate": "not_usable"}
    gone = {"fingerprint_matches": True, "certificate_file": str(uuid4())}
    form = await house.answer(form, gone)
    assert form["errors"] == {"certificate": "not_usable"}
    assert "choose it again" in house.said(form)["error"]
    file = await uploaded(hass_client, signed.certificate)
    form = await house.answer(form, {"fingerprint_matches": True, "certificate_file": file})
    assert form["errors"] == {"certificate": "other_certificate"}
    file = await uploaded(hass_client, pinned.certificate)
    progress = await house.answer(form, {"fingerprint_matches": False, "certificate_file": file})
    result = await finished(house, progress)
    assert result["data"]["mode"] == "certificate"
    assert result["data"]["certificate"] == b64encode(pinned.certificate_der()).decode()
    await house.until_value("/3303/0/5700", "21.5")


async def test_a_certificate_of_a_ca_by_card(
    house: House, server: MockConfigEntry, signed: DeviceKey, authority: DeviceKey, tmp_path: Path
) -> None:
    await house.public_device(signed, chain=True, **QUICK).start()
    form = await house.choose(await house.answer(await house.until_card()), "by_authority")
    form = await house.answer(form, {})
    assert form["errors"] == {"base": "no_authority"}
    form = await house.answer(form, {"authority": signed.certificate.read_text()})
    assert form["errors"] == {"authority": "not_usable"}
    other = make_authority(tmp_path / "keys", "other ca", "Other CA")
    form = await house.until_step(
        await house.answer(form, {"authority": other.certificate.read_text()}), "by_authority"
    )
    assert form["errors"] == {"base": "certificate_refused"}
    assert "chain" in house.said(form)["error"]
    assert "Other CA" in house.said(form)["authorities"]
    result = await finished(house, await house.answer(form, {"authority": authority.certificate.read_text()}))
    assert result["data"] == {"kind": "device", "endpoint": ENDPOINT, "mode": "certificate"}
    assert len(server.data["authorities"]) == 2
    await house.until_value("/3303/0/5700", "21.5")


async def test_a_ca_is_no_help_for_a_device_that_is_on_file_already(
    house: House, server: MockConfigEntry, signed: DeviceKey, authority: DeviceKey
) -> None:
    await house.add_device()
    await house.public_device(signed, chain=True, **QUICK).start()
    form = await house.choose(await house.answer(await house.until_card()), "by_authority")
    result = await house.answer(form, {"authority": authority.certificate.read_text()})
    assert result["reason"] == "endpoint_in_use"
    assert "authorities" not in server.data


async def test_a_certificate_by_hand(
    house: House,
    server: MockConfigEntry,
    pinned: DeviceKey,
    signed: DeviceKey,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    form = await house.choose(await house.start_flow(), "manual_certificate")
    form = await house.answer(form, {"endpoint": ENDPOINT})
    assert form["errors"] == {"base": "no_authority"}
    form = await house.answer(form, {"endpoint": ENDPOINT, "certificate": pinned.certificate.read_text()})
    assert form["step_id"] == "show_server"
    menu = await house.until_step(await house.answer(form, {}), "no_answer")
    form = await house.choose(menu, "change_credential")
    assert form["step_id"] == "manual_certificate"
    form = await house.answer(form, {"endpoint": ENDPOINT, "certificate": signed.certificate.read_text()})
    progress = await house.answer(form, {})
    menu = await house.until_step(progress, "no_answer")
    monkeypatch.setattr(pairing, "PATIENCE", 60.0)
    await house.public_device(pinned, chain=True, **QUICK).start()
    form = await house.until_step(await house.choose(menu, "wait"), "manual_certificate")
    assert form["errors"] == {"base": "certificate_refused"}
    form = await house.answer(form, {"endpoint": ENDPOINT, "certificate": pinned.certificate.read_text()})
    result = await finished(house, await house.answer(form, {}))
    assert result["data"]["certificate"] == b64encode(pinned.certificate_der()).decode()


async def test_a_certificate_that_another_device_has(house: House, server: MockConfigEntry, pinned: DeviceKey) -> None:
    await house.add_entry("urn:other", Certificate(pinned.certificate_der()))
    form = await house.choose(await house.start_flow(), "manual_certificate")
    form = await house.answer(form, {"endpoint": ENDPOINT, "certificate": pinned.certificate.read_text()})
    assert form["errors"] == {"base": "certificate_in_use"}


async def test_a_new_certificate(house: House, server: MockConfigEntry, pinned: DeviceKey, signed: DeviceKey) -> None:
    entry = await house.add_entry(ENDPOINT, Certificate(signed.certificate_der()))
    await house.public_device(pinned, chain=True, **QUICK).start()
    menu = await until_reauth(house, "reauth_certificate")
    form = await house.choose(menu, "pin_certificate")
    assert house.said(form)["known"] == sha256(signed.certificate_der()).hexdigest()
    result = await finished(house, await house.answer(form, {"fingerprint_matches": True}))
    assert result["reason"] == "reauth_successful"
    assert entry.data["certificate"] == b64encode(pinned.certificate_der()).decode()
    await house.until_value("/3303/0/5700", "21.5")


async def test_a_certificate_without_the_name_of_the_device(
    house: House, server: MockConfigEntry, tmp_path: Path, authority: DeviceKey
) -> None:
    entry = await house.add_entry(ENDPOINT, Certificate())
    nameless = make_certificate(tmp_path / "keys", "nameless", "somebody", authority)
    shown = b64encode(nameless.certificate_der()).decode()
    entry.async_start_reauth(house.hass, data={"shown": shown})
    form = await house.choose(await until_reauth(house, "reauth_certificate"), "by_authority")
    form = await house.answer(form, {"authority": authority.certificate.read_text()})
    assert form["errors"] == {"base": "no_name"}


async def test_another_certificate_and_another_key_by_reconfiguration(
    hass: HomeAssistant, house: House, server: MockConfigEntry, key: DeviceKey, pinned: DeviceKey, impatient: None
) -> None:
    entry = await house.add_device()
    form = await house.choose(await reconfigure(hass, entry), "set_rpk")
    form = await house.answer(form, {"public_key": "?"})
    assert form["errors"] == {"public_key": "not_usable"}
    form = await house.answer(form, {"public_key": key.public_key.read_text()})
    assert form["step_id"] == "show_server"
    menu = await house.until_step(await house.answer(form, {}), "no_answer")
    assert (await house.choose(menu, "add_anyway"))["reason"] == "reconfigure_successful"
    assert entry.data["mode"] == "rpk"
    await house.public_device(key, **QUICK).start()
    await house.until_value("/3303/0/5700", "21.5")

    form = await house.choose(await reconfigure(hass, entry), "set_certificate")
    form = await house.answer(form, {})
    assert form["errors"] == {"base": "no_authority"}
    form = await house.answer(form, {"certificate": pinned.certificate.read_text()})
    progress = await house.answer(form, {})
    await house.devices[0].vanish()
    await house.public_device(pinned, chain=True, **QUICK).start()
    form_or_finish = await house.until_step(progress, "finish")
    assert (await house.answer(form_or_finish, {}))["reason"] == "reconfigure_successful"
    assert entry.data["mode"] == "certificate"
    form = await house.choose(await reconfigure(hass, entry), "set_psk")
    assert form["step_id"] == "set_psk"


async def test_removing_a_device_ends_its_association(house: House, server: MockConfigEntry, key: DeviceKey) -> None:
    entry = await house.add_entry(ENDPOINT, RawPublicKey(key.public_der()))
    device = house.public_device(key, **QUICK)
    await device.start()
    await house.until_value("/3303/0/5700", "21.5")
    await house.hass.config_entries.async_remove(entry.entry_id)
    await device.wait_for("connection_lost")
    card = await house.until_card()
    assert card["step_id"] == "rpk"


# Without security


async def test_a_device_without_security_by_card(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    hass.config_entries.async_update_entry(server, options={**server.options, "nosec": {"enabled": True, "port": 0}})
    await hass.config_entries.async_reload(server.entry_id)
    device = house.device(secure=False)
    await device.start()
    card = await house.until_card()
    assert card["context"]["title_placeholders"] == {"name": f"{ENDPOINT} (unproven)"}
    form = await house.answer(card)
    assert form["step_id"] == "nosec"
    result = await house.answer(form, {})
    assert result["data"] == {"kind": "device", "endpoint": ENDPOINT, "mode": "nosec"}
    await house.until_value("/3303/0/5700", "21.5")
    await hass.config_entries.async_remove(result["result"].entry_id)
    assert ENDPOINT not in house.hub.server.devices


async def test_a_device_without_security_that_is_added_meanwhile(
    hass: HomeAssistant, house: House, server: MockConfigEntry
) -> None:
    hass.config_entries.async_update_entry(server, options={**server.options, "nosec": {"enabled": True, "port": 0}})
    await hass.config_entries.async_reload(server.entry_id)
    await house.device(secure=False).start()
    form = await house.answer(await house.until_card())
    await house.add_device(key=KEY)
    open_now = [one for one in house.flows() if one["flow_id"] == form["flow_id"]]
    if open_now:
        assert (await house.answer(form, {}))["reason"] == "endpoint_in_use"
