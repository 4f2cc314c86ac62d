"""The server's command line for tests: in this process or in one of its own, its lines read one by one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from custom_components.lwm2m.server.cli import parse_arguments, run

from .helpers import PATIENCE

ROOT = Path(__file__).parents[2]


class Lines:
    """What a server writes, line by line, and where it takes commands."""

    def __init__(self, next_line: Callable[[], Awaitable[bytes | str]], write: Callable[[bytes], object]) -> None:
        self._next_line = next_line
        self._write = write
        self.listening: dict[str, Any] = {}

    async def line(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            line: dict[str, Any] = json.loads(await self._next_line())
        return line

    async def until(self, event: str, **fields: Any) -> dict[str, Any]:
        while True:
            line = await self.line()
            if line["event"] == event and fields.items() <= line.items():
                return line

    def say(self, *lines: str) -> None:
        self._write("".join(f"{line}\n" for line in lines).encode())

    async def ask(self, line: str) -> dict[str, Any]:
        self.say(line)
        return await self.until("response", request=line)


class Out(StringIO):
    """Standard output of a server in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def write(self, text: str) -> int:
        self.lines.put_nowait(text)
        return len(text)


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Lines]:
    """The command line in this process; ended by a signal, as outside of tests."""
    out = Out()
    descriptor, writer = os.pipe()
    task = asyncio.ensure_future(run(parse_arguments(["--coaps-port", "0", *arguments]), descriptor, out))
    server = Lines(out.lines.get, lambda data: os.write(writer, data))
    try:
        server.listening = await server.line()
        yield server
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await task == 0
    finally:
        os.close(writer)
        task.cancel()


async def spawn(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "scripts/lib/run_server.py"), "--coaps-port", "0", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@asynccontextmanager
async def spawned(*arguments: str) -> AsyncIterator[tuple[Lines, asyncio.subprocess.Process]]:
    """The command line as a process."""
    process = await spawn(*arguments)
    assert process.stdout is not None
    assert process.stdin is not None
    server = Lines(process.stdout.readline, process.stdin.write)
    try:
        server.listening = await server.line()
        yield server, process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
        assert errors.decode() == ""
    assert process.returncode == 0
