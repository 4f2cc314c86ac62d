"""Every other way to prove oneself, seen in Chromium: raw public keys, certificates, none; and what repairs say.

As in test_user.py: one Home Assistant and one browser for all chapters, in this order, and pictures of all that is
seen, in build/screenshots_of_modes.
"""

import re
import socket
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import pytest

from scripts.lib.develop import add_server
from scripts.lib.home import ROOT, free_port
from tests.device_keys import DeviceKey, make_authority, make_certificate, make_key

from .dialog import Dialog
from .stage import Stage, card_of, entry_of, stage

PICTURES = ROOT / "build" / "screenshots_of_modes"

LIGHT = "urn:dev:ops:0A1B2C-LC9-2600111"
WEATHER = "urn:dev:ops:0A1B2C-WX3-2600148"
CONTACT = "urn:dev:ops:0A1B2C-DW5-2600259"
PANEL = "urn:dev:ops:0A1B2C-WP4-2600296"

DASHBOARD, INTEGRATION, REPAIRS = (
    "config/integrations/dashboard",
    "config/integrations/integration/lwm2m",
    "config/repairs",
)


@pytest.mark.timeout(280)
async def test_the_other_modes(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    async with stage(tmp_path, PICTURES) as browser:
        await add_server(browser.client, browser.coaps_port)
        await add_by_public_key(browser, make_key(keys, "light"))
        await add_by_authority(browser, keys)
        await add_without_security(browser)
        await accept_a_new_key(browser, make_key(keys, "light_next"))
        await see_distrust(browser, make_key(keys, "panel"), make_key(keys, "other_server"))
        await switch_the_identity(browser)
    assert browser.faults == []


async def add_by_public_key(browser: Stage, key: DeviceKey) -> None:
    dialog, shown = Dialog(browser.page), fingerprint_of(key)
    device = await browser.device("light", endpoint=LIGHT, private_key=key.private_key)
    await open_card(browser, "Raw public key", "discovered_public_key")
    await browser.picture("public_key_form", "Is this the key of your device?", shown)
    await dialog.press("Next")
    await browser.picture("public_key_not_compared", "Compare the fingerprint first")
    await dialog.tick("I have compared it")
    await dialog.press("Next")
    await browser.picture("public_key_proven", "The device is connected", LIGHT)
    await device.wait_for("registered")
    await dialog.press("Submit")
    await browser.picture("public_key_success", "Name and assign")
    await dialog.press("Skip and finish")
    await browser.page.wait_for_url(re.compile("/config/devices/device/"))
    await browser.picture("public_key_device", "Raw public key", "Connected", "Controls")


async def add_by_authority(browser: Stage, keys: Path) -> None:
    dialog, authority = Dialog(browser.page), make_authority(keys, "authority", "Nordfeld Device CA")
    key = make_certificate(keys, "weather", WEATHER, authority)
    await browser.device("weather", endpoint=WEATHER, private_key=key.private_key, chain=key.certificate)
    await open_card(browser, WEATHER, "discovered_certificate")
    await browser.picture("certificate_menu", "Why trust this certificate?", WEATHER, "Nordfeld Device CA")
    await dialog.choose("A CA that I trust has signed it")
    await browser.picture("authority_form", "Which CA has signed the certificate?", "Trusted CAs: -")
    await dialog.fill("Certificate of the CA", authority.certificate.read_text())
    await dialog.press("Next")
    await browser.picture("certificate_proven", "The device is connected", WEATHER)
    await dialog.press("Submit")
    await browser.picture("certificate_success", "Name and assign")
    await dialog.press("Skip and finish")
    await browser.page.wait_for_url(re.compile("/config/devices/device/"))
    await browser.picture("certificate_device", "Certificate", "Connected")
    await open_settings(browser, "Trusted CAs")
    await browser.picture("trusted_authorities", "Nordfeld Device CA", "Devices that rely on this: 1.", "Remove a CA")
    await dialog.choose("Done")
    await browser.picture("trusted_authorities_done", "Success")
    await dialog.end("Finish")


async def add_without_security(browser: Stage) -> None:
    dialog, port = Dialog(browser.page), free_port(socket.SOCK_DGRAM)
    await open_settings(browser, "Security")
    await browser.picture("security_settings", "Further cipher suites", "Warning: nothing of a device")
    await dialog.tick("Let in devices without security")
    await dialog.fill("UDP port", str(port))
    await dialog.press("Submit")
    await browser.picture("security_saved", "Success")
    await dialog.end("Finish")
    await browser.device("contact", endpoint=CONTACT, coap_port=port)
    await open_card(browser, CONTACT, "discovered_unproven")
    await browser.picture("no_security_form", "Take a device without security?", "It has proven nothing", CONTACT)
    await dialog.press("Submit")
    await browser.picture("no_security_success", "Name and assign")
    await dialog.press("Skip and finish")
    await browser.page.wait_for_url(re.compile("/config/devices/device/"))
    await browser.picture("no_security_device", "Connected", "Security", "None")


async def accept_a_new_key(browser: Stage, key: DeviceKey) -> None:
    dialog, known = Dialog(browser.page), browser.devices[LIGHT].settings.private_key
    assert known is not None
    await browser.devices[LIGHT].stop()
    await browser.device("light", endpoint=LIGHT, private_key=key.private_key)
    await browser.open(DASHBOARD)
    card = card_of(browser, LIGHT)
    await card.wait_for()
    await browser.picture("new_key_card", "Reconfigure")
    await card.get_by_role("button", name="Reconfigure").click()
    both = fingerprint_of(DeviceKey(known.parent, known.stem)), fingerprint_of(key)
    await browser.picture("new_key_form", "Has the device a new key?", *both)
    await dialog.tick("I have compared it")
    await dialog.press("Next")
    await browser.picture("new_key_proven", "The device is connected", LIGHT)
    await dialog.press("Submit")
    await browser.picture("new_key_accepted", "Re-authentication was successful")
    await dialog.end("Close")
    await browser.devices[LIGHT].wait_for("registered")


async def see_distrust(browser: Stage, key: DeviceKey, other: DeviceKey) -> None:
    page, dialog = browser.page, Dialog(browser.page)
    await browser.device("panel", endpoint=PANEL, private_key=key.private_key, server_key=other.public_der())
    await browser.open(REPAIRS)
    await browser.picture("distrust_repair", "does not trust this server")
    await page.get_by_text("does not trust this server").click()
    await browser.picture("distrust_dialog", "Make the device trust this server", "SHA-256 of the server's public key")
    assert "BEGIN PUBLIC KEY" in await dialog.field("Public key (PEM)").input_value()
    await browser.devices[PANEL].stop()
    await dialog.press("Submit")
    await browser.picture("distrust_closed", "repaired")


async def switch_the_identity(browser: Stage) -> None:
    dialog = Dialog(browser.page)
    await open_settings(browser, "Server identity")
    await browser.picture("identity", "By this key devices", "Make a new key", "Use a key of your own")
    await dialog.choose("Show what is in use")
    await browser.picture("identity_in_use", "The server's key and certificate", "certificate.pem")
    assert "::1" not in await dialog.locator.locator("table").inner_text()
    first = await shown_key(dialog)
    assert (await downloaded(browser, "public_key.pem")) == first
    await dialog.press("Next")
    await dialog.choose("Make a new key")
    await browser.picture("identity_to_make", "Names of the server")
    await dialog.press("Next")
    await browser.picture("identity_made", "The key and certificate that are not in use")
    second = await shown_key(dialog)
    await dialog.press("Next")
    await browser.picture("identities", der_fingerprint(first), der_fingerprint(second))
    await dialog.choose("Switch to the one that is not in use")
    await browser.picture("identity_switch", "Switch to the other key?", LIGHT, WEATHER)
    await dialog.press("Next")
    await browser.picture("identity_switched", "Delete the one that is not in use", der_fingerprint(second))
    await see_registered(browser, second)
    await dialog.choose("Switch to the one that is not in use")
    await dialog.press("Next")
    await see_registered(browser, first)
    await dialog.choose("Delete the one that is not in use")
    await browser.picture("identity_to_delete", "It cannot be brought back.", der_fingerprint(second))
    await dialog.press("Next")
    await browser.picture("identity_alone", "Make a new key", der_fingerprint(first))
    await dialog.choose("Done")
    await dialog.end("Finish")


async def shown_key(dialog: Dialog) -> bytes:
    """Return the public key that the dialog shows, as DER."""
    return der_of(await dialog.field("Public key (PEM)").input_value())


async def see_registered(browser: Stage, server_key: bytes) -> None:
    """See that a device that trusts this key of the server alone shakes hands and registers."""
    private_key = browser.devices[LIGHT].settings.private_key
    await browser.devices[LIGHT].stop()
    device = await browser.device("light", endpoint=LIGHT, private_key=private_key, server_key=server_key)
    await device.wait_for("registered")


async def downloaded(browser: Stage, name: str) -> bytes:
    """Press a link to a PEM file, and return what is in the file."""
    async with browser.page.expect_download() as download:
        await browser.page.get_by_role("link", name=name).click()
    return der_of((await (await download.value).path()).read_text())


def der_of(pem: str) -> bytes:
    """Return what is between the first and the last line."""
    return b64decode("".join(pem.strip().splitlines()[1:-1]))


def der_fingerprint(der: bytes) -> str:
    """Return by what people compare a public key that is at hand as DER."""
    return sha256(der).hexdigest()


async def open_card(browser: Stage, name: str, picture: str) -> None:
    """Wait for the card of a device that called, and press its button."""
    await browser.open(DASHBOARD)
    card = card_of(browser, name)
    await card.wait_for()
    await browser.picture(picture, "Ignore", of=card)
    await card.get_by_role("button", name="Add").click()


async def open_settings(browser: Stage, topic: str) -> None:
    """Choose from the menu of the server's settings."""
    await browser.open(INTEGRATION)
    await entry_of(browser, "LwM2M server").get_by_role("button", name="Configure").click()
    await Dialog(browser.page).choose(topic)


def fingerprint_of(key: DeviceKey) -> str:
    """Return by what people compare a public key."""
    return der_fingerprint(key.public_der())
