"""`scripts/develop` itself: runs until Ctrl-C, starts again where it was, and leaves no process behind."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from scripts.lib.home import ROOT, free_port, is_free

from .processes import naming


@pytest.mark.timeout(180)
async def test_runs_until_it_is_stopped_and_goes_on_from_there(tmp_path: Path) -> None:
    port, coaps_port = free_port(), free_port(socket.SOCK_DGRAM)
    command = (ROOT / "scripts" / "develop", "--folder", tmp_path, "--port", str(port), "--coaps-port", str(coaps_port))
    pipe = asyncio.subprocess.PIPE
    for number in (signal.SIGINT, signal.SIGTERM):
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=os.environ, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said and (line := await process.stdout.readline()):
            said += line.decode()
        assert f"http://127.0.0.1:{port}" in said, said
        assert len(naming(f"127.0.0.1:{coaps_port}")) == said.count("identity") == 6
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
            assert answer.status == 200
        process.send_signal(number)
        await process.communicate()
        assert process.returncode == 0
        assert not naming(tmp_path)
        assert not naming(f"127.0.0.1:{coaps_port}")
        assert is_free(port)
        assert is_free(coaps_port, socket.SOCK_DGRAM)
