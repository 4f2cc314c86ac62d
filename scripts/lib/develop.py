"""`scripts/develop`: a real Home Assistant with this integration and simulated devices, until Ctrl-C.

`scripts/develop --check` is the same unattended, in a fresh configuration and beside anything else: see check.py.
"""

import argparse
import asyncio
import contextlib
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path

from . import check, devices
from .hass_client import HassClient, HassError
from .home import PASSWORD, PYTHON, ROOT, USER, Home, HomeError, free_port, is_free

DOMAIN = "lwm2m"

DEVICES = (
    devices.Settings(make="sensor", endpoint="urn:dev:ops:0A1B2C-THP2-2600037", identity="climate-cellar"),
    devices.Settings(
        make="plug", endpoint="urn:dev:ops:0A1B2C-SP16-2600074", identity="urn:dev:ops:0A1B2C-SP16-2600074"
    ),
    devices.Settings(make="light", endpoint="urn:dev:ops:0A1B2C-LC9-2600111", mode="rpk"),
    devices.Settings(make="weather", endpoint="urn:dev:ops:0A1B2C-WX3-2600148", mode="certificate"),
    devices.Settings(make="meter", endpoint="urn:dev:ops:0A1B2C-EM7-2600185", identity="meter-cabinet"),
    devices.Settings(make="motion", endpoint="urn:dev:ops:0A1B2C-MO1-2600222", identity="motion-stairs"),
    devices.Settings(make="contact", endpoint="urn:dev:ops:0A1B2C-DW5-2600259", mode="nosec"),
)


async def add_server(client: HassClient, port: int) -> None:
    """Add the entry of the LwM2M server, listening on loopback, unless it is there."""
    if await client.request("GET", f"api/config/config_entries/entry?domain={DOMAIN}"):
        return
    step = await client.start_flow(DOMAIN)
    step = await client.flow_step(step["flow_id"], {"ports": {"port": port, "interface": "127.0.0.1"}})
    if step["type"] != "create_entry":
        raise HassError(f"the server entry was not created: {step}")


async def develop(folder: Path, port: int, ports: devices.Ports) -> None:
    """Run it all until cancelled, or until Home Assistant ends of itself."""
    for number, kind in ((port, socket.SOCK_STREAM), (ports.coaps, socket.SOCK_DGRAM)):
        if not is_free(number, kind):
            raise HomeError(f"port {number} is in use; is another Home Assistant or LwM2M server running?")
    home, keys = Home(folder / "config", port, log_level="debug"), folder / "keys"
    say(f"Preparing Home Assistant in {home.config} ...")
    await home.seed()
    async with AsyncExitStack() as stack:
        say("Starting Home Assistant ...")
        process = await stack.enter_async_context(home.running())
        async with HassClient.connect(home.url, USER, PASSWORD) as client:
            await client.until_running()
            await add_server(client, ports.coaps)
        for settings in DEVICES:
            log = folder / "devices.log"
            await stack.enter_async_context(devices.running(PYTHON, settings, ports=ports, keys=keys, log=log))
        say(f"\n  {home.url}   user: {USER}   password: {PASSWORD}\n")
        say("Simulated devices; they are under Settings > Devices & services, as discovered until they are added:")
        for settings in DEVICES:
            say(f"  {settings.make:7} {settings.endpoint}")
            for line in needed(settings, ports, keys):
                say(f"          {line}")
        say(f"\nHome Assistant's log is {home.log}. Ctrl-C stops everything.")
        try:
            await process.wait()
            raise HomeError(f"Home Assistant has ended, see {home.log}")
        finally:
            say("Stopping ...")


def needed(settings: devices.Settings, ports: devices.Ports, keys: Path) -> Iterator[str]:
    """Say how a device proves who it is, and what a person needs to add it."""
    match settings.mode:
        case "psk":
            yield f"PSK           identity {settings.identity}   key {settings.key.hex()}"
        case "rpk":
            pair = settings.pair(keys)
            yield f"public key    SHA-256 {sha256(pair.public_der()).hexdigest()}"
            yield f"              key {pair.public_key}"
        case "certificate":
            pair = settings.pair(keys)
            yield f"certificate   SHA-256 {sha256(pair.certificate_der()).hexdigest()}"
            yield f"              certificate {pair.certificate}"
            yield f"              signed by the CA {devices.authority(keys).certificate}"
        case "nosec":
            yield f"no security   calls coap://127.0.0.1:{ports.coap}, where the server does not listen by itself:"
            yield "              switch it on with Configure > Security at the LwM2M server"


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


async def until_signal(work: asyncio.Task[None]) -> bool:
    """Run `work`; SIGINT and SIGTERM end it in order. Returns whether it came to its own end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work
        return True
    return False


async def run(options: argparse.Namespace) -> int:
    """Do what the command line says; return the exit code."""
    try:
        if options.check:
            finished = await until_signal(asyncio.create_task(check.check(port=free_port(), add_server=add_server)))
            return 0 if finished else 130
        ports = devices.Ports(coaps=options.coaps_port, coap=options.coap_port)
        if options.fresh:
            shutil.rmtree(options.folder, ignore_errors=True)
        await until_signal(asyncio.create_task(develop(options.folder.resolve(), options.port, ports)))
        return 0
    except (HomeError, HassError, devices.DeviceError) as error:
        print(f"develop: {error}", file=sys.stderr)
        return 1


def main() -> int:
    """Start from the command line."""
    parser = argparse.ArgumentParser(prog="scripts/develop", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="run through the main job unattended, exit 0 if all was seen"
    )
    parser.add_argument("--fresh", action="store_true", help="begin with an empty folder")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where it is kept (demo)")
    parser.add_argument("--port", type=int, default=8123, help="of Home Assistant (8123)")
    parser.add_argument("--coaps-port", type=int, default=5684, help="of the LwM2M server (5684)")
    parser.add_argument("--coap-port", type=int, default=5683, help="of its devices without security (5683)")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
