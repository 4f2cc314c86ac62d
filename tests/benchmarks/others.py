"""Programs of others that are measured beside ours: servers on a UDP port, each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path


def free_port() -> int:
    """A UDP port of loopback that nobody uses at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def program(*command: str, port: int) -> AsyncIterator[Callable[[], int]]:
    """A server that listens on `port`; entered once it does. Gives a clock: nanoseconds that its threads have run."""
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=null, stderr=null)
    tasks = Path(f"/proc/{process.pid}/task")
    try:
        async with asyncio.timeout(10):
            while not _is_bound(port):  # noqa: ASYNC110 - it does not say when it is ready
                await asyncio.sleep(0.02)
        yield lambda: sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _is_bound(port: int) -> bool:
    tables = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
    return any(f":{port:04X} " in table.read_text() for table in tables if table.exists())
