"""What a user may hand to others: what it says of security, and that no secret and no name is in it or in the log."""

import json
import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.discovery_flow import DiscoveryKey
from homeassistant.helpers.json import ExtendedJSONEncoder
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m.const import DOMAIN, device_unique_id
from custom_components.lwm2m.diagnostics import async_get_config_entry_diagnostics
from custom_components.lwm2m.entry_data import device_data
from custom_components.lwm2m.security.cipher_suite import MANDATORY
from custom_components.lwm2m.security.credential import Certificate, Credential, Psk, RawPublicKey
from custom_components.lwm2m.security.refusal import Reason
from tests.attack.test_secrets import forms
from tests.interop import peers
from tests.interop.pki import Pki

from .house import House
from .stranger import Stranger

PSK_KEY = bytes.fromhex("a1b2c3d4e5f60718293a4b5c6d7e8f90")
WRONG_KEY = bytes.fromhex("0badc0ffee0ddf00dcafe0123456789a")
IDENTITY = b"ident\xff-of-a-board"


async def add(house: House, endpoint: str, credential: Credential | None) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id=device_unique_id(endpoint),
        title=endpoint,
        data=device_data(endpoint, credential),
        discovery_keys=MappingProxyType(
            {DOMAIN: (DiscoveryKey(domain=DOMAIN, key=f"psk:{IDENTITY.hex()}", version=1),)}
        ),
    )
    entry.add_to_hass(house.hass)
    assert await house.hass.config_entries.async_setup(entry.entry_id)
    await house.hass.async_block_till_done()
    return entry


async def diagnostics(hass: HomeAssistant, entry: ConfigEntry) -> Any:
    """Return them as the file has them."""
    return json.loads(json.dumps(await async_get_config_entry_diagnostics(hass, entry), cls=ExtendedJSONEncoder))


def seen_in(text: str, data: bytes) -> Iterator[str]:
    """Return the forms in which bytes are in a text."""
    lower = text.lower()
    for form, written in forms(data):
        if written in (lower if form == "hex" else text):
            yield form


async def until_there(house: House, endpoint: str) -> None:
    await house.until(lambda: house.value("#connectivity", endpoint) == "on")


async def test_the_security_of_devices(
    hass: HomeAssistant, house: House, server: MockConfigEntry, pki: Pki, everything_enabled: None
) -> None:
    entries = {
        "urn:psk": await add(house, "urn:psk", Psk(IDENTITY, PSK_KEY)),
        "urn:rpk": await add(house, "urn:rpk", RawPublicKey(pki.spki("client"))),
        "urn:crt": await add(house, "urn:crt", Certificate(pki.der("pinned"))),
    }
    assert (await diagnostics(hass, entries["urn:rpk"]))["device"]["security"] is None
    raw: dict[str, Any] = {"private_key": Path(pki.key("client"))}
    pinned: dict[str, Any] = {"private_key": Path(pki.key("pinned")), "chain": Path(pki.pem("pinned"))}
    await house.device(endpoint="urn:psk", identity=IDENTITY, key=PSK_KEY).start()
    await house.device(endpoint="urn:rpk", **raw).start()
    await house.device(endpoint="urn:crt", **pinned).start()
    expected = {
        "urn:psk": ("psk", "TLS_PSK_WITH_AES_128_CCM_8", None, None),
        "urn:rpk": ("rpk", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", "P-256", pki.spki("client")),
        "urn:crt": ("certificate", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", "P-256", pki.der("pinned")),
    }
    for endpoint, (mode, suite, curve, shown) in expected.items():
        await until_there(house, endpoint)
        fingerprint = None if shown is None else sha256(shown).hexdigest()
        about = (await diagnostics(hass, entries[endpoint]))["device"]
        security = house.hub.server.devices[endpoint].security
        assert security is not None
        assert about["security"] == {
            "mode": mode, "suite": suite, "curve": curve, "peer_fingerprint": fingerprint, "since": security.since,
        }  # fmt: skip
        assert about["refusals"] == 0
        assert house.value("#security", endpoint) == mode
        assert house.value("#cipher_suite", endpoint) == suite
        assert house.value("#curve", endpoint) == (curve or "unknown")
        assert house.value("#peer_fingerprint", endpoint) == (fingerprint or "unknown")


async def test_the_security_of_the_server(hass: HomeAssistant, house: House, server: MockConfigEntry, pki: Pki) -> None:
    about = (await diagnostics(hass, server))["server"]
    assert about["suites"] == list(MANDATORY)
    assert about["nosec_port"] is None
    assert about["public_key_fingerprint"] == sha256(house.hub.keys.active.identity.public_key).hexdigest()
    assert about["authorities_trusted"] == 0
    assert about["refusals"] == {}
    await house.hub.async_trust([pki.der("ca")])
    stranger = Stranger(house, pki)
    await stranger.call_plainly(times=2)
    await stranger.call(peers.s_client_psk("PSK-AES128-GCM-SHA256"))
    about = (await diagnostics(hass, server))["server"]
    assert about["authorities_trusted"] == 1
    assert about["refusals"] == {"no_permitted_suite": 1, "plaintext": 2}


async def test_no_secret_and_no_name_is_said(
    hass: HomeAssistant, house: House, server: MockConfigEntry, pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("aiocoap", "coap", "coap-server", "custom_components.lwm2m"):
        caplog.set_level(logging.DEBUG, name)
    await house.hub.async_trust([pki.der("ca")])
    entries: dict[str, ConfigEntry] = {
        "server": server,
        "urn:psk": await add(house, "urn:psk", Psk(IDENTITY, PSK_KEY)),
        "urn:mistaken": await add(house, "urn:mistaken", Psk(b"mistaken", PSK_KEY[::-1])),
        "urn:rpk": await add(house, "urn:rpk", RawPublicKey(pki.spki("client"))),
        "urn:crt": await add(house, "urn:crt", Certificate(pki.der("pinned"))),
        "urn:any": await add(house, "urn:any", Certificate()),
        "urn:none": await add(house, "urn:none", None),
    }
    await house.device(endpoint="urn:psk", identity=IDENTITY, key=PSK_KEY).start()
    await house.device(endpoint="urn:rpk", private_key=Path(pki.key("client"))).start()
    await house.device(endpoint="urn:mistaken", identity="mistaken", key=WRONG_KEY, handshake_timeout=1.0).start()
    await until_there(house, "urn:psk")
    await until_there(house, "urn:rpk")
    await house.until(lambda: house.hub.server.refusals[Reason.WRONG_KEY])
    await Stranger(house, pki).call(peers.s_client_certificate("ECDHE-ECDSA-AES128-CCM8", name="expired"))
    await hass.config_entries.async_reload(entries["urn:psk"].entry_id)
    told = json.dumps([await diagnostics(hass, entry) for entry in entries.values()])

    names = {"identity": IDENTITY, "ca": pki.der("ca"), "public key": pki.spki("client"), "pinned": pki.der("pinned")}
    for what, data in names.items():
        assert not list(seen_in(told, data)), what
    for endpoint in entries:
        assert endpoint == "server" or endpoint not in told

    own = house.hub.keys.active.identity.private_key
    number = load_der_private_key(own, None)
    assert isinstance(number, ec.EllipticCurvePrivateKey)
    secrets = {
        "key": PSK_KEY,
        "other key": PSK_KEY[::-1],
        "wrong key": WRONG_KEY,
        "server's key": own,
        "number of the server's key": number.private_numbers().private_value.to_bytes(32),
    }
    for what, data in secrets.items():
        assert not list(seen_in(told, data)), what
        assert not list(seen_in(caplog.text, data)), f"{what} in the log"
