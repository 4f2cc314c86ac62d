"""What a new user does, from adding the server to a device with a generated key, seen in Chromium.

One Home Assistant and one browser for all chapters, in this order; pictures of all that is seen are in
build/screenshots. A text with a placeholder or a key of a translation in it is a fault.
"""

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator

from scripts.lib.home import ROOT

from .dialog import ALONE, Dialog
from .stage import Stage, card_of, entry_of, stage

PICTURES = ROOT / "build" / "screenshots"

ENDPOINT, IDENTITY = "urn:dev:ops:0A1B2C-THP2-2600037", "climate-cellar"
KEY, WRONG_KEY, NEXT_KEY = bytes(range(16)), bytes(16), bytes(range(16, 32))
PLUG = "urn:dev:ops:0A1B2C-SP16-2600074"


@pytest.mark.timeout(280)
async def test_what_a_user_does(tmp_path: Path) -> None:
    async with stage(tmp_path, PICTURES) as browser:
        await add_the_server(browser)
        await add_a_discovered_device(browser)
        await see_its_page(browser)
        await give_it_another_key(browser)
        await add_a_device_by_hand(browser)
        await switch_it(browser)
        await change_settings(browser)
        await delete_it(browser)
    assert browser.faults == []


async def add_the_server(browser: Stage) -> None:
    page, dialog = browser.page, Dialog(browser.page)
    await browser.open("config/integrations/dashboard")
    await page.get_by_role("button", name="Add integration").click()
    await page.locator("dialog-add-integration input").fill("LwM2M")
    await browser.picture("choose_integration", "LwM2M Server")
    await page.locator("ha-integration-list-item").filter(has_text="LwM2M Server").click()
    await browser.picture("server", "Set up the LwM2M server", "All addresses", "5684")
    await dialog.fill("UDP port", str(browser.coaps_port))
    await dialog.select("Network address", "127.0.0.1")
    await dialog.press("Submit")
    await browser.picture("server_added", "The server listens.")
    await dialog.press("Skip and finish")
    await browser.picture("server_page", "Service info", "LwM2M server", "Refused connection")
    await browser.open("config/integrations/integration/lwm2m")
    await page.get_by_role("button", name="Add LwM2M device").wait_for()


async def add_a_discovered_device(browser: Stage) -> None:
    page, dialog = browser.page, Dialog(browser.page)
    device = await browser.device("sensor", endpoint=ENDPOINT, identity=IDENTITY, key=KEY)
    await browser.picture("integration_page", "Discovered", IDENTITY)
    await browser.open("config/integrations/dashboard")
    card = card_of(browser, IDENTITY)
    await card.wait_for()
    await browser.picture("discovered_card", "Ignore", of=card)
    await card.get_by_role("button", name="Add").click()
    await browser.picture("key_form", "Enter the key of the device", IDENTITY, of=dialog.window, style=ALONE)

    await dialog.fill("Pre-shared key", "no key")
    await dialog.press("Next")
    await browser.picture("not_a_key", "This is neither hexadecimal nor Base64.")
    await device.vanish()
    await dialog.fill("Pre-shared key", WRONG_KEY.hex())
    await dialog.press("Next")
    await browser.picture("waiting", "Waiting for the device", "You may close this window.")
    await device.start()
    await browser.picture("wrong_key", "this key is not the right one")
    await dialog.fill("Pre-shared key", WRONG_KEY.hex())
    await dialog.press("Next")
    await browser.picture("wrong_key_again", "The key is wrong", "Keep waiting", "Add it anyway")
    await dialog.choose("Enter another key")
    await dialog.fill("Pre-shared key", KEY.hex())
    await dialog.press("Next")
    await browser.picture("proven", "The device is connected", ENDPOINT)
    await device.wait_for("registered")
    await dialog.press("Submit")
    await browser.picture("success", "Name and assign", "THP-2 Climate Sensor", of=dialog.window, style=ALONE)
    await dialog.press("Skip and finish")
    await page.wait_for_url(re.compile("/config/devices/device/"))


async def see_its_page(browser: Stage) -> None:
    page, device = browser.page, browser.devices[ENDPOINT]
    await page.get_by_text("21.5 °C").wait_for()
    facts = ("by Nordfeld", "Firmware: 1.4.2", "Hardware: B", "Serial number: NF2600037")
    entities = ("Temperature Indoor", "Humidity", "1,013.25 hPa", "Battery", "Connected", "Pre-shared key", "Restart")
    await browser.picture("device_page", *facts, *entities)
    device.set("/3303/0/5700", 24.5)
    await browser.picture("device_page_of_a_new_value", "24.5 °C")


async def give_it_another_key(browser: Stage) -> None:
    page, dialog = browser.page, Dialog(browser.page)
    await browser.devices[ENDPOINT].stop()
    await browser.picture("device_has_left", "Unavailable", "Disconnected")
    await browser.device("sensor", endpoint=ENDPOINT, identity=IDENTITY, key=NEXT_KEY)
    await browser.open("config/integrations/dashboard")
    await card_of(browser, ENDPOINT).wait_for()
    await browser.picture("reauthenticate_card", "Reconfigure")
    await card_of(browser, ENDPOINT).get_by_role("button", name="Reconfigure").click()
    await browser.picture("reauthenticate", "Enter the new key of the device", "with another key than the one on file")
    await dialog.fill("Pre-shared key", NEXT_KEY.hex())
    await dialog.press("Next")
    await browser.picture("reauthenticate_proven", "The device is connected")
    await dialog.press("Submit")
    await browser.picture("reauthenticated", "Re-authentication was successful")
    await dialog.press("Close")
    await page.locator("ha-integration-card").filter(has_text="LwM2M Server").click()
    await page.get_by_text("Nordfeld THP-2 Climate Sensor").click()
    await browser.picture("device_is_back", "21.5 °C", "Connected")


async def add_a_device_by_hand(browser: Stage) -> None:
    page, dialog = browser.page, Dialog(browser.page)
    await browser.open("config/integrations/integration/lwm2m")
    await page.get_by_role("button", name="Add LwM2M device").click()
    uri = f"coaps://127.0.0.1:{browser.coaps_port}"
    await browser.picture("add_device", "How does the device prove who it is?", uri)
    await dialog.choose("Pre-shared key")
    await browser.picture("add_device_form", "Leave empty if it is the endpoint name.")
    await dialog.fill("Endpoint name", PLUG)
    await dialog.press("Next")
    await browser.picture("generated_key", "Put this key into the device", "Then go on", of=dialog.window, style=ALONE)
    shown = await dialog.table()
    assert shown["Server URI"] == uri
    key = await dialog.field("Pre-shared key").input_value()
    assert key == shown["PSK key (hexadecimal)"]
    assert await dialog.locator.locator("ha-qr-code canvas").is_visible()
    await dialog.press("Next")
    await browser.picture("waiting_for_generated_key", "Waiting for the device", PLUG)

    mistyped = await browser.device("plug", endpoint=PLUG, identity=shown["PSK identity"], key=WRONG_KEY)
    await browser.picture("waiting_after_wrong_key", "with another key (call 1)")
    await mistyped.stop()
    await browser.device("plug", endpoint=PLUG, identity=shown["PSK identity"], key=bytes.fromhex(key))
    await browser.picture("proven_generated_key", "The device is connected")
    await dialog.press("Submit")
    await browser.picture("success_by_hand", "Name and assign", "SP-16 Smart Plug")
    await dialog.press("Skip and finish")
    await browser.picture("two_devices", "2 devices", "Nordfeld SP-16 Smart Plug", "Nordfeld THP-2 Climate Sensor")


async def switch_it(browser: Stage) -> None:
    page, device = browser.page, browser.devices[PLUG]
    await page.get_by_text("Nordfeld SP-16 Smart Plug").click()
    await page.get_by_text("Power Outlet").wait_for()
    row = page.locator("hui-toggle-entity-row").filter(has_text="Power Outlet")
    await row.locator("ha-switch, ha-control-switch").click()
    written = await device.wait_for("written")
    assert (written.fields["path"], written.fields["value"]) == ("/3312/0/5850", True)
    await browser.picture("switched_on", "Controls")


async def change_settings(browser: Stage) -> None:
    dialog = Dialog(browser.page)
    await browser.open("config/integrations/integration/lwm2m")
    server = entry_of(browser, "LwM2M server")
    await server.get_by_role("button", name="Configure").click()
    topics = ("Network", "Security", "Server identity", "Trusted CAs")
    await browser.picture("server_settings", "Server settings", *topics)
    await dialog.choose("Network")
    await browser.picture("network_settings", "Devices must call", "by default.", "127.0.0.1")
    await dialog.close()
    await menu(entry_of(browser, PLUG), "Reconfigure")
    modes = ("Pre-shared key", "Raw public key", "X.509 certificate")
    await browser.picture("device_settings", "Another credential for the device", *modes)
    await dialog.choose("Pre-shared key")
    await browser.picture("device_key", "A pre-shared key for the device", "PSK identity")
    await dialog.close()


async def delete_it(browser: Stage) -> None:
    page = browser.page
    before = await browser.client.entity_ids("lwm2m")
    kept = [unique_id for unique_id in before if not unique_id.startswith(PLUG)]
    assert 0 < len(kept) < len(before)
    await menu(entry_of(browser, PLUG), "Delete")
    await browser.picture("delete", "Delete", PLUG)
    await page.locator("dialog-box").get_by_role("button", name="Delete").click()
    await browser.picture("deleted_comes_back", "Discovered", PLUG, "1 device")
    assert list(await browser.client.entity_ids("lwm2m")) == kept


async def menu(row: Locator, item: str) -> None:
    """Choose from the menu at the end of a row of an entry."""
    await row.get_by_role("button", name="Menu").first.click()
    await row.get_by_role("menuitem", name=item).first.click()
