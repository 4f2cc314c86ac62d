"""The load generator's other end: starts it, and gives it commands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from custom_components.lwm2m.security.credential import Psk
from custom_components.lwm2m.server.server import Server

from .figures import ROOT
from .generator import KEY, endpoint_of, identity_of


class Load:
    """A running generator."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, do: str, **arguments: Any) -> Any:
        """Give a command and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator has ended, its last words are above")
        return json.loads(line)


@contextlib.asynccontextmanager
async def generator() -> AsyncIterator[Load]:
    """A generator for the time of the context."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.generator", cwd=ROOT, stdin=pipe, stdout=pipe, limit=1 << 22
    )
    try:
        yield Load(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def expect(server: Server, count: int) -> None:
    """Let a server know the credentials of the generator's first devices."""
    for number in range(count):
        server.authorizer.set_credential(endpoint_of(number), Psk(identity_of(number), KEY))


@contextlib.asynccontextmanager
async def serving(count: int) -> AsyncIterator[Server]:
    """A server on loopback, without Home Assistant, that knows the generator's first devices."""
    server = Server()
    expect(server, count)
    await server.start("127.0.0.1", coaps_port=0)
    try:
        yield server
    finally:
        await server.stop()
