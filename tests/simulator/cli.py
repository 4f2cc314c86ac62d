"""The command line: one or more devices, events as JSON lines on standard output, commands on standard input."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import threading
from base64 import b64decode
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from .client import Event, Settings, SimulatedClient
from .devices import DEVICES
from .model import Scalar, parse_path
from .parts import Device
from .profile import PROFILES
from .values import BadValueError, from_text


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description="Simulated LwM2M devices")
    add = parser.add_argument
    add("--server", required=True, help="coap://HOST:PORT or coaps://HOST:PORT")
    add("--endpoint", required=True, help="endpoint name; with --count, {n} is the device's number")
    add("--device", choices=sorted(DEVICES), default="sensor")
    add("--identity", default="", help="PSK identity, at most 32 bytes; {n} as above")
    add("--key", type=bytes.fromhex, default=b"", metavar="HEX", help="PSK, at most 16 bytes")
    add("--private-key", type=Path, metavar="FILE", help="PEM: a raw public key, or with --chain a certificate")
    add("--chain", type=Path, metavar="FILE", help="PEM, the device's own certificate first")
    add("--server-key", type=Path, metavar="FILE", help="PEM: the only public key to trust a server by; else any")
    add("--cipher", metavar="NAME", help="cipher suite as OpenSSL names it; AES_128_CCM_8 when left out")
    add("--lifetime", type=int, default=60, metavar="SECONDS")
    add("--version", choices=("1.0", "1.1", "1.2"), help="LwM2M version; the profile's when left out")
    add("--profile", choices=sorted(PROFILES), default="anjay", help="client implementation to behave like")
    add("--queue", action="store_true", help="queue mode")
    add("--awake", type=float, metavar="SECONDS", help="queue mode: how long to listen after the last message")
    add("--confirmable", action=argparse.BooleanOptionalAction, help="send notifications as CON or NON")
    add("--retry", type=float, default=2.0, metavar="SECONDS", help="wait before another try")
    add(
        "--handshake-timeout",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="a handshake without an end is given up",
    )
    add("--interval", type=float, default=5.0, metavar="SECONDS", help="time between changes of values; 0 for none")
    add("--time-scale", type=float, default=1.0, help="factor on the times of RFC 7252")
    add("--bind", metavar="HOST[:PORT]", help="local address")
    add("--count", type=int, default=1, help="number of devices")
    return parser.parse_args(arguments)


def settings_of(options: argparse.Namespace, index: int) -> Settings:
    """Make one device's settings; `index` counts from 1."""
    return Settings(
        server=options.server,
        endpoint=numbered(options.endpoint, index, options.count),
        identity=numbered(options.identity, index, options.count),
        key=options.key,
        private_key=options.private_key,
        chain=options.chain,
        server_key=None if options.server_key is None else public_key(options.server_key),
        cipher=options.cipher,
        lifetime=options.lifetime,
        version=options.version,
        profile=options.profile,
        queue=options.queue,
        awake=options.awake,
        confirmable=options.confirmable,
        retry=options.retry,
        handshake_timeout=options.handshake_timeout,
        time_scale=options.time_scale,
        bind=_address(options.bind),
    )


def numbered(name: str, index: int, count: int) -> str:
    """Put the number in where `{n}` stands, or at the end when there are several devices and no `{n}`."""
    if "{n}" in name:
        return name.replace("{n}", str(index))
    return f"{name}-{index}" if count > 1 and name else name


def public_key(file: Path) -> bytes:
    """Read a PEM public key; gives its SubjectPublicKeyInfo as DER."""
    found = re.search(r"-----BEGIN PUBLIC KEY-----(.+?)-----END PUBLIC KEY-----", file.read_text(), re.DOTALL)
    if found is None:
        raise ValueError(f"no PEM public key: {file}")
    return b64decode(found[1])


def _address(given: str | None) -> tuple[str, int] | None:
    if not given:
        return None
    host, _, port = given.rpartition(":") if given.count(":") == 1 else (given, "", "")
    return host, int(port or 0)


def plain(value: Any) -> Any:
    """Make a field fit for JSON: opaque values as {"opaque": hex}."""
    if isinstance(value, bytes):
        return {"opaque": value.hex()}
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(inner) for inner in value]
    return value


class Bench:
    """The devices of one process."""

    def __init__(self, options: argparse.Namespace, out: TextIO) -> None:
        self._out = out
        self._options = options
        self.clients: dict[str, SimulatedClient] = {}
        self._behaviours: list[asyncio.Task[None]] = []
        self._devices: list[tuple[SimulatedClient, Device]] = []
        for index in range(1, options.count + 1):
            device = DEVICES[options.device](index)
            client = SimulatedClient(settings_of(options, index), device.model)
            client.listeners.append(partial(self.print, client.settings.endpoint))
            self.clients[client.settings.endpoint] = client
            self._devices.append((client, device))

    def print(self, endpoint: str, event: Event) -> None:
        """Write one event as a line."""
        fields = {"event": event.name, "endpoint": endpoint} | {k: plain(v) for k, v in event.fields.items()}
        self._out.write(json.dumps(fields) + "\n")
        self._out.flush()

    async def start(self) -> None:
        """Let all devices live."""
        for client, device in self._devices:
            await client.start()
            if device.behave is not None and self._options.interval > 0:
                self._behaviours.append(asyncio.ensure_future(device.behave(client, self._options.interval)))

    async def stop(self) -> None:
        """Deregister all, at the same time."""
        for task in self._behaviours:
            task.cancel()
        await asyncio.gather(*(client.stop() for client in self.clients.values()))

    async def command(self, line: str) -> None:
        """Do one line of standard input; `@ENDPOINT` in front means one device, else all."""
        words = line.split()
        chosen = list(self.clients.values())
        if words and words[0].startswith("@"):
            named = self.clients.get(words.pop(0)[1:])
            chosen = [] if named is None else [named]
        if not words:
            return
        name, rest = words[0], words[1:]
        for client in chosen:
            try:
                await self._do(client, name, rest)
            except (ValueError, KeyError, IndexError, BadValueError) as error:
                client.report("error", command=line, error=f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001 - a command that fails on the wire must not end the process
                client.report("error", command=line, error=type(error).__name__)

    async def _do(self, client: SimulatedClient, name: str, rest: list[str]) -> None:
        match name:
            case "set":
                client.set(rest[0], typed(client, rest[0], " ".join(rest[1:])))
            case "send":
                await client.send(*rest)
            case "update":
                client.update()
            case "leave":
                await client.leave()
            case "vanish":
                await client.vanish()
            case "return":
                await client.start()
            case "rebind":
                await client.rebind()
            case _:
                raise ValueError(f"unknown command {name}")


def typed(client: SimulatedClient, path: str, given: str) -> Scalar:
    """Read a value as text of the resource's type; booleans also as true and false."""
    kind = client.model.kind(parse_path(path))
    if kind is None:
        raise KeyError(path)
    if kind == "boolean":
        given = {"true": "1", "on": "1", "false": "0", "off": "0"}.get(given.lower(), given)
    if kind == "opaque":
        return bytes.fromhex(given)
    return from_text(kind, given.encode())


async def run(options: argparse.Namespace) -> None:
    """Live until `quit`, SIGTERM or SIGINT; then deregister."""
    loop = asyncio.get_running_loop()
    bench = Bench(options, sys.stdout)
    finished = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, finished.set)
    lines: asyncio.Queue[str] = asyncio.Queue()
    threading.Thread(target=_read_input, args=(loop, lines), daemon=True).start()
    await bench.start()
    listening = asyncio.ensure_future(_obey(lines, bench, finished))
    await finished.wait()
    listening.cancel()
    await bench.stop()


def _read_input(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[str]) -> None:
    # a thread, because an event loop cannot wait for every kind of standard input; raw reads, because a buffered one
    # that still waits at the end of the process keeps it from ending
    rest = b""
    with contextlib.suppress(OSError, RuntimeError):  # closed input; closed loop
        while chunk := os.read(0, 4096):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                loop.call_soon_threadsafe(lines.put_nowait, line.decode("utf-8", "replace").strip())


async def _obey(lines: asyncio.Queue[str], bench: Bench, finished: asyncio.Event) -> None:
    while (line := await lines.get()) != "quit":
        await bench.command(line)
    finished.set()


def main() -> None:
    """Start from the command line."""
    asyncio.run(run(parse()))
