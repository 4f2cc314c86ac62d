"""`scripts/develop --check`: the main job from a device's first hello to its entities, driven from outside.

In a fresh configuration and on free ports. Each step is printed when it was seen; the first that is not ends the run.
"""

import asyncio
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from . import devices
from .hass_client import POLL, HassClient, HassError
from .home import PASSWORD, PYTHON, USER, Home, free_port

DOMAIN = "lwm2m"
LIMIT = 90  # seconds for everything
SENSOR = devices.Settings(
    make="sensor", endpoint="urn:dev:ops:0A1B2C-THP2-2600037", identity="climate-cellar", interval=0
)
PLUG = devices.Settings(make="plug", endpoint="urn:dev:ops:0A1B2C-SP16-2600074", identity="plug-kitchen", interval=0)
LIGHT = devices.Settings(make="light", endpoint="urn:dev:ops:0A1B2C-LC9-2600111", mode="rpk", interval=0)
WEATHER = devices.Settings(make="weather", endpoint="urn:dev:ops:0A1B2C-WX3-2600148", mode="certificate", interval=0)
CONTACT = devices.Settings(make="contact", endpoint="urn:dev:ops:0A1B2C-DW5-2600259", mode="nosec", interval=0)
WRONG_KEY = bytes(16)

type AddServer = Callable[[HassClient, int], Awaitable[None]]


class Steps:
    """Says each step as it is seen, with the time since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._number = 0

    def seen(self, what: str) -> None:
        """Print one step."""
        self._number += 1
        print(f"{self._number:2}. {time.monotonic() - self._start:5.1f} s  {what}", flush=True)


async def check(*, port: int, add_server: AddServer) -> None:
    """Go through all steps; HassError, HomeError or DeviceError at the first that does not come."""
    folder = Path(tempfile.mkdtemp(prefix="lwm2m-check-"))
    steps = Steps()
    home, keys = Home(folder / "config", port, log_level="debug"), folder / "keys"
    try:
        async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
            await home.seed()
            await stack.enter_async_context(home.running())
            client = await stack.enter_async_context(HassClient.connect(home.url, USER, PASSWORD))
            await client.until_running()
            steps.seen(f"Home Assistant runs at {home.url}")
            ports = devices.Ports(coaps=free_port(socket.SOCK_DGRAM), coap=free_port(socket.SOCK_DGRAM))
            await add_server(client, ports.coaps)
            steps.seen(f"the server entry listens on 127.0.0.1:{ports.coaps}")

            async def start(settings: devices.Settings) -> devices.Device:
                log = folder / "devices.log"
                run = devices.running(PYTHON, settings, ports=ports, keys=keys, log=log)
                return await stack.enter_async_context(run)

            sensor, plug = await start(SENSOR), await start(PLUG)
            await pair(client, sensor, steps, wrong_first=True)
            await pair(client, plug, steps)
            await follow_sensor(client, sensor, steps)
            await turn_on(client, plug, steps)
            await start(LIGHT), await start(WEATHER)
            await pair_by_fingerprint(client, LIGHT, keys, steps)
            await pair_by_authority(client, WEATHER, keys, steps)
            await let_in_without_security(client, ports, steps)
            await start(CONTACT)
            await pair_without_security(client, CONTACT, steps)
            await leave_and_return(client, sensor, steps)
        steps.seen("all stopped")
    except BaseException as error:
        show_logs(home, folder)
        if isinstance(error, TimeoutError):
            raise HassError(f"not done in {LIMIT} s") from None
        raise
    finally:
        if "LWM2M_KEEP" not in os.environ:
            shutil.rmtree(folder, ignore_errors=True)


def show_logs(home: Home, folder: Path) -> None:
    """Print the end of what the processes said, for finding out why."""
    for log in (home.log, folder / "devices.log"):
        if log.exists():
            lines = log.read_text(errors="replace").splitlines()[-60:]
            print(f"--- the end of {log.name} ---", *lines, sep="\n", flush=True)


async def pair(client: HassClient, device: devices.Device, steps: Steps, *, wrong_first: bool = False) -> None:
    """Take a device from its card to its entry."""
    settings = device.settings
    flow = await client.until_flow(DOMAIN, lambda flow: settings.identity in str(flow["context"]["title_placeholders"]))
    steps.seen(f"{settings.identity} appears as a discovered flow")
    flow_id = flow["flow_id"]
    step = await expect(client, flow_id, None, step_id="psk")
    if wrong_first:
        device.forget()
        step = await expect(client, flow_id, {"key": WRONG_KEY.hex()}, step_id="psk")
        if step["errors"] != {"key": "wrong_key"}:
            raise HassError(f"a wrong key was not named as such: {step}")
        # A device is not told why: with a wrong key its handshake ends by its own patience.
        await device.until("handshake_failed", lambda event: event["reason"] == "timeout", seconds=40)
        steps.seen(f"{settings.identity}: the wrong key is named as wrong after the device's handshake with it")
    step = await expect(client, flow_id, {"key": settings.key.hex()}, step_id="finish")
    if settings.endpoint not in str(step["description_placeholders"]):
        raise HassError(f"the endpoint name is not shown: {step}")
    steps.seen(f"{settings.identity}: the right key is proven, the endpoint is {settings.endpoint}")
    title = await finish(client, flow_id)
    steps.seen(f"{settings.identity}: the entry {title!r} is created")


async def finish(client: HassClient, flow_id: str) -> str:
    """Answer the last step of a card; return the title of the entry, which must be there and loaded."""
    step = await client.flow_step(flow_id, {})
    if step["type"] != "create_entry" or step["result"]["state"] != "loaded":
        raise HassError(f"no entry was created: {step}")
    return str(step["title"])


async def card_showing(client: HassClient, step_id: str, shown: str) -> str:
    """Wait for a card whose first step shows a fingerprint or a name; return its flow."""
    async with asyncio.timeout(20):
        while True:
            for flow in await client.flows(DOMAIN):
                step = await client.flow_step(flow["flow_id"])
                if step["step_id"] == step_id and shown in str(step["description_placeholders"]):
                    return str(flow["flow_id"])
            await asyncio.sleep(POLL)


async def pair_by_fingerprint(client: HassClient, settings: devices.Settings, keys: Path, steps: Steps) -> None:
    """Take a device with a raw public key from its card to its entities: its fingerprint is compared."""
    fingerprint = sha256(settings.pair(keys).public_der()).hexdigest()
    flow_id = await card_showing(client, "rpk", fingerprint)
    step = await expect(client, flow_id, {"fingerprint_matches": False}, step_id="rpk")
    if step["errors"] != {"fingerprint_matches": "not_compared"}:
        raise HassError(f"a key that nobody has compared was not refused: {step}")
    await expect(client, flow_id, {"fingerprint_matches": True}, step_id="finish")
    await finish(client, flow_id)
    entity_id = await entity_of(client, settings, "/3311/0/5850")
    steps.seen(f"{settings.endpoint}: by its public key, once compared; {entity_id} is {state_of(client, entity_id)}")


async def pair_by_authority(client: HassClient, settings: devices.Settings, keys: Path, steps: Steps) -> None:
    """Take a device with a certificate from its card to its entities: the certificate of its CA is uploaded."""
    fingerprint = sha256(settings.pair(keys).certificate_der()).hexdigest()
    flow_id = await card_showing(client, "certificate", fingerprint)
    await expect(client, flow_id, {"next_step_id": "by_authority"}, step_id="by_authority")
    uploaded = await client.upload(devices.authority(keys).certificate)
    await expect(client, flow_id, {"authority_file": uploaded}, step_id="finish")
    await finish(client, flow_id)
    entity_id = await entity_of(client, settings, "/3301/0/5700")
    steps.seen(f"{settings.endpoint}: by its certificate of a CA; {entity_id} is {state_of(client, entity_id)}")


async def let_in_without_security(client: HassClient, ports: devices.Ports, steps: Steps) -> None:
    """Switch on the port without security; the server starts anew for it, and the devices come back."""
    entries = await client.request("GET", f"api/config/config_entries/entry?domain={DOMAIN}")
    server = next(entry for entry in entries if entry["supports_options"])
    step = await client.start_options(server["entry_id"])
    step = await client.options_step(step["flow_id"], {"next_step_id": "security"})
    answer = {"suites": [], "nosec": {"enabled": True, "port": ports.coap}}
    step = await client.options_step(step["flow_id"], answer)
    if step["type"] != "create_entry":
        raise HassError(f"the port without security was not switched on: {step}")
    steps.seen(f"the server listens without security on 127.0.0.1:{ports.coap}, as the options have it")


async def pair_without_security(client: HassClient, settings: devices.Settings, steps: Steps) -> None:
    """Take a device without security from its card to its entities."""
    flow_id = await card_showing(client, "nosec", settings.endpoint)
    await finish(client, flow_id)
    entity_id = await entity_of(client, settings, "/3302/0/5500")
    steps.seen(f"{settings.endpoint}: without security; {entity_id} is {state_of(client, entity_id)}")


def state_of(client: HassClient, entity_id: str) -> str:
    """Return the present state."""
    return str(client.states[entity_id]["state"])


async def expect(client: HassClient, flow_id: str, answer: dict[str, Any] | None, *, step_id: str) -> dict[str, Any]:
    """Answer a step and return the next one, which must be that."""
    step = await client.flow_step(flow_id, answer)
    if step.get("step_id") != step_id:
        raise HassError(f"the step {step_id} was to come, and came: {step}")
    return step


async def entity_of(client: HassClient, settings: devices.Settings, path: str) -> str:
    """Return the entity id of a resource, once it is registered and has a state."""
    unique_id = settings.endpoint + path
    async with asyncio.timeout(20):
        while (entity_id := (await client.entity_ids(DOMAIN)).get(unique_id)) is None:
            await asyncio.sleep(0.1)
    await client.until_state(entity_id, lambda state: state not in {"missing", "unavailable", "unknown"})
    return entity_id


async def follow_sensor(client: HassClient, device: devices.Device, steps: Steps) -> None:
    """See the device's value in the state, and its changes."""
    entity_id = await entity_of(client, device.settings, "/3303/0/5700")
    await client.until_state(entity_id, partial(equals, 21.5))
    steps.seen(f"{entity_id} has the device's value, 21.5")
    for value in (23.75, -4.5):
        await device.tell(f"set /3303/0/5700 {value}")
        await client.until_state(entity_id, partial(equals, value))
        steps.seen(f"{entity_id} follows to {value}")


def equals(value: float, state: str) -> bool:
    """Return whether a state is that number."""
    try:
        return float(state) == value
    except ValueError:
        return False


async def turn_on(client: HassClient, device: devices.Device, steps: Steps) -> None:
    """Turn a switch on by an action, see it in the device's own output and in the state."""
    entity_id = await entity_of(client, device.settings, "/3312/0/5850")
    device.forget()
    await client.act("switch.turn_on", entity_id)
    await device.until("written", lambda event: event["path"] == "/3312/0/5850" and event["value"] is True)
    steps.seen(f"{entity_id} was turned on: the device says so")
    await client.until_state(entity_id, "on")
    steps.seen(f"{entity_id} is on")


async def leave_and_return(client: HassClient, device: devices.Device, steps: Steps) -> None:
    """See a device's resources become unavailable when it deregisters, and available when it comes back."""
    resources = device.settings.endpoint + "/"  # what is said of the device as a whole stays
    entity_ids = [
        entity_id
        for unique_id, entity_id in (await client.entity_ids(DOMAIN)).items()
        if unique_id.startswith(resources) and entity_id in client.states
    ]
    if not entity_ids:
        raise HassError(f"{device.settings.endpoint} has no entities")
    for entity_id in entity_ids:  # it may have to call again first
        await client.until_state(entity_id, lambda state: state != "unavailable")
    await device.tell("leave")
    for entity_id in entity_ids:
        await client.until_state(entity_id, "unavailable")
    steps.seen(f"the device has left: its {len(entity_ids)} entities are unavailable")
    await device.tell("return")
    for entity_id in entity_ids:
        await client.until_state(entity_id, lambda state: state != "unavailable")
    steps.seen("the device is back: they are available")
