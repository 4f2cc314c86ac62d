"""The stage of a test in a browser: one Home Assistant, one page that is logged in, and devices that call.

All of it stays on this machine: neither the page nor Home Assistant, on its behalf, asks for anything elsewhere.
"""

import asyncio
import json
import re
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import FloatRect, Locator, Page, Request, ViewportSize, async_playwright

from scripts.lib.hass_client import HassClient, Json
from scripts.lib.home import PASSWORD, USER, Home, free_port
from tests.simulator import Settings, SimulatedClient
from tests.simulator.devices import DEVICES

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",  # which does not work for root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing but this machine exists.
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
VIEW: ViewportSize = {"width": 1100, "height": 960}
MARGIN = 16
PATIENCE = 30.0  # seconds that something may take to be shown

# Home Assistant would load these icons from the Internet.
OTHER_BRANDS = re.compile(r"/api/brands/(?!\w+/lwm2m/)")

VISIBLE_TEXT = """() => {
  const found = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      if (node.data.trim()) found.push(node.data.trim());
    } else if (node.nodeType === Node.ELEMENT_NODE && !["STYLE", "SCRIPT"].includes(node.tagName)) {
      const shown = node.checkVisibility() || getComputedStyle(node).display === "contents";
      if (!shown) return;
      if (node.tagName === "INPUT" && node.type !== "password" && node.value) found.push(node.value);
      const assigned = node.tagName === "SLOT" ? node.assignedNodes() : [];
      for (const child of assigned.length ? assigned : (node.shadowRoot ?? node).childNodes) walk(child);
    }
  };
  walk(document.querySelector("home-assistant"));
  return found.join("\\n");
}"""

# The frontend asks for components that this Home Assistant does not load, and does not mind the refusal.
MIND_NOT = """addEventListener("unhandledrejection", (event) => {
  if (event.reason?.code === "unknown_command") event.preventDefault();
});"""

FAULTS = re.compile(r"component\.|ui\.panel|config\.step|\{\w+\}|\[object|\bundefined\b|\bNaN\b|Translation error")
"""What a text looks like that was not translated, or in which something was not filled in."""


@dataclass(slots=True)
class Stage:
    """What a test acts on. `devices` are the latest by endpoint name, `faults` what was seen and must not be."""

    client: HassClient
    page: Page
    coaps_port: int
    pictures: Path
    devices: dict[str, SimulatedClient] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)
    _taken: int = 0

    async def device(self, make: str, *, endpoint: str, coap_port: int | None = None, **proof: Any) -> SimulatedClient:
        """Switch a device on; it is impatient, and goes on calling.

        `proof` is what it proves itself with, in the words of Settings. At `coap_port` it calls without security.
        """
        secured = f"coaps://127.0.0.1:{self.coaps_port}"
        settings = Settings(
            server=secured if coap_port is None else f"coap://127.0.0.1:{coap_port}",
            endpoint=endpoint,
            retry=1.0,
            handshake_timeout=3.0,
            **proof,
        )
        number = [*self.devices, endpoint].index(endpoint) + 1
        client = SimulatedClient(settings, DEVICES[make](number).model)
        self._exit.push_async_callback(client.stop)
        await client.start()
        self.devices[endpoint] = client
        return client

    async def open(self, path: str) -> None:
        """Go to a page of the frontend."""
        await self.page.goto(f"{self.client.url}/{path}")

    async def text(self) -> list[str]:
        """Return what the page shows, piece by piece; what is typed into fields too, but no password."""
        text = str(await self.page.evaluate(VISIBLE_TEXT))
        return [" ".join(line.split()) for line in text.splitlines()]  # with plain spaces

    async def until_shown(self, *words: str) -> list[str]:
        """Wait until the page shows all of these and is at rest, then return its text."""
        deadline = time.monotonic() + PATIENCE
        before: list[str] = []
        while True:
            text = await self.text()
            joined = " ".join(text)
            missing = [word for word in words if word not in joined]
            if not missing and text == before:
                return text
            assert time.monotonic() < deadline, f"{missing} did not come, but: {joined}"
            before = text
            await asyncio.sleep(0.1)

    async def picture(self, name: str, *words: str, of: Locator | None = None, style: str | None = None) -> None:
        """Keep a picture of the page once it shows `words`; of a part and what is around it, with more style.

        Texts in it that are not as they should be become faults.
        """
        text = await self.until_shown(*words)
        self._taken += 1
        path = self.pictures / f"{self._taken:02}_{name}.png"
        clip = None if of is None else around(await of.bounding_box())
        await self.page.screenshot(path=path, clip=clip, style=style, animations="disabled")
        self.faults += [f"{path.name}: {line}" for line in text if FAULTS.search(line)]


def around(box: FloatRect | None) -> FloatRect:
    """Return the place of something with a margin."""
    assert box is not None
    x, y = box["x"] - MARGIN, box["y"] - MARGIN
    return {"x": x, "y": y, "width": box["width"] + 2 * MARGIN, "height": box["height"] + 2 * MARGIN}


def card_of(browser: Stage, name: str) -> Locator:
    """Return the card of a discovered device, or of one that wants a new key."""
    return browser.page.locator("ha-config-flow-card").filter(has_text=name)


def entry_of(browser: Stage, title: str) -> Locator:
    """Return the row of an entry on the integration's page."""
    return browser.page.locator("ha-config-entry-row").filter(has_text=title)


@asynccontextmanager
async def stage(folder: Path, pictures: Path) -> AsyncIterator[Stage]:
    """Set the stage: Home Assistant's configuration in an empty folder, the pictures in another."""
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    home = Home(folder / "config", free_port(), log_level="debug")
    await home.seed()
    disable_marketplace(home)
    async with (
        home.running(),
        HassClient.connect(home.url, USER, PASSWORD) as client,
        AsyncExitStack() as devices,
        logged_in(client) as page,
    ):
        await client.until_running()
        set_up = Stage(client, page, free_port(socket.SOCK_DGRAM), pictures, _exit=devices)
        watch(page, client.url, set_up.faults)
        try:
            yield set_up
        except BaseException:
            await page.screenshot(path=pictures / "failed.png")
            shutil.copy(home.log, pictures / "failed.log")
            raise
    set_up.faults += [line for line in home.log.read_text().splitlines() if " ERROR " in line]


def disable_marketplace(home: Home) -> None:
    """Disable, as a user may, what would load its list from the Internet."""
    entry: Json = {
        "entry_id": "marketplace",
        "domain": "marketplace",
        "title": "",
        "source": "system",
        "unique_id": None,
        "version": 1,
        "data": {},
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "disabled_by": "user",
    }
    stored = {"version": 1, "minor_version": 1, "key": "core.config_entries", "data": {"entries": [entry]}}
    (home.config / ".storage" / "core.config_entries").write_text(json.dumps(stored))


@asynccontextmanager
async def logged_in(client: HassClient) -> AsyncIterator[Page]:
    """Run a browser, with a page that is logged in as the client is."""
    tokens = {
        **client.tokens.answer,
        "clientId": client.tokens.client_id,
        "hassUrl": client.url,
        "expires": int((time.time() + client.tokens.answer["expires_in"]) * 1000),
    }
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            context = await browser.new_context(viewport=VIEW, reduced_motion="reduce", locale="en-GB")
            await context.add_init_script(f"localStorage.hassTokens = {json.dumps(json.dumps(tokens))}")
            await context.add_init_script(MIND_NOT)
            await context.route(OTHER_BRANDS, lambda route: route.abort())
            context.set_default_timeout(PATIENCE * 1000)
            yield await context.new_page()
        finally:
            await browser.close()


def watch(page: Page, url: str, faults: list[str]) -> None:
    """Note what the page loads from elsewhere, and what goes wrong in it."""

    def loaded(request: Request) -> None:
        if not request.url.startswith((url, url.replace("http", "ws"), "data:", "blob:")):
            faults.append(f"loaded {request.url}")

    page.on("requestfinished", loaded)
    page.on("pageerror", lambda error: faults.append(f"error in the page: {error}"))
