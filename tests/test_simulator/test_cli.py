"""The command line as a demo uses it: a process, JSON lines out, commands in."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.cli import numbered, parse, plain, settings_of
from tests.simulator.coap import Code

from .fake_server import FakeServer

ROOT = Path(__file__).parents[2]


class Process:
    """A running simulator."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []

    async def until(self, name: str, **fields: Any) -> dict[str, Any]:
        """Read events up to the first of this name with these fields."""
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while line := await self.process.stdout.readline():
                event: dict[str, Any] = json.loads(line)
                self.events.append(event)
                if event["event"] == name and all(event.get(key) == value for key, value in fields.items()):
                    return event
        raise AssertionError(f"ended without {name}: {self.events}")

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")


@asynccontextmanager
async def simulator(server: FakeServer, *arguments: str, stdin: int = -1) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulator", "--server", server.uri, "--retry", "0.1", *arguments),
        cwd=ROOT,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_session() -> None:
    async with FakeServer() as server, simulator(server, "--endpoint", "plug", "--device", "plug") as device:
        await device.until("registered", endpoint="plug", location="/rd/r1")
        await server.ask("plug", Code.PUT, "/3312/0/5850", b"1", content_format=0)
        assert (await device.until("written"))["value"] is True
        await server.ask("plug", Code.POST, "/3/0/4", b"")
        await device.until("executed", path="/3/0/4", arguments="")
        await server.ask("plug", Code.GET, "/3312/0/5850", observe=0)
        await device.until("observed", path=["/3312/0/5850"])
        device.type("set /3312/0/5850 off")
        assert (await server.peer("plug").notifications.get()).payload == b"0"
        device.type("send /3312/0/5850 /3328/0")
        await device.until("sent", code="2.04")
        device.type("rebind")
        device.type("update")
        await device.until("updated")
        device.type("leave")
        await device.until("deregistered", code="2.02")
        device.type("return")
        await device.until("registered", location="/rd/r2")
        device.type("vanish")
        await device.until("vanished")
        device.type("return")
        await device.until("registered", location="/rd/r3")
        for line in ("", "dance", "set /9/9/9 1", "set /3312/0/5850", "set /3312/0/5850 maybe", "set x 1"):
            device.type(line)
        for _ in range(5):
            await device.until("error")
        device.type("quit")
        await device.until("deregistered")
        assert await device.process.wait() == 0
        assert server.known == {"r2"}


async def test_sigterm_is_a_clean_end() -> None:
    async with (
        FakeServer() as server,
        simulator(server, "--endpoint", "thing", stdin=asyncio.subprocess.DEVNULL) as device,
    ):
        await device.until("registered")
        device.process.send_signal(signal.SIGTERM)
        await device.until("deregistered")
        assert await device.process.wait() == 0
        assert not server.known


async def test_several_devices_over_dtls_with_a_wrong_key_among_them() -> None:
    keys = {b"id-1": bytes(range(16)), b"id-2": bytes(16)}
    arguments = ("--endpoint", "t{n}", "--identity", "id", "--key", bytes(range(16)).hex(), "--count", "2")
    async with FakeServer(keys) as server, simulator(server, *arguments, "--interval", "0.1") as device:
        await device.until("registered", endpoint="t1")
        await device.until("handshake_failed", endpoint="t2")
        await server.ask("t1", Code.GET, "/3303/0/5700", observe=0)
        await server.peer("t1").notifications.get()  # it changes by itself
        device.type("@t1 leave")
        await device.until("deregistered", endpoint="t1")
        device.type("@nobody leave")
        device.type("quit")
        assert await device.process.wait() == 0


def test_names() -> None:
    assert [numbered(name, 3, 5) for name in ("a{n}b", "a", "")] == ["a3b", "a-3", ""]
    assert numbered("a", 1, 1) == "a"


def test_options() -> None:
    options = parse(["--server", "coap://h", "--endpoint", "e", "--bind", "127.0.0.2:9", "--queue", "--no-confirmable"])
    settings = settings_of(options, 1)
    assert (settings.bind, settings.queue, settings.confirmable) == (("127.0.0.2", 9), True, False)
    options = parse(["--server", "coap://h", "--endpoint", "e", "--bind", "::1"])
    assert settings_of(options, 1).bind == ("::1", 0)
    with pytest.raises(SystemExit):
        parse(["--server", "coap://h"])


def test_values_fit_for_json() -> None:
    assert plain({0: b"\xca\xfe", 1: (1, b"\0")}) == {"0": {"opaque": "cafe"}, "1": [1, {"opaque": "00"}]}
